#![allow(clippy::unwrap_used)]

use domain::{Fingerprint, HoldId, LaneEvent, Lines, Millis, RefuseReason};
use lua::lane::{ItemStock, LaneStock, Miscounted, Record};

use super::super::truth::{LineTruth, SaleTruth};
use super::super::{Lane, LaneSeen};
use super::*;

const VISITOR: VisitorHash = VisitorHash([7; 16]);

fn sale() -> SaleId {
    "demo".parse().unwrap()
}

fn item() -> ItemId {
    "seat".parse().unwrap()
}

fn id(key: &str) -> HoldId {
    HoldId::derive(&sale(), 0, &VISITOR, key)
}

fn booked(key: &str, units: u32) -> LaneEvent {
    let lines: Lines = [(item(), units)].into_iter().collect();
    LaneEvent::Booked { id: id(key), visitor: VISITOR, fp: Fingerprint::of(&lines), lines, pass: None, at: Millis(1) }
}

fn stock(from: &str, units: u64) -> LaneEvent {
    LaneEvent::Stock { from: from.to_owned(), lines: [(item(), units)].into(), at: Millis(1) }
}

fn refused(key: &str) -> LaneEvent {
    LaneEvent::Refused { id: id(key), visitor: VISITOR, why: RefuseReason::Gone, at: Millis(1) }
}

/// A sale of 10 seats in one lane with these events, and Redis settled at their end with these units.
fn evidence(events: Vec<LaneEvent>, free: i64, live: i64) -> Evidence {
    let mut truth = LaneTruth::new(sale(), 0);
    for event in events {
        truth.head += 1;
        truth.apply(truth.head, event);
    }
    let stock = LaneStock {
        now: Millis(1),
        settled: truth.head,
        owned: true,
        items: vec![(item(), ItemStock { free, live, ..ItemStock::default() })],
    };
    let seen = LaneSeen {
        stock,
        stuck: Vec::new(),
        under_way: 0,
        miscounted: Vec::new(),
        uncounted: None,
        records: Vec::new(),
    };
    let acts = [(1, [(item(), 10)].into())].into();
    let withdrawals = [(2, (item(), 4, None))].into();
    let sale = SaleTruth { lanes: 1, room: false, acts, withdrawals, limit: Some(4), events: 2, odd: Vec::new() };
    Evidence { sale, line: LineTruth::default(), lanes: vec![Lane { truth, seen: Ok(seen) }], stranded: Vec::new() }
}

fn failed(evidence: &Evidence) -> Vec<&'static str> {
    judge(&sale(), evidence, true).checks.iter().filter(|check| !check.passed).map(|check| check.invariant).collect()
}

#[test]
fn a_sound_sale_passes_and_shows_its_figures() {
    let events = vec![
        stock("sale/demo:1", 10),
        booked("a", 2),
        refused("b"),
        booked("c", 1),
        LaneEvent::Cancelled { id: id("c"), at: Millis(1) },
    ];
    let report = judge(&sale(), &evidence(events, 7, 1), true);
    assert!(report.passed, "{}", report.text());
    let text = report.text();
    assert!(text.contains("I1 holds  no unit is sold twice: seat (allocated 10, given 10, left 8, sold 2)"), "{text}");
    assert!(text.contains("booked 2, cancelled 1"), "{text}");
}

#[test]
fn i1_fails_when_more_is_booked_than_allocated_or_allocated_than_given() {
    assert_eq!(failed(&evidence(vec![stock("sale/demo:1", 3), booked("a", 4)], -1, 0)), ["I1"]);
    assert_eq!(failed(&evidence(vec![stock("sale/demo:1", 11)], 11, 0)), ["I1"]);
    assert_eq!(failed(&evidence(vec![stock("sale/demo:1", 5), stock("sale/demo:1", 5)], 10, 0)), ["I1"]);
    assert_eq!(failed(&evidence(vec![stock("elsewhere:1", 5)], 5, 0)), ["I1"]);
}

#[test]
fn i2_fails_when_redis_shows_other_units_than_the_ledger_leaves() {
    assert_eq!(failed(&evidence(vec![stock("sale/demo:1", 10), booked("a", 2)], 9, 0)), ["I2"]);
    assert_eq!(failed(&evidence(vec![stock("sale/demo:1", 10)], 11, -1)), ["I2"]);
}

