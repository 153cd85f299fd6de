//! What the visitors of one thread share, and how any of them asks: repeated under the same key until there is an outcome.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use rand::RngExt as _;
use rand::rngs::SmallRng;

use crate::answer::Fields;
use crate::http::{Pool, Reply};
use crate::limits::{LONGEST_PAUSE, RESEND, SHORTEST_PAUSE};
use crate::oracle::{Finding, History};
use crate::request::{Key, Templates};
use crate::sample::Samples;
use crate::scenario::Chance;
use crate::stats::{Kind, Stats};

/// What visitors do, the same for all.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Whether a hold needs a pass.
    pub(crate) room: bool,
    pub(crate) item: String,
    pub(crate) quantity: u32,
    pub(crate) per_visitor: u32,
    /// Each visitor computes a proof of work before it joins.
    pub(crate) proof: bool,
    /// Units that one visitor may have.
    pub(crate) limit: Option<u64>,
    /// Share of requests whose answer is thrown away.
    pub(crate) lose_answers: Chance,
    pub(crate) confirm_within: Duration,
    pub(crate) recheck_within: Duration,
    /// Patience of every other call.
    pub(crate) call_within: Duration,
    /// Start of the run, and the moment from which no journey starts.
    pub(crate) start: Instant,
    pub(crate) end: Instant,
    /// The moment from which nobody waits for a turn any more.
    pub(crate) finish: Instant,
}

/// Everything the visitors of one thread share.
pub(crate) struct Shared {
    pub(crate) plan: Plan,
    pub(crate) templates: Templates,
    pub(crate) pool: Pool,
    pub(crate) stats: RefCell<Stats>,
    pub(crate) history: RefCell<History>,
    pub(crate) samples: RefCell<Samples>,
    pub(crate) rng: RefCell<SmallRng>,
    /// The moment at which nobody asks any more.
    pub(crate) stop: Cell<Instant>,
    /// Number of the run, and of the next attempt of this thread.
    pub(crate) run: u64,
    pub(crate) attempts: Cell<u64>,
    /// Buffers of requests that are not under way.
    pub(crate) buffers: RefCell<Vec<Vec<u8>>>,
}

/// What an answer means to who asked.
pub(crate) enum Said<T> {
    /// What was asked for.
    Yes(T),
    /// A final refusal.
    No(T),
    /// Nothing the contract has for this call.
    Strange,
}

enum Step<T> {
    Said(Said<T>),
    Again(Duration),
}

impl Shared {
    /// A key that no other attempt of any run has.
    pub(crate) fn next_key(&self) -> Key {
        let attempt = self.attempts.get();
        self.attempts.set(attempt + 1);
        Key { run: self.run, attempt }
    }

    /// Whole seconds since the start of the run.
    pub(crate) fn second(&self, at: Instant) -> usize {
        usize::try_from(at.saturating_duration_since(self.plan.start).as_secs()).unwrap_or(usize::MAX)
    }

    /// Sends a request until it has an outcome: again when its answer was lost, when the server puts it off (429, 503) or
    /// has not decided (202). Every call of a journey may be repeated: it has a key, or a repeat does no harm.
    /// `None`: no outcome within `patience`. Time counts from `from`, the intended start.
    pub(crate) async fn ask<T>(
        &self,
        kind: Kind,
        from: Instant,
        patience: Duration,
        write: impl FnOnce(&mut Vec<u8>),
        read: impl Fn(&Reply<'_>, &Fields<'_>) -> Said<T>,
    ) -> Option<T> {
        let mut request = self.buffers.borrow_mut().pop().unwrap_or_default();
        write(&mut request);
        let answer = self.repeat(kind, from, patience, &request, &read).await;
        self.buffers.borrow_mut().push(request);
        answer
    }

    async fn repeat<T>(
        &self,
        kind: Kind,
        from: Instant,
        patience: Duration,
        request: &[u8],
        read: &impl Fn(&Reply<'_>, &Fields<'_>) -> Said<T>,
    ) -> Option<T> {
        let until = (Instant::now() + patience).min(self.stop.get());
        let (mut resend, mut unsure) = (RESEND.0, None);
        loop {
            self.stats.borrow_mut().sends(kind, from);
            let lose = self.plan.lose_answers.draw(&mut self.rng.borrow_mut());
            let pause = match self.pool.call(request, lose, |reply| self.step(kind, from, reply, read)).await {
                Ok(Step::Said(said)) => {
                    if let (Kind::Confirm, Some(unsure)) = (kind, unsure) {
                        self.stats.borrow_mut().accepted(Kind::Certainty, unsure, Instant::now());
                    }
                    return self.settle(kind, from, said);
                }
                Ok(Step::Again(pause)) => pause,
                Err(lost) => {
                    self.stats.borrow_mut().lost(kind, from, &lost);
                    let pause = resend;
                    resend = (resend * 2).min(RESEND.1);
                    pause
                }
            };
            unsure.get_or_insert_with(Instant::now);
            if Instant::now() + pause >= until {
                self.stats.borrow_mut().unknown(kind, from);
                return None;
            }
            tokio::time::sleep(pause).await;
        }
    }

    fn settle<T>(&self, kind: Kind, from: Instant, said: Said<T>) -> Option<T> {
        let (mut stats, now) = (self.stats.borrow_mut(), Instant::now());
        match said {
            Said::Yes(answer) => {
                stats.accepted(kind, from, now);
                Some(answer)
            }
            Said::No(answer) => {
                stats.refused(kind, from, now);
                Some(answer)
            }
            Said::Strange => None,
        }
    }

    fn step<T>(
        &self,
        kind: Kind,
        from: Instant,
        reply: &Reply<'_>,
        read: &impl Fn(&Reply<'_>, &Fields<'_>) -> Said<T>,
    ) -> Step<T> {
        let mut stats = self.stats.borrow_mut();
        stats.answered(Instant::now());
        let Some(fields) = Fields::of(reply) else {
            stats.strange(kind, reply.status, reply.body);
            return Step::Said(Said::Strange);
        };
        if reply.status >= 400 {
            let problem = fields.problem();
            stats.problem(kind, from, problem);
            if kind != Kind::Abuse && problem.is_mistake() {
                self.history.borrow_mut().find(Finding::Unjustified { call: kind.as_str(), problem: problem.name() });
            }
        }
        let said = match reply.status {
            202 => {
                stats.pending(kind, from);
                return Step::Again(self.pause(fields.poll_in_ms.map(Duration::from_millis)));
            }
            429 | 503 => return Step::Again(self.pause(reply.retry_after.map(Duration::from_secs))),
            500.. => {
                stats.strange(kind, reply.status, reply.body);
                return Step::Again(self.pause(None));
            }
            _ => read(reply, &fields),
        };
        if matches!(said, Said::Strange) {
            stats.strange(kind, reply.status, reply.body);
        }
        Step::Said(said)
    }

    /// A pause as the server asked for it, within bounds and up to a quarter longer, so that visitors who were put off
    /// together do not come back together.
    pub(crate) fn pause(&self, asked: Option<Duration>) -> Duration {
        let asked = asked.unwrap_or(RESEND.1 / 10).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        asked.mul_f64(1.0 + self.rng.borrow_mut().random::<f64>() / 4.0)
    }
}
