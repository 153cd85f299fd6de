//! Where the time comes from.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use domain::Millis;

/// Reads a clock. Owners take it as an argument, so that tests can let it stand still or step back.
pub type Clock = Arc<dyn Fn() -> Millis + Send + Sync>;

/// This machine's clock. It may step back; entries of a log never do (`Millis::not_before`).
#[must_use]
pub fn system() -> Clock {
    Arc::new(|| {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Millis(u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX))
    })
}
