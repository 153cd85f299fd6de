//! Checkout, explored state by state (R10, I4, I5).
//!
//! The program's decisions, fold and effects run against a modelled fenced log, two owners with views of their own, a provider, a
//! lane whose Redis forgets, and the points' real decisions and fold. Steps are sent and arrive late, twice or never, answers
//! are lost, repeated and overtake each other, owners die, holds end, customers pay when they like, visitors leave, cancel and
//! ask for refunds, steps are given up and mended by an operator. In every state: nobody is charged without a booking, nobody
//! keeps a booking whose money was let go, no refund exceeds the capture, no log contradicts itself. Every state is drained by a
//! fair schedule without faults in which no customer acts any more: it comes to rest with money, points, coupon, hold and
//! booking at one. A rule taken away must make a counterexample appear.
//!
//! `HOLDFAST_MODEL=20 cargo test --release -p booker --test checkout_model -- --nocapture` explores twenty times as far.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod check;
mod outside;
mod steps;
mod world;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
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
    let mut came: HashMap<u64, (u64, Label)> = HashMap::from([(root, (root, ("", 0, String::new())))]);
    let mut queue = VecDeque::from([(first, root, 0usize)]);
    let (mut rested, mut depth, mut end) = (HashSet::new(), 0, "complete");
    while let Some((world, print, at)) = queue.pop_front() {
        depth = at;
        if let Err(error) = world.check().and_then(|()| world.drain(&mut rested)) {
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
        let (before, label) = &came[&at];
        steps.push(label);
        at = *before;
    }
    let mut text = format!("{error}\n");
    for (n, (step, owner, what)) in steps.iter().rev().enumerate() {
        let _ = writeln!(text, "{:3}. {step} {owner} {what}", n + 1);
    }
    for event in world.log.iter() {
        let _ = writeln!(text, "log   {:?}", event.entry);
    }
    let _ = writeln!(text, "money {:?} lane {:?}", world.payments, world.lane);
    text
}

/// Random walks of at most `steps` steps, far deeper than a search gets; every state on the way is checked and drained.
fn walk(name: &str, first: &World, walks: usize, steps: usize) {
    let (begin, walks) = (Instant::now(), walks * factor());
    let mut random = 0x1234_5678_8765_4321_u64;
    let mut draw = |most: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % most as u64).unwrap()
    };
    let (mut rested, mut checked, mut deepest) = (HashSet::new(), 0_usize, 0);
    for _ in 0..walks {
        let (mut world, mut path) = (first.clone(), vec![]);
        for depth in 0..steps {
            let mut choices = world.next();
            if choices.is_empty() {
                break;
            }
            let (label, next) = choices.swap_remove(draw(choices.len()));
            path.push(label);
            (world, checked, deepest) = (next, checked + 1, deepest.max(depth + 1));
            if let Err(error) = world.check().and_then(|()| world.drain(&mut rested)) {
                panic!("{name}: {error}\n{path:#?}\n{:#?}", world.log);
            }
        }
    }
    println!("{name}: {walks} walks, {checked} checked steps, deepest {deepest}, hold, {:.1?}", begin.elapsed());
}

fn holds(name: &str, budget: Budget) {
    let found = explore(name, World::new(Rules::default(), budget), STATES);
    assert!(found.is_none(), "{name}: {}", found.unwrap());
}

/// The same from a booking that is paid.
fn holds_paid(name: &str, budget: Budget) {
    let found = explore(name, World::paid(Rules::default(), budget), STATES);
    assert!(found.is_none(), "{name}: {}", found.unwrap());
}

fn breaks(name: &str, rules: Rules, budget: Budget, expected: &str) {
    let first = if budget.refund > 0 { World::paid(rules, budget) } else { World::new(rules, budget) };
    let found = explore(name, first, 300_000);
    let found = found.unwrap_or_else(|| panic!("{name}: nothing was found"));
    assert!(found.contains(expected), "{name}: {found}");
}

/// States of one configuration, at most.
const STATES: usize = 20_000;
/// The same where there are fewer.
const ALL: usize = 100_000;

