#![allow(clippy::unwrap_used)]
use super::*;

const SETTINGS: Settings =
    Settings { pace_per_minute: 6_000, active_passes: 1_000, units_per_visitor: Some(4), shares: Shares::ONE_LINE };

fn seen(gaps: &Gaps) -> Observation<'_> {
    Observation {
        now: Millis(1_000_000),
        open: true,
        frontier: 0,
        issued: 1_000_000,
        gaps,
        active: 0,
        unclaimed: 0,
        calls_room: 100,
        tokens: Tokens::default(),
        flow: Flow::default(),
        freed: 0,
        stay_ms: 60_000,
        show_permille: 1_000,
        waiting: [0; CLASSES],
        deal: Deal::default(),
        takes: Takes::CAUTIOUS,
        stock: Some(Stock { free: 100_000, ..Stock::default() }),
        health_permille: 1_000,
        let_through: false,
    }
}

#[test]
fn a_fresh_line_calls_one_second_of_the_pace_and_then_a_tenth_of_it_each_step() {
    let gaps = Gaps::default();
    let mut look = seen(&gaps);
    let first = step(&look, &SETTINGS);
    assert_eq!((first.frontier, first.called, first.binding), (100, 100, Binding::Pace));
    look.frontier = first.frontier;
    look.tokens = first.tokens;
    look.now = look.now.plus(100);
    assert_eq!(step(&look, &SETTINGS).called, 10);
}

#[test]
fn over_an_hour_of_uneven_steps_calls_stay_below_the_pace_and_come_close_to_it() {
    let gaps = Gaps::default();
    let mut look = seen(&gaps);
    let settings = Settings { pace_per_minute: 700, ..SETTINGS };
    let start = look.now;
    for i in 0..40_000_u64 {
        let decision = step(&look, &settings);
        look.frontier = decision.frontier;
        look.tokens = decision.tokens;
        look.now = look.now.plus(i % 180);
    }
    let most = 700 * look.now.since(start) / 60_000;
    assert!(look.frontier <= most + 12, "{} of {most}", look.frontier);
    assert!(look.frontier + 1 >= most, "{} of {most}", look.frontier);
}

#[test]
fn a_clock_that_stands_still_or_steps_back_fills_nothing() {
    let gaps = Gaps::default();
    let mut look = seen(&gaps);
    look.tokens = step(&look, &SETTINGS).tokens;
    assert_eq!(step(&look, &SETTINGS).called, 0);
    look.now = Millis(1);
    assert_eq!(step(&look, &SETTINGS).called, 0);
    look.now = Millis(1_000_100);
    assert_eq!(step(&look, &SETTINGS).called, 10, "the time stepped back is not counted twice");
}

#[test]
fn the_exact_windows_bound_what_has_accumulated() {
    let gaps = Gaps::default();
    let decision = step(&Observation { calls_room: 3, ..seen(&gaps) }, &SETTINGS);
    assert_eq!((decision.called, decision.binding), (3, Binding::Pace));
}

#[test]
fn a_pace_of_zero_calls_nobody() {
    let gaps = Gaps::default();
    let decision = step(&seen(&gaps), &Settings { pace_per_minute: 0, ..SETTINGS });
    assert_eq!((decision.called, decision.binding), (0, Binding::Pace));
}

#[test]
fn places_taken_and_promised_count_against_the_cap() {
    let gaps = Gaps::default();
    let decision = step(&Observation { active: 900, unclaimed: 95, ..seen(&gaps) }, &SETTINGS);
    assert_eq!((decision.called, decision.binding), (5, Binding::Cap));
    let full = step(&Observation { active: 900, unclaimed: 100, ..seen(&gaps) }, &SETTINGS);
    assert_eq!((full.called, full.binding), (0, Binding::Cap));
    let passed_on = step(&Observation { active: 900, unclaimed: 0, ..seen(&gaps) }, &SETTINGS);
    assert_eq!(passed_on.called, 100, "an unclaimed turn that has passed on frees its place");
}

#[test]
fn nobody_is_called_to_an_empty_shelf() {
    let gaps = Gaps::default();
    let at = |free, held, active, unclaimed| {
        let decision = step(
            &Observation { active, unclaimed, stock: Some(Stock { free, held, sold: 0 }), ..seen(&gaps) },
            &SETTINGS,
        );
        (decision.called, decision.binding)
    };
    assert_eq!(at(0, 0, 0, 0), (0, Binding::Stock));
    assert_eq!(at(7, 0, 0, 0), (7, Binding::Stock));
    assert_eq!(at(7, 0, 4, 2), (1, Binding::Stock), "six inside or called are expected to take one each");
    assert_eq!(at(7, 0, 9, 0), (0, Binding::Stock));
    assert_eq!(at(7, 8, 4, 0), (5, Binding::Stock), "eight held units are two people at the limit: two may still take");
    assert_eq!(at(0, 500, 200, 0), (0, Binding::Stock), "all held: the line waits");
}

#[test]
fn people_who_do_not_come_are_made_up_for_but_not_where_stock_is_short() {
    let gaps = Gaps::default();
    let look = Observation { active: 900, unclaimed: 100, show_permille: 500, freed: 1, ..seen(&gaps) };
    assert_eq!((step(&look, &SETTINGS).called, step(&look, &SETTINGS).terms.cap), (50, 50));
    let short = Observation { stock: Some(Stock { free: 1_000, ..Stock::default() }), ..look };
    assert_eq!((step(&short, &SETTINGS).called, step(&short, &SETTINGS).binding), (0, Binding::Stock));
}

