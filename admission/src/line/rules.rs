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
        Some(Self { phase: fold.phase(now), over, room, settings })
    }

    /// The sale has opened and has not closed.
    pub(crate) fn is_on(&self) -> bool {
        self.phase == Phase::Open
    }
}
