//! `load simulate` and `load replay`: a sale on a virtual clock, with Holdfast's own step. Needs no server.

use std::path::{Path, PathBuf};

use admission::simulate::{Model, Outcome, Policy, Recorded, Sale, chart, run};
use admission::step::Settings;
use clap::Args;
use domain::time::parse_duration_ms;

use crate::failure::{Exit, Failure};
use crate::out::{self, Out};

/// A modelled sale.
#[derive(Debug, Args)]
pub(crate) struct Simulate {
    #[command(flatten)]
    rules: Rules,
    /// Units to sell
    #[arg(long, default_value_t = 10_000)]
    units: u64,
    /// People who come
    #[arg(long, default_value_t = 100_000)]
    visitors: u32,
    /// Of 1,000, those who are there at the opening
    #[arg(long, default_value_t = 500)]
    early: u32,
    /// Mean time after the opening in which the others come
    #[arg(long, value_parser = millis, default_value = "5m")]
    wave: u64,
    /// Mean time somebody is willing to stand in line
    #[arg(long, value_parser = millis, default_value = "30m")]
    patience: u64,
    /// Of 1,000 people called, those who do not come
    #[arg(long, default_value_t = 150)]
    no_show: u32,
    /// Mean time from being called to claiming
    #[arg(long, value_parser = millis, default_value = "5s")]
    react: u64,
    /// Mean time from pass to hold, and again from hold to confirm
    #[arg(long, value_parser = millis, default_value = "40s")]
    think: u64,
    /// Of 1,000 people inside, those who want a unit
    #[arg(long, default_value_t = 900)]
    want: u32,
    /// Of 1,000 holds, those left to run out
    #[arg(long, default_value_t = 100)]
    lapse: u32,
    /// How long a hold lives
    #[arg(long, value_parser = millis, default_value = "5m")]
    hold_ttl: u64,
    /// From when to when after the opening no store answers, such as 60s-75s (may be repeated)
    #[arg(long, value_parser = window, value_name = "FROM-TO")]
    fault: Vec<(u64, u64)>,
    /// Seed of the visitors
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// A recorded sale.
#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// The event feed of a sale: lines of GET /admin/v1/sales/SALE/events
    file: PathBuf,
    #[command(flatten)]
    rules: Rules,
}

