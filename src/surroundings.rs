//! What surrounds the program and changes without it: settings of Redis, the certificate, the age of the keys, room on disks.
//! Looked at while it serves, exported, and said in the log when it changes. What to do about it is `doctor`'s to say.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use admission::Clock;
use domain::Millis;
use domain::limits::SURROUNDINGS_EVERY_MS;
use ingress::Tls;
use lua::Access;
use tokio::time::{MissedTickBehavior, interval};

use crate::config::{Config, LedgerAt};
use crate::data::Layout;
use crate::metrics::Around;
use crate::production::redis::{self, Found, Weight};

/// When the key that signs was made: told by whoever reads the keys file.
#[derive(Clone, Default)]
pub(crate) struct KeyMade(Arc<AtomicU64>);

impl KeyMade {
    /// Since then; `None`: nobody knows.
    pub(crate) fn set(&self, at: Option<Millis>) {
        self.0.store(at.map_or(0, |at| at.0), Relaxed);
    }

    fn age(&self, now: Millis) -> Option<Duration> {
        let at = self.0.load(Relaxed);
        (at > 0).then(|| Duration::from_millis(now.since(Millis(at))))
    }
}

/// See the module's text.
pub(crate) struct Surroundings {
    pub(crate) access: Access,
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) key_made: KeyMade,
    pub(crate) places: Vec<PathBuf>,
    pub(crate) clock: Clock,
}

impl Surroundings {
    /// Looks for ever. Its first look is at once.
    pub(crate) async fn watch(self) {
        let (metrics, mut told) = (Around::new(), None);
        let mut tick = interval(Duration::from_millis(SURROUNDINGS_EVERY_MS));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let now = (self.clock)();
            if let Some(valid) = self.tls.as_ref().and_then(|tls| tls.validity()) {
                metrics.tls(until(valid.until, now));
            }
            if let Some(age) = self.key_made.age(now) {
                metrics.key_age(age);
            }
            let places = self.places.clone();
            // A file system that is away may keep its caller for a long time.
            if let Ok(Some(free)) = tokio::task::spawn_blocking(move || least_free(&places)).await {
                metrics.data_free(free);
            }
            // One that does not answer is seen by everybody who needs it: what was found before stays.
            if let Some(found) = redis::look(&self.access).await {
                metrics.redis(&found);
                // What was there at the start was said by the start.
                tell(told.as_deref().unwrap_or(&found), &found);
                told = Some(found);
            }
        }
    }
}

/// What is kept on this machine's disks.
pub(crate) fn places(config: &Config, layout: &Layout) -> Vec<PathBuf> {
    let ledger = match config.ledger() {
        LedgerAt::File(path) => path.parent().map(Path::to_owned),
        LedgerAt::Cql(_) => None,
    };
    [layout.root().to_owned()].into_iter().chain(ledger).collect()
}

/// Bytes that may still be written there, on the fullest of their file systems.
pub(crate) fn least_free(places: &[PathBuf]) -> Option<u64> {
    let free = |place: &PathBuf| {
        let stat = rustix::fs::statvfs(place).ok()?;
        Some(stat.f_bavail.saturating_mul(stat.f_frsize))
    };
    places.iter().filter_map(free).min()
}

/// Seconds from now until then, below 0 when that is past.
#[allow(clippy::cast_precision_loss, reason = "milliseconds of this century are exact in a double")]
fn until(then: Millis, now: Millis) -> f64 {
    (then.0 as f64 - now.0 as f64) / 1_000.0
}

/// Says what is new, and what is over.
fn tell(before: &[Found], now: &[Found]) {
    let same = |a: &Found, b: &Found| (a.about, &a.what) == (b.about, &b.what);
    for Found { weight, what, why, fix, .. } in now.iter().filter(|one| !before.iter().any(|known| same(known, one))) {
        match weight {
            Weight::Never | Weight::Unsafe => tracing::error!("{what}: {why}; {fix}"),
            Weight::Remark => tracing::warn!("{what}: {why}; {fix}"),
        }
    }
    for gone in before.iter().filter(|one| !now.iter().any(|still| same(still, one))) {
        tracing::info!("{}: {} is well again", gone.what, gone.about.as_str());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::float_cmp)]
    use super::*;

    #[test]
    fn a_certificate_that_has_expired_counts_below_zero() {
        assert_eq!(until(Millis(90_000), Millis(60_000)), 30.0);
        assert_eq!(until(Millis(60_000), Millis(90_000)), -30.0);
        assert!(until(Millis(u64::MAX), Millis(0)) > 1e15);
    }

    #[test]
    fn room_is_that_of_the_fullest_place_that_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let here = least_free(&[folder.path().to_owned()]).unwrap();
        assert!(here > 0);
        assert!(least_free(&[folder.path().join("nothing")]).is_none());
        // Nothing can be written there.
        assert_eq!(least_free(&[folder.path().to_owned(), PathBuf::from("/proc")]), Some(0));
    }

    #[test]
    fn a_key_that_nobody_knows_the_age_of_has_none() {
        let made = KeyMade::default();
        assert_eq!(made.age(Millis(5)), None);
        made.set(Some(Millis(1_000)));
        assert_eq!(made.age(Millis(3_000)), Some(Duration::from_secs(2)));
    }
}
