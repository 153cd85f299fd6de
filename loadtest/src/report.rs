//! The report: for people as a table, for programs as one JSON object.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::answer::PROBLEMS;
use crate::limits::{BUSY, LATE_MS};
use crate::run::{Busy, Outcome};
use crate::series::Column;
use crate::stats::{Kind, Percentiles, Tally};
use crate::threshold::{Threshold, Verdict};
use crate::{DONE, FAILED, FOUND, MISSED};

/// An outcome with the figures drawn from it.
pub(crate) struct Report<'o> {
    outcome: &'o Outcome,
    bookings_per_s: f64,
    answers_per_s: f64,
    thresholds: Vec<Verdict>,
}

impl<'o> Report<'o> {
    pub(crate) fn new(thresholds: &[Threshold], outcome: &'o Outcome) -> Self {
        let stats = &outcome.gathered.stats;
        let seconds = outcome.gathered.measured.as_secs_f64().max(1e-9);
        #[allow(clippy::cast_precision_loss, reason = "counts of a run are far below 2^53")]
        let per_s = |count: u64| count as f64 / seconds;
        let thresholds = thresholds.iter().map(|threshold| threshold.judge(stats, seconds)).collect();
        Self { outcome, bookings_per_s: per_s(stats.booked), answers_per_s: per_s(stats.answers), thresholds }
    }

    /// [`FOUND`] before [`MISSED`] before [`FAILED`], which is a run without one journey completed, before [`DONE`].
    pub(crate) fn exit_code(&self) -> u8 {
        if !self.outcome.findings.told.is_empty() {
            FOUND
        } else if self.thresholds.iter().any(|threshold| !threshold.met) {
            MISSED
        } else if self.outcome.gathered.stats.arrived == 0 {
            FAILED
        } else {
            DONE
        }
    }

    /// Why the client, and not the server, may be what was measured.
    fn bottleneck(&self) -> Vec<String> {
        let (gathered, mut why) = (&self.outcome.gathered, Vec::new());
        for (n, busy) in gathered.busy.iter().enumerate().filter(|(_, busy)| busy.sum() >= BUSY) {
            let percent = busy.sum() * 100.0;
            why.push(format!("thread {n} was busy {percent:.0} % of its time: use more threads, cores or machines"));
        }
        if let Some(lag) = gathered.stats.lag.quantile(0.99).filter(|lag| *lag >= LATE_MS) {
            why.push(format!("its threads were woken late by p99 {lag:.0} ms: latencies hold that much of its own"));
        }
        if gathered.never_started > 0 {
            let many = gathered.never_started;
            why.push(format!("{many} visitors never started: allow more of them at once (--visitors, open.most)"));
        }
        why
    }

    /// What the oracle could not look at, and why.
    fn not_checked(&self) -> Vec<String> {
        let (outcome, mut left) = (self.outcome, Vec::new());
        if outcome.gathered.head.books && outcome.units.1.is_none() {
            left.push(
                "oversell: the number of units is not known (give --admin with the operator's key, or --units)"
                    .to_owned(),
            );
        }
        if outcome.left_out > 0 {
            left.push(format!("{} entries of the history did not fit", outcome.left_out));
        }
        if outcome.gathered.rechecked.not_checked > 0 {
            let many = outcome.gathered.rechecked.not_checked;
            left.push(format!("{many} visitors could not be asked once more"));
        }
        if outcome.passes > 0 && outcome.pace.is_none() {
            left.push("the pace of passes: the line did not show it".to_owned());
        }
        if let Some(why) = &outcome.feed_left_out {
            left.push(format!("the ledger and the event feed: {why}"));
        }
        left.extend(outcome.audit_left_out.iter().map(|why| format!("the server's own audit: {why}")));
        left
    }

