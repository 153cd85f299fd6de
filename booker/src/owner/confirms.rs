//! Confirms and cancels: from the visitor to an intent, and from the committed fold back to everybody who waits.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use domain::limits::{CONFIRM_REPEAT_FOR_MS, CONFIRM_REPEAT_MS, MAX_CALLS_IN_FLIGHT, MAX_GROUP, MAX_OWNER_QUEUE};
use domain::{HoldId, HoldState, Lines, VisitorHash};
use lua::CallError;
use lua::lane::{CancelReply, ConfirmReplies, ConfirmReply, ConfirmRequest};
use tokio::time::Instant;

use super::tenure::Phase;
use super::{LaneOwner, What, lane_error};
use crate::answer::{CancelAnswer, ConfirmAnswer, LaneError};
use crate::committer::Offered;
use crate::convert;
use crate::decide::Intent;
use crate::lane::{Confirm, Reply};
use crate::view;

/// Where an open confirm is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// In the queue for the next call, or in a call.
    Calling,
    /// With the committer.
    Deciding,
    /// Answered 202, or its call's outcome is unknown: repeated every `CONFIRM_REPEAT_MS`.
    Resting,
}

/// A confirm without a final answer.
struct Open {
    visitor: VisitorHash,
    pass: Option<u64>,
    stage: Stage,
    /// The last time a visitor asked: it is repeated for a minute from then.
    since: Instant,
    /// Not repeated before.
    rests_until: Instant,
    /// Redis may have noted it: from now on nobody may be told that nothing changed.
    noted: bool,
    waiters: Vec<Reply<Result<ConfirmAnswer, LaneError>>>,
}

#[derive(Default)]
pub(super) struct Confirms {
    open: HashMap<HoldId, Open>,
    queue: VecDeque<HoldId>,
    calls: usize,
    cancels: HashMap<HoldId, Vec<Reply<Result<CancelAnswer, LaneError>>>>,
    cancel_queue: VecDeque<HoldId>,
    cancel_calls: usize,
}

impl Confirms {
    pub(super) fn waiting(&self) -> usize {
        self.queue.len() + self.cancel_queue.len()
    }

    pub(super) const fn is_idle(&self) -> bool {
        self.calls + self.cancel_calls == 0
    }

    /// Open ones are bounded by twice the queue: those that wait, and those that are repeated for a minute.
    fn is_full(&self) -> bool {
        self.open.len() + self.cancels.len() >= 2 * MAX_OWNER_QUEUE
    }
}

impl LaneOwner {
    pub(super) fn reply_confirm(
        &self,
        reply: Reply<Result<ConfirmAnswer, LaneError>>,
        answer: Result<ConfirmAnswer, LaneError>,
    ) {
        self.metrics.confirm(&answer);
        let _ = reply.send(answer);
    }

    pub(super) fn reply_cancel(
        &self,
        reply: Reply<Result<CancelAnswer, LaneError>>,
        answer: Result<CancelAnswer, LaneError>,
    ) {
        self.metrics.cancel(&answer);
        let _ = reply.send(answer);
    }

    pub(super) fn accept_confirm(&mut self, asked: Confirm, reply: Reply<Result<ConfirmAnswer, LaneError>>) {
        let Confirm { id, visitor, pass } = asked;
        if crate::planted::is_given_up(id) {
            return self.reply_confirm(reply, Ok(ConfirmAnswer::Refused(domain::RefuseReason::Gone)));
        }
        let decided = self.fold().and_then(|fold| {
            let known = fold.decided(&id)?;
            if known.visitor == visitor {
                view::confirm_answer(&self.context.log, fold, id, None, true)
            } else {
                Some(ConfirmAnswer::Foreign)
            }
        });
        if let Some(answer) = decided {
            return self.reply_confirm(reply, Ok(answer));
        }
        // Its owner's id always may; a stranger's confirm must not make an event.
        if !id.may_belong_to(&visitor) {
            return self.reply_confirm(reply, Ok(ConfirmAnswer::Foreign));
        }
        if let Some(open) = self.confirms.open.get_mut(&id) {
            if open.visitor != visitor {
                return self.reply_confirm(reply, Ok(ConfirmAnswer::Foreign));
            }
            open.waiters.push(reply);
            open.pass = open.pass.or(pass);
            open.since = Instant::now();
            if open.stage == Stage::Resting {
                open.stage = Stage::Calling;
                self.confirms.queue.push_back(id);
            }
            return;
        }
        if self.confirms.is_full() {
            return self.reply_confirm(reply, Err(LaneError::Busy));
        }
        let since = Instant::now();
        let stage = Stage::Calling;
        let open = Open { visitor, pass, stage, since, rests_until: since, noted: false, waiters: vec![reply] };
        self.confirms.open.insert(id, open);
        if self.is_unloaded() {
            // Redis has forgotten the sale: the ledger decides about a hold that nobody knows (R2).
            self.offer(Intent::Confirm { id, visitor, lines: Lines::none(), fp: None, pass });
            return;
        }
        self.confirms.queue.push_back(id);
    }

