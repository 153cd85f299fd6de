//! One booking: its checkout's log, two owners, steps and answers on their way, and the world outside.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock};

use booker::checkout::{Checkout, CheckoutFold, Effect, HoldOf, LaneWord, Report};
use domain::checkout::Part;
use domain::points::{CouponUse, Group, Lot, PointsFold, Request};
use domain::{CheckoutEvent, Currency, Fingerprint, HoldId, HoldState, Millis, Plan, SaleId, Step, VisitorHash};

/// Time before and after the moment up to which can be paid.
pub(crate) const EARLY: Millis = Millis(10);
pub(crate) const LATE: Millis = Millis(60);
/// Points that the visitor has, and that the checkout uses.
pub(crate) const POINTS: u64 = 10;

pub(crate) struct Names {
    pub(crate) id: HoldId,
    pub(crate) visitor: VisitorHash,
    pub(crate) coupon: CouponUse,
    pub(crate) plan: Plan,
    /// The same, with nothing to pay but points.
    pub(crate) free: Plan,
}

pub(crate) static NAMES: LazyLock<Names> = LazyLock::new(|| {
    let sale: SaleId = "m".parse().unwrap();
    let visitor = VisitorHash([1; 16]);
    let coupon = CouponUse { id: HoldId::derive(&sale, 1, &visitor, "c"), until: None };
    let part =
        |item: &str, charged, points, earned| Part { points, earned, ..Part::new(item.parse().unwrap(), 1, charged) };
    let plan = Plan {
        visitor,
        fp: Fingerprint([1; 8]),
        currency: Currency::parse("EUR").unwrap(),
        parts: vec![part("a", 600, 7, 3), part("b", 400, 3, 2)],
        coupons: vec![coupon],
        earn_ms: None,
        until: Millis(50),
    };
    let free = Plan { parts: vec![part("a", 0, 7, 0), part("b", 0, 3, 0)], ..plan.clone() };
    Names { id: HoldId::derive(&sale, 0, &visitor, "k"), visitor, coupon, plan, free }
});

/// The rules, each of which can be taken away.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// The provider is asked only when the log says that it will be.
    pub(crate) log_first: bool,
    /// The lane is told only when the log says that it will be.
    pub(crate) sent_first: bool,
    /// Where no payment is known the provider is asked for one again, before anything is taken for undone.
    pub(crate) asks_again: bool,
    /// Money moves only on the lane's word.
    pub(crate) waits_for_lane: bool,
    /// That a hold is gone is decided by the lane's log.
    pub(crate) gone_via_log: bool,
    /// A use that is undone before it arrives stays undone.
    pub(crate) tombstones: bool,
    /// Appends are conditional on the head.
    pub(crate) head: bool,
    /// One payment per key.
    pub(crate) authorise_key: bool,
    /// One refund per key.
    pub(crate) refund_key: bool,
    /// Steps are tried until their outcome is known.
    pub(crate) tries_again: bool,
    /// Who has not paid in time has not paid.
    pub(crate) clock: bool,
    /// Somebody looks at dead letters.
    pub(crate) operator: bool,
    /// A refund counts those before it.
    pub(crate) sums_refunds: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            log_first: true,
            sent_first: true,
            asks_again: true,
            waits_for_lane: true,
            gone_via_log: true,
            tombstones: true,
            head: true,
            authorise_key: true,
            refund_key: true,
            tries_again: true,
            clock: true,
            operator: true,
            sums_refunds: true,
        }
    }
}

/// How often each thing may still happen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub(crate) struct Budget {
    /// There is one owner at a time, which begins anew when it has died. All of its states can be seen.
    pub(crate) alone: bool,
    /// Points pay for everything.
    pub(crate) free: bool,
    /// The customer has to act before the money is promised.
    pub(crate) customer: bool,
    pub(crate) crash: u8,
    /// Answers that nobody gets.
    pub(crate) lose: u8,
    /// Steps that arrive once more, later.
    pub(crate) late: u8,
    /// Answers that are heard once more, later.
    pub(crate) repeat: u8,
    /// Appends of which the owner does not learn that they were applied.
    pub(crate) doubt: u8,
    /// Appends of which only the first entry is applied: what came with it was cut off with the rest of the group.
    pub(crate) split: u8,
    /// What the provider tells without being asked.
    pub(crate) webhook: u8,
    pub(crate) decline: u8,
    /// Promises that end before they are captured.
    pub(crate) lapse: u8,
    /// Holds that end.
    pub(crate) expire: u8,
    /// Others that take a free unit.
    pub(crate) other: u8,
    pub(crate) rollback: u8,
    /// Refusals of the ledger although the hold was there.
    pub(crate) refuse: u8,
    pub(crate) leave: u8,
    pub(crate) refund: u8,
    /// Cancellations past the checkout.
    pub(crate) cancel: u8,
    pub(crate) give_up: u8,
}

