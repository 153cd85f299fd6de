//! Every violation is planted once and found; what is right is let through.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use domain::{SaleId, VisitorHash};

use super::*;
use crate::limits::MAX_TOLD_EACH;

fn id(n: u32) -> HoldId {
    let sale: SaleId = "demo".parse().unwrap();
    HoldId::derive(&sale, 0, &VisitorHash([1; 16]), &n.to_string())
}

/// 50 bookings of 2 units, 50 tickets called in order, a pass each 100 ms.
fn clean() -> (History, Known) {
    let mut history = History::default();
    for n in 0..50 {
        history.book(Booked { id: id(n), at: Some((0, u64::from(n) + 1)) }, "standing", 2);
        history.gone(id(1000 + n));
        history.ticket(u64::from(n) + 1);
        history.pass(PassSeen { number: u64::from(n) + 1, expires_ms: 300_000 + 100 * u64::from(n) }, n as usize);
        history.frontier(u64::from(n) + 1, n as usize);
    }
    history.pace = Some(600);
    let known =
        Known { units: BTreeMap::from([("standing".to_owned(), 100)]), last_frontier: Some(50), ..Known::default() };
    (history, known)
}

fn judged(plant: impl FnOnce(&mut History, &mut Known)) -> Vec<Finding> {
    let (mut history, mut known) = clean();
    plant(&mut history, &mut known);
    judge(history, &known).told
}

#[test]
fn a_clean_history_has_no_findings() {
    assert_eq!(judged(|_, _| {}), []);
}

#[test]
fn one_id_booked_and_gone_is_found() {
    assert_eq!(judged(|history, _| history.gone(id(7))), [Finding::BookedAndGone(id(7))]);
}

#[test]
fn one_booking_for_two_keys_is_found_once() {
    let found = judged(|history, known| {
        for seq in 60..63 {
            history.book(Booked { id: id(7), at: Some((0, seq)) }, "standing", 2);
        }
        known.units.insert("standing".to_owned(), 106);
    });
    assert_eq!(found, [Finding::OneBookingTwice(id(7))]);
}

#[test]
fn one_event_for_two_bookings_is_found_and_other_lanes_may_have_the_same_seq() {
    let book = |lane| {
        move |history: &mut History, _: &mut Known| history.book(Booked { id: id(99), at: Some((lane, 7)) }, "gift", 1)
    };
    assert_eq!(judged(book(0)), [Finding::OneEventTwice(0, 7)]);
    assert_eq!(judged(book(1)), []);
}

#[test]
fn one_unit_too_many_is_found() {
    let found = judged(|_, known| *known.units.get_mut("standing").unwrap() = 99);
    assert_eq!(found, [Finding::Oversold { item: "standing".to_owned(), booked: 100, units: 99 }]);
}

#[test]
fn one_number_for_two_visitors_is_found() {
    assert_eq!(judged(|history, _| history.ticket(7)), [Finding::NumberTwice(7)]);
}

#[test]
fn two_passes_for_one_number_are_found() {
    let found = judged(|history, _| history.pass(PassSeen { number: 7, expires_ms: 900_000 }, 50));
    assert_eq!(found, [Finding::PassTwice(7)]);
}

#[test]
fn a_pass_ahead_of_the_last_frontier_is_found() {
    let found = judged(|_, known| known.last_frontier = Some(49));
    assert_eq!(found, [Finding::NotCalled { number: 50, frontier: 49 }]);
}

#[test]
fn a_pass_ahead_of_a_later_frontier_is_found() {
    let found = judged(|history, known| {
        history.pass(PassSeen { number: 70, expires_ms: 900_000 }, 60);
        history.frontier(55, 64);
        history.frontier(55, 65);
        known.last_frontier = Some(70);
    });
    assert_eq!(found, [Finding::NotCalled { number: 70, frontier: 55 }]);
}

#[test]
fn a_frontier_that_goes_back_is_found_and_one_that_is_a_little_old_is_not() {
    assert_eq!(judged(|history, _| history.frontier(46, 50)), []);
    assert_eq!(judged(|history, _| history.frontier(44, 50)), [Finding::WentBack { before: 46, after: 44 }]);
}

#[test]
fn one_pass_too_many_in_a_second_is_found() {
    // Ten a second are allowed and given; an eleventh half-way is one too many.
    let found = judged(|history, known| {
        history.pass(PassSeen { number: 51, expires_ms: 300_050 }, 51);
        known.last_frontier = Some(51);
    });
    assert_eq!(found, [Finding::TooMany { window_ms: 1_000, passes: 11, allowed: 10 }]);
}

#[test]
fn one_pass_too_many_in_a_minute_is_found() {
    let found = judged(|history, _| history.pace = Some(49));
    let windows: Vec<_> =
        found.iter().filter(|finding| matches!(finding, Finding::TooMany { window_ms: 60_000, .. })).collect();
    assert_eq!(windows, [&Finding::TooMany { window_ms: 60_000, passes: 50, allowed: 49 }]);
}

#[test]
fn findings_are_bounded_and_the_rest_is_counted() {
    let (mut history, known) = clean();
    for n in 1..=50 {
        history.ticket(n);
    }
    let mut other = History::default();
    for _ in 0..50 {
        other.find(Finding::NumberTwice(1));
        other.find(Finding::Lost(id(1)));
    }
    history.add(other);
    let found = judge(history, &known);
    assert_eq!(found.counts, BTreeMap::from([("number-twice".to_owned(), 100), ("lost".to_owned(), 50)]));
    let told = |name: &str| found.told.iter().filter(|finding| finding.name() == name).count() as u64;
    assert_eq!((told("number-twice"), told("lost")), (MAX_TOLD_EACH, MAX_TOLD_EACH));
}

#[test]
fn threads_are_judged_together() {
    let (mut all, known) = clean();
    let mut other = History::default();
    other.ticket(7);
    other.find(Finding::Lost(id(3)));
    all.add(other);
    assert_eq!(judge(all, &known).told, [Finding::Lost(id(3)), Finding::NumberTwice(7)]);
}

#[test]
fn what_the_servers_own_audit_says_is_a_finding() {
    let (invariant, what) = ("I2".to_owned(), "lane 0: 3 units are missing".to_owned());
    let found = judged(|_, known| known.audit.push((invariant.clone(), what.clone())));
    assert_eq!(found, [Finding::Audit { invariant, what }]);
}

#[test]
fn what_another_process_found_counts_under_its_own_name() {
    let (name, what) = ("lost".to_owned(), "I3: x was confirmed".to_owned());
    let (mut history, known) = clean();
    history.find(Finding::Lost(id(1)));
    history.find(Finding::OfPart { name: name.clone(), what });
    assert_eq!(judge(history, &known).counts, BTreeMap::from([(name, 2)]));
}
