//! Whom the next entry calls, and what it did.

use domain::number::EVERYBODY;
use domain::{ClassCall, LineEvent};

use super::super::rules::Rules;
use super::Desk;
use crate::step::{CLASSES, PerClass};

/// Whom the next entry calls.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Calls {
    /// Up to which number of everybody's line.
    pub(crate) frontier: u64,
    /// How many of each class; everybody's are in the frontier.
    pub(crate) classes: PerClass<u64>,
}

impl From<u64> for Calls {
    fn from(frontier: u64) -> Self {
        Self { frontier, ..Self::default() }
    }
}

/// What an entry did, for the counters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Written {
    /// Passes it granted.
    pub(crate) granted: u64,
    /// People it called to units that came back.
    pub(crate) returns: u64,
    /// People it called of each class; of everybody nothing is said.
    pub(crate) classes: PerClass<u64>,
    /// Somebody of everybody's line waited meanwhile.
    pub(crate) bypasses: bool,
}

impl Desk {
    /// Up to where each class is called that is.
    pub(super) fn class_calls(&self, calls: &Calls) -> Vec<ClassCall> {
        let classes = (EVERYBODY..).zip(&calls.classes).skip(1).filter(|(_, calls)| **calls > 0);
        let called = classes.map(|(class, calls)| {
            let (from, issued) = (self.fold.classes().frontier(class), self.fold.classes().issued(class));
            ClassCall { class, frontier: (from + calls).min(issued) }
        });
        called.collect()
    }

    /// Turns are short for those who are called to units that came back: the next in line waits for the same unit.
    pub(super) fn turn_ms(&self, rules: &Rules, calls: &Calls) -> Option<u64> {
        let called = calls.frontier > self.fold.frontier() || calls.classes.iter().any(|calls| *calls > 0);
        let returns = called && self.pilot.calls_returns();
        rules.room.standby.filter(|_| returns).map(|standby| standby.claim_ms)
    }

    /// What an entry does that is not folded yet.
    pub(super) fn written(&self, event: &LineEvent) -> Written {
        let mut classes = [0; CLASSES];
        for call in &event.classes {
            if let Some(called) = classes.get_mut(usize::from(call.class)) {
                *called = call.frontier - self.fold.classes().frontier(call.class).min(call.frontier);
            }
        }
        let everybody = self.fold.gaps().people(self.fold.frontier(), event.frontier);
        let returns = event.turn_ms.map_or(0, |_| everybody + classes.iter().sum::<u64>());
        Written { granted: event.granted.len() as u64, returns, classes, bypasses: false }
    }
}
