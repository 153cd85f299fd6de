//! A store that fails on demand, around a real one: for tests of whoever uses a ledger.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::LogId;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

pub use crate::conformance::Gate;
use crate::{Append, Entry, Error, Head, Ledger, Store, Writer};

/// The kinds of calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Call {
    /// [`Store::claim`].
    Claim,
    /// [`Store::append`].
    Append,
    /// [`Store::read`].
    Read,
    /// [`Store::head`].
    Head,
    /// [`Store::list`].
    List,
}

/// What happens to a call.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Refused before anything is done: [`Error::Unavailable`], certainly not applied.
    Refuse,
    /// Refused with this error before anything is done.
    Fail(Error),
    /// Carried out, but its caller is told [`Error::Unavailable`] with an unknown outcome.
    LoseAnswer,
    /// Carried out after this time.
    Delay(Duration),
    /// Waits at the gate, then is carried out.
    HoldBefore(Gate),
    /// Is carried out, then waits at the gate with its answer.
    HoldAnswer(Gate),
    /// Its caller is told at once that the outcome is unknown; an append is carried out when the gate opens (other calls never are).
    Late(Gate),
}

#[derive(Debug)]
struct Plan {
    call: Call,
    log: Option<LogId>,
    fault: Fault,
    once: bool,
}

/// A store with planned faults. Clones share plans and counts.
#[derive(Clone)]
pub struct Faulty {
    store: Arc<dyn Store>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    plans: Mutex<Vec<Plan>>,
    counts: [AtomicU64; 5],
}

impl Faulty {
    /// Around this ledger's store, without faults at first.
    #[must_use]
    pub fn new(ledger: &Ledger) -> Self {
        Self { store: ledger.store(), shared: Arc::default() }
    }

    /// The ledger to hand to what is tested.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        Ledger::new(Arc::new(self.clone()))
    }

    /// The next call of this kind, on whatever log, after those already planned.
    pub fn next(&self, call: Call, fault: Fault) {
        self.plan(Plan { call, log: None, fault, once: true });
    }

    /// The next call of this kind on this log, after those already planned.
    pub fn next_on(&self, log: &LogId, call: Call, fault: Fault) {
        self.plan(Plan { call, log: Some(log.clone()), fault, once: true });
    }

    /// All calls of this kind, until [`Faulty::heal`].
    pub fn always(&self, call: Call, fault: Fault) {
        self.plan(Plan { call, log: None, fault, once: false });
    }

    /// Forgets every plan. Calls at a gate stay there.
    pub fn heal(&self) {
        self.shared.plans.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// How many calls of this kind have begun.
    #[must_use]
    pub fn calls(&self, call: Call) -> u64 {
        self.shared.counts.get(call as usize).map_or(0, |count| count.load(Ordering::Acquire))
    }

    fn plan(&self, plan: Plan) {
        self.shared.plans.lock().unwrap_or_else(PoisonError::into_inner).push(plan);
    }

    /// Counts the call and takes its fault.
    fn begin(&self, call: Call, log: Option<&LogId>) -> Option<Fault> {
        if let Some(count) = self.shared.counts.get(call as usize) {
            count.fetch_add(1, Ordering::AcqRel);
        }
        let mut plans = self.shared.plans.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |plan: &Plan| plan.call == call && plan.log.as_ref().is_none_or(|wanted| Some(wanted) == log);
        let at = plans.iter().position(fits)?;
        if plans.get(at)?.once { Some(plans.remove(at).fault) } else { Some(plans.get(at)?.fault.clone()) }
    }

    /// Carries a call out as its fault says; `late` is run instead when it is to happen behind the caller's back.
    async fn run<T>(
        &self,
        fault: Option<Fault>,
        call: impl Future<Output = Result<T, Error>>,
        late: impl FnOnce(Gate),
    ) -> Result<T, Error> {
        match fault {
            None => call.await,
            Some(Fault::Refuse) => Err(Error::unavailable("refused, as planned")),
            Some(Fault::Fail(error)) => Err(error),
            Some(Fault::LoseAnswer) => {
                let _ = call.await;
                Err(Error::unknown("answer lost, as planned"))
            }
            Some(Fault::Delay(time)) => {
                tokio::time::sleep(time).await;
                call.await
            }
            Some(Fault::HoldBefore(gate)) => {
                gate.pass().await;
                call.await
            }
            Some(Fault::HoldAnswer(gate)) => {
                let answer = call.await;
                gate.pass().await;
                answer
            }
            Some(Fault::Late(gate)) => {
                late(gate);
                Err(Error::unknown("late, as planned"))
            }
        }
    }
}

impl Store for Faulty {
    fn claim<'a>(&'a self, log: &'a LogId, owner: &'a str) -> BoxFuture<'a, Result<Writer, Error>> {
        self.run(self.begin(Call::Claim, Some(log)), self.store.claim(log, owner), drop).boxed()
    }

    fn append<'a>(&'a self, writer: &'a Writer, events: &'a [String]) -> BoxFuture<'a, Result<Append, Error>> {
        let late = |gate: Gate| {
            let (store, writer, events) = (Arc::clone(&self.store), writer.clone(), events.to_vec());
            tokio::spawn(async move {
                gate.pass().await;
                store.append(&writer, &events).await
            });
        };
        self.run(self.begin(Call::Append, Some(&writer.log)), self.store.append(writer, events), late).boxed()
    }

    fn read<'a>(&'a self, log: &'a LogId, after: u64, most: usize) -> BoxFuture<'a, Result<Vec<Entry>, Error>> {
        self.run(self.begin(Call::Read, Some(log)), self.store.read(log, after, most), drop).boxed()
    }

    fn head<'a>(&'a self, log: &'a LogId) -> BoxFuture<'a, Result<Head, Error>> {
        self.run(self.begin(Call::Head, Some(log)), self.store.head(log), drop).boxed()
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<LogId>, Error>> {
        self.run(self.begin(Call::List, None), self.store.list(prefix), drop).boxed()
    }

    fn check(&self) -> Result<(), Error> {
        self.store.check()
    }

    fn bytes(&self) -> Option<u64> {
        self.store.bytes()
    }
}

#[cfg(test)]
mod tests;
