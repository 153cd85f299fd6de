//! The handle by which ingress reaches a line's owner: bounded, cheap to clone, one answer per request.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::{Code, Millis, SaleId, VisitorHash};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};

use crate::metrics::CallMetrics;
use crate::remote::Forward;
use crate::step::Binding;

/// A place in line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Joined {
    /// The ticket's number. No other visitor ever gets it (I6).
    pub number: u64,
    /// Whether this call gave it out (201) or the visitor had it before (200).
    pub new: bool,
}

/// A receipt of the lobby.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Came {
    /// Its index, from 0 on. It says nothing about the place: the draw gives that.
    pub index: u64,
    /// Whether this call gave it out (201) or the visitor had it before (200).
    pub new: bool,
}

/// What a visitor has done for a new number. The same work never buys two: it names the number it follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Fee {
    /// The sale asks for nothing.
    #[default]
    Free,
    /// Nothing, though the sale asks for something: only the place there is.
    Unpaid,
    /// Enough for the place after this number of the visitor, 0 for the first one.
    After(u64),
}

impl Fee {
    /// Whether a number that was used up may give way to a new one.
    pub(crate) fn replaces(self, number: u64) -> bool {
        match self {
            Self::Free => true,
            Self::Unpaid => false,
            Self::After(last) => last == number,
        }
    }
}

/// What became of a claim.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Claim {
    /// The pass is in the log. It lives until `expires`, and is the same however often it is asked for.
    Granted {
        /// The ticket's number: it identifies the pass.
        number: u64,
        /// Time of the log entry (owner's clock). One from an owner of an earlier version says nothing: no fault counts.
        #[serde(default = "never")]
        given: Millis,
        /// The same plus the sale's pass time; what faults add to it is not in it.
        expires: Millis,
        /// An earlier call was answered the same.
        again: bool,
    },
    /// Nothing changed, the place is kept; ask again after `retry_after_ms`.
    NotYet {
        /// Milliseconds after which asking again can succeed.
        retry_after_ms: u64,
        /// What stands in the way.
        why: NotYet,
    },
    /// The pass of this number has ended (booked, left, expired). Joining gives a new number.
    Ended,
    /// The visitor's place is this lower, unused number; the presented one gave way.
    Superseded(u64),
}

const fn never() -> Millis {
    Millis(u64::MAX)
}

/// Why a claim is not granted yet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum NotYet {
    /// The number is in front of the logged frontier.
    NotCalled,
    /// As many passes as the pace allows were granted in the last second or minute.
    MeterFull,
    /// As many passes are alive as the cap allows.
    CapFull,
}

impl NotYet {
    /// The name in metrics and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotCalled => "not_called",
            Self::MeterFull => "meter_full",
            Self::CapFull => "cap_full",
        }
    }
}

/// Why the line's owner gave no answer of its own. Each is safe to repeat: joins, claims and leaves are idempotent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
pub enum LineError {
    /// More requests wait than the owner may queue.
    #[error("too many requests wait for this line")]
    Busy,
    /// No process owns the line at the moment: start-up or take-over.
    #[error("nobody owns this line at the moment")]
    NoOwner,
    /// Redis does not hold the line yet; it is being loaded from the log.
    #[error("the line is being loaded")]
    NotLoaded,
    /// A store could not be asked. Nothing changed.
    #[error("a store of this line is away")]
    Unavailable,
    /// A store did not say what became of the request (I8).
    #[error("the outcome is unknown")]
    Unknown,
    /// The sale has not opened.
    #[error("the sale is not open")]
    NotOpen,
    /// The visitor has a receipt of the lobby, and the lobby is being drawn: the number will be known in a moment, or when the
    /// public value is.
    #[error("the lobby is being drawn")]
    Drawing,
    /// The operator has paused the sale: nobody is let in.
    #[error("the sale is paused")]
    Paused,
    /// The operator takes no new visitors into the line.
    #[error("nobody new may join this line")]
    NotJoining,
    /// The code was used as often as it may be, or this visitor's place by code was.
    #[error("the code is used up")]
    CodeUsed,
    /// As many visitors have a place in the class as may.
    #[error("the class is full")]
    ClassFull,
    /// The sale has closed.
    #[error("the sale is closed")]
    Closed,
    /// A new number has to be paid for; what was paid was for another one.
    #[error("the place after number {0} is not paid for")]
    Unpaid(u64),
    /// The ticket's place was moved to another visitor.
    #[error("the place was moved to another device")]
    Moved,
    /// A code that nobody gave out, that is over or used, or of a place that cannot be moved any more.
    #[error("the code moves nothing")]
    NoMove,
}

