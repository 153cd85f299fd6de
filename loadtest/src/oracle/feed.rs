//! What the event feed of the sale shows, compared with itself and with what visitors were told. Pure.
//!
//! Of a feed that was read in part everything is still true of the events read; only what is *missing* in it cannot be
//! judged beyond the last event read.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use domain::{Act, HoldId, ItemId, LaneEvent, LineEvent, Lines, Millis, SaleEvent};

use super::History;
use crate::limits::PACE_SETTLES_MS;

/// Something that the event feed shows and that must not be.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum FeedFinding {
    /// I3: a 201 was answered and there is no such booking.
    NoEvent(HoldId),
    /// R1: a 201 named another event than the one that is the booking.
    OtherEvent { id: HoldId, told: (u16, u64), stands: (u16, u64) },
    /// I4: a 410 was answered and there is a booking.
    GoneButBooked { id: HoldId, at: (u16, u64) },
    /// R1: a second event books the same id.
    BookedTwice { id: HoldId, first: (u16, u64), second: (u16, u64) },
    /// I1: more units are booked than the lane has got, or than the sale has where no lane is named.
    Overbooked { item: String, lane: Option<u16>, booked: u64, units: u64 },
    /// I3: events of a log are missing, or come in another order.
    Gap { log: String, after: u64, seq: u64 },
    /// I6: the frontier went back.
    FrontierBack { before: u64, after: u64 },
    /// One pass per ticket: a number was granted again.
    GrantedTwice(u64),
    /// I7: a pass was answered that no event grants.
    NotGranted(u64),
    /// I7: the events of a window grant more passes than the pace allows.
    OverPace { until: Millis, window_ms: u64, passes: u64, allowed: u64 },
}

impl fmt::Display for FeedFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEvent(id) => write!(f, "I3: {id} was confirmed and the event feed has no booking of it"),
            Self::OtherEvent { id, told, stands } => write!(
                f,
                "R1: {id} was confirmed as event {} of lane {}, the event feed has it as event {} of lane {}",
                told.1, told.0, stands.1, stands.0
            ),
            Self::GoneButBooked { id, at: (lane, seq) } => {
                write!(f, "I4: {id} was answered gone and event {seq} of lane {lane} books it")
            }
            Self::BookedTwice { id, first, second } => {
                write!(
                    f,
                    "R1: event {} of lane {} books {id}, and event {} of lane {} again",
                    first.1, first.0, second.1, second.0
                )
            }
            Self::Overbooked { item, lane: Some(lane), booked, units } => {
                write!(f, "I1: the events of lane {lane} book {booked} units of {item}, it has got {units}")
            }
            Self::Overbooked { item, lane: None, booked, units } => {
                write!(f, "I1: the events book {booked} units of {item}, the sale has {units}")
            }
            Self::Gap { log, after, seq } => write!(f, "I3: in {log} event {seq} follows event {after}"),
            Self::FrontierBack { before, after } => {
                write!(f, "I6: the events take the frontier back from {before} to {after}")
            }
            Self::GrantedTwice(number) => write!(f, "number {number} is granted by more than one event"),
            Self::NotGranted(number) => write!(f, "I7: number {number} was given a pass that no event grants"),
            Self::OverPace { until, window_ms, passes, allowed } => {
                write!(
                    f,
                    "I7: the events of the {window_ms} ms up to {until} grant {passes} passes, {allowed} are allowed"
                )
            }
        }
    }
}

impl FeedFinding {
    /// The name in the JSON report.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::NoEvent(_) => "no-event",
            Self::OtherEvent { .. } => "other-event",
            Self::GoneButBooked { .. } => "gone-but-booked",
            Self::BookedTwice { .. } => "booked-twice",
            Self::Overbooked { .. } => "overbooked",
            Self::Gap { .. } => "feed-gap",
            Self::FrontierBack { .. } => "frontier-back",
            Self::GrantedTwice(_) => "granted-twice",
            Self::NotGranted(_) => "not-granted",
            Self::OverPace { .. } => "over-pace",
        }
    }
}

