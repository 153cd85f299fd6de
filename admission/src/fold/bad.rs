//! Why an entry of a line's log is refused.

use super::classes::BadClass;
use crate::lobby::BadLobby;

/// An entry that cannot follow what was folded so far: the log is damaged, or its writer was no Holdfast. The line stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadLine {
    /// An entry is missing or came twice.
    #[error("entry {found} came where {expected} was expected")]
    OutOfOrder {
        /// The next sequence number.
        expected: u64,
        /// The one that came.
        found: u64,
    },
    /// Time, frontier or numbers went back.
    #[error("entry {0} goes back behind the one before it")]
    Back(u64),
    /// A frontier beyond the numbers given out, or a pass beyond the frontier.
    #[error("entry {0} lets in who was not called")]
    NotCalled(u64),
    /// A second pass for one number, or numbers that do not rise.
    #[error("entry {0} grants a number again")]
    Twice(u64),
    /// Passes before any entry has said how long they live.
    #[error("entry {0} grants passes of no known length")]
    NoTtl(u64),
    /// The lobby did not go this way.
    #[error("entry {0}: {1}")]
    Lobby(u64, BadLobby),
    /// A fault that is not over, or none at all.
    #[error("entry {0} records a fault that is not over")]
    Fault(u64),
    /// Numbers or calls while the order of the lobby is not drawn.
    #[error("entry {0} calls or counts before the lobby is drawn")]
    NotDrawn(u64),
    /// A number moved that nobody has, that was used, or twice.
    #[error("entry {0} moves a place that is not there to be moved")]
    Moved(u64),
    /// The classes did not go this way.
    #[error("entry {0}: {1}")]
    Class(u64, BadClass),
}
