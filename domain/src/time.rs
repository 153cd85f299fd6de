//! Points in time and how they are written.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch, UTC. Which clock it was read from is said where the value is made:
/// deadlines of a lane are Redis' TIME, entries of a log carry their owner's clock, which never steps back (see [`Millis::not_before`]).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl Millis {
    /// This time moved later by `ms` milliseconds; stays at the end of time instead of wrapping.
    #[must_use]
    pub const fn plus(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to `self`, zero when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The later of both: how a writer keeps its entries in order when its clock steps back.
    #[must_use]
    pub fn not_before(self, floor: Self) -> Self {
        self.max(floor)
    }

    /// Reads an RFC 3339 time with an offset, such as `2027-06-01T10:00:00+09:00`.
    ///
    /// # Errors
    /// Text that is no RFC 3339 time, or a time before 1970.
    pub fn parse_rfc3339(text: &str) -> Result<Self, NotATime> {
        let stamp: jiff::Timestamp = text.parse().map_err(|_| NotATime)?;
        u64::try_from(stamp.as_millisecond()).map(Self).map_err(|_| NotATime)
    }
}

/// RFC 3339 in UTC with milliseconds, such as `2027-06-01T01:00:00.000Z`.
impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = i64::try_from(self.0).unwrap_or(i64::MAX);
        match jiff::Timestamp::from_millisecond(ms) {
            Ok(stamp) => write!(f, "{stamp:.3}"),
            Err(_) => write!(f, "9999-12-31T23:59:59.999Z"),
        }
    }
}

/// The text is no RFC 3339 time between 1970 and 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 time with offset, such as 2027-06-01T10:00:00+09:00")]
pub struct NotATime;
