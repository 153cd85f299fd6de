//! What can happen, and what must hold.

use std::sync::Arc;

use booker::committer::{LoadAnswer, LoadStep, SettleAnswer, SettleStep};
use booker::convert::{self, LoadCall};
use booker::decide::Intent;
use booker::transfer::{self, Verdict};
use domain::event::{Event as _, WITHDRAWN};
use domain::fault::KnownFaults;
use domain::limits::MAX_HOLDS_PER_PASS;
use domain::{HoldId, HoldState, LaneEvent, Lines, RefuseReason, VisitorHash};
use ledger::Head;
use lua::lane::{
    ConfirmReply, ConfirmRequest, Give, GiveItem, GiveReply, HoldGroup, HoldReply, HoldRequest, LaneState, LoadReply,
    ReleaseRequest, SettleReply, Undecided,
};

use crate::world::{LANES, Message, NAMES, NOW, Question, World, id, intent_of, number, visitor};

pub(crate) type Label = (&'static str, usize, usize);

/// Takes a step with what it does to a world.
type Add<'a> = dyn FnMut(Label, &dyn Fn(&mut World)) + 'a;
/// Visitors of each lane.
const VISITORS: u8 = 2;

impl World {
    /// Every step that changes something.
    pub(crate) fn next(&self) -> Vec<(Label, Self)> {
        let (mut all, before) = (vec![], self.fingerprint());
        let mut add = |label: Label, change: &dyn Fn(&mut Self)| {
            let mut next = self.clone();
            change(&mut next);
            if next.question.open && !next.really_free() {
                next.question.always = false;
            }
            if next.fingerprint() != before {
                all.push((label, next));
            }
        };
        for l in 0..LANES {
            for v in 0..VISITORS {
                let n = usize::from(v);
                add(("hold", l, n), &|world| world.hold(l, v));
                add(("confirm", l, n), &|world| world.confirm(l, v));
                add(("expire", l, n), &|world| world.expire(l, v));
            }
            add(("asks for a unit", l, 0), &|world| world.ask(l));
            add(("a unit is withdrawn", l, 0), &|world| world.withdraw(l));
            add(("forms a group", l, 0), &|world| world.form(l));
            add(("append arrives", l, 0), &|world| world.append(l));
            add(("gives an append up", l, 0), &|world| world.give_up(l));
            for n in 0..self.lanes[l].net.len() {
                add(("late append arrives", l, n), &|world| {
                    let message = world.lanes[l].net.remove(n);
                    world.lanes[l].store(&message);
                });
                add(("late append is lost", l, n), &|world| drop(world.lanes[l].net.remove(n)));
            }
            add(("settles", l, 0), &|world| world.settle(l));
            add(("looks", l, 0), &|world| world.look(l));
            add(("reads the set", l, 0), &|world| world.reread(l));
            add(("pulls units", l, 0), &|world| world.pull(l));
            self.faults(l, &mut add);
        }
        add(("asks whether it is sold out", 0, 0), &|world| world.question());
        add(("reads the next lane", 0, 0), &|world| world.read_lane());
        all
    }

    fn faults(&self, l: usize, add: &mut Add<'_>) {
        if self.left.crash > 0 && self.lanes[l].owner.is_some() {
            add(("! owner dies", l, 0), &|world| {
                world.left.crash -= 1;
                if let Some(append) = world.lanes[l].owner.take().and_then(|owner| owner.append) {
                    world.lanes[l].net.push(append);
                }
            });
        }
        if self.left.claim > 0 || self.lanes[l].owner.is_none() {
            add(("claims", l, 0), &|world| {
                world.left.claim = world.left.claim.saturating_sub(u8::from(world.lanes[l].owner.is_some()));
                world.lanes[l].claim();
            });
        }
        if self.left.loss > 0 {
            add(("! Redis loses the lane", l, 0), &|world| {
                (world.left.loss, world.faulted) = (world.left.loss - 1, true);
                world.lanes[l].redis = Arc::default();
            });
        }
        if self.left.rollback > 0 && self.lanes[l].copy.is_none() {
            add(("a copy of the lane", l, 0), &|world| world.lanes[l].copy = Some(world.lanes[l].redis.clone()));
        }
        if self.left.rollback > 0 && self.lanes[l].copy.is_some() {
            add(("! Redis falls back to the copy", l, 0), &|world| {
                (world.left.rollback, world.faulted) = (world.left.rollback - 1, true);
                world.lanes[l].redis = world.lanes[l].copy.take().unwrap_or_default();
            });
        }
    }

    fn hold(&mut self, l: usize, v: u8) {
        if self.left.hold[l] == 0 {
            return;
        }
        let request =
            HoldRequest { id: id(l, v), visitor: visitor(l, v), fp: NAMES.fp, lines: NAMES.one.clone(), pass: None };
        let (most, faults) = (MAX_HOLDS_PER_PASS, Arc::new(KnownFaults::none()));
        let group = HoldGroup { ttl_ms: 1_000, limit: None, most, faults, requests: vec![request] };
        let mut redis = (*self.lanes[l].redis).clone();
        if matches!(redis.hold(&group, NOW).as_ref().map(|got| &got.replies[0]), Ok(HoldReply::Held(_))) {
            self.left.hold[l] -= 1;
            self.lanes[l].redis = Arc::new(redis);
        }
    }

    fn confirm(&mut self, l: usize, v: u8) {
        // Only what is held: confirms of nothing are another model's.
        let held = |record: &lua::lane::Record| record.state == HoldState::Held;
        if !self.lanes[l].redis.holds.get(&id(l, v)).is_some_and(held) {
            return;
        }
        let request = ConfirmRequest { id: id(l, v), visitor: visitor(l, v), pass: None };
        let replies = self.lanes[l].redis_mut().confirm(&[request], NOW).map(|got| got.replies);
        if let Ok([ConfirmReply::Confirming(record)]) = replies.as_deref() {
            self.offer(l, intent_of(id(l, v), record));
        }
    }

    fn expire(&mut self, l: usize, v: u8) {
        let held = |record: &lua::lane::Record| record.state == HoldState::Held;
        if self.left.expire > 0 && self.lanes[l].redis.holds.get(&id(l, v)).is_some_and(held) {
            self.left.expire -= 1;
            let request = ReleaseRequest { id: id(l, v), visitor: visitor(l, v) };
            let _ = self.lanes[l].redis_mut().release(&[request]);
        }
    }

    fn offer(&mut self, l: usize, intent: Option<Intent>) {
        if let (Some(intent), Some(committer)) = (intent, self.lanes[l].committer()) {
            committer.offer(intent);
        }
    }

    /// Lane `l` asks the other one for a unit, which claims it for it.
    fn ask(&mut self, l: usize) {
        let (from, to) = (1 - l, number(l));
        if self.left.ask[l] == 0 || self.lanes[from].owner.is_none() {
            return;
        }
        let claim =
            HoldId::derive(&NAMES.sale, number(from), &VisitorHash::for_lane(to), &self.left.ask[l].to_string());
        if !self.rules.claims {
            self.left.ask[l] -= 1;
            return self.offer(from, Some(Intent::Give { id: claim, to, lines: NAMES.one.clone() }));
        }
        let item = GiveItem { item: NAMES.item.clone(), wanted: 1, keep: 0 };
        let given = self.lanes[from].redis_mut().give(&Give { id: claim, to, items: vec![item] });
        if let Ok(GiveReply::Record(record)) = given {
            self.left.ask[l] -= 1;
            self.offer(from, intent_of(claim, &record));
        }
    }

    /// Lane `l` is asked for a unit that is to leave the sale; the same withdrawal however often it is asked.
    fn withdraw(&mut self, l: usize) {
        if self.left.withdraw == 0 || self.lanes[l].owner.is_none() {
            return;
        }
        let nobody = VisitorHash::for_lane(WITHDRAWN);
        let claim = HoldId::derive(&NAMES.sale, number(l), &nobody, &self.left.withdraw.to_string());
        let item = GiveItem { item: NAMES.item.clone(), wanted: 1, keep: 0 };
        let given = self.lanes[l].redis_mut().give(&Give { id: claim, to: WITHDRAWN, items: vec![item] });
        let intent = match given {
            Ok(GiveReply::Record(record)) => intent_of(claim, &record),
            Ok(GiveReply::Nothing) => Some(Intent::Give { id: claim, to: WITHDRAWN, lines: Lines::none() }),
            _ => return,
        };
        self.offer(l, intent);
        // It is asked again until the log has its outcome.
        if self.lanes[l].fold.decided(&claim).is_some() {
            self.left.withdraw -= 1;
        }
    }

    fn form(&mut self, l: usize) {
        let Some(owner) = &mut self.lanes[l].owner else { return };
        if owner.append.is_some() {
            return;
        }
        let committer = Arc::make_mut(&mut owner.committer);
        let head = committer.fold().head();
        let texts = committer.form_group(None, NOW).texts;
        if !texts.is_empty() {
            let events = texts.iter().map(|text| LaneEvent::decode(text).unwrap()).collect();
            owner.append = Some(Message { fence: committer.fence(), head, events: Arc::new(events) });
        }
    }

    fn append(&mut self, l: usize) {
        let Some(message) = self.lanes[l].owner.as_mut().and_then(|owner| owner.append.take()) else { return };
        if self.lanes[l].store(&message) {
            if let Some(committer) = self.lanes[l].committer() {
                committer.appended().unwrap();
            }
        } else {
            // Fenced, or one given up earlier came after all: stop, never resume.
            self.lanes[l].owner = None;
        }
    }

    fn give_up(&mut self, l: usize) {
        let Some(owner) = self.lanes[l].owner.as_mut().filter(|_| self.left.give_up > 0) else { return };
        if let Some(message) = owner.append.take() {
            self.left.give_up -= 1;
            Arc::make_mut(&mut owner.committer).not_appended();
            self.lanes[l].net.push(message);
        }
    }

    /// Tells Redis one thing: a step of a load, or a settle.
    pub(crate) fn settle(&mut self, l: usize) {
        let Some(committer) = self.lanes[l].committer() else { return };
        let step = committer.next_load();
        if step != LoadStep::Nothing {
            return self.load(l, &step);
        }
        let SettleStep::Settle(plan) = committer.next_settle() else { return self.replay(l) };
        let settle = convert::settle(&plan, committer.fold()).unwrap();
        let answer = match self.lanes[l].redis_mut().settle(&settle) {
            Ok(SettleReply::Settled { .. }) => SettleAnswer::Settled,
            Ok(SettleReply::Behind { settled }) => SettleAnswer::Behind { settled },
            Err(_) => SettleAnswer::NotLoaded,
        };
        if let Some(committer) = self.lanes[l].committer() {
            committer.settle_answer(answer);
        }
    }

    fn replay(&mut self, l: usize) {
        let log = self.lanes[l].log.clone();
        let Some(committer) = self.lanes[l].committer() else { return };
        if let Some(settled) = committer.settled() {
            let from = usize::try_from(settled).unwrap();
            committer.replay((settled + 1..).zip(log.iter().skip(from).cloned()));
        }
    }

    fn load(&mut self, l: usize, first: &LoadStep) {
        let mut step = first.clone();
        while step != LoadStep::Nothing {
            let Some(committer) = self.lanes[l].committer() else { return };
            let call = convert::load(&step, committer.fence(), committer.fold()).unwrap();
            let redis = self.lanes[l].redis_mut();
            let reply = match &call {
                LoadCall::Begin(begin) => redis.load_begin(begin),
                LoadCall::Chunk(chunk) => redis.load_chunk(chunk),
                LoadCall::End(end) => redis.load_end(end),
            };
            let answer = if reply == LoadReply::Done { LoadAnswer::Done } else { LoadAnswer::Refused };
            let Some(committer) = self.lanes[l].committer() else { return };
            committer.load_answer(&step, answer);
            step = committer.next_load();
        }
    }

    pub(crate) fn look(&mut self, l: usize) {
        let (state, head) = (self.lanes[l].redis.state, self.lanes[l].log.len() as u64);
        let fence = self.lanes[l].fence;
        let Some(committer) = self.lanes[l].committer() else { return };
        let asked = committer.ask();
        let verdict = committer.observe(asked, Some(state), Some(&Head { fence, head, owner: String::new() }));
        if verdict != booker::committer::Verdict::Fine {
            self.lanes[l].owner = None;
        }
    }

    fn reread(&mut self, l: usize) {
        for found in self.lanes[l].redis.undecided().unwrap_or_default() {
            if let Undecided::Confirm(id, Some(record)) = found {
                self.offer(l, intent_of(id, &record));
            }
        }
    }

    /// The owner of lane `l` reads what the other lane's log gave to it.
    fn pull(&mut self, l: usize) {
        let known = self.lanes[l].owner.as_ref().map(|owner| owner.committer.clone());
        let Some(known) = known.filter(|_| self.pulls < 4) else { return };
        let mut pulled = false;
        for (seq, event) in (1..).zip(self.lanes[1 - l].log.clone().iter()) {
            if let LaneEvent::TransferOut { to, lines, .. } = event
                && *to == number(l)
            {
                let from = self.origin(l, seq);
                if !known.fold().has_stock_from(&from) {
                    pulled = true;
                    self.offer(l, Some(Intent::Receive { from, lines: lines.clone() }));
                }
            }
        }
        self.pulls += u8::from(pulled && !self.rules.origin);
    }

    fn question(&mut self) {
        if self.left.question > 0 && !self.question.open {
            self.left.question -= 1;
            self.question = Question { open: true, always: self.really_free(), ..Question::default() };
        }
    }

    /// The lanes are read one by one.
    fn read_lane(&mut self) {
        if !self.question.open || self.question.told {
            return;
        }
        let seen = self.lanes[self.question.round.len()].look();
        self.question.round.push(seen);
        if self.question.round.len() < LANES {
            return;
        }
        let round = std::mem::take(&mut self.question.round);
        let gone = if self.rules.two_rounds {
            transfer::judge(&round, 0, &NAMES.one) == Verdict::Gone
        } else {
            let empty = |stock: &lua::lane::ItemStock| stock.free <= 0 && stock.live == 0;
            round.iter().all(|lane| lane.as_ref().is_some_and(|lane| lane.items.iter().all(|(_, stock)| empty(stock))))
        };
        let before = self.question.before.take();
        let equal = !self.rules.two_rounds || before.is_some_and(|before| transfer::same(&before, &round));
        match (gone, equal) {
            (true, true) => self.question.told = true,
            (true, false) => self.question.before = Some(round),
            // Answered all-held: a question of its own from here on.
            (false, _) => self.question = Question::default(),
        }
    }

    /// What holds in every state.
    pub(crate) fn check(&self) -> Result<(), String> {
        let mut allocated = 0;
        for (l, lane) in self.lanes.iter().enumerate() {
            if let Some(broken) = &lane.broken {
                return Err(format!("I1: lane {l}: {broken}"));
            }
            allocated += lane.fold.item(&NAMES.item).allocated;
            if let LaneState::Loaded { settled, .. } = lane.redis.state {
                self.conserves(l, settled)?;
            }
            let promised = |event: &LaneEvent| matches!(event, LaneEvent::Refused { visitor, why: RefuseReason::SoldOut, .. } if visitor.as_lane().is_none());
            if !self.faulted && lane.log.iter().any(promised) {
                return Err(format!("H12: lane {l}: a held unit went to the other lane"));
            }
        }
        if allocated + self.on_their_way() + self.withdrawn() != u64::from(self.units) {
            return Err(format!(
                "I1: {allocated} allocated, {} on their way and {} withdrawn, of {}",
                self.on_their_way(),
                self.withdrawn(),
                self.units
            ));
        }
        if self.question.told && self.question.always && !self.faulted {
            return Err("told that it is sold out, and there was always a unit that nobody had".into());
        }
        Ok(())
    }

    /// I2 as of the settled seq (R12).
    fn conserves(&self, l: usize, settled: u64) -> Result<(), String> {
        let lane = &self.lanes[l];
        let mut fold = booker::fold::LaneFold::default();
        for (seq, event) in (1..=settled).zip(lane.log.iter()) {
            fold.apply(seq, event).map_err(|error| error.to_string())?;
        }
        let sum = fold.item(&NAMES.item);
        let stock = lane.redis.items.get(&NAMES.item).copied().unwrap_or_default();
        let left = i64::try_from(sum.left()).unwrap();
        let live = lane.redis.claimed().get(&NAMES.item).copied().unwrap_or_default();
        let moved = fold.moved().get(&NAMES.item).copied().unwrap_or_default();
        if stock.free + stock.live != left || stock.live != live {
            return Err(format!("I2: lane {l}: free {} live {} claimed {live}, left {left}", stock.free, stock.live));
        }
        if (stock.moved.given, stock.moved.received) != (moved.given, moved.received) {
            return Err(format!("I2: lane {l}: moved {:?}, the ledger has {moved:?}", stock.moved));
        }
        Ok(())
    }

    /// A fair schedule without faults comes to rest with nothing between the lanes, and Redis as the ledger has it (I5).
    pub(crate) fn drain(&self) -> Result<(), String> {
        let mut world = self.clone();
        for _ in 0..24 {
            let before = world.fingerprint();
            for l in 0..LANES {
                if world.lanes[l].owner.is_none() {
                    world.lanes[l].claim();
                }
                world.lanes[l].net.clear();
                world.look(l);
                world.append(l);
                world.settle(l);
                world.reread(l);
                if world.rules.fetch && (world.rules.origin || world.on_their_way() > 0) {
                    world.pull(l);
                }
                world.form(l);
            }
            if world.fingerprint() == before {
                break;
            }
        }
        world.check()?;
        if world.on_their_way() > 0 {
            return Err("I5: a unit is between the lanes for ever".into());
        }
        for (l, lane) in world.lanes.iter().enumerate() {
            let at = LaneState::Loaded { epoch: 0, settled: lane.log.len() as u64 };
            let same = matches!((lane.redis.state, at), (LaneState::Loaded { settled: a, .. }, LaneState::Loaded { settled: b, .. }) if a == b);
            if !same || !lane.redis.confirming.is_empty() {
                return Err(format!(
                    "I5: lane {l} does not come to rest: {:?}, log {}",
                    lane.redis.state,
                    lane.log.len()
                ));
            }
        }
        Ok(())
    }
}
