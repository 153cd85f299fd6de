//! Serving a line: takes requests, keeps one join call, one present call and one append under way, steps, publishes.
//! Everything that is decided is decided by [`Desk`] and [`Places`]; this loop sends and receives.

mod done;
mod send;

use std::time::Duration;

use domain::limits::{HEARTBEAT_MS, LEASE_EVERY_MS, MAX_OWNER_QUEUE, STEP_MS};
use domain::number::{EVERYBODY, class_of};
use domain::spread::Owned;
use domain::{Millis, Phase, VisitorHash};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use ledger::{Append, Head, Writer};
use lua::CallError;
use lua::line::{JoinReply, LineState};
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::desk::{Answer, Desk, Draft, say};
use super::handle::Request;
use super::owner::LineOwner;
use super::places::{For, Join, Places, Present};
use super::publish::Told;
use super::rules::Rules;
use super::{Claim, Fee, Joined, LineError, LineStatus};
use crate::fold::Standing;
use crate::lobby::Order;
use crate::step::{Answered, Binding};

/// Requests taken in one go before the calls are looked after.
const TAKE: usize = 512;

/// How serving ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Served {
    /// Told to stop.
    Stopped,
    /// Another owner writes the log: start again with the lease.
    Lost,
    /// Another process gets it, because this one has more than its share.
    Left,
    /// The ledger lost data: what is given out may be more than it knows. Nothing is served until the program starts anew.
    Damaged,
}

/// What a call under way came to.
enum Done {
    Joined(Vec<Join>, Result<JoinReply, CallError>),
    Presented(Vec<Present>, Result<Result<Vec<Option<u64>>, u64>, CallError>),
    Appended(Box<Draft>, Timing, Result<Append, ledger::Error>),
    Told(LineState, Told),
    Looked(Look, Result<Head, ledger::Error>, Duration),
    Renewed,
    /// `None`: the draw could not be run; it is tried again.
    Ordered(Order, Option<crate::draw::Places>),
}

/// When an append began, and the tick of the step in it.
#[derive(Clone, Copy)]
struct Timing {
    tick: Option<Instant>,
    begin: Instant,
}

/// What was known when a look at the log began.
#[derive(Clone, Copy)]
struct Look {
    /// The log's head: it cannot be less later.
    head: u64,
    /// Redis showed more than this owner knows.
    ahead: bool,
}

/// Whether the state has to be published.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Tell {
    #[default]
    No,
    /// A tick: if it is not what Redis was told last.
    IfChanged,
    /// A second has gone by, or Redis said that it has another: whatever it was told.
    Anyway,
}

/// Which calls are under way.
#[derive(Default)]
struct Busy {
    join: bool,
    present: bool,
    append: bool,
    tell: bool,
    look: bool,
    renew: bool,
    order: bool,
}

/// One ownership.
pub(crate) struct Server<'a> {
    owner: &'a mut LineOwner,
    desk: Desk,
    writer: Writer,
    places: Places,
    calls: FuturesUnordered<BoxFuture<'static, Done>>,
    busy: Busy,
    /// A tick that no step has answered yet.
    step_due: Option<Instant>,
    tell: Tell,
    /// What Redis shows, as far as this owner knows; `None` after a failure.
    told: Option<LineState>,
    /// The last publication failed: the next one waits for a tick.
    tell_failed: bool,
    /// Redis showed more than this owner knows; the log's fence decides what that means.
    ahead: bool,
    binding: Binding,
    /// The ledger's last answer; `None`: it failed since.
    ledger: Option<Answered>,
    /// After a failed append nobody tries before.
    append_after: Instant,
    append_failed: bool,
    clock_said: bool,
    keys_said: bool,
    /// Counts the line among those of this process.
    owned: Option<Owned>,
}

impl<'a> Server<'a> {
    pub(crate) fn new(owner: &'a mut LineOwner, mut desk: Desk, writer: Writer, owned: Option<Owned>) -> Self {
        std::mem::take(&mut owner.inbox.kept).into_iter().for_each(|number| desk.ended(number));
        // The log was claimed and folded a moment ago.
        let ledger = Some(Answered { at: (owner.config.clock)(), took_ms: 0 });
        Self {
            owner,
            desk,
            writer,
            places: Places::default(),
            calls: FuturesUnordered::new(),
            busy: Busy::default(),
            step_due: None,
            tell: Tell::Anyway,
            told: None,
            tell_failed: false,
            ahead: false,
            binding: Binding::default(),
            ledger,
            append_after: Instant::now(),
            append_failed: false,
            clock_said: false,
            keys_said: false,
            owned,
        }
    }

