//! The report: for people as a table, for programs as one JSON object.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::answer::PROBLEMS;
use crate::args::{Args, Journey};
use crate::limits::BUSY;
use crate::run::{Busy, Outcome};
use crate::stats::{Kind, Percentiles, Tally};
use crate::{DONE, FAILED, FOUND, MISSED};

/// What a threshold asked for and what came.
struct Threshold {
    name: &'static str,
    asked: f64,
    came: f64,
    met: bool,
}

/// An outcome with the figures drawn from it.
pub(crate) struct Report<'o> {
    args: &'o Args,
    outcome: &'o Outcome,
    bookings_per_s: f64,
    answers_per_s: f64,
    thresholds: Vec<Threshold>,
}

impl<'o> Report<'o> {
    pub(crate) fn new(args: &'o Args, outcome: &'o Outcome) -> Self {
        let seconds = outcome.measured.as_secs_f64().max(1e-9);
        #[allow(clippy::cast_precision_loss, reason = "counts of a run are far below 2^53")]
        let per_s = |count: u64| count as f64 / seconds;
        let (bookings_per_s, answers_per_s) = (per_s(outcome.stats.booked), per_s(outcome.stats.answers));
        let mut thresholds = Vec::new();
        if let Some(asked) = args.min_bookings_per_s {
            let met = bookings_per_s >= asked;
            thresholds.push(Threshold { name: "min-bookings-per-s", asked, came: bookings_per_s, met });
        }
        if let Some(asked) = args.max_p99_confirm_ms {
            let confirm = outcome.stats.tally(Kind::Confirm).map(|tally| &tally.accepted);
            let came =
                confirm.filter(|timing| timing.count() > 0).map_or(f64::INFINITY, |timing| timing.percentiles().p99);
            thresholds.push(Threshold { name: "max-p99-confirm-ms", asked, came, met: came <= asked });
        }
        Self { args, outcome, bookings_per_s, answers_per_s, thresholds }
    }

    /// [`FOUND`] before [`MISSED`] before [`FAILED`], which is a run without one journey completed, before [`DONE`].
    pub(crate) fn exit_code(&self) -> u8 {
        if !self.outcome.findings.told.is_empty() {
            FOUND
        } else if self.thresholds.iter().any(|threshold| !threshold.met) {
            MISSED
        } else if self.outcome.stats.arrived == 0 {
            FAILED
        } else {
            DONE
        }
    }

    fn bottleneck(&self) -> bool {
        self.outcome.busy.iter().any(|busy| busy.sum() >= BUSY)
    }

    /// What the oracle could not look at, and why.
    fn not_checked(&self) -> Vec<String> {
        let (outcome, mut left) = (self.outcome, Vec::new());
        let books = matches!(self.args.journey, Journey::Book | Journey::Line);
        if books && outcome.units.1.is_none() {
            left.push(
                "oversell: the number of units is not known (give --admin with the operator's key, or --units)"
                    .to_owned(),
            );
        }
        if outcome.left_out > 0 {
            left.push(format!("{} entries of the history did not fit", outcome.left_out));
        }
        if outcome.rechecked.not_checked > 0 {
            left.push(format!("{} visitors could not be asked once more", outcome.rechecked.not_checked));
        }
        if outcome.passes > 0 && outcome.pace.is_none() {
            left.push("the pace of passes: the line did not show it".to_owned());
        }
        if let Some(why) = &outcome.feed_left_out {
            left.push(format!("the ledger and the event feed: {why}"));
        }
        left
    }

    /// The report as one JSON object.
    pub(crate) fn json(&self) -> Value {
        let (outcome, stats) = (self.outcome, &self.outcome.stats);
        let mut calls = Map::new();
        for (kind, tally) in self.tallies() {
            calls.insert(kind.as_str().to_owned(), call_json(tally));
        }
        let thresholds = self
            .thresholds
            .iter()
            .map(|t| json!({"name": t.name, "asked": t.asked, "came": finite(t.came), "met": t.met}));
        json!({
            "journey": self.args.journey.as_str(),
            "target": self.args.target,
            "sale": self.args.sale,
            "item": outcome.item,
            "visitors": self.args.visitors,
            "rate": self.args.rate,
            "threads": self.args.threads,
            "measured_s": round(outcome.measured.as_secs_f64()),
            "bookings": stats.booked,
            "bookings_per_s": round(self.bookings_per_s),
            "answers_per_s": round(self.answers_per_s),
            "journeys": {"begun": stats.begun, "arrived": stats.arrived, "cut_off": stats.cut_off, "turned_away": stats.turned_away, "never_started": outcome.never_started, "late_ms": stats.late.percentiles()},
            "calls": calls,
            "lost_by_reason": stats.lost,
            "connections_opened": outcome.connections_opened,
            "client_cpu": outcome.busy,
            "client_is_bottleneck": self.bottleneck(),
            "units": {"confirmed": outcome.units.0, "exist": outcome.units.1},
            "rechecked": outcome.rechecked,
            "findings": outcome.findings.told.iter().map(|f| json!({"name": f.name(), "what": f.to_string()})).collect::<Vec<_>>(),
            "found": outcome.findings.counts,
            "not_checked": self.not_checked(),
            "thresholds": thresholds.collect::<Vec<_>>(),
            "strange": stats.told,
            "exit_code": self.exit_code(),
        })
    }

    fn tallies(&self) -> impl Iterator<Item = (Kind, &Tally)> {
        let all = Kind::ALL.into_iter().filter_map(|kind| Some((kind, self.outcome.stats.tally(kind)?)));
        all.filter(|(_, tally)| !tally.is_empty())
    }

