//! The embedded store: one SQLite file, one thread that writes, a few that read.

mod failure;
mod file;
mod reader;
mod statements;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use domain::LogId;
use domain::limits::{LEDGER_READ_MS, LEDGER_READERS, MAX_LEDGER_QUEUE, MAX_LEDGER_READS, MAX_OWNER_BYTES};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use self::file::DataFile;
use self::reader::Query;
use self::writer::{Health, Job, Write, Written};
use crate::append::{Attempt, Batch, Tried, until_known};
use crate::{Append, Entry, Error, Head, Limits, Store, Writer};

/// Fenced logs in one file. Other processes may read the file at the same time, and may even write: the conditions hold between
/// processes as well. Dropping it waits for the writes under way and closes the file.
pub struct Sqlite {
    limits: Limits,
    file: DataFile,
    writes: Option<Writes>,
    /// What append sends its tries through: the writer, or the writer behind the doubts of a test.
    tries: Option<Arc<dyn Attempt>>,
    reads: Option<mpsc::Sender<Query>>,
    threads: Vec<JoinHandle<()>>,
}

/// The way to the writer thread.
#[derive(Clone)]
struct Writes {
    queue: mpsc::Sender<Job>,
    health: Arc<Health>,
}

impl Sqlite {
    /// Opens or creates the store in this file. Blocks while the file is checked.
    ///
    /// # Errors
    /// Everything that is wrong with the file or its folder, each its own variant; nothing is changed then.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::open_with(path, Limits::default())
    }

    /// [`Self::open`] with other limits.
    ///
    /// # Errors
    /// As there.
    pub fn open_with(path: &Path, limits: Limits) -> Result<Self, Error> {
        let (file, connection) = DataFile::open(path)?;
        let health = Arc::new(Health::new());
        let (queue, jobs) = mpsc::channel(MAX_LEDGER_QUEUE);
        let writer = writer::Thread::new(file.clone(), connection, jobs, Arc::clone(&health));
        let mut threads = vec![spawn("ledger-write", move || writer.run())?];
        let (reads, queries) = mpsc::channel(MAX_LEDGER_READS);
        let queries = Arc::new(Mutex::new(queries));
        for _ in 0..LEDGER_READERS {
            let reader = reader::Thread::new(file.clone(), file.reader()?, Arc::clone(&queries));
            threads.push(spawn("ledger-read", move || reader.run())?);
        }
        let writes = Writes { queue, health };
        let tries: Arc<dyn Attempt> = Arc::new(writes.clone());
        Ok(Self { limits, file, writes: Some(writes), tries: Some(tries), reads: Some(reads), threads })
    }

    /// The same store, whose appends meet with `doubts` on their way.
    #[cfg(any(test, feature = "conformance"))]
    #[must_use]
    pub fn with_doubts(mut self, doubts: &crate::conformance::Doubts) -> Self {
        self.tries = self.tries.take().map(|tries| doubts.around(tries));
        self
    }

    fn writes(&self) -> Result<&Writes, Error> {
        self.writes.as_ref().ok_or_else(|| Error::unavailable("it is closed"))
    }

    async fn ask<T>(&self, query: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Query) -> Result<T, Error> {
        let closed = || Error::unavailable(DEAF);
        let reads = self.reads.as_ref().ok_or_else(closed)?;
        let (sender, answer) = oneshot::channel();
        let asked = async {
            reads.send(query(sender)).await.map_err(|_| closed())?;
            answer.await.map_err(|_| closed())?
        };
        match timeout(Duration::from_millis(LEDGER_READ_MS), asked).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::unavailable(format!("a read took more than {LEDGER_READ_MS} ms"))),
        }
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|error| Error::unavailable(format!("no thread for it: {error}")))
}

const DEAF: &str = "its reading threads have died, restart holdfast";
const DEAD: &str = "its writing thread has died, restart holdfast";

