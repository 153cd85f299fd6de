//! The scripts in Rust: same requests, same replies, same state afterwards.
//!
//! Property tests compare every script with it on a real server; the booker's model checker runs it in place of Redis.
//! It is written from the protocol's rules, one request at a time, without the scripts' batching.

mod give;
mod hold;
mod intent;
mod line;
mod load;
mod settle;

use std::collections::{BTreeMap, BTreeSet};

use domain::{HoldId, ItemId, Lines, VisitorHash};

pub use line::LineModel;

use crate::error::CallError;
use crate::lane::{ItemStock, LaneState, Record, VisitorCounts};

/// An undecided intent, as the set in Redis has it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Intent {
    /// A confirm.
    Confirm(HoldId),
    /// A cancel.
    Cancel(HoldId),
}

/// A lane as Redis has it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct LaneModel {
    /// Whether it is there.
    pub state: LaneState,
    /// Free and live units per item.
    pub items: BTreeMap<ItemId, ItemStock>,
    /// Records by id.
    pub holds: BTreeMap<HoldId, Record>,
    /// When the reaper looks at an id, milliseconds.
    pub due: BTreeMap<HoldId, u64>,
    /// Counters by visitor.
    pub visitors: BTreeMap<VisitorHash, VisitorCounts>,
    /// Undecided intents.
    pub confirming: BTreeSet<Intent>,
}

impl LaneModel {
    /// Epoch and settled seq of a lane in service.
    pub(crate) fn in_service(&self) -> Result<(u64, u64), CallError> {
        match self.state {
            LaneState::Loaded { epoch, settled } => Ok((epoch, settled)),
            _ => Err(CallError::NotLoaded),
        }
    }

    /// Units that live records claim, per item: what `live` must say.
    #[must_use]
    pub fn claimed(&self) -> BTreeMap<ItemId, i64> {
        let mut claimed: BTreeMap<ItemId, i64> = self.items.keys().map(|item| (item.clone(), 0)).collect();
        for record in self.holds.values().filter(|record| record.state.is_live()) {
            for (item, units) in record.lines.iter() {
                *claimed.entry(item.clone()).or_default() += i64::from(units);
            }
        }
        claimed
    }

    fn change(&mut self, visitor: &VisitorHash, change: impl FnOnce(&mut VisitorCounts)) {
        let mut counts = self.visitors.get(visitor).copied().unwrap_or_default();
        change(&mut counts);
        if counts == (VisitorCounts { pass: counts.pass, ..VisitorCounts::default() }) {
            self.visitors.remove(visitor);
        } else {
            self.visitors.insert(*visitor, counts);
        }
    }

    fn move_units(&mut self, lines: &Lines, to_free: i64, to_live: i64) {
        for (item, units) in lines.iter() {
            let stock = self.items.entry(item.clone()).or_default();
            stock.free += to_free * i64::from(units);
            stock.live += to_live * i64::from(units);
        }
    }

    /// The units of a live record are free again.
    fn give_back(&mut self, record: &Record) {
        if record.state.is_live() {
            self.move_units(&record.lines, 1, -1);
            self.change(&record.visitor, |counts| counts.units = counts.units.saturating_sub(record.lines.units()));
        }
    }
}

/// Counters belong to the highest pass seen.
fn count_under(counts: &mut VisitorCounts, pass: Option<u64>) {
    if pass > counts.pass {
        *counts = VisitorCounts { pass, made: 0, unknown: 0, ..*counts };
    }
}
