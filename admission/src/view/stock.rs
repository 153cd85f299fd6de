//! How what is left is told: four words, the same for everybody.

use domain::ItemId;

/// What is left of an item, as visitors are told; the better word comes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Band {
    /// More than a tenth of its units is free.
    Plenty,
    /// A tenth of its units or less is free.
    Few,
    /// Nothing is free, but units in checkout may come back.
    Held,
    /// Nothing is free and nothing can come back but by a cancellation.
    #[default]
    SoldOut,
}

impl Band {
    /// The name in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plenty => "plenty",
            Self::Few => "few",
            Self::Held => "held",
            Self::SoldOut => "sold_out",
        }
    }

    /// The word for `free` and `live` of `units`. Units above the allocation (Redis was edited) are no more than plenty.
    #[must_use]
    pub const fn of(free: u64, live: u64, units: u64) -> Self {
        if free > 0 {
            // A tenth is where the fastest visitors notice; a single seat that is free is not few.
            if free.saturating_mul(10) > units { Self::Plenty } else { Self::Few }
        } else if live > 0 {
            Self::Held
        } else {
            Self::SoldOut
        }
    }
}

/// One item's stock, summed over the sale's lanes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ItemStock {
    /// The item.
    pub item: ItemId,
    /// Units the document allocates.
    pub units: u64,
    /// Units that can be held now. A lane below zero counts as empty.
    pub free: u64,
    /// Units in holds that are not decided.
    pub live: u64,
    /// The word for it.
    pub band: Band,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_or_less_is_few() {
        assert_eq!(Band::of(101, 0, 1_000), Band::Plenty);
        assert_eq!(Band::of(100, 0, 1_000), Band::Few);
        assert_eq!(Band::of(1, 0, 1), Band::Plenty);
    }

    #[test]
    fn units_in_checkout_are_held_and_not_sold_out() {
        assert_eq!(Band::of(0, 1, 1_000), Band::Held);
        assert_eq!(Band::of(0, 0, 1_000), Band::SoldOut);
    }
}
