//! Who owns the lane: lease, claim, fold, step down, stop (R5, R9).

use std::time::Duration;

use domain::event::Event as _;
use domain::limits::{
    CONFIRM_REPEAT_MS, HEARTBEAT_MS, LEASE_EVERY_MS, LEASE_MS, REAP_EVERY_MS, RECONCILE_EVERY_MS, RECOUNT_EVERY_MS,
};
use domain::{LaneEvent, Millis};
use ledger::{Entry, Writer};
use lua::CallError;
use lua::lane::ReapCursor;
use lua::lease::Lease;
use tokio::time::Instant;

use super::ages::Ages;
use super::backoff::Backoff;
use super::damage::Damage;
use super::{LaneOwner, What};
use crate::answer::{LaneError, LaneStatus};
use crate::committer::{Committer, Offered};
use crate::decide::Intent;
use crate::fold::LaneFold;

/// Events of one read when a log is folded: the thread belongs to other lanes as well.
pub(super) const FOLD_PAGE: usize = 2_000;

/// Where the owner stands.
pub(super) enum Phase {
    /// Without the lease. Nobody claims without it.
    Waiting,
    /// Claiming the log; when it fails, from here again.
    Claiming(Claiming),
    /// The log is claimed and being read.
    Folding(Box<Folding>),
    /// The owner.
    Serving(Box<Tenure>),
    /// The ledger lost data, or contradicts itself: for ever, until somebody restarts the program.
    Stopped,
}

#[derive(Default)]
pub(super) struct Claiming {
    retry: Backoff,
    asking: bool,
}

pub(super) struct Folding {
    writer: Writer,
    fold: LaneFold,
    retry: Backoff,
    reading: bool,
}

/// What one claim is good for.
pub(super) struct Tenure {
    pub(super) committer: Committer,
    /// When each intent that waits was offered.
    ages: Ages,
    pub(super) writer: Writer,
    /// Passes that the settle under way marks as ended in Redis.
    pub(super) ending: Vec<u64>,
    /// The passes of the whole log were reported.
    pub(super) told_passes: bool,
    pub(super) append_retry: Backoff,
    pub(super) appending_since: Option<Instant>,
    pub(super) redis_retry: Backoff,
    pub(super) replaying: bool,
    pub(super) looking: bool,
    pub(super) reading_head: bool,
    /// Another look is wanted, at once.
    pub(super) look_again: bool,
    pub(super) redis_failing: bool,
    pub(super) damage: Damage,
    pub(super) rereading: bool,
    pub(super) reaping: bool,
    pub(super) reap_cursor: ReapCursor,
    pub(super) pulling: bool,
    /// Seq of the sale's log up to which stock was taken over.
    pub(super) pulled: u64,
    /// When an operator closed the sale.
    pub(super) closed_at: Option<Millis>,
    /// Whole rounds of the ticker over all records.
    pub(super) reap_rounds: u64,
    pub(super) recounting: bool,
    /// The ticker's round in which live units were first seen to be wrong.
    pub(super) miscounted: Option<u64>,
    pub(super) mending: bool,
    pub(super) mend_wanted: bool,
    pub(super) unloading: bool,
}

impl Tenure {
    /// Gives an intent to the committer, and remembers since when it waits.
    pub(super) fn offer(&mut self, intent: Intent) -> Offered {
        self.ages.keep(self.committer.undecided());
        let offered = self.committer.offer(intent);
        if offered == Offered::Queued {
            self.ages.add(Instant::now());
        }
        offered
    }
}

/// When something is to be done next.
pub(super) struct Timers {
    pub(super) lease: Instant,
    pub(super) look: Instant,
    pub(super) reap: Instant,
    pub(super) pull: Instant,
    repeat: Instant,
    reconcile: Instant,
    pub(super) recount: Instant,
    leasing: bool,
}

