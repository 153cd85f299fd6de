//! The one thread that writes. It takes everything that waits and commits it in one transaction, so that a fsync serves many logs; there is no
//! linger, the next transaction's writes pile up while this one is under way.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::LogId;
use domain::limits::{MAX_TRANSACTION_APPENDS, MAX_TRANSACTION_BYTES};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::failure::{Stage, failure};
use super::file::{DataFile, VERSION};
use super::statements;
use crate::append::{Batch, Tried};
use crate::metrics::CommitMeters;
use crate::{Error, Writer};

/// Something to write, and where to send what became of it.
pub(super) struct Job {
    pub(super) write: Write,
    pub(super) answer: oneshot::Sender<Result<Written, Error>>,
}

/// What to write.
pub(super) enum Write {
    Append(Arc<Batch>),
    Claim {
        log: LogId,
        owner: String,
    },
    /// Writes nothing new, but through to the disk: whether writing works again.
    Probe,
    /// Nothing more: the thread ends after the transaction that this is in.
    Stop,
    /// Runs this on the writer's connection, or panics when it is none: to set up what a test needs.
    #[cfg(test)]
    Meddle(Option<&'static str>),
}

/// What was written.
#[derive(Debug)]
pub(super) enum Written {
    Tried(Tried),
    Claimed(Writer),
    Nothing,
}

/// What everybody may know of the thread without asking it.
pub(super) struct Health {
    alive: AtomicBool,
    /// A probe waits or is under way.
    probing: AtomicBool,
    failed: Mutex<Option<Error>>,
}

impl Health {
    pub(super) fn new() -> Self {
        Self { alive: AtomicBool::new(true), probing: AtomicBool::new(false), failed: Mutex::new(None) }
    }

    pub(super) fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Acquire)
    }

    /// What the last transaction failed with.
    pub(super) fn failed(&self) -> Option<Error> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// True for the one caller that is to send a probe.
    pub(super) fn begin_probe(&self) -> bool {
        !self.probing.swap(true, Ordering::AcqRel)
    }

    pub(super) fn end_probe(&self) {
        self.probing.store(false, Ordering::Release);
    }

    fn note(&self, outcome: Option<&Error>) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Some(error) if failed.as_ref() != Some(error) => {
                tracing::error!(%error, "writing to the ledger fails");
                *failed = Some(error.clone());
            }
            None if failed.is_some() => {
                tracing::info!("writing to the ledger works again");
                *failed = None;
            }
            _ => {}
        }
    }
}

/// Says that the thread has ended, however it ended.
struct Alive(Arc<Health>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.alive.store(false, Ordering::Release);
    }
}

/// The thread's state.
pub(super) struct Thread {
    file: DataFile,
    /// Absent after a failure that leaves the connection in doubt; the next transaction opens another.
    connection: Option<Connection>,
    queue: mpsc::Receiver<Job>,
    health: Arc<Health>,
    meters: CommitMeters,
    sized: Instant,
}

impl Thread {
    pub(super) fn new(file: DataFile, connection: Connection, queue: mpsc::Receiver<Job>, health: Arc<Health>) -> Self {
        let meters = CommitMeters::new();
        Self { file, connection: Some(connection), queue, health, meters, sized: Instant::now() }
    }

    /// Works until it is stopped, or every sender is gone. A panic drops queue and jobs, so callers get an error instead of waiting.
    pub(super) fn run(mut self) {
        let _alive = Alive(Arc::clone(&self.health));
        while let Some(first) = self.queue.blocking_recv() {
            let jobs = self.take(first);
            #[expect(clippy::cast_precision_loss, reason = "both are bounded by MAX_LEDGER_QUEUE")]
            {
                self.meters.writes.record(jobs.len() as f64);
                self.meters.queue.set(self.queue.len() as f64);
            }
            let last = jobs.iter().any(|job| matches!(job.write, Write::Stop));
            self.write(jobs);
            if last {
                return;
            }
            self.measure();
        }
    }

    /// All that waits, as far as one transaction may go.
    fn take(&mut self, first: Job) -> Vec<Job> {
        let mut bytes = first.write.bytes();
        let mut jobs = vec![first];
        while jobs.len() < MAX_TRANSACTION_APPENDS && bytes < MAX_TRANSACTION_BYTES {
            let Ok(job) = self.queue.try_recv() else { break };
            bytes += job.write.bytes();
            jobs.push(job);
        }
        jobs
    }

