//! What is to be done outside the log, from what stands in it.

use std::sync::Arc;

use domain::points::{CouponUse, Lot};
use domain::{Lines, Millis, Money, Step, VisitorHash};

use super::state::{Checkout, Phase};

/// Something to be done for a booking, as often as it takes: doing it again changes nothing.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Effect {
    /// Have the hold enter paying, then take points and coupons in one entry of the points' log.
    Reserve {
        /// Whose.
        visitor: VisitorHash,
        /// How many points; with no coupon either, the points' log is not asked.
        points: u64,
        /// Which coupons.
        coupons: Vec<CouponUse>,
        /// Since when this is asked for.
        asked: Millis,
    },
    /// Have the money promised. Where the payment's name is known it is looked up; otherwise it is asked for under the step's
    /// key, which makes one payment however often it is done.
    Authorise {
        /// How much.
        due: Money,
        /// Its name, once known.
        payment: Option<Arc<str>>,
    },
    /// Tell the lane to book: holding the lines again if the hold is gone and they are free.
    Confirm {
        /// Whose.
        visitor: VisitorHash,
        /// What was held.
        lines: Lines,
    },
    /// Take the money.
    Capture {
        /// The payment.
        payment: Arc<str>,
        /// How much.
        due: Money,
    },
    /// Let the promise go.
    Void {
        /// The payment.
        payment: Arc<str>,
    },
    /// Give points and coupons back, and the hold where it was never confirmed.
    Return {
        /// Whose.
        visitor: VisitorHash,
        /// The hold was not confirmed: it is released, should it still live.
        release: bool,
        /// Points or coupons were asked for: the points' log is to know that nothing comes of it.
        points: bool,
        /// Since when this is asked for.
        asked: Millis,
    },
    /// Give what was earned.
    Earn {
        /// Whose.
        visitor: VisitorHash,
        /// How many points, and when they end.
        lot: Lot,
        /// Since when this is asked for.
        asked: Millis,
    },
    /// Tell the lane to cancel.
    Cancel,
    /// Give money back.
    Refund {
        /// Which refund.
        n: u32,
        /// Of this payment.
        payment: Arc<str>,
        /// How much.
        money: Money,
        /// Since when this is asked for.
        asked: Millis,
    },
    /// Give used points back and take earned ones.
    Points {
        /// Which refund.
        n: u32,
        /// Whose.
        visitor: VisitorHash,
        /// Come back.
        points: u64,
        /// Go.
        take: u64,
        /// The coupons come back.
        coupons: bool,
        /// What comes back lives until then at least.
        until: Option<Millis>,
        /// Since when this is asked for.
        asked: Millis,
    },
}

impl Effect {
    /// The step it is: with the booking's id, what makes it idempotent.
    #[must_use]
    pub const fn step(&self) -> Step {
        match self {
            Self::Reserve { .. } => Step::Reserve,
            Self::Authorise { .. } => Step::Authorise,
            Self::Confirm { .. } => Step::Confirm,
            Self::Capture { .. } => Step::Capture,
            Self::Void { .. } => Step::Void,
            Self::Return { .. } => Step::Return,
            Self::Earn { .. } => Step::Earn,
            Self::Cancel => Step::Cancel,
            Self::Refund { n, .. } => Step::Refund(*n),
            Self::Points { n, .. } => Step::Points(*n),
        }
    }
}

/// What is to be done now. A step that is stuck waits for an operator; the others of the same booking go on.
#[must_use]
pub fn effects(checkout: &Checkout) -> Vec<Effect> {
    all(checkout).into_iter().filter(|effect| !checkout.stuck.contains_key(&effect.step())).collect()
}

/// With those that are stuck.
pub(super) fn all(checkout: &Checkout) -> Vec<Effect> {
    let (plan, visitor) = (&checkout.plan, checkout.plan.visitor);
    match checkout.phase {
        Phase::Reserving => {
            let coupons = plan.coupons.clone();
            vec![Effect::Reserve { visitor, points: plan.points(), coupons, asked: checkout.begun }]
        }
        Phase::Paying => vec![authorise(checkout)],
        Phase::Ready => Vec::new(),
        Phase::Confirming => vec![Effect::Confirm { visitor, lines: plan.lines() }],
        Phase::Undone => undo(checkout),
        Phase::Booked if checkout.lost && checkout.cancelled.is_none() => vec![Effect::Cancel],
        Phase::Booked if checkout.lost => undo(checkout),
        Phase::Booked => booked(checkout),
    }
}

fn authorise(checkout: &Checkout) -> Effect {
    Effect::Authorise { due: checkout.plan.due(), payment: checkout.payment.clone() }
}

fn undo(checkout: &Checkout) -> Vec<Effect> {
    let mut effects = Vec::new();
    if checkout.owes_void() {
        // Without a name nobody knows whether there is a payment: asked for again under the same key, it has one.
        let void = checkout.payment.clone().map(|payment| Effect::Void { payment });
        effects.push(void.unwrap_or_else(|| authorise(checkout)));
    }
    if checkout.owes_return() {
        let asked = checkout.cancelled.map_or(checkout.ended, |(_, at)| at);
        effects.push(Effect::Return {
            visitor: checkout.plan.visitor,
            release: checkout.why.is_some(),
            points: checkout.plan.takes_points(),
            asked,
        });
    }
    effects
}

fn booked(checkout: &Checkout) -> Vec<Effect> {
    let (plan, visitor) = (&checkout.plan, checkout.plan.visitor);
    let mut effects = Vec::new();
    if !checkout.is_paid() {
        let capture = checkout.payment.clone().map(|payment| Effect::Capture { payment, due: plan.due() });
        return capture.into_iter().collect();
    }
    let earns = plan.earned() > 0 && !checkout.earned;
    if earns {
        let until = plan.earn_ms.map(|ms| checkout.ended.plus(ms));
        effects.push(Effect::Earn { visitor, lot: Lot { points: plan.earned(), until }, asked: checkout.ended });
    }
    for (n, refund) in (1..).zip(&checkout.refunds) {
        if refund.refund.cancel && checkout.cancelled.is_none() {
            effects.push(Effect::Cancel);
            continue;
        }
        if let Some(payment) = checkout.payment.clone().filter(|_| !refund.money_gone) {
            let money = Money { minor: refund.refund.money, currency: plan.currency };
            effects.push(Effect::Refund { n, payment, money, asked: refund.asked });
        }
        // What was earned is taken back only after it was given.
        if !refund.points_moved && !earns {
            let domain::Refund { points, take, cancel: coupons, points_until: until, .. } = *refund.refund;
            effects.push(Effect::Points { n, visitor, points, take, coupons, until, asked: refund.asked });
        }
    }
    effects
}
