//! The registry of sales: the only writer of `sale/{sale}` logs, and everybody's source of what is on sale.
//!
//! Every act claims the sale's log anew, folds what others appended meanwhile, decides, and appends under that fence; two
//! processes that act at once are put in order by the log, and the second one decides on what the first has left.
//! Acts are rare, so a claim per act costs nothing that matters and needs no lease.

mod acts;
mod error;
mod poll;
mod read;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use domain::id::sale_tag;
use domain::{Act, Actor, LogId, SaleDoc, SaleEvent, SaleFold, SaleId};
use ledger::{Append, Ledger};
use tokio::sync::watch;

use crate::clock::Clock;
pub use acts::StockChange;
pub use error::SalesError;

/// All sales by id.
pub type SaleMap = BTreeMap<SaleId, Arc<SaleFold>>;

/// How often an act that another process overtook is decided anew.
const MAX_TRIES: usize = 16;

/// What an act did.
#[derive(Clone, PartialEq, Debug)]
pub enum Acted {
    /// The sale is new.
    Created(Arc<SaleFold>),
    /// The sale changed.
    Changed(Arc<SaleFold>),
    /// It was so already; nothing was recorded.
    Unchanged(Arc<SaleFold>),
}

impl Acted {
    /// The sale after the act.
    #[must_use]
    pub const fn fold(&self) -> &Arc<SaleFold> {
        match self {
            Self::Created(fold) | Self::Changed(fold) | Self::Unchanged(fold) => fold,
        }
    }
}

/// The registry. Cheap to clone.
#[derive(Clone)]
pub struct Sales(Arc<Inner>);

struct Inner {
    ledger: Ledger,
    owner: String,
    clock: Clock,
    /// Acts of this process, one after the other.
    acts: tokio::sync::Mutex<()>,
    sales: watch::Sender<Arc<SaleMap>>,
    /// Logs that could not be folded, and why. The sale stays as it was last understood.
    faults: Mutex<BTreeMap<LogId, String>>,
}

impl Sales {
    /// Folds every sale in the ledger. `owner` names this process in the logs' claims.
    ///
    /// A log that cannot be read as a sale is reported by [`Sales::faults`] and leaves the other sales alone.
    ///
    /// # Errors
    /// [`SalesError::Store`] when the ledger cannot be read.
    pub async fn start(ledger: Ledger, owner: String, clock: Clock) -> Result<Self, SalesError> {
        let inner = Inner {
            ledger,
            owner,
            clock,
            acts: tokio::sync::Mutex::new(()),
            sales: watch::Sender::new(Arc::new(SaleMap::new())),
            faults: Mutex::new(BTreeMap::new()),
        };
        let sales = Self(Arc::new(inner));
        sales.refresh().await?;
        Ok(sales)
    }

    /// Creates the sale of this document, or changes it into it. With `if_match` only when the sale's revision is that one
    /// (0: only when there is no such sale). The document is taken as checked by itself (`SaleDoc::from_toml`).
    ///
    /// # Errors
    /// [`SalesError`]; nothing is recorded, or, where it says so, the outcome is unknown and the same call may be repeated.
    pub async fn apply(&self, doc: SaleDoc, if_match: Option<u64>, actor: Actor) -> Result<Acted, SalesError> {
        let id = doc.id.clone();
        self.no_clash(&id).await?;
        self.act(&id, actor, |now| define(now, &doc, if_match)).await
    }

    /// Opens the sale now, whatever its `opens_at` says. Idempotent.
    ///
    /// # Errors
    /// [`SalesError`]; a closed sale stays closed, and one past its `closes_at` until its document says a later one.
    pub async fn open(&self, sale: &SaleId, actor: Actor) -> Result<Acted, SalesError> {
        self.act(sale, actor, |now| {
            let fold = now.ok_or(SalesError::NotFound)?;
            let over = fold.doc.closes_at.filter(|at| *at <= (self.0.clock)());
            match (fold.closed, over, fold.opened) {
                (Some(_), ..) => Err(SalesError::Closed),
                (None, Some(at), _) => Err(SalesError::Over(at)),
                (None, None, Some(_)) => Ok(None),
                (None, None, None) => Ok(Some(Act::Open)),
            }
        })
        .await
    }

    /// Stops calling, letting in and holding until [`Sales::resume`]; visitors are told `message`. Places, holds and
    /// confirms go on as they are. Idempotent for the same message.
    ///
    /// # Errors
    /// [`SalesError`]; a closed sale cannot be paused.
    pub async fn pause(&self, sale: &SaleId, message: String, actor: Actor) -> Result<Acted, SalesError> {
        self.act(sale, actor, |now| {
            let fold = acts::living(now)?;
            let so_already = fold.paused.as_ref() == Some(&message);
            Ok((!so_already).then(|| Act::Pause { message: message.clone() }))
        })
        .await
    }

