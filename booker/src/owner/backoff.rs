//! When to try again what was not done.

use std::time::Duration;

use domain::limits::OWNER_RETRY_MS;
use tokio::time::Instant;

/// The pause after failures: doubles from the first to the most of `OWNER_RETRY_MS`, and is over after a success.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Backoff {
    until: Option<Instant>,
    pause_ms: u64,
}

impl Backoff {
    pub(super) fn failed(&mut self, now: Instant) {
        let (first, most) = OWNER_RETRY_MS;
        self.pause_ms = (self.pause_ms * 2).clamp(first, most);
        self.until = Some(now + Duration::from_millis(self.pause_ms));
    }

    pub(super) fn done(&mut self) {
        *self = Self::default();
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| until <= now)
    }

    /// When to look again; `None` while nothing has failed.
    pub(super) const fn until(&self) -> Option<Instant> {
        self.until
    }

    pub(super) const fn is_failing(&self) -> bool {
        self.until.is_some()
    }
}
