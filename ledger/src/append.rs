//! An append on its way into a store: checked, packed, and repeated until its outcome is known (R3, R4).

use std::sync::Arc;
use std::time::Duration;

use domain::LogId;
use domain::limits::{
    APPEND_MS, LEDGER_LOCK_MS, MAX_APPEND_BYTES, MAX_APPEND_EVENTS, MAX_SEGMENT_BYTES, MAX_SEGMENT_ROWS, RESEND_MS,
};
use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep, timeout_at};

use crate::store::Place;
use crate::{Append, Applied, Error, Head, Writer};

/// How large appends and segments may become. The default is `domain::limits`; tests use smaller ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Events of one append.
    pub append_events: usize,
    /// Bytes of one append's events, with a line break between them.
    pub append_bytes: usize,
    /// Appends in one segment.
    pub segment_rows: u64,
    /// Bytes of all events in one segment.
    pub segment_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            append_events: MAX_APPEND_EVENTS,
            append_bytes: MAX_APPEND_BYTES,
            segment_rows: MAX_SEGMENT_ROWS,
            segment_bytes: MAX_SEGMENT_BYTES,
        }
    }
}

/// One append as it is sent, and sent again unchanged when its outcome is in doubt.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Batch {
    pub(crate) log: LogId,
    /// The condition: fence and head of the segment must be these.
    pub(crate) fence: u64,
    pub(crate) head: u64,
    pub(crate) place: Place,
    /// Stands in the row, so that a later try knows its own work even after another writer has gone on (a cell per segment would be overwritten).
    pub(crate) id: [u8; 16],
    /// Number of events in `text`, which has one event per line: JSON text never holds a raw line break, and any shell shows it.
    pub(crate) events: u64,
    pub(crate) text: String,
    /// Whether this append is the segment's last.
    pub(crate) seals: bool,
}

impl Batch {
    /// Checks and packs. Everything that a store would refuse by size is refused here, before anything is sent: a too large
    /// batch answers like a failed condition in some stores, and would be repeated for ever.
    pub(crate) fn new(writer: &Writer, events: &[String], limits: &Limits, id: [u8; 16]) -> Result<Self, Error> {
        if events.is_empty() {
            return Err(Error::BadAppend { why: "it has no event" });
        }
        if events.len() > limits.append_events {
            return Err(Error::TooMany { events: events.len(), limit: limits.append_events });
        }
        let bytes = events.iter().map(String::len).sum::<usize>() + events.len() - 1;
        if bytes > limits.append_bytes {
            return Err(Error::TooLarge { bytes, limit: limits.append_bytes });
        }
        if events.iter().any(String::is_empty) {
            return Err(Error::BadAppend { why: "an event is empty" });
        }
        // NUL as well: SQL shells and functions take it for the end of a text.
        if events.iter().any(|event| event.bytes().any(|byte| byte == b'\n' || byte == 0)) {
            return Err(Error::BadAppend { why: "an event has a line break or NUL in it" });
        }
        let place = Place { rows: writer.place.rows + 1, bytes: writer.place.bytes + bytes as u64, ..writer.place };
        // Sealed while the largest append would still fit, so that no segment ever exceeds its bounds.
        let seals =
            place.rows >= limits.segment_rows || place.bytes + limits.append_bytes as u64 > limits.segment_bytes;
        Ok(Self {
            log: writer.log.clone(),
            fence: writer.fence,
            head: writer.head,
            place: writer.place,
            id,
            events: events.len() as u64,
            text: events.join("\n"),
            seals,
        })
    }

    /// The writer after this batch. One that sealed goes on in the next segment under the fence it holds; the condition there decides.
    fn applied(&self, writer: &Writer) -> Writer {
        let place = if self.seals {
            Place { segment: self.place.segment + 1, rows: 0, bytes: 0 }
        } else {
            Place { rows: self.place.rows + 1, bytes: self.place.bytes + self.text.len() as u64, ..self.place }
        };
        Writer { head: self.head + self.events, place, ..writer.clone() }
    }
}

/// What one try of a batch came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Tried {
    /// It is in the log: now, or since an earlier try (the row at its first number carries its id).
    Applied,
    /// It is not, and never can be: fence or head have moved on, and the rows there are another's.
    Refused(Head),
}

/// One try of a batch, the only thing about appending that differs between stores.
pub(crate) trait Attempt: Send + Sync + 'static {
    /// Sends the batch once. An error with [`Applied::No`] means that this very try changed nothing and never will.
    fn attempt<'a>(&'a self, batch: &'a Arc<Batch>) -> BoxFuture<'a, Result<Tried, Error>>;

    /// Whether another try has any chance to learn more.
    fn hopeful(&self) -> bool {
        true
    }
}

/// Tries until the outcome is known or [`APPEND_MS`] have passed.
pub(crate) async fn append(tries: &dyn Attempt, writer: &Writer, batch: Batch) -> Result<Append, Error> {
    let batch = Arc::new(batch);
    let tried = until_known(|| tries.attempt(&batch), || tries.hopeful()).await?;
    Ok(match tried {
        Tried::Applied => Append::Appended(batch.applied(writer)),
        Tried::Refused(head) => Append::Fenced(head),
    })
}

/// What a try that meets with a locked file takes at most, and some more.
const LOCKED: Duration = Duration::from_millis(LEDGER_LOCK_MS * 2);

/// Repeats `call` while its outcome is unknown and there is hope to learn it, until the deadline. A definite failure ends it at once, but only when
/// no earlier try is in doubt: that one may have been applied, whatever happened to the later ones.
pub(crate) async fn until_known<'a, T>(
    mut call: impl FnMut() -> BoxFuture<'a, Result<T, Error>>,
    hopeful: impl Fn() -> bool,
) -> Result<T, Error> {
    let deadline = Instant::now() + Duration::from_millis(APPEND_MS);
    let mut pause = Duration::from_millis(RESEND_MS.0);
    let mut doubt: Option<String> = None;
    loop {
        let why = match timeout_at(deadline, call()).await {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(error)) => match (error, &doubt) {
                (Error::Unavailable { why, applied: Applied::Unknown }, _) => why,
                // Another process's turn; it is over soon unless somebody sits on the file. Not so late that a try would be cut off and its outcome unknown.
                (Error::Locked { .. }, None) if Instant::now() + pause + LOCKED < deadline => {
                    sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_millis(RESEND_MS.1));
                    continue;
                }
                (error, None) => return Err(error),
                (error, Some(_)) => error.to_string(),
            },
            Err(_) => format!("no answer within {APPEND_MS} ms"),
        };
        if !hopeful() || Instant::now() + pause >= deadline {
            return Err(Error::unknown(why));
        }
        tracing::warn!(why, "outcome of a write to the ledger is in doubt, the same one is sent again");
        doubt = Some(why);
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(RESEND_MS.1));
    }
}

#[cfg(test)]
mod tests;
