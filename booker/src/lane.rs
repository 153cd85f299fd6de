//! The handle of a lane: what everybody but its owner holds.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use domain::fault::KnownFaults;
use domain::{HoldId, LogId, SaleDoc, SaleId, VisitorHash, id::sale_tag};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};

use crate::answer::{
    Booking, CancelAnswer, ConfirmAnswer, GiveAnswer, GiveRequest, HoldAnswer, HoldRequest, LaneError, LaneStatus,
    LookAnswer, ReleaseAnswer,
};

/// Which lane, and how it is run.
#[derive(Clone)]
pub struct LaneConfig {
    /// The sale.
    pub sale: SaleId,
    /// Number of the lane, from 0.
    pub lane: u16,
    /// The sale's document as it is now: limits, hold times, lanes. A change is also the hint that stock may have come.
    pub doc: watch::Receiver<Arc<SaleDoc>>,
    /// Who claims the log: the process and its address.
    pub owner: String,
    /// The sale's lanes, to ask them for units. Not used by a sale of one lane.
    pub siblings: Siblings,
    /// What this process knows of the sale's faults.
    pub faults: FaultSource,
}

/// Gives what is known at this moment of a sale's faults: what they extended does not end here.
pub type FaultSource = Arc<dyn Fn() -> Arc<KnownFaults> + Send + Sync>;

/// Where nobody records faults: everything ends when it was to end.
#[must_use]
pub fn no_faults() -> FaultSource {
    let none = Arc::new(KnownFaults::none());
    Arc::new(move || Arc::clone(&none))
}

/// The handles of all lanes of a sale, in order of their numbers, for each other. Empty until they are [`Siblings::set`].
#[derive(Clone, Default)]
pub struct Siblings(Arc<RwLock<Vec<Lane>>>);

impl Siblings {
    /// Makes the lanes known to their owners.
    pub fn set(&self, lanes: Vec<Lane>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = lanes;
    }

    pub(crate) fn get(&self, lane: u16) -> Option<Lane> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(usize::from(lane)).cloned()
    }
}

/// Where an answer goes. Dropped by a caller who stopped waiting.
pub(crate) type Reply<T> = oneshot::Sender<T>;

/// A request on its way to the owner.
pub(crate) enum Command {
    /// See [`Lane::hold`].
    Hold(HoldRequest, Reply<Result<HoldAnswer, LaneError>>),
    /// See [`Lane::confirm`].
    Confirm(Confirm, Reply<Result<ConfirmAnswer, LaneError>>),
    /// See [`Lane::cancel`].
    Cancel(HoldId, VisitorHash, Reply<Result<CancelAnswer, LaneError>>),
    /// See [`Lane::release`].
    Release(HoldId, VisitorHash, Reply<Result<ReleaseAnswer, LaneError>>),
    /// See [`Lane::look`].
    Look(HoldId, VisitorHash, Reply<Result<LookAnswer, LaneError>>),
    /// See [`Lane::bookings`].
    Bookings(VisitorHash, Reply<Result<Vec<Booking>, LaneError>>),
    /// See [`Lane::booking`].
    Booking(HoldId, VisitorHash, Reply<Result<Option<Booking>, LaneError>>),
    /// See [`Lane::leave`].
    Leave(VisitorHash, u64, Reply<Result<(), LaneError>>),
    /// See [`Lane::give`].
    Give(GiveRequest, Reply<Result<GiveAnswer, LaneError>>),
    /// See [`Lane::given`].
    Given(u16, u64, Reply<Result<Vec<u64>, LaneError>>),
}

/// A request with where it came from.
pub(crate) struct Asked {
    pub(crate) command: Command,
    pub(crate) from: From,
}

/// Whom a request comes from. One that another process sent on is never sent on again: it is refused where it has no owner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum From {
    /// Somebody in this process.
    Here,
    /// Another process, which took this one for the owner.
    Elsewhere,
}

