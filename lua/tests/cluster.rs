//! A lane on a cluster whose slots move and whose masters change: every script, repeated until it is answered, changes the lane
//! once; and hints outlive the node they are heard from.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{fp, group, lines};
use domain::state::HoldState;
use domain::{HoldId, Millis, SaleId, VisitorHash};
use lua::hints::{self, HintKind};
use lua::lane::{
    self, ConfirmReply, ConfirmRequest, HoldReply, HoldRequest, LoadBegin, LoadEnd, LoadReply, ReleaseReply,
    ReleaseRequest, Settle, SettleEvent, SettleReply, Settling,
};
use lua::server::{Failover, TestCluster};
use lua::{CallError, Hints, LaneKeys, Redis};
use tokio::time::{Instant, timeout};

const PATIENCE: Duration = Duration::from_secs(60);
const UNITS: i64 = 10_000;

/// Repeats a call until it is answered, as its callers do; whether an earlier one may have been executed.
async fn again<T>(mut call: impl AsyncFnMut() -> Result<T, CallError>) -> (T, bool) {
    let (begin, mut doubt) = (Instant::now(), false);
    loop {
        match call().await {
            Ok(answer) => return (answer, doubt),
            Err(CallError::Unknown { .. }) => doubt = true,
            Err(CallError::NotExecuted { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        assert!(begin.elapsed() < PATIENCE, "no answer");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

struct World {
    redis: Redis,
    keys: LaneKeys,
    settled: u64,
    sold: i64,
}

impl World {
    async fn load(redis: Redis) -> Self {
        let keys = LaneKeys::new(&"test".parse().unwrap(), 0);
        let free = [("a".parse().unwrap(), UNITS)].into();
        let begin = LoadBegin { epoch: 1, head: 1, free, moved: Default::default() };
        assert_eq!(lane::load_begin(&redis, &keys, &begin).await.unwrap(), LoadReply::Done);
        let end = LoadEnd { epoch: 1, head: 1, n: 0 };
        assert_eq!(lane::load_end(&redis, &keys, &end).await.unwrap(), LoadReply::Done);
        Self { redis, keys, settled: 1, sold: 0 }
    }

    /// I2, as it must be after each script.
    async fn i2(&self, live: i64) {
        let (stock, _) = again(async || lane::stock(&self.redis, &self.keys).await).await;
        let (_, a) = &stock.items[0];
        assert_eq!((a.free, a.live, stock.settled), (UNITS - self.sold - live, live, self.settled), "I2");
    }

    /// One visitor's way: hold, then confirm and settle, or release; each call once more after its answer.
    async fn visit(&mut self, n: u64) {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&n.to_be_bytes());
        let visitor = VisitorHash(bytes);
        let id = HoldId::derive(&"test".parse().unwrap(), 0, &visitor, "key");
        let request = HoldRequest { id, visitor, fp: fp("a=1"), lines: lines("a=1"), pass: None };
        let hold = group(300_000, None, vec![request]);
        for round in 0..2 {
            let (replies, doubt) = again(async || lane::hold(&self.redis, &self.keys, &hold).await).await;
            let held = matches!(replies.replies[0], HoldReply::Held(_));
            assert!(held == (round == 0) || doubt, "{:?}", replies.replies);
            self.i2(1).await;
        }
        if n.is_multiple_of(3) {
            for _ in 0..2 {
                let release = [ReleaseRequest { id, visitor }];
                let (replies, _) = again(async || lane::release(&self.redis, &self.keys, &release).await).await;
                assert_eq!(replies, [ReleaseReply::Released]);
                self.i2(0).await;
            }
            return;
        }
        for _ in 0..2 {
            let confirm = [ConfirmRequest { id, visitor, pass: None }];
            let (replies, _) = again(async || lane::confirm(&self.redis, &self.keys, &confirm).await).await;
            assert!(matches!(replies.replies[0], ConfirmReply::Confirming(_)), "{:?}", replies.replies);
            self.i2(1).await;
        }
        let booked = Settling::Booked { id, visitor, fp: fp("a=1"), pass: None, lines: lines("a=1"), at: Millis(5) };
        let events = vec![SettleEvent { seq: self.settled + 1, what: booked }];
        let settle = Settle { expected: self.settled, events, ..Settle::default() };
        for round in 0..2 {
            let (reply, doubt) = again(async || lane::settle(&self.redis, &self.keys, &settle).await).await;
            match reply {
                SettleReply::Settled { .. } => assert_eq!(round, 0, "settled twice"),
                SettleReply::Behind { settled } => assert!(settled == settle.expected + 1 && (round == 1 || doubt)),
            }
            (self.settled, self.sold) = (settle.expected + 1, self.sold + i64::from(round == 0));
            self.i2(0).await;
        }
        let (look, _) = again(async || lane::look(&self.redis, &self.keys, &[id], &[]).await).await;
        assert_eq!(look.records[0].as_ref().unwrap().state, HoldState::Sold);
    }
}

/// Moves the lane's slot from master to master and back, and the role of the second one to its replica and back.
fn unrest(cluster: &TestCluster, slot: u16, rounds: u32) {
    for round in 0..rounds {
        cluster.settled().unwrap();
        let from = cluster.master_of(slot).unwrap();
        let other = (0..3).map(|n| cluster.master_of(n * 6_000).unwrap()).find(|master| *master != from).unwrap();
        cluster.move_slot(slot, other).unwrap();
        if round % 2 == 0 {
            cluster.settled().unwrap();
            let master = cluster.master_of(slot).unwrap();
            cluster.failover(cluster.replica_of(master).unwrap(), Failover::Agreed).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_repeated_through_reshards_and_failovers_change_the_lane_once() {
    let cluster = Arc::new(TestCluster::start().unwrap());
    let mut world = World::load(cluster.redis()).await;
    let slot = TestCluster::slot_of(world.keys.lane());
    let over = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&over);
    let mover = Arc::clone(&cluster);
    let moving = tokio::task::spawn_blocking(move || {
        unrest(&mover, slot, 4);
        ended.store(true, Ordering::Relaxed);
    });
    let mut visits = 0;
    while !over.load(Ordering::Relaxed) && !moving.is_finished() {
        visits += 1;
        world.visit(visits).await;
    }
    moving.await.unwrap();
    world.visit(visits + 1).await;
    assert!(visits > 20, "{visits}");
}

/// The node that a listener sits on.
fn listened_to(cluster: &TestCluster, but: Option<usize>) -> Option<usize> {
    (0..cluster.size()).filter(|n| Some(*n) != but).find(|n| {
        let answer = cluster.ask::<(String, u64)>(*n, &["PUBSUB", "NUMSUB", "h1:hints"]);
        answer.is_ok_and(|(_, listeners)| listeners > 0)
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hints_are_heard_from_any_node_and_from_another_when_it_dies_or_freezes() {
    let mut cluster = TestCluster::start().unwrap();
    let sale: SaleId = "test".parse().unwrap();
    let hints = Hints::listen(cluster.access());
    let mut receiver = hints.subscribe(&sale);
    let redis = cluster.redis();
    let mut last = None;
    for round in 0..3 {
        let begin = Instant::now();
        let node = loop {
            if let Some(node) = listened_to(&cluster, last) {
                break node;
            }
            assert!(begin.elapsed() < PATIENCE, "nobody listens");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let before = receiver.borrow_and_update().line;
        while receiver.borrow_and_update().line == before {
            assert!(begin.elapsed() < PATIENCE, "no hint arrives");
            let _ = hints::publish(&redis, &sale, HintKind::Line).await;
            let _ = timeout(Duration::from_millis(50), receiver.changed()).await;
        }
        match round {
            0 => cluster.kill(node).unwrap(),
            1 => {
                cluster.restart(last.unwrap()).unwrap();
                cluster.settled().unwrap();
                cluster.freeze(node).unwrap();
            }
            _ => {}
        }
        last = Some(node);
    }
}
