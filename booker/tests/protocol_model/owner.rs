//! What an owner does: the real committer, with the modelled stores in place of Redis and the ledger.

use std::sync::Arc;

use booker::ConfirmAnswer;
use booker::committer::{Bounds, Committer, LoadAnswer, LoadStep, Offered, SettleAnswer, SettleStep, Verdict};
use booker::convert::{self, LoadCall};
use booker::decide::Intent;
use booker::fold::LaneFold;
use booker::view_for_tests::confirm_answer;
use domain::event::Event as _;
use domain::{HoldState, LaneEvent, Lines};
use lua::CallError;
use lua::lane::{ConfirmReply, ConfirmRequest, LaneState, LoadReply, Settle, SettleReply, Undecided};

use crate::world::{Message, NAMES, NOW, Owner, World};

/// Small enough that replays, groups and loads take several steps.
const BOUNDS: Bounds =
    Bounds { intents: 8, append_events: 2, append_bytes: 1 << 16, settle: 2, unsettled: 2, load_chunk: 1 };

/// What became of an append, as far as anybody can know.
enum Outcome {
    Applied,
    Never,
    Open,
}

impl World {
    /// Claims the log and folds it.
    pub(crate) fn claim(&mut self, n: usize) {
        self.fence += 1;
        let fold = self.fold(self.log.len()).expect("checked before");
        let committer = Committer::new(self.fence, LaneFold::clone(&fold), BOUNDS);
        let owner = Owner { committer, append: None, settle: None, load: None, look: None, reread: None };
        self.owners[n] = Some(Arc::new(owner));
    }

    /// The owner is gone. Its append is on its way still, its settle may arrive at any time.
    pub(crate) fn lose_owner(&mut self, n: usize) {
        if let Some(owner) = self.owners[n].take()
            && let Some(settle) = &owner.settle
        {
            self.late = Some(settle.clone());
        }
    }

    /// Answers visitors from the owner's committed fold.
    fn tell(&mut self, n: usize, intents: &[Intent]) {
        let Some(owner) = self.owners[n].clone() else { return };
        for intent in intents {
            match intent {
                Intent::Confirm { id, fp, .. } => {
                    let number = self.number(id);
                    let seen = &mut self.seen[number];
                    match confirm_answer(&NAMES.log, owner.committer.fold(), *id, *fp, false) {
                        Some(ConfirmAnswer::Booked { .. }) => seen.booked = true,
                        Some(ConfirmAnswer::Refused(_)) => seen.gone = true,
                        Some(ConfirmAnswer::KeyReused) => seen.reused = true,
                        _ => {}
                    }
                }
                Intent::Cancel { id } => {
                    let state = owner.committer.fold().decided(id).map(|decided| decided.state);
                    let number = self.number(id);
                    self.seen[number].cancelled |= state == Some(HoldState::Cancelled);
                }
                Intent::Stock { .. } | Intent::Give { .. } | Intent::Receive { .. } => {}
            }
        }
    }

    fn offer(&mut self, n: usize, intent: Intent) {
        let Some(owner) = self.owner_mut(n) else { return };
        if owner.committer.offer(intent.clone()) == Offered::Decided {
            self.tell(n, &[intent]);
        }
    }

    /// A visitor's confirm: run by owner `n`, or by nobody who remembers it (`None`: the owner died before the answer).
    pub(crate) fn confirm(&mut self, h: usize, by: Option<usize>) {
        self.seen[h].asked = true;
        let (id, visitor) = (self.id(h), self.visitor(h));
        let owner = by.and_then(|n| self.owners[n].clone());
        if let (Some(n), Some(owner)) = (by, &owner) {
            let intent = Intent::Confirm { id, visitor, lines: Lines::none(), fp: None, pass: self.pass(h) };
            if owner.committer.fold().decided(&id).is_some() {
                return self.tell(n, &[intent]);
            }
            if owner.committer.is_unloaded() {
                return self.offer(n, intent);
            }
        }
        if self.rules.gone_from_redis && matches!(self.redis.state, LaneState::Loaded { .. }) {
            let known = self.redis.holds.get(&id).map(|record| record.state);
            if matches!(known, None | Some(HoldState::Released)) {
                self.seen[h].gone = true;
                return;
            }
        }
        let request = ConfirmRequest { id, visitor, pass: self.pass(h) };
        let Ok(replies) = self.redis_mut().confirm(&[request], NOW) else { return };
        if let (Some(n), Some(ConfirmReply::Confirming(record))) = (by, replies.replies.first())
            && let Some(intent) = convert::intent(id, record)
        {
            self.offer(n, intent);
        }
    }

    pub(crate) fn cancel(&mut self, h: usize, n: usize) {
        self.seen[h].cancel_asked = true;
        let id = self.id(h);
        let Some(owner) = self.owners[n].clone() else { return };
        match owner.committer.fold().decided(&id).map(|decided| decided.state) {
            Some(HoldState::Sold) => {}
            Some(_) => return self.tell(n, &[Intent::Cancel { id }]),
            None => return,
        }
        if owner.committer.is_unloaded() || self.redis_mut().cancel(&[id]).is_ok() {
            self.offer(n, Intent::Cancel { id });
        }
    }

