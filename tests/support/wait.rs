//! Waiting for something to become so, for tests that start processes.

use std::time::{Duration, Instant};

/// Polls until `fact` holds; false when it still does not after `patience`.
pub(crate) fn within(patience: Duration, mut fact: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + patience;
    while Instant::now() < end {
        if fact() {
            return true;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    fact()
}
