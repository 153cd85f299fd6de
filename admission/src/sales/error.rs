//! Why an act was not done.

use domain::{ItemId, Millis, Mistake, SaleId};
use ledger::Applied;

/// An act that was not recorded. Each message says what to do.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum SalesError {
    /// There is no such sale.
    #[error("there is no such sale: create it with `holdfast sale apply`")]
    NotFound,
    /// Somebody changed the sale since the caller looked.
    #[error("the sale has revision {revision} by now: look at it again and repeat the change")]
    Conflict {
        /// The sale's revision; 0: there is no such sale.
        revision: u64,
    },
    /// The document may not become this one; every mistake is listed.
    #[error("the document has {} mistakes", .0.len())]
    Invalid(Vec<Mistake>),
    /// The ids of both sales could not be told apart.
    #[error("the name cannot be told from that of the sale {0} in the ids of bookings: choose another name")]
    TagClash(SaleId),
    /// A close is final.
    #[error("the sale is closed, and a close is final: create another sale")]
    Closed,
    /// Its time is over; the document may still say a later one.
    #[error("the sale closed at {0}: apply its document with a later closes_at, then open it")]
    Over(Millis),
    /// The key stands for another change.
    #[error("a request with this key and other content came before; it stands, this one changed nothing")]
    KeyReused,
    /// There is one withdrawal at a time.
    #[error("a withdrawal is under way: wait for its outcome, then repeat the act")]
    Withdrawing,
    /// The item has not got so many units, but this many.
    #[error("the item has {0} units: no more can be withdrawn")]
    TooFewUnits(u64),
    /// The sale has no waiting room, so no pace and no cap.
    #[error("the sale has no waiting room (admission = \"none\")")]
    NoRoom,
    /// The sale has no such item.
    #[error("the sale has no item {0}: add it to the document and apply that")]
    NoItem(ItemId),
    /// An item may have only so many units; this many more would fit.
    #[error("at most {0} units more fit into this item")]
    TooManyUnits(u64),
    /// Other processes changed the sale each time before this one could.
    #[error("others change this sale at the same time: repeat the act")]
    Overtaken,
    /// The sale's log does not make sense.
    #[error(
        "the log of the sale is damaged ({0}): look at it with `holdfast log read`, restore the ledger from a backup"
    )]
    Damaged(String),
    /// The event cannot be written.
    #[error("the act cannot be written: {0}")]
    Encode(String),
    /// The ledger refused; nothing was recorded.
    #[error(transparent)]
    Store(ledger::Error),
    /// The ledger did not say whether it recorded the act. Repeating it is safe.
    #[error("the ledger did not say whether the act is recorded ({0}): repeat it, an act is recorded once")]
    Unknown(ledger::Error),
}

impl From<ledger::Error> for SalesError {
    fn from(error: ledger::Error) -> Self {
        match error.applied() {
            Applied::No => Self::Store(error),
            Applied::Unknown => Self::Unknown(error),
        }
    }
}
