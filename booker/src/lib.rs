//! Holds, the committer and the reconciler.
//!
//! A lane has one owner ([`LaneOwner`]): it runs the lane's scripts, decides what is booked, appends it to the lane's log and
//! tells Redis. Everybody else talks to it through [`Lane`]. What is decided is decided by pure functions: [`decide`] over
//! [`fold::LaneFold`], and the committer's state machine, which is also what the model checker runs.

pub mod answer;
pub mod checkout;
pub mod committer;
pub mod convert;
pub mod decide;
pub mod fold;
mod lane;
pub mod metrics;
mod owner;
pub mod payment;
mod planted;
pub mod remote;
pub mod stock;
pub mod transfer;
mod view;
mod withdraw;

pub use answer::{
    Booking, CancelAnswer, ConfirmAnswer, GiveAnswer, GiveRequest, HoldAnswer, HoldRequest, HoldView, LaneError,
    LaneStatus, LookAnswer, PassRef, ReleaseAnswer,
};
pub use lane::{FaultSource, Lane, LaneConfig, Siblings, no_faults};
pub use owner::{LaneOwner, lane};
pub use withdraw::withdraw;

/// What the owner answers from the committed fold, for tests that play the owner by hand.
#[doc(hidden)]
pub mod view_for_tests {
    pub use crate::view::confirm_answer;
}
