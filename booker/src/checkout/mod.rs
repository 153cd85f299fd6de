//! Between hold and booking stands money: the checkout of each booking as a state machine over its log (R10). Pure.
//!
//! ```text
//! begun -> reserved -> authorised -> confirm-sent -> decided: booked  -> captured -> earned
//!    \________\____________\___ aborted                     refused -> voided, returned      (aborted: the same)
//! booked: refund asked -> (cancelled) -> refunded, points moved
//! ```
//!
//! [`decide()`] says which entries an input comes to; they are appended under the log's head and fence. [`effects()`] says what
//! is to be done in a state, from committed entries alone: so an entry always stands before its effect starts, and the next
//! owner knows what to do without being told. Every effect is idempotent by booking and step. [`Work`] says when to try again,
//! and when to give up and leave it to an operator.
//!
//! What must not happen, and what keeps it from happening:
//! - Charged without a booking: capture follows `decided` only, which follows the lane's log only.
//! - Booked after an abort: `aborted` and `confirm-sent` exclude each other, and the lane is told only after the latter.
//! - Authorised for ever: whoever may have asked the provider asks again under the same key until it says how it stands, and
//!   then has it voided. "No such payment" is not an answer, because the request may still be on its way.
//! - Points or coupons lost: they are returned once for every checkout that took or may have taken them; the points' log
//!   refuses a use that comes after its return.
//! - More refunded than captured: a refund is dealt from what is left of the lines, by the fold, before it is appended.

mod decide;
mod effect;
mod fold;
mod paying;
mod refund;
mod state;
mod work;

pub use decide::{Answer, Decided, Input, LaneWord, Report, decide};
pub use effect::{Effect, effects};
pub use fold::{BadCheckouts, CheckoutFold, Group};
pub use paying::{Confirming, Entering, HoldOf, confirm, enter, release};
pub use refund::{Ask, Refused, refund};
pub use state::{Checkout, Phase, RefundState};
pub use work::{Heard, Todo, Work};
