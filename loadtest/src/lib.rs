//! The load harness: journeys over HTTP, a history and an oracle.
//!
//! It knows Holdfast only by its HTTP contract. Visitors travel in a closed model (each starts again when it has arrived)
//! or arrive at random at a given rate; what they saw is kept in a compact history and compared with the invariants
//! (I1, I3, I4, I6, I7 as far as a visitor can see them), and with the operators' address with the sale's event feed.

mod answer;
mod args;
mod arrivals;
mod compare;
mod feed;
mod html;
mod http;
mod limits;
mod merge;
mod oracle;
mod progress;
mod report;
mod request;
mod run;
mod sample;
mod scenario;
mod scout;
mod scrape;
mod series;
mod standing;
mod stats;
mod threshold;
mod travel;
mod trip;

pub use args::{Args, BadArgs, Journey};
pub use arrivals::{Point, Shape};
pub use compare::{Compare, compare};
pub use merge::{Merge, merge};
pub use scenario::{Action, Chance, Load, Model, Open, Pause, Rate, Scenario, Transaction};
pub use threshold::Threshold;

/// Exit code: the run ended and everything asked for was met.
pub const DONE: u8 = 0;
/// Exit code: the run itself failed (server not there, not one journey completed).
pub const FAILED: u8 = 1;
/// Exit code: the arguments make no run.
pub const USAGE: u8 = 2;
/// Exit code: a threshold was missed.
pub const MISSED: u8 = 3;
/// Exit code: the oracle found something. Goes before [`MISSED`].
pub const FOUND: u8 = 4;

/// Runs the load, prints the report to stdout and talk to stderr, and returns the exit code:
/// [`DONE`], [`FAILED`], [`USAGE`], [`MISSED`] or [`FOUND`].
#[must_use]
pub fn run(args: &Args) -> u8 {
    run_to(args, &mut std::io::stdout())
}

/// Like [`run`], with the report written to `out`. A report that cannot be written is [`FAILED`].
#[must_use]
pub fn run_to(args: &Args, out: &mut dyn std::io::Write) -> u8 {
    let checked = match args.check() {
        Ok(checked) => checked,
        Err(error) => {
            let _ = failed(&error);
            return USAGE;
        }
    };
    let outcome = match run::run(&checked) {
        Ok(outcome) => outcome,
        Err(error) => return failed(&error),
    };
    tell(&outcome, &args.all_thresholds(), args.json, args.html.as_deref(), out)
}

/// Prints and writes the report of what a run came to; the exit code.
fn tell(
    outcome: &run::Outcome,
    thresholds: &[Threshold],
    json: bool,
    html: Option<&std::path::Path>,
    out: &mut dyn std::io::Write,
) -> u8 {
    let report = report::Report::new(thresholds, outcome);
    let text = if json { format!("{}\n", report.json()) } else { report.text() };
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        return failed(&error);
    }
    if let Some(path) = html
        && let Err(error) = std::fs::write(path, html::page(&report.json()))
    {
        return failed(&NotWritten { path: path.to_owned(), error });
    }
    if report.exit_code() == FAILED {
        return failed(&outcome.nothing());
    }
    report.exit_code()
}

/// A file that was asked for.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be written ({error})", path.display())]
struct NotWritten {
    path: std::path::PathBuf,
    error: std::io::Error,
}

fn failed(error: &dyn std::error::Error) -> u8 {
    eprintln!("load: {error}");
    FAILED
}
