//! What can happen.

use std::sync::Arc;

use booker::checkout::{Ask, Effect, Group, HoldOf, Input, LaneWord, Phase, Report, decide, effects};
use domain::checkout::Entry;
use domain::{Actor, CheckoutEvent, HoldState, Lines, Millis, Percent, Step};

use crate::world::{LATE, NAMES, Paid, World};

/// What, by which owner, and to what.
pub(crate) type Label = (&'static str, usize, String);

/// Takes a step with what it does to a world.
type Add<'a> = dyn FnMut(&'static str, usize, String, &dyn Fn(&mut World)) + 'a;

pub(crate) fn operator() -> Actor {
    Actor { by: "ops".into(), why: String::new() }
}

fn line(item: &str) -> Option<Lines> {
    Some([(item.parse().unwrap(), 1)].into_iter().collect())
}

impl World {
    /// Every step that changes something.
    pub(crate) fn next(&self) -> Vec<(Label, Self)> {
        let (mut all, before) = (vec![], self.fingerprint());
        if self.broken.is_some() {
            return all;
        }
        let mut add = |step: &'static str, owner: usize, what: String, change: &dyn Fn(&mut Self)| {
            let mut next = self.clone();
            change(&mut next);
            if next.fingerprint() != before {
                all.push(((step, owner, what), next));
            }
        };
        for i in 0..if self.left.alone { 1 } else { 2 } {
            self.owner_steps(i, &mut add);
        }
        self.arrivals(&mut add);
        self.environment(&mut add);
        self.faults(&mut add);
        all
    }

    fn owner_steps(&self, i: usize, add: &mut Add<'_>) {
        if !self.owners[i].alive {
            return add("starts", i, String::new(), &|world| world.read(i));
        }
        add("reads the log", i, String::new(), &|world| world.read(i));
        if self.left.crash > 0 {
            add("! dies", i, String::new(), &|world| {
                world.left.crash -= 1;
                world.owners[i].alive = false;
            });
        }
        let begin = Input::Begin { plan: Box::new(self.plan().clone()), lane: None };
        add("begins", i, String::new(), &|world| world.told(i, &begin));
        for effect in self.may_try(i) {
            add("tries", i, effect.step().to_string(), &|world| world.send(effect.clone()));
        }
        for (n, report) in self.answers.iter().enumerate() {
            let what = format!("{report:?}");
            add("hears", i, what.clone(), &|world| {
                let report = world.answers.remove(n);
                world.hear(i, &report, false);
            });
            if self.left.repeat > 0 {
                add("hears, not for the last time,", i, what.clone(), &|world| {
                    world.left.repeat -= 1;
                    world.hear(i, &report.clone(), false);
                });
            }
            if self.left.doubt > 0 {
                add("hears, and does not learn that it was appended,", i, what, &|world| {
                    world.left.doubt -= 1;
                    let report = world.answers.remove(n);
                    world.hear(i, &report, true);
                });
            }
        }
        if let Some(word) = self.lane.word {
            add("hears the lane", i, String::new(), &|world| world.told(i, &Input::Lane(word)));
        }
        if self.rules.clock {
            add("looks at the clock", i, String::new(), &|world| world.told(i, &Input::Clock));
        }
        self.wishes(i, add);
        self.letters(i, add);
        self.without_rules(i, add);
    }

    /// What visitors and operators ask an owner for.
    fn wishes(&self, i: usize, add: &mut Add<'_>) {
        if self.left.leave > 0 {
            add("is told that the visitor leaves", i, String::new(), &|world| {
                if world.tell(i, &Input::Leave, false) {
                    world.left.leave -= 1;
                }
            });
        }
        let asks = [("one", line("a")), ("other", line("b")), ("all", None)];
        for (key, lines) in asks.into_iter().filter(|_| self.left.refund > 0) {
            let ask = Ask {
                key: key.into(),
                lines,
                fee: Percent::thousandths(10_000).unwrap(),
                points_until: None,
                actor: operator(),
            };
            add("is asked for a refund:", i, key.into(), &|world| {
                if world.tell(i, &Input::Refund(ask.clone()), false) {
                    world.left.refund -= 1;
                }
            });
        }
    }

    /// Steps are given up and mended.
    fn letters(&self, i: usize, add: &mut Add<'_>) {
        let Some(checkout) = self.owners[i].fold.get(&NAMES.id) else { return };
        for effect in effects(checkout).into_iter().filter(|_| self.left.give_up > 0) {
            let step = effect.step();
            add("gives up", i, step.to_string(), &|world| {
                if world.tell(i, &Input::GiveUp { step, said: "no answer".into() }, false) {
                    world.left.give_up -= 1;
                }
            });
        }
        for step in checkout.stuck().keys().copied().filter(|_| self.rules.operator) {
            add("is told to try again", i, step.to_string(), &|world| world.retry(i, step));
            for done in [true, false].into_iter().filter(|done| self.is_honest(step, *done)) {
                add("is told how it ended:", i, format!("{step} {done}"), &|world| {
                    world.told(i, &Input::Resolve { step, done, actor: operator() });
                });
            }
        }
    }

    pub(crate) fn retry(&mut self, i: usize, step: Step) {
        self.tell(i, &Input::Retry { step, actor: operator() }, false);
    }

    /// An operator says of money only what the provider's own screens show, and that it is over only when it is.
    pub(crate) fn is_honest(&self, step: Step, done: bool) -> bool {
        let over = |paid: Paid| matches!(paid, Paid::Void | Paid::Declined | Paid::Lapsed);
        let all = |of: fn(Paid) -> bool| self.payments.iter().all(|payment| of(payment.state));
        match (step, done) {
            (Step::Capture, true) => self.payments.iter().any(|payment| payment.state == Paid::Captured),
            (Step::Void, true) => all(|paid| !matches!(paid, Paid::Open | Paid::Promised | Paid::Captured)),
            (Step::Capture | Step::Authorise, false) => {
                !self.payments.is_empty() && self.payments.iter().all(|payment| over(payment.state))
            }
            (Step::Refund(n), true) => {
                self.payments.iter().any(|payment| payment.refunds.iter().any(|(number, _)| *number == n))
            }
            _ => false,
        }
    }

    /// What owners do that keep to fewer rules.
    fn without_rules(&self, i: usize, add: &mut Add<'_>) {
        let Some(checkout) = self.owners[i].fold.get(&NAMES.id) else { return };
        let (plan, phase) = (self.plan(), checkout.phase());
        let mut early = vec![];
        if !self.rules.log_first && phase == Phase::Reserving {
            early.push(Effect::Authorise { due: plan.due(), payment: None });
        }
        if !self.rules.sent_first && phase == Phase::Paying {
            early.push(Effect::Confirm { visitor: plan.visitor, lines: plan.lines() });
        }
        if !self.rules.waits_for_lane && phase == Phase::Confirming {
            let payment = checkout.payment().unwrap().into();
            early.push(Effect::Capture { payment, due: plan.due() });
        }
        for effect in early {
            add("tries too early", i, effect.step().to_string(), &|world| world.send(effect.clone()));
        }
        let unknown = phase == Phase::Undone && checkout.payment().is_none();
        if !self.rules.asks_again && unknown && self.payments.is_empty() {
            let report = Report::Done(Step::Void);
            add("takes no payment for an answer", i, String::new(), &|world| world.hear(i, &report, false));
        }
    }

    /// Steps arrive.
    fn arrivals(&self, add: &mut Add<'_>) {
        for (n, effect) in self.steps.iter().enumerate() {
            let what = effect.step().to_string();
            add("arrives", 0, what.clone(), &|world| {
                let effect = world.steps.remove(n);
                world.run(&effect, true);
            });
            if self.left.lose > 0 {
                add("arrives, and nobody hears of it:", 0, what.clone(), &|world| {
                    world.left.lose -= 1;
                    let effect = world.steps.remove(n);
                    world.run(&effect, false);
                });
            }
            if self.left.late > 0 {
                add("arrives, and will once more:", 0, what, &|world| {
                    world.left.late -= 1;
                    world.run(&effect.clone(), true);
                });
            }
        }
    }

    fn environment(&self, add: &mut Add<'_>) {
        if self.half_reserved {
            add("points are asked for", 0, String::new(), &|world| {
                let answer = world.take_points();
                world.answer(answer);
            });
        }
        add("the time to pay is over", 0, String::new(), &|world| world.now = LATE);
        add("committer takes the intent", 0, String::new(), &|world| world.take_intent());
        add("committer appends", 0, String::new(), &|world| world.commit(false));
        for (n, payment) in self.payments.iter().enumerate() {
            if payment.state == Paid::Open {
                add("customer pays", n, String::new(), &|world| world.payments[n].state = Paid::Promised);
            }
            if self.left.webhook > 0 {
                add("provider tells", n, format!("{:?}", payment.state), &|world| {
                    world.left.webhook -= 1;
                    let told = world.tells(n);
                    world.answer(told);
                });
            }
        }
    }

    fn faults(&self, add: &mut Add<'_>) {
        for (n, payment) in self.payments.iter().enumerate() {
            let pending = matches!(payment.state, Paid::Open | Paid::Promised);
            if self.left.decline > 0 && (payment.state == Paid::Open || !self.left.customer) {
                add("! provider declines", n, String::new(), &|world| {
                    if pending && world.payments[n].state == payment.state && !world.was_promised() {
                        world.left.decline -= 1;
                        world.payments[n].state = Paid::Declined;
                    }
                });
            }
            if self.left.lapse > 0 && payment.state == Paid::Promised {
                add("! promise ends", n, String::new(), &|world| {
                    world.left.lapse -= 1;
                    world.payments[n].state = Paid::Lapsed;
                });
            }
        }
        let held = |hold: &HoldOf| matches!(hold.state, HoldState::Held | HoldState::Paying);
        if self.left.expire > 0 && self.lane.hold.as_ref().is_some_and(held) {
            add("! hold ends", 0, String::new(), &|world| {
                world.left.expire -= 1;
                world.let_go();
            });
        }
        if self.left.other > 0 && self.lane.free {
            add("! somebody else takes the units", 0, String::new(), &|world| {
                (world.left.other, world.lane.free) = (world.left.other - 1, false);
            });
        }
        if self.left.refuse > 0 && self.lane.taken.is_some() {
            add("! committer refuses", 0, String::new(), &|world| {
                world.left.refuse -= 1;
                world.commit(true);
            });
        }
        if self.left.rollback > 0 && self.lane.word.is_none() {
            let copies = [None, Some(HoldState::Held), Some(HoldState::Confirming)];
            let was = |copy: &Option<HoldState>| *copy != Some(HoldState::Confirming) || self.lane.was_confirming;
            for copy in copies.into_iter().filter(was) {
                add("! Redis falls back to", 0, format!("{copy:?}"), &|world| {
                    world.left.rollback -= 1;
                    world.lane.hold = copy.map(|state| HoldOf { state, deadline: Millis(20) });
                    (world.lane.full, world.lane.free) = (true, copy.is_none());
                });
            }
        }
        if self.left.cancel > 0 && self.is_booked() {
            add("! booking is cancelled past the checkout", 0, String::new(), &|world| {
                world.left.cancel -= 1;
                world.arrive(&Effect::Cancel);
            });
        }
    }

    /// The provider's promise was logged: from then on it may end, not be declined.
    fn was_promised(&self) -> bool {
        self.log.iter().any(|event| matches!(event.entry, Entry::Authorised { .. }))
    }

    /// The owner reads the log to its end.
    pub(crate) fn read(&mut self, i: usize) {
        self.owners[i].alive = true;
        self.owners[i].fold = self.fold.clone();
    }

    /// What an owner may try by what it has read.
    pub(crate) fn may_try(&self, i: usize) -> Vec<Effect> {
        let checkout = self.owners[i].fold.get(&NAMES.id);
        let fresh = |effect: &Effect| self.rules.tries_again || !self.tried.contains(&effect.step());
        checkout.map(effects).unwrap_or_default().into_iter().filter(fresh).collect()
    }

    pub(crate) fn send(&mut self, effect: Effect) {
        if !self.rules.tries_again {
            self.tried.push(effect.step());
        }
        if !self.steps.contains(&effect) {
            self.steps.push(effect);
        }
    }

    /// An owner does all that it may, and hears all that comes of it.
    pub(crate) fn act(&mut self, i: usize) {
        for effect in self.may_try(i) {
            self.send(effect);
        }
        for effect in std::mem::take(&mut self.steps) {
            self.run(&effect, true);
        }
        if self.half_reserved {
            let answer = self.take_points();
            self.answer(answer);
        }
        for report in std::mem::take(&mut self.answers) {
            self.hear(i, &report, false);
        }
    }

    pub(crate) fn hear_lane(&mut self, i: usize) {
        if let Some(word) = self.lane.word {
            self.tell(i, &Input::Lane(word), false);
        }
    }

    pub(crate) fn run(&mut self, effect: &Effect, heard: bool) {
        let answer = self.arrive(effect);
        if let Some(answer) = answer.filter(|_| heard) {
            self.answer(answer);
        }
    }

    fn answer(&mut self, report: Report) {
        if !self.answers.contains(&report) {
            self.answers.push(report);
        }
    }

    pub(crate) fn hear(&mut self, i: usize, report: &Report, doubt: bool) {
        let gone = matches!(report, Report::Refused { step: Step::Confirm, .. });
        let input = if gone && !self.rules.gone_via_log {
            Input::Lane(LaneWord::Refused { seq: 0 })
        } else {
            Input::Heard(report.clone())
        };
        self.tell(i, &input, doubt);
    }

    /// The owner decides and appends; with `doubt` it does not learn that it was appended. True when something was.
    pub(crate) fn tell(&mut self, i: usize, input: &Input, doubt: bool) -> bool {
        let owner = self.owners[i].clone();
        let entries = decide(&owner.fold, &Group::default(), NAMES.id, input, self.now).entries;
        let current = owner.fold.head() == self.fold.head();
        if entries.is_empty() || (!current && self.rules.head) {
            return false;
        }
        // With one left, every group is cut behind its first entry until one was.
        let cut = self.left.split > 0 && entries.len() > 1;
        self.left.split -= u8::from(cut);
        self.append(if cut { &entries[..1] } else { &entries });
        if !doubt && current {
            self.owners[i].fold = self.fold.clone();
        }
        true
    }

    fn told(&mut self, i: usize, input: &Input) {
        self.tell(i, input, false);
    }

    fn append(&mut self, entries: &[CheckoutEvent]) {
        let fold = Arc::make_mut(&mut self.fold);
        for event in entries {
            match fold.apply(fold.head() + 1, event) {
                Ok(()) => Arc::make_mut(&mut self.log).push(event.clone()),
                Err(error) => self.broken = Some(error.to_string()),
            }
        }
    }
}
