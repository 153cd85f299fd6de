//! Joining the line, and presenting a ticket again.

use domain::VisitorHash;
use domain::limits::MAX_GROUP;

use crate::call::Call;
use crate::client::Redis;
use crate::error::CallError;
use crate::key::LineKeys;
use crate::lane::{MAX_EXACT, bounded};
use crate::reply::Reader;
use crate::script::Id;

/// One visitor who joins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct JoinRequest {
    /// Who.
    pub visitor: VisitorHash,
    /// A number that is used up (its pass was granted): gives way to a new one if it is the visitor's.
    pub replace: Option<u64>,
}

/// Visitors who join with one call. Only one such call of a line may be under way: numbers of a definite answer that were
/// not used are offered again; those of an unknown one never.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JoinGroup {
    /// The owner's fence.
    pub epoch: u64,
    /// New visitors take this number, the next one, and so on.
    pub first_number: u64,
    /// At most [`MAX_GROUP`].
    pub visitors: Vec<JoinRequest>,
}

/// A visitor's number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Joined {
    /// The number.
    pub number: u64,
    /// It was the visitor's before.
    pub existed: bool,
}

/// What became of a [`JoinGroup`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum JoinReply {
    /// Everybody has a number.
    Joined {
        /// How many numbers from `first_number` on were taken.
        used: u64,
        /// In the order of the visitors.
        numbers: Vec<Joined>,
    },
    /// Refused, nothing changed: the line was loaded under another epoch.
    WrongEpoch {
        /// The line's epoch.
        epoch: u64,
    },
}

/// Gives numbers to a group of visitors. Idempotent per visitor: who has a number keeps it.
///
/// # Errors
/// [`CallError`]. After [`CallError::Unknown`] none of the group's numbers may ever be offered to another visitor (H15).
pub async fn join(redis: &Redis, keys: &LineKeys, group: &JoinGroup) -> Result<JoinReply, CallError> {
    bounded("joins", group.visitors.len(), MAX_GROUP)?;
    if group.first_number >= MAX_EXACT - MAX_GROUP as u64 {
        return Err(CallError::not_executed("a number that a script cannot calculate with"));
    }
    let mut call = Call::new(Id::Join, keys.slot(), &[keys.line(), keys.tickets()]).group(group.visitors.len());
    call.int(group.epoch).int(group.first_number);
    for request in &group.visitors {
        call.bytes(&request.visitor.0).maybe(request.replace);
    }
    let mut reply = Reader::new(redis.call(&call).await?)?;
    if reply.int()? == 0 {
        return Ok(JoinReply::WrongEpoch { epoch: reply.int()? });
    }
    let used = reply.int()?;
    // New numbers come as they are, known ones below zero: one integer per visitor.
    let numbers = group.visitors.iter().map(|_| {
        let number = reply.signed()?;
        Ok(Joined { number: number.unsigned_abs(), existed: number < 0 })
    });
    let numbers = numbers.collect::<Result<_, CallError>>()?;
    reply.end()?;
    Ok(JoinReply::Joined { used, numbers })
}

/// One ticket shown to the line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PresentRequest {
    /// Whose.
    pub visitor: VisitorHash,
    /// Its number.
    pub number: u64,
    /// Its pass was granted: it is never restored.
    pub used: bool,
    /// A used number that gives way to this one if it is the visitor's.
    pub replace: Option<u64>,
}

/// Restores the records of a group of presented tickets, at most [`MAX_GROUP`]: of two unused numbers the lower wins
/// (H18). Answers the number each visitor has afterwards; none when the ticket is used and nothing is recorded.
/// When another number stands in the way and is used, call again with it as `replace`. `Err` inside: the line's epoch, when
/// it is not the caller's and nothing changed.
///
/// # Errors
/// [`CallError`]; safe to send again.
pub async fn present(
    redis: &Redis,
    keys: &LineKeys,
    epoch: u64,
    tickets: &[PresentRequest],
) -> Result<Result<Vec<Option<u64>>, u64>, CallError> {
    bounded("tickets", tickets.len(), MAX_GROUP)?;
    let mut call = Call::new(Id::Present, keys.slot(), &[keys.line(), keys.tickets()]).group(tickets.len());
    call.int(epoch);
    for ticket in tickets {
        call.bytes(&ticket.visitor.0).int(ticket.number).int(u64::from(ticket.used)).maybe(ticket.replace);
    }
    let mut reply = Reader::new(redis.call(&call).await?)?;
    if reply.int()? == 0 {
        return Ok(Err(reply.int()?));
    }
    let numbers = tickets.iter().map(|_| reply.int().map(|number| (number > 0).then_some(number)));
    let numbers = numbers.collect::<Result<_, CallError>>()?;
    reply.end()?;
    Ok(Ok(numbers))
}