    /// Serves until told to stop or refused by another owner's fence. Everybody who waits is answered before it returns.
    pub(crate) async fn serve(&mut self, shutdown: &mut watch::Receiver<bool>) -> Served {
        let (mut step, mut beat, mut lease) = (every(STEP_MS), every(HEARTBEAT_MS), every(LEASE_EVERY_MS));
        self.tell_status(self.now());
        let end = loop {
            self.send();
            let room = self.waiting() < MAX_OWNER_QUEUE;
            tokio::select! {
                Some(done) = self.calls.next() => if let Some(end) = self.done(done) { break end },
                Some(asked) = self.owner.inbox.requests.recv(), if room => self.take(asked.request),
                Some(numbers) = self.owner.inbox.ended.recv() => numbers.into_iter().for_each(|n| self.desk.ended(n)),
                tick = step.tick() => self.tick(tick),
                _ = beat.tick() => self.beat(),
                _ = lease.tick() => {
                    if self.owned.as_mut().is_some_and(Owned::has_to_go) {
                        break Served::Left;
                    }
                    self.renew();
                }
                _ = shutdown.wait_for(|stop| *stop) => break Served::Stopped,
            }
        };
        self.finish(end).await
    }

    /// Waits for what is under way, so that it is answered as it ended; then turns away whoever is left.
    async fn finish(&mut self, end: Served) -> Served {
        while let Some(done) = self.calls.next().await {
            self.done(done);
        }
        let ended = self.desk.close(LineError::NoOwner);
        self.owner.inbox.keep(ended);
        self.places.close(LineError::NoOwner);
        self.owner.metrics.status(&LineStatus::default(), 0, 0);
        end
    }

    fn tick(&mut self, tick: Instant) {
        self.step_due = Some(tick);
        self.tell = self.tell.max(Tell::IfChanged);
    }

    fn now(&self) -> Millis {
        (self.owner.config.clock)()
    }

    fn rules(&self, now: Millis) -> Option<Rules> {
        let sales = self.owner.config.sales.borrow();
        Rules::of(sales.get(&self.owner.config.sale).map(AsRef::as_ref), now)
    }

    fn waiting(&self) -> usize {
        self.desk.waiting() + self.places.waiting()
    }

    /// Takes a request and those that came with it.
    fn take(&mut self, first: Request) {
        let now = self.now();
        let rules = self.rules(now);
        let mut next = Some(first);
        for _ in 0..TAKE {
            let Some(request) = next else { return };
            match &rules {
                Some(rules) => self.take_one(request, rules, now),
                None => request.refuse(LineError::NoOwner),
            }
            next = self.owner.inbox.requests.try_recv().ok().map(|asked| asked.request);
        }
        if let (Some(request), Some(rules)) = (next, &rules) {
            self.take_one(request, rules, now);
        }
    }

    fn take_one(&mut self, request: Request, rules: &Rules, now: Millis) {
        match request {
            Request::Come { visitor, answer } => match rules.phase {
                // Who has a receipt is told so at any time; nobody new comes in once it is open.
                _ if self.desk.fold.lobby().index_of(&visitor).is_some() => self.desk.come(visitor, answer),
                Phase::Scheduled if rules.joining => self.desk.come(visitor, answer),
                Phase::Scheduled => say(answer, Err(LineError::NotJoining)),
                Phase::Closed => say(answer, Err(LineError::Closed)),
                _ => say(answer, Err(LineError::NotOpen)),
            },
            Request::Join { visitor, presented, fee, answer } => match rules.phase {
                Phase::Scheduled => say(answer, Err(LineError::NotOpen)),
                Phase::Closed => say(answer, Err(LineError::Closed)),
                Phase::Open | Phase::Paused if self.desk.class_place(&visitor, presented, now).is_some() => {
                    let place = self.desk.class_place(&visitor, presented, now);
                    say(answer, place.map(|number| Joined { number, new: false }).ok_or(LineError::Unavailable));
                }
                Phase::Open | Phase::Paused => {
                    // A number beyond the log is none of ours: only a ledger that lost data has such tickets.
                    let known = presented.filter(|number| (1..=self.desk.fold.numbers_to()).contains(number));
                    match self.desk.drawn_number(&visitor) {
                        Ok(drawn) => {
                            let place = self.place_of(&visitor, drawn, known);
                            self.take_join(visitor, place, (fee, answer), rules.joining, now);
                        }
                        Err(error) => say(answer, Err(error)),
                    }
                }
            },
            Request::Redeem { visitor, code, answer } => match rules.phase {
                Phase::Scheduled => say(answer, Err(LineError::NotOpen)),
                Phase::Closed => say(answer, Err(LineError::Closed)),
                Phase::Open | Phase::Paused
                    if !rules.joining && self.desk.class_place(&visitor, None, now).is_none() =>
                {
                    say(answer, Err(LineError::NotJoining));
                }
                Phase::Open | Phase::Paused => self.desk.redeem(visitor, code, answer, now),
            },
            Request::Claim { visitor, number, answer } if self.desk.fold.moved().is_others(number, &visitor) => {
                say(answer, Err(LineError::Moved));
            }
            // Who shows a number that the draw gave to another was told a wrong order; it is shown right in a moment.
            Request::Claim { visitor, number, answer } if !self.desk.may_have(&visitor, number) => {
                let error = self.desk.drawn_number(&visitor).err().unwrap_or(LineError::Unavailable);
                say(answer, Err(error));
            }
            Request::Claim { visitor, number, answer } if self.better(&visitor, number, now).is_some() => {
                let better = self.better(&visitor, number, now).map(Claim::Superseded);
                say(answer, better.ok_or(LineError::Unavailable));
            }
            Request::Claim { visitor, number, answer } => match self.desk.claim_now(number, rules, now) {
                Some(known) => say(answer, known),
                // The log knows whose place in a class it is; Redis has no say.
                None if class_of(number) != EVERYBODY => self.desk.claim(number, answer),
                None => {
                    self.places.present(Present { visitor, number, replace: None, tries: 0, why: For::Claim(answer) });
                }
            },
            Request::Leave { number, answer } => self.desk.leave(number, answer),
            Request::Offer { visitor, number, code, answer } => self.take_offer(visitor, (number, code), answer, now),
            Request::Move { visitor, code, answer } => self.desk.move_to(visitor, code, now, answer),
        }
    }

