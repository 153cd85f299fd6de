//! Random sequences of every script of a lane on a real server, beside the reference model: the same replies, the same
//! state after each step, and I2. The server falls back to older copies, is wiped, edited, and loaded in chunks meanwhile.
//!
//! `PROPTEST_CASES` sets the number of sequences.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "common/dump.rs"]
mod dump;
#[path = "common/ledger.rs"]
mod ledger;

use std::sync::Arc;

use common::{group, item, pass, request, visitor};
use domain::event::WITHDRAWN;
use domain::fault::KnownFaults;
use domain::state::HoldState;
use domain::{Millis, VisitorHash};
use ledger::Ledger;
use lua::lane::{
    self, ConfirmRequest, Give, GiveItem, HoldGroup, HoldRequest, LaneState, LoadEnd, LoadReply, Mend, MendReply,
    ReapCursor, RecountReply, ReleaseRequest, SettleReply, Undecided,
};
use lua::model::{Intent, LaneModel};
use lua::server::{Snapshot, TestRedis};
use lua::{CallError, LaneKeys, Redis};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const LINES: [&str; 6] = ["a=1", "a=2", "a=3,b=1", "b=2", "b=1,c=1", "nope=1"];
const IDS: u8 = 10;
const VISITORS: u8 = 3;

/// One hold: id, whether it comes from a stranger, lines, pass number and whether it has expired.
type Ask = (u8, bool, usize, Option<(u64, bool)>);

#[derive(Clone, Debug)]
enum Op {
    Hold {
        short: bool,
        limit: Option<u32>,
        asks: Vec<Ask>,
    },
    Confirm(Vec<(u8, bool, Option<u64>)>),
    Release(Vec<(u8, bool)>),
    Cancel(Vec<u8>),
    Leave(Vec<(u8, u64)>),
    Reap,
    /// What is known of faults from now on: windows (milliseconds ago, long), and how long ago they were complete.
    Faults(Vec<(u64, u64)>, u64),
    /// Nobody records faults.
    NoFaults,
    /// A released record becomes so old that it is purged.
    Age(u8),
    /// A held record starts paying: its deadline moves, its place among the due ones does not.
    Pay(u8),
    Decide(usize),
    Settle {
        most: usize,
        wrong: bool,
    },
    Stock(usize, u64),
    /// Another lane asks for units: id, lane, and per item what it wants and what is to be kept.
    Give(u8, u16, Vec<(usize, u32, u64)>),
    /// Another lane's units come.
    Receive(usize, u32),
    Snapshot,
    Rollback,
    Flush,
    EditFree(usize, i64),
    LoseIntent,
    LoseDeadline,
    Mend {
        wrong: bool,
    },
    Load {
        size: usize,
        from: u64,
        disturbed: Option<Box<Op>>,
    },
    Unload {
        epoch: u64,
    },
}

fn owner(id: u8) -> u8 {
    id % VISITORS
}

fn asks() -> impl Strategy<Value = Vec<Ask>> {
    let pass = proptest::option::of((1..4u64, proptest::bool::weighted(0.2)));
    prop::collection::vec((0..IDS, proptest::bool::weighted(0.05), 0..LINES.len(), pass), 1..6)
}

