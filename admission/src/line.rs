//! A sale's line: who stands in it, who is called, who has a pass. One owner per line; everybody else talks to it
//! through [`Line`].

mod desk;
pub(crate) mod handle;
mod numbers;
mod owner;
mod places;
mod publish;
mod rules;
mod serve;

pub use handle::{Came, Claim, Fee, Joined, Line, LineError, LineStatus, NotYet};
pub use owner::{LineConfig, LineOwner, line};