    /// The report for people. Writing into a String does not fail, so results are dropped.
    pub(crate) fn text(&self) -> String {
        let (outcome, stats, mut out) = (self.outcome, &self.outcome.stats, String::new());
        let arrivals =
            self.args.rate.map_or_else(|| "closed".to_owned(), |rate| format!("{rate} per second, at random"));
        let _ = writeln!(
            out,
            "{} at {}: sale {}, item {}, {} visitors, arrivals {arrivals}, {} threads, measured {:.1} s",
            self.args.journey.as_str(),
            self.args.target,
            self.args.sale,
            outcome.item,
            self.args.visitors,
            self.args.threads,
            outcome.measured.as_secs_f64()
        );
        let _ = writeln!(
            out,
            "confirmed bookings/s {:.0} ({} in all), answers/s {:.0}",
            self.bookings_per_s, stats.booked, self.answers_per_s
        );
        let _ = writeln!(
            out,
            "\n{:<9}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>9}{:>7}{:>9}",
            "ms from", "answered", "p50", "p90", "p99", "max", "refused", "pending", "lost", "unknown"
        );
        for (kind, tally) in self.tallies() {
            let p = tally.accepted.percentiles();
            let _ = writeln!(
                out,
                "{:<9}{:>10}{:>10.2}{:>10.2}{:>10.2}{:>10.2}{:>10}{:>9}{:>7}{:>9}",
                kind.as_str(),
                tally.accepted.count(),
                p.p50,
                p.p90,
                p.p99,
                p.max,
                tally.refused.count(),
                tally.pending,
                tally.lost,
                tally.unknown
            );
        }
        self.problems(&mut out);
        self.client(&mut out);
        self.verdict(&mut out);
        out
    }

    fn problems(&self, out: &mut String) {
        for (kind, tally) in self.tallies() {
            for (name, count) in PROBLEMS.iter().zip(tally.problems).filter(|(_, count)| *count > 0) {
                let _ = writeln!(out, "refused   {:<9}{name} {count}", kind.as_str());
            }
            if tally.strange > 0 {
                let _ = writeln!(out, "strange   {:<9}{}", kind.as_str(), tally.strange);
            }
        }
        for (why, count) in &self.outcome.stats.lost {
            let _ = writeln!(out, "lost      {why} {count}");
        }
        for told in &self.outcome.stats.told {
            let _ = writeln!(out, "strange   {told}");
        }
    }

    fn client(&self, out: &mut String) {
        let outcome = self.outcome;
        let share = |busy: &Busy| {
            format!("{:.0} % (and {:.0} % waiting for a core)", busy.running * 100.0, busy.waiting * 100.0)
        };
        let shares: Vec<String> = outcome.busy.iter().map(share).collect();
        let late = outcome.stats.late.percentiles();
        let _ = writeln!(
            out,
            "\nclient    CPU per thread {}, {} connections opened, journeys began late by p50 {:.2} p99 {:.2} max {:.2} ms",
            shares.join(", "),
            outcome.connections_opened,
            late.p50,
            late.p99,
            late.max
        );
        if outcome.stats.cut_off + outcome.never_started > 0 {
            let _ = writeln!(
                out,
                "client    {} journeys cut off by the end of the run, {} never started",
                outcome.stats.cut_off, outcome.never_started
            );
        }
        if outcome.stats.turned_away > 0 {
            let _ = writeln!(
                out,
                "client    {} visitors stopped because the sale was over (closed or sold out)",
                outcome.stats.turned_away
            );
        }
        if self.bottleneck() {
            let _ = writeln!(
                out,
                "client    THE CLIENT IS THE BOTTLENECK: a thread was never idle; use more threads, cores or machines"
            );
        }
    }

    fn verdict(&self, out: &mut String) {
        let outcome = self.outcome;
        let of = outcome.units.1.map_or_else(String::new, |units| format!(" of {units}"));
        let again = &outcome.rechecked;
        let _ = writeln!(
            out,
            "\noracle    {}{of} units confirmed, {} passes; asked once more: {} visitors, {} confirms, {} decided late",
            outcome.units.0, outcome.passes, again.visitors, again.confirms, again.decided_late
        );
        for left in self.not_checked() {
            let _ = writeln!(out, "oracle    not checked: {left}");
        }
        for finding in &outcome.findings.told {
            let _ = writeln!(out, "oracle    FOUND {finding}");
        }
        for (name, count) in &outcome.findings.counts {
            let _ = writeln!(out, "oracle    FOUND {name}: {count} in all");
        }
        if outcome.findings.told.is_empty() {
            let _ = writeln!(out, "oracle    nothing found");
        }
        for threshold in &self.thresholds {
            let verdict = if threshold.met { "met" } else { "MISSED" };
            let _ = writeln!(out, "threshold {} {}: {:.2} {verdict}", threshold.name, threshold.asked, threshold.came);
        }
    }
}

fn call_json(tally: &Tally) -> Value {
    let problems: Map<String, Value> = PROBLEMS
        .iter()
        .zip(tally.problems)
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| ((*name).to_owned(), json!(count)))
        .collect();
    let refused: Option<Percentiles> = (tally.refused.count() > 0).then(|| tally.refused.percentiles());
    json!({
        "accepted": tally.accepted.count(),
        "ms": tally.accepted.percentiles(),
        "refused": tally.refused.count(),
        "refused_ms": refused,
        "problems": problems,
        "pending": tally.pending,
        "lost": tally.lost,
        "strange": tally.strange,
        "unknown": tally.unknown,
    })
}

fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

/// JSON has no infinity: a percentile of nothing is `null`.
fn finite(value: f64) -> Option<f64> {
    value.is_finite().then(|| round(value))
}
