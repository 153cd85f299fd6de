//! A visitor on its way through a scenario.

mod abuse;
mod answers;
mod line;

use std::rc::Rc;
use std::time::{Duration, Instant};

use rand::RngExt as _;

pub(crate) use answers::{Confirmed, read_confirm, read_hold};

use crate::arrivals::Arrivals;
use crate::http::Reply;
use crate::limits::EARLY;
use crate::oracle::{Booked, Finding};
use crate::request::{Bearer, Key};
use crate::sample::{Ended, Kept, Sample};
use crate::scenario::{Action, Model, Scenario};
use crate::standing::Standing;
use crate::stats::Kind;
use crate::trip::{Said, Shared};

/// Visitors of one thread who come in the same way.
pub(crate) struct Crew {
    pub(crate) model: Model,
    pub(crate) arrivals: Arrivals,
    /// How many at once, at most.
    pub(crate) visitors: usize,
    /// What they do, with the sum of the weights up to and with each.
    pub(crate) roster: Vec<(u64, Rc<Scenario>)>,
}

impl Crew {
    pub(crate) fn new<'s>(
        model: Model,
        arrivals: Arrivals,
        visitors: usize,
        scenarios: impl Iterator<Item = &'s Scenario>,
    ) -> Self {
        let mut sum = 0;
        let roster = scenarios.filter(|scenario| scenario.weight > 0).map(|scenario| {
            sum += u64::from(scenario.weight);
            (sum, Rc::new(scenario.clone()))
        });
        Self { model, arrivals, visitors, roster: roster.collect() }
    }

    /// A scenario by weight.
    fn choose(&self, shared: &Shared) -> Option<Rc<Scenario>> {
        let (all, only) = self.roster.last()?;
        if self.roster.len() == 1 {
            return Some(Rc::clone(only));
        }
        let drawn = shared.rng.borrow_mut().random_range(0..*all);
        self.roster.iter().find(|(upto, _)| drawn < *upto).map(|(_, scenario)| Rc::clone(scenario))
    }
}

/// A hold in hand.
#[derive(Clone, Copy, Debug)]
struct Held {
    id: domain::HoldId,
    key: Key,
    /// It lives so long at least.
    until: Instant,
}

/// One visitor after the other.
pub(crate) struct Traveller {
    shared: Rc<Shared>,
    crew: Rc<Crew>,
    bearer: Bearer,
    /// Number of the ticket, and when it was joined.
    number: u64,
    joined: Instant,
    /// The pass lives so long at least.
    pass_until: Option<Instant>,
    held: Option<Held>,
    /// Journeys the present visitor has made; the first visitor is made by the first journey.
    made: u32,
    kept: Vec<Kept>,
    standing: Standing,
    /// The run ended while a journey was waiting, or the sale is over. Another one must not begin: it would be cut off at
    /// once, and the next again, as fast as the server answers.
    over: bool,
}

impl Traveller {
    pub(crate) fn new(shared: Rc<Shared>, crew: Rc<Crew>) -> Self {
        Self {
            shared,
            crew,
            bearer: Bearer::default(),
            number: 0,
            joined: Instant::now(),
            pass_until: None,
            held: None,
            made: u32::MAX,
            kept: Vec::new(),
            standing: Standing::default(),
            over: false,
        }
    }

    /// Travels again and again until the run is over.
    pub(crate) async fn live(mut self) {
        while !self.over
            && let Some(intended) = self.crew.arrivals.next().await
        {
            self.travel(intended).await;
        }
        self.retire();
    }

    /// One journey. Whoever has learned that the sale or the run is over does not come back.
    pub(crate) async fn once(mut self, intended: Instant) -> Option<Self> {
        self.travel(intended).await;
        if self.over {
            self.retire();
            return None;
        }
        Some(self)
    }

    /// Goes for good.
    pub(crate) fn part(mut self) {
        self.retire();
    }

    async fn travel(&mut self, intended: Instant) {
        let shared = Rc::clone(&self.shared);
        shared.stats.borrow_mut().begin(intended, Instant::now());
        let Some(scenario) = self.crew.choose(&shared) else { return };
        self.held = None;
        let walked = self.walk(&scenario, intended).await;
        let books = scenario.does(Action::Confirm) || scenario.does(Action::ConfirmTwice);
        if walked == Some(true) && !books {
            // Those who book have arrived with the 201 of their confirm, whenever that comes.
            shared.stats.borrow_mut().arrived += 1;
        }
        // Refused before anything was confirmed, while others still queue: the place goes to the next.
        let idle = self.held.is_none() && self.kept.is_empty();
        if walked.is_none() && !self.over && idle && self.bearer.pass.is_some() {
            self.leave().await;
        }
        shared.stats.borrow_mut().ended();
    }

