//! Outcomes as problems: the one table of what a lane, a line or the sale itself says no with.

use admission::{LineError, NotYet};
use booker::LaneError;
use domain::outcome::Outcome;
use domain::sale::{Phase, SaleFold};
use domain::{Millis, RefuseReason, SaleDoc};

use crate::problem::{Name, Problem};

/// How soon to ask again when nothing better is known, milliseconds.
const SOON_MS: u64 = 1_000;
/// When an operator has to act first.
const LATER_MS: u64 = 30_000;
/// During a pause: it ends at a moment nobody knows.
const PAUSED_MS: u64 = 5_000;
/// Longest time a sale's opening is given as Retry-After: clocks and plans change.
const OPENING_MOST_MS: u64 = 3_600_000;

/// Nothing was decided by the lane.
pub(crate) fn lane(error: LaneError) -> Problem {
    let (name, outcome, retry_ms, detail) = match error {
        LaneError::Busy => (Name::Overloaded, Outcome::Refused, SOON_MS, "More requests wait than can be kept."),
        LaneError::NoOwner => (Name::Unavailable, Outcome::Refused, SOON_MS, "The sale's stock is being taken over."),
        LaneError::NotLoaded => (Name::Unavailable, Outcome::Refused, SOON_MS, "The sale's stock is being loaded."),
        LaneError::Unknown => {
            (Name::Unavailable, Outcome::Unknown, SOON_MS, "It is not known whether the request took effect.")
        }
        LaneError::Stopped => {
            (Name::Unavailable, Outcome::Refused, LATER_MS, "The sale's stock is stopped until its operator acts.")
        }
    };
    Problem::new(name, detail).outcome(outcome).retry_after(retry_ms)
}

/// Nothing was decided by the line.
pub(crate) fn line(error: LineError, sale: &SaleFold, now: Millis) -> Problem {
    let (name, outcome, detail) = match error {
        LineError::NotOpen => return not_open(&sale.doc, now),
        LineError::Paused => return paused(sale),
        LineError::NotJoining => return not_joining(),
        LineError::Closed => return closed(),
        LineError::Drawing => return drawing(),
        LineError::Moved => {
            return refused(Name::TicketMoved, "The place of this ticket was moved to another device.");
        }
        LineError::NoMove => {
            return refused(Name::CodeGone, "The code, or the place it is for, cannot be used any more.");
        }
        LineError::Unpaid(_) => return refused(Name::ProofNeeded, "A new place has to be paid for with work."),
        LineError::CodeUsed => {
            return refused(Name::CodeUsed, "The code was used as often as it may be, or the place it gave was.");
        }
        LineError::ClassFull => return refused(Name::ClassFull, "All places for codes of this class are taken."),
        LineError::Busy => (Name::Overloaded, Outcome::Refused, "More requests wait than can be kept."),
        LineError::NoOwner => (Name::Unavailable, Outcome::Refused, "The line is being taken over."),
        LineError::NotLoaded => (Name::Unavailable, Outcome::Refused, "The line is being loaded."),
        LineError::Unavailable => (Name::Unavailable, Outcome::Refused, "The line's store is away."),
        LineError::Unknown => (Name::Unavailable, Outcome::Unknown, "It is not known whether the request took effect."),
    };
    Problem::new(name, detail).outcome(outcome).retry_after(SOON_MS)
}

/// Refuses when the sale is not open. A pause is for those to refuse whom it stops.
pub(crate) fn open(phase: Phase, doc: &SaleDoc, now: Millis) -> Result<(), Problem> {
    match phase {
        Phase::Scheduled => Err(not_open(doc, now)),
        Phase::Open | Phase::Paused => Ok(()),
        Phase::Closed => Err(closed()),
    }
}

/// Refuses when the sale is over.
pub(crate) fn not_over(sale: &SaleFold, now: Millis) -> Result<(), Problem> {
    if sale.phase(now) == Phase::Closed { Err(closed()) } else { Ok(()) }
}

/// The operator has paused the sale; the operator's words, where there are any.
pub(crate) fn paused(sale: &SaleFold) -> Problem {
    Problem::new(Name::SalePaused, pause_message(sale)).outcome(Outcome::Refused).retry_after(PAUSED_MS)
}

/// What visitors are told during a pause.
pub(crate) fn pause_message(sale: &SaleFold) -> String {
    match sale.paused.as_deref() {
        None | Some("") => "The sale is paused. Places and holds are kept.".to_owned(),
        Some(words) => words.to_owned(),
    }
}

fn not_open(doc: &SaleDoc, now: Millis) -> Problem {
    let (detail, ms) = match doc.opens_at {
        Some(at) => (format!("The sale opens at {at}."), at.since(now).clamp(SOON_MS, OPENING_MOST_MS)),
        None => ("The sale opens when its operator says so.".to_owned(), LATER_MS),
    };
    Problem::new(Name::SaleNotOpen, detail).outcome(Outcome::Refused).retry_after(ms)
}

/// The lobby has closed and its order is not known yet.
pub(crate) fn drawing() -> Problem {
    refused(Name::NotYourTurn, "The lobby is being drawn. The place in line follows in a moment.").retry_after(SOON_MS)
}

fn not_joining() -> Problem {
    let detail = "Nobody new may join the line. Who has a ticket keeps the place.";
    Problem::new(Name::JoiningStopped, detail).outcome(Outcome::Refused).retry_after(LATER_MS)
}

fn closed() -> Problem {
    Problem::new(Name::SaleClosed, "The sale is over.").outcome(Outcome::Refused)
}

/// The ticket cannot be exchanged yet.
pub(crate) fn not_yet(why: NotYet, retry_after_ms: u64) -> Problem {
    let detail = match why {
        NotYet::NotCalled => "The number has not been called yet.",
        NotYet::MeterFull => "As many visitors were let in just now as the pace allows. The place is kept.",
        NotYet::CapFull => "As many visitors are inside as may be. The place is kept.",
    };
    Problem::new(Name::NotYourTurn, detail).outcome(Outcome::Refused).retry_after(retry_after_ms)
}

/// The pass has ended.
pub(crate) fn pass_ended() -> Problem {
    let detail = "The pass of this ticket has ended: it was used, given back, or expired.";
    Problem::new(Name::PassExpired, detail).outcome(Outcome::Refused)
}

/// The id is dead.
pub(crate) fn gone(why: RefuseReason) -> Problem {
    let detail = match why {
        RefuseReason::Gone => "The hold had ended before it was confirmed.",
        RefuseReason::SoldOut => "There was nothing left for the hold when it was confirmed.",
        RefuseReason::Limit => "The visitor would have had more units than the sale allows.",
        RefuseReason::PassUsed => "The pass was used for another booking.",
    };
    Problem::new(Name::HoldGone, detail).outcome(Outcome::Refused)
}

/// Not this visitor's, or nobody's.
pub(crate) fn not_theirs() -> Problem {
    Problem::new(Name::NotFound, "There is no such hold or booking of this visitor.")
}

/// The key's record is of another request.
pub(crate) fn key_reused() -> Problem {
    let detail = "A request with this key and other content came before; it stands, this one changed nothing.";
    Problem::new(Name::KeyReused, detail).outcome(Outcome::Refused)
}

/// A refusal that decided something and left everything as it was.
pub(crate) fn refused(name: Name, detail: &'static str) -> Problem {
    Problem::new(name, detail).outcome(Outcome::Refused)
}
