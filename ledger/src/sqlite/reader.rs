//! The threads that read, each on a connection of its own, so that no read waits for an append and no append for a read.

use std::sync::{Arc, Mutex, PoisonError};

use domain::LogId;
use domain::limits::MAX_READ_EVENTS;
use rusqlite::{Connection, OptionalExtension as _, params};
use tokio::sync::{mpsc, oneshot};

use super::file::DataFile;
use super::statements;
use crate::page::Page;
use crate::{Entry, Error, Head};

/// A question and where its answer goes.
pub(super) enum Query {
    Read { log: LogId, after: u64, most: usize, answer: oneshot::Sender<Result<Vec<Entry>, Error>> },
    Head { log: LogId, answer: oneshot::Sender<Result<Head, Error>> },
    List { prefix: String, answer: oneshot::Sender<Result<Vec<LogId>, Error>> },
}

/// One thread's state. All share the queue.
pub(super) struct Thread {
    file: DataFile,
    connection: Option<Connection>,
    queue: Arc<Mutex<mpsc::Receiver<Query>>>,
}

impl Thread {
    pub(super) fn new(file: DataFile, connection: Connection, queue: Arc<Mutex<mpsc::Receiver<Query>>>) -> Self {
        Self { file, connection: Some(connection), queue }
    }

    /// Works until every sender is gone.
    pub(super) fn run(mut self) {
        while let Some(query) = self.next() {
            match query {
                Query::Read { log, after, most, answer } => {
                    let _ = answer.send(self.ask(|connection| read(connection, &log, after, most)));
                }
                Query::Head { log, answer } => {
                    let _ = answer.send(self.ask(|connection| Ok(statements::head(connection, &log)?)));
                }
                Query::List { prefix, answer } => {
                    let _ = answer.send(self.ask(|connection| list(connection, &prefix)));
                }
            }
        }
    }

    /// The idle threads queue up for the lock; the one that has it waits for the next query.
    fn next(&self) -> Option<Query> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv()
    }

    /// Asks inside one transaction, so that everything in an answer is of one moment. A connection that failed is not used again.
    fn ask<T>(&mut self, question: impl FnOnce(&Connection) -> Result<T, Flaw>) -> Result<T, Error> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.file.reader()?,
        };
        let answer = connection.unchecked_transaction().map_err(Flaw::from).and_then(|transaction| {
            question(&connection).and_then(|answer| Ok(transaction.commit().map(|()| answer)?))
        });
        match answer {
            Ok(answer) => {
                self.connection = Some(connection);
                Ok(answer)
            }
            Err(Flaw::Sqlite(error)) => Err(self.file.failure(&error)),
            Err(Flaw::Content(why)) => Err(Error::Corrupt { path: self.file.path().to_path_buf(), why }),
        }
    }
}

/// Why a question has no answer.
enum Flaw {
    Sqlite(rusqlite::Error),
    /// The rows contradict each other.
    Content(String),
}

impl From<rusqlite::Error> for Flaw {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Where a read begins: the append that holds number `after + 1`.
fn start(connection: &Connection, log: &LogId, after: u64) -> Result<Option<(u32, u64)>, Flaw> {
    let segment: Option<u32> = connection
        .prepare_cached("SELECT segment FROM segments WHERE log = ?1 AND head > ?2 ORDER BY segment LIMIT 1")?
        .query_row(params![log.as_str(), after], |row| row.get(0))
        .optional()?;
    let Some(segment) = segment else { return Ok(None) };
    let first: Option<u64> = connection
        .prepare_cached(
            "SELECT first_seq FROM appends WHERE log = ?1 AND segment = ?2 AND first_seq <= ?3
             ORDER BY first_seq DESC LIMIT 1",
        )?
        .query_row(params![log.as_str(), segment, after + 1], |row| row.get(0))
        .optional()?;
    match first {
        Some(first) => Ok(Some((segment, first))),
        None => Err(Flaw::Content(format!("{log}: event {} is missing", after + 1))),
    }
}

fn read(connection: &Connection, log: &LogId, after: u64, most: usize) -> Result<Vec<Entry>, Flaw> {
    let most = most.min(MAX_READ_EVENTS);
    // SQLite's integers are signed, and there is nothing above them.
    if most == 0 || i64::try_from(after.saturating_add(1)).is_err() {
        return Ok(Vec::new());
    }
    let Some((segment, first)) = start(connection, log, after)? else { return Ok(Vec::new()) };
    let flaw = |why| Flaw::Content(format!("{log}: {why}"));
    let mut page = Page::new(after, most, first);
    let mut statement = connection.prepare_cached(
        "SELECT first_seq, count, events FROM appends WHERE log = ?1 AND (segment, first_seq) >= (?2, ?3)
         ORDER BY segment, first_seq",
    )?;
    let mut rows = statement.query(params![log.as_str(), segment, first])?;
    while let Some(row) = rows.next()? {
        let events = row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?;
        if page.add(row.get(0)?, row.get(1)?, events).map_err(flaw)? {
            return Ok(page.entries());
        }
    }
    page.ended(statements::head(connection, log)?.head).map_err(flaw)
}

fn list(connection: &Connection, prefix: &str) -> Result<Vec<LogId>, Flaw> {
    // Every log has a segment 0. Names are ASCII, so char(0x10FFFF) comes after all that begin with the prefix.
    let mut statement = connection.prepare_cached(
        "SELECT log FROM segments WHERE log >= ?1 AND log < ?1 || char(0x10FFFF) AND segment = 0 ORDER BY log",
    )?;
    let names = statement.query_map([prefix], |row| row.get::<_, String>(0))?;
    names
        .map(|name| {
            let name = name?;
            name.parse().map_err(|_| Flaw::Content(format!("{name:?} is no log's name")))
        })
        .collect()
}
