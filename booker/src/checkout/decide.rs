//! What an input comes to: a pure function over the committed fold, the group so far, the input and the time.

use domain::checkout::{AbortReason, Entry};
use domain::limits::{MAX_PAYMENT_BYTES, MAX_STUCK_BYTES};
use domain::{Actor, CheckoutEvent, HoldId, HoldState, Millis, Money, Percent, Plan, Step};

use super::fold::{CheckoutFold, Group};
use super::refund::{Ask, Refused, refund};
use super::state::{Checkout, Phase};

/// Something that may bring a checkout forward.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// A visitor wants to pay.
    Begin {
        /// For what and with what.
        plan: Box<Plan>,
        /// What the lane's log has decided about the id, if anything.
        lane: Option<HoldState>,
    },
    /// How something ended: told by whoever did it, by a webhook, or by a look at the provider. All of them, in any order.
    Heard(Report),
    /// What the lane's log says.
    Lane(LaneWord),
    /// Time has passed.
    Clock,
    /// The visitor gives up.
    Leave,
    /// Somebody wants money back.
    Refund(Ask),
    /// A step was tried as often as it may be.
    GiveUp {
        /// Which step.
        step: Step,
        /// The last that was heard.
        said: String,
    },
    /// An operator has a stuck step tried again.
    Retry {
        /// Which step.
        step: Step,
        /// Who and why.
        actor: Actor,
    },
    /// An operator says how a stuck step ended.
    Resolve {
        /// Which step.
        step: Step,
        /// It was done; otherwise it never will be.
        done: bool,
        /// Who and why.
        actor: Actor,
    },
}

/// How something ended. An outcome that is not known is no report: it is tried again ([`super::Work`]).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Report {
    /// It is done, now or by an earlier try.
    Done(Step),
    /// There is a payment; the money is not promised yet.
    Opened {
        /// Its name at the provider.
        payment: String,
    },
    /// The money is promised.
    Authorised {
        /// The payment's name at the provider.
        payment: String,
        /// How much.
        amount: Money,
    },
    /// It is not done, and never will be under this step's key.
    Refused {
        /// Which step.
        step: Step,
        /// What a checkout that is still open is aborted for.
        why: AbortReason,
        /// In the words of whoever refused.
        said: String,
    },
}

/// What the lane's log says about a booking.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LaneWord {
    /// It exists.
    Booked {
        /// Seq of the event.
        seq: u64,
    },
    /// It never will.
    Refused {
        /// Seq of the event.
        seq: u64,
    },
    /// It existed and is cancelled.
    Cancelled {
        /// Seq of the event that booked.
        booked: u64,
        /// Seq of the one that cancelled.
        seq: u64,
    },
}

/// What is said to whoever brought the input, once the entries are appended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It brought the checkout forward.
    Taken,
    /// It was known before, or is of no use any more.
    Known,
    /// There is no checkout of this id.
    NotFound,
    /// The id's checkout was begun with other content.
    KeyReused,
    /// The lane has decided the id: nothing is left to pay for.
    HoldGone,
    /// The plan cannot be paid: it is over, or owes less than nothing.
    BadPlan,
    /// It speaks of another payment than this checkout's. To be counted and looked at.
    Foreign,
    /// The lane has a booking that this log did not send. To be counted and looked at.
    Astray,
    /// It cannot be done in this state.
    NotNow,
    /// Nothing goes back.
    Refund(Refused),
}

/// What an input comes to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decided {
    /// To be appended, all or none, before anything they announce is done.
    pub entries: Vec<CheckoutEvent>,
    /// To be given once they are.
    pub answer: Answer,
}

/// Decides one input about one booking. What is to be done afterwards is what [`super::effects`] says of the appended state.
#[must_use]
pub fn decide(fold: &CheckoutFold, group: &Group, id: HoldId, input: &Input, now: Millis) -> Decided {
    let at = now.not_before(fold.last_at());
    let before = group.get(fold, &id);
    if let Input::Begin { plan, lane } = input {
        return begin(id, before, plan, *lane, at);
    }
    let Some(before) = before else { return Decided { entries: Vec::new(), answer: Answer::NotFound } };
    let mut draft = Draft { checkout: before.clone(), id, at, entries: Vec::new() };
    let answer = draft.take(input);
    draft.follow();
    Decided { entries: draft.entries, answer }
}