/// Each fault by itself: where it is said to be complete, every state there is.
#[test]
fn one_owner_at_a_time_completely() {
    let alone = Budget { alone: true, ..Budget::default() };
    let all = |name: &str, budget: Budget| {
        let found = explore(name, World::new(Rules::default(), budget), ALL);
        assert!(found.is_none(), "{name}: {}", found.unwrap());
    };
    all("alone", alone);
    all("alone, dies", Budget { crash: 1, ..alone });
    all("alone, lost answer", Budget { lose: 1, ..alone });
    all("alone, late step", Budget { late: 1, ..alone });
    all("alone, repeated answer", Budget { repeat: 1, ..alone });
    all("alone, append in doubt", Budget { doubt: 1, ..alone });
    all("alone, hold ends", Budget { expire: 1, other: 1, ..alone });
    all("alone, rollback", Budget { rollback: 1, ..alone });
    all("alone, refused", Budget { refuse: 1, ..alone });
    all("alone, groups cut", Budget { split: 3, ..alone });
    all("alone, points pay for all", Budget { free: true, late: 1, lose: 1, expire: 1, ..alone });
    for (name, budget) in [
        ("alone, groups cut, declined", Budget { split: 3, decline: 1, ..alone }),
        ("alone, groups cut, cancelled", Budget { split: 3, cancel: 1, lose: 1, ..alone }),
        ("alone, customer, leaves", Budget { customer: true, leave: 1, ..alone }),
        ("alone, declined, webhook", Budget { decline: 1, webhook: 1, ..alone }),
        ("alone, promise ends", Budget { lapse: 1, ..alone }),
        ("alone, refund", Budget { refund: 1, ..alone }),
        ("alone, cancelled", Budget { cancel: 1, ..alone }),
        ("alone, given up", Budget { give_up: 1, ..alone }),
    ] {
        holds(name, budget);
    }
}

#[test]
fn a_checkout_whose_owners_die_and_overtake_each_other() {
    holds("owners", Budget { crash: 2, ..Budget::default() });
    holds("owners, lost answers", Budget { crash: 1, lose: 2, ..Budget::default() });
    holds("owners, appends in doubt", Budget { crash: 1, doubt: 2, ..Budget::default() });
}

#[test]
fn steps_and_answers_come_late_twice_and_out_of_order() {
    holds("late steps", Budget { late: 2, ..Budget::default() });
    holds("repeated answers", Budget { repeat: 2, webhook: 1, ..Budget::default() });
    holds("late steps, repeated answers", Budget { late: 1, repeat: 1, lose: 1, ..Budget::default() });
}

#[test]
fn a_customer_pays_when_they_like_and_webhooks_race_the_browser() {
    holds("customer", Budget { customer: true, webhook: 2, ..Budget::default() });
    holds("customer, leaves", Budget { customer: true, leave: 1, late: 1, ..Budget::default() });
    holds("customer, hold ends", Budget { customer: true, expire: 1, other: 1, ..Budget::default() });
    holds("declined", Budget { decline: 1, late: 1, webhook: 1, ..Budget::default() });
}

#[test]
fn the_hold_ends_or_redis_forgets_it_at_any_time() {
    holds("hold ends", Budget { expire: 2, other: 1, ..Budget::default() });
    holds("rollback", Budget { rollback: 1, expire: 1, ..Budget::default() });
    holds("ledger refuses", Budget { refuse: 1, lose: 1, late: 1, ..Budget::default() });
}

#[test]
fn a_promise_ends_before_it_is_captured() {
    holds("promise ends", Budget { lapse: 1, give_up: 1, ..Budget::default() });
    holds("promise ends, late steps", Budget { lapse: 1, late: 1, crash: 1, ..Budget::default() });
}

#[test]
fn refunds_and_cancellations_at_any_time() {
    holds_paid("refunds", Budget { refund: 3, ..Budget::default() });
    holds_paid("refunds, late steps", Budget { refund: 2, late: 2, repeat: 1, ..Budget::default() });
    holds_paid("refunds, owners die", Budget { refund: 2, crash: 2, lose: 1, doubt: 1, ..Budget::default() });
    holds_paid("refunds of points", Budget { free: true, refund: 3, late: 1, crash: 1, ..Budget::default() });
    holds("points pay for all", Budget { free: true, refund: 1, cancel: 1, leave: 1, ..Budget::default() });
    holds_paid("refunds, cancelled elsewhere", Budget { refund: 2, cancel: 1, lose: 1, late: 1, ..Budget::default() });
    holds("cancelled elsewhere", Budget { refund: 1, cancel: 1, lose: 1, ..Budget::default() });
}

