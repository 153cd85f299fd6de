//! An exact meter: how many passes (or calls) the pace still allows at this moment (I7).

use std::collections::VecDeque;

use domain::Millis;

/// Milliseconds of the short window: at most `ceil(pace / 60)` in it.
pub const SECOND_MS: u64 = 1_000;
/// Milliseconds of the long window: at most `pace` in it.
pub const MINUTE_MS: u64 = 60_000;

/// Two sliding windows over the times of log entries. A window is half open: entries at `t` and `t + 999` share one of
/// 1 s, entries at `t` and `t + 1000` do not.
///
/// Exactness: whenever [`Meter::take`] takes no more than [`Meter::room`] said, every window of 1 s holds at most
/// `ceil(pace / 60)` and every window of 60 s at most `pace`, with the pace in force at the window's last entry.
/// A smoothed estimate (GCRA over floating time) was rejected: I7 is checked to the unit by the oracle.
///
/// Memory: one pair per entry of the last minute, so at most 60,000 pairs of 16 bytes, and never more pairs than passes.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    /// Time of the entry and how many it took; oldest first, times never equal, none older than a minute.
    taken: VecDeque<(Millis, u32)>,
    /// Sum over `taken`.
    minute: u64,
    /// Index of the first pair that lies within the last second.
    second_from: usize,
    /// Sum over the pairs of the last second.
    second: u64,
    /// The latest time seen. An earlier one is taken for this: log time never goes back.
    now: Millis,
}

impl Meter {
    /// How many may be taken at `now` under `pace` per minute.
    pub fn room(&mut self, pace: u32, now: Millis) -> u32 {
        self.advance(now);
        let by_second = u64::from(per_second(pace)).saturating_sub(self.second);
        let by_minute = u64::from(pace).saturating_sub(self.minute);
        u32::try_from(by_second.min(by_minute)).unwrap_or(u32::MAX)
    }

    /// Notes `n` taken at `at`; the caller has asked for room, or reads a log whose writer has.
    pub fn take(&mut self, at: Millis, n: u32) {
        self.advance(at);
        if n == 0 {
            return;
        }
        self.minute += u64::from(n);
        self.second += u64::from(n);
        match self.taken.back_mut() {
            Some((last, sum)) if *last == self.now => *sum = sum.saturating_add(n),
            _ => self.taken.push_back((self.now, n)),
        }
    }

    /// The first time at which there is room for one, if nothing is taken until then. `None` when the pace is zero.
    pub fn next_room_at(&mut self, pace: u32, now: Millis) -> Option<Millis> {
        if pace == 0 {
            return None;
        }
        self.advance(now);
        let minute = self.passes_until(0, self.minute, u64::from(pace), MINUTE_MS);
        let second = self.passes_until(self.second_from, self.second, u64::from(per_second(pace)), SECOND_MS);
        Some(self.now.max(minute).max(second))
    }

    /// Taken within the last minute.
    #[must_use]
    pub const fn last_minute(&self) -> u64 {
        self.minute
    }

    /// Bytes of memory it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.taken.capacity() * size_of::<(Millis, u32)>()
    }

    /// When enough pairs from index `from` on have left a window of `window` ms to make the sum smaller than `limit`.
    fn passes_until(&self, from: usize, mut sum: u64, limit: u64, window: u64) -> Millis {
        let mut at = Millis(0);
        for (taken_at, n) in self.taken.range(from..) {
            if sum < limit {
                break;
            }
            sum -= u64::from(*n);
            at = taken_at.plus(window);
        }
        at
    }

    /// Lets go of what has left the windows.
    fn advance(&mut self, now: Millis) {
        self.now = self.now.max(now);
        while let Some((at, n)) = self.taken.get(self.second_from).copied() {
            if self.now.since(at) < SECOND_MS {
                break;
            }
            self.second -= u64::from(n);
            self.second_from += 1;
        }
        while let Some((at, n)) = self.taken.front().copied() {
            if self.now.since(at) < MINUTE_MS {
                break;
            }
            self.minute -= u64::from(n);
            self.taken.pop_front();
            self.second_from -= 1;
        }
    }
}

/// Passes in one second at most: a sixtieth of the pace, rounded up, so that a pace below 60 moves at all.
#[must_use]
pub const fn per_second(pace: u32) -> u32 {
    pace.div_ceil(60)
}

#[cfg(test)]
mod tests;
