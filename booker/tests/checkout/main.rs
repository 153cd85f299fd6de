//! The checkout's decisions as facts: what is said to whom, what is owed to whom, when a step is tried again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod decisions;
mod log;
mod refunds;
mod work;
