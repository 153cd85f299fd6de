//! Lanes of other processes: requests on their way to the owner, how a group of them is written, and serving one.
//!
//! No I/O here: the program carries the text from one process to the other. A group is one JSON object with a version, the time
//! there is, and the requests; the answer has one answer per request, in the same order. A request that its receiver refuses
//! because it does not own the lane has changed nothing and may be sent to another process.

mod wire;

use std::future::Future;
use std::time::Duration;

use domain::limits::{MAX_FORWARD_GROUP, MAX_OWNER_QUEUE};
use futures_util::future::join_all;
use tokio::sync::{mpsc, watch};

use crate::answer::{LaneError, LaneStatus};
use crate::lane::{Asked, Command, Lane};
use wire::{Answer, Answers, Ask, Asks, Sink, VERSION};
pub(crate) use wire::{pass, shared};

/// What cannot be read as a group or as the answer to one.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadGroup(String);

/// How long the owner may take over a request: groups are made of one kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pace {
    /// Answered after one call to Redis, or at once.
    Quick,
    /// Waits for the ledger.
    Patient,
}

/// A request on its way to the owner, and who waits for its answer.
pub struct Forwarded {
    ask: Ask,
    sink: Sink,
}

/// Where requests wait that have to be forwarded. The program empties it.
pub struct Outbox(Source);

enum Source {
    /// What the owner of this process passes on while another process owns the lane.
    Owner(mpsc::Receiver<Forwarded>),
    /// Everything that is asked of a lane this process never owns. Its status stays as it is: not owned.
    Handle(
        mpsc::Receiver<Asked>,
        #[allow(dead_code, reason = "kept so that the status can be watched")] watch::Sender<LaneStatus>,
    ),
}

impl Outbox {
    pub(crate) fn new() -> (mpsc::Sender<Forwarded>, Self) {
        let (sender, receiver) = mpsc::channel(MAX_OWNER_QUEUE);
        (sender, Self(Source::Owner(receiver)))
    }

    /// The next request; `None` when nobody can send one any more. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Forwarded> {
        match &mut self.0 {
            Source::Owner(passed) => passed.recv().await,
            Source::Handle(asked, _) => loop {
                if let Some(forwarded) = Forwarded::of(asked.recv().await?) {
                    return Some(forwarded);
                }
            },
        }
    }

    /// The next request, if it is there already.
    pub fn now(&mut self) -> Option<Forwarded> {
        match &mut self.0 {
            Source::Owner(passed) => passed.try_recv().ok(),
            Source::Handle(asked, _) => loop {
                if let Some(forwarded) = Forwarded::of(asked.try_recv().ok()?) {
                    return Some(forwarded);
                }
            },
        }
    }
}

/// A lane that this process never owns, and where its requests wait to be forwarded.
#[must_use]
pub fn elsewhere(sale: domain::SaleId, lane: u16) -> (Lane, Outbox) {
    let (commands, asked) = mpsc::channel(MAX_OWNER_QUEUE);
    let (status, seen) = watch::channel(LaneStatus::default());
    (Lane::new(sale, lane, commands, seen), Outbox(Source::Handle(asked, status)))
}

/// Hands a request to the box; a full one is refused as busy.
pub(crate) fn pass_on(forward: &mpsc::Sender<Forwarded>, command: Command) {
    let (ask, sink) = wire::split(command);
    if let Err(refused) = forward.try_send(Forwarded { ask, sink }) {
        let (error, forwarded) = match refused {
            mpsc::error::TrySendError::Full(forwarded) => (LaneError::Busy, forwarded),
            mpsc::error::TrySendError::Closed(forwarded) => (LaneError::NoOwner, forwarded),
        };
        forwarded.sink.refuse(error);
    }
}

impl Forwarded {
    fn of(Asked { command, from }: Asked) -> Option<Self> {
        let (ask, sink) = wire::split(command);
        if from == crate::lane::From::Elsewhere {
            sink.refuse(LaneError::NoOwner);
            return None;
        }
        Some(Self { ask, sink })
    }

    /// How long its owner may take.
    #[must_use]
    pub const fn pace(&self) -> Pace {
        match self.ask {
            Ask::Confirm(_) | Ask::Cancel(..) | Ask::Give(_) => Pace::Patient,
            Ask::Hold(_)
            | Ask::Release(..)
            | Ask::Look(..)
            | Ask::Bookings(_)
            | Ask::Booking(..)
            | Ask::Leave(..)
            | Ask::Given(..) => Pace::Quick,
        }
    }

