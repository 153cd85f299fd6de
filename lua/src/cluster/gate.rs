//! Waiting for a slot that refuses: one call tries, paced; the others of the slot wait for it.
//!
//! Per slot and not per node, because what is refused most often is one slot on its way to another node, and the lanes
//! beside it must not notice.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::limits::{REDIS_AGAIN_LEFT_MS, REDIS_AGAIN_MS};
use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::error::CallError;

/// The slots that refuse. None in good times, and then looking costs one load.
pub(super) struct Gates {
    shut: Arc<Shut>,
}

struct Shut {
    count: AtomicUsize,
    slots: Mutex<HashMap<u16, Arc<Gate>>>,
}

/// One slot that refuses.
struct Gate {
    opened: AtomicBool,
    state: Arc<tokio::sync::Mutex<State>>,
}

struct State {
    next: Instant,
    why: CallError,
}

/// The right to try a slot that refuses. Dropped without success, the next in line gets it.
pub(super) struct Turn {
    slot: u16,
    shut: Arc<Shut>,
    gate: Arc<Gate>,
    state: OwnedMutexGuard<State>,
}

impl Turn {
    /// The slot answers: everybody may pass.
    pub(super) fn succeeded(self) {
        self.gate.opened.store(true, Ordering::Release);
        let mut slots = self.shut.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.get(&self.slot).is_some_and(|gate| Arc::ptr_eq(gate, &self.gate)) {
            slots.remove(&self.slot);
            self.shut.count.store(slots.len(), Ordering::Release);
        }
    }
}

impl Gates {
    pub(super) fn new() -> Self {
        let slots = Mutex::new(HashMap::new());
        Self { shut: Arc::new(Shut { count: AtomicUsize::new(0), slots }) }
    }

    fn find(&self, slot: u16) -> Option<Arc<Gate>> {
        let slots = self.shut.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.get(&slot).cloned()
    }

    /// Before a call is sent: at once where nothing is wrong, else when it is this call's turn.
    ///
    /// # Errors
    /// Its turn does not come in time: it was not sent.
    pub(super) async fn pass(&self, slot: u16, deadline: Instant) -> Result<Option<Turn>, CallError> {
        if self.shut.count.load(Ordering::Acquire) == 0 {
            return Ok(None);
        }
        match self.find(slot) {
            Some(gate) => self.wait(slot, gate, deadline).await,
            None => Ok(None),
        }
    }

    /// After a refusal: when the call may be sent again.
    ///
    /// # Errors
    /// Not in time; what the server said.
    pub(super) async fn refused(
        &self,
        slot: u16,
        turn: Option<Turn>,
        why: &CallError,
        deadline: Instant,
    ) -> Result<Option<Turn>, CallError> {
        let next = Instant::now() + Duration::from_millis(REDIS_AGAIN_MS);
        if let Some(mut turn) = turn {
            turn.state.next = next;
            turn.state.why = why.clone();
            return turn.pause(deadline).await.map(Some);
        }
        let gate = {
            let mut slots = self.shut.slots.lock().unwrap_or_else(PoisonError::into_inner);
            let new = || {
                let state = Arc::new(tokio::sync::Mutex::new(State { next, why: why.clone() }));
                Arc::new(Gate { opened: AtomicBool::new(false), state })
            };
            let gate = Arc::clone(slots.entry(slot).or_insert_with(new));
            self.shut.count.store(slots.len(), Ordering::Release);
            gate
        };
        self.wait(slot, gate, deadline).await
    }

    async fn wait(&self, slot: u16, gate: Arc<Gate>, deadline: Instant) -> Result<Option<Turn>, CallError> {
        let last = deadline - Duration::from_millis(REDIS_AGAIN_LEFT_MS);
        let waited = timeout_at(last, Arc::clone(&gate.state).lock_owned()).await;
        let state =
            waited.map_err(|_| CallError::not_executed("the cluster refuses this slot; its turn did not come"))?;
        if gate.opened.load(Ordering::Acquire) {
            return Ok(None);
        }
        Turn { slot, shut: Arc::clone(&self.shut), gate, state }.pause(deadline).await.map(Some)
    }
}

impl Turn {
    async fn pause(self, deadline: Instant) -> Result<Self, CallError> {
        if self.state.next + Duration::from_millis(REDIS_AGAIN_LEFT_MS) > deadline {
            return Err(self.state.why.clone());
        }
        sleep_until(self.state.next).await;
        Ok(self)
    }
}
