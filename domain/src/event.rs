//! The events of the ledger. One event is one compact JSON object with a version, readable in `holdfast log read` and any SQL or CQL shell.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::code::CodeHash;
use crate::digest::Digest;
use crate::id::{Fingerprint, HoldId, ItemId, VisitorHash};
use crate::lines::Lines;
use crate::number::Class;
use crate::sale::SaleDoc;
use crate::time::Millis;

/// Version written into every event as `v`. A reader refuses a newer one instead of guessing.
pub const EVENT_VERSION: u8 = 1;

/// Stands for the lane in a `TransferOut` of units that an operator withdrew: nobody gets them.
pub const WITHDRAWN: u16 = u16::MAX;

const _: () = assert!(crate::limits::MAX_LANES < WITHDRAWN, "no lane has this number");

/// An event as it stands in a log: the version, then the event's own fields.
#[derive(Serialize, Deserialize)]
struct Versioned<E> {
    v: u8,
    #[serde(flatten)]
    event: E,
}

/// An event that cannot be read. The log is damaged, or was written by a newer Holdfast.
#[derive(Debug, thiserror::Error)]
pub enum BadEvent {
    /// The text is no event of this kind.
    #[error("event is not readable")]
    Unreadable(#[from] serde_json::Error),
    /// Written by a newer version.
    #[error("event has version {0}, this program reads up to {EVENT_VERSION}: run a newer holdfast")]
    TooNew(u8),
}

/// Kinds of events that a log holds.
pub trait Event: Serialize + for<'de> Deserialize<'de> {
    /// The event as one line of JSON.
    ///
    /// # Errors
    /// Only when a field cannot be written as JSON, which none of the types here do.
    fn encode(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(&Versioned { v: EVENT_VERSION, event: self })
    }

    /// Reads an event back.
    ///
    /// # Errors
    /// [`BadEvent`] when the text is damaged or newer than this program.
    fn decode(text: &str) -> Result<Self, BadEvent> {
        #[derive(Deserialize)]
        struct Version {
            v: u8,
        }
        // A newer event may have any shape, so a failure is asked for its version; every other event is parsed once.
        let (v, event) = match serde_json::from_str::<Versioned<Self>>(text) {
            Ok(Versioned { v, event }) => (v, Ok(event)),
            Err(error) => (serde_json::from_str::<Version>(text).map_or(0, |version| version.v), Err(error)),
        };
        if v > EVENT_VERSION {
            return Err(BadEvent::TooNew(v));
        }
        Ok(event?)
    }
}

impl Event for LaneEvent {}
impl Event for LineEvent {}
impl Event for SaleEvent {}

/// What a lane's log holds (`lane/{sale}/{n}`). The first event of an id decides it for ever (R1).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "t", rename_all = "snake_case")]
pub enum LaneEvent {
    /// The booking exists: the only moment that counts.
    Booked {
        /// Hold and booking id.
        id: HoldId,
        /// Whose it is.
        visitor: VisitorHash,
        /// Units per item.
        lines: Lines,
        /// What the hold's request asked for.
        fp: Fingerprint,
        /// Number of the pass it was made with; absent where the sale has no waiting room.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pass: Option<u64>,
        /// Committer's clock when it decided.
        at: Millis,
    },
    /// The id is dead; its key is used up.
    Refused {
        /// Hold id.
        id: HoldId,
        /// Whose confirm it was.
        visitor: VisitorHash,
        /// Why.
        why: RefuseReason,
        /// Committer's clock when it decided.
        at: Millis,
    },
    /// Follows `Booked`: the units are free again.
    Cancelled {
        /// Booking id.
        id: HoldId,
        /// Committer's clock when it decided.
        at: Millis,
    },
    /// Units added to the lane, pulled from the sale's log.
    Stock {
        /// `sale/{sale}:seq` of the act; a known one is dropped.
        from: String,
        /// Units added per item.
        lines: BTreeMap<ItemId, u64>,
        /// Committer's clock when it decided.
        at: Millis,
    },
    /// Units have left the lane for another one. They are nobody's until that lane's log has its `TransferIn`; for ever when
    /// they were [`WITHDRAWN`].
    TransferOut {
        /// Id of the claim that took them from the free units.
        id: HoldId,
        /// Number of the lane that gets them, or [`WITHDRAWN`].
        to: u16,
        /// Units per item.
        lines: Lines,
        /// Committer's clock when it decided.
        at: Millis,
    },
    /// Units of another lane have come, pulled from its log.
    TransferIn {
        /// `lane/{sale}/{n}:seq` of the `TransferOut`; a known one is dropped.
        from: String,
        /// Units per item.
        lines: Lines,
        /// Committer's clock when it decided.
        at: Millis,
    },
}

/// Why the committer refused a confirm.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefuseReason {
    /// The hold was gone (expired, released or lost) before the confirm came.
    Gone,
    /// Not enough units are allocated: Redis had shown more than there are.
    SoldOut,
    /// The visitor would have more units than the sale allows.
    Limit,
    /// Another hold of the same pass was booked: one booking per pass, also when it was cancelled since.
    PassUsed,
}

