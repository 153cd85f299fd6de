//! One thread of a run: its visitors, its connections, and how it fared itself.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use serde::{Deserialize, Serialize};
use tokio::runtime;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::timeout_at;

use crate::args::Checked;
use crate::arrivals::Arrivals;
use crate::http::Pool;
use crate::limits::{DRAIN, LAG_NAP, START_LATE};
use crate::oracle::History;
use crate::progress::Progress;
use crate::request::Templates;
use crate::sample::{Rechecked, Samples, recheck};
use crate::scenario::Model;
use crate::scout::Failed;
use crate::series::Series;
use crate::stats::{Stats, Window};
use crate::travel::{Crew, Traveller};
use crate::trip::{Plan, Shared};

/// Shares of a thread's time. What is left it slept, waiting for answers.
#[derive(Clone, Copy, Default, Debug, Serialize, Deserialize)]
pub(crate) struct Busy {
    /// On a core.
    pub(crate) running: f64,
    /// Ready, while others had the cores.
    pub(crate) waiting: f64,
}

impl Busy {
    /// Both: a thread that is near 1 sends as much as it ever will on this machine.
    pub(crate) fn sum(self) -> f64 {
        self.running + self.waiting
    }
}

/// What one thread came to.
pub(super) struct ThreadOutcome {
    pub(super) stats: Stats,
    pub(super) history: History,
    pub(super) rechecked: Rechecked,
    pub(super) finished: Instant,
    pub(super) busy: Busy,
    pub(super) opened: u64,
    pub(super) never_started: u64,
    /// Memory of the whole process at its highest, above what it had at the start.
    pub(super) most_bytes: u64,
}

/// What one thread is told.
pub(super) struct Orders {
    pub(super) address: SocketAddr,
    pub(super) connections: usize,
    pub(super) plan: Plan,
    pub(super) crews: Vec<(Model, Arrivals, usize)>,
    pub(super) run: u64,
    pub(super) thread: u32,
    pub(super) seed: u64,
    pub(super) series: Series,
    pub(super) progress: Arc<Progress>,
}

pub(super) fn one_thread(checked: &Checked, orders: Orders) -> Result<ThreadOutcome, Failed> {
    let Orders { address, connections, plan, crews, run, thread, seed, series, progress } = orders;
    let args = &checked.args;
    let window = Window { from: plan.start + args.warm_up, to: plan.end };
    let stop = plan.finish.max(plan.end + START_LATE) + plan.confirm_within.max(plan.call_within) + DRAIN;
    let crews = crews.into_iter().map(|(model, arrivals, visitors)| {
        Rc::new(Crew::new(model, arrivals, visitors, checked.load.for_model(model)))
    });
    let crews: Vec<Rc<Crew>> = crews.collect();
    let shared = Rc::new(Shared {
        templates: Templates::new(&checked.authority, checked.sale.as_str(), &plan.item, args.quantity),
        pool: Pool::new(address, connections, args.call_timeout),
        plan,
        stats: RefCell::new(Stats::new(window, series, progress)),
        history: RefCell::new(History::default()),
        samples: RefCell::new(Samples::default()),
        rng: RefCell::new(SmallRng::seed_from_u64(seed)),
        stop: Cell::new(stop),
        run,
        attempts: Cell::new(u64::from(thread) << 40),
        buffers: RefCell::new(Vec::new()),
    });
    let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(Failed::Thread)?;
    Ok(LocalSet::new().block_on(&runtime, travel_all(shared, crews)))
}