impl LineError {
    /// The name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::NoOwner => "no_owner",
            Self::NotLoaded => "not_loaded",
            Self::Unavailable => "unavailable",
            Self::Unknown => "unknown",
            Self::NotOpen => "not_open",
            Self::Drawing => "drawing",
            Self::Paused => "paused",
            Self::NotJoining => "not_joining",
            Self::CodeUsed => "code_used",
            Self::ClassFull => "class_full",
            Self::Closed => "closed",
            Self::Unpaid(_) => "unpaid",
            Self::Moved => "moved",
            Self::NoMove => "no_move",
        }
    }
}

/// What the owner knows of its line; published after every entry and every second.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LineStatus {
    /// This process owns the line: it claimed the log and was not refused since.
    pub owned: bool,
    /// Redis holds the line as of `head`, under this owner's epoch.
    pub loaded: bool,
    /// The line's log is damaged or has lost entries: an operator has to act.
    pub stopped: bool,
    /// Redis did not take the last publication: it is away, or the line's keys are damaged.
    pub redis_failing: bool,
    /// The owner's fence; it is Redis' epoch as well.
    pub fence: u64,
    /// Sequence number of the last entry.
    pub head: u64,
    /// Tickets up to here may enter.
    pub frontier: u64,
    /// Highest number that may have been given to a visitor.
    pub issued: u64,
    /// Numbers up to here are the owner's to give.
    pub numbers_to: u64,
    /// Receipts of the lobby, until they are drawn.
    pub lobby: u64,
    /// Passes granted and not ended.
    pub active: u64,
    /// Called within the grace period and not claimed yet.
    pub unclaimed: u64,
    /// The term that held the frontier at the last step.
    pub binding: Binding,
    /// Time of the last entry.
    pub at: Millis,
}

/// A request on its way to the owner.
#[derive(Debug)]
pub(crate) enum Request {
    Come { visitor: VisitorHash, answer: oneshot::Sender<Result<Came, LineError>> },
    Join { visitor: VisitorHash, presented: Option<u64>, fee: Fee, answer: oneshot::Sender<Result<Joined, LineError>> },
    Redeem { visitor: VisitorHash, code: Code, answer: oneshot::Sender<Result<Joined, LineError>> },
    Claim { visitor: VisitorHash, number: u64, answer: oneshot::Sender<Result<Claim, LineError>> },
    Leave { number: u64, answer: oneshot::Sender<Result<(), LineError>> },
    Offer { visitor: VisitorHash, number: u64, code: u64, answer: oneshot::Sender<Result<Millis, LineError>> },
    Move { visitor: VisitorHash, code: u64, answer: oneshot::Sender<Result<u64, LineError>> },
}

/// A request with where it came from.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) request: Request,
    pub(crate) from: From,
}

/// Whom a request comes from. One that another process sent on is never sent on again: it is refused where it has no owner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum From {
    /// Somebody in this process.
    Here,
    /// Another process, which took this one for the owner.
    Elsewhere,
}

/// A line, as everybody but its owner sees it. Cheap to clone.
#[derive(Clone)]
pub struct Line {
    calls: Arc<CallMetrics>,
    requests: mpsc::Sender<Asked>,
    from: From,
    ended: mpsc::UnboundedSender<Vec<u64>>,
    status: watch::Receiver<LineStatus>,
}

/// The owner's ends of the channels behind a [`Line`].
#[derive(Debug)]
pub(crate) struct Inbox {
    pub(crate) requests: mpsc::Receiver<Asked>,
    pub(crate) ended: mpsc::UnboundedReceiver<Vec<u64>>,
    /// Ends that nobody has logged yet, kept while the process owns nothing.
    pub(crate) kept: BTreeSet<u64>,
    pub(crate) status: watch::Sender<LineStatus>,
    /// Where requests and ends go while another process owns the line.
    pub(crate) forward: Option<Forward>,
}

/// Ends kept while the process owns nothing; more than these expire by themselves.
const KEPT: usize = 65_536;

