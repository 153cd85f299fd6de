//! Fenced logs: the interface and its stores.
//!
//! The ledger is the truth (I1, I3): what is not in a log has not happened, what is in a log has happened for ever. Every log has one writer at a
//! time, decided by a fence that only grows; an append is all or nothing, under the condition that fence and head are the writer's.
//! This is the only crate that knows SQLite and CQL.

mod append;
pub mod cql;
mod error;
mod handle;
pub mod metrics;
mod page;
mod sqlite;
mod store;

#[cfg(feature = "cassandra")]
pub mod cassandra;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
#[cfg(any(test, feature = "conformance"))]
pub mod faulty;

pub use append::Limits;
pub use cql::Cql;
pub use error::{Applied, Error};
pub use handle::Ledger;
pub use sqlite::Sqlite;
pub use store::{Append, Entry, Head, Store, Writer};
