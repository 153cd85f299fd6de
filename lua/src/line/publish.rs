//! What a line's owner tells everybody through Redis.

use domain::Millis;
use domain::limits::MAX_LINE_DOC_BYTES;

use crate::call::Call;
use crate::client::Redis;
use crate::error::CallError;
use crate::key::LineKeys;
use crate::lane::{MAX_EXACT, bounded};
use crate::reply::Reader;
use crate::script::Id;

/// The line as its log has it: the whole state, not a difference.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct LineState {
    /// The owner's fence.
    pub epoch: u64,
    /// Last event of the line's log in this state.
    pub settled: u64,
    /// Tickets up to here may enter.
    pub frontier: u64,
    /// Numbers up to here may have been given out.
    pub numbers_to: u64,
    /// Everything else that the line's readers need, as text of the owner; at most [`MAX_LINE_DOC_BYTES`].
    pub doc: String,
}

/// What became of a [`load`] or [`publish`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LineReply {
    /// Done.
    Done,
    /// Refused, nothing changed: another epoch, or a later event. Load, or stop when it is ahead of the log.
    Refused {
        /// The line's epoch.
        epoch: u64,
        /// Last event of the state that is there.
        settled: u64,
    },
}

/// Takes the line over: writes the state under this epoch, whether or not anything is there. Tickets that are there stay.
/// Refused for a lower epoch than the line's, or an earlier event under the same epoch.
///
/// # Errors
/// [`CallError`]; safe to send again.
pub async fn load(redis: &Redis, keys: &LineKeys, state: &LineState) -> Result<LineReply, CallError> {
    write(redis, keys, Id::LineLoad, state).await
}

/// Publishes a newer state under the epoch that loaded the line.
///
/// # Errors
/// [`CallError`]; safe to send again.
pub async fn publish(redis: &Redis, keys: &LineKeys, state: &LineState) -> Result<LineReply, CallError> {
    write(redis, keys, Id::LinePublish, state).await
}

async fn write(redis: &Redis, keys: &LineKeys, script: Id, state: &LineState) -> Result<LineReply, CallError> {
    bounded("bytes of a line's document", state.doc.len(), MAX_LINE_DOC_BYTES)?;
    if [state.epoch, state.settled, state.frontier, state.numbers_to].iter().any(|number| *number >= MAX_EXACT) {
        return Err(CallError::not_executed("a number that a script cannot calculate with"));
    }
    let mut call = Call::new(script, keys.slot(), &[keys.line(), keys.tickets()]);
    call.int(state.epoch).int(state.settled).int(state.frontier).int(state.numbers_to).text(&state.doc);
    let mut reply = Reader::new(redis.call(&call).await?)?;
    let (done, epoch, settled) = (reply.int()?, reply.int()?, reply.int()?);
    reply.end()?;
    Ok(if done == 1 { LineReply::Done } else { LineReply::Refused { epoch, settled } })
}

/// A line as Redis has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LineLook {
    /// Redis' clock.
    pub now: Millis,
    /// Last published state.
    pub state: LineState,
    /// Visitors with a number.
    pub tickets: u64,
}

/// Reads the line.
///
/// # Errors
/// [`CallError`]; changes nothing.
pub async fn look(redis: &Redis, keys: &LineKeys) -> Result<LineLook, CallError> {
    let call = Call::new(Id::LineLook, keys.slot(), &[keys.line(), keys.tickets()]);
    let mut reply = Reader::new(redis.call(&call).await?)?;
    let now = reply.millis()?;
    let state = LineState {
        epoch: reply.int()?,
        settled: reply.int()?,
        frontier: reply.int()?,
        numbers_to: reply.int()?,
        doc: reply.text()?,
    };
    let look = LineLook { now, state, tickets: reply.int()? };
    reply.end()?;
    Ok(look)
}

/// Removes everything of a line whose sale is long over, unless it was loaded by a higher epoch: then false.
///
/// # Errors
/// [`CallError`]; safe to send again.
pub async fn unload(redis: &Redis, keys: &LineKeys, epoch: u64) -> Result<bool, CallError> {
    let mut call = Call::new(Id::LineUnload, keys.slot(), &[keys.line(), keys.tickets()]);
    call.int(epoch);
    let mut reply = Reader::new(redis.call(&call).await?)?;
    Ok(reply.int()? == 1)
}
