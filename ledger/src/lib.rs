//! Fenced logs: the interface and its stores.
//!
//! The ledger is the truth (I1, I3): what is not in a log has not happened, what is in a log has happened for ever. Every log has one writer at a
//! time, decided by a fence that only grows; an append is all or nothing, under the condition that fence and head are the writer's.
//! This is the only crate that knows SQLite, and later CQL.

mod error;
mod handle;
mod store;

pub use error::{Applied, Error};
pub use handle::Ledger;
pub use store::{Append, Entry, Head, Store, Writer};