/// A confirm as it was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Confirm {
    pub(crate) id: HoldId,
    pub(crate) visitor: VisitorHash,
    pub(crate) pass: Option<u64>,
}

/// A lane of a sale. Cheap to clone, usable from every thread; all work is done by its owner ([`crate::LaneOwner`]).
#[derive(Clone)]
pub struct Lane {
    shared: Arc<Shared>,
    commands: mpsc::Sender<Asked>,
    from: From,
    status: watch::Receiver<LaneStatus>,
}

struct Shared {
    sale: SaleId,
    sale_tag: u32,
    lane: u16,
    log: LogId,
}

impl Lane {
    pub(crate) fn new(
        sale: SaleId,
        lane: u16,
        commands: mpsc::Sender<Asked>,
        status: watch::Receiver<LaneStatus>,
    ) -> Self {
        let shared = Shared { sale_tag: sale_tag(&sale), log: LogId::lane(&sale, lane), sale, lane };
        Self { shared: Arc::new(shared), commands, from: From::Here, status }
    }

    /// The same lane for requests that another process sent: refused with [`LaneError::NoOwner`] unless this process owns it.
    pub(crate) fn for_others(&self) -> Self {
        Self { from: From::Elsewhere, ..self.clone() }
    }

    /// The sale it belongs to.
    #[must_use]
    pub fn sale(&self) -> &SaleId {
        &self.shared.sale
    }

    /// Its number in the sale.
    #[must_use]
    pub fn lane(&self) -> u16 {
        self.shared.lane
    }

    /// Its log in the ledger.
    #[must_use]
    pub fn log(&self) -> &LogId {
        &self.shared.log
    }

    /// Whether the id is one of this lane's, by what the id itself says.
    #[must_use]
    pub fn is_home_of(&self, id: &HoldId) -> bool {
        id.sale_tag() == self.shared.sale_tag && id.lane() == self.shared.lane
    }

    /// Claims units. Safe to repeat: the same request lands on the same record. An id of another lane or visitor is answered as
    /// [`HoldAnswer::KeyReused`]; ids are derived, so that is a caller's mistake.
    ///
    /// # Errors
    /// [`LaneError`]; all of them may be repeated.
    pub async fn hold(&self, request: HoldRequest) -> Result<HoldAnswer, LaneError> {
        if !self.is_home_of(&request.id) || !request.id.may_belong_to(&request.visitor) {
            return Ok(HoldAnswer::KeyReused);
        }
        self.ask(|reply| Command::Hold(request, reply)).await
    }

    /// Turns a hold into a booking. Waits up to `patience` for the ledger, then answers [`ConfirmAnswer::Confirming`]; the owner
    /// goes on for a minute by itself, so that it ends also when nobody asks again. Twins get the same answer.
    ///
    /// `pass` is the pass the request came with, if any: confirms of holds that nobody knows are counted by it.
    ///
    /// # Errors
    /// [`LaneError`]; all of them may be repeated.
    pub async fn confirm(
        &self,
        id: HoldId,
        visitor: VisitorHash,
        pass: Option<u64>,
        patience: Duration,
    ) -> Result<ConfirmAnswer, LaneError> {
        if !self.is_home_of(&id) {
            return Ok(ConfirmAnswer::Foreign);
        }
        let asked = self.ask(|reply| Command::Confirm(Confirm { id, visitor, pass }, reply));
        // The owner saw the request or will: without an answer in time its outcome is open, not refused (I8).
        tokio::time::timeout(patience, asked).await.unwrap_or(Ok(ConfirmAnswer::Confirming))
    }

    /// Undoes a booking: its units are free again. Waits up to `patience`, then answers [`CancelAnswer::Cancelling`].
    ///
    /// # Errors
    /// [`LaneError`]; all of them may be repeated.
    pub async fn cancel(
        &self,
        id: HoldId,
        visitor: VisitorHash,
        patience: Duration,
    ) -> Result<CancelAnswer, LaneError> {
        if !self.is_home_of(&id) {
            return Ok(CancelAnswer::Foreign);
        }
        let asked = self.ask(|reply| Command::Cancel(id, visitor, reply));
        tokio::time::timeout(patience, asked).await.unwrap_or(Ok(CancelAnswer::Cancelling))
    }

