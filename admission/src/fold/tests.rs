#![allow(clippy::unwrap_used)]
use std::collections::VecDeque;

use domain::number::number;
use domain::{CodeHash, Redeemed, VisitorHash};

use super::classes::BadClass;
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

const fn life(given: u64, expires: u64) -> Life {
    Life { given: Millis(given), expires: Millis(expires) }
}

#[test]
fn a_number_waits_is_called_is_inside_and_ends() {
    let mut fold = line();
    assert_eq!(fold.standing(7, Millis(1_000)), Standing::Waiting);
    add(&mut fold, called(2_000, 10)).unwrap();
    assert_eq!(fold.standing(7, Millis(2_000)), Standing::Called);
    add(&mut fold, granted(3_000, &[7])).unwrap();
    assert_eq!(fold.standing(7, Millis(12_999)), Standing::Inside(life(3_000, 13_000)));
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
    assert_eq!(fold.overdue(Millis(13_999), Millis(13_999), 10).count(), 0);
    assert_eq!(fold.overdue(Millis(14_000), Millis(14_000), 10).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(fold.overdue(Millis(20_000), Millis(20_000), 2).collect::<Vec<_>>(), [1, 2], "bounded, oldest first");
}

#[test]
fn a_fault_extends_the_passes_that_lived_then_and_their_places_wait_for_it() {
    let mut fold = line();
    add(&mut fold, called(2_000, 10)).unwrap();
    add(&mut fold, granted(3_000, &[1])).unwrap();
    add(&mut fold, granted(9_000, &[2])).unwrap();
    // The first one would have ended at 13 s; what is known of faults ends before.
    assert_eq!(fold.overdue(Millis(15_000), Millis(12_999), 10).count(), 0, "it may be extended yet");
    assert_eq!(fold.overdue(Millis(15_000), Millis(13_000), 10).collect::<Vec<_>>(), [1]);
    let fault = LineEvent { at: Millis(16_000), fault: Some((Millis(8_000), Millis(12_000))), ..LineEvent::default() };
    add(&mut fold, fault).unwrap();
    assert_eq!((fold.ends(1), fold.ends(2)), (Some(Millis(17_000)), Some(Millis(22_000))));
    assert_eq!(fold.standing(1, Millis(16_999)), Standing::Inside(life(3_000, 13_000)), "its life is what was given");
    assert_eq!(fold.standing(1, Millis(17_000)), Standing::Ended);
    assert_eq!(fold.next_place_at(), Some(Millis(18_000)));
    assert_eq!(fold.overdue(Millis(17_999), Millis(17_999), 10).count(), 0);
    assert_eq!(fold.overdue(Millis(18_000), Millis(18_000), 10).collect::<Vec<_>>(), [1]);
    add(&mut fold, granted(17_000, &[3])).unwrap();
    assert_eq!(fold.ends(3), Some(Millis(27_000)), "nobody gets credit for what was over before");
    // A place that the log has freed is not taken again by what becomes known later.
    add(&mut fold, LineEvent { at: Millis(18_000), ended: vec![1], ..LineEvent::default() }).unwrap();
    let late = LineEvent { at: Millis(19_000), fault: Some((Millis(12_000), Millis(18_500))), ..LineEvent::default() };
    add(&mut fold, late).unwrap();
    assert_eq!((fold.standing(1, Millis(19_000)), fold.active()), (Standing::Ended, 2));
    // Not known for so long that no fault could extend it further.
    let long = Millis(27_000 + 6_500 + domain::limits::MAX_FAULT_CREDIT_MS + PASS_SKEW_MS);
    assert_eq!(fold.overdue(long, Millis(0), 10).count(), 2);
}

#[test]
fn a_change_of_the_pass_time_leaves_passes_alone_that_are_out() {
    let mut fold = line();
    add(&mut fold, called(2_000, 10)).unwrap();
    add(&mut fold, granted(3_000, &[1])).unwrap();
    add(&mut fold, LineEvent { pass_ttl_ms: Some(500), ..granted(4_000, &[2]) }).unwrap();
    assert_eq!(fold.standing(1, Millis(5_000)), Standing::Inside(life(3_000, 13_000)));
    assert_eq!(fold.standing(2, Millis(4_499)), Standing::Inside(life(4_000, 4_500)));
    assert_eq!(fold.overdue(Millis(5_500), Millis(5_500), 10).collect::<Vec<_>>(), [2]);
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
    let fault = |from, to| Some((Millis(from), Millis(to)));
    assert_eq!(refused(4, LineEvent { fault: fault(2_000, 3_001), ..base.clone() }), BadLine::Fault(4));
    assert_eq!(refused(4, LineEvent { fault: fault(2_000, 2_000), ..base.clone() }), BadLine::Fault(4));
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

const CODE: CodeHash = CodeHash([7; 16]);

fn redeemed(class: u8, who: u8, uses: u32) -> Redeemed {
    Redeemed { class, visitor: VisitorHash([who; 16]), code: CODE, uses }
}

fn class_called(at: u64, class: u8, frontier: u64) -> LineEvent {
    LineEvent { at: Millis(at), classes: vec![ClassCall { class, frontier }], ..LineEvent::default() }
}

#[test]
fn a_class_counts_is_called_and_lets_in_by_itself() {
    let mut fold = line();
    let codes = vec![redeemed(2, 1, 3), redeemed(2, 2, 3), redeemed(1, 3, 3)];
    add(&mut fold, LineEvent { redeemed: codes, ..called(2_000, 5) }).unwrap();
    assert_eq!([1, 2].map(|class| fold.classes().issued(class)), [1, 2]);
    let second = number(2, 2);
    assert_eq!(fold.classes().number_of(&VisitorHash([2; 16])), Some(second));
    assert_eq!((fold.waiting(10)[..4].to_vec(), fold.ahead(second)), (vec![5, 1, 2, 0], 2));
    assert_eq!(fold.standing(second, Millis(2_000)), Standing::Waiting);
    add(&mut fold, class_called(2_500, 2, 2)).unwrap();
    assert_eq!(fold.standing(second, Millis(2_500)), Standing::Called);
    assert_eq!(
        (fold.standing(2, Millis(2_500)), fold.frontier()),
        (Standing::Called, 5),
        "the others' line is untouched"
    );
    assert_eq!((fold.unclaimed(Millis(2_500)), fold.called().last_minute()), (7, 7), "one meter for all");
    add(&mut fold, granted(3_000, &[2, second])).unwrap();
    assert_eq!((fold.unclaimed(Millis(3_000)), fold.active(), fold.passes().last_minute()), (5, 2, 2));
    assert!(fold.used(second) && fold.used(2) && !fold.used(number(2, 1)) && !fold.used(number(1, 2)));
    assert_eq!(fold.overdue(Millis(20_000), Millis(20_000), 9).collect::<Vec<_>>(), [2, second]);
    add(&mut fold, LineEvent { ended: vec![second], ..called(9_000, 5) }).unwrap();
    assert_eq!((fold.standing(second, Millis(3_000)), fold.active()), (Standing::Ended, 1));
    assert_eq!(fold.unclaimed(Millis(9_000)), 0, "turns of a class pass on like all others");
}

#[test]
fn codes_and_classes_that_break_the_order_are_refused_and_change_nothing() {
    let mut fold = line();
    add(&mut fold, LineEvent { redeemed: vec![redeemed(1, 1, 2)], ..called(2_000, 5) }).unwrap();
    let before = format!("{fold:?}");
    let mut refused = |codes: Vec<Redeemed>, calls: &[(u8, u64)], granted: Vec<u64>| {
        let classes = calls.iter().map(|(class, frontier)| ClassCall { class: *class, frontier: *frontier }).collect();
        add(&mut fold, LineEvent { redeemed: codes, classes, granted, ..LineEvent::default() }).unwrap_err()
    };
    let class = |why| BadLine::Class(3, why);
    assert_eq!(refused(vec![redeemed(1, 1, 9)], &[], vec![]), class(BadClass::Twice), "a second place of one visitor");
    assert_eq!(refused(vec![redeemed(1, 2, 2), redeemed(2, 2, 2)], &[], vec![]), class(BadClass::Twice));
    assert_eq!(refused(vec![redeemed(1, 2, 2), redeemed(1, 3, 2)], &[], vec![]), class(BadClass::UsedUp));
    assert_eq!(refused(vec![redeemed(1, 2, 1)], &[], vec![]), class(BadClass::UsedUp));
    assert_eq!(refused(vec![redeemed(0, 2, 9)], &[], vec![]), class(BadClass::Unknown));
    assert_eq!(refused(vec![redeemed(9, 2, 9)], &[], vec![]), class(BadClass::Unknown));
    assert_eq!(refused(vec![], &[(1, 2)], vec![]), class(BadClass::Called), "nobody has that place");
    assert_eq!(refused(vec![], &[(2, 1), (1, 1)], vec![]), class(BadClass::Unknown), "not in order");
    assert_eq!(refused(vec![], &[(0, 1)], vec![]), class(BadClass::Unknown));
    assert_eq!(refused(vec![], &[], vec![number(1, 1)]), BadLine::NotCalled(3));
    assert_eq!(refused(vec![], &[(1, 1)], vec![number(1, 0)]), BadLine::Twice(3));
    assert_eq!(format!("{fold:?}"), before);
    add(&mut fold, class_called(3_000, 1, 1)).unwrap();
    assert_eq!(add(&mut fold, class_called(3_000, 1, 0)), Err(BadLine::Class(4, BadClass::Called)), "back");
}

#[test]
fn an_entry_of_the_version_before_has_one_class() {
    let old = r#"{"v":1,"t":"line","at":5,"numbers_to":10,"frontier":3,"pass_ttl_ms":100,"granted":[2]}"#;
    let mut fold = LineFold::new(5_000);
    fold.apply(1, &domain::event::Event::decode(old).unwrap()).unwrap();
    assert_eq!(
        (fold.classes().count(), fold.standing(2, Millis(6)), fold.waiting(10)[0]),
        (0, Standing::Inside(life(5, 105)), 7)
    );
    let written = domain::event::Event::encode(&called(6, 4)).unwrap();
    assert!(
        !written.contains("class") && !written.contains("redeemed"),
        "without classes an entry is what it was: {written}"
    );
}

#[test]
fn a_place_moves_once_per_entry_and_never_after_it_was_used() {
    let (here, there) = (VisitorHash([1; 16]), VisitorHash([2; 16]));
    let moved = |moved: &[(u64, VisitorHash)]| LineEvent { moved: moved.to_vec(), ..LineEvent::default() };
    let mut fold = line();
    add(&mut fold, called(2_000, 10)).unwrap();
    add(&mut fold, granted(3_000, &[7])).unwrap();
    for wrong in [
        vec![(7, there)],
        vec![(0, there)],
        vec![(1_001, there)],
        vec![(9, there), (9, here)],
        vec![(9, there), (8, here)],
    ] {
        assert_eq!(add(&mut fold, moved(&wrong)), Err(BadLine::Moved(4)), "{wrong:?}");
    }
    let both = LineEvent { moved: vec![(8, there)], ..granted(3_000, &[8]) };
    assert_eq!(add(&mut fold, both), Err(BadLine::Moved(4)), "a pass and a move of one place");
    add(&mut fold, moved(&[(8, there), (9, here)])).unwrap();
    assert!(
        fold.moved().is_others(8, &here) && !fold.moved().is_others(8, &there) && !fold.moved().is_others(6, &here)
    );
    assert_eq!((fold.moved().of(&there), fold.moved().of(&here)), (Some(8), Some(9)));
    add(&mut fold, moved(&[(8, here)])).unwrap();
    assert_eq!((fold.moved().of(&there), fold.moved().of(&here)), (None, Some(8)));
    add(&mut fold, granted(4_000, &[8])).unwrap();
    assert_eq!(fold.moved().count(), 2);
}

#[test]
fn a_place_in_a_class_moves_like_any_other_and_its_code_stays_used() {
    let [one, two, three] = [1, 2, 3].map(|who| VisitorHash([who; 16]));
    let at = Millis(2_000);
    let moves = |moved: &[(u64, VisitorHash)]| LineEvent { moved: moved.to_vec(), ..LineEvent::default() };
    let (first, second) = (number(1, 1), number(1, 2));
    let mut fold = line();
    add(&mut fold, LineEvent { redeemed: vec![redeemed(1, 1, 9), redeemed(1, 2, 9)], ..called(2_000, 5) }).unwrap();
    for nobodys in [number(1, 0), number(1, 3), number(2, 1), number(9, 1), u64::MAX] {
        assert_eq!(add(&mut fold, moves(&[(nobodys, three)])), Err(BadLine::Moved(3)), "{nobodys:x}");
    }
    add(&mut fold, moves(&[(first, three)])).unwrap();
    assert_eq!([one, two, three].map(|who| fold.class_place(&who, at)), [None, Some(second), Some(first)]);
    assert!(fold.has_in_class(&three, first) && !fold.has_in_class(&one, first) && !fold.has_in_class(&three, second));
    let again = LineEvent { redeemed: vec![redeemed(1, 1, 9)], ..LineEvent::default() };
    assert_eq!(add(&mut fold, again), Err(BadLine::Class(4, BadClass::Twice)), "who gave a place away gets no other");
    add(&mut fold, moves(&[(8, three), (second, three)])).unwrap();
    assert_eq!((fold.class_place(&three, at), fold.moved().of(&three)), (Some(second), Some(8)), "one of each kind");
    assert!(fold.has_in_class(&three, first), "the other one is theirs still, with its ticket");
    // Back to where it came from, and used there: then it is nobody's any more.
    add(&mut fold, moves(&[(first, one)])).unwrap();
    add(&mut fold, LineEvent { granted: vec![first], ..class_called(3_000, 1, 2) }).unwrap();
    assert_eq!(fold.class_place(&one, Millis(3_000)), Some(first));
    assert_eq!(add(&mut fold, moves(&[(first, two)])), Err(BadLine::Moved(7)), "it is used");
    add(&mut fold, LineEvent { ended: vec![first], ..called(4_000, 5) }).unwrap();
    assert_eq!(fold.class_place(&one, Millis(4_000)), None);
}
