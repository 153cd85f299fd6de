//! Bugs planted on purpose: a rig that does not find them proves nothing.

use crate::ledger::On;
use crate::plan::{Between, Kind, plan};
use crate::{PROCESSES, program, run};

/// Seeds within which each bug has to be found.
const SEEDS: u64 = 3;

/// Within a few seeds, a plan of these faults makes the bug visible.
fn is_found(bug: &str, kinds: &[Kind], sign: &str) {
    for seed in 0..SEEDS {
        let outcome = run::run(program(), PROCESSES, On::File, Some(bug), &plan(seed, kinds, kinds.len())).unwrap();
        if outcome.violations.iter().any(|violation| violation.contains(sign)) {
            eprintln!("{bug}: found with seed {seed}: {}", outcome.violations[0]);
            return;
        }
    }
    panic!("{bug} was not found within {SEEDS} seeds");
}

#[test]
fn a_settle_that_ignores_where_redis_stands_is_found() {
    is_found("blind-settle", &[Kind::ShortRedis, Kind::FailOver], "I2");
}

#[test]
fn a_committer_that_ignores_the_allocation_is_found() {
    is_found("no-allocation-check", &[Kind::Edit], "I1");
}

#[test]
fn an_append_that_takes_a_time_out_for_a_failure_is_found() {
    is_found("timeout-is-failure", &[Kind::PauseInAppend], "I4");
}

#[test]
fn a_frontier_that_jumps_is_found() {
    is_found("frontier-jumps", &[Kind::Slow(Between::AllRedis)], "I7");
}

#[test]
fn a_hold_script_without_the_limit_is_found() {
    is_found("no-limit", &[Kind::Cut(Between::Visitors)], "the limit is four");
}
