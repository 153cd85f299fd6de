//! The journeys of a visitor.

use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use domain::{Challenge, HoldId, Millis};

use crate::answer::Fields;
use crate::args::Journey;
use crate::http::Reply;
use crate::oracle::{Booked, Finding, PassSeen};
use crate::request::Bearer;
use crate::sample::{Ended, Kept, Sample};
use crate::stats::Kind;
use crate::trip::{Said, Shared};

/// Every how many polls of the line a visitor also asks for the own place.
const PLACE_EVERY: u32 = 4;

/// One visitor after the other on one task.
pub(crate) struct Traveller {
    shared: Rc<Shared>,
    bearer: Bearer,
    /// Journeys the present visitor has made; the first visitor is made by the first journey.
    made: u32,
    kept: Vec<Kept>,
    out: Vec<u8>,
    /// The run ended while a journey was waiting, or the sale is over. Another one must not begin: it would be cut off at
    /// once, and the next again, as fast as the server answers.
    over: bool,
}

/// How a hold was answered.
pub(crate) struct HoldAnswer {
    /// The hold, when there is one.
    pub(crate) id: Option<HoldId>,
    /// Whether this visitor can go on holding.
    spent: bool,
}

/// How a confirm was answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Confirmed {
    /// 201.
    Booked { id: HoldId, at: Option<(u16, u64)> },
    /// 410.
    Gone,
    /// Another final answer, such as 404.
    Otherwise(u16),
}

impl fmt::Display for Confirmed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Booked { id, at: Some((lane, seq)) } => write!(f, "booked as {id} (lane {lane}, event {seq})"),
            Self::Booked { id, at: None } => write!(f, "booked as {id}"),
            Self::Gone => write!(f, "gone"),
            Self::Otherwise(status) => write!(f, "{status}"),
        }
    }
}

enum Claim {
    Pass(String, Option<u64>),
    NotYet(Option<u64>),
    Over,
    Closed,
}

enum Joined {
    Ticket(String, u64),
    Refused,
    Closed,
}

/// Reads the answer of `POST holds`.
pub(crate) fn read_hold(reply: &Reply<'_>, fields: &Fields<'_>) -> Said<HoldAnswer> {
    match (reply.status, fields.hold_id.map(str::parse)) {
        (200 | 201, Some(Ok(id))) => Said::Yes(HoldAnswer { id: Some(id), spent: false }),
        (400..=499, _) => {
            let spent = matches!(fields.problem().name(), "limit-reached" | "unauthenticated" | "pass-expired");
            Said::No(HoldAnswer { id: None, spent })
        }
        _ => Said::Strange,
    }
}

/// Reads the answer of `POST confirm`.
pub(crate) fn read_confirm(reply: &Reply<'_>, fields: &Fields<'_>) -> Said<Confirmed> {
    match (reply.status, fields.booking_id.map(str::parse)) {
        (200 | 201, Some(Ok(id))) => Said::Yes(Confirmed::Booked { id, at: fields.lane().zip(fields.seq) }),
        (410, _) if fields.problem().name() == "hold-gone" => Said::No(Confirmed::Gone),
        (400..=499, _) => Said::No(Confirmed::Otherwise(reply.status)),
        _ => Said::Strange,
    }
}

impl Traveller {
    pub(crate) fn new(shared: Rc<Shared>) -> Self {
        Self { shared, bearer: Bearer::default(), made: u32::MAX, kept: Vec::new(), out: Vec::new(), over: false }
    }

    /// Travels until the run is over.
    pub(crate) async fn live(mut self) {
        while !self.over
            && let Some(intended) = self.shared.arrivals.next().await
        {
            self.shared.stats.borrow_mut().begin(intended, Instant::now());
            match self.shared.plan.journey {
                Journey::Poll => {
                    let shown = self.poll(intended).await.is_some();
                    self.arrived(shown);
                }
                Journey::Join => {
                    let joined = self.join(intended).await.is_some();
                    self.arrived(joined);
                }
                Journey::Hold => {
                    let released = self.hold_and_release(intended).await == Some(true);
                    self.arrived(released);
                }
                // These have arrived with the 201 of their confirm, whenever that comes.
                Journey::Book => drop(self.book(intended).await),
                Journey::Line => drop(self.whole(intended).await),
            }
        }
        self.retire();
    }

    fn arrived(&self, arrived: bool) {
        self.shared.stats.borrow_mut().arrived += u64::from(arrived);
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
        shared.templates.visitor(&mut self.out);
        let read = |reply: &Reply<'_>, fields: &Fields<'_>| match (reply.status, fields.visitor) {
            (200 | 201, Some(visitor)) => Said::Yes(visitor.to_owned()),
            _ => Said::Strange,
        };
        let visitor = shared.ask(Kind::Visitor, from, shared.plan.call_within, &self.out, read).await?;
        self.bearer = Bearer { visitor, ticket: None, pass: None };
        self.made = 0;
        Some(Instant::now())
    }

