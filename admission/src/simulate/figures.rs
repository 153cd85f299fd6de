//! What a simulated sale came to.

use domain::limits::STEP_MS;
use serde::Serialize;

use super::policy::Policy;
use super::world::Sale;
use crate::step::Binding;

/// Points of a curve at most.
const CURVE: usize = 600;
/// Parts of the line whose waits are told apart.
const PLACES: usize = 10;

/// The state of the sale at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Second {
    /// Milliseconds after the opening.
    pub at_ms: u64,
    /// Passes alive.
    pub active: u64,
    /// Units nobody has.
    pub free: u64,
    /// Units booked.
    pub sold: u64,
    /// People in front of the frontier.
    pub waiting: u64,
    /// What held the line.
    pub binding: Binding,
}

/// The figures of a sale under one policy.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Outcome {
    /// The policy.
    pub policy: &'static str,
    /// Milliseconds from the opening until everything was sold, or nobody was left.
    pub lasted_ms: u64,
    /// Units sold.
    pub sold: u64,
    /// Units times seconds in which they were free while people waited and nobody inside was about to take them.
    pub idle_unit_seconds: u64,
    /// People called.
    pub called: u64,
    /// Of those, people who did not come.
    pub no_shows: u64,
    /// People who entered, wanted a unit, and found none free.
    pub called_to_nothing: u64,
    /// Passes alive above the cap, at most.
    pub overshoot: u64,
    /// Milliseconds of waiting until the pass, on average, by tenth of the line; `None`: nobody of that tenth entered.
    pub wait_by_place_ms: [Option<u64>; PLACES],
    /// The course of the sale, in up to 600 points.
    pub curve: Vec<Second>,
}

/// Figures on their way.
pub(super) struct Figures {
    visitors: usize,
    idle_unit_ms: u128,
    called: u64,
    no_shows: u64,
    to_nothing: u64,
    most_active: u64,
    waits: [(u64, u64); PLACES],
    curve: Vec<Second>,
    /// Every so many ticks are a point of the curve: doubled whenever the curve is full.
    every: usize,
    ticks: usize,
    last: Option<Second>,
}

impl Figures {
    pub(super) fn new(visitors: usize) -> Self {
        Self {
            visitors,
            idle_unit_ms: 0,
            called: 0,
            no_shows: 0,
            to_nothing: 0,
            most_active: 0,
            waits: [(0, 0); PLACES],
            curve: Vec::new(),
            every: 1,
            ticks: 0,
            last: None,
        }
    }

    pub(super) fn called(&mut self, comes: bool) {
        self.called += 1;
        self.no_shows += u64::from(!comes);
    }

    pub(super) fn entered(&mut self, who: usize, waited_ms: u64) {
        let place = who * PLACES / self.visitors.max(1);
        if let Some((sum, count)) = self.waits.get_mut(place) {
            *sum += waited_ms;
            *count += 1;
        }
    }

    pub(super) fn left(&mut self, wanted: bool) {
        self.to_nothing += u64::from(wanted);
    }

    pub(super) fn tick(&mut self, second: Second, idle_units: u64) {
        self.idle_unit_ms += u128::from(idle_units) * u128::from(STEP_MS);
        self.most_active = self.most_active.max(second.active);
        if self.ticks.is_multiple_of(self.every) {
            self.curve.push(second);
        }
        self.ticks += 1;
        self.last = Some(second);
        if self.curve.len() >= CURVE {
            let mut n = 0;
            self.curve.retain(|_| {
                n += 1;
                n % 2 == 1
            });
            self.every *= 2;
        }
    }

    pub(super) fn finish(mut self, policy: Policy, sale: &Sale, lasted_ms: u64) -> Outcome {
        self.curve.extend(self.last.filter(|last| self.curve.last() != Some(last)));
        Outcome {
            policy: policy.as_str(),
            lasted_ms,
            sold: self.last.map_or(0, |last| last.sold),
            idle_unit_seconds: u64::try_from(self.idle_unit_ms / 1_000).unwrap_or(u64::MAX),
            called: self.called,
            no_shows: self.no_shows,
            called_to_nothing: self.to_nothing,
            overshoot: self.most_active.saturating_sub(sale.settings.active_passes.into()),
            wait_by_place_ms: self.waits.map(|(sum, count)| (count > 0).then(|| sum / count)),
            curve: self.curve,
        }
    }
}