impl RefuseReason {
    /// The name in metrics and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::SoldOut => "sold_out",
            Self::Limit => "limit",
            Self::PassUsed => "pass_used",
        }
    }
}

/// What a line's log holds (`line/{sale}`): one entry per step or group of claims, appended before anybody learns of it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(tag = "t", rename = "line")]
pub struct LineEvent {
    /// Owner's clock, never earlier than the entry before. Passes granted here live from this moment.
    pub at: Millis,
    /// Numbers up to here may have been given out by this or an earlier owner.
    pub numbers_to: u64,
    /// Tickets up to here may enter. Never goes back (I6).
    pub frontier: u64,
    /// Numbers that got their pass with this entry, rising.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub granted: Vec<u64>,
    /// Numbers whose pass ended (booked, left or expired) and freed its place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ended: Vec<u64>,
    /// Numbers (first, last) that an earlier owner probably left unused: the frontier jumps them at no cost, they are no
    /// no-shows. A ticket out of them, should there be one, is as good as any other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<(u64, u64)>,
    /// Milliseconds that passes granted from this entry on live. Stands in an owner's first entry and wherever it changes,
    /// so that the log alone tells when a pass ends, whatever the sale's document says later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass_ttl_ms: Option<u64>,
    /// Milliseconds that the turns called with this entry are kept, where they were called to units that came back after all
    /// were taken; absent: as long as the sale keeps every turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn_ms: Option<u64>,
    /// Visitors who got a place in a class by a code, in order: each gets the next place of the class.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redeemed: Vec<Redeemed>,
    /// Classes that were called, by class, rising. None of them ever goes back (I6).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<ClassCall>,
    /// What happened to the lobby.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lobby: Option<LobbyEvent>,
    /// Numbers, rising, that are another visitor's from this entry on: moved to another device. None of them had its pass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moved: Vec<(u64, VisitorHash)>,
    /// A failure of ours that is over (from, to): passes and holds that lived then end later ([`crate::fault`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<(Millis, Millis)>,
}

/// A visitor used a code. The first entries that say so are its uses, whatever was answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Redeemed {
    /// The class.
    pub class: Class,
    /// Who. Nobody gets a second place by code in a sale.
    pub visitor: VisitorHash,
    /// Which code.
    pub code: CodeHash,
    /// How many visitors may use it, as it was known then.
    pub uses: u32,
}

/// Places of a class up to here may enter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClassCall {
    /// The class.
    pub class: Class,
    /// The last place that may enter.
    pub frontier: u64,
}

