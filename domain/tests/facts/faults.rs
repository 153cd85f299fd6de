use domain::Millis;
use domain::fault::{Ended, Faults, KnownFaults, Life};
use domain::limits::{FAULT_KEEP_MS, FAULT_MIN_MS, MAX_FAULT_CREDIT_MS, MAX_FAULTS};
use proptest::prelude::*;

fn faults(windows: &[(u64, u64)]) -> Faults {
    windows.iter().map(|(from, to)| (Millis(*from), Millis(*to))).collect()
}

fn ends(windows: &[(u64, u64)], given: u64, expires: u64) -> u64 {
    faults(windows).extended(Millis(given), Millis(expires)).0
}

#[test]
fn a_window_within_a_life_is_added_to_its_end() {
    assert_eq!(ends(&[(2_000, 5_000)], 1_000, 10_000), 13_000);
    assert_eq!(ends(&[], 1_000, 10_000), 10_000);
    assert_eq!(ends(&[(10_000, 20_000), (500, 1_000)], 1_000, 10_000), 10_000, "before and after it nothing counts");
}

#[test]
fn what_was_left_when_the_fault_began_is_left_when_it_is_over() {
    assert_eq!(ends(&[(9_000, 15_000)], 1_000, 10_000), 16_000);
    assert_eq!(ends(&[(500, 3_000)], 1_000, 10_000), 12_000, "a fault counts from the moment the pass was given");
}

#[test]
fn a_window_that_meets_the_life_as_it_was_extended_counts_as_well() {
    assert_eq!(ends(&[(9_000, 15_000), (15_500, 16_500)], 1_000, 10_000), 17_000);
}

#[test]
fn windows_that_touch_are_one_and_none_counts_twice() {
    let twice = faults(&[(5, 9), (1, 3), (3, 4), (2, 6), (9, 9), (20, 10)]);
    assert_eq!(twice.windows(), [(Millis(1), Millis(9))]);
    assert_eq!(twice.extended(Millis(0), Millis(100)), Millis(108));
}

#[test]
fn the_credit_is_bounded() {
    assert_eq!(ends(&[(2_000, 9_000_000)], 1_000, 10_000), 10_000 + MAX_FAULT_CREDIT_MS);
    let many: Vec<(u64, u64)> = (0..1_000).map(|n| (n * 100, n * 100 + 99)).collect();
    assert_eq!(ends(&many, 0, 10_000_000), 10_000_000 + 99_000);
    assert_eq!(ends(&[(0, u64::MAX)], 5, u64::MAX), u64::MAX);
}

#[test]
fn forgotten_windows_are_those_that_nobody_lived_in() {
    let mut some = faults(&[(1, 3), (10, 20)]);
    some.forget_before(Millis(10));
    assert_eq!(some.windows(), [(Millis(10), Millis(20))]);
}

#[test]
fn what_is_remembered_is_bounded_and_nobody_ends_earlier_for_it() {
    let (mut bounded, mut whole) = (Faults::default(), Faults::default());
    for n in 0..1_000_u64 {
        let (from, to) = (Millis(n * 10_000 + n % 7 * 100), Millis(n * 10_000 + 2_000));
        bounded.record(from, to);
        whole.add(from, to);
        let (given, expires) = (Millis(n * 9_000), Millis(n * 9_000 + 300_000));
        assert!(bounded.extended(given, expires) >= whole.extended(given, expires));
        assert!(bounded.windows().len() <= MAX_FAULTS);
    }
    bounded.record(Millis(FAULT_KEEP_MS * 9), Millis(FAULT_KEEP_MS * 9 + 5));
    assert_eq!(bounded.windows().len(), 1, "long gone ones are forgotten");
}

#[test]
fn an_end_that_a_fault_under_way_may_move_is_not_certain() {
    let known = KnownFaults { faults: faults(&[(1_000_000, 1_010_000)]), to: Millis(1_050_000) };
    let life = |expires: u64| Life { given: Millis(900_000), expires: Millis(expires) };
    let at = |expires, now| known.ended(life(expires), Millis(now));
    assert_eq!(at(1_040_000, 1_049_999), Ended::No, "ten seconds are added");
    assert_eq!(at(1_040_000, 1_050_000), Ended::Yes);
    assert_eq!(at(1_040_001, 1_050_001), Ended::Yes, "as fresh as it ever is");
    assert_eq!(at(1_040_001, 1_050_001 + FAULT_MIN_MS), Ended::Unsure);
    assert_eq!(
        at(1_040_000, 1_050_001 + FAULT_MIN_MS),
        Ended::Yes,
        "it had ended before anything began that is not known"
    );
    assert_eq!(at(1_040_001, 1_050_001 + MAX_FAULT_CREDIT_MS), Ended::Yes, "no fault could add more");
    assert_eq!(KnownFaults::none().ended(life(1_000_000), Millis(1_000_000)), Ended::Yes);
    assert_eq!(KnownFaults::default().ended(life(1_000_000), Millis(1_000_000)), Ended::Unsure);
}

proptest! {
    /// Whoever is told that something has ended is told so for good, whatever becomes known later.
    #[test]
    fn what_has_ended_for_certain_stays_ended(
        before in prop::collection::vec((0_u64..50_000, 0_u64..5_000), 0..6),
        later in prop::collection::vec((0_u64..5_000, 1_500_u64..50_000), 0..4),
        to in 0_u64..60_000, given in 0_u64..50_000, lives in 1_u64..50_000, now in 0_u64..200_000
    ) {
        // What is known is complete up to `to`; what is recorded later began then or later, and is over when it becomes known.
        let mut known = KnownFaults { to: Millis(to), ..KnownFaults::default() };
        for (from, long) in before {
            known.faults.add(Millis(from), Millis((from + long).min(to)));
        }
        let life = Life { given: Millis(given), expires: Millis(given + lives) };
        let certain = known.faults.end_of(life) <= known.certain(Millis(now)) && now < to + MAX_FAULT_CREDIT_MS;
        for (after, long) in later {
            known.faults.add(Millis(to + after), Millis(to + after + long));
        }
        prop_assert!(!certain || known.faults.end_of(life) <= Millis(now));
    }

    #[test]
    fn no_order_of_recording_and_no_later_window_takes_anything_away(
        windows in prop::collection::vec((0_u64..5_000, 0_u64..500), 0..20), given in 0_u64..5_000, life in 1_u64..2_000, more in (0_u64..9_000, 0_u64..500)
    ) {
        let windows: Vec<(u64, u64)> = windows.into_iter().map(|(from, long)| (from, from + long)).collect();
        let backwards: Vec<(u64, u64)> = windows.iter().rev().copied().collect();
        let end = ends(&windows, given, given + life);
        prop_assert_eq!(end, ends(&backwards, given, given + life));
        prop_assert!((given + life..=given + life + MAX_FAULT_CREDIT_MS).contains(&end));
        let mut longer = windows;
        longer.push((more.0, more.0 + more.1));
        prop_assert!(ends(&longer, given, given + life) >= end);
    }
}
