//! Words and rules of Holdfast, without I/O.
//!
//! Every other crate speaks in these types. Nothing here waits, reads a clock or draws randomness: `now`, keys and
//! random bytes are arguments. The words are those of `docs/ARCHITECTURE.md`; invariants are quoted by number (I1-I9).

pub mod checkout;
pub mod code;
pub mod country;
pub mod coupon;
pub mod digest;
pub mod event;
pub mod fault;
pub mod id;
pub mod limits;
pub mod lines;
pub mod metric;
pub mod money;
pub mod number;
pub mod outcome;
pub mod planted;
pub mod points;
pub mod price;
pub mod quote;
pub mod sale;
pub mod spread;
pub mod state;
pub mod table;
pub mod time;
pub mod token;
pub mod visitor_key;

pub use checkout::{CheckoutEvent, Plan, Refund, Step};
pub use code::{Code, CodeHash, ListedCode};
pub use country::{Countries, Country, CountryRefused, CountryRule};
pub use digest::{Digest, NotADigest};
pub use event::{Act, Actor, ClassCall, LaneEvent, LineEvent, LobbyEvent, Redeemed, RefuseReason, SaleEvent};
pub use id::{Fingerprint, HoldId, ItemId, LogId, SaleId, VisitorHash, VisitorId};
pub use lines::Lines;
pub use money::{Currency, Money};
pub use price::{Percent, Price};
pub use quote::{Quote, QuoteError, QuoteLine};
pub use sale::{
    Admission, HoldTimes, Item, LineClass, Phase, ProofOfWork, PublicValue, Room, SaleDoc, SaleFold, Standby, Terms,
};
pub use state::HoldState;
pub use table::Mistake;
pub use time::Millis;
pub use token::{Challenge, Key, KeyId, Keyring, Proof, ProofError, Receipt, TokenError};
