//! Percentiles, windows and sums.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use std::time::Duration;

use super::*;

fn stats(window: Window) -> Stats {
    Stats::new(window, Series::new(window.from, ms(1_000)), Arc::default())
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn percentiles_are_within_a_thousandth_of_the_true_ones() {
    let mut timing = Timing::new();
    for n in 1..=1000 {
        timing.record(ms(n));
    }
    let found = timing.percentiles();
    for (found, exact) in [(found.p50, 500.0), (found.p90, 900.0), (found.p99, 990.0), (found.max, 1000.0)] {
        assert!((found / exact - 1.0).abs() < 0.002, "{found} {exact}");
    }
}

#[test]
fn percentiles_of_threads_add_up_to_those_of_all() {
    let (mut all, mut odd, mut even) = (Timing::new(), Timing::new(), Timing::new());
    for n in 1..=999_u64 {
        all.record(ms(n * n));
        if n % 2 == 0 {
            even.record(ms(n * n))
        } else {
            odd.record(ms(n * n))
        };
    }
    odd.add(&even);
    assert_eq!((odd.percentiles(), odd.count()), (all.percentiles(), 999));
}

#[test]
fn nothing_measured_is_zero_and_too_long_is_the_longest() {
    let mut timing = Timing::new();
    assert_eq!(timing.percentiles(), Percentiles::default());
    timing.record(Duration::from_secs(100_000));
    timing.record(Duration::ZERO);
    assert_eq!(timing.count(), 2);
    assert!((timing.percentiles().max / 3_600_000.0 - 1.0).abs() < 0.002);
}

#[test]
fn a_call_counts_when_it_was_meant_to_start_in_the_window_however_late_it_ends() {
    let from = Instant::now();
    let window = Window { from, to: from + ms(100) };
    let mut stats = stats(window);
    stats.accepted(Kind::Hold, from + ms(99), from + ms(500));
    stats.accepted(Kind::Hold, from + ms(100), from + ms(101));
    stats.booking(from + ms(99));
    stats.booking(from + ms(100));
    let hold = stats.tally(Kind::Hold).unwrap();
    assert_eq!((hold.accepted.count(), hold.accepted.percentiles().max.round(), stats.booked), (1, 401.0, 1));
}

#[test]
fn problems_are_counted_by_name() {
    let from = Instant::now();
    let mut stats = stats(Window { from, to: from + ms(100) });
    let sold_out = Problem::named("sold-out");
    stats.problem(Kind::Hold, from, sold_out);
    let mut sum = stats.clone();
    sum.add(stats);
    assert_eq!(sum.tally(Kind::Hold).unwrap().problems[sold_out.0], 2);
    assert!(sum.tally(Kind::Confirm).unwrap().is_empty());
}

#[test]
fn a_timing_survives_its_written_form() {
    let mut timing = Timing::new();
    for n in 1..=500_u64 {
        timing.record(ms(n * n));
    }
    let read = Timing::of_pairs(&timing.pairs());
    assert_eq!((read.count(), read.percentiles()), (timing.count(), timing.percentiles()));
    assert_eq!(read.quantile(0.5), Some(timing.percentiles().p50));
    assert_eq!(Timing::new().quantile(0.5), None);
}

#[test]
fn what_is_lost_on_purpose_is_no_error() {
    let from = Instant::now();
    let mut stats = stats(Window { from, to: from + ms(100) });
    stats.lost(Kind::Hold, from, &Lost::OnPurpose);
    stats.lost(Kind::Hold, from, &Lost::TimedOut);
    assert_eq!(stats.tally(Kind::Hold).unwrap().lost, 1);
    assert_eq!(stats.lost, BTreeMap::from([("on purpose".to_owned(), 1), ("timed out".to_owned(), 1)]));
}