    /// True at the end, false when the visitor went away, none after a refusal.
    async fn walk(&mut self, scenario: &Scenario, intended: Instant) -> Option<bool> {
        let mut from = intended;
        if !scenario.does(Action::Join) && scenario.transactions.iter().any(|step| step.action.needs_visitor()) {
            from = self.ready(intended).await?;
        }
        for step in &scenario.transactions {
            for _ in 0..step.times {
                let pause = step.think.draw(&mut self.shared.rng.borrow_mut());
                from = self.think(pause, from).await?;
                if !step.chance.draw(&mut self.shared.rng.borrow_mut()) {
                    self.shared.stats.borrow_mut().walked_away += 1;
                    return Some(false);
                }
                if !self.act(step.action, from, intended).await {
                    return None;
                }
                from = Instant::now();
            }
        }
        Some(true)
    }

    /// Whether the journey goes on.
    async fn act(&mut self, action: Action, from: Instant, intended: Instant) -> bool {
        match action {
            Action::Poll => self.poll(from).await.is_some(),
            Action::Join => self.join(from).await.is_some(),
            Action::Place => self.place(from).await,
            Action::Wait => self.wait(from).await,
            Action::Enter => self.enter(from).await,
            Action::Leave => self.leave().await,
            Action::Hold => self.hold(from).await,
            Action::Confirm => self.confirm(from, intended).await.is_some(),
            Action::Release => self.release(from).await,
            Action::Bookings => self.bookings(from).await,
            Action::ForgeVisitor => self.forge_visitor(from).await,
            Action::ForgeTicket => self.forge_ticket(from).await,
            Action::ForgePass => self.forge_pass(from).await,
            Action::JumpLine => self.jump_line(from).await,
            Action::ReuseKey => self.reuse_key(from).await,
            Action::ConfirmTwice => self.confirm_twice(from).await,
            Action::DodgeLimit => self.dodge_limit(from).await,
        }
    }

    /// Hands over what the present visitor did, for the check at the end.
    fn retire(&mut self) {
        let sample = Sample { visitor: std::mem::take(&mut self.bearer.visitor), kept: std::mem::take(&mut self.kept) };
        let shared = &self.shared;
        shared.samples.borrow_mut().take(sample, &mut shared.rng.borrow_mut());
    }

    async fn renew(&mut self, from: Instant) -> Option<Instant> {
        self.retire();
        let shared = Rc::clone(&self.shared);
        let read = |reply: &Reply<'_>, fields: &crate::answer::Fields<'_>| match (reply.status, fields.visitor) {
            (200 | 201, Some(visitor)) => Said::Yes(visitor.to_owned()),
            _ => Said::Strange,
        };
        let write = |out: &mut Vec<u8>| shared.templates.visitor(out);
        let visitor = shared.ask(Kind::Visitor, from, shared.plan.call_within, write, read).await?;
        self.bearer = Bearer { visitor, ticket: None, pass: None };
        (self.made, self.standing) = (0, Standing::default());
        Some(Instant::now())
    }

    /// A visitor that may still travel, and the moment from which its first call counts.
    async fn ready(&mut self, intended: Instant) -> Option<Instant> {
        let from = if self.made >= self.shared.plan.per_visitor { self.renew(intended).await? } else { intended };
        self.made += 1;
        Some(from)
    }

    /// Thinks from then on; the moment from which the next call counts. None when the run is over by then.
    async fn think(&mut self, pause: Duration, from: Instant) -> Option<Instant> {
        if pause.is_zero() {
            return Some(from);
        }
        let at = from + pause;
        self.until(at).await.then_some(at)
    }

    /// Waits; false when the run is over by then, and with it this visitor.
    async fn until(&mut self, at: Instant) -> bool {
        if at >= self.shared.plan.finish {
            self.over = true;
            self.shared.stats.borrow_mut().cut_off += 1;
            return false;
        }
        tokio::time::sleep_until(at.into()).await;
        true
    }

    /// The sale is over: nobody who comes later will be let in.
    fn turn_back(&mut self) {
        self.over = true;
        self.shared.stats.borrow_mut().turned_away += 1;
    }

    async fn hold(&mut self, from: Instant) -> bool {
        let (key, units) = (self.shared.next_key(), u64::from(self.shared.plan.quantity));
        self.standing.asks(units);
        let answer = self.ask_hold(from, key).await;
        self.noted(answer, key, units).is_some()
    }

