//! A line's owner: gets the lease, claims the log, folds it, serves until another owner's fence refuses it, and starts
//! again (R5). Requests are answered all the time; while it owns nothing, with [`LineError::NoOwner`].

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use domain::event::Event as _;
use domain::limits::{LEASE_EVERY_MS, LEASE_LEFT_MS, LEASE_MS, LEASE_REST_MS};
use domain::spread::Spread;
use domain::{LineEvent, LogId, Millis, SaleId};
use ledger::{Ledger, Writer};
use lua::lease::Lease;
use lua::{CallError, LineKeys, Redis};
use tokio::sync::watch;
use tokio::time::sleep;

use super::desk::{Desk, Hall, Watch};
use super::handle::{Inbox, Request, channel};
use super::rules::Rules;
use super::serve::{Served, Server};
use super::{Line, LineError, LineStatus};
use crate::clock::Clock;
use crate::draw::Seed;
use crate::fold::LineFold;
use crate::metrics::LineMetrics;
use crate::remote::{Ends, Outbox};
use crate::sales::SaleMap;
use crate::view::LineView;
use crate::view::shown::Shown;

/// Requests that may wait for a line's owner.
const QUEUE: usize = domain::limits::MAX_OWNER_QUEUE;

/// What a line's owner needs to know.
pub struct LineConfig {
    /// The sale; it must have a waiting room.
    pub sale: SaleId,
    /// Names this process in lease and claim.
    pub owner: String,
    /// The registry's sales.
    pub sales: watch::Receiver<Arc<SaleMap>>,
    /// This process' view of the line, for the stock.
    pub view: LineView,
    /// This machine's clock.
    pub clock: Clock,
    /// Decides the order of the lobby; the same in every process.
    pub seed: Seed,
}

/// Owns a line as long as the lease and the fence let it. Run it once.
pub struct LineOwner {
    pub(crate) config: LineConfig,
    pub(crate) redis: Redis,
    pub(crate) ledger: Ledger,
    pub(crate) log: LogId,
    pub(crate) keys: LineKeys,
    pub(crate) inbox: Inbox,
    pub(crate) metrics: LineMetrics,
    pub(crate) spread: Option<Arc<Spread>>,
}

/// A line's handle and its owner.
#[must_use]
pub fn line(config: LineConfig, redis: Redis, ledger: Ledger) -> (Line, LineOwner) {
    let (handle, inbox) = channel(&config.sale, QUEUE);
    let (log, keys) = (LogId::line(&config.sale), LineKeys::new(&config.sale));
    let metrics = LineMetrics::new(&config.sale);
    (handle, LineOwner { config, redis, ledger, log, keys, inbox, metrics, spread: None })
}

/// Why a take-over came to nothing; it is tried again.
#[derive(Debug, thiserror::Error)]
enum NotTaken {
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    #[error("Redis does not say which numbers were given out")]
    Redis(#[from] CallError),
    #[error("the log is damaged: {0}: look at it with `holdfast log read`, restore the ledger from a backup")]
    Damaged(String),
    #[error("the lobby could not be read: the program is stopping")]
    Stopping,
}

impl LineOwner {
    /// Requests and ends that come while another process owns the line go into this box, instead of being refused or kept.
    #[must_use]
    pub fn forwarding(mut self) -> (Self, Outbox, Ends) {
        let (forward, outbox, ends) = crate::remote::channel();
        self.inbox.forward = Some(forward);
        (self, outbox, ends)
    }

    /// The line is one of those that processes share: another one may own it, and its log is read along until then.
    #[must_use]
    pub fn sharing(mut self, spread: Arc<Spread>) -> Self {
        spread.add_thing();
        self.spread = Some(spread);
        self
    }

