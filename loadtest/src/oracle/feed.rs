//! What the event feed of the sale shows, compared with itself and with what visitors were told. Pure.
//!
//! Of a feed that was read in part everything is still true of the events read; only what is *missing* in it cannot be
//! judged beyond the last event read.

mod finding;
mod line;

use std::collections::{BTreeMap, HashMap, HashSet};

use domain::{Act, HoldId, ItemId, LaneEvent, Lines, SaleEvent, VisitorHash};

pub(crate) use finding::FeedFinding;
use line::LineTruth;

use super::History;

/// A booking: where it stands, and its lines as an index into [`FeedTruth::lines`].
#[derive(Clone, Copy, Debug)]
struct Entry {
    at: (u16, u64),
    lines: u32,
    visitor: VisitorHash,
}

/// Units of one item in one lane.
#[derive(Clone, Copy, Default, Debug)]
struct Units {
    got: u64,
    booked: u64,
    /// The most that were ever booked above what the lane had got, as (booked, got).
    worst: Option<(u64, u64)>,
}

/// The feed, folded event by event.
#[derive(Clone, Default, Debug)]
pub(crate) struct FeedTruth {
    /// Whether it was read to its end.
    pub(crate) complete: bool,
    found: Vec<FeedFinding>,
    /// The last event read of each log.
    heads: BTreeMap<String, u64>,
    lanes: BTreeMap<u16, u64>,
    booked: HashMap<HoldId, Entry>,
    /// Different lines there are; most bookings share theirs with others.
    lines: Vec<Lines>,
    kinds: HashMap<Lines, u32>,
    units: BTreeMap<(u16, ItemId), Units>,
    /// Units of the sale.
    given: BTreeMap<ItemId, u64>,
    /// Ids whose confirm was refused.
    refused: HashSet<HoldId>,
    /// The highest limit that the sale had; none when it had none at any time.
    limit: Option<u64>,
    defined: bool,
    /// Units of every visitor, by bookings that stand.
    visitors: HashMap<VisitorHash, u64>,
    pub(crate) line: LineTruth,
}

impl FeedTruth {
    /// Notes that an event of a log was read: each log is whole and in order.
    pub(crate) fn follows(&mut self, log: &str, seq: u64) {
        let Some(head) = self.heads.get_mut(log) else {
            if seq != 1 {
                self.found.push(FeedFinding::Gap { log: log.to_owned(), after: 0, seq });
            }
            self.heads.insert(log.to_owned(), seq);
            return;
        };
        if seq != *head + 1 {
            self.found.push(FeedFinding::Gap { log: log.to_owned(), after: *head, seq });
        }
        *head = seq;
    }

    /// An event of a lane.
    pub(crate) fn lane(&mut self, lane: u16, seq: u64, event: LaneEvent) {
        self.lanes.insert(lane, seq);
        match event {
            LaneEvent::Booked { id, lines, visitor, .. } => self.book((lane, seq), id, lines, visitor),
            LaneEvent::Cancelled { id, .. } => self.cancel(lane, id),
            LaneEvent::Stock { lines, .. } => {
                for (item, units) in lines {
                    self.units.entry((lane, item)).or_default().got += units;
                }
            }
            LaneEvent::TransferIn { lines, .. } => {
                for (item, units) in lines.iter() {
                    self.units.entry((lane, item.clone())).or_default().got += u64::from(units);
                }
            }
            LaneEvent::TransferOut { lines, .. } => {
                for (item, units) in lines.iter() {
                    let sum = self.units.entry((lane, item.clone())).or_default();
                    sum.got = sum.got.saturating_sub(u64::from(units));
                }
            }
            LaneEvent::Refused { id, .. } => drop(self.refused.insert(id)),
        }
    }

