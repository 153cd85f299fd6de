//! Answers made from the fold and from records.

use std::sync::Arc;

use domain::fault::Faults;
use domain::{Fingerprint, HoldId, HoldState, LogId, Millis, RefuseReason};
use lua::Record;

use crate::answer::{Booking, CancelAnswer, ConfirmAnswer, HoldAnswer, HoldView};
use crate::fold::{Decided, LaneFold};

/// The booking of an id that the log decided; `None` when it was refused.
pub(crate) fn booking(log: &LogId, id: HoldId, decided: &Decided) -> Option<Booking> {
    let (seq, at) = decided.booked?;
    let cancelled = (decided.state == HoldState::Cancelled).then_some((decided.seq, decided.at));
    Some(Booking {
        id,
        visitor: decided.visitor,
        lines: decided.lines.clone(),
        log: log.clone(),
        seq,
        at,
        pass: decided.pass,
        cancelled,
    })
}

/// A decided id as a hold.
pub(crate) fn of_decided(log: &LogId, id: HoldId, decided: &Decided, now: Millis) -> HoldView {
    HoldView {
        id,
        state: decided.state,
        lines: (*decided.lines).clone(),
        deadline: None,
        now,
        booking: booking(log, id, decided),
        why: decided.why,
    }
}

/// A record as Redis has it, ending when it really ends: faults of ours extend it. A record that says sold was written by a settle, so its event is in the log (R2), also when this
/// owner's fold does not have it yet.
pub(crate) fn of_record(log: &LogId, id: HoldId, record: &Record, faults: &Faults, now: Millis) -> HoldView {
    let booking = (record.state == HoldState::Sold).then(|| Booking {
        id,
        visitor: record.visitor,
        lines: Arc::new(record.lines.clone()),
        log: log.clone(),
        seq: record.seq,
        at: record.at,
        pass: record.pass,
        cancelled: None,
    });
    HoldView {
        id,
        state: record.state,
        lines: record.lines.clone(),
        deadline: record.life().map(|life| faults.end_of(life)),
        now,
        booking,
        why: record.why,
    }
}

/// What a decided id says to a hold request for `fp`.
pub(crate) fn hold_answer(log: &LogId, id: HoldId, fp: Fingerprint, decided: &Decided, now: Millis) -> HoldAnswer {
    if decided.fp.is_some_and(|known| known != fp) {
        return HoldAnswer::KeyReused;
    }
    match decided.state {
        HoldState::Refused => HoldAnswer::Gone(decided.why.unwrap_or(RefuseReason::Gone)),
        _ => HoldAnswer::Hold { hold: of_decided(log, id, decided, now), replayed: true },
    }
}

/// What the committed fold says to a confirm; `None` while it is not decided. `fp` is what the hold that was confirmed was
/// asked for, where that is known; `replayed` whether the decision was there before the request.
pub fn confirm_answer(
    log: &LogId,
    fold: &LaneFold,
    id: HoldId,
    fp: Option<Fingerprint>,
    replayed: bool,
) -> Option<ConfirmAnswer> {
    let decided = fold.decided(&id)?;
    if let (Some(asked), Some(booked)) = (fp, decided.fp)
        && asked != booked
    {
        return Some(ConfirmAnswer::KeyReused);
    }
    Some(match (decided.state, booking(log, id, decided)) {
        (HoldState::Cancelled, Some(booking)) => ConfirmAnswer::Cancelled(booking),
        (_, Some(booking)) => ConfirmAnswer::Booked { booking, replayed },
        (_, None) => ConfirmAnswer::Refused(decided.why.unwrap_or(RefuseReason::Gone)),
    })
}

/// What the committed fold says to a cancel that was decided; `replayed` as in [`confirm_answer`].
pub(crate) fn cancel_answer(log: &LogId, fold: &LaneFold, id: HoldId, replayed: bool) -> CancelAnswer {
    match fold.decided(&id).map(|decided| (decided.state, booking(log, id, decided))) {
        Some((HoldState::Cancelled, Some(booking))) => CancelAnswer::Cancelled { booking, replayed },
        // Not decided by this owner's log so far: it stands, and the visitor asks again.
        Some((_, Some(_))) => CancelAnswer::Cancelling,
        Some((_, None)) | None => CancelAnswer::NotBooked,
    }
}