    /// Goes on after a pause. The pace grows to its full height within `ramp_ms`. Idempotent.
    ///
    /// # Errors
    /// [`SalesError`]; a closed sale stays closed.
    pub async fn resume(&self, sale: &SaleId, ramp_ms: u64, actor: Actor) -> Result<Acted, SalesError> {
        self.act(sale, actor, |now| Ok(acts::living(now)?.paused.is_some().then_some(Act::Resume { ramp_ms }))).await
    }

    /// Changes the pace of the sale's waiting room. Idempotent.
    ///
    /// # Errors
    /// [`SalesError`]; [`SalesError::NoRoom`] where there is no waiting room.
    pub async fn pace(&self, sale: &SaleId, per_minute: u32, actor: Actor) -> Result<Acted, SalesError> {
        self.act(sale, actor, |now| {
            let room = acts::room(now)?;
            Ok((room.pace_per_minute != per_minute).then_some(Act::Pace { per_minute }))
        })
        .await
    }

    /// Changes how many passes may be alive at once. Idempotent.
    ///
    /// # Errors
    /// [`SalesError`]; [`SalesError::NoRoom`] where there is no waiting room.
    pub async fn cap(&self, sale: &SaleId, active_passes: u32, actor: Actor) -> Result<Acted, SalesError> {
        self.act(sale, actor, |now| {
            let room = acts::room(now)?;
            Ok((room.active_passes != active_passes).then_some(Act::Cap { active_passes }))
        })
        .await
    }

    /// Lets new visitors join the line, or no more. Who has a place keeps it. Idempotent.
    ///
    /// # Errors
    /// [`SalesError`]; [`SalesError::NoRoom`] where there is no waiting room.
    pub async fn joining(&self, sale: &SaleId, open: bool, actor: Actor) -> Result<Acted, SalesError> {
        self.act(sale, actor, |now| {
            acts::room(now)?;
            Ok((acts::living(now)?.joining != open).then_some(Act::Joining { open }))
        })
        .await
    }

    /// Calls everybody whom the stock can serve, or goes back to pace and cap. Passes are issued within pace and cap
    /// all the same (I7). Idempotent.
    ///
    /// # Errors
    /// [`SalesError`]; [`SalesError::NoRoom`] where there is no waiting room.
    pub async fn let_through(&self, sale: &SaleId, on: bool, actor: Actor) -> Result<Acted, SalesError> {
        self.act(sale, actor, |now| {
            acts::room(now)?;
            Ok((acts::living(now)?.let_through != on).then_some(Act::LetThrough { on }))
        })
        .await
    }

    /// Adds units to an item. Idempotent under the change's key.
    ///
    /// # Errors
    /// [`SalesError`]; [`SalesError::NoItem`], [`SalesError::TooManyUnits`], [`SalesError::KeyReused`].
    pub async fn add_stock(&self, sale: &SaleId, more: &StockChange<'_>, actor: Actor) -> Result<Acted, SalesError> {
        self.act(sale, actor, |now| acts::stock(acts::living(now)?, more)).await
    }

    /// Records that units are to leave an item: the lanes are asked for them (`booker::withdraw`), and their answer is recorded
    /// with [`Sales::withdrawn`]. Idempotent under the change's key.
    ///
    /// # Errors
    /// [`SalesError`]; [`SalesError::NoItem`], [`SalesError::TooFewUnits`], [`SalesError::Withdrawing`],
    /// [`SalesError::KeyReused`].
    pub async fn withdraw(&self, sale: &SaleId, less: &StockChange<'_>, actor: Actor) -> Result<Acted, SalesError> {
        self.act(sale, actor, |now| acts::withdraw(acts::living(now)?, less)).await
    }

    /// Records what the withdrawal that stands as event `of` came to. Idempotent: the first word counts, and all are the same.
    ///
    /// # Errors
    /// [`SalesError`].
    pub async fn withdrawn(&self, sale: &SaleId, of: u64, units: u64) -> Result<Acted, SalesError> {
        let actor = Actor { by: "holdfast".to_owned(), why: String::new() };
        self.act(sale, actor, |now| {
            let open = now.ok_or(SalesError::NotFound)?.withdrawing().filter(|open| open.seq == of);
            Ok(open.map(|_| Act::Withdrawn { of, units }))
        })
        .await
    }

    /// Closes the sale now, for good. Idempotent.
    ///
    /// # Errors
    /// [`SalesError`].
    pub async fn close(&self, sale: &SaleId, actor: Actor) -> Result<Acted, SalesError> {
        self.act(sale, actor, |now| {
            let fold = now.ok_or(SalesError::NotFound)?;
            Ok(if fold.closed.is_some() { None } else { Some(Act::Close) })
        })
        .await
    }

