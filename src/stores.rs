//! Opening the stores, for the program and for commands that look at them by themselves.

use std::future::Future;
use std::path::Path;

use ledger::{Error, Ledger};
use lua::{Access, Redis};

use crate::config::{Config, LedgerAt};
use crate::failure::Failure;
use crate::production;
use crate::waiting::{Missing, Waiting};

/// A failure of the ledger as one line; its own message says what to do.
pub(crate) fn ledger_failure(error: Error) -> Failure {
    Failure::new("ledger", error, "")
}

/// Opens the ledger of the settings: makes a file that is not there, waits for a cluster that cannot be reached yet.
pub(crate) async fn ledger(config: &Config, waiting: &Waiting) -> Result<Ledger, Failure> {
    let cql = match config.ledger() {
        LedgerAt::File(path) => return file(&path),
        LedgerAt::Cql(cql) => cql,
    };
    let open = async || match Ledger::cql(&cql.settings).await {
        Err(error @ Error::Unreachable { .. }) => Err(Missing::Yet(ledger_failure(error))),
        opened => opened.map_err(|error| Missing::Wrong(ledger_failure(error))),
    };
    let ledger = waiting.until(open).await?;
    production::check_ledger(config, &cql.settings).await?;
    Ok(ledger)
}

fn file(path: &Path) -> Result<Ledger, Failure> {
    Ledger::sqlite(path).map_err(|error| Failure::new(format!("ledger {}", path.display()), error, ""))
}

/// Opens a ledger to look at: one that is not there is not made.
pub(crate) async fn existing_ledger(config: &Config) -> Result<Ledger, Failure> {
    match config.ledger() {
        LedgerAt::File(path) if path.exists() => file(&path),
        LedgerAt::File(path) => Err(Failure::new(
            format!("ledger {}", path.display()),
            "there is none",
            "name the data directory with --data DIR",
        )),
        LedgerAt::Cql(cql) => Ledger::cql(&cql.settings).await.map_err(ledger_failure),
    }
}

/// A handle on Redis for one thread. It connects with its first call.
pub(crate) fn redis(access: &Access) -> Redis {
    Redis::new(access, lua::Settings::default())
}

/// Runs a command's asynchronous work to its end on this thread.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    runtime()?.block_on(work)
}

/// A runtime of one thread.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new("runtime", error, "raise the limit of open files (ulimit -n)"))
}
