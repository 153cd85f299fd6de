//! What a sale's log makes of the sale.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::SaleDoc;
use crate::event::{Act, SaleEvent};
use crate::id::ItemId;
use crate::time::Millis;

/// Whether a sale lets anybody book.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Phase {
    /// Not open yet.
    Scheduled,
    /// Open.
    Open,
    /// Open, and stopped by the operator for the moment.
    Paused,
    /// Over.
    Closed,
}

impl Phase {
    /// The name in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Open => "open",
            Self::Paused => "paused",
            Self::Closed => "closed",
        }
    }
}

/// Units that one act added to the sale; the lanes pull them from here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StockAct {
    /// Seq of the act in the sale's log.
    pub seq: u64,
    /// Units added per item.
    pub lines: BTreeMap<ItemId, u64>,
    /// The Idempotency-Key it was asked for with; empty: it came with the document.
    pub key: String,
}

/// Units that an operator withdrew, or is about to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Withdrawal {
    /// Seq of the act in the sale's log.
    pub seq: u64,
    /// When it was recorded.
    pub at: Millis,
    /// Of which item.
    pub item: ItemId,
    /// Units that were to leave.
    pub units: u64,
    /// The Idempotency-Key it was asked for with.
    pub key: String,
    /// Units that have left; `None`: not all lanes have said.
    pub left: Option<u64>,
}

/// An event that cannot follow what was folded so far: the log is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadFold {
    /// The first event of a sale's log defines it.
    #[error("event {0} stands before the sale is defined")]
    NotDefined(u64),
    /// An event is missing or came twice.
    #[error("event {found} came where {expected} was expected")]
    OutOfOrder {
        /// The next seq.
        expected: u64,
        /// The seq that came.
        found: u64,
    },
    /// The document is that of another sale.
    #[error("event {0} defines another sale")]
    AnotherSale(u64),
    /// The act is about an item or a waiting room that the sale has not got.
    #[error("event {0} changes what the sale has not got")]
    Nothing(u64),
}

/// A sale as its log says it is.
#[derive(Clone, PartialEq, Debug)]
pub struct SaleFold {
    /// Seq of the last event folded.
    pub seq: u64,
    /// Seq of the last act that changed the document: the revision that `If-Match` compares.
    pub revision: u64,
    /// The document as of that revision.
    pub doc: Arc<SaleDoc>,
    /// When it was opened by hand, the first time.
    pub opened: Option<Millis>,
    /// When it was closed by hand, the first time. Final.
    pub closed: Option<Millis>,
    /// What visitors are told while it is paused; `None`: it is not.
    pub paused: Option<String>,
    /// When it last went on after a pause, and in how many milliseconds the pace grows to its full height.
    pub resumed: Option<(Millis, u64)>,
    /// All withdrawals, in order.
    pub withdrawals: Vec<Withdrawal>,
    /// New visitors may join the line.
    pub joining: bool,
    /// Everybody is called whom the stock can serve.
    pub let_through: bool,
    /// All stock that was ever added, in order.
    pub stock: Vec<StockAct>,
}

impl SaleFold {
    /// The fold of a log's first event.
    ///
    /// # Errors
    /// [`BadFold::NotDefined`] when it is no `Define`.
    pub fn begin(seq: u64, event: &SaleEvent) -> Result<Self, BadFold> {
        let Act::Define { doc, .. } = &event.act else { return Err(BadFold::NotDefined(seq)) };
        let mut fold = Self {
            seq,
            revision: seq,
            doc: Arc::new((**doc).clone()),
            opened: None,
            closed: None,
            paused: None,
            resumed: None,
            withdrawals: Vec::new(),
            joining: true,
            let_through: false,
            stock: Vec::new(),
        };
        fold.add(seq, &event.act);
        Ok(fold)
    }

