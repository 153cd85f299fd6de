//! Two runs side by side.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::{DONE, FAILED, MISSED, USAGE, failed};

/// What is compared.
#[derive(Clone, Debug, Default)]
pub struct Compare {
    /// The report in JSON of the run before.
    pub before: PathBuf,
    /// That of the run after.
    pub after: PathBuf,
    /// How much worse, as a share, a rate or the 99th percentile of a call may have become; any, when absent.
    pub within: Option<f64>,
    /// Print one JSON object.
    pub json: bool,
}

/// Why a file is no report.
#[derive(Debug, thiserror::Error)]
#[error("{0} cannot be read ({1}): name a report that --json printed")]
struct Unread(String, String);

/// One figure of both runs.
struct Row {
    name: String,
    unit: &'static str,
    before: f64,
    after: f64,
    /// Whether more is better.
    more: bool,
    /// Whether it is held against the bound.
    bound: bool,
}

impl Row {
    /// By which share it has become worse; below 0 when better.
    fn worse(&self) -> f64 {
        if self.before <= 0.0 || self.after <= 0.0 {
            return 0.0;
        }
        if self.more { self.before / self.after - 1.0 } else { self.after / self.before - 1.0 }
    }
}

/// Prints two runs side by side. [`MISSED`] when one figure became worse than is allowed.
#[must_use]
pub fn compare(compare: &Compare, out: &mut dyn std::io::Write) -> u8 {
    let read = |path: &PathBuf| {
        let unread = |why: String| Unread(path.display().to_string(), why);
        let text = std::fs::read(path).map_err(|error| unread(error.to_string()))?;
        let report: Value = serde_json::from_slice(&text).map_err(|error| unread(error.to_string()))?;
        if report.get("calls").is_some_and(Value::is_object) {
            Ok(report)
        } else {
            Err(unread("it is no report".to_owned()))
        }
    };
    let (before, after) = match (read(&compare.before), read(&compare.after)) {
        (Ok(before), Ok(after)) => (before, after),
        (Err(error), _) | (_, Err(error)) => {
            let _ = failed(&error);
            return USAGE;
        }
    };
    let (rows, notes) = (rows(&before, &after), notes(&before, &after));
    let worse: Vec<&Row> =
        rows.iter().filter(|row| row.bound && compare.within.is_some_and(|within| row.worse() > within)).collect();
    let code = if worse.is_empty() { DONE } else { MISSED };
    let text = if compare.json {
        format!("{}\n", as_json(&rows, &notes, &worse, code))
    } else {
        as_text(&rows, &notes, &worse)
    };
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => code,
        Err(error) => {
            let _ = failed(&error);
            FAILED
        }
    }
}

fn number(report: &Value, pointer: &str) -> f64 {
    report.pointer(pointer).and_then(Value::as_f64).unwrap_or(0.0)
}

fn rows(before: &Value, after: &Value) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut row = |name: String, unit, pointer: &str, more, bound| {
        let (before, after) = (number(before, pointer), number(after, pointer));
        if before != 0.0 || after != 0.0 {
            rows.push(Row { name, unit, before, after, more, bound });
        }
    };
    row("bookings".to_owned(), "/s", "/bookings_per_s", true, true);
    row("answers".to_owned(), "/s", "/answers_per_s", true, true);
    row("journeys arrived".to_owned(), "", "/journeys/arrived", true, false);
    row("visitors begun late p99".to_owned(), "ms", "/journeys/late_ms/p99", false, false);
    let calls = |report: &Value| report.get("calls").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut names: Vec<String> = calls(before).into_iter().chain(calls(after)).map(|(name, _)| name).collect();
    names.sort();
    names.dedup();
    for name in names {
        for (at, bound) in [("p50", false), ("p90", false), ("p99", true), ("max", false)] {
            row(format!("{name} {at}"), "ms", &format!("/calls/{name}/ms/{at}"), false, bound);
        }
        for what in ["accepted", "refused", "lost", "strange", "unknown"] {
            row(format!("{name} {what}"), "", &format!("/calls/{name}/{what}"), what == "accepted", false);
        }
    }
    rows
}

