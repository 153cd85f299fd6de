//! How often one client may do a thing that costs others something (GCRA).

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

/// A bound per client: `per_minute`, all of which may come at once.
///
/// Each client is one number, the time at which what it used has worn off again. Clients whose use has worn off are
/// forgotten; with more than `most` others at once, the ones nearest to it are forgotten early, which errs on their side.
pub(crate) struct Rate {
    per_minute: u32,
    most: usize,
    /// Client -> when its use has worn off, microseconds.
    full_at: HashMap<IpAddr, u64>,
    /// The same the other way round, to find the ones to forget.
    by_time: BTreeMap<(u64, IpAddr), ()>,
}

/// What a client has left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Quota {
    /// Whether this one is within the bound.
    pub(crate) allowed: bool,
    /// How many more may come at once now.
    pub(crate) remaining: u32,
    /// Milliseconds until the next one may come; 0 when one may now.
    pub(crate) retry_ms: u64,
    /// Milliseconds until all of them may come again.
    pub(crate) reset_ms: u64,
}

const MINUTE_US: u64 = 60_000_000;

impl Rate {
    /// A bound of `per_minute` (0: none), remembering at most `most` clients.
    pub(crate) fn new(per_minute: u32, most: usize) -> Self {
        Self { per_minute, most: most.max(1), full_at: HashMap::new(), by_time: BTreeMap::new() }
    }

    /// Counts one for `client` if it is within the bound. `now_us` is any clock that does not go back.
    pub(crate) fn take(&mut self, client: IpAddr, now_us: u64) -> Quota {
        if self.per_minute == 0 {
            return Quota { allowed: true, remaining: u32::MAX, retry_ms: 0, reset_ms: 0 };
        }
        self.forget(now_us);
        let step = (MINUTE_US / u64::from(self.per_minute)).max(1);
        let window = step * u64::from(self.per_minute);
        let used_until = self.full_at.get(&client).copied().unwrap_or(now_us).max(now_us);
        let after = used_until + step;
        let allowed = after <= now_us + window;
        let holds = if allowed { after } else { used_until };
        if allowed {
            self.remember(client, after);
        }
        let left = (now_us + window).saturating_sub(holds) / step;
        Quota {
            allowed,
            remaining: u32::try_from(left).unwrap_or(u32::MAX),
            retry_ms: (holds + step).saturating_sub(now_us + window).div_ceil(1_000),
            reset_ms: (holds - now_us).div_ceil(1_000),
        }
    }

    /// The bound itself.
    pub(crate) const fn per_minute(&self) -> u32 {
        self.per_minute
    }

    fn remember(&mut self, client: IpAddr, full_at: u64) {
        if let Some(before) = self.full_at.insert(client, full_at) {
            self.by_time.remove(&(before, client));
        }
        self.by_time.insert((full_at, client), ());
    }

    fn forget(&mut self, now_us: u64) {
        while let Some(((full_at, client), ())) = self.by_time.first_key_value().map(|(k, ())| (*k, ())) {
            if full_at > now_us && self.full_at.len() < self.most {
                break;
            }
            self.by_time.pop_first();
            self.full_at.remove(&client);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn all_of_a_minute_may_come_at_once_and_then_one_by_one() {
        let mut rate = Rate::new(6, 10);
        let now = 5 * SECOND;
        for left in (0..6).rev() {
            let quota = rate.take(address(1), now);
            assert!(quota.allowed);
            assert_eq!(quota.remaining, left);
        }
        let refused = rate.take(address(1), now);
        assert_eq!(refused, Quota { allowed: false, remaining: 0, retry_ms: 10_000, reset_ms: 60_000 });
        assert!(rate.take(address(2), now).allowed, "another client has its own");
        assert!(!rate.take(address(1), now + 10 * SECOND - 1).allowed);
        assert!(rate.take(address(1), now + 10 * SECOND).allowed, "a refused one costs nothing");
        assert!(!rate.take(address(1), now + 10 * SECOND).allowed);
    }

    #[test]
    fn no_window_of_a_minute_has_more_than_twice_the_bound_and_no_long_run_more_than_the_bound() {
        let mut rate = Rate::new(60, 10);
        let allowed: Vec<u64> =
            (0..600_000).map(|ms| ms * 1_000).filter(|now| rate.take(address(1), *now).allowed).collect();
        assert_eq!(allowed.len(), 60 + 599);
    }

    #[test]
    fn memory_is_bounded_and_the_least_used_are_forgotten_first() {
        let mut rate = Rate::new(1, 3);
        for last in 1..=3 {
            assert!(rate.take(address(last), u64::from(last) * SECOND).allowed);
        }
        assert!(rate.take(address(4), 4 * SECOND).allowed);
        assert_eq!((rate.full_at.len(), rate.by_time.len()), (3, 3));
        assert!(!rate.take(address(3), 4 * SECOND).allowed || rate.full_at.len() <= 3);
        rate.take(address(9), 1_000 * SECOND);
        assert_eq!(rate.full_at.len(), 1, "what has worn off is forgotten");
    }

    #[test]
    fn nothing_is_counted_without_a_bound() {
        let mut rate = Rate::new(0, 3);
        assert!((0..100).all(|_| rate.take(address(1), 0).allowed));
        assert!(rate.full_at.is_empty());
    }
}
