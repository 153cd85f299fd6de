//! The reconciler's outside view: compares, for ever, what Redis says of each lane and line with the ledger's logs.
//!
//! Each owner reconciles its own lane from within (`booker/src/owner/reconcile.rs`). This one trusts no owner: it has a fold of its
//! own, sees lanes and lines that nobody owns, and what an owner that is stuck does not mend. It only reads, in parts, on a thread
//! of its own, so it holds nobody up; it mends only free units, only towards the ledger, by the script that is refused unless the
//! lane stands where the fold does, and only what its owner has left wrong for a while.

mod lane;
mod line;
mod sums;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use admission::{Clock, SaleMap, Sales};
use domain::limits::{HEARTBEAT_MS, MAX_READ_EVENTS, NO_OWNER_AFTER_MS};
use domain::{Phase, SaleId};
use ledger::Ledger;
use lua::Redis;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::metrics::{Invariant, Kind, Reconciling};
use lane::LaneWatch;
use line::LineWatch;

/// Events folded of one lane in one round: a lane with a long log is caught up with in several, and the others get their turn.
const PART: usize = MAX_READ_EVENTS;

/// Rounds in which something has to be found in a row before it counts as broken, or is mended here: its owner puts it right within
/// one, and what is read one after the other may not belong together once.
const LEFT_WRONG: u32 = 3;

/// What was found in one round.
#[derive(Default, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    kinds: BTreeMap<Kind, u64>,
    /// What breaks an invariant. Every sale that is watched is there.
    broken: BTreeMap<SaleId, BTreeMap<Invariant, u64>>,
    mended: u64,
}

impl Found {
    /// Nothing, of these sales.
    fn of_sales<'a>(sales: impl Iterator<Item = &'a SaleId>) -> Self {
        Self { broken: sales.map(|sale| (sale.clone(), BTreeMap::new())).collect(), ..Self::default() }
    }

    fn add(&mut self, kind: Kind, amount: u64) {
        *self.kinds.entry(kind).or_default() += amount;
    }

    fn breaks(&mut self, sale: &SaleId, invariant: Invariant, amount: u64) {
        if amount > 0 {
            *self.broken.entry(sale.clone()).or_default().entry(invariant).or_default() += amount;
        }
    }

    /// How much of a kind.
    pub(crate) fn of(&self, kind: Kind) -> u64 {
        self.kinds.get(&kind).copied().unwrap_or(0)
    }

    /// The sales that were watched.
    pub(crate) fn sales(&self) -> impl Iterator<Item = &SaleId> {
        self.broken.keys()
    }

    /// Whether this one was.
    pub(crate) fn watches(&self, sale: &SaleId) -> bool {
        self.broken.contains_key(sale)
    }

    /// How much breaks an invariant in a sale.
    pub(crate) fn broken(&self, sale: &SaleId, invariant: Invariant) -> u64 {
        self.broken.get(sale).and_then(|broken| broken.get(&invariant)).copied().unwrap_or(0)
    }

    /// Units that were put right.
    pub(crate) const fn mended(&self) -> u64 {
        self.mended
    }
}

/// Since when nobody has had a lease.
#[derive(Default)]
struct Unowned(Option<Instant>);

impl Unowned {
    /// True when nobody has had it for so long that a take-over would be over.
    fn see(&mut self, holder: Option<&str>, now: Instant) -> bool {
        if holder.is_some() {
            self.0 = None;
        }
        let since = self.0;
        if holder.is_none() {
            self.0 = Some(since.unwrap_or(now));
        }
        since.is_some_and(|since| now - since >= Duration::from_millis(NO_OWNER_AFTER_MS))
    }
}

/// See the module's text.
pub(crate) struct Reconciler {
    redis: Redis,
    ledger: Ledger,
    sales: Sales,
    clock: Clock,
    lanes: BTreeMap<(SaleId, u16), LaneWatch>,
    lines: BTreeMap<SaleId, LineWatch>,
    /// Rounds in a row in which a sale's lanes together had more units than it gave out.
    over: BTreeMap<SaleId, u32>,
    metrics: Reconciling,
}

