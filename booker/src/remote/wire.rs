//! Requests and answers as they are written.

use domain::{HoldId, VisitorHash};
use serde::{Deserialize, Serialize};

use crate::answer::{
    Booking, CancelAnswer, ConfirmAnswer, GiveAnswer, GiveRequest, HoldAnswer, HoldRequest, LaneError, LookAnswer,
    ReleaseAnswer,
};
use crate::lane::{Command, Confirm, Reply};

/// Changes whenever a process of the version before could not read, or would misread, what is written.
pub(super) const VERSION: u32 = 2;

/// Bytes of a request beside its lines, and of each line: names of 63 characters, ids, quotes.
const FIXED_BYTES: usize = 256;
const LINE_BYTES: usize = 80;

/// A group of requests; `A` is [`Ask`] or a reference to one.
#[derive(Serialize, Deserialize)]
pub(super) struct Asks<A> {
    pub(super) v: u32,
    pub(super) within_ms: u64,
    pub(super) asks: Vec<A>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Answers {
    pub(super) v: u32,
    pub(super) answers: Vec<Answer>,
}

/// A request without its reply.
#[derive(Serialize, Deserialize, PartialEq, Debug)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ask {
    Hold(HoldRequest),
    Confirm(Confirm),
    Cancel(HoldId, VisitorHash),
    Release(HoldId, VisitorHash),
    Look(HoldId, VisitorHash),
    Bookings(VisitorHash),
    Booking(HoldId, VisitorHash),
    Leave(VisitorHash, u64),
    Give(GiveRequest),
    Given(u16, u64),
}

impl Ask {
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Hold(request) => FIXED_BYTES + request.lines.len() * LINE_BYTES,
            Self::Give(request) => FIXED_BYTES + request.wanted.len() * LINE_BYTES,
            _ => FIXED_BYTES,
        }
    }
}

/// An answer, by the kind of its request.
#[derive(Serialize, Deserialize, PartialEq, Debug)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    Hold(Result<HoldAnswer, LaneError>),
    Confirm(Result<ConfirmAnswer, LaneError>),
    Cancel(Result<CancelAnswer, LaneError>),
    Release(Result<ReleaseAnswer, LaneError>),
    Look(Result<LookAnswer, LaneError>),
    Bookings(Result<Vec<Booking>, LaneError>),
    Booking(Result<Option<Booking>, LaneError>),
    Leave(Result<(), LaneError>),
    Give(Result<GiveAnswer, LaneError>),
    Given(Result<Vec<u64>, LaneError>),
}

impl Answer {
    /// The receiver does not own the lane, and has done nothing.
    pub(super) fn is_not_mine(&self) -> bool {
        let error = match self {
            Self::Hold(answer) => answer.as_ref().err(),
            Self::Confirm(answer) => answer.as_ref().err(),
            Self::Cancel(answer) => answer.as_ref().err(),
            Self::Release(answer) => answer.as_ref().err(),
            Self::Look(answer) => answer.as_ref().err(),
            Self::Bookings(answer) => answer.as_ref().err(),
            Self::Booking(answer) => answer.as_ref().err(),
            Self::Leave(answer) => answer.as_ref().err(),
            Self::Give(answer) => answer.as_ref().err(),
            Self::Given(answer) => answer.as_ref().err(),
        };
        error == Some(&LaneError::NoOwner)
    }
}

/// Who waits for the answer.
pub(super) enum Sink {
    Hold(Reply<Result<HoldAnswer, LaneError>>),
    Confirm(Reply<Result<ConfirmAnswer, LaneError>>),
    Cancel(Reply<Result<CancelAnswer, LaneError>>),
    Release(Reply<Result<ReleaseAnswer, LaneError>>),
    Look(Reply<Result<LookAnswer, LaneError>>),
    Bookings(Reply<Result<Vec<Booking>, LaneError>>),
    Booking(Reply<Result<Option<Booking>, LaneError>>),
    Leave(Reply<Result<(), LaneError>>),
    Give(Reply<Result<GiveAnswer, LaneError>>),
    Given(Reply<Result<Vec<u64>, LaneError>>),
}

