//! Transfers between two lanes, explored state by state (R11).
//!
//! The program's fold, decisions, committer and rounds run against the scripts' reference model and a modelled fenced log per
//! lane, with owners that die, take-overs, Redis that loses a lane or falls back to an older copy, and appends whose answer is
//! lost. In every state: no unit is lost or doubled (allocated in both lanes and on their way = the sale's), I2 holds with the
//! claims of the other lane, nobody who was promised a unit loses it without a fault, "sold out" is never told while a unit is
//! to be had. Every state is drained: nothing stays between the lanes. A rule taken away must make a counterexample appear.
//!
//! `HOLDFAST_MODEL=20 cargo test --release -p booker --test transfer_model -- --nocapture` explores twenty times as far.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod steps;
mod world;

use std::collections::HashMap;
use std::collections::VecDeque;
use std::collections::hash_map::Entry;
use std::fmt::Write as _;
use std::time::Instant;

use steps::Label;
use world::{Budget, Rules, World};

fn factor() -> usize {
    std::env::var("HOLDFAST_MODEL").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// Breadth first, until everything was seen or `most` states were; the shortest counterexample, if there is one.
fn explore(name: &str, first: World, most: usize) -> Option<String> {
    let (begin, root) = (Instant::now(), first.fingerprint());
    let mut came: HashMap<u64, (u64, Label)> = HashMap::from([(root, (root, ("", 0, 0)))]);
    let mut queue = VecDeque::from([(first, root, 0usize)]);
    let (mut depth, mut end) = (0, "complete");
    while let Some((world, print, at)) = queue.pop_front() {
        depth = at;
        if let Err(error) = world.check().and_then(|()| world.drain()) {
            println!("{name}: broken after {} states, depth {depth}, {:.1?}", came.len(), begin.elapsed());
            return Some(trace(&came, root, print, &error, &world));
        }
        for (label, next) in world.next() {
            let found = next.fingerprint();
            if let Entry::Vacant(place) = came.entry(found) {
                place.insert((print, label));
                queue.push_back((next, found, at + 1));
            }
        }
        if came.len() >= most * factor() {
            end = "bounded";
            break;
        }
    }
    println!("{name}: {} states, depth {depth}, {end}, holds, {:.1?}", came.len(), begin.elapsed());
    None
}

fn trace(came: &HashMap<u64, (u64, Label)>, root: u64, mut at: u64, error: &str, world: &World) -> String {
    let mut steps = vec![];
    while at != root {
        let (before, label) = came[&at];
        steps.push(label);
        at = before;
    }
    let mut text = format!("{error}\n");
    for (n, (step, a, b)) in steps.iter().rev().enumerate() {
        let _ = writeln!(text, "{:3}. {step} {a} {b}", n + 1);
    }
    for (l, lane) in world.lanes.iter().enumerate() {
        let _ = writeln!(text, "lane {l}: {:?} {:?} {:?}", lane.redis.state, lane.redis.items, lane.log);
    }
    text
}

fn holds(name: &str, units: u32, budget: Budget, states: usize) {
    let found = explore(name, World::new(Rules::default(), units, budget), states);
    assert!(found.is_none(), "{name}: {}", found.unwrap());
}

fn breaks(name: &str, rules: Rules, budget: Budget, expected: &str) {
    let found = explore(name, World::new(rules, 1, budget), 200_000);
    let found = found.unwrap_or_else(|| panic!("{name}: nothing was found"));
    assert!(found.contains(expected), "{name}: {found}");
}

const STATES: usize = 6_000;

#[test]
fn a_transfer_beside_a_hold_that_is_confirmed() {
    holds("transfer, two holds", 1, Budget { hold: [1, 1], ask: [0, 1], expire: 1, ..Budget::default() }, STATES);
}

#[test]
fn to_and_fro_with_two_units() {
    holds("to and fro", 2, Budget { hold: [1, 1], ask: [1, 1], ..Budget::default() }, STATES);
}

#[test]
fn either_owner_dies_at_any_point() {
    holds("owners die", 1, Budget { ask: [0, 1], crash: 2, claim: 1, ..Budget::default() }, STATES);
    holds("owners die, a hold", 1, Budget { hold: [1, 1], ask: [0, 1], crash: 1, ..Budget::default() }, STATES);
}

#[test]
fn redis_loses_either_lane_or_falls_back() {
    holds("loss", 1, Budget { hold: [1, 0], ask: [0, 1], loss: 1, ..Budget::default() }, STATES);
    holds("rollback", 1, Budget { hold: [1, 0], ask: [0, 1], rollback: 1, ..Budget::default() }, STATES);
    holds("loss, crash", 1, Budget { ask: [0, 1], loss: 1, crash: 1, ..Budget::default() }, STATES);
}

#[test]
fn appends_whose_answer_is_lost() {
    holds("given-up appends", 1, Budget { hold: [1, 0], ask: [0, 1], give_up: 2, ..Budget::default() }, STATES);
    holds("given-up appends, claims", 1, Budget { ask: [0, 1], give_up: 1, claim: 2, ..Budget::default() }, STATES);
}

#[test]
fn a_unit_is_withdrawn_beside_holds_transfers_and_faults() {
    holds("withdrawal, holds", 1, Budget { hold: [2, 0], expire: 1, withdraw: 1, ..Budget::default() }, STATES);
    holds("withdrawals, a transfer", 2, Budget { ask: [0, 1], withdraw: 2, ..Budget::default() }, STATES);
    holds(
        "withdrawal, crash",
        1,
        Budget { hold: [1, 0], withdraw: 1, crash: 1, claim: 1, ..Budget::default() },
        STATES,
    );
    holds("withdrawal, loss", 1, Budget { hold: [1, 0], withdraw: 1, loss: 1, ..Budget::default() }, STATES);
    holds("withdrawal, rollback", 1, Budget { hold: [1, 0], withdraw: 1, rollback: 1, ..Budget::default() }, STATES);
    holds("withdrawal, given up", 1, Budget { withdraw: 2, give_up: 2, ..Budget::default() }, STATES);
    holds("withdrawal, question", 1, Budget { ask: [0, 1], withdraw: 1, question: 1, ..Budget::default() }, STATES);
}

#[test]
fn somebody_asks_whether_it_is_sold_out() {
    holds("question", 1, Budget { ask: [0, 1], question: 2, ..Budget::default() }, STATES);
    holds("question, a hold", 1, Budget { hold: [1, 1], ask: [0, 1], question: 1, ..Budget::default() }, STATES);
    holds("question, to and fro", 1, Budget { ask: [1, 1], question: 1, ..Budget::default() }, STATES);
}

#[test]
fn without_a_claim_a_promised_unit_goes_to_the_other_lane() {
    let rules = Rules { claims: false, ..Rules::default() };
    breaks("no claim", rules, Budget { hold: [1, 0], ask: [0, 1], ..Budget::default() }, "H12");
}

#[test]
fn without_its_origin_a_unit_comes_in_twice() {
    let rules = Rules { origin: false, ..Rules::default() };
    breaks("no origin", rules, Budget { ask: [0, 1], ..Budget::default() }, "I1");
}

#[test]
fn sold_out_after_one_round_is_a_lie() {
    let rules = Rules { two_rounds: false, ..Rules::default() };
    breaks("one round", rules, Budget { ask: [0, 1], question: 1, ..Budget::default() }, "sold out");
}

#[test]
fn unless_an_owner_looks_for_it_a_unit_stays_between_the_lanes() {
    let rules = Rules { fetch: false, ..Rules::default() };
    breaks("no looking", rules, Budget { ask: [0, 1], crash: 1, ..Budget::default() }, "I5");
}