    /// Writes all jobs in one transaction. When it fails for something that may be the matter with one of them (no space for a large one, a log whose
    /// rows are not what they should be), each is tried by itself, so that one log cannot stop the others.
    fn write(&mut self, jobs: Vec<Job>) {
        let writes: Vec<&Write> = jobs.iter().map(|job| &job.write).collect();
        match self.transaction(&writes) {
            Ok(written) => {
                for (job, written) in jobs.into_iter().zip(written) {
                    job.end(&self.health, Ok(written));
                }
            }
            Err(Error::Full { .. } | Error::Corrupt { .. }) if jobs.len() > 1 => {
                for job in jobs {
                    let written = self.transaction(&[&job.write]).map(|mut written| written.pop());
                    job.end(&self.health, written.map(|written| written.unwrap_or(Written::Nothing)));
                }
            }
            Err(error) => {
                for job in jobs {
                    job.end(&self.health, Err(error.clone()));
                }
            }
        }
    }

    fn transaction(&mut self, writes: &[&Write]) -> Result<Vec<Written>, Error> {
        let since = Instant::now();
        let written = self.try_transaction(writes);
        self.meters.seconds.record(since.elapsed().as_secs_f64());
        self.health.note(written.as_ref().err());
        if written.is_err() {
            self.roll_back();
        }
        written
    }

    fn try_transaction(&mut self, writes: &[&Write]) -> Result<Vec<Written>, Error> {
        self.file.present()?;
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.file.writer()?,
        };
        let connection = self.connection.insert(connection);
        let fail = |stage| move |error: rusqlite::Error| (error, stage);
        // Immediate: the write lock is taken here or not at all, never in the middle.
        let outcome = run(connection, "BEGIN IMMEDIATE")
            .and_then(|()| writes.iter().map(|write| write.apply(connection)).collect())
            .map_err(fail(Stage::BeforeCommit))
            .and_then(|written: Vec<Written>| run(connection, "COMMIT").map_err(fail(Stage::Commit)).map(|()| written));
        outcome.map_err(|(error, stage)| failure(self.file.path(), &error, stage))
    }

    /// Leaves nothing of a failed transaction. A connection that cannot even do that, or that has seen a failure of the disk, is not used again.
    fn roll_back(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        let clean = connection.is_autocommit() || connection.execute_batch("ROLLBACK").is_ok();
        let keep = clean && matches!(self.health.failed(), Some(Error::Full { .. } | Error::Locked { .. }));
        if keep {
            self.connection = Some(connection);
        }
    }

    /// Tells the size now and then: a look at the file system, not worth one per commit.
    fn measure(&mut self) {
        if self.sized.elapsed() >= Duration::from_secs(1) {
            self.sized = Instant::now();
            #[expect(clippy::cast_precision_loss, reason = "files are smaller than 2^53 bytes")]
            self.meters.size.set(self.file.bytes() as f64);
        }
    }
}

fn run(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute(()).map(|_| ())
}

impl Job {
    /// Answers. Whoever has gone meanwhile does not hear it, the write stands all the same.
    fn end(self, health: &Health, outcome: Result<Written, Error>) {
        if matches!(self.write, Write::Probe) {
            health.end_probe();
        }
        let _ = self.answer.send(outcome);
    }
}

impl Write {
    fn bytes(&self) -> usize {
        match self {
            Self::Append(batch) => batch.text.len(),
            _ => 0,
        }
    }

    fn apply(&self, connection: &Connection) -> rusqlite::Result<Written> {
        match self {
            Self::Append(batch) => statements::append(connection, batch).map(Written::Tried),
            Self::Claim { log, owner } => statements::claim(connection, log, owner).map(Written::Claimed),
            // Changes the header's page to what it is, which is a frame and a fsync like any other.
            Self::Probe => connection.pragma_update(None, "user_version", VERSION).map(|()| Written::Nothing),
            Self::Stop => Ok(Written::Nothing),
            #[cfg(test)]
            Self::Meddle(Some(sql)) => connection.execute_batch(sql).map(|()| Written::Nothing),
            #[cfg(test)]
            #[allow(clippy::panic, reason = "what the test asked for")]
            Self::Meddle(None) => panic!("asked to"),
        }
    }
}
