//! While another process owns the lane: the log is read along, so that a take-over folds only its tail (R5). And the way out: an
//! owner that has more than its share finishes what is under way and gives the lane back.

use std::sync::Arc;
use std::time::Duration;

use domain::LaneEvent;
use domain::event::Event as _;
use domain::limits::{
    CONFIRM_PATIENCE_MS, HEARTBEAT_MS, LEASE_EVERY_MS, LEASE_LEFT_MS, LEASE_MS, LEASE_REST_MS, TAIL_EVERY_MS,
};
use domain::spread::{Owned, Spread};
use ledger::Entry;
use lua::CallError;
use lua::lease::Lease;
use tokio::time::{Instant, sleep};

use super::tenure::{FOLD_PAGE, Phase};
use super::{Context, LaneOwner, What};
use crate::answer::LaneError;
use crate::fold::LaneFold;

/// See the module's text.
pub(super) struct Standby {
    /// What has been read of the log so far.
    fold: LaneFold,
    reading: bool,
    /// When the log is read next.
    at: Instant,
    spread: Option<Arc<Spread>>,
    /// Counts the lane among those of this process.
    owned: Option<Owned>,
    /// Nothing new is taken; gone at the latest then.
    leaving: Option<Instant>,
    /// The lane was given back: until then the lease is not this process', whatever an earlier question is answered.
    rests: Option<Instant>,
}

impl Standby {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            fold: LaneFold::default(),
            reading: false,
            at: now,
            spread: None,
            owned: None,
            leaving: None,
            rests: None,
        }
    }

    /// This process has its share of lanes: a free lease is left to others for a moment.
    pub(super) fn leaves_to_others(&self) -> bool {
        self.spread.as_ref().is_some_and(|spread| !spread.census().takes_at_once())
    }

    pub(super) const fn is_leaving(&self) -> bool {
        self.leaving.is_some()
    }

    /// The lane was given back a moment ago.
    pub(super) fn rests(&self, now: Instant) -> bool {
        self.rests.is_some_and(|until| now < until)
    }

    /// When the loop has to turn again at the latest.
    pub(super) fn wake(&self, wake: Instant) -> Instant {
        if self.spread.is_some() && !self.reading { wake.min(self.at) } else { wake }
    }

    /// The lease is this process'.
    pub(super) fn own(&mut self) {
        self.owned = self.spread.as_ref().map(Spread::own);
        self.reading = false;
    }

    /// The lane is another's.
    pub(super) fn lost(&mut self) {
        (self.owned, self.leaving) = (None, None);
    }

    /// What was read before the claim; nothing, when it is more than the log has: then the ledger is another one by now.
    pub(super) fn take_fold(&mut self, head: u64) -> LaneFold {
        let fold = std::mem::take(&mut self.fold);
        if fold.head() <= head { fold } else { LaneFold::default() }
    }
}

/// Takes or renews the lease. `left`: to be left to others for a moment where it is free.
pub(super) async fn lease(context: &Context, left: bool) -> Result<Lease, CallError> {
    let owner = &context.config.owner;
    if left {
        match lua::lease::holder(&context.redis, (&context.keys).into()).await? {
            Some(holder) if holder != *owner => return Ok(Lease::Other { owner: holder, left_ms: LEASE_EVERY_MS }),
            _ => sleep(Duration::from_millis(LEASE_LEFT_MS)).await,
        }
    }
    lua::lease::take(&context.redis, (&context.keys).into(), owner, LEASE_MS).await
}

impl LaneOwner {
    /// The lane is one of those that processes share: another one may own it, and its log is read along until then.
    #[must_use]
    pub fn sharing(mut self, spread: Arc<Spread>) -> Self {
        spread.add_thing();
        self.standby.spread = Some(spread);
        self
    }

    /// Reads on in the log.
    pub(super) fn tail(&mut self, now: Instant) {
        let standby = &mut self.standby;
        if standby.spread.is_none() || standby.reading || now < standby.at {
            return;
        }
        standby.reading = true;
        let (context, after) = (self.context.clone(), standby.fold.head());
        self.start(async move { What::Tail(context.ledger.read(&context.log, after, FOLD_PAGE).await) });
    }

    pub(super) fn on_tail(&mut self, result: Result<Vec<Entry>, ledger::Error>, now: Instant) {
        let standby = &mut self.standby;
        standby.reading = false;
        let entries = result.unwrap_or_default();
        // A ledger that is away is asked again as late as one that has nothing new.
        let pause_ms = match entries.len() {
            0 => HEARTBEAT_MS,
            FOLD_PAGE.. => 0,
            _ => TAIL_EVERY_MS,
        };
        standby.at = now + Duration::from_millis(pause_ms);
        for entry in entries {
            let event = LaneEvent::decode(&entry.event).ok();
            if event.is_none_or(|event| standby.fold.apply(entry.seq, &event).is_err()) {
                // Whoever claims the log reads it from the beginning, and says what is wrong with it.
                standby.fold = LaneFold::default();
                standby.at = now + Duration::from_millis(LEASE_REST_MS);
                return;
            }
        }
    }

    /// Begins to leave when this process has more than its share, and goes when nothing is under way. True: the lane was given back.
    pub(super) fn leave_when_idle(&mut self, now: Instant) -> bool {
        match self.standby.leaving {
            None if self.standby.owned.as_mut().is_some_and(Owned::has_to_go) => {
                tracing::info!(log = %self.context.log, "another process may own more: the lane is handed over");
                self.standby.leaving = Some(now + Duration::from_millis(CONFIRM_PATIENCE_MS));
                false
            }
            Some(until) if self.is_idle() || now >= until => {
                self.give_back(now);
                true
            }
            _ => false,
        }
    }

    fn give_back(&mut self, now: Instant) {
        let Phase::Serving(tenure) = std::mem::replace(&mut self.phase, Phase::Waiting) else { return };
        self.standby.fold = tenure.committer.into_fold();
        self.standby.at = now;
        self.standby.lost();
        // Whatever is still on its way was this claim's.
        self.claims += 1;
        self.orphan_confirms();
        self.abandon_parked(LaneError::NoOwner);
        self.timers.lease = now + Duration::from_millis(LEASE_REST_MS);
        self.standby.rests = Some(self.timers.lease);
        let context = self.context.clone();
        self.start(async move {
            let (redis, owner) = (&context.redis, &context.config.owner);
            // One that is not dropped ends by itself.
            let _ = lua::lease::drop(redis, (&context.keys).into(), owner).await;
            What::Lease(Ok(Lease::Other { owner: String::new(), left_ms: LEASE_REST_MS }))
        });
    }
}
