//! Payment providers, seen from a checkout: what they are asked, what they answer, what they tell by themselves. Pure: requests
//! and answers are data, whoever has a connection carries them. So the real provider, its simulator and the tests are asked and
//! understood by the same code.
//!
//! An answer is one of three (I8): applied, refused or unknown. Unknown is never taken for refused: the same call is made again
//! ([`crate::checkout::Work`]), under the same Idempotency-Key where a second one would do something else.

mod form;
mod stripe;
mod stripe_money;
mod webhook;

use std::fmt;

use domain::checkout::AbortReason;
use domain::limits::PROVIDER_KEY_MS;
use domain::outcome::Outcome;
use domain::{HoldId, Millis, Money, Step};

use crate::checkout::{Effect, Report};

pub use stripe::Stripe;
pub use webhook::{Before, Forged, Seen, sign, verify};

/// Something a provider is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Call {
    /// To promise this much.
    Authorise {
        /// For this booking.
        id: HoldId,
        /// How much.
        due: Money,
    },
    /// How this payment stands.
    LookUp {
        /// Of this booking.
        id: HoldId,
        /// The payment.
        payment: String,
    },
    /// To take what was promised.
    Capture {
        /// For this booking.
        id: HoldId,
        /// The payment.
        payment: String,
        /// How much.
        due: Money,
    },
    /// To forget what was promised.
    Void {
        /// For this booking.
        id: HoldId,
        /// The payment.
        payment: String,
    },
    /// To give back.
    Refund {
        /// Of this booking.
        id: HoldId,
        /// Which refund.
        n: u32,
        /// Of this payment.
        payment: String,
        /// How much.
        money: Money,
    },
    /// Whether this refund was made, and how it stands.
    FindRefund {
        /// Of this booking.
        id: HoldId,
        /// Which refund.
        n: u32,
        /// Of this payment.
        payment: String,
        /// How much.
        money: Money,
        /// The provider may have forgotten the key by now: when it is not found, it is not made again.
        last: bool,
    },
}

impl Call {
    /// What an effect asks the provider for; `None` for those that are none of its business. `before`: tries of it that came to no
    /// end ([`crate::checkout::Todo::Run`]).
    ///
    /// A refund has no state that keeps it from being made twice, only its key. So it is looked for before it is made again, and
    /// once the key may be forgotten it is not made again at all.
    #[must_use]
    pub fn of(id: HoldId, effect: &Effect, before: u32, now: Millis) -> Option<Self> {
        Some(match effect {
            Effect::Authorise { due, payment: None } => Self::Authorise { id, due: *due },
            Effect::Authorise { payment: Some(payment), .. } => Self::LookUp { id, payment: payment.to_string() },
            Effect::Capture { payment, due } => Self::Capture { id, payment: payment.to_string(), due: *due },
            Effect::Void { payment } => Self::Void { id, payment: payment.to_string() },
            Effect::Refund { n, payment, money, asked } => {
                let (n, payment, money) = (*n, payment.to_string(), *money);
                let last = now.since(*asked) >= PROVIDER_KEY_MS;
                if last || before % 2 == 1 {
                    Self::FindRefund { id, n, payment, money, last }
                } else {
                    Self::Refund { id, n, payment, money }
                }
            }
            Effect::Reserve { .. }
            | Effect::Confirm { .. }
            | Effect::Return { .. }
            | Effect::Earn { .. }
            | Effect::Cancel
            | Effect::Points { .. } => return None,
        })
    }

    /// The booking.
    #[must_use]
    pub const fn id(&self) -> HoldId {
        match self {
            Self::Authorise { id, .. }
            | Self::LookUp { id, .. }
            | Self::Capture { id, .. }
            | Self::Void { id, .. }
            | Self::Refund { id, .. }
            | Self::FindRefund { id, .. } => *id,
        }
    }

    /// The step it is made for.
    #[must_use]
    pub const fn step(&self) -> Step {
        match self {
            Self::Authorise { .. } | Self::LookUp { .. } => Step::Authorise,
            Self::Capture { .. } => Step::Capture,
            Self::Void { .. } => Step::Void,
            Self::Refund { n, .. } | Self::FindRefund { n, .. } => Step::Refund(*n),
        }
    }
}

/// What came of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Said {
    /// It ended.
    Ended(Report),
    /// It goes on: the customer has to act, or the provider takes its time.
    Waiting {
        /// What is known by now.
        report: Option<Report>,
        /// What the visitor's browser needs to go on, once.
        client_secret: Option<String>,
    },
    /// Nobody knows.
    Unknown(String),
}

impl Said {
    /// One of the three.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        match self {
            Self::Ended(Report::Refused { .. }) => Outcome::Refused,
            Self::Ended(_) | Self::Waiting { report: Some(_), .. } => Outcome::Applied,
            Self::Waiting { report: None, .. } | Self::Unknown(_) => Outcome::Unknown,
        }
    }

    fn done(step: Step) -> Self {
        Self::Ended(Report::Done(step))
    }

    fn refused(step: Step, said: impl Into<String>) -> Self {
        Self::Ended(Report::Refused { step, why: AbortReason::Declined, said: said.into() })
    }
}

/// How a request is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// Reads.
    Get,
    /// Does.
    Post,
}

impl Method {
    /// As it stands in the request.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// A request, to be sent as it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// How.
    pub method: Method,
    /// Path and query under the provider's address.
    pub path: String,
    /// Names and values. They hold the key to the account: never logged.
    pub headers: Vec<(&'static str, String)>,
    /// The body; empty for none.
    pub body: String,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({} {} {})", self.method.as_str(), self.path, self.body)
    }
}

/// What a provider tells by itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    /// The id under which it is told, however often.
    pub event: String,
    /// The booking it is about; absent: none of ours.
    pub id: Option<HoldId>,
    /// What it means for the booking; absent: nothing.
    pub report: Option<Report>,
}

/// A payment provider.
pub trait Provider {
    /// The name in metrics, and in the address of its webhooks.
    fn name(&self) -> &'static str;

    /// The request for a call; `before`: tries that came to no end ([`crate::checkout::Todo::Run`]). `None` when the
    /// provider cannot be asked for it, because it does not deal in such an amount.
    fn request(&self, call: &Call, before: u32) -> Option<Request>;

    /// What an answer means. Whatever is not certain is [`Said::Unknown`].
    fn read(&self, call: &Call, status: u16, body: &[u8]) -> Said;

    /// What a webhook means.
    ///
    /// # Errors
    /// It was not sent by the provider, not now, or cannot be read. Nothing of it is believed.
    fn notice(&self, signature: &str, body: &[u8], now: Millis) -> Result<Notice, Forged>;
}
