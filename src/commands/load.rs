//! `load`: the load harness with the program's flags, and the simulator of a sale.

mod simulate;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use domain::time::parse_duration_ms;
use loadtest::Journey;

use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::running;

/// Flags of a run; the defaults are those of the harness.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Load {
    #[command(subcommand)]
    without_server: Option<WithoutServer>,
    /// What every visitor does: book, journey, join, poll or hold
    #[arg(default_value = "book")]
    scenario: Journey,
    /// Where visitors are served [default: the program on the data directory, else http://127.0.0.1:8080]
    #[arg(long, value_name = "URL")]
    target: Option<String>,
    /// Where operators are served: checks the run against their figures as well [default: that of the program on the data directory]
    #[arg(long, value_name = "URL")]
    admin: Option<String>,
    /// Key for --admin [default: the first operator key of the data directory]
    #[arg(long, value_name = "KEY")]
    operator_key: Option<String>,
    /// The sale [default: express for book and hold, demo otherwise]
    #[arg(long)]
    sale: Option<String>,
    /// The item to hold; the sale's first one when absent
    #[arg(long)]
    item: Option<String>,
    /// Units there are, where --admin does not say
    #[arg(long)]
    units: Option<u64>,
    /// Units of every hold
    #[arg(long, default_value_t = 1)]
    quantity: u32,
    /// Visitors at once
    #[arg(long, default_value_t = 64)]
    visitors: u32,
    /// Connections that visitors share
    #[arg(long)]
    connections: Option<u32>,
    /// Journeys started per second, whether or not earlier ones have ended
    #[arg(long)]
    rate: Option<f64>,
    /// How long journeys are started, such as 10s
    #[arg(long, value_parser = duration, default_value = "10s")]
    duration: Duration,
    /// How long journeys under way may go on after that, such as 20s
    #[arg(long, value_parser = duration, default_value = "20s")]
    finish_within: Duration,
    /// End after so many journeys
    #[arg(long)]
    count: Option<u64>,
    /// Time before the measurement
    #[arg(long, value_parser = duration, default_value = "0s")]
    warm_up: Duration,
    /// Threads of the harness
    #[arg(long, default_value_t = 1)]
    threads: u16,
    /// Journeys of one visitor before a new one takes over
    #[arg(long, default_value_t = 16)]
    per_visitor: u32,
    /// Threshold: confirmed bookings per second, at least
    #[arg(long)]
    min_bookings: Option<f64>,
    /// Threshold: 99th percentile of confirms in milliseconds, at most
    #[arg(long)]
    max_p99_ms: Option<f64>,
    /// Seed of arrivals and waiting times
    #[arg(long)]
    seed: Option<u64>,
}

/// What needs no server.
#[derive(Debug, Subcommand)]
enum WithoutServer {
    /// Play a sale on a virtual clock against a fixed rate and a plain cap
    Simulate(simulate::Simulate),
    /// Play a recorded sale again, under other settings
    Replay(simulate::Replay),
}

impl Load {
    /// Runs what needs no server, if that was asked for.
    pub(super) fn without_server(&self, json: bool) -> Option<Result<Exit, Failure>> {
        match self.without_server.as_ref()? {
            WithoutServer::Simulate(asked) => Some(simulate::simulate(asked, json)),
            WithoutServer::Replay(asked) => Some(simulate::replay(asked, json)),
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

/// Runs the harness; its exit codes are 0 done, 1 failed, 2 wrong usage, 3 threshold missed, 4 the oracle found something.
pub(super) fn run(load: &Load, config: &Config, operator_key: Option<String>, json: bool) -> ExitCode {
    let defaults = loadtest::Args::default();
    let running = running::now(&config.layout());
    let here =
        running.and_then(|running| Some((format!("http://{}", running.public?), format!("http://{}", running.admin))));
    let (target, admin) = match (&load.target, here) {
        (Some(target), _) => (target.clone(), load.admin.clone()),
        (None, Some((public, admin))) => (public, load.admin.clone().or(Some(admin))),
        (None, None) => (defaults.target.clone(), load.admin.clone()),
    };
    let sale = load.sale.clone().unwrap_or_else(|| match load.scenario {
        Journey::Book | Journey::Hold => "express".to_owned(),
        Journey::Line | Journey::Join | Journey::Poll => "demo".to_owned(),
    });
    let args = loadtest::Args {
        target,
        admin,
        operator_key: load.operator_key.clone().or(operator_key),
        units: load.units,
        sale,
        item: load.item.clone(),
        quantity: load.quantity,
        journey: load.scenario,
        visitors: load.visitors,
        connections: load.connections,
        rate: load.rate,
        duration: load.duration,
        finish_within: load.finish_within,
        count: load.count,
        warm_up: load.warm_up,
        threads: load.threads,
        per_visitor: load.per_visitor,
        min_bookings_per_s: load.min_bookings,
        max_p99_confirm_ms: load.max_p99_ms,
        seed: load.seed,
        json,
        ..defaults
    };
    ExitCode::from(loadtest::run(&args))
}
