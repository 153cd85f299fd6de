//! Shapes that only the API's description needs: the values themselves are written by their own types.

use utoipa::ToSchema;

/// An amount of money.
#[derive(ToSchema)]
#[allow(dead_code, reason = "a shape")]
pub(crate) struct Money {
    /// Decimal text with all of the currency's decimals.
    #[schema(example = "129.00")]
    amount: String,
    /// ISO 4217.
    #[schema(example = "EUR")]
    currency: String,
}

/// Whether a sale lets anybody book.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[allow(dead_code, reason = "a shape")]
pub(crate) enum SaleState {
    /// Not open yet.
    Scheduled,
    /// Open.
    Open,
    /// Over.
    Closed,
}
