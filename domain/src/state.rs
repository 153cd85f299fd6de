//! The states of a hold.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::BadId;

/// Where a hold stands. `held -> paying -> confirming -> sold | refused`, `held | paying -> released`, `sold -> cancelled`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldState {
    /// Units are claimed until the deadline.
    Held,
    /// Payment has begun; the deadline was extended once.
    Paying,
    /// The clock is stopped, the ledger has to decide.
    Confirming,
    /// The ledger has the booking.
    Sold,
    /// The ledger refused; the id is dead.
    Refused,
    /// Given back or expired, nothing was decided.
    Released,
    /// Was sold, units are free again.
    Cancelled,
}

impl HoldState {
    /// Every state, in the order of a hold's life.
    pub const ALL: [Self; 7] =
        [Self::Held, Self::Paying, Self::Confirming, Self::Sold, Self::Refused, Self::Released, Self::Cancelled];

    /// The name in answers, records and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Paying => "paying",
            Self::Confirming => "confirming",
            Self::Sold => "sold",
            Self::Refused => "refused",
            Self::Released => "released",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether an event of the ledger decided it: it never goes back to an undecided state (R1).
    #[must_use]
    pub const fn is_decided(self) -> bool {
        matches!(self, Self::Sold | Self::Refused | Self::Cancelled)
    }

    /// Whether its units are claimed but not sold (`live` in I2).
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Held | Self::Paying | Self::Confirming)
    }
}

impl fmt::Display for HoldState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for HoldState {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or(BadId("held, paying, confirming, sold, refused, released or cancelled"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn every_state_reads_back_from_its_name_and_serde_agrees() {
        for state in HoldState::ALL {
            assert_eq!(state.as_str().parse::<HoldState>().unwrap(), state);
            assert_eq!(serde_json::to_string(&state).unwrap(), format!("\"{state}\""));
        }
        assert!("Held".parse::<HoldState>().is_err());
        assert!("".parse::<HoldState>().is_err());
    }

    #[test]
    fn a_state_is_live_or_decided_or_released() {
        for state in HoldState::ALL {
            let kinds = [state.is_live(), state.is_decided(), state == HoldState::Released];
            assert_eq!(kinds.iter().filter(|k| **k).count(), 1, "{state}");
        }
    }
}