impl Inbox {
    /// Somebody else owns the line, or nobody does: whoever is asked for the lease's holder knows.
    pub(crate) fn pass_on(&self, asked: Asked) {
        match (&self.forward, asked.from) {
            (Some(forward), From::Here) => forward.pass_on(asked.request),
            _ => asked.request.refuse(LineError::NoOwner),
        }
    }

    /// Keeps ends for the next time this process owns the line. A lane's owner may tell of every booking there ever was:
    /// the highest numbers are those whose pass may still live.
    pub(crate) fn keep(&mut self, ended: impl IntoIterator<Item = u64>) {
        let ended: Vec<u64> = ended.into_iter().collect();
        self.kept.extend(&ended);
        if let Some(forward) = self.forward.as_ref().filter(|_| !ended.is_empty()) {
            forward.ended(ended);
        }
        while self.kept.len() > KEPT {
            self.kept.pop_first();
        }
    }
}

/// A handle and the owner's ends; at most `queue` requests wait.
pub(crate) fn channel(sale: &SaleId, queue: usize) -> (Line, Inbox) {
    let (to_owner, requests) = mpsc::channel(queue);
    let (end, ended) = mpsc::unbounded_channel();
    let (tell, status) = watch::channel(LineStatus::default());
    let calls = Arc::new(CallMetrics::new(sale));
    (
        Line { calls, requests: to_owner, from: From::Here, ended: end, status },
        Inbox { requests, ended, kept: BTreeSet::new(), status: tell, forward: None },
    )
}

impl Line {
    /// The same line for requests that another process sent: refused with [`LineError::NoOwner`] unless this process owns it.
    pub(crate) fn for_others(&self) -> Self {
        Self { from: From::Elsewhere, ..self.clone() }
    }

    /// A receipt of the lobby for `visitor`: the one they have, else a new one. Answered only when the log has it.
    ///
    /// # Errors
    /// [`LineError`]; every one may be repeated and then gives the same receipt. [`LineError::NotOpen`]: the lobby takes nobody any
    /// more, and this visitor has no receipt.
    pub async fn come(&self, visitor: VisitorHash) -> Result<Came, LineError> {
        let (answer, answered) = oneshot::channel();
        let answer = self.ask(Request::Come { visitor, answer }, answered).await;
        if self.from == From::Here {
            self.calls.come(&answer);
        }
        answer
    }

    /// A place in line for `visitor`: the one they have, else a new one at the end. `presented` is the number of a ticket
    /// whose signature ingress has verified for this sale and visitor; it restores a record that Redis lost. A number whose
    /// pass has ended is replaced by a new one.
    ///
    /// # Errors
    /// [`LineError`]; every one may be repeated and then gives the same place. [`LineError::Drawing`]: the visitor has a receipt of
    /// the lobby, and its number is not known yet.
    pub async fn join(&self, visitor: VisitorHash, presented: Option<u64>) -> Result<Joined, LineError> {
        self.join_for(visitor, presented, Fee::Free).await
    }

    /// Like [`Line::join`], where a new number has its price.
    ///
    /// # Errors
    /// [`LineError`]; besides those of a join [`LineError::Unpaid`]: it would be a new number, and the fee is none or for another one.
    pub async fn join_for(&self, visitor: VisitorHash, presented: Option<u64>, fee: Fee) -> Result<Joined, LineError> {
        let (answer, answered) = oneshot::channel();
        let answer = self.ask(Request::Join { visitor, presented, fee, answer }, answered).await;
        if self.from == From::Here {
            self.calls.join(&answer);
        }
        answer
    }

    /// A place in the class that a code lets into. Ingress has found the code good; whether it may be used once more is decided by the
    /// log, and answered only when that has it. Who has a place by a code already keeps it, and uses nothing.
    ///
    /// # Errors
    /// [`LineError`]; every one may be repeated and then gives the same place. [`LineError::CodeUsed`] and [`LineError::ClassFull`]: no
    /// place, nothing is used.
    pub async fn redeem(&self, visitor: VisitorHash, code: Code) -> Result<Joined, LineError> {
        let (answer, answered) = oneshot::channel();
        let answer = self.ask(Request::Redeem { visitor, code, answer }, answered).await;
        if self.from == From::Here {
            self.calls.join(&answer);
        }
        answer
    }

