//! Confirms and cancels: intents for the ledger.

use domain::limits::{MAX_CONFIRMING, MAX_GROUP, MAX_UNKNOWN_CONFIRMS_PER_PASS};
use domain::state::HoldState;
use domain::{HoldId, Millis, VisitorHash};
use redis::Value;

use super::{Record, bounded};
use crate::call::Call;
use crate::client::Redis;
use crate::error::CallError;
use crate::key::LaneKeys;
use crate::reply::Reader;
use crate::script::Id;

/// One confirm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConfirmRequest {
    /// The hold.
    pub id: HoldId,
    /// Who asks.
    pub visitor: VisitorHash,
    /// The pass that came along, if any; counts confirms of holds that Redis does not know.
    pub pass: Option<u64>,
}

/// What became of one confirm.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ConfirmReply {
    /// The clock is stopped and the intent noted: decide it. A hold that was missing or released has no lines.
    Confirming(Record),
    /// Sold, refused or cancelled before: written by settle, so an event stands behind it (R2).
    Decided(Record),
    /// Too many undecided intents; nothing changed.
    Full,
    /// Another visitor's hold; nothing changed.
    Foreign,
    /// Too many confirms of holds that Redis does not know; nothing changed.
    TooMany,
}

/// Answers to a group of confirms.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfirmReplies {
    /// Redis' clock.
    pub now: Millis,
    /// In the order of the requests.
    pub replies: Vec<ConfirmReply>,
}

/// The numbers the script answers instead of a record.
pub(super) const REFUSED: [(i64, &str, ConfirmReply); 3] =
    [(1, "FULL", ConfirmReply::Full), (2, "FOREIGN", ConfirmReply::Foreign), (3, "TOO_MANY", ConfirmReply::TooMany)];

/// Notes a group of confirms, at most [`MAX_GROUP`]. Idempotent.
///
/// # Errors
/// [`CallError`]; the same group may be sent again.
pub async fn confirm(redis: &Redis, keys: &LaneKeys, requests: &[ConfirmRequest]) -> Result<ConfirmReplies, CallError> {
    bounded("confirms", requests.len(), MAX_GROUP)?;
    let mut call = Call::new(Id::Confirm, keys.slot(), &keys.all()).group(requests.len());
    call.size(MAX_CONFIRMING).int(u64::from(MAX_UNKNOWN_CONFIRMS_PER_PASS));
    for request in requests {
        call.bytes(request.id.as_bytes()).bytes(&request.visitor.0).maybe(request.pass);
    }
    let mut reply = Reader::new(redis.call(&call).await?)?;
    let now = reply.millis()?;
    let replies = requests.iter().map(|_| read(reply.value()?)).collect::<Result<_, CallError>>()?;
    reply.end()?;
    Ok(ConfirmReplies { now, replies })
}

fn read(value: Value) -> Result<ConfirmReply, CallError> {
    match value {
        Value::BulkString(record) => {
            let record = Record::decode(&record)?;
            Ok(if record.state == HoldState::Confirming {
                ConfirmReply::Confirming(record)
            } else {
                ConfirmReply::Decided(record)
            })
        }
        Value::Int(number) => REFUSED
            .iter()
            .find(|refused| refused.0 == number)
            .map(|refused| refused.2.clone())
            .ok_or_else(|| CallError::broken(format!("confirm answered {number}"))),
        other => Err(CallError::broken(format!("confirm answered {other:?}"))),
    }
}

/// What became of one cancel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CancelReply {
    /// The intent is noted: decide it.
    Noted,
    /// Too many undecided intents; nothing changed.
    Full,
}

/// Notes a group of cancels, at most [`MAX_GROUP`], whatever Redis knows of the ids. Idempotent.
///
/// # Errors
/// [`CallError`]; the same group may be sent again.
pub async fn cancel(redis: &Redis, keys: &LaneKeys, ids: &[HoldId]) -> Result<Vec<CancelReply>, CallError> {
    bounded("cancels", ids.len(), MAX_GROUP)?;
    let mut call = Call::new(Id::Cancel, keys.slot(), &[keys.lane(), keys.confirming()]).group(ids.len());
    call.size(MAX_CONFIRMING);
    for id in ids {
        call.bytes(id.as_bytes());
    }
    let mut reply = Reader::new(redis.call(&call).await?)?;
    let replies = ids.iter().map(|_| match reply.signed()? {
        0 => Ok(CancelReply::Noted),
        1 => Ok(CancelReply::Full),
        other => Err(CallError::broken(format!("cancel answered {other}"))),
    });
    let replies = replies.collect::<Result<_, CallError>>()?;
    reply.end()?;
    Ok(replies)
}
