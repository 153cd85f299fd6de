//! A sale's line: who stands in it, who is called, who has a pass. One owner per line; everybody else talks to it
//! through [`Line`].

mod handle;

pub use handle::{Claim, Joined, Line, LineError, LineStatus, NotYet};
pub(crate) use handle::{Inbox, Request, channel};
