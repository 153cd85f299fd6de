//! A visitor's points, and the coupons a visitor has used: a log of entries (`points/{n}`, by visitor) and its fold.
//!
//! Every entry has an id, and the same id changes the balance once however often it is asked for. The balance is never below
//! zero. Points that end soonest are used first; points given back keep the end they had.
//!
//! When a refund takes back points that were earned and are spent already, what is missing is *owed*: the balance stays zero
//! or what it is, and points earned later pay the debt first. Points that were paid for, and those that a refund gives back,
//! never do: they were the visitor's before. Money is not touched by it, so no refund ever waits for points.
//!
//! A use that is undone stays undone: when the undoing arrives first, a use of the same booking that comes later is refused.
//! Otherwise a request that was only slow would take points for a checkout that nobody will ever end.
//!
//! Memory per visitor is bounded: dates of expiry by [`MAX_POINT_LOTS`], ids by [`MAX_POINT_IDS`] and [`POINTS_REMEMBER_MS`].
//!
//! [`MAX_POINT_LOTS`]: crate::limits::MAX_POINT_LOTS
//! [`MAX_POINT_IDS`]: crate::limits::MAX_POINT_IDS
//! [`POINTS_REMEMBER_MS`]: crate::limits::POINTS_REMEMBER_MS

mod account;
mod decide;
mod fold;

use serde::{Deserialize, Serialize};

use crate::event::{Actor, Event};
use crate::id::{HoldId, VisitorHash};
use crate::time::Millis;

pub use account::Account;
pub use decide::{Refused, Request, decide};
pub use fold::{BadPoints, Group, PointsFold};

/// Points that end together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Lot {
    /// How many.
    pub points: u64,
    /// When they end; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Millis>,
}

/// A coupon that a checkout uses.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct CouponUse {
    /// Booking by which the visitor got it.
    pub id: HoldId,
    /// When it ends: from then on nobody can use it, and its use need not be remembered. Absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Millis>,
}

/// What a log of points holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PointsEvent {
    /// Whose.
    pub visitor: VisitorHash,
    /// Writer's clock, never earlier than the entry before.
    pub at: Millis,
    /// What.
    #[serde(flatten)]
    pub entry: Entry,
}

impl Event for PointsEvent {}

/// One change of a visitor's points.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "t", rename_all = "snake_case")]
pub enum Entry {
    /// Paid for, or given.
    Charged {
        /// Who asked: a payment, or the caller's Idempotency-Key.
        id: String,
        /// What came.
        lot: Lot,
    },
    /// A checkout uses them.
    Used {
        /// Its booking.
        booking: HoldId,
        /// What it took.
        from: Vec<Lot>,
        /// Coupons it uses.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        coupons: Vec<CouponUse>,
    },
    /// A checkout that came to nothing, or a refund, gives back what was used and takes back what was earned.
    Returned {
        /// The booking.
        booking: HoldId,
        /// 0: the whole use is undone, for ever; else the number of the refund.
        part: u32,
        /// What comes back.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        lots: Vec<Lot>,
        /// The coupons come back.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        coupons: Vec<HoldId>,
        /// Earned points that are taken back.
        #[serde(default, skip_serializing_if = "is_zero")]
        taken: u64,
        /// Earned points that were spent already: owed from now on.
        #[serde(default, skip_serializing_if = "is_zero")]
        owed: u64,
    },
    /// A booking stands.
    Earned {
        /// The booking.
        booking: HoldId,
        /// What came, beside what went to the debt.
        lot: Lot,
        /// How many of those that were earned paid what was owed.
        #[serde(default, skip_serializing_if = "is_zero")]
        paid: u64,
    },
    /// Their time is over.
    Expired {
        /// How many.
        points: u64,
    },
    /// An operator mends a balance.
    Corrected {
        /// The operator's Idempotency-Key.
        id: String,
        /// Added, or taken when negative.
        points: i64,
        /// Who and why.
        #[serde(flatten)]
        actor: Actor,
    },
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde asks
const fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// What makes an entry the same one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Key {
    /// `Charged` of this id.
    Charge(String),
    /// `Used` by this booking.
    Use(HoldId),
    /// `Returned` to this booking, this part.
    Return(HoldId, u32),
    /// `Earned` by this booking.
    Earn(HoldId),
    /// `Corrected` of this id.
    Correct(String),
}

impl Entry {
    /// Its id; absent for what a clock decides.
    #[must_use]
    pub fn key(&self) -> Option<Key> {
        Some(match self {
            Self::Charged { id, .. } => Key::Charge(id.clone()),
            Self::Used { booking, .. } => Key::Use(*booking),
            Self::Returned { booking, part, .. } => Key::Return(*booking, *part),
            Self::Earned { booking, .. } => Key::Earn(*booking),
            Self::Expired { .. } => return None,
            Self::Corrected { id, .. } => Key::Correct(id.clone()),
        })
    }
}

/// Points of all lots together.
#[must_use]
pub fn sum(lots: &[Lot]) -> u64 {
    lots.iter().map(|lot| lot.points).sum()
}
