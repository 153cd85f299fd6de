//! Keeping a process' picture of a line fresh: one pipelined look at Redis, ten times a second while the sale is open.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use domain::fault::KnownFaults;
use domain::limits::{HEARTBEAT_MS, STEP_MS};
use domain::{Millis, Phase, SaleFold, SaleId};
use futures_util::future::{join, join_all};
use ledger::Ledger;
use lua::hints::Seen;
use lua::{LaneKeys, LineKeys, Redis};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::receipts::{NoBook, Receipts};
use super::shown::Shown;
use super::{Calibration, LineLooked, Looked, Place, Snapshot, place};
use crate::clock::Clock;
use crate::draw::{Book, Places};
use crate::metrics::ToldMetrics;
use crate::sales::SaleMap;
use crate::step::{Answered, Stock};

/// Milliseconds after which stock that was read counts as unknown for the step: three times the deadline of a call, so
/// that one slow answer does not stop the line.
pub const STOCK_GOOD_FOR_MS: u64 = 1_500;
/// Shortest time between two looks, however many hints come.
const LOOK_GAP_MS: u64 = STEP_MS / 4;

/// What this process shows of one sale's line and stock. Cheap to clone; reading it waits for nobody.
#[derive(Clone, Debug, Default)]
pub struct LineView {
    shot: Arc<ArcSwap<Snapshot>>,
    receipts: Option<Receipts>,
}

impl LineView {
    /// A view that nobody has filled yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A view that nobody has filled yet, of this sale, whose receipts can be read from this ledger.
    #[must_use]
    pub fn of(ledger: Ledger, sale: SaleId) -> Self {
        Self { shot: Arc::default(), receipts: Some(Receipts::new(ledger, sale)) }
    }

    /// The receipts of the lobby, once it has closed. Read from the ledger by the first who asks.
    ///
    /// # Errors
    /// [`NoBook`]; it may be asked for again.
    pub async fn book(&self) -> Result<Arc<Book>, NoBook> {
        match &self.receipts {
            Some(receipts) => receipts.book().await,
            None => Err(NoBook::NotClosed),
        }
    }

    /// The picture of now, for one request: hold it no longer than that.
    #[must_use]
    pub fn load(&self) -> Guard<Arc<Snapshot>> {
        self.shot.load()
    }

    /// The picture of now, to keep.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.shot.load_full()
    }

    /// What the visitor with this ticket is told; `jitter` is any random number.
    #[must_use]
    pub fn place(&self, number: u64, jitter: u32) -> Place {
        place(number, &self.shot.load(), jitter)
    }

    /// The stock, unless it was read longer than [`STOCK_GOOD_FOR_MS`] ago.
    #[must_use]
    pub fn stock(&self, now: Millis) -> Option<Stock> {
        self.shot.load().stock(now, STOCK_GOOD_FOR_MS)
    }

    /// What this process knows of failures of ours.
    #[must_use]
    pub fn faults(&self) -> Arc<KnownFaults> {
        Arc::clone(&self.shot.load().faults)
    }

    /// When line and lanes were last seen to work.
    #[must_use]
    pub fn sound_at(&self) -> Option<Millis> {
        self.shot.load().sound_at
    }

    /// When Redis last showed the stock, and how long it took.
    #[must_use]
    pub fn redis(&self) -> Option<Answered> {
        let shot = self.shot.load();
        shot.stock_as_of.map(|at| Answered { at, took_ms: shot.look_ms })
    }

    /// Shows a picture; for the poller and for tests of those who read one.
    pub fn show(&self, shot: Snapshot) {
        self.shot.store(Arc::new(shot));
    }
}

/// Fills a [`LineView`].
pub struct Poller {
    /// Whose line.
    pub sale: SaleId,
    /// This thread's handle.
    pub redis: Redis,
    /// The registry's sales.
    pub sales: watch::Receiver<Arc<SaleMap>>,
    /// Hints for this sale; what they save is waiting for the next look.
    pub hints: watch::Receiver<Seen>,
    /// This process' clock.
    pub clock: Clock,
    /// What is filled.
    pub view: LineView,
}

impl Poller {
    /// Looks ten times a second while the sale is open, each second otherwise, and soon after each hint, until `shutdown`
    /// says true.
    pub async fn run(mut self, mut shutdown: watch::Receiver<bool>) {
        let line = LineKeys::new(&self.sale);
        let (mut lanes, mut hinted) = (Vec::new(), true);
        let (mut calibration, told) = (Calibration::default(), ToldMetrics::new(&self.sale));
        loop {
            let begin = Instant::now();
            let fold = self.sales.borrow_and_update().get(&self.sale).cloned();
            let mut pause = HEARTBEAT_MS;
            if let Some(fold) = fold {
                if lanes.len() != usize::from(fold.doc.lanes) {
                    lanes = (0..fold.doc.lanes).map(|lane| LaneKeys::new(&self.sale, lane)).collect();
                }
                self.look(&fold, &line, &lanes).await;
                let now = (self.clock)();
                let phase = fold.phase(now);
                if phase == Phase::Open {
                    told.count(&calibration.look(&self.view.load(), now));
                }
                if matches!(phase, Phase::Open | Phase::Paused) {
                    pause = STEP_MS;
                }
            }
            tokio::select! {
                () = sleep_until(begin + Duration::from_millis(pause)) => {}
                changed = self.hints.changed(), if hinted => hinted = changed.is_ok(),
                changed = self.sales.changed() => if changed.is_err() { return },
                _ = shutdown.wait_for(|stop| *stop) => return,
            }
            tokio::select! {
                () = sleep_until(begin + Duration::from_millis(LOOK_GAP_MS)) => {}
                _ = shutdown.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// The order of a draw that was published since the last look: computed once, beside everything else.
    async fn places(&self, shown: &Shown) -> Option<Arc<Places>> {
        let order = shown.lobby.as_ref()?.order()?;
        if self.view.load().lobby.as_ref().is_some_and(|lobby| lobby.places.is_some()) {
            return None;
        }
        tokio::task::spawn_blocking(move || order.draw()).await.ok().map(Arc::new)
    }

    /// One look: all calls are sent at once over one connection.
    async fn look(&self, fold: &SaleFold, line: &LineKeys, lanes: &[LaneKeys]) {
        let room = fold.doc.room().is_some();
        let lined = async { if room { lua::line::look(&self.redis, line).await.ok() } else { None } };
        let stocks = join_all(lanes.iter().map(|lane| lua::lane::stock(&self.redis, lane)));
        let begin = Instant::now();
        let (lined, stocks) = join(lined, stocks).await;
        let took = begin.elapsed();
        let line = match lined {
            Some(look) => {
                let shown = Shown::decode(&look.state.doc).unwrap_or_default();
                let places = self.places(&shown).await;
                Some(LineLooked { frontier: look.state.frontier, shown, places })
            }
            None => None,
        };
        let looked = Looked { line, lanes: stocks.into_iter().collect::<Result<Vec<_>, _>>().ok() };
        let mut next = self.view.load().after(&looked, &fold.doc, (self.clock)());
        next.look_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.view.show(next);
    }
}
