//! The operator's pace: an accumulator that smooths, exact windows that bound, and a ramp after a pause.

use domain::Millis;

use crate::meter::per_second;

/// One call in units of the accumulator: `pace per minute` x milliseconds.
const CALL: u64 = 60_000;
/// Of 1,000, the part of the pace that a ramp begins with: some must enter for anything to be seen.
const RAMP_FROM_PERMILLE: u64 = 100;

/// An accumulator of calls: fills with the pace, holds one second's worth at most. It smooths; the exact windows of the
/// [`Meter`](crate::meter::Meter) bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tokens {
    /// When it was last filled; `None`: never, it is full.
    at: Option<Millis>,
    /// What is in it, in units of pace x milliseconds.
    credit: u64,
}

impl Tokens {
    /// Filled up to `now`. Nothing flows while the clock stands still or steps back.
    #[must_use]
    pub(super) fn filled(self, pace: u32, now: Millis) -> Self {
        let full = u64::from(per_second(pace)) * CALL;
        let Some(at) = self.at else {
            return Self { at: Some(now), credit: full };
        };
        let credit = self.credit.saturating_add(u64::from(pace).saturating_mul(now.since(at)));
        Self { at: Some(at.max(now)), credit: credit.min(full) }
    }

    /// Whole calls in it.
    const fn calls(self) -> u64 {
        self.credit / CALL
    }

    pub(super) const fn spend(self, calls: u32) -> Self {
        Self { at: self.at, credit: self.credit.saturating_sub(calls as u64 * CALL) }
    }
}

/// Calls that the pace allows now: what has accumulated, within the exact windows.
pub(super) fn pace_term(tokens: Tokens, calls_room: u32) -> u64 {
    tokens.calls().min(u64::from(calls_room))
}

/// The pace in force `now`, when the sale was resumed: a tenth of it at once, all of it after so many milliseconds, in a
/// straight line between. A line that stood still has people in front of it who all come back at once.
#[must_use]
pub fn ramped(pace: u32, resumed: Option<(Millis, u64)>, now: Millis) -> u32 {
    let Some((resumed, ramp_ms)) = resumed.filter(|(at, ramp_ms)| now.since(*at) < *ramp_ms) else { return pace };
    let permille = RAMP_FROM_PERMILLE + (1_000 - RAMP_FROM_PERMILLE) * now.since(resumed) / ramp_ms;
    let part = (u64::from(pace) * permille).div_ceil(1_000);
    u32::try_from(part).unwrap_or(pace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::limits::RAMP_MS;

    #[test]
    fn a_resumed_line_begins_with_a_tenth_and_rises_in_a_straight_line() {
        let at = |ms| ramped(6_000, Some((Millis(1_000_000), RAMP_MS)), Millis(1_000_000 + ms));
        assert_eq!((at(0), at(RAMP_MS / 2), at(RAMP_MS), at(RAMP_MS * 9)), (600, 3_300, 6_000, 6_000));
        assert!((0..RAMP_MS).step_by(100).all(|ms| at(ms) <= at(ms + 100)), "it never falls");
    }

    #[test]
    fn a_pace_that_is_not_zero_never_ramps_from_zero() {
        assert_eq!(ramped(1, Some((Millis(5), 9)), Millis(5)), 1);
        assert_eq!(ramped(0, Some((Millis(5), 9)), Millis(5)), 0);
        assert_eq!(ramped(700, None, Millis(5)), 700);
        assert_eq!(ramped(700, Some((Millis(5), 0)), Millis(5)), 700, "no ramp");
        assert_eq!(ramped(700, Some((Millis(9), 9)), Millis(5)), 70, "a clock that stepped back begins anew");
    }
}