fn op() -> impl Strategy<Value = Op> {
    let stranger = || proptest::bool::weighted(0.1);
    let simple = prop_oneof![
        8 => (any::<bool>(), proptest::option::of(2..8u32), asks())
            .prop_map(|(short, limit, asks)| Op::Hold { short, limit, asks }),
        6 => prop::collection::vec((0..IDS, stranger(), proptest::option::of(1..4u64)), 1..4).prop_map(Op::Confirm),
        2 => prop::collection::vec((0..IDS, stranger()), 1..4).prop_map(Op::Release),
        2 => prop::collection::vec(0..IDS, 1..3).prop_map(Op::Cancel),
        1 => prop::collection::vec((0..VISITORS, 1..4u64), 1..3).prop_map(Op::Leave),
        2 => Just(Op::Reap),
        2 => (prop::collection::vec((0..120_000u64, 1..90_000u64), 0..4), prop::sample::select(vec![0, 1_000, 1_501, 60_000, 200_000]))
            .prop_map(|(windows, lag)| Op::Faults(windows, lag)),
        1 => Just(Op::NoFaults),
        1 => (0..IDS).prop_map(Op::Age),
        1 => (0..IDS).prop_map(Op::Pay),
        5 => (1..9usize).prop_map(Op::Decide),
        6 => (1..9usize, proptest::bool::weighted(0.1)).prop_map(|(most, wrong)| Op::Settle { most, wrong }),
        1 => (0..3usize, 1..4u64).prop_map(|(item, units)| Op::Stock(item, units)),
        3 => (0..IDS, prop::sample::select(vec![1, 2, WITHDRAWN]), prop::collection::vec((0..3usize, 1..4u32, 0..3u64), 1..3))
            .prop_map(|(id, to, items)| Op::Give(id, to, items)),
        1 => (0..3usize, 1..4u32).prop_map(|(item, units)| Op::Receive(item, units)),
        1 => (0..3usize, -4..5i64).prop_map(|(item, units)| Op::EditFree(item, units)),
        1 => Just(Op::LoseIntent),
        1 => Just(Op::LoseDeadline),
        2 => proptest::bool::weighted(0.2).prop_map(|wrong| Op::Mend { wrong }),
    ]
    .boxed();
    let copies = prop_oneof![2 => Just(Op::Snapshot), 1 => Just(Op::Rollback), 1 => Just(Op::Flush)];
    let load = (1..4usize, 0..3u64, proptest::option::of(simple.clone().prop_map(Box::new)));
    prop_oneof![
        40 => simple,
        4 => copies,
        4 => load.prop_map(|(size, from, disturbed)| Op::Load { size, from, disturbed }),
        1 => (0..4u64).prop_map(|epoch| Op::Unload { epoch }),
    ]
}

/// A lane, its model, and its ledger.
struct World {
    redis: Redis,
    keys: LaneKeys,
    model: LaneModel,
    ledger: Ledger,
    epoch: u64,
    /// Free was edited and not mended yet.
    edited: bool,
    faults: Arc<KnownFaults>,
    copy: Option<(Snapshot, LaneModel, bool)>,
}

/// Compares a reply of the server with the model's.
fn same<T: PartialEq + std::fmt::Debug>(real: Result<T, CallError>, model: &Result<T, CallError>) -> Option<T> {
    assert_eq!(&real, model);
    real.ok()
}

impl World {
    async fn new(server: &TestRedis) -> Self {
        let redis = server.redis();
        redis.raw(&[b"FLUSHALL"]).await.unwrap();
        let mut ledger = Ledger::default();
        for (item, units) in [("a", 6), ("b", 4), ("c", 1)] {
            ledger.stock(item, units);
        }
        let keys = LaneKeys::new(&"test".parse().unwrap(), 0);
        let model = LaneModel::default();
        let faults = Arc::new(KnownFaults::none());
        Self { redis, keys, model, ledger, epoch: 1, edited: false, faults, copy: None }
    }

    fn who(id: u8, stranger: bool) -> VisitorHash {
        visitor(owner(id) + u8::from(stranger))
    }

    async fn now(&self) -> Millis {
        lane::meta(&self.redis, &self.keys).await.unwrap().now
    }

