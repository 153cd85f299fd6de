//! Every bound of a run, with its unit and its reason.

use std::time::Duration;

/// Visitors at once: each is a small task.
pub(crate) const MAX_VISITORS: u32 = 1_000_000;
/// Connections at once: below the usual limit of open files and of ports towards one address.
pub(crate) const MAX_CONNECTIONS: u32 = 16_384;
/// Threads.
pub(crate) const MAX_THREADS: u16 = 64;
/// Journeys started per second.
pub(crate) const MAX_RATE: f64 = 1_000_000.0;
/// Any span of a run.
pub(crate) const MAX_DURATION: Duration = Duration::from_secs(24 * 3600);
