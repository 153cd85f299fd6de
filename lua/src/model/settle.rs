//! Applying committed events.

use domain::event::WITHDRAWN;
use domain::state::HoldState;
use domain::{HoldId, Lines, Millis, VisitorHash};

use super::{Intent, LaneModel};
use crate::error::CallError;
use crate::lane::{LaneState, NO_FINGERPRINT, Record, Settle, SettleReply, Settling};

impl LaneModel {
    /// As [`crate::lane::settle`].
    ///
    /// # Errors
    /// [`CallError::NotLoaded`].
    pub fn settle(&mut self, settle: &Settle) -> Result<SettleReply, CallError> {
        let (epoch, settled) = self.in_service()?;
        if settled != settle.expected {
            return Ok(SettleReply::Behind { settled });
        }
        for event in &settle.events {
            self.apply(event.seq, &event.what);
        }
        for (id, resolution) in &settle.resolutions {
            if let Some(record) = self.holds.get(id).cloned().filter(|record| record.state == HoldState::Confirming) {
                self.give_back(&record);
                self.decided(id, Some(&record), resolution.clone());
            }
            self.confirming.remove(&Intent::Confirm(*id));
        }
        for id in &settle.cancels {
            self.confirming.remove(&Intent::Cancel(*id));
        }
        let settled = settled + settle.events.len() as u64;
        self.state = LaneState::Loaded { epoch, settled };
        Ok(SettleReply::Settled { settled })
    }

    /// Whether the id's record has such an event already: somebody turned the seq back.
    fn has_happened(&self, id: &HoldId, after: &[HoldState]) -> bool {
        self.holds.get(id).is_some_and(|record| after.contains(&record.state))
    }

    fn apply(&mut self, seq: u64, what: &Settling) {
        let decided = |state, visitor, at| Record {
            state,
            visitor,
            deadline: Millis(0),
            fp: NO_FINGERPRINT,
            pass: None,
            lines: Lines::none(),
            seq,
            at,
            why: None,
        };
        match what {
            Settling::Booked { id, .. } | Settling::TransferOut { id, .. }
                if self.has_happened(id, &[HoldState::Sold, HoldState::Cancelled]) =>
            {
                self.confirming.remove(&Intent::Confirm(*id));
            }
            Settling::Cancelled { id, .. } if self.has_happened(id, &[HoldState::Cancelled]) => {
                self.confirming.remove(&Intent::Cancel(*id));
            }
            Settling::Booked { id, visitor, fp, pass, lines, at } => {
                let old = self.take_back(id);
                self.move_units(lines, -1, 0);
                self.change(visitor, |counts| {
                    counts.units += lines.units();
                    counts.done = counts.done.max(*pass);
                    if old.is_some() && pass.is_none() && counts.pass.is_none() {
                        counts.made = counts.made.saturating_sub(1);
                    }
                });
                let record =
                    Record { fp: *fp, pass: *pass, lines: lines.clone(), ..decided(HoldState::Sold, *visitor, *at) };
                self.decided(id, old.as_ref(), record);
            }
            Settling::Refused { id, visitor, why, at } => {
                let old = self.take_back(id);
                let record = Record { why: Some(*why), ..decided(HoldState::Refused, *visitor, *at) };
                self.decided(id, old.as_ref(), record);
            }
            Settling::Cancelled { id, visitor, fp, pass, lines, at } => {
                let old = self.take_back(id);
                self.move_units(lines, 1, 0);
                self.change(visitor, |counts| counts.units = counts.units.saturating_sub(lines.units()));
                let record = Record {
                    fp: *fp,
                    pass: *pass,
                    lines: lines.clone(),
                    ..decided(HoldState::Cancelled, *visitor, *at)
                };
                self.decided(id, old.as_ref(), record);
                self.confirming.remove(&Intent::Cancel(*id));
            }
            Settling::TransferOut { id, to, lines, at } => {
                let old = self.take_back(id);
                self.move_units(lines, -1, 0);
                for (item, units) in lines.iter().filter(|_| *to != WITHDRAWN) {
                    self.items.entry(item.clone()).or_default().moved.given += u64::from(units);
                }
                let sold = decided(HoldState::Sold, VisitorHash::for_lane(*to), *at);
                self.decided(id, old.as_ref(), Record { lines: lines.clone(), ..sold });
            }
            Settling::TransferIn { lines } => {
                self.move_units(lines, 1, 0);
                for (item, units) in lines.iter() {
                    self.items.entry(item.clone()).or_default().moved.received += u64::from(units);
                }
            }
            Settling::Stock { lines } => {
                for (item, units) in lines {
                    self.items.entry(item.clone()).or_default().free += i64::try_from(*units).unwrap_or(i64::MAX);
                }
            }
        }
    }

    /// The record as it stands; what it claims is given back.
    fn take_back(&mut self, id: &HoldId) -> Option<Record> {
        let old = self.holds.get(id).cloned();
        if let Some(record) = &old {
            self.give_back(record);
        }
        old
    }

    fn decided(&mut self, id: &HoldId, old: Option<&Record>, mut record: Record) {
        if let Some(old) = old {
            if matches!(old.state, HoldState::Held | HoldState::Paying | HoldState::Released) {
                self.due.remove(id);
            }
            if record.state == HoldState::Refused {
                record = Record { fp: old.fp, pass: old.pass, lines: old.lines.clone(), ..record };
            }
        }
        self.confirming.remove(&Intent::Confirm(*id));
        self.holds.insert(*id, record);
    }
}
