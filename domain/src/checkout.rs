//! What the log beside a lane holds about money (`checkout/{sale}/{n}`, R10): the entries of each booking's checkout.
//!
//! An entry stands in the log before what it announces is done, and whoever has read it may do it, or do it again.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::coupon::spread;
use crate::event::{Actor, Event};
use crate::id::{BadId, Fingerprint, HoldId, ItemId, VisitorHash};
use crate::lines::Lines;
use crate::money::{Currency, Money};
use crate::points::CouponUse;
use crate::quote::Quote;
use crate::sale::PointsTerms;
use crate::time::Millis;

/// One entry of a booking's checkout.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CheckoutEvent {
    /// Hold and booking id.
    pub id: HoldId,
    /// Writer's clock, never earlier than the entry before.
    pub at: Millis,
    /// What.
    #[serde(flatten)]
    pub entry: Entry,
}

impl Event for CheckoutEvent {}

/// What happened, or is about to.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(tag = "t", rename_all = "snake_case")]
pub enum Entry {
    /// Somebody wants to pay. The hold is to enter paying, points and coupons are to be taken.
    Begun {
        /// For what and with what.
        #[serde(flatten)]
        plan: Box<Plan>,
    },
    /// Hold, points and coupons are there. Where money is due it is to be authorised.
    Reserved,
    /// The provider has a payment of this name, of which nothing is known but that: the customer has to act, or it is to be undone.
    Opened {
        /// Its name there.
        payment: String,
    },
    /// The money is promised.
    Authorised {
        /// Its name at the provider.
        payment: String,
    },
    /// The lane is told to book. From here on only the lane's log decides.
    ConfirmSent,
    /// It comes to nothing: what was taken is to go back. Never after `ConfirmSent`.
    Aborted {
        /// Why.
        why: AbortReason,
    },
    /// What the lane's log says.
    Decided {
        /// Booked, or refused.
        booked: bool,
        /// Seq of that event in the lane's log.
        seq: u64,
    },
    /// The money has come.
    Captured,
    /// There is no money to come, and there never will be.
    Voided,
    /// Points and coupons are back.
    Returned,
    /// What the booking earned is there.
    Earned,
    /// Money is to go back.
    RefundAsked {
        /// 1 for the first, and so on.
        n: u32,
        /// How much.
        #[serde(flatten)]
        refund: Box<Refund>,
    },
    /// The lane's log has the cancellation.
    Cancelled {
        /// Seq of that event in the lane's log.
        seq: u64,
    },
    /// The money of a refund has gone.
    Refunded {
        /// Which refund.
        n: u32,
    },
    /// The points of a refund have gone and come.
    PointsMoved {
        /// Which refund.
        n: u32,
    },
    /// A step was tried as often as it may be: an operator has to act.
    Stuck {
        /// Which step.
        step: Step,
        /// The last that was heard.
        why: String,
    },
    /// An operator has it tried again.
    Retried {
        /// Which step.
        step: Step,
        /// Who and why.
        #[serde(flatten)]
        actor: Actor,
    },
    /// An operator says how a step ended.
    Resolved {
        /// Which step.
        step: Step,
        /// It was done; otherwise it never will be.
        done: bool,
        /// Who and why.
        #[serde(flatten)]
        actor: Actor,
    },
}

/// Why a checkout came to nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AbortReason {
    /// The hold was gone when payment was to begin.
    HoldGone,
    /// The visitor has fewer points.
    Points,
    /// A coupon is used elsewhere.
    Coupon,
    /// The provider refused, for good.
    Declined,
    /// The provider has promised another amount than is due.
    Amount,
    /// Nobody paid in time.
    TooLate,
    /// The visitor gave up.
    Left,
    /// An operator ended it.
    Operator,
}

impl AbortReason {
    /// The name in metrics and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HoldGone => "hold_gone",
            Self::Points => "points",
            Self::Coupon => "coupon",
            Self::Declined => "declined",
            Self::Amount => "amount",
            Self::TooLate => "too_late",
            Self::Left => "left",
            Self::Operator => "operator",
        }
    }
}

/// What is to be paid, how, and until when: fixed when the checkout begins.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// Whose it is.
    pub visitor: VisitorHash,
    /// What was asked for: the same key with another one is another request.
    pub fp: Fingerprint,
    /// The currency of all amounts.
    pub currency: Currency,
    /// The hold's lines, each with its part of everything.
    pub parts: Vec<Part>,
    /// Coupons that are used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub coupons: Vec<CouponUse>,
    /// Milliseconds that earned points live; absent: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earn_ms: Option<u64>,
    /// Who has not paid by then has not paid.
    pub until: Millis,
}

/// One line's part of a checkout.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Part {
    /// What.
    pub item: ItemId,
    /// How many.
    pub units: u32,
    /// Minor units of money that are charged for it.
    pub charged: i64,
    /// Points that are used for it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub points: u64,
    /// Points that it earns.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub earned: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde asks
const fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// Why a quote cannot be paid like this.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadPlan {
    /// The quote was edited since it was made.
    #[error("the quote does not add up")]
    Quote,
    /// The sale takes no points.
    #[error("the sale takes no points")]
    NoPoints,
    /// More points than what is bought costs.
    #[error("more than {0} points cannot be used here")]
    TooManyPoints(u64),
}

