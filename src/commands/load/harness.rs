//! From flags and files to a run of the harness.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use loadtest::{Journey, Load as Plan, Open, Shape, Threshold};

use super::Load;
use crate::failure::{Exit, Failure};
use crate::out::{self, Out};

/// Files of the processes of one run.
#[derive(Debug, Args)]
pub(crate) struct Merge {
    /// What each process wrote with --raw
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Where operators are served: checks all together against ledger, event feed and audit as well
    #[arg(long, value_name = "URL")]
    admin: Option<String>,
    /// Key for --admin [default: the first operator key of the data directory]
    #[arg(long, value_name = "KEY")]
    operator_key: Option<String>,
    /// What must come out of all together (may be repeated)
    #[arg(long, value_name = "THRESHOLD")]
    threshold: Vec<Threshold>,
    /// Write the report as one HTML file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// Two reports.
#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// The report (--json) of the run before
    before: PathBuf,
    /// The report (--json) of the run after
    after: PathBuf,
    /// End with 3 when a rate or a 99th percentile has become worse by more than this, such as 10%
    #[arg(long, value_name = "PERCENT")]
    within: Option<loadtest::Chance>,
}

/// The loads that come with the program.
#[derive(Debug, Args)]
pub(crate) struct Scenarios {
    /// Print the file of this one
    name: Option<String>,
}

/// Wrong usage, each mistake on its line.
pub(super) fn wrong(lines: &[String]) -> ExitCode {
    for line in lines {
        out::say(format_args!("load: {line}"));
    }
    ExitCode::from(loadtest::USAGE)
}

/// Runs `load merge`.
pub(super) fn merge(asked: &Merge, operator_key: Option<String>, json: bool) -> ExitCode {
    let merge = loadtest::Merge {
        files: asked.files.clone(),
        admin: asked.admin.clone(),
        operator_key: asked.operator_key.clone().or(operator_key),
        thresholds: asked.threshold.clone(),
        json,
        html: asked.html.clone(),
    };
    ExitCode::from(loadtest::merge(&merge, &mut std::io::stdout()))
}

/// Runs `load compare`.
pub(super) fn compare(asked: &Compare, json: bool) -> ExitCode {
    let within = asked.within.map(|share| share.0);
    let compare = loadtest::Compare { before: asked.before.clone(), after: asked.after.clone(), within, json };
    ExitCode::from(loadtest::compare(&compare, &mut std::io::stdout()))
}

/// Runs `load scenarios`.
pub(super) fn scenarios(asked: &Scenarios) -> Result<Exit, Failure> {
    let mut out = Out::new();
    if let Some(name) = &asked.name {
        let file = Plan::shipped(name).ok_or_else(|| {
            let names = Plan::names().collect::<Vec<_>>().join(", ");
            Failure::usage(format!("scenario {name}"), "there is none of this name", format!("name one of {names}"))
        })?;
        out.text(file)?;
    } else {
        for name in Plan::names() {
            let about = Plan::shipped(name).and_then(|file| Plan::from_toml(file).ok()).map(|load| load.about);
            out.line(format_args!("{name:<16}{}", about.unwrap_or_default()))?;
        }
    }
    out.done()?;
    Ok(Exit::Done)
}

/// The load of this name: shipped, or a file. None for a journey of the harness.
fn load(name: &str) -> Result<Option<Plan>, Vec<String>> {
    if name.parse::<Journey>().is_ok() {
        return Ok(None);
    }
    let text = match Plan::shipped(name) {
        Some(text) => text.to_owned(),
        None if Path::new(name).extension().is_some() => {
            std::fs::read_to_string(name).map_err(|error| vec![format!("{name} cannot be read ({error})")])?
        }
        None => {
            let journeys = Journey::ALL.map(Journey::as_str).into_iter();
            let names = journeys.chain(Plan::names()).collect::<Vec<_>>().join(", ");
            return Err(vec![format!("no scenario {name:?}: there is {names}, and files that end with .toml")]);
        }
    };
    let told = |mistake: &domain::Mistake| format!("{name}: {mistake}");
    Plan::from_toml(&text).map(Some).map_err(|mistakes| mistakes.iter().map(told).collect())
}

impl Load {
    /// The run that flags and file ask for together, but for the server's addresses.
    pub(super) fn args(&self) -> Result<loadtest::Args, Vec<String>> {
        let trace = match &self.trace {
            Some(path) => {
                let told = |why: String| vec![format!("trace {}: {why}", path.display())];
                let text = std::fs::read_to_string(path).map_err(|error| told(error.to_string()))?;
                Some(Shape::times(&text).map_err(told)?)
            }
            None => None,
        };
        let shape = || trace.clone().or_else(|| self.rate.map(Shape::steady));
        let mut args = match load(&self.scenario)? {
            Some(plan) => loadtest::Args::of(self.over(plan, shape())),
            None => self.journey(trace.clone()),
        };
        let ready = |sale: &str| sale.to_owned();
        args.sale = match (&self.sale, args.load.as_ref().map(|plan| (plan.sale.clone(), plan.room()))) {
            (Some(sale), _) => sale.clone(),
            (None, Some((Some(sale), _))) => sale,
            (None, Some((None, Some(false)))) => ready("express"),
            (None, None) if matches!(args.journey, Journey::Book | Journey::Hold) => ready("express"),
            (None, _) => ready("demo"),
        };
        args.item = self.item.clone();
        args.units = self.units;
        args.quantity = self.quantity.unwrap_or(args.quantity);
        args.connections = self.connections;
        args.duration = self.duration.unwrap_or(args.duration);
        args.finish_within = self.finish_within.unwrap_or(args.finish_within);
        args.warm_up = self.warm_up.unwrap_or(args.warm_up);
        args.per_visitor = self.per_visitor.unwrap_or(args.per_visitor);
        args.count = self.count;
        args.threads = self.threads;
        args.thresholds = self.threshold.clone();
        args.min_bookings_per_s = self.min_bookings;
        args.max_p99_confirm_ms = self.max_p99_ms;
        args.seed = self.seed;
        args.part = self.part;
        args.start_at = self.start_at;
        args.raw = self.raw.clone();
        args.html = self.html.clone();
        args.metrics = self.metrics.clone();
        args.progress = self.progress;
        Ok(args)
    }

    fn journey(&self, trace: Option<Shape>) -> loadtest::Args {
        let defaults = loadtest::Args::default();
        let journey = self.scenario.parse().unwrap_or(defaults.journey);
        let visitors = self.visitors.unwrap_or(defaults.visitors);
        let load = trace.map(|shape| {
            let open = Some(Open { shape, most: visitors });
            Plan { open, closed: None, ..Plan::of(journey, visitors, None) }
        });
        loadtest::Args { journey, visitors, rate: self.rate, load, ..defaults }
    }

    /// A load with the flags that go before it.
    fn over(&self, mut plan: Plan, shape: Option<Shape>) -> Plan {
        if let Some(shape) = shape {
            let most = plan.open.as_ref().map(|open| open.most).or(plan.closed).unwrap_or(1);
            if plan.open.is_none() {
                plan.closed = None;
            }
            plan.open = Some(Open { shape, most });
        }
        match (&mut plan.open, self.visitors) {
            (Some(open), Some(visitors)) => open.most = visitors,
            (None, Some(visitors)) => plan.closed = Some(visitors),
            (_, None) => {}
        }
        plan
    }
}
