//! Who may try to own a lane or a line (R5). Who can write is decided by the ledger's fence alone.

use crate::call::Call;
use crate::client::Redis;
use crate::error::CallError;
use crate::key::{LaneKeys, LineKeys};
use crate::reply::Reader;
use crate::script::Id;

/// A lease's key.
#[derive(Clone, Copy, Debug)]
pub struct LeaseKey<'a> {
    key: &'a str,
    slot: u16,
}

impl<'a> From<&'a LaneKeys> for LeaseKey<'a> {
    fn from(keys: &'a LaneKeys) -> Self {
        Self { key: keys.lease(), slot: keys.slot() }
    }
}

impl<'a> From<&'a LineKeys> for LeaseKey<'a> {
    fn from(keys: &'a LineKeys) -> Self {
        Self { key: keys.lease(), slot: keys.slot() }
    }
}

/// Whether the lease was taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Lease {
    /// The caller has it until the time to live is over.
    Mine,
    /// Another has it.
    Other {
        /// Its token.
        owner: String,
        /// Milliseconds it still lives.
        left_ms: u64,
    },
}

/// Takes the lease, or renews it for its owner.
///
/// # Errors
/// [`CallError`]; safe to send again. An owner that cannot renew goes on until the fence refuses it.
pub async fn take(redis: &Redis, key: LeaseKey<'_>, owner: &str, ttl_ms: u64) -> Result<Lease, CallError> {
    let mut call = Call::new(Id::LeaseTake, key.slot, &[key.key]);
    call.text(owner).int(ttl_ms.max(1));
    let mut reply = Reader::new(redis.call(&call).await?)?;
    if reply.int()? == 1 {
        return Ok(Lease::Mine);
    }
    let lease = Lease::Other { owner: reply.text()?, left_ms: reply.int()? };
    reply.end()?;
    Ok(lease)
}

/// Who has the lease; `None`: nobody.
///
/// # Errors
/// [`CallError`]; nothing was changed.
pub async fn holder(redis: &Redis, key: LeaseKey<'_>) -> Result<Option<String>, CallError> {
    let mut reply = Reader::new(redis.call(&Call::new(Id::LeaseLook, key.slot, &[key.key])).await?)?;
    let holder = if reply.int()? == 1 { Some(reply.text()?) } else { None };
    reply.end()?;
    Ok(holder)
}

/// Gives the lease up; false when it was not the caller's.
///
/// # Errors
/// [`CallError`]; safe to send again.
pub async fn drop(redis: &Redis, key: LeaseKey<'_>, owner: &str) -> Result<bool, CallError> {
    let mut call = Call::new(Id::LeaseDrop, key.slot, &[key.key]);
    call.text(owner);
    let mut reply = Reader::new(redis.call(&call).await?)?;
    Ok(reply.int()? == 1)
}