    pub(super) fn accept_cancel(
        &mut self,
        id: HoldId,
        visitor: VisitorHash,
        reply: Reply<Result<CancelAnswer, LaneError>>,
    ) {
        let known = self.fold().and_then(|fold| fold.decided(&id)).map(|decided| (decided.visitor, decided.state));
        let answer = match known {
            Some((whose, _)) if whose != visitor => CancelAnswer::Foreign,
            Some((_, HoldState::Sold)) => return self.queue_cancel(id, reply),
            Some(_) => match self.fold() {
                Some(fold) => view::cancel_answer(&self.context.log, fold, id, true),
                None => CancelAnswer::Cancelling,
            },
            None if !id.may_belong_to(&visitor) => CancelAnswer::Foreign,
            // Its confirm is under way: in order of arrival.
            None if self.confirms.open.contains_key(&id) => return self.queue_cancel(id, reply),
            None => CancelAnswer::NotBooked,
        };
        self.reply_cancel(reply, Ok(answer));
    }

    fn queue_cancel(&mut self, id: HoldId, reply: Reply<Result<CancelAnswer, LaneError>>) {
        if self.confirms.is_full() {
            return self.reply_cancel(reply, Err(LaneError::Busy));
        }
        let waiters = self.confirms.cancels.entry(id).or_default();
        waiters.push(reply);
        if waiters.len() > 1 {
            return;
        }
        if self.is_unloaded() {
            self.offer(Intent::Cancel { id });
        } else {
            self.confirms.cancel_queue.push_back(id);
        }
    }

    pub(super) fn pump_confirms(&mut self) {
        while !self.confirms.queue.is_empty() && self.confirms.calls < MAX_CALLS_IN_FLIGHT {
            let most = self.confirms.queue.len().min(MAX_GROUP);
            let ids: Vec<HoldId> = self.confirms.queue.drain(..most).collect();
            let request = |id: &HoldId| {
                let open = self.confirms.open.get(id)?;
                Some(ConfirmRequest { id: *id, visitor: open.visitor, pass: open.pass })
            };
            let requests: Vec<ConfirmRequest> = ids.iter().filter_map(request).collect();
            self.confirms.calls += 1;
            let context = self.context.clone();
            self.start(async move {
                let result = lua::lane::confirm(&context.redis, &context.keys, &requests).await;
                What::Confirms(requests.iter().map(|request| request.id).collect(), result)
            });
        }
        while !self.confirms.cancel_queue.is_empty() && self.confirms.cancel_calls < MAX_CALLS_IN_FLIGHT {
            let most = self.confirms.cancel_queue.len().min(MAX_GROUP);
            let ids: Vec<HoldId> = self.confirms.cancel_queue.drain(..most).collect();
            self.confirms.cancel_calls += 1;
            let context = self.context.clone();
            self.start(async move {
                let result = lua::lane::cancel(&context.redis, &context.keys, &ids).await;
                What::Cancels(ids, result)
            });
        }
    }

