//! Confirm, cancel, release and the end of a pass.

use domain::limits::{MAX_CONFIRMING, MAX_UNKNOWN_CONFIRMS_PER_PASS, RELEASED_KEEP_MS};
use domain::state::HoldState;
use domain::{HoldId, Lines, Millis, VisitorHash};

use super::{Intent, LaneModel, count_under};
use crate::error::CallError;
use crate::lane::{
    CancelReply, ConfirmReplies, ConfirmReply, ConfirmRequest, NO_FINGERPRINT, Record, ReleaseReply, ReleaseRequest,
};

impl LaneModel {
    /// As [`crate::lane::confirm`].
    ///
    /// # Errors
    /// [`CallError::NotLoaded`].
    pub fn confirm(&mut self, requests: &[ConfirmRequest], now: Millis) -> Result<ConfirmReplies, CallError> {
        self.in_service()?;
        let replies = requests.iter().map(|request| self.confirm_one(request)).collect();
        Ok(ConfirmReplies { now, replies })
    }

    fn confirm_one(&mut self, request: &ConfirmRequest) -> ConfirmReply {
        let known = self.holds.get(&request.id).cloned();
        let full = self.confirming.len() >= MAX_CONFIRMING;
        let confirming = match known {
            Some(record) if record.visitor != request.visitor => return ConfirmReply::Foreign,
            Some(record) => match record.state {
                HoldState::Sold | HoldState::Refused | HoldState::Cancelled => return ConfirmReply::Decided(record),
                HoldState::Confirming => record,
                HoldState::Held | HoldState::Paying if full => return ConfirmReply::Full,
                HoldState::Held | HoldState::Paying => {
                    self.due.remove(&request.id);
                    Record { state: HoldState::Confirming, deadline: Millis(0), ..record }
                }
                HoldState::Released => match self.unknown(request) {
                    Some(refused) => return refused,
                    None => {
                        self.due.remove(&request.id);
                        nothing(request, record.fp)
                    }
                },
            },
            None => match self.unknown(request) {
                Some(refused) => return refused,
                None => nothing(request, NO_FINGERPRINT),
            },
        };
        self.holds.insert(request.id, confirming.clone());
        self.confirming.insert(Intent::Confirm(request.id));
        ConfirmReply::Confirming(confirming)
    }

    /// Counts a confirm of a hold that is not there, or says why not.
    fn unknown(&mut self, request: &ConfirmRequest) -> Option<ConfirmReply> {
        if self.confirming.len() >= MAX_CONFIRMING {
            return Some(ConfirmReply::Full);
        }
        let counts = self.visitors.get(&request.visitor).copied().unwrap_or_default();
        if counts.unknown >= u64::from(MAX_UNKNOWN_CONFIRMS_PER_PASS) && request.pass <= counts.pass {
            return Some(ConfirmReply::TooMany);
        }
        self.change(&request.visitor, |counts| {
            count_under(counts, request.pass);
            counts.unknown += 1;
        });
        None
    }

    /// As [`crate::lane::cancel`].
    ///
    /// # Errors
    /// [`CallError::NotLoaded`].
    pub fn cancel(&mut self, ids: &[HoldId]) -> Result<Vec<CancelReply>, CallError> {
        self.in_service()?;
        let note = |id: &HoldId| {
            let intent = Intent::Cancel(*id);
            if !self.confirming.contains(&intent) && self.confirming.len() >= MAX_CONFIRMING {
                return CancelReply::Full;
            }
            self.confirming.insert(intent);
            CancelReply::Noted
        };
        Ok(ids.iter().map(note).collect())
    }

    /// As [`crate::lane::release`].
    ///
    /// # Errors
    /// [`CallError::NotLoaded`].
    pub fn release(&mut self, requests: &[ReleaseRequest]) -> Result<Vec<ReleaseReply>, CallError> {
        self.in_service()?;
        Ok(requests.iter().map(|request| self.release_one(request)).collect())
    }

    fn release_one(&mut self, request: &ReleaseRequest) -> ReleaseReply {
        let Some(record) = self.holds.get(&request.id).cloned() else { return ReleaseReply::Missing };
        if record.visitor != request.visitor {
            return ReleaseReply::Foreign;
        }
        match record.state {
            HoldState::Released => ReleaseReply::Released,
            HoldState::Held | HoldState::Paying => {
                self.give_back(&record);
                self.due.insert(request.id, record.deadline.0 + RELEASED_KEEP_MS);
                self.holds.insert(request.id, Record { state: HoldState::Released, ..record });
                ReleaseReply::Released
            }
            _ => ReleaseReply::Kept(record),
        }
    }

    /// As [`crate::lane::leave`].
    ///
    /// # Errors
    /// [`CallError::NotLoaded`].
    pub fn leave(&mut self, passes: &[(VisitorHash, u64)]) -> Result<(), CallError> {
        self.in_service()?;
        for (visitor, number) in passes {
            self.change(visitor, |counts| counts.done = counts.done.max(Some(*number)));
        }
        Ok(())
    }
}

fn nothing(request: &ConfirmRequest, fp: domain::Fingerprint) -> Record {
    Record {
        state: HoldState::Confirming,
        visitor: request.visitor,
        deadline: Millis(0),
        fp,
        pass: request.pass,
        lines: Lines::none(),
        seq: 0,
        at: Millis(0),
        why: None,
    }
}
