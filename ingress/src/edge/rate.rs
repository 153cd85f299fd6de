//! How often one client may do a thing that costs others something (GCRA).

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use domain::limits::MAX_SHARED_BUCKETS;

/// A bound per client: `per_minute`, all of which may come at once.
///
/// Each client is one number, the time at which what it used has worn off again. Clients whose use has worn off are forgotten.
/// With `most` others at once, newcomers share a fixed number of buckets: they are refused too often then, and never let through for
/// want of room. Forgetting the least used was rejected: whoever has many addresses would make the table forget what they did.
pub(crate) struct Rate<K> {
    per_minute: u32,
    most: usize,
    /// Client -> when its use has worn off, microseconds.
    full_at: HashMap<K, u64>,
    /// The same the other way round, to find the ones to forget.
    by_time: BTreeSet<(u64, K)>,
    /// For clients that the table has no room for: the same number, of all of them in a bucket together.
    shared: Vec<u64>,
    /// Which bucket: with a secret of this process, so that nobody can choose to share with somebody.
    hasher: RandomState,
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
    /// The table had no room for this client.
    pub(crate) shared: bool,
}

const MINUTE_US: u64 = 60_000_000;

impl<K: Copy + Ord + Hash> Rate<K> {
    /// A bound of `per_minute` (0: none), remembering at most `most` clients one by one.
    pub(crate) fn new(per_minute: u32, most: usize) -> Self {
        Self {
            per_minute,
            most: most.max(1),
            full_at: HashMap::new(),
            by_time: BTreeSet::new(),
            shared: vec![0; if per_minute == 0 { 0 } else { MAX_SHARED_BUCKETS }],
            hasher: RandomState::new(),
        }
    }

    /// Counts one for `client` if it is within the bound. `now_us` is any clock that does not go back.
    pub(crate) fn take(&mut self, client: K, now_us: u64) -> Quota {
        if self.per_minute == 0 {
            return Quota { allowed: true, remaining: u32::MAX, retry_ms: 0, reset_ms: 0, shared: false };
        }
        self.forget(now_us);
        let (step, window) = self.step_and_window();
        let known = self.full_at.get(&client).copied();
        let bucket = (known.is_none() && self.full_at.len() >= self.most).then(|| self.bucket(&client));
        let used_until = match bucket {
            Some(bucket) => self.shared.get(bucket).copied().unwrap_or(u64::MAX),
            None => known.unwrap_or(now_us),
        };
        let used_until = used_until.max(now_us);
        let after = used_until.saturating_add(step);
        let allowed = after <= now_us + window;
        let holds = if allowed { after } else { used_until };
        if allowed {
            match bucket.and_then(|bucket| self.shared.get_mut(bucket)) {
                Some(bucket) => *bucket = after,
                None => self.remember(client, known, after),
            }
        }
        let left = (now_us + window).saturating_sub(holds) / step;
        Quota {
            allowed,
            remaining: u32::try_from(left).unwrap_or(u32::MAX),
            retry_ms: holds.saturating_add(step).saturating_sub(now_us + window).div_ceil(1_000),
            reset_ms: (holds - now_us).div_ceil(1_000),
            shared: bucket.is_some(),
        }
    }

    /// How much of its bound a client has used: from 0 to 1.
    #[allow(clippy::cast_precision_loss, reason = "a share")]
    pub(crate) fn share(&self, client: &K, now_us: u64) -> f64 {
        let used_until = self.full_at.get(client).copied().unwrap_or(now_us);
        let (_, window) = self.step_and_window();
        (used_until.saturating_sub(now_us) as f64 / window.max(1) as f64).min(1.0)
    }

    /// Milliseconds until `client` may come once more; 0 when it may now. Counts nothing.
    pub(crate) fn wait_ms(&self, client: &K, now_us: u64) -> u64 {
        if self.per_minute == 0 {
            return 0;
        }
        let (step, window) = self.step_and_window();
        let known = self.full_at.get(client).copied();
        let used_until = match known {
            None if self.full_at.len() >= self.most => {
                self.shared.get(self.bucket(client)).copied().unwrap_or(u64::MAX)
            }
            known => known.unwrap_or(now_us),
        };
        used_until.max(now_us).saturating_add(step).saturating_sub(now_us + window).div_ceil(1_000)
    }

    /// The bound itself.
    pub(crate) const fn per_minute(&self) -> u32 {
        self.per_minute
    }

    fn step_and_window(&self) -> (u64, u64) {
        let step = (MINUTE_US / u64::from(self.per_minute.max(1))).max(1);
        (step, step * u64::from(self.per_minute))
    }

