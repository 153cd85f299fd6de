//! The store on a CQL database (Apache Cassandra; ScyllaDB): one table, one partition per segment, one conditional batch per append (R3).

mod connect;
mod doctor;
mod failure;
mod read;
mod ring;
mod schema;
mod segments;
mod settings;
mod statements;
mod write;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use domain::LogId;
use domain::limits::MAX_OWNER_BYTES;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

pub use self::doctor::{Finding, Severity, examine};
pub use self::schema::{Migrated, migrate};
use self::segments::Known;
pub use self::settings::{Replication, Settings};
use self::statements::Talk;
use self::write::Tries;
use crate::append::{Attempt, Batch, until_known};
use crate::metrics::CqlMeters;
use crate::{Append, Entry, Error, Head, Limits, Store, Writer};

/// Fenced logs in a keyspace. Its connections live on a thread of their own; calls may come from any runtime.
pub struct Cql {
    limits: Limits,
    inner: Arc<Inner>,
    /// What append sends its tries through: the database, or the database behind the doubts of a test.
    tries: Arc<dyn Attempt>,
    /// Its last part to be dropped: nothing may be under way on a runtime that has ended.
    runtime: Runtime,
}

/// What calls share.
struct Inner {
    settings: Settings,
    talk: Talk,
    known: Known,
    health: Health,
    meters: CqlMeters,
}

/// What the last write ended with.
#[derive(Default)]
struct Health {
    failed: Mutex<Option<Error>>,
    probing: AtomicBool,
}

impl Health {
    fn note<T>(&self, outcome: &Result<T, Error>) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Err(error @ (Error::Unavailable { .. } | Error::Damaged { .. })) => *failed = Some(error.clone()),
            // The caller's mistake, decided before anything was sent.
            Err(_) => {}
            Ok(_) => *failed = None,
        }
    }
}

impl Cql {
    /// Connects, and checks that the schema is this program's.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Credentials`], [`Error::NotMigrated`], [`Error::NewerSchema`], [`Error::Datacenter`].
    pub async fn open(settings: &Settings) -> Result<Self, Error> {
        Self::open_with(settings, Limits::default()).await
    }

    /// [`Self::open`] with other limits.
    ///
    /// # Errors
    /// As there.
    pub async fn open_with(settings: &Settings, limits: Limits) -> Result<Self, Error> {
        let runtime = Runtime::start()?;
        let opened = settings.clone();
        let talk = runtime.handle.spawn(async move { schema::talk(&opened).await });
        let talk = talk.await.map_err(|error| Error::unavailable(format!("its thread has died: {error}")))??;
        let inner = Arc::new(Inner {
            settings: settings.clone(),
            talk,
            known: Known::default(),
            health: Health::default(),
            meters: CqlMeters::new(),
        });
        Ok(Self { limits, tries: Arc::new(Tries(Arc::clone(&inner))), inner, runtime })
    }

    /// The same store, whose appends meet with `doubts` on their way.
    #[cfg(any(test, feature = "conformance"))]
    #[must_use]
    pub fn with_doubts(mut self, doubts: &crate::conformance::Doubts) -> Self {
        self.tries = doubts.around(self.tries);
        self
    }
}

impl Store for Cql {
    fn claim<'a>(&'a self, log: &'a LogId, owner: &'a str) -> BoxFuture<'a, Result<Writer, Error>> {
        async move {
            if owner.is_empty() || owner.len() > MAX_OWNER_BYTES || owner.contains('\0') {
                return Err(Error::BadOwner { limit: MAX_OWNER_BYTES });
            }
            let id = rand::random();
            let claimed = until_known(|| self.inner.claim(log, owner, id).boxed(), || true).await;
            self.inner.health.note(&claimed);
            claimed
        }
        .boxed()
    }

    fn append<'a>(&'a self, writer: &'a Writer, events: &'a [String]) -> BoxFuture<'a, Result<Append, Error>> {
        async move {
            let batch = Batch::new(writer, events, &self.limits, rand::random())?;
            let appended = crate::append::append(self.tries.as_ref(), writer, batch).await;
            self.inner.health.note(&appended);
            appended
        }
        .boxed()
    }

    fn read<'a>(&'a self, log: &'a LogId, after: u64, most: usize) -> BoxFuture<'a, Result<Vec<Entry>, Error>> {
        read::until_read(move || self.inner.read(log, after, most)).boxed()
    }

    fn head<'a>(&'a self, log: &'a LogId) -> BoxFuture<'a, Result<Head, Error>> {
        read::until_read(move || self.inner.head(log)).boxed()
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<LogId>, Error>> {
        read::until_read(move || self.inner.list(prefix)).boxed()
    }

    fn check(&self) -> Result<(), Error> {
        let health = &self.inner.health;
        let failed = health.failed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(error) = failed else { return Ok(()) };
        if !health.probing.swap(true, Ordering::AcqRel) {
            let inner = Arc::clone(&self.inner);
            self.runtime.handle.spawn(async move {
                let probed = inner.probe().await;
                inner.health.note(&probed);
                inner.health.probing.store(false, Ordering::Release);
            });
        }
        Err(error)
    }
}

/// A thread with a runtime of its own, for the driver's connections: they outlive the runtimes of single commands, and no caller's work delays them.
struct Runtime {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Runtime {
    fn start() -> Result<Self, Error> {
        let no_thread = |error: std::io::Error| Error::unavailable(format!("no thread for it: {error}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(no_thread)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::Builder::new()
            .name("ledger-cql".to_owned())
            .spawn(move || {
                // Ends when it is told, or when nobody can tell any more.
                let _ = runtime.block_on(stopped);
                runtime.shutdown_background();
            })
            .map_err(no_thread)?;
        Ok(Self { handle, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        drop(self.stop.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of the ledger's connections had panicked");
        }
    }
}

#[cfg(test)]
mod tests;