impl Reconciler {
    /// One that has seen nothing yet.
    pub(crate) fn new(redis: Redis, ledger: Ledger, sales: Sales, clock: Clock) -> Self {
        let (lanes, lines, over) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { redis, ledger, sales, clock, lanes, lines, over, metrics: Reconciling::new() }
    }

    /// A round each second, until told to stop.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut tick = interval(Duration::from_millis(HEARTBEAT_MS));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
            tokio::select! {
                found = self.round() => self.metrics.found(&found),
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Looks at everything once.
    async fn round(&mut self) -> Found {
        let sales = self.sales.list();
        self.keep(&sales);
        let mut found = Found::of_sales(self.lanes.keys().map(|(sale, _)| sale));
        let (redis, ledger) = (&self.redis, &self.ledger);
        for watch in self.lanes.values_mut() {
            watch.look(redis, ledger, &mut found).await;
        }
        for watch in self.lines.values_mut() {
            watch.look(redis, ledger, &mut found).await;
        }
        self.sum_up(&sales, &mut found);
        found
    }

    /// I1 over all lanes of a sale: each lane's log may be right, and all of them together have too much.
    fn sum_up(&mut self, sales: &Arc<SaleMap>, found: &mut Found) {
        let watched: BTreeSet<SaleId> = found.sales().cloned().collect();
        self.over.retain(|sale, _| watched.contains(sale));
        for sale in watched {
            let Some(fold) = sales.get(&sale) else { continue };
            let lanes = self.lanes.range((sale.clone(), 0)..=(sale.clone(), u16::MAX)).map(|(_, lane)| lane.fold());
            let units = sums::beyond(&fold.stock, lanes);
            let rounds = self.over.entry(sale.clone()).or_default();
            *rounds = if units == 0 { 0 } else { *rounds + 1 };
            // An act of an operator that lanes have read, and this process has not yet, is there in the next round.
            if *rounds >= LEFT_WRONG {
                found.breaks(&sale, Invariant::Oversell, units);
                tracing::error!(%sale, units, "the lanes together have more units than the sale gave out (I1)");
            }
        }
    }

    /// Watches what is on sale; what is over is nobody's, and its keys go.
    fn keep(&mut self, sales: &Arc<SaleMap>) {
        let now = (self.clock)();
        let on_sale: Vec<_> = sales.values().filter(|fold| fold.phase(now) != Phase::Closed).collect();
        let ids: BTreeSet<&SaleId> = on_sale.iter().map(|fold| &fold.doc.id).collect();
        self.lanes.retain(|(sale, _), _| ids.contains(sale));
        self.lines.retain(|sale, _| ids.contains(sale));
        for fold in on_sale {
            let id = &fold.doc.id;
            for lane in 0..fold.doc.lanes {
                self.lanes.entry((id.clone(), lane)).or_insert_with(|| LaneWatch::new(id, lane));
            }
            if fold.doc.room().is_some() {
                self.lines.entry(id.clone()).or_insert_with(|| LineWatch::new(id));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_owns_it_only_after_the_time_of_a_take_over() {
        let (mut unowned, begin) = (Unowned::default(), Instant::now());
        let at = |ms| begin + Duration::from_millis(ms);
        assert!(!unowned.see(None, at(0)));
        assert!(!unowned.see(None, at(NO_OWNER_AFTER_MS - 1)));
        assert!(unowned.see(None, at(NO_OWNER_AFTER_MS)));
        assert!(!unowned.see(Some("1@a"), at(NO_OWNER_AFTER_MS + 1)));
        assert!(!unowned.see(None, at(NO_OWNER_AFTER_MS + 2)), "counted anew");
    }
}
