//! An owner whose every step is taken by hand: the real committer, the real scripts and the real ledger, but nothing happens
//! unless the test says so. So schedules of the protocol's model are replayed exactly.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code, unreachable_pub)]

use std::collections::BTreeSet;

use booker::committer::{Bounds, Committer, LoadAnswer, LoadStep, Offered, SettleAnswer, SettleStep, Verdict};
use booker::convert::{self, LoadCall};
use booker::decide::Intent;
use booker::fold::LaneFold;
use booker::view_for_tests as view;
use booker::{ConfirmAnswer, no_faults};
use domain::event::Event as _;
use domain::{Fingerprint, HoldId, HoldState, LaneEvent, Millis};
use ledger::{Append, Entry, Writer};
use lua::lane::{
    ConfirmReply, ConfirmRequest, HoldGroup, HoldReply, HoldRequest, LoadReply, ReapCursor, ReleaseReply,
    ReleaseRequest, Settle, SettleReply, Undecided,
};

use super::common::{self, World, id, lines, visitor};

pub struct Hand<'a> {
    pub world: &'a World,
    pub committer: Committer,
    writer: Writer,
    pub limit: Option<u32>,
    /// Ids that were answered as booked or as refused, by this owner.
    pub answered_booked: BTreeSet<HoldId>,
    pub answered_gone: BTreeSet<HoldId>,
    pub answered_key_reused: BTreeSet<HoldId>,
    pub answered_cancelled: BTreeSet<HoldId>,
}

impl<'a> Hand<'a> {
    /// Claims and folds.
    pub async fn claim(world: &'a World, owner: &str) -> Self {
        Self::claim_with(world, owner, Bounds::default()).await
    }

    pub async fn claim_with(world: &'a World, owner: &str, bounds: Bounds) -> Self {
        let writer = world.ledger().claim(&world.log(), owner).await.unwrap();
        let mut fold = LaneFold::default();
        let visit = |entry: Entry| fold.apply(entry.seq, &LaneEvent::decode(&entry.event).unwrap()).unwrap();
        world.ledger().read_all(&world.log(), 0, visit).await.unwrap();
        Self {
            world,
            committer: Committer::new(writer.fence, fold, bounds),
            writer,
            limit: None,
            answered_booked: BTreeSet::new(),
            answered_gone: BTreeSet::new(),
            answered_key_reused: BTreeSet::new(),
            answered_cancelled: BTreeSet::new(),
        }
    }

    /// The first owner of a lane with `units` of item `a`: claimed, stocked, loaded.
    pub async fn first(world: &'a World, units: u64) -> Self {
        let mut hand = Self::claim(world, "first").await;
        let lines = [(common::item("a"), units)].into_iter().collect();
        assert_eq!(hand.committer.offer(Intent::Stock { from: "sale/gig:1".into(), lines }), Offered::Queued);
        hand.append().await;
        hand.mend_everything().await;
        hand
    }

    pub async fn hold(&self, v: u32, key: &str, units: u32) -> HoldReply {
        let lines = lines(&[("a", units)]);
        let request =
            HoldRequest { id: id(v, key), visitor: visitor(v), fp: Fingerprint::of(&lines), lines, pass: None };
        let group =
            HoldGroup { ttl_ms: 60_000, limit: self.limit, most: 20, faults: no_faults()(), requests: vec![request] };
        let replies = lua::lane::hold(&self.world.redis(), &self.world.keys(), &group).await.unwrap();
        replies.replies.into_iter().next().unwrap()
    }

    pub async fn held(&self, v: u32, key: &str, units: u32) {
        let reply = self.hold(v, key, units).await;
        assert!(matches!(reply, HoldReply::Held(_)), "{reply:?}");
    }

    pub async fn release(&self, v: u32, key: &str) {
        let request = ReleaseRequest { id: id(v, key), visitor: visitor(v) };
        let replies = lua::lane::release(&self.world.redis(), &self.world.keys(), &[request]).await.unwrap();
        assert_eq!(replies, [ReleaseReply::Released]);
    }

