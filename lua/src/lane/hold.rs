//! Holds.

use std::sync::Arc;

use domain::fault::{KnownFaults, Life};
use domain::limits::{FAULT_MIN_MS, MAX_FAULT_CREDIT_MS, MAX_GROUP, MAX_REAP, RELEASED_KEEP_MS};
use domain::state::HoldState;
use domain::{Fingerprint, HoldId, Lines, Millis, VisitorHash};
use redis::Value;

use super::record::lines_text;
use super::{MAX_DEADLINE, Record, bounded};
use crate::call::Call;
use crate::client::Redis;
use crate::error::CallError;
use crate::key::LaneKeys;
use crate::reply::Reader;
use crate::script::Id;

/// The pass a hold is made with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PassRef {
    /// Its ticket's number.
    pub number: u64,
    /// When it was given, and when it ends unless faults extend it; compared with Redis' clock.
    pub life: Life,
}

/// One hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HoldRequest {
    /// Derived from sale, visitor and key.
    pub id: HoldId,
    /// Who asks.
    pub visitor: VisitorHash,
    /// Fingerprint of `lines`.
    pub fp: Fingerprint,
    /// What is asked for; all or none.
    pub lines: Lines,
    /// Absent where the sale has no waiting room.
    pub pass: Option<PassRef>,
}

/// Holds decided by one call, in this order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HoldGroup {
    /// Milliseconds until the deadline of each.
    pub ttl_ms: u64,
    /// Units one visitor may have in live records and bookings together.
    pub limit: Option<u32>,
    /// Holds that may be made with one pass, or by one visitor without a pass (those not booked and not purged).
    pub most: u32,
    /// What is known of faults of ours: what they extended does not end here.
    pub faults: Arc<KnownFaults>,
    /// At most [`MAX_GROUP`].
    pub requests: Vec<HoldRequest>,
}

/// What became of one hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HoldReply {
    /// Held now.
    Held(Record),
    /// The id is known: its record as it stands, in any state but released. Nothing changed.
    Exists(Record),
    /// The id is known with other content or another visitor.
    KeyReused,
    /// No item of that name in the lane.
    NoSuchItem,
    /// The pass was ended by booking or leaving.
    PassDone,
    /// The pass had expired by Redis' clock.
    PassExpired,
    /// The pass has expired, unless a fault extends it that is not known yet: ask again.
    Unsure,
    /// The visitor has made as many holds as the group allows.
    TooManyHolds,
    /// The visitor would have too many units.
    Limit,
    /// Not enough units are left, even if every live hold came back.
    SoldOut,
    /// Not enough units are free now; live holds may still come back.
    AllHeld,
}

/// Answers to a [`HoldGroup`], one for each request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HoldReplies {
    /// Redis' clock; deadlines are `now + ttl_ms`.
    pub now: Millis,
    /// In the order of the requests.
    pub replies: Vec<HoldReply>,
}

/// The numbers the script answers instead of a record.
pub(super) const REFUSED: [(i64, &str, HoldReply); 9] = [
    (1, "KEY_REUSED", HoldReply::KeyReused),
    (2, "NO_SUCH_ITEM", HoldReply::NoSuchItem),
    (3, "PASS_DONE", HoldReply::PassDone),
    (4, "PASS_EXPIRED", HoldReply::PassExpired),
    (5, "TOO_MANY", HoldReply::TooManyHolds),
    (6, "LIMIT", HoldReply::Limit),
    (7, "SOLD_OUT", HoldReply::SoldOut),
    (8, "ALL_HELD", HoldReply::AllHeld),
    (9, "UNSURE", HoldReply::Unsure),
];

/// SHA-1 of the hold script in hexadecimal digits, for running the very same script with another client: `make bench` has
/// redis-benchmark do it.
#[must_use]
pub fn hold_digest() -> &'static str {
    &Id::Hold.script().digest
}

/// Decides a group of holds. Idempotent per id; also reaps a bounded number of overdue holds first.
///
/// # Errors
/// [`CallError`]; then nothing is known of any request of the group, and the same group may be sent again.
pub async fn hold(redis: &Redis, keys: &LaneKeys, group: &HoldGroup) -> Result<HoldReplies, CallError> {
    bounded("holds", group.requests.len(), MAX_GROUP)?;
    let script_keys = [keys.lane(), keys.holds(), keys.due(), keys.visitors()];
    let mut call = Call::new(Id::Hold, keys.slot(), &script_keys).group(group.requests.len());
    call.int(group.ttl_ms.min(MAX_DEADLINE / 2)).maybe(group.limit.map(u64::from)).size(MAX_REAP);
    call.int(RELEASED_KEEP_MS).int(u64::from(group.most)).text(&faults_text(&group.faults));
    for request in &group.requests {
        if request.lines.is_empty() {
            return Err(CallError::not_executed("a hold of nothing"));
        }
        call.bytes(request.id.as_bytes())
            .bytes(&request.visitor.0)
            .bytes(&request.fp.0)
            .text(&lines_text(&request.lines));
        match &request.pass {
            Some(pass) => call.text(&format!("{} {} {}", pass.number, pass.life.given.0, pass.life.expires.0)),
            None => call.text(""),
        };
    }
    let mut reply = Reader::new(redis.call(&call).await?)?;
    let now = reply.millis()?;
    let deadline = now.plus(group.ttl_ms.min(MAX_DEADLINE / 2));
    let replies =
        group.requests.iter().map(|request| read(reply.value()?, request, Life { given: now, expires: deadline }));
    let replies = replies.collect::<Result<_, CallError>>()?;
    reply.end()?;
    Ok(HoldReplies { now, replies })
}

/// As the scripts read it; nothing where nobody records faults.
pub(super) fn faults_text(known: &KnownFaults) -> String {
    if *known == KnownFaults::none() {
        return String::new();
    }
    // A time that Lua cannot calculate with is none of ours.
    let to = known.to.0.min(MAX_DEADLINE);
    let mut text = format!("{to},{FAULT_MIN_MS},{MAX_FAULT_CREDIT_MS}");
    for (from, to) in known.faults.windows() {
        for time in [from, to] {
            text.push(',');
            text.push_str(&time.0.min(MAX_DEADLINE).to_string());
        }
    }
    text
}

fn read(value: Value, request: &HoldRequest, life: Life) -> Result<HoldReply, CallError> {
    match value {
        Value::BulkString(record) => Record::decode(&record).map(HoldReply::Exists),
        Value::Int(0) => Ok(HoldReply::Held(Record {
            state: HoldState::Held,
            visitor: request.visitor,
            deadline: life.expires,
            fp: request.fp,
            pass: request.pass.map(|pass| pass.number),
            lines: request.lines.clone(),
            seq: 0,
            at: life.given,
            why: None,
        })),
        Value::Int(number) => REFUSED
            .iter()
            .find(|refused| refused.0 == number)
            .map(|refused| refused.2.clone())
            .ok_or_else(|| CallError::broken(format!("hold answered {number}"))),
        other => Err(CallError::broken(format!("hold answered {other:?}"))),
    }
}
