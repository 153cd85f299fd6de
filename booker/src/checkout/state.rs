//! One booking's checkout: what its entries come to, and which entry may follow.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::checkout::{AbortReason, Entry};
use domain::{Millis, Plan, Refund, Step};

/// Where a checkout stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Phase {
    /// Hold, points and coupons are being taken.
    Reserving,
    /// The money is being authorised.
    Paying,
    /// Everything is there: the lane is to be told.
    Ready,
    /// The lane was told, its log decides.
    Confirming,
    /// Booked.
    Booked,
    /// Aborted or refused: everything goes back.
    Undone,
}

/// A refund on its way.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct RefundState {
    /// What was asked for.
    pub refund: Arc<Refund>,
    /// When.
    pub asked: Millis,
    /// The money has gone, or there was none.
    pub money_gone: bool,
    /// The points have gone and come, or there were none.
    pub points_moved: bool,
}

/// The checkout of one booking.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Checkout {
    pub(super) plan: Arc<Plan>,
    pub(super) phase: Phase,
    pub(super) begun: Millis,
    /// When it was aborted or the lane decided.
    pub(super) ended: Millis,
    /// When the last entry came that brought it forward.
    pub(super) since: Millis,
    /// It got as far as asking the provider.
    pub(super) asked_provider: bool,
    pub(super) payment: Option<Arc<str>>,
    pub(super) captured: bool,
    pub(super) voided: bool,
    pub(super) returned: bool,
    pub(super) earned: bool,
    /// The money of a booking will never come: it is to be cancelled.
    pub(super) lost: bool,
    pub(super) why: Option<AbortReason>,
    pub(super) cancelled: Option<(u64, Millis)>,
    pub(super) refunds: Vec<RefundState>,
    pub(super) stuck: BTreeMap<Step, String>,
}

/// The entry may not follow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotNow;

impl Checkout {
    /// A checkout that has just begun.
    #[must_use]
    pub fn begin(plan: &Plan, at: Millis) -> Self {
        Self {
            plan: Arc::new(plan.clone()),
            phase: Phase::Reserving,
            begun: at,
            ended: at,
            since: at,
            asked_provider: false,
            payment: None,
            captured: false,
            voided: false,
            returned: false,
            earned: false,
            lost: false,
            why: None,
            cancelled: None,
            refunds: Vec::new(),
            stuck: BTreeMap::new(),
        }
    }

    /// What it was begun with.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Where it stands.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// Why it was aborted.
    #[must_use]
    pub const fn why(&self) -> Option<AbortReason> {
        self.why
    }

    /// The payment's name at the provider.
    #[must_use]
    pub fn payment(&self) -> Option<&str> {
        self.payment.as_deref()
    }

    /// Whether money is owed at all.
    #[must_use]
    pub fn is_priced(&self) -> bool {
        self.plan.due().minor > 0
    }

    /// Minor units that were taken from the visitor.
    #[must_use]
    pub fn captured(&self) -> i64 {
        if self.captured { self.plan.due().minor } else { 0 }
    }

    /// Minor units that went back, or are on their way.
    #[must_use]
    pub fn refunded(&self) -> i64 {
        self.refunds.iter().map(|refund| refund.refund.money).sum()
    }

    /// Refunds in order: the first one is number 1.
    #[must_use]
    pub fn refunds(&self) -> &[RefundState] {
        &self.refunds
    }

    /// Steps an operator has to look at, and the last that was heard of each.
    #[must_use]
    pub const fn stuck(&self) -> &BTreeMap<Step, String> {
        &self.stuck
    }

    /// Whether the booking was cancelled.
    #[must_use]
    pub const fn is_cancelled(&self) -> bool {
        self.cancelled.is_some()
    }

    /// When the last entry came that brought it forward.
    #[must_use]
    pub const fn since(&self) -> Millis {
        self.since
    }