impl Timers {
    pub(super) const fn new(now: Instant) -> Self {
        Self { lease: now, look: now, reap: now, pull: now, repeat: now, reconcile: now, recount: now, leasing: false }
    }
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A pause that is over and was not followed by a try has nothing to try: it must not keep the loop awake.
fn soonest(wake: Instant, retry: Backoff) -> Instant {
    retry.until().filter(|until| *until > Instant::now()).map_or(wake, |until| wake.min(until))
}

impl LaneOwner {
    /// The committed fold, while this is the owner.
    pub(super) fn fold(&self) -> Option<&LaneFold> {
        match &self.phase {
            Phase::Serving(tenure) => Some(tenure.committer.fold()),
            _ => None,
        }
    }

    pub(super) fn is_unloaded(&self) -> bool {
        matches!(&self.phase, Phase::Serving(tenure) if tenure.committer.is_unloaded())
    }

    /// Nothing is under way that somebody waits for.
    pub(super) fn is_idle(&self) -> bool {
        let committed = match &self.phase {
            Phase::Serving(tenure) => {
                tenure.committer.undecided() == 0
                    && (!tenure.committer.is_settling() || tenure.redis_retry.is_failing())
            }
            _ => true,
        };
        let moved = self.neighbours.as_ref().is_none_or(|all| all.is_idle());
        committed && moved && self.giving.is_empty() && self.visitors.is_idle() && self.confirms.is_idle()
    }

    /// Does what is due.
    pub(super) fn on_timers(&mut self, now: Instant) {
        if now >= self.timers.lease && !self.timers.leasing && !matches!(self.phase, Phase::Stopped) {
            self.timers.lease = now + ms(LEASE_EVERY_MS);
            self.timers.leasing = true;
            let context = self.context.clone();
            let left = self.standby.leaves_to_others() && matches!(self.phase, Phase::Waiting);
            self.start(async move { What::Lease(super::standby::lease(&context, left).await) });
        }
        match &self.phase {
            Phase::Waiting => self.tail(now),
            Phase::Stopped => {}
            Phase::Claiming(_) => self.claim(now),
            Phase::Folding(_) => self.read_page(now),
            Phase::Serving(_) => self.on_tenure_timers(now),
        }
    }

    fn on_tenure_timers(&mut self, now: Instant) {
        if self.leave_when_idle(now) {
            return;
        }
        if now >= self.timers.repeat {
            self.timers.repeat = now + ms(CONFIRM_REPEAT_MS) / 4;
            self.repeat_confirms(now);
        }
        if now >= self.timers.look {
            self.timers.look = now + ms(HEARTBEAT_MS);
            self.look_now();
            self.unload_when_over();
        }
        if now >= self.timers.reap {
            self.timers.reap = now + ms(REAP_EVERY_MS);
            self.reap();
        }
        if now >= self.timers.pull {
            self.timers.pull = now + ms(HEARTBEAT_MS);
            self.pull_stock();
        }
        if now >= self.timers.reconcile {
            self.timers.reconcile = now + ms(RECONCILE_EVERY_MS);
            self.reconcile_soon();
        }
        self.on_sibling_timers(now);
        if now >= self.timers.recount {
            self.timers.recount = now + ms(RECOUNT_EVERY_MS);
            self.recount();
        }
    }

    /// When the loop has to turn again although nothing comes.
    pub(super) fn next_wake(&self) -> Instant {
        let timers = &self.timers;
        let mut wake = if timers.leasing { timers.lease + ms(LEASE_MS) } else { timers.lease };
        match &self.phase {
            Phase::Waiting => wake = self.standby.wake(wake),
            // The lease is not asked for any more: its time stays in the past.
            Phase::Stopped => wake = Instant::now() + ms(HEARTBEAT_MS),
            Phase::Claiming(claiming) => wake = soonest(wake, claiming.retry),
            Phase::Folding(folding) => wake = soonest(wake, folding.retry),
            Phase::Serving(tenure) => {
                for timer in [timers.look, timers.reap, timers.pull, timers.repeat, timers.reconcile, timers.recount] {
                    wake = wake.min(timer);
                }
                wake = soonest(soonest(wake, tenure.append_retry), tenure.redis_retry);
                wake = self.neighbours.as_ref().and_then(|all| all.wake()).map_or(wake, |at| wake.min(at));
            }
        }
        wake
    }