    async fn step(&mut self, op: &Op) {
        match op {
            Op::Hold { short, limit, asks } => self.hold(*short, *limit, asks).await,
            Op::Confirm(asks) => self.confirm(asks).await,
            Op::Release(asks) => {
                let request =
                    |(id, stranger): &(u8, bool)| ReleaseRequest { id: item(*id), visitor: Self::who(*id, *stranger) };
                let requests: Vec<_> = asks.iter().map(request).collect();
                same(lane::release(&self.redis, &self.keys, &requests).await, &self.model.release(&requests));
            }
            Op::Cancel(ids) => {
                let ids: Vec<_> = ids.iter().map(|id| item(*id)).collect();
                same(lane::cancel(&self.redis, &self.keys, &ids).await, &self.model.cancel(&ids));
            }
            Op::Leave(passes) => {
                let passes: Vec<_> = passes.iter().map(|(who, number)| (visitor(*who), *number)).collect();
                same(lane::leave(&self.redis, &self.keys, &passes).await, &self.model.leave(&passes));
            }
            Op::Reap => {
                let real = lane::reap(&self.redis, &self.keys, ReapCursor::default(), &self.faults).await;
                let now = real.as_ref().map_or(Millis(0), |reply| reply.now);
                same(real, &self.model.reap(now, &self.faults));
            }
            Op::Faults(windows, lag) => {
                let now = self.now().await;
                let window = |(ago, long): &(u64, u64)| (Millis(now.0 - ago), Millis(now.0 - ago + long));
                let faults = windows.iter().map(window).collect();
                self.faults = Arc::new(KnownFaults { faults, to: Millis(now.0 - lag) });
            }
            Op::NoFaults => self.faults = Arc::new(KnownFaults::none()),
            Op::Age(id) => self.age(*id).await,
            Op::Pay(id) => self.pay(*id).await,
            Op::Decide(most) => self.decide(*most).await,
            Op::Settle { most, wrong } => self.settle(*most, *wrong).await,
            Op::Stock(item, units) => self.ledger.stock(["a", "b", "c"][*item], *units),
            Op::Give(id, to, items) => self.give(*id, *to, items).await,
            Op::Receive(item, units) => self.ledger.receive(["a", "b", "c"][*item], *units),
            Op::Snapshot => {
                let copy = Snapshot::take(&self.redis).await.unwrap();
                self.copy = Some((copy, self.model.clone(), self.edited));
            }
            Op::Rollback => {
                if let Some((copy, model, edited)) = self.copy.clone() {
                    copy.restore(&self.redis).await.unwrap();
                    (self.model, self.edited) = (model, edited);
                }
            }
            Op::Flush => {
                self.redis.raw(&[b"FLUSHALL"]).await.unwrap();
                self.model = LaneModel::default();
            }
            Op::EditFree(item, by) => self.edit(["a", "b", "c"][*item], *by).await,
            Op::LoseIntent => {
                if let Some(Intent::Confirm(id)) = self.model.confirming.iter().next().copied() {
                    self.raw(&[b"SREM", self.keys.confirming().as_bytes(), id.as_bytes()]).await;
                    self.model.confirming.remove(&Intent::Confirm(id));
                }
            }
            Op::LoseDeadline => {
                if let Some((id, _)) = self.model.due.pop_first() {
                    self.raw(&[b"ZREM", self.keys.due().as_bytes(), id.as_bytes()]).await;
                }
            }
            Op::Mend { wrong } => self.mend(*wrong).await,
            Op::Load { size, from, disturbed } => self.load(*size, *from, disturbed.as_deref()).await,
            Op::Unload { epoch } => {
                let real = lane::unload(&self.redis, &self.keys, *epoch).await.unwrap();
                assert_eq!(real, self.model.unload(*epoch));
            }
        }
    }

    async fn raw(&self, words: &[&[u8]]) {
        self.redis.raw(words).await.unwrap();
    }

