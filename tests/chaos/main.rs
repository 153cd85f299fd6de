//! What holds under faults: real processes on real stores, with a proxy that misbehaves on every way between them.
//!
//! A plan of faults is a pure function of a seed; `CHAOS_SEED=...` has it again. Visitors keep a history of what they were told;
//! afterwards the logs, the visitors' lists, what Redis showed at every moment and `holdfast audit` must agree with it, and
//! everything must be sold: a unit that leaked is as visible as one sold twice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod history;
#[path = "../support/http.rs"]
mod http;
mod inflict;
mod judge;
mod ledger;
mod plan;
mod planted;
mod process;
mod proxy;
mod redis;
mod rows;
mod run;
mod visitors;
#[path = "../support/wait.rs"]
mod wait;
mod world;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::ledger::On;
use plan::{Kind, plan};

/// Faults of the sample that every test run takes.
const FAULTS: usize = 20;
const PROCESSES: usize = 2;

fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_holdfast"))
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// The plan of the seed that is given, or of a new one; carried out, reported, and without any violation.
fn no_violation(on: On, kinds: &[Kind], faults: usize) {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos();
    let seed = number("CHAOS_SEED").unwrap_or_else(|| now().into());
    eprintln!("CHAOS_SEED={seed} CHAOS_FAULTS={faults}");
    let plan = plan(seed, kinds, faults);
    let begun = Instant::now();
    let Some(outcome) = run::run(program(), PROCESSES, on, None, &plan) else { return };
    let mut kinds: BTreeMap<Kind, (usize, Duration)> = BTreeMap::new();
    for (step, seen) in plan.iter().zip(&outcome.seen) {
        let (times, longest) = kinds.entry(step.kind).or_default();
        (*times, *longest) = (*times + 1, seen.longest_without.max(*longest));
    }
    for (kind, (times, longest)) in &kinds {
        eprintln!("{times:3} x {kind:?}: nobody was told of a booking for at most {longest:.1?}");
    }
    eprintln!(
        "{faults} faults of {} kinds in {:.0?}: {} bookings acknowledged, {} passes, {} states of Redis seen, {} violations",
        kinds.len(),
        begun.elapsed(),
        outcome.booked,
        outcome.passes,
        outcome.glances,
        outcome.violations.len()
    );
    assert!(outcome.violations.is_empty(), "{}CHAOS_SEED={seed}: {:#?}", outcome.said, outcome.violations);
}

#[test]
fn nothing_is_sold_twice_lost_or_stranded_whatever_fails() {
    let faults = number("CHAOS_FAULTS").map_or(FAULTS, |faults| usize::try_from(faults).unwrap());
    no_violation(On::File, &Kind::ALL, faults);
}

#[test]
fn nothing_is_sold_twice_lost_or_stranded_on_a_cassandra_that_fails() {
    let nodes = number("CHAOS_NODES").map_or(1, |nodes| u16::try_from(nodes).unwrap());
    let faults = number("CHAOS_CASSANDRA_FAULTS");
    let faults = faults.map_or(Kind::ON_CASSANDRA.len(), |faults| usize::try_from(faults).unwrap());
    no_violation(On::Cassandra(nodes), &Kind::ON_CASSANDRA, faults);
}
