#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::*;

/// Passes in the window of `window` ms that ends with the pass at `end`, counted the slow way.
fn in_window(taken: &[(u64, u32, u32)], end: usize, window: u64) -> u64 {
    let now = taken[end].0;
    taken[..=end].iter().filter(|(at, ..)| now - at < window).map(|(_, n, _)| u64::from(*n)).sum()
}

#[test]
fn a_full_second_opens_again_a_second_after_the_pass_that_filled_it() {
    let mut meter = Meter::default();
    assert_eq!(meter.room(6_000, Millis(5_000)), 100);
    meter.take(Millis(5_000), 40);
    meter.take(Millis(5_400), 60);
    assert_eq!(meter.room(6_000, Millis(5_999)), 0);
    assert_eq!(meter.next_room_at(6_000, Millis(5_500)), Some(Millis(6_000)));
    assert_eq!(meter.room(6_000, Millis(6_000)), 40);
    assert_eq!(meter.room(6_000, Millis(6_400)), 100);
}

#[test]
fn the_minute_bounds_a_pace_that_is_no_multiple_of_sixty() {
    let mut meter = Meter::default();
    for second in 0..50 {
        meter.take(Millis(second * 1_000), meter.clone().room(100, Millis(second * 1_000)));
    }
    assert_eq!(meter.last_minute(), 100, "two a second fill the minute after 50 s");
    assert_eq!(meter.room(100, Millis(50_000)), 0);
    assert_eq!(meter.next_room_at(100, Millis(50_000)), Some(Millis(60_000)));
    assert_eq!(meter.room(100, Millis(60_000)), 2);
}

#[test]
fn a_lowered_pace_waits_until_the_windows_have_emptied() {
    let mut meter = Meter::default();
    for second in 0..60 {
        meter.take(Millis(second * 1_000), 100);
    }
    assert_eq!(meter.room(60, Millis(60_000)), 0);
    let next = meter.next_room_at(60, Millis(60_000)).unwrap();
    assert_eq!(next, Millis(119_000), "59 of the last 100 must have gone");
    assert_eq!(meter.clone().room(60, Millis(next.0 - 1)), 0);
    assert_eq!(meter.room(60, next), 1);
    assert_eq!(meter.next_room_at(0, next), None);
}

#[test]
fn memory_is_bounded_by_the_entries_of_a_minute() {
    let mut meter = Meter::default();
    for at in 0..500_000 {
        meter.take(Millis(at), 1);
    }
    assert_eq!(meter.taken.len(), 60_000);
    assert!(meter.taken.capacity() * 16 <= 2 << 20);
    meter.take(Millis(2), 0);
    assert_eq!(meter.taken.len(), 60_000, "nothing taken leaves nothing behind");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// I7: whatever is asked for, whenever the clock stands still, steps back or jumps and the pace changes.
    #[test]
    fn no_window_ever_holds_more_than_the_pace(
        steps in prop::collection::vec(
            (prop_oneof![Just(0_i64), 1..50_i64, 900..1_100_i64, -3_000..0_i64, 20_000..70_000_i64], 0..200_u32, prop_oneof![8 => Just(None), 1 => (0..3_000_u32).prop_map(Some)]),
            1..200,
        )
    ) {
        let (mut meter, mut clock, mut pace) = (Meter::default(), 1_000_000_i64, 300_u32);
        let (mut log_time, mut taken) = (0_u64, Vec::new());
        for (step, wanted, change) in steps {
            clock += step;
            pace = change.unwrap_or(pace);
            let now = Millis(u64::try_from(clock.max(0)).unwrap());
            log_time = log_time.max(now.0);
            let room = meter.room(pace, now);
            // What it promises about the next room is exact.
            if let Some(at) = meter.next_room_at(pace, now) {
                prop_assert!(meter.clone().room(pace, at) > 0);
                prop_assert_eq!(at.0 <= log_time, room > 0);
                prop_assert!(at.0 <= log_time || meter.clone().room(pace, Millis(at.0 - 1)) == 0);
            } else {
                prop_assert_eq!(pace, 0);
            }
            let n = wanted.min(room);
            if n > 0 {
                meter.take(now, n);
                taken.push((log_time, n, pace));
                let end = taken.len() - 1;
                let (second, minute) = (in_window(&taken, end, SECOND_MS), in_window(&taken, end, MINUTE_MS));
                prop_assert!(second <= u64::from(per_second(pace)), "{second} in a second at pace {pace}");
                prop_assert!(minute <= u64::from(pace), "{minute} in a minute at pace {pace}");
                prop_assert_eq!(minute, meter.last_minute());
            }
        }
    }

    /// A meter rebuilt from the last minute of a log allows exactly what the one that lived through it allows.
    #[test]
    fn a_meter_rebuilt_from_the_last_minute_is_the_same(steps in prop::collection::vec((0..4_000_u64, 0..20_u32), 1..200)) {
        let (mut meter, mut now, mut log) = (Meter::default(), 0, Vec::new());
        for (step, wanted) in steps {
            now += step;
            let n = wanted.min(meter.room(900, Millis(now)));
            meter.take(Millis(now), n);
            log.push((now, n));
        }
        let mut rebuilt = Meter::default();
        for (at, n) in log.iter().filter(|(at, _)| now - at < MINUTE_MS) {
            rebuilt.take(Millis(*at), *n);
        }
        for later in [0, 1, 500, 1_000, 30_000, 60_000] {
            let at = Millis(now + later);
            prop_assert_eq!(rebuilt.room(900, at), meter.room(900, at));
            prop_assert_eq!(rebuilt.next_room_at(900, at), meter.next_room_at(900, at));
        }
    }
}