    /// The report as one JSON object.
    pub(crate) fn json(&self) -> Value {
        let (outcome, gathered) = (self.outcome, &self.outcome.gathered);
        let (head, stats) = (&gathered.head, &gathered.stats);
        let mut calls = Map::new();
        for (kind, tally) in self.tallies() {
            calls.insert(kind.as_str().to_owned(), call_json(tally));
        }
        let thresholds = self
            .thresholds
            .iter()
            .map(|t| json!({"name": t.name, "asked": t.asked, "came": t.came.map(round), "met": t.met}));
        let bottleneck = self.bottleneck();
        let mut report = json!({
            "journey": head.journey,
            "about": head.about,
            "target": head.target,
            "sale": head.sale,
            "item": head.item,
            "visitors": head.visitors,
            "arrivals": head.arrivals,
            "rate": head.rate,
            "threads": head.threads,
            "part": head.part.map(|(part, of)| format!("{part}/{of}")),
            "measured_s": round(gathered.measured.as_secs_f64()),
            "bookings": stats.booked,
            "bookings_per_s": round(self.bookings_per_s),
            "answers_per_s": round(self.answers_per_s),
            "journeys": {"begun": stats.begun, "arrived": stats.arrived, "walked_away": stats.walked_away, "cut_off": stats.cut_off, "turned_away": stats.turned_away, "never_started": gathered.never_started, "late_ms": stats.late.percentiles()},
        });
        // In two halves: the macro expands one object only to a certain depth.
        let rest = json!({
            "calls": calls,
            "lost_by_reason": stats.lost,
            "connections_opened": gathered.opened,
            "client_cpu": gathered.busy,
            "client_lag_ms": stats.lag.percentiles(),
            "client_bytes": {"most": gathered.most_bytes, "visitors": stats.most_on_way, "per_visitor": gathered.most_bytes / stats.most_on_way.max(1)},
            "client_is_bottleneck": !bottleneck.is_empty(),
            "client_bottleneck": bottleneck,
            "units": {"confirmed": outcome.units.0, "exist": outcome.units.1},
            "rechecked": gathered.rechecked,
            "findings": outcome.findings.told.iter().map(|f| json!({"name": f.name(), "what": f.to_string()})).collect::<Vec<_>>(),
            "found": outcome.findings.counts,
            "not_checked": self.not_checked(),
            "thresholds": thresholds.collect::<Vec<_>>(),
            "strange": stats.told,
            "series": {"column_s": stats.series.width.as_secs(), "columns": stats.series.columns.iter().map(column_json).collect::<Vec<_>>()},
            "server": gathered.scraped,
            "exit_code": self.exit_code(),
        });
        if let (Value::Object(report), Value::Object(rest)) = (&mut report, rest) {
            report.extend(rest);
        }
        report
    }

    fn tallies(&self) -> impl Iterator<Item = (Kind, &Tally)> {
        let all = Kind::ALL.into_iter().filter_map(|kind| Some((kind, self.outcome.gathered.stats.tally(kind)?)));
        all.filter(|(_, tally)| !tally.is_empty())
    }

    /// The report for people. Writing into a String does not fail, so results are dropped.
    pub(crate) fn text(&self) -> String {
        let (gathered, mut out) = (&self.outcome.gathered, String::new());
        let (head, stats) = (&gathered.head, &gathered.stats);
        let _ = writeln!(
            out,
            "{} at {}: sale {}, item {}, {} visitors, arrivals {}, {} threads, measured {:.1} s",
            head.journey,
            head.target,
            head.sale,
            head.item,
            head.visitors,
            head.arrivals,
            head.threads,
            gathered.measured.as_secs_f64()
        );
        let _ = writeln!(
            out,
            "confirmed bookings/s {:.0} ({} in all), answers/s {:.0}",
            self.bookings_per_s, stats.booked, self.answers_per_s
        );
        let _ = writeln!(
            out,
            "\n{:<10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>9}{:>7}{:>9}",
            "ms from", "answered", "p50", "p90", "p99", "max", "refused", "pending", "lost", "unknown"
        );
        for (kind, tally) in self.tallies() {
            let p = tally.accepted.percentiles();
            let _ = writeln!(
                out,
                "{:<10}{:>10}{:>10.2}{:>10.2}{:>10.2}{:>10.2}{:>10}{:>9}{:>7}{:>9}",
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
                let _ = writeln!(out, "refused   {:<10}{name} {count}", kind.as_str());
            }
            if tally.strange > 0 {
                let _ = writeln!(out, "strange   {:<10}{}", kind.as_str(), tally.strange);
            }
        }
        for (why, count) in &self.outcome.gathered.stats.lost {
            let _ = writeln!(out, "lost      {why} {count}");
        }
        for told in &self.outcome.gathered.stats.told {
            let _ = writeln!(out, "strange   {told}");
        }
    }

