//! The interface of every store: claim, append, read (R3).

use domain::LogId;
use futures_util::future::BoxFuture;

use crate::Error;

/// What a store of fenced logs promises. `ledger::conformance` is the same in tests; a store that passes it may be used.
///
/// A log is an append-only sequence of events, numbered from 1 without gaps through all its segments. A log that nobody claimed
/// is empty and needs no creation.
///
/// A future that is dropped stops waiting, not the work: the outcome of a dropped append is unknown.
pub trait Store: Send + Sync + 'static {
    /// Makes the caller the log's writer: raises the fence, so that every writer with an older one is refused from then on.
    /// `owner` says who, for other processes and operators. A claim with an unknown outcome may simply be repeated.
    ///
    /// # Errors
    /// The store's own; [`crate::Applied`] does not matter, because a claim that nobody uses does no harm.
    fn claim<'a>(&'a self, log: &'a LogId, owner: &'a str) -> BoxFuture<'a, Result<Writer, Error>>;

    /// Appends all events, in order, or none: only while the log's fence and head are the writer's.
    ///
    /// A doubtful outcome is resolved inside (R4): the same batch under the same condition, until it is known or
    /// `domain::limits::APPEND_MS` has passed. [`Append::Fenced`] means that none of these events is, or will be, in the log.
    ///
    /// # Errors
    /// [`Error::applied`] says whether the events may be in the log. After `Unknown` nothing may be answered; an append of
    /// other events by the same writer is allowed, one of the two wins. An append without events is refused
    /// ([`Error::BadAppend`]): it could not say whether the writer is fenced without costing as much as a real one.
    fn append<'a>(&'a self, writer: &'a Writer, events: &'a [String]) -> BoxFuture<'a, Result<Append, Error>>;

    /// Events with a number above `after`, in order, without gaps, at most `most` (and `domain::limits::MAX_READ_EVENTS`).
    /// Everything appended before the call is seen. Fewer than `most` does not mean the end (answers are bounded in bytes as well): **only an
    /// empty answer does**. [`crate::Ledger::read_all`] does the paging.
    ///
    /// # Errors
    /// The store's own.
    fn read<'a>(&'a self, log: &'a LogId, after: u64, most: usize) -> BoxFuture<'a, Result<Vec<Entry>, Error>>;

    /// The log's fence, head and owner as of now (a linearizable read).
    ///
    /// # Errors
    /// The store's own.
    fn head<'a>(&'a self, log: &'a LogId) -> BoxFuture<'a, Result<Head, Error>>;

    /// Logs whose name starts with `prefix`, in order of their names. Meant for start-up and tools, not for hot paths.
    ///
    /// # Errors
    /// The store's own.
    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<LogId>, Error>>;

    /// Whether appends can be expected to work, from what is known: no I/O, never waits. After a failure the store
    /// tries a write by itself, so that asking again later tells of its recovery.
    ///
    /// # Errors
    /// What the last write ended with, or that the store has stopped.
    fn check(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Bytes the store takes on this machine's disk; `None` where it is elsewhere.
    fn bytes(&self) -> Option<u64> {
        None
    }
}

/// The right to append to a log under one fence, and where its next append belongs. Comes from [`Store::claim`] and moves on with
/// [`Append::Appended`]; an older copy of it is refused because its head is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Writer {
    /// The log.
    pub log: LogId,
    /// The claim's fence. Only grows in the life of a log.
    pub fence: u64,
    /// Who claimed.
    pub owner: String,
    /// Number of the log's last event as this writer knows it; 0 when empty.
    pub head: u64,
    pub(crate) place: Place,
}

/// The segment a writer appends to, and how full it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Place {
    /// Counts from 0.
    pub(crate) segment: u32,
    /// Appends in it.
    pub(crate) rows: u64,
    /// Bytes of their events.
    pub(crate) bytes: u64,
}

/// What became of an append.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub enum Append {
    /// All events are durable. The writer at its new head.
    Appended(Writer),
    /// Fence or head are no longer the writer's: nothing was or will be written. Stop, claim, fold anew. What the log looked like.
    Fenced(Head),
}

/// One event and its number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Counts from 1 without gaps.
    pub seq: u64,
    /// The event's text: one line.
    pub event: String,
}

/// How far a log is and who writes it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Head {
    /// Fence of the last claim; 0 when nobody ever claimed.
    pub fence: u64,
    /// Number of the last event; 0 when empty.
    pub head: u64,
    /// Who made the last claim; empty when nobody did.
    pub owner: String,
}
