//! Names of keys. The hash tag keeps everything of one lane, and everything of one line, in one slot of a cluster.

use std::sync::Arc;

use domain::SaleId;

/// Version of the layout, first part of every key. A program that writes another layout uses other keys.
pub const VERSION: &str = "h1";
/// Slots of a Redis Cluster.
pub(crate) const SLOTS: u16 = 16_384;

/// The keys of one lane, all with the hash tag `{sale:lane}`.
#[derive(Clone, Debug)]
pub struct LaneKeys(Arc<LaneNames>);

#[derive(Debug)]
struct LaneNames {
    lane: String,
    holds: String,
    due: String,
    visitors: String,
    confirming: String,
    lease: String,
    slot: u16,
}

impl LaneKeys {
    /// The keys of lane `lane` of `sale`.
    #[must_use]
    pub fn new(sale: &SaleId, lane: u16) -> Self {
        let tag = format!("{sale}:{lane}");
        let name = |part: &str| format!("{VERSION}:{{{tag}}}:{part}");
        Self(Arc::new(LaneNames {
            lane: name("lane"),
            holds: name("holds"),
            due: name("due"),
            visitors: name("visitors"),
            confirming: name("confirming"),
            lease: name("lease"),
            slot: slot_of_tag(&tag),
        }))
    }

    /// Hash: `loaded`, `epoch`, `settled`, progress of a load, and per item `f:ITEM` (free) and `l:ITEM` (live); where units
    /// moved between lanes also `g:ITEM` (given) and `r:ITEM` (received).
    #[must_use]
    pub fn lane(&self) -> &str {
        &self.0.lane
    }

    /// Hash: hold id (16 bytes) to record, see [`crate::lane::Record`].
    #[must_use]
    pub fn holds(&self) -> &str {
        &self.0.holds
    }

    /// Sorted set: hold ids by the time the reaper has to look at them, milliseconds.
    #[must_use]
    pub fn due(&self) -> &str {
        &self.0.due
    }

    /// Hash: visitor (16 bytes) to counters.
    #[must_use]
    pub fn visitors(&self) -> &str {
        &self.0.visitors
    }

    /// Set: ids of undecided confirms, and `x` + id of undecided cancels.
    #[must_use]
    pub fn confirming(&self) -> &str {
        &self.0.confirming
    }

    /// Text: who may try to own the lane (R5).
    #[must_use]
    pub fn lease(&self) -> &str {
        &self.0.lease
    }

    pub(crate) fn slot(&self) -> u16 {
        self.0.slot
    }

    pub(crate) fn all(&self) -> [&str; 5] {
        [self.lane(), self.holds(), self.due(), self.visitors(), self.confirming()]
    }
}

/// The keys of one sale's line, all with the hash tag `{sale}`.
#[derive(Clone, Debug)]
pub struct LineKeys(Arc<LineNames>);

#[derive(Debug)]
struct LineNames {
    line: String,
    tickets: String,
    lease: String,
    slot: u16,
}

impl LineKeys {
    /// The keys of the line of `sale`.
    #[must_use]
    pub fn new(sale: &SaleId) -> Self {
        let name = |part: &str| format!("{VERSION}:{{{sale}}}:{part}");
        Self(Arc::new(LineNames {
            line: name("line"),
            tickets: name("tickets"),
            lease: name("line-lease"),
            slot: slot_of_tag(sale.as_str()),
        }))
    }

    /// Hash: `loaded`, `epoch`, `settled`, `frontier`, `numbers_to` and the published document `doc`.
    #[must_use]
    pub fn line(&self) -> &str {
        &self.0.line
    }

    /// Hash: visitor (16 bytes) to ticket number.
    #[must_use]
    pub fn tickets(&self) -> &str {
        &self.0.tickets
    }

    /// Text: who may try to own the line (R5).
    #[must_use]
    pub fn lease(&self) -> &str {
        &self.0.lease
    }

    pub(crate) fn slot(&self) -> u16 {
        self.0.slot
    }
}

/// The slot of a Redis Cluster that keys with this hash tag live in: CRC-16/XMODEM of the tag, modulo 16384.
pub(crate) fn slot_of_tag(tag: &str) -> u16 {
    let crc = tag.bytes().fold(0u16, |crc, byte| {
        (0..8).fold(crc ^ u16::from(byte) << 8, |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 })
    });
    crc % SLOTS
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn slots_are_those_of_the_cluster_specification() {
        assert_eq!(slot_of_tag("123456789"), 0x31C3);
        assert_eq!(slot_of_tag("foo"), 12182);
    }

    #[test]
    fn all_keys_of_a_lane_carry_its_tag() {
        let keys = LaneKeys::new(&"summer".parse().unwrap(), 3);
        assert_eq!(keys.lane(), "h1:{summer:3}:lane");
        assert!(keys.all().iter().all(|key| key.starts_with("h1:{summer:3}:")));
        assert!(keys.lease().starts_with("h1:{summer:3}:"));
    }
}
