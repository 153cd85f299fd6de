//! The report as one HTML file: everything inside, nothing from elsewhere, no script.

mod plot;

use std::fmt::Write as _;

use serde_json::{Map, Value};

use plot::{Line, Plot};

const STYLE: &str = include_str!("html/style.css");

/// Server metrics that are drawn: (name, what it is, whether it only grows, so that its rate is drawn).
const SERVER: [(&str, &str, bool); 10] = [
    ("holdfast_ingress_requests_total", "requests/s", true),
    ("holdfast_ingress_connections", "connections", false),
    ("holdfast_line_waiting_visitors", "visitors waiting in line", false),
    ("holdfast_line_active_passes", "passes alive", false),
    ("holdfast_booker_events_total", "events in the ledger/s", true),
    ("holdfast_booker_undecided_intents", "confirms not decided yet", false),
    ("holdfast_booker_settle_lag_events", "events not settled yet", false),
    ("holdfast_redis_calls_total", "calls of Redis/s", true),
    ("holdfast_ledger_append_seconds_count", "appends to the ledger/s", true),
    ("holdfast_ledger_queue_writes", "appends that wait", false),
];

/// The page of a report in JSON.
pub(crate) fn page(report: &Value) -> String {
    let mut out = String::with_capacity(64 << 10);
    let title = format!("{} at {}", text(report, "journey"), text(report, "target"));
    // Writing into a String does not fail.
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{}</title><style>{STYLE}</style></head><body><main>\n",
        escaped(&title)
    );
    head(&mut out, report, &title);
    verdict(&mut out, report);
    plots(&mut out, report);
    calls(&mut out, report);
    client(&mut out, report);
    out.push_str("</main></body></html>\n");
    out
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

/// A field as text, for people.
fn text(value: &Value, key: &str) -> String {
    match value.get(key) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => figure(number.as_f64().unwrap_or(0.0)),
        Some(other) => other.to_string(),
    }
}

/// A number with as many digits as one reads.
fn figure(value: f64) -> String {
    let digits = match value.abs() {
        large if large >= 100.0 || value.fract() == 0.0 => 0,
        middle if middle >= 10.0 => 1,
        middle if middle >= 1.0 => 2,
        _ => 3,
    };
    let plain = format!("{value:.digits$}");
    let (whole, rest) = plain.split_at(plain.find('.').unwrap_or(plain.len()));
    let mut grouped = String::new();
    for (n, c) in whole.chars().enumerate() {
        if n > 0 && (whole.len() - n).is_multiple_of(3) && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(c);
    }
    grouped + rest
}

fn head(out: &mut String, report: &Value, title: &str) {
    let _ = write!(out, "<h1>{}</h1><p>{}</p>", escaped(title), escaped(&text(report, "about")));
    let said = format!(
        "Sale {}, item {}; {} visitors at once at most, arrivals {}; measured for {} s.",
        text(report, "sale"),
        text(report, "item"),
        text(report, "visitors"),
        text(report, "arrivals"),
        text(report, "measured_s")
    );
    let _ = write!(out, "<p>{}</p><div class=\"figures\">", escaped(&said));
    let journeys = report.get("journeys").cloned().unwrap_or_default();
    for (value, name) in [
        (text(report, "bookings_per_s"), "bookings/s"),
        (text(report, "bookings"), "bookings"),
        (text(report, "answers_per_s"), "answers/s"),
        (text(&journeys, "begun"), "visitors came"),
        (text(&journeys, "arrived"), "arrived"),
        (text(&journeys, "walked_away"), "went away"),
    ] {
        let _ = write!(out, "<div><b>{}</b><span>{name}</span></div>", escaped(&value));
    }
    out.push_str("</div>\n");
}

fn list(out: &mut String, class: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    let _ = write!(out, "<ul class=\"{class}\">");
    for line in lines {
        let _ = write!(out, "<li>{}</li>", escaped(line));
    }
    out.push_str("</ul>");
}