    async fn hold(&mut self, short: bool, limit: Option<u32>, asks: &[Ask]) {
        let now = self.now().await;
        let ask = |(id, stranger, lines, ticket): &Ask| {
            let request = HoldRequest { visitor: Self::who(*id, *stranger), ..request(*id, 0, LINES[*lines]) };
            match ticket {
                Some((number, true)) => pass(request, *number, Millis(now.0 - 1)),
                // Long ago for the expiry of one in three, just about now: both judge by the same clock.
                Some((number, false)) => pass(request, *number, now.plus(if *id == 0 { 1 } else { 60_000 })),
                None => request,
            }
        };
        let group = group(if short { 1 } else { 60_000 }, limit, asks.iter().map(ask).collect());
        let group = HoldGroup { faults: Arc::clone(&self.faults), ..group };
        let real = lane::hold(&self.redis, &self.keys, &group).await;
        let now = real.as_ref().map_or(now, |reply| reply.now);
        same(real, &self.model.hold(&group, now));
    }

    async fn confirm(&mut self, asks: &[(u8, bool, Option<u64>)]) {
        let ask = |(id, stranger, pass): &(u8, bool, Option<u64>)| ConfirmRequest {
            id: item(*id),
            visitor: Self::who(*id, *stranger),
            pass: *pass,
        };
        let requests: Vec<_> = asks.iter().map(ask).collect();
        let real = lane::confirm(&self.redis, &self.keys, &requests).await;
        let now = real.as_ref().map_or(Millis(0), |reply| reply.now);
        same(real, &self.model.confirm(&requests, now));
    }

    async fn give(&mut self, id: u8, to: u16, items: &[(usize, u32, u64)]) {
        // Ids of their own, and now and then a visitor's.
        let id = item(if to == 1 { id } else { id + 100 });
        let ask = |(n, wanted, keep): &(usize, u32, u64)| {
            let name = ["a", "b", "c"][*n].parse().unwrap();
            (*n, GiveItem { item: name, wanted: *wanted, keep: *keep })
        };
        let items: std::collections::BTreeMap<usize, GiveItem> = items.iter().map(ask).collect();
        let give = Give { id, to, items: items.into_values().collect() };
        same(lane::give(&self.redis, &self.keys, &give).await, &self.model.give(&give));
    }

    async fn age(&mut self, id: u8) {
        let id = item(id);
        let Some(record) = self.model.holds.get_mut(&id) else { return };
        if record.state != HoldState::Released {
            return;
        }
        record.deadline = Millis(record.deadline.0 - 7_200_000);
        let encoded = record.encode();
        self.model.due.insert(id, record.deadline.0);
        let score = record.deadline.0.to_string();
        self.raw(&[b"HSET", self.keys.holds().as_bytes(), id.as_bytes(), &encoded]).await;
        self.raw(&[b"ZADD", self.keys.due().as_bytes(), score.as_bytes(), id.as_bytes()]).await;
    }

    async fn pay(&mut self, id: u8) {
        let id = item(id);
        let Some(record) = self.model.holds.get_mut(&id) else { return };
        if record.state == HoldState::Held {
            (record.state, record.deadline) = (HoldState::Paying, record.deadline.plus(60_000));
            let encoded = record.encode();
            self.raw(&[b"HSET", self.keys.holds().as_bytes(), id.as_bytes(), &encoded]).await;
        }
    }

    async fn decide(&mut self, most: usize) {
        let key = |intent: &Undecided| match intent {
            Undecided::Confirm(id, _) => Intent::Confirm(*id),
            Undecided::Cancel(id) => Intent::Cancel(*id),
        };
        let mut real = lane::undecided_all(&self.redis, &self.keys).await;
        if let Ok(real) = &mut real {
            real.sort_by_key(key);
        }
        if let Some(intents) = same(real, &self.model.undecided()) {
            self.ledger.decide(&intents[..most.min(intents.len())]);
        }
    }

    async fn settle(&mut self, most: usize, wrong: bool) {
        let LaneState::Loaded { settled, .. } = self.model.state else { return };
        if wrong && settled > 0 {
            let settle = self.ledger.settle(settled - 1, 0);
            same(lane::settle(&self.redis, &self.keys, &settle).await, &self.model.settle(&settle));
        } else {
            let settle = self.ledger.settle(settled, most);
            let real = lane::settle(&self.redis, &self.keys, &settle).await;
            let reply = same(real, &self.model.settle(&settle)).unwrap();
            assert!(matches!(reply, SettleReply::Settled { .. }));
        }
    }

