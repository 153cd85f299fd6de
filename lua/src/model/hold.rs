//! Holds and the reaper.

use domain::fault::{Ended, KnownFaults};
use domain::limits::{MAX_REAP, RELEASED_KEEP_MS};
use domain::state::HoldState;
use domain::{HoldId, Millis};

use super::{Intent, LaneModel, count_under};
use crate::error::CallError;
use crate::lane::{
    HoldGroup, HoldReplies, HoldReply, HoldRequest, ItemStock, NO_FINGERPRINT, ReapCursor, ReapReply, Record,
};

impl LaneModel {
    /// As [`crate::lane::hold`] when Redis' clock says `now`.
    ///
    /// # Errors
    /// [`CallError::NotLoaded`].
    pub fn hold(&mut self, group: &HoldGroup, now: Millis) -> Result<HoldReplies, CallError> {
        self.in_service()?;
        self.reap_due(now, &group.faults);
        let replies = group.requests.iter().map(|request| self.hold_one(group, request, now)).collect();
        Ok(HoldReplies { now, replies })
    }

    fn hold_one(&mut self, group: &HoldGroup, request: &HoldRequest, now: Millis) -> HoldReply {
        if let Some(record) = self.holds.get(&request.id) {
            let same_content = record.fp == request.fp || record.fp == NO_FINGERPRINT;
            if record.visitor != request.visitor || !same_content {
                return HoldReply::KeyReused;
            }
            if record.state != HoldState::Released {
                return HoldReply::Exists(record.clone());
            }
        }
        if let Some(refused) = self.refusal(group, request, now) {
            return refused;
        }
        let pass = request.pass.map(|pass| pass.number);
        let deadline = now.plus(group.ttl_ms);
        let record = Record {
            state: HoldState::Held,
            visitor: request.visitor,
            deadline,
            fp: request.fp,
            pass,
            lines: request.lines.clone(),
            seq: 0,
            at: now,
            why: None,
        };
        self.move_units(&request.lines, -1, 1);
        self.change(&request.visitor, |counts| {
            count_under(counts, pass);
            counts.made += 1;
            counts.units += request.lines.units();
        });
        self.due.insert(request.id, deadline.0);
        self.holds.insert(request.id, record.clone());
        HoldReply::Held(record)
    }

    fn refusal(&self, group: &HoldGroup, request: &HoldRequest, now: Millis) -> Option<HoldReply> {
        let counts = self.visitors.get(&request.visitor).copied().unwrap_or_default();
        if request.lines.iter().any(|(item, _)| !self.items.contains_key(item)) {
            return Some(HoldReply::NoSuchItem);
        }
        if let Some(pass) = request.pass {
            if counts.done.is_some_and(|done| pass.number <= done) {
                return Some(HoldReply::PassDone);
            }
            match group.faults.ended(pass.life, now) {
                Ended::Yes => return Some(HoldReply::PassExpired),
                Ended::Unsure => return Some(HoldReply::Unsure),
                Ended::No => {}
            }
        }
        let newer = request.pass.map(|pass| pass.number) > counts.pass;
        if counts.made >= u64::from(group.most) && !newer {
            return Some(HoldReply::TooManyHolds);
        }
        if group.limit.is_some_and(|limit| counts.units + request.lines.units() > u64::from(limit)) {
            return Some(HoldReply::Limit);
        }
        let stock = |item| self.items.get(item).copied().unwrap_or_default();
        let short = |stock: ItemStock, units: u32| stock.free < i64::from(units);
        let hopeless = |stock: ItemStock, units| short(stock, units) && stock.free + stock.live < i64::from(units);
        if request.lines.iter().any(|(item, units)| hopeless(stock(item), units)) {
            return Some(HoldReply::SoldOut);
        }
        request.lines.iter().any(|(item, units)| short(stock(item), units)).then_some(HoldReply::AllHeld)
    }

    /// As [`crate::lane::reap`] over all records at once.
    ///
    /// # Errors
    /// [`CallError::NotLoaded`].
    pub fn reap(&mut self, now: Millis, faults: &KnownFaults) -> Result<ReapReply, CallError> {
        self.in_service()?;
        let confirming: Vec<HoldId> =
            self.holds.iter().filter(|(_, record)| record.state == HoldState::Confirming).map(|(id, _)| *id).collect();
        let is_stray = |intent: &Intent| match intent {
            Intent::Confirm(id) => self.holds.get(id).is_none_or(|record| record.state != HoldState::Confirming),
            Intent::Cancel(_) => false,
        };
        let stray: Vec<Intent> = self.confirming.iter().filter(|intent| is_stray(intent)).copied().collect();
        let requeued = confirming.into_iter().filter(|id| self.confirming.insert(Intent::Confirm(*id))).count();
        // Put back after the due ones were chosen: they are looked at by the next run.
        let timed = |state| matches!(state, HoldState::Held | HoldState::Paying | HoldState::Released);
        let lost: Vec<(HoldId, u64)> = self
            .holds
            .iter()
            .filter(|(_, record)| timed(record.state))
            .map(|(id, record)| match record.life() {
                Some(life) => (*id, faults.faults.end_of(life).0),
                None => (*id, record.deadline.0 + RELEASED_KEEP_MS),
            })
            .filter(|(id, latest)| self.due.get(id).is_none_or(|when| when > latest))
            .collect();
        let (released, purged, looked) = self.reap_due(now, faults);
        let (requeued, rescheduled) = (requeued as u64, lost.len() as u64);
        self.due.extend(lost);
        self.confirming.retain(|intent| !stray.contains(intent));
        let (more, dropped, cursor) = (looked == MAX_REAP, stray.len() as u64, ReapCursor::default());
        Ok(ReapReply { now, released, purged, requeued, rescheduled, more, dropped, cursor })
    }

    /// Ends holds that are overdue for certain and removes old records: how many, and how many were looked at.
    fn reap_due(&mut self, now: Millis, faults: &KnownFaults) -> (u64, u64, usize) {
        let now = faults.certain(now);
        let mut due: Vec<(u64, HoldId)> =
            self.due.iter().filter(|(_, when)| **when <= now.0).map(|(id, when)| (*when, *id)).collect();
        due.sort_unstable();
        due.truncate(MAX_REAP);
        let (mut released, mut purged) = (0, 0);
        for (_, id) in &due {
            let Some(record) = self.holds.get(id).cloned() else {
                self.due.remove(id);
                continue;
            };
            let forgotten = record.deadline.0 + RELEASED_KEEP_MS;
            let ends = record.life().map(|life| faults.faults.end_of(life));
            match record.state {
                HoldState::Held | HoldState::Paying if ends > Some(now) => {
                    self.due.extend(ends.map(|ends| (*id, ends.0)));
                }
                HoldState::Held | HoldState::Paying => {
                    self.give_back(&record);
                    self.due.insert(*id, forgotten);
                    self.holds.insert(*id, Record { state: HoldState::Released, ..record });
                    released += 1;
                }
                HoldState::Released if forgotten > now.0 => {
                    self.due.insert(*id, forgotten);
                }
                HoldState::Released => {
                    self.change(&record.visitor, |counts| {
                        if counts.pass == record.pass {
                            counts.made = counts.made.saturating_sub(1);
                        }
                    });
                    self.holds.remove(id);
                    self.due.remove(id);
                    purged += 1;
                }
                _ => {
                    self.due.remove(id);
                }
            }
        }
        (released, purged, due.len())
    }
}