fn strings(report: &Value, key: &str) -> Vec<String> {
    let all = report.get(key).and_then(Value::as_array).into_iter().flatten();
    all.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn verdict(out: &mut String, report: &Value) {
    let found = report.get("found").and_then(Value::as_object).cloned().unwrap_or_default();
    let bottleneck = strings(report, "client_bottleneck");
    let (class, words) = match report.get("exit_code").and_then(Value::as_u64) {
        Some(0) => ("good", "Everything asked for was met, and nothing wrong was found."),
        Some(3) => ("bad", "A threshold was missed."),
        Some(4) => ("bad", "Something was found that must never be."),
        _ => ("bad", "The run failed by itself."),
    };
    let _ = write!(out, "<h2>Verdict</h2><p class=\"verdict {class}\">{words}</p>");
    let findings = report.get("findings").and_then(Value::as_array).into_iter().flatten();
    let mut told: Vec<String> = findings.map(|finding| text(finding, "what")).collect();
    told.extend(found.iter().map(|(name, count)| format!("{name}: {count} in all")));
    list(out, "bad", &told);
    let limits: Vec<String> = bottleneck.iter().map(|why| format!("The client is the bottleneck: {why}")).collect();
    list(out, "bad", &limits);
    let left: Vec<String> = strings(report, "not_checked").iter().map(|what| format!("Not checked: {what}")).collect();
    list(out, "left", &left);
    let thresholds = report.get("thresholds").and_then(Value::as_array).cloned().unwrap_or_default();
    if !thresholds.is_empty() {
        out.push_str("<table><tr><th>threshold</th><th>came</th><th></th></tr>");
        for one in &thresholds {
            let met = one.get("met") == Some(&Value::Bool(true));
            let (class, word) = if met { ("good", "met") } else { ("bad", "missed") };
            let (name, came) = (escaped(&text(one, "name")), escaped(&text(one, "came")));
            let _ = write!(out, "<tr><td>{name}</td><td>{came}</td><td class=\"{class}\">{word}</td></tr>");
        }
        out.push_str("</table>\n");
    }
}

/// Rates and latencies over time, from the report's columns.
struct Columns<'r> {
    width: f64,
    columns: Vec<&'r Value>,
}

impl Columns<'_> {
    #[allow(clippy::cast_precision_loss, reason = "at most some hundred columns")]
    fn line(&self, name: &str, pointer: &str, per_second: bool) -> Option<Line> {
        let scale = if per_second { 1.0 / self.width } else { 1.0 };
        let points = self.columns.iter().enumerate().map(|(n, column)| {
            let value = column.pointer(pointer).and_then(Value::as_f64);
            // Nothing counted is 0; nothing timed is no point.
            let value = if per_second { Some(value.unwrap_or(0.0)) } else { value };
            (n as f64 * self.width, value.map(|value| value * scale))
        });
        let points: Vec<(f64, Option<f64>)> = points.collect();
        let any = points.iter().any(|(_, value)| value.is_some_and(|value| value > 0.0));
        any.then(|| Line { name: name.to_owned(), points })
    }
}

