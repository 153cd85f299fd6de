//! Visitors on their way to a place in line: joins and presented tickets, grouped into calls. What to do with each answer
//! is decided here, without I/O.

use std::collections::VecDeque;

use domain::limits::MAX_GROUP;
use domain::{Millis, VisitorHash};
use lua::CallError;
use lua::line::{JoinGroup, JoinReply, JoinRequest, PresentRequest};

use super::desk::{Answer, Desk, say};
use super::numbers::Numbers;
use super::{Claim, Fee, Joined, LineError};
use crate::fold::{LineFold, Standing};

/// A used number gives way at most this often before the visitor is asked to come again.
const MAX_TRIES: u8 = 3;

/// No ticket has this number; shown as a used one it restores nothing.
const NO_TICKET: u64 = 0;

/// A visitor who joins.
#[derive(Debug)]
pub(crate) struct Join {
    pub(crate) visitor: VisitorHash,
    /// A number whose pass has ended: gives way to a new one.
    pub(crate) replace: Option<u64>,
    pub(crate) tries: u8,
    /// What a new number is paid with.
    pub(crate) fee: Fee,
    pub(crate) answer: Answer<Joined>,
}

/// Why a ticket is presented.
#[derive(Debug)]
pub(crate) enum For {
    /// To have the place.
    Join(Answer<Joined>),
    /// To get the pass.
    Claim(Answer<Claim>),
    /// To let this code move it; asked for at this time.
    Offer(u64, Millis, Answer<Millis>),
}

impl For {
    pub(crate) fn refuse(self, error: LineError) {
        match self {
            Self::Join(answer) => say(answer, Err(error)),
            Self::Claim(answer) => say(answer, Err(error)),
            Self::Offer(_, _, answer) => say(answer, Err(error)),
        }
    }
}

/// A ticket that its visitor presents.
#[derive(Debug)]
pub(crate) struct Present {
    pub(crate) visitor: VisitorHash,
    pub(crate) number: u64,
    /// A used number that gives way to this one.
    pub(crate) replace: Option<u64>,
    pub(crate) tries: u8,
    pub(crate) why: For,
}

impl Present {
    /// Shows no ticket: finds out which place the visitor has, and gives none.
    pub(crate) const fn find(visitor: VisitorHash, answer: Answer<Joined>) -> Self {
        Self { visitor, number: NO_TICKET, replace: None, tries: 0, why: For::Join(answer) }
    }
}

/// What a reply asks the owner to do next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    /// Nothing.
    Go,
    /// The line has to be published or loaded.
    Load,
}

/// Visitors who wait for a call. The owner takes no more requests than its queue may hold, so these are bounded.
#[derive(Debug, Default)]
pub(crate) struct Places {
    joins: VecDeque<Join>,
    presents: VecDeque<Present>,
}

impl Places {
    pub(crate) fn waiting(&self) -> usize {
        self.joins.len() + self.presents.len()
    }

    pub(crate) fn joins_wait(&self) -> bool {
        !self.joins.is_empty()
    }

    pub(crate) fn join(&mut self, join: Join) {
        self.joins.push_back(join);
    }

    pub(crate) fn present(&mut self, present: Present) {
        self.presents.push_back(present);
    }

    /// The next group of joins and its call: what has piled up, as far as numbers are left.
    pub(crate) fn join_group(&mut self, epoch: u64, numbers: &mut Numbers) -> Option<(Vec<Join>, JoinGroup)> {
        let most = self.joins.len().min(MAX_GROUP) as u64;
        if most == 0 || numbers.left() == 0 {
            return None;
        }
        let (first_number, count) = numbers.offer(most);
        let count = usize::try_from(count).unwrap_or(MAX_GROUP);
        let group: Vec<Join> = self.joins.drain(..count).collect();
        let visitors = group.iter().map(|join| JoinRequest { visitor: join.visitor, replace: join.replace }).collect();
        Some((group, JoinGroup { epoch, first_number, visitors }))
    }

    /// The next group of presented tickets and its call.
    pub(crate) fn present_group(&mut self, fold: &LineFold) -> Option<(Vec<Present>, Vec<PresentRequest>)> {
        if self.presents.is_empty() {
            return None;
        }
        let count = self.presents.len().min(MAX_GROUP);
        let group: Vec<Present> = self.presents.drain(..count).collect();
        let call = |ticket: &Present| PresentRequest {
            visitor: ticket.visitor,
            number: ticket.number,
            used: ticket.number == NO_TICKET || fold.used(ticket.number),
            replace: ticket.replace,
        };
        let requests = group.iter().map(call).collect();
        Some((group, requests))
    }

    /// What became of a group of joins.
    pub(crate) fn joined(
        &mut self,
        desk: &mut Desk,
        group: Vec<Join>,
        reply: Result<JoinReply, CallError>,
        now: Millis,
    ) -> Next {
        match reply {
            Ok(JoinReply::Joined { used, numbers }) => {
                desk.numbers.used(used);
                for (join, place) in group.into_iter().zip(numbers) {
                    self.placed(&desk.fold, join, place, now);
                }
                Next::Go
            }
            Ok(JoinReply::WrongEpoch { .. }) | Err(CallError::NotLoaded) => {
                desk.numbers.used(0);
                refuse_joins(group, LineError::NotLoaded);
                Next::Load
            }
            Err(CallError::NotExecuted { .. }) => {
                desk.numbers.used(0);
                refuse_joins(group, LineError::Unavailable);
                Next::Go
            }
            Err(error @ (CallError::Unknown { .. } | CallError::Broken { .. })) => {
                desk.numbers.lost();
                tracing::warn!("{} numbers are skipped, a join may have used them: {error}", group.len());
                refuse_joins(group, LineError::Unknown);
                after_failure(&error)
            }
        }
    }

