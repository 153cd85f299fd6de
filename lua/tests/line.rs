//! A line's scripts and leases on a real server: facts, and random sequences beside the model.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "common/dump.rs"]
mod dump;

use common::visitor;
use lua::lease::{self, Lease};
use lua::line::{self, JoinGroup, JoinReply, JoinRequest, Joined, LineReply, LineState, PresentRequest};
use lua::model::LineModel;
use lua::server::{Snapshot, TestRedis};
use lua::{CallError, LaneKeys, LineKeys, Redis};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

fn keys() -> LineKeys {
    LineKeys::new(&"test".parse().unwrap())
}

fn state(epoch: u64, settled: u64) -> LineState {
    LineState { epoch, settled, frontier: settled, numbers_to: settled + 10, doc: format!("at {settled}") }
}

fn join(epoch: u64, first_number: u64, visitors: &[(u8, Option<u64>)]) -> JoinGroup {
    let request = |(who, replace): &(u8, Option<u64>)| JoinRequest { visitor: visitor(*who), replace: *replace };
    JoinGroup { epoch, first_number, visitors: visitors.iter().map(request).collect() }
}

fn show(who: u8, number: u64, used: bool, replace: Option<u64>) -> PresentRequest {
    PresentRequest { visitor: visitor(who), number, used, replace }
}

#[tokio::test]
async fn visitors_get_numbers_in_order_and_keep_them() {
    let server = TestRedis::start().unwrap();
    let (redis, keys) = (server.redis(), keys());
    let group = join(1, 100, &[(1, None), (2, None), (1, None), (3, None)]);
    assert_eq!(line::join(&redis, &keys, &group).await, Err(CallError::NotLoaded));
    assert_eq!(line::load(&redis, &keys, &state(1, 1)).await.unwrap(), LineReply::Done);
    let new = |number| Joined { number, existed: false };
    let known = |number| Joined { number, existed: true };
    let reply = line::join(&redis, &keys, &group).await.unwrap();
    assert_eq!(reply, JoinReply::Joined { used: 3, numbers: vec![new(100), new(101), known(100), new(102)] });
    // A number whose pass was granted gives way; a number that is not the visitor's replaces nothing.
    let group = join(1, 103, &[(1, Some(100)), (2, Some(100)), (4, Some(100))]);
    let reply = line::join(&redis, &keys, &group).await.unwrap();
    assert_eq!(reply, JoinReply::Joined { used: 2, numbers: vec![new(103), known(101), new(104)] });
    let reply = line::join(&redis, &keys, &join(2, 200, &[(9, None)])).await.unwrap();
    assert_eq!(reply, JoinReply::WrongEpoch { epoch: 1 });
    assert_eq!(line::look(&redis, &keys).await.unwrap().tickets, 4);
}

#[tokio::test]
async fn numbers_beyond_fourteen_digits_stay_exact() {
    let server = TestRedis::start().unwrap();
    let (redis, keys) = (server.redis(), keys());
    line::load(&redis, &keys, &state(1, 1)).await.unwrap();
    let first = 123_456_789_012_345;
    let new = |number| Joined { number, existed: false };
    let reply = line::join(&redis, &keys, &join(1, first, &[(1, None), (2, None)])).await.unwrap();
    assert_eq!(reply, JoinReply::Joined { used: 2, numbers: vec![new(first), new(first + 1)] });
    let shown = line::present(&redis, &keys, 1, &[show(2, first + 7, false, None)]).await.unwrap().unwrap();
    assert_eq!(shown, [Some(first + 1)]);
}

#[tokio::test]
async fn of_two_unused_tickets_the_lower_wins_and_a_used_one_is_never_restored() {
    let server = TestRedis::start().unwrap();
    let (redis, keys) = (server.redis(), keys());
    line::load(&redis, &keys, &state(1, 1)).await.unwrap();
    let present = async |ticket| line::present(&redis, &keys, 1, &[ticket]).await.unwrap().unwrap()[0];
    assert_eq!(present(show(1, 5, true, None)).await, None, "used: nothing to restore");
    assert_eq!(present(show(1, 5, false, None)).await, Some(5), "Redis had lost it");
    assert_eq!(present(show(1, 8, false, None)).await, Some(5), "the lower one stays");
    assert_eq!(present(show(1, 8, false, Some(5))).await, Some(8), "5 is used and gives way");
    assert_eq!(present(show(1, 3, true, None)).await, Some(8));
    assert_eq!(present(show(1, 4, false, None)).await, Some(4));
    assert_eq!(line::present(&redis, &keys, 7, &[show(1, 1, false, None)]).await.unwrap(), Err(1));
}