fn plots(out: &mut String, report: &Value) {
    let empty = Vec::new();
    let columns = report.pointer("/series/columns").and_then(Value::as_array).unwrap_or(&empty);
    let width = report.pointer("/series/column_s").and_then(Value::as_f64).unwrap_or(1.0).max(1.0);
    let columns = Columns { width, columns: columns.iter().collect() };
    out.push_str("<h2>Over time</h2>");
    let flow = [
        ("arrivals", "/arrivals"),
        ("joined", "/accepted/ticket"),
        ("admissions", "/accepted/pass"),
        ("holds", "/accepted/hold"),
        ("bookings", "/bookings"),
        ("polls", "/accepted/line"),
        ("lost answers", "/lost"),
    ];
    let lines = flow.iter().filter_map(|(name, pointer)| columns.line(name, pointer, true)).collect();
    out.push_str(&Plot { title: "Visitors", unit: "per second", lines }.svg());
    let mut kinds: Vec<&String> =
        columns.columns.iter().filter_map(|column| column.get("problems")?.as_object()).flat_map(Map::keys).collect();
    kinds.sort();
    kinds.dedup();
    let lines = kinds.iter().filter_map(|name| columns.line(name, &format!("/problems/{name}"), true)).collect();
    out.push_str(&Plot { title: "Refusals by kind", unit: "per second", lines }.svg());
    for (kind, title) in [
        ("confirm", "Latency of confirm"),
        ("hold", "Latency of hold"),
        ("ticket", "Latency of joining"),
        ("pass", "Latency of a pass"),
        ("line", "Latency of a poll"),
    ] {
        let bands = [("p50", 0), ("p90", 1), ("p99", 2)];
        let lines = bands.iter().filter_map(|(name, n)| columns.line(name, &format!("/ms/{kind}/{n}"), false));
        out.push_str(&Plot { title, unit: "ms from the intended start", lines: lines.collect() }.svg());
    }
    server(out, report);
}

fn server(out: &mut String, report: &Value) {
    let metrics = report.pointer("/server/metrics").and_then(Value::as_object);
    let Some(metrics) = metrics.filter(|metrics| !metrics.is_empty()) else { return };
    out.push_str("<h2>What the server says</h2>");
    for (name, title, grows) in SERVER {
        let samples = metrics.get(name).and_then(Value::as_array).into_iter().flatten();
        let samples = samples.filter_map(|pair| Some((pair.get(0)?.as_f64()?, pair.get(1)?.as_f64()?)));
        let samples: Vec<(f64, f64)> = samples.collect();
        let points =
            if grows { rates(&samples) } else { samples.iter().map(|(at, value)| (*at, Some(*value))).collect() };
        let line = Line { name: name.to_owned(), points };
        let any = line.points.iter().any(|(_, value)| value.is_some_and(|value| value > 0.0));
        let lines = if any { vec![line] } else { Vec::new() };
        out.push_str(&Plot { title, unit: "", lines }.svg());
    }
}

/// Growth per second between two looks; none where a process started anew.
fn rates(samples: &[(f64, f64)]) -> Vec<(f64, Option<f64>)> {
    let pairs = samples.windows(2).filter_map(|pair| Some((pair.first()?, pair.last()?)));
    let rate = |((from, before), (to, after)): (&(f64, f64), &(f64, f64))| {
        let rate = (after - before) / (to - from).max(1e-3);
        (*to, (rate >= 0.0).then_some(rate))
    };
    pairs.map(rate).collect()
}

fn calls(out: &mut String, report: &Value) {
    out.push_str("<h2>Calls</h2><table><tr>");
    let names = [
        "call", "answered", "p50 ms", "p90 ms", "p99 ms", "max ms", "refused", "pending", "lost", "unknown", "refusals",
    ];
    names.iter().for_each(|name| out.push_str(&format!("<th>{name}</th>")));
    out.push_str("</tr>");
    for (name, call) in report.get("calls").and_then(Value::as_object).into_iter().flatten() {
        let ms = call.get("ms").cloned().unwrap_or_default();
        let problems = call.get("problems").and_then(Value::as_object).into_iter().flatten();
        let problems: Vec<String> = problems.map(|(name, count)| format!("{name} {count}")).collect();
        let cells = [
            name.clone(),
            text(call, "accepted"),
            text(&ms, "p50"),
            text(&ms, "p90"),
            text(&ms, "p99"),
            text(&ms, "max"),
            text(call, "refused"),
            text(call, "pending"),
            text(call, "lost"),
            text(call, "unknown"),
            problems.join(", "),
        ];
        out.push_str("<tr>");
        cells.iter().for_each(|cell| out.push_str(&format!("<td>{}</td>", escaped(cell))));
        out.push_str("</tr>");
    }
    out.push_str(
        "</table><p>Times are from the moment a visitor was meant to act, not from when the client came to it.</p>\n",
    );
}

