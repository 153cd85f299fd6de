//! A log of checkouts with its fold, told one thing after the other.

use booker::checkout::{Answer, Ask, Checkout, CheckoutFold, Effect, Group, Input, LaneWord, Report, decide, effects};
use domain::checkout::{AbortReason, Part};
use domain::event::Event as _;
use domain::{
    Actor, CheckoutEvent, Currency, Fingerprint, HoldId, ItemId, Lines, Millis, Money, Percent, Plan, Step, VisitorHash,
};

pub(crate) const UNTIL: Millis = Millis(1_000);
pub(crate) const NOW: Millis = Millis(10);

pub(crate) fn hold(n: u8) -> HoldId {
    HoldId::derive(&"night".parse().unwrap(), 0, &VisitorHash([n; 16]), "k")
}

pub(crate) fn item(id: &str) -> ItemId {
    id.parse().unwrap()
}

pub(crate) fn euro(minor: i64) -> Money {
    Money { minor, currency: Currency::parse("EUR").unwrap() }
}

pub(crate) fn plan(parts: Vec<Part>) -> Plan {
    Plan {
        visitor: VisitorHash([1; 16]),
        fp: Fingerprint([1; 8]),
        currency: Currency::parse("EUR").unwrap(),
        parts,
        coupons: vec![],
        earn_ms: Some(500),
        until: UNTIL,
    }
}

pub(crate) fn one_line() -> Plan {
    plan(vec![Part { points: 3, earned: 2, ..Part::new(item("a"), 2, 1_000) }])
}

pub(crate) fn ops() -> Actor {
    Actor { by: "ops".to_owned(), why: "asked".to_owned() }
}

pub(crate) fn ask(key: &str, lines: Option<&[(&str, u32)]>) -> Ask {
    let lines = lines.map(|lines| lines.iter().map(|(id, units)| (item(id), *units)).collect::<Lines>());
    Ask { key: key.to_owned(), lines, fee: Percent::default(), points_until: None, actor: ops() }
}

pub(crate) fn authorised(minor: i64) -> Input {
    Input::Heard(Report::Authorised { payment: "pi_1".to_owned(), amount: euro(minor) })
}

pub(crate) fn refused(step: Step, why: AbortReason) -> Input {
    Input::Heard(Report::Refused { step, why, said: "no".to_owned() })
}

pub(crate) fn done(step: Step) -> Input {
    Input::Heard(Report::Done(step))
}

/// A log of checkouts with its fold.
#[derive(Default)]
pub(crate) struct Log {
    pub(crate) fold: CheckoutFold,
    pub(crate) entries: Vec<CheckoutEvent>,
}

impl Log {
    pub(crate) fn tell(&mut self, n: u8, input: &Input, now: Millis) -> Answer {
        let decided = decide(&self.fold, &Group::default(), hold(n), input, now);
        for event in decided.entries {
            assert_eq!(CheckoutEvent::decode(&event.encode().unwrap()).unwrap(), event);
            self.fold.apply(self.fold.head() + 1, &event).unwrap();
            self.entries.push(event);
        }
        decided.answer
    }

    pub(crate) fn begin(&mut self, plan: &Plan) -> Answer {
        self.tell(1, &Input::Begin { plan: Box::new(plan.clone()), lane: None }, NOW)
    }

    pub(crate) fn all(&mut self, inputs: &[Input]) {
        for input in inputs {
            assert_eq!(self.tell(1, input, NOW), Answer::Taken, "{input:?}");
        }
    }

    pub(crate) fn checkout(&self) -> &Checkout {
        self.fold.get(&hold(1)).unwrap()
    }

    pub(crate) fn steps(&self) -> Vec<Step> {
        effects(self.checkout()).iter().map(Effect::step).collect()
    }

    /// A booking that is paid, from this plan.
    pub(crate) fn paid(plan: &Plan) -> Self {
        let mut log = Self::default();
        log.begin(plan);
        log.all(&[done(Step::Reserve)]);
        if plan.due().minor > 0 {
            log.all(&[authorised(plan.due().minor)]);
        }
        log.all(&[Input::Lane(LaneWord::Booked { seq: 7 })]);
        if plan.due().minor > 0 {
            log.all(&[done(Step::Capture)]);
        }
        if plan.earned() > 0 {
            log.all(&[done(Step::Earn)]);
        }
        log
    }
}
