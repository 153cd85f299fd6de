//! What a line's owner publishes through Redis beside frontier and numbers: the part that is for showing only.

use domain::{Digest, Millis};
use serde::{Deserialize, Serialize};

use crate::draw::Seed;
use crate::fold::classes::Classes;
use crate::lobby::{Lobby, Order};
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
    /// The classes in their order, as far as somebody has a place in one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<ShownClass>,
    /// The lobby; absent where nobody came early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lobby: Option<ShownLobby>,
    /// Failures of ours that the log has: passes and holds that lived then end later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<(Millis, Millis)>,
    /// Every failure that began before is among them. Absent: nobody has looked yet, or the owner is of an earlier version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub faults_known_to: Option<Millis>,
}

/// One class. Both are in the log before they stand here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ShownClass {
    /// Places given out.
    pub issued: u64,
    /// Places up to here may enter.
    pub frontier: u64,
}

impl ShownClass {
    /// What the fold says.
    #[must_use]
    pub fn of(classes: &Classes) -> Vec<Self> {
        let one = |class| Self { issued: classes.issued(class), frontier: classes.frontier(class) };
        (1..).take(classes.count()).map(one).collect()
    }
}

/// What everybody may know of a lobby. All of it is in the log before it stands here.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ShownLobby {
    /// Receipts.
    pub count: u64,
    /// Root over them, once it has closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<Digest>,
    /// The seed, once the order is drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<Digest>,
    /// The public value that the order follows from, where one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_value: Option<String>,
}

impl ShownLobby {
    /// What the fold says.
    #[must_use]
    pub fn of(lobby: &Lobby) -> Option<Self> {
        let drawn = lobby.drawn().filter(|_| lobby.is_over());
        (lobby.count() > 0).then(|| Self {
            count: lobby.count(),
            root: lobby.closed().copied(),
            seed: drawn.map(|drawn| drawn.seed),
            public_value: drawn.and_then(|drawn| drawn.public_value.clone()),
        })
    }

    /// What the order follows from, once it is drawn.
    #[must_use]
    pub fn order(&self) -> Option<Order> {
        let (seed, root) = (Seed(self.seed?.0), self.root?);
        Some(Order { seed, root, count: self.count, public_value: self.public_value.clone() })
    }
}

impl Shown {
    /// The gaps in front of `frontier`, as far as they are published.
    #[must_use]
    pub fn gaps_of(gaps: &Gaps, frontier: u64) -> Vec<(u64, u64)> {
        gaps.ranges().iter().filter(|(_, last)| *last > frontier).take(MAX_GAPS).copied().collect()
    }

    /// As text for Redis: below 7.75 KiB, with 64 gaps and all classes of the longest numbers, the longest public value and as many
    /// failures as are remembered.
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
            classes: vec![ShownClass { issued: u64::MAX, frontier: u64::MAX }; domain::limits::MAX_CLASSES],
            lobby: Some(ShownLobby {
                count: u64::MAX,
                root: Some(Digest([255; 32])),
                seed: Some(Digest([255; 32])),
                // A character that JSON writes with two.
                public_value: Some("\"".repeat(domain::limits::MAX_PUBLIC_VALUE_BYTES)),
            }),
            faults: vec![(Millis(9_999_999_999_998), Millis(9_999_999_999_999)); domain::limits::MAX_FAULTS],
            faults_known_to: Some(Millis(9_999_999_999_999)),
        };
        assert_eq!(shown.gaps.len(), MAX_GAPS);
        assert_eq!(shown.gaps[0].0, u64::MAX / 2 + 3, "one that the frontier is in still counts");
        assert!(shown.encode().len() < 7_936 && 7_936 <= domain::limits::MAX_LINE_DOC_BYTES);
        assert_eq!(Shown::decode(&shown.encode()), Some(shown));
    }

    #[test]
    fn an_older_or_newer_document_is_read_as_far_as_it_goes() {
        assert_eq!(Shown::decode(r#"{"issued":7,"colour":"blue"}"#).unwrap().issued, 7);
        assert_eq!(Shown::decode(""), None);
    }
}