impl Plan {
    /// Deals what is paid with points, and what is earned, to the lines of a quote. A line is paid with whole points, so that
    /// each line's money and points add up to its total and can be given back by themselves.
    ///
    /// # Errors
    /// [`BadPlan`], the first that applies.
    pub fn parts(quote: &Quote, points: u64, terms: Option<&PointsTerms>) -> Result<Vec<Part>, BadPlan> {
        if !quote.adds_up() {
            return Err(BadPlan::Quote);
        }
        let Some(terms) = terms.filter(|terms| terms.worth > 0) else {
            let free = |line: &crate::QuoteLine| Part::new(line.item.clone(), line.units, line.total);
            return if points > 0 { Err(BadPlan::NoPoints) } else { Ok(quote.lines.iter().map(free).collect()) };
        };
        let whole: Vec<i64> = quote.lines.iter().map(|line| line.total / terms.worth).collect();
        let most = whole.iter().map(|points| points.unsigned_abs()).sum();
        if points > most {
            return Err(BadPlan::TooManyPoints(most));
        }
        let dealt = spread(i64::try_from(points).unwrap_or(i64::MAX), &whole);
        let part = |(line, points): (&crate::QuoteLine, i64)| {
            let charged = line.total - points * terms.worth;
            let earned = (terms.earn.of(charged) / terms.worth).unsigned_abs();
            Part { points: points.unsigned_abs(), earned, ..Part::new(line.item.clone(), line.units, charged) }
        };
        Ok(quote.lines.iter().zip(dealt).map(part).collect())
    }

    /// What is to be charged.
    #[must_use]
    pub fn due(&self) -> Money {
        Money { minor: self.parts.iter().map(|part| part.charged).sum(), currency: self.currency }
    }

    /// Points that are used.
    #[must_use]
    pub fn points(&self) -> u64 {
        self.parts.iter().map(|part| part.points).sum()
    }

    /// Points that the booking earns.
    #[must_use]
    pub fn earned(&self) -> u64 {
        self.parts.iter().map(|part| part.earned).sum()
    }

    /// Whether points or coupons are used.
    #[must_use]
    pub fn takes_points(&self) -> bool {
        self.points() > 0 || !self.coupons.is_empty()
    }

    /// The hold's lines.
    #[must_use]
    pub fn lines(&self) -> Lines {
        self.parts.iter().map(|part| (part.item.clone(), part.units)).collect()
    }
}

impl Part {
    /// A line that is paid with money alone and earns nothing.
    #[must_use]
    pub const fn new(item: ItemId, units: u32, charged: i64) -> Self {
        Self { item, units, charged, points: 0, earned: 0 }
    }
}

/// What goes back.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Refund {
    /// Key it was asked for with: the same key refunds once.
    pub key: String,
    /// For how many units of what.
    pub lines: Lines,
    /// Minor units of money, after the fee.
    pub money: i64,
    /// Minor units that are kept.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub fee: i64,
    /// Used points that come back.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub points: u64,
    /// Earned points that go.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub take: u64,
    /// Nothing of the booking is left: it is cancelled first, and the coupons come back.
    #[serde(default)]
    pub cancel: bool,
    /// Points that come back live until then at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points_until: Option<Millis>,
    /// Who and why.
    #[serde(flatten)]
    pub actor: Actor,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde asks
const fn is_nothing(n: &i64) -> bool {
    *n == 0
}

/// Something that is done outside the log. With the booking's id it is what makes a request idempotent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Step {
    /// The hold enters paying, points and coupons are taken.
    Reserve,
    /// The provider is asked to promise the money.
    Authorise,
    /// The lane is told to book.
    Confirm,
    /// The provider is told to take it.
    Capture,
    /// The provider is told to forget it.
    Void,
    /// Points and coupons go back.
    Return,
    /// Points are earned.
    Earn,
    /// The lane is told to cancel.
    Cancel,
    /// The provider is told to give this refund's money back.
    Refund(u32),
    /// This refund's points go and come.
    Points(u32),
}

impl Step {
    /// The name in metrics: without a number.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reserve => "reserve",
            Self::Authorise => "authorise",
            Self::Confirm => "confirm",
            Self::Capture => "capture",
            Self::Void => "void",
            Self::Return => "return",
            Self::Earn => "earn",
            Self::Cancel => "cancel",
            Self::Refund(_) => "refund",
            Self::Points(_) => "points",
        }
    }

    /// The Idempotency-Key of this step of a booking.
    #[must_use]
    pub fn key(self, id: HoldId) -> String {
        format!("{id}:{self}")
    }
}

/// `capture`, `refund-2`.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refund(n) | Self::Points(n) => write!(f, "{}-{n}", self.name()),
            _ => f.write_str(self.name()),
        }
    }
}

impl FromStr for Step {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        const PLAIN: [Step; 8] = [
            Step::Reserve,
            Step::Authorise,
            Step::Confirm,
            Step::Capture,
            Step::Void,
            Step::Return,
            Step::Earn,
            Step::Cancel,
        ];
        let numbered = || {
            let (name, n) = text.split_once('-')?;
            let n: u32 = n.parse().ok()?;
            [Self::Refund(n), Self::Points(n)].into_iter().find(|step| step.name() == name && step.to_string() == text)
        };
        let plain = PLAIN.into_iter().find(|step| step.name() == text);
        plain.or_else(numbered).ok_or(BadId("a step of a checkout, such as capture or refund-1"))
    }
}

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
