//! A bounded exhaustive search over what the line got after its protocol was model-checked: the exact meter across a change
//! of owner, gap numbers, ends by expiry with clocks that differ, appends whose outcome nobody saw. Fold, meter and gaps
//! are the real ones; Redis' join and present scripts, the log's fence and the owners are small models.
//!
//! Every state reached is checked, and from a share of them a fair schedule without faults has to give every ticket its
//! pass. Each rule is also removed once: a counterexample has to be found, or the search would prove nothing.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod check;
mod codes;
mod lobby;
mod moved;
mod moves;
mod search;
mod state;

use search::{Found, explore, walk};
use state::{Budget, Rules, State};

/// States looked at per configuration that has to hold; `HOLDFAST_EXPLORE_STATES` looks at more.
const STATES: usize = 25_000;
/// Random walks per configuration, and their length.
const WALKS: (u64, usize) = (250, 60);

fn states() -> usize {
    std::env::var("HOLDFAST_EXPLORE_STATES").ok().and_then(|n| n.parse().ok()).unwrap_or(STATES)
}

fn holds(name: &str, start: &State) {
    let found = explore(start.clone(), Rules::default(), states());
    if let Some((why, trace)) = found.broken {
        panic!("{name}: {why}\n{}", trace.join("\n"));
    }
    let walked = walk(start, Rules::default(), WALKS.0, WALKS.1).unwrap_or_else(|why| panic!("{name}: {why}"));
    let complete = if found.complete { "complete" } else { "bounded" };
    println!("{name}: {} states, {complete} at depth {}; {walked} steps of random walks", found.states, found.depth);
}

fn breaks(name: &str, start: &State, rules: Rules, expected: &str) {
    let Found { broken, states, .. } = explore(start.clone(), rules, 8 * STATES);
    let (why, trace) =
        broken.unwrap_or_else(|| panic!("{name}: nothing found in {states} states: the search is blind"));
    println!("{name}: {why} after {} steps, {states} states\n  {}", trace.len(), trace.join("\n  "));
    assert!(why.starts_with(expected), "{name}: {why}");
}

#[test]
fn two_owners_with_different_clocks_keep_meter_cap_and_order() {
    let budget = Budget { owners: 2, ticks: 6, ..Budget::default() };
    holds("take-overs and time, from the start", &State::start(budget));
    holds("take-overs and time, everybody in line", &State::warm(budget));
    holds("clocks that differ by less than a window", &State { ahead_ms: 500, ..State::warm(budget) });
}

#[test]
fn a_redis_that_goes_back_or_is_lost_keeps_meter_cap_and_order() {
    let back = Budget { owners: 1, rollbacks: 1, ticks: 4, ..Budget::default() };
    holds("rollback, from the start", &State::start(back));
    holds("rollback, everybody in line", &State::warm(back));
    let lost = Budget { owners: 1, losses: 1, ticks: 4, ..Budget::default() };
    holds("loss, from the start", &State::start(lost));
    holds("loss, everybody in line", &State::warm(lost));
}

#[test]
fn calls_and_appends_that_nobody_saw_end_keep_meter_cap_and_order() {
    let appends = Budget { owners: 1, unknown_appends: 2, ticks: 4, ..Budget::default() };
    holds("unknown appends, everybody in line", &State::warm(appends));
    let joins = Budget { owners: 1, rollbacks: 1, unknown_joins: 1, ticks: 2, ..Budget::default() };
    holds("unknown joins, from the start", &State::start(joins));
}

#[test]
fn a_lobby_keeps_its_receipts_and_its_order_whoever_owns_the_line() {
    let owners = Budget { owners: 2, ticks: 3, ..Budget::default() };
    holds("lobby, take-overs, clocks that differ", &State::lobby(owners));
    let lost = Budget { owners: 1, losses: 1, ticks: 2, ..Budget::default() };
    holds("lobby, Redis is lost", &State::lobby(lost));
    let unknown = Budget { owners: 1, unknown_appends: 2, ticks: 2, ..Budget::default() };
    holds("lobby, unknown appends", &State::lobby(unknown));
}

#[test]
fn a_code_is_used_as_often_as_it_may_be_whoever_owns_the_line() {
    let owners = Budget { owners: 2, ticks: 3, ..Budget::default() };
    holds("codes, take-overs, clocks that differ", &State::codes(owners));
    let lost = Budget { owners: 1, losses: 1, ticks: 2, ..Budget::default() };
    holds("codes, Redis is lost", &State::codes(lost));
    let unknown = Budget { owners: 1, unknown_appends: 2, ticks: 2, ..Budget::default() };
    holds("codes, unknown appends", &State::codes(unknown));
}

#[test]
fn a_code_answered_before_it_is_logged_is_used_by_nobody() {
    let start = State::codes(Budget { owners: 1, ..Budget::default() });
    breaks("code answered before the log", &start, Rules { code_log_first: false, ..Rules::default() }, "L10");
}

#[test]
fn a_code_whose_uses_its_owner_counts_is_used_again_by_the_next_owner() {
    let start = State::codes(Budget { owners: 1, ..Budget::default() });
    breaks("uses by the owner", &start, Rules { uses_by_log: false, ..Rules::default() }, "L2");
}

#[test]
fn a_meter_for_each_class_lets_too_many_in() {
    let start = State::codes(Budget::default());
    breaks("a meter for each class", &start, Rules { one_meter: false, ..Rules::default() }, "I7");
}

