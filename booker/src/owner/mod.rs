//! The owner of a lane: one task with all of the lane's state, no locks.
//!
//! It runs the lane's scripts in groups, decides, appends, settles and watches. What waits for Redis or the ledger is a future
//! in `calls`; between two of them every step is synchronous, so nothing can come in between.

mod ages;
mod backoff;
mod commit;
mod confirms;
mod damage;
mod dry;
mod reconcile;
mod siblings;
mod standby;
mod tenure;
mod transfers;
mod visitors;
mod watching;

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use domain::fault::KnownFaults;
use domain::limits::{CONFIRM_PATIENCE_MS, MAX_OWNER_QUEUE};
use domain::{HoldId, LogId, Millis, SaleDoc};
use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use ledger::{Append, Entry, Head, Ledger, Writer};
use lua::lane::{
    CancelReply, ConfirmReplies, GiveReply, HoldReplies, LaneMeta, LaneState, LaneStock, LoadReply, Look, MendReply,
    ReapReply, RecountReply, ReleaseReply, SettleReply, Undecided,
};
use lua::lease::Lease;
use lua::{CallError, LaneKeys, Redis};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::answer::{GiveAnswer, LaneError, LaneStatus};
use crate::committer::{Asked, Bounds, LoadStep};
use crate::lane::{Asked as Request, Command, From, Lane, LaneConfig, Reply};
use crate::metrics::{Metrics, TransferMetrics};
use crate::remote::{Forwarded, Outbox};
use crate::transfer::Round;
use confirms::Confirms;
use siblings::Neighbours;
use standby::Standby;
use tenure::{Phase, Timers};
use visitors::{HoldWait, LeaveWait, LookWait, ReleaseWait, Visitors};

/// A lane and its owner. The owner does nothing until it is run. Numbers of passes that ended by a booking go to `ended`, at
/// least once each.
#[must_use]
pub fn lane(
    config: LaneConfig,
    redis: Redis,
    ledger: Ledger,
    ended: mpsc::UnboundedSender<Vec<u64>>,
) -> (Lane, LaneOwner) {
    let (sender, commands) = mpsc::channel(MAX_OWNER_QUEUE);
    let (status, seen) = watch::channel(LaneStatus::default());
    let lane = Lane::new(config.sale.clone(), config.lane, sender, seen);
    let metrics = Metrics::new(config.sale.as_str(), config.lane);
    let hint = config.doc.clone();
    // The number of lanes is fixed for the life of a sale.
    let lanes = config.doc.borrow().lanes;
    let measured = || TransferMetrics::new(config.sale.as_str(), config.lane);
    let neighbours = (lanes > 1).then(|| Box::new(Neighbours::new(lanes, measured(), Instant::now())));
    let context = Context {
        keys: LaneKeys::new(&config.sale, config.lane),
        log: LogId::lane(&config.sale, config.lane),
        sale_log: LogId::sale(&config.sale),
        redis,
        ledger,
        config,
        bounds: Bounds::default(),
    };
    let owner = LaneOwner {
        context: Arc::new(context),
        commands,
        forward: None,
        standby: Standby::new(Instant::now()),
        hint,
        status,
        ended,
        calls: FuturesUnordered::new(),
        visitors: Visitors::default(),
        confirms: Confirms::default(),
        giving: HashMap::new(),
        neighbours,
        phase: Phase::Waiting,
        claims: 0,
        timers: Timers::new(Instant::now()),
        metrics,
    };
    (lane, owner)
}

/// What every call needs.
struct Context {
    config: LaneConfig,
    keys: LaneKeys,
    log: LogId,
    sale_log: LogId,
    redis: Redis,
    ledger: Ledger,
    bounds: Bounds,
}

impl Context {
    fn doc(&self) -> Arc<SaleDoc> {
        self.config.doc.borrow().clone()
    }

    fn faults(&self) -> Arc<KnownFaults> {
        (self.config.faults)()
    }
}

/// See the module's text. Run it with [`LaneOwner::run`].
pub struct LaneOwner {
    context: Arc<Context>,
    commands: mpsc::Receiver<Request>,
    /// Where requests go while another process owns the lane.
    forward: Option<mpsc::Sender<Forwarded>>,
    /// The log as it is read while another process owns the lane; who shares the lanes.
    standby: Standby,
    /// The sale's document changed: perhaps there is new stock.
    hint: watch::Receiver<Arc<SaleDoc>>,
    status: watch::Sender<LaneStatus>,
    ended: mpsc::UnboundedSender<Vec<u64>>,
    calls: FuturesUnordered<BoxFuture<'static, Done>>,
    visitors: Visitors,
    confirms: Confirms,
    /// Claims of units that are to leave, and who waits for each.
    giving: HashMap<HoldId, Vec<Reply<Result<GiveAnswer, LaneError>>>>,
    /// Where the sale has other lanes.
    neighbours: Option<Box<Neighbours>>,
    phase: Phase,
    /// Counts claims begun: what was asked under an earlier one is not for this one.
    claims: u64,
    timers: Timers,
    metrics: Metrics,
}

