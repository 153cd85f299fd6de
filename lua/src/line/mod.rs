//! A line's scripts, one function each.
//!
//! Redis holds what a lost visitor's ticket restores anyway: one number per visitor, and what the line's owner publishes.
//! Numbers come from the owner, out of blocks it has logged; the line's log decides frontier and passes (I6, I7).

mod join;
mod publish;

pub use join::{JoinGroup, JoinReply, JoinRequest, Joined, PresentRequest, join, present};
pub use publish::{LineLook, LineReply, LineState, load, look, publish, unload};
