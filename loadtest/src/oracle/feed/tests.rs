//! Every violation is planted once in a feed that is right otherwise, and found.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use domain::{Actor, Fingerprint, LineEvent, Millis, SaleDoc, SaleId};

use super::super::{Booked, PassSeen};
use super::*;

fn id(n: u32) -> HoldId {
    let sale: SaleId = "demo".parse().unwrap();
    HoldId::derive(&sale, 0, &VisitorHash([1; 16]), &n.to_string())
}

fn booked(n: u32, units: u32) -> LaneEvent {
    LaneEvent::Booked {
        id: id(n),
        visitor: VisitorHash([1; 16]),
        lines: [("standing".parse().unwrap(), units)].into_iter().collect(),
        fp: Fingerprint([0; 8]),
        pass: None,
        at: Millis(0),
    }
}

fn stock(units: u64) -> BTreeMap<ItemId, u64> {
    BTreeMap::from([("standing".parse().unwrap(), units)])
}

fn got(units: u64) -> LaneEvent {
    LaneEvent::Stock { from: "sale/demo:1".to_owned(), lines: stock(units), at: Millis(0) }
}

fn define(at: u64, pace: u32, units: u64) -> SaleEvent {
    let text = format!(
        "id = \"demo\"\nadmission = {{ pace_per_minute = {pace}, active_passes = 1000 }}\nitems = [{{ id = \"standing\", units = 20 }}]"
    );
    let act = Act::Define { doc: Box::new(SaleDoc::from_toml(&text).unwrap()), stock: stock(units) };
    SaleEvent { at: Millis(at), actor: Actor { by: "test".to_owned(), why: String::new() }, act }
}

fn granted(at: u64, numbers: std::ops::RangeInclusive<u64>) -> LineEvent {
    LineEvent {
        at: Millis(at),
        numbers_to: 1_000,
        frontier: *numbers.end(),
        granted: numbers.collect(),
        ..LineEvent::default()
    }
}

const START: u64 = 1_800_000_000_000;

/// Twenty units in two lanes, ten bookings of one; 600 passes a minute, ten in each of five seconds.
fn clean() -> (FeedTruth, History) {
    let (mut feed, mut history) = (FeedTruth { complete: true, ..FeedTruth::default() }, History::default());
    feed.sale(define(START - 60_000, 600, 20));
    for lane in 0..2 {
        feed.lane(lane, 1, got(10));
    }
    for n in 0..10 {
        let at = (u16::from(n % 2 == 1), u64::from(n / 2) + 2);
        feed.lane(at.0, at.1, booked(n, 1));
        history.book(Booked { id: id(n), at: Some(at) }, "standing", 1);
        history.gone(id(1_000 + n));
    }
    for second in 0..5 {
        feed.line.event(&granted(START + second * 1_000, second * 10 + 1..=second * 10 + 10));
    }
    (1..=50).for_each(|number| history.pass(PassSeen { number, expires_ms: 0 }, 0));
    (feed, history)
}

fn judged(plant: impl FnOnce(&mut FeedTruth, &mut History)) -> Vec<FeedFinding> {
    let (mut feed, mut history) = clean();
    plant(&mut feed, &mut history);
    feed.judge(&history)
}

#[test]
fn a_clean_feed_has_no_findings() {
    assert_eq!(judged(|_, _| {}), []);
}

#[test]
fn a_confirmed_booking_without_event_is_found() {
    let lose = |_: &mut FeedTruth, history: &mut History| {
        history.book(Booked { id: id(99), at: Some((0, 7)) }, "standing", 1);
        history.book(Booked { id: id(98), at: None }, "standing", 1);
    };
    assert_eq!(judged(lose), [FeedFinding::NoEvent(id(99)), FeedFinding::NoEvent(id(98))]);
}

#[test]
fn of_a_feed_read_in_part_only_what_would_have_been_read_is_missing() {
    let found = judged(|feed, history| {
        feed.complete = false;
        history.book(Booked { id: id(97), at: Some((0, 6)) }, "standing", 1);
        history.book(Booked { id: id(98), at: Some((0, 7)) }, "standing", 1);
        history.book(Booked { id: id(99), at: Some((2, 1)) }, "standing", 1);
        history.pass(PassSeen { number: 51, expires_ms: 0 }, 0);
    });
    assert_eq!(found, [FeedFinding::NoEvent(id(97))]);
}

#[test]
fn a_booking_answered_with_another_seq_is_found() {
    let found = judged(|_, history| history.booked[0].at = Some((0, 3)));
    assert_eq!(found, [FeedFinding::OtherEvent { id: id(0), told: (0, 3), stands: (0, 2) }]);
}

#[test]
fn a_booking_of_what_was_answered_gone_is_found() {
    assert_eq!(judged(|_, history| history.gone(id(3))), [FeedFinding::GoneButBooked { id: id(3), at: (1, 3) }]);
}

