//! What operators are told: alerts and dashboards use metrics there are, alerts have runbooks and cases, and fire when it happens.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub, dead_code)]

mod around;
mod expression;
#[path = "../support/http.rs"]
mod http;
mod live;
#[path = "../program/process.rs"]
mod process;
mod rules;
#[path = "../support/start.rs"]
mod start;