    fn client(&self, out: &mut String) {
        let gathered = &self.outcome.gathered;
        let stats = &gathered.stats;
        let share = |busy: &Busy| {
            format!("{:.0} % (and {:.0} % waiting for a core)", busy.running * 100.0, busy.waiting * 100.0)
        };
        let shares: Vec<String> = gathered.busy.iter().map(share).collect();
        let (late, lag) = (stats.late.percentiles(), stats.lag.percentiles());
        let _ = writeln!(
            out,
            "\nclient    CPU per thread {}, {} connections opened, {} visitors on their way at most, in {} MB",
            shares.join(", "),
            gathered.opened,
            stats.most_on_way,
            gathered.most_bytes >> 20
        );
        let _ = writeln!(
            out,
            "client    journeys began late by p50 {:.2} p99 {:.2} max {:.2} ms, its own lateness p99 {:.2} max {:.2} ms",
            late.p50, late.p99, late.max, lag.p99, lag.max
        );
        let told = [
            (stats.walked_away, "visitors went away by themselves, as their scenario says"),
            (stats.cut_off, "journeys cut off by the end of the run"),
            (stats.turned_away, "visitors stopped because the sale was over (closed or sold out)"),
        ];
        for (many, what) in told.into_iter().filter(|(many, _)| *many > 0) {
            let _ = writeln!(out, "client    {many} {what}");
        }
        for why in self.bottleneck() {
            let _ = writeln!(out, "client    THE CLIENT IS THE BOTTLENECK: {why}");
        }
    }

    fn verdict(&self, out: &mut String) {
        let outcome = self.outcome;
        let of = outcome.units.1.map_or_else(String::new, |units| format!(" of {units}"));
        let again = &outcome.gathered.rechecked;
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
            let came = threshold.came.map_or_else(|| "nothing measured".to_owned(), |came| format!("{came:.4}"));
            let _ = writeln!(out, "threshold {}: {came} {verdict}", threshold.name);
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
        "sent": tally.sent,
        "pending": tally.pending,
        "lost": tally.lost,
        "strange": tally.strange,
        "unknown": tally.unknown,
    })
}

fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

/// A column of the plots: what is not 0.
fn column_json(column: &Column) -> Value {
    let accepted = Kind::ALL.into_iter().zip(column.accepted).filter(|(_, count)| *count > 0);
    let problems = PROBLEMS.iter().zip(column.problems).filter(|(_, count)| *count > 0);
    let bands = Kind::ALL.into_iter().zip(&column.bands);
    let bands = bands.filter_map(|(kind, band)| Some((kind, band.as_ref()?.quantiles([0.5, 0.9, 0.99])?)));
    json!({
        "arrivals": column.arrivals,
        "bookings": column.bookings,
        "lost": column.lost,
        "accepted": accepted.map(|(kind, count)| (kind.as_str().to_owned(), json!(count))).collect::<Map<_, _>>(),
        "problems": problems.map(|(name, count)| ((*name).to_owned(), json!(count))).collect::<Map<_, _>>(),
        "ms": bands.map(|(kind, at)| (kind.as_str().to_owned(), json!(at.map(round)))).collect::<Map<_, _>>(),
    })
}
