//! What the booker does wrong when it is told to (`domain::planted`).

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, PoisonError};

use domain::HoldId;
use domain::planted::{Bug, is};

use crate::decide::Intent;

static GIVEN_UP: LazyLock<Mutex<HashSet<HoldId>>> = LazyLock::new(Mutex::default);

/// The append of these intents has an unknown outcome: their confirms are taken for refused.
pub(crate) fn unknown<'a>(intents: impl IntoIterator<Item = &'a Intent>) {
    if !is(Bug::TimeoutIsFailure) {
        return;
    }
    let confirms = intents.into_iter().filter_map(|intent| match intent {
        Intent::Confirm { id, .. } => Some(*id),
        _ => None,
    });
    GIVEN_UP.lock().unwrap_or_else(PoisonError::into_inner).extend(confirms);
}

/// Whether this confirm was.
pub(crate) fn is_given_up(id: HoldId) -> bool {
    is(Bug::TimeoutIsFailure) && GIVEN_UP.lock().unwrap_or_else(PoisonError::into_inner).contains(&id)
}
