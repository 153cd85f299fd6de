//! The owner's eyes: heartbeat, undecided intents, ticker, the sale's stock, reconciliation, unloading (R7, R9).

use std::time::Duration;

use domain::event::Event as _;
use domain::limits::{
    DECIDED_KEEP_MS, HEARTBEAT_MS, MAX_FAULT_CREDIT_MS, MAX_READ_EVENTS, OVERDUE_AFTER_MS, OWNER_RETRY_MS,
};
use domain::{Act, Millis, SaleEvent};
use ledger::{Entry, Head};
use lua::CallError;
use lua::lane::{LaneMeta, LaneState, ReapReply, Undecided};
use tokio::time::Instant;

use super::tenure::{Phase, count};
use super::{LaneOwner, What, clock};
use crate::answer::LaneError;
use crate::committer::{Asked, Offered, Verdict};
use crate::convert;
use crate::decide::Intent;
use crate::stock::stock_of;

impl LaneOwner {
    /// A visitor's call found the lane other than expected: look at once instead of with the next heartbeat.
    pub(super) fn look_soon(&mut self, error: LaneError) {
        if error == LaneError::NotLoaded {
            self.look_now();
        }
    }

    /// Looks at Redis, then at the log: one look at a time.
    pub(super) fn look_now(&mut self) {
        let Phase::Serving(tenure) = &mut self.phase else { return };
        if std::mem::replace(&mut tenure.looking, true) {
            // What is seen now may be older than what made somebody ask. One look follows, however many ask.
            tenure.look_again = true;
            return;
        }
        tenure.look_again = false;
        let (asked, context) = (tenure.committer.ask(), self.context.clone());
        // While a fault may be under way nothing ends that it may extend, and nothing is overdue for that.
        let unsure_ms = if context.faults().is_fresh(clock()) { 0 } else { MAX_FAULT_CREDIT_MS };
        let patience_ms = OVERDUE_AFTER_MS + unsure_ms;
        self.start(async move {
            What::Meta(asked, lua::lane::meta_after(&context.redis, &context.keys, patience_ms).await)
        });
    }

    pub(super) fn on_meta(&mut self, asked: Asked, result: Result<LaneMeta, CallError>, now: Instant) {
        let state = match result {
            Ok(meta) => {
                self.on_state(asked, meta);
                Some(meta.state)
            }
            Err(error) => {
                self.redis_failed("look", &error, now);
                None
            }
        };
        let Phase::Serving(tenure) = &mut self.phase else { return };
        tenure.looking = false;
        if std::mem::take(&mut tenure.look_again) {
            self.timers.look = self.timers.look.min(now + Duration::from_millis(OWNER_RETRY_MS.0));
        }
        // A ledger that hangs must not keep the owner from seeing what becomes of Redis.
        if !std::mem::replace(&mut tenure.reading_head, true) {
            let context = self.context.clone();
            self.start(async move { What::Head(asked, state, context.ledger.head(&context.log).await) });
        }
    }

    fn on_state(&mut self, asked: Asked, meta: LaneMeta) {
        let over = self.is_over();
        let Phase::Serving(tenure) = &mut self.phase else { return };
        tenure.redis_failing = false;
        self.metrics.overdue.set(count(meta.overdue));
        match (meta.state, tenure.committer.is_unloaded()) {
            // Nobody needs a sale in Redis that is over: it is not loaded first only to be unloaded.
            (LaneState::Empty, false) if over => tenure.committer.unloaded(),
            (LaneState::Empty, true) => {}
            // An older copy of Redis has brought the lane back.
            (_, true) => self.start_unload(),
            (state, false) => {
                // Without the log's word this decides only what Redis needs: a fenced owner's load is refused by its epoch.
                tenure.committer.observe(asked, Some(state), None);
                self.on_view(meta.confirming > 0);
            }
        }
    }

    pub(super) fn on_head(&mut self, asked: Asked, state: Option<LaneState>, result: Result<Head, ledger::Error>) {
        let Phase::Serving(tenure) = &mut self.phase else { return };
        tenure.reading_head = false;
        let head = match result {
            Ok(head) => head,
            Err(error) => {
                tracing::warn!(log = %self.context.log, %error, "the lane's log cannot be looked at");
                return;
            }
        };
        match tenure.committer.observe(asked, state, Some(&head)) {
            Verdict::Fine => {}
            Verdict::StepDown => self.step_down("a look at the log found another writer"),
            Verdict::LedgerLostData => self.stop("the ledger has less than it had"),
        }
    }

    /// After each look that found the lane loaded: what may have been forgotten is told and read again.
    pub(super) fn on_view(&mut self, undecided: bool) {
        let Phase::Serving(tenure) = &mut self.phase else { return };
        if tenure.committer.settled().is_none() {
            return;
        }
        if !std::mem::replace(&mut tenure.told_passes, true) {
            let passes = tenure.committer.fold().passes().to_vec();
            if !passes.is_empty() {
                let _ = self.ended.send(passes);
            }
        }
        if undecided && !std::mem::replace(&mut tenure.rereading, true) {
            let context = self.context.clone();
            self.start(async move { What::Undecided(lua::lane::undecided_all(&context.redis, &context.keys).await) });
        }
    }

