//! What a line's owner publishes through Redis beside frontier and numbers: the part that is for showing only.

use serde::{Deserialize, Serialize};

use crate::step::{Binding, Gaps};

/// Gaps that are published; later ones make the places shown too far back, never too near.
const MAX_GAPS: usize = 64;

/// The owner's words about the line, one JSON object. Unknown fields are ignored: the reader may be older than the owner.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Shown {
    /// Highest number that may have been given to a visitor. A new owner starts behind it.
    pub issued: u64,
    /// People called within the last minute.
    #[serde(default)]
    pub called: u64,
    /// Passes alive.
    #[serde(default)]
    pub active: u64,
    /// Called and not claimed yet.
    #[serde(default)]
    pub unclaimed: u64,
    /// What holds the frontier.
    #[serde(default)]
    pub binding: Binding,
    /// Numbers in front of the frontier that nobody stands behind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<(u64, u64)>,
}

impl Shown {
    /// The gaps in front of `frontier`, as far as they are published.
    #[must_use]
    pub fn gaps_of(gaps: &Gaps, frontier: u64) -> Vec<(u64, u64)> {
        gaps.ranges().iter().filter(|(_, last)| *last > frontier).take(MAX_GAPS).copied().collect()
    }

    /// As text for Redis: below 3 KiB, with 64 gaps of the longest numbers.
    #[must_use]
    pub fn encode(&self) -> String {
        // Numbers and names only: writing them as JSON cannot fail. An empty text is read as nothing known.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads it back; a text that is not readable is as good as none.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_longest_document_fits_and_reads_back() {
        let mut gaps = Gaps::default();
        for n in 0..200 {
            gaps.add(u64::MAX / 2 + n * 3, u64::MAX / 2 + n * 3 + 1);
        }
        let shown = Shown {
            issued: u64::MAX,
            called: u64::MAX,
            active: u64::MAX,
            unclaimed: u64::MAX,
            binding: Binding::Unknown,
            gaps: Shown::gaps_of(&gaps, u64::MAX / 2 + 3),
        };
        assert_eq!(shown.gaps.len(), MAX_GAPS);
        assert_eq!(shown.gaps[0].0, u64::MAX / 2 + 3, "one that the frontier is in still counts");
        assert!(shown.encode().len() < 3_072 && 3_072 <= domain::limits::MAX_LINE_DOC_BYTES);
        assert_eq!(Shown::decode(&shown.encode()), Some(shown));
    }

    #[test]
    fn an_older_or_newer_document_is_read_as_far_as_it_goes() {
        assert_eq!(Shown::decode(r#"{"issued":7,"colour":"blue"}"#).unwrap().issued, 7);
        assert_eq!(Shown::decode(""), None);
    }
}
