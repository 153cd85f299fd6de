//! What a hold asks for: units of items.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::ItemId;

/// Units per item, sorted by item, never empty of meaning: an item stands in it at most once.
/// JSON: `{"standing": 2, "vip": 1}`. An empty one stands for "nothing is known" (a confirm of a hold that Redis lost).
///
/// Clones share one allocation: on its way from a hold to a booking a request's lines are handed on a dozen times.
#[derive(Clone, PartialEq, Eq, Hash, Default, Debug)]
pub struct Lines(
    /// Absent when empty.
    Option<Arc<Vec<(ItemId, u32)>>>,
);

impl Lines {
    /// No line at all.
    #[must_use]
    pub const fn none() -> Self {
        Self(None)
    }

    /// Adds a line; false, and nothing changed, when the item already has one.
    pub fn add(&mut self, item: ItemId, units: u32) -> bool {
        match self.slice().binary_search_by(|(there, _)| there.cmp(&item)) {
            Ok(_) => false,
            Err(place) => {
                Arc::make_mut(self.0.get_or_insert_default()).insert(place, (item, units));
                true
            }
        }
    }

    fn slice(&self) -> &[(ItemId, u32)] {
        self.0.as_ref().map_or(&[], |lines| lines.as_slice())
    }

    /// Items and their units in order of the item's id.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&ItemId, u32)> {
        self.slice().iter().map(|(item, units)| (item, *units))
    }

    /// Units of all lines together.
    #[must_use]
    pub fn units(&self) -> u64 {
        self.iter().map(|(_, units)| u64::from(units)).sum()
    }

    /// How many lines there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slice().len()
    }

    /// Whether there is no line.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slice().is_empty()
    }
}

impl FromIterator<(ItemId, u32)> for Lines {
    /// A later line of the same item replaces the earlier one.
    fn from_iter<T: IntoIterator<Item = (ItemId, u32)>>(lines: T) -> Self {
        let sorted: BTreeMap<ItemId, u32> = lines.into_iter().collect();
        let lines: Vec<_> = sorted.into_iter().collect();
        Self((!lines.is_empty()).then(|| Arc::new(lines)))
    }
}

impl Serialize for Lines {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Lines {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(deserializer).map(|lines: BTreeMap<ItemId, u32>| lines.into_iter().collect())
    }
}
