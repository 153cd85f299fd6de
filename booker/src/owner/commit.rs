//! Appending groups, and telling Redis: settles, replays, loads (R4, R8, R9).

use domain::LaneEvent;
use domain::event::Event as _;
use ledger::{Append, Entry};
use lua::CallError;
use lua::lane::{LoadReply, SettleReply};
use tokio::time::Instant;

use super::tenure::Phase;
use super::{LaneOwner, What, clock};
use crate::committer::{LoadAnswer, LoadStep, SettleAnswer, SettlePlan, SettleStep};
use crate::convert::{self, LoadCall};
use crate::decide::Intent;

impl LaneOwner {
    /// Forms the next group and appends it, unless one is under way. No linger: what has piled up is the group.
    pub(super) fn pump_commit(&mut self, now: Instant) {
        let limit = self.context.doc().units_per_visitor;
        let Phase::Serving(tenure) = &mut self.phase else { return };
        if !tenure.append_retry.is_over(now) {
            return;
        }
        let formed = tenure.committer.form_group(limit, clock());
        if !formed.texts.is_empty() {
            let (context, writer) = (self.context.clone(), tenure.writer.clone());
            self.metrics.group_events.record(u32::try_from(formed.texts.len()).unwrap_or(u32::MAX));
            tenure.appending_since = Some(now);
            let texts = formed.texts;
            self.start(async move { What::Appended(context.ledger.append(&writer, &texts).await, now) });
        }
        self.tell(&formed.told);
    }

    pub(super) fn on_appended(&mut self, result: Result<Append, ledger::Error>, began: Instant, now: Instant) {
        self.metrics.append_seconds.record(now.duration_since(began));
        let Phase::Serving(tenure) = &mut self.phase else { return };
        tenure.appending_since = None;
        match result {
            Ok(Append::Appended(writer)) => {
                tenure.writer = writer;
                tenure.append_retry.done();
                let told = match tenure.committer.appended() {
                    Ok(told) => told,
                    Err(error) => return self.stop(&error.to_string()),
                };
                if tenure.committer.fold().head() != tenure.writer.head {
                    return self.stop("the log's head is not where the group ends");
                }
                self.count_events(&told);
                self.tell(&told);
            }
            Ok(Append::Fenced(_)) => {
                tenure.committer.not_appended();
                self.step_down("an append was refused by the fence");
            }
            // Certainly not appended, or nobody knows (R4). Either way nothing is answered, the intents stay, and the next append
            // under the same head tells: it is applied, or refused because this one was.
            Err(error) => {
                self.metrics.append_failures.increment(1);
                if !tenure.append_retry.is_failing() {
                    tracing::warn!(log = %self.context.log, %error, "the ledger did not take a group: confirms wait");
                }
                if error.applied() == ledger::Applied::Unknown {
                    crate::planted::unknown(tenure.committer.intents());
                }
                tenure.committer.not_appended();
                tenure.append_retry.failed(now);
            }
        }
    }

    fn count_events(&self, told: &[Intent]) {
        let Some(fold) = self.fold() else { return };
        for intent in told {
            self.metrics.events.count(match intent {
                Intent::Stock { .. } => "stock",
                Intent::Receive { .. } => "transfer_in",
                Intent::Give { id, .. } if fold.decided(id).is_some_and(|decided| decided.why.is_none()) => {
                    "transfer_out"
                }
                Intent::Give { .. } => "refused",
                Intent::Cancel { .. } => "cancelled",
                Intent::Confirm { id, .. } if fold.decided(id).is_some_and(|decided| decided.booked.is_some()) => {
                    "booked"
                }
                Intent::Confirm { .. } => "refused",
            });
        }
    }

    /// Tells Redis what it does not know yet: a settle, a step of a load, or a read of the log for a replay.
    pub(super) fn pump_redis(&mut self, now: Instant) {
        let Phase::Serving(tenure) = &mut self.phase else { return };
        if !tenure.redis_retry.is_over(now) {
            return;
        }
        self.start_mend();
        let Phase::Serving(tenure) = &mut self.phase else { return };
        match tenure.committer.next_load() {
            LoadStep::Nothing => {}
            step => return self.start_load(step),
        }
        if tenure.replaying {
            return;
        }
        match tenure.committer.next_settle() {
            SettleStep::Nothing => {}
            SettleStep::Read { after, most } => {
                tenure.replaying = true;
                self.metrics.replays.increment(1);
                let context = self.context.clone();
                self.start(async move { What::Replay(context.ledger.read(&context.log, after, most).await) });
            }
            SettleStep::Settle(plan) => self.start_settle(&plan),
        }
    }

