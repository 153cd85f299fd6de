//! Carries requests to the owner of a lane or line in another process.
//!
//! One task per lane or line that this process does not own. It finds the owner in the lease, sends what has piled up in groups
//! without waiting for more, a few at a time, and gives each request its answer. What was certainly not done is tried again, with a
//! fresh look at the lease, until the request's time is over; an answer that is lost leaves the outcome open and is told so (I8).

mod ends;
mod letter;

use std::collections::VecDeque;
use std::time::Duration;

use admission::SaleMap;
use domain::limits::{
    FORWARD_ANSWER_MS, FORWARD_LOOK_MS, FORWARD_MS, MAX_CALLS_IN_FLIGHT, MAX_FORWARD_BYTES, MAX_FORWARD_GROUP,
    MAX_OWNER_QUEUE,
};
use domain::{Millis, Phase, SaleId};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use ingress::internal::{Caller, NotAnswered, lane_path, line_path};
use lua::{CallError, LaneKeys, LineKeys, Redis};
use tokio::time::{Instant, sleep_until};

use crate::metrics::Forwarding;
use letter::{Letter, Mail};

pub(crate) use ends::tell_ends;

/// What finds owners and calls them. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Post {
    pub(crate) redis: Redis,
    pub(crate) caller: Caller,
    metrics: Forwarding,
}

/// Whose owner is asked.
#[derive(Clone)]
pub(crate) enum Whose {
    Lane(LaneKeys),
    Line(LineKeys),
}

impl Post {
    /// Calls over this client.
    pub(crate) fn new(redis: Redis, caller: Caller) -> Self {
        Self { redis, caller, metrics: Forwarding::new() }
    }

    /// The address of the process that has the lease; `None`: nobody has.
    async fn owner(&self, whose: &Whose) -> Result<Option<String>, CallError> {
        let lease = match whose {
            Whose::Lane(keys) => keys.into(),
            Whose::Line(keys) => keys.into(),
        };
        let holder = lua::lease::holder(&self.redis, lease).await?;
        Ok(holder.and_then(|holder| Some(holder.split_once('@')?.1.to_owned())))
    }

    /// Whether every lane and line of a sale that is not over is somebody's.
    pub(crate) async fn all_owned(&self, sales: &SaleMap, now: Millis) -> bool {
        for fold in sales.values().filter(|fold| fold.phase(now) != Phase::Closed) {
            let id = &fold.doc.id;
            let lanes = (0..fold.doc.lanes).map(|lane| Whose::Lane(LaneKeys::new(id, lane)));
            let line = fold.doc.room().map(|_| Whose::Line(LineKeys::new(id)));
            for whose in lanes.chain(line) {
                if !matches!(self.owner(&whose).await, Ok(Some(_))) {
                    return false;
                }
            }
        }
        true
    }

    /// Forwards a lane's requests, until there can be no more.
    pub(crate) async fn lane(self, sale: SaleId, lane: u16, mail: booker::remote::Outbox) {
        let whose = Whose::Lane(LaneKeys::new(&sale, lane));
        Carrier::new(self, whose, lane_path(&sale, lane), mail).run().await;
    }

    /// Forwards a line's requests, until there can be no more.
    pub(crate) async fn line(self, sale: SaleId, mail: admission::remote::Outbox) {
        let whose = Whose::Line(LineKeys::new(&sale));
        Carrier::new(self, whose, line_path(&sale), mail).run().await;
    }
}

/// A request that waits for its call.
struct Waiting<L> {
    letter: L,
    /// Refused, unless it was sent by then.
    until: Instant,
}

/// What is known of the owner.
enum Owner {
    /// Nothing; nobody is asked before this time.
    Unknown(Instant),
    /// The lease is being read.
    Asked,
    /// Its address.
    At(String),
}

enum Done<L> {
    Owner(Result<Option<String>, CallError>),
    Answer(bool, Vec<Waiting<L>>, String, Result<Vec<u8>, NotAnswered>),
}

/// Requests of one pace, and the calls that are under way for them.
struct Lot<L> {
    waiting: VecDeque<Waiting<L>>,
    calls: usize,
}

struct Carrier<M: Mail> {
    post: Post,
    whose: Whose,
    path: String,
    mail: M,
    /// Quick ones, and those that wait for the ledger: neither holds the other up.
    lots: [Lot<M::Letter>; 2],
    owner: Owner,
    pause_ms: u64,
    calls: FuturesUnordered<BoxFuture<'static, Done<M::Letter>>>,
}

impl<M: Mail> Carrier<M> {
    fn new(post: Post, whose: Whose, path: String, mail: M) -> Self {
        let lots = [(); 2].map(|()| Lot { waiting: VecDeque::new(), calls: 0 });
        let owner = Owner::Unknown(Instant::now());
        Self { post, whose, path, mail, lots, owner, pause_ms: 0, calls: FuturesUnordered::new() }
    }

    async fn run(mut self) {
        let mut open = true;
        while open || !self.calls.is_empty() || self.count() > 0 {
            let wake = self.pump(Instant::now());
            let room = self.count() < MAX_OWNER_QUEUE;
            tokio::select! {
                Some(done) = self.calls.next(), if !self.calls.is_empty() => self.done(done),
                letter = self.mail.next(), if open && room => match letter {
                    Some(letter) => self.take(letter),
                    None => open = false,
                },
                () = sleep_until(wake) => {}
            }
            while self.count() < MAX_OWNER_QUEUE
                && let Some(letter) = self.mail.now()
            {
                self.take(letter);
            }
        }
    }

    fn count(&self) -> usize {
        self.lots.iter().map(|lot| lot.waiting.len()).sum()
    }

