//! What the sale says about its line at this moment.

use domain::limits::DECIDED_KEEP_MS;
use domain::{Millis, Phase, Room, SaleFold};

use crate::step::Settings;

/// The sale's word, taken anew for every decision: an operator's change counts from the next one on.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Rules {
    pub(crate) phase: Phase,
    /// The sale is over for so long that Redis need not know the line any more.
    pub(crate) over: bool,
    pub(crate) room: Room,
    pub(crate) settings: Settings,
    /// When it last went on after a pause, and in how many milliseconds the pace grows to its full height.
    pub(crate) resumed: Option<(Millis, u64)>,
    /// New visitors may join.
    pub(crate) joining: bool,
    /// Everybody is called whom the stock can serve.
    pub(crate) let_through: bool,
}

impl Rules {
    /// `None`: the sale is not known, or has no waiting room.
    pub(crate) fn of(fold: Option<&SaleFold>, now: Millis) -> Option<Self> {
        let fold = fold?;
        let room = fold.doc.room()?.clone();
        let settings = Settings::of(&room, fold.doc.units_per_visitor);
        let closed = match (fold.closed, fold.doc.closes_at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let over = closed.is_some_and(|at| at.plus(DECIDED_KEEP_MS) <= now);
        Some(Self {
            phase: fold.phase(now),
            over,
            room,
            settings,
            resumed: fold.resumed,
            joining: fold.joining,
            let_through: fold.let_through,
        })
    }

    /// The sale has opened and has not closed.
    pub(crate) fn is_on(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Paused)
    }
}
