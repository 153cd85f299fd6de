//! What the event feed must not show.

use std::fmt;

use domain::{HoldId, Millis};

/// Something that the event feed shows and that must not be.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum FeedFinding {
    /// I3: a 201 was answered and there is no such booking.
    NoEvent(HoldId),
    /// R1: a 201 named another event than the one that is the booking.
    OtherEvent { id: HoldId, told: (u16, u64), stands: (u16, u64) },
    /// I4: a 410 was answered and there is a booking.
    GoneButBooked { id: HoldId, at: (u16, u64) },
    /// R1: a second event books the same id.
    BookedTwice { id: HoldId, first: (u16, u64), second: (u16, u64) },
    /// I1: more units are booked than the lane has got, or than the sale has where no lane is named.
    Overbooked { item: String, lane: Option<u16>, booked: u64, units: u64 },
    /// I3: events of a log are missing, or come in another order.
    Gap { log: String, after: u64, seq: u64 },
    /// I6: the frontier went back.
    FrontierBack { before: u64, after: u64 },
    /// One pass per ticket: a number was granted again.
    GrantedTwice(u64),
    /// I7: a pass was answered that no event grants.
    NotGranted(u64),
    /// I6: a number was granted before the frontier came to it.
    GrantedAhead { number: u64, frontier: u64 },
    /// I7: the events of a window call more people than the pace allows.
    CalledOverPace { until: Millis, window_ms: u64, called: u64, allowed: u64 },
    /// I7: a pass is granted and more are alive than the cap allows.
    OverCap { at: Millis, alive: u64, cap: u64 },
    /// The limit: one visitor has booked more units than the sale allows.
    VisitorOverLimit { id: HoldId, units: u64, limit: u64 },
    /// I7: the events of a window grant more passes than the pace allows.
    OverPace { until: Millis, window_ms: u64, passes: u64, allowed: u64 },
}

impl fmt::Display for FeedFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEvent(id) => write!(f, "I3: {id} was confirmed and the event feed has no booking of it"),
            Self::OtherEvent { id, told, stands } => write!(
                f,
                "R1: {id} was confirmed as event {} of lane {}, the event feed has it as event {} of lane {}",
                told.1, told.0, stands.1, stands.0
            ),
            Self::GoneButBooked { id, at: (lane, seq) } => {
                write!(f, "I4: {id} was answered gone and event {seq} of lane {lane} books it")
            }
            Self::BookedTwice { id, first, second } => {
                write!(
                    f,
                    "R1: event {} of lane {} books {id}, and event {} of lane {} again",
                    first.1, first.0, second.1, second.0
                )
            }
            Self::Overbooked { item, lane: Some(lane), booked, units } => {
                write!(f, "I1: the events of lane {lane} book {booked} units of {item}, it has got {units}")
            }
            Self::Overbooked { item, lane: None, booked, units } => {
                write!(f, "I1: the events book {booked} units of {item}, the sale has {units}")
            }
            Self::Gap { log, after, seq } => write!(f, "I3: in {log} event {seq} follows event {after}"),
            Self::FrontierBack { before, after } => {
                write!(f, "I6: the events take the frontier back from {before} to {after}")
            }
            Self::GrantedTwice(number) => write!(f, "number {number} is granted by more than one event"),
            Self::NotGranted(number) => write!(f, "I7: number {number} was given a pass that no event grants"),
            Self::GrantedAhead { number, frontier } => {
                write!(f, "I6: number {number} is granted while the frontier is at {frontier}")
            }
            Self::CalledOverPace { until, window_ms, called, allowed } => {
                write!(
                    f,
                    "I7: the events of the {window_ms} ms up to {until} call {called} people, {allowed} are allowed"
                )
            }
            Self::OverCap { at, alive, cap } => {
                write!(f, "I7: at {at} a pass is granted and {alive} are alive, the cap is {cap}")
            }
            Self::VisitorOverLimit { id, units, limit } => {
                write!(f, "the limit: with {id} its visitor has booked {units} units, {limit} are allowed")
            }
            Self::OverPace { until, window_ms, passes, allowed } => {
                write!(
                    f,
                    "I7: the events of the {window_ms} ms up to {until} grant {passes} passes, {allowed} are allowed"
                )
            }
        }
    }
}

impl FeedFinding {
    /// The name in the JSON report.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::NoEvent(_) => "no-event",
            Self::OtherEvent { .. } => "other-event",
            Self::GoneButBooked { .. } => "gone-but-booked",
            Self::BookedTwice { .. } => "booked-twice",
            Self::Overbooked { .. } => "overbooked",
            Self::Gap { .. } => "feed-gap",
            Self::FrontierBack { .. } => "frontier-back",
            Self::GrantedTwice(_) => "granted-twice",
            Self::NotGranted(_) => "not-granted",
            Self::GrantedAhead { .. } => "granted-ahead",
            Self::CalledOverPace { .. } => "called-over-pace",
            Self::OverCap { .. } => "over-cap",
            Self::VisitorOverLimit { .. } => "visitor-over-limit",
            Self::OverPace { .. } => "over-pace",
        }
    }
}