    /// Intents have no cursor: all of them are read, and those that nobody works on are decided (R7).
    pub(super) fn on_undecided(&mut self, result: Result<Vec<Undecided>, CallError>) {
        let Phase::Serving(tenure) = &mut self.phase else { return };
        tenure.rereading = false;
        let Ok(mut undecided) = result else { return };
        // The set has no order. A cancel that were decided before its own confirm would find nothing to cancel.
        undecided.sort_by_key(|found| matches!(found, Undecided::Cancel(_)));
        for found in undecided {
            let intent = match found {
                Undecided::Confirm(id, Some(record)) => convert::intent(id, &record),
                // No record says whose it is and what for. The set never names one; an edit by hand might.
                Undecided::Confirm(_, None) => None,
                Undecided::Cancel(id) => Some(Intent::Cancel { id }),
            };
            if let Some(intent) = intent {
                self.offer(intent);
            }
        }
    }

    pub(super) fn reap(&mut self) {
        let Phase::Serving(tenure) = &mut self.phase else { return };
        if tenure.committer.settled().is_none() || std::mem::replace(&mut tenure.reaping, true) {
            return;
        }
        let (context, cursor) = (self.context.clone(), tenure.reap_cursor);
        self.start(async move {
            let faults = context.faults();
            What::Reaped(lua::lane::reap(&context.redis, &context.keys, cursor, &faults).await)
        });
    }

    pub(super) fn on_reaped(&mut self, result: &Result<ReapReply, CallError>, now: Instant) {
        let Phase::Serving(tenure) = &mut self.phase else { return };
        tenure.reaping = false;
        let Ok(reaped) = result else { return };
        tenure.reap_cursor = reaped.cursor;
        tenure.reap_rounds += u64::from(reaped.cursor.holds == 0);
        if reaped.more {
            self.timers.reap = now;
        }
        if reaped.requeued > 0 {
            self.on_view(true);
        }
    }

    /// Reads what is new in the sale's log. Stock is decided there, and this lane's share is pulled into its own log.
    pub(super) fn pull_stock(&mut self) {
        let Phase::Serving(tenure) = &mut self.phase else { return };
        if std::mem::replace(&mut tenure.pulling, true) {
            return;
        }
        let (context, after) = (self.context.clone(), tenure.pulled);
        self.start(
            async move { What::SaleLog(context.ledger.read(&context.sale_log, after, MAX_READ_EVENTS / 10).await) },
        );
    }

    pub(super) fn on_sale_log(&mut self, result: Result<Vec<Entry>, ledger::Error>, now: Instant) {
        let Phase::Serving(tenure) = &mut self.phase else { return };
        tenure.pulling = false;
        let Ok(entries) = result else { return };
        if !entries.is_empty() {
            // Fewer than asked for is not the end: only an empty answer is.
            self.timers.pull = now;
        }
        let config = &self.context.config;
        for entry in entries {
            let event = match SaleEvent::decode(&entry.event) {
                Ok(event) => event,
                Err(error) => {
                    tracing::error!(log = %self.context.sale_log, seq = entry.seq, %error, "the sale's log cannot be read: its stock stays out");
                    self.timers.pull = now + Duration::from_millis(HEARTBEAT_MS);
                    return;
                }
            };
            let lanes = match &event.act {
                Act::Define { doc, .. } => doc.lanes,
                _ => self.context.config.doc.borrow().lanes,
            };
            if event.act == Act::Close {
                tenure.closed_at = Some(event.at);
            }
            if let Some(intent) = stock_of(&config.sale, entry.seq, &event, config.lane, lanes) {
                let known =
                    matches!(&intent, Intent::Stock { from, .. } if tenure.committer.fold().has_stock_from(from));
                if !known && tenure.offer(intent) == Offered::Full {
                    return;
                }
            }
            tenure.pulled = entry.seq;
        }
    }

    /// Whether the sale ended long enough ago that nobody needs its records in Redis: the fold answers (R6, growth).
    fn is_over(&self) -> bool {
        let Phase::Serving(tenure) = &self.phase else { return false };
        let over = [self.context.doc().closes_at, tenure.closed_at].into_iter().flatten().min();
        over.is_some_and(|over: Millis| clock() >= over.plus(DECIDED_KEEP_MS))
    }

    pub(super) fn unload_when_over(&mut self) {
        let Phase::Serving(tenure) = &self.phase else { return };
        let committer = &tenure.committer;
        let done = committer.settled() == Some(committer.fold().head()) && committer.undecided() == 0;
        if done && self.is_over() {
            self.start_unload();
        }
    }

    fn start_unload(&mut self) {
        let Phase::Serving(tenure) = &mut self.phase else { return };
        if std::mem::replace(&mut tenure.unloading, true) {
            return;
        }
        let (context, fence) = (self.context.clone(), tenure.committer.fence());
        self.start(async move { What::Unloaded(lua::lane::unload(&context.redis, &context.keys, fence).await) });
    }

    pub(super) fn on_unloaded(&mut self, result: Result<bool, CallError>, _now: Instant) {
        let Phase::Serving(tenure) = &mut self.phase else { return };
        tenure.unloading = false;
        match result {
            Ok(true) => {
                tracing::info!(log = %self.context.log, "the sale is over: the lane's keys were removed from Redis");
                tenure.committer.unloaded();
            }
            Ok(false) => self.look_now(),
            Err(error) => tracing::warn!(log = %self.context.log, %error, "the lane could not be unloaded"),
        }
    }
}