/// Something that was waited for.
struct Done {
    claim: u64,
    what: What,
}

enum What {
    Holds(Vec<HoldWait>, Result<HoldReplies, CallError>),
    Releases(Vec<ReleaseWait>, Result<Vec<ReleaseReply>, CallError>),
    Looks(Vec<LookWait>, Result<Look, CallError>),
    Leaves(Vec<LeaveWait>, Result<(), CallError>),
    Confirms(Vec<HoldId>, Result<ConfirmReplies, CallError>),
    Cancels(Vec<HoldId>, Result<Vec<CancelReply>, CallError>),
    Lease(Result<Lease, CallError>),
    Claimed(Result<Writer, ledger::Error>),
    Page(Result<Vec<Entry>, ledger::Error>),
    Tail(Result<Vec<Entry>, ledger::Error>),
    Appended(Result<Append, ledger::Error>, Instant),
    Settled(Result<SettleReply, CallError>),
    Replay(Result<Vec<Entry>, ledger::Error>),
    Load(LoadStep, Result<LoadReply, CallError>),
    Meta(Asked, Result<LaneMeta, CallError>),
    Head(Asked, Option<LaneState>, Result<Head, ledger::Error>),
    Undecided(Result<Vec<Undecided>, CallError>),
    Reaped(Result<ReapReply, CallError>),
    SaleLog(Result<Vec<Entry>, ledger::Error>),
    Mended(Result<MendReply, CallError>),
    Recounted(Result<RecountReply, CallError>, Duration),
    Emptied(Result<bool, CallError>),
    Unloaded(Result<bool, CallError>),
    Round(Instant, Round),
    Free(Result<LaneStock, CallError>),
    Gave(HoldId, u16, Result<GiveReply, CallError>),
    Asked(u16, Result<GiveAnswer, LaneError>),
    Units(u16, Result<Vec<Entry>, ledger::Error>),
    Fetched(u16, Result<Vec<u64>, LaneError>),
}

impl LaneOwner {
    /// Requests that come while another process owns the lane go into this box, instead of being refused.
    #[must_use]
    pub fn forwarding(mut self) -> (Self, Outbox) {
        let (sender, outbox) = Outbox::new();
        self.forward = Some(sender);
        (self, outbox)
    }

    /// Owns the lane whenever it gets the lease, until `shutdown`; then finishes what is under way, for at most
    /// `domain::limits::CONFIRM_PATIENCE_MS`, and gives the lease back.
    pub async fn run(mut self, shutdown: impl Future<Output = ()> + Send) {
        let mut shutdown = pin!(shutdown);
        let mut until: Option<Instant> = None;
        let (mut open, mut hinted) = (true, true);
        loop {
            let now = Instant::now();
            self.pump(now);
            self.report();
            if until.is_some_and(|end| end <= now || self.is_idle()) {
                break;
            }
            let wake = self.next_wake().min(until.unwrap_or_else(|| now + Duration::from_secs(1)));
            tokio::select! {
                biased;
                () = &mut shutdown, if until.is_none() => {
                    until = Some(Instant::now() + Duration::from_millis(CONFIRM_PATIENCE_MS));
                }
                Some(done) = self.calls.next(), if !self.calls.is_empty() => {
                    self.take(done);
                    // Whatever else has come meanwhile is taken in one go, so that the next groups are large.
                    while let Some(Some(done)) = self.calls.next().now_or_never() {
                        self.take(done);
                    }
                }
                request = self.commands.recv(), if open && self.has_room() => match request {
                    Some(request) => self.accept(request),
                    None => open = false,
                },
                changed = self.hint.changed(), if hinted => {
                    hinted = changed.is_ok();
                    self.timers.pull = now;
                }
                () = tokio::time::sleep_until(wake) => {}
            }
            while self.has_room()
                && let Ok(request) = self.commands.try_recv()
            {
                self.accept(request);
            }
        }
        let (context, leased) = (self.context.clone(), self.wants_lease());
        drop(self);
        if leased {
            let dropped = lua::lease::drop(&context.redis, (&context.keys).into(), &context.config.owner).await;
            if let Err(error) = dropped {
                tracing::debug!(log = %context.log, %error, "the lease was not given back and ends by itself");
            }
        }
    }

    /// Requests beyond the bound stay in the channel, and beyond that one are refused as busy (I9).
    fn has_room(&self) -> bool {
        let parked = self.neighbours.as_ref().map_or(0, |all| all.parked.len());
        self.visitors.waiting() + self.confirms.waiting() + parked < MAX_OWNER_QUEUE
    }

    fn start(&mut self, what: impl Future<Output = What> + Send + 'static) {
        let claim = self.claims;
        self.calls.push(what.map(move |what| Done { claim, what }).boxed());
    }

    fn pump(&mut self, now: Instant) {
        self.on_timers(now);
        self.pump_dry(now);
        self.pump_visitors();
        self.pump_confirms();
        self.pump_commit(now);
        self.pump_redis(now);
    }

