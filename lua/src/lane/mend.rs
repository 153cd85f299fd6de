//! Setting free right after somebody edited it by hand (R9, H11).

use std::collections::BTreeMap;

use domain::ItemId;
use domain::limits::{MAX_ITEMS, MAX_RECOUNT};

use super::bounded;
use super::release::cursor_of;
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
        let item = item_of(&mut reply)?;
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
    /// The lane changed while its records were counted in parts; nothing is known. A lane with fewer than [`MAX_RECOUNT`]
    /// live records is counted in one part.
    Changed,
}

/// Where a recount goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RecountFrom {
    place: u64,
    cursor: u64,
}

/// One part of a recount.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecountPart {
    /// Parts with the same number are of one moment.
    pub edits: u64,
    /// Where to go on; none after the last part.
    pub next: Option<RecountFrom>,
    /// Units that this part's records claim.
    pub claimed: BTreeMap<ItemId, i64>,
    /// The lane's live units, with the last part; nothing for a figure that is no number.
    pub live: BTreeMap<ItemId, Option<i64>>,
}

/// Compares live units with the records that claim them, as of one moment: in parts, and in vain when a record changes
/// between two of them.
///
/// # Errors
/// [`CallError`]; changes nothing.
pub async fn recount(redis: &Redis, keys: &LaneKeys) -> Result<RecountReply, CallError> {
    let mut whole = recount_part(redis, keys, RecountFrom::default(), MAX_RECOUNT).await?;
    while let Some(from) = whole.next {
        let part = recount_part(redis, keys, from, MAX_RECOUNT).await?;
        if part.edits != whole.edits {
            return Ok(RecountReply::Changed);
        }
        for (item, units) in part.claimed {
            *whole.claimed.entry(item).or_default() += units;
        }
        (whole.next, whole.live) = (part.next, part.live);
    }
    let RecountPart { claimed, mut live, .. } = whole;
    for item in claimed.keys() {
        live.entry(item.clone()).or_insert(Some(0));
    }
    let compare = |(item, live): (ItemId, Option<i64>)| {
        let claimed = claimed.get(&item).copied().unwrap_or(0);
        (live != Some(claimed)).then(|| Miscounted { item, live: live.unwrap_or(0), claimed })
    };
    Ok(RecountReply::Counted(live.into_iter().filter_map(compare).collect()))
}

/// One part of a [`recount`], of about `most` records.
///
/// # Errors
/// [`CallError`]; changes nothing.
pub async fn recount_part(
    redis: &Redis,
    keys: &LaneKeys,
    from: RecountFrom,
    most: usize,
) -> Result<RecountPart, CallError> {
    let script_keys = [keys.lane(), keys.holds(), keys.due(), keys.confirming()];
    let mut call = Call::new(Id::Recount, keys.slot(), &script_keys);
    call.int(from.place).int(from.cursor).size(most);
    let mut reply = Reader::new(redis.call(&call).await?)?;
    let (last, edits) = (reply.int()? == 1, reply.int()?);
    let next = RecountFrom { place: reply.int()?, cursor: cursor_of(&reply.text()?)? };
    let mut part =
        RecountPart { edits, next: (!last).then_some(next), claimed: BTreeMap::new(), live: BTreeMap::new() };
    for _ in 0..reply.int()? {
        part.claimed.insert(item_of(&mut reply)?, reply.signed()?);
    }
    while reply.left() > 0 {
        part.live.insert(item_of(&mut reply)?, reply.text()?.parse().ok());
    }
    Ok(part)
}

fn item_of(reply: &mut Reader) -> Result<ItemId, CallError> {
    reply.text()?.parse().map_err(|_| CallError::broken("an item's name that is none"))
}
