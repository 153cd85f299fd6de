//! The line's owner on a real Redis and a real ledger.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod codes;
mod everyday;
mod figures;
mod history;
mod ledger_faults;
mod lobby;
mod moved;
mod owners;
mod redis_faults;
mod shown;
mod turns;
