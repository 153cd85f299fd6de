//! Metrics: the recorder, what each metric means, and the page that lists them.

use std::fmt::Write as _;
use std::time::Duration;

use domain::limits::MAX_LANE_LABELS;
use domain::metric::{Kind, Metric};
use metrics::Unit;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::failure::Failure;

/// Upper bounds of durations, in seconds: from a Redis round trip to a confirm that waited its whole patience.
const SECONDS: &[f64] = &[0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0];
/// Upper bounds of sizes of groups: from alone to the largest append.
const SIZES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];
/// How often samples are folded into their histograms, so that nobody's scrape has to do much of it.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Every crate's metrics, under the crate's name.
const ALL: &[(&str, &[Metric])] = &[
    ("ingress", ingress::metrics::ALL),
    ("admission", admission::metrics::ALL),
    ("booker", booker::metrics::ALL),
    ("lua", lua::metrics::ALL),
    ("ledger", ledger::metrics::ALL),
    ("program", crate::metrics::ALL),
];

/// Starts recording for the whole process. Call it before anything that keeps handles of metrics is made.
///
/// # Errors
/// A second call.
pub(crate) fn start() -> Result<PrometheusHandle, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::new("metrics", error, "");
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)
        .and_then(|builder| builder.set_buckets(SIZES))
        .map_err(|error| failed(&error))?
        .install_recorder()
        .map_err(|error| failed(&error))?;
    for metric in ALL.iter().flat_map(|(_, metrics)| *metrics) {
        describe(metric);
    }
    Ok(handle)
}

/// Folds samples for ever.
pub(crate) async fn keep_up(handle: PrometheusHandle) {
    let mut tick = tokio::time::interval(UPKEEP_EVERY);
    loop {
        tick.tick().await;
        handle.run_upkeep();
    }
}

fn describe(metric: &Metric) {
    let unit = match metric.unit {
        "seconds" => Unit::Seconds,
        "bytes" => Unit::Bytes,
        _ => Unit::Count,
    };
    match metric.kind {
        Kind::Counter => metrics::describe_counter!(metric.name, unit, metric.help),
        Kind::Gauge => metrics::describe_gauge!(metric.name, unit, metric.help),
        Kind::Histogram => metrics::describe_histogram!(metric.name, unit, metric.help),
    }
}

/// The text of `docs/metrics.md`.
pub(crate) fn page() -> String {
    let mut page = format!(
        "# Metrics\n\n\
         Served as Prometheus text at `/metrics` of the operators' listener. Written by `holdfast metrics-page` from the\n\
         descriptions in each crate's `metrics.rs`; a test compares. Histograms have `_bucket`, `_sum` and `_count`.\n\
         `lane` is a number below {MAX_LANE_LABELS}; lanes beyond are counted together as `more`, and have no gauges.\n",
    );
    for (area, metrics) in ALL.iter().filter(|(_, metrics)| !metrics.is_empty()) {
        let _ = write!(page, "\n## {area}\n\n| name | kind | unit | labels | meaning |\n|---|---|---|---|---|\n");
        for metric in *metrics {
            let labels: Vec<String> = metric.labels.iter().map(label).collect();
            let (name, kind, unit) = (metric.name, metric.kind.as_str(), metric.unit);
            let _ = writeln!(page, "| `{name}` | {kind} | {unit} | {} | {} |", labels.join("; "), metric.help);
        }
    }
    page
}

fn label((name, values): &(&str, &[&str])) -> String {
    if values.is_empty() { format!("`{name}`") } else { format!("`{name}`: {}", values.join(", ")) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_follow_the_house_and_are_described_once() {
        let mut seen = BTreeSet::new();
        for (area, metric) in ALL.iter().flat_map(|(area, metrics)| metrics.iter().map(move |metric| (area, metric))) {
            let name = metric.name;
            assert!(seen.insert(name), "{name} is described twice");
            assert!(name.starts_with("holdfast_"), "{area}: {name}");
            assert_eq!(metric.kind == Kind::Counter, name.ends_with("_total"), "{area}: {name}");
            assert!(metric.help.ends_with('.') && !metric.help.contains('|'), "{area}: {name}: {}", metric.help);
        }
    }
}
