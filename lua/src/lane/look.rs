//! Reading a lane.

use domain::limits::{MAX_GROUP, OVERDUE_AFTER_MS, SCAN_CHUNK};
use domain::{HoldId, ItemId, Millis, VisitorHash};
use redis::Value;

use super::release::cursor_of;
use super::{Record, bounded};
use crate::call::Call;
use crate::client::Redis;
use crate::error::CallError;
use crate::key::LaneKeys;
use crate::reply::{Reader, bytes};
use crate::script::Id;

/// A visitor's counters in a lane.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct VisitorCounts {
    /// Units in live records and bookings.
    pub units: u64,
    /// Holds made under `pass` (without a pass: that were not booked and are not purged).
    pub made: u64,
    /// Confirms under `pass` of holds that Redis did not know.
    pub unknown: u64,
    /// Highest pass a hold was made with.
    pub pass: Option<u64>,
    /// Highest pass that has ended.
    pub done: Option<u64>,
}

impl VisitorCounts {
    /// Reads the counters as the scripts write them.
    ///
    /// # Errors
    /// [`CallError::Broken`] when somebody else has written them.
    pub fn decode(bytes: &[u8]) -> Result<Self, CallError> {
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        let fields: Vec<&str> = text.split(';').collect();
        let number = |text: &str| {
            text.parse::<u64>().map_err(|_| CallError::broken("a visitor's counters that are not readable"))
        };
        let maybe = |text: &str| if text.is_empty() { Ok(None) } else { number(text).map(Some) };
        match fields.as_slice() {
            [units, made, unknown, pass, done] => Ok(Self {
                units: number(units)?,
                made: number(made)?,
                unknown: number(unknown)?,
                pass: maybe(pass)?,
                done: maybe(done)?,
            }),
            _ => Err(CallError::broken("a visitor's counters that are not readable")),
        }
    }
}

/// Records and counters as they stand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Look {
    /// Redis' clock.
    pub now: Millis,
    /// In the order of the ids.
    pub records: Vec<Option<Record>>,
    /// In the order of the visitors.
    pub visitors: Vec<Option<VisitorCounts>>,
}

/// Reads records and visitors' counters, together at most [`MAX_GROUP`].
///
/// # Errors
/// [`CallError`]; changes nothing.
pub async fn look(redis: &Redis, keys: &LaneKeys, ids: &[HoldId], visitors: &[VisitorHash]) -> Result<Look, CallError> {
    bounded("records", ids.len() + visitors.len(), MAX_GROUP)?;
    let script_keys = [keys.lane(), keys.holds(), keys.visitors()];
    let mut call = Call::new(Id::Look, keys.slot(), &script_keys).group(ids.len() + visitors.len());
    call.size(ids.len());
    for id in ids {
        call.bytes(id.as_bytes());
    }
    for visitor in visitors {
        call.bytes(&visitor.0);
    }
    let mut reply = Reader::new(redis.call(&call).await?)?;
    let now = reply.millis()?;
    let mut read = || match reply.value()? {
        Value::Nil => Ok(None),
        value => bytes(value).map(Some),
    };
    let records = ids.iter().map(|_| read()?.map(|bytes| Record::decode(&bytes)).transpose());
    let records = records.collect::<Result<_, CallError>>()?;
    let visitors = visitors.iter().map(|_| read()?.map(|bytes| VisitorCounts::decode(&bytes)).transpose());
    let visitors = visitors.collect::<Result<_, CallError>>()?;
    Ok(Look { now, records, visitors })
}

/// An undecided intent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Undecided {
    /// A confirm; its record, as long as there is one.
    Confirm(HoldId, Option<Record>),
    /// A cancel.
    Cancel(HoldId),
}

/// A part of the undecided intents.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UndecidedPage {
    /// Where to go on; 0 when all were read.
    pub cursor: u64,
    /// Each intent at least once over all pages; one that comes or goes meanwhile may be missing.
    pub intents: Vec<Undecided>,
}

/// Reads a part of the undecided intents, from `cursor` (0 at first).
///
/// # Errors
/// [`CallError`]; changes nothing.
pub async fn undecided(redis: &Redis, keys: &LaneKeys, cursor: u64) -> Result<UndecidedPage, CallError> {
    let mut call = Call::new(Id::Undecided, keys.slot(), &[keys.lane(), keys.holds(), keys.confirming()]);
    call.int(cursor).size(SCAN_CHUNK);
    let mut reply = Reader::new(redis.call(&call).await?)?;
    let cursor = cursor_of(&reply.text()?)?;
    let mut intents = Vec::with_capacity(reply.left() / 2);
    while reply.left() > 0 {
        let member = reply.bytes()?;
        let record = reply.value()?;
        let id = |bytes: &[u8]| HoldId::from_bytes(bytes.try_into().ok()?).ok();
        let (cancel, member) = match member.as_slice() {
            [b'x', rest @ ..] if rest.len() == 16 => (true, id(rest)),
            member => (false, id(member)),
        };
        // What is no id was not written by a script: the ticker drops it.
        let Some(id) = member else { continue };
        intents.push(if cancel {
            Undecided::Cancel(id)
        } else {
            let record = if record == Value::Nil { None } else { Some(Record::decode(&bytes(record)?)?) };
            Undecided::Confirm(id, record)
        });
    }
    Ok(UndecidedPage { cursor, intents })
}

