//! A line.

use std::collections::BTreeMap;

use domain::VisitorHash;

use crate::error::CallError;
use crate::line::{JoinGroup, JoinReply, Joined, LineReply, LineState, PresentRequest};

/// A line as Redis has it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct LineModel {
    /// Last published state; none when not loaded.
    pub state: Option<LineState>,
    /// Numbers by visitor.
    pub tickets: BTreeMap<VisitorHash, u64>,
}

impl LineModel {
    fn epoch(&self) -> Result<u64, CallError> {
        self.state.as_ref().map(|state| state.epoch).ok_or(CallError::NotLoaded)
    }

    /// As [`crate::line::join`].
    ///
    /// # Errors
    /// [`CallError::NotLoaded`].
    pub fn join(&mut self, group: &JoinGroup) -> Result<JoinReply, CallError> {
        let epoch = self.epoch()?;
        if epoch != group.epoch {
            return Ok(JoinReply::WrongEpoch { epoch });
        }
        let mut used = 0;
        let mut numbers = Vec::with_capacity(group.visitors.len());
        for request in &group.visitors {
            let known = self.tickets.get(&request.visitor).copied().filter(|number| Some(*number) != request.replace);
            numbers.push(match known {
                Some(number) => Joined { number, existed: true },
                None => {
                    let number = group.first_number + used;
                    used += 1;
                    self.tickets.insert(request.visitor, number);
                    Joined { number, existed: false }
                }
            });
        }
        Ok(JoinReply::Joined { used, numbers })
    }

    /// As [`crate::line::present`].
    ///
    /// # Errors
    /// [`CallError::NotLoaded`].
    pub fn present(
        &mut self,
        epoch: u64,
        tickets: &[PresentRequest],
    ) -> Result<Result<Vec<Option<u64>>, u64>, CallError> {
        let there = self.epoch()?;
        if there != epoch {
            return Ok(Err(there));
        }
        let show = |ticket: &PresentRequest| {
            let old = self.tickets.get(&ticket.visitor).copied();
            let wins = old.is_none_or(|old| ticket.number < old || ticket.replace == Some(old));
            if wins && !ticket.used {
                self.tickets.insert(ticket.visitor, ticket.number);
            }
            self.tickets.get(&ticket.visitor).copied()
        };
        Ok(Ok(tickets.iter().map(show).collect()))
    }

    /// As [`crate::line::load`].
    pub fn load(&mut self, state: &LineState) -> LineReply {
        let (epoch, settled) = self.state.as_ref().map_or((0, 0), |there| (there.epoch, there.settled));
        if epoch > state.epoch || settled > state.settled {
            return LineReply::Refused { epoch, settled };
        }
        self.state = Some(state.clone());
        LineReply::Done
    }

    /// As [`crate::line::publish`].
    ///
    /// # Errors
    /// [`CallError::NotLoaded`].
    pub fn publish(&mut self, state: &LineState) -> Result<LineReply, CallError> {
        let epoch = self.epoch()?;
        if epoch != state.epoch {
            let settled = self.state.as_ref().map_or(0, |there| there.settled);
            return Ok(LineReply::Refused { epoch, settled });
        }
        Ok(self.load(state))
    }
}
