//! What a hold asks for: units of items.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::ItemId;

/// Units per item, sorted by item, never empty of meaning: an item stands in it at most once.
/// JSON: `{"standing": 2, "vip": 1}`. An empty one stands for "nothing is known" (a confirm of a hold that Redis lost).
#[derive(Clone, PartialEq, Eq, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lines(BTreeMap<ItemId, u32>);

impl Lines {
    /// No line at all.
    #[must_use]
    pub const fn none() -> Self {
        Self(BTreeMap::new())
    }

    /// Adds a line; false, and nothing changed, when the item already has one.
    pub fn add(&mut self, item: ItemId, units: u32) -> bool {
        match self.0.entry(item) {
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(units);
                true
            }
            std::collections::btree_map::Entry::Occupied(_) => false,
        }
    }

    /// Items and their units in order of the item's id.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&ItemId, u32)> {
        self.0.iter().map(|(item, units)| (item, *units))
    }

    /// Units of all lines together.
    #[must_use]
    pub fn units(&self) -> u64 {
        self.0.values().map(|units| u64::from(*units)).sum()
    }

    /// How many lines there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no line.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(ItemId, u32)> for Lines {
    /// A later line of the same item replaces the earlier one.
    fn from_iter<T: IntoIterator<Item = (ItemId, u32)>>(lines: T) -> Self {
        Self(lines.into_iter().collect())
    }
}
