//! Setting free right after somebody edited it by hand (R9, H11).

use domain::ItemId;
use domain::limits::MAX_ITEMS;

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
