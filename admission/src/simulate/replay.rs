//! A recorded sale as visitors: what people did under the settings of then, played again under others.
//!
//! The record is the event feed (`GET /admin/v1/sales/{sale}/events`). What it does not say is assumed to the careful side:
//! somebody joined when the block of the number was taken from the log, which is before the real moment; people who were
//! never called are left out; who never got a pass is taken not to come when called (how many more would have come is not known); the time from hold to booking is
//! half of the time from pass to booking.

use std::collections::BTreeSet;

use domain::event::Event as _;
use domain::{Act, LaneEvent, LineEvent, Millis, SaleDoc, SaleEvent};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::visitors::Visitor;
use super::world::Sale;
use crate::step::Settings;

/// What a record says.
#[derive(Clone, PartialEq, Debug)]
pub struct Recorded {
    /// The sale as it was defined last, with its settings.
    pub sale: Sale,
    /// Everybody who got a number, in order.
    pub visitors: Vec<Visitor>,
    /// Passes that were granted.
    pub passes: u64,
    /// Units that were booked.
    pub sold: u64,
}

/// A record that cannot be played.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRecord {
    /// A line is no line of the feed.
    #[error("line {line}: {why}")]
    Line {
        /// Its number, from 1 on.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// The definition of the sale is missing: the record does not begin at the beginning.
    #[error("the sale's definition is missing: record the feed from its beginning")]
    NoSale,
    /// The sale has no waiting room.
    #[error("the sale has no waiting room")]
    NoRoom,
    /// Nobody was called.
    #[error("nobody was called in this record")]
    Nobody,
}

/// People of one record: a damaged number must not take all memory.
const MOST_PEOPLE: usize = 50_000_000;

#[derive(Deserialize)]
struct Entry<'a> {
    log: Option<String>,
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    next: Option<String>,
}

#[derive(Default)]
struct Reader {
    doc: Option<SaleDoc>,
    from: Option<Millis>,
    /// Up to which number blocks were taken, and when.
    blocks: Vec<(u64, Millis)>,
    /// Everybody who was called, by number.
    people: Vec<Person>,
    /// Numbers that booked.
    booked: BTreeSet<u64>,
    bookings: u64,
    sold: u64,
}

#[derive(Clone, Copy, Default)]
struct Person {
    called: Millis,
    granted: Option<Millis>,
    ended: Option<Millis>,
}

impl Recorded {
    /// Reads a record: the feed's pages one after the other, in the order they were fetched.
    ///
    /// # Errors
    /// [`BadRecord`].
    pub fn read<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<Self, BadRecord> {
        let mut reader = Reader::default();
        for (n, line) in lines.into_iter().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            reader.line(line).map_err(|why| BadRecord::Line { line: n + 1, why })?;
        }
        reader.finish()
    }
}

impl Reader {
    fn line(&mut self, text: &str) -> Result<(), String> {
        let entry: Entry<'_> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let (log, event) = match (entry.log, entry.event, entry.next) {
            (Some(log), Some(event), _) => (log, event.get()),
            (None, None, Some(_)) => return Ok(()),
            _ => return Err("must have log and event, or next".to_owned()),
        };
        let wrong = |error: domain::event::BadEvent| error.to_string();
        match log.split('/').next() {
            Some("sale") => {
                if let Act::Define { doc, .. } = SaleEvent::decode(event).map_err(wrong)?.act {
                    self.doc = Some(*doc);
                }
            }
            Some("line") => self.entry(&LineEvent::decode(event).map_err(wrong)?),
            Some("lane") => self.lane(&LaneEvent::decode(event).map_err(wrong)?),
            _ => {}
        }
        Ok(())
    }

    fn entry(&mut self, event: &LineEvent) {
        self.from.get_or_insert(event.at);
        if self.blocks.last().is_none_or(|(to, _)| *to < event.numbers_to) {
            self.blocks.push((event.numbers_to, event.at));
        }
        let called = usize::try_from(event.frontier).unwrap_or(usize::MAX).min(MOST_PEOPLE);
        if self.people.len() < called {
            self.people.resize(called, Person { called: event.at, ..Person::default() });
        }
        event.granted.iter().for_each(|number| self.person(*number, |person| person.granted = Some(event.at)));
        event.ended.iter().for_each(|number| self.person(*number, |person| person.ended = Some(event.at)));
    }

    fn lane(&mut self, event: &LaneEvent) {
        if let LaneEvent::Booked { pass, lines, .. } = event {
            self.sold += lines.units();
            self.bookings += 1;
            self.booked.extend(pass);
        }
    }

    fn person(&mut self, number: u64, change: impl FnOnce(&mut Person)) {
        let at = usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
        if let Some(person) = self.people.get_mut(at) {
            change(person);
        }
    }

    fn finish(self) -> Result<Recorded, BadRecord> {
        let doc = self.doc.as_ref().ok_or(BadRecord::NoSale)?;
        let room = doc.room().ok_or(BadRecord::NoRoom)?;
        let from = self.from.filter(|_| !self.people.is_empty()).ok_or(BadRecord::Nobody)?;
        let sale = Sale {
            units: self.bookable(doc.items.iter().map(|item| item.units).sum()),
            settings: Settings::of(room, doc.units_per_visitor),
            pass_ttl_ms: room.pass_ttl_ms,
            claim_grace_ms: room.claim_grace_ms,
            hold_ttl_ms: doc.hold.ttl_ms,
            faults: Vec::new(),
            most_ms: 24 * 3_600_000,
        };
        let visitor = |(n, person): (usize, &Person)| self.visitor(n as u64 + 1, person, from, sale.pass_ttl_ms);
        let visitors: Vec<Visitor> = self.people.iter().enumerate().map(visitor).collect();
        let passes = self.people.iter().filter(|person| person.granted.is_some()).count() as u64;
        Ok(Recorded { sale, visitors, passes, sold: self.sold })
    }

    /// A visitor of the simulation takes one unit: units are counted in bookings of the recorded size.
    fn bookable(&self, units: u64) -> u64 {
        if self.sold == 0 {
            units
        } else {
            u64::try_from(u128::from(units) * u128::from(self.bookings) / u128::from(self.sold)).unwrap_or(units)
        }
    }

    fn joined(&self, number: u64) -> Millis {
        let block = self.blocks.partition_point(|(to, _)| *to < number);
        self.blocks.get(block).map_or(Millis(0), |(_, at)| *at)
    }

    fn visitor(&self, number: u64, person: &Person, from: Millis, pass_ttl_ms: u64) -> Visitor {
        let granted = person.granted.unwrap_or(person.called);
        let stay = person.ended.map_or(pass_ttl_ms, |ended| ended.since(granted));
        let wants = self.booked.contains(&number);
        Visitor {
            joins: Millis(self.joined(number).since(from)),
            patient_until: Millis(u64::MAX),
            no_show: person.granted.is_none(),
            react_ms: granted.since(person.called),
            look_ms: if wants { stay / 2 } else { stay },
            pay_ms: stay - stay / 2,
            wants,
            lapses: false,
        }
    }
}