    pub(crate) fn pull(&mut self, n: usize, act: u64, pull: u8) {
        let intent = self.stock_intent(act, pull);
        self.offer(n, intent);
    }

    /// Forms a group and sends it.
    pub(crate) fn form(&mut self, n: usize) {
        let (limit, early) = (self.rules.limit, self.rules.answer_early);
        let Some(owner) = self.owner_mut(n) else { return };
        let (fence, head) = (owner.committer.fence(), usize::try_from(owner.committer.fold().head()).unwrap());
        let formed = owner.committer.form_group(limit, NOW);
        if !formed.texts.is_empty() {
            let events: Vec<LaneEvent> = formed.texts.iter().map(|text| LaneEvent::decode(text).unwrap()).collect();
            let message = Arc::new(Message { fence, head, events });
            owner.append = Some(message.clone());
            if early {
                for event in &message.events {
                    if let LaneEvent::Booked { id, .. } = event {
                        let number = self.number(id);
                        self.seen[number].booked = true;
                    }
                }
            }
            if !self.net.contains(&message) {
                self.net.push(message);
            }
        }
        self.tell(n, &formed.told);
    }

    fn can_arrive(&self, message: &Message) -> bool {
        if !self.rules.fence {
            return message.head <= self.log.len();
        }
        message.fence == self.fence && message.head == self.log.len()
    }

    /// The log takes an append, or refuses it.
    pub(crate) fn deliver(&mut self, k: usize) {
        let message = self.net.remove(k);
        if self.can_arrive(&message) {
            for event in &message.events {
                self.log_event(event.clone(), message.fence);
            }
        }
    }

    /// Appends that can never be applied any more are as good as gone.
    pub(crate) fn forget_refused(&mut self) {
        let net = std::mem::take(&mut self.net);
        self.net = net.into_iter().filter(|message| self.can_arrive(message)).collect();
    }

    fn outcome(&self, message: &Message) -> Outcome {
        let mine = |(n, event): (usize, &LaneEvent)| {
            self.log.get(message.head + n).is_some_and(|l| l.event == *event && l.fence == message.fence)
        };
        if message.events.iter().enumerate().all(mine) {
            return Outcome::Applied;
        }
        let gone = message.fence != self.fence || message.head != self.log.len();
        if self.rules.fence && gone { Outcome::Never } else { Outcome::Open }
    }

    /// The owner learns what became of its append, when anybody can know.
    pub(crate) fn learn(&mut self, n: usize) -> bool {
        let Some(message) = self.owners[n].as_ref().and_then(|owner| owner.append.clone()) else { return false };
        match self.outcome(&message) {
            Outcome::Open => return false,
            Outcome::Never => self.lose_owner(n),
            Outcome::Applied => {
                let Some(owner) = self.owner_mut(n) else { return false };
                owner.append = None;
                match owner.committer.appended() {
                    Ok(told) => self.tell(n, &told),
                    // A log without fences can contradict itself; the check says so.
                    Err(_) => self.lose_owner(n),
                }
            }
        }
        true
    }

    /// The owner gives up waiting: nothing is answered, the intents are decided anew.
    pub(crate) fn give_up(&mut self, n: usize) {
        if let Some(owner) = self.owner_mut(n) {
            owner.append = None;
            owner.committer.not_appended();
        }
    }

    /// Reads what the settle needs and sends it.
    pub(crate) fn plan_settle(&mut self, n: usize) {
        let (log, resolutions) = (self.log.clone(), self.rules.resolutions);
        let Some(owner) = self.owner_mut(n) else { return };
        match owner.committer.next_settle() {
            SettleStep::Nothing => {}
            SettleStep::Read { after, most } => {
                let from = usize::try_from(after).unwrap();
                let events = (after + 1..).zip(log[from..].iter().map(|logged| logged.event.clone()));
                owner.committer.replay(events.take(most).collect::<Vec<_>>());
            }
            SettleStep::Settle(plan) => {
                let mut settle = convert::settle(&plan, owner.committer.fold()).expect("the fold has every id");
                if !resolutions {
                    settle.resolutions.clear();
                }
                owner.settle = Some(Arc::new(settle));
            }
        }
    }

    fn run_settle(&mut self, settle: &Settle) -> Result<SettleReply, CallError> {
        if self.rules.settle_guard {
            return self.redis_mut().settle(settle);
        }
        let LaneState::Loaded { epoch, settled } = self.redis.state else { return Err(CallError::NotLoaded) };
        let any = Settle { expected: settled, ..settle.clone() };
        let reply = self.redis_mut().settle(&any);
        // Without the guard the script would write the seq of the last event it was given.
        let to = settled.max(settle.events.last().map_or(0, |event| event.seq));
        self.redis_mut().state = LaneState::Loaded { epoch, settled: to };
        reply.map(|_| SettleReply::Settled { settled: to })
    }