    fn start_settle(&mut self, plan: &SettlePlan) {
        let Phase::Serving(tenure) = &mut self.phase else { return };
        tenure.ending = passes(plan);
        let Some(settle) = convert::settle(plan, tenure.committer.fold()) else {
            return self.stop("an event cancels what the log does not have");
        };
        let context = self.context.clone();
        self.start(async move { What::Settled(lua::lane::settle(&context.redis, &context.keys, &settle).await) });
    }

    pub(super) fn on_settled(&mut self, result: Result<SettleReply, CallError>, now: Instant) {
        let Phase::Serving(tenure) = &mut self.phase else { return };
        let ended = std::mem::take(&mut tenure.ending);
        let answer = match result {
            Ok(SettleReply::Settled { .. }) => {
                tenure.redis_retry.done();
                // Marked in the visitor's lane first, then the place in the line is freed.
                if !ended.is_empty() {
                    let _ = self.ended.send(ended);
                }
                SettleAnswer::Settled
            }
            Ok(SettleReply::Behind { settled }) => SettleAnswer::Behind { settled },
            Err(CallError::NotLoaded) => SettleAnswer::NotLoaded,
            Err(error) => {
                self.redis_failed("settle", &error, now);
                SettleAnswer::Failed
            }
        };
        let Phase::Serving(tenure) = &mut self.phase else { return };
        tenure.committer.settle_answer(answer);
        match tenure.committer.settled() {
            Some(settled) => self.retry_parked(settled),
            None => self.look_now(),
        }
    }

    pub(super) fn on_replay(&mut self, result: Result<Vec<Entry>, ledger::Error>, now: Instant) {
        let Phase::Serving(tenure) = &mut self.phase else { return };
        tenure.replaying = false;
        let read = result.map_err(|error| error.to_string()).and_then(|entries| {
            let event = |entry: Entry| LaneEvent::decode(&entry.event).map(|event| (entry.seq, event));
            entries.into_iter().map(event).collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())
        });
        match read {
            Ok(events) => {
                if events.is_empty() {
                    // The log is shorter than the fold: the next look stops the lane.
                    tenure.redis_retry.failed(now);
                }
                tenure.committer.replay(events);
            }
            Err(error) => {
                tracing::warn!(log = %self.context.log, error, "the lane's log cannot be read to replay it");
                tenure.redis_retry.failed(now);
            }
        }
    }

    fn start_load(&mut self, step: LoadStep) {
        let Phase::Serving(tenure) = &self.phase else { return };
        let call = convert::load(&step, tenure.committer.fence(), tenure.committer.fold());
        let Some(call) = call else { return };
        if matches!(call, LoadCall::Begin(_)) {
            tracing::info!(log = %self.context.log, "Redis has nothing of the lane: loading it from the ledger");
            self.metrics.loads.increment(1);
        }
        let context = self.context.clone();
        self.start(async move {
            let (redis, keys) = (&context.redis, &context.keys);
            let result = match &call {
                LoadCall::Begin(begin) => lua::lane::load_begin(redis, keys, begin).await,
                LoadCall::Chunk(chunk) => lua::lane::load_chunk(redis, keys, chunk).await,
                LoadCall::End(end) => lua::lane::load_end(redis, keys, end).await,
            };
            What::Load(step, result)
        });
    }

    pub(super) fn on_load(&mut self, step: &LoadStep, result: Result<LoadReply, CallError>, now: Instant) {
        let answer = match result {
            Ok(LoadReply::Done) => LoadAnswer::Done,
            Ok(LoadReply::Refused) => LoadAnswer::Refused,
            Err(error) => {
                self.redis_failed("load", &error, now);
                LoadAnswer::Failed
            }
        };
        let Phase::Serving(tenure) = &mut self.phase else { return };
        if answer == LoadAnswer::Done {
            tenure.redis_retry.done();
        } else {
            tenure.redis_retry.failed(now);
        }
        tenure.committer.load_answer(step, answer);
        match (answer, step) {
            (LoadAnswer::Done, LoadStep::End { .. }) => self.on_view(true),
            (LoadAnswer::Done, _) => {}
            (LoadAnswer::Refused | LoadAnswer::Failed, _) => self.look_now(),
        }
    }

    /// Redis did not do what the owner wanted. Visitors' calls go on failing by themselves.
    pub(super) fn redis_failed(&mut self, what: &'static str, error: &CallError, now: Instant) {
        let Phase::Serving(tenure) = &mut self.phase else { return };
        if !tenure.redis_failing {
            tracing::warn!(log = %self.context.log, what, %error, "Redis does not do its part");
        }
        tenure.redis_failing = true;
        tenure.redis_retry.failed(now);
    }
}

fn passes(plan: &SettlePlan) -> Vec<u64> {
    let pass = |event: &LaneEvent| match event {
        LaneEvent::Booked { pass, .. } => *pass,
        _ => None,
    };
    plan.events.iter().filter_map(|(_, event)| pass(event)).collect()
}
