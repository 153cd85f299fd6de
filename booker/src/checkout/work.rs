//! When the steps of a lane's checkouts are tried, tried again, and given up: the owner's memory, which dies with it. The next
//! owner begins with every open checkout of the fold.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::limits::{
    CHECKOUT_POLL_MS, CHECKOUT_RETRY_MS, CHECKOUT_STUCK_MS, CHECKOUT_TRIES, CHECKOUT_TRY_MS, MAX_CHECKOUT_STEPS,
};
use domain::{HoldId, Millis, Step};

use super::decide::Input;
use super::effect::{Effect, effects};
use super::fold::CheckoutFold;
use super::state::{Checkout, Phase};

/// What was heard of a try.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Heard {
    /// It is answered: an input says how.
    Answered,
    /// The customer has not acted yet.
    Waiting,
    /// Nobody knows.
    Unknown,
}

/// Something the owner is to do now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Todo {
    /// Try this, and tell [`Work::heard`] what came of it. With how many tries
    /// of this owner came to no end before.
    Run(HoldId, Effect, u32),
    /// Decide this.
    Decide(HoldId, Input),
}

#[derive(Clone, Copy, Default, Debug)]
struct Try {
    /// Tries without an answer, in a row.
    unknown: u32,
    /// Questions whether the customer has paid.
    polls: u32,
    /// When to try again.
    next: Millis,
    /// Until when a try under way may take.
    until: Option<Millis>,
}

/// When each booking of a lane is looked at again, and how often its steps were tried.
#[derive(Clone, Default, Debug)]
pub struct Work {
    due: BTreeSet<(Millis, HoldId)>,
    at: HashMap<HoldId, Millis>,
    tries: HashMap<HoldId, BTreeMap<Step, Try>>,
    under_way: usize,
}

/// Doubles from the first to the most.
fn pause((first, most): (u64, u64), times: u32) -> u64 {
    first.saturating_mul(1_u64.checked_shl(times).unwrap_or(u64::MAX)).min(most)
}

impl Work {
    /// The work of an owner that has just folded the log.
    #[must_use]
    pub fn of(fold: &CheckoutFold, now: Millis) -> Self {
        let mut work = Self::default();
        fold.open().for_each(|id| work.look(*id, now));
        work
    }

    /// Looks at a booking at this moment at the latest: its log has grown, or somebody has asked.
    pub fn look(&mut self, id: HoldId, when: Millis) {
        match self.at.get(&id) {
            Some(at) if *at <= when => return,
            Some(at) => drop(self.due.remove(&(*at, id))),
            None => {}
        }
        self.due.insert((when, id));
        self.at.insert(id, when);
    }

    /// When there is something to do next.
    #[must_use]
    pub fn wakes(&self) -> Option<Millis> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Steps that are being tried.
    #[must_use]
    pub const fn under_way(&self) -> usize {
        self.under_way
    }

    /// What is to be done now; bounded by the steps that may be under way at once.
    pub fn next(&mut self, fold: &CheckoutFold, now: Millis) -> Vec<Todo> {
        let mut todo = Vec::new();
        while self.under_way < MAX_CHECKOUT_STEPS
            && let Some((at, id)) = self.due.first().copied().filter(|(at, _)| *at <= now)
        {
            self.due.remove(&(at, id));
            self.at.remove(&id);
            match fold.get(&id) {
                Some(checkout) => self.visit(id, checkout, now, &mut todo),
                None => self.forget(id),
            }
        }
        todo
    }

    fn visit(&mut self, id: HoldId, checkout: &Checkout, now: Millis, todo: &mut Vec<Todo>) {
        let effects = effects(checkout);
        let steps: Vec<Step> = effects.iter().map(Effect::step).collect();
        let mut wake: Option<Millis> = None;
        let mut tries = self.tries.remove(&id).unwrap_or_default();
        for each in tries.values_mut().filter(|each| each.until.is_some_and(|until| until <= now)) {
            self.under_way = self.under_way.saturating_sub(1);
            unknown(each, now);
        }
        tries.retain(|step, each| each.until.is_some() || steps.contains(step));
        for effect in effects {
            let step = effect.step();
            let each = tries.entry(step).or_default();
            if each.until.is_none() && each.next <= now {
                if each.unknown >= CHECKOUT_TRIES && now.since(checkout.since()) >= CHECKOUT_STUCK_MS {
                    let said = format!("no answer after {} tries", each.unknown);
                    todo.push(Todo::Decide(id, Input::GiveUp { step, said }));
                    each.next = now.plus(CHECKOUT_RETRY_MS.1);
                } else {
                    each.until = Some(now.plus(CHECKOUT_TRY_MS));
                    self.under_way += 1;
                    todo.push(Todo::Run(id, effect, each.unknown.saturating_add(each.polls)));
                }
            }
            let next = each.until.unwrap_or(each.next);
            wake = Some(wake.map_or(next, |wake| wake.min(next)));
        }
        if matches!(checkout.phase(), Phase::Reserving | Phase::Paying) {
            let until = checkout.plan().until;
            if until <= now {
                todo.push(Todo::Decide(id, Input::Clock));
            }
            let next = if until <= now { now.plus(CHECKOUT_RETRY_MS.1) } else { until };
            wake = Some(wake.map_or(next, |wake| wake.min(next)));
        }
        if checkout.owes_entry() {
            todo.push(Todo::Decide(id, Input::Clock));
            wake = Some(now.plus(CHECKOUT_RETRY_MS.1));
        }
        if !tries.is_empty() {
            self.tries.insert(id, tries);
        }
        if let Some(wake) = wake {
            self.look(id, wake);
        }
    }

    /// What came of a try.
    pub fn heard(&mut self, id: HoldId, step: Step, heard: Heard, now: Millis) {
        let Some(each) = self.tries.get_mut(&id).and_then(|tries| tries.get_mut(&step)) else { return };
        if each.until.take().is_none() {
            return;
        }
        self.under_way = self.under_way.saturating_sub(1);
        match heard {
            // Its entry makes it look again; until that is appended nothing is to be tried.
            Heard::Answered => (each.unknown, each.next) = (0, now.plus(CHECKOUT_RETRY_MS.1)),
            Heard::Waiting => {
                each.next = now.plus(pause(CHECKOUT_POLL_MS, each.polls));
                (each.unknown, each.polls) = (0, each.polls.saturating_add(1));
            }
            Heard::Unknown => unknown(each, now),
        }
        let next = each.next;
        self.look(id, next);
    }

    /// The booking's log has grown: what was tried before the entry is no measure any more.
    pub fn moved(&mut self, id: HoldId, now: Millis) {
        if let Some(tries) = self.tries.get_mut(&id) {
            tries.values_mut().for_each(|each| (each.unknown, each.next) = (0, now));
        }
        self.look(id, now);
    }

    fn forget(&mut self, id: HoldId) {
        let tries = self.tries.remove(&id).unwrap_or_default();
        let under_way = tries.values().filter(|each| each.until.is_some()).count();
        self.under_way = self.under_way.saturating_sub(under_way);
    }
}

fn unknown(each: &mut Try, now: Millis) {
    each.until = None;
    each.next = now.plus(pause(CHECKOUT_RETRY_MS, each.unknown));
    each.unknown = each.unknown.saturating_add(1);
}
