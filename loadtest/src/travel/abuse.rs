//! What must not work, tried.

use std::rc::Rc;
use std::time::Instant;

use super::answers::{read_end, read_refusal};
use super::line::Claim;
use super::{Confirmed, Held, Traveller};
use crate::limits::MAX_DODGES;
use crate::oracle::Finding;
use crate::request::Bearer;
use crate::stats::Kind;

/// The token with one character of its middle changed. The last ones may hold spare bits that say nothing.
fn altered(token: &str) -> String {
    let middle = token.len() / 2;
    let change = |(n, c): (usize, char)| match (n == middle, c) {
        (false, c) => c,
        (true, 'A') => 'B',
        (true, _) => 'A',
    };
    token.chars().enumerate().map(change).collect()
}

impl Traveller {
    /// Sends what must be refused; being served is a finding. The journey goes on in any case but without an answer.
    async fn refused(&self, what: &'static str, from: Instant, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let shared = &self.shared;
        let status = shared.ask(Kind::Abuse, from, shared.plan.call_within, write, read_refusal).await;
        if let Some(status @ 200..=299) = status {
            shared.history.borrow_mut().find(Finding::Served { what, status });
        }
        status.is_some()
    }

    pub(super) async fn forge_visitor(&mut self, from: Instant) -> bool {
        let forged = Bearer { visitor: altered(&self.bearer.visitor), ..Bearer::default() };
        let shared = Rc::clone(&self.shared);
        self.refused("an altered visitor", from, |out| shared.templates.bookings(out, &forged)).await
    }

    pub(super) async fn forge_ticket(&mut self, from: Instant) -> bool {
        let forged = Bearer { ticket: self.bearer.ticket.as_deref().map(altered), pass: None, ..self.bearer.clone() };
        let shared = Rc::clone(&self.shared);
        self.refused("an altered ticket", from, |out| shared.templates.pass(out, &forged)).await
    }

    pub(super) async fn forge_pass(&mut self, from: Instant) -> bool {
        let forged = Bearer { pass: self.bearer.pass.as_deref().map(altered), ..self.bearer.clone() };
        let (shared, key) = (Rc::clone(&self.shared), self.shared.next_key());
        self.refused("an altered pass", from, |out| shared.templates.hold(out, &forged, key)).await
    }

    /// Asks for a pass out of turn. One that is given is judged like any other against what the line shows.
    pub(super) async fn jump_line(&mut self, from: Instant) -> bool {
        match self.claim(Kind::Abuse, from).await {
            Some(claim @ Claim::Pass(..)) => {
                let shared = Rc::clone(&self.shared);
                self.inside(&shared, claim);
                true
            }
            Some(_) => true,
            None => false,
        }
    }

    pub(super) async fn reuse_key(&mut self, from: Instant) -> bool {
        let Some(Held { key, .. }) = self.held else { return false };
        let shared = Rc::clone(&self.shared);
        self.refused("a used key", from, |out| shared.templates.hold_other(out, &self.bearer, key)).await
    }

    /// Both must end in one booking, or neither.
    pub(super) async fn confirm_twice(&mut self, from: Instant) -> bool {
        let Some(held) = self.held.take() else { return false };
        let other = self.shared.next_key();
        let (first, second) = tokio::join!(self.ask_confirm(from, held, held.key), self.ask_confirm(from, held, other));
        if let (Some(one), Some(other)) = (&first, &second)
            && one != other
        {
            let what = format!("{one} and {other}");
            self.shared.history.borrow_mut().find(Finding::TwinsDiffer { id: held.id, what });
        }
        let answer = first.or(second);
        let booked = matches!(answer, Some(Confirmed::Booked { .. }));
        self.decided(held, answer.as_ref(), from);
        booked
    }

    /// Holds two at once, again and again, until one is refused; then gives everything back.
    pub(super) async fn dodge_limit(&mut self, from: Instant) -> bool {
        let shared = Rc::clone(&self.shared);
        let units = u64::from(shared.plan.quantity);
        let (mut held, mut from) = (Vec::new(), from);
        for _ in 0..MAX_DODGES / 2 {
            let keys = [shared.next_key(), shared.next_key()];
            for _ in keys {
                self.standing.asks(units);
            }
            let (one, other) = tokio::join!(self.ask_hold(from, keys[0]), self.ask_hold(from, keys[1]));
            let mut refused = false;
            for (answer, key) in [one, other].into_iter().zip(keys) {
                match self.noted(answer, key, units) {
                    Some(hold) => held.push(hold),
                    None => refused = true,
                }
            }
            if refused {
                break;
            }
            from = Instant::now();
        }
        self.held = None;
        for hold in held {
            let write = |out: &mut Vec<u8>| shared.templates.release(out, &self.bearer, hold.id);
            let asked = shared.ask(Kind::Release, Instant::now(), shared.plan.call_within, write, read_end);
            if asked.await == Some(true) {
                self.standing.ended(hold.id, units);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn an_altered_token_differs_in_one_character() {
        for token in ["AAAA", "abcdefg", "x"] {
            let other = altered(token);
            assert_eq!(other.len(), token.len());
            assert_eq!(token.chars().zip(other.chars()).filter(|(one, other)| one != other).count(), 1, "{token}");
        }
    }
}