/// What makes the two differ in other ways than the server's speed.
fn notes(before: &Value, after: &Value) -> Vec<String> {
    let mut notes = Vec::new();
    for key in ["journey", "sale", "item", "visitors", "arrivals", "threads"] {
        let (one, other) = (before.get(key), after.get(key));
        if one != other {
            let text = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), Value::to_string);
            notes.push(format!("not the same {key}: {} before, {} after", text(one), text(other)));
        }
    }
    for (name, report) in [("before", before), ("after", after)] {
        if report.get("client_is_bottleneck") == Some(&Value::Bool(true)) {
            notes.push(format!("the client was the bottleneck in the run {name}"));
        }
        if report.get("found").and_then(Value::as_object).is_some_and(|found| !found.is_empty()) {
            notes.push(format!("the oracle found something in the run {name}"));
        }
    }
    notes
}

fn as_json(rows: &[Row], notes: &[String], worse: &[&Row], code: u8) -> Value {
    let figures = rows.iter().map(|row| {
        let ratio = (row.before > 0.0).then(|| row.after / row.before);
        json!({"name": row.name, "unit": row.unit, "before": row.before, "after": row.after, "ratio": ratio})
    });
    let worse: Vec<&str> = worse.iter().map(|row| row.name.as_str()).collect();
    json!({"figures": figures.collect::<Vec<_>>(), "notes": notes, "worse": worse, "exit_code": code})
}

fn as_text(rows: &[Row], notes: &[String], worse: &[&Row]) -> String {
    let mut out = String::new();
    for note in notes {
        let _ = writeln!(out, "note      {note}");
    }
    let _ = writeln!(out, "{:<28}{:>14}{:>14}{:>10}", "", "before", "after", "ratio");
    for row in rows {
        let ratio = if row.before > 0.0 { format!("{:.2}", row.after / row.before) } else { "-".to_owned() };
        let name = format!("{} {}", row.name, row.unit);
        let _ = writeln!(out, "{name:<28}{:>14.2}{:>14.2}{ratio:>10}", row.before, row.after);
    }
    for row in worse {
        let _ = writeln!(out, "WORSE     {} by {:.0} %", row.name, row.worse() * 100.0);
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn report(bookings: f64, p99: f64) -> Value {
        json!({
            "journey": "book", "visitors": 8, "bookings_per_s": bookings, "answers_per_s": 2.0 * bookings,
            "calls": {"confirm": {"accepted": 10, "ms": {"p50": 1.0, "p99": p99}}},
        })
    }

    fn compared(after: &Value, within: Option<f64>, json: bool) -> (u8, String) {
        let folder =
            std::env::temp_dir().join(format!("compare-{}-{:?}", std::process::id(), std::thread::current().id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = |name: &str, report: &Value| {
            std::fs::write(folder.join(name), report.to_string()).unwrap();
            folder.join(name)
        };
        let asked = Compare { before: file("a", &report(100.0, 10.0)), after: file("b", after), within, json };
        let mut out = Vec::new();
        let code = compare(&asked, &mut out);
        std::fs::remove_dir_all(folder).unwrap();
        (code, String::from_utf8(out).unwrap())
    }

    #[test]
    fn what_became_worse_than_allowed_is_missed() {
        for (after, within, code) in [
            (report(95.0, 10.5), Some(0.1), DONE),
            (report(80.0, 10.0), Some(0.1), MISSED),
            (report(100.0, 12.0), Some(0.1), MISSED),
            (report(200.0, 5.0), Some(0.0), DONE),
            (report(10.0, 99.0), None, DONE),
        ] {
            assert_eq!(compared(&after, within, false).0, code, "{after}");
        }
        assert!(compared(&report(80.0, 10.0), Some(0.1), false).1.contains("WORSE     bookings by 25 %"));
    }

    #[test]
    fn runs_of_other_conditions_are_noted() {
        let mut other = report(100.0, 10.0);
        other["visitors"] = json!(16);
        other["client_is_bottleneck"] = json!(true);
        let (_, text) = compared(&other, None, false);
        assert!(text.contains("not the same visitors: 8 before, 16 after"), "{text}");
        assert!(text.contains("the client was the bottleneck in the run after"), "{text}");
    }

    #[test]
    fn both_forms_have_every_figure() {
        let (_, text) = compared(&report(50.0, 10.0), None, true);
        let json: Value = serde_json::from_str(&text).unwrap();
        let p99 = json["figures"].as_array().unwrap().iter().find(|row| row["name"] == "confirm p99").unwrap();
        assert_eq!((&p99["before"], &p99["ratio"]), (&json!(10.0), &json!(1.0)));
    }

    #[test]
    fn what_is_no_report_is_wrong_usage() {
        assert_eq!(compared(&json!({"x": 1}), None, false).0, USAGE);
    }
}