    /// Bytes it takes in a group, at most.
    #[must_use]
    pub fn size(&self) -> usize {
        self.ask.size()
    }

    /// Nobody waits for it any more.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.sink.is_closed()
    }

    /// Says that nothing was done, because nobody owns the lane.
    pub fn no_owner(self) {
        self.sink.refuse(LaneError::NoOwner);
    }

    /// Says that nobody knows what became of it: a confirm or a cancel is told that it takes longer, because it may be on its way
    /// into the log; everything else that asking again finds out.
    pub fn unknown(self) {
        self.sink.unknown();
    }
}

/// The group as its receiver reads it. `within`: how long the receiver may take.
#[must_use]
pub fn encode<'a>(group: impl IntoIterator<Item = &'a Forwarded>, within: Duration) -> Vec<u8> {
    let within_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
    let asks: Vec<&Ask> = group.into_iter().map(|forwarded| &forwarded.ask).collect();
    // Text keys and plain values: writing them cannot fail. An empty group would be refused by its receiver.
    serde_json::to_vec(&Asks { v: VERSION, within_ms, asks }).unwrap_or_default()
}

/// Tells everybody of the group what the owner answered. Returns those that it refused as not its own: nothing was done for them.
/// An answer that cannot be read leaves every outcome open.
///
/// # Errors
/// Why it cannot be read.
pub fn answered(group: Vec<Forwarded>, answer: &[u8]) -> Result<Vec<Forwarded>, BadGroup> {
    let answers = match read::<Answers>(answer) {
        Ok(answers) if answers.v == VERSION && answers.answers.len() == group.len() => answers.answers,
        other => {
            group.into_iter().for_each(Forwarded::unknown);
            return Err(other.err().unwrap_or_else(|| BadGroup("another version, or not one answer each".to_owned())));
        }
    };
    let mut again = Vec::new();
    for (forwarded, answer) in group.into_iter().zip(answers) {
        if answer.is_not_mine() {
            again.push(forwarded);
        } else {
            forwarded.sink.answer(answer);
        }
    }
    Ok(again)
}

/// Asks the local owner everything in the group, all at once, and writes its answers.
///
/// # Errors
/// The group cannot be read, or is too large: nothing was done.
pub async fn serve(lane: &Lane, group: &[u8]) -> Result<Vec<u8>, BadGroup> {
    let Asks { v, within_ms, asks } = read::<Asks<Ask>>(group)?;
    if v != VERSION || asks.len() > MAX_FORWARD_GROUP {
        return Err(BadGroup(format!("version {v} with {} requests is not version {VERSION} or too long", asks.len())));
    }
    let (lane, patience) = (lane.for_others(), Duration::from_millis(within_ms));
    let answers = join_all(asks.into_iter().map(|ask| run(&lane, ask, patience))).await;
    serde_json::to_vec(&Answers { v: VERSION, answers }).map_err(|error| BadGroup(error.to_string()))
}

async fn run(lane: &Lane, ask: Ask, patience: Duration) -> Answer {
    match ask {
        Ask::Hold(request) => Answer::Hold(lane.hold(request).await),
        Ask::Confirm(c) => Answer::Confirm(lane.confirm(c.id, c.visitor, c.pass, patience).await),
        Ask::Cancel(id, visitor) => Answer::Cancel(lane.cancel(id, visitor, patience).await),
        Ask::Release(id, visitor) => Answer::Release(lane.release(id, visitor).await),
        Ask::Look(id, visitor) => Answer::Look(lane.look(id, visitor).await),
        Ask::Bookings(visitor) => Answer::Bookings(lane.bookings(visitor).await),
        Ask::Booking(id, visitor) => Answer::Booking(lane.booking(id, visitor).await),
        Ask::Leave(visitor, pass) => Answer::Leave(lane.leave(visitor, pass).await),
        Ask::Give(request) => Answer::Give(in_time(patience, lane.give(request)).await),
        Ask::Given(to, after) => Answer::Given(lane.given(to, after).await),
    }
}

/// The answer, or that nobody knows by then.
async fn in_time<T>(patience: Duration, asked: impl Future<Output = Result<T, LaneError>>) -> Result<T, LaneError> {
    tokio::time::timeout(patience, asked).await.unwrap_or(Err(LaneError::Unknown))
}

fn read<'a, T: serde::Deserialize<'a>>(text: &'a [u8]) -> Result<T, BadGroup> {
    serde_json::from_slice(text).map_err(|error| BadGroup(error.to_string()))
}

#[cfg(test)]
mod tests;