    /// Folds the next event.
    ///
    /// # Errors
    /// [`BadFold`], and nothing is changed.
    pub fn apply(&mut self, seq: u64, event: &SaleEvent) -> Result<(), BadFold> {
        let expected = self.seq + 1;
        if seq != expected {
            return Err(BadFold::OutOfOrder { expected, found: seq });
        }
        match &event.act {
            Act::Define { doc, .. } if doc.id != self.doc.id => return Err(BadFold::AnotherSale(seq)),
            Act::Define { doc, .. } => {
                self.revision = seq;
                self.doc = Arc::new((**doc).clone());
            }
            Act::Pace { per_minute } => self.change(seq, |doc| {
                doc.room_mut()?.pace_per_minute = *per_minute;
                Some(())
            })?,
            Act::Cap { active_passes } => self.change(seq, |doc| {
                doc.room_mut()?.active_passes = *active_passes;
                Some(())
            })?,
            Act::Stock { item, units, .. } => self.change(seq, |doc| {
                let item = doc.item_mut(item)?;
                item.units = item.units.checked_add(*units)?;
                Some(())
            })?,
            Act::Open => self.opened = self.opened.or(Some(event.at)),
            Act::Pause { message } => self.paused = Some(message.clone()),
            Act::Resume { ramp_ms } => {
                self.paused = None;
                self.resumed = Some((event.at, *ramp_ms));
            }
            Act::Withdraw { item, units, key } => {
                self.doc.item(item).ok_or(BadFold::Nothing(seq))?;
                let (item, key) = (item.clone(), key.clone());
                self.withdrawals.push(Withdrawal { seq, at: event.at, item, units: *units, key, left: None });
            }
            Act::Withdrawn { of, units } => self.withdrawn(seq, *of, *units)?,
            Act::Joining { open } => self.joining = *open,
            Act::LetThrough { on } => self.let_through = *on,
            Act::Close => self.closed = self.closed.or(Some(event.at)),
        }
        self.add(seq, &event.act);
        self.seq = seq;
        Ok(())
    }

    /// Changes the document; `None` from `how`: there is nothing that could be changed so.
    fn change(&mut self, seq: u64, how: impl FnOnce(&mut SaleDoc) -> Option<()>) -> Result<(), BadFold> {
        let mut doc = (*self.doc).clone();
        how(&mut doc).ok_or(BadFold::Nothing(seq))?;
        self.revision = seq;
        self.doc = Arc::new(doc);
        Ok(())
    }

    /// The last withdrawal, while not all lanes have said what they gave. There is one at a time.
    #[must_use]
    pub fn withdrawing(&self) -> Option<&Withdrawal> {
        self.withdrawals.last().filter(|last| last.left.is_none())
    }

    fn withdrawn(&mut self, seq: u64, of: u64, units: u64) -> Result<(), BadFold> {
        let open = self.withdrawing().filter(|open| open.seq == of && units <= open.units);
        let item = open.ok_or(BadFold::Nothing(seq))?.item.clone();
        if units > 0 {
            self.change(seq, |doc| {
                let item = doc.item_mut(&item)?;
                item.units = item.units.checked_sub(units)?;
                Some(())
            })?;
        }
        if let Some(open) = self.withdrawals.last_mut() {
            open.left = Some(units);
        }
        Ok(())
    }

    fn add(&mut self, seq: u64, act: &Act) {
        let lines = act.stock();
        if !lines.is_empty() {
            let key = if let Act::Stock { key, .. } = act { key.clone() } else { String::new() };
            self.stock.push(StockAct { seq, lines, key });
        }
    }

    /// Whether the sale lets anybody book at `now`. A close by hand is final; an open by hand holds until a close.
    #[must_use]
    pub fn phase(&self, now: Millis) -> Phase {
        if self.closed.is_some() || self.doc.closes_at.is_some_and(|at| at <= now) {
            Phase::Closed
        } else if self.opened.is_some() || self.doc.opens_at.is_some_and(|at| at <= now) {
            if self.paused.is_some() { Phase::Paused } else { Phase::Open }
        } else {
            Phase::Scheduled
        }
    }
}
