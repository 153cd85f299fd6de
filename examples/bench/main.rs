//! `make bench`: the product's figures with baselines run beside them in the same minutes.
//!
//! Starts the release binary on a fresh data directory, drives it with its own load harness from the same machine, and
//! prints a table in Markdown; the same figures go to `target/bench.json`. Every load run is judged by the harness' oracle
//! and every sale by `holdfast audit`: a figure of a wrong run is not printed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark that cannot go on has to stop")]

mod appliance;
mod baselines;
#[path = "../../tests/support/start.rs"]
mod start;
mod table;

use serde_json::{Value, json};

use appliance::{Appliance, Cost};
use table::Table;

/// Visitors at once in closed runs: enough that groups fill, as in a rush.
const VISITORS: u32 = 256;

/// Visitors at once on their whole way: most of them wait for the next call, which comes every 100 ms.
const JOURNEYS: u32 = 8_192;

/// The figure that others are compared with.
const BOOKINGS: &str = "confirmed durable bookings/s, one hot item, hold and confirm each a request";

/// Seconds of a run that is thrown away before one that is measured. A run of its own, because CPU is read around a whole run: what
/// a warm-up inside it spent would be counted, and what it did would not.
const WARM_S: u64 = 1;

/// How long one measurement takes, and how often those whose median counts are made.
struct Pace {
    seconds: u64,
    runs: usize,
    waiting: u64,
}

impl Pace {
    /// `--quick` is for a look, not for figures that are written down.
    fn from_args() -> Self {
        if std::env::args().any(|arg| arg == "--quick") {
            Self { seconds: 3, runs: 1, waiting: 20_000 }
        } else {
            Self { seconds: 10, runs: 3, waiting: 1_000_000 }
        }
    }
}

fn main() {
    let pace = Pace::from_args();
    let mut table = Table::default();
    let appliance = Appliance::start();
    bookings(&appliance, &pace, &mut table);
    journeys(&appliance, &pace, &mut table);
    cost_of_holds(&appliance, &pace, 0, &[10_000], &mut table);
    polls_and_joins(&appliance, &pace, &mut table);
    cost_of_holds(&appliance, &pace, pace.waiting, &[100, 10_000, 1_000_000], &mut table);
    baselines(&appliance, &pace, &mut table);
    table.print();
    table.save();
}

/// A sale without waiting room.
fn sale(id: &str, units: u64) -> String {
    format!("id = \"{id}\"\nadmission = \"none\"\n\n[[items]]\nid = \"seat\"\nunits = {units}\n")
}

