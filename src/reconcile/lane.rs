//! One lane: its log folded up to where Redis stands, and everything Redis says compared with that.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use booker::fold::{BadLog, ItemSum, LaneFold};
use domain::event::Event as _;
use domain::limits::{BEHIND_AFTER_MS, MAX_FAULT_CREDIT_MS, OVERDUE_AFTER_MS, STUCK_AFTER_MS};
use domain::{HoldId, ItemId, LaneEvent, LogId, SaleId};
use ledger::Ledger;
use lua::lane::{LaneState, LaneStock, Mend, MendItem, MendReply, RecountReply, Undecided};
use lua::{CallError, LaneKeys, Redis};
use tokio::time::Instant;

use super::{Found, LEFT_WRONG, PART, Unowned};
use crate::metrics::{Invariant, Kind};

/// See the module's text.
pub(super) struct LaneWatch {
    sale: SaleId,
    keys: LaneKeys,
    log: LogId,
    fold: LaneFold,
    unowned: Unowned,
    /// Since when Redis is behind the log.
    behind: Option<Instant>,
    /// Undecided intents and when each was first seen.
    undecided: BTreeMap<HoldId, Instant>,
    /// Rounds in a row in which free units were wrong, and in which live units were.
    wrong: u32,
    miscounted: u32,
}