async fn travel_all(shared: Rc<Shared>, crews: Vec<Rc<Crew>>) -> ThreadOutcome {
    let (before, begun, bytes) = (cpu_times(), Instant::now(), memory("VmRSS:"));
    let mut all = JoinSet::new();
    for crew in &crews {
        match crew.model {
            Model::Closed => {
                for _ in 0..crew.visitors {
                    all.spawn_local(Traveller::new(Rc::clone(&shared), Rc::clone(crew)).live());
                }
            }
            Model::Open => drop(all.spawn_local(dispatch(Rc::clone(&shared), Rc::clone(crew)))),
        }
    }
    let watch = tokio::task::spawn_local(watch(Rc::clone(&shared)));
    let everybody = async { while all.join_next().await.is_some() {} };
    let mut everybody = std::pin::pin!(everybody);
    // The share of a core counts up to the end of the window: what drains afterwards is not load.
    let early = timeout_at(shared.plan.end.into(), &mut everybody).await.is_ok();
    let finished = Instant::now();
    let (after, wall) = (cpu_times(), finished.saturating_duration_since(begun).as_secs_f64().max(1e-9));
    let busy = Busy { running: (after.0 - before.0) / wall, waiting: (after.1 - before.1) / wall };
    watch.abort();
    if !early {
        // Travellers end by themselves once the run is over; what a broken server holds up is dropped.
        let _ = timeout_at((shared.stop.get() + shared.plan.call_within).into(), everybody).await;
    }
    let most_bytes = memory("VmHWM:").saturating_sub(bytes);
    // Asking once more is no load: it neither counts nor is timed.
    let window = shared.stats.borrow().window;
    shared.stats.borrow_mut().window.to = window.to.min(finished);
    let until = Instant::now() + shared.plan.recheck_within;
    shared.stop.set(until + shared.plan.call_within);
    let rechecked = recheck(&shared, until).await;
    let mut never_started = 0;
    for crew in &crews {
        never_started += crew.arrivals.never_started().await;
    }
    ThreadOutcome {
        stats: shared.stats.borrow().clone(),
        history: std::mem::take(&mut *shared.history.borrow_mut()),
        rechecked,
        finished,
        busy,
        opened: shared.pool.opened(),
        never_started,
        most_bytes,
    }
}

/// Sends visitors on their way when they come: a task each, as long as it travels, so that memory follows those who are there.
async fn dispatch(shared: Rc<Shared>, crew: Rc<Crew>) {
    let room = Arc::new(Semaphore::new(crew.visitors));
    let idle: Rc<RefCell<Vec<Traveller>>> = Rc::default();
    let mut under_way = JoinSet::new();
    while let Some(start) = crew.arrivals.next().await {
        // Never closed. Who comes while all are on their way waits, and the waiting counts.
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { break };
        if Instant::now() >= shared.plan.end + START_LATE {
            shared.stats.borrow_mut().cut_off += 1;
            break;
        }
        while under_way.try_join_next().is_some() {}
        let rested = idle.borrow_mut().pop();
        let visitor = rested.unwrap_or_else(|| Traveller::new(Rc::clone(&shared), Rc::clone(&crew)));
        let idle = Rc::clone(&idle);
        under_way.spawn_local(async move {
            let back = visitor.once(start).await;
            idle.borrow_mut().extend(back);
            drop(place);
        });
    }
    while under_way.join_next().await.is_some() {}
    for visitor in idle.take() {
        visitor.part();
    }
}

/// Naps again and again to see how late this thread is woken: its own lateness, whatever the server does.
async fn watch(shared: Rc<Shared>) {
    loop {
        let due = Instant::now() + LAG_NAP;
        tokio::time::sleep_until(due.into()).await;
        // A runtime's timer ticks in milliseconds: up to one of them is nobody's fault.
        let late = Instant::now().saturating_duration_since(due).saturating_sub(Duration::from_millis(1));
        shared.stats.borrow_mut().lag.record(late);
    }
}

/// Seconds that this thread ran, and was ready but waited for a core, so far; 0 where the kernel does not say.
fn cpu_times() -> (f64, f64) {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let mut seconds = stat.split_whitespace().map(|text| text.parse::<f64>().unwrap_or(0.0) / 1e9);
    (seconds.next().unwrap_or(0.0), seconds.next().unwrap_or(0.0))
}

/// Bytes of this process in memory, now (`VmRSS:`) or at most (`VmHWM:`); 0 where the kernel does not say.
fn memory(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status.lines().find_map(|text| text.strip_prefix(line)?.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1_024
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn cpu_time_grows_with_work() {
        let (before, start) = (cpu_times(), Instant::now());
        while start.elapsed() < Duration::from_millis(20) {
            std::hint::spin_loop();
        }
        assert!(cpu_times().0 > before.0);
    }

    #[test]
    fn memory_is_known_and_at_most_is_at_least_now() {
        let (now, most) = (memory("VmRSS:"), memory("VmHWM:"));
        assert!(now > 0 && most + (1 << 20) >= now, "{now} {most}");
    }
}
