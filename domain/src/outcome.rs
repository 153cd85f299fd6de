//! The three ways an attempt can end (I8).

/// What became of something that was tried. It is never guessed: who does not know says [`Outcome::Unknown`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Outcome {
    /// It happened.
    Applied,
    /// It did not happen and will not.
    Refused,
    /// It may have happened; there is a place to ask and a deadline.
    Unknown,
}

impl Outcome {
    /// The name in metrics and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }
}
