//! Units on their way to another lane: claimed by a script from what is free, decided by the ledger (R11).

use domain::limits::{MAX_CONFIRMING, MAX_ITEMS};
use domain::{HoldId, ItemId, VisitorHash};
use redis::Value;

use super::{Record, bounded};
use crate::call::Call;
use crate::client::Redis;
use crate::error::CallError;
use crate::key::LaneKeys;
use crate::script::Id;

/// A claim for another lane: a hold without a deadline, by a lane instead of a visitor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Give {
    /// The claim's id; the same one again is answered from its record.
    pub id: HoldId,
    /// The lane that asks.
    pub to: u16,
    /// What it asks for, each item once, in order of the items' ids.
    pub items: Vec<GiveItem>,
}

/// Units of one item that are asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GiveItem {
    /// The item.
    pub item: ItemId,
    /// Units wanted at most.
    pub wanted: u32,
    /// Free units that stay here, whatever is wanted.
    pub keep: u64,
}

/// What became of a claim.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum GiveReply {
    /// The record as it stands: confirming with the units claimed, or decided.
    Record(Record),
    /// Too many undecided intents; nothing changed.
    Full,
    /// No wanted unit is free beyond those to be kept; nothing changed.
    Nothing,
    /// The id is another lane's or a visitor's; nothing changed.
    Foreign,
}

/// The numbers the script answers instead of a record.
pub(super) const REFUSED: [(i64, &str, GiveReply); 3] =
    [(1, "FULL", GiveReply::Full), (2, "NOTHING", GiveReply::Nothing), (3, "FOREIGN", GiveReply::Foreign)];

/// Claims free units for another lane, of at most [`MAX_ITEMS`] items. Idempotent under its id.
///
/// # Errors
/// [`CallError`]; may be sent again.
pub async fn give(redis: &Redis, keys: &LaneKeys, give: &Give) -> Result<GiveReply, CallError> {
    bounded("items", give.items.len(), MAX_ITEMS)?;
    let script_keys = [keys.lane(), keys.holds(), keys.confirming()];
    let mut call = Call::new(Id::Give, keys.slot(), &script_keys).group(give.items.len());
    call.size(MAX_CONFIRMING).bytes(give.id.as_bytes()).bytes(&VisitorHash::for_lane(give.to).0);
    for GiveItem { item, wanted, keep } in &give.items {
        call.text(item.as_str()).int(u64::from(*wanted)).int(*keep);
    }
    match redis.call(&call).await? {
        Value::BulkString(record) => Record::decode(&record).map(GiveReply::Record),
        Value::Int(number) => REFUSED
            .iter()
            .find(|refused| refused.0 == number)
            .map(|refused| refused.2.clone())
            .ok_or_else(|| CallError::broken(format!("give answered {number}"))),
        other => Err(CallError::broken(format!("give answered {other:?}"))),
    }
}