/// Why a lane was not compared in this round.
#[derive(Debug, thiserror::Error)]
enum NotSeen {
    #[error("{0}")]
    Redis(#[from] CallError),
    #[error("{0}")]
    Ledger(#[from] ledger::Error),
    #[error("an event of its log cannot be read: {0}")]
    Unreadable(String),
    #[error("its log contradicts itself: {0}")]
    Log(#[from] BadLog),
}

impl NotSeen {
    /// What is broken, where the log itself is wrong.
    const fn invariant(&self) -> Option<Invariant> {
        match self {
            Self::Redis(_) | Self::Ledger(_) => None,
            Self::Unreadable(_) | Self::Log(BadLog::Gap { .. }) => Some(Invariant::Durable),
            Self::Log(BadLog::Oversold { .. } | BadLog::StockTwice { .. }) => Some(Invariant::Oversell),
            Self::Log(BadLog::SecondOutcome { .. }) => Some(Invariant::Outcome),
        }
    }
}

impl LaneWatch {
    pub(super) fn new(sale: &SaleId, lane: u16) -> Self {
        Self {
            sale: sale.clone(),
            keys: LaneKeys::new(sale, lane),
            log: LogId::lane(sale, lane),
            fold: LaneFold::default(),
            unowned: Unowned::default(),
            behind: None,
            undecided: BTreeMap::new(),
            wrong: 0,
            miscounted: 0,
        }
    }

    /// The lane's log, as far as Redis has settled it.
    pub(super) const fn fold(&self) -> &LaneFold {
        &self.fold
    }

    /// One look; what differs is added to `found`.
    pub(super) async fn look(&mut self, redis: &Redis, ledger: &Ledger, found: &mut Found) {
        if let Err(why) = self.compare(redis, ledger, found).await {
            found.add(Kind::NotSeen, 1);
            match why.invariant() {
                Some(invariant) => {
                    found.breaks(&self.sale, invariant, 1);
                    tracing::error!(log = %self.log, %why, invariant = invariant.as_str(), "a lane's log is wrong");
                }
                None => tracing::debug!(log = %self.log, %why, "a lane could not be compared"),
            }
        }
    }

    async fn compare(&mut self, redis: &Redis, ledger: &Ledger, found: &mut Found) -> Result<(), NotSeen> {
        let now = Instant::now();
        let holder = lua::lease::holder(redis, (&self.keys).into()).await?;
        if self.unowned.see(holder.as_deref(), now) {
            found.add(Kind::LaneWithoutOwner, 1);
        }
        // A fault of ours, recorded or under way, keeps a hold at most as long as that.
        let meta = lua::lane::meta_after(redis, &self.keys, OVERDUE_AFTER_MS + MAX_FAULT_CREDIT_MS).await?;
        if !matches!(meta.state, LaneState::Loaded { .. }) {
            // Not loaded: its owner is at it, and without one that is what is told.
            return Ok(());
        }
        found.breaks(&self.sale, Invariant::Orphan, meta.overdue);
        // Redis first: everything it has settled is then in what is read of the ledger.
        let stock = lua::lane::stock(redis, &self.keys).await?;
        let head = ledger.head(&self.log).await?.head;
        if stock.settled > head {
            found.add(Kind::Ahead, 1);
            found.breaks(&self.sale, Invariant::Durable, 1);
            tracing::error!(log = %self.log, settled = stock.settled, head, "Redis has settled more than the ledger has");
            return Ok(());
        }
        self.see_lag(stock.settled < head, now, found);
        if self.fold_to(ledger, stock.settled).await? {
            self.see_stock(redis, &stock, found).await?;
        }
        self.see_undecided(redis, now, found).await
    }

    fn see_lag(&mut self, behind: bool, now: Instant, found: &mut Found) {
        if !behind {
            self.behind = None;
        } else if now - *self.behind.get_or_insert(now) >= Duration::from_millis(BEHIND_AFTER_MS) {
            // A lane that sells all the time is always a little behind: it is late only when it never catches up.
            found.add(Kind::Behind, 1);
        }
    }

    /// Folds up to this event, a part at a time; true when the fold stands exactly there.
    async fn fold_to(&mut self, ledger: &Ledger, settled: u64) -> Result<bool, NotSeen> {
        let after = self.fold.head();
        if after >= settled {
            // An older copy of Redis: its owner replays the log, and is seen to do so.
            return Ok(after == settled);
        }
        let most = usize::try_from(settled - after).unwrap_or(PART).min(PART);
        for entry in ledger.read(&self.log, after, most).await? {
            if entry.seq > settled {
                break;
            }
            let event = LaneEvent::decode(&entry.event).map_err(|error| NotSeen::Unreadable(error.to_string()))?;
            self.fold.apply(entry.seq, &event)?;
        }
        Ok(self.fold.head() == settled)
    }

    /// I2, as of the settled event.
    async fn see_stock(&mut self, redis: &Redis, stock: &LaneStock, found: &mut Found) -> Result<(), NotSeen> {
        let units = difference(self.fold.items(), stock);
        if units == 0 {
            self.wrong = 0;
        } else {
            self.wrong += 1;
            found.add(Kind::Free, units);
            if self.wrong >= LEFT_WRONG {
                found.breaks(&self.sale, Invariant::Units, units);
            }
            tracing::warn!(log = %self.log, units, settled = stock.settled, "free and live units in Redis are not the ledger's");
        }
        let miscounted = match lua::lane::recount(redis, &self.keys).await? {
            RecountReply::Counted(wrong) => wrong.iter().map(|item| item.live.abs_diff(item.claimed)).sum(),
            // More records than may be counted at once: `audit` does it for a sale at rest.
            _ => 0,
        };
        self.miscounted = if miscounted > 0 { self.miscounted + 1 } else { 0 };
        if self.miscounted >= LEFT_WRONG {
            found.breaks(&self.sale, Invariant::Orphan, miscounted);
        }
        if miscounted > 0 {
            found.add(Kind::Live, miscounted);
        } else if self.wrong >= LEFT_WRONG {
            self.mend(redis, stock.settled, found).await?;
        }
        Ok(())
    }

    async fn mend(&mut self, redis: &Redis, settled: u64, found: &mut Found) -> Result<(), NotSeen> {
        let item = |(item, sum): (&ItemId, &ItemSum)| MendItem {
            item: item.clone(),
            allocated: sum.allocated,
            sold: sum.sold,
        };
        let mend = Mend { expected: settled, items: self.fold.items().iter().map(item).collect() };
        if let MendReply::Done(mended) = lua::lane::mend(redis, &self.keys, &mend).await? {
            let units: u64 = mended.iter().map(|item| item.was.unwrap_or(0).abs_diff(item.is)).sum();
            tracing::warn!(log = %self.log, units, "free units that the lane's owner left wrong were set right");
            found.mended += units;
            self.wrong = 0;
        }
        Ok(())
    }

    /// I5: whatever is to be decided is decided in bounded time.
    async fn see_undecided(&mut self, redis: &Redis, now: Instant, found: &mut Found) -> Result<(), NotSeen> {
        let ids: BTreeSet<HoldId> = lua::lane::undecided_all(redis, &self.keys).await?.iter().map(id_of).collect();
        self.undecided.retain(|id, _| ids.contains(id));
        for id in ids {
            self.undecided.entry(id).or_insert(now);
        }
        let stuck = self.undecided.values().filter(|since| now - **since >= Duration::from_millis(STUCK_AFTER_MS));
        let stuck = stuck.count() as u64;
        found.add(Kind::Stuck, stuck);
        found.breaks(&self.sale, Invariant::Orphan, stuck);
        Ok(())
    }
}

fn id_of(found: &Undecided) -> HoldId {
    match found {
        Undecided::Confirm(id, _) | Undecided::Cancel(id) => *id,
    }
}

/// Units by which free + live differs from allocated - sold, over all items.
fn difference(items: &BTreeMap<ItemId, ItemSum>, stock: &LaneStock) -> u64 {
    let shown: BTreeMap<&ItemId, i64> =
        stock.items.iter().map(|(item, stock)| (item, stock.free + stock.live)).collect();
    let all: BTreeSet<&ItemId> = items.keys().chain(shown.keys().copied()).collect();
    let off = |item: &&ItemId| {
        let wanted = items.get(*item).map_or(0, |sum| i64::try_from(sum.left()).unwrap_or(i64::MAX));
        shown.get(*item).copied().unwrap_or(0).abs_diff(wanted)
    };
    all.iter().map(off).sum()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use domain::Millis;
    use lua::lane::ItemStock;

    use super::*;

    #[test]
    fn units_that_are_missing_or_too_many_are_counted_by_item() {
        let item = |name: &str| name.parse::<ItemId>().unwrap();
        let sum = |allocated, sold| ItemSum { allocated, sold };
        let items: BTreeMap<_, _> = [(item("a"), sum(10, 4)), (item("b"), sum(5, 0))].into();
        let one = |free, live| ItemStock { free, live, moved: lua::lane::Moved::default() };
        let stock = |all: &[(&str, i64, i64)]| LaneStock {
            now: Millis(0),
            settled: 1,
            owned: true,
            items: all.iter().map(|(name, free, live)| (item(name), one(*free, *live))).collect(),
        };
        assert_eq!(difference(&items, &stock(&[("a", 4, 2), ("b", 5, 0)])), 0);
        assert_eq!(difference(&items, &stock(&[("a", 7, 2), ("b", 4, 0)])), 4);
        assert_eq!(difference(&items, &stock(&[("a", 4, 2)])), 5, "an item that Redis has lost");
        assert_eq!(difference(&items, &stock(&[("a", 4, 2), ("b", 5, 0), ("c", 2, 0)])), 2, "one nobody allocated");
    }
}
