//! Lines of other processes: requests on their way to the owner, how a group of them is written, and serving one.
//!
//! No I/O here: the program carries the text from one process to the other. A group is one JSON object with a version, the
//! requests, and numbers whose passes have ended by a booking; the answer has one answer per request, in the same order. A request
//! that its receiver refuses because it does not own the line has changed nothing and may be sent to another process.

mod wire;

use domain::SaleId;
use domain::limits::{MAX_FORWARD_ENDS, MAX_FORWARD_GROUP, MAX_OWNER_QUEUE};
use futures_util::future::join_all;
use tokio::sync::{mpsc, watch};

use crate::line::handle::{self, Asked, From, Inbox, Request};
use crate::line::{Line, LineError, LineStatus};
use wire::{Answer, Answers, Ask, Asks, Sink, VERSION};

/// What cannot be read as a group or as the answer to one.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadGroup(String);

/// A request on its way to the owner, and who waits for its answer.
pub struct Forwarded {
    ask: Ask,
    sink: Sink,
}

/// Where an owner puts what is not its own.
#[derive(Debug)]
pub(crate) struct Forward {
    requests: mpsc::Sender<Forwarded>,
    ends: mpsc::UnboundedSender<Vec<u64>>,
}

/// Where requests wait that have to be forwarded. The program empties it.
pub struct Outbox(Source);

enum Source {
    /// What the owner of this process passes on while another process owns the line.
    Owner(mpsc::Receiver<Forwarded>),
    /// Everything that is asked of a line this process never owns. Its status stays as it is: not owned.
    Handle(
        mpsc::Receiver<Asked>,
        #[allow(dead_code, reason = "kept so that the status can be watched")] watch::Sender<LineStatus>,
    ),
}

/// Numbers of ended passes that the line's owner in another process has to know.
pub struct Ends(mpsc::UnboundedReceiver<Vec<u64>>);

impl std::fmt::Debug for Forwarded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.ask.fmt(f)
    }
}

pub(crate) fn channel() -> (Forward, Outbox, Ends) {
    let (requests, passed) = mpsc::channel(MAX_OWNER_QUEUE);
    let (ends, ended) = mpsc::unbounded_channel();
    (Forward { requests, ends }, Outbox(Source::Owner(passed)), Ends(ended))
}

/// A line that this process never owns, and where its requests and ends wait to be forwarded.
#[must_use]
pub fn elsewhere(sale: &SaleId) -> (Line, Outbox, Ends) {
    let (line, Inbox { requests, ended, status, .. }) = handle::channel(sale, MAX_OWNER_QUEUE);
    (line, Outbox(Source::Handle(requests, status)), Ends(ended))
}

impl Forward {
    /// Hands a request to the box; a full one is refused as busy.
    pub(crate) fn pass_on(&self, request: Request) {
        let (ask, sink) = wire::split(request);
        if let Err(refused) = self.requests.try_send(Forwarded { ask, sink }) {
            let (error, forwarded) = match refused {
                mpsc::error::TrySendError::Full(forwarded) => (LineError::Busy, forwarded),
                mpsc::error::TrySendError::Closed(forwarded) => (LineError::NoOwner, forwarded),
            };
            forwarded.sink.refuse(error);
        }
    }

    pub(crate) fn ended(&self, numbers: Vec<u64>) {
        // Nobody listens only while the process goes down; those passes expire.
        let _ = self.ends.send(numbers);
    }
}

impl Outbox {
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

impl Ends {
    /// The next numbers; `None` when nobody can send any more.
    pub async fn next(&mut self) -> Option<Vec<u64>> {
        self.0.recv().await
    }
}

impl Forwarded {
    fn of(Asked { request, from }: Asked) -> Option<Self> {
        let (ask, sink) = wire::split(request);
        if from == From::Elsewhere {
            sink.refuse(LineError::NoOwner);
            return None;
        }
        Some(Self { ask, sink })
    }

    /// Nobody waits for it any more.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.sink.is_closed()
    }

    /// Says that nothing was done, because nobody owns the line.
    pub fn no_owner(self) {
        self.sink.refuse(LineError::NoOwner);
    }

    /// Says that nobody knows what became of it. Asking again finds out: joins, claims and leaves are idempotent.
    pub fn unknown(self) {
        self.sink.refuse(LineError::Unknown);
    }
}

/// The group as its receiver reads it.
#[must_use]
pub fn encode<'a>(group: impl IntoIterator<Item = &'a Forwarded>) -> Vec<u8> {
    let asks: Vec<&Ask> = group.into_iter().map(|forwarded| &forwarded.ask).collect();
    // Text keys and plain values: writing them cannot fail. An empty text would be refused by its receiver.
    serde_json::to_vec(&Asks::<_, &[u64]> { v: VERSION, asks, ended: &[] }).unwrap_or_default()
}

/// Ended passes as their receiver reads them.
#[must_use]
pub fn encode_ends(ended: &[u64]) -> Vec<u8> {
    serde_json::to_vec(&Asks::<Ask, &[u64]> { v: VERSION, asks: Vec::new(), ended }).unwrap_or_default()
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

/// Whether the owner has taken the ends.
#[must_use]
pub fn ends_taken(answer: &[u8]) -> bool {
    read::<Answers>(answer).is_ok_and(|answers| answers.v == VERSION && answers.owned)
}

/// Asks the local owner everything in the group, all at once, and writes its answers.
///
/// # Errors
/// The group cannot be read, or is too large: nothing was done.
pub async fn serve(line: &Line, group: &[u8]) -> Result<Vec<u8>, BadGroup> {
    let Asks { v, asks, ended } = read::<Asks<Ask, Vec<u64>>>(group)?;
    if v != VERSION || asks.len() > MAX_FORWARD_GROUP || ended.len() > MAX_FORWARD_ENDS {
        return Err(BadGroup(format!("version {v} with {} requests is not version {VERSION} or too long", asks.len())));
    }
    // Where it is not this process' line, whoever sent them keeps them.
    let owned = line.status().owned;
    if owned && !ended.is_empty() {
        line.ended(ended);
    }
    let line = line.for_others();
    let answers = join_all(asks.into_iter().map(|ask| run(&line, ask))).await;
    serde_json::to_vec(&Answers { v: VERSION, owned, answers }).map_err(|error| BadGroup(error.to_string()))
}

async fn run(line: &Line, ask: Ask) -> Answer {
    match ask {
        Ask::Come(visitor) => Answer::Come(line.come(visitor).await),
        Ask::Join(visitor, presented) => Answer::Join(line.join(visitor, presented).await),
        Ask::Pay(visitor, presented, fee) => Answer::Join(line.join_for(visitor, presented, fee).await),
        Ask::Redeem(visitor, code) => Answer::Join(line.redeem(visitor, code).await),
        Ask::Claim(visitor, number) => Answer::Claim(line.claim(visitor, number).await),
        Ask::Leave(number) => Answer::Leave(line.leave_of(number).await),
        Ask::Offer(visitor, number, code) => Answer::Offer(line.offer(visitor, number, code).await),
        Ask::Move(visitor, code) => Answer::Move(line.move_to(visitor, code).await),
    }
}

fn read<'a, T: serde::Deserialize<'a>>(text: &'a [u8]) -> Result<T, BadGroup> {
    serde_json::from_slice(text).map_err(|error| BadGroup(error.to_string()))
}

#[cfg(test)]
mod tests;
