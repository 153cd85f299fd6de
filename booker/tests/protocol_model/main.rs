//! The commit protocol as it was built, explored state by state.
//!
//! The design's own model came first and was abstract. Here the real fold, the real decisions and the real committer run
//! against the scripts' reference model (`lua::model`, which property tests compare with the scripts) and a modelled fenced log,
//! with two would-be owners, any order of calls, and faults. Explored is above all what that first model left out: a settle
//! overlapping the next append, stock pulled from the sale's log, looks that are older than what they find, chunked replays,
//! removal of old records, and unloading.
//!
//! Every state reached is checked for I1-I4, and drained: a fair schedule without faults must come to rest with Redis as the
//! ledger has it and every visitor answered (I5). A rule taken away must make a counterexample appear: the checks can fail.
//!
//! `HOLDFAST_MODEL=20 cargo test --release -p booker --test protocol_model -- --nocapture` explores twenty times as far.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod check;
mod drain;
mod explore;
mod faults;
mod owner;
mod world;

use explore::{explore, walk};
use world::{Budget, Rules, World};

/// The configurations' common start: every id may be held, confirmed and expire.
fn budget(ids: usize, holds: u8, confirms: u8) -> Budget {
    let mut budget = Budget { expire: 1, ..Budget::default() };
    for n in 0..ids {
        budget.hold[n] = holds;
        budget.confirm[n] = confirms;
    }
    budget
}

fn holds(name: &str, rules: Rules, budget: Budget, states: usize) {
    let found = explore(name, World::new(rules, budget), states);
    assert!(found.is_none(), "{name}: {}", found.unwrap());
}

fn breaks(name: &str, rules: Rules, budget: Budget, expected: &str) {
    let found =
        explore(name, World::new(rules, budget), 400_000).unwrap_or_else(|| panic!("{name}: nothing was found"));
    assert!(found.contains(expected), "{name}: {found}");
}

#[test]
fn rollback_crash_take_over_and_a_late_settle() {
    let budget = Budget { rollback: 1, crash: 1, claim: 1, ..budget(2, 1, 2) };
    holds("rollback, crash, take-over, late settle", Rules::default(), budget, 10_000);
}

#[test]
fn loss_crash_take_over_with_a_chunked_load() {
    let budget = Budget { loss: 1, crash: 1, claim: 1, ..budget(2, 1, 1) };
    holds("loss, crash, take-over", Rules::default(), budget, 10_000);
}

#[test]
fn an_append_given_up_and_a_settle_beside_the_next_append() {
    let budget = Budget { give_up: 2, claim: 1, rollback: 1, ..budget(2, 1, 1) };
    holds("given-up appends, rollback", Rules::default(), budget, 10_000);
}

#[test]
fn stock_pulled_at_least_once_by_two_owners() {
    let budget = Budget { publish: 1, pull: 3, claim: 1, loss: 1, ..budget(2, 1, 1) };
    holds("stock pulled, two owners, loss", Rules::default(), budget, 10_000);
}

#[test]
fn cancel_rollback_and_removed_records() {
    let budget = Budget { cancel: 2, purge: 2, rollback: 1, ..budget(1, 2, 2) };
    holds("cancel, removal of records, rollback", Rules::default(), budget, 10_000);
}

#[test]
fn looks_and_rereads_that_are_older_than_what_they_find() {
    let budget = Budget { rollback: 1, loss: 1, claim: 1, ..budget(1, 1, 2) };
    holds("stale looks, rollback, loss", Rules { stale_looks: true, ..Rules::default() }, budget, 10_000);
}

#[test]
fn unloading_after_the_sale_and_what_comes_after_it() {
    let budget = Budget { unload: 2, crash: 1, claim: 1, cancel: 1, rollback: 1, ..budget(1, 1, 2) };
    holds("unload, crash, cancel, rollback", Rules::default(), budget, 10_000);
}

#[test]
fn limits_other_content_and_edits_by_hand() {
    let rules = Rules { limit: Some(2), other_content: true, units: 3, same_visitor: true, ..Rules::default() };
    let budget = Budget { rollback: 1, edit: 1, drop: 1, ..budget(2, 2, 1) };
    holds("limit, other content, edit, lost intent", rules, budget, 10_000);
}

#[test]
fn two_holds_of_one_pass_are_one_booking() {
    let rules = Rules { passes: true, units: 3, same_visitor: true, ..Rules::default() };
    for (name, faults) in [
        ("one pass: rollback, cancel", Budget { rollback: 1, cancel: 1, ..budget(2, 1, 1) }),
        ("one pass: loss, take-over", Budget { loss: 1, crash: 1, claim: 1, ..budget(2, 1, 1) }),
    ] {
        holds(name, rules, faults, 10_000);
    }
}

