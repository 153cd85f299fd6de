//! Redis: scripts, keys, and one typed call per script.
//!
//! The only crate that knows a Redis client. Every transition of a lane or a line is one script in `scripts/`, opened by a
//! header with its guarantee, keys, arguments and replies, and one function here that calls it: [`lane`], [`line`],
//! [`lease`]. [`Redis`] runs them: one connection per handle and server, a deadline per call, and an outcome that says whether
//! the call was executed ([`CallError`]). Nothing is sent again after an error of the connection; ids make repetition safe.

mod access;
mod call;
mod client;
mod cluster;
pub mod error;
pub mod facts;
pub mod hints;
pub mod key;
pub mod lane;
pub mod lease;
pub mod line;
pub mod members;
pub mod metrics;
#[cfg(feature = "model")]
pub mod model;
mod node;
mod reply;
mod script;
#[cfg(feature = "server")]
pub mod server;

pub use crate::access::{Access, Address, BadTarget, Credentials, Target};
pub use crate::client::{Redis, Settings};
pub use crate::error::CallError;
pub use crate::hints::{HintKind, Hints};
pub use crate::key::{LaneKeys, LineKeys};
pub use crate::lane::Record;
pub use crate::script::scripts_digest;
