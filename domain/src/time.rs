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

const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads a duration of one whole number and one unit (`500ms`, `60s`, `5m`, `1h`, `2d`) as milliseconds.
#[must_use]
pub fn parse_duration_ms(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, unit) = text.split_at(split);
    let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit)?;
    digits.parse::<u64>().ok()?.checked_mul(*scale)
}

/// Writes milliseconds in the largest unit that keeps it whole: the inverse of [`parse_duration_ms`].
#[must_use]
pub fn duration_text(ms: u64) -> String {
    let whole = UNITS.iter().find(|(_, scale)| ms > 0 && ms.is_multiple_of(*scale));
    whole.map_or_else(|| "0ms".to_owned(), |(name, scale)| format!("{}{name}", ms / scale))
}

/// The text is no RFC 3339 time between 1970 and 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 time with offset, such as 2027-06-01T10:00:00+09:00")]
pub struct NotATime;