    pub(super) fn on_confirms(&mut self, ids: &[HoldId], result: Result<ConfirmReplies, CallError>) {
        self.confirms.calls -= 1;
        match result {
            Ok(ConfirmReplies { replies, .. }) => {
                for (id, reply) in ids.iter().zip(replies) {
                    self.on_confirm(*id, &reply);
                }
            }
            Err(error) => {
                let error = lane_error(&error);
                self.look_soon(error);
                for id in ids {
                    self.confirm_failed(*id, error);
                }
            }
        }
    }

    fn on_confirm(&mut self, id: HoldId, reply: &ConfirmReply) {
        match reply {
            ConfirmReply::Confirming(record) => {
                let Some(open) = self.confirms.open.get_mut(&id) else { return };
                open.noted = true;
                open.stage = Stage::Deciding;
                match convert::intent(id, record) {
                    Some(intent) => self.offer(intent),
                    None => self.rest(id),
                }
            }
            ConfirmReply::Decided(_) => {
                if self.answer_decided(id, None, false) {
                    return;
                }
                // Redis has an event that this fold does not have: somebody else writes the log. Find out, answer then.
                self.rest(id);
                self.look_now();
            }
            ConfirmReply::Full => self.confirm_failed(id, LaneError::Busy),
            ConfirmReply::Foreign => self.close_confirm(id, &Ok(ConfirmAnswer::Foreign)),
            ConfirmReply::TooMany => self.close_confirm(id, &Ok(ConfirmAnswer::TooMany)),
        }
    }

    /// The call did not note it now. One that was noted before goes on: nobody is told that nothing changed.
    fn confirm_failed(&mut self, id: HoldId, error: LaneError) {
        let Some(open) = self.confirms.open.get_mut(&id) else { return };
        open.noted |= error == LaneError::Unknown;
        if open.noted { self.rest(id) } else { self.close_confirm(id, &Err(error)) }
    }

    fn rest(&mut self, id: HoldId) {
        if let Some(open) = self.confirms.open.get_mut(&id) {
            open.stage = Stage::Resting;
            open.rests_until = Instant::now() + Duration::from_millis(CONFIRM_REPEAT_MS);
        }
    }

    /// Gives an intent to the committer. Without one (the owner stepped down meanwhile) the intent stays in Redis' set.
    pub(super) fn offer(&mut self, intent: Intent) {
        let Phase::Serving(tenure) = &mut self.phase else {
            if let Intent::Confirm { id, .. } = intent {
                self.rest(id);
            }
            return;
        };
        let told = intent.clone();
        let offered = tenure.offer(intent);
        match (&told, offered) {
            (_, Offered::Decided) => self.tell(&[told]),
            (Intent::Confirm { id, .. }, Offered::Queued | Offered::Twin) => {
                if let Some(open) = self.confirms.open.get_mut(id) {
                    open.stage = Stage::Deciding;
                }
            }
            (Intent::Confirm { id, .. }, Offered::Full) => self.rest(*id),
            // The claim stays in Redis' set and is given later.
            (Intent::Give { id, .. }, Offered::Full) => self.answer_give(*id, Err(LaneError::Unknown)),
            (Intent::Cancel { .. } | Intent::Stock { .. } | Intent::Give { .. } | Intent::Receive { .. }, _) => {}
        }
    }

    /// Answers everybody who waits for these intents, from the committed fold.
    pub(super) fn tell(&mut self, intents: &[Intent]) {
        for intent in intents {
            match intent {
                Intent::Confirm { id, fp, .. } => {
                    if !self.answer_decided(*id, *fp, false) {
                        self.rest(*id);
                    }
                }
                Intent::Cancel { id } => {
                    let Some(fold) = self.fold() else { continue };
                    let answer = view::cancel_answer(&self.context.log, fold, *id, false);
                    for waiter in self.confirms.cancels.remove(id).unwrap_or_default() {
                        self.reply_cancel(waiter, Ok(answer.clone()));
                    }
                }
                Intent::Give { id, .. } => self.answer_give(*id, Err(LaneError::Unknown)),
                Intent::Receive { lines, .. } => self.on_received(lines),
                Intent::Stock { .. } => {}
            }
        }
    }