    fn placed(&mut self, fold: &LineFold, mut join: Join, place: lua::line::Joined, now: Millis) {
        let number = place.number;
        let ended = fold.standing(number, now.not_before(fold.at())) == Standing::Ended;
        let spent = place.existed && (ended || fold.moved().is_others(number, &join.visitor));
        if !spent {
            return say(join.answer, Ok(Joined { number, new: !place.existed }));
        }
        if !join.fee.replaces(number) {
            return say(join.answer, Err(LineError::Unpaid(number)));
        }
        if join.tries >= MAX_TRIES {
            return say(join.answer, Err(LineError::Unavailable));
        }
        join.replace = Some(number);
        join.tries += 1;
        self.joins.push_back(join);
    }

    /// What became of a group of presented tickets. A claim whose ticket is its visitor's place goes to the desk.
    pub(crate) fn presented(
        &mut self,
        desk: &mut Desk,
        group: Vec<Present>,
        reply: Result<Result<Vec<Option<u64>>, u64>, CallError>,
    ) -> Next {
        match reply {
            Ok(Ok(numbers)) => {
                for (ticket, number) in group.into_iter().zip(numbers) {
                    self.restored(desk, ticket, number);
                }
                Next::Go
            }
            Ok(Err(_)) | Err(CallError::NotLoaded) => {
                group.into_iter().for_each(|ticket| ticket.why.refuse(LineError::NotLoaded));
                Next::Load
            }
            Err(error) => {
                tracing::debug!("{} tickets could not be presented: {error}", group.len());
                group.into_iter().for_each(|ticket| ticket.why.refuse(LineError::Unavailable));
                after_failure(&error)
            }
        }
    }

    /// One visitor's place after the ticket was presented: the ticket's number, a lower unused one that it gave way to, or
    /// a used one that has to give way to it (H18).
    fn restored(&mut self, desk: &mut Desk, mut ticket: Present, place: Option<u64>) {
        if desk.fold.moved().is_others(ticket.number, &ticket.visitor) {
            // A join that is asked again gets another place.
            let again = matches!(ticket.why, For::Join(_));
            return ticket.why.refuse(if again { LineError::Unavailable } else { LineError::Moved });
        }
        match place {
            None if ticket.number == NO_TICKET => ticket.why.refuse(LineError::NotJoining),
            Some(other) if ticket.number == NO_TICKET && desk.fold.used(other) => found_used(desk, ticket.why, other),
            Some(number) if number == ticket.number => match ticket.why {
                For::Join(answer) => say(answer, Ok(Joined { number, new: false })),
                For::Claim(answer) => desk.claim(number, answer),
                For::Offer(code, now, answer) => say(answer, desk.offer(ticket.visitor, number, code, now)),
            },
            // The record is of a place that was moved away since: it gives way.
            Some(other) if desk.fold.moved().is_others(other, &ticket.visitor) && ticket.tries < MAX_TRIES => {
                ticket.replace = Some(other);
                ticket.tries += 1;
                self.presents.push_back(ticket);
            }
            Some(other) if desk.fold.used(other) && ticket.tries < MAX_TRIES => {
                ticket.replace = Some(other);
                ticket.tries += 1;
                self.presents.push_back(ticket);
            }
            Some(other) if !desk.fold.used(other) => match ticket.why {
                For::Join(answer) => say(answer, Ok(Joined { number: other, new: false })),
                For::Claim(answer) => say(answer, Ok(Claim::Superseded(other))),
                For::Offer(_, _, answer) => say(answer, Err(LineError::NoMove)),
            },
            // The ticket was granted while it was presented: the fold answers when it is asked again.
            Some(_) | None => ticket.why.refuse(LineError::Unavailable),
        }
    }

    /// Answers everybody who waits for a call.
    pub(crate) fn close(&mut self, error: LineError) {
        self.close_joins(error);
        self.presents.drain(..).for_each(|ticket| ticket.why.refuse(error));
    }

    /// Answers everybody who waits for a number.
    pub(crate) fn close_joins(&mut self, error: LineError) {
        refuse_joins(self.joins.drain(..).collect(), error);
    }
}

/// A place whose pass was granted is the visitor's as long as that pass lives.
fn found_used(desk: &Desk, why: For, number: u64) {
    match (why, desk.fold.standing(number, desk.fold.at())) {
        (For::Join(answer), Standing::Inside(_)) => say(answer, Ok(Joined { number, new: false })),
        (why, _) => why.refuse(LineError::NotJoining),
    }
}

/// A script that failed may have met damaged keys: publishing finds out, and puts them right.
const fn after_failure(error: &CallError) -> Next {
    if matches!(error, CallError::Broken { .. }) { Next::Load } else { Next::Go }
}

pub(crate) fn refuse_joins(group: Vec<Join>, error: LineError) {
    group.into_iter().for_each(|join| say(join.answer, Err(error)));
}

#[cfg(test)]
mod tests;
