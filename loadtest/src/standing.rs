//! What one visitor has of a sale, as far as answers tell: for the limit of units, from both sides. Pure.

use std::time::Instant;

use domain::HoldId;
use domain::limits::MAX_HOLDS_PER_PASS;

use crate::oracle::Finding;

/// Units that surely are a visitor's: the hold is certain until then, a booking for ever.
#[derive(Clone, Copy, Debug)]
struct Sure {
    id: HoldId,
    until: Option<Instant>,
    units: u64,
}

/// Lower and upper bound of the units of one visitor.
#[derive(Clone, Default, Debug)]
pub(crate) struct Standing {
    sure: Vec<Sure>,
    /// Units of all that may still be the visitor's: everything asked for that was not refused, released or gone for certain.
    maybe: u64,
    holds: u32,
}

impl Standing {
    /// A hold is asked for under a new key.
    pub(crate) fn asks(&mut self, units: u64) {
        self.maybe += units;
        self.holds += 1;
    }

    /// It is there, until then at least. More than the limit at once is a finding.
    pub(crate) fn held(&mut self, id: HoldId, until: Instant, units: u64, limit: Option<u64>) -> Option<Finding> {
        let now = Instant::now();
        if self.sure.iter().any(|sure| sure.id == id) {
            return None;
        }
        self.sure.retain(|sure| sure.until.is_none_or(|until| until > now));
        self.sure.push(Sure { id, until: Some(until), units });
        let all: u64 = self.sure.iter().map(|sure| sure.units).sum();
        limit.filter(|limit| all > *limit).map(|limit| Finding::OverLimit { id, units: all, limit })
    }

    /// It was refused for certain.
    pub(crate) fn refused(&mut self, units: u64) {
        self.maybe = self.maybe.saturating_sub(units);
    }

    /// It was refused because of the limit: a finding when everything together is within it.
    pub(crate) fn limited(&mut self, units: u64, limit: Option<u64>) -> Option<Finding> {
        let (asked, had) = (units, self.maybe.saturating_sub(units));
        self.refused(units);
        // A pass may make so many holds and not more, whatever their units.
        let within = limit.is_none_or(|limit| had + asked <= limit) && self.holds <= MAX_HOLDS_PER_PASS;
        within.then_some(Finding::LimitTooEarly { had, asked, limit })
    }

    /// It is booked.
    pub(crate) fn booked(&mut self, id: HoldId) {
        if let Some(sure) = self.sure.iter_mut().find(|sure| sure.id == id) {
            sure.until = None;
        }
    }

    /// It was released, or is gone.
    pub(crate) fn ended(&mut self, id: HoldId, units: u64) {
        self.sure.retain(|sure| sure.id != id);
        self.refused(units);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::time::Duration;

    use domain::{SaleId, VisitorHash};

    use super::*;

    fn id(n: u32) -> HoldId {
        let sale: SaleId = "demo".parse().unwrap();
        HoldId::derive(&sale, 0, &VisitorHash([1; 16]), &n.to_string())
    }

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    fn two_of_four() -> Standing {
        let mut standing = Standing::default();
        standing.asks(2);
        assert_eq!(standing.held(id(1), later(), 2, Some(4)), None);
        standing
    }

    #[test]
    fn one_unit_above_the_limit_is_found() {
        let mut standing = two_of_four();
        standing.asks(3);
        let over = Finding::OverLimit { id: id(2), units: 5, limit: 4 };
        assert_eq!(standing.clone().held(id(2), later(), 3, Some(4)), Some(over));
        assert_eq!(standing.clone().held(id(2), later(), 2, Some(4)), None, "exactly the limit is right");
        assert_eq!(standing.held(id(2), later(), 3, None), None, "without a limit there is none");
    }

    #[test]
    fn what_has_ended_does_not_count_and_a_booking_does_for_ever() {
        let mut standing = two_of_four();
        standing.ended(id(1), 2);
        assert_eq!(standing.held(id(2), later(), 4, Some(4)), None);
        let mut standing = Standing::default();
        assert_eq!(standing.held(id(1), Instant::now(), 2, Some(4)), None);
        standing.booked(id(1));
        assert!(standing.held(id(2), later(), 3, Some(4)).is_some());
        let mut expired = Standing::default();
        assert_eq!(expired.held(id(1), Instant::now(), 2, Some(4)), None);
        assert_eq!(expired.held(id(2), later(), 3, Some(4)), None, "the first one may be over");
        assert_eq!(expired.held(id(2), later(), 3, Some(4)), None, "a repeat is no second hold");
    }

    #[test]
    fn a_refusal_within_the_limit_is_found_and_one_that_may_be_right_is_not() {
        let mut standing = two_of_four();
        standing.asks(2);
        let early = Finding::LimitTooEarly { had: 2, asked: 2, limit: Some(4) };
        assert_eq!(standing.limited(2, Some(4)), Some(early));
        standing.asks(3);
        assert_eq!(standing.limited(3, Some(4)), None, "five are above the limit");
        standing.asks(2);
        standing.asks(1);
        assert_eq!(standing.limited(1, Some(4)), None, "the answer to the one before is not known yet");
    }

    #[test]
    fn a_pass_that_made_as_many_holds_as_it_may_is_refused_rightly() {
        let mut standing = Standing::default();
        for n in 0..MAX_HOLDS_PER_PASS {
            standing.asks(1);
            standing.ended(id(n), 1);
        }
        standing.asks(1);
        assert_eq!(standing.limited(1, Some(100)), None);
    }
}