    pub(super) fn on_lease(&mut self, result: Result<Lease, CallError>, now: Instant) {
        self.timers.leasing = false;
        match result {
            Ok(Lease::Mine) if matches!(self.phase, Phase::Waiting) && !self.standby.rests(now) => {
                self.standby.own();
                self.phase = Phase::Claiming(Claiming::default());
                self.claim(now);
            }
            // Not before it ends, and then at once: who died is followed as soon as may be.
            Ok(Lease::Other { left_ms, .. }) if matches!(self.phase, Phase::Waiting) => {
                self.timers.lease = self.timers.lease.min(now + ms(left_ms + 1));
            }
            // Renewed; or another has it, or Redis is away: an owner goes on until the fence refuses it (R5).
            Ok(_) => {}
            Err(error) if matches!(self.phase, Phase::Waiting) => {
                tracing::debug!(log = %self.context.log, %error, "no lease on the lane");
                self.timers.lease = self.timers.lease.max(now + ms(LEASE_EVERY_MS));
            }
            Err(_) => {}
        }
    }

    fn claim(&mut self, now: Instant) {
        let Phase::Claiming(claiming) = &mut self.phase else { return };
        if claiming.asking || !claiming.retry.is_over(now) {
            return;
        }
        claiming.asking = true;
        self.claims += 1;
        let context = self.context.clone();
        self.start(async move { What::Claimed(context.ledger.claim(&context.log, &context.config.owner).await) });
    }

    pub(super) fn on_claimed(&mut self, result: Result<Writer, ledger::Error>, now: Instant) {
        let Phase::Claiming(claiming) = &mut self.phase else { return };
        match result {
            Ok(writer) => {
                self.metrics.takeovers.increment(1);
                tracing::info!(log = %writer.log, fence = writer.fence, head = writer.head, "lane claimed");
                let fold = self.standby.take_fold(writer.head);
                let folding = Folding { writer, fold, retry: Backoff::default(), reading: false };
                self.phase = Phase::Folding(Box::new(folding));
                self.read_page(now);
            }
            Err(error) => {
                tracing::warn!(log = %self.context.log, %error, "the lane's log cannot be claimed");
                claiming.asking = false;
                claiming.retry.failed(now);
            }
        }
    }

    /// Reads the next part of the log, or begins to serve when all of it is folded.
    fn read_page(&mut self, now: Instant) {
        let Phase::Folding(folding) = &mut self.phase else { return };
        if folding.fold.head() == folding.writer.head {
            return self.serve();
        }
        if folding.reading || !folding.retry.is_over(now) {
            return;
        }
        folding.reading = true;
        let after = folding.fold.head();
        let context = self.context.clone();
        self.start(async move { What::Page(context.ledger.read(&context.log, after, FOLD_PAGE).await) });
    }

    pub(super) fn on_page(&mut self, result: Result<Vec<Entry>, ledger::Error>, now: Instant) {
        let Phase::Folding(folding) = &mut self.phase else { return };
        folding.reading = false;
        let entries = match result {
            Ok(entries) => entries,
            Err(error) => {
                tracing::warn!(log = %self.context.log, %error, "the lane's log cannot be read");
                folding.retry.failed(now);
                return;
            }
        };
        folding.retry.done();
        if entries.is_empty() {
            return self.stop("the log ends before its head");
        }
        for entry in entries {
            // What is behind the claim's head was written by a later owner; the first append or look finds out.
            if entry.seq > folding.writer.head {
                break;
            }
            let applied = LaneEvent::decode(&entry.event)
                .map_err(|error| error.to_string())
                .and_then(|event| folding.fold.apply(entry.seq, &event).map_err(|error| error.to_string()));
            if let Err(why) = applied {
                return self.stop(&why);
            }
        }
        self.read_page(now);
    }

