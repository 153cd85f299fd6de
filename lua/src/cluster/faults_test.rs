//! What becomes of calls when a cluster moves slots, fails over, loses nodes or all of them: no call is executed twice, none
//! outlives its deadline, each gets its own answer, and what is said to be unexecuted is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;
use crate::client::Redis;
use crate::key::slot_of_tag;
use crate::script::Script;
use crate::server::{Failover, TestCluster};

/// Counts executions per id in one key, and touches another, so that a slot on its way can split them; answers with its id.
static COUNT: LazyLock<Script> = LazyLock::new(|| {
    let text =
        "#!lua\nlocal n = redis.call('HINCRBY', KEYS[1], ARGV[1], 1) redis.call('INCR', KEYS[2]) return {ARGV[1], n}";
    Script::new(usize::MAX, "count", 2, text)
});

/// Beyond a call's own bound, for a machine that has other things to do.
const SLACK: Duration = Duration::from_millis(2_000);
/// How long service may stay away after what the tests do: an election takes some four seconds, on a quiet machine.
const PATIENCE: Duration = Duration::from_secs(60);
const TASKS: u64 = 8;

/// Keys of one shard.
#[derive(Clone)]
struct Shard {
    slot: u16,
    keys: [String; 2],
}

/// A shard on each master.
fn shards(cluster: &TestCluster) -> Vec<Shard> {
    let mut found: Vec<(usize, Shard)> = vec![];
    for n in 0.. {
        let tag = format!("t{n}");
        let slot = slot_of_tag(&tag);
        let master = cluster.master_of(slot).unwrap();
        if found.iter().all(|(known, _)| *known != master) {
            let keys = ["counts", "calls"].map(|name| format!("{{{tag}}}:{name}"));
            found.push((master, Shard { slot, keys }));
        }
        if found.len() == 3 {
            break;
        }
    }
    found.into_iter().map(|(_, shard)| shard).collect()
}

async fn count(redis: &Redis, shard: &Shard, id: u64) -> Result<(), CallError> {
    let mut call = Call::of(&COUNT, shard.slot, &[&shard.keys[0], &shard.keys[1]]);
    call.int(id);
    let (answered, times): (u64, u64) = redis::from_redis_value(redis.call(&call).await?).unwrap();
    assert_eq!((answered, times), (id, 1), "the answer of another call, or a second execution");
    Ok(())
}

/// Id, outcome, and how long it took.
type Outcome = (u64, Result<(), CallError>, Duration);

/// Calls on all shards from two handles, as two threads have them, while something happens to the cluster.
struct Load {
    stop: Arc<AtomicBool>,
    shards: Vec<Shard>,
    done: Vec<Arc<AtomicU64>>,
    tasks: Vec<(usize, tokio::task::JoinHandle<Vec<Outcome>>)>,
}