    /// Owns the line until `shutdown` says true; then lets others have it.
    pub async fn run(mut self, mut shutdown: watch::Receiver<bool>) {
        let (mut said, mut tail) = (String::new(), None);
        loop {
            let mut pause = LEASE_EVERY_MS;
            let taken = {
                let shared = self.spread.as_ref();
                let log = Log {
                    config: &self.config,
                    redis: &self.redis,
                    ledger: &self.ledger,
                    log: &self.log,
                    keys: &self.keys,
                };
                // On the heap: it is large, and needed once per ownership.
                let taking = Box::pin(log.take_over(shared, &mut tail));
                let stop = shutdown.wait_for(|stop| *stop);
                let Some(taken) = or_stop(refusing(&mut self.inbox, taking), stop).await else { return };
                taken
            };
            match taken {
                Ok(Taken::Mine(desk, writer)) => {
                    said.clear();
                    let owned = self.spread.as_ref().map(Spread::own);
                    let mut server = Server::new(&mut self, *desk, writer, owned);
                    let served = server.serve(&mut shutdown).await;
                    self.inbox.status.send_replace(LineStatus::default());
                    match served {
                        Served::Stopped => break,
                        Served::Lost => {}
                        Served::Left => {
                            // One that is not dropped ends by itself.
                            let _ = lua::lease::drop(&self.redis, (&self.keys).into(), &self.config.owner).await;
                            pause = LEASE_REST_MS;
                        }
                        Served::Damaged => {
                            self.tell_stopped();
                            let stop = shutdown.wait_for(|stop| *stop);
                            drop(refusing(&mut self.inbox, stop).await);
                            break;
                        }
                    }
                }
                // Not before its lease ends, and then at once: who died is followed as soon as may be.
                Ok(Taken::Others(left_ms)) => {
                    pause = pause.min(left_ms + 1);
                    self.tell(LineStatus::default());
                }
                Ok(Taken::Nothing) => self.tell(LineStatus::default()),
                Err(error) => {
                    if matches!(error, NotTaken::Damaged(_)) {
                        self.tell_stopped();
                    }
                    if error.to_string() != said {
                        said = error.to_string();
                        tracing::warn!(sale = %self.config.sale, "the line is not taken over: {said}");
                    }
                }
            }
            let pause = sleep(Duration::from_millis(pause));
            let stop = shutdown.wait_for(|stop| *stop);
            if or_stop(refusing(&mut self.inbox, pause), stop).await.is_none() {
                break;
            }
        }
        self.inbox.status.send_replace(LineStatus::default());
        // Whoever waits for the lease need not wait until it has run out.
        let _ = lua::lease::drop(&self.redis, (&self.keys).into(), &self.config.owner).await;
    }
}

impl LineOwner {
    /// The log cannot be trusted: shown until the line is taken over after all.
    fn tell_stopped(&self) {
        self.tell(LineStatus { stopped: true, ..LineStatus::default() });
    }

    fn tell(&self, status: LineStatus) {
        self.metrics.status(&status, 0, 0);
        self.inbox.status.send_replace(status);
    }
}

/// What a try to own the line came to.
enum Taken {
    /// It is this process'.
    Mine(Box<Desk>, Writer),
    /// Another has the lease, for so many milliseconds at most.
    Others(u64),
    /// Something was not as it has to be; it is tried again.
    Nothing,
}

/// The line's log and lease, for one that does not own it.
struct Log<'a> {
    config: &'a LineConfig,
    redis: &'a Redis,
    ledger: &'a Ledger,
    log: &'a LogId,
    keys: &'a LineKeys,
}

impl Log<'_> {
    /// Gets the lease, claims the log and folds it. Where another process has the lease, the log is read along into `tail`, so that
    /// a take-over folds only what came since.
    async fn take_over(&self, spread: Option<&Arc<Spread>>, tail: &mut Option<LineFold>) -> Result<Taken, NotTaken> {
        let left = spread.is_some_and(|spread| !spread.census().takes_at_once());
        if let Lease::Other { left_ms, .. } = self.lease(left).await? {
            if spread.is_some() {
                self.read_along(tail).await?;
            }
            return Ok(Taken::Others(left_ms));
        }
        keeping_lease(self.config, self.redis, self.keys, self.claim(tail)).await
    }

    /// Takes the lease. `left`: to be left to others for a moment where it is free.
    async fn lease(&self, left: bool) -> Result<Lease, CallError> {
        let owner = &self.config.owner;
        if left {
            match lua::lease::holder(self.redis, self.keys.into()).await? {
                Some(holder) if holder != *owner => return Ok(Lease::Other { owner: holder, left_ms: LEASE_EVERY_MS }),
                _ => sleep(Duration::from_millis(LEASE_LEFT_MS)).await,
            }
        }
        lua::lease::take(self.redis, self.keys.into(), owner, LEASE_MS).await
    }

    fn rules(&self) -> Option<Rules> {
        Rules::of(self.config.sales.borrow().get(&self.config.sale).map(Arc::as_ref), (self.config.clock)())
    }

    async fn read_along(&self, tail: &mut Option<LineFold>) -> Result<(), NotTaken> {
        let Some(rules) = self.rules() else { return Ok(()) };
        // Taken out: what cannot be folded is read from the beginning next time.
        let fold = tail.take().unwrap_or_else(|| LineFold::new(rules.room.claim_grace_ms));
        *tail = Some(self.folded(fold, rules.room.claim_grace_ms).await?);
        Ok(())
    }

    /// Claims the log and folds what is not folded yet.
    async fn claim(&self, tail: &mut Option<LineFold>) -> Result<Taken, NotTaken> {
        let Some(rules) = self.rules() else { return Ok(Taken::Nothing) };
        let grace_ms = rules.room.claim_grace_ms;
        let writer = self.ledger.claim(self.log, &self.config.owner).await?;
        // More than the log has: then the ledger is another one by now.
        let known = tail.take().filter(|fold| fold.seq() <= writer.head);
        let fold = self.folded(known.unwrap_or_else(|| LineFold::new(grace_ms)), grace_ms).await?;
        let fold = settled(fold, &self.config.sale).await?;
        if fold.seq() != writer.head {
            // Somebody claimed after us and appended; the fence would refuse us anyway.
            return Ok(Taken::Nothing);
        }
        let (issued, watch) = published(self.redis, self.keys, &fold, (self.config.clock)()).await?;
        tracing::info!(sale = %self.config.sale, fence = writer.fence, head = writer.head, frontier = fold.frontier(), "owns the line");
        let hall = Hall::new(self.config.sale.clone(), self.config.seed);
        Ok(Taken::Mine(Box::new(Desk::new(fold, issued, hall, watch)), writer))
    }

    async fn folded(&self, mut fold: LineFold, grace_ms: u64) -> Result<LineFold, NotTaken> {
        let (mut fault, after) = (None, fold.seq());
        fold.keep_turns_for(grace_ms);
        let fold_one = |entry: ledger::Entry| {
            if fault.is_none() {
                let folded = LineEvent::decode(&entry.event).map_err(|e| e.to_string());
                let folded = folded.and_then(|event| fold.apply(entry.seq, &event).map_err(|e| e.to_string()));
                fault = folded.err();
            }
        };
        self.ledger.read_all(self.log, after, fold_one).await?;
        match fault {
            Some(fault) => Err(NotTaken::Damaged(fault)),
            None => Ok(fold),
        }
    }
}

