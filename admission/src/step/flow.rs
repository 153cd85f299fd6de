//! Little's law: as many are inside as enter per minute times the minutes they stay. So the base is the target of active
//! passes over the measured time from pass to end.
//!
//! The base alone would fill an empty room only after one whole stay, and would give a freed place away only when its turn
//! in the rhythm has come. So each end gives its place to the next at once, and what is missing to the target is filled
//! over [`FLOW_FILL_MS`]: a crowd that is let in at once ends at once, and comes back to the stores as a wave.

use domain::Millis;
use domain::limits::FLOW_FILL_MS;

use crate::meter::per_second;

/// Credit of one call: the accumulator counts millionths.
const CALL: u64 = 1_000_000;

/// What has accumulated, between two steps. It need not survive an owner: a fresh one begins with what a second of the
/// pace may fill, so that a take-over stalls nobody; the exact windows bound the sum of both.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Flow {
    at: Option<Millis>,
    credit: u64,
    /// Passes and turns that had ended at the last step.
    ended: u64,
}

/// What the flow is computed from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Inflow {
    /// The owner's clock.
    pub(super) now: Millis,
    /// Places to fill until the target is reached.
    pub(super) missing: u64,
    /// Passes to aim at.
    pub(super) target: u64,
    /// Milliseconds from pass to end, measured; before that, the longest it can take.
    pub(super) stay_ms: u64,
    /// Passes and turns that have ended, ever.
    pub(super) ended: u64,
    /// Of 1,000 people called, how many come.
    pub(super) show_permille: u64,
    /// The operator's pace.
    pub(super) pace: u32,
}

impl Flow {
    /// Filled up to `inflow.now`. It never holds more than is missing.
    pub(super) fn filled(self, inflow: &Inflow) -> Self {
        let show = inflow.show_permille.max(1);
        let most = inflow.missing.saturating_mul(CALL * 1_000) / show;
        let Some(at) = self.at else {
            let credit = u64::from(per_second(inflow.pace)) * CALL;
            return Self { at: Some(inflow.now), credit: credit.min(most), ended: inflow.ended };
        };
        let since = inflow.now.since(at);
        let base = inflow.target.saturating_mul(since).saturating_mul(CALL) / inflow.stay_ms.max(1);
        let fill = inflow.missing.saturating_mul(since).saturating_mul(CALL) / FLOW_FILL_MS;
        let freed = inflow.ended.saturating_sub(self.ended).saturating_mul(CALL);
        let people = base.saturating_add(fill).saturating_add(freed).saturating_mul(1_000) / show;
        Self {
            at: Some(at.max(inflow.now)),
            credit: self.credit.saturating_add(people).min(most),
            ended: inflow.ended.max(self.ended),
        }
    }

    /// Whole calls in it.
    pub(super) const fn calls(self) -> u64 {
        self.credit / CALL
    }

    pub(super) const fn spend(self, calls: u32) -> Self {
        Self { credit: self.credit.saturating_sub(calls as u64 * CALL), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFLOW: Inflow = Inflow {
        now: Millis(0),
        missing: 1_000,
        target: 1_000,
        stay_ms: 100_000,
        ended: 0,
        show_permille: 1_000,
        pace: 600,
    };

    fn after(ms: u64, inflow: Inflow) -> Flow {
        let begun = Flow::default().filled(&Inflow { missing: 0, ..inflow });
        begun.filled(&Inflow { now: Millis(ms), ..inflow })
    }

    #[test]
    fn the_base_is_the_target_over_the_stay() {
        let base = |ms, stay_ms| after(ms, Inflow { missing: 1_000, stay_ms, ..INFLOW }).calls();
        let fill = 1_000 * 1_000 / FLOW_FILL_MS;
        assert_eq!(base(1_000, 100_000), 10 + fill);
        assert_eq!(base(1_000, 50_000), 20 + fill, "who stays half as long makes room for twice as many");
    }

    #[test]
    fn a_place_that_was_freed_is_given_to_the_next_at_once() {
        let full = Flow::default().filled(&Inflow { missing: 0, ..INFLOW });
        assert_eq!(full.calls(), 0);
        let freed = full.filled(&Inflow { missing: 3, ended: 3, now: Millis(1), ..INFLOW });
        assert_eq!(freed.calls(), 3);
    }

    #[test]
    fn what_is_missing_bounds_it_however_long_nothing_happened() {
        assert_eq!(after(3_600_000, Inflow { missing: 7, ..INFLOW }).calls(), 7);
        assert_eq!(after(3_600_000, Inflow { missing: 7, show_permille: 500, ..INFLOW }).calls(), 14);
        assert_eq!(after(u64::MAX, INFLOW).calls(), 1_000);
    }

    #[test]
    fn a_fresh_owner_begins_with_a_second_of_the_pace_and_fills_the_rest() {
        let fresh = Flow::default().filled(&INFLOW);
        assert_eq!(fresh.calls(), 10);
        let spent = fresh.spend(10);
        assert_eq!(spent.calls(), 0);
        assert!(spent.filled(&Inflow { now: Millis(FLOW_FILL_MS), ..INFLOW }).calls() >= 1_000);
    }

    #[test]
    fn a_clock_that_steps_back_adds_nothing() {
        let flow = after(1_000, INFLOW);
        assert_eq!(flow.filled(&Inflow { now: Millis(500), ..INFLOW }), flow);
        let again = flow.filled(&Inflow { now: Millis(1_000), ..INFLOW });
        assert_eq!(again, flow, "the time stepped back is not counted twice");
    }
}
