//! What joining costs at the moment: the more people join, and the more of them from one address, the dearer.

use std::sync::{Mutex, PoisonError};

use domain::ProofOfWork;
use domain::limits::{PROOF_PRESSURE_MS, PROOF_PRESSURE_PER_S};

/// How fast people join at this process: one count that halves by itself. Only joins that were paid for count, so nobody raises the
/// price for others without paying it.
#[derive(Default)]
pub(crate) struct Pressure(Mutex<Level>);

#[derive(Default)]
struct Level {
    at_us: u64,
    joins: f64,
}

impl Level {
    /// What is left of the count at `now_us`.
    #[allow(clippy::cast_precision_loss, reason = "a rate")]
    fn at(&self, now_us: u64) -> f64 {
        let age = now_us.saturating_sub(self.at_us) as f64 / (PROOF_PRESSURE_MS as f64 * 1_000.0);
        self.joins * (-age).exp()
    }
}

impl Pressure {
    /// Somebody joined.
    pub(crate) fn joined(&self, now_us: u64) {
        let mut level = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let joins = level.at(now_us) + 1.0;
        *level = Level { at_us: now_us.max(level.at_us), joins };
    }

    /// From 0, up to as many joins per second as are nothing special, to 1: the price rises evenly with each doubling between.
    #[allow(clippy::cast_precision_loss, reason = "a rate")]
    pub(crate) fn share(&self, now_us: u64) -> f64 {
        let joins = self.0.lock().unwrap_or_else(PoisonError::into_inner).at(now_us);
        let per_second = joins * 1_000.0 / PROOF_PRESSURE_MS as f64;
        let (calm, full) = (f64::from(PROOF_PRESSURE_PER_S.0), f64::from(PROOF_PRESSURE_PER_S.1));
        ((per_second / calm).max(1.0).ln() / (full / calm).ln()).clamp(0.0, 1.0)
    }
}

/// Hashes at most for this share of pressure: each tenth of it multiplies the price by the same.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between two numbers of 32 bits")]
pub(crate) fn price(of: ProofOfWork, share: f64) -> u32 {
    let (least, most) = (f64::from(of.least.max(1)), f64::from(of.most.max(1)));
    let price = least * (most / least).powf(if share.is_nan() { 1.0 } else { share.clamp(0.0, 1.0) });
    (price.round() as u32).clamp(of.least.min(of.most), of.most)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn the_price_rises_with_pressure_between_its_bounds() {
        let of = ProofOfWork { least: 1_000, most: 1_000_000 };
        assert_eq!([0.0, 0.5, 1.0].map(|share| price(of, share)), [1_000, 31_623, 1_000_000]);
        assert_eq!([-1.0, 7.0, f64::NAN].map(|share| price(of, share)), [1_000, 1_000_000, 1_000_000]);
        assert_eq!(price(ProofOfWork { least: 5, most: 5 }, 0.3), 5);
    }

    #[test]
    fn pressure_follows_the_joins_and_forgets_them() {
        let pressure = Pressure::default();
        assert_eq!(pressure.share(0), 0.0);
        let rate = |per_second: u64, from: u64| {
            (0..20 * per_second).for_each(|n| pressure.joined(from + n * SECOND / per_second));
            pressure.share(from + 20 * SECOND)
        };
        assert_eq!(rate(40, 0), 0.0, "nothing special");
        let middle = rate(500, 100 * SECOND);
        assert!((0.45..0.55).contains(&middle), "ten times as many, of a hundred: {middle}");
        assert!(rate(6_000, 200 * SECOND) > 0.99);
        assert_eq!(pressure.share(400 * SECOND), 0.0);
    }
}
