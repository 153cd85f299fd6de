//! Setting free right after somebody edited it by hand (R9, H11).

use domain::ItemId;
use domain::limits::{MAX_ITEMS, MAX_RECOUNT};

use super::bounded;
use crate::call::Call;
use crate::client::Redis;
use crate::error::CallError;
use crate::key::LaneKeys;
use crate::reply::Reader;
use crate::script::Id;

/// One item's figures in the ledger.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MendItem {
    /// The item.
    pub item: ItemId,
    /// Units allocated as of the expected seq.
    pub allocated: u64,
    /// Units sold as of the expected seq.
    pub sold: u64,
}

/// Sets free = allocated - sold - live for each item.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mend {
    /// The lane's settled seq.
    pub expected: u64,
    /// Every item of the lane.
    pub items: Vec<MendItem>,
}

/// An item whose free was wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mended {
    /// The item.
    pub item: ItemId,
    /// What Redis said; nothing when the field was missing or no number.
    pub was: Option<i64>,
    /// What it is now.
    pub is: i64,
}

/// What became of a [`Mend`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MendReply {
    /// Free is right now; these items were wrong.
    Done(Vec<Mended>),
    /// Refused, nothing changed: the lane stands at another seq.
    Behind {
        /// Settled seq as it is.
        settled: u64,
    },
}

/// Mends a lane in one script, without losing a hold. The same call is a check: an empty list says that all was right.
///
/// # Errors
/// [`CallError`]; safe to send again.
pub async fn mend(redis: &Redis, keys: &LaneKeys, mend: &Mend) -> Result<MendReply, CallError> {
    bounded("items", mend.items.len(), MAX_ITEMS)?;
    let mut call = Call::new(Id::Mend, keys.slot(), &[keys.lane()]);
    call.int(mend.expected);
    for item in &mend.items {
        let unsold = i64::try_from(item.allocated).unwrap_or(i64::MAX) - i64::try_from(item.sold).unwrap_or(i64::MAX);
        call.text(item.item.as_str()).signed(unsold);
    }
    let mut reply = Reader::new(redis.call(&call).await?)?;
    let (done, settled) = (reply.int()?, reply.int()?);
    if done == 0 {
        return Ok(MendReply::Behind { settled });
    }
    let mut mended = Vec::with_capacity(reply.left() / 3);
    while reply.left() > 0 {
        let item = reply.text()?.parse().map_err(|_| CallError::broken("an item's name that is none"))?;
        let was = reply.text()?.parse().ok();
        mended.push(Mended { item, was, is: reply.signed()? });
    }
    Ok(MendReply::Done(mended))
}

/// An item whose live units are not those of its records.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Miscounted {
    /// The item.
    pub item: ItemId,
    /// What the lane says.
    pub live: i64,
    /// What held, paying and confirming records claim.
    pub claimed: i64,
}

/// What a recount found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RecountReply {
    /// These items are wrong. Only a load sets them right ([`super::unload`], then load); a record that the indexes have
    /// lost is miscounted as well, until a whole round of [`super::reap`] has put it back, so look twice.
    Counted(Vec<Miscounted>),
    /// More than [`MAX_RECOUNT`] records; counting them would hold up the lane.
    TooMany(u64),
}

/// Compares live units with the records that claim them, at one moment.
///
/// # Errors
/// [`CallError`]; changes nothing.
pub async fn recount(redis: &Redis, keys: &LaneKeys) -> Result<RecountReply, CallError> {
    let script_keys = [keys.lane(), keys.holds(), keys.due(), keys.confirming()];
    let mut call = Call::new(Id::Recount, keys.slot(), &script_keys);
    call.size(MAX_RECOUNT);
    let mut reply = Reader::new(redis.call(&call).await?)?;
    let (counted, records) = (reply.int()?, reply.int()?);
    if counted == 0 {
        return Ok(RecountReply::TooMany(records));
    }
    let mut wrong = Vec::with_capacity(reply.left() / 3);
    while reply.left() > 0 {
        let item = reply.text()?.parse().map_err(|_| CallError::broken("an item's name that is none"))?;
        wrong.push(Miscounted { item, live: reply.signed()?, claimed: reply.signed()? });
    }
    wrong.sort_by(|a, b| a.item.cmp(&b.item));
    Ok(RecountReply::Counted(wrong))
}
