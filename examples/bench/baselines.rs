//! What one would use instead, beside the product in the same minutes: PostgreSQL behind the same HTTP calls, driven by the same
//! harness with the same oracle (`baselines/postgres`), and an insert per booking on Cassandra (`ledger/examples/cql_rate.rs`).

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::appliance::{binary, judged};
use crate::table::Table;
use crate::{Pace, WARM_S, median, number};

/// The two ways of the baseline, each with the number of visitors at once with which it did best.
const WAYS: [(&str, &str, u32); 2] = [
    ("rows", "baseline: bookings/s on PostgreSQL, every call a transaction that locks the item's row", 64),
    ("groups", "baseline: bookings/s on PostgreSQL, the program commits what has piled up", 512),
];

/// The baseline as a process. It ends with its standard input, and its PostgreSQL with it.
struct Postgres {
    program: Child,
    address: String,
}

impl Postgres {
    fn start(way: &str) -> Self {
        let program = binary("../baselines/release/postgres-baseline");
        let mut command = Command::new(program);
        command.arg(way).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut program = command.spawn().expect("make bench has built the baseline");
        let mut line = String::new();
        BufReader::new(program.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let banner: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("the baseline said {line:?}"));
        Self { program, address: banner["address"].as_str().expect("an address").to_owned() }
    }

    fn book(&self, visitors: u32, seconds: u64) -> Value {
        let out = Command::new(binary("holdfast"))
            .args(["load", "book", "--json", "--sale", "baseline", "--target", &self.address])
            .args(["--visitors", &visitors.to_string(), "--duration", &format!("{seconds}s")])
            .output()
            .expect("the release binary runs");
        judged(&out)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.program.stdin.take());
        let _ = self.program.wait();
    }
}

/// Bookings on PostgreSQL, and `booked` against them.
pub(crate) fn postgres(pace: &Pace, booked: f64, table: &mut Table) {
    for (way, name, visitors) in WAYS {
        let run = |_| {
            let server = Postgres::start(way);
            server.book(visitors, WARM_S);
            server.book(visitors, pace.seconds)
        };
        let reports: Vec<Value> = (0..pace.runs).map(run).collect();
        let rate = median(reports.iter().map(|report| number(report, "/bookings_per_s")).collect());
        table.row(name, rate, "1/s");
        table.row("  bookings/s of Holdfast against it", booked / rate, "ratio");
        for (n, report) in reports.into_iter().enumerate() {
            table.note(&format!("postgres-{way}-{n}"), report);
        }
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/cassandra/cassandra.sh")
}

/// An insert per booking against group commit, on one Cassandra node; left out where Java or Maven is missing.
pub(crate) fn cassandra(pace: &Pace, table: &mut Table) {
    let said = |out: &[u8]| String::from_utf8_lossy(out).trim().to_owned();
    let check = Command::new(script()).arg("check").output().expect("the script runs");
    if !check.status.success() {
        eprintln!("left out: an insert per booking on Cassandra ({})", said(&check.stderr));
        return;
    }
    let dir = tempfile::Builder::new().prefix("hf").tempdir().expect("a temporary directory");
    // Whatever becomes of this process, its guard stops the node.
    let mut start = Command::new(script());
    start.args(["start", "--guard", &std::process::id().to_string()]).arg(dir.path());
    let started = start.stderr(Stdio::inherit()).output().expect("the script runs");
    assert!(started.status.success(), "Cassandra does not start");
    let mut rate = Command::new(binary("examples/cql_rate"));
    let out = rate.args([said(&started.stdout), pace.seconds.to_string()]).output().expect("make bench has built it");
    let _ = Command::new(script()).arg("stop").arg(dir.path()).status();
    let text = said(&out.stdout);
    let best = text.lines().find_map(|line| line.strip_prefix("best against best: "));
    let best = best.unwrap_or_else(|| panic!("cql_rate said {text}{}", said(&out.stderr)));
    let figures: Vec<f64> = best.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [single, grouped, events] = figures[..] else { panic!("three figures in {best}") };
    table.row("baseline: a conditional insert per booking on one Cassandra node", single, "1/s");
    table.row("  group commit on the same node", grouped, "1/s");
    table.row("  ratio", grouped / single, "ratio");
    table.row("  events made durable by one conditional round", events, "mean");
}
