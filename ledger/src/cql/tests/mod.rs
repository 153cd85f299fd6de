#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod conformance;
mod doubts;
mod nodes;
mod opening;
mod schema;

use domain::LogId;

use super::Cql;
use crate::{Append, Error, Ledger, Store as _, Writer};

/// A log that no other test uses.
fn fresh_log() -> LogId {
    LogId::lane(&format!("q{:016x}", rand::random::<u64>()).parse().unwrap(), 0)
}

async fn append(store: &Cql, writer: &Writer, event: &str) -> Result<Writer, Error> {
    match store.append(writer, &[event.to_owned()]).await? {
        Append::Appended(writer) => Ok(writer),
        Append::Fenced(head) => panic!("fenced: {head:?}"),
    }
}

async fn all(ledger: &Ledger, log: &LogId) -> Vec<String> {
    let mut events = Vec::new();
    ledger.read_all(log, 0, |entry| events.push(entry.event)).await.unwrap();
    events
}

/// One line that says where and what to do.
fn is_clear(error: &Error, parts: &[&str]) {
    let line = error.to_string();
    assert!(!line.contains('\n') && parts.iter().all(|part| line.contains(part)), "{line} should say {parts:?}");
}