    fn bucket(&self, client: &K) -> usize {
        // The remainder is below the number of buckets.
        usize::try_from(self.hasher.hash_one(client) % self.shared.len().max(1) as u64).unwrap_or(0)
    }

    fn remember(&mut self, client: K, before: Option<u64>, full_at: u64) {
        if let Some(before) = before {
            self.by_time.remove(&(before, client));
        }
        self.full_at.insert(client, full_at);
        self.by_time.insert((full_at, client));
    }

    fn forget(&mut self, now_us: u64) {
        while let Some((full_at, client)) = self.by_time.first().copied().filter(|(full_at, _)| *full_at <= now_us) {
            self.by_time.remove(&(full_at, client));
            self.full_at.remove(&client);
        }
    }
}

/// The first bits of an address: what counts as one client. `bits`: of an IPv4 and of an IPv6 address.
pub(crate) fn prefix(address: IpAddr, bits: (u8, u8)) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(bits.0.into())).unwrap_or(0);
            Ipv4Addr::from(u32::from(v4) & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(bits.1.into())).unwrap_or(0);
            Ipv6Addr::from(u128::from(v6) & mask).into()
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
        assert_eq!((rate.wait_ms(&address(1), now), rate.wait_ms(&address(2), now)), (10_000, 0));
        let refused = rate.take(address(1), now);
        let expected = Quota { allowed: false, remaining: 0, retry_ms: 10_000, reset_ms: 60_000, shared: false };
        assert_eq!(refused, expected);
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

    /// Whoever has very many addresses gets what the table and the shared buckets together allow, and nothing more.
    #[test]
    fn a_full_table_lets_nobody_through_for_want_of_room() {
        let mut rate: Rate<u32> = Rate::new(2, 100);
        let allowed = (0..200_000).filter(|client| rate.take(*client, 5 * SECOND).allowed).count();
        assert!(allowed <= 100 + 2 * MAX_SHARED_BUCKETS, "{allowed}");
        assert_eq!((rate.full_at.len(), rate.by_time.len(), rate.shared.len()), (100, 100, MAX_SHARED_BUCKETS));
        assert!(rate.take(0, 5 * SECOND).allowed, "who was there before keeps its own");
        assert!(!rate.take(0, 5 * SECOND).allowed, "and its bound");
        let newcomer = rate.take(300_000, 5 * SECOND);
        assert!(newcomer.shared && !newcomer.allowed && newcomer.retry_ms > 0, "{newcomer:?}");
        let later = rate.take(300_000, 120 * SECOND);
        assert!(later.allowed && !later.shared, "what has worn off is forgotten");
        assert_eq!(rate.full_at.len(), 1);
    }

    #[test]
    fn nothing_is_counted_without_a_bound() {
        let mut rate = Rate::new(0, 3);
        assert!((0..100).all(|_| rate.take(address(1), 0).allowed));
        assert!(rate.full_at.is_empty() && rate.share(&address(1), 0) == 0.0);
    }

    #[test]
    fn the_share_grows_with_use_and_wears_off() {
        let mut rate = Rate::new(10, 3);
        assert_eq!(rate.share(&address(1), 0), 0.0);
        (0..5).for_each(|_| assert!(rate.take(address(1), 0).reset_ms > 0));
        assert_eq!(rate.share(&address(1), 0), 0.5);
        assert_eq!(rate.share(&address(1), 15 * SECOND), 0.25);
        (0..20).for_each(|_| assert!(rate.take(address(1), 0).reset_ms > 0));
        assert_eq!(rate.share(&address(1), 0), 1.0);
    }

    #[test]
    fn addresses_of_one_network_are_one_client() {
        let of = |text: &str, bits| prefix(text.parse().unwrap(), bits).to_string();
        assert_eq!(of("192.0.2.77", (32, 64)), "192.0.2.77");
        assert_eq!(of("192.0.2.77", (24, 64)), "192.0.2.0");
        assert_eq!(of("::ffff:192.0.2.77", (24, 64)), "192.0.2.0", "however it is written");
        assert_eq!(of("192.0.2.77", (0, 64)), "0.0.0.0");
        assert_eq!(of("2001:db8:1:2:3:4:5:6", (32, 64)), "2001:db8:1:2::");
        assert_eq!(of("2001:db8:1:2:3:4:5:6", (32, 48)), "2001:db8:1::");
        assert_eq!(of("2001:db8:1:2:3:4:5:6", (32, 128)), "2001:db8:1:2:3:4:5:6");
    }
}
