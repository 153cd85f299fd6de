//! What the owner sends: joins, presented tickets, entries, the line's state, its lease, looks at the log.

use std::time::Duration;

use domain::event::Event as _;
use domain::limits::{LEASE_MS, STEP_MS};
use domain::{Millis, Phase};
use lua::line::LineState;
use tokio::time::Instant;

use super::super::desk::{Calls, Draft, NotAppended};
use super::super::publish::tell;
use super::super::rules::Rules;
use super::super::{LineError, LineStatus};
use super::{Done, Look, Server, Tell, Timing};
use crate::step::Health;
use crate::view::shown::{Shown, ShownClass, ShownLobby};

/// A clock this far behind the log is worth a line, milliseconds.
const CLOCK_BEHIND_MS: u64 = 1_000;

impl Server<'_> {
    /// Sends whatever can be sent now.
    pub(super) fn send(&mut self) {
        self.send_joins();
        self.send_presents();
        self.send_order();
        self.send_entry();
        self.send_state();
    }

    fn send_joins(&mut self) {
        if self.busy.join {
            return;
        }
        if let Some((group, call)) = self.places.join_group(self.writer.fence, &mut self.desk.numbers) {
            self.busy.join = true;
            let (redis, keys) = (self.owner.redis.clone(), self.owner.keys.clone());
            self.calls.push(Box::pin(async move {
                let reply = lua::line::join(&redis, &keys, &call).await;
                Done::Joined(group, reply)
            }));
        }
    }

    fn send_presents(&mut self) {
        if self.busy.present {
            return;
        }
        if let Some((group, call)) = self.places.present_group(&self.desk.fold) {
            self.busy.present = true;
            let (redis, keys, epoch) = (self.owner.redis.clone(), self.owner.keys.clone(), self.writer.fence);
            self.calls.push(Box::pin(async move {
                let reply = lua::line::present(&redis, &keys, epoch, &call).await;
                Done::Presented(group, reply)
            }));
        }
    }

    /// Computes the order of a lobby that has closed, beside everything else: it is many milliseconds of work.
    fn send_order(&mut self) {
        if self.busy.order || self.desk.fold.lobby().is_over() {
            return;
        }
        let Some(rules) = self.rules(self.now()) else { return };
        if let Some(order) = self.desk.hall.to_draw(&self.desk.fold, &rules) {
            self.busy.order = true;
            self.calls.push(Box::pin(async move {
                let drawing = order.clone();
                let places = tokio::task::spawn_blocking(move || drawing.draw()).await.ok();
                Done::Ordered(order, places)
            }));
        }
    }

    /// Steps if it is time, and appends what there is to say. While an append is under way the next group piles up.
    fn send_entry(&mut self) {
        if self.busy.append || Instant::now() < self.append_after {
            return;
        }
        let now = self.now();
        let Some(rules) = self.rules(now) else { return };
        let tick = self.step_due.take();
        let calls = if tick.is_some() { self.step(&rules, now) } else { Calls::default() };
        match self.desk.draft(&rules, calls, self.places.joins_wait(), now) {
            Some(draft) => self.append(draft, tick),
            None => drop(tick.map(|tick| self.owner.metrics.step.record(tick.elapsed()))),
        }
    }

    fn append(&mut self, draft: Draft, tick: Option<Instant>) {
        let text = self.desk.check(&draft).map_err(|e| e.to_string());
        match text.and_then(|()| draft.event.encode().map_err(|e| e.to_string())) {
            Ok(text) => {
                self.busy.append = true;
                let (ledger, writer) = (self.owner.ledger.clone(), self.writer.clone());
                let timing = Timing { tick, begin: Instant::now() };
                self.calls.push(Box::pin(async move {
                    let appended = ledger.append(&writer, &[text]).await;
                    Done::Appended(Box::new(draft), timing, appended)
                }));
            }
            Err(why) => {
                let sale = &self.owner.config.sale;
                tracing::error!(%sale, "an entry that the line's log must not get, please report it: {why}");
                self.desk.not_appended(draft, NotAppended::No);
                self.pause_appends();
            }
        }
    }

    /// After a failure: the next try belongs to the next tick.
    pub(super) fn pause_appends(&mut self) {
        self.append_after = Instant::now() + Duration::from_millis(STEP_MS);
    }

    fn step(&mut self, rules: &Rules, now: Millis) -> Calls {
        self.desk.fold.keep_turns_for(rules.room.claim_grace_ms);
        self.tell_keys();
        let view = &self.owner.config.view;
        if let Some(sound) = view.sound_at() {
            self.desk.watch.sound(sound, rules);
        }
        let health = Health { redis: view.redis(), ledger: self.ledger, payment: None };
        let decision = self.desk.step(rules, view.stock(now), health, now);
        self.binding = decision.binding;
        self.owner.metrics.terms(&decision.terms);
        let habits = self.desk.fold.habits();
        self.owner.metrics.habits(habits.stay_ms(rules.room.pass_ttl_ms), habits.show_permille());
        if rules.phase == Phase::Closed {
            self.places.close_joins(LineError::Closed);
        }
        self.tell_clock(now);
        self.tell_status(now);
        for (class, known) in (1..).zip(&rules.room.classes) {
            self.owner.metrics.class_waiting(known.id.as_str(), self.desk.fold.classes().waiting(class));
        }
        if domain::planted::is(domain::planted::Bug::FrontierJumps) {
            return Calls::from((decision.frontier + 500).min(self.desk.fold.numbers_to()));
        }
        Calls { frontier: decision.frontier, classes: decision.calls }
    }

    /// Nobody is let in before the draw, and this process must not draw.
    fn tell_keys(&mut self) {
        let other = !self.desk.fold.lobby().is_over() && self.desk.hall.has_other_keys(&self.desk.fold);
        if other && !self.keys_said {
            let sale = &self.owner.config.sale;
            tracing::error!(%sale, "the lobby was begun under another visitor key than this process has: give it the keys file of the others, or of before; until then nobody comes in and nothing is drawn");
        }
        self.keys_said = other;
    }

    fn tell_clock(&mut self, now: Millis) {
        let behind = self.desk.fold.at().since(now);
        let far = behind >= CLOCK_BEHIND_MS;
        if far && !self.clock_said {
            let (sale, seconds) = (&self.owner.config.sale, behind.div_ceil(1_000));
            tracing::warn!(%sale, "this machine's clock is {seconds} s behind the line's log: set it right, few are let in until then");
        }
        self.clock_said = far;
    }

    /// Status and gauges, once per tick.
    pub(super) fn tell_status(&mut self, now: Millis) {
        let fold = &mut self.desk.fold;
        let status = LineStatus {
            owned: true,
            loaded: self.told.is_some(),
            stopped: false,
            redis_failing: self.tell_failed,
            fence: self.writer.fence,
            head: fold.seq(),
            frontier: fold.frontier(),
            issued: self.desk.numbers.issued(),
            numbers_to: fold.numbers_to(),
            lobby: if fold.lobby().is_over() { 0 } else { fold.lobby().count() },
            active: fold.active(),
            unclaimed: fold.unclaimed(now.not_before(fold.at())),
            binding: self.binding,
            at: fold.at(),
        };
        let waiting = fold.gaps().people(status.frontier, status.issued);
        self.owner.metrics.status(&status, waiting, status.at.since(now));
        self.owner.inbox.status.send_if_modified(|shown| {
            let changed = *shown != status;
            *shown = status;
            changed
        });
    }

    /// Publishes at once when the frontier moved, with the next tick when something else did, and each second in any
    /// case; one call at a time.
    fn send_state(&mut self) {
        let frontier = self.desk.fold.frontier();
        let moved = self.told.as_ref().is_some_and(|told| told.frontier < frontier);
        if self.busy.tell || (self.tell == Tell::No && (!moved || self.tell_failed)) {
            return;
        }
        let why = std::mem::take(&mut self.tell);
        let now = self.now();
        let state = self.state(now);
        if why != Tell::Anyway && self.told.as_ref() == Some(&state) {
            return;
        }
        let over = self.rules(now).is_some_and(|rules| rules.over);
        self.busy.tell = true;
        let (redis, keys, sale) = (self.owner.redis.clone(), self.owner.keys.clone(), self.owner.config.sale.clone());
        let damaged = self.owner.metrics.damaged.clone();
        self.calls.push(Box::pin(async move {
            let told = tell(redis, keys, sale, state.clone(), moved, over, damaged).await;
            Done::Told(state, told)
        }));
    }

    fn state(&mut self, now: Millis) -> LineState {
        let fold = &mut self.desk.fold;
        let (frontier, unclaimed) = (fold.frontier(), fold.unclaimed(now.not_before(fold.at())));
        let shown = Shown {
            issued: self.desk.numbers.issued(),
            called: fold.called().last_minute(),
            active: fold.active(),
            unclaimed,
            binding: self.binding,
            gaps: Shown::gaps_of(fold.gaps(), frontier),
            classes: ShownClass::of(fold.classes()),
            lobby: ShownLobby::of(fold.lobby()),
            faults: fold.faults().windows().to_vec(),
            faults_known_to: self.desk.watch.published(),
        };
        LineState {
            epoch: self.writer.fence,
            settled: fold.seq(),
            frontier,
            numbers_to: fold.numbers_to(),
            doc: shown.encode(),
        }
    }

    /// Each second: Redis is told anew, whatever it has, and the log's fence is looked at (R9).
    pub(super) fn beat(&mut self) {
        self.tell = Tell::Anyway;
        self.look();
    }

    /// Asks the log whether it is still this owner's.
    pub(super) fn look(&mut self) {
        if self.busy.look {
            return;
        }
        self.busy.look = true;
        let look = Look { head: self.writer.head, ahead: self.ahead };
        let (ledger, log) = (self.owner.ledger.clone(), self.owner.log.clone());
        self.calls.push(Box::pin(async move {
            let begin = Instant::now();
            let head = ledger.head(&log).await;
            Done::Looked(look, head, begin.elapsed())
        }));
    }

    /// Keeps the lease. Without it this owner goes on until a fence refuses it (R5).
    pub(super) fn renew(&mut self) {
        if self.busy.renew {
            return;
        }
        self.busy.renew = true;
        let (redis, keys, owner) = (self.owner.redis.clone(), self.owner.keys.clone(), self.owner.config.owner.clone());
        self.calls.push(Box::pin(async move {
            if let Err(error) = lua::lease::take(&redis, (&keys).into(), &owner, LEASE_MS).await {
                tracing::debug!("the lease of a line is not renewed: {error}");
            }
            Done::Renewed
        }));
    }
}
