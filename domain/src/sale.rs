//! The sale document.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::{ItemId, SaleId};
use crate::money::Money;
use crate::time::Millis;

/// One sale as its operator describes it. Stored as JSON in the sale's log, read from TOML or JSON by [`SaleDoc::from_toml`] and [`SaleDoc::from_json`].
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SaleDoc {
    /// The sale's id.
    pub id: SaleId,
    /// What people call it; the id when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Absent: opens when told to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opens_at: Option<Millis>,
    /// Absent: closes when told to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closes_at: Option<Millis>,
    /// How visitors get in.
    pub admission: Admission,
    /// How long holds live.
    pub hold: HoldTimes,
    /// Units one visitor may hold and book in this sale together; absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units_per_visitor: Option<u32>,
    /// Lanes the stock is dealt to; fixed for the life of the sale.
    pub lanes: u16,
    /// What is sold, in the document's order.
    pub items: Vec<Item>,
}

/// How visitors get in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Admission {
    /// No waiting room: a hold needs a visitor, but no pass.
    None,
    /// A waiting room with a line.
    Room(Room),
}

/// Settings of a waiting room.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Room {
    /// Passes issued in any 60 s, at most (I7).
    pub pace_per_minute: u32,
    /// Passes alive at once, at most (I7).
    pub active_passes: u32,
    /// Milliseconds a pass lives.
    pub pass_ttl_ms: u64,
    /// Milliseconds a called number keeps its turn before it is passed on.
    pub claim_grace_ms: u64,
}

/// How long holds live, milliseconds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HoldTimes {
    /// From hold to its deadline.
    pub ttl_ms: u64,
    /// Extension, once, when payment starts.
    pub paying_ttl_ms: u64,
}

/// One sellable kind.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Item {
    /// The item's id inside the sale.
    pub id: ItemId,
    /// What people call it; the id when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// How many there are.
    pub units: u64,
    /// Absent: nothing is owed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Money>,
}

impl SaleDoc {
    /// Units per item.
    #[must_use]
    pub fn units(&self) -> BTreeMap<ItemId, u64> {
        self.items.iter().map(|item| (item.id.clone(), item.units)).collect()
    }
}
