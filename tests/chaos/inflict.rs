//! Doing to a world what a plan says.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::history::History;
use crate::plan::{Between, Kind, Step};
use crate::process::Signal;
use crate::proxy::{Proxy, Way};
use crate::world::{World, lane_key};

/// Delay of a slow way, and bytes a second of a narrow one.
const SLOW: Duration = Duration::from_millis(60);
const NARROW: usize = 60_000;
/// Units that somebody adds by hand.
const EDITED: &str = "500";

/// `whom`: the process it is done to. The processes' way to Redis leads to whoever is master now; `moved` is told where that is.
pub(crate) fn inflict(
    world: &mut World,
    step: &Step,
    whom: usize,
    lanes: &[(&str, u16)],
    history: &History,
    moved: impl Fn(&World),
) {
    let forgets = step.kind.forgets();
    if forgets {
        history.losses.fetch_add(1, Ordering::SeqCst);
    }
    match step.kind {
        Kind::Slow(between) => misbehave(world, between, whom, Way::Slow(SLOW), step.lasts),
        Kind::Cut(between) => misbehave(world, between, whom, Way::Cut, step.lasts),
        Kind::Silent(between) => misbehave(world, between, whom, Way::Silent, step.lasts),
        Kind::Deaf(between) => misbehave(world, between, whom, Way::Deaf, step.lasts),
        Kind::Narrow(between) => misbehave(world, between, whom, Way::Narrow(NARROW), step.lasts),
        Kind::KillProcess => {
            world.processes[whom].kill();
            std::thread::sleep(step.lasts);
            world.processes[whom].go_on();
        }
        Kind::PauseProcess => {
            world.ledger.in_nobodys_hands(|| world.processes[whom].signal(Signal::STOP));
            std::thread::sleep(step.lasts);
            world.processes[whom].signal(Signal::CONT);
        }
        Kind::PauseInAppend => {
            let away = world.ledger.away_under_an_append();
            world.processes.iter().for_each(|process| process.signal(Signal::STOP));
            drop(away);
            std::thread::sleep(step.lasts);
            world.processes.iter().for_each(|process| process.signal(Signal::CONT));
        }
        Kind::KillRedis => world.redis.restart(),
        Kind::ShortRedis => world.redis.restart_short(step.lasts),
        Kind::FailOver => {
            world.redis.fail_over(step.lasts);
            world.lead_to_redis();
        }
        Kind::PauseRedis => {
            world.redis.pause();
            std::thread::sleep(step.lasts);
            world.redis.resume();
        }
        Kind::Flush => drop(world.redis.say(&["FLUSHALL"])),
        Kind::FlushAsleep => {
            world.ledger.in_nobodys_hands(|| world.processes[whom].signal(Signal::STOP));
            let _ = world.redis.say(&["FLUSHALL"]);
            std::thread::sleep(step.lasts);
            world.processes[whom].signal(Signal::CONT);
        }
        Kind::Edit => {
            history.edits.lock().unwrap().push(Instant::now());
            for (sale, lane) in lanes {
                let _ = world.redis.say(&["HINCRBY", &lane_key(sale, *lane, "lane"), "f:seat", EDITED]);
            }
        }
        Kind::StealLease => {
            for (sale, lane) in lanes {
                for lease in [lane_key(sale, *lane, "lease"), format!("h1:{{{sale}}}:lease")] {
                    let _ = world.redis.say(&["SET", &lease, "nobody", "PX", "300"]);
                }
            }
        }
        Kind::LedgerAway => {
            let _away = world.ledger.away();
            std::thread::sleep(step.lasts);
        }
        Kind::LedgerSlow => world.ledger.gasps(step.lasts),
        Kind::ProcessDiskFull => {
            world.processes[whom].fill_disk(true);
            std::thread::sleep(step.lasts);
            world.processes[whom].fill_disk(false);
        }
        Kind::RedisDiskFull => {
            world.redis.fill_disk(true);
            std::thread::sleep(step.lasts);
            world.redis.fill_disk(false);
        }
        Kind::KillNode => world.ledger.kill_node(step.whom, step.lasts),
        Kind::PauseNode => world.ledger.pause_node(step.whom, step.lasts),
    }
    moved(world);
    if forgets {
        history.losses.fetch_add(1, Ordering::SeqCst);
    }
}

fn misbehave(world: &World, between: Between, whom: usize, way: Way, lasts: Duration) {
    let ways: Vec<&Proxy> = match between {
        Between::Visitors => vec![&world.processes[whom].visitors],
        Between::Redis => vec![&world.processes[whom].to_redis],
        Between::Others => vec![&world.processes[whom].others],
        Between::AllRedis => world.processes.iter().map(|process| &process.to_redis).collect(),
    };
    ways.iter().for_each(|proxy| proxy.set(way));
    std::thread::sleep(lasts);
    ways.iter().for_each(|proxy| proxy.set(Way::Open));
}