#[tokio::test]
async fn a_line_goes_neither_back_nor_to_an_older_owner() {
    let server = TestRedis::start().unwrap();
    let (redis, keys) = (server.redis(), keys());
    assert_eq!(line::publish(&redis, &keys, &state(1, 1)).await, Err(CallError::NotLoaded));
    assert_eq!(line::load(&redis, &keys, &state(2, 5)).await.unwrap(), LineReply::Done);
    let refused = LineReply::Refused { epoch: 2, settled: 5 };
    assert_eq!(line::load(&redis, &keys, &state(1, 6)).await.unwrap(), refused);
    assert_eq!(line::load(&redis, &keys, &state(3, 4)).await.unwrap(), refused);
    assert_eq!(line::publish(&redis, &keys, &state(3, 6)).await.unwrap(), refused);
    assert_eq!(line::publish(&redis, &keys, &state(2, 4)).await.unwrap(), refused);
    assert_eq!(line::publish(&redis, &keys, &state(2, 6)).await.unwrap(), LineReply::Done);
    assert_eq!(line::look(&redis, &keys).await.unwrap().state, state(2, 6));
    assert_eq!(line::load(&redis, &keys, &state(3, 6)).await.unwrap(), LineReply::Done);
    assert!(!line::unload(&redis, &keys, 2).await.unwrap());
    assert!(line::unload(&redis, &keys, 3).await.unwrap());
    assert_eq!(line::look(&redis, &keys).await, Err(CallError::NotLoaded));
}

#[tokio::test]
async fn a_lease_has_one_owner_until_it_is_given_up_or_runs_out() {
    let server = TestRedis::start().unwrap();
    let redis = server.redis();
    let lane = LaneKeys::new(&"test".parse().unwrap(), 0);
    let take = async |owner, ttl| lease::take(&redis, (&lane).into(), owner, ttl).await.unwrap();
    assert_eq!(take("one", 60_000).await, Lease::Mine);
    assert_eq!(take("one", 60_000).await, Lease::Mine, "renewed");
    let Lease::Other { owner, left_ms } = take("two", 60_000).await else { panic!("two owners") };
    assert!(owner == "one" && (1..=60_000).contains(&left_ms));
    assert!(!lease::drop(&redis, (&lane).into(), "two").await.unwrap());
    assert!(lease::drop(&redis, (&lane).into(), "one").await.unwrap());
    assert_eq!(take("two", 1).await, Lease::Mine);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while take("one", 60_000).await != Lease::Mine {
        assert!(std::time::Instant::now() < deadline, "the lease does not run out");
    }
    assert_eq!(lease::take(&redis, (&keys()).into(), "two", 1_000).await.unwrap(), Lease::Mine, "another lease");
}

#[derive(Clone, Debug)]
enum Op {
    Join { wrong: bool, visitors: Vec<(u8, Option<u64>)> },
    Present { wrong: bool, tickets: Vec<(u8, u64, bool, Option<u64>)> },
    Publish(u64, u64),
    Load(u64, u64),
    Unload(u64),
    Snapshot,
    Rollback,
    Flush,
}

fn op() -> impl Strategy<Value = Op> {
    let wrong = || proptest::bool::weighted(0.1);
    let number = || proptest::option::of(1..12u64);
    prop_oneof![
        8 => (wrong(), prop::collection::vec((0..5u8, number()), 1..6))
            .prop_map(|(wrong, visitors)| Op::Join { wrong, visitors }),
        8 => (wrong(), prop::collection::vec((0..5u8, 1..12u64, any::<bool>(), number()), 1..6))
            .prop_map(|(wrong, tickets)| Op::Present { wrong, tickets }),
        3 => (1..4u64, 0..9u64).prop_map(|(epoch, settled)| Op::Publish(epoch, settled)),
        3 => (1..4u64, 0..9u64).prop_map(|(epoch, settled)| Op::Load(epoch, settled)),
        1 => (0..4u64).prop_map(Op::Unload),
        1 => Just(Op::Snapshot),
        1 => Just(Op::Rollback),
        1 => Just(Op::Flush),
    ]
}

