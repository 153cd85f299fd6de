//! Random lines under the real fold and the real step: what must hold in each of them.

#![allow(clippy::unwrap_used)]
use domain::LineEvent;
use domain::limits::{FLOW_FILL_MS, PASS_SKEW_MS};
use proptest::prelude::*;

use super::*;
use crate::meter::per_second;
use crate::step::Shares;

const TTL: u64 = 20_000;
const GRACE: u64 = 4_000;

/// A small generator of our own: a failing case is named by its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound.max(1)
    }
}

struct World {
    fold: LineFold,
    log: Vec<LineEvent>,
    pilot: Pilot,
    settings: Settings,
    stock: Stock,
    now: Millis,
    /// Called and not granted, by number.
    called: Vec<u64>,
    inside: Vec<u64>,
}

impl World {
    fn new(random: &mut Random) -> Self {
        let settings = Settings {
            pace_per_minute: u32::try_from(1 + random.below(3_000)).unwrap(),
            active_passes: u32::try_from(1 + random.below(200)).unwrap(),
            units_per_visitor: Some(2),
            shares: Shares::ONE_LINE,
        };
        let mut world = Self {
            fold: LineFold::new(GRACE),
            log: Vec::new(),
            pilot: Pilot::default(),
            settings,
            stock: Stock { free: random.below(5_000), ..Stock::default() },
            now: Millis(1_000_000),
            called: Vec::new(),
            inside: Vec::new(),
        };
        world.write(LineEvent { numbers_to: 1_000_000, pass_ttl_ms: Some(TTL), ..LineEvent::default() });
        world
    }

    fn write(&mut self, event: LineEvent) {
        let event = LineEvent {
            at: self.now,
            numbers_to: 1_000_000,
            frontier: event.frontier.max(self.fold.frontier()),
            ..event
        };
        self.fold.apply(self.log.len() as u64 + 1, &event).unwrap();
        self.log.push(event);
    }

    fn look(&self) -> Look {
        Look {
            now: self.now,
            open: true,
            issued: 1_000_000,
            stock: Some(self.stock),
            health: Health::good(self.now),
            resumed: None,
            let_through: false,
        }
    }

    /// One step, logged.
    fn step(&mut self) -> Decision {
        let look = self.look();
        let decision = self.pilot.step(&mut self.fold, &look, &self.settings);
        assert!(decision.frontier >= self.fold.frontier(), "I6");
        self.called.extend(self.fold.frontier() + 1..=decision.frontier);
        if decision.frontier > self.fold.frontier() {
            self.write(LineEvent { frontier: decision.frontier, ..LineEvent::default() });
        }
        decision
    }

    /// Some of those called claim, some of those inside take units or leave, and what is overdue ends.
    fn live(&mut self, random: &mut Random) {
        let mut ended: Vec<u64> = self.fold.overdue(self.now, self.now, 1_000).collect();
        for _ in 0..random.below(6) {
            if self.inside.is_empty() {
                break;
            }
            let number = self.inside.swap_remove(random.below(self.inside.len() as u64) as usize);
            if self.fold.is_active(number) && !ended.contains(&number) {
                ended.push(number);
                let taken = random.below(2).min(self.stock.free);
                self.stock.free -= taken;
                self.stock.sold += taken;
            }
        }
        self.inside.retain(|number| !ended.contains(number));
        let mut claims = Vec::new();
        for _ in 0..random.below(9) {
            if !self.called.is_empty() {
                claims.push(self.called.swap_remove(random.below(self.called.len() as u64) as usize));
            }
        }
        claims.sort_unstable();
        let Settings { pace_per_minute, active_passes, .. } = self.settings;
        let room = self.fold.room(pace_per_minute, active_passes, ended.len() as u64, self.now);
        let refused = claims.split_off(claims.len().min(room.meter.min(room.places) as usize));
        self.called.extend(refused);
        self.inside.extend(&claims);
        if !claims.is_empty() || !ended.is_empty() {
            self.write(LineEvent { granted: claims, ended, ..LineEvent::default() });
        }
    }

    /// Another owner, who knows the log and nothing else.
    fn take_over(&mut self) {
        let mut fold = LineFold::new(GRACE);
        for (n, event) in self.log.iter().enumerate() {
            fold.apply(n as u64 + 1, event).unwrap();
        }
        // Turns pass on by the clock, without an entry.
        let unclaimed = (fold.unclaimed(self.now), self.fold.unclaimed(self.now));
        assert_eq!(unclaimed.0, unclaimed.1);
        assert_eq!(fold.habits(), self.fold.habits(), "habits are those of the log");
        (self.fold, self.pilot) = (fold, Pilot::default());
    }
}

/// People called, or passes granted, by the time of their entry.
fn times(log: &[LineEvent], of: impl Fn(&LineEvent, &LineEvent) -> u64) -> Vec<(u64, u64)> {
    log.windows(2).map(|pair| (pair[1].at.0, of(&pair[0], &pair[1]))).filter(|(_, n)| *n > 0).collect()
}