    fn take(&mut self, letter: M::Letter) {
        let until = Instant::now() + Duration::from_millis(FORWARD_MS);
        let [quick, patient] = &mut self.lots;
        let lot = if letter.is_patient() { patient } else { quick };
        lot.waiting.push_back(Waiting { letter, until });
    }

    /// Refuses what is overdue, starts every call that can be started, and says when to look again at the latest.
    fn pump(&mut self, now: Instant) -> Instant {
        let mut wake = now + Duration::from_secs(1);
        for lot in &mut self.lots {
            while lot.waiting.front().is_some_and(|first| first.until <= now || first.letter.is_gone()) {
                let Some(late) = lot.waiting.pop_front() else { break };
                if !late.letter.is_gone() {
                    self.post.metrics.no_owner();
                }
                late.letter.no_owner();
            }
            wake = lot.waiting.front().map_or(wake, |first| wake.min(first.until));
        }
        if self.count() == 0 {
            return wake;
        }
        match &self.owner {
            Owner::Unknown(at) if *at > now => wake = wake.min(*at),
            Owner::Unknown(_) => {
                self.owner = Owner::Asked;
                let (post, whose) = (self.post.clone(), self.whose.clone());
                self.calls.push(Box::pin(async move { Done::Owner(post.owner(&whose).await) }));
            }
            Owner::Asked => {}
            Owner::At(address) => {
                let address = address.clone();
                for patient in [false, true] {
                    while let Some(group) = self.next_group(patient) {
                        self.send(patient, group, address.clone());
                    }
                }
            }
        }
        wake
    }

    /// What has piled up, as far as it fits one call.
    fn next_group(&mut self, patient: bool) -> Option<Vec<Waiting<M::Letter>>> {
        let lot = &mut self.lots[usize::from(patient)];
        if lot.waiting.is_empty() || lot.calls >= MAX_CALLS_IN_FLIGHT {
            return None;
        }
        let (mut group, mut bytes) = (Vec::new(), 0);
        while group.len() < MAX_FORWARD_GROUP
            && let Some(next) = lot.waiting.front()
        {
            bytes += next.letter.size();
            if bytes > MAX_FORWARD_BYTES && !group.is_empty() {
                break;
            }
            // Nobody waits for those that are gone, and nothing was done for them.
            group.extend(lot.waiting.pop_front().filter(|waiting| !waiting.letter.is_gone()));
        }
        if group.is_empty() {
            return None;
        }
        lot.calls += 1;
        Some(group)
    }

    fn send(&mut self, patient: bool, group: Vec<Waiting<M::Letter>>, address: String) {
        let within = Duration::from_millis(FORWARD_ANSWER_MS);
        let text = M::Letter::encode(group.iter().map(|waiting| &waiting.letter), within);
        let (caller, path, metrics) = (self.post.caller.clone(), self.path.clone(), self.post.metrics.clone());
        self.calls.push(Box::pin(async move {
            let begin = Instant::now();
            // The owner keeps to the time it is given; its answer takes a moment more to travel.
            let answer = caller.call(&address, &path, text, within + within / 8).await;
            metrics.called(group.len(), begin.elapsed(), answer.as_ref().err());
            Done::Answer(patient, group, address, answer)
        }));
    }

    fn done(&mut self, done: Done<M::Letter>) {
        match done {
            Done::Owner(Ok(Some(address))) => self.owner = Owner::At(address),
            Done::Owner(Ok(None) | Err(_)) => self.look_later(),
            Done::Answer(patient, group, address, answer) => {
                self.lots[usize::from(patient)].calls -= 1;
                match answer {
                    Ok(text) => self.answered(patient, group, &address, &text),
                    Err(NotAnswered::Refused(why)) => {
                        tracing::debug!(path = %self.path, %why, "an owner was not reached");
                        self.again(patient, group, &address);
                    }
                    Err(NotAnswered::Unknown(why)) => {
                        tracing::debug!(path = %self.path, %why, "an answer is lost");
                        self.forget(&address);
                        group.into_iter().for_each(|waiting| waiting.letter.unknown());
                    }
                }
            }
        }
    }

    fn answered(&mut self, patient: bool, group: Vec<Waiting<M::Letter>>, address: &str, text: &[u8]) {
        let untils: Vec<Instant> = group.iter().map(|waiting| waiting.until).collect();
        let letters = group.into_iter().map(|waiting| waiting.letter).collect();
        match M::Letter::answered(letters, text) {
            Ok(again) if again.is_empty() => self.pause_ms = 0,
            Ok(again) => {
                // Which ones came back is not told; the earliest time is right for all of them.
                let until = untils.into_iter().min().unwrap_or_else(Instant::now);
                let group = again.into_iter().map(|letter| Waiting { letter, until }).collect();
                self.again(patient, group, address);
            }
            Err(why) => tracing::error!(path = %self.path, %address, why, "an owner's answer cannot be read"),
        }
    }

    /// Nothing was done: the group goes first to whoever is the owner now.
    fn again(&mut self, patient: bool, group: Vec<Waiting<M::Letter>>, address: &str) {
        self.forget(address);
        let lot = &mut self.lots[usize::from(patient)];
        group.into_iter().rev().for_each(|waiting| lot.waiting.push_front(waiting));
    }

    /// The lease is read again, unless another one was found meanwhile.
    fn forget(&mut self, address: &str) {
        if matches!(&self.owner, Owner::At(known) if known == address) {
            self.look_later();
        }
    }

    fn look_later(&mut self) {
        let (first, most) = FORWARD_LOOK_MS;
        self.pause_ms = (self.pause_ms * 2).clamp(first, most);
        self.owner = Owner::Unknown(Instant::now() + Duration::from_millis(self.pause_ms));
    }
}
