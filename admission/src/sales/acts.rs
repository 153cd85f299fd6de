//! What an operator's act needs to find, and what it records.

use domain::limits::MAX_UNITS;
use domain::{Act, ItemId, Room, SaleFold};

use super::SalesError;

/// The sale, if it is there and not over.
pub(super) fn living(now: Option<&SaleFold>) -> Result<&SaleFold, SalesError> {
    match now {
        None => Err(SalesError::NotFound),
        Some(fold) if fold.closed.is_some() => Err(SalesError::Closed),
        Some(fold) => Ok(fold),
    }
}

/// The waiting room of a sale that is not over.
pub(super) fn room(now: Option<&SaleFold>) -> Result<&Room, SalesError> {
    living(now)?.doc.room().ok_or(SalesError::NoRoom)
}

/// Units that an operator wants to add to an item, or to take out of it.
#[derive(Clone, Copy, Debug)]
pub struct StockChange<'a> {
    /// Which item.
    pub item: &'a ItemId,
    /// How many units.
    pub units: u64,
    /// The request's Idempotency-Key: under the same one it counts once, and other content is refused.
    pub key: &'a str,
    /// Only when the sale's revision is this one.
    pub if_match: Option<u64>,
}

/// Adding units to an item, within what a sale may have. `None`: the same request was done before.
pub(super) fn stock(fold: &SaleFold, more: &StockChange<'_>) -> Result<Option<Act>, SalesError> {
    let &StockChange { item, units, key, if_match } = more;
    if fold.withdrawals.iter().any(|act| act.key == key) {
        return Err(SalesError::KeyReused);
    }
    if let Some(known) = fold.stock.iter().find(|act| act.key == key) {
        let same = known.lines.len() == 1 && known.lines.get(item) == Some(&units);
        return if same { Ok(None) } else { Err(SalesError::KeyReused) };
    }
    if if_match.is_some_and(|expected| expected != fold.revision) {
        return Err(SalesError::Conflict { revision: fold.revision });
    }
    let known = fold.doc.item(item).ok_or_else(|| SalesError::NoItem(item.clone()))?;
    match known.units.checked_add(units) {
        Some(all) if all <= MAX_UNITS => Ok(Some(Act::Stock { item: item.clone(), units, key: key.to_owned() })),
        _ => Err(SalesError::TooManyUnits(MAX_UNITS - known.units)),
    }
}

/// Taking units out of an item, one withdrawal after the other. `None`: the same request was recorded before.
pub(super) fn withdraw(fold: &SaleFold, less: &StockChange<'_>) -> Result<Option<Act>, SalesError> {
    let &StockChange { item, units, key, if_match } = less;
    if let Some(known) = fold.withdrawals.iter().find(|act| act.key == key) {
        let same = known.item == *item && known.units == units;
        return if same { Ok(None) } else { Err(SalesError::KeyReused) };
    }
    if fold.stock.iter().any(|act| act.key == key) {
        return Err(SalesError::KeyReused);
    }
    if if_match.is_some_and(|expected| expected != fold.revision) {
        return Err(SalesError::Conflict { revision: fold.revision });
    }
    if fold.withdrawing().is_some() {
        return Err(SalesError::Withdrawing);
    }
    let known = fold.doc.item(item).ok_or_else(|| SalesError::NoItem(item.clone()))?;
    if units > known.units {
        return Err(SalesError::TooFewUnits(known.units));
    }
    Ok(Some(Act::Withdraw { item: item.clone(), units, key: key.to_owned() }))
}
