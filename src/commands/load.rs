//! `load`: the load harness with the program's flags, and what needs no server: simulating, merging, comparing.

mod harness;
mod simulate;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use domain::Millis;
use domain::time::parse_duration_ms;
use loadtest::Threshold;

use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::running;

/// Flags of a run. A flag goes before the file of the scenario, which goes before the harness' defaults.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Load {
    #[command(subcommand)]
    without_run: Option<WithoutRun>,
    /// What visitors do: book, journey, join, poll or hold; a shipped scenario (see load scenarios); or a TOML file
    #[arg(default_value = "book")]
    scenario: String,
    /// Where visitors are served [default: the program on the data directory, else http://127.0.0.1:8080]
    #[arg(long, value_name = "URL")]
    target: Option<String>,
    /// Where operators are served: checks the run against ledger, event feed and audit as well [default: that of the program on the data directory]
    #[arg(long, value_name = "URL")]
    admin: Option<String>,
    /// Key for --admin [default: the first operator key of the data directory]
    #[arg(long, value_name = "KEY")]
    operator_key: Option<String>,
    /// Where /metrics is served, read along with the run [default: --admin]
    #[arg(long, value_name = "URL")]
    metrics: Option<String>,
    /// The sale [default: demo where a waiting room is needed, express otherwise]
    #[arg(long)]
    sale: Option<String>,
    /// The item to hold; the sale's first one when absent
    #[arg(long)]
    item: Option<String>,
    /// Units there are, where --admin does not say
    #[arg(long)]
    units: Option<u64>,
    /// Units of every hold [default: 1]
    #[arg(long)]
    quantity: Option<u32>,
    /// Visitors at once; of those who come at their own times, the most on their way at once [default: 64]
    #[arg(long)]
    visitors: Option<u32>,
    /// Connections that visitors share
    #[arg(long)]
    connections: Option<u32>,
    /// Journeys started per second, whether or not earlier ones have ended
    #[arg(long)]
    rate: Option<f64>,
    /// Journeys started at the times of this file: a line each, in milliseconds since the start
    #[arg(long, value_name = "FILE", conflicts_with = "rate")]
    trace: Option<PathBuf>,
    /// How long journeys are started, such as 10s [default: 10s]
    #[arg(long, value_parser = duration)]
    duration: Option<Duration>,
    /// How long journeys under way may go on after that, such as 20s [default: 20s]
    #[arg(long, value_parser = duration)]
    finish_within: Option<Duration>,
    /// End after so many journeys
    #[arg(long)]
    count: Option<u64>,
    /// Time before the measurement [default: 0s]
    #[arg(long, value_parser = duration)]
    warm_up: Option<Duration>,
    /// Threads of the harness
    #[arg(long, default_value_t = 1)]
    threads: u16,
    /// Journeys of one visitor before a new one takes over [default: 16]
    #[arg(long)]
    per_visitor: Option<u32>,
    /// What must come out, such as "confirm.p99 < 50ms", "errors < 0.1%" or "bookings/s >= 5000" (may be repeated)
    #[arg(long, value_name = "THRESHOLD")]
    threshold: Vec<Threshold>,
    /// The threshold "bookings/s >= N"
    #[arg(long)]
    min_bookings: Option<f64>,
    /// The threshold "confirm.p99 <= N ms"
    #[arg(long)]
    max_p99_ms: Option<f64>,
    /// Seed of arrivals and waiting times
    #[arg(long)]
    seed: Option<u64>,
    /// This process sends one part of the load, such as 2/3; see load merge
    #[arg(long, value_parser = part, value_name = "PART/OF")]
    part: Option<(u32, u32)>,
    /// When the run starts, so that several processes start together (RFC 3339)
    #[arg(long, value_parser = time, value_name = "TIME")]
    start_at: Option<Millis>,
    /// Write everything that was counted and seen, for load merge
    #[arg(long, value_name = "FILE")]
    raw: Option<PathBuf>,
    /// Write the report as one HTML file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Tell the progress also where stderr is no terminal
    #[arg(long)]
    progress: bool,
}

/// What sends no visitors.
#[derive(Debug, Subcommand)]
enum WithoutRun {
    /// Play a sale on a virtual clock against a fixed rate and a plain cap
    Simulate(simulate::Simulate),
    /// Play a recorded sale again, under other settings
    Replay(simulate::Replay),
    /// Add up what several processes wrote with --raw, and judge it as one run
    Merge(harness::Merge),
    /// Show two reports in JSON side by side
    Compare(harness::Compare),
    /// List the shipped scenarios, or print the file of one
    Scenarios(harness::Scenarios),
}

impl Load {
    /// Runs what needs no configuration, if that was asked for.
    pub(super) fn without_run(&self, json: bool) -> Option<Result<ExitCode, Failure>> {
        let plain = |exit: Result<Exit, Failure>| exit.map(ExitCode::from);
        match self.without_run.as_ref()? {
            WithoutRun::Simulate(asked) => Some(plain(simulate::simulate(asked, json))),
            WithoutRun::Replay(asked) => Some(plain(simulate::replay(asked, json))),
            WithoutRun::Compare(asked) => Some(Ok(harness::compare(asked, json))),
            WithoutRun::Scenarios(asked) => Some(plain(harness::scenarios(asked))),
            WithoutRun::Merge(_) => None,
        }
    }
}

pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    if text == "0s" {
        return Ok(Duration::ZERO);
    }
    parse_duration_ms(text)
        .map(Duration::from_millis)
        .ok_or_else(|| "must be a duration such as 500ms, 10s or 5m".to_owned())
}

fn part(text: &str) -> Result<(u32, u32), String> {
    let numbers = text.split_once('/').and_then(|(part, of)| Some((part.parse().ok()?, of.parse().ok()?)));
    numbers.ok_or_else(|| "must be two numbers such as 2/3".to_owned())
}

fn time(text: &str) -> Result<Millis, String> {
    Millis::parse_rfc3339(text).map_err(|error| error.to_string())
}

/// Runs the harness; its exit codes are 0 done, 1 failed, 2 wrong usage, 3 threshold missed, 4 the oracle found something.
pub(super) fn run(load: &Load, config: &Config, operator_key: Option<String>, json: bool) -> ExitCode {
    let running = running::now(&config.layout());
    let here =
        running.and_then(|running| Some((format!("http://{}", running.public?), format!("http://{}", running.admin))));
    if let Some(WithoutRun::Merge(asked)) = &load.without_run {
        return harness::merge(asked, operator_key, json);
    }
    let mut args = match load.args() {
        Ok(args) => args,
        Err(lines) => return harness::wrong(&lines),
    };
    (args.target, args.admin) = match (&load.target, here) {
        (Some(target), _) => (target.clone(), load.admin.clone()),
        (None, Some((public, admin))) => (public, load.admin.clone().or(Some(admin))),
        (None, None) => (args.target, load.admin.clone()),
    };
    args.operator_key = load.operator_key.clone().or(operator_key);
    args.json = json;
    ExitCode::from(loadtest::run(&args))
}