    /// The confirm script, and its intent to the committer, as the owner does it.
    pub async fn confirm(&mut self, v: u32, key: &str) -> ConfirmReply {
        let reply = self.confirm_by_nobody(v, key).await;
        if let ConfirmReply::Confirming(record) = &reply {
            let intent = convert::intent(id(v, key), record).unwrap();
            if self.committer.offer(intent.clone()) == Offered::Decided {
                self.tell(&[intent]);
            }
        }
        reply
    }

    /// The confirm script whose answer reaches nobody: its owner died.
    pub async fn confirm_by_nobody(&self, v: u32, key: &str) -> ConfirmReply {
        let request = ConfirmRequest { id: id(v, key), visitor: visitor(v), pass: None };
        let replies = lua::lane::confirm(&self.world.redis(), &self.world.keys(), &[request]).await.unwrap();
        replies.replies.into_iter().next().unwrap()
    }

    pub async fn cancel(&mut self, v: u32, key: &str) {
        lua::lane::cancel(&self.world.redis(), &self.world.keys(), &[id(v, key)]).await.unwrap();
        self.committer.offer(Intent::Cancel { id: id(v, key) });
    }

    fn tell(&mut self, intents: &[Intent]) {
        for intent in intents {
            match intent {
                Intent::Confirm { id, fp, .. } => {
                    match view::confirm_answer(&self.world.log(), self.committer.fold(), *id, *fp, false) {
                        Some(ConfirmAnswer::Booked { .. }) => drop(self.answered_booked.insert(*id)),
                        Some(ConfirmAnswer::Refused(_)) => drop(self.answered_gone.insert(*id)),
                        Some(ConfirmAnswer::KeyReused) => drop(self.answered_key_reused.insert(*id)),
                        Some(ConfirmAnswer::Cancelled(_)) => {}
                        other => panic!("told without a decision: {other:?}"),
                    }
                }
                Intent::Cancel { id } => {
                    let state = self.committer.fold().decided(id).map(|decided| decided.state);
                    if state == Some(HoldState::Cancelled) {
                        self.answered_cancelled.insert(*id);
                    }
                }
                Intent::Stock { .. } | Intent::Give { .. } | Intent::Receive { .. } => {}
            }
        }
    }

    /// Forms a group without appending it: its append is on its way.
    pub fn form(&mut self) -> Vec<String> {
        let formed = self.committer.form_group(self.limit, Millis(10));
        self.tell(&formed.told);
        formed.texts
    }

    /// Sends a formed group.
    pub async fn send(&self, texts: &[String]) -> Append {
        self.world.ledger().append(&self.writer, texts).await.unwrap()
    }

    /// Learns that the group is in the log.
    pub fn learn(&mut self, writer: Writer) {
        self.writer = writer;
        let told = self.committer.appended().unwrap();
        self.tell(&told);
    }

    /// One group: formed, sent, learnt. False when it was refused by the fence.
    pub async fn append(&mut self) -> bool {
        let texts = self.form();
        if texts.is_empty() {
            return true;
        }
        match self.send(&texts).await {
            Append::Appended(writer) => {
                self.learn(writer);
                true
            }
            Append::Fenced(_) => {
                self.committer.not_appended();
                false
            }
        }
    }

    /// The next settle, not sent yet.
    pub async fn plan_settle(&mut self) -> Option<Settle> {
        loop {
            match self.committer.next_settle() {
                SettleStep::Nothing => return None,
                SettleStep::Read { after, most } => {
                    let entries = self.world.ledger().read(&self.world.log(), after, most).await.unwrap();
                    let events = entries.into_iter().map(|e| (e.seq, LaneEvent::decode(&e.event).unwrap()));
                    self.committer.replay(events.collect::<Vec<_>>());
                }
                SettleStep::Settle(plan) => return convert::settle(&plan, self.committer.fold()),
            }
        }
    }

    /// Runs a settle, whoever's it is.
    pub async fn run_settle(&self, settle: &Settle) -> Result<SettleReply, lua::CallError> {
        lua::lane::settle(&self.world.redis(), &self.world.keys(), settle).await
    }

