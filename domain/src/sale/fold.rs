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
}

/// A sale as its log says it is.
#[derive(Clone, PartialEq, Debug)]
pub struct SaleFold {
    /// Seq of the last event folded.
    pub seq: u64,
    /// Seq of the last `Define`: the revision that `If-Match` compares.
    pub revision: u64,
    /// The document as of that revision.
    pub doc: Arc<SaleDoc>,
    /// When it was opened by hand, the first time.
    pub opened: Option<Millis>,
    /// When it was closed by hand, the first time. Final.
    pub closed: Option<Millis>,
    /// All stock that was ever added, in order.
    pub stock: Vec<StockAct>,
}

impl SaleFold {
    /// The fold of a log's first event.
    ///
    /// # Errors
    /// [`BadFold::NotDefined`] when it is no `Define`.
    pub fn begin(seq: u64, event: &SaleEvent) -> Result<Self, BadFold> {
        let Act::Define { doc, stock } = &event.act else { return Err(BadFold::NotDefined(seq)) };
        let mut fold =
            Self { seq, revision: seq, doc: Arc::new((**doc).clone()), opened: None, closed: None, stock: Vec::new() };
        fold.add(seq, stock);
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
            Act::Define { doc, stock } => {
                self.revision = seq;
                self.doc = Arc::new((**doc).clone());
                self.add(seq, stock);
            }
            Act::Open => self.opened = self.opened.or(Some(event.at)),
            Act::Close => self.closed = self.closed.or(Some(event.at)),
        }
        self.seq = seq;
        Ok(())
    }

    fn add(&mut self, seq: u64, stock: &BTreeMap<ItemId, u64>) {
        if !stock.is_empty() {
            self.stock.push(StockAct { seq, lines: stock.clone() });
        }
    }

    /// Whether the sale lets anybody book at `now`. A close by hand is final; an open by hand holds until a close.
    #[must_use]
    pub fn phase(&self, now: Millis) -> Phase {
        if self.closed.is_some() || self.doc.closes_at.is_some_and(|at| at <= now) {
            Phase::Closed
        } else if self.opened.is_some() || self.doc.opens_at.is_some_and(|at| at <= now) {
            Phase::Open
        } else {
            Phase::Scheduled
        }
    }
}
