//! The handle that everybody else uses.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use domain::LogId;

use crate::metrics::CallMeters;
use crate::{Append, Cql, Entry, Error, Head, Sqlite, Store, Writer, cql};

/// A store, shared. Cheap to clone; every call may be made from any thread. The promises are those of [`Store`].
#[derive(Clone)]
pub struct Ledger {
    store: Arc<dyn Store>,
    meters: Arc<CallMeters>,
}

impl Ledger {
    /// Over any store. Takes its metrics from the recorder that is installed by then.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, meters: Arc::new(CallMeters::new()) }
    }

    /// Opens or creates the embedded store in this file. Blocks for the file's checks; call it at start-up.
    ///
    /// # Errors
    /// Everything that is wrong with the file or its folder, each its own variant.
    pub fn sqlite(path: &Path) -> Result<Self, Error> {
        Ok(Self::new(Arc::new(Sqlite::open(path)?)))
    }

    /// Connects to the CQL store of these settings, whose keyspace and tables are there ([`crate::cql::migrate`] makes them).
    ///
    /// # Errors
    /// Everything that is wrong on the way there, each its own variant.
    pub async fn cql(settings: &cql::Settings) -> Result<Self, Error> {
        Ok(Self::new(Arc::new(Cql::open(settings).await?)))
    }

    /// The store behind the handle, to wrap it.
    #[must_use]
    pub fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    /// See [`Store::claim`].
    ///
    /// # Errors
    /// As there.
    pub async fn claim(&self, log: &LogId, owner: &str) -> Result<Writer, Error> {
        let answer = self.store.claim(log, owner).await;
        self.meters.outcome("claim", &answer);
        answer
    }

    /// See [`Store::append`].
    ///
    /// # Errors
    /// As there.
    pub async fn append(&self, writer: &Writer, events: &[String]) -> Result<Append, Error> {
        let since = Instant::now();
        let answer = self.store.append(writer, events).await;
        self.meters.append(since, events.len(), &answer);
        answer
    }

    /// See [`Store::read`].
    ///
    /// # Errors
    /// As there.
    pub async fn read(&self, log: &LogId, after: u64, most: usize) -> Result<Vec<Entry>, Error> {
        let since = Instant::now();
        let answer = self.store.read(log, after, most).await;
        self.meters.read("read", since, &answer);
        answer
    }

    /// Reads everything above `after`, page by page, and hands each entry to `visit`. Answers the number of the last one (`after` when there
    /// was none). What is appended meanwhile is read as well.
    ///
    /// # Errors
    /// As [`Store::read`]; entries handed out before stay handed out.
    pub async fn read_all(&self, log: &LogId, after: u64, mut visit: impl FnMut(Entry) + Send) -> Result<u64, Error> {
        let mut last = after;
        loop {
            let page = self.read(log, last, domain::limits::MAX_READ_EVENTS).await?;
            if page.is_empty() {
                return Ok(last);
            }
            for entry in page {
                last = entry.seq;
                visit(entry);
            }
        }
    }

    /// See [`Store::head`].
    ///
    /// # Errors
    /// As there.
    pub async fn head(&self, log: &LogId) -> Result<Head, Error> {
        let since = Instant::now();
        let answer = self.store.head(log).await;
        self.meters.read("head", since, &answer);
        answer
    }

    /// See [`Store::list`].
    ///
    /// # Errors
    /// As there.
    pub async fn list(&self, prefix: &str) -> Result<Vec<LogId>, Error> {
        let answer = self.store.list(prefix).await;
        self.meters.outcome("list", &answer);
        answer
    }

    /// See [`Store::check`].
    ///
    /// # Errors
    /// As there.
    pub fn check(&self) -> Result<(), Error> {
        self.store.check()
    }

    /// See [`Store::bytes`].
    #[must_use]
    pub fn bytes(&self) -> Option<u64> {
        self.store.bytes()
    }
}