#[test]
fn stores_that_slow_down_shrink_the_cap_and_stores_that_are_gone_close_it() {
    let gaps = Gaps::default();
    let at = |health_permille| {
        let decision = step(&Observation { active: 450, health_permille, ..seen(&gaps) }, &SETTINGS);
        (decision.called, decision.binding)
    };
    assert_eq!(at(1_000), (100, Binding::Pace));
    assert_eq!(at(500), (50, Binding::Health));
    assert_eq!(at(0), (0, Binding::Health));
}

#[test]
fn an_empty_room_is_filled_over_seconds_and_a_freed_place_at_once() {
    let gaps = Gaps::default();
    let settings = Settings { pace_per_minute: 600_000, active_passes: 20_000, ..SETTINGS };
    let mut look = Observation { calls_room: 10_000, ..seen(&gaps) };
    look.flow = step(&look, &settings).flow;
    look.now = look.now.plus(100);
    let filling = step(&look, &settings);
    assert_eq!(filling.binding, Binding::Flow);
    assert!((1..=1_000).contains(&filling.called), "{}", filling.called);
    let full = Observation { active: 20_000, freed: 5, ..look };
    look = Observation { active: 19_993, freed: 12, flow: step(&full, &settings).flow, now: look.now.plus(1), ..full };
    assert_eq!((step(&look, &settings).called, step(&look, &settings).binding), (7, Binding::Cap));
}

#[test]
fn unknown_stock_calls_nobody() {
    let gaps = Gaps::default();
    let decision = step(&Observation { stock: None, ..seen(&gaps) }, &SETTINGS);
    assert_eq!((decision.called, decision.frontier, decision.binding), (0, 0, Binding::Unknown));
}

#[test]
fn a_sale_that_is_not_open_calls_nobody_and_jumps_nothing() {
    let mut gaps = Gaps::default();
    gaps.add(1, 50);
    let decision = step(&Observation { open: false, ..seen(&gaps) }, &SETTINGS);
    assert_eq!((decision.called, decision.frontier, decision.binding), (0, 0, Binding::Closed));
}

#[test]
fn the_frontier_ends_at_the_last_number_given_out() {
    let gaps = Gaps::default();
    let decision = step(&Observation { frontier: 10, issued: 13, ..seen(&gaps) }, &SETTINGS);
    assert_eq!((decision.called, decision.frontier, decision.binding), (3, 13, Binding::Line));
}

#[test]
fn gaps_are_jumped_at_no_cost() {
    let mut gaps = Gaps::default();
    gaps.add(11, 10_000);
    gaps.add(10_006, 20_000);
    let decision = step(&Observation { frontier: 5, issued: 20_002, calls_room: 8, ..seen(&gaps) }, &SETTINGS);
    assert_eq!((decision.frontier, decision.called), (10_003, 8), "five before the gap, three behind it");
    let rest = step(&Observation { frontier: 10_003, issued: 20_000, ..seen(&gaps) }, &SETTINGS);
    assert_eq!(
        (rest.frontier, rest.called),
        (20_000, 2),
        "a gap at the end is jumped as well: a ticket in it may turn up"
    );
    let held = step(&Observation { frontier: 10_005, issued: 20_002, active: 1_000, ..seen(&gaps) }, &SETTINGS);
    assert_eq!(held.frontier, 10_005, "without room for anybody nothing moves");
}

#[test]
fn let_through_calls_everybody_whom_the_stock_can_serve() {
    let gaps = Gaps::default();
    let look = Observation {
        issued: 1_000,
        active: 500,
        unclaimed: 0,
        calls_room: 0,
        let_through: true,
        stock: Some(Stock { free: 5_000, held: 0, sold: 0 }),
        ..seen(&gaps)
    };
    let decide = |look: Observation<'_>| step(&look, &Settings { active_passes: 500, ..SETTINGS });
    let all = decide(look);
    assert_eq!((all.frontier, all.binding), (1_000, Binding::Line), "neither pace nor cap call fewer");
    assert_eq!(decide(Observation { let_through: false, ..look }).called, 0);
    assert_eq!(decide(Observation { open: false, ..look }).called, 0, "a pause is a pause");
    let few = decide(Observation { stock: Some(Stock { free: 600, held: 0, sold: 0 }), ..look });
    assert!(few.called < 1_000 && few.binding == Binding::Stock, "{few:?}");
    assert_eq!(decide(Observation { stock: None, ..look }).binding, Binding::Unknown);
    assert_eq!(decide(Observation { health_permille: 0, ..look }).binding, Binding::Health);
}

#[test]
fn the_frontier_never_goes_back_and_never_calls_more_than_any_term() {
    let mut random = 42_u64;
    let mut draw = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    for _ in 0..20_000 {
        let mut gaps = Gaps::default();
        let mut at = 0;
        for _ in 0..draw(4) {
            let first = at + 1 + draw(20);
            at = first + draw(20);
            gaps.add(first, at);
        }
        let look = Observation {
            frontier: draw(60),
            issued: at + draw(60),
            active: draw(20),
            unclaimed: draw(20),
            calls_room: u32::try_from(draw(30)).unwrap(),
            show_permille: draw(1_001),
            health_permille: draw(1_001),
            let_through: draw(2) == 1,
            stock: Some(Stock { free: draw(40), held: draw(40), sold: 0 }),
            ..seen(&gaps)
        };
        let decision = step(&look, &Settings { active_passes: 25, ..SETTINGS });
        let Terms { pace, flow, cap, health, stock, line } = decision.terms;
        let called = u64::from(decision.called);
        assert!(decision.frontier >= look.frontier);
        assert!(decision.frontier <= look.issued.max(look.frontier));
        assert_eq!(called, pace.min(flow).min(cap).min(health).min(stock).min(line));
        assert_eq!(called, gaps.people(look.frontier, decision.frontier));
    }
}
