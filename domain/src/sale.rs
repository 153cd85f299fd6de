//! A sale: its document, how it may change, and what its log makes of it.

mod change;
mod class;
mod fold;
mod read;
mod read_price;
mod terms;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::code::ListedCode;
use crate::coupon::Coupon;
use crate::id::{ItemId, SaleId};
use crate::lines::Lines;
use crate::money::{Currency, Money};
use crate::number::Class;
use crate::price::Price;
use crate::time::Millis;

pub use fold::{BadFold, Phase, SaleFold, StockAct, Withdrawal};
pub use terms::{Cancellation, PointsTerms, Terms};

/// One sale as its operator describes it. Operators write and see it in the outer form ([`SaleDoc::from_toml`],
/// [`SaleDoc::from_json`], [`SaleDoc::to_json`]), which checks every range. Serde's form is the log's: it is read back as
/// it was written, so that a limit tightened later never makes an old log unreadable.
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
    /// What holds for all items between visitor and sale: countries, tax, points, cancellation.
    #[serde(default, skip_serializing_if = "Terms::is_none")]
    pub terms: Terms,
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
    /// What the draw of the lobby needs beside the seed; absent: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_value: Option<PublicValue>,
    /// What joining costs a visitor's machine; absent: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof_of_work: Option<ProofOfWork>,
    /// Who waits on when everything is sold; absent: nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standby: Option<Standby>,
    /// Classes with a line of their own, which visitors enter by a code. A class' number is its position here, from 1 on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<LineClass>,
}

/// A class of visitors.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LineClass {
    /// Its name.
    pub id: ItemId,
    /// What people call it; the name when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Of 100 people called while others wait as well, how many are of this class.
    pub share: u32,
    /// Visitors who may ever get a place in it.
    pub places: u32,
    /// Codes that let into it, beside those that the installation signed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub codes: Vec<ListedCode>,
    /// Visitors who may use each of these codes.
    pub uses: u32,
}

/// The price of joining, in hashes that have to be tried at most. On average it is half of that.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ProofOfWork {
    /// While few people join.
    pub least: u32,
    /// While very many do.
    pub most: u32,
}

/// Waiting for units that come back once all were taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Standby {
    /// Milliseconds that somebody who is called to a unit that came back keeps the turn.
    pub claim_ms: u64,
    /// Places at the front of the line that are kept when everything is sold. Who stands behind them is let go.
    pub places: u32,
}

/// A value that everybody can look up, and that nobody could know when the lobby closed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PublicValue {
    /// Which one, in words, named before anybody comes.
    pub named: String,
    /// The value, once it is there. The lobby waits for it, and nobody is called before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
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
    pub price: Option<Price>,
    /// What a unit of it is worth elsewhere, where coupons are sold; absent: it is no coupon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coupon: Option<Coupon>,
}

impl SaleDoc {
    /// Units per item.
    #[must_use]
    pub fn units(&self) -> BTreeMap<ItemId, u64> {
        self.items.iter().map(|item| (item.id.clone(), item.units)).collect()
    }

    /// The item of this id.
    #[must_use]
    pub fn item(&self, id: &ItemId) -> Option<&Item> {
        self.items.iter().find(|item| item.id == *id)
    }

    /// The currency of its prices; `None` when nothing is priced.
    #[must_use]
    pub fn currency(&self) -> Option<Currency> {
        self.items.iter().find_map(|item| item.price.as_ref()).map(|price| price.regular.currency)
    }

    /// The item of this name, to be changed.
    pub(crate) fn item_mut(&mut self, id: &ItemId) -> Option<&mut Item> {
        self.items.iter_mut().find(|item| item.id == *id)
    }

    /// The waiting room, where there is one.
    #[must_use]
    pub const fn room(&self) -> Option<&Room> {
        match &self.admission {
            Admission::None => None,
            Admission::Room(room) => Some(room),
        }
    }

    /// The waiting room, to be changed.
    pub(crate) const fn room_mut(&mut self) -> Option<&mut Room> {
        match &mut self.admission {
            Admission::None => None,
            Admission::Room(room) => Some(room),
        }
    }

    /// The class that a number of its line belongs to; `None`: everybody's.
    #[must_use]
    pub fn class(&self, class: Class) -> Option<&LineClass> {
        usize::from(class).checked_sub(1).and_then(|at| self.room()?.classes.get(at))
    }

    /// What these lines cost at regular prices, before tax that is added to them; `None` when an item is unknown or the sum does not fit, `Some(None)` when nothing is owed.
    #[must_use]
    pub fn price(&self, lines: &Lines) -> Option<Option<Money>> {
        let mut sum: Option<Money> = None;
        for (id, units) in lines.iter() {
            if let Some(price) = &self.item(id)?.price {
                let line = price.regular.checked_mul(u64::from(units))?;
                sum = Some(match sum {
                    Some(before) => before.checked_add(line)?,
                    None => line,
                });
            }
        }
        Some(sum)
    }
}

/// The units of one lane when `units` are dealt evenly to `lanes`: the first lanes take what is left over.
#[must_use]
pub const fn lane_share(units: u64, lane: u16, lanes: u16) -> u64 {
    let lanes = if lanes == 0 { 1 } else { lanes as u64 };
    units / lanes + if (lane as u64) < units % lanes { 1 } else { 0 }
}