/// Reads all undecided intents, page by page.
///
/// # Errors
/// [`CallError`] of the first page that fails.
pub async fn undecided_all(redis: &Redis, keys: &LaneKeys) -> Result<Vec<Undecided>, CallError> {
    let mut page = undecided(redis, keys, 0).await?;
    let mut all = page.intents;
    while page.cursor != 0 {
        page = undecided(redis, keys, page.cursor).await?;
        all.append(&mut page.intents);
    }
    Ok(all)
}

/// Whether a lane is there.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum LaneState {
    /// Nothing is there.
    #[default]
    Empty,
    /// A load has begun.
    Loading {
        /// Fence of its loader.
        epoch: u64,
        /// Head it is made of.
        head: u64,
        /// Chunks done.
        chunks: u64,
    },
    /// In service.
    Loaded {
        /// Fence of its loader.
        epoch: u64,
        /// Last event applied.
        settled: u64,
    },
}

/// What the heartbeat looks at (R9).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LaneMeta {
    /// Redis' clock.
    pub now: Millis,
    /// Whether it is there.
    pub state: LaneState,
    /// Undecided intents.
    pub confirming: u64,
    /// Records.
    pub holds: u64,
    /// Records the reaper waits for.
    pub due: u64,
    /// Of these, the ones that it should have ended longer ago than whoever asked has patience.
    pub overdue: u64,
}

/// Reads what the heartbeat needs; answers also when the lane is not loaded.
///
/// # Errors
/// [`CallError`]; changes nothing.
pub async fn meta(redis: &Redis, keys: &LaneKeys) -> Result<LaneMeta, CallError> {
    meta_after(redis, keys, OVERDUE_AFTER_MS).await
}

/// The same; a record is overdue `patience_ms` behind its deadline. While it is not certain what a fault extends nothing ends, for
/// [`domain::limits::MAX_FAULT_CREDIT_MS`] at most.
///
/// # Errors
/// [`CallError`]; changes nothing.
pub async fn meta_after(redis: &Redis, keys: &LaneKeys, patience_ms: u64) -> Result<LaneMeta, CallError> {
    let script_keys = [keys.lane(), keys.holds(), keys.due(), keys.confirming(), keys.visitors()];
    let mut call = Call::new(Id::Meta, keys.slot(), &script_keys);
    call.int(patience_ms);
    let mut reply = Reader::new(redis.call(&call).await?)?;
    let now = reply.millis()?;
    let (kind, epoch, seq, chunks) = (reply.int()?, reply.int()?, reply.int()?, reply.int()?);
    let state = match kind {
        0 => LaneState::Empty,
        1 => LaneState::Loading { epoch, head: seq, chunks },
        2 => LaneState::Loaded { epoch, settled: seq },
        other => return Err(CallError::broken(format!("meta answered {other}"))),
    };
    let (confirming, holds, due, overdue) = (reply.int()?, reply.int()?, reply.int()?, reply.int()?);
    let meta = LaneMeta { now, state, confirming, holds, due, overdue };
    reply.end()?;
    Ok(meta)
}

/// An item's units in a lane.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct ItemStock {
    /// Units that can be held now; below zero after a recovery until enough has come back.
    pub free: i64,
    /// Units in held, paying and confirming records.
    pub live: i64,
    /// Units that went to and came from other lanes.
    pub moved: Moved,
}

/// Units of an item that a lane ever gave to and received from other lanes, as of its last event applied. What all lanes
/// together have given and not received is on its way.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Moved {
    /// Units given.
    pub given: u64,
    /// Units received.
    pub received: u64,
}

/// A lane's stock.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LaneStock {
    /// Redis' clock.
    pub now: Millis,
    /// Last event applied.
    pub settled: u64,
    /// Somebody has its lease: holds and confirms are taken, or will be in a moment.
    pub owned: bool,
    /// By item, in order of the items' ids.
    pub items: Vec<(ItemId, ItemStock)>,
}

/// Reads a lane's stock.
///
/// # Errors
/// [`CallError`]; changes nothing.
pub async fn stock(redis: &Redis, keys: &LaneKeys) -> Result<LaneStock, CallError> {
    let call = Call::new(Id::Stock, keys.slot(), &[keys.lane(), keys.lease()]);
    let mut reply = Reader::new(redis.call(&call).await?)?;
    let (now, settled, owned) = (reply.millis()?, reply.int()?, reply.int()? != 0);
    let mut items = Vec::with_capacity(reply.left() / 5);
    while reply.left() > 0 {
        let item: ItemId = reply.text()?.parse().map_err(|_| CallError::broken("an item's name that is none"))?;
        let (free, live) = (reply.signed()?, reply.signed()?);
        items.push((item, ItemStock { free, live, moved: Moved { given: reply.int()?, received: reply.int()? } }));
    }
    items.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(LaneStock { now, settled, owned, items })
}
