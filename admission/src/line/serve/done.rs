//! What the owner makes of a call that has ended.

use std::time::Duration;

use ledger::{Append, Applied, Head};
use lua::line::LineState;

use super::super::LineError;
use super::super::desk::{Draft, NotAppended, Written};
use super::super::places::Next;
use super::super::publish::Told;
use super::{Done, Look, Served, Server, Tell, Timing};
use crate::step::Answered;

impl Server<'_> {
    /// Acts on an outcome. `Some`: this ownership is over.
    pub(super) fn done(&mut self, done: Done) -> Option<Served> {
        match done {
            Done::Joined(group, reply) => {
                self.busy.join = false;
                let now = self.now();
                let next = self.places.joined(&mut self.desk, group, reply, now);
                self.next(next);
                None
            }
            Done::Presented(group, reply) => {
                self.busy.present = false;
                let next = self.places.presented(&mut self.desk, group, reply);
                self.next(next);
                None
            }
            Done::Appended(draft, timing, outcome) => {
                self.busy.append = false;
                self.appended(*draft, timing, outcome)
            }
            Done::Told(state, told) => {
                self.busy.tell = false;
                self.told(state, told);
                None
            }
            Done::Looked(look, head, took) => {
                self.busy.look = false;
                self.answered(head.is_ok(), took);
                self.looked(look, head)
            }
            Done::Ordered(order, places) => {
                self.busy.order = false;
                if let Some(places) = places {
                    self.desk.hall.drawn(order, places);
                }
                None
            }
            Done::Renewed => {
                self.busy.renew = false;
                None
            }
        }
    }

    /// The ledger answered, or failed to: admission goes by it. A failure counts until the next answer.
    fn answered(&mut self, ok: bool, took: Duration) {
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.ledger = ok.then(|| Answered { at: self.now(), took_ms });
    }

    fn next(&mut self, next: Next) {
        if next == Next::Load {
            self.tell = Tell::Anyway;
        }
    }

    fn appended(&mut self, draft: Draft, timing: Timing, outcome: Result<Append, ledger::Error>) -> Option<Served> {
        self.answered(outcome.is_ok(), timing.begin.elapsed());
        let metrics = &self.owner.metrics;
        match outcome {
            Ok(Append::Appended(writer)) => {
                metrics.append.record(timing.begin.elapsed());
                if let Some(tick) = timing.tick {
                    metrics.step.record(tick.elapsed());
                }
                metrics.entries.increment(1);
                if let Some((from, to)) = draft.event.fault {
                    let (sale, ms) = (&self.owner.config.sale, to.since(from));
                    tracing::warn!(%sale, %from, ms, "visitors could not be served: what they had then ends later by as much");
                    metrics.faults.increment(1);
                    metrics.fault_seconds.increment(ms.div_ceil(1_000));
                }
                self.append_failed = false;
                self.writer = writer;
                match self.desk.appended(draft) {
                    Ok(written) => {
                        metrics.passes.increment(written.granted);
                        metrics.returns.increment(written.returns);
                        self.count_classes(&written);
                    }
                    Err(why) => {
                        tracing::error!(sale = %self.owner.config.sale, "the line's log has an entry it must not have: {why}");
                        return Some(Served::Lost);
                    }
                }
                None
            }
            Ok(Append::Fenced(head)) => {
                tracing::info!(sale = %self.owner.config.sale, fence = head.fence, by = head.owner, "another owner writes the line's log");
                self.desk.not_appended(draft, NotAppended::Fenced);
                Some(Served::Lost)
            }
            Err(error) => {
                self.append_went_wrong(draft, &error);
                None
            }
        }
    }

    /// Who was called out of a class, and whether somebody else waited: nobody is bypassed without being counted.
    fn count_classes(&self, written: &Written) {
        let Some(rules) = self.rules(self.now()) else { return };
        for (class, called) in
            rules.room.classes.iter().zip(written.classes.iter().skip(1)).filter(|(_, called)| **called > 0)
        {
            let bypasses = if written.bypasses { *called } else { 0 };
            self.owner.metrics.class_called(class.id.as_str(), *called, bypasses);
        }
    }

    /// The ledger is away, or does not say. Nobody is called and no pass is granted; joins go on as far as numbers are
    /// logged. The same writer tries again: if the entry is there after all, the fence says so, and everything is folded anew (R4).
    fn append_went_wrong(&mut self, draft: Draft, error: &ledger::Error) {
        if !self.append_failed {
            tracing::warn!(sale = %self.owner.config.sale, "nobody is called until the line can be logged: {error}");
        }
        self.append_failed = true;
        let why = match error.applied() {
            Applied::No => NotAppended::No,
            Applied::Unknown => NotAppended::Unknown,
        };
        self.desk.not_appended(draft, why);
        if self.desk.numbers.left() == 0 {
            self.places.close_joins(LineError::Unavailable);
        }
        self.pause_appends();
    }

    fn told(&mut self, state: LineState, told: Told) {
        self.tell_failed = told != Told::Done;
        match told {
            Told::Done => self.told = Some(state),
            Told::Ahead { epoch, settled } => {
                tracing::warn!(sale = %self.owner.config.sale, epoch, settled, "Redis shows a later line than this owner's");
                self.told = None;
                self.ahead = true;
                self.look();
            }
            Told::Failed(error) => {
                tracing::debug!(sale = %self.owner.config.sale, "the line is not published: {error}");
                self.told = None;
            }
        }
    }

    /// The log has the last word on who its writer is (R9).
    fn looked(&mut self, look: Look, head: Result<Head, ledger::Error>) -> Option<Served> {
        let Ok(head) = head else { return None };
        let sale = &self.owner.config.sale;
        if head.fence > self.writer.fence {
            tracing::info!(%sale, fence = head.fence, by = head.owner, "another owner has claimed the line's log");
            return Some(Served::Lost);
        }
        if head.fence < self.writer.fence || head.head < look.head || look.ahead {
            tracing::error!(%sale, "the ledger has lost entries of the line's log: restore it from its latest copy and start again; until then nobody is let in");
            return Some(Served::Damaged);
        }
        None
    }
}
