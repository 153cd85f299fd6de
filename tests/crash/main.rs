//! What holds when things die: the real program and its real Redis, killed, wiped and edited while visitors buy.
//!
//! The visitors keep a history of what they were told; afterwards the ledger, the visitors' lists and `holdfast audit`
//! must agree with it. Every run ends by buying all that is left, so that a leaked unit is as visible as one sold twice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod buyers;
#[path = "../support/http.rs"]
mod http;
mod line;
mod lobby;
mod rig;
#[path = "../support/start.rs"]
mod start;
#[path = "../support/wait.rs"]
mod wait;

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use buyers::{Run, buy_the_rest, judge, shop};
use lua::server::{Failover, TestCluster};
use rig::Rig;
use wait::within;

/// Times something is killed in the run with kills.
const KILLS: u32 = 24;
/// Buyers at once: enough that every step of a booking is under way whenever something dies.
const BUYERS: u64 = 24;

fn sale(id: &str, units: u64, lanes: u16) -> String {
    format!(
        "id = \"{id}\"\nadmission = \"none\"\nlanes = {lanes}\nhold = {{ ttl = \"2s\", paying_ttl = \"2s\" }}\n\n[[items]]\nid = \"seat\"\nunits = {units}\n"
    )
}

/// Sends the visitors home at its end, whatever the end is: a test that fails must not wait for them for ever.
struct Stop<'a>(&'a Run);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}

/// Runs `harm` while visitors buy, lets them go on until they have certain answers, buys the rest, judges.
fn while_visitors_buy(rig: &mut Rig, name: &'static str, units: u64, harm: impl FnOnce(&mut Rig, &Run)) {
    while_so_many_buy(BUYERS, 1, rig, name, units, harm);
}

fn while_so_many_buy(
    buyers: u64,
    lanes: u16,
    rig: &mut Rig,
    name: &'static str,
    units: u64,
    harm: impl FnOnce(&mut Rig, &Run),
) {
    rig.sell(&sale(name, units, lanes));
    let run = Run::new(name, "seat", rig.banner("public"));
    std::thread::scope(|scope| {
        let _stop = Stop(&run);
        for buyer in 0..buyers {
            let run = &run;
            scope.spawn(move || shop(run, buyer));
        }
        assert!(within(Duration::from_secs(10), || run.booked().len() > 20), "nobody could buy: {:?}", run.lies);
        harm(rig, &run);
    });
    buy_the_rest(&run, Duration::from_secs(60));
    let events: Vec<_> = (0..lanes).flat_map(|lane| rig.log(&format!("lane/{name}/{lane}"))).collect();
    judge(&run, &events, units);
    rig.audit(name);
    eprintln!("{name}: {} bookings acknowledged", run.booked().len());
}

