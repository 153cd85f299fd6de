//! What must hold in every state.

use std::collections::HashSet;

use domain::{HoldState, LaneEvent};
use lua::lane::LaneState;
use lua::model::Intent;

use crate::world::{IDS, NAMES, World};

fn stock_units(world: &World) -> u64 {
    let units = |logged: &std::sync::Arc<crate::world::Logged>| match &logged.event {
        LaneEvent::Stock { lines, .. } => lines.values().sum(),
        LaneEvent::TransferIn { lines, .. } => lines.units(),
        _ => 0,
    };
    world.log.iter().map(units).sum()
}

impl World {
    /// I1 to I4, and what the owners believe.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub(crate) fn check(&self) -> Result<(), String> {
        let fold = self.fold(self.log.len())?;
        let published = self.rules.units + self.published - 1;
        if stock_units(self) > published {
            return Err(format!("I1: {} units allocated, {published} published", stock_units(self)));
        }
        for n in 0..IDS {
            let (id, seen) = (self.id(n), self.seen[n]);
            let state = fold.decided(&id).map(|decided| decided.state);
            if seen.booked && !matches!(state, Some(HoldState::Sold | HoldState::Cancelled)) {
                return Err(format!("I3: hold {n} answered as booked, the ledger has {state:?}"));
            }
            if seen.gone && matches!(state, Some(HoldState::Sold | HoldState::Cancelled)) {
                return Err(format!("I4: hold {n} answered as gone, the ledger has {state:?}"));
            }
            if seen.gone && seen.booked {
                return Err(format!("I4: hold {n} answered as booked and as gone"));
            }
            if seen.cancelled && state != Some(HoldState::Cancelled) {
                return Err(format!("I4: hold {n} answered as cancelled, the ledger has {state:?}"));
            }
        }
        if let Some(limit) = self.rules.limit {
            let over = fold.visitors().find(|(_, sum)| sum.units > u64::from(limit));
            if over.is_some() {
                return Err("limit: a visitor has more units in the ledger than the sale allows".into());
            }
        }
        let mut passes = HashSet::new();
        if let Some(pass) = fold.passes().iter().find(|pass| !passes.insert(**pass)) {
            return Err(format!("I4: pass {pass} has booked twice"));
        }
        self.check_owners()?;
        self.check_redis()
    }

    /// An owner's fold is a beginning of the log, whatever happened to it.
    fn check_owners(&self) -> Result<(), String> {
        for owner in self.owners.iter().flatten() {
            let mine = owner.committer.fold();
            let head = usize::try_from(mine.head()).unwrap();
            if head > self.log.len() {
                return Err("an owner knows more than the log has".into());
            }
            let truth = self.fold(head)?;
            let same = (0..IDS).all(|n| {
                let state = |fold: &booker::fold::LaneFold| fold.decided(&self.id(n)).map(|decided| decided.state);
                state(mine) == state(&truth)
            });
            if !same || mine.item(&NAMES.item) != truth.item(&NAMES.item) {
                return Err("an owner's fold is not what the log says".into());
            }
        }
        Ok(())
    }

    /// I2 as of the settled seq, and what the structures of Redis say about each other.
    fn check_redis(&self) -> Result<(), String> {
        let LaneState::Loaded { settled, .. } = self.redis.state else { return Ok(()) };
        let settled = usize::try_from(settled).unwrap();
        if settled > self.log.len() {
            return Err("Redis has settled what the log does not have".into());
        }
        let stock = self.redis.items.get(&NAMES.item).copied().unwrap_or_default();
        let sum = self.fold(settled)?.item(&NAMES.item);
        let left = i64::try_from(sum.allocated).unwrap() - i64::try_from(sum.sold).unwrap();
        if !self.edited && stock.free + stock.live != left {
            return Err(format!(
                "I2: free {} + live {} is not {left} as of settled seq {settled}",
                stock.free, stock.live
            ));
        }
        if self.redis.claimed().get(&NAMES.item).copied().unwrap_or_default() != stock.live {
            return Err("I2: live is not what the records claim".into());
        }
        let astray = self.redis.confirming.iter().find(|intent| match intent {
            Intent::Confirm(id) => self.redis.holds.get(id).is_none_or(|record| record.state != HoldState::Confirming),
            Intent::Cancel(_) => false,
        });
        match astray {
            Some(intent) => Err(format!("the undecided set names {intent:?}, whose record is not confirming")),
            None => Ok(()),
        }
    }
}