    fn serve(&mut self) {
        let Phase::Folding(folding) = std::mem::replace(&mut self.phase, Phase::Waiting) else { return };
        let Folding { writer, fold, .. } = *folding;
        let tenure = Tenure {
            committer: Committer::new(writer.fence, fold, self.context.bounds),
            ages: Ages::default(),
            writer,
            ending: vec![],
            told_passes: false,
            append_retry: Backoff::default(),
            appending_since: None,
            redis_retry: Backoff::default(),
            replaying: false,
            looking: false,
            reading_head: false,
            look_again: false,
            redis_failing: false,
            damage: Damage::default(),
            rereading: false,
            reaping: false,
            reap_cursor: ReapCursor::default(),
            pulling: false,
            pulled: 0,
            closed_at: None,
            reap_rounds: 0,
            recounting: false,
            miscounted: None,
            mending: false,
            mend_wanted: false,
            unloading: false,
        };
        self.phase = Phase::Serving(Box::new(tenure));
        let lease = (self.timers.lease, self.timers.leasing);
        self.timers = Timers::new(Instant::now());
        (self.timers.lease, self.timers.leasing) = lease;
        if let Some(neighbours) = &mut self.neighbours {
            neighbours.begin(self.context.config.lane, Instant::now());
        }
        self.answer_open();
        self.look_now();
        self.pull_stock();
    }

    /// The log has another writer: stop, ask for the lease and claim anew, never resume (R9).
    pub(super) fn step_down(&mut self, why: &'static str) {
        tracing::warn!(log = %self.context.log, why, "the lane has another writer: stepping down");
        self.metrics.stepdowns.increment(1);
        self.standby.lost();
        self.phase = Phase::Waiting;
        self.claims += 1;
        self.orphan_confirms();
        self.abandon_parked(LaneError::NoOwner);
        self.timers.lease = Instant::now();
    }

    /// Nothing that could be done from here would be right: stop the lane and call for somebody (R9).
    pub(super) fn stop(&mut self, why: &str) {
        tracing::error!(log = %self.context.log, why, "the lane is STOPPED: the ledger lost data or is damaged; restore it, then restart holdfast");
        self.standby.lost();
        self.phase = Phase::Stopped;
        self.claims += 1;
        self.orphan_confirms();
        self.abandon_confirms();
        self.abandon_parked(LaneError::Stopped);
    }

    /// Whether this owner has, or is about to get, the lane: it then gives the lease back when it ends.
    pub(super) const fn wants_lease(&self) -> bool {
        !matches!(self.phase, Phase::Waiting | Phase::Stopped)
    }

    /// Publishes how the lane is doing, when that has changed.
    pub(super) fn report(&mut self) {
        let mut now = LaneStatus::default();
        let mut oldest = Duration::ZERO;
        let state = match &mut self.phase {
            Phase::Waiting => "waiting",
            Phase::Claiming(_) => "claiming",
            Phase::Folding(_) => "folding",
            Phase::Stopped => {
                now.stopped = true;
                "stopped"
            }
            Phase::Serving(tenure) => {
                let committer = &tenure.committer;
                now = LaneStatus {
                    owned: true,
                    loaded: committer.settled().is_some(),
                    unloaded: committer.is_unloaded(),
                    stopped: false,
                    fence: committer.fence(),
                    head: committer.fold().head(),
                    settled: committer.settled().unwrap_or(0),
                    undecided: committer.undecided(),
                    ledger_failing: tenure.append_retry.is_failing()
                        || tenure.appending_since.is_some_and(|since| since.elapsed() >= ms(HEARTBEAT_MS)),
                    redis_failing: tenure.redis_failing,
                };
                self.metrics.undecided.set(count(now.undecided as u64));
                tenure.ages.keep(now.undecided);
                oldest = tenure.ages.oldest(Instant::now());
                if now.loaded {
                    self.metrics.settle_lag.set(count(now.head - now.settled.min(now.head)));
                }
                match (now.unloaded, now.loaded) {
                    (true, _) => "unloaded",
                    (false, true) => "serving",
                    (false, false) => "loading",
                }
            }
        };
        let metrics = &self.metrics;
        metrics.oldest_intent.set(oldest.as_secs_f64());
        self.status.send_if_modified(|status| {
            let changed = *status != now;
            if changed {
                metrics.state(state);
                if !now.owned {
                    // What the next owner sees counts from now on.
                    metrics.overdue.set(0.0);
                }
                *status = now;
            }
            changed
        });
    }
}

/// A count as a gauge's value; exact below 2^53.
#[allow(clippy::cast_precision_loss)]
pub(super) const fn count(value: u64) -> f64 {
    value as f64
}