    /// A place is offered by whom it is, and only their best one: of classes the log says which that is, of everybody's line Redis.
    fn take_offer(&mut self, visitor: VisitorHash, (number, code): (u64, u64), answer: Answer<Millis>, now: Millis) {
        if self.desk.fold.moved().is_others(number, &visitor) {
            say(answer, Err(LineError::Moved));
        } else if !self.desk.may_have(&visitor, number) || self.better(&visitor, number, now).is_some() {
            say(answer, Err(LineError::NoMove));
        } else if class_of(number) != EVERYBODY {
            say(answer, self.desk.offer(visitor, number, code, now));
        } else if number > self.desk.fold.numbers_to() {
            say(answer, Err(LineError::NoMove));
        } else {
            let why = For::Offer(code, now, answer);
            self.places.present(Present { visitor, number, replace: None, tries: 0, why });
        }
    }

    /// A place by code goes before one in everybody's line: one person, one turn at a time.
    fn better(&self, visitor: &VisitorHash, number: u64, now: Millis) -> Option<u64> {
        self.desk.class_place(visitor, Some(number), now).filter(|place| *place != number)
    }

    /// The place that a visitor shows who joins. The number that the draw gave is the place, as long as it is not used; behind it
    /// any later number counts, as for everybody.
    fn place_of(&self, visitor: &VisitorHash, drawn: Option<u64>, presented: Option<u64>) -> Option<u64> {
        let moved = self.desk.fold.moved();
        let drawn = drawn.filter(|number| !moved.is_others(*number, visitor));
        let presented = presented.filter(|number| self.desk.may_have(visitor, *number)).or_else(|| moved.of(visitor));
        match (drawn, presented) {
            (Some(drawn), Some(later)) if self.desk.fold.used(drawn) => Some(later),
            (Some(drawn), _) => Some(drawn),
            (None, presented) => presented,
        }
    }

    fn take_join(
        &mut self,
        visitor: VisitorHash,
        presented: Option<u64>,
        (fee, answer): (Fee, Answer<Joined>),
        joining: bool,
        now: Millis,
    ) {
        let Some(number) = presented else {
            return match fee {
                _ if joining && fee == Fee::Unpaid => say(answer, Err(LineError::Unpaid(0))),
                _ if joining => self.places.join(Join { visitor, replace: None, tries: 0, fee, answer }),
                // Nobody is asked for work for a place that there is not.
                Fee::Unpaid => say(answer, Err(LineError::NotJoining)),
                Fee::Free | Fee::After(_) => self.places.present(Present::find(visitor, answer)),
            };
        };
        match self.desk.standing(number, now.not_before(self.desk.fold.at())) {
            Standing::Inside(_) => say(answer, Ok(Joined { number, new: false })),
            // Another place would be one at the end.
            Standing::Unsure => say(answer, Err(LineError::Unavailable)),
            Standing::Ended if !joining => say(answer, Err(LineError::NotJoining)),
            Standing::Ended if !fee.replaces(number) => say(answer, Err(LineError::Unpaid(number))),
            Standing::Ended => self.places.join(Join { visitor, replace: Some(number), tries: 0, fee, answer }),
            Standing::Waiting | Standing::Called => {
                self.places.present(Present { visitor, number, replace: None, tries: 0, why: For::Join(answer) });
            }
        }
    }
}

/// A ticker that does not catch up on ticks it missed.
fn every(ms: u64) -> Interval {
    let mut ticker = interval(std::time::Duration::from_millis(ms));
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticker
}
