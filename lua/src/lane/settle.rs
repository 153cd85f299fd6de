//! Applying committed events (R8).

use std::collections::BTreeMap;

use domain::event::WITHDRAWN;
use domain::limits::{MAX_SETTLE_EVENTS, MAX_SETTLE_RESOLUTIONS};
use domain::state::HoldState;
use domain::{Fingerprint, HoldId, ItemId, Lines, Millis, RefuseReason, VisitorHash};

use super::record::{letter, lines_text};
use super::{MAX_EXACT, NO_FINGERPRINT, Record, bounded};
use crate::call::Call;
use crate::client::Redis;
use crate::error::CallError;
use crate::key::LaneKeys;
use crate::reply::Reader;
use crate::script::Id;

/// What an event of the lane's log means for Redis. Complete without Redis: it may never have heard of the id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Settling {
    /// Booked: the units leave free, whatever the record held comes back, the pass is ended.
    Booked {
        /// Hold id.
        id: HoldId,
        /// Whose it is.
        visitor: VisitorHash,
        /// What the hold's request asked for.
        fp: Fingerprint,
        /// Pass it was made with.
        pass: Option<u64>,
        /// Units booked.
        lines: Lines,
        /// Time of the event.
        at: Millis,
    },
    /// Refused: the record's units come back.
    Refused {
        /// Hold id.
        id: HoldId,
        /// Whose confirm it was.
        visitor: VisitorHash,
        /// Why.
        why: RefuseReason,
        /// Time of the event.
        at: Millis,
    },
    /// Cancelled: the booked units come back, and any the record still claims.
    Cancelled {
        /// Booking id.
        id: HoldId,
        /// Whose it was.
        visitor: VisitorHash,
        /// As in its `Booked`.
        fp: Fingerprint,
        /// As in its `Booked`.
        pass: Option<u64>,
        /// As in its `Booked`.
        lines: Lines,
        /// Time of the event.
        at: Millis,
    },
    /// Units added; none for an event that the fold dropped.
    Stock {
        /// Units added per item; an item that is new appears with it.
        lines: BTreeMap<ItemId, u64>,
    },
    /// Units given to another lane: the claim's record is used up, or they leave free.
    TransferOut {
        /// The claim's id.
        id: HoldId,
        /// The lane they went to, or [`WITHDRAWN`].
        to: u16,
        /// Units given.
        lines: Lines,
        /// Time of the event.
        at: Millis,
    },
    /// Another lane's units added.
    TransferIn {
        /// Units added.
        lines: Lines,
    },
}

/// One event and its place in the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SettleEvent {
    /// Its seq.
    pub seq: u64,
    /// What it means.
    pub what: Settling,
}

/// The state from the fold of an id that needed no event: a whole record. Only its state, decision and, unless it was
/// refused, its content are taken over.
pub type Resolution = Record;

/// What has been decided since `expected`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Settle {
    /// The lane's settled seq before.
    pub expected: u64,
    /// Events `expected + 1`, `expected + 2` and so on, at most [`MAX_SETTLE_EVENTS`].
    pub events: Vec<SettleEvent>,
    /// Intents that needed no event, with the state after the last event; at most [`MAX_SETTLE_RESOLUTIONS`].
    pub resolutions: Vec<(HoldId, Resolution)>,
    /// Cancels decided, with and without an event; at most [`MAX_SETTLE_RESOLUTIONS`].
    pub cancels: Vec<HoldId>,
}

/// What became of a [`Settle`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SettleReply {
    /// Applied; the lane stands at this seq.
    Settled {
        /// Settled seq now.
        settled: u64,
    },
    /// Refused, nothing changed: the lane stands at another seq than expected.
    Behind {
        /// Settled seq as it is.
        settled: u64,
    },
}

/// Applies events in order, then resolutions, and takes what they decide from the undecided intents; all or nothing.
///
/// # Errors
/// [`CallError`]; may be sent again, a second time is [`SettleReply::Behind`] (with only resolutions it changes nothing more).
pub async fn settle(redis: &Redis, keys: &LaneKeys, settle: &Settle) -> Result<SettleReply, CallError> {
    bounded("events", settle.events.len(), MAX_SETTLE_EVENTS)?;
    bounded("resolutions", settle.resolutions.len(), MAX_SETTLE_RESOLUTIONS)?;
    bounded("cancels", settle.cancels.len(), MAX_SETTLE_RESOLUTIONS)?;
    for (event, seq) in settle.events.iter().zip(settle.expected + 1..) {
        if event.seq != seq || seq >= MAX_EXACT {
            return Err(CallError::not_executed(format!("event {} where {seq} belongs", event.seq)));
        }
    }
    let group = settle.events.len() + settle.resolutions.len();
    let mut call = Call::new(Id::Settle, keys.slot(), &keys.all()).group(group);
    call.int(settle.expected).size(settle.events.len()).size(settle.resolutions.len());
    for event in &settle.events {
        write_event(&mut call, event);
    }
    for (id, record) in &settle.resolutions {
        write_record(&mut call, id, record);
    }
    for id in &settle.cancels {
        call.bytes(id.as_bytes());
    }
    let mut reply = Reader::new(redis.call(&call).await?)?;
    let (applied, settled) = (reply.int()?, reply.int()?);
    reply.end()?;
    Ok(if applied == 1 { SettleReply::Settled { settled } } else { SettleReply::Behind { settled } })
}

/// Seven arguments: id, state, visitor, fingerprint, pass, `seq;at;why`, lines.
pub(super) fn write_record(call: &mut Call, id: &HoldId, record: &Record) {
    write_record_as(call, id, letter(record.state), record);
}

fn write_record_as(call: &mut Call, id: &HoldId, state: u8, record: &Record) {
    call.bytes(id.as_bytes()).bytes(&[state]).bytes(&record.visitor.0).bytes(&record.fp.0);
    call.maybe(record.pass).text(&record.decision_text()).text(&lines_text(&record.lines));
}

fn write_event(call: &mut Call, event: &SettleEvent) {
    let decided = |state, visitor: &VisitorHash, fp, pass, lines: &Lines, at, why| Record {
        state,
        visitor: *visitor,
        deadline: Millis(0),
        fp,
        pass,
        lines: lines.clone(),
        seq: event.seq,
        at,
        why,
    };
    match &event.what {
        Settling::Booked { id, visitor, fp, pass, lines, at } => {
            write_record(call, id, &decided(HoldState::Sold, visitor, *fp, *pass, lines, *at, None));
        }
        Settling::Refused { id, visitor, why, at } => {
            let record = decided(HoldState::Refused, visitor, NO_FINGERPRINT, None, &Lines::none(), *at, Some(*why));
            write_record(call, id, &record);
        }
        Settling::Cancelled { id, visitor, fp, pass, lines, at } => {
            write_record(call, id, &decided(HoldState::Cancelled, visitor, *fp, *pass, lines, *at, None));
        }
        Settling::Stock { lines } => {
            let lines: Vec<String> = lines.iter().map(|(item, units)| format!("{item}={units}")).collect();
            call.text("").text("+").text("").text("").text("").text("").text(&lines.join(","));
        }
        Settling::TransferIn { lines } => {
            call.text("").text("<").text("").text("").text("").text("").text(&lines_text(lines));
        }
        Settling::TransferOut { id, to, lines, at } => {
            let (withdrawn, to) = (*to == WITHDRAWN, VisitorHash::for_lane(*to));
            let record = decided(HoldState::Sold, &to, NO_FINGERPRINT, None, lines, *at, None);
            write_record_as(call, id, if withdrawn { b'-' } else { b'>' }, &record);
        }
    }
}