    async fn ask_hold(&self, from: Instant, key: Key) -> Option<answers::HoldAnswer> {
        let shared = &self.shared;
        let write = |out: &mut Vec<u8>| shared.templates.hold(out, &self.bearer, key);
        shared.ask(Kind::Hold, from, shared.plan.call_within, write, read_hold).await
    }

    /// Keeps what an answer to a hold says, and looks whether it may say so.
    fn noted(&mut self, answer: Option<answers::HoldAnswer>, key: Key, units: u64) -> Option<Held> {
        let (shared, now) = (Rc::clone(&self.shared), Instant::now());
        let (limit, mut history) = (shared.plan.limit, shared.history.borrow_mut());
        let answer = answer?;
        if let Some(id) = answer.id {
            let held = Held { id, key, until: now + answer.lives.unwrap_or_default() };
            let sure = now + answer.lives.unwrap_or_default().saturating_sub(EARLY);
            self.standing.held(id, sure, units, limit).into_iter().for_each(|finding| history.find(finding));
            self.held = Some(held);
            return Some(held);
        }
        match answer.problem.name() {
            "limit-reached" => {
                self.made = u32::MAX;
                self.standing.limited(units, limit).into_iter().for_each(|finding| history.find(finding));
                return None;
            }
            "pass-expired" => {
                self.made = u32::MAX;
                let early = self.pass_until.is_some_and(|until| now + EARLY < until);
                if early && self.kept.is_empty() {
                    history.find(Finding::ExpiredEarly(self.number));
                }
            }
            "unauthenticated" => self.made = u32::MAX,
            "sold-out" => history.sold_out += 1,
            _ => {}
        }
        self.standing.refused(units);
        None
    }

    async fn confirm(&mut self, from: Instant, intended: Instant) -> Option<()> {
        let held = self.held.take()?;
        let answer = self.ask_confirm(from, held, held.key).await;
        self.decided(held, answer.as_ref(), intended)
    }

    async fn ask_confirm(&self, from: Instant, held: Held, key: Key) -> Option<Confirmed> {
        let shared = &self.shared;
        let write = |out: &mut Vec<u8>| shared.templates.confirm(out, &self.bearer, held.id, key);
        shared.ask(Kind::Confirm, from, shared.plan.confirm_within, write, read_confirm).await
    }

    /// Keeps how a confirm ended.
    fn decided(&mut self, held: Held, answer: Option<&Confirmed>, intended: Instant) -> Option<()> {
        let (shared, units) = (Rc::clone(&self.shared), u64::from(self.shared.plan.quantity));
        let mut kept = Kept { id: held.id, key: held.key, ended: Ended::Unknown };
        let mut history = shared.history.borrow_mut();
        match answer {
            Some(&Confirmed::Booked { id, at }) => {
                let (mut stats, now) = (shared.stats.borrow_mut(), Instant::now());
                stats.booking(now);
                stats.arrived += 1;
                stats.accepted(Kind::Whole, intended, now);
                history.book(Booked { id, at }, &shared.plan.item, units);
                self.standing.booked(id);
                if id != held.id {
                    history.find(Finding::TwoIds(held.id, id));
                }
                kept.ended = Ended::Booked(at);
            }
            Some(Confirmed::Gone) => {
                history.gone(held.id);
                if Instant::now() + EARLY < held.until {
                    history.gone_early(held.id);
                }
                self.standing.ended(held.id, units);
                kept.ended = Ended::Gone;
            }
            Some(Confirmed::Otherwise(_)) => return None,
            None => {}
        }
        let booked = matches!(kept.ended, Ended::Booked(_));
        self.kept.push(kept);
        booked.then_some(())
    }

    /// Whether the hold was released.
    async fn release(&mut self, from: Instant) -> bool {
        let Some(held) = self.held.take() else { return false };
        let shared = Rc::clone(&self.shared);
        let write = |out: &mut Vec<u8>| shared.templates.release(out, &self.bearer, held.id);
        let released =
            shared.ask(Kind::Release, from, shared.plan.call_within, write, answers::read_end).await == Some(true);
        if released {
            self.standing.ended(held.id, u64::from(shared.plan.quantity));
        }
        released
    }

    async fn bookings(&mut self, from: Instant) -> bool {
        let shared = Rc::clone(&self.shared);
        let write = |out: &mut Vec<u8>| shared.templates.bookings(out, &self.bearer);
        let asked = shared.ask(Kind::Bookings, from, shared.plan.call_within, write, answers::read_shown);
        asked.await == Some(true)
    }
}