    /// Answers a confirm from the committed fold; false when that does not know the id.
    fn answer_decided(&mut self, id: HoldId, fp: Option<domain::Fingerprint>, replayed: bool) -> bool {
        let said = |fold| view::confirm_answer(&self.context.log, fold, id, fp, replayed);
        let Some(answer) = self.fold().and_then(said) else { return false };
        self.close_confirm(id, &Ok(answer));
        true
    }

    fn close_confirm(&mut self, id: HoldId, answer: &Result<ConfirmAnswer, LaneError>) {
        let Some(open) = self.confirms.open.remove(&id) else { return };
        for waiter in open.waiters {
            self.reply_confirm(waiter, answer.clone());
        }
    }

    pub(super) fn on_cancels(&mut self, ids: &[HoldId], result: Result<Vec<CancelReply>, CallError>) {
        self.confirms.cancel_calls -= 1;
        let replies = match result {
            Ok(replies) => replies.into_iter().map(Ok).collect(),
            Err(error) => {
                let error = lane_error(&error);
                self.look_soon(error);
                vec![Err(error); ids.len()]
            }
        };
        for (id, reply) in ids.iter().zip(replies) {
            let answer = match reply {
                Ok(CancelReply::Noted) if self.fold().is_some() => {
                    self.offer(Intent::Cancel { id: *id });
                    continue;
                }
                // Noted, but this owner stepped down: whoever comes next decides it.
                Ok(CancelReply::Noted) => Ok(CancelAnswer::Cancelling),
                Ok(CancelReply::Full) => Err(LaneError::Busy),
                Err(error) => Err(error),
            };
            self.close_cancel(*id, &answer);
        }
    }

    fn close_cancel(&mut self, id: HoldId, answer: &Result<CancelAnswer, LaneError>) {
        for waiter in self.confirms.cancels.remove(&id).unwrap_or_default() {
            self.reply_cancel(waiter, answer.clone());
        }
    }

    /// Repeats open confirms that nobody works on, so that each ends although nobody asks again. After a minute the visitor's
    /// own retry, or the undecided set, is what remains.
    pub(super) fn repeat_confirms(&mut self, now: Instant) {
        let over: Vec<HoldId> = self
            .confirms
            .open
            .iter()
            .filter(|(_, open)| now.duration_since(open.since) > Duration::from_millis(CONFIRM_REPEAT_FOR_MS))
            .map(|(id, _)| *id)
            .collect();
        for id in over {
            self.close_confirm(id, &Ok(ConfirmAnswer::Confirming));
        }
        for (id, open) in &mut self.confirms.open {
            if open.stage == Stage::Resting && open.rests_until <= now {
                open.stage = Stage::Calling;
                self.confirms.queue.push_back(*id);
            }
        }
    }

    /// This owner's committer is gone. Open confirms are called again; whoever owns the lane next decides them.
    pub(super) fn orphan_confirms(&mut self) {
        for open in self.confirms.open.values_mut() {
            if open.stage == Stage::Deciding {
                open.stage = Stage::Resting;
            }
        }
        // Those that no call was made for: nothing was done.
        for id in std::mem::take(&mut self.confirms.cancel_queue) {
            self.close_cancel(id, &Err(LaneError::NoOwner));
        }
        let cancels: Vec<HoldId> = self.confirms.cancels.keys().copied().collect();
        for id in cancels {
            self.close_cancel(id, &Ok(CancelAnswer::Cancelling));
        }
    }

    /// The new fold may have the answers that open confirms wait for.
    pub(super) fn answer_open(&mut self) {
        // One that Redis may have noted for this owner can be what the owner before decided; any other was there already.
        let open: Vec<(HoldId, bool)> = self.confirms.open.iter().map(|(id, open)| (*id, open.noted)).collect();
        for (id, noted) in open {
            self.answer_decided(id, None, !noted);
        }
    }

    /// No answer can be expected here any more: the lane is stopped.
    pub(super) fn abandon_confirms(&mut self) {
        let open: Vec<(HoldId, bool)> = self.confirms.open.iter().map(|(id, open)| (*id, open.noted)).collect();
        for (id, noted) in open {
            let answer = if noted { Ok(ConfirmAnswer::Confirming) } else { Err(LaneError::Stopped) };
            self.close_confirm(id, &answer);
        }
        self.confirms.queue.clear();
    }
}