/// A booking: where it stands, and its lines as an index into [`FeedTruth::lines`].
#[derive(Clone, Copy, Debug)]
struct Entry {
    at: (u16, u64),
    lines: u32,
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
    /// Since when which pace holds, passes per minute.
    paces: Vec<(Millis, u64)>,
    frontier: u64,
    granted: HashSet<u64>,
    /// When how many passes were granted, in the order of the log.
    grants: Vec<(Millis, u64)>,
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
            LaneEvent::Booked { id, lines, .. } => self.book((lane, seq), id, lines),
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
            LaneEvent::Refused { .. } => {}
        }
    }

    fn book(&mut self, at: (u16, u64), id: HoldId, lines: Lines) {
        for (item, units) in lines.iter() {
            let sum = self.units.entry((at.0, item.clone())).or_default();
            sum.booked += u64::from(units);
            if sum.booked > sum.got && sum.worst.is_none_or(|(booked, got)| sum.booked - sum.got > booked - got) {
                sum.worst = Some((sum.booked, sum.got));
            }
        }
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
            None => drop(self.booked.insert(id, Entry { at, lines })),
        }
    }

    /// The units are free again; that the booking was there stays true.
    fn cancel(&mut self, lane: u16, id: HoldId) {
        let lines = self.booked.get(&id).and_then(|entry| self.lines.get(entry.lines as usize));
        for (item, units) in lines.into_iter().flat_map(Lines::iter) {
            if let Some(sum) = self.units.get_mut(&(lane, item.clone())) {
                sum.booked = sum.booked.saturating_sub(u64::from(units));
            }
        }
    }

    /// An event of the line.
    pub(crate) fn line(&mut self, event: LineEvent) {
        if event.frontier < self.frontier {
            self.found.push(FeedFinding::FrontierBack { before: self.frontier, after: event.frontier });
        }
        self.frontier = self.frontier.max(event.frontier);
        if !event.granted.is_empty() {
            self.grants.push((event.at, event.granted.len() as u64));
        }
        for number in event.granted {
            if !self.granted.insert(number) {
                self.found.push(FeedFinding::GrantedTwice(number));
            }
        }
    }

    /// An event of the sale.
    pub(crate) fn sale(&mut self, event: SaleEvent) {
        for (item, units) in event.act.stock() {
            *self.given.entry(item).or_default() += units;
        }
        let pace = match event.act {
            Act::Define { doc, .. } => doc.room().map(|room| room.pace_per_minute),
            Act::Pace { per_minute } => Some(per_minute),
            _ => None,
        };
        self.paces.extend(pace.map(|pace| (event.at, u64::from(pace))));
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
        if self.complete {
            let numbers = history.passes.iter().map(|pass| pass.number);
            found.extend(numbers.filter(|number| !self.granted.contains(number)).map(FeedFinding::NotGranted));
        }
        self.overbooked(&mut found);
        found.extend(self.over_pace(1_000, |pace| pace.div_ceil(60)));
        found.extend(self.over_pace(60_000, |pace| pace));
        found
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

    /// The window that is furthest above what the pace at its last event allows. A window is half open, as the meter's.
    fn over_pace(&self, window_ms: u64, allows: impl Fn(u64) -> u64) -> Option<FeedFinding> {
        let (mut first, mut sum) = (0, 0);
        let mut worst: Option<(u64, FeedFinding)> = None;
        for (at, passes) in &self.grants {
            sum += passes;
            while let Some((_, passes)) = self.grants.get(first).filter(|(start, _)| at.since(*start) >= window_ms) {
                sum -= passes;
                first += 1;
            }
            let Some(allowed) = self.pace_at(*at).map(&allows) else { continue };
            let over = sum.saturating_sub(allowed);
            if over > worst.as_ref().map_or(0, |(most, _)| *most) {
                worst = Some((over, FeedFinding::OverPace { until: *at, window_ms, passes: sum, allowed }));
            }
        }
        worst.map(|(_, finding)| finding)
    }

    /// The highest pace that may have been in force: the last one before, and those that came just then.
    fn pace_at(&self, at: Millis) -> Option<u64> {
        let (early, late) = (at.0.saturating_sub(PACE_SETTLES_MS), at.0.saturating_add(PACE_SETTLES_MS));
        let before = self.paces.iter().rfind(|(since, _)| since.0 <= early);
        let during = self.paces.iter().filter(|(since, _)| early < since.0 && since.0 <= late);
        before.into_iter().chain(during).map(|(_, pace)| *pace).max()
    }
}

#[cfg(test)]
mod tests;
