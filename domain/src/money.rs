//! Money: integer minor units with a currency inside, decimal text outside.

use serde::{Deserialize, Serialize};

/// An ISO 4217 code, such as `EUR`. Knows how many decimals its amounts have.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Currency([u8; 3]);

/// An amount in a currency's minor units.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Money {
    /// Minor units: cents for EUR, won for KRW.
    pub minor: i64,
    /// The currency.
    pub currency: Currency,
}