fn begin(id: HoldId, before: Option<&Checkout>, plan: &Plan, lane: Option<HoldState>, at: Millis) -> Decided {
    let only = |answer| Decided { entries: Vec::new(), answer };
    if let Some(before) = before {
        return only(if before.plan().fp == plan.fp { Answer::Known } else { Answer::KeyReused });
    }
    if lane.is_some_and(HoldState::is_decided) {
        return only(Answer::HoldGone);
    }
    if plan.until <= at || plan.parts.is_empty() || plan.parts.iter().any(|part| part.charged < 0 || part.units == 0) {
        return only(Answer::BadPlan);
    }
    let entry = Entry::Begun { plan: Box::new(plan.clone()) };
    Decided { entries: vec![CheckoutEvent { id, at, entry }], answer: Answer::Taken }
}

/// The entries for one input while they are put together.
struct Draft {
    checkout: Checkout,
    id: HoldId,
    at: Millis,
    entries: Vec<CheckoutEvent>,
}

impl Draft {
    /// Whether the entry may follow; it does then.
    fn push(&mut self, entry: Entry) -> bool {
        let may = self.checkout.apply(self.at, &entry).is_ok();
        if may {
            self.entries.push(CheckoutEvent { id: self.id, at: self.at, entry });
        }
        may
    }

    /// An input that is of no use any more changes nothing: whoever brings it may be late, or the second one.
    fn say(&mut self, entry: Entry) -> Answer {
        if self.push(entry) { Answer::Taken } else { Answer::Known }
    }

    fn take(&mut self, input: &Input) -> Answer {
        match input {
            Input::Begin { .. } => Answer::Known,
            Input::Heard(report) => self.heard(report),
            Input::Lane(word) => self.lane(*word),
            Input::Clock if self.is_open() && self.at >= self.checkout.plan().until => {
                self.say(Entry::Aborted { why: AbortReason::TooLate })
            }
            Input::Clock => Answer::Known,
            Input::Leave if self.is_open() => self.say(Entry::Aborted { why: AbortReason::Left }),
            Input::Leave => Answer::NotNow,
            Input::Refund(ask) => self.refund(ask),
            Input::GiveUp { step, said } => self.say(Entry::Stuck { step: *step, why: cut(said) }),
            Input::Retry { step, actor } => self.act(Entry::Retried { step: *step, actor: actor.clone() }),
            Input::Resolve { step, done, actor } => {
                self.act(Entry::Resolved { step: *step, done: *done, actor: actor.clone() })
            }
        }
    }

    /// What an operator does either can be done or is told.
    fn act(&mut self, entry: Entry) -> Answer {
        if self.push(entry) { Answer::Taken } else { Answer::NotNow }
    }

    const fn is_open(&self) -> bool {
        matches!(self.checkout.phase, Phase::Reserving | Phase::Paying)
    }

    fn heard(&mut self, report: &Report) -> Answer {
        match report {
            Report::Done(step) => match done(*step) {
                Some(entry) => self.say(entry),
                None => Answer::Known,
            },
            Report::Opened { payment } => self.opened(payment),
            Report::Authorised { payment, amount } => self.authorised(payment, *amount),
            Report::Refused { step: Step::Reserve, why, .. } => {
                if self.checkout.phase != Phase::Reserving {
                    return Answer::Known;
                }
                self.say(Entry::Aborted { why: *why })
            }
            Report::Refused { step: Step::Authorise, why, .. } => {
                if self.checkout.phase == Phase::Paying {
                    self.push(Entry::Aborted { why: *why });
                }
                // The provider has said how it stands: there is no money, and under this key there never will be.
                self.say(Entry::Voided)
            }
            Report::Refused { step, said, .. } => self.say(Entry::Stuck { step: *step, why: cut(said) }),
        }
    }

    fn opened(&mut self, payment: &str) -> Answer {
        if !self.is_ours(payment) {
            return Answer::Foreign;
        }
        self.say(Entry::Opened { payment: payment.to_owned() })
    }

