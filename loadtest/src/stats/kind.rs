//! What is timed.

/// What is timed: the calls of the contract, and three spans of several calls.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Kind {
    /// `POST /v1/visitors`
    Visitor,
    /// `GET /v1/sales/{sale}/challenge`, where the sale asks for a proof of work.
    Challenge,
    /// `POST /v1/sales/{sale}/tickets`
    Ticket,
    /// `GET /v1/sales/{sale}/line`
    Line,
    /// `GET /v1/sales/{sale}/ticket`
    Place,
    /// `POST /v1/sales/{sale}/passes`
    Pass,
    /// `DELETE /v1/sales/{sale}/pass`
    Leave,
    /// `POST /v1/sales/{sale}/holds`
    Hold,
    /// `DELETE /v1/holds/{hold_id}`
    Release,
    /// `POST /v1/holds/{hold_id}/confirm`, until it is decided.
    Confirm,
    /// `GET /v1/bookings`
    Bookings,
    /// What must be refused: the calls of abuse.
    Abuse,
    /// From joining the line to the pass.
    Wait,
    /// From the intended start of a journey to its booking.
    Whole,
    /// From the moment a confirm's outcome was unknown (202, or a lost answer) to its outcome.
    Certainty,
}

impl Kind {
    pub(crate) const ALL: [Self; 15] = [
        Self::Visitor,
        Self::Challenge,
        Self::Ticket,
        Self::Line,
        Self::Place,
        Self::Pass,
        Self::Leave,
        Self::Hold,
        Self::Release,
        Self::Confirm,
        Self::Bookings,
        Self::Abuse,
        Self::Wait,
        Self::Whole,
        Self::Certainty,
    ];

    /// Whether it is one call, not a span of several.
    pub(crate) const fn is_call(self) -> bool {
        !matches!(self, Self::Wait | Self::Whole | Self::Certainty)
    }

    /// The name in the report.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Visitor => "visitor",
            Self::Challenge => "challenge",
            Self::Ticket => "ticket",
            Self::Line => "line",
            Self::Place => "place",
            Self::Pass => "pass",
            Self::Leave => "leave",
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Confirm => "confirm",
            Self::Bookings => "bookings",
            Self::Abuse => "abuse",
            Self::Wait => "wait",
            Self::Whole => "whole",
            Self::Certainty => "certainty",
        }
    }
}
