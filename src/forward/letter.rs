//! What a lane's and a line's requests have in common on their way.

use std::future::Future;
use std::time::Duration;

use booker::remote::Pace;

/// A request on its way, with whoever waits for its answer.
pub(super) trait Letter: Sized + Send + 'static {
    /// Its owner may wait for the ledger.
    fn is_patient(&self) -> bool;
    /// Bytes it takes in a group, at most.
    fn size(&self) -> usize;
    /// Nobody waits for it.
    fn is_gone(&self) -> bool;
    /// Nothing was done.
    fn no_owner(self);
    /// Nobody knows what was done.
    fn unknown(self);
    /// A group as its owner reads it.
    fn encode<'a>(group: impl Iterator<Item = &'a Self>, within: Duration) -> Vec<u8>;
    /// Gives the answers; returns those that the receiver does not own.
    fn answered(group: Vec<Self>, answer: &[u8]) -> Result<Vec<Self>, String>;
}

/// Where letters come from.
pub(super) trait Mail: Send {
    type Letter: Letter;
    /// The next; `None`: there can be no more. Dropping the future loses none.
    fn next(&mut self) -> impl Future<Output = Option<Self::Letter>> + Send;
    /// The next, if it is there.
    fn now(&mut self) -> Option<Self::Letter>;
}

impl Letter for booker::remote::Forwarded {
    fn is_patient(&self) -> bool {
        self.pace() == Pace::Patient
    }

    fn size(&self) -> usize {
        Self::size(self)
    }

    fn is_gone(&self) -> bool {
        Self::is_gone(self)
    }

    fn no_owner(self) {
        Self::no_owner(self);
    }

    fn unknown(self) {
        Self::unknown(self);
    }

    fn encode<'a>(group: impl Iterator<Item = &'a Self>, within: Duration) -> Vec<u8> {
        booker::remote::encode(group, within)
    }

    fn answered(group: Vec<Self>, answer: &[u8]) -> Result<Vec<Self>, String> {
        booker::remote::answered(group, answer).map_err(|error| error.to_string())
    }
}

impl Mail for booker::remote::Outbox {
    type Letter = booker::remote::Forwarded;

    fn next(&mut self) -> impl Future<Output = Option<Self::Letter>> + Send {
        Self::next(self)
    }

    fn now(&mut self) -> Option<Self::Letter> {
        Self::now(self)
    }
}

/// Bytes of a join, a claim or a leave.
const LINE_LETTER: usize = 128;

impl Letter for admission::remote::Forwarded {
    fn is_patient(&self) -> bool {
        false
    }

    fn size(&self) -> usize {
        LINE_LETTER
    }

    fn is_gone(&self) -> bool {
        Self::is_gone(self)
    }

    fn no_owner(self) {
        Self::no_owner(self);
    }

    fn unknown(self) {
        Self::unknown(self);
    }

    fn encode<'a>(group: impl Iterator<Item = &'a Self>, _within: Duration) -> Vec<u8> {
        admission::remote::encode(group)
    }

    fn answered(group: Vec<Self>, answer: &[u8]) -> Result<Vec<Self>, String> {
        admission::remote::answered(group, answer).map_err(|error| error.to_string())
    }
}

impl Mail for admission::remote::Outbox {
    type Letter = admission::remote::Forwarded;

    fn next(&mut self) -> impl Future<Output = Option<Self::Letter>> + Send {
        Self::next(self)
    }

    fn now(&mut self) -> Option<Self::Letter> {
        Self::now(self)
    }
}
