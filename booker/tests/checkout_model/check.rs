//! What holds in every state, and how every state ends.

use std::collections::HashSet;

use booker::checkout::{LaneWord, Phase};
use domain::HoldState;
use domain::checkout::Entry;

use crate::world::{LATE, NAMES, POINTS, Paid, World};

/// Rounds within which everything must have come to rest.
const ROUNDS: usize = 60;

impl World {
    /// I4, and that the log does not contradict itself.
    pub(crate) fn check(&self) -> Result<(), String> {
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        let due = self.plan().due().minor;
        let captured: Vec<_> = self.payments.iter().filter(|payment| payment.state == Paid::Captured).collect();
        if captured.len() > 1 {
            return Err("I4: charged twice".into());
        }
        let decided = matches!(self.lane.word, Some(LaneWord::Booked { .. } | LaneWord::Cancelled { .. }));
        if !captured.is_empty() && !decided {
            return Err("I4: charged without a booking".into());
        }
        let back: i64 = self.payments.iter().flat_map(|payment| &payment.refunds).map(|(_, minor)| minor).sum();
        if back > if captured.is_empty() { 0 } else { due } {
            return Err(format!("I4: {back} went back of {due}"));
        }
        let aborted = self.log.iter().any(|event| matches!(event.entry, Entry::Aborted { .. }));
        if aborted && decided {
            return Err("I4: booked after the checkout was aborted".into());
        }
        let let_go = self.payments.iter().any(|payment| payment.state == Paid::Void);
        if self.is_booked() && let_go && captured.is_empty() {
            return Err("I4: booked, and the money was let go".into());
        }
        let logged = self.checkout().map(|checkout| checkout.phase());
        match (self.lane.word, logged) {
            (Some(LaneWord::Booked { .. }), Some(Phase::Undone)) => Err("I4: booked, and the log says refused".into()),
            (Some(LaneWord::Refused { .. }), Some(Phase::Booked)) => Err("I4: refused, and the log says booked".into()),
            _ => Ok(()),
        }
    }

    /// A fair schedule without faults, in which no customer acts any more, comes to rest with everything in order (I5).
    /// `rested` are worlds from which this is known.
    pub(crate) fn drain(&self, rested: &mut HashSet<u64>) -> Result<(), String> {
        let (mut world, mut path) = (self.clone(), vec![]);
        for _ in 0..ROUNDS {
            let print = world.fingerprint();
            if rested.contains(&print) {
                rested.extend(path);
                return Ok(());
            }
            path.push(print);
            world.round();
            world.check().map_err(|error| format!("{error} [while draining]"))?;
            if world.fingerprint() == print {
                world.at_rest()?;
                rested.extend(path);
                return Ok(());
            }
        }
        Err("I5: no rest after sixty fair rounds".into())
    }

    /// Everybody does once what they do all the time.
    fn round(&mut self) {
        self.now = LATE;
        self.read(0);
        // What is on its way first: it may belong to a state that is long gone.
        for effect in std::mem::take(&mut self.steps) {
            self.run(&effect, true);
        }
        self.act(0);
        if self.lane.hold.is_some_and(|hold| matches!(hold.state, HoldState::Held | HoldState::Paying)) {
            self.let_go();
        }
        self.take_intent();
        self.commit(false);
        self.hear_lane(0);
        if self.rules.clock {
            self.tell(0, &booker::checkout::Input::Clock, false);
        }
        if self.rules.operator {
            self.mend();
        }
    }

    /// An operator looks at each dead letter: what can still be done is tried again, what cannot is told.
    fn mend(&mut self) {
        let stuck: Vec<_> =
            self.checkout().map(|checkout| checkout.stuck().keys().copied().collect()).unwrap_or_default();
        for step in stuck {
            match [true, false].into_iter().find(|done| self.is_honest(step, *done)) {
                Some(done) => {
                    let actor = crate::steps::operator();
                    self.tell(0, &booker::checkout::Input::Resolve { step, done, actor }, false);
                }
                None => self.retry(0, step),
            }
        }
    }

    fn at_rest(&self) -> Result<(), String> {
        let pending = self.payments.iter().find(|payment| matches!(payment.state, Paid::Open | Paid::Promised));
        if let Some(payment) = pending {
            return Err(format!("I5: a payment is {:?} for ever", payment.state));
        }
        if self.lane.hold.is_some_and(|hold| hold.state == HoldState::Confirming) && self.lane.word.is_none() {
            return Err("I5: the hold is confirming for ever".into());
        }
        let account = self.points.account(&NAMES.visitor).cloned().unwrap_or_default();
        let (balance, used) = (account.balance(self.now), account.coupon(NAMES.coupon.id).is_some());
        let Some(checkout) = self.checkout() else {
            let clean = self.payments.is_empty() && balance == POINTS && !used;
            return if clean { Ok(()) } else { Err("I5: something was taken and nobody knows".into()) };
        };
        if !checkout.is_over() {
            return Err(format!("I5: the checkout never ends: {:?} {:?}", checkout.phase(), checkout.stuck()));
        }
        let captured = self.payments.iter().any(|payment| payment.state == Paid::Captured);
        let back: i64 = self.payments.iter().flat_map(|payment| &payment.refunds).map(|(_, minor)| minor).sum();
        let plan = checkout.plan();
        if self.is_booked() {
            if captured != checkout.is_priced() || checkout.captured() != plan.due().minor {
                return Err("I5: booked and not paid".into());
            }
            if !used {
                return Err("I5: booked, and the coupon is back".into());
            }
        } else if balance != POINTS || used {
            return Err(format!("I5: no booking, {balance} of {POINTS} points, coupon used: {used}"));
        }
        if captured && back != checkout.refunded() {
            return Err(format!("I5: {back} went back, {} should have", checkout.refunded()));
        }
        let fees: i64 = checkout.refunds().iter().map(|refund| refund.refund.fee).sum();
        if captured && !self.is_booked() && back + fees != plan.due().minor {
            return Err(format!("I5: cancelled, and only {back} and {fees} of fees are accounted for"));
        }
        let moved =
            |of: fn(&domain::Refund) -> u64| checkout.refunds().iter().map(|refund| of(&refund.refund)).sum::<u64>();
        let expected = plan.earned() + moved(|refund| refund.points) - moved(|refund| refund.take);
        if self.is_booked() && balance != expected {
            return Err(format!("I5: {balance} points, {expected} should be there"));
        }
        Ok(())
    }
}
