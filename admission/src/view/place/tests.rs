#![allow(clippy::unwrap_used)]
use std::hint::black_box;
use std::time::Instant;

use super::*;

fn line() -> Snapshot {
    Snapshot {
        frontier: 1_000,
        issued: 500_000,
        pace_per_minute: 6_000,
        called: 1_200,
        inside: 300,
        binding: Binding::Pace,
        free: 5_000,
        live: 200,
        band: Some(Band::Plenty),
        ..Snapshot::default()
    }
}

#[test]
fn a_called_ticket_is_told_to_enter() {
    let place = place(1_000, &line(), 0);
    assert_eq!((place.state, place.ahead, place.wait), (PlaceState::Called, 0, Some(Wait { p50_ms: 0, p90_ms: 0 })));
    assert_eq!(place.poll_in_ms, 800);
}

#[test]
fn a_waiting_ticket_is_told_who_is_ahead_and_how_long_it_takes_at_the_pace() {
    let told = place(7_000, &line(), u32::MAX / 2);
    assert_eq!((told.state, told.ahead), (PlaceState::Waiting, 5_999));
    assert_eq!(told.wait, Some(Wait { p50_ms: 60_000, p90_ms: 90_000 }));
    assert_eq!(told.poll_in_ms, 5_999);
    assert_eq!(place(1_001, &line(), 0).ahead, 0);
}

#[test]
fn nobody_stands_in_a_gap() {
    let line = Snapshot { gaps: [(2_000, 10_999)].into_iter().collect(), ..line() };
    assert_eq!(place(11_000, &line, 0).ahead, 999);
}

#[test]
fn while_the_cap_or_the_stock_holds_the_line_the_wait_follows_what_really_moved() {
    for binding in [Binding::Cap, Binding::Stock] {
        let told = place(2_200, &Snapshot { binding, ..line() }, 0);
        assert_eq!(told.wait, Some(Wait { p50_ms: 60_000, p90_ms: 90_000 }), "1,200 a minute");
    }
    let still = Snapshot { binding: Binding::Cap, called: 0, ..line() };
    assert_eq!(place(2_200, &still, 0).wait, None, "no figure is better than a wrong one");
    assert_eq!(place(2_200, &Snapshot { binding: Binding::Unknown, ..line() }, 0).wait, None);
}

#[test]
fn with_a_standby_the_places_in_front_are_kept_when_everything_is_sold() {
    let standby = Some(domain::Standby { claim_ms: 8_000, places: 500 });
    let over = Snapshot { band: Some(Band::SoldOut), standby, free: 0, live: 0, called: 0, ..line() };
    let told = |number| place(number, &over, u32::MAX / 2);
    assert_eq!((told(1_500).state, told(1_501).state), (PlaceState::Standby, PlaceState::Released));
    assert_eq!(told(900).state, PlaceState::Standby, "who was called and did not come may, once a unit is back");
    assert_eq!((told(1_500).chance, told(1_501).chance), (Chance::Low, Chance::None));
    assert!(told(1_500).poll_in_ms <= 4_000, "twice within a turn: {}", told(1_500).poll_in_ms);
    let back = Snapshot { band: Some(Band::Few), frontier: 1_001, free: 1, ..over.clone() };
    assert_eq!(place(1_001, &back, 0).state, PlaceState::Called);
    let short = Snapshot { standby: standby.map(|standby| domain::Standby { claim_ms: 100, ..standby }), ..over };
    assert_eq!(
        place(1_500, &short, u32::MAX / 2).poll_in_ms,
        POLL_NEAR_MS - 1,
        "nobody asks more often than those in front"
    );
}

#[test]
fn everything_held_keeps_the_place_and_sold_out_lets_go() {
    let held = Snapshot { band: Some(Band::Held), free: 0, ..line() };
    assert_eq!(place(2_000, &held, 0).state, PlaceState::Standby);
    assert_eq!(place(900, &held, 0).state, PlaceState::Called);
    let over = Snapshot { band: Some(Band::SoldOut), free: 0, live: 0, ..line() };
    for number in [900, 2_000] {
        let told = place(number, &over, 0);
        assert_eq!((told.state, told.chance), (PlaceState::Released, Chance::None));
        assert!(told.poll_in_ms >= POLL_FAR_MS * 4 / 5);
    }
    let unread = Snapshot { band: None, free: 0, live: 0, ..line() };
    assert_eq!(place(2_000, &unread, 0).state, PlaceState::Waiting, "nobody is sent away on what was never read");
    assert_eq!(place(2_000, &unread, 0).chance, Chance::Low);
}

#[test]
fn the_chance_follows_who_is_ahead_and_what_is_left() {
    let chance_at = |number| place(number, &line(), 0).chance;
    assert_eq!(chance_at(5_700), Chance::Good, "4,699 ahead and 300 inside, 5,000 free");
    assert_eq!(chance_at(5_701), Chance::Fair);
    assert_eq!(chance_at(6_200), Chance::Fair);
    assert_eq!(chance_at(6_201), Chance::Low);
}

#[test]
fn polls_come_sooner_near_the_front_and_are_spread() {
    let polls: Vec<u64> = [1_001, 3_000, 20_000, 400_000].map(|number| place(number, &line(), 0).poll_in_ms).to_vec();
    assert!(polls.is_sorted() && polls[0] == 800 && polls[3] == 24_000, "{polls:?}");
    for jitter in [0, 1, u32::MAX / 3, u32::MAX] {
        assert!((8_000..=12_000).contains(&jittered(10_000, jitter)));
    }
    assert_eq!((jittered(10_000, 0), jittered(10_000, u32::MAX)), (8_000, 12_000));
    let still = Snapshot { binding: Binding::Unknown, ..line() };
    assert_eq!(place(1_051, &still, 0).poll_in_ms, 1_600);
    assert_eq!(place(u64::MAX, &still, 0).poll_in_ms, 24_000);
}

#[test]
fn the_view_of_a_ticket_costs_nanoseconds() {
    let line = Snapshot { gaps: [(2_000, 10_999), (40_000, 49_000)].into_iter().collect(), ..line() };
    let (rounds, begin) = (1_000_000_u32, Instant::now());
    for n in 0..rounds {
        black_box(place(black_box(u64::from(n % 400_000) + 1), black_box(&line), n));
    }
    println!("{:.1} ns per view of a ticket", begin.elapsed().as_secs_f64() * 1e9 / f64::from(rounds));
}

#[test]
fn a_lobby_asks_rarely_and_spreads_its_polls_over_the_seconds_behind_the_opening() {
    for jitter in [0, u32::MAX / 3, u32::MAX] {
        let far = lobby_poll_ms(true, Some(3_600_000), jitter);
        assert!((24_000..=36_000).contains(&far) && far == lobby_poll_ms(true, None, jitter), "{far}");
        let near = lobby_poll_ms(true, Some(10_000), jitter);
        assert!((10_500..=15_500).contains(&near), "{near}");
        assert!((800..=1_200).contains(&lobby_poll_ms(false, None, jitter)));
    }
    assert!(lobby_poll_ms(true, Some(0), 0) < lobby_poll_ms(true, Some(0), u32::MAX));
}