#[test]
fn a_place_that_moves_stays_one_place() {
    let owners = Budget { owners: 1, moves: 2, ticks: 2, ..Budget::default() };
    holds("moves, take-overs, everybody in line", &State::warm(owners));
    let unknown = Budget { owners: 1, moves: 1, unknown_appends: 1, ticks: 2, ..Budget::default() };
    holds("moves, unknown appends", &State::warm(unknown));
    let lost = Budget { owners: 1, moves: 1, losses: 1, ticks: 2, ..Budget::default() };
    holds("moves, Redis is lost", &State::warm(lost));
    let classes = Budget { owners: 1, moves: 1, ticks: 2, ..Budget::default() };
    holds("moves, with a place by a code", &State::codes(classes));
    let both = Budget { owners: 1, moves: 1, unknown_appends: 1, ticks: 1, ..Budget::default() };
    holds("moves, with a place by a code, unknown appends", &State::codes(both));
}

#[test]
fn a_ticket_whose_place_has_moved_lets_two_in() {
    let start = State::warm(Budget { moves: 1, ticks: 1, ..Budget::default() });
    breaks("holder not checked", &start, Rules { holder_checked: false, ..Rules::default() }, "L11");
}

#[test]
fn a_claim_that_outlives_a_move_lets_two_in() {
    let start = State::warm(Budget { moves: 1, ticks: 2, ..Budget::default() });
    breaks("late claims kept", &start, Rules { late_claims_dropped: false, ..Rules::default() }, "L11");
}

#[test]
fn faults_recorded_late_and_by_others_keep_cap_and_order() {
    let faults = Budget { owners: 1, faults: 1, ticks: 6, ..Budget::default() };
    holds("faults, everybody in line", &State::warm(faults));
    holds(
        "two faults, clocks that differ by less than a window",
        &State { ahead_ms: 500, ..State::warm(Budget { faults: 2, ..faults }) },
    );
    holds("faults, rollback", &State::warm(Budget { rollbacks: 1, ..faults }));
    holds("faults, loss", &State::warm(Budget { losses: 1, ..faults }));
    holds("faults, unknown appends", &State::warm(Budget { unknown_appends: 1, ..faults }));
}

#[test]
fn a_place_given_away_before_faults_are_known_is_given_twice() {
    let start = State::warm(Budget { faults: 1, ticks: 5, ..Budget::default() });
    breaks("ends that do not wait", &start, Rules { ends_wait_for_faults: false, ..Rules::default() }, "L6");
}

#[test]
fn a_fault_that_begins_before_the_end_of_a_place_given_away_gives_it_twice() {
    let start = State::freed(Budget { owners: 1, faults: 1, ticks: 2, ..Budget::default() });
    holds("an older copy of Redis after a place was given away", &start);
    breaks("a fault before what was freed", &start, Rules { faults_behind_freed: false, ..Rules::default() }, "L6");
}

#[test]
fn a_receipt_answered_before_it_is_logged_is_given_to_another() {
    let start = State::lobby(Budget { owners: 1, ticks: 2, ..Budget::default() });
    breaks("receipt before the log", &start, Rules { receipt_log_first: false, ..Rules::default() }, "L9");
}

#[test]
fn a_lobby_that_is_closed_by_a_clock_takes_visitors_behind_its_root() {
    let start = State::lobby(Budget { owners: 1, ticks: 2, ..Budget::default() });
    breaks("closed by a clock", &start, Rules { closed_by_log: false, ..Rules::default() }, "L2");
}

#[test]
fn numbers_given_out_before_the_lobby_has_closed_are_the_lobby_s() {
    let start = State::lobby(Budget { ticks: 2, ..Budget::default() });
    breaks("numbers before the closing", &start, Rules { close_before_numbers: false, ..Rules::default() }, "L2");
}

#[test]
fn calls_before_the_draw_call_nobody_knows_whom() {
    let start = State::lobby(Budget { ticks: 2, ..Budget::default() });
    breaks("calls before the draw", &start, Rules { draw_before_calls: false, ..Rules::default() }, "L2");
}

#[test]
fn without_the_skew_a_place_is_given_away_while_its_pass_lives() {
    let start = State::warm(Budget { owners: 1, ticks: 1, ..Budget::default() });
    breaks("no skew", &start, Rules { skew: false, ..Rules::default() }, "L6");
}

#[test]
fn a_meter_that_starts_empty_with_its_owner_lets_too_many_in() {
    let start = State { ahead_ms: 500, ..State::warm(Budget { owners: 1, ..Budget::default() }) };
    breaks("meter not rebuilt", &start, Rules { meter_rebuilt: false, ..Rules::default() }, "I7");
}

#[test]
fn a_cap_counted_without_the_log_is_exceeded() {
    let start = State::warm(Budget { owners: 1, ..Budget::default() });
    breaks("cap of one's own passes", &start, Rules { cap_by_log: false, ..Rules::default() }, "L6");
}

#[test]
fn an_owner_that_goes_on_in_the_old_block_gives_numbers_twice() {
    let start = State::start(Budget { owners: 1, rollbacks: 1, ..Budget::default() });
    breaks("old block", &start, Rules { new_block: false, ..Rules::default() }, "L1");
}

#[test]
fn numbers_of_an_unknown_join_that_are_offered_again_are_given_twice() {
    let start = State::start(Budget { unknown_joins: 1, ..Budget::default() });
    breaks("numbers offered again", &start, Rules { skip_unknown: false, ..Rules::default() }, "L1");
}

#[test]
fn a_pass_answered_before_it_is_logged_is_no_pass() {
    let start = State::start(Budget { owners: 1, ..Budget::default() });
    breaks("answered before the log", &start, Rules { log_first: false, ..Rules::default() }, "I3");
}
