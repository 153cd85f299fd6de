//! Through the waiting room: poll, join, wait, enter, leave.

use std::rc::Rc;
use std::time::{Duration, Instant};

use domain::{Challenge, Millis};

use super::{Traveller, answers};
use crate::answer::Fields;
use crate::http::Reply;
use crate::oracle::PassSeen;
use crate::stats::Kind;
use crate::trip::{Said, Shared};

/// Every how many polls of the line a visitor also asks for the own place.
const PLACE_EVERY: u32 = 4;

/// What a poll of the line showed.
pub(super) struct Shown {
    frontier: u64,
    poll_in_ms: Option<u64>,
    over: bool,
}

/// How a claim was answered.
pub(super) enum Claim {
    /// The pass, when it expires by the server's clock, and how long it lives.
    Pass(String, Option<u64>, Option<Duration>),
    /// Seconds after which it may be tried again.
    NotYet(Option<u64>),
    Over,
    Closed,
}

enum Joined {
    Ticket(String, u64),
    Refused,
    Closed,
}

fn read_claim(reply: &Reply<'_>, fields: &Fields<'_>) -> Said<Claim> {
    match (reply.status, fields.pass) {
        (200 | 201, Some(pass)) => {
            let expires = fields.expires_at.and_then(|at| Millis::parse_rfc3339(at).ok());
            let lives = fields.expires_in_ms.map(Duration::from_millis);
            Said::Yes(Claim::Pass(pass.to_owned(), expires.map(|at| at.0), lives))
        }
        (409, _) if fields.problem().name() == "not-your-turn" => Said::No(Claim::NotYet(reply.retry_after)),
        (410, _) if fields.problem().name() == "sale-closed" => Said::No(Claim::Closed),
        (400..=499, _) => Said::No(Claim::Over),
        _ => Said::Strange,
    }
}

impl Traveller {
    pub(super) async fn poll(&mut self, from: Instant) -> Option<Shown> {
        let shared = Rc::clone(&self.shared);
        let read = |reply: &Reply<'_>, fields: &Fields<'_>| match (reply.status, fields.frontier) {
            (200, Some(frontier)) => {
                let over = matches!(fields.state, Some("closed" | "sold_out"));
                Said::Yes((Shown { frontier, poll_in_ms: fields.poll_in_ms, over }, fields.pace_per_minute))
            }
            _ => Said::Strange,
        };
        let sent = shared.second(Instant::now());
        let write = |out: &mut Vec<u8>| shared.templates.line(out);
        let (shown, pace) = shared.ask(Kind::Line, from, shared.plan.call_within, write, read).await?;
        let mut history = shared.history.borrow_mut();
        history.frontier(shown.frontier, sent);
        history.pace = history.pace.max(pace);
        Some(shown)
    }

    pub(super) async fn join(&mut self, intended: Instant) -> Option<()> {
        let from = self.renew(intended).await?;
        self.pass_until = None;
        let shared = Rc::clone(&self.shared);
        let (from, proof) = if shared.plan.proof {
            let proof = self.prove(from).await?;
            (Instant::now(), Some(proof))
        } else {
            (from, None)
        };
        let read = |reply: &Reply<'_>, fields: &Fields<'_>| match (reply.status, fields.ticket, fields.number) {
            (200 | 201, Some(ticket), Some(number)) => Said::Yes(Joined::Ticket(ticket.to_owned(), number)),
            (410, ..) if fields.problem().name() == "sale-closed" => Said::No(Joined::Closed),
            (400..=499, ..) => Said::No(Joined::Refused),
            _ => Said::Strange,
        };
        let write = |out: &mut Vec<u8>| shared.templates.ticket(out, &self.bearer, proof.as_deref());
        match shared.ask(Kind::Ticket, from, shared.plan.call_within, write, read).await? {
            Joined::Ticket(ticket, number) => {
                self.bearer.ticket = Some(ticket);
                (self.number, self.joined) = (number, Instant::now());
                shared.history.borrow_mut().ticket(number);
                Some(())
            }
            Joined::Refused => None,
            Joined::Closed => {
                self.turn_back();
                None
            }
        }
    }

