#![allow(clippy::unwrap_used)]
use std::collections::VecDeque;

use super::*;

/// A line whose log says: numbers to 1000, passes live 10 s, turns are kept 5 s.
fn line() -> LineFold {
    let mut fold = LineFold::new(5_000);
    let first = LineEvent { at: Millis(1_000), numbers_to: 1_000, pass_ttl_ms: Some(10_000), ..LineEvent::default() };
    fold.apply(1, &first).unwrap();
    fold
}

/// The next entry: what is given, the rest as it was.
fn add(fold: &mut LineFold, change: LineEvent) -> Result<(), BadLine> {
    let next = LineEvent {
        at: change.at.max(fold.at()),
        numbers_to: change.numbers_to.max(fold.numbers_to()),
        frontier: change.frontier.max(fold.frontier()),
        ..change
    };
    fold.apply(fold.seq() + 1, &next)
}

fn called(at: u64, frontier: u64) -> LineEvent {
    LineEvent { at: Millis(at), frontier, ..LineEvent::default() }
}

fn granted(at: u64, numbers: &[u64]) -> LineEvent {
    LineEvent { at: Millis(at), granted: numbers.to_vec(), ..LineEvent::default() }
}

#[test]
fn a_number_waits_is_called_is_inside_and_ends() {
    let mut fold = line();
    assert_eq!(fold.standing(7, Millis(1_000)), Standing::Waiting);
    add(&mut fold, called(2_000, 10)).unwrap();
    assert_eq!(fold.standing(7, Millis(2_000)), Standing::Called);
    add(&mut fold, granted(3_000, &[7])).unwrap();
    assert_eq!(fold.standing(7, Millis(12_999)), Standing::Inside(Millis(13_000)));
    assert_eq!(fold.standing(7, Millis(13_000)), Standing::Ended, "for its visitor it has ended to the millisecond");
    assert_eq!(fold.active(), 1, "its place is freed by the log");
    add(&mut fold, LineEvent { at: Millis(14_000), ended: vec![7], ..LineEvent::default() }).unwrap();
    assert_eq!((fold.active(), fold.standing(7, Millis(4_000))), (0, Standing::Ended), "whatever a clock says");
    assert!(fold.used(7) && !fold.used(8) && !fold.used(0));
    assert_eq!(fold.standing(0, Millis(0)), Standing::Waiting, "nobody has number 0");
}

