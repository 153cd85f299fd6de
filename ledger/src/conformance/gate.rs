//! A door that a test opens.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

/// Calls that arrive wait until it is opened; the test waits until they have arrived. Clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate(Arc<State>);

#[derive(Debug)]
struct State {
    arrived: watch::Sender<usize>,
    open: watch::Sender<bool>,
}

/// How long a test waits for a call to arrive before it fails.
const PATIENCE: Duration = Duration::from_secs(20);

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn closed() -> Self {
        Self(Arc::new(State { arrived: watch::Sender::new(0), open: watch::Sender::new(false) }))
    }

    /// An open gate: one can still see who has passed.
    #[must_use]
    pub fn opened() -> Self {
        let gate = Self::closed();
        gate.open();
        gate
    }

    /// Arrives, and waits until the gate is open.
    pub async fn pass(&self) {
        self.0.arrived.send_modify(|arrived| *arrived += 1);
        // The sender is in self: it cannot be gone.
        let _ = self.0.open.subscribe().wait_for(|open| *open).await;
    }

    /// Waits until so many have arrived since the gate was made.
    ///
    /// # Panics
    /// When they have not within 20 seconds.
    pub async fn arrived(&self, calls: usize) {
        let mut arrivals = self.0.arrived.subscribe();
        let waited = tokio::time::timeout(PATIENCE, arrivals.wait_for(|arrived| *arrived >= calls)).await;
        assert!(waited.is_ok(), "{calls} calls should have arrived at the gate, {} have", *self.0.arrived.borrow());
    }

    /// Lets everybody through, for ever.
    pub fn open(&self) {
        self.0.open.send_replace(true);
    }
}