#[test]
fn one_hold_and_every_single_fault_completely() {
    let one = budget(1, 1, 2);
    let faults = [
        ("one hold: rollback, take-over", Budget { rollback: 1, claim: 1, ..one }),
        ("one hold: loss, take-over", Budget { loss: 1, claim: 1, ..one }),
        ("one hold: crash, take-over, late settle", Budget { crash: 1, claim: 1, ..one }),
        ("one hold: given-up append, cancel", Budget { give_up: 1, cancel: 1, ..one }),
        ("one hold: stock, pulled twice", Budget { publish: 1, pull: 2, ..one }),
        ("one hold: removed record, cancel", Budget { purge: 1, cancel: 1, ..one }),
        ("one hold: unload, take-over", Budget { unload: 1, claim: 1, ..one }),
    ];
    for (name, budget) in faults {
        holds(name, Rules::default(), budget, 400_000);
    }
}

/// Too large for every run: with `HOLDFAST_MODEL` only.
#[test]
fn larger_ones_as_far_as_asked() {
    if explore::factor() == 1 {
        return;
    }
    let (one, two) = (budget(1, 2, 3), budget(2, 1, 1));
    let configurations = [
        ("one hold twice: two rollbacks", Budget { rollback: 2, ..one }),
        ("one hold twice: rollback, loss, cancel", Budget { rollback: 1, loss: 1, cancel: 1, ..one }),
        ("one hold twice: rollback, crash, take-over", Budget { rollback: 1, crash: 1, claim: 1, ..one }),
        ("one hold twice: removed records, rollback, cancel", Budget { purge: 2, rollback: 1, cancel: 1, ..one }),
        ("two holds: rollback", Budget { rollback: 1, ..two }),
        ("two holds: loss", Budget { loss: 1, ..two }),
        ("two holds: crash, take-over", Budget { crash: 1, claim: 1, ..two }),
        ("two holds: given-up appends, cancel", Budget { give_up: 2, cancel: 1, ..two }),
        ("two holds: stock, pulled twice", Budget { publish: 1, pull: 2, ..two }),
    ];
    for (name, budget) in configurations {
        holds(name, Rules::default(), budget, 20_000);
    }
}

#[test]
fn random_deep_walks_through_every_fault() {
    let rules = Rules { limit: Some(2), other_content: true, units: 2, stale_looks: true, ..Rules::default() };
    let budget = Budget {
        rollback: 2,
        loss: 2,
        crash: 2,
        claim: 4,
        give_up: 2,
        publish: 1,
        pull: 4,
        cancel: 2,
        purge: 2,
        edit: 1,
        drop: 1,
        unload: 1,
        expire: 3,
        ..budget(3, 2, 3)
    };
    walk("every fault", &World::new(rules, budget), 150, 80);
}

#[test]
fn without_the_fence_two_owners_decide_an_id_twice() {
    let budget = Budget { claim: 1, ..budget(1, 1, 1) };
    breaks("no fence", Rules { fence: false, ..Rules::default() }, budget, "outcome");
}

#[test]
fn without_the_expected_seq_a_late_settle_breaks_conservation() {
    // Stock, because a booking that a record has already is known by its record.
    let budget = Budget { crash: 1, claim: 1, publish: 1, pull: 1, ..budget(1, 1, 1) };
    breaks("settle without expected seq", Rules { settle_guard: false, ..Rules::default() }, budget, "I2");
}

#[test]
fn without_resolutions_a_confirm_never_ends() {
    let budget = Budget { purge: 1, ..budget(1, 2, 2) };
    breaks("no resolutions", Rules { resolutions: false, ..Rules::default() }, budget, "I5");
}

#[test]
fn without_reading_the_set_again_a_confirm_never_ends() {
    let budget = Budget { crash: 1, claim: 1, ..budget(1, 1, 1) };
    breaks("no reread", Rules { reread: false, ..Rules::default() }, budget, "I5");
}

#[test]
fn answering_from_redis_alone_that_a_hold_is_gone_is_a_lie() {
    let budget = Budget { rollback: 1, expire: 0, ..budget(1, 1, 2) };
    breaks("410 from Redis", Rules { gone_from_redis: true, ..Rules::default() }, budget, "I4");
}

#[test]
fn answering_before_the_append_is_a_lie() {
    let budget = Budget { claim: 1, ..budget(1, 1, 1) };
    breaks("answers before the append", Rules { answer_early: true, ..Rules::default() }, budget, "I3");
}

#[test]
fn stock_without_its_origin_is_added_twice() {
    let budget = Budget { publish: 1, pull: 2, ..budget(1, 0, 0) };
    breaks("stock without from", Rules { stock_origin: false, ..Rules::default() }, budget, "I1");
}

#[test]
fn without_the_progress_guard_a_load_opens_half_a_lane() {
    let budget = Budget { loss: 1, rollback: 1, ..budget(1, 1, 1) };
    breaks("load without progress", Rules { load_guard: false, ..Rules::default() }, budget, "I5");
}

#[test]
fn without_the_heartbeat_nobody_notices_a_rollback() {
    let budget = Budget { rollback: 1, ..budget(1, 1, 1) };
    breaks("no heartbeat", Rules { heartbeat: false, ..Rules::default() }, budget, "I5");
}
