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
    /// Stopped by the operator for the moment.
    Paused,
    /// Over.
    Closed,
}

/// A sale's line in one word.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[allow(dead_code, reason = "a shape")]
pub(crate) enum LineState {
    /// Not open yet.
    Scheduled,
    /// Open.
    Open,
    /// Open, and certain that nothing is left.
    SoldOut,
    /// Stopped by the operator for the moment; places are kept.
    Paused,
    /// Over.
    Closed,
}

/// What is left of an item.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[allow(dead_code, reason = "a shape")]
pub(crate) enum Stock {
    /// More than a tenth is free.
    Plenty,
    /// A tenth or less is free.
    Few,
    /// Nothing is free, but units in checkout may come back.
    Held,
    /// Nothing is left.
    SoldOut,
}

/// Where a ticket stands.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[allow(dead_code, reason = "a shape")]
pub(crate) enum TicketState {
    /// Before the sale opens.
    Lobby,
    /// In line.
    Waiting,
    /// May be exchanged for a pass.
    Called,
    /// In line; every unit is in checkout, some may come back.
    Standby,
    /// Let go: nothing is left, or the pass that came along has expired.
    Released,
    /// Has a pass (it came along).
    Inside,
    /// Has booked (the mark of it came along).
    Done,
}

/// Why a ticket is `released`.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[allow(dead_code, reason = "a shape")]
pub(crate) enum Released {
    /// Certain that nothing is left.
    SoldOut,
    /// The pass has ended unused: join again for a new place.
    PassEnded,
}

/// The chance that something is left when the turn comes.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[allow(dead_code, reason = "a shape")]
pub(crate) enum Chance {
    /// Everybody ahead and inside could take a unit, and one would be left.
    Good,
    /// One would be left if some units in checkout came back.
    Fair,
    /// More people are ahead than units are left.
    Low,
    /// Nothing is left.
    None,
}

/// Where a hold stands.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[allow(dead_code, reason = "a shape")]
pub(crate) enum HoldState {
    /// Units are claimed until the deadline.
    Held,
    /// Payment has begun.
    Paying,
    /// The ledger has to decide.
    Confirming,
    /// The ledger has the booking.
    Sold,
    /// The ledger refused; final.
    Refused,
    /// Given back or expired.
    Released,
    /// Was sold; units are free again.
    Cancelled,
    /// Nobody knows it any more; confirming it has the ledger decide.
    Unknown,
}

/// Something that went wrong (RFC 9457).
#[derive(ToSchema)]
#[allow(dead_code, reason = "a shape")]
pub(crate) struct Problem {
    /// The page that says what it means and what to do: `/problems/NAME`.
    #[schema(example = "/problems/sold-out", pattern = "^/problems/[a-z-]+$")]
    r#type: String,
    /// One line for people.
    title: String,
    /// The status, once more.
    status: u16,
    /// What it is about this time.
    detail: String,
    /// The path that was asked for, and the trace's id.
    instance: String,
    /// Whether the same request may be sent again.
    retry_safe: bool,
    /// What became of the request, where that needs saying.
    #[schema(nullable = false)]
    outcome: Option<Outcome>,
    /// When to ask again, milliseconds; Retry-After says it in seconds.
    #[schema(nullable = false)]
    retry_in_ms: Option<u64>,
    /// What exactly is wrong, place by place.
    #[schema(nullable = false)]
    errors: Option<Vec<Mistake>>,
    /// What to solve (`proof-needed`).
    #[schema(nullable = false)]
    challenge: Option<Challenge>,
    /// The token of the visitor that was made for the request (`proof-needed`): send it as header `Holdfast-Visitor`.
    #[schema(nullable = false)]
    visitor: Option<String>,
}

/// A challenge in the ALTCHA format.
#[derive(ToSchema)]
#[allow(dead_code, reason = "a shape")]
pub(crate) struct Challenge {
    /// How it is hashed.
    #[schema(example = "SHA-256")]
    algorithm: String,
    /// Hexadecimal hash of salt and number.
    challenge: String,
    /// The number is at most this.
    maxnumber: u32,
    /// Stands before the number's decimal digits.
    salt: String,
    /// Sent back as it is.
    signature: String,
}

/// What became of a request that was not answered as asked.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[allow(dead_code, reason = "a shape")]
pub(crate) enum Outcome {
    /// It did not happen and will not.
    Refused,
    /// It may have happened; asking again finds out.
    Unknown,
}

/// One thing that is wrong.
#[derive(ToSchema)]
#[allow(dead_code, reason = "a shape")]
pub(crate) struct Mistake {
    /// Where: `lines[0].quantity`.
    key: String,
    /// What stands there.
    value: String,
    /// What is wrong with it, or what would be right.
    problem: String,
}