    /// Gets a challenge and solves it, on a thread of its own: the others' calls go on meanwhile.
    async fn prove(&self, from: Instant) -> Option<String> {
        let shared = &self.shared;
        let read = |reply: &Reply<'_>, _: &Fields<'_>| match serde_json::from_slice::<Challenge>(reply.body) {
            Ok(challenge) if reply.status == 200 => Said::Yes(Some(challenge)),
            _ if (400..500).contains(&reply.status) => Said::No(None),
            _ => Said::Strange,
        };
        let write = |out: &mut Vec<u8>| shared.templates.challenge(out, &self.bearer);
        let challenge = shared.ask(Kind::Challenge, from, shared.plan.call_within, write, read).await.flatten()?;
        let solving = move || challenge.solve().map(|number| challenge.solved_by(number));
        tokio::task::spawn_blocking(solving).await.ok().flatten()
    }

    pub(super) async fn place(&mut self, from: Instant) -> bool {
        let shared = Rc::clone(&self.shared);
        let write = |out: &mut Vec<u8>| shared.templates.place(out, &self.bearer);
        shared.ask(Kind::Place, from, shared.plan.call_within, write, answers::read_shown).await.is_some()
    }

    /// Waits until the number is called; false when the sale is over or the run is.
    pub(super) async fn wait(&mut self, from: Instant) -> bool {
        let mut from = from;
        for poll in 1.. {
            let Some(shown) = self.poll(from).await else { return false };
            if shown.frontier >= self.number {
                return true;
            }
            if shown.over {
                self.turn_back();
                return false;
            }
            if !self.rest(shown.poll_in_ms).await {
                return false;
            }
            if poll % PLACE_EVERY == 0 {
                self.place(Instant::now()).await;
            }
            from = Instant::now();
        }
        false
    }

    /// Waits as long as the server asks for; false when the run is over by then, and with it this visitor.
    async fn rest(&mut self, ms: Option<u64>) -> bool {
        let pause = self.shared.pause(ms.map(Duration::from_millis));
        self.until(Instant::now() + pause).await
    }

    pub(super) async fn enter(&mut self, from: Instant) -> bool {
        let (shared, mut from) = (Rc::clone(&self.shared), from);
        loop {
            match self.claim(Kind::Pass, from).await {
                Some(claim @ Claim::Pass(..)) => {
                    self.inside(&shared, claim);
                    shared.stats.borrow_mut().accepted(Kind::Wait, self.joined, Instant::now());
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
            from = Instant::now();
        }
    }

    /// Asks for a pass once.
    pub(super) async fn claim(&self, kind: Kind, from: Instant) -> Option<Claim> {
        let shared = &self.shared;
        let write = |out: &mut Vec<u8>| shared.templates.pass(out, &self.bearer);
        shared.ask(kind, from, shared.plan.call_within, write, read_claim).await
    }

    /// Has a pass now.
    pub(super) fn inside(&mut self, shared: &Shared, claim: Claim) {
        let Claim::Pass(pass, expires_ms, lives) = claim else { return };
        let now = Instant::now();
        self.bearer.pass = Some(pass);
        self.pass_until = lives.map(|lives| now + lives);
        let seen = PassSeen { number: self.number, expires_ms: expires_ms.unwrap_or(0) };
        shared.history.borrow_mut().pass(seen, shared.second(now));
    }

    pub(super) async fn leave(&mut self) -> bool {
        let shared = Rc::clone(&self.shared);
        let write = |out: &mut Vec<u8>| shared.templates.leave(out, &self.bearer);
        let asked = shared.ask(Kind::Leave, Instant::now(), shared.plan.call_within, write, answers::read_end);
        let left = asked.await == Some(true);
        (self.bearer.pass, self.pass_until) = (None, None);
        left
    }
}
