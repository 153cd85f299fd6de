//! A run: threads, the pacer, what they saw, and the verdict.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::runtime;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::timeout_at;

use crate::args::{Checked, Journey};
use crate::arrivals::{Arrivals, Budget, open, pace};
use crate::feed;
use crate::http::Pool;
use crate::limits::{DRAIN, STALE_SECONDS, START_LATE};
use crate::oracle::{Findings, History, Known, judge};
use crate::request::Templates;
use crate::sample::{Rechecked, Samples, recheck};
use crate::scout::{Failed, Scouted, frontier, resolve, scout};
use crate::stats::{Kind, Stats, Window};
use crate::travel::Traveller;
use crate::trip::{Plan, Shared};

/// Everything a run came to.
pub(crate) struct Outcome {
    pub(crate) journey: Journey,
    pub(crate) item: String,
    pub(crate) stats: Stats,
    /// The span that was measured: the window, or less when the journeys were used up before.
    pub(crate) measured: Duration,
    /// What each thread did with its time.
    pub(crate) busy: Vec<Busy>,
    pub(crate) connections_opened: u64,
    /// Starts that never found a visitor.
    pub(crate) never_started: u64,
    pub(crate) findings: Findings,
    pub(crate) rechecked: Rechecked,
    /// History entries that did not fit.
    pub(crate) left_out: u64,
    /// Why the event feed, or the rest of it, was not looked at.
    pub(crate) feed_left_out: Option<String>,
    /// Units confirmed, and how many there are, as far as that is known.
    pub(crate) units: (u64, Option<u64>),
    pub(crate) passes: u64,
    pub(crate) pace: Option<u64>,
}

impl Outcome {
    /// Why a run in which no journey arrived has failed: nothing was answered as the contract says (a yes, or a refusal
    /// with a reason), or something was and it was of no use.
    pub(crate) fn nothing(&self) -> Failed {
        let tallies = Kind::ALL.into_iter().filter_map(|kind| self.stats.tally(kind));
        if tallies.map(|tally| tally.accepted.count() + tally.refused.count()).sum::<u64>() == 0 {
            return Failed::NothingWorked;
        }
        let what = match self.journey {
            Journey::Book | Journey::Line => "booking",
            Journey::Join => "joining of the line",
            Journey::Poll => "poll of the line",
            Journey::Hold => "hold and release",
        };
        if self.stats.turned_away > 0 {
            return Failed::Over(what, self.stats.turned_away);
        }
        Failed::NoneArrived(what, self.stats.begun, self.stats.cut_off)
    }
}

/// Shares of a thread's time. What is left it slept, waiting for answers.
#[derive(Clone, Copy, Default, Debug, serde::Serialize)]
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

struct ThreadOutcome {
    stats: Stats,
    history: History,
    rechecked: Rechecked,
    finished: Instant,
    busy: Busy,
    opened: u64,
    never_started: u64,
}

/// Runs what was checked.
pub(crate) fn run(checked: &Checked) -> Result<Outcome, Failed> {
    let address = resolve(&checked.authority)?;
    let before = block_on(scout(checked, address))??;
    let (plan, item_units) = plan(checked, &before)?;
    let (results, dropped) = drive(checked, address, &plan)?;

    let window = Window { from: plan.start + checked.args.warm_up, to: plan.end };
    let (mut stats, mut history, mut finished) = (Stats::new(window), History::default(), window.from);
    let (mut busy, mut opened, mut never_started, mut rechecked) = (Vec::new(), 0, dropped, Rechecked::default());
    for result in results {
        stats.add(result.stats);
        history.add(result.history);
        rechecked.add(result.rechecked);
        finished = finished.max(result.finished);
        busy.push(result.busy);
        opened += result.opened;
        never_started += result.never_started;
    }

    let mut known = Known::default();
    let after = block_on(scout(checked, address))?.unwrap_or_default();
    let units = after.units.get(&plan.item).copied().max(item_units);
    known.units.extend(units.map(|units| (plan.item.clone(), units)));
    let last_pass = history.passes.iter().map(|pass| pass.number).max();
    known.last_frontier = block_on(last_frontier(checked, address, last_pass))?;
    let (booked, passes) = (history.units.values().sum(), history.passes.len() as u64);
    let (left_out, pace) = (history.left_out, history.pace);
    let feed_left_out = block_on(read_feed(checked, &mut known))?;
    let findings = judge(history, &known);

    Ok(Outcome {
        journey: plan.journey,
        item: plan.item,
        stats,
        measured: finished.min(window.to).saturating_duration_since(window.from),
        busy,
        connections_opened: opened,
        never_started,
        findings,
        rechecked,
        left_out,
        feed_left_out,
        units: (booked, units),
        passes,
        pace,
    })
}