#[test]
fn an_id_booked_by_two_events_is_found() {
    let found = judged(|feed, _| feed.lane(0, 7, booked(0, 1)));
    assert_eq!(found, [FeedFinding::BookedTwice { id: id(0), first: (0, 2), second: (0, 7) }]);
}

#[test]
fn one_unit_more_than_a_lane_has_got_is_found_and_cancelled_ones_are_free_again() {
    let overbooked = FeedFinding::Overbooked { item: "standing".to_owned(), lane: Some(0), booked: 11, units: 10 };
    assert_eq!(judged(|feed, _| feed.lane(0, 7, booked(50, 5))), []);
    assert_eq!(judged(|feed, _| feed.lane(0, 7, booked(50, 6))), std::slice::from_ref(&overbooked));
    let cancel = |seq| move |feed: &mut FeedTruth| feed.lane(0, seq, LaneEvent::Cancelled { id: id(0), at: Millis(0) });
    let before = judged(|feed, _| {
        cancel(7)(feed);
        feed.lane(0, 8, booked(50, 6));
    });
    assert_eq!(before, []);
    let after = judged(|feed, _| {
        feed.lane(0, 7, booked(50, 6));
        cancel(8)(feed);
    });
    assert_eq!(after, [overbooked]);
}

#[test]
fn one_unit_more_than_the_sale_has_is_found() {
    let found = judged(|feed, _| {
        feed.lane(1, 7, got(10));
        feed.lane(1, 8, booked(50, 11));
    });
    assert_eq!(found, [FeedFinding::Overbooked { item: "standing".to_owned(), lane: None, booked: 21, units: 20 }]);
}

#[test]
fn a_missing_event_is_found() {
    let found = judged(|feed, _| [1, 2, 4].into_iter().for_each(|seq| feed.follows("lane/demo/0", seq)));
    assert_eq!(found, [FeedFinding::Gap { log: "lane/demo/0".to_owned(), after: 2, seq: 4 }]);
    let found = judged(|feed, _| feed.follows("line/demo", 2));
    assert_eq!(found, [FeedFinding::Gap { log: "line/demo".to_owned(), after: 0, seq: 2 }]);
}

#[test]
fn a_frontier_that_goes_back_is_found() {
    let back = LineEvent { at: Millis(START + 9_000), frontier: 49, ..LineEvent::default() };
    assert_eq!(judged(|feed, _| feed.line.event(&back)), [FeedFinding::FrontierBack { before: 50, after: 49 }]);
}

#[test]
fn a_number_granted_twice_is_found() {
    let again = LineEvent { at: Millis(START + 9_000), frontier: 50, granted: vec![7], ..LineEvent::default() };
    assert_eq!(judged(|feed, _| feed.line.event(&again)), [FeedFinding::GrantedTwice(7)]);
}

#[test]
fn a_pass_that_no_event_grants_is_found() {
    let found = judged(|_, history| history.pass(PassSeen { number: 51, expires_ms: 0 }, 0));
    assert_eq!(found, [FeedFinding::NotGranted(51)]);
}

#[test]
fn one_pass_too_many_in_a_second_is_found() {
    // The tenth of a window may come at its last millisecond; one more is too many until the first has left it.
    let over = FeedFinding::OverPace { until: Millis(START + 4_999), window_ms: 1_000, passes: 11, allowed: 10 };
    let (until, window_ms) = (Millis(START + 4_999), 1_000);
    let called = FeedFinding::CalledOverPace { until, window_ms, called: 11, allowed: 10 };
    assert_eq!(judged(|feed, _| feed.line.event(&granted(START + 4_999, 51..=51))), [over, called]);
    assert_eq!(judged(|feed, _| feed.line.event(&granted(START + 5_000, 51..=60))), []);
}

#[test]
fn one_pass_too_many_in_a_minute_is_found() {
    let minute = |last: u64| {
        move |feed: &mut FeedTruth, _: &mut History| {
            (5..60).for_each(|n| feed.line.event(&granted(START + n * 1_000, n * 10 + 1..=n * 10 + 10)));
            // Lowered half a minute ago: what was granted before counts.
            feed.sale(define(START + 30_000, 599, 0));
            feed.line.event(&granted(last, 601..=601));
        }
    };
    let found = judged(minute(START + 60_500));
    assert!(
        matches!(
            found.as_slice(),
            [FeedFinding::OverPace { window_ms: 60_000, .. }, FeedFinding::CalledOverPace { window_ms: 60_000, .. }]
        ),
        "{found:?}"
    );
    assert_eq!(
        judged(|feed, history| {
            (5..60).for_each(|n| feed.line.event(&granted(START + n * 1_000, n * 10 + 1..=n * 10 + 10)));
            feed.line.event(&granted(START + 60_000, 601..=610));
            let _ = history;
        }),
        []
    );
}