/// What is asked, and who asks.
pub(super) fn split(command: Command) -> (Ask, Sink) {
    match command {
        Command::Hold(request, reply) => (Ask::Hold(request), Sink::Hold(reply)),
        Command::Confirm(confirm, reply) => (Ask::Confirm(confirm), Sink::Confirm(reply)),
        Command::Cancel(id, visitor, reply) => (Ask::Cancel(id, visitor), Sink::Cancel(reply)),
        Command::Release(id, visitor, reply) => (Ask::Release(id, visitor), Sink::Release(reply)),
        Command::Look(id, visitor, reply) => (Ask::Look(id, visitor), Sink::Look(reply)),
        Command::Bookings(visitor, reply) => (Ask::Bookings(visitor), Sink::Bookings(reply)),
        Command::Booking(id, visitor, reply) => (Ask::Booking(id, visitor), Sink::Booking(reply)),
        Command::Leave(visitor, pass, reply) => (Ask::Leave(visitor, pass), Sink::Leave(reply)),
        Command::Give(request, reply) => (Ask::Give(request), Sink::Give(reply)),
        Command::Given(to, after, reply) => (Ask::Given(to, after), Sink::Given(reply)),
    }
}

// A caller who stopped waiting is nobody to tell, so what becomes of a reply does not matter.
impl Sink {
    pub(super) fn is_closed(&self) -> bool {
        match self {
            Self::Hold(reply) => reply.is_closed(),
            Self::Confirm(reply) => reply.is_closed(),
            Self::Cancel(reply) => reply.is_closed(),
            Self::Release(reply) => reply.is_closed(),
            Self::Look(reply) => reply.is_closed(),
            Self::Bookings(reply) => reply.is_closed(),
            Self::Booking(reply) => reply.is_closed(),
            Self::Leave(reply) => reply.is_closed(),
            Self::Give(reply) => reply.is_closed(),
            Self::Given(reply) => reply.is_closed(),
        }
    }

    pub(super) fn refuse(self, error: LaneError) {
        match self {
            Self::Hold(reply) => drop(reply.send(Err(error))),
            Self::Confirm(reply) => drop(reply.send(Err(error))),
            Self::Cancel(reply) => drop(reply.send(Err(error))),
            Self::Release(reply) => drop(reply.send(Err(error))),
            Self::Look(reply) => drop(reply.send(Err(error))),
            Self::Bookings(reply) => drop(reply.send(Err(error))),
            Self::Booking(reply) => drop(reply.send(Err(error))),
            Self::Leave(reply) => drop(reply.send(Err(error))),
            Self::Give(reply) => drop(reply.send(Err(error))),
            Self::Given(reply) => drop(reply.send(Err(error))),
        }
    }

    pub(super) fn unknown(self) {
        match self {
            Self::Confirm(reply) => drop(reply.send(Ok(ConfirmAnswer::Confirming))),
            Self::Cancel(reply) => drop(reply.send(Ok(CancelAnswer::Cancelling))),
            other => other.refuse(LaneError::Unknown),
        }
    }

    /// An answer to another kind of request tells nothing about this one.
    pub(super) fn answer(self, answer: Answer) {
        match (self, answer) {
            (Self::Hold(reply), Answer::Hold(answer)) => drop(reply.send(answer)),
            (Self::Confirm(reply), Answer::Confirm(answer)) => drop(reply.send(answer)),
            (Self::Cancel(reply), Answer::Cancel(answer)) => drop(reply.send(answer)),
            (Self::Release(reply), Answer::Release(answer)) => drop(reply.send(answer)),
            (Self::Look(reply), Answer::Look(answer)) => drop(reply.send(answer)),
            (Self::Bookings(reply), Answer::Bookings(answer)) => drop(reply.send(answer)),
            (Self::Booking(reply), Answer::Booking(answer)) => drop(reply.send(answer)),
            (Self::Leave(reply), Answer::Leave(answer)) => drop(reply.send(answer)),
            (Self::Give(reply), Answer::Give(answer)) => drop(reply.send(answer)),
            (Self::Given(reply), Answer::Given(answer)) => drop(reply.send(answer)),
            (sink, _) => sink.unknown(),
        }
    }
}

/// A pass as `[number, expires, given]`.
pub(crate) mod pass {
    use domain::Millis;
    use domain::fault::Life;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::answer::PassRef;

    pub(crate) fn serialize<S: Serializer>(pass: &Option<PassRef>, s: S) -> Result<S::Ok, S::Error> {
        pass.map(|pass| (pass.number, pass.life.expires, pass.life.given)).serialize(s)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<PassRef>, D::Error> {
        let pass = Option::<(u64, Millis, Millis)>::deserialize(d)?;
        Ok(pass.map(|(number, expires, given)| PassRef { number, life: Life { given, expires } }))
    }
}

/// Lines that several bookings share.
pub(crate) mod shared {
    use std::sync::Arc;

    use domain::Lines;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(lines: &Arc<Lines>, s: S) -> Result<S::Ok, S::Error> {
        lines.as_ref().serialize(s)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Arc<Lines>, D::Error> {
        Lines::deserialize(d).map(Arc::new)
    }
}
