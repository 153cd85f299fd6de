//! How a sale's document may change.

use std::collections::BTreeMap;

use super::{Admission, Room, SaleDoc};
use crate::id::ItemId;
use crate::table::Mistake;

impl SaleDoc {
    /// The stock that creating this sale adds, by item.
    #[must_use]
    pub fn initial_stock(&self) -> BTreeMap<ItemId, u64> {
        self.units()
    }

    /// Checks that this document may become `new`; returns the units that adds, by item, without the items that stay.
    ///
    /// # Errors
    /// Everything the new document may not change: the id, lanes, whether there is a waiting room, the currency;
    /// items may come but not go, and units only grow (taking units away needs the lanes' consent and is no change of the document).
    pub fn change(&self, new: &Self) -> Result<BTreeMap<ItemId, u64>, Vec<Mistake>> {
        let mut mistakes = Vec::new();
        if new.id != self.id {
            mistakes.push(Mistake::new("id", &new.id, format!("must stay {}", self.id)));
        }
        if new.lanes != self.lanes {
            mistakes.push(Mistake::new(
                "lanes",
                new.lanes,
                format!("must stay {} for the life of the sale", self.lanes),
            ));
        }
        match (&self.admission, &new.admission) {
            (Admission::None, Admission::None) | (Admission::Room(_), Admission::Room(_)) => {}
            (Admission::None, Admission::Room(_)) => {
                mistakes.push(Mistake::new(
                    "admission",
                    "a waiting room",
                    "must stay \"none\" for the life of the sale",
                ));
            }
            (Admission::Room(_), Admission::None) => {
                mistakes.push(Mistake::new("admission", "none", "must stay a waiting room for the life of the sale"));
            }
        }
        self.change_public_value(new, &mut mistakes);
        self.change_classes(new, &mut mistakes);
        if let (Some(old), Some(now)) = (self.currency(), new.currency())
            && old != now
        {
            mistakes.push(Mistake::new("items", now, format!("prices must stay in {old}")));
        }
        let stock = self.added(new, &mut mistakes);
        if mistakes.is_empty() { Ok(stock) } else { Err(mistakes) }
    }

    /// What is named in advance stays, and a value that was told is told: an operator who could choose again could choose the order.
    fn change_public_value(&self, new: &Self, mistakes: &mut Vec<Mistake>) {
        let (Some(old), Some(new)) = (self.room(), new.room()) else { return };
        let named = |room: &Room| room.public_value.as_ref().map(|public| public.named.clone());
        if named(old) != named(new) {
            let key = "admission.public_value.named";
            mistakes.push(Mistake::new(
                key,
                named(new).unwrap_or_default(),
                "must stay as it was when the sale was created",
            ));
        }
        let value = |room: &Room| room.public_value.as_ref().and_then(|public| public.value.clone());
        if let Some(told) = value(old)
            && value(new).as_ref() != Some(&told)
        {
            let key = "admission.public_value.value";
            mistakes.push(Mistake::new(
                key,
                value(new).unwrap_or_default(),
                format!("must stay {told:?}: it was told before"),
            ));
        }
    }

    /// A class' number is its position, and its places are people's: classes may only come behind those there are.
    fn change_classes(&self, new: &Self, mistakes: &mut Vec<Mistake>) {
        let classes = |doc: &Self| doc.room().map(|room| room.classes.clone()).unwrap_or_default();
        let (old, new) = (classes(self), classes(new));
        for (n, class) in old.iter().enumerate() {
            let now = new.get(n).map(|class| class.id.to_string()).unwrap_or_default();
            if now != class.id.as_str() {
                let problem = format!("must stay {}: classes keep their order, new ones follow", class.id);
                mistakes.push(Mistake::new(format!("admission.classes[{n}].id"), now, problem));
            }
        }
    }

    fn added(&self, new: &Self, mistakes: &mut Vec<Mistake>) -> BTreeMap<ItemId, u64> {
        let old = self.units();
        let mut stock = BTreeMap::new();
        for (n, item) in new.items.iter().enumerate() {
            let before = old.get(&item.id).copied().unwrap_or(0);
            match item.units.checked_sub(before) {
                // A new item's lanes have to know it, also without units.
                Some(0) if old.contains_key(&item.id) => {}
                Some(more) => drop(stock.insert(item.id.clone(), more)),
                None => mistakes.push(Mistake::new(
                    format!("items[{n}].units"),
                    item.units,
                    format!("must be at least {before}: units of {} only grow here", item.id),
                )),
            }
        }
        for id in old.keys().filter(|id| new.item(id).is_none()) {
            mistakes.push(Mistake::new(
                "items",
                "",
                format!("{id} is missing: an item stays for the life of the sale"),
            ));
        }
        stock
    }
}