    /// The settle under way runs and is answered.
    pub(crate) fn finish_settle(&mut self, n: usize) {
        let Some(settle) = self.owner_mut(n).and_then(|owner| owner.settle.take()) else { return };
        let answer = match self.run_settle(&settle) {
            Ok(SettleReply::Settled { .. }) => SettleAnswer::Settled,
            Ok(SettleReply::Behind { settled }) => SettleAnswer::Behind { settled },
            Err(_) => SettleAnswer::NotLoaded,
        };
        if let Some(owner) = self.owner_mut(n) {
            owner.committer.settle_answer(answer);
        }
    }

    /// The settle of an owner that is gone arrives.
    pub(crate) fn late_settle(&mut self) {
        if let Some(settle) = self.late.take() {
            let _ = self.run_settle(&settle);
        }
    }

    pub(crate) fn plan_load(&mut self, n: usize) {
        let Some(owner) = self.owner_mut(n) else { return };
        match owner.committer.next_load() {
            LoadStep::Nothing => {}
            step => owner.load = Some(step),
        }
    }

    pub(crate) fn finish_load(&mut self, n: usize) {
        let Some(owner) = self.owner_mut(n) else { return };
        let Some(step) = owner.load.take() else { return };
        let call = convert::load(&step, owner.committer.fence(), owner.committer.fold()).expect("a step has a call");
        let guard = self.rules.load_guard;
        let redis = self.redis_mut();
        // Without the guard a chunk is taken whatever was done before.
        let done = match redis.state {
            LaneState::Loading { chunks, .. } if !guard => Some(chunks),
            _ => None,
        };
        let reply = match call {
            LoadCall::Begin(begin) => redis.load_begin(&begin),
            LoadCall::Chunk(mut chunk) => {
                chunk.n = done.unwrap_or(chunk.n);
                redis.load_chunk(&chunk)
            }
            LoadCall::End(mut end) => {
                end.n = done.unwrap_or(end.n);
                redis.load_end(&end)
            }
        };
        let answer = if reply == LoadReply::Done { LoadAnswer::Done } else { LoadAnswer::Refused };
        if let Some(owner) = self.owner_mut(n) {
            owner.committer.load_answer(&step, answer);
        }
    }

    /// Reads Redis for a look.
    pub(crate) fn begin_look(&mut self, n: usize) {
        let state = self.redis.state;
        if let Some(owner) = self.owner_mut(n) {
            owner.look = Some((owner.committer.ask(), state));
        }
    }

    /// Reads the log for a look, and acts on it.
    pub(crate) fn finish_look(&mut self, n: usize) {
        let log = ledger::Head { fence: self.fence, head: self.log.len() as u64, owner: String::new() };
        let Some(owner) = self.owner_mut(n) else { return };
        let Some((asked, state)) = owner.look.take() else { return };
        match owner.committer.observe(asked, Some(state), Some(&log)) {
            Verdict::Fine => {}
            Verdict::StepDown => self.lose_owner(n),
            Verdict::LedgerLostData => panic!("the modelled ledger never loses data"),
        }
    }

    pub(crate) fn look(&mut self, n: usize) {
        self.begin_look(n);
        self.finish_look(n);
    }

    pub(crate) fn begin_reread(&mut self, n: usize) {
        let undecided = self.redis.undecided().unwrap_or_default();
        if let Some(owner) = self.owner_mut(n) {
            owner.reread = Some(undecided);
        }
    }

    pub(crate) fn finish_reread(&mut self, n: usize) {
        let Some(mut found) = self.owner_mut(n).and_then(|owner| owner.reread.take()) else { return };
        found.sort_by_key(|intent| matches!(intent, Undecided::Cancel(_)));
        for undecided in found {
            let intent = match undecided {
                Undecided::Confirm(id, Some(record)) => convert::intent(id, &record),
                Undecided::Confirm(_, None) => None,
                Undecided::Cancel(id) => Some(Intent::Cancel { id }),
            };
            if let Some(intent) = intent {
                self.offer(n, intent);
            }
        }
    }

    /// Whether the owner itself would unload the lane, the time being right.
    pub(crate) fn may_unload(&self, n: usize) -> bool {
        self.owners[n].as_ref().is_some_and(|owner| {
            let committer = &owner.committer;
            committer.settled() == Some(committer.fold().head()) && committer.undecided() == 0
        })
    }

    pub(crate) fn unload(&mut self, n: usize) {
        let Some(fence) = self.owners[n].as_ref().map(|owner| owner.committer.fence()) else { return };
        let unloaded = self.redis_mut().unload(fence);
        if let (true, Some(owner)) = (unloaded, self.owner_mut(n)) {
            owner.committer.unloaded();
        }
    }

    /// The reconciler of this owner.
    pub(crate) fn mend(&mut self, n: usize) {
        let Some(owner) = self.owners[n].clone() else { return };
        let (Some(expected), Some(sums)) = (owner.committer.settled(), owner.committer.settled_sums()) else { return };
        let items = sums.iter().map(|(item, sum)| lua::lane::MendItem {
            item: item.clone(),
            allocated: sum.allocated,
            sold: sum.sold,
        });
        let mend = lua::lane::Mend { expected, items: items.collect() };
        if matches!(self.redis_mut().mend(&mend), Ok(lua::lane::MendReply::Done(_))) {
            self.edited = false;
        }
    }
}
