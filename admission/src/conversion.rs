//! What becomes of units, measured from the lanes' figures: how many are taken by those inside, and how many come back.

use std::collections::VecDeque;

use domain::Millis;
use domain::limits::{HABITS_PRIOR, HABITS_WINDOW_MS, MIN_TAKE_PERMILLE};

use crate::step::{Stock, Takes};

/// Samples that fall into one second are one.
const BUCKET_MS: u64 = 1_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Sums {
    /// Units that were held and are free again.
    lapsed: u64,
    /// Units that were booked.
    sold: u64,
    /// Passes that ended.
    ended: u64,
}

/// The measured conversion. It is not in any log: a new owner begins cautiously, and has measured again within minutes.
///
/// Between two looks at the figures, units that became free while fewer are held have lapsed; what lapsed and was taken
/// again in between is not seen, so returns are rather counted too few. Memory: 32 bytes per second of the window.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Conversion {
    last: Option<(Stock, u64)>,
    buckets: VecDeque<(Millis, Sums)>,
    sums: Sums,
}

impl Conversion {
    /// Notes the figures of `now`, and how many passes have ended until then.
    pub fn look(&mut self, now: Millis, stock: Stock, passes_ended: u64) {
        self.forget(now);
        let Some((before, ended_before)) = self.last.replace((stock, passes_ended)) else { return };
        let total = |stock: &Stock| stock.free.saturating_add(stock.held).saturating_add(stock.sold);
        if total(&before) != total(&stock) {
            // Units were added or withdrawn, or a lane did not show all of its own.
            return;
        }
        let more_free = stock.free.saturating_sub(before.free);
        let fewer_held = before.held.saturating_sub(stock.held);
        let seen = Sums {
            lapsed: more_free.min(fewer_held),
            sold: stock.sold.saturating_sub(before.sold),
            ended: passes_ended.saturating_sub(ended_before),
        };
        if seen != Sums::default() {
            self.add(now, seen);
        }
    }

    /// What people are expected to do with units.
    #[must_use]
    pub fn takes(&self) -> Takes {
        let Sums { lapsed, sold, ended } = self.sums;
        let taken = lapsed.saturating_add(sold);
        let take = (taken + HABITS_PRIOR).saturating_mul(1_000) / (ended + HABITS_PRIOR);
        Takes {
            lapse_permille: lapsed.saturating_mul(1_000) / (taken + HABITS_PRIOR),
            take_permille: take.max(MIN_TAKE_PERMILLE),
        }
    }

    fn add(&mut self, now: Millis, seen: Sums) {
        let plus = |a: &mut Sums| {
            a.lapsed += seen.lapsed;
            a.sold += seen.sold;
            a.ended += seen.ended;
        };
        plus(&mut self.sums);
        match self.buckets.back_mut() {
            Some((at, sums)) if now.since(*at) < BUCKET_MS => plus(sums),
            _ => self.buckets.push_back((now, seen)),
        }
    }

    fn forget(&mut self, now: Millis) {
        while let Some((at, sums)) = self.buckets.front().copied() {
            if now.since(at) < HABITS_WINDOW_MS {
                break;
            }
            self.sums.lapsed -= sums.lapsed;
            self.sums.sold -= sums.sold;
            self.sums.ended -= sums.ended;
            self.buckets.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn stock(free: u64, held: u64, sold: u64) -> Stock {
        Stock { free, held, sold }
    }

    #[test]
    fn before_anything_is_seen_everybody_takes_one_and_nothing_comes_back() {
        assert_eq!(Conversion::default().takes(), Takes::CAUTIOUS);
    }

    #[test]
    fn lapses_and_sales_are_told_apart() {
        let mut conversion = Conversion::default();
        let (mut free, mut sold) = (10_000, 0);
        let mut now = Millis(0);
        for round in 0..100_u64 {
            // Ten held; then seven are sold and three come back. Twenty people have ended.
            conversion.look(now, stock(free - 10, 10, sold), round * 20);
            (free, sold, now) = (free - 7, sold + 7, now.plus(100));
            conversion.look(now, stock(free, 0, sold), (round + 1) * 20);
            now = now.plus(100);
        }
        let takes = conversion.takes();
        assert_eq!(takes.lapse_permille, 300_000 / 1_020);
        assert_eq!(takes.take_permille, 1_020_000 / 2_020, "half of them took one");
    }

    #[test]
    fn stock_that_an_operator_adds_is_no_return() {
        let mut conversion = Conversion::default();
        conversion.look(Millis(0), stock(10, 10, 0), 0);
        conversion.look(Millis(100), stock(1_010, 5, 5), 0);
        assert_eq!(conversion.takes(), Takes::CAUTIOUS);
    }

    #[test]
    fn people_who_take_nothing_are_never_taken_for_nobody() {
        let mut conversion = Conversion::default();
        conversion.look(Millis(0), stock(10, 0, 0), 0);
        conversion.look(Millis(100), stock(10, 0, 0), 1_000_000);
        assert_eq!(conversion.takes().take_permille, MIN_TAKE_PERMILLE);
    }

    #[test]
    fn what_lies_behind_the_window_is_forgotten_and_memory_is_bounded() {
        let mut conversion = Conversion::default();
        for n in 0..20_000 {
            conversion.look(Millis(n * 100), stock(100_000 - n, 0, n), n * 2);
        }
        assert!(conversion.buckets.len() as u64 <= HABITS_WINDOW_MS / BUCKET_MS + 1);
        conversion.look(Millis(2_000_000 + HABITS_WINDOW_MS), stock(80_001, 0, 19_999), 39_998);
        assert_eq!(conversion.takes(), Takes::CAUTIOUS);
    }
}