#[test]
fn a_raised_pace_allows_more_from_then_on() {
    let eleven = |since| {
        move |feed: &mut FeedTruth, _: &mut History| {
            feed.sale(define(since, 1_200, 0));
            feed.line.event(&granted(START + 20_000, 51..=70));
        }
    };
    assert_eq!(judged(eleven(START + 20_000)), []);
    assert_eq!(judged(eleven(START + 30_000)).len(), 2, "too many passes, and too many calls");
}

#[test]
fn a_frontier_that_jumps_is_found_and_one_over_a_gap_is_not() {
    let to = |frontier, gap| LineEvent { at: Millis(START + 9_000), frontier, gap, ..LineEvent::default() };
    let found = judged(|feed, _| feed.line.event(&to(61, None)));
    let (until, window_ms) = (Millis(START + 9_000), 1_000);
    assert_eq!(found, [FeedFinding::CalledOverPace { until, window_ms, called: 11, allowed: 10 }]);
    assert_eq!(judged(|feed, _| feed.line.event(&to(61, Some((51, 51))))), []);
    let through = judged(|feed, _| {
        feed.line.act(Millis(START + 8_000), Act::LetThrough { on: true });
        feed.line.event(&to(900, None));
    });
    assert_eq!(through, [], "the operator let everybody through");
}

#[test]
fn a_pass_ahead_of_the_frontier_is_found() {
    let ahead = LineEvent { at: Millis(START + 9_000), frontier: 50, granted: vec![51], ..LineEvent::default() };
    assert_eq!(judged(|feed, _| feed.line.event(&ahead)), [FeedFinding::GrantedAhead { number: 51, frontier: 50 }]);
}

#[test]
fn a_pass_above_the_cap_is_found_unless_another_has_ended() {
    let cap = |feed: &mut FeedTruth| {
        feed.line.act(Millis(START - 50_000), Act::Cap { active_passes: 50 });
    };
    let next = |ended| LineEvent { ended, ..granted(START + 9_000, 51..=51) };
    let over = FeedFinding::OverCap { at: Millis(START + 9_000), alive: 51, cap: 50 };
    let found = judged(|feed, _| {
        cap(feed);
        feed.line.event(&next(vec![]));
    });
    assert_eq!(found, [over]);
    let ended = judged(|feed, _| {
        cap(feed);
        feed.line.event(&next(vec![7]));
    });
    assert_eq!(ended, []);
    let expired = judged(|feed, _| {
        cap(feed);
        feed.line.event(&granted(START + room().pass_ttl_ms, 51..=51));
    });
    assert_eq!(expired, []);
}

fn room() -> domain::Room {
    let Act::Define { doc, .. } = define(0, 600, 20).act else { panic!("a definition") };
    doc.room().unwrap().clone()
}

#[test]
fn one_unit_more_than_a_visitor_may_have_is_found() {
    let limit = |feed: &mut FeedTruth, units| {
        let mut event = define(START - 60_000, 600, 0);
        let Act::Define { doc, .. } = &mut event.act else { panic!("a definition") };
        doc.units_per_visitor = Some(units);
        (feed.limit, feed.defined) = (None, false);
        feed.sale(event);
    };
    let more = |units| {
        move |feed: &mut FeedTruth, _: &mut History| {
            limit(feed, units);
            feed.lane(0, 7, booked(50, 1));
        }
    };
    assert_eq!(judged(more(11)), []);
    assert_eq!(judged(more(10)), [FeedFinding::VisitorOverLimit { id: id(50), units: 11, limit: 10 }]);
}

#[test]
fn refusals_that_the_feed_does_not_bear_out_are_found() {
    use super::super::{Finding, Known, judge};
    let judged = |plant: &dyn Fn(&mut FeedTruth, &mut History)| {
        let (mut feed, mut history) = clean();
        plant(&mut feed, &mut history);
        let wanted = Some(("standing".to_owned(), 1));
        judge(history, &Known { feed: Some(feed), wanted, ..Known::default() }).told
    };
    let gone = |history: &mut History| {
        history.gone(id(77));
        history.gone_early(id(77));
    };
    assert_eq!(judged(&|_, history| gone(history)), [Finding::GoneEarly(id(77))]);
    let why = |feed: &mut FeedTruth, history: &mut History| {
        gone(history);
        let (visitor, why) = (VisitorHash([1; 16]), domain::RefuseReason::SoldOut);
        feed.lane(0, 7, LaneEvent::Refused { id: id(77), visitor, why, at: Millis(0) });
    };
    assert_eq!(judged(&why), []);
    let sold_out = Finding::SoldOutButFree { item: "standing".to_owned(), free: 10, refused: 1 };
    assert_eq!(judged(&|_, history| history.sold_out = 1), [sold_out]);
    let all_sold = |feed: &mut FeedTruth, history: &mut History| {
        history.sold_out = 1;
        feed.lane(0, 7, booked(50, 5));
        feed.lane(1, 7, booked(51, 5));
    };
    assert_eq!(judged(&all_sold), []);
}