/// Reads the event feed, where there is an operators' address; says what could not be read.
async fn read_feed(checked: &Checked, known: &mut Known) -> Option<String> {
    let Some(admin) = &checked.admin else {
        return Some("give --admin with the operator's key, or see holdfast audit".to_owned());
    };
    let (truth, left_out) = feed::read(admin, &checked.sale, checked.args.operator_key.as_deref()).await;
    known.feed = Some(truth);
    left_out
}

fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Failed> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(Failed::Thread)?;
    Ok(runtime.block_on(work))
}

/// What visitors will do, and the units there are.
fn plan(checked: &Checked, sale: &Scouted) -> Result<(Plan, Option<u64>), Failed> {
    let args = &checked.args;
    let wanted = checked.item.as_ref().map(|item| item.as_str().to_owned());
    let item = wanted.or_else(|| sale.items.first().cloned()).unwrap_or_default();
    if !sale.items.contains(&item) {
        return Err(Failed::NoItem { sale: checked.sale.to_string(), item });
    }
    match (args.journey, sale.waiting_room) {
        (Journey::Book | Journey::Hold, Some(true)) => return Err(Failed::WaitingRoom),
        (Journey::Line | Journey::Join, Some(false)) => return Err(Failed::NoWaitingRoom),
        _ => {}
    }
    let mut per_visitor = args.per_visitor;
    if let Some(limit) = sale.units_per_visitor.filter(|_| args.journey == Journey::Book) {
        let bookings = u32::try_from(limit / u64::from(args.quantity)).unwrap_or(u32::MAX);
        if bookings == 0 {
            return Err(Failed::Limit { limit, quantity: args.quantity });
        }
        per_visitor = per_visitor.min(bookings);
    }
    let start = Instant::now();
    let end = start + args.warm_up + args.duration;
    let call_within = args.call_timeout * 2;
    let plan = Plan {
        journey: args.journey,
        item: item.clone(),
        quantity: args.quantity,
        per_visitor,
        proof: sale.proof_of_work,
        confirm_within: args.confirm_within,
        recheck_within: args.recheck_within,
        call_within,
        start,
        end,
        finish: end + args.finish_within,
    };
    Ok((plan, sale.units.get(&item).copied().or(args.units)))
}

/// Starts the threads and the pacer and waits for them.
fn drive(checked: &Checked, address: SocketAddr, plan: &Plan) -> Result<(Vec<ThreadOutcome>, u64), Failed> {
    let args = &checked.args;
    let mut rng = args.seed.map_or_else(rand::make_rng::<SmallRng>, SmallRng::seed_from_u64);
    // Never from the seed: two runs with one seed must not meet in one Idempotency-Key.
    let run: u64 = rand::random();
    let budget = Budget::new(args.count);
    let threads = usize::from(args.threads);
    let (to, arrivals): (Vec<_>, Vec<_>) = match args.rate {
        Some(_) => open(threads, plan.end),
        None => {
            (Vec::new(), (0..threads).map(|_| Arrivals::Closed { budget: budget.clone(), end: plan.end }).collect())
        }
    };
    let mut handles = Vec::new();
    for (n, arrivals) in (0_u32..).zip(arrivals) {
        let (checked, plan, seed) = (checked.clone(), plan.clone(), rng.random());
        let body = move || one_thread(&checked, address, plan, arrivals, run, n, seed);
        handles.push(thread::Builder::new().name(format!("load-{n}")).spawn(body).map_err(Failed::Thread)?);
    }
    let dropped = args.rate.map_or(0, |rate| pace(&to, rate, rng.random(), plan.start, plan.end, &budget));
    // Visitors learn from this that no start follows.
    drop(to);
    let mut results = Vec::new();
    for handle in handles {
        results.push(handle.join().map_err(|_| Failed::BrokeOff)??);
    }
    Ok((results, dropped))
}

/// This thread's part of something that is dealt to all threads.
fn share(total: u32, thread: u32, threads: u16) -> usize {
    let threads = u32::from(threads);
    (total / threads + u32::from(thread < total % threads)).max(1) as usize
}