impl Writes {
    /// Hands a write over and waits for its outcome. Not bounded in time: the caller is.
    async fn write(&self, write: Write) -> Result<Written, Error> {
        if !self.hopeful() {
            return Err(Error::unavailable(DEAD));
        }
        let (sender, answer) = oneshot::channel();
        self.queue.send(Job { write, answer: sender }).await.map_err(|_| Error::unavailable(DEAD))?;
        // The thread may have died before, during or after this write.
        answer.await.map_err(|_| Error::unknown(DEAD))?
    }
}

impl Attempt for Writes {
    fn attempt<'a>(&'a self, batch: &'a Arc<Batch>) -> BoxFuture<'a, Result<Tried, Error>> {
        async move {
            match self.write(Write::Append(Arc::clone(batch))).await? {
                Written::Tried(tried) => Ok(tried),
                other => Err(Error::unknown(format!("an append was answered {other:?}"))),
            }
        }
        .boxed()
    }

    fn hopeful(&self) -> bool {
        self.health.is_alive()
    }
}

impl Store for Sqlite {
    fn claim<'a>(&'a self, log: &'a LogId, owner: &'a str) -> BoxFuture<'a, Result<Writer, Error>> {
        async move {
            if owner.is_empty() || owner.len() > MAX_OWNER_BYTES || owner.contains('\0') {
                return Err(Error::BadOwner { limit: MAX_OWNER_BYTES });
            }
            let writes = self.writes()?;
            let claim = || writes.write(Write::Claim { log: log.clone(), owner: owner.to_owned() }).boxed();
            match until_known(claim, || writes.hopeful()).await? {
                Written::Claimed(writer) => Ok(writer),
                other => Err(Error::unknown(format!("a claim was answered {other:?}"))),
            }
        }
        .boxed()
    }

    fn append<'a>(&'a self, writer: &'a Writer, events: &'a [String]) -> BoxFuture<'a, Result<Append, Error>> {
        async move {
            let batch = Batch::new(writer, events, &self.limits, rand::random())?;
            let tries = self.tries.as_ref().ok_or_else(|| Error::unavailable(DEAD))?;
            crate::append::append(tries.as_ref(), writer, batch).await
        }
        .boxed()
    }

    fn read<'a>(&'a self, log: &'a LogId, after: u64, most: usize) -> BoxFuture<'a, Result<Vec<Entry>, Error>> {
        self.ask(move |answer| Query::Read { log: log.clone(), after, most, answer }).boxed()
    }

    fn head<'a>(&'a self, log: &'a LogId) -> BoxFuture<'a, Result<Head, Error>> {
        self.ask(move |answer| Query::Head { log: log.clone(), answer }).boxed()
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<LogId>, Error>> {
        self.ask(move |answer| Query::List { prefix: prefix.to_owned(), answer }).boxed()
    }

    fn check(&self) -> Result<(), Error> {
        let writes = self.writes()?;
        if !writes.health.is_alive() {
            return Err(Error::unavailable(DEAD));
        }
        if self.reads.as_ref().is_none_or(mpsc::Sender::is_closed) {
            return Err(Error::unavailable(DEAF));
        }
        let Some(error) = writes.health.failed() else { return Ok(()) };
        if writes.health.begin_probe() {
            let (answer, _) = oneshot::channel();
            if writes.queue.try_send(Job { write: Write::Probe, answer }).is_err() {
                writes.health.end_probe();
            }
        }
        Err(error)
    }

    fn bytes(&self) -> Option<u64> {
        Some(self.file.bytes())
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        // Told, not only left alone: a try of an append may outlive the store and keep its sender.
        while let Some(writes) = &self.writes
            && let Err(TrySendError::Full(_)) =
                writes.queue.try_send(Job { write: Write::Stop, answer: oneshot::channel().0 })
        {
            // The thread is at work on what fills the queue.
            thread::yield_now();
        }
        // The reading threads end when the last sender has gone.
        (self.writes, self.tries, self.reads) = (None, None, None);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the ledger had panicked");
            }
        }
    }
}

#[cfg(test)]
mod tests;