/// Settings that are tried; those of the recorded sale where a replay names none.
#[derive(Debug, Args)]
struct Rules {
    /// Passes per minute
    #[arg(long, value_name = "PER_MINUTE")]
    pace: Option<u32>,
    /// Passes alive at once
    #[arg(long)]
    active_passes: Option<u32>,
    /// How long a pass lives
    #[arg(long, value_parser = millis)]
    pass_ttl: Option<u64>,
    /// How long a turn is kept
    #[arg(long, value_parser = millis)]
    claim_grace: Option<u64>,
    /// Write the course of the sale as an SVG picture
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

fn millis(text: &str) -> Result<u64, String> {
    parse_duration_ms(text).ok_or_else(|| "must be a duration such as 500ms, 10s or 5m".to_owned())
}

fn window(text: &str) -> Result<(u64, u64), String> {
    let (from, to) = text.split_once('-').ok_or("must be two times such as 60s-75s")?;
    let (from, to) = (millis(from)?, millis(to)?);
    if from < to { Ok((from, to)) } else { Err("must end after it begins".to_owned()) }
}

impl Rules {
    fn apply(&self, sale: &mut Sale) {
        let Settings { pace_per_minute, active_passes, .. } = &mut sale.settings;
        *pace_per_minute = self.pace.unwrap_or(*pace_per_minute);
        *active_passes = self.active_passes.unwrap_or(*active_passes);
        sale.pass_ttl_ms = self.pass_ttl.unwrap_or(sale.pass_ttl_ms);
        sale.claim_grace_ms = self.claim_grace.unwrap_or(sale.claim_grace_ms);
    }
}

/// Runs `load simulate`.
pub(super) fn simulate(asked: &Simulate, json: bool) -> Result<Exit, Failure> {
    let mut sale = Sale {
        units: asked.units,
        settings: Settings {
            pace_per_minute: 6_000,
            active_passes: 2_000,
            units_per_visitor: Some(1),
            shares: admission::step::Shares::ONE_LINE,
        },
        pass_ttl_ms: 300_000,
        claim_grace_ms: 60_000,
        hold_ttl_ms: asked.hold_ttl,
        faults: asked.fault.clone(),
        most_ms: 6 * 3_600_000,
    };
    asked.rules.apply(&mut sale);
    let model = Model {
        visitors: asked.visitors,
        early_permille: asked.early,
        wave_ms: asked.wave,
        patience_ms: asked.patience,
        no_show_permille: asked.no_show,
        react_ms: asked.react,
        think_ms: asked.think,
        want_permille: asked.want,
        lapse_permille: asked.lapse,
        seed: asked.seed,
    };
    let visitors = model.visitors();
    let outcomes = Policy::ALL.map(|policy| run(policy, &sale, &visitors).map_err(own_mistake));
    let outcomes = outcomes.into_iter().collect::<Result<Vec<_>, _>>()?;
    show(&outcomes, asked.rules.svg.as_deref(), json)
}

/// Runs `load replay`.
pub(super) fn replay(asked: &Replay, json: bool) -> Result<Exit, Failure> {
    let file = asked.file.display();
    let unread = |why: &dyn std::fmt::Display| Failure::new(format!("record {file}"), why, "");
    let text = std::fs::read_to_string(&asked.file).map_err(|error| unread(&error))?;
    let recorded = Recorded::read(text.lines()).map_err(|error| unread(&error))?;
    let mut sale = recorded.sale.clone();
    asked.rules.apply(&mut sale);
    if !json {
        out::say(format_args!(
            "recorded: {} called, {} passes, {} units booked",
            recorded.visitors.len(),
            recorded.passes,
            recorded.sold
        ));
    }
    let outcome = run(Policy::Holdfast, &sale, &recorded.visitors).map_err(own_mistake)?;
    show(&[outcome], asked.rules.svg.as_deref(), json)
}

fn own_mistake(error: admission::fold::BadLine) -> Failure {
    Failure::new("simulation", error, "please report the command and its flags")
}

/// A row of the table: its name and its figure.
type Row = (&'static str, fn(&Outcome) -> u64);

fn show(outcomes: &[Outcome], svg: Option<&Path>, json: bool) -> Result<Exit, Failure> {
    if let Some(path) = svg {
        std::fs::write(path, chart(outcomes))
            .map_err(|error| Failure::new(format!("picture {}", path.display()), error, ""))?;
    }
    if json {
        out::line(serde_json::json!({ "outcomes": outcomes }))?;
        return Ok(Exit::Done);
    }
    let mut out = Out::new();
    let rows: [Row; 7] = [
        ("lasted, s", |o| o.lasted_ms / 1_000),
        ("units sold", |o| o.sold),
        ("idle stock, unit seconds", |o| o.idle_unit_seconds),
        ("people called", |o| o.called),
        ("of them no-shows", |o| o.no_shows),
        ("came to an empty shelf", |o| o.called_to_nothing),
        ("passes above the cap", |o| o.overshoot),
    ];
    let row = |name: &str, cells: Vec<String>| {
        let cells: String = cells.into_iter().map(|cell| format!("{cell:>14}")).collect();
        format!("{name:<28}{cells}")
    };
    out.line(row("", outcomes.iter().map(|outcome| outcome.policy.to_owned()).collect()))?;
    for (name, of) in rows {
        out.line(row(name, outcomes.iter().map(|outcome| of(outcome).to_string()).collect()))?;
    }
    for tenth in 0..10 {
        let wait = |outcome: &Outcome| outcome.wait_by_place_ms.get(tenth).copied().flatten();
        let cell = |outcome| wait(outcome).map_or_else(|| "-".to_owned(), |ms| (ms / 1_000).to_string());
        out.line(row(&format!("wait of tenth {}, s", tenth + 1), outcomes.iter().map(cell).collect()))?;
    }
    out.done()?;
    Ok(Exit::Done)
}
