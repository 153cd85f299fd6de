//! The units of all lanes of a sale against those that its operator gave out.

use std::collections::BTreeMap;

use booker::fold::LaneFold;
use domain::ItemId;
use domain::sale::StockAct;

/// Units that the lanes together took, or sold, beyond what the acts gave out (I1). What moves between two lanes is left out of
/// what they took: it is counted where it came from.
pub(super) fn beyond<'a>(acts: &[StockAct], lanes: impl Iterator<Item = &'a LaneFold>) -> u64 {
    let mut given: BTreeMap<&ItemId, u64> = BTreeMap::new();
    for (item, units) in acts.iter().flat_map(|act| &act.lines) {
        *given.entry(item).or_default() += units;
    }
    let mut had: BTreeMap<&ItemId, (u64, u64)> = BTreeMap::new();
    for lane in lanes {
        for (item, sum) in lane.items() {
            let moved = lane.moved().get(item).copied().unwrap_or_default();
            let (taken, sold) = had.entry(item).or_default();
            *taken += (sum.allocated + moved.given).saturating_sub(moved.received);
            *sold += sum.sold;
        }
    }
    let beyond = |(item, (taken, sold)): (&&ItemId, &(u64, u64))| {
        (*taken).max(*sold).saturating_sub(given.get(*item).copied().unwrap_or(0))
    };
    had.iter().map(beyond).sum()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use domain::{HoldId, LaneEvent, Millis};

    use super::*;

    fn item() -> ItemId {
        "seat".parse().unwrap()
    }

    fn act(units: u64) -> StockAct {
        StockAct { seq: 1, lines: [(item(), units)].into(), key: String::new() }
    }

    fn lane(events: &[LaneEvent]) -> LaneFold {
        let mut fold = LaneFold::default();
        for (seq, event) in (1..).zip(events) {
            fold.apply(seq, event).unwrap();
        }
        fold
    }

    fn stock(units: u64) -> LaneEvent {
        LaneEvent::Stock { from: "sale/s:1".to_owned(), lines: [(item(), units)].into(), at: Millis(1) }
    }

    #[test]
    fn lanes_that_took_what_was_given_have_nothing_beyond() {
        let (one, two) = (lane(&[stock(6)]), lane(&[stock(4)]));
        assert_eq!(beyond(&[act(10)], [&one, &two].into_iter()), 0);
        assert_eq!(beyond(&[act(9)], [&one, &two].into_iter()), 1, "each lane alone is right");
        assert_eq!(beyond(&[], [&one].into_iter()), 6);
    }

    #[test]
    fn units_that_moved_are_counted_once() {
        let id = HoldId::derive(&"s".parse().unwrap(), 0, &domain::VisitorHash([1; 16]), "k");
        let mut lines = domain::Lines::default();
        assert!(lines.add(item(), 2));
        let out = LaneEvent::TransferOut { id, to: 1, lines: lines.clone(), at: Millis(2) };
        let came = LaneEvent::TransferIn { from: "lane/s/0:2".to_owned(), lines, at: Millis(3) };
        let (giver, taker) = (lane(&[stock(6), out]), lane(&[stock(4), came]));
        assert_eq!(beyond(&[act(10)], [&giver, &taker].into_iter()), 0);
        // On their way: the taking lane has not got them yet.
        assert_eq!(beyond(&[act(10)], [&giver, &lane(&[stock(4)])].into_iter()), 0);
    }
}