fn one_thread(
    checked: &Checked,
    address: SocketAddr,
    plan: Plan,
    arrivals: Arrivals,
    run: u64,
    thread: u32,
    seed: u64,
) -> Result<ThreadOutcome, Failed> {
    let args = &checked.args;
    let connections = share(checked.connections, thread, args.threads);
    let window = Window { from: plan.start + args.warm_up, to: plan.end };
    let stop = plan.finish.max(plan.end + START_LATE) + plan.confirm_within.max(plan.call_within) + DRAIN;
    let shared = Rc::new(Shared {
        templates: Templates::new(&checked.authority, checked.sale.as_str(), &plan.item, args.quantity),
        pool: Pool::new(address, connections, args.call_timeout),
        plan,
        arrivals,
        stats: RefCell::new(Stats::new(window)),
        history: RefCell::new(History::default()),
        samples: RefCell::new(Samples::default()),
        rng: RefCell::new(SmallRng::seed_from_u64(seed)),
        stop: Cell::new(stop),
        run,
        attempts: Cell::new(u64::from(thread) << 40),
    });
    let visitors = share(args.visitors, thread, args.threads);
    let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(Failed::Thread)?;
    Ok(LocalSet::new().block_on(&runtime, travel_all(shared, visitors)))
}

async fn travel_all(shared: Rc<Shared>, visitors: usize) -> ThreadOutcome {
    let (before, begun) = (cpu_times(), Instant::now());
    let mut all = JoinSet::new();
    for _ in 0..visitors {
        all.spawn_local(Traveller::new(Rc::clone(&shared)).live());
    }
    let everybody = async { while all.join_next().await.is_some() {} };
    let mut everybody = std::pin::pin!(everybody);
    // The share of a core counts up to the end of the window: what drains afterwards is not load.
    let early = timeout_at(shared.plan.end.into(), &mut everybody).await.is_ok();
    let finished = Instant::now();
    let (after, wall) = (cpu_times(), finished.saturating_duration_since(begun).as_secs_f64().max(1e-9));
    let busy = Busy { running: (after.0 - before.0) / wall, waiting: (after.1 - before.1) / wall };
    if !early {
        // Travellers end by themselves once the run is over; what a broken server holds up is dropped.
        let _ = timeout_at((shared.stop.get() + shared.plan.call_within).into(), everybody).await;
    }
    // Asking once more is no load: it neither counts nor is timed.
    let window = shared.stats.borrow().window;
    shared.stats.borrow_mut().window.to = window.to.min(finished);
    let until = Instant::now() + shared.plan.recheck_within;
    shared.stop.set(until + shared.plan.call_within);
    let rechecked = recheck(&shared, until).await;
    let never_started = shared.arrivals.never_started().await;
    ThreadOutcome {
        stats: shared.stats.borrow().clone(),
        history: std::mem::take(&mut *shared.history.borrow_mut()),
        rechecked,
        finished,
        busy,
        opened: shared.pool.opened(),
        never_started,
    }
}

/// Seconds that this thread ran, and was ready but waited for a core, so far; 0 where the kernel does not say.
fn cpu_times() -> (f64, f64) {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let mut seconds = stat.split_whitespace().map(|text| text.parse::<f64>().unwrap_or(0.0) / 1e9);
    (seconds.next().unwrap_or(0.0), seconds.next().unwrap_or(0.0))
}

/// The frontier, once the line's document had time to show the last pass.
async fn last_frontier(checked: &Checked, address: SocketAddr, last_pass: Option<u64>) -> Option<u64> {
    let number = last_pass?;
    let until = Instant::now() + Duration::from_secs(STALE_SECONDS as u64);
    loop {
        let shown = frontier(checked, address).await;
        if shown.is_none_or(|frontier| frontier >= number) || Instant::now() >= until {
            return shown;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn threads_share_all_visitors() {
        assert_eq!((0..3).map(|n| share(64, n, 3)).collect::<Vec<_>>(), [22, 21, 21]);
        assert_eq!((0..3).map(|n| share(1, n, 3)).collect::<Vec<_>>(), [1, 1, 1]);
    }

    #[test]
    fn cpu_time_grows_with_work() {
        let (before, start) = (cpu_times(), Instant::now());
        while start.elapsed() < Duration::from_millis(20) {
            std::hint::spin_loop();
        }
        assert!(cpu_times().0 > before.0);
    }
}
