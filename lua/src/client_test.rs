//! What becomes of calls when the server forgets, dies, freezes or hangs up: each is executed at most once, each ends in
//! time, and what is said about it is true.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;
use crate::script::Script;
use crate::server::TestRedis;

/// Counts executions per id; not among the scripts that a connection loads.
static COUNT: LazyLock<Script> =
    LazyLock::new(|| Script::new(usize::MAX, "count", 1, "#!lua\nreturn redis.call('HINCRBY', KEYS[1], ARGV[1], 1)"));

/// Beyond a call's own bound, for a machine that has other things to do.
const SLACK: Duration = Duration::from_millis(1_500);
const TASKS: u64 = 32;

async fn count(redis: &Redis, id: u64) -> Result<Value, CallError> {
    let mut call = Call::of(&COUNT, 0, &["count"]);
    call.int(id);
    redis.call(&call).await
}

/// Id, outcome, and how long it took.
type Outcome = (u64, Result<Value, CallError>, Duration);

/// Calls under way while something happens to the server.
struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    tasks: Vec<tokio::task::JoinHandle<Vec<Outcome>>>,
}

impl Load {
    fn start(redis: &Redis) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let task = |task: u64| {
            let (redis, stop, done) = (redis.clone(), Arc::clone(&stop), Arc::clone(&done));
            tokio::spawn(async move {
                let mut outcomes = vec![];
                while !stop.load(Ordering::Relaxed) {
                    let id = task * 1_000_000 + outcomes.len() as u64;
                    let begin = Instant::now();
                    let outcome = count(&redis, id).await;
                    if outcome.is_err() {
                        // A caller that is refused at once does not spin.
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    done.fetch_add(u64::from(outcome.is_ok()), Ordering::Relaxed);
                    outcomes.push((id, outcome, begin.elapsed()));
                }
                outcomes
            })
        };
        let tasks = (0..TASKS).map(task).collect();
        Self { stop, done, tasks }
    }

    /// Waits until this many more calls have succeeded.
    async fn more(&self, calls: u64) {
        let until = self.done.load(Ordering::Relaxed) + calls;
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.done.load(Ordering::Relaxed) < until {
            assert!(Instant::now() < deadline, "calls do not succeed any more");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Ends the load and compares what was said with what was done. Answered calls may be missing only when `lossy`.
    async fn check(self, redis: &Redis, lossy: bool) -> HashMap<&'static str, u64> {
        self.stop.store(true, Ordering::Relaxed);
        let mut outcomes = vec![];
        for task in self.tasks {
            outcomes.extend(task.await.unwrap());
        }
        let executed: HashMap<u64, u64> = {
            let all = redis.raw(&[b"HGETALL", b"count"]).await.unwrap();
            redis::from_redis_value(all).unwrap()
        };
        assert!(executed.values().all(|times| *times == 1), "a call was executed twice");
        let mut kinds = HashMap::new();
        for (id, outcome, took) in outcomes {
            assert!(took < redis.inner.settings.call + SLACK, "a call took {took:?}");
            let there = executed.contains_key(&id);
            match &outcome {
                Ok(_) => assert!(there || lossy, "{id} was answered and is not there"),
                Err(CallError::NotExecuted { why }) => assert!(!there, "{id} was executed: {why}"),
                Err(CallError::Unknown { .. }) => {}
                Err(other) => panic!("{other}"),
            }
            *kinds.entry(outcome.as_ref().err().map_or("answered", CallError::as_str)).or_default() += 1;
        }
        kinds
    }
}

#[tokio::test]
async fn a_forgotten_script_costs_its_callers_nothing() {
    let server = TestRedis::start().unwrap();
    let redis = server.redis();
    let other = server.redis();
    let load = Load::start(&redis);
    for _ in 0..20 {
        load.more(100).await;
        other.raw(&[b"SCRIPT", b"FLUSH"]).await.unwrap();
    }
    let kinds = load.check(&redis, false).await;
    assert_eq!(kinds.keys().collect::<Vec<_>>(), [&"answered"]);
}

#[tokio::test]
async fn a_killed_server_is_used_again_when_it_is_back() {
    let mut server = TestRedis::start().unwrap();
    let redis = server.redis();
    let load = Load::start(&redis);
    for _ in 0..3 {
        load.more(500).await;
        server.kill().unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        server.restart().unwrap();
    }
    load.more(500).await;
    // The last second before a kill may be lost: the ledger judges.
    let kinds = load.check(&redis, true).await;
    assert!(kinds["answered"] >= 2_000 && kinds["not_executed"] > 0, "{kinds:?}");
}

#[tokio::test]
async fn a_frozen_server_holds_nobody_beyond_the_deadline() {
    let server = TestRedis::start().unwrap();
    let redis = server.redis();
    let load = Load::start(&redis);
    load.more(500).await;
    server.freeze().unwrap();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    server.thaw().unwrap();
    load.more(500).await;
    let kinds = load.check(&redis, false).await;
    // What was under way is unknown; what came later failed while connecting, and so is known.
    assert!(kinds["unknown"] <= 2 * TASKS && kinds["not_executed"] > 0, "{kinds:?}");
}

#[tokio::test]
async fn calls_of_a_connection_that_was_cut_are_not_sent_again() {
    let server = TestRedis::start().unwrap();
    let redis = server.redis();
    let other = server.redis();
    let load = Load::start(&redis);
    for _ in 0..40 {
        load.more(50).await;
        other.raw(&[b"CLIENT", b"KILL", b"TYPE", b"normal", b"SKIPME", b"yes"]).await.unwrap();
    }
    load.more(50).await;
    let kinds = load.check(&redis, false).await;
    assert!(kinds["answered"] >= 2_000, "{kinds:?}");
}

#[tokio::test]
async fn many_callers_open_one_connection() {
    let server = TestRedis::start().unwrap();
    let (redis, other) = (server.redis(), server.redis());
    other.ping().await.unwrap();
    let connections = async || {
        let stats = other.raw(&[b"INFO", b"stats"]).await.unwrap();
        let stats: String = redis::from_redis_value(stats).unwrap();
        let line = stats.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
        line.unwrap().parse::<u64>().unwrap()
    };
    let before = connections().await;
    let calls = (0..200).map(|id| {
        let redis = redis.clone();
        tokio::spawn(async move { count(&redis, id).await })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap().unwrap();
    }
    assert_eq!(connections().await, before + 1);
}

#[tokio::test]
async fn without_a_server_calls_fail_at_once_as_not_executed() {
    let mut server = TestRedis::start().unwrap();
    let redis = server.redis();
    count(&redis, 1).await.unwrap();
    server.kill().unwrap();
    let begin = Instant::now();
    let mut not_executed = 0;
    for id in 2..1_000 {
        match count(&redis, id).await {
            Err(CallError::NotExecuted { .. }) => not_executed += 1,
            Err(CallError::Unknown { .. }) => assert!(id < 4, "the broken connection is still used"),
            other => panic!("{other:?}"),
        }
    }
    assert!(not_executed > 990 && begin.elapsed() < SLACK, "{not_executed} in {:?}", begin.elapsed());
}
