//! The reconciler's outside view: compares, for ever, what Redis says of each lane and line with the ledger's logs.
//!
//! Each owner reconciles its own lane from within (`booker/src/owner/reconcile.rs`). This one trusts no owner: it has a fold of its
//! own, sees lanes and lines that nobody owns, and what an owner that is stuck does not mend. It only reads, in parts, on a thread
//! of its own, so it holds nobody up; it mends only free units, only towards the ledger, by the script that is refused unless the
//! lane stands where the fold does, and only what its owner has left wrong for a while.

mod lane;
mod line;

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

use crate::metrics::{Kind, Reconciling};
use lane::LaneWatch;
use line::LineWatch;

/// Events folded of one lane in one round: a lane with a long log is caught up with in several, and the others get their turn.
const PART: usize = MAX_READ_EVENTS;

/// What was found in one round, by kind.
#[derive(Default, Debug, PartialEq, Eq)]
pub(crate) struct Found(BTreeMap<Kind, u64>);

impl Found {
    fn add(&mut self, kind: Kind, amount: u64) {
        *self.0.entry(kind).or_default() += amount;
    }

    /// How much of a kind.
    pub(crate) fn of(&self, kind: Kind) -> u64 {
        self.0.get(&kind).copied().unwrap_or(0)
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
    metrics: Reconciling,
}

impl Reconciler {
    /// One that has seen nothing yet.
    pub(crate) fn new(redis: Redis, ledger: Ledger, sales: Sales, clock: Clock) -> Self {
        let (lanes, lines) = (BTreeMap::new(), BTreeMap::new());
        Self { redis, ledger, sales, clock, lanes, lines, metrics: Reconciling::new() }
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
        let (sales, mut found) = (self.sales.list(), Found::default());
        self.keep(&sales);
        let (redis, ledger) = (&self.redis, &self.ledger);
        for watch in self.lanes.values_mut() {
            watch.look(redis, ledger, &mut found).await;
        }
        for watch in self.lines.values_mut() {
            watch.look(redis, ledger, &mut found).await;
        }
        self.metrics.mended(found.of(Kind::Mended));
        found
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