fn every_window_holds_at_most(times: &[(u64, u64)], window: u64, most: u64) {
    for (end, (now, _)) in times.iter().enumerate() {
        let within: u64 = times[..=end].iter().rev().take_while(|(at, _)| now - at < window).map(|(_, n)| n).sum();
        assert!(within <= most, "{within} within {window} ms up to {now}, {most} allowed");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// I6 and I7 over random steps, claims, ends, take-overs and clocks that stand still.
    #[test]
    fn every_window_is_exact_and_the_cap_holds_and_nothing_goes_back(seed in 1_u64..u64::MAX) {
        let mut random = Random(seed);
        let mut world = World::new(&mut random);
        for _ in 0..1_500 {
            world.now = world.now.plus(random.below(250));
            let free = world.stock.free;
            let decision = world.step();
            prop_assert!(u64::from(decision.called) <= free, "called {} to {free} units", decision.called);
            prop_assert_eq!(u64::from(decision.called), decision.terms.room());
            world.live(&mut random);
            prop_assert!(world.fold.active() <= u64::from(world.settings.active_passes));
            if random.below(200) == 0 {
                world.take_over();
            }
        }
        let pace = world.settings.pace_per_minute;
        for times in [times(&world.log, |a, b| b.frontier - a.frontier), times(&world.log, |_, b| b.granted.len() as u64)] {
            every_window_holds_at_most(&times, 1_000, per_second(pace).into());
            every_window_holds_at_most(&times, 60_000, pace.into());
        }
    }

    /// Whatever went before: with free stock, a line and stores that answer, the frontier moves once the turns and passes
    /// of now are over and the minute has room again.
    #[test]
    fn a_line_with_stock_left_always_moves_on(seed in 1_u64..u64::MAX) {
        let mut random = Random(seed);
        let mut world = World::new(&mut random);
        for _ in 0..random.below(400) {
            world.now = world.now.plus(random.below(250));
            world.step();
            world.live(&mut random);
        }
        world.stock.free = 1_000;
        let from = world.fold.frontier();
        let bound = world.now.plus(GRACE + TTL + PASS_SKEW_MS + 60_000 + FLOW_FILL_MS + 200);
        while world.fold.frontier() == from {
            world.now = world.now.plus(100);
            prop_assert!(world.now <= bound, "stands still at {from}: {:?}", world.step());
            let overdue: Vec<u64> = world.fold.overdue(world.now, world.now, 1_000).collect();
            if !overdue.is_empty() {
                world.write(LineEvent { ended: overdue, ..LineEvent::default() });
            }
            world.step();
        }
    }
}

#[test]
fn a_new_owner_goes_on_within_one_step() {
    let mut random = Random(7);
    let mut world = World::new(&mut random);
    world.settings = Settings { pace_per_minute: 6_000, active_passes: 1_000, ..world.settings };
    world.stock.free = 100_000;
    for _ in 0..20 {
        world.now = world.now.plus(100);
        world.step();
    }
    world.take_over();
    world.now = world.now.plus(1_000);
    assert!(world.step().called >= 1);
}

#[test]
fn a_resumed_line_begins_slowly() {
    let mut random = Random(7);
    let mut world = World::new(&mut random);
    world.settings = Settings { pace_per_minute: 6_000, active_passes: 1_000, ..world.settings };
    world.stock.free = 100_000;
    let look = Look { resumed: Some((world.now, 30_000)), ..world.look() };
    let settings = world.settings;
    assert_eq!(world.pilot.step(&mut world.fold, &look, &settings).called, 10);
}

#[test]
fn once_all_units_were_taken_calls_are_to_units_that_came_back_until_some_are_added() {
    let mut random = Random(7);
    let mut world = World::new(&mut random);
    let look = |world: &World, free, held, sold| Look { stock: Some(Stock { free, held, sold }), ..world.look() };
    let (settings, mut said) = (world.settings, Vec::new());
    for (free, held, sold) in [(9, 1, 0), (0, 10, 0), (2, 8, 0), (0, 0, 10), (1, 0, 9), (6, 0, 9), (0, 6, 9), (1, 5, 9)]
    {
        let look = look(&world, free, held, sold);
        world.pilot.step(&mut world.fold, &look, &settings);
        said.push(world.pilot.calls_returns());
    }
    assert_eq!(said, [false, true, true, true, true, false, true, true]);
    // The next owner knows from the log alone, and takes units that are there when it begins for no new ones.
    world.write(LineEvent { frontier: 1, turn_ms: Some(500), ..LineEvent::default() });
    world.take_over();
    let look = look(&world, 1, 5, 9);
    world.pilot.step(&mut world.fold, &look, &settings);
    assert!(world.pilot.calls_returns());
}

#[test]
fn stock_that_redis_does_not_show_and_stores_that_fail_call_nobody() {
    let mut random = Random(7);
    let mut world = World::new(&mut random);
    let settings = world.settings;
    for look in [
        Look { stock: None, ..world.look() },
        Look { health: Health::default(), ..world.look() },
        Look { open: false, ..world.look() },
    ] {
        assert_eq!(world.pilot.step(&mut world.fold, &look, &settings).called, 0);
    }
}

#[test]
fn a_clock_behind_the_log_does_not_make_answers_look_old() {
    let mut random = Random(7);
    let mut world = World::new(&mut random);
    world.stock.free = 100_000;
    let settings = world.settings;
    let behind = Millis(world.now.0 - 30_000);
    let look = Look { now: behind, health: Health::good(behind), ..world.look() };
    assert!(world.pilot.step(&mut world.fold, &look, &settings).called >= 1);
}