struct World {
    redis: Redis,
    keys: LineKeys,
    model: LineModel,
    next: u64,
    copy: Option<(Snapshot, LineModel)>,
}

impl World {
    async fn step(&mut self, op: &Op) {
        let (redis, keys) = (&self.redis, &self.keys);
        let epoch = |wrong: bool| self.model.state.as_ref().map_or(1, |state| state.epoch) + u64::from(wrong);
        match op {
            Op::Join { wrong, visitors } => {
                let group = join(epoch(*wrong), self.next, visitors);
                let real = line::join(redis, keys, &group).await;
                assert_eq!(real, self.model.join(&group));
                if let Ok(JoinReply::Joined { used, .. }) = real {
                    self.next += used;
                }
            }
            Op::Present { wrong, tickets } => {
                let tickets = tickets.iter().map(|(who, number, used, replace)| show(*who, *number, *used, *replace));
                let (epoch, tickets) = (epoch(*wrong), tickets.collect::<Vec<_>>());
                let real = line::present(redis, keys, epoch, &tickets).await;
                assert_eq!(real, self.model.present(epoch, &tickets));
            }
            Op::Publish(epoch, settled) => {
                let state = state(*epoch, *settled);
                assert_eq!(line::publish(redis, keys, &state).await, self.model.publish(&state));
            }
            Op::Load(epoch, settled) => {
                let state = state(*epoch, *settled);
                assert_eq!(line::load(redis, keys, &state).await.unwrap(), self.model.load(&state));
            }
            Op::Unload(epoch) => {
                let there = self.model.state.as_ref().map_or(0, |state| state.epoch);
                assert_eq!(line::unload(redis, keys, *epoch).await.unwrap(), there <= *epoch);
                if there <= *epoch {
                    self.model = LineModel::default();
                }
            }
            Op::Snapshot => self.copy = Some((Snapshot::take(redis).await.unwrap(), self.model.clone())),
            Op::Rollback => {
                if let Some((copy, model)) = &self.copy {
                    copy.restore(redis).await.unwrap();
                    self.model = model.clone();
                }
            }
            Op::Flush => {
                redis.raw(&[b"FLUSHALL"]).await.unwrap();
                self.model = LineModel::default();
            }
        }
        assert_eq!(dump::line(&self.redis, &self.keys).await, self.model);
    }
}

#[test]
fn every_sequence_of_a_lines_scripts_ends_as_in_the_model() {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = TestRedis::start().unwrap();
    let result = TestRunner::new(config).run(&prop::collection::vec(op(), 1..30), |ops| {
        runtime.block_on(async {
            let redis = server.redis();
            redis.raw(&[b"FLUSHALL"]).await.unwrap();
            let mut world = World { redis, keys: keys(), model: LineModel::default(), next: 20, copy: None };
            for op in &ops {
                world.step(op).await;
            }
        });
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}

#[tokio::test]
async fn processes_alive_are_told_to_each_other_until_they_are_silent_or_go() {
    let server = TestRedis::start().unwrap();
    let redis = server.redis();
    let alive = |token: &'static str, ttl| lua::members::alive(&redis, "booker", token, ttl);
    assert_eq!(alive("2@b", 60_000).await.unwrap(), ["2@b"]);
    assert_eq!(alive("1@a", 60_000).await.unwrap(), ["1@a", "2@b"]);
    assert_eq!(lua::members::alive(&redis, "admission", "1@a", 60_000).await.unwrap(), ["1@a"], "of their own kind");
    assert_eq!(alive("3@c", 1).await.unwrap(), ["1@a", "2@b", "3@c"]);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while alive("1@a", 60_000).await.unwrap().len() > 2 {
        assert!(std::time::Instant::now() < deadline, "a silent process counts for ever");
    }
    assert_eq!(alive("2@b", 0).await.unwrap(), ["1@a"], "one that goes is gone at once");
}

#[tokio::test]
async fn who_has_a_lease_can_be_asked_without_taking_it() {
    let server = TestRedis::start().unwrap();
    let (redis, keys) = (server.redis(), LineKeys::new(&"night".parse().unwrap()));
    assert_eq!(lua::lease::holder(&redis, (&keys).into()).await.unwrap(), None);
    lua::lease::take(&redis, (&keys).into(), "1@a", 60_000).await.unwrap();
    assert_eq!(lua::lease::holder(&redis, (&keys).into()).await.unwrap(), Some("1@a".to_owned()));
}
