//! What other crates and other people's tools rely on, as facts about the public interface.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod checkouts;
mod coupons;
mod events;
mod faults;
mod fuzzed;
mod ids;
mod money;
mod points;
mod prices;
mod proofs;
mod sales;
mod tables;
mod tokens;