    /// A promise that comes after the checkout was aborted is one more thing to be undone.
    fn authorised(&mut self, payment: &str, amount: Money) -> Answer {
        if !self.is_ours(payment) {
            return Answer::Foreign;
        }
        if self.checkout.phase != Phase::Paying {
            return self.opened(payment);
        }
        if amount != self.checkout.plan().due() {
            self.push(Entry::Aborted { why: AbortReason::Amount });
            self.opened(payment);
            return Answer::Taken;
        }
        self.say(Entry::Authorised { payment: payment.to_owned() })
    }

    fn is_ours(&self, payment: &str) -> bool {
        (1..=MAX_PAYMENT_BYTES).contains(&payment.len()) && self.checkout.payment().is_none_or(|known| known == payment)
    }

    fn lane(&mut self, word: LaneWord) -> Answer {
        match (self.checkout.phase, word) {
            (Phase::Confirming, LaneWord::Booked { seq }) => self.say(Entry::Decided { booked: true, seq }),
            (Phase::Confirming, LaneWord::Refused { seq }) => self.say(Entry::Decided { booked: false, seq }),
            (Phase::Confirming, LaneWord::Cancelled { booked, seq }) => {
                self.push(Entry::Decided { booked: true, seq: booked });
                self.say(Entry::Cancelled { seq })
            }
            (Phase::Booked, LaneWord::Cancelled { seq, .. }) => self.say(Entry::Cancelled { seq }),
            // The id is dead: there is nothing to pay for any more.
            (Phase::Reserving | Phase::Paying | Phase::Ready, LaneWord::Refused { .. }) => {
                self.say(Entry::Aborted { why: AbortReason::HoldGone })
            }
            (Phase::Booked, LaneWord::Booked { .. }) | (Phase::Undone, LaneWord::Refused { .. }) => Answer::Known,
            _ => Answer::Astray,
        }
    }

    fn refund(&mut self, ask: &Ask) -> Answer {
        if let Some(before) = self.checkout.refunds.iter().find(|refund| refund.refund.key == ask.key) {
            let same = ask.lines.as_ref().is_none_or(|lines| *lines == before.refund.lines);
            return if same { Answer::Known } else { Answer::KeyReused };
        }
        match refund(&self.checkout, ask) {
            Ok(refund) => {
                let n = u32::try_from(self.checkout.refunds.len() + 1).unwrap_or(u32::MAX);
                self.say(Entry::RefundAsked { n, refund: Box::new(refund) })
            }
            Err(why) => Answer::Refund(why),
        }
    }

    /// What follows by itself from the state an input has led to.
    fn follow(&mut self) {
        if self.checkout.phase == Phase::Ready {
            self.push(Entry::ConfirmSent);
        }
        // A booking that was cancelled without asking here: everything that is left goes back.
        if self.checkout.owes_entry() {
            let ask = Ask {
                key: CANCELLED_KEY.to_owned(),
                lines: None,
                fee: Percent::default(),
                points_until: None,
                actor: Actor { by: "holdfast".to_owned(), why: "the booking was cancelled".to_owned() },
            };
            if let Ok(refund) = refund(&self.checkout, &ask) {
                let n = u32::try_from(self.checkout.refunds.len() + 1).unwrap_or(u32::MAX);
                self.push(Entry::RefundAsked { n, refund: Box::new(refund) });
            }
        }
    }
}

/// Key of the refund that follows a cancellation nobody asked for here. No visitor's key has a colon in front.
const CANCELLED_KEY: &str = ":cancelled";

/// The entry of a step that is done. The lane's steps have none: its log says how they ended.
const fn done(step: Step) -> Option<Entry> {
    Some(match step {
        Step::Reserve => Entry::Reserved,
        Step::Capture => Entry::Captured,
        Step::Void => Entry::Voided,
        Step::Return => Entry::Returned,
        Step::Earn => Entry::Earned,
        Step::Refund(n) => Entry::Refunded { n },
        Step::Points(n) => Entry::PointsMoved { n },
        Step::Authorise | Step::Confirm | Step::Cancel => return None,
    })
}

/// As much of somebody's words as is kept.
fn cut(said: &str) -> String {
    let mut end = said.len().min(MAX_STUCK_BYTES);
    while !said.is_char_boundary(end) {
        end -= 1;
    }
    said.get(..end).unwrap_or_default().to_owned()
}