/// Runs `work` with the lease renewed: a long log takes longer to fold than a lease lives, and whoever claimed meanwhile
/// would have to be fenced again.
async fn keeping_lease<T>(config: &LineConfig, redis: &Redis, keys: &LineKeys, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let mut tick = tokio::time::interval(Duration::from_millis(LEASE_EVERY_MS));
    loop {
        tokio::select! {
            done = &mut work => return done,
            _ = tick.tick() => drop(lua::lease::take(redis, keys.into(), &config.owner, LEASE_MS).await),
        }
    }
}

/// The fold with its lobby completed, on a thread of its own: the owners of other lines and lanes go on.
async fn settled(mut fold: LineFold, sale: &SaleId) -> Result<LineFold, NotTaken> {
    if fold.lobby().count() == 0 {
        return Ok(fold);
    }
    let sale = sale.clone();
    let work = move || fold.lobby_mut().settle(&sale).map(|()| fold);
    match tokio::task::spawn_blocking(work).await {
        Ok(settled) => settled.map_err(|why| NotTaken::Damaged(why.to_string())),
        Err(_) => Err(NotTaken::Stopping),
    }
}

/// The highest number known to be given out, and up to when the front is vouched for: what the owner before published a moment
/// ago. Without it (Redis was lost as well) the last block may be anybody's: it becomes a gap, and tickets out of it are called
/// when the frontier jumps it.
async fn published(redis: &Redis, keys: &LineKeys, fold: &LineFold, now: Millis) -> Result<(u64, Watch), CallError> {
    let shown = match lua::line::look(redis, keys).await {
        Ok(look) => Shown::decode(&look.state.doc),
        // Damaged is lost: the first state that is published removes it.
        Err(CallError::NotLoaded | CallError::Broken { .. }) => None,
        Err(error) => return Err(error),
    };
    let watch = Watch::taken_over(shown.as_ref().map(|shown| shown.faults_known_to), fold, now);
    Ok((fold.issued(shown.map(|shown| shown.issued)), watch))
}

/// Runs `work`; requests that come meanwhile are forwarded, or answered that nobody owns the line.
async fn refusing<T>(inbox: &mut Inbox, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            Some(asked) = inbox.requests.recv() => inbox.pass_on(asked),
            Some(ended) = inbox.ended.recv() => inbox.keep(ended),
        }
    }
}

/// The outcome of `work`, or `None` when `stop` comes first.
async fn or_stop<T, S>(work: impl Future<Output = T>, stop: impl Future<Output = S>) -> Option<T> {
    tokio::select! {
        done = work => Some(done),
        _ = stop => None,
    }
}

impl Request {
    /// Answers without having done anything.
    pub(crate) fn refuse(self, error: LineError) {
        match self {
            Self::Come { answer, .. } => drop(answer.send(Err(error))),
            Self::Join { answer, .. } => drop(answer.send(Err(error))),
            Self::Offer { answer, .. } => drop(answer.send(Err(error))),
            Self::Move { answer, .. } => drop(answer.send(Err(error))),
            Self::Redeem { answer, .. } => drop(answer.send(Err(error))),
            Self::Claim { answer, .. } => drop(answer.send(Err(error))),
            Self::Leave { answer, .. } => drop(answer.send(Err(error))),
        }
    }
}
