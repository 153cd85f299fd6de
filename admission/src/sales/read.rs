//! Folding sales' logs: at start, before an act, and each second.

use std::sync::{Arc, PoisonError};

use domain::event::{BadEvent, Event as _};
use domain::sale::BadFold;
use domain::{LogId, SaleEvent, SaleFold, SaleId};

use super::{Sales, SalesError};

/// What is wrong with a log.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Event(#[from] BadEvent),
    #[error(transparent)]
    Fold(#[from] BadFold),
}

impl Sales {
    /// Folds what other processes have appended, of every sale.
    ///
    /// # Errors
    /// [`SalesError::Store`] when the ledger cannot be read; what was read before is shown.
    pub async fn refresh(&self) -> Result<(), SalesError> {
        for log in self.0.ledger.list("sale/").await? {
            let Some(sale) = sale_of(&log) else { continue };
            let known = self.get(&sale).map_or(0, |fold| fold.seq);
            if known > 0 && self.0.ledger.head(&log).await?.head == known {
                continue;
            }
            match self.catch_up(&sale).await {
                Ok(_) | Err(SalesError::Damaged(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Folds what follows the known fold of one sale, and shows it. `None`: nothing was ever recorded.
    pub(super) async fn catch_up(&self, sale: &SaleId) -> Result<Option<Arc<SaleFold>>, SalesError> {
        let log = LogId::sale(sale);
        let known = self.get(sale);
        let after = known.as_ref().map_or(0, |fold| fold.seq);
        let mut entries = Vec::new();
        self.0.ledger.read_all(&log, after, |entry| entries.push(entry)).await?;
        if entries.is_empty() {
            return Ok(known);
        }
        let mut fold = known.as_deref().cloned();
        for entry in entries {
            if let Err(fault) = add(&mut fold, entry.seq, &entry.event) {
                return Err(self.damaged(&log, &fault));
            }
        }
        let fold = fold.map(Arc::new);
        if let Some(fold) = &fold {
            self.publish(fold);
        }
        self.0.faults.lock().unwrap_or_else(PoisonError::into_inner).remove(&log);
        Ok(fold)
    }

    fn damaged(&self, log: &LogId, fault: &Fault) -> SalesError {
        let error = SalesError::Damaged(fault.to_string());
        let before =
            self.0.faults.lock().unwrap_or_else(PoisonError::into_inner).insert(log.clone(), error.to_string());
        if before.is_none() {
            tracing::error!(%log, "{error}");
        }
        error
    }
}

fn add(fold: &mut Option<SaleFold>, seq: u64, text: &str) -> Result<(), Fault> {
    let event = SaleEvent::decode(text)?;
    match fold {
        None => *fold = Some(SaleFold::begin(seq, &event)?),
        Some(fold) => fold.apply(seq, &event)?,
    }
    Ok(())
}

fn sale_of(log: &LogId) -> Option<SaleId> {
    log.as_str().strip_prefix("sale/")?.parse().ok()
}