#[test]
fn steps_are_given_up_and_mended_by_an_operator() {
    holds("given up", Budget { give_up: 2, lose: 1, ..Budget::default() });
    holds_paid("given up, refunds", Budget { give_up: 2, refund: 2, late: 1, ..Budget::default() });
}

#[test]
fn random_deep_walks_through_every_fault() {
    let all = Budget {
        alone: false,
        free: false,
        customer: true,
        crash: 3,
        lose: 3,
        late: 3,
        repeat: 3,
        doubt: 2,
        split: 2,
        webhook: 3,
        decline: 1,
        lapse: 1,
        expire: 2,
        other: 1,
        rollback: 2,
        refuse: 1,
        leave: 1,
        refund: 3,
        cancel: 1,
        give_up: 2,
    };
    walk("every fault", &World::new(Rules::default(), all), 1_500, 120);
    let paid = Budget { customer: false, leave: 0, decline: 0, refuse: 0, expire: 0, ..all };
    let refunds = Budget { refund: 3, give_up: 3, ..paid };
    walk("every fault, once paid", &World::paid(Rules::default(), refunds), 1_500, 120);
    walk("every fault, mostly paid", &World::new(Rules::default(), paid), 1_500, 160);
}

#[test]
fn without_the_entry_before_it_a_promise_is_held_for_ever() {
    let rules = Rules { log_first: false, ..Rules::default() };
    breaks("authorise before the entry", rules, Budget { leave: 1, ..Budget::default() }, "I5");
}

#[test]
fn a_confirm_before_its_entry_books_what_was_aborted() {
    let rules = Rules { sent_first: false, ..Rules::default() };
    breaks("confirm before the entry", rules, Budget { leave: 1, customer: true, ..Budget::default() }, "I4");
}

#[test]
fn no_such_payment_is_no_answer() {
    let rules = Rules { asks_again: false, ..Rules::default() };
    breaks("no such payment", rules, Budget { leave: 1, ..Budget::default() }, "I5");
}

#[test]
fn a_capture_before_the_ledger_has_the_booking_charges_for_nothing() {
    let rules = Rules { waits_for_lane: false, ..Rules::default() };
    breaks("capture before booked", rules, Budget { refuse: 1, ..Budget::default() }, "I4");
}

#[test]
fn that_redis_does_not_know_the_hold_is_no_answer() {
    let rules = Rules { gone_via_log: false, ..Rules::default() };
    breaks("gone from Redis", rules, Budget { rollback: 1, other: 1, ..Budget::default() }, "I4");
}

#[test]
fn unless_undone_uses_are_remembered_points_are_lost() {
    let rules = Rules { tombstones: false, ..Rules::default() };
    breaks("no tombstones", rules, Budget { leave: 1, ..Budget::default() }, "I5");
}

#[test]
fn without_the_condition_on_the_head_two_owners_contradict_each_other() {
    let rules = Rules { head: false, ..Rules::default() };
    breaks("no condition", rules, Budget { leave: 1, ..Budget::default() }, "may not follow");
}

#[test]
fn without_keys_there_are_two_payments_or_two_refunds() {
    let rules = Rules { authorise_key: false, ..Rules::default() };
    breaks("authorise without key", rules, Budget { late: 1, ..Budget::default() }, "I5");
    let rules = Rules { refund_key: false, ..Rules::default() };
    breaks("refund without key", rules, Budget { refund: 1, late: 1, ..Budget::default() }, "I4");
}

#[test]
fn unless_steps_are_tried_again_a_checkout_never_ends() {
    let rules = Rules { tries_again: false, ..Rules::default() };
    breaks("one try", rules, Budget { lose: 1, ..Budget::default() }, "I5");
}

#[test]
fn unless_time_ends_it_an_unpaid_checkout_never_ends() {
    let rules = Rules { clock: false, ..Rules::default() };
    breaks("no clock", rules, Budget { customer: true, ..Budget::default() }, "I5");
}

#[test]
fn unless_somebody_looks_at_them_dead_letters_never_end() {
    let rules = Rules { operator: false, ..Rules::default() };
    breaks("no operator", rules, Budget { give_up: 1, ..Budget::default() }, "I5");
}

#[test]
fn refunds_that_do_not_know_of_each_other_exceed_the_capture() {
    let rules = Rules { sums_refunds: false, ..Rules::default() };
    breaks("refunds unsummed", rules, Budget { refund: 3, ..Budget::default() }, "went back");
}