    /// Settles until there is nothing to settle, or Redis refuses. The refusal, if there was one.
    pub async fn settle(&mut self) -> Option<SettleAnswer> {
        while let Some(settle) = self.plan_settle().await {
            let answer = match self.run_settle(&settle).await {
                Ok(SettleReply::Settled { .. }) => SettleAnswer::Settled,
                Ok(SettleReply::Behind { settled }) => SettleAnswer::Behind { settled },
                Err(lua::CallError::NotLoaded) => SettleAnswer::NotLoaded,
                Err(error) => panic!("{error}"),
            };
            self.committer.settle_answer(answer);
            if answer != SettleAnswer::Settled {
                return Some(answer);
            }
        }
        None
    }

    /// One step of a load; what it was, and what became of it.
    pub async fn load_step(&mut self) -> Option<(LoadStep, LoadReply)> {
        let step = self.committer.next_load();
        let call = convert::load(&step, self.committer.fence(), self.committer.fold())?;
        let (redis, keys) = (self.world.redis(), self.world.keys());
        let reply = match &call {
            LoadCall::Begin(begin) => lua::lane::load_begin(&redis, &keys, begin).await.unwrap(),
            LoadCall::Chunk(chunk) => lua::lane::load_chunk(&redis, &keys, chunk).await.unwrap(),
            LoadCall::End(end) => lua::lane::load_end(&redis, &keys, end).await.unwrap(),
        };
        let answer = if reply == LoadReply::Done { LoadAnswer::Done } else { LoadAnswer::Refused };
        self.committer.load_answer(&step, answer);
        Some((step, reply))
    }

    /// A heartbeat.
    pub async fn look(&mut self) -> Verdict {
        let asked = self.committer.ask();
        let meta = lua::lane::meta(&self.world.redis(), &self.world.keys()).await.unwrap();
        let head = self.world.ledger().head(&self.world.log()).await.unwrap();
        self.committer.observe(asked, Some(meta.state), Some(&head))
    }

    /// Reads the undecided set and offers what is in it.
    pub async fn reread(&mut self) -> usize {
        let mut undecided = lua::lane::undecided_all(&self.world.redis(), &self.world.keys()).await.unwrap_or_default();
        undecided.sort_by_key(|found| matches!(found, Undecided::Cancel(_)));
        let found = undecided.len();
        for intent in undecided {
            let intent = match intent {
                Undecided::Confirm(id, Some(record)) => convert::intent(id, &record).unwrap(),
                Undecided::Confirm(_, None) => continue,
                Undecided::Cancel(id) => Intent::Cancel { id },
            };
            if self.committer.offer(intent.clone()) == Offered::Decided {
                self.tell(&[intent]);
            }
        }
        found
    }

    /// A fair round without faults: look, load, settle, reread, decide, append, settle, until nothing changes. Panics when the
    /// owner has to step down.
    pub async fn mend_everything(&mut self) {
        for _ in 0..20 {
            assert_eq!(self.look().await, Verdict::Fine);
            while self.load_step().await.is_some() {}
            self.settle().await;
            let mut cursor = ReapCursor::default();
            loop {
                let reaped =
                    lua::lane::reap(&self.world.redis(), &self.world.keys(), cursor, &no_faults()()).await.unwrap();
                cursor = reaped.cursor;
                if cursor == ReapCursor::default() {
                    break;
                }
            }
            let found = self.reread().await;
            assert!(self.append().await);
            self.settle().await;
            if found == 0 && self.committer.settled() == Some(self.committer.fold().head()) {
                return;
            }
        }
        panic!("no rest after twenty fair rounds (I5)");
    }
}

/// What the whole protocol promises, at rest: Redis is the fold, no answer was a lie.
pub async fn check(hand: &mut Hand<'_>) {
    hand.mend_everything().await;
    hand.world.at_rest().await;
    for id in &hand.answered_booked {
        let state = hand.committer.fold().decided(id).map(|decided| decided.state);
        assert!(matches!(state, Some(HoldState::Sold | HoldState::Cancelled)), "I3: {id} was answered as booked");
    }
    for id in &hand.answered_gone {
        assert_eq!(hand.committer.fold().decided(id).map(|d| d.state), Some(HoldState::Refused), "I4: {id}");
    }
    assert!(hand.answered_booked.is_disjoint(&hand.answered_gone), "I4");
}
