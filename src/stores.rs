//! Opening the stores, for the program and for commands that look at them by themselves.

use std::future::Future;

use ledger::Ledger;
use lua::{Redis, Target};

use crate::config::Config;
use crate::failure::Failure;

/// A failure of the ledger as one line; its own message says what to do.
pub(crate) fn ledger_failure(error: ledger::Error) -> Failure {
    Failure::new("ledger", error, "")
}

/// Opens the ledger of the settings, and makes it when it is not there.
pub(crate) fn ledger(config: &Config) -> Result<Ledger, Failure> {
    let path = config.ledger();
    Ledger::sqlite(&path).map_err(|error| Failure::new(format!("ledger {}", path.display()), error, ""))
}

/// Opens a ledger to look at: one that is not there is not made.
pub(crate) fn existing_ledger(config: &Config) -> Result<Ledger, Failure> {
    let path = config.ledger();
    if !path.exists() {
        return Err(Failure::new(
            format!("ledger {}", path.display()),
            "there is none",
            "name the data directory with --data DIR",
        ));
    }
    ledger(config)
}

/// A handle on Redis for one thread. It connects with its first call.
pub(crate) fn redis(target: &Target) -> Redis {
    Redis::new(target.clone(), lua::Settings::default())
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