/// A seed that is printed, so that the order of kills can be had again.
fn seed() -> u64 {
    let given = std::env::var("HOLDFAST_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos().into());
    eprintln!("HOLDFAST_TEST_SEED={seed}");
    seed
}

fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

#[test]
fn no_acknowledged_booking_is_lost_when_program_and_redis_are_killed_again_and_again() {
    let mut rig = Rig::start();
    let mut dice = seed();
    while_visitors_buy(&mut rig, "killed", 150_000, |rig, run| {
        for round in 0..KILLS {
            let before = run.booked().len();
            std::thread::park_timeout(Duration::from_millis(100 + next(&mut dice) % 900));
            match next(&mut dice) % 3 {
                0 => rig.kill_redis(),
                1 => {
                    rig.kill();
                    rig.go_on();
                }
                _ => {
                    rig.kill_redis();
                    rig.kill();
                    rig.go_on();
                }
            }
            *run.public.write().unwrap() = rig.banner("public");
            assert!(
                within(Duration::from_secs(20), || run.booked().len() > before),
                "round {round}: nobody could buy any more"
            );
        }
    });
}

#[test]
fn units_move_between_lanes_and_none_is_lost_when_program_and_redis_are_killed() {
    let mut rig = Rig::start();
    let mut dice = seed();
    // Few units and holds of a thousand at the end: lanes run dry, and what is left has to come together.
    while_so_many_buy(BUYERS, 4, &mut rig, "lanes", 6_000, |rig, run| {
        for round in 0..6 {
            std::thread::park_timeout(Duration::from_millis(100 + next(&mut dice) % 500));
            if round % 2 == 0 {
                rig.kill();
                rig.go_on();
            } else {
                rig.kill_redis();
            }
            *run.public.write().unwrap() = rig.banner("public");
        }
    });
    let all: Vec<_> = (0..4).flat_map(|lane| rig.log(&format!("lane/lanes/{lane}"))).collect();
    let count = |kind: &str| all.iter().filter(|event| event["t"] == kind).count();
    assert!(count("transfer_out") > 0, "no unit ever moved");
    assert_eq!(count("transfer_out"), count("transfer_in"), "what left has come in");
}

#[test]
fn a_wiped_redis_sells_nothing_twice_and_service_resumes_by_itself() {
    let mut rig = Rig::start();
    while_visitors_buy(&mut rig, "wiped", 20_000, |rig, run| {
        for _ in 0..3 {
            let before = run.booked().len();
            rig.redis(&["FLUSHALL"]);
            assert!(within(Duration::from_secs(20), || run.booked().len() > before + 200), "service did not resume");
        }
    });
}

#[test]
fn a_redis_that_shows_more_stock_than_there_is_sells_nothing_twice() {
    let mut rig = Rig::start();
    // Few units, so that the sale is sold out while Redis lies about it.
    while_visitors_buy(&mut rig, "edited", 600, |rig, run| {
        let keys = rig.redis(&["--scan", "--pattern", "*{edited:0}:lane"]);
        let lane = keys.lines().next().expect("the lane's key").to_owned();
        for _ in 0..3 {
            let free = rig.redis(&["HINCRBY", &lane, "f:seat", "500"]);
            assert!(free.trim().parse::<i64>().is_ok(), "the edit did not take: {free}");
            std::thread::park_timeout(Duration::from_millis(1_500));
        }
        assert!(run.booked().len() > 20);
    });
}

#[test]
fn a_failover_to_a_replica_that_lags_behind_sells_nothing_twice_and_loses_no_booking() {
    let mut cluster = TestCluster::start().unwrap();
    let mut rig = Rig::start_on(cluster.access().to_string());
    let slot = TestCluster::slot_of("{lagging:0}");
    let goes_on = |run: &Run| {
        let before = run.booked().len();
        assert!(within(Duration::from_secs(40), || run.booked().len() > before + 100), "service did not resume");
    };
    // Elections take their time: few buyers, so that not everything is sold before.
    while_so_many_buy(4, 1, &mut rig, "lagging", 150_000, |_, run| {
        let master = cluster.master_of(slot).unwrap();
        let replica = cluster.replica_of(master).unwrap();
        cluster.cut_off(replica).unwrap();
        // Holds and bookings that the replica never hears of.
        goes_on(run);
        cluster.kill(master).unwrap();
        cluster.failover(replica, Failover::TakeOver).unwrap();
        goes_on(run);
        // The other way round: a master that is frozen, left by election, and wakes up with answers to give.
        cluster.reconnect(replica).unwrap();
        cluster.restart(master).unwrap();
        cluster.settled().unwrap();
        cluster.freeze(replica).unwrap();
        cluster.elected(slot, replica).unwrap();
        goes_on(run);
        cluster.thaw(replica).unwrap();
        goes_on(run);
    });
}

#[test]
fn nobody_loses_the_place_in_line_when_program_and_redis_die() {
    let mut rig = Rig::start();
    line::survives(&mut rig, |rig| {
        rig.kill_redis();
        rig.kill();
        rig.go_on();
    });
}

#[test]
fn nobody_loses_the_place_in_line_when_redis_is_wiped() {
    let mut rig = Rig::start();
    line::survives(&mut rig, |rig| drop(rig.redis(&["FLUSHALL"])));
}

#[test]
fn a_lobby_keeps_its_receipts_and_its_order_when_program_and_redis_die_in_it_and_in_its_draw() {
    let mut rig = Rig::start();
    for (n, ms) in [0, 4, 25].into_iter().enumerate() {
        lobby::survives(&mut rig, &format!("lobby-{n}"), Duration::from_millis(ms));
    }
}