#[test]
fn i3_fails_when_redis_is_ahead_of_the_ledger_or_says_something_else() {
    let mut ahead = evidence(vec![stock("sale/demo:1", 10)], 10, 0);
    ahead.lanes[0].seen.as_mut().unwrap().stock.settled = 9;
    assert_eq!(failed(&ahead), ["I3"]);

    let mut other = evidence(vec![stock("sale/demo:1", 10), refused("a")], 10, 0);
    let record = Record {
        state: HoldState::Sold,
        visitor: VISITOR,
        deadline: Millis(0),
        fp: Fingerprint([0; 8]),
        pass: None,
        lines: Lines::none(),
        seq: 2,
        at: Millis(1),
        why: None,
    };
    other.lanes[0].seen.as_mut().unwrap().records.push((id("a"), record));
    assert_eq!(failed(&other), ["I3"]);

    let mut gap = evidence(vec![stock("sale/demo:1", 10)], 10, 0);
    gap.lanes[0].truth.odd.push("lane/demo/0: event 3 follows event 1".to_owned());
    assert_eq!(failed(&gap), ["I3"]);
}

#[test]
fn i4_fails_for_a_second_outcome_a_second_booking_of_a_pass_and_too_many_units() {
    assert_eq!(failed(&evidence(vec![stock("sale/demo:1", 10), refused("a"), booked("a", 1)], 9, 0)), ["I4"]);
    assert_eq!(
        failed(&evidence(vec![stock("sale/demo:1", 10), LaneEvent::Cancelled { id: id("a"), at: Millis(1) }], 10, 0)),
        ["I4"]
    );
    assert_eq!(failed(&evidence(vec![stock("sale/demo:1", 10), booked("a", 3), booked("b", 2)], 5, 0)), ["I4"]);
    let pass = |key| match booked(key, 1) {
        LaneEvent::Booked { id, visitor, lines, fp, at, .. } => {
            LaneEvent::Booked { id, visitor, lines, fp, pass: Some(5), at }
        }
        other => other,
    };
    let mut twice = evidence(vec![stock("sale/demo:1", 10), pass("a"), pass("b")], 8, 0);
    twice.line.granted.insert(5);
    assert_eq!(failed(&twice), ["I4"]);
    assert_eq!(failed(&evidence(vec![stock("sale/demo:1", 10), pass("a")], 9, 0)), ["I4"]);
}

#[test]
fn i5_fails_for_a_confirm_that_nobody_decides_while_a_program_runs() {
    let mut stuck = evidence(vec![stock("sale/demo:1", 10)], 9, 1);
    stuck.lanes[0].seen.as_mut().unwrap().stuck.push(id("a"));
    assert_eq!(failed(&stuck), ["I5"]);
    assert!(judge(&sale(), &stuck, false).passed);
}

#[test]
fn i5_fails_for_units_that_no_hold_claims() {
    let mut lost = evidence(vec![stock("sale/demo:1", 10)], 8, 2);
    lost.lanes[0].seen.as_mut().unwrap().miscounted.push(Miscounted { item: item(), live: 2, claimed: 1 });
    assert_eq!(failed(&lost), ["I5"]);
}

#[test]
fn without_redis_the_ledger_is_judged_and_the_rest_is_named() {
    let mut blind = evidence(vec![stock("sale/demo:1", 3), booked("a", 4)], 0, 0);
    blind.lanes[0].seen = Err("Redis was not reachable".to_owned());
    assert_eq!(failed(&blind), ["I1"]);
    let report = judge(&sale(), &blind, false);
    assert_eq!(report.left_out.len(), 1, "{:?}", report.left_out);
    assert!(report.left_out[0].contains("Redis was not reachable") && report.left_out[0].contains("I2"));
}

/// Two lanes that share 10 seats; `here` and `there` follow their stock. Redis shows what the ledger leaves.
fn two_lanes(here: Vec<LaneEvent>, there: Vec<LaneEvent>) -> Evidence {
    let mut all = evidence(vec![], 0, 0);
    all.sale.lanes = 2;
    all.lanes = [here, there].into_iter().zip(0..).map(|(events, number)| lane_of(number, events)).collect();
    all.stranded = on_their_way(&all.lanes);
    all
}