    /// A visitor that may still travel, and the moment from which its first call counts.
    async fn ready(&mut self, intended: Instant) -> Option<Instant> {
        let from = if self.made >= self.shared.plan.per_visitor { self.renew(intended).await? } else { intended };
        self.made += 1;
        Some(from)
    }

    async fn poll(&mut self, from: Instant) -> Option<(u64, Option<u64>, bool)> {
        let shared = Rc::clone(&self.shared);
        shared.templates.line(&mut self.out);
        let read = |reply: &Reply<'_>, fields: &Fields<'_>| match (reply.status, fields.frontier) {
            (200, Some(frontier)) => {
                let over = matches!(fields.state, Some("closed" | "sold_out"));
                Said::Yes((frontier, fields.poll_in_ms, over, fields.pace_per_minute))
            }
            _ => Said::Strange,
        };
        let sent = shared.second(Instant::now());
        let (frontier, poll, over, pace) =
            shared.ask(Kind::Line, from, shared.plan.call_within, &self.out, read).await?;
        let mut history = shared.history.borrow_mut();
        history.frontier(frontier, sent);
        history.pace = history.pace.max(pace);
        Some((frontier, poll, over))
    }

    async fn join(&mut self, intended: Instant) -> Option<u64> {
        let from = self.renew(intended).await?;
        let shared = Rc::clone(&self.shared);
        let (from, proof) = match shared.plan.proof {
            true => {
                let proof = self.prove(from).await?;
                (Instant::now(), Some(proof))
            }
            false => (from, None),
        };
        shared.templates.ticket(&mut self.out, &self.bearer, proof.as_deref());
        let read = |reply: &Reply<'_>, fields: &Fields<'_>| match (reply.status, fields.ticket, fields.number) {
            (200 | 201, Some(ticket), Some(number)) => Said::Yes(Joined::Ticket(ticket.to_owned(), number)),
            (410, ..) if fields.problem().name() == "sale-closed" => Said::No(Joined::Closed),
            (400..=499, ..) => Said::No(Joined::Refused),
            _ => Said::Strange,
        };
        match shared.ask(Kind::Ticket, from, shared.plan.call_within, &self.out, read).await? {
            Joined::Ticket(ticket, number) => {
                self.bearer.ticket = Some(ticket);
                shared.history.borrow_mut().ticket(number);
                Some(number)
            }
            Joined::Refused => None,
            Joined::Closed => {
                self.turn_back();
                None
            }
        }
    }

    /// Gets a challenge and solves it, on a thread of its own: the others' calls go on meanwhile.
    async fn prove(&mut self, from: Instant) -> Option<String> {
        let shared = Rc::clone(&self.shared);
        shared.templates.challenge(&mut self.out, &self.bearer);
        let read = |reply: &Reply<'_>, _: &Fields<'_>| match serde_json::from_slice::<Challenge>(reply.body) {
            Ok(challenge) if reply.status == 200 => Said::Yes(Some(challenge)),
            _ if (400..500).contains(&reply.status) => Said::No(None),
            _ => Said::Strange,
        };
        let challenge = shared.ask(Kind::Challenge, from, shared.plan.call_within, &self.out, read).await.flatten()?;
        let solving = move || challenge.solve().map(|number| challenge.solved_by(number));
        tokio::task::spawn_blocking(solving).await.ok().flatten()
    }

    async fn hold(&mut self, from: Instant) -> Option<Kept> {
        let shared = Rc::clone(&self.shared);
        let key = shared.next_key();
        shared.templates.hold(&mut self.out, &self.bearer, key);
        let answer = shared.ask(Kind::Hold, from, shared.plan.call_within, &self.out, read_hold).await?;
        if answer.spent {
            self.made = u32::MAX;
        }
        Some(Kept { id: answer.id?, key, ended: Ended::Unknown })
    }

    async fn confirm(&mut self, from: Instant, mut kept: Kept, intended: Instant) -> Option<()> {
        let shared = Rc::clone(&self.shared);
        shared.templates.confirm(&mut self.out, &self.bearer, kept.id, kept.key);
        let answer = shared.ask(Kind::Confirm, from, shared.plan.confirm_within, &self.out, read_confirm).await;
        let mut history = shared.history.borrow_mut();
        match answer {
            Some(Confirmed::Booked { id, at }) => {
                let (mut stats, now) = (shared.stats.borrow_mut(), Instant::now());
                stats.booking(now);
                stats.arrived += 1;
                stats.accepted(Kind::Whole, intended, now);
                history.book(Booked { id, at }, &shared.plan.item, u64::from(shared.plan.quantity));
                if id != kept.id {
                    history.find(Finding::TwoIds(kept.id, id));
                }
                kept.ended = Ended::Booked(at);
            }
            Some(Confirmed::Gone) => {
                history.gone(kept.id);
                kept.ended = Ended::Gone;
            }
            Some(Confirmed::Otherwise(_)) => return None,
            None => {}
        }
        self.kept.push(kept);
        Some(())
    }

