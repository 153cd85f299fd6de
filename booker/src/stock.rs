//! How the stock of a sale reaches its lanes.

use std::collections::BTreeMap;

use domain::{ItemId, LogId, SaleEvent, SaleId};

use crate::decide::Intent;

/// The units of `units` that lane `lane` of `lanes` gets: an equal share, and one of the remainder for the first lanes.
/// The shares of all lanes add up to `units`.
#[must_use]
pub const fn deal(units: u64, lane: u16, lanes: u16) -> u64 {
    let lanes = if lanes == 0 { 1 } else { lanes as u64 };
    let one_more = (lane as u64) < units % lanes;
    units / lanes + if one_more { 1 } else { 0 }
}

/// The stock that event `seq` of the sale's log brings to the lane, if any. A share of zero is stock as well: the lane then
/// knows the item and says "sold out" instead of "no such item".
#[must_use]
pub fn stock_of(sale: &SaleId, seq: u64, event: &SaleEvent, lane: u16, lanes: u16) -> Option<Intent> {
    let stock = event.act.stock();
    if stock.is_empty() {
        return None;
    }
    let lines: BTreeMap<ItemId, u64> =
        stock.into_iter().map(|(item, units)| (item, deal(units, lane, lanes))).collect();
    Some(Intent::Stock { from: format!("{}:{seq}", LogId::sale(sale)), lines })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_shares_of_all_lanes_add_up_and_differ_by_one_at_most(units in 0u64..1_000_000, lanes in 1u16..1025) {
            let shares: Vec<u64> = (0..lanes).map(|lane| deal(units, lane, lanes)).collect();
            prop_assert_eq!(shares.iter().sum::<u64>(), units);
            let most = shares.iter().max().copied().unwrap_or(0);
            let least = shares.iter().min().copied().unwrap_or(0);
            prop_assert!(most - least <= 1);
        }
    }
}