fn lane_of(number: u16, events: Vec<LaneEvent>) -> Lane {
    let mut truth = LaneTruth::new(sale(), number);
    for event in std::iter::once(stock("sale/demo:1", 5)).chain(events) {
        truth.head += 1;
        truth.apply(truth.head, event);
    }
    let free = truth.unsold_at(truth.head)[&item()];
    let mut lane = evidence(vec![], free, 0).lanes.remove(0);
    lane.seen.as_mut().unwrap().stock.settled = truth.head;
    Lane { truth, ..lane }
}

fn lines(units: u32) -> Lines {
    [(item(), units)].into_iter().collect()
}

fn out(to: u16, units: u32) -> LaneEvent {
    LaneEvent::TransferOut { id: id("t"), to, lines: lines(units), at: Millis(1) }
}

fn come(from: &str, units: u32) -> LaneEvent {
    LaneEvent::TransferIn { from: from.to_owned(), lines: lines(units), at: Millis(1) }
}

#[test]
fn units_that_moved_between_lanes_are_counted_once() {
    let moved = two_lanes(vec![out(1, 3)], vec![come("lane/demo/0:2", 3)]);
    let report = judge(&sale(), &moved, true);
    assert!(report.passed, "{}", report.text());
    assert!(report.text().contains("between_lanes (arrived 1, sent 1, units_on_their_way 0)"), "{}", report.text());
    assert!(report.text().contains("allocated 10, given 10, left 10, sold 0"), "{}", report.text());
}

#[test]
fn units_that_an_operator_withdrew_are_nobodys_and_no_more_than_asked_for() {
    let gone = |lane, act: u64, units| {
        let id = LaneTruth::new(sale(), lane).withdrawal(act);
        LaneEvent::TransferOut { id, to: WITHDRAWN, lines: lines(units), at: Millis(1) }
    };
    let mut all = two_lanes(vec![gone(0, 2, 3)], vec![gone(1, 2, 1)]);
    let report = judge(&sale(), &all, true);
    assert!(report.passed, "{}", report.text());
    assert!(report.text().contains("allocated 6, given 10, left 6, sold 0"), "{}", report.text());
    assert!(report.text().contains("withdrawn 4"), "{}", report.text());
    assert!(!report.text().contains("between_lanes"), "{}", report.text());
    all.sale.withdrawals.get_mut(&2).unwrap().2 = Some(4);
    assert!(judge(&sale(), &all, true).passed, "as recorded");
    all.sale.withdrawals.get_mut(&2).unwrap().2 = Some(3);
    assert_eq!(failed(&all), ["I1"], "fewer are recorded");
    assert_eq!(failed(&two_lanes(vec![gone(0, 2, 3)], vec![gone(1, 2, 2)])), ["I1"], "more than asked for");
    assert_eq!(failed(&two_lanes(vec![gone(0, 3, 1)], vec![])), ["I1"], "nobody withdrew");
    assert_eq!(failed(&two_lanes(vec![out(WITHDRAWN, 1)], vec![])), ["I1"], "nobody withdrew under that id");
}

#[test]
fn i5_fails_when_units_left_a_lane_and_never_came_in() {
    let mut lost = two_lanes(vec![out(1, 3)], vec![]);
    assert_eq!(lost.stranded, ["lane/demo/0:2"]);
    assert_eq!(failed(&lost), ["I5"]);
    lost.stranded.clear();
    let report = judge(&sale(), &lost, true);
    assert!(report.passed && report.text().contains("units_on_their_way 3"), "on its way: {}", report.text());
    assert!(failed(&two_lanes(vec![out(7, 3)], vec![])).contains(&"I1"), "no such lane");
}

#[test]
fn i1_fails_when_units_come_in_twice_or_were_not_sent() {
    let twice = two_lanes(vec![out(1, 3)], vec![come("lane/demo/0:2", 3), come("lane/demo/0:2", 3)]);
    assert_eq!(failed(&twice), ["I1"]);
    for wrong in [come("lane/demo/0:2", 4), come("lane/demo/0:1", 3), come("lane/other/0:2", 3), come("nowhere", 3)] {
        assert!(failed(&two_lanes(vec![out(1, 3)], vec![wrong.clone()])).contains(&"I1"), "{wrong:?}");
    }
    assert!(failed(&two_lanes(vec![booked("a", 4), out(1, 2)], vec![come("lane/demo/0:3", 2)])).contains(&"I1"));
}
