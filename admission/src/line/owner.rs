//! A line's owner: gets the lease, claims the log, folds it, serves until another owner's fence refuses it, and starts
//! again (R5). Requests are answered all the time; while it owns nothing, with [`LineError::NoOwner`].

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use domain::event::Event as _;
use domain::limits::{LEASE_EVERY_MS, LEASE_MS};
use domain::{LineEvent, LogId, SaleId};
use ledger::{Ledger, Writer};
use lua::lease::Lease;
use lua::{CallError, LineKeys, Redis};
use tokio::sync::watch;
use tokio::time::sleep;

use super::desk::{Desk, Hall};
use super::handle::{Inbox, Request, channel};
use super::rules::Rules;
use super::serve::{Served, Server};
use super::{Line, LineError, LineStatus};
use crate::clock::Clock;
use crate::draw::Seed;
use crate::fold::LineFold;
use crate::metrics::LineMetrics;
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
}

/// A line's handle and its owner.
#[must_use]
pub fn line(config: LineConfig, redis: Redis, ledger: Ledger) -> (Line, LineOwner) {
    let (handle, inbox) = channel(&config.sale, QUEUE);
    let (log, keys) = (LogId::line(&config.sale), LineKeys::new(&config.sale));
    let metrics = LineMetrics::new(&config.sale);
    (handle, LineOwner { config, redis, ledger, log, keys, inbox, metrics })
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
    /// Owns the line until `shutdown` says true; then lets others have it.
    pub async fn run(mut self, mut shutdown: watch::Receiver<bool>) {
        let mut said = String::new();
        loop {
            let taken = {
                // On the heap: it is large, and needed once per ownership.
                let taking = Box::pin(take_over(&self.config, &self.redis, &self.ledger, &self.log, &self.keys));
                let stop = shutdown.wait_for(|stop| *stop);
                let Some(taken) = or_stop(refusing(&mut self.inbox, taking), stop).await else { return };
                taken
            };
            match taken {
                Ok(Some((desk, writer))) => {
                    said.clear();
                    let mut server = Server::new(&mut self, desk, writer);
                    let served = server.serve(&mut shutdown).await;
                    self.inbox.status.send_replace(LineStatus::default());
                    match served {
                        Served::Stopped => break,
                        Served::Lost => {}
                        Served::Damaged => {
                            self.tell_stopped();
                            let stop = shutdown.wait_for(|stop| *stop);
                            drop(refusing(&mut self.inbox, stop).await);
                            break;
                        }
                    }
                }
                Ok(None) => self.tell(LineStatus::default()),
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
            let pause = sleep(Duration::from_millis(LEASE_EVERY_MS));
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

/// Gets the lease, claims the log and folds it. `None`: another has the lease.
async fn take_over(
    config: &LineConfig,
    redis: &Redis,
    ledger: &Ledger,
    log: &LogId,
    keys: &LineKeys,
) -> Result<Option<(Desk, Writer)>, NotTaken> {
    if let Lease::Other { .. } = lua::lease::take(redis, keys.into(), &config.owner, LEASE_MS).await? {
        return Ok(None);
    }
    keeping_lease(config, redis, keys, claim(config, redis, ledger, log, keys)).await
}

/// Claims the log and folds it.
async fn claim(
    config: &LineConfig,
    redis: &Redis,
    ledger: &Ledger,
    log: &LogId,
    keys: &LineKeys,
) -> Result<Option<(Desk, Writer)>, NotTaken> {
    let rules = Rules::of(config.sales.borrow().get(&config.sale).map(Arc::as_ref), (config.clock)());
    let Some(rules) = rules else { return Ok(None) };
    let writer = ledger.claim(log, &config.owner).await?;
    let fold = settled(folded(ledger, log, rules.room.claim_grace_ms).await?, &config.sale).await?;
    if fold.seq() != writer.head {
        // Somebody claimed after us and appended; the fence would refuse us anyway.
        return Ok(None);
    }
    let issued = issued(redis, keys, &fold).await?;
    tracing::info!(sale = %config.sale, fence = writer.fence, head = writer.head, frontier = fold.frontier(), "owns the line");
    Ok(Some((Desk::new(fold, issued, Hall::new(config.sale.clone(), config.seed)), writer)))
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

async fn folded(ledger: &Ledger, log: &LogId, grace_ms: u64) -> Result<LineFold, NotTaken> {
    let (mut fold, mut fault) = (LineFold::new(grace_ms), None);
    let fold_one = |entry: ledger::Entry| {
        if fault.is_none() {
            let folded = LineEvent::decode(&entry.event).map_err(|e| e.to_string());
            let folded = folded.and_then(|event| fold.apply(entry.seq, &event).map_err(|e| e.to_string()));
            fault = folded.err();
        }
    };
    ledger.read_all(log, 0, fold_one).await?;
    match fault {
        Some(fault) => Err(NotTaken::Damaged(fault)),
        None => Ok(fold),
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

/// The highest number known to be given out: what the owner before published a moment ago. Without it (Redis was lost as
/// well) the last block may be anybody's: it becomes a gap, and tickets out of it are called when the frontier jumps it.
async fn issued(redis: &Redis, keys: &LineKeys, fold: &LineFold) -> Result<u64, CallError> {
    let published = match lua::line::look(redis, keys).await {
        Ok(look) => Shown::decode(&look.state.doc).map(|shown| shown.issued),
        // Damaged is lost: the first state that is published removes it.
        Err(CallError::NotLoaded | CallError::Broken { .. }) => None,
        Err(error) => return Err(error),
    };
    Ok(fold.issued(published))
}

/// Runs `work`; requests that come meanwhile are answered that nobody owns the line.
async fn refusing<T>(inbox: &mut Inbox, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            Some(request) = inbox.requests.recv() => request.refuse(LineError::NoOwner),
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
            Self::Claim { answer, .. } => drop(answer.send(Err(error))),
            Self::Leave { answer, .. } => drop(answer.send(Err(error))),
        }
    }
}
