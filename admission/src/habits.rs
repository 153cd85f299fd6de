//! What people do with their turns, measured from the line's log: how long they stay inside, and how many of those called
//! come. Folded from the log alone, so a new owner knows what the one before knew.

use std::collections::VecDeque;

use domain::Millis;
use domain::limits::{HABITS_PRIOR, HABITS_WINDOW_MS, MAX_STAYS};

/// Groups that mature within one second leave the window together.
const GROUP_MS: u64 = 1_000;

/// Measured habits. Both figures begin with [`HABITS_PRIOR`] imagined people who stay as long as they may and all come: the
/// first few real ones do not swing them.
///
/// Memory: 16 bytes per pass that ended within the window, [`MAX_STAYS`] of them at most, and 24 per second of it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Habits {
    /// When a pass ended and how long it had lived, milliseconds; oldest first.
    stays: VecDeque<(Millis, u64)>,
    stays_sum: u64,
    /// When the turns of a group had passed on, how many were called, how many came.
    groups: VecDeque<(Millis, u64, u64)>,
    called: u64,
    came: u64,
    /// Passes that have ended, ever.
    passes_ended: u64,
    /// Turns that passed on unclaimed, ever.
    turns_ended: u64,
}

impl Habits {
    /// A pass ended that was granted at `granted`.
    pub(crate) fn ended(&mut self, at: Millis, granted: Millis) {
        self.passes_ended += 1;
        let stay = at.since(granted);
        self.stays.push_back((at, stay));
        self.stays_sum += stay;
        if self.stays.len() > MAX_STAYS {
            self.drop_stay();
        }
        self.forget(at);
    }

    /// The turns of a group have passed on: of `called` people `came` claimed theirs.
    pub(crate) fn matured(&mut self, at: Millis, called: u64, came: u64) {
        self.turns_ended += called.saturating_sub(came);
        match self.groups.back_mut() {
            Some((first, all, some)) if at.since(*first) < GROUP_MS => {
                *all += called;
                *some += came;
            }
            _ => self.groups.push_back((at, called, came)),
        }
        self.called += called;
        self.came += came;
        self.forget(at);
    }

    /// Milliseconds from pass to end, on average over the window; `pass_ttl_ms` is the longest there can be.
    #[must_use]
    pub fn stay_ms(&self, pass_ttl_ms: u64) -> u64 {
        let prior = HABITS_PRIOR.saturating_mul(pass_ttl_ms);
        self.stays_sum.saturating_add(prior) / (self.stays.len() as u64 + HABITS_PRIOR)
    }

    /// Of 1,000 people called, how many came before their turn passed on.
    #[must_use]
    pub const fn show_permille(&self) -> u64 {
        (self.came + HABITS_PRIOR) * 1_000 / (self.called + HABITS_PRIOR)
    }

    /// Passes that have ended, ever.
    #[must_use]
    pub const fn passes_ended(&self) -> u64 {
        self.passes_ended
    }

    /// Passes that have ended and turns that passed on unclaimed, ever: places that became free.
    #[must_use]
    pub const fn places_freed(&self) -> u64 {
        self.passes_ended + self.turns_ended
    }

    /// Bytes of memory it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.stays.capacity() * size_of::<(Millis, u64)>() + self.groups.capacity() * size_of::<(Millis, u64, u64)>()
    }

    fn drop_stay(&mut self) {
        if let Some((_, stay)) = self.stays.pop_front() {
            self.stays_sum -= stay;
        }
    }

    fn forget(&mut self, now: Millis) {
        while self.stays.front().is_some_and(|(at, _)| now.since(*at) >= HABITS_WINDOW_MS) {
            self.drop_stay();
        }
        while let Some((at, called, came)) = self.groups.front().copied() {
            if now.since(at) < HABITS_WINDOW_MS {
                break;
            }
            self.called -= called;
            self.came -= came;
            self.groups.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    const TTL: u64 = 300_000;

    #[test]
    fn before_anything_is_measured_people_stay_as_long_as_they_may_and_all_come() {
        let habits = Habits::default();
        assert_eq!((habits.stay_ms(TTL), habits.show_permille(), habits.places_freed()), (TTL, 1_000, 0));
    }

    #[test]
    fn many_measured_stays_outweigh_the_imagined_ones() {
        let mut habits = Habits::default();
        for n in 0..2_000 {
            habits.ended(Millis(500_000 + n), Millis(400_000 + n));
        }
        assert!((100_000..103_000).contains(&habits.stay_ms(TTL)), "{}", habits.stay_ms(TTL));
        assert_eq!(habits.passes_ended(), 2_000);
    }

    #[test]
    fn a_group_counts_as_a_whole_once_its_turns_have_passed_on() {
        let mut habits = Habits::default();
        habits.matured(Millis(60_000), 180, 80);
        assert_eq!(habits.show_permille(), 100 * 1_000 / 200);
        assert_eq!(habits.places_freed(), 100);
    }

    #[test]
    fn what_lies_behind_the_window_is_forgotten() {
        let mut habits = Habits::default();
        habits.ended(Millis(1_000), Millis(0));
        habits.matured(Millis(1_000), 1_000, 0);
        habits.ended(Millis(1_000 + HABITS_WINDOW_MS), Millis(1_000 + HABITS_WINDOW_MS));
        habits.matured(Millis(1_000 + HABITS_WINDOW_MS), 0, 0);
        assert_eq!(habits.show_permille(), 1_000);
        assert_eq!(habits.stay_ms(TTL), HABITS_PRIOR * TTL / (HABITS_PRIOR + 1));
        assert_eq!(habits.passes_ended(), 2, "what ever ended is never forgotten");
    }

    #[test]
    fn memory_is_bounded() {
        let mut habits = Habits::default();
        for n in 0..3 * MAX_STAYS as u64 {
            habits.ended(Millis(n / 1_000), Millis(0));
        }
        assert_eq!(habits.stays.len(), MAX_STAYS);
        assert!(habits.bytes() <= 4 * 16 * MAX_STAYS);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Against the slow way: all of it looked at again.
        #[test]
        fn the_average_is_exact_over_the_window(stays in prop::collection::vec((0_u64..40_000, 0_u64..300_000), 1..200)) {
            let (mut habits, mut now, mut all) = (Habits::default(), 1_000_000, Vec::new());
            for (pause, stay) in stays {
                now += pause;
                habits.ended(Millis(now), Millis(now - stay));
                all.push((now, stay));
                let within: Vec<u64> = all.iter().filter(|(at, _)| now - at < HABITS_WINDOW_MS).map(|(_, stay)| *stay).collect();
                let slow = (within.iter().sum::<u64>() + HABITS_PRIOR * TTL) / (within.len() as u64 + HABITS_PRIOR);
                prop_assert_eq!(habits.stay_ms(TTL), slow);
            }
        }
    }
}
