//! Why an act was not done.

use domain::{Millis, Mistake, SaleId};
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
