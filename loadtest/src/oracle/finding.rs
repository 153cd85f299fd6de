//! What must not be.

use std::collections::BTreeMap;
use std::fmt;

use domain::HoldId;

use super::FeedFinding;
use crate::limits::MAX_TOLD_EACH;

/// Something that must not be.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Finding {
    /// I4: one id was answered booked and gone.
    BookedAndGone(HoldId),
    /// I4: requests of two keys were answered with one booking.
    OneBookingTwice(HoldId),
    /// I4: one key was answered with two ids.
    TwoIds(HoldId, HoldId),
    /// R1: one event of a log is two bookings.
    OneEventTwice(u16, u64),
    /// I1: more units were confirmed than there are.
    Oversold { item: String, booked: u64, units: u64 },
    /// I3: a confirmed booking is not among the visitor's bookings.
    Lost(HoldId),
    /// R1: a decided confirm was answered otherwise later.
    Changed { id: HoldId, before: &'static str, after: String },
    /// I8: a confirm came to no decision.
    Undecided(HoldId),
    /// I6: two visitors have one number.
    NumberTwice(u64),
    /// One pass per ticket: two passes were given for one number.
    PassTwice(u64),
    /// I6: a pass was given for a number that had not been called.
    NotCalled { number: u64, frontier: u64 },
    /// I6: the frontier went back.
    WentBack { before: u64, after: u64 },
    /// I7: more passes in a window than the pace allows.
    TooMany { window_ms: u64, passes: usize, allowed: u64 },
    /// The limit of units per visitor: more at once than the sale allows.
    OverLimit { id: HoldId, units: u64, limit: u64 },
    /// A refusal without reason: everything together is within the limit.
    LimitTooEarly { had: u64, asked: u64, limit: Option<u64> },
    /// A refusal without reason: a pass was called expired long before it expires.
    ExpiredEarly(u64),
    /// A refusal without reason: a hold was gone long before its deadline, and nothing in the ledger says why.
    GoneEarly(HoldId),
    /// A refusal without reason: sold out, and at the end there are units that nobody has.
    SoldOutButFree { item: String, free: u64, refused: u64 },
    /// A refusal without reason: an honest request was called wrong.
    Unjustified { call: &'static str, problem: &'static str },
    /// What must be refused was served.
    Served { what: &'static str, status: u16 },
    /// I4: two confirms of one hold at once were answered differently.
    TwinsDiffer { id: HoldId, what: String },
    /// The server's own proof fails.
    Audit { invariant: String, what: String },
    /// What the event feed shows.
    Feed(FeedFinding),
    /// What another process of the run found on its way.
    OfPart { name: String, what: String },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BookedAndGone(id) => write!(f, "I4: {id} was answered both booked and gone"),
            Self::OneBookingTwice(id) => write!(f, "I4: {id} was given to requests of two keys"),
            Self::TwoIds(one, two) => write!(f, "I4: one key was answered {one} and {two}"),
            Self::OneEventTwice(lane, seq) => write!(f, "R1: event {seq} of lane {lane} is more than one booking"),
            Self::Oversold { item, booked, units } => {
                write!(f, "I1: {booked} units of {item} were confirmed, there are {units}")
            }
            Self::Lost(id) => write!(f, "I3: {id} was confirmed and is not among its visitor's bookings"),
            Self::Changed { id, before, after } => write!(f, "R1: {id} was {before} and later answered {after}"),
            Self::Undecided(id) => write!(f, "I8: the confirm of {id} came to no decision"),
            Self::NumberTwice(number) => write!(f, "I6: number {number} was given to two visitors"),
            Self::PassTwice(number) => write!(f, "number {number} got more than one pass"),
            Self::NotCalled { number, frontier } => {
                write!(f, "I6: number {number} got a pass and the frontier was at {frontier} afterwards")
            }
            Self::WentBack { before, after } => write!(f, "I6: the frontier went back from {before} to {after}"),
            Self::TooMany { window_ms, passes, allowed } => {
                write!(f, "I7: {passes} passes within {window_ms} ms, {allowed} are allowed")
            }
            Self::OverLimit { id, units, limit } => {
                write!(f, "the limit: with {id} one visitor has {units} units, {limit} are allowed")
            }
            Self::LimitTooEarly { had, asked, limit: Some(limit) } => {
                write!(f, "a visitor of at most {had} units was refused {asked} more, {limit} are allowed")
            }
            Self::LimitTooEarly { had, asked, limit: None } => {
                write!(f, "a visitor of at most {had} units was refused {asked} more, and the sale has no limit")
            }
            Self::ExpiredEarly(number) => write!(f, "the pass of number {number} was called expired before its time"),
            Self::GoneEarly(id) => {
                write!(f, "{id} was gone before its deadline, and the ledger does not say why")
            }
            Self::SoldOutButFree { item, free, refused } => {
                write!(f, "{refused} holds of {item} were refused as sold out, and {free} units are nobody's")
            }
            Self::Unjustified { call, problem } => write!(f, "an honest {call} was refused as {problem}"),
            Self::Served { what, status } => write!(f, "{what} was answered {status}"),
            Self::TwinsDiffer { id, what } => write!(f, "I4: two confirms of {id} at once were answered {what}"),
            Self::Audit { invariant, what } => write!(f, "{invariant}: the server's own audit fails: {what}"),
            Self::Feed(finding) => finding.fmt(f),
            Self::OfPart { what, .. } => f.write_str(what),
        }
    }
}

impl Finding {
    /// The name in the JSON report.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::BookedAndGone(_) => "booked-and-gone",
            Self::OneBookingTwice(_) => "one-booking-twice",
            Self::TwoIds(..) => "two-ids",
            Self::OneEventTwice(..) => "one-event-twice",
            Self::Oversold { .. } => "oversold",
            Self::Lost(_) => "lost",
            Self::Changed { .. } => "changed",
            Self::Undecided(_) => "undecided",
            Self::NumberTwice(_) => "number-twice",
            Self::PassTwice(_) => "pass-twice",
            Self::NotCalled { .. } => "not-called",
            Self::WentBack { .. } => "went-back",
            Self::TooMany { .. } => "too-many",
            Self::OverLimit { .. } => "over-limit",
            Self::LimitTooEarly { .. } => "limit-too-early",
            Self::ExpiredEarly(_) => "expired-early",
            Self::GoneEarly(_) => "gone-early",
            Self::SoldOutButFree { .. } => "sold-out-but-free",
            Self::Unjustified { .. } => "unjustified",
            Self::Served { .. } => "served",
            Self::TwinsDiffer { .. } => "twins-differ",
            Self::Audit { .. } => "audit",
            Self::Feed(finding) => finding.name(),
            Self::OfPart { name, .. } => name,
        }
    }
}

/// What was found: all of it counted by name, the first few of each name told.
#[derive(Default, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Findings {
    pub(crate) told: Vec<Finding>,
    pub(crate) counts: BTreeMap<String, u64>,
}

impl Findings {
    pub(crate) fn push(&mut self, finding: Finding) {
        let count = self.counts.entry(finding.name().to_owned()).or_default();
        *count += 1;
        if *count <= MAX_TOLD_EACH {
            self.told.push(finding);
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        for (name, count) in other.counts {
            let told = other.told.iter().filter(|finding| finding.name() == name);
            let before = self.counts.entry(name.clone()).or_default();
            let room = usize::try_from(MAX_TOLD_EACH.saturating_sub(*before)).unwrap_or(0);
            self.told.extend(told.take(room).cloned());
            *before += count;
        }
    }
}