#[test]
fn a_place_is_overdue_one_skew_after_its_pass_expired() {
    let mut fold = line();
    add(&mut fold, called(2_000, 10)).unwrap();
    add(&mut fold, granted(3_000, &[1, 2])).unwrap();
    add(&mut fold, granted(3_500, &[3])).unwrap();
    assert_eq!(fold.next_place_at(), Some(Millis(14_000)));
    assert_eq!(fold.overdue(Millis(13_999), 10).count(), 0);
    assert_eq!(fold.overdue(Millis(14_000), 10).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(fold.overdue(Millis(20_000), 2).collect::<Vec<_>>(), [1, 2], "bounded, oldest first");
}

#[test]
fn a_change_of_the_pass_time_leaves_passes_alone_that_are_out() {
    let mut fold = line();
    add(&mut fold, called(2_000, 10)).unwrap();
    add(&mut fold, granted(3_000, &[1])).unwrap();
    add(&mut fold, LineEvent { pass_ttl_ms: Some(500), ..granted(4_000, &[2]) }).unwrap();
    assert_eq!(fold.standing(1, Millis(5_000)), Standing::Inside(Millis(13_000)));
    assert_eq!(fold.standing(2, Millis(4_499)), Standing::Inside(Millis(4_500)));
    assert_eq!(fold.overdue(Millis(5_500), 10).collect::<Vec<_>>(), [2]);
}

#[test]
fn a_turn_is_promised_until_it_is_claimed_or_its_grace_is_over() {
    let mut fold = line();
    add(&mut fold, called(2_000, 10)).unwrap();
    add(&mut fold, called(3_000, 14)).unwrap();
    assert_eq!(fold.unclaimed(Millis(3_000)), 14);
    add(&mut fold, granted(3_500, &[3, 12])).unwrap();
    assert_eq!(fold.unclaimed(Millis(6_999)), 12);
    assert_eq!(fold.unclaimed(Millis(7_000)), 3, "ten were called five seconds ago, nine of them passed on");
    add(&mut fold, granted(7_100, &[4])).unwrap();
    assert_eq!(fold.unclaimed(Millis(7_100)), 3, "a late visitor enters, nobody else's turn is used up");
    assert_eq!(fold.unclaimed(Millis(8_000)), 0);
    assert_eq!(fold.active(), 3);
}

#[test]
fn a_turn_to_a_unit_that_came_back_passes_on_before_an_older_one() {
    let mut fold = line();
    add(&mut fold, called(2_000, 10)).unwrap();
    assert!(!fold.calls_returns());
    add(&mut fold, LineEvent { turn_ms: Some(1_000), ..called(3_000, 12) }).unwrap();
    assert!(fold.calls_returns());
    add(&mut fold, called(3_500, 13)).unwrap();
    assert_eq!(fold.unclaimed(Millis(3_999)), 13);
    assert_eq!(fold.unclaimed(Millis(4_000)), 11, "the two short turns are over, the ten older ones are not");
    add(&mut fold, granted(4_100, &[11, 5, 13])).unwrap_err();
    add(&mut fold, granted(4_100, &[5, 11, 13])).unwrap();
    assert_eq!(fold.unclaimed(Millis(4_100)), 9, "11 came late: nobody else's turn is used up");
    assert_eq!(fold.unclaimed(Millis(7_000)), 0);
    assert_eq!(fold.habits().places_freed(), 2 + 9, "two short turns, nine others");
    assert!(!fold.calls_returns());
}

#[test]
fn a_gap_behind_an_open_turn_is_remembered_until_that_turn_is_over() {
    let mut fold = line();
    add(&mut fold, called(2_000, 2)).unwrap();
    add(&mut fold, LineEvent { gap: Some((3, 900)), ..called(2_500, 0) }).unwrap();
    add(&mut fold, LineEvent { turn_ms: Some(100), ..called(2_600, 901) }).unwrap();
    assert_eq!(fold.unclaimed(Millis(2_800)), 2, "the short turn is over");
    add(&mut fold, granted(2_900, &[500])).unwrap();
    assert_eq!(fold.unclaimed(Millis(2_900)), 2, "nobody was counted for it");
    assert_eq!(fold.unclaimed(Millis(7_000)), 0);
    assert_eq!(fold.gaps().ranges(), []);
}

#[test]
fn numbers_in_a_gap_are_no_calls_and_may_still_enter() {
    let mut fold = line();
    add(&mut fold, LineEvent { gap: Some((3, 900)), ..called(2_000, 0) }).unwrap();
    add(&mut fold, called(2_500, 902)).unwrap();
    assert_eq!(fold.unclaimed(Millis(2_500)), 4);
    assert_eq!(fold.called().last_minute(), 4);
    add(&mut fold, granted(3_000, &[500])).unwrap();
    assert_eq!(fold.unclaimed(Millis(3_000)), 4, "nobody was counted for it");
    add(&mut fold, granted(3_000, &[901])).unwrap();
    assert_eq!(fold.unclaimed(Millis(3_000)), 3);
    assert_eq!(fold.unclaimed(Millis(9_000)), 0);
    assert_eq!(fold.gaps().ranges(), [], "a gap far behind the frontier is forgotten");
}

#[test]
fn entries_that_break_the_order_are_refused_and_change_nothing() {
    let mut fold = line();
    add(&mut fold, called(2_000, 10)).unwrap();
    add(&mut fold, granted(3_000, &[5])).unwrap();
    let before = format!("{fold:?}");
    let base = LineEvent { at: Millis(3_000), numbers_to: 1_000, frontier: 10, ..LineEvent::default() };
    let mut refused = |seq, entry: LineEvent| fold.apply(seq, &entry).unwrap_err();
    assert_eq!(refused(5, base.clone()), BadLine::OutOfOrder { expected: 4, found: 5 });
    assert_eq!(refused(4, LineEvent { at: Millis(2_999), ..base.clone() }), BadLine::Back(4));
    assert_eq!(refused(4, LineEvent { frontier: 9, ..base.clone() }), BadLine::Back(4));
    assert_eq!(refused(4, LineEvent { numbers_to: 999, ..base.clone() }), BadLine::Back(4));
    assert_eq!(refused(4, LineEvent { frontier: 1_001, ..base.clone() }), BadLine::NotCalled(4));
    assert_eq!(refused(4, LineEvent { granted: vec![11], ..base.clone() }), BadLine::NotCalled(4));
    assert_eq!(refused(4, LineEvent { granted: vec![5], ..base.clone() }), BadLine::Twice(4));
    assert_eq!(refused(4, LineEvent { granted: vec![6, 6], ..base.clone() }), BadLine::Twice(4));
    assert_eq!(refused(4, LineEvent { granted: vec![0], ..base.clone() }), BadLine::Twice(4));
    assert_eq!(refused(4, LineEvent { granted: vec![6], pass_ttl_ms: Some(0), ..base }), BadLine::NoTtl(4));
    assert_eq!(format!("{fold:?}"), before);
}

#[test]
fn ends_that_are_repeated_or_of_nobody_change_nothing() {
    let mut fold = line();
    add(&mut fold, called(2_000, 10)).unwrap();
    add(&mut fold, granted(3_000, &[5])).unwrap();
    for ended in [vec![5, 5, 9], vec![5], vec![4_000]] {
        add(&mut fold, LineEvent { ended, ..LineEvent::default() }).unwrap();
    }
    assert_eq!(fold.active(), 0);
    assert_eq!(fold.standing(9, Millis(3_000)), Standing::Called, "no pass of it ever ended");
}

#[test]
fn a_million_numbers_take_less_than_half_a_byte_each() {
    let mut fold = LineFold::new(60_000);
    let mut entry =
        LineEvent { at: Millis(0), numbers_to: 1_000_000, pass_ttl_ms: Some(300_000), ..LineEvent::default() };
    // A hundred called in each step of 100 ms; every tenth never shows up, the others leave after two steps.
    let mut leaving = VecDeque::new();
    for seq in 1..=10_000_u64 {
        let first = entry.frontier + 1;
        entry.frontier += 100;
        entry.at = entry.at.plus(100);
        entry.granted = (first..=entry.frontier).filter(|n| n % 10 != 0).collect();
        leaving.push_back(entry.granted.clone());
        entry.ended = if leaving.len() > 20 { leaving.pop_front().unwrap() } else { Vec::new() };
        fold.apply(seq, &entry).unwrap();
        entry.pass_ttl_ms = None;
    }
    assert_eq!((fold.granted(), fold.active()), (900_000, 1_800));
    println!("{} bytes for 1,000,000 numbers, 1,800 passes alive", fold.bytes());
    assert!(fold.bytes() < 500_000, "{}", fold.bytes());
}
