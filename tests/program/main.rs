//! The program as its user meets it: started, asked, killed, started again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub, dead_code)]

mod cluster;
mod commands;
mod cql;
mod dev;
mod draw;
#[path = "../support/http.rs"]
mod http;
mod load;
mod operators;
mod process;
mod refusals;
mod serve;
mod simulate;
#[path = "../support/start.rs"]
mod start;