    fn book(&mut self, at: (u16, u64), id: HoldId, lines: Lines, visitor: VisitorHash) {
        for (item, units) in lines.iter() {
            let sum = self.units.entry((at.0, item.clone())).or_default();
            sum.booked += u64::from(units);
            if sum.booked > sum.got && sum.worst.is_none_or(|(booked, got)| sum.booked - sum.got > booked - got) {
                sum.worst = Some((sum.booked, sum.got));
            }
        }
        let sum = lines.iter().map(|(_, units)| u64::from(units)).sum::<u64>();
        let next = u32::try_from(self.lines.len()).unwrap_or(u32::MAX);
        let lines = match self.kinds.get(&lines) {
            Some(known) => *known,
            None => {
                self.lines.push(lines.clone());
                self.kinds.insert(lines, next);
                next
            }
        };
        match self.booked.get(&id) {
            Some(first) => self.found.push(FeedFinding::BookedTwice { id, first: first.at, second: at }),
            None => {
                self.booked.insert(id, Entry { at, lines, visitor });
                let units = self.visitors.entry(visitor).or_default();
                *units += sum;
                if let Some(limit) = self.limit.filter(|limit| *units > *limit) {
                    self.found.push(FeedFinding::VisitorOverLimit { id, units: *units, limit });
                }
            }
        }
    }

    /// The units are free again; that the booking was there stays true.
    fn cancel(&mut self, lane: u16, id: HoldId) {
        let entry = self.booked.get(&id);
        let lines = entry.and_then(|entry| self.lines.get(entry.lines as usize));
        let mut visitor = entry.and_then(|entry| self.visitors.get_mut(&entry.visitor));
        for (item, units) in lines.into_iter().flat_map(Lines::iter) {
            if let Some(sum) = self.units.get_mut(&(lane, item.clone())) {
                sum.booked = sum.booked.saturating_sub(u64::from(units));
            }
            if let Some(of_visitor) = &mut visitor {
                **of_visitor = of_visitor.saturating_sub(u64::from(units));
            }
        }
    }

    /// An event of the sale.
    pub(crate) fn sale(&mut self, event: SaleEvent) {
        for (item, units) in event.act.stock() {
            *self.given.entry(item).or_default() += units;
        }
        if let Act::Define { doc, .. } = &event.act {
            let limit = doc.units_per_visitor.map(u64::from);
            self.limit = if self.defined { self.limit.zip(limit).map(|(one, other)| one.max(other)) } else { limit };
            self.defined = true;
        }
        self.line.act(event.at, event.act);
    }

    /// Everything that must not be, about the feed itself and about what visitors were told.
    pub(crate) fn judge(&self, history: &History) -> Vec<FeedFinding> {
        let mut found = self.found.clone();
        for seen in &history.booked {
            match (self.booked.get(&seen.id), seen.at) {
                (Some(entry), Some(told)) if told != entry.at => {
                    found.push(FeedFinding::OtherEvent { id: seen.id, told, stands: entry.at });
                }
                (Some(_), _) => {}
                (None, at) if self.read_to(at) => found.push(FeedFinding::NoEvent(seen.id)),
                (None, _) => {}
            }
        }
        for id in &history.gone {
            if let Some(entry) = self.booked.get(id) {
                found.push(FeedFinding::GoneButBooked { id: *id, at: entry.at });
            }
        }
        self.overbooked(&mut found);
        self.line.judge(history, self.complete, &mut found);
        found
    }

    /// Whether the ledger says why a hold is gone: it was refused, or booked.
    pub(super) fn says_why(&self, id: &HoldId) -> bool {
        self.refused.contains(id) || self.booked.contains_key(id)
    }

    /// Units of an item that nobody has booked, and the lanes that may have them.
    pub(super) fn left(&self, item: &str) -> (u64, u64) {
        let of_item = || self.units.iter().filter(|((_, of), _)| of.as_str() == item).map(|(_, units)| units);
        (of_item().map(|units| units.got.saturating_sub(units.booked)).sum(), of_item().count() as u64)
    }

    /// Whether an event at this place would have been read.
    fn read_to(&self, at: Option<(u16, u64)>) -> bool {
        self.complete || at.is_some_and(|(lane, seq)| self.lanes.get(&lane).is_some_and(|head| seq <= *head))
    }

    fn overbooked(&self, found: &mut Vec<FeedFinding>) {
        let mut sums: BTreeMap<&ItemId, u64> = BTreeMap::new();
        for ((lane, item), units) in &self.units {
            *sums.entry(item).or_default() += units.booked;
            if let Some((booked, units)) = units.worst {
                let item = item.as_str().to_owned();
                found.push(FeedFinding::Overbooked { item, lane: Some(*lane), booked, units });
            }
        }
        for (item, booked) in sums {
            let units = self.given.get(item).copied().unwrap_or(0);
            if booked > units {
                found.push(FeedFinding::Overbooked { item: item.as_str().to_owned(), lane: None, booked, units });
            }
        }
    }
}

#[cfg(test)]
mod tests;
