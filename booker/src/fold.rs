//! What a lane's log comes to: the truth that everything else is compared with.
//!
//! Only committed events are applied, in order of their seq. Nothing is ever forgotten: a refused or cancelled id stays
//! known, so that no id gets a second outcome (R1).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use domain::event::WITHDRAWN;
use domain::{Fingerprint, HoldId, HoldState, ItemId, LaneEvent, Lines, Millis, RefuseReason, VisitorHash};

/// Units of one item.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct ItemSum {
    /// Units the lane was given.
    pub allocated: u64,
    /// Units in bookings that were not cancelled.
    pub sold: u64,
}

impl ItemSum {
    /// Units that may still be booked.
    #[must_use]
    pub const fn left(self) -> u64 {
        self.allocated.saturating_sub(self.sold)
    }
}

/// Units of one item that the lane ever gave to and received from other lanes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct MovedSum {
    /// Units given.
    pub given: u64,
    /// Units received.
    pub received: u64,
}

/// What the log decided about an id: a visitor's, or that of a claim for another lane.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decided {
    /// `Sold`, `Refused` or `Cancelled`.
    pub state: HoldState,
    /// Seq of the last event of the id: the one that put it into this state.
    pub seq: u64,
    /// Time of that event.
    pub at: Millis,
    /// Whose it is; what stands for the other lane where units were given to one.
    pub visitor: VisitorHash,
    /// Units booked or given; empty when refused. Equal lines share one allocation.
    pub lines: Arc<Lines>,
    /// What the booking was asked for; absent without one.
    pub fp: Option<Fingerprint>,
    /// Number of the pass it was booked with.
    pub pass: Option<u64>,
    /// Seq and time of `Booked`; absent without one.
    pub booked: Option<(u64, Millis)>,
    /// Why it was refused.
    pub why: Option<RefuseReason>,
}

/// What a visitor has in the lane.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct VisitorSum {
    /// Units in bookings that were not cancelled.
    pub units: u64,
    /// Every booking, cancelled ones too, in order of the log.
    pub bookings: Vec<HoldId>,
    /// Highest number of a pass that booked. A cancelled booking does not give its pass back.
    pub done: Option<u64>,
}

/// A log that says what no committer may write. The lane stops: going on would build on sand.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadLog {
    /// An event is missing or came twice.
    #[error("event {expected} was expected and {got} came")]
    Gap {
        /// Seq that was to come.
        expected: u64,
        /// Seq that came.
        got: u64,
    },
    /// An id got an outcome that may not follow the one it has (R1).
    #[error("event {seq} gives {id} an outcome that may not follow the one it has")]
    SecondOutcome {
        /// Seq of the event.
        seq: u64,
        /// The id.
        id: HoldId,
    },
    /// More units of an item are sold than were allocated (I1).
    #[error("event {seq} sells more units of {item} than there are")]
    Oversold {
        /// Seq of the event.
        seq: u64,
        /// The item.
        item: ItemId,
    },
    /// The same stock, or the same units of another lane, were added twice.
    #[error("event {seq} adds the stock of {from} again")]
    StockTwice {
        /// Seq of the event.
        seq: u64,
        /// Where the stock came from.
        from: String,
    },
}

/// The fold of one lane's log.
#[derive(Clone, Default, Debug)]
pub struct LaneFold {
    head: u64,
    last_at: Millis,
    items: BTreeMap<ItemId, ItemSum>,
    visitors: HashMap<VisitorHash, VisitorSum>,
    decided: HashMap<HoldId, Decided>,
    from: HashSet<String>,
    moved: BTreeMap<ItemId, MovedSum>,
    /// Lane and seq of everything given, in order of the log.
    given: Vec<(u16, u64)>,
    /// Passes that booked, in order of the log: what a take-over reports.
    passes: Vec<u64>,
    /// The same, for the question whether one did.
    used: HashSet<u64>,
    /// One allocation per different content: a hot sale has few, and a map of its own costs more than the rest of a record.
    known_lines: HashSet<Arc<Lines>>,
}

