//! What happens where a step arrives: at the provider, in the points' log, in the lane.

use std::sync::Arc;

use booker::checkout::{Confirming, Effect, Entering, HoldOf, LaneWord, Report, confirm, enter, release};
use domain::checkout::AbortReason;
use domain::points::{Group, PointsFold, Refused, Request};
use domain::{HoldState, Millis, Step};

use crate::world::{EARLY, NAMES, POINTS, Paid, Payment, World};

fn refused(step: Step, why: AbortReason) -> Report {
    Report::Refused { step, why, said: "no".into() }
}

fn name(n: usize) -> String {
    format!("p{n}")
}

impl World {
    /// Does it; what is answered, if the answer gets through. `None`: nothing is told by the answer.
    pub(crate) fn arrive(&mut self, effect: &Effect) -> Option<Report> {
        match effect {
            Effect::Reserve { .. } => self.enter_paying(),
            Effect::Authorise { payment, .. } => Some(self.authorise(payment.as_deref())),
            Effect::Confirm { .. } => self.confirm(),
            Effect::Capture { payment, .. } => self.payment(payment).map(|n| self.capture(n)),
            Effect::Void { payment } => self.payment(payment).map(|n| self.void(n)),
            Effect::Return { release: lets_go, points, asked, .. } => {
                if *lets_go && release(self.lane.hold) {
                    self.let_go();
                }
                if *points {
                    let back = Request::Return {
                        booking: NAMES.id,
                        part: 0,
                        points: 0,
                        coupons: true,
                        take: 0,
                        at_least: None,
                    };
                    self.undo_points(&back, *asked);
                }
                Some(Report::Done(Step::Return))
            }
            Effect::Earn { lot, asked, .. } => {
                let earn = Request::Earn { booking: NAMES.id, lot: *lot };
                Some(
                    self.ask_points(&earn, *asked)
                        .map_or_else(|error| failed(Step::Earn, error), |()| Report::Done(Step::Earn)),
                )
            }
            Effect::Cancel => {
                if let Some(LaneWord::Booked { seq }) = self.lane.word {
                    self.lane.word = Some(LaneWord::Cancelled { booked: seq, seq: 2 });
                }
                None
            }
            Effect::Refund { n, payment, money, .. } => {
                let minor = if self.rules.sums_refunds { money.minor } else { self.plan().due().minor };
                self.payment(payment).map(|at| self.refund(at, *n, minor))
            }
            Effect::Points { n, points, take, coupons, until, asked, .. } => {
                let back = Request::Return {
                    booking: NAMES.id,
                    part: *n,
                    points: *points,
                    coupons: *coupons,
                    take: *take,
                    at_least: *until,
                };
                let step = Step::Points(*n);
                Some(self.ask_points(&back, *asked).map_or_else(|error| failed(step, error), |()| Report::Done(step)))
            }
        }
    }

    /// The first half of reserving. The second may come much later.
    fn enter_paying(&mut self) -> Option<Report> {
        match enter(self.lane.hold, self.now, 30) {
            Entering::Paying { until } => {
                self.lane.hold = Some(HoldOf { state: HoldState::Paying, deadline: until });
                self.half_reserved = true;
                None
            }
            _ => Some(refused(Step::Reserve, AbortReason::HoldGone)),
        }
    }

    /// The second half.
    pub(crate) fn take_points(&mut self) -> Report {
        self.half_reserved = false;
        let request = Request::Use { booking: NAMES.id, points: POINTS, coupons: vec![NAMES.coupon] };
        match self.ask_points(&request, EARLY) {
            Ok(()) => Report::Done(Step::Reserve),
            Err(Refused::CouponUsed(_)) => refused(Step::Reserve, AbortReason::Coupon),
            Err(_) => refused(Step::Reserve, AbortReason::Points),
        }
    }

    fn ask_points(&mut self, request: &Request, asked: Millis) -> Result<(), Refused> {
        let mut group = Group::default();
        group.ask(&self.points, NAMES.visitor, request, asked, self.now)?;
        let points: &mut PointsFold = Arc::make_mut(&mut self.points);
        for event in group.events() {
            if let Err(error) = points.apply(points.head() + 1, event) {
                self.broken = Some(error.to_string());
            }
        }
        Ok(())
    }

    /// Without tombstones, undoing what was not seen leaves no trace.
    fn undo_points(&mut self, back: &Request, asked: Millis) {
        let used = self.points.account(&NAMES.visitor).is_some_and(|account| account.coupon(NAMES.coupon.id).is_some());
        if (used || self.rules.tombstones)
            && let Err(error) = self.ask_points(back, asked)
        {
            self.broken = Some(error.to_string());
        }
    }