/// A lobby on its way: visitors come, it closes, the order is drawn. Each stands in the log before anybody learns of it, so
/// who came, who takes part and in which order they enter is what the log says, whatever dies.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LobbyEvent {
    /// Visitors got a receipt. The first of them ever has index 0, the next one 1, and so on; nobody comes twice.
    Came {
        /// What the seed of the draw hashes to. Stands in the first such entry.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        commitment: Option<Digest>,
        /// Who, in order of their indices.
        receipts: Vec<VisitorHash>,
    },
    /// The lobby is closed. Its visitors have the numbers 1 to `count` between them; who has which is not known yet.
    Closed {
        /// Receipts.
        count: u64,
        /// Root of the tree over them.
        root: Digest,
    },
    /// The order is drawn: it follows from seed, root and public value.
    Drawn {
        /// The seed, revealed.
        seed: Digest,
        /// The public value, where one was named in advance.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        public_value: Option<String>,
    },
}

/// Who did something to a sale, and why. Every act is recorded with it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Actor {
    /// Operator key's name, or the program itself (`holdfast`).
    pub by: String,
    /// The operator's words; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

/// What a sale's log holds (`sale/{sale}`): its definition and the operator's acts.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "t", rename = "sale")]
pub struct SaleEvent {
    /// When, by the clock of the process that took the act.
    pub at: Millis,
    /// Who and why.
    #[serde(flatten)]
    pub actor: Actor,
    /// What.
    pub act: Act,
}

impl Act {
    /// The name in metrics and log lines.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Define { .. } => "define",
            Self::Open => "open",
            Self::Pause { .. } => "pause",
            Self::Resume { .. } => "resume",
            Self::Pace { .. } => "pace",
            Self::Cap { .. } => "cap",
            Self::Stock { .. } => "stock",
            Self::Withdraw { .. } => "withdraw",
            Self::Withdrawn { .. } => "withdrawn",
            Self::Joining { .. } => "joining",
            Self::LetThrough { .. } => "let_through",
            Self::Close => "close",
        }
    }

    /// Units by item that the act adds to the sale.
    #[must_use]
    pub fn stock(&self) -> BTreeMap<ItemId, u64> {
        match self {
            Self::Define { stock, .. } => stock.clone(),
            Self::Stock { item, units, .. } => BTreeMap::from([(item.clone(), *units)]),
            _ => BTreeMap::new(),
        }
    }
}

/// One act on a sale.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Created or changed from a document. `stock` is what this adds to the sale, by item: the lanes pull it from here.
    Define {
        /// The whole document after the change.
        doc: Box<SaleDoc>,
        /// Units added per item against the document before.
        stock: BTreeMap<ItemId, u64>,
    },
    /// Open now, whatever `opens_at` says.
    Open,
    /// Nobody is called, let in or given a new hold until it goes on. Places and holds are kept.
    Pause {
        /// What visitors are told; may be empty.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        message: String,
    },
    /// Goes on after a pause.
    Resume {
        /// Milliseconds in which the pace grows to its full height; 0: at once.
        #[serde(default)]
        ramp_ms: u64,
    },
    /// Changes the document's pace.
    Pace {
        /// Passes issued in any 60 s, at most, from now on.
        per_minute: u32,
    },
    /// Changes the document's cap.
    Cap {
        /// Passes alive at once, at most, from now on.
        active_passes: u32,
    },
    /// Adds units to an item of the document; the lanes pull them from here.
    Stock {
        /// Which item.
        item: ItemId,
        /// Units added.
        units: u64,
        /// The operator's Idempotency-Key: the same key adds once.
        key: String,
    },
    /// Units that nobody has are to leave the sale; the lanes give what is free.
    Withdraw {
        /// Of which item.
        item: ItemId,
        /// Units, at most.
        units: u64,
        /// The operator's Idempotency-Key: the same key withdraws once.
        key: String,
    },
    /// What a `Withdraw` came to, by the lanes' logs. Changes the document.
    Withdrawn {
        /// Seq of the `Withdraw`.
        of: u64,
        /// Units that have left.
        units: u64,
    },
    /// New visitors may join the line from now on, or may not.
    Joining {
        /// They may.
        open: bool,
    },
    /// From now on everybody is called whom the stock can serve, whatever pace and cap would call; or no longer.
    LetThrough {
        /// They are.
        on: bool,
    },
    /// Close now; final.
    Close,
}