    /// All sales as this process knows them, from memory.
    #[must_use]
    pub fn list(&self) -> Arc<SaleMap> {
        Arc::clone(&self.0.sales.borrow())
    }

    /// One sale, from memory.
    #[must_use]
    pub fn get(&self, sale: &SaleId) -> Option<Arc<SaleFold>> {
        self.0.sales.borrow().get(sale).cloned()
    }

    /// The sales as they change.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Arc<SaleMap>> {
        self.0.sales.subscribe()
    }

    /// Logs that could not be folded, each with what is wrong: one line to act on.
    #[must_use]
    pub fn faults(&self) -> BTreeMap<LogId, String> {
        self.0.faults.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Refuses a sale whose ids could not be told from those of another one: 24 bits of a hold's id name its sale.
    async fn no_clash(&self, id: &SaleId) -> Result<(), SalesError> {
        if self.get(id).is_some() {
            return Ok(());
        }
        self.refresh().await?;
        match self.list().keys().find(|other| *other != id && sale_tag(other) == sale_tag(id)) {
            Some(other) => Err(SalesError::TagClash(other.clone())),
            None => Ok(()),
        }
    }

    /// Decides on the sale as it is, and records the act, if any, under a fence of its own.
    async fn act<D>(&self, sale: &SaleId, actor: Actor, decide: D) -> Result<Acted, SalesError>
    where
        D: Fn(Option<&SaleFold>) -> Result<Option<Act>, SalesError> + Send + Sync,
    {
        let _one_at_a_time = self.0.acts.lock().await;
        let log = LogId::sale(sale);
        let mut fold = self.catch_up(sale).await?;
        for _ in 0..MAX_TRIES {
            let Some(act) = decide(fold.as_deref())? else {
                return fold.map(Acted::Unchanged).ok_or(SalesError::NotFound);
            };
            let writer = self.0.ledger.claim(&log, &self.0.owner).await?;
            if writer.head != fold.as_ref().map_or(0, |fold| fold.seq) {
                fold = self.catch_up(sale).await?;
                continue;
            }
            let event = SaleEvent { at: (self.0.clock)(), actor: actor.clone(), act };
            let text = domain::event::Event::encode(&event).map_err(|error| SalesError::Encode(error.to_string()))?;
            match self.0.ledger.append(&writer, &[text]).await {
                Ok(Append::Appended(after)) => return self.acted(fold, after.head, &event),
                Ok(Append::Fenced(_)) => fold = self.catch_up(sale).await?,
                Err(error) => return Err(SalesError::from(error)),
            }
        }
        Err(SalesError::Overtaken)
    }

    fn acted(&self, before: Option<Arc<SaleFold>>, seq: u64, event: &SaleEvent) -> Result<Acted, SalesError> {
        let bad = |error: domain::sale::BadFold| SalesError::Damaged(error.to_string());
        let (fold, new) = match before {
            None => (SaleFold::begin(seq, event).map_err(bad)?, true),
            Some(before) => {
                let mut fold = (*before).clone();
                fold.apply(seq, event).map_err(bad)?;
                (fold, false)
            }
        };
        let fold = Arc::new(fold);
        self.publish(&fold);
        tracing::info!(sale = %fold.doc.id, by = %event.actor.by, why = %event.actor.why, act = event.act.name(), "the sale was changed");
        crate::metrics::act(event.act.name());
        Ok(if new { Acted::Created(fold) } else { Acted::Changed(fold) })
    }

    /// Shows a sale to everybody who watches. An older fold never replaces a newer one.
    fn publish(&self, fold: &Arc<SaleFold>) {
        self.0.sales.send_if_modified(|sales| {
            let newer = sales.get(&fold.doc.id).is_none_or(|shown| shown.seq < fold.seq);
            if newer {
                Arc::make_mut(sales).insert(fold.doc.id.clone(), Arc::clone(fold));
            }
            newer
        });
    }
}

/// What an application of `doc` has to record, if anything.
fn define(now: Option<&SaleFold>, doc: &SaleDoc, if_match: Option<u64>) -> Result<Option<Act>, SalesError> {
    let revision = now.map_or(0, |fold| fold.revision);
    if if_match.is_some_and(|expected| expected != revision) {
        return Err(SalesError::Conflict { revision });
    }
    let stock = match now {
        None => doc.initial_stock(),
        Some(fold) if *fold.doc == *doc => return Ok(None),
        Some(fold) if fold.closed.is_some() => return Err(SalesError::Closed),
        Some(fold) => fold.doc.change(doc).map_err(SalesError::Invalid)?,
    };
    Ok(Some(Act::Define { doc: Box::new(doc.clone()), stock }))
}