    /// Asks for the pass of a ticket whose signature ingress has verified for this sale and visitor. Answered `Granted`
    /// only when the log has it (I7).
    ///
    /// # Errors
    /// [`LineError`]; every one may be repeated: one ticket has one pass.
    pub async fn claim(&self, visitor: VisitorHash, number: u64) -> Result<Claim, LineError> {
        let (answer, answered) = oneshot::channel();
        let answer = self.ask(Request::Claim { visitor, number, answer }, answered).await;
        if self.from == From::Here {
            self.calls.claim(&answer);
        }
        answer
    }

    /// Ends the pass of `number`; its place goes to the next. Answered when the log has it, also when repeated. Call it
    /// only after the visitor's lane has marked the pass ended: from then on no hold can be made with it.
    ///
    /// # Errors
    /// [`LineError`]; every one may be repeated.
    pub async fn leave(&self, _visitor: VisitorHash, number: u64) -> Result<(), LineError> {
        self.leave_of(number).await
    }

    pub(crate) async fn leave_of(&self, number: u64) -> Result<(), LineError> {
        let (answer, answered) = oneshot::channel();
        self.ask(Request::Leave { number, answer }, answered).await
    }

    /// Lets `code`, which is random, move this ticket's place to whoever shows it first; answered with the time until which. The
    /// code before is good for nothing any more. `number` is that of a ticket whose signature ingress has verified.
    ///
    /// # Errors
    /// [`LineError`]; [`LineError::NoMove`]: the place is not the visitor's best, or is used.
    pub async fn offer(&self, visitor: VisitorHash, number: u64, code: u64) -> Result<Millis, LineError> {
        let (answer, answered) = oneshot::channel();
        self.ask(Request::Offer { visitor, number, code, answer }, answered).await
    }

    /// Moves the place that `code` stands for to this visitor. Answered with its number when the log has it, also when repeated.
    ///
    /// # Errors
    /// [`LineError`]; each may be repeated. [`LineError::NoMove`]: it moves nothing (any more).
    pub async fn move_to(&self, visitor: VisitorHash, code: u64) -> Result<u64, LineError> {
        let (answer, answered) = oneshot::channel();
        self.ask(Request::Move { visitor, code, answer }, answered).await
    }

    /// Says that these numbers' passes have ended by a booking. Returns at once; a number that gets lost frees its place
    /// when it expires.
    pub fn ended(&self, numbers: Vec<u64>) {
        // Nobody listens only while the process goes down.
        let _ = self.ended.send(numbers);
    }

    /// The channel behind [`Line::ended`], for a lane's owner. What waits in it is bounded by the passes alive.
    #[must_use]
    pub fn ended_sender(&self) -> mpsc::UnboundedSender<Vec<u64>> {
        self.ended.clone()
    }

    /// What the owner last said of the line.
    #[must_use]
    pub fn status(&self) -> LineStatus {
        *self.status.borrow()
    }

    /// The owner's status as it changes.
    #[must_use]
    pub fn status_watch(&self) -> watch::Receiver<LineStatus> {
        self.status.clone()
    }

    async fn ask<T>(
        &self,
        request: Request,
        answered: oneshot::Receiver<Result<T, LineError>>,
    ) -> Result<T, LineError> {
        self.requests.try_send(Asked { request, from: self.from }).map_err(|refused| match refused {
            TrySendError::Full(_) => LineError::Busy,
            TrySendError::Closed(_) => LineError::NoOwner,
        })?;
        // An owner that went down without an answer may have done it.
        answered.await.unwrap_or(Err(LineError::Unknown))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn a_full_queue_is_busy_and_a_gone_owner_is_no_owner() {
        let (line, inbox) = channel(&"night".parse().unwrap(), 1);
        let waits = tokio::spawn({
            let line = line.clone();
            async move { line.join(VisitorHash([1; 16]), None).await }
        });
        while line.requests.capacity() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(line.claim(VisitorHash([2; 16]), 1).await, Err(LineError::Busy));
        drop(inbox);
        assert_eq!(waits.await.unwrap(), Err(LineError::Unknown), "an owner that went down may have done it");
        assert_eq!(line.leave(VisitorHash([2; 16]), 1).await, Err(LineError::NoOwner));
    }

    #[test]
    fn of_ends_that_nobody_logged_the_latest_are_kept() {
        let (_line, mut inbox) = channel(&"night".parse().unwrap(), 1);
        inbox.keep(1..=KEPT as u64 + 10);
        assert_eq!((inbox.kept.len(), inbox.kept.first().copied()), (KEPT, Some(11)));
    }
}