    fn payment(&self, payment: &str) -> Option<usize> {
        (0..self.payments.len()).find(|n| name(*n) == payment)
    }

    fn authorise(&mut self, known: Option<&str>) -> Report {
        let found = match known {
            Some(payment) => self.payment(payment),
            None => (self.rules.authorise_key && !self.payments.is_empty()).then_some(0),
        };
        let n = found.unwrap_or_else(|| {
            let state = if self.left.customer { Paid::Open } else { Paid::Promised };
            self.payments.push(Payment { state, refunds: vec![] });
            self.payments.len() - 1
        });
        self.tells(n)
    }

    /// What the provider says about a payment that is looked up, or tells by itself.
    pub(crate) fn tells(&self, n: usize) -> Report {
        match self.payments[n].state {
            Paid::Open => Report::Opened { payment: name(n) },
            Paid::Promised => Report::Authorised { payment: name(n), amount: self.plan().due() },
            Paid::Captured => Report::Done(Step::Capture),
            Paid::Void | Paid::Declined | Paid::Lapsed => refused(Step::Authorise, AbortReason::Declined),
        }
    }

    fn capture(&mut self, n: usize) -> Report {
        if self.payments[n].state == Paid::Promised {
            self.payments[n].state = Paid::Captured;
        }
        match self.payments[n].state {
            Paid::Captured => Report::Done(Step::Capture),
            _ => refused(Step::Capture, AbortReason::Declined),
        }
    }

    fn void(&mut self, n: usize) -> Report {
        if matches!(self.payments[n].state, Paid::Open | Paid::Promised) {
            self.payments[n].state = Paid::Void;
        }
        match self.payments[n].state {
            Paid::Captured => refused(Step::Void, AbortReason::Declined),
            _ => Report::Done(Step::Void),
        }
    }

    fn refund(&mut self, at: usize, n: u32, minor: i64) -> Report {
        let known = self.payments[at].refunds.iter().any(|(number, _)| *number == n);
        if !known || !self.rules.refund_key {
            self.payments[at].refunds.push((n, minor));
        }
        Report::Done(Step::Refund(n))
    }

    fn confirm(&mut self) -> Option<Report> {
        let found = confirm(self.lane.hold, self.lane.free);
        self.lane.was_confirming |= matches!(found, Confirming::Held | Confirming::Retaken);
        let confirming = HoldOf { state: HoldState::Confirming, deadline: Millis(0) };
        match found {
            Confirming::Held => (self.lane.hold, self.lane.full) = (Some(confirming), true),
            Confirming::Retaken => {
                (self.lane.hold, self.lane.full, self.lane.free) = (Some(confirming), true, false);
            }
            Confirming::Empty if !self.rules.gone_via_log => {
                return Some(Report::Refused { step: Step::Confirm, why: AbortReason::HoldGone, said: "gone".into() });
            }
            Confirming::Empty => (self.lane.hold, self.lane.full) = (Some(confirming), false),
            Confirming::Already | Confirming::Decided(_) => {}
        }
        None
    }

    /// The hold's units are free again.
    pub(crate) fn let_go(&mut self) {
        if let Some(hold) = &mut self.lane.hold {
            hold.state = HoldState::Released;
        }
        self.lane.free = true;
    }

    /// The committer reads the intent, and remembers it whatever happens to Redis.
    pub(crate) fn take_intent(&mut self) {
        let confirming = |hold: &HoldOf| hold.state == HoldState::Confirming;
        if self.lane.word.is_none() && self.lane.hold.as_ref().is_some_and(confirming) {
            let full = self.lane.taken.unwrap_or(false) || self.lane.full;
            self.lane.taken = Some(full);
        }
    }

    /// What it decides is the lane's word for ever.
    pub(crate) fn commit(&mut self, refuse: bool) {
        let Some(full) = self.lane.taken.take().filter(|_| self.lane.word.is_none()) else { return };
        let booked = full && !refuse;
        self.lane.word = Some(if booked { LaneWord::Booked { seq: 1 } } else { LaneWord::Refused { seq: 1 } });
        let state = if booked { HoldState::Sold } else { HoldState::Refused };
        self.lane.hold = Some(HoldOf { state, deadline: Millis(0) });
    }
}

/// The points' log refuses only what no checkout asks for.
fn failed(step: Step, error: Refused) -> Report {
    Report::Refused { step, why: AbortReason::Points, said: error.to_string() }
}
