//! A run: threads, the pacer, and what they saw, put together.

mod conclude;
mod gathered;
mod thread;

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread as threads;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::runtime;

pub(crate) use conclude::{Outcome, Sources, conclude};
pub(crate) use gathered::{Gathered, Head, Raw};
pub(crate) use thread::Busy;

use crate::args::Checked;
use crate::arrivals::{Arrivals, Budget, open, pace};
use crate::oracle::History;
use crate::progress::{Progress, Teller};
use crate::sample::Rechecked;
use crate::scenario::{Load, Model};
use crate::scout::{Failed, Scouted, resolve, scout};
use crate::scrape::{Scraped, Scraper};
use crate::series::Series;
use crate::stats::{Stats, Window};
use crate::trip::Plan;
use thread::{Orders, ThreadOutcome, one_thread};

/// Runs what was checked.
pub(crate) fn run(checked: &Checked) -> Result<Outcome, Failed> {
    let gathered = gather(checked)?;
    if let Some(path) = &checked.args.raw {
        let failed = |error: String| Failed::NotWritten(path.display().to_string(), error);
        let text = serde_json::to_vec(&Raw::of(&gathered)).map_err(|error| failed(error.to_string()))?;
        std::fs::write(path, text).map_err(|error| failed(error.to_string()))?;
    }
    conclude(gathered, &Sources::of(checked))
}

/// Sends the visitors and puts together what they saw.
fn gather(checked: &Checked) -> Result<Gathered, Failed> {
    let address = resolve(&checked.authority)?;
    let before = block_on(scout(&Sources::of(checked)))??;
    wait_for(checked.args.start_at);
    let (plan, units) = plan(checked, &before)?;
    let length = checked.args.warm_up + checked.args.duration + checked.args.finish_within;
    let series = Series::new(plan.start, length);
    let scraper = Scraper::start(checked.metrics.clone(), plan.start, series.width);
    let driven = drive(checked, address, &plan, &series);
    let scraped = scraper.end();
    let (results, dropped) = driven?;
    Ok(add_up(checked, &plan, series, results, (dropped, units, scraped)))
}

/// Starts together with the other processes of the run.
fn wait_for(start_at: Option<domain::Millis>) {
    let Some(at) = start_at else { return };
    let at = UNIX_EPOCH + Duration::from_millis(at.0);
    if let Ok(left) = at.duration_since(SystemTime::now()) {
        threads::sleep(left);
    }
}

fn add_up(
    checked: &Checked,
    plan: &Plan,
    series: Series,
    results: Vec<ThreadOutcome>,
    (dropped, units, scraped): (u64, Option<u64>, Scraped),
) -> Gathered {
    let args = &checked.args;
    let window = Window { from: plan.start + args.warm_up, to: plan.end };
    let (mut stats, mut history) = (Stats::new(window, series, Arc::default()), History::default());
    let (mut finished, mut never_started, mut rechecked) = (window.from, dropped, Rechecked::default());
    let (mut busy, mut opened, mut most_bytes) = (Vec::new(), 0, 0);
    for result in results {
        stats.add(result.stats);
        history.add(result.history);
        rechecked.add(result.rechecked);
        finished = finished.max(result.finished);
        busy.push(result.busy);
        opened += result.opened;
        never_started += result.never_started;
        most_bytes = most_bytes.max(result.most_bytes);
    }
    let head = Head {
        journey: checked.load.name.clone(),
        about: checked.load.about.clone(),
        target: args.target.clone(),
        sale: args.sale.clone(),
        item: plan.item.clone(),
        quantity: plan.quantity,
        visitors: most(&checked.load),
        arrivals: arrivals_in_words(&checked.load),
        rate: args.rate.filter(|_| args.load.is_none()),
        threads: u32::from(args.threads),
        books: checked.load.books(),
        part: args.part,
    };
    Gathered {
        head,
        stats,
        history,
        measured: finished.min(window.to).saturating_duration_since(window.from),
        busy,
        opened,
        never_started,
        rechecked,
        units,
        scraped,
        most_bytes,
    }
}

/// Visitors at once, at most.
fn most(load: &Load) -> u32 {
    load.closed.unwrap_or(0).saturating_add(load.open.as_ref().map_or(0, |open| open.most))
}

fn arrivals_in_words(load: &Load) -> String {
    let open = load.open.as_ref().map(|open| open.shape.words());
    let closed = load.closed.map(|visitors| match open {
        Some(_) => format!("{visitors} visitors again and again"),
        None => "closed".to_owned(),
    });
    open.into_iter().chain(closed).collect::<Vec<_>>().join(", and ")
}

pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Failed> {
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
    for scenario in checked.load.scenarios.iter().filter(|scenario| scenario.weight > 0) {
        match (scenario.room(), sale.waiting_room) {
            (Some(false), Some(true)) => return Err(Failed::WaitingRoom(scenario.name.clone())),
            (Some(true), Some(false)) => return Err(Failed::NoWaitingRoom(scenario.name.clone())),
            _ => {}
        }
    }
    let room = sale.waiting_room.unwrap_or_else(|| checked.load.scenarios.iter().any(|one| one.room() == Some(true)));
    let mut per_visitor = args.per_visitor;
    if let Some(limit) = sale.units_per_visitor.filter(|_| !room && checked.load.books()) {
        let bookings = u32::try_from(limit / u64::from(args.quantity)).unwrap_or(u32::MAX);
        if bookings == 0 {
            return Err(Failed::Limit { limit, quantity: args.quantity });
        }
        per_visitor = per_visitor.min(bookings);
    }
    let start = Instant::now();
    let end = start + args.warm_up + args.duration;
    let plan = Plan {
        room,
        item: item.clone(),
        quantity: args.quantity,
        per_visitor,
        proof: sale.proof_of_work,
        limit: sale.units_per_visitor,
        lose_answers: checked.load.lose_answers,
        confirm_within: args.confirm_within,
        recheck_within: args.recheck_within,
        call_within: args.call_timeout * 2,
        start,
        end,
        finish: end + args.finish_within,
    };
    Ok((plan, sale.units.get(&item).copied().or(args.units)))
}

/// This thread's part of something that is dealt to all threads.
fn share(total: u32, thread: u32, threads: u16) -> usize {
    let threads = u32::from(threads);
    (total / threads + u32::from(thread < total % threads)) as usize
}

/// Starts the threads and the pacer and waits for them.
fn drive(
    checked: &Checked,
    address: SocketAddr,
    plan: &Plan,
    series: &Series,
) -> Result<(Vec<ThreadOutcome>, u64), Failed> {
    let (args, load) = (&checked.args, &checked.load);
    let mut rng = args.seed.map_or_else(rand::make_rng::<SmallRng>, SmallRng::seed_from_u64);
    // Never from the seed: two runs with one seed must not meet in one Idempotency-Key.
    let run: u64 = rand::random();
    let budget = Budget::new(args.count);
    let (to, starts) = match load.open {
        Some(_) => open(usize::from(args.threads), plan.end),
        None => (Vec::new(), Vec::new()),
    };
    let mut starts = starts.into_iter();
    let progress: Vec<Arc<Progress>> = (0..args.threads).map(|_| Arc::default()).collect();
    let mut handles = Vec::new();
    for (thread, progress) in (0_u32..).zip(&progress) {
        let mut crews = Vec::new();
        if let (Some(open), Some(starts)) = (&load.open, starts.next()) {
            crews.push((Model::Open, starts, share(open.most, thread, args.threads).max(1)));
        }
        if let Some(visitors) = load.closed.map(|all| share(all, thread, args.threads)).filter(|some| *some > 0) {
            crews.push((Model::Closed, Arrivals::Closed { budget: budget.clone(), end: plan.end }, visitors));
        }
        let connections = share(checked.connections, thread, args.threads).max(1);
        let (series, progress, seed) = (series.clone(), Arc::clone(progress), rng.random());
        let orders = Orders { address, connections, plan: plan.clone(), crews, run, thread, seed, series, progress };
        let checked = checked.clone();
        let body = move || one_thread(&checked, orders);
        let handle = threads::Builder::new().name(format!("load-{thread}")).spawn(body).map_err(Failed::Thread)?;
        handles.push(handle);
    }
    let _teller = Teller::start(progress, args.progress);
    let shape = load.open.as_ref().map(|open| &open.shape);
    let dropped = shape.map_or(0, |shape| pace(&to, shape, rng.random(), plan.start, plan.end, &budget));
    // Visitors learn from this that no start follows.
    drop(to);
    let mut results = Vec::new();
    for handle in handles {
        results.push(handle.join().map_err(|_| Failed::BrokeOff)??);
    }
    Ok((results, dropped))
}

impl Sources {
    fn of(checked: &Checked) -> Self {
        Self {
            target: checked.authority.clone(),
            admin: checked.admin.clone(),
            operator_key: checked.args.operator_key.clone(),
            sale: checked.sale.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn threads_share_all_visitors() {
        assert_eq!((0..3).map(|n| share(64, n, 3)).collect::<Vec<_>>(), [22, 21, 21]);
        assert_eq!((0..3).map(|n| share(1, n, 3)).collect::<Vec<_>>(), [1, 0, 0]);
    }
}
