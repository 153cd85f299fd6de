//! Segments: their state, the walk to the last one, making the first and the next.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use domain::LogId;
use domain::limits::{CQL_INDEX_SHARDS, MAX_REMEMBERED_LOGS};

use super::statements::{Talk, odd};
use crate::store::Place;
use crate::{Error, Head};

/// The static cells of one segment, read linearizably.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct State {
    pub(super) head: Head,
    /// Of the claim that set the fence; none in a segment that nobody claimed since it was made.
    pub(super) claim: Option<Vec<u8>>,
    pub(super) sealed: bool,
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

/// What never changes again of a sealed segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Sealed {
    pub(super) head: u64,
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

/// Sealed segments seen so far, by log, from the first one on.
#[derive(Default)]
pub(super) struct Known(Mutex<HashMap<LogId, Vec<Sealed>>>);

impl Known {
    pub(super) fn of(&self, log: &LogId) -> Vec<Sealed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(log).cloned().unwrap_or_default()
    }

    /// How many.
    fn count(&self, log: &LogId) -> u32 {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(log).map_or(0, |sealed| u32::try_from(sealed.len()).unwrap_or(u32::MAX))
    }

    fn add(&self, log: &LogId, segment: u32, state: &State) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_REMEMBERED_LOGS && !known.contains_key(log) {
            known.clear();
        }
        let sealed = known.entry(log.clone()).or_default();
        if sealed.len() == segment as usize {
            sealed.push(Sealed { head: state.head.head, rows: state.rows, bytes: state.bytes });
        }
    }
}

/// A segment and its state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Segment {
    pub(super) number: u32,
    pub(super) state: State,
}

impl Segment {
    /// Where its next append belongs.
    pub(super) fn place(&self) -> Place {
        Place { segment: self.number, rows: self.state.rows, bytes: self.state.bytes }
    }
}

/// CQL's integers are signed.
pub(super) fn signed(number: u64) -> Result<i64, Error> {
    i64::try_from(number).map_err(|_| Error::unavailable(format!("{number} is beyond the numbers of CQL")))
}

pub(super) fn segment_number(number: u32) -> Result<i32, Error> {
    i32::try_from(number).map_err(|_| Error::unavailable(format!("segment {number} is beyond the numbers of CQL")))
}

type StateRow = (Option<i64>, Option<String>, Option<Vec<u8>>, Option<i64>, Option<bool>, Option<i64>, Option<i64>);

fn state_of(row: StateRow) -> Option<State> {
    let (fence, owner, claim, head, sealed, rows, bytes) = row;
    let number = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok());
    Some(State {
        head: Head { fence: number(fence)?, head: number(head)?, owner: owner.unwrap_or_default() },
        claim,
        sealed: sealed?,
        rows: number(rows)?,
        bytes: number(bytes)?,
    })
}

impl Talk {
    /// The segment's state as of now; `None` where nobody has made it.
    pub(super) async fn state(&self, log: &str, number: u32) -> Result<Option<State>, Error> {
        let rows = self.ask(&self.statements.state, (log, segment_number(number)?)).await?;
        let Some(row) = rows.maybe_first_row::<StateRow>().map_err(|error| odd(&error))? else { return Ok(None) };
        // Half a segment: somebody wrote to it who is not this program, or the store lost data.
        let damaged = || Error::unavailable(format!("segment {number} of {log} has cells missing: see doctor"));
        state_of(row).map(Some).ok_or_else(damaged)
    }

    /// The last segment there is: the first unsealed one, or a sealed one whose successor nobody has made.
    pub(super) async fn last(&self, known: &Known, log: &LogId) -> Result<Option<Segment>, Error> {
        let mut number = known.count(log);
        let mut before = None;
        loop {
            match self.state(log.as_str(), number).await? {
                Some(state) if state.sealed => {
                    known.add(log, number, &state);
                    before = Some(Segment { number, state });
                    number += 1;
                }
                Some(state) => return Ok(Some(Segment { number, state })),
                None if before.is_some() => return Ok(before),
                None => {
                    let Some(number) = number.checked_sub(1) else { return Ok(None) };
                    return Ok(self.state(log.as_str(), number).await?.map(|state| Segment { number, state }));
                }
            }
        }
    }

    /// Makes a log's first segment, unless it is there. Its name goes into the index first, so that no log with events is missing there.
    pub(super) async fn seed_first(&self, log: &LogId) -> Result<(), Error> {
        self.send(&self.statements.enter, (shard(log), log.as_str())).await?;
        self.decide(&self.statements.seed, (log.as_str(), 0_i32, 0_i64, "", 0_i64)).await.map(|_| ())
    }

    /// Makes the segment after a sealed one, with the sealed one's final fence and head, unless somebody else did: then that one counts, with
    /// whatever fence has been claimed there since.
    pub(super) async fn seed_next(&self, log: &LogId, sealed: &Segment) -> Result<(), Error> {
        let Head { fence, head, owner } = &sealed.state.head;
        let values =
            (log.as_str(), segment_number(sealed.number + 1)?, signed(*fence)?, owner.as_str(), signed(*head)?);
        self.decide(&self.statements.seed, values).await.map(|_| ())
    }
}

/// Which part of the index a log's name is in. Stored, so it never changes.
pub(super) fn shard(log: &LogId) -> i32 {
    let sum = log.as_str().bytes().fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
    i32::from(sum % CQL_INDEX_SHARDS)
}