impl LaneFold {
    /// Applies the next event.
    ///
    /// # Errors
    /// [`BadLog`] when the log contradicts itself. Nothing of the event is applied then.
    pub fn apply(&mut self, seq: u64, event: &LaneEvent) -> Result<(), BadLog> {
        if seq != self.head + 1 {
            return Err(BadLog::Gap { expected: self.head + 1, got: seq });
        }
        let at = match event {
            LaneEvent::Booked { id, visitor, lines, fp, pass, at } => {
                self.fits(seq, *id, lines)?;
                self.book(seq, *id, Booked { visitor: *visitor, lines, fp: *fp, pass: *pass, at: *at });
                *at
            }
            LaneEvent::Refused { id, visitor, why, at } => {
                self.unknown(seq, *id)?;
                self.decided.insert(*id, refused(seq, *visitor, *why, *at));
                *at
            }
            LaneEvent::Cancelled { id, at } => {
                self.cancel(seq, *id, *at)?;
                *at
            }
            LaneEvent::Stock { from, lines, at } => {
                if !self.from.insert(from.clone()) {
                    return Err(BadLog::StockTwice { seq, from: from.clone() });
                }
                for (item, units) in lines {
                    self.items.entry(item.clone()).or_default().allocated += units;
                }
                *at
            }
            LaneEvent::TransferOut { id, to, lines, at } => {
                self.fits(seq, *id, lines)?;
                self.give(seq, (*id, *to), lines, *at);
                *at
            }
            LaneEvent::TransferIn { from, lines, at } => {
                if !self.from.insert(from.clone()) {
                    return Err(BadLog::StockTwice { seq, from: from.clone() });
                }
                for (item, units) in lines.iter() {
                    self.items.entry(item.clone()).or_default().allocated += u64::from(units);
                    self.moved.entry(item.clone()).or_default().received += u64::from(units);
                }
                *at
            }
        };
        self.head = seq;
        self.last_at = self.last_at.max(at);
        Ok(())
    }

    fn unknown(&self, seq: u64, id: HoldId) -> Result<(), BadLog> {
        if self.decided.contains_key(&id) { Err(BadLog::SecondOutcome { seq, id }) } else { Ok(()) }
    }

    fn fits(&self, seq: u64, id: HoldId, lines: &Lines) -> Result<(), BadLog> {
        self.unknown(seq, id)?;
        for (item, units) in lines.iter() {
            if self.item(item).left() < u64::from(units) && crate::decide::checks_allocation() {
                return Err(BadLog::Oversold { seq, item: item.clone() });
            }
        }
        Ok(())
    }

    fn book(&mut self, seq: u64, id: HoldId, booked: Booked<'_>) {
        for (item, units) in booked.lines.iter() {
            if let Some(sum) = self.items.get_mut(item) {
                sum.sold += u64::from(units);
            }
        }
        let visitor = self.visitors.entry(booked.visitor).or_default();
        visitor.units += booked.lines.units();
        visitor.bookings.push(id);
        visitor.done = visitor.done.max(booked.pass);
        self.passes.extend(booked.pass);
        self.used.extend(booked.pass);
        let decided = Decided {
            state: HoldState::Sold,
            seq,
            at: booked.at,
            visitor: booked.visitor,
            lines: self.share(booked.lines),
            fp: Some(booked.fp),
            pass: booked.pass,
            booked: Some((seq, booked.at)),
            why: None,
        };
        self.decided.insert(id, decided);
    }

    fn give(&mut self, seq: u64, (id, to): (HoldId, u16), lines: &Lines, at: Millis) {
        for (item, units) in lines.iter() {
            if let Some(sum) = self.items.get_mut(item) {
                sum.allocated = sum.allocated.saturating_sub(u64::from(units));
            }
            if to != WITHDRAWN {
                self.moved.entry(item.clone()).or_default().given += u64::from(units);
            }
        }
        self.given.push((to, seq));
        let decided = Decided {
            state: HoldState::Sold,
            seq,
            at,
            visitor: VisitorHash::for_lane(to),
            lines: self.share(lines),
            fp: None,
            pass: None,
            booked: None,
            why: None,
        };
        self.decided.insert(id, decided);
    }