    async fn book(&mut self, intended: Instant) -> Option<()> {
        let from = self.ready(intended).await?;
        let kept = self.hold(from).await?;
        self.confirm(Instant::now(), kept, intended).await
    }

    /// Whether the hold was released.
    async fn hold_and_release(&mut self, intended: Instant) -> Option<bool> {
        let from = self.ready(intended).await?;
        let kept = self.hold(from).await?;
        let shared = Rc::clone(&self.shared);
        shared.templates.release(&mut self.out, &self.bearer, kept.id);
        let read = |reply: &Reply<'_>, _: &Fields<'_>| match reply.status {
            204 => Said::Yes(true),
            400..=499 => Said::No(false),
            _ => Said::Strange,
        };
        shared.ask(Kind::Release, Instant::now(), shared.plan.call_within, &self.out, read).await
    }

    /// The whole way through the waiting room.
    async fn whole(&mut self, intended: Instant) -> Option<()> {
        let number = self.join(intended).await?;
        let joined = Instant::now();
        let called = self.wait(number).await && self.claim(number).await;
        if !called {
            return None;
        }
        self.shared.stats.borrow_mut().accepted(Kind::Wait, joined, Instant::now());
        match self.hold(Instant::now()).await {
            Some(kept) => self.confirm(Instant::now(), kept, intended).await,
            None => self.leave().await,
        }
    }

    /// Waits until the number is called; false when the sale is over or the run is.
    async fn wait(&mut self, number: u64) -> bool {
        let shared = Rc::clone(&self.shared);
        for poll in 1.. {
            let Some((frontier, poll_in_ms, over)) = self.poll(Instant::now()).await else { return false };
            if frontier >= number {
                return true;
            }
            if over {
                self.turn_back();
                return false;
            }
            if !self.rest(poll_in_ms).await {
                return false;
            }
            if poll % PLACE_EVERY == 0 {
                shared.templates.place(&mut self.out, &self.bearer);
                let read = |reply: &Reply<'_>, _: &Fields<'_>| match reply.status {
                    200 => Said::Yes(()),
                    400..=499 => Said::No(()),
                    _ => Said::Strange,
                };
                let _ = shared.ask(Kind::Place, Instant::now(), shared.plan.call_within, &self.out, read).await;
            }
        }
        false
    }

    /// The sale is over: nobody who comes later will be let in.
    fn turn_back(&mut self) {
        self.over = true;
        self.shared.stats.borrow_mut().turned_away += 1;
    }

    /// Waits as long as the server asks for; false when the run is over by then, and with it this traveller.
    async fn rest(&mut self, ms: Option<u64>) -> bool {
        let pause = self.shared.pause(ms.map(Duration::from_millis));
        if Instant::now() + pause >= self.shared.plan.finish {
            self.over = true;
            self.shared.stats.borrow_mut().cut_off += 1;
            return false;
        }
        tokio::time::sleep(pause).await;
        true
    }

    async fn claim(&mut self, number: u64) -> bool {
        let shared = Rc::clone(&self.shared);
        loop {
            shared.templates.pass(&mut self.out, &self.bearer);
            let read = |reply: &Reply<'_>, fields: &Fields<'_>| match (reply.status, fields.pass) {
                (200 | 201, Some(pass)) => {
                    let expires = fields.expires_at.and_then(|at| Millis::parse_rfc3339(at).ok());
                    Said::Yes(Claim::Pass(pass.to_owned(), expires.map(|at| at.0)))
                }
                (409, _) if fields.problem().name() == "not-your-turn" => Said::No(Claim::NotYet(reply.retry_after)),
                (410, _) if fields.problem().name() == "sale-closed" => Said::No(Claim::Closed),
                (400..=499, _) => Said::No(Claim::Over),
                _ => Said::Strange,
            };
            match shared.ask(Kind::Pass, Instant::now(), shared.plan.call_within, &self.out, read).await {
                Some(Claim::Pass(pass, expires_ms)) => {
                    self.bearer.pass = Some(pass);
                    let seen = PassSeen { number, expires_ms: expires_ms.unwrap_or(0) };
                    shared.history.borrow_mut().pass(seen, shared.second(Instant::now()));
                    return true;
                }
                Some(Claim::NotYet(after)) => {
                    if !self.rest(after.map(|seconds| seconds * 1_000)).await {
                        return false;
                    }
                }
                Some(Claim::Closed) => {
                    self.turn_back();
                    return false;
                }
                Some(Claim::Over) | None => return false,
            }
        }
    }

    async fn leave(&mut self) -> Option<()> {
        let shared = Rc::clone(&self.shared);
        shared.templates.leave(&mut self.out, &self.bearer);
        let read = |reply: &Reply<'_>, _: &Fields<'_>| match reply.status {
            204 => Said::Yes(()),
            400..=499 => Said::No(()),
            _ => Said::Strange,
        };
        shared.ask(Kind::Leave, Instant::now(), shared.plan.call_within, &self.out, read).await
    }
}