    fn take(&mut self, done: Done) {
        // Visitors' calls are theirs, whoever owns the lane by now.
        let (current, now) = (done.claim == self.claims, Instant::now());
        if let Some(why) = damage::broken(&done.what) {
            self.on_broken(why, now);
        }
        match done.what {
            What::Holds(waiting, result) => self.on_holds(waiting, result),
            What::Releases(waiting, result) => self.on_releases(waiting, result),
            What::Looks(waiting, result) => self.on_looks(waiting, result),
            What::Leaves(waiting, result) => self.on_leaves(waiting, &result),
            What::Confirms(ids, result) => self.on_confirms(&ids, result),
            What::Cancels(ids, result) => self.on_cancels(&ids, result),
            What::Lease(result) => self.on_lease(result, now),
            _ if !current => {}
            What::Claimed(result) => self.on_claimed(result, now),
            What::Page(result) => self.on_page(result, now),
            What::Tail(result) => self.on_tail(result, now),
            What::Appended(result, began) => self.on_appended(result, began, now),
            What::Settled(result) => self.on_settled(result, now),
            What::Replay(result) => self.on_replay(result, now),
            What::Load(step, result) => self.on_load(&step, result, now),
            What::Meta(asked, result) => self.on_meta(asked, result, now),
            What::Head(asked, state, result) => self.on_head(asked, state, result),
            What::Undecided(result) => self.on_undecided(result),
            What::Reaped(result) => self.on_reaped(&result, now),
            What::SaleLog(result) => self.on_sale_log(result, now),
            What::Mended(result) => self.on_mended(result),
            What::Recounted(result, took) => self.on_recounted(result, took),
            What::Emptied(result) => self.on_emptied(&result),
            What::Unloaded(result) => self.on_unloaded(result, now),
            What::Round(began, round) => self.on_round(began, round, now),
            What::Free(result) => self.on_free(result, now),
            What::Gave(id, to, result) => self.on_gave(id, to, result),
            What::Asked(lane, answer) => self.on_asked(lane, answer, now),
            What::Units(lane, result) => self.on_units(lane, result),
            What::Fetched(lane, answer) => self.on_fetched(lane, answer, now),
        }
    }

    fn accept(&mut self, Request { command, from }: Request) {
        match &self.phase {
            Phase::Serving(_) if self.standby.is_leaving() => self.pass_on(command, from),
            Phase::Serving(_) => match command {
                Command::Hold(request, reply) => self.accept_hold(request, reply),
                Command::Confirm(confirm, reply) => self.accept_confirm(confirm, reply),
                Command::Cancel(id, visitor, reply) => self.accept_cancel(id, visitor, reply),
                Command::Release(id, visitor, reply) => self.accept_release(id, visitor, reply),
                Command::Look(id, visitor, reply) => self.accept_look(id, visitor, reply),
                Command::Bookings(visitor, reply) => {
                    let _ = reply.send(Ok(self.bookings(&visitor)));
                }
                Command::Booking(id, visitor, reply) => {
                    let _ = reply.send(Ok(self.booking(id, &visitor)));
                }
                Command::Leave(visitor, pass, reply) => self.accept_leave(visitor, pass, reply),
                Command::Give(request, reply) => self.accept_give(request, reply),
                Command::Given(to, after, reply) => self.answer_given(to, after, reply),
            },
            Phase::Stopped => self.refuse(command, LaneError::Stopped),
            Phase::Waiting | Phase::Claiming(_) | Phase::Folding(_) => self.pass_on(command, from),
        }
    }

    /// Somebody else owns the lane, or nobody does: whoever is asked for the lease's holder knows.
    fn pass_on(&self, command: Command, from: From) {
        match (&self.forward, from) {
            (Some(forward), From::Here) => crate::remote::pass_on(forward, command),
            _ => self.refuse(command, LaneError::NoOwner),
        }
    }

    /// Answers without an owner. A caller who stopped waiting is nobody to tell.
    fn refuse(&self, command: Command, error: LaneError) {
        match command {
            Command::Hold(_, reply) => self.reply_hold(reply, Err(error)),
            Command::Confirm(_, reply) => self.reply_confirm(reply, Err(error)),
            Command::Cancel(_, _, reply) => self.reply_cancel(reply, Err(error)),
            Command::Release(_, _, reply) => drop(reply.send(Err(error))),
            Command::Look(_, _, reply) => drop(reply.send(Err(error))),
            Command::Bookings(_, reply) => drop(reply.send(Err(error))),
            Command::Booking(_, _, reply) => drop(reply.send(Err(error))),
            Command::Leave(_, _, reply) => drop(reply.send(Err(error))),
            Command::Give(_, reply) => drop(reply.send(Err(error))),
            Command::Given(_, _, reply) => drop(reply.send(Err(error))),
        }
    }
}

/// This process' clock. Deadlines never come from here: they are Redis' (R6).
fn clock() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Why a call did nothing, in a visitor's terms.
fn lane_error(error: &CallError) -> LaneError {
    match error {
        CallError::NotLoaded | CallError::NotExecuted { .. } => LaneError::NotLoaded,
        // A script that failed may have done a part.
        CallError::Unknown { .. } | CallError::Broken { .. } => LaneError::Unknown,
    }
}
