//! Requests and answers as they are written.

use domain::{Code, Millis, VisitorHash};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::line::handle::Request;
use crate::line::{Came, Claim, Fee, Joined, LineError};

/// Changes whenever a process of the version before could not read, or would misread, what is written. Answers that only an act
/// brings about which such a process cannot read in the sale's log either (a pause) need no change.
pub(super) const VERSION: u32 = 1;

/// A group of requests; `A` is [`Ask`] or a reference to one, `E` a list of numbers.
#[derive(Serialize, Deserialize)]
pub(super) struct Asks<A, E> {
    pub(super) v: u32,
    pub(super) asks: Vec<A>,
    pub(super) ended: E,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Answers {
    pub(super) v: u32,
    /// The receiver owns the line, and has taken the ends.
    pub(super) owned: bool,
    pub(super) answers: Vec<Answer>,
}

/// A request without its answer's way.
#[derive(Serialize, Deserialize, PartialEq, Debug)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ask {
    Come(VisitorHash),
    Join(VisitorHash, Option<u64>),
    /// A join that has its price. Where nothing is asked [`Ask::Join`] is sent, which the version before reads.
    Pay(VisitorHash, Option<u64>, Fee),
    Redeem(VisitorHash, Code),
    Claim(VisitorHash, u64),
    Leave(u64),
    Offer(VisitorHash, u64, u64),
    Move(VisitorHash, u64),
}

/// An answer, by the kind of its request.
#[derive(Serialize, Deserialize, PartialEq, Debug)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    Come(Result<Came, LineError>),
    Join(Result<Joined, LineError>),
    Claim(Result<Claim, LineError>),
    Leave(Result<(), LineError>),
    Offer(Result<Millis, LineError>),
    Move(Result<u64, LineError>),
}

impl Answer {
    /// The receiver does not own the line, and has done nothing.
    pub(super) fn is_not_mine(&self) -> bool {
        let error = match self {
            Self::Come(answer) => answer.as_ref().err(),
            Self::Join(answer) => answer.as_ref().err(),
            Self::Claim(answer) => answer.as_ref().err(),
            Self::Leave(answer) => answer.as_ref().err(),
            Self::Offer(answer) => answer.as_ref().err(),
            Self::Move(answer) => answer.as_ref().err(),
        };
        error == Some(&LineError::NoOwner)
    }
}

/// Who waits for the answer.
pub(super) enum Sink {
    Come(oneshot::Sender<Result<Came, LineError>>),
    Join(oneshot::Sender<Result<Joined, LineError>>),
    Claim(oneshot::Sender<Result<Claim, LineError>>),
    Leave(oneshot::Sender<Result<(), LineError>>),
    Offer(oneshot::Sender<Result<Millis, LineError>>),
    Move(oneshot::Sender<Result<u64, LineError>>),
}

/// What is asked, and who asks.
pub(super) fn split(request: Request) -> (Ask, Sink) {
    match request {
        Request::Come { visitor, answer } => (Ask::Come(visitor), Sink::Come(answer)),
        Request::Join { visitor, presented, fee: Fee::Free, answer } => {
            (Ask::Join(visitor, presented), Sink::Join(answer))
        }
        Request::Join { visitor, presented, fee, answer } => (Ask::Pay(visitor, presented, fee), Sink::Join(answer)),
        // A place in a class is a place.
        Request::Redeem { visitor, code, answer } => (Ask::Redeem(visitor, code), Sink::Join(answer)),
        Request::Claim { visitor, number, answer } => (Ask::Claim(visitor, number), Sink::Claim(answer)),
        Request::Leave { number, answer } => (Ask::Leave(number), Sink::Leave(answer)),
        Request::Offer { visitor, number, code, answer } => (Ask::Offer(visitor, number, code), Sink::Offer(answer)),
        Request::Move { visitor, code, answer } => (Ask::Move(visitor, code), Sink::Move(answer)),
    }
}

// A caller who stopped waiting is nobody to tell, so what becomes of an answer does not matter.
impl Sink {
    pub(super) fn is_closed(&self) -> bool {
        match self {
            Self::Come(answer) => answer.is_closed(),
            Self::Join(answer) => answer.is_closed(),
            Self::Claim(answer) => answer.is_closed(),
            Self::Leave(answer) => answer.is_closed(),
            Self::Offer(answer) => answer.is_closed(),
            Self::Move(answer) => answer.is_closed(),
        }
    }

    pub(super) fn refuse(self, error: LineError) {
        match self {
            Self::Come(answer) => drop(answer.send(Err(error))),
            Self::Join(answer) => drop(answer.send(Err(error))),
            Self::Claim(answer) => drop(answer.send(Err(error))),
            Self::Leave(answer) => drop(answer.send(Err(error))),
            Self::Offer(answer) => drop(answer.send(Err(error))),
            Self::Move(answer) => drop(answer.send(Err(error))),
        }
    }

    /// An answer to another kind of request tells nothing about this one.
    pub(super) fn answer(self, answer: Answer) {
        match (self, answer) {
            (Self::Come(to), Answer::Come(answer)) => drop(to.send(answer)),
            (Self::Join(to), Answer::Join(answer)) => drop(to.send(answer)),
            (Self::Claim(to), Answer::Claim(answer)) => drop(to.send(answer)),
            (Self::Leave(to), Answer::Leave(answer)) => drop(to.send(answer)),
            (Self::Offer(to), Answer::Offer(answer)) => drop(to.send(answer)),
            (Self::Move(to), Answer::Move(answer)) => drop(to.send(answer)),
            (sink, _) => sink.refuse(LineError::Unknown),
        }
    }
}