impl Load {
    fn start(cluster: &TestCluster) -> Self {
        let (stop, shards) = (Arc::new(AtomicBool::new(false)), shards(cluster));
        let done: Vec<_> = shards.iter().map(|_| Arc::new(AtomicU64::new(0))).collect();
        let handles = [cluster.redis(), cluster.redis()];
        let mut tasks = vec![];
        for task in 0..TASKS * 3 {
            let number = usize::try_from(task % 3).unwrap();
            let (redis, shard) = (handles[usize::from(task % 2 == 0)].clone(), shards[number].clone());
            let (stop, done) = (Arc::clone(&stop), Arc::clone(&done[number]));
            let run = async move {
                let mut outcomes = vec![];
                while !stop.load(Ordering::Relaxed) {
                    let id = task * 10_000_000 + outcomes.len() as u64;
                    let begin = Instant::now();
                    let outcome = count(&redis, &shard, id).await;
                    let took = begin.elapsed();
                    done.fetch_add(u64::from(outcome.is_ok()), Ordering::Relaxed);
                    outcomes.push((id, outcome, took));
                    // Enough to meet everything that happens, and something is left of the machine.
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                outcomes
            };
            tasks.push((number, tokio::spawn(run)));
        }
        Self { stop, shards, done, tasks }
    }

    /// Waits until this many more calls have succeeded on a shard.
    async fn more_on(&self, shard: usize, calls: u64) {
        let until = self.done[shard].load(Ordering::Relaxed) + calls;
        let deadline = Instant::now() + PATIENCE;
        while self.done[shard].load(Ordering::Relaxed) < until {
            assert!(Instant::now() < deadline, "calls on shard {shard} do not succeed any more");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn more(&self, calls: u64) {
        for shard in 0..self.shards.len() {
            self.more_on(shard, calls).await;
        }
    }

    /// Ends the load and compares what was said with what was done; kinds of outcomes per shard. Answered calls may be missing
    /// only when `lossy`: what a master did not tell its replica in time.
    async fn check(self, cluster: &TestCluster, lossy: bool) -> Vec<HashMap<&'static str, u64>> {
        self.stop.store(true, Ordering::Relaxed);
        let executed = |shard: &Shard| -> HashMap<u64, u64> {
            cluster.ask(cluster.master_of(shard.slot).unwrap(), &["HGETALL", &shard.keys[0]]).unwrap()
        };
        let mut outcomes = vec![];
        for (shard, task) in self.tasks {
            outcomes.push((shard, task.await.unwrap()));
        }
        let executed: Vec<_> = self.shards.iter().map(executed).collect();
        let mut kinds = vec![HashMap::new(); self.shards.len()];
        for (shard, (id, outcome, took)) in
            outcomes.into_iter().flat_map(|(n, all)| all.into_iter().map(move |o| (n, o)))
        {
            assert!(took < Settings::default().call + SLACK, "a call took {took:?}");
            let times = executed[shard].get(&id).copied().unwrap_or(0);
            assert!(times <= 1, "{id} was executed {times} times");
            match &outcome {
                Ok(()) => assert!(times == 1 || lossy, "{id} was answered and is not there"),
                Err(CallError::NotExecuted { why }) => assert_eq!(times, 0, "{id} was executed: {why}"),
                Err(CallError::Unknown { .. }) => {}
                Err(other) => panic!("{other}"),
            }
            *kinds[shard].entry(outcome.as_ref().err().map_or("answered", CallError::as_str)).or_default() += 1;
        }
        kinds
    }
}

fn only_answers(kinds: &[HashMap<&'static str, u64>]) -> bool {
    kinds.iter().all(|kinds| kinds.keys().all(|kind| *kind == "answered"))
}

/// How often a node said this, or was told it.
fn stat(cluster: &TestCluster, n: usize, section: &str, name: &str) -> u64 {
    let text: String = cluster.ask(n, &["INFO", section]).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":"));
    let number = line.and_then(|line| line.split(['=', ',']).nth(1)?.parse().ok());
    number.unwrap_or(0)
}

fn other_master(cluster: &TestCluster, slot: u16) -> usize {
    let own = cluster.master_of(slot).unwrap();
    (0..=u8::MAX).map(|n| cluster.master_of(u16::from(n) * 64).unwrap()).find(|master| *master != own).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_moves_under_load_costs_its_callers_nothing() {
    let cluster = TestCluster::start().unwrap();
    let load = Load::start(&cluster);
    let slot = load.shards[0].slot;
    for _ in 0..4 {
        load.more(50).await;
        let (from, to) = (cluster.master_of(slot).unwrap(), other_master(&cluster, slot));
        cluster.begin_move(slot, to).unwrap();
        load.more(20).await;
        while cluster.move_keys(slot, to, 10).unwrap() > 0 {}
        // All keys are there and the slot is not yet: every call is sent on with ASKING.
        load.more(20).await;
        assert!(stat(&cluster, to, "commandstats", "cmdstat_asking") > 0);
        cluster.end_move(slot, to).unwrap();
        load.more(50).await;
        assert!(stat(&cluster, from, "errorstats", "errorstat_MOVED") > 0);
    }
    let kinds = load.check(&cluster, false).await;
    assert!(only_answers(&kinds), "{kinds:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_slot_s_keys_are_split_its_calls_wait_or_are_refused_and_other_slots_go_on() {
    let cluster = TestCluster::start().unwrap();
    let load = Load::start(&cluster);
    let (slot, beside) = (load.shards[0].slot, load.shards[1].slot);
    load.more(50).await;
    let (from, to) = (cluster.master_of(slot).unwrap(), cluster.master_of(beside).unwrap());
    cluster.begin_move(slot, to).unwrap();
    assert_eq!(cluster.move_keys(slot, to, 1).unwrap(), 1);
    let (begin, refused) = (Instant::now(), || stat(&cluster, from, "errorstats", "errorstat_TRYAGAIN"));
    while refused() < 100 {
        assert!(begin.elapsed() < PATIENCE, "nobody is refused");
        load.more_on(1, 10).await;
    }
    // Of each of the two handles one call tries at a time, with a pause of 20 ms; at first all did.
    assert!(begin.elapsed() > Duration::from_millis(500), "{:?} for 100 tries", begin.elapsed());
    while cluster.move_keys(slot, to, 10).unwrap() > 0 {}
    cluster.end_move(slot, to).unwrap();
    load.more(50).await;
    let kinds = load.check(&cluster, false).await;
    assert!(only_answers(&kinds[1..]), "{kinds:?}");
    assert!(kinds[0]["not_executed"] > 0 && !kinds[0].contains_key("unknown"), "{kinds:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agreed_failover_loses_nothing_and_the_promoted_replica_learns_the_scripts() {
    let cluster = TestCluster::start().unwrap();
    let load = Load::start(&cluster);
    // There and back again, on each master.
    for slot in load.shards.iter().map(|shard| shard.slot).flat_map(|slot| [slot, slot]) {
        load.more(50).await;
        cluster.settled().unwrap();
        let master = cluster.master_of(slot).unwrap();
        cluster.failover(cluster.replica_of(master).unwrap(), Failover::Agreed).unwrap();
        cluster.elected(slot, master).unwrap();
        load.more(50).await;
    }
    cluster.settled().unwrap();
    let kinds = load.check(&cluster, false).await;
    for kinds in kinds {
        let refused: u64 = kinds.iter().filter(|(kind, _)| **kind != "answered").map(|(_, times)| times).sum();
        assert!(refused * 20 <= kinds["answered"], "{kinds:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_master_is_left_for_its_replica_and_the_others_hardly_notice() {
    let mut cluster = TestCluster::start().unwrap();
    let load = Load::start(&cluster);
    load.more(50).await;
    let slot = load.shards[0].slot;
    let master = cluster.master_of(slot).unwrap();
    cluster.kill(master).unwrap();
    load.more(50).await;
    assert_ne!(cluster.master_of(slot).unwrap(), master);
    cluster.restart(master).unwrap();
    cluster.settled().unwrap();
    load.more(50).await;
    let kinds = load.check(&cluster, true).await;
    for kinds in &kinds[1..] {
        let refused: u64 = kinds.iter().filter(|(kind, _)| **kind != "answered").map(|(_, times)| times).sum();
        assert!(refused * 20 <= kinds["answered"], "{kinds:?}");
    }
    assert!(kinds[0]["not_executed"] > 0, "{kinds:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_master_is_left_when_another_is_elected_and_changes_nothing_when_it_wakes() {
    let cluster = TestCluster::start().unwrap();
    let load = Load::start(&cluster);
    load.more(50).await;
    let slot = load.shards[0].slot;
    let master = cluster.master_of(slot).unwrap();
    cluster.freeze(master).unwrap();
    // Served again while it is still frozen.
    load.more(100).await;
    cluster.thaw(master).unwrap();
    load.more(100).await;
    cluster.settled().unwrap();
    assert_ne!(cluster.master_of(slot).unwrap(), master);
    load.more(20).await;
    let kinds = load.check(&cluster, true).await;
    assert!(kinds[0]["unknown"] > 0 && kinds[0]["not_executed"] > 0, "{kinds:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_all_nodes_died_and_came_back_calls_succeed_again() {
    let mut cluster = TestCluster::start().unwrap();
    let load = Load::start(&cluster);
    load.more(50).await;
    (0..cluster.size()).try_for_each(|n| cluster.kill(n)).unwrap();
    (0..cluster.size()).try_for_each(|n| cluster.restart(n)).unwrap();
    load.more(50).await;
    cluster.settled().unwrap();
    let kinds = load.check(&cluster, true).await;
    assert!(kinds.iter().all(|kinds| kinds["not_executed"] > 0), "{kinds:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forgotten_scripts_cost_nothing_on_any_node() {
    let cluster = TestCluster::start().unwrap();
    let load = Load::start(&cluster);
    for _ in 0..10 {
        load.more(20).await;
        for n in 0..cluster.size() {
            cluster.ask::<Value>(n, &["SCRIPT", "FLUSH"]).unwrap();
        }
    }
    let kinds = load.check(&cluster, false).await;
    assert!(only_answers(&kinds), "{kinds:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handles_of_one_process_share_one_table_and_each_node_gets_one_connection_of_each() {
    let cluster = TestCluster::start().unwrap();
    let shard = shards(&cluster).remove(0);
    let (one, other) = (cluster.redis(), cluster.redis());
    for (n, redis) in [&one, &other].into_iter().enumerate() {
        let calls = (0..100u64).map(|id| {
            let (redis, shard) = (redis.clone(), shard.clone());
            tokio::spawn(async move { count(&redis, &shard, n as u64 * 1_000 + id).await })
        });
        for call in calls.collect::<Vec<_>>() {
            call.await.unwrap().unwrap();
        }
    }
    let clients: String =
        cluster.ask(cluster.master_of(shard.slot).unwrap(), &["CLIENT", "LIST", "TYPE", "normal"]).unwrap();
    let with = |word: &str| clients.lines().filter(|line| line.contains(word)).count();
    assert_eq!((with("cmd=evalsha") + with("cmd=eval "), with("cmd=cluster|nodes")), (2, 1), "{clients}");
}

#[tokio::test]
async fn without_a_node_calls_fail_in_time_as_not_executed_and_later_ones_at_once() {
    let nobody = crate::access::Target::Cluster(vec!["127.0.0.1:1".parse().unwrap()]);
    let redis = Redis::new(nobody, Settings::default());
    let shard = Shard { slot: 7, keys: ["{a}1".into(), "{a}2".into()] };
    let begin = Instant::now();
    for id in 0..200 {
        let error = count(&redis, &shard, id).await.unwrap_err();
        assert!(matches!(&error, CallError::NotExecuted { why } if why.contains("127.0.0.1:1")), "{error}");
    }
    assert!(begin.elapsed() < SLACK, "{:?}", begin.elapsed());
    assert!(matches!(redis.ping().await, Err(CallError::NotExecuted { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_with_a_password_is_served_with_it_and_refuses_who_has_none() {
    let cluster = TestCluster::start_with(&[("requirepass", "sesame"), ("masterauth", "sesame")]).unwrap();
    let shards = shards(&cluster);
    let redis = cluster.redis();
    for (id, shard) in shards.iter().enumerate() {
        count(&redis, shard, id as u64).await.unwrap();
    }
    redis.ping().await.unwrap();
    let stranger = Redis::new(cluster.access().target, Settings::default());
    let error = count(&stranger, &shards[0], 9).await.unwrap_err();
    assert!(
        matches!(&error, CallError::NotExecuted { why } if why.contains("NOAUTH") || why.contains("Authentication")),
        "{error}"
    );
}
