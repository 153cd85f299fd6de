//! How well the stores do, as a part of 1,000 of the cap. Slow is less, failing is less, unknown is down.

use domain::Millis;
use domain::limits::{HEALTH_FRESH_MS, HEALTH_SLOW_MS};

/// The last answer of something that admission depends on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answered {
    /// When it last answered as it should.
    pub at: Millis,
    /// How long that answer took, milliseconds.
    pub took_ms: u64,
}

/// What admission depends on. `None`: it has not answered yet, or failed since.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Health {
    /// Redis.
    pub redis: Option<Answered>,
    /// The ledger.
    pub ledger: Option<Answered>,
    /// The payment provider; the outer `None`: the sale takes no money.
    pub payment: Option<Option<Answered>>,
}

impl Health {
    /// Everything answered at `now` and at once: for a line that depends on nothing else, and for tests.
    #[must_use]
    pub const fn good(now: Millis) -> Self {
        let answered = Some(Answered { at: now, took_ms: 0 });
        Self { redis: answered, ledger: answered, payment: None }
    }

    /// The worst of all, of 1,000.
    #[must_use]
    pub fn permille(&self, now: Millis) -> u64 {
        let payment = self.payment.map_or(1_000, |payment| part(payment, now));
        part(self.redis, now).min(part(self.ledger, now)).min(payment)
    }
}

/// 1,000 while answers are fast and fresh; falls in a straight line between the two limits of how slow and of how old.
fn part(answered: Option<Answered>, now: Millis) -> u64 {
    let Some(Answered { at, took_ms }) = answered else { return 0 };
    falling(took_ms, HEALTH_SLOW_MS).min(falling(now.since(at), HEALTH_FRESH_MS))
}

const fn falling(found: u64, (good, bad): (u64, u64)) -> u64 {
    if found <= good {
        1_000
    } else if found >= bad {
        0
    } else {
        1_000 * (bad - found) / (bad - good)
    }
}

/// Places that neither are taken nor promised when the cap shrinks with the health.
pub(super) fn health_term(active_passes: u32, permille: u64, taken: u64) -> u64 {
    (u64::from(active_passes) * permille / 1_000).saturating_sub(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_000_000);

    fn of(took_ms: u64, age_ms: u64) -> u64 {
        let answered = Some(Answered { at: Millis(NOW.0 - age_ms), took_ms });
        Health { redis: answered, ..Health::good(NOW) }.permille(NOW)
    }

    #[test]
    fn slow_and_old_answers_pull_it_down_to_zero() {
        let (good, bad) = HEALTH_SLOW_MS;
        assert_eq!((of(good, 0), of((good + bad) / 2, 0), of(bad, 0), of(u64::MAX, 0)), (1_000, 500, 0, 0));
        let (fresh, stale) = HEALTH_FRESH_MS;
        assert_eq!((of(0, fresh), of(0, (fresh + stale) / 2), of(0, stale)), (1_000, 500, 0));
        assert_eq!(of((good + bad) / 2, stale), 0, "the worse of the two counts");
    }

    #[test]
    fn unknown_means_down_whichever_it_is() {
        let good = Health::good(NOW);
        assert_eq!(good.permille(NOW), 1_000);
        assert_eq!(Health { redis: None, ..good }.permille(NOW), 0);
        assert_eq!(Health { ledger: None, ..good }.permille(NOW), 0);
        assert_eq!(Health { payment: Some(None), ..good }.permille(NOW), 0);
        assert_eq!(Health { payment: Some(good.redis), ..good }.permille(NOW), 1_000);
        assert_eq!(Health::default().permille(NOW), 0);
    }

    #[test]
    fn it_shrinks_the_cap_and_closes_it() {
        assert_eq!(health_term(1_000, 1_000, 400), 600);
        assert_eq!(health_term(1_000, 500, 400), 100);
        assert_eq!(health_term(1_000, 500, 501), 0);
        assert_eq!(health_term(1_000, 0, 0), 0);
    }
}
