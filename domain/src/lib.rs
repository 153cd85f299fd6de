//! Words and rules of Holdfast, without I/O.
//!
//! Every other crate speaks in these types. Nothing here waits, reads a clock or draws randomness: `now`, keys and
//! random bytes are arguments. The words are those of `docs/ARCHITECTURE.md`; invariants are quoted by number (I1-I9).

pub mod event;
pub mod id;
pub mod limits;
pub mod lines;
pub mod money;
pub mod sale;
pub mod table;
pub mod time;
pub mod token;

pub use event::{Act, Actor, LaneEvent, LineEvent, RefuseReason, SaleEvent};
pub use id::{Fingerprint, HoldId, ItemId, LogId, SaleId, VisitorHash, VisitorId};
pub use lines::Lines;
pub use money::{Currency, Money};
pub use sale::{Admission, HoldTimes, Item, Room, SaleDoc};
pub use time::Millis;
