//! Loading a lane from the ledger's fold, in guarded chunks (R9, H10).

use std::collections::BTreeMap;

use domain::limits::{MAX_ITEMS, MAX_LOAD_CHUNK};
use domain::{HoldId, ItemId, VisitorHash};

use super::settle::write_record;
use super::{MAX_EXACT, Moved, Record, bounded};
use crate::call::Call;
use crate::client::Redis;
use crate::error::CallError;
use crate::key::LaneKeys;
use crate::reply::Reader;
use crate::script::Id;

/// Clears the lane and starts a load. Refused when loaded, or begun by a higher epoch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoadBegin {
    /// Fence of the loader.
    pub epoch: u64,
    /// Head of the log that the load is made of.
    pub head: u64,
    /// Allocated minus sold, per item, as of `head`.
    pub free: BTreeMap<ItemId, i64>,
    /// Units given to and received from other lanes as of `head`, of items where there are any.
    pub moved: BTreeMap<ItemId, Moved>,
}

/// What a visitor has as of the head.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct VisitorLoad {
    /// Units booked and not cancelled.
    pub units: u64,
    /// Highest number of a pass that has ended by booking.
    pub done: Option<u64>,
}

/// One part of a load. Each record and each visitor stands in exactly one chunk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoadChunk {
    /// As in [`LoadBegin`].
    pub epoch: u64,
    /// As in [`LoadBegin`].
    pub head: u64,
    /// Chunks done before this one: 0 for the first.
    pub n: u64,
    /// Decided records; with the visitors at most [`MAX_LOAD_CHUNK`].
    pub records: Vec<(HoldId, Record)>,
    /// Visitors with units or ended passes.
    pub visitors: Vec<(VisitorHash, VisitorLoad)>,
}

/// Opens the lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LoadEnd {
    /// As in [`LoadBegin`].
    pub epoch: u64,
    /// As in [`LoadBegin`].
    pub head: u64,
    /// Chunks done.
    pub n: u64,
}

/// What became of a step of a load.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LoadReply {
    /// Done.
    Done,
    /// The lane is not as expected; nothing changed. Look again ([`super::meta`]).
    Refused,
}

/// Starts a load.
///
/// # Errors
/// [`CallError`]; look again before going on.
pub async fn load_begin(redis: &Redis, keys: &LaneKeys, begin: &LoadBegin) -> Result<LoadReply, CallError> {
    bounded("items", begin.free.len(), MAX_ITEMS)?;
    exact(&[begin.epoch, begin.head])?;
    let mut call = Call::new(Id::LoadBegin, keys.slot(), &keys.all());
    call.int(begin.epoch).int(begin.head);
    for (item, free) in &begin.free {
        let Moved { given, received } = begin.moved.get(item).copied().unwrap_or_default();
        call.text(item.as_str()).signed(*free).int(given).int(received);
    }
    answer(redis, &call).await
}

/// Writes one chunk.
///
/// # Errors
/// [`CallError`]; look again before going on.
pub async fn load_chunk(redis: &Redis, keys: &LaneKeys, chunk: &LoadChunk) -> Result<LoadReply, CallError> {
    let size = chunk.records.len() + chunk.visitors.len();
    bounded("records and visitors", size, MAX_LOAD_CHUNK)?;
    let script_keys = [keys.lane(), keys.holds(), keys.visitors()];
    let mut call = Call::new(Id::LoadChunk, keys.slot(), &script_keys).group(size);
    call.int(chunk.epoch).int(chunk.head).int(chunk.n).size(chunk.records.len());
    for (id, record) in &chunk.records {
        write_record(&mut call, id, record);
    }
    for (visitor, load) in &chunk.visitors {
        call.bytes(&visitor.0).int(load.units).maybe(load.done);
    }
    answer(redis, &call).await
}

/// Opens the lane after the last chunk.
///
/// # Errors
/// [`CallError`]; look again before going on.
pub async fn load_end(redis: &Redis, keys: &LaneKeys, end: &LoadEnd) -> Result<LoadReply, CallError> {
    let mut call = Call::new(Id::LoadEnd, keys.slot(), &[keys.lane()]);
    call.int(end.epoch).int(end.head).int(end.n);
    answer(redis, &call).await
}

/// Removes everything of a lane whose sale is long over, unless it was loaded by a higher epoch: then false.
///
/// # Errors
/// [`CallError`]; safe to send again.
pub async fn unload(redis: &Redis, keys: &LaneKeys, epoch: u64) -> Result<bool, CallError> {
    let mut call = Call::new(Id::Unload, keys.slot(), &keys.all());
    call.int(epoch);
    Ok(answer(redis, &call).await? == LoadReply::Done)
}

async fn answer(redis: &Redis, call: &Call) -> Result<LoadReply, CallError> {
    let mut reply = Reader::new(redis.call(call).await?)?;
    let done = reply.int()?;
    reply.end()?;
    Ok(if done == 1 { LoadReply::Done } else { LoadReply::Refused })
}

fn exact(numbers: &[u64]) -> Result<(), CallError> {
    if numbers.iter().any(|number| *number >= MAX_EXACT) {
        return Err(CallError::not_executed("a number that a script cannot calculate with"));
    }
    Ok(())
}