    async fn edit(&mut self, name: &str, by: i64) {
        if let Some(stock) = self.model.items.get_mut(name) {
            stock.free += by;
            self.edited = true;
            let (field, free) = (format!("f:{name}"), stock.free.to_string());
            self.raw(&[b"HSET", self.keys.lane().as_bytes(), field.as_bytes(), free.as_bytes()]).await;
        }
    }

    async fn mend(&mut self, wrong: bool) {
        let LaneState::Loaded { settled, .. } = self.model.state else { return };
        let items = self.ledger.fold(settled).mend_items();
        let mend = Mend { expected: settled + u64::from(wrong), items };
        let reply = same(lane::mend(&self.redis, &self.keys, &mend).await, &self.model.mend(&mend)).unwrap();
        if let MendReply::Done(mended) = reply {
            assert!(self.edited || mended.is_empty(), "nothing was edited, and {mended:?} were wrong");
            self.edited = false;
        }
    }

    /// Loads in chunks, from chunk `from` on (so that it may fail), with something else in the middle.
    async fn load(&mut self, size: usize, from: u64, disturbed: Option<&Op>) {
        self.epoch += from;
        let (epoch, head) = (self.epoch, self.ledger.head());
        let fold = self.ledger.fold(head);
        if from < 2 {
            let begin = fold.load_begin(epoch, head);
            let reply = lane::load_begin(&self.redis, &self.keys, &begin).await.unwrap();
            assert_eq!(reply, self.model.load_begin(&begin));
            self.edited &= reply != LoadReply::Done;
        }
        let chunks = fold.load_chunks(epoch, head, size);
        let end = LoadEnd { epoch, head, n: chunks.len() as u64 };
        for chunk in chunks {
            if let Some(op) = disturbed.filter(|_| chunk.n == 1) {
                Box::pin(self.step(op)).await;
            }
            let reply = lane::load_chunk(&self.redis, &self.keys, &chunk).await.unwrap();
            assert_eq!(reply, self.model.load_chunk(&chunk));
        }
        let reply = lane::load_end(&self.redis, &self.keys, &end).await.unwrap();
        assert_eq!(reply, self.model.load_end(&end));
    }

    /// The server has the model's state, and I2 holds.
    async fn check(&self) {
        assert_eq!(dump::lane(&self.redis, &self.keys).await, self.model);
        let LaneState::Loaded { settled, .. } = self.model.state else { return };
        let claimed = self.model.claimed();
        let recount = lane::recount(&self.redis, &self.keys).await.unwrap();
        let lost = self.model.holds.iter().any(|(id, record)| {
            record.state.is_live()
                && !self.model.due.contains_key(id)
                && !self.model.confirming.contains(&Intent::Confirm(*id))
        });
        assert!(lost || recount == RecountReply::Counted(vec![]), "{recount:?}");
        let unsold = self.ledger.fold(settled).unsold();
        for (name, stock) in &self.model.items {
            assert_eq!(stock.live, claimed[name], "live of {name}");
            if !self.edited {
                assert_eq!(stock.free + stock.live, unsold[name], "I2 of {name}");
            }
        }
        for intent in &self.model.confirming {
            if let Intent::Confirm(id) = intent {
                assert_eq!(self.model.holds[id].state, HoldState::Confirming, "the set names {id}");
            }
        }
    }
}

#[test]
fn every_sequence_of_scripts_ends_as_in_the_model() {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 2_000, ..Config::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = TestRedis::start().unwrap();
    let sequence = (0..3u8, prop::collection::vec(op(), 1..30));
    let result = TestRunner::new(config).run(&sequence, |(_, ops)| {
        runtime.block_on(async {
            let mut world = World::new(&server).await;
            world.load(4, 0, None).await;
            for op in &ops {
                world.step(op).await;
                world.check().await;
            }
        });
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}
