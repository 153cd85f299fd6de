//! Stock credits: nobody is called forward to an empty shelf.

/// Units a holder is taken to hold where the sale sets no limit per visitor.
const UNITS_WITHOUT_LIMIT: u32 = 10;

/// Stock over all items and lanes as Redis showed it a moment ago. Items below zero count as empty.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stock {
    /// Units nobody has.
    pub free: u64,
    /// Units in holds that are not decided.
    pub held: u64,
    /// Units that are booked.
    pub sold: u64,
}

/// What people do with units, measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Takes {
    /// Of 1,000 units that are held, how many are expected to come back.
    pub lapse_permille: u64,
    /// Units that 1,000 people inside without a hold are expected to take.
    pub take_permille: u64,
}

impl Takes {
    /// Nobody has measured anything: no hold lapses, everybody takes one.
    pub const CAUTIOUS: Self = Self { lapse_permille: 0, take_permille: 1_000 };
}

/// People whom free units and expected returns can still serve, beyond the `inside` who have no hold yet; `active` of
/// those have a pass.
///
/// How many people stand behind the units held is not known; taking each for a visitor at the limit counts the fewest, so
/// the most are expected to take still. What they take is the expectation and two standard deviations more: with few units
/// left, one taker more than expected is an empty shelf for somebody.
#[must_use]
pub(super) fn stock_term(
    stock: Option<Stock>,
    inside: u64,
    active: u64,
    limit: Option<u32>,
    takes: &Takes,
) -> Option<u64> {
    let Stock { free, held, .. } = stock?;
    let limit = u64::from(limit.unwrap_or(UNITS_WITHOUT_LIMIT).max(1));
    let holders = held.div_ceil(limit).min(active);
    let taken = expected(inside.saturating_sub(holders), takes.take_permille);
    let returns = held.saturating_mul(takes.lapse_permille.min(1_000)) / 1_000;
    Some(free.saturating_add(returns).saturating_sub(taken))
}

/// Units that so many people take, with two standard deviations on top where they take one or none each.
fn expected(people: u64, take_permille: u64) -> u64 {
    let mean = people.saturating_mul(take_permille).div_ceil(1_000);
    let rest = 1_000_u64.saturating_sub(take_permille);
    // Variance of so many draws, in thousandths of thousandths.
    let variance = people.saturating_mul(take_permille).saturating_mul(rest);
    let more = mean.saturating_add((2 * variance.isqrt()).div_ceil(1_000));
    if take_permille <= 1_000 { more.min(people) } else { more }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn term(free: u64, held: u64, inside: u64, active: u64, takes: Takes) -> u64 {
        stock_term(Some(Stock { free, held, sold: 0 }), inside, active, Some(4), &takes).unwrap_or(u64::MAX)
    }

    #[test]
    fn before_anything_is_measured_everybody_inside_takes_one() {
        assert_eq!(term(7, 0, 6, 4, Takes::CAUTIOUS), 1);
        assert_eq!(term(7, 0, 9, 9, Takes::CAUTIOUS), 0);
        assert_eq!(term(7, 8, 4, 4, Takes::CAUTIOUS), 5, "eight held units are two people at the limit");
        assert_eq!(term(0, 500, 200, 200, Takes::CAUTIOUS), 0, "all held: the line waits");
        assert_eq!(stock_term(None, 0, 0, None, &Takes::CAUTIOUS), None);
    }

    #[test]
    fn measured_returns_are_called_for() {
        let takes = Takes { lapse_permille: 200, take_permille: 1_000 };
        assert_eq!(term(0, 400, 100, 100, takes), 80);
        assert_eq!(term(0, 400, 150, 150, takes), 30);
        assert_eq!(term(0, 0, 0, 0, takes), 0, "no returns out of nothing");
    }

    #[test]
    fn people_who_mostly_look_leave_room_for_more_with_a_margin() {
        let takes = Takes { lapse_permille: 0, take_permille: 500 };
        // 100 people: 50 expected, 5 is one standard deviation.
        assert_eq!(term(100, 0, 100, 100, takes), 40);
        assert_eq!(term(1, 0, 1, 1, takes), 0, "one unit and one person who may take it");
        assert_eq!(expected(3, 500), 3, "never more than everybody");
        assert_eq!(expected(100, 0), 0);
    }

    #[test]
    fn people_who_take_several_use_up_several() {
        let takes = Takes { lapse_permille: 0, take_permille: 2_500 };
        assert_eq!(term(100, 0, 20, 20, takes), 50);
    }
}