fn client(out: &mut String, report: &Value) {
    out.push_str("<h2>The client</h2>");
    let (late, lag) = (report.pointer("/journeys/late_ms").cloned(), report.get("client_lag_ms").cloned());
    let (late, lag) = (late.unwrap_or_default(), lag.unwrap_or_default());
    let mut lines = vec![
        format!("Visitors began late by p50 {} ms, p99 {} ms.", text(&late, "p50"), text(&late, "p99")),
        format!("Its own threads were woken late by p99 {} ms.", text(&lag, "p99")),
    ];
    for (n, busy) in report.get("client_cpu").and_then(Value::as_array).into_iter().flatten().enumerate() {
        let share = |key: &str| figure((busy.get(key).and_then(Value::as_f64).unwrap_or(0.0) * 100.0).round());
        lines.push(format!(
            "Thread {n} ran {} % of its time and waited {} % for a core.",
            share("running"),
            share("waiting")
        ));
    }
    lines.extend(strings(report, "strange").into_iter().map(|what| format!("Not in the contract: {what}")));
    list(out, "left", &lines);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use serde_json::json;

    use super::*;

    fn report() -> Value {
        json!({
            "journey": "<flash>", "about": "a & b", "target": "http://x", "sale": "s", "item": "i", "visitors": 5,
            "arrivals": "closed", "measured_s": 10.0, "bookings_per_s": 12345.6, "bookings": 7, "exit_code": 4,
            "found": {"lost": 2}, "findings": [{"name": "lost", "what": "I3: x"}], "client_bottleneck": ["thread 0"],
            "thresholds": [{"name": "errors < 1%", "came": 0.5, "met": false}],
            "calls": {"confirm": {"accepted": 7, "ms": {"p50": 1.5}, "problems": {"hold-gone": 3}}},
            "series": {"column_s": 2, "columns": [
                {"arrivals": 4, "bookings": 2, "problems": {"sold-out": 6}, "ms": {"confirm": [1.0, 2.0, 30.0]}},
                {"arrivals": 8, "bookings": 0, "problems": {}, "ms": {}},
            ]},
            "server": {"metrics": {"holdfast_redis_calls_total": [[0.0, 5.0], [1.0, 25.0], [2.0, 3.0]]}},
        })
    }

    #[test]
    fn the_page_is_whole_escaped_and_loads_nothing() {
        let page = page(&report());
        for part in [
            "&lt;flash&gt; at http://x",
            "a &amp; b",
            "12,346",
            "Something was found",
            "I3: x",
            "lost: 2 in all",
            "The client is the bottleneck: thread 0",
            "missed",
            "Refusals by kind",
            "sold-out",
            "Latency of confirm",
            "calls of Redis/s",
            "hold-gone 3",
            "</html>",
        ] {
            assert!(page.contains(part), "{part} is missing");
        }
        for part in ["<script", "src=", "href=", "@import", "url(", "<flash>"] {
            assert!(!page.contains(part), "{part} must not be there");
        }
        assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    }

    #[test]
    fn an_empty_report_is_a_page_as_well() {
        assert!(page(&json!({})).ends_with("</html>\n"));
    }

    #[test]
    fn counters_become_rates_and_a_new_start_is_no_rate() {
        assert_eq!(rates(&[(0.0, 5.0), (1.0, 25.0), (3.0, 3.0)]), [(1.0, Some(20.0)), (3.0, None)]);
    }

    #[test]
    fn figures_are_short() {
        let all = [0.1234, 1.0, 12.345, 1234567.8, -4321.0].map(figure);
        assert_eq!(all, ["0.123", "1", "12.3", "1,234,568", "-4,321"]);
    }
}
