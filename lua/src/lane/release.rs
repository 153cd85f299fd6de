//! Ends without a booking: release, reap, and the end of a pass.

use domain::fault::KnownFaults;
use domain::limits::{MAX_GROUP, MAX_REAP, RELEASED_KEEP_MS, SCAN_CHUNK};
use domain::{HoldId, Millis, VisitorHash};
use redis::Value;

use super::hold::faults_text;
use super::{Record, bounded};
use crate::call::Call;
use crate::client::Redis;
use crate::error::CallError;
use crate::key::LaneKeys;
use crate::reply::Reader;
use crate::script::Id;

/// One release.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReleaseRequest {
    /// The hold.
    pub id: HoldId,
    /// Who asks.
    pub visitor: VisitorHash,
}

/// What became of one release.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ReleaseReply {
    /// Its units are free, now or before.
    Released,
    /// Redis knows no such hold.
    Missing,
    /// Another visitor's hold.
    Foreign,
    /// Confirming, sold, refused or cancelled: as it stands, nothing changed.
    Kept(Record),
}

/// Releases a group of holds, at most [`MAX_GROUP`]. Idempotent.
///
/// # Errors
/// [`CallError`]; the same group may be sent again.
pub async fn release(
    redis: &Redis,
    keys: &LaneKeys,
    requests: &[ReleaseRequest],
) -> Result<Vec<ReleaseReply>, CallError> {
    bounded("releases", requests.len(), MAX_GROUP)?;
    let script_keys = [keys.lane(), keys.holds(), keys.due(), keys.visitors()];
    let mut call = Call::new(Id::Release, keys.slot(), &script_keys).group(requests.len());
    call.int(RELEASED_KEEP_MS);
    for request in requests {
        call.bytes(request.id.as_bytes()).bytes(&request.visitor.0);
    }
    let mut reply = Reader::new(redis.call(&call).await?)?;
    let replies = requests.iter().map(|_| match reply.value()? {
        Value::BulkString(record) => Record::decode(&record).map(ReleaseReply::Kept),
        Value::Int(0) => Ok(ReleaseReply::Released),
        Value::Int(1) => Ok(ReleaseReply::Missing),
        Value::Int(2) => Ok(ReleaseReply::Foreign),
        other => Err(CallError::broken(format!("release answered {other:?}"))),
    });
    let replies = replies.collect::<Result<_, CallError>>()?;
    reply.end()?;
    Ok(replies)
}

/// Marks passes as ended for their visitors, at most [`MAX_GROUP`]: no hold can be made with them, nor with a lower number
/// of the same visitor. Idempotent.
///
/// # Errors
/// [`CallError`]; the same group may be sent again.
pub async fn leave(redis: &Redis, keys: &LaneKeys, passes: &[(VisitorHash, u64)]) -> Result<(), CallError> {
    bounded("leaves", passes.len(), MAX_GROUP)?;
    let mut call = Call::new(Id::Leave, keys.slot(), &[keys.lane(), keys.visitors()]).group(passes.len());
    for (visitor, number) in passes {
        call.bytes(&visitor.0).int(*number);
    }
    redis.call(&call).await.map(|_| ())
}

/// What one run of the ticker did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReapReply {
    /// Redis' clock.
    pub now: Millis,
    /// Overdue holds whose units are free again.
    pub released: u64,
    /// Old released records removed.
    pub purged: u64,
    /// Confirming records that were missing among the undecided intents and were put back.
    pub requeued: u64,
    /// Held, paying or released records that were missing among the deadlines and were put back.
    pub rescheduled: u64,
    /// More is overdue: call again.
    pub more: bool,
    /// Members of the intents that have no confirming record and were dropped.
    pub dropped: u64,
    /// Where the next run goes on looking.
    pub cursor: ReapCursor,
}

/// How far a run of the ticker looked; both 0 after a whole round.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ReapCursor {
    /// Among the records.
    pub holds: u64,
    /// Among the undecided intents.
    pub intents: u64,
}

/// Reaps a bounded number of overdue holds, purges old released records, and looks at a bounded part of all records
/// (from `cursor`, the default at first) for those that are missing among the intents (R7) or the deadlines (I5), and of the
/// intents for those that nobody meant. What `faults` extended, or may have extended, does not end.
///
/// # Errors
/// [`CallError`]; safe to send again.
pub async fn reap(
    redis: &Redis,
    keys: &LaneKeys,
    cursor: ReapCursor,
    faults: &KnownFaults,
) -> Result<ReapReply, CallError> {
    let mut call = Call::new(Id::Reap, keys.slot(), &keys.all());
    call.size(MAX_REAP).int(RELEASED_KEEP_MS).int(cursor.holds).size(SCAN_CHUNK).int(cursor.intents);
    call.text(&faults_text(faults));
    let mut reply = Reader::new(redis.call(&call).await?)?;
    let mut read = ReapReply {
        now: reply.millis()?,
        released: reply.int()?,
        purged: reply.int()?,
        requeued: reply.int()?,
        rescheduled: reply.int()?,
        more: reply.int()? != 0,
        dropped: 0,
        cursor: ReapCursor { holds: cursor_of(&reply.text()?)?, intents: 0 },
    };
    read.dropped = reply.int()?;
    read.cursor.intents = cursor_of(&reply.text()?)?;
    reply.end()?;
    Ok(read)
}

/// A cursor of Redis uses all 64 bits; it travels as text.
pub(super) fn cursor_of(text: &str) -> Result<u64, CallError> {
    text.parse().map_err(|_| CallError::broken("a cursor that is no number"))
}