/// A payment as the provider has it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Payment {
    pub(crate) state: Paid,
    /// Minor units that went back, by the number of the refund; without keys by order.
    pub(crate) refunds: Vec<(u32, i64)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Paid {
    Open,
    Promised,
    Captured,
    Void,
    Declined,
    /// The promise ended by itself.
    Lapsed,
}

/// The lane: the hold as Redis has it, what the committer remembers, and the log.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Lane {
    pub(crate) hold: Option<HoldOf>,
    /// The confirming record has units; otherwise the ledger refuses it.
    pub(crate) full: bool,
    /// The units could be held by somebody now.
    pub(crate) free: bool,
    /// It was confirming before: a copy of Redis may say so.
    pub(crate) was_confirming: bool,
    /// The committer has taken the intent: with units or without.
    pub(crate) taken: Option<bool>,
    pub(crate) word: Option<LaneWord>,
}

#[derive(Clone)]
pub(crate) struct Owner {
    pub(crate) alive: bool,
    pub(crate) fold: Arc<CheckoutFold>,
}

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) rules: Rules,
    pub(crate) left: Budget,
    pub(crate) log: Arc<Vec<CheckoutEvent>>,
    pub(crate) fold: Arc<CheckoutFold>,
    pub(crate) owners: [Owner; 2],
    pub(crate) now: Millis,
    /// Steps on their way; each may arrive or never do.
    pub(crate) steps: Vec<Effect>,
    /// The hold has entered paying, and points are asked for: that request is on its way.
    pub(crate) half_reserved: bool,
    /// Answers on their way.
    pub(crate) answers: Vec<Report>,
    pub(crate) payments: Vec<Payment>,
    pub(crate) points: Arc<PointsFold>,
    pub(crate) lane: Lane,
    /// Steps that were ever tried, where they are tried once.
    pub(crate) tried: Vec<Step>,
    pub(crate) broken: Option<String>,
}

impl World {
    pub(crate) fn new(rules: Rules, left: Budget) -> Self {
        let mut points = PointsFold::default();
        let mut group = Group::default();
        let charge = Request::Charge { id: "first".into(), lot: Lot { points: POINTS, until: None } };
        group.ask(&points, NAMES.visitor, &charge, EARLY, EARLY).unwrap();
        points.apply(1, &group.events()[0]).unwrap();
        let hold = HoldOf { state: HoldState::Held, deadline: Millis(20) };
        let fold = Arc::new(CheckoutFold::default());
        let owner = Owner { alive: true, fold: fold.clone() };
        Self {
            rules,
            left,
            log: Arc::default(),
            fold,
            owners: [owner.clone(), owner],
            now: EARLY,
            steps: vec![],
            half_reserved: false,
            answers: vec![],
            payments: vec![],
            points: Arc::new(points),
            lane: Lane { hold: Some(hold), full: true, free: false, was_confirming: false, taken: None, word: None },
            tried: vec![],
            broken: None,
        }
    }

    /// A world in which the booking stands and is paid, and nothing is on its way.
    pub(crate) fn paid(rules: Rules, left: Budget) -> Self {
        let mut world = Self::new(rules, Budget { free: left.free, ..Budget::default() });
        let begin = booker::checkout::Input::Begin { plan: Box::new(world.plan().clone()), lane: None };
        world.tell(0, &begin, false);
        while !world.checkout().is_some_and(Checkout::is_over) {
            world.act(0);
            world.take_intent();
            world.commit(false);
            world.hear_lane(0);
        }
        (0..2).for_each(|i| world.read(i));
        Self { left, ..world }
    }

    /// What is to be paid.
    pub(crate) fn plan(&self) -> &'static Plan {
        if self.left.free { &NAMES.free } else { &NAMES.plan }
    }

    /// The checkout as the log has it.
    pub(crate) fn checkout(&self) -> Option<&Checkout> {
        self.fold.get(&NAMES.id)
    }

    pub(crate) fn is_booked(&self) -> bool {
        matches!(self.lane.word, Some(LaneWord::Booked { .. }))
    }

    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.log.iter().for_each(|event| event.entry.hash(&mut hasher));
        for owner in &self.owners {
            (owner.alive, owner.fold.head()).hash(&mut hasher);
        }
        (self.left, self.now, &self.payments, &self.lane, &self.tried, self.half_reserved, self.broken.is_some())
            .hash(&mut hasher);
        self.points.account(&NAMES.visitor).hash(&mut hasher);
        unordered(&self.steps).hash(&mut hasher);
        unordered(&self.answers).hash(&mut hasher);
        hasher.finish()
    }
}

/// Equal for equal things in whatever order.
fn unordered<T: Hash>(all: &[T]) -> u64 {
    let one = |each: &T| {
        let mut hasher = DefaultHasher::new();
        each.hash(&mut hasher);
        hasher.finish()
    };
    all.iter().map(one).fold(0, u64::wrapping_add)
}
