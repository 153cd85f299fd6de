//! Damaged keys: scripts that fail, for good, because what they read is not what they wrote.
//!
//! Nothing in Redis is worth more than the ledger, so the lane is emptied and loaded anew, as if Redis were empty (R9): decided
//! ids answer as before, undecided holds end. A single failure proves nothing, and when loading does not help, the fault is
//! elsewhere: then it is tried ever more rarely, because each time costs the undecided holds.

use std::time::Duration;

use domain::limits::{BROKEN_CALLS, BROKEN_PAUSE_MS, BROKEN_WITHIN_MS};
use lua::CallError;
use tokio::time::Instant;

use super::tenure::Phase;
use super::{LaneOwner, What};

/// What failing scripts of a lane come to.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Damage {
    calls: u32,
    since: Option<Instant>,
    /// When the lane was last loaded anew, and how long it has to last.
    loaded: Option<(Instant, u64)>,
}

impl Damage {
    /// A script failed. True: the lane is to be loaded anew.
    fn broken(&mut self, now: Instant) -> bool {
        let (first, most) = BROKEN_PAUSE_MS;
        let past = |since: Instant, ms| now.duration_since(since) >= Duration::from_millis(ms);
        // Calls that were under way fail as well, and are no news.
        if self.loaded.is_some_and(|(at, pause)| !past(at, pause)) {
            return false;
        }
        if self.since.is_none_or(|since| past(since, BROKEN_WITHIN_MS)) {
            (self.since, self.calls) = (Some(now), 0);
        }
        self.calls += 1;
        if self.calls < BROKEN_CALLS {
            return false;
        }
        let pause =
            self.loaded.map_or(first, |(at, pause)| if past(at, 2 * most) { first } else { (2 * pause).min(most) });
        *self = Self { calls: 0, since: None, loaded: Some((now, pause)) };
        true
    }
}

/// Why the call's script failed, when it did.
pub(super) fn broken(what: &What) -> Option<&str> {
    fn of<T>(result: &Result<T, CallError>) -> Option<&str> {
        match result {
            Err(CallError::Broken { why }) => Some(why),
            _ => None,
        }
    }
    match what {
        What::Holds(_, result) => of(result),
        What::Releases(_, result) => of(result),
        What::Looks(_, result) => of(result),
        What::Leaves(_, result) => of(result),
        What::Confirms(_, result) => of(result),
        What::Cancels(_, result) => of(result),
        What::Settled(result) => of(result),
        What::Load(_, result) => of(result),
        What::Meta(_, result) => of(result),
        What::Undecided(result) => of(result),
        What::Reaped(result) => of(result),
        What::Mended(result) => of(result),
        What::Recounted(result, _) => of(result),
        What::Emptied(result) | What::Unloaded(result) => of(result),
        What::Free(result) => of(result),
        What::Gave(_, _, result) => of(result),
        What::Lease(_)
        | What::Claimed(_)
        | What::Page(_)
        | What::Tail(_)
        | What::Appended(..)
        | What::Replay(_)
        | What::Head(..)
        | What::SaleLog(_)
        | What::Round(..)
        | What::Asked(..)
        | What::Units(..)
        | What::Fetched(..) => None,
    }
}

impl LaneOwner {
    /// A script of the lane failed.
    pub(super) fn on_broken(&mut self, why: &str, now: Instant) {
        let Phase::Serving(tenure) = &mut self.phase else { return };
        tenure.redis_failing = true;
        // A look reads every key, so it tells a damaged one from a call that nobody should have made.
        self.timers.look = self.timers.look.min(now + Duration::from_millis(BROKEN_PAUSE_MS.0 / 10));
        if !tenure.damage.broken(now) {
            return;
        }
        tracing::error!(log = %self.context.log, why, "the lane's scripts fail, its keys in Redis are damaged: it is loaded anew, undecided holds end");
        self.metrics.damaged.increment(1);
        self.start_reload();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(begin: Instant, ms: u64) -> Instant {
        begin + Duration::from_millis(ms)
    }

    #[test]
    fn a_few_failures_soon_after_each_other_are_damage_and_rare_ones_are_not() {
        let (begin, mut damage) = (Instant::now(), Damage::default());
        for n in 0..10 {
            assert!(!damage.broken(after(begin, n * BROKEN_WITHIN_MS)));
        }
        let begin = after(begin, 100 * BROKEN_WITHIN_MS);
        let got: Vec<bool> = (0..BROKEN_CALLS).map(|n| damage.broken(after(begin, u64::from(n)))).collect();
        assert_eq!(got.iter().position(|damaged| *damaged), Some(got.len() - 1));
    }

    #[test]
    fn damage_that_stays_is_loaded_away_ever_more_rarely() {
        let (begin, mut damage) = (Instant::now(), Damage::default());
        let hour: Vec<u64> = (0..36_000).filter(|n| damage.broken(after(begin, n * 100))).collect();
        assert!(hour.len() > 5 && hour.len() < 70, "{}", hour.len());
        let last = after(begin, 3_600_000 + 3 * BROKEN_PAUSE_MS.1);
        assert_eq!((0..BROKEN_CALLS).filter(|n| damage.broken(after(last, u64::from(*n)))).count(), 1);
        assert!(
            (0..BROKEN_CALLS + 2).any(|n| damage.broken(after(last, 1_100 + u64::from(n)))),
            "soon, after a long rest"
        );
    }
}
