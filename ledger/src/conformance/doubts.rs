//! Doubt inside of append: requests and answers that get lost between a store's client half and the data.

use std::sync::{Arc, Mutex, PoisonError};

use domain::LogId;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::Gate;
use crate::Error;
use crate::append::{Attempt, Batch, Tried};

/// What happens to one try of an append.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Doubt {
    /// It never reaches the data.
    RequestLost,
    /// It is carried out, its answer does not come back.
    AnswerLost,
    /// It is taken for lost, and reaches the data when the gate opens: after later tries.
    RequestLate,
}

/// The doubts that a store's appends are to meet with, in order, per log. Clones share them.
#[derive(Clone, Default, Debug)]
pub struct Doubts(Arc<Mutex<Vec<Planned>>>);

#[derive(Debug)]
struct Planned {
    log: LogId,
    doubt: Doubt,
    gate: Gate,
}

impl Doubts {
    /// The next try of an append to this log (after those already planned) meets with `doubt`. The try arrives at the gate when
    /// it has been carried out or lost; the store learns that its outcome is unknown, and tries again, when the gate opens.
    /// A late request is unknown at once and waits at the gate by itself.
    pub fn next(&self, log: &LogId, doubt: Doubt, gate: &Gate) {
        let planned = Planned { log: log.clone(), doubt, gate: gate.clone() };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(planned);
    }

    fn take(&self, log: &LogId) -> Option<Planned> {
        let mut planned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = planned.iter().position(|planned| planned.log == *log)?;
        Some(planned.remove(at))
    }

    pub(crate) fn around(&self, tries: Arc<dyn Attempt>) -> Arc<dyn Attempt> {
        Arc::new(Doubtful { tries, doubts: self.clone() })
    }
}

struct Doubtful {
    tries: Arc<dyn Attempt>,
    doubts: Doubts,
}

impl Attempt for Doubtful {
    fn attempt<'a>(&'a self, batch: &'a Arc<Batch>) -> BoxFuture<'a, Result<Tried, Error>> {
        async move {
            let Some(Planned { doubt, gate, .. }) = self.doubts.take(&batch.log) else {
                return self.tries.attempt(batch).await;
            };
            match doubt {
                Doubt::RequestLost => gate.pass().await,
                Doubt::AnswerLost => {
                    self.tries.attempt(batch).await?;
                    gate.pass().await;
                }
                Doubt::RequestLate => {
                    let (tries, batch) = (Arc::clone(&self.tries), Arc::clone(batch));
                    tokio::spawn(async move {
                        gate.pass().await;
                        tries.attempt(&batch).await
                    });
                }
            }
            Err(Error::unknown(format!("{doubt:?}, as planned")))
        }
        .boxed()
    }

    fn hopeful(&self) -> bool {
        self.tries.hopeful()
    }
}
