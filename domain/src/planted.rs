//! Bugs planted on purpose, to prove that the tests under faults would find them.
//!
//! Only the workspace's tests are built with the feature `planted`, and never in release: in every build for use [`POSSIBLE`] is
//! false, so that the compiler leaves out all of it. A program with a bug in it says so wherever it says that it is ready.

use std::sync::OnceLock;

/// Whether a bug can be planted in this build at all.
pub const POSSIBLE: bool = cfg!(all(feature = "planted", debug_assertions));

/// A bug that can be planted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    /// Settle applies its events wherever Redis stands.
    BlindSettle,
    /// The committer books what Redis says is free, whatever was allocated.
    NoAllocationCheck,
    /// An append whose outcome is unknown counts as one that failed.
    TimeoutIsFailure,
    /// The frontier moves on by itself, whoever may enter.
    FrontierJumps,
    /// The hold script lets a visitor have any number of units.
    NoLimit,
    /// Settle applies every event twice.
    SettleTwice,
}

impl Bug {
    /// Every bug.
    pub const ALL: [Self; 6] = [
        Self::BlindSettle,
        Self::NoAllocationCheck,
        Self::TimeoutIsFailure,
        Self::FrontierJumps,
        Self::NoLimit,
        Self::SettleTwice,
    ];

    /// Its name in the environment.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BlindSettle => "blind-settle",
            Self::NoAllocationCheck => "no-allocation-check",
            Self::TimeoutIsFailure => "timeout-is-failure",
            Self::FrontierJumps => "frontier-jumps",
            Self::NoLimit => "no-limit",
            Self::SettleTwice => "settle-twice",
        }
    }
}

static PLANTED: OnceLock<Bug> = OnceLock::new();

/// Plants the bug of this name, for the life of the process; false when there is none of this name, when another one is planted,
/// and in every build for use.
pub fn plant(name: &str) -> bool {
    POSSIBLE && Bug::ALL.into_iter().find(|bug| bug.as_str() == name).is_some_and(|bug| PLANTED.set(bug).is_ok())
}

/// The bug that is planted.
#[must_use]
pub fn planted() -> Option<Bug> {
    if POSSIBLE { PLANTED.get().copied() } else { None }
}

/// Whether this one is.
#[must_use]
#[inline]
pub fn is(bug: Bug) -> bool {
    POSSIBLE && planted() == Some(bug)
}