    /// Nothing is left to do, by nobody.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.stuck.is_empty() && !self.owes_entry() && super::effect::all(self).is_empty()
    }

    /// An entry follows by itself. It comes in the append of the one before; should it not, the next look at the clock makes up.
    pub(super) fn owes_entry(&self) -> bool {
        let refunded = || self.refunds.iter().any(|refund| refund.refund.cancel);
        self.phase == Phase::Ready || (self.cancelled.is_some() && self.is_paid() && !refunded())
    }

    /// Money, or the promise of it, has to be let go, and it is not known to be.
    pub(super) fn owes_void(&self) -> bool {
        let undone = self.phase == Phase::Undone || (self.lost && self.cancelled.is_some());
        undone && self.asked_provider && self.is_priced() && !self.voided
    }

    /// Points, coupons or the hold have to go back.
    pub(super) fn owes_return(&self) -> bool {
        let undone = self.phase == Phase::Undone || (self.lost && self.cancelled.is_some());
        // An aborted checkout lets go of its hold as well, whether points were used or not.
        undone && !self.returned && (self.why.is_some() || self.plan.takes_points())
    }

    /// What was owed is there, so the booking stands.
    pub(super) fn is_paid(&self) -> bool {
        self.phase == Phase::Booked && (self.captured || !self.is_priced()) && !self.lost
    }

    /// Applies the next entry.
    ///
    /// # Errors
    /// [`NotNow`], and nothing is changed, when it may not follow what was before.
    pub fn apply(&mut self, at: Millis, entry: &Entry) -> Result<(), NotNow> {
        let before = self.clone();
        let applied = self.change(at, entry);
        if applied.is_err() {
            *self = before;
        } else if !matches!(entry, Entry::Stuck { .. }) {
            self.since = at;
        }
        applied
    }

    fn change(&mut self, at: Millis, entry: &Entry) -> Result<(), NotNow> {
        match entry {
            Entry::Begun { .. } => return Err(NotNow),
            Entry::Reserved => {
                allow(self.phase == Phase::Reserving)?;
                self.asked_provider = self.is_priced();
                self.phase = if self.is_priced() { Phase::Paying } else { Phase::Ready };
            }
            Entry::Opened { payment } => {
                allow(self.payment.is_none() && (self.phase == Phase::Paying || self.owes_void()))?;
                self.payment = Some(payment.as_str().into());
            }
            Entry::Authorised { payment } => {
                allow(self.phase == Phase::Paying && self.is_payment(payment))?;
                self.payment = Some(payment.as_str().into());
                self.phase = Phase::Ready;
            }
            Entry::ConfirmSent => {
                allow(self.phase == Phase::Ready)?;
                self.phase = Phase::Confirming;
            }
            Entry::Aborted { why } => {
                allow(matches!(self.phase, Phase::Reserving | Phase::Paying | Phase::Ready))?;
                (self.phase, self.why, self.ended) = (Phase::Undone, Some(*why), at);
                self.stuck.clear();
            }
            Entry::Decided { booked, .. } => {
                allow(self.phase == Phase::Confirming)?;
                (self.phase, self.ended) = (if *booked { Phase::Booked } else { Phase::Undone }, at);
                self.stuck.clear();
            }
            Entry::Captured => {
                self.end(
                    self.phase == Phase::Booked && self.is_priced() && !self.captured && !self.lost,
                    Step::Capture,
                )?;
                self.captured = true;
            }
            Entry::Voided => {
                self.end(self.owes_void(), Step::Void)?;
                // Asking whether there is a payment has come to its end as well.
                self.stuck.remove(&Step::Authorise);
                self.voided = true;
            }
            Entry::Returned => {
                self.end(self.owes_return(), Step::Return)?;
                self.returned = true;
            }
            Entry::Earned => {
                self.end(self.is_paid() && !self.earned, Step::Earn)?;
                self.earned = true;
            }
            Entry::RefundAsked { n, refund } => self.ask_refund(at, *n, refund)?,
            Entry::Cancelled { seq } => {
                self.end(self.phase == Phase::Booked && self.cancelled.is_none(), Step::Cancel)?;
                self.cancelled = Some((*seq, at));
            }
            Entry::Refunded { n } => {
                let gone = std::mem::replace(&mut self.may_move(*n)?.money_gone, true);
                self.end(!gone, Step::Refund(*n))?;
            }
            Entry::PointsMoved { n } => {
                let moved = std::mem::replace(&mut self.may_move(*n)?.points_moved, true);
                self.end(!moved, Step::Points(*n))?;
            }
            Entry::Stuck { step, why } => {
                allow(super::effect::all(self).iter().any(|effect| effect.step() == *step))?;
                allow(self.stuck.insert(*step, why.clone()).is_none())?;
            }
            Entry::Retried { step, .. } => allow(self.stuck.remove(step).is_some())?,
            Entry::Resolved { step, done, .. } => self.resolve(at, *step, *done)?,
        }
        Ok(())
    }

    /// A step has come to its end: no operator needs to look at it any more.
    fn end(&mut self, may: bool, step: Step) -> Result<(), NotNow> {
        allow(may)?;
        self.stuck.remove(&step);
        Ok(())
    }

    fn is_payment(&self, payment: &str) -> bool {
        self.payment.as_deref().is_none_or(|known| known == payment)
    }

    /// The sum of all refunds stays within what was captured, and a cancelled booking has nothing left to refund.
    fn ask_refund(&mut self, at: Millis, n: u32, refund: &Refund) -> Result<(), NotNow> {
        allow(self.is_paid() && u32::try_from(self.refunds.len() + 1) == Ok(n))?;
        allow(!self.refunds.iter().any(|before| before.refund.cancel || before.refund.key == refund.key))?;
        allow(refund.money >= 0 && refund.money <= self.captured() - self.refunded())?;
        for part in &self.plan.parts {
            allow(self.given_back(&part.item) + u64::from(units(refund, &part.item)) <= u64::from(part.units))?;
        }
        let sum = |of: fn(&Refund) -> u64| self.refunds.iter().map(|refund| of(&refund.refund)).sum::<u64>();
        allow(sum(|refund| refund.points) + refund.points <= self.plan.points())?;
        allow(sum(|refund| refund.take) + refund.take <= self.plan.earned())?;
        let coupons = refund.cancel && !self.plan.coupons.is_empty();
        self.refunds.push(RefundState {
            refund: Arc::new(refund.clone()),
            asked: at,
            money_gone: refund.money == 0,
            points_moved: refund.points == 0 && refund.take == 0 && !coupons,
        });
        Ok(())
    }

    /// Units of an item that refunds gave back.
    pub(super) fn given_back(&self, item: &domain::ItemId) -> u64 {
        self.refunds.iter().map(|refund| u64::from(units(&refund.refund, item))).sum()
    }

    /// A refund whose money and points may move: with a cancellation only when the lane's log has it.
    fn may_move(&mut self, n: u32) -> Result<&mut RefundState, NotNow> {
        let cancelled = self.cancelled.is_some();
        let place = usize::try_from(n).ok().and_then(|n| n.checked_sub(1)).ok_or(NotNow)?;
        self.refunds.get_mut(place).filter(|refund| cancelled || !refund.refund.cancel).ok_or(NotNow)
    }

    /// What an operator may say. Not what the lane's log says, nor that money which was promised is none of ours.
    fn resolve(&mut self, at: Millis, step: Step, done: bool) -> Result<(), NotNow> {
        allow(self.stuck.remove(&step).is_some())?;
        match (step, done) {
            (Step::Reserve, true) => self.change(at, &Entry::Reserved),
            (Step::Reserve, false) => self.change(at, &Entry::Aborted { why: AbortReason::Operator }),
            (Step::Authorise, false) if self.phase == Phase::Paying => {
                self.change(at, &Entry::Aborted { why: AbortReason::Operator })
            }
            (Step::Authorise, false) | (Step::Void, true) => self.change(at, &Entry::Voided),
            (Step::Capture, true) => self.change(at, &Entry::Captured),
            (Step::Capture, false) => {
                allow(self.phase == Phase::Booked && !self.captured)?;
                self.lost = true;
                Ok(())
            }
            (Step::Return, _) => self.change(at, &Entry::Returned),
            (Step::Earn, _) => self.change(at, &Entry::Earned),
            (Step::Points(n), _) => self.change(at, &Entry::PointsMoved { n }),
            (Step::Refund(n), true) => self.change(at, &Entry::Refunded { n }),
            (Step::Authorise, true) | (Step::Void | Step::Refund(_), false) | (Step::Confirm | Step::Cancel, _) => {
                Err(NotNow)
            }
        }
    }
}

fn units(refund: &Refund, item: &domain::ItemId) -> u32 {
    refund.lines.iter().find(|(id, _)| *id == item).map_or(0, |(_, units)| units)
}

fn allow(allowed: bool) -> Result<(), NotNow> {
    if allowed { Ok(()) } else { Err(NotNow) }
}