    fn cancel(&mut self, seq: u64, id: HoldId, at: Millis) -> Result<(), BadLog> {
        let Some(decided) = self.decided.get_mut(&id).filter(|d| d.state == HoldState::Sold && d.booked.is_some())
        else {
            return Err(BadLog::SecondOutcome { seq, id });
        };
        (decided.state, decided.seq, decided.at) = (HoldState::Cancelled, seq, at);
        for (item, units) in decided.lines.iter() {
            if let Some(sum) = self.items.get_mut(item) {
                sum.sold = sum.sold.saturating_sub(u64::from(units));
            }
        }
        if let Some(visitor) = self.visitors.get_mut(&decided.visitor) {
            visitor.units = visitor.units.saturating_sub(decided.lines.units());
        }
        Ok(())
    }

    fn share(&mut self, lines: &Lines) -> Arc<Lines> {
        if let Some(known) = self.known_lines.get(lines) {
            return known.clone();
        }
        let new = Arc::new(lines.clone());
        self.known_lines.insert(new.clone());
        new
    }

    /// Seq of the last event applied; 0 when there was none.
    #[must_use]
    pub const fn head(&self) -> u64 {
        self.head
    }

    /// The latest time in the log: entries do not go back when a clock does.
    #[must_use]
    pub const fn last_at(&self) -> Millis {
        self.last_at
    }

    /// The item's sums; zeros for an item the lane does not have.
    #[must_use]
    pub fn item(&self, item: &ItemId) -> ItemSum {
        self.items.get(item).copied().unwrap_or_default()
    }

    /// Every item the lane was given stock of.
    #[must_use]
    pub const fn items(&self) -> &BTreeMap<ItemId, ItemSum> {
        &self.items
    }

    /// What was decided about the id.
    #[must_use]
    pub fn decided(&self, id: &HoldId) -> Option<&Decided> {
        self.decided.get(id)
    }

    /// Every decided id, in no order.
    pub fn all_decided(&self) -> impl ExactSizeIterator<Item = (&HoldId, &Decided)> {
        self.decided.iter()
    }

    /// What the visitor has.
    #[must_use]
    pub fn visitor(&self, visitor: &VisitorHash) -> Option<&VisitorSum> {
        self.visitors.get(visitor)
    }

    /// Every visitor that ever booked, in no order.
    pub fn visitors(&self) -> impl ExactSizeIterator<Item = (&VisitorHash, &VisitorSum)> {
        self.visitors.iter()
    }

    /// What went to and came from other lanes, of items where anything did.
    #[must_use]
    pub const fn moved(&self) -> &BTreeMap<ItemId, MovedSum> {
        &self.moved
    }

    /// Seqs behind `after` of the events that gave units to lane `to`, rising.
    pub fn given_to(&self, to: u16, after: u64) -> impl Iterator<Item = u64> {
        let begin = self.given.partition_point(|(_, seq)| *seq <= after);
        let given = self.given.get(begin..).unwrap_or_default();
        given.iter().filter(move |(lane, _)| *lane == to).map(|(_, seq)| *seq)
    }

    /// Whether stock, or another lane's units, from there is in the log.
    #[must_use]
    pub fn has_stock_from(&self, from: &str) -> bool {
        self.from.contains(from)
    }

    /// Whether a hold of this pass was booked, also when that was cancelled since.
    #[must_use]
    pub fn has_booked(&self, pass: u64) -> bool {
        self.used.contains(&pass)
    }

    /// Numbers of the passes that booked, in order of the log.
    #[must_use]
    pub fn passes(&self) -> &[u64] {
        &self.passes
    }
}

/// The fields of `LaneEvent::Booked` beside its id.
#[derive(Clone, Copy)]
struct Booked<'a> {
    visitor: VisitorHash,
    lines: &'a Lines,
    fp: Fingerprint,
    pass: Option<u64>,
    at: Millis,
}

fn refused(seq: u64, visitor: VisitorHash, why: RefuseReason, at: Millis) -> Decided {
    Decided {
        state: HoldState::Refused,
        seq,
        at,
        visitor,
        lines: Arc::default(),
        fp: None,
        pass: None,
        booked: None,
        why: Some(why),
    }
}
