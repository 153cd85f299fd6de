//! What the lane sees of a checkout: a hold that enters paying, is confirmed, or let go. The lane's scripts do the same in Redis.

use domain::{HoldState, Millis};

/// As much of a hold's record as matters here.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct HoldOf {
    /// Its state.
    pub state: HoldState,
    /// When a held or paying one ends.
    pub deadline: Millis,
}

/// What becomes of a hold that is to be paid for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Entering {
    /// It is paying until then: extended by this call, or as an earlier one extended it.
    Paying {
        /// Its deadline.
        until: Millis,
    },
    /// It is being confirmed; nothing changed.
    Confirming,
    /// The ledger has decided it; nothing changed.
    Decided(HoldState),
    /// It is over or was never there: nothing to pay for.
    Gone,
}

/// A hold is to enter paying. Its time is extended once, to `ttl_ms` from now; asking again does not extend it again.
#[must_use]
pub fn enter(hold: Option<HoldOf>, now: Millis, ttl_ms: u64) -> Entering {
    let Some(hold) = hold else { return Entering::Gone };
    match hold.state {
        HoldState::Held if hold.deadline > now => Entering::Paying { until: hold.deadline.max(now.plus(ttl_ms)) },
        HoldState::Paying if hold.deadline > now => Entering::Paying { until: hold.deadline },
        HoldState::Confirming => Entering::Confirming,
        decided if decided.is_decided() => Entering::Decided(decided),
        // Overdue and only not reaped yet, or released.
        _ => Entering::Gone,
    }
}

/// What a confirm finds (R6).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Confirming {
    /// The hold is there: it is confirmed with what it holds.
    Held,
    /// It was gone, and its lines are free: they are held again in the same script.
    Retaken,
    /// It is gone and so are its units: the ledger decides over nothing, which refuses.
    Empty,
    /// It was confirmed before.
    Already,
    /// The ledger has decided it.
    Decided(HoldState),
}

/// A checkout that was sent to the lane is confirmed; `free`: all its lines could be held now. A deadline that has passed counts
/// only once the record was reaped, as for any other confirm.
#[must_use]
pub fn confirm(hold: Option<HoldOf>, free: bool) -> Confirming {
    match hold.map(|hold| hold.state) {
        Some(HoldState::Held | HoldState::Paying) => Confirming::Held,
        Some(HoldState::Confirming) => Confirming::Already,
        Some(decided) if decided.is_decided() => Confirming::Decided(decided),
        None | Some(_) if free => Confirming::Retaken,
        None | Some(_) => Confirming::Empty,
    }
}

/// Whether an aborted checkout lets this hold go: one that was never confirmed.
#[must_use]
pub fn release(hold: Option<HoldOf>) -> bool {
    matches!(hold.map(|hold| hold.state), Some(HoldState::Held | HoldState::Paying))
}