/// A sale with one.
fn room(id: &str, pace_per_minute: u32) -> String {
    format!(
        "id = \"{id}\"\nadmission = {{ pace_per_minute = {pace_per_minute}, active_passes = 50000, pass_ttl = \"5m\", claim_grace = \"5m\" }}\n\n[[items]]\nid = \"seat\"\nunits = 1000000\n"
    )
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn number(report: &Value, pointer: &str) -> f64 {
    report.pointer(pointer).and_then(Value::as_f64).unwrap_or_else(|| panic!("no {pointer} in {report}"))
}

/// The program's thread that owns lanes and lines.
const OWNERS: &str = "owners";

/// Cores that a run kept busy, and what bounds its rate.
#[derive(Default)]
struct Busy {
    all: f64,
    redis: f64,
    owners: f64,
}

impl Busy {
    /// Seconds of CPU over seconds of the clock.
    fn of(spent: appliance::Spent, owners: f64, measured: f64) -> Self {
        Self { all: spent.all() / measured, redis: spent.redis() / measured, owners: owners / measured }
    }

    fn tell(&self, table: &mut Table) {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        table.row(&format!("  cores busy, of {cores}"), self.all, "cores");
        table.row("  of them Redis, which has one thread", self.redis, "cores");
        table.row("  of them the thread that owns the lane", self.owners, "cores");
        let parts =
            [("all cores together", self.all / cores as f64), ("Redis", self.redis), ("the lane's owner", self.owners)];
        let most = parts.iter().max_by(|a, b| a.1.total_cmp(&b.1)).expect("three parts");
        println!("What bounds the bookings: {}, {:.0} % busy.\n", most.0, 100.0 * most.1);
    }
}

/// Confirmed durable bookings per second of one hot item, then the latency at half of that.
fn bookings(appliance: &Appliance, pace: &Pace, table: &mut Table) {
    let mut rates = vec![];
    let mut cost = Cost::default();
    let mut groups = (0.0, 0.0);
    let mut busy = Busy::default();
    for run in 0..pace.runs {
        let id = format!("hot-{run}");
        appliance.sell(&sale(&id, 10_000_000));
        appliance.load("book", &id, VISITORS, WARM_S, &[]);
        let (before, threads) = (appliance.counters(), appliance.thread_seconds(OWNERS));
        let (report, spent) = appliance.load("book", &id, VISITORS, pace.seconds, &[]);
        let after = appliance.counters();
        appliance.audit(&id);
        rates.push(number(&report, "/bookings_per_s"));
        cost = spent.per(number(&report, "/bookings"));
        busy = Busy::of(spent, appliance.thread_seconds(OWNERS) - threads, number(&report, "/measured_s"));
        groups = after.groups_since(&before);
        table.note(&format!("book-{run}"), report);
    }
    let most = median(rates.clone());
    table.row(BOOKINGS, most, "1/s");
    table.row("  CPU per booking: program", cost.program_us, "us");
    table.row("  CPU per booking: Redis", cost.redis_us, "us");
    table.row("  CPU per booking: load harness", cost.client_us, "us");
    table.row("  holds decided by one Redis call", groups.0, "mean");
    table.row("  events made durable by one append", groups.1, "mean");
    busy.tell(table);
    let half = format!("{}", (most / 2.0).round());
    appliance.sell(&sale("half", 10_000_000));
    let (report, _) = appliance.load("book", "half", 2_048, pace.seconds, &["--rate", &half, "--warm-up", "1s"]);
    appliance.audit("half");
    for (call, name) in [("hold", "hold"), ("confirm", "confirm")] {
        for p in ["p50", "p99"] {
            table.row(
                &format!("{p} of a {name} at half that rate, from its intended start"),
                number(&report, &format!("/calls/{call}/ms/{p}")),
                "ms",
            );
        }
    }
    table.note("half", report);
    crush(appliance, pace, most, table);
}

/// Five times the visitors that fill the machine: what is booked of it.
fn crush(appliance: &Appliance, pace: &Pace, most: f64, table: &mut Table) {
    appliance.sell(&sale("crush", 10_000_000));
    let (report, _) = appliance.load("book", "crush", 5 * VISITORS, pace.seconds, &[]);
    appliance.audit("crush");
    let rate = number(&report, "/bookings_per_s");
    table.row(&format!("bookings/s with {} visitors at once instead of {VISITORS}", 5 * VISITORS), rate, "1/s");
    table.row("  of those before", rate / most, "ratio");
    table.note("crush", report);
}

/// The whole way, at a pace that is no hindrance: ticket, call, pass, hold, confirm. Who waits polls as often as the server says.
fn journeys(appliance: &Appliance, pace: &Pace, table: &mut Table) {
    appliance.sell(&room("way", 6_000_000));
    appliance.load("journey", "way", JOURNEYS, WARM_S, &[]);
    let (report, spent) = appliance.load("journey", "way", JOURNEYS, pace.seconds, &[]);
    appliance.audit("way");
    let rate = number(&report, "/bookings_per_s");
    let hot = table.value(BOOKINGS);
    table.row("whole journeys/s: ticket, pass, hold, confirm", rate, "1/s");
    table.row("  of bookings without a waiting room", rate / hot, "ratio");
    table.row("  CPU per journey: program", spent.per(number(&report, "/bookings")).program_us, "us");
    table.row("  polls per journey", number(&report, "/calls/line/accepted") / number(&report, "/bookings"), "mean");
    table.note("journey", report);
}

/// Polls of the line document, and joins.
fn polls_and_joins(appliance: &Appliance, pace: &Pace, table: &mut Table) {
    appliance.sell(&room("crowd", 60_000));
    appliance.load("poll", "crowd", 64, WARM_S, &[]);
    let before = appliance.redis_calls();
    let (report, spent) = appliance.load("poll", "crowd", 64, pace.seconds, &[]);
    let polls = number(&report, "/calls/line/accepted");
    let calls = appliance.redis_calls() - before;
    table.row("polls of the line document/s", polls / number(&report, "/measured_s"), "1/s");
    table.row("  CPU per poll: program", spent.per(polls).program_us, "us");
    table.row("  Redis calls per poll (the line is read every 100 ms, whoever polls)", calls / polls, "mean");
    table.note("poll", report);
    let count = pace.waiting.to_string();
    let (report, spent) = appliance.load("join", "crowd", VISITORS, 120, &["--count", &count]);
    let joins = number(&report, "/calls/ticket/accepted");
    table.row("joins/s", joins / number(&report, "/measured_s"), "1/s");
    table.row("  CPU per join: program", spent.per(joins).program_us, "us");
    table.row("  bytes in Redis per waiting visitor", appliance.bytes_of("h1:{crowd}:tickets") / joins, "bytes");
    table.row(&format!("  memory of the program, {joins} waiting"), appliance.resident_mib(), "MiB");
    table.note("join", report);
}

/// Cost per hold by the size of the sale, and by how many wait (they do after the joins).
fn cost_of_holds(appliance: &Appliance, pace: &Pace, waiting: u64, sizes: &[u64], table: &mut Table) {
    for units in sizes {
        let id = format!("flat-{units}-{waiting}");
        appliance.sell(&sale(&id, *units));
        appliance.load("hold", &id, 64, WARM_S, &[]);
        let (report, spent) = appliance.load("hold", &id, 64, pace.seconds, &[]);
        let holds = number(&report, "/calls/hold/accepted");
        let spent = spent.per(holds);
        let name = format!("CPU per hold and release, {units} units, {waiting} waiting: program + Redis");
        table.row(&name, spent.program_us + spent.redis_us, "us");
        table.note(&id, report);
    }
}

/// What the figures are compared with, on the same machine in the same minutes.
fn baselines(appliance: &Appliance, pace: &Pace, table: &mut Table) {
    appliance.sell(&sale("script", 100_000_000));
    let alone = appliance.redis_benchmark("script", pace.seconds * 20_000);
    table.row("baseline: redis-benchmark of the hold script, 50 clients, one hold a call", alone, "1/s");
    let (bare, line, ratio) = appliance::bare_hyper();
    table.row("baseline: bare hyper, one thread, same body", bare, "1/s");
    table.row("  the line document beside it, one thread", line, "1/s");
    table.row("  ratio", ratio, "of bare hyper");
    let booked = table.value(BOOKINGS);
    table.row("bookings against holds of redis-benchmark", booked / alone, "ratio");
    baselines::postgres(pace, booked, table);
    baselines::cassandra(pace, table);
    table.note("pace", json!({"seconds": pace.seconds, "runs": pace.runs, "waiting": pace.waiting}));
}
