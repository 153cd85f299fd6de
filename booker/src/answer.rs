//! What a lane is asked and what it answers.
//!
//! Every answer is applied, refused or unknown (I8). A refusal is an `Ok` value: it was decided. [`LaneError`] means that
//! nothing was decided, and says for each kind whether the same request may be sent again.

use std::sync::Arc;

use domain::{Fingerprint, HoldId, HoldState, Lines, LogId, Millis, RefuseReason, VisitorHash};
pub use lua::lane::PassRef;
use serde::{Deserialize, Serialize};

/// Claims units: all lines or none.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HoldRequest {
    /// Derived from sale, visitor and Idempotency-Key.
    pub id: HoldId,
    /// Who asks.
    pub visitor: VisitorHash,
    /// What for; checked by the caller: not empty, within the limits of `domain`.
    pub lines: Lines,
    /// Absent where the sale has no waiting room.
    #[serde(with = "crate::remote::pass")]
    pub pass: Option<PassRef>,
}

impl HoldRequest {
    /// What the request asked for: the same id with another one is another request.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.lines)
    }
}

/// What became of a hold request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum HoldAnswer {
    /// The hold as it is now.
    Hold {
        /// Its state and figures.
        hold: HoldView,
        /// A record of this id existed: nothing was changed.
        replayed: bool,
    },
    /// The id was used for other lines (422). Whatever it stands for stands.
    KeyReused,
    /// The id was refused by the ledger and is dead (410): a new key is needed.
    Gone(RefuseReason),
    /// Not enough units are left, and those that are held could not make up for it.
    SoldOut,
    /// Not enough units are free, but held ones may come back.
    AllHeld,
    /// The visitor would have more units than the sale allows.
    Limit,
    /// The pass, or the visitor, has made as many holds as one may.
    TooManyHolds,
    /// The pass had expired by the lane's clock.
    PassExpired,
    /// The pass was used for a booking, or left.
    PassDone,
    /// The lane has no such item.
    NoSuchItem,
}

/// A hold as its visitor may see it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HoldView {
    /// Hold and booking id.
    pub id: HoldId,
    /// Where it stands.
    pub state: HoldState,
    /// Units per item; empty when neither Redis nor the ledger knows them.
    pub lines: Lines,
    /// When it ends by itself, with what faults of ours add to it; absent once it has none.
    pub deadline: Option<Millis>,
    /// The lane's clock when it was read: a deadline is told as time that remains.
    pub now: Millis,
    /// The booking, once sold (also when it was cancelled since).
    pub booking: Option<Booking>,
    /// Why it was refused.
    pub why: Option<RefuseReason>,
}

/// A booking as the ledger has it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Booking {
    /// The id of the hold that it was.
    pub id: HoldId,
    /// Whose it is.
    pub visitor: VisitorHash,
    /// Units per item.
    #[serde(with = "crate::remote::shared")]
    pub lines: Arc<Lines>,
    /// The log that has it.
    pub log: LogId,
    /// Where in the log: `log:seq` is the event's id.
    pub seq: u64,
    /// When it was booked, by the committer's clock.
    pub at: Millis,
    /// Number of the pass it was made with.
    pub pass: Option<u64>,
    /// Seq and time of the cancellation.
    pub cancelled: Option<(u64, Millis)>,
}

/// What became of a confirm.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ConfirmAnswer {
    /// The ledger has it (201).
    Booked {
        /// As the ledger has it.
        booking: Booking,
        /// The ledger had it before this request came.
        replayed: bool,
    },
    /// The ledger has to decide, or it takes longer (202). The owner goes on by itself; ask again.
    Confirming,
    /// The ledger refused: final (410).
    Refused(RefuseReason),
    /// It was booked and cancelled since.
    Cancelled(Booking),
    /// The ledger has a booking under this id for other lines than this hold's (422). The booking stands.
    KeyReused,
    /// Too many confirms of holds that nobody knows were made with this pass (429). Nothing changed.
    TooMany,
    /// Not this visitor's, or no id of this lane (404).
    Foreign,
}

/// What became of a cancel.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum CancelAnswer {
    /// The ledger has the cancellation.
    Cancelled {
        /// As the ledger has it.
        booking: Booking,
        /// The ledger had the cancellation before this request came.
        replayed: bool,
    },
    /// It takes longer (202): ask again.
    Cancelling,
    /// There is no booking under this id.
    NotBooked,
    /// Not this visitor's, or no id of this lane (404).
    Foreign,
}

/// What became of a release.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ReleaseAnswer {
    /// Released, unless a confirm of the visitor's own already under way wins.
    Released,
    /// It is being confirmed or was decided: nothing changed.
    TooLate(HoldState),
    /// Not this visitor's, or no id of this lane (404).
    Foreign,
}

/// What is known about an id.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum LookAnswer {
    /// The hold as it is.
    Hold(HoldView),
    /// Neither Redis nor the ledger knows it, but it can be this visitor's: confirming it has the ledger decide.
    Unknown,
    /// Not this visitor's, or no id of this lane (404).
    Foreign,
}

/// A lane asks another one for units.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GiveRequest {
    /// Id of the claim, an id of the lane that is asked; the same one again is answered from what became of it.
    pub id: HoldId,
    /// The lane that asks.
    pub to: u16,
    /// What it asks for at most.
    pub wanted: Lines,
    /// A visitor waits for it: nothing is kept back.
    pub urgent: bool,
}

/// What became of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum GiveAnswer {
    /// The ledger has it: this event of the giving lane's log says what was given.
    Given {
        /// Its seq.
        seq: u64,
    },
    /// Nothing can be given, now and under this id ever.
    Nothing,
}

/// Nothing was decided.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
pub enum LaneError {
    /// Too many requests wait for the lane, or too many confirms for the ledger. Nothing changed; send it again later (503).
    #[error("the lane has more work than it may keep")]
    Busy,
    /// Nobody owns the lane now. Nothing changed; send it again (503).
    #[error("the lane has no owner")]
    NoOwner,
    /// Redis has no state of the lane, or is away. Nothing changed; send it again (503).
    #[error("the lane is not loaded")]
    NotLoaded,
    /// Redis may have executed the call. Sending the same request again is safe and finds out (503).
    #[error("the outcome is unknown")]
    Unknown,
    /// The ledger has lost data: the lane stays stopped until an operator acts.
    #[error("the lane is stopped, because the ledger lost data")]
    Stopped,
}

impl LaneError {
    /// The name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::NoOwner => "no_owner",
            Self::NotLoaded => "not_loaded",
            Self::Unknown => "unknown",
            Self::Stopped => "stopped",
        }
    }
}

/// How a lane is doing, as its owner last saw it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LaneStatus {
    /// This process owns the lane: it claimed the log and nobody was seen to have claimed since.
    pub owned: bool,
    /// Redis has the lane's state, so holds and confirms are taken.
    pub loaded: bool,
    /// The sale is over and the lane's keys are gone from Redis: the fold answers.
    pub unloaded: bool,
    /// The ledger lost data; an operator has to act.
    pub stopped: bool,
    /// The owner's fence.
    pub fence: u64,
    /// Seq of the last event in the fold.
    pub head: u64,
    /// Seq of the last event that Redis has.
    pub settled: u64,
    /// Confirms and cancels that wait for the ledger.
    pub undecided: usize,
    /// The ledger did not take the last append, or has not answered for a second.
    pub ledger_failing: bool,
    /// Redis did not answer the last heartbeat, or a script failed since: the lane's keys may be damaged.
    pub redis_failing: bool,
}