    /// Gives a hold's units back. Answered from Redis: released, unless a confirm of the visitor's own already under way wins.
    ///
    /// # Errors
    /// [`LaneError`]; all of them may be repeated.
    pub async fn release(&self, id: HoldId, visitor: VisitorHash) -> Result<ReleaseAnswer, LaneError> {
        if !self.is_home_of(&id) {
            return Ok(ReleaseAnswer::Foreign);
        }
        self.ask(|reply| Command::Release(id, visitor, reply)).await
    }

    /// What is known about an id, from the ledger where it decided, else from Redis.
    ///
    /// # Errors
    /// [`LaneError`]; all of them may be repeated.
    pub async fn look(&self, id: HoldId, visitor: VisitorHash) -> Result<LookAnswer, LaneError> {
        if !self.is_home_of(&id) {
            return Ok(LookAnswer::Foreign);
        }
        self.ask(|reply| Command::Look(id, visitor, reply)).await
    }

    /// Every booking of the visitor in this lane, cancelled ones too, in order of the log. From the fold: always with those that
    /// were answered as booked.
    ///
    /// # Errors
    /// [`LaneError::NoOwner`], [`LaneError::Busy`] or [`LaneError::Stopped`].
    pub async fn bookings(&self, visitor: VisitorHash) -> Result<Vec<Booking>, LaneError> {
        self.ask(|reply| Command::Bookings(visitor, reply)).await
    }

    /// One booking; `None` when there is none under this id, or it is somebody else's.
    ///
    /// # Errors
    /// As [`Lane::bookings`].
    pub async fn booking(&self, id: HoldId, visitor: VisitorHash) -> Result<Option<Booking>, LaneError> {
        if !self.is_home_of(&id) {
            return Ok(None);
        }
        self.ask(|reply| Command::Booking(id, visitor, reply)).await
    }

    /// Marks the visitor's pass as ended, so that it makes no further hold.
    ///
    /// # Errors
    /// [`LaneError`]; all of them may be repeated.
    pub async fn leave(&self, visitor: VisitorHash, pass: u64) -> Result<(), LaneError> {
        self.ask(|reply| Command::Leave(visitor, pass, reply)).await
    }

    /// Asks for units for another lane: answered when the ledger has given them, or when there are none. Safe to repeat.
    ///
    /// # Errors
    /// [`LaneError`]; after [`LaneError::Unknown`] units may be on their way, see [`Lane::given`].
    pub async fn give(&self, request: GiveRequest) -> Result<GiveAnswer, LaneError> {
        if !self.is_home_of(&request.id) {
            return Ok(GiveAnswer::Nothing);
        }
        self.ask(|reply| Command::Give(request, reply)).await
    }

    /// Seqs behind `after` of the events of this lane's log that gave units to lane `to`, rising, at most
    /// `domain::limits::MAX_FETCH` of them.
    ///
    /// # Errors
    /// As [`Lane::bookings`].
    pub async fn given(&self, to: u16, after: u64) -> Result<Vec<u64>, LaneError> {
        self.ask(|reply| Command::Given(to, after, reply)).await
    }

    /// How the lane is doing.
    #[must_use]
    pub fn status(&self) -> LaneStatus {
        self.status.borrow().clone()
    }

    /// The status as it changes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<LaneStatus> {
        self.status.clone()
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<Result<T, LaneError>>) -> Command) -> Result<T, LaneError> {
        let (reply, answer) = oneshot::channel();
        let asked = Asked { command: command(reply), from: self.from };
        self.commands.try_send(asked).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => LaneError::Busy,
            mpsc::error::TrySendError::Closed(_) => LaneError::NoOwner,
        })?;
        // An owner that ended without an answer may have run the call.
        answer.await.unwrap_or(Err(LaneError::Unknown))
    }
}
