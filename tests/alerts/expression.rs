//! Expressions of Prometheus, as far as names, labels and values go: what stands in them against what the program exports.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Labels that Prometheus adds by itself.
const ADDED: [&str; 2] = ["instance", "job"];
/// Labels that rules give to what they record, and to alerts.
const RECORDED: [&str; 6] = ["slo", "severity", "set", "alertname", "alertstate", "le"];
/// Series that are Prometheus' own.
const OWN: [&str; 2] = ["up", "ALERTS"];
/// Values of `route` that are no address.
const NO_ADDRESS: [&str; 1] = ["unmatched"];

struct Metric {
    histogram: bool,
    /// With its values; none: any.
    labels: BTreeMap<String, BTreeSet<String>>,
}

/// What the program exports, by `docs/metrics.md`, which another test compares with the program.
pub struct Exported {
    metrics: BTreeMap<String, Metric>,
    /// METHOD PATH of every route.
    routes: BTreeSet<String>,
    /// Upper bounds of durations, as they stand in `le`.
    bounds: BTreeSet<String>,
}

impl Exported {
    pub fn read(root: &Path) -> Self {
        let page = fs::read_to_string(root.join("docs/metrics.md")).unwrap();
        let metrics: BTreeMap<_, _> = page.lines().filter_map(row).collect();
        assert!(metrics.len() > 50, "docs/metrics.md is read wrongly: {} metrics", metrics.len());
        let mut routes: BTreeSet<String> = NO_ADDRESS.map(str::to_owned).into();
        for table in ["ingress/src/visitor/mod.rs", "ingress/src/admin/mod.rs"] {
            routes.extend(fs::read_to_string(root.join(table)).unwrap().lines().filter_map(route));
        }
        let observe = fs::read_to_string(root.join("src/observe.rs")).unwrap();
        let line = observe.lines().find(|line| line.starts_with("const SECONDS")).unwrap();
        let list = line.rsplit_once('[').unwrap().1.trim_end_matches("];");
        let bounds = list.split(", ").map(|bound| bound.trim_end_matches(".0").to_owned()).collect();
        Self { metrics, routes, bounds }
    }

    /// Everything in the expression that the program does not export, and nobody records.
    pub fn mistakes(&self, expression: &str, recorded: &BTreeSet<String>) -> Vec<String> {
        let mut mistakes = Vec::new();
        for (name, matchers) in selectors(expression) {
            if name.contains(':') {
                if !recorded.contains(&name) {
                    mistakes.push(format!("{name} is recorded by no rule"));
                }
            } else if !OWN.contains(&name.as_str()) {
                mistakes.extend(self.selector(&name, &matchers));
            }
        }
        let known: BTreeSet<&str> =
            self.metrics.values().flat_map(|metric| metric.labels.keys().map(String::as_str)).collect();
        for label in grouped(expression) {
            if !known.contains(label.as_str())
                && !ADDED.contains(&label.as_str())
                && !RECORDED.contains(&label.as_str())
            {
                mistakes.push(format!("no metric has the label {label}"));
            }
        }
        mistakes
    }

    fn selector(&self, name: &str, matchers: &[(String, String)]) -> Vec<String> {
        let parts = ["_bucket", "_sum", "_count"];
        let base = parts.iter().find_map(|part| {
            let base = name.strip_suffix(part)?;
            self.metrics.get(base).filter(|metric| metric.histogram)
        });
        let Some(metric) = base.or_else(|| self.metrics.get(name).filter(|metric| !metric.histogram)) else {
            return vec![format!("{name} is not exported")];
        };
        let wrong = |(label, value): &(String, String)| {
            if ADDED.contains(&label.as_str()) || value.contains('$') {
                return None;
            }
            if label == "le" && name.ends_with("_bucket") {
                return (!self.bounds.contains(value)).then(|| format!("{name} has no bound {value}"));
            }
            let Some(values) = metric.labels.get(label) else { return Some(format!("{name} has no label {label}")) };
            // Of patterns only lists of words can be compared.
            let words = value.split('|').filter(|word| !word.contains(['.', '*', '(', ')']));
            let values = if label == "route" { &self.routes } else { values };
            let unknown: Vec<_> = words.filter(|word| !values.is_empty() && !values.contains(*word)).collect();
            (!unknown.is_empty()).then(|| format!("{name}: {label} is never {unknown:?}"))
        };
        matchers.iter().filter_map(wrong).collect()
    }
}

/// One line of the page's tables.
fn row(line: &str) -> Option<(String, Metric)> {
    let cells: Vec<&str> = line.strip_prefix("| `")?.split(" | ").collect();
    let (name, kind, labels) = (cells.first()?.trim_end_matches('`'), *cells.get(1)?, *cells.get(3)?);
    let label = |text: &str| {
        let (label, values) = text.split_once(": ").unwrap_or((text, ""));
        let values = values.split(", ").filter(|value| !value.is_empty()).map(str::to_owned).collect();
        (label.trim_matches('`').to_owned(), values)
    };
    let labels = labels.split("; ").map(str::trim).filter(|text| !text.is_empty()).map(label).collect();
    Some((name.to_owned(), Metric { histogram: kind == "histogram", labels }))
}

/// One line of a table of routes: `Op = Class METHOD "path";`.
fn route(line: &str) -> Option<String> {
    let (head, path) = line.trim().strip_suffix("\";")?.split_once(" \"")?;
    let method = head.rsplit_once(' ')?.1;
    method.chars().all(|char| char.is_ascii_uppercase()).then(|| format!("{method} {path}"))
}

/// Names of series with what stands in braces behind them.
fn selectors(expression: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut found = Vec::new();
    let mut rest = expression;
    while let Some(start) = rest.find(|char: char| char.is_ascii_alphabetic() || char == '"') {
        rest = &rest[start..];
        if rest.starts_with('"') {
            // Texts, such as those of label_replace, name nothing.
            let end = rest[1..].find('"').map_or(rest.len(), |end| end + 2);
            rest = &rest[end..];
            continue;
        }
        let end = rest.find(|char: char| !(char.is_ascii_alphanumeric() || "_:".contains(char))).unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        rest = behind;
        let is_series = name.starts_with("holdfast") || OWN.contains(&name);
        if !is_series {
            continue;
        }
        let mut matchers = Vec::new();
        if let Some(inner) = rest.strip_prefix('{') {
            let mut inner = inner;
            while let Some(at) = inner.find('"') {
                let label = inner[..at].trim_start_matches(',').trim_end_matches(['=', '~', '!']).trim();
                let value = &inner[at + 1..];
                let end = value.find('"').unwrap();
                matchers.push((label.to_owned(), value[..end].to_owned()));
                inner = &value[end + 1..];
                if inner.starts_with('}') {
                    break;
                }
            }
            rest = inner;
        }
        found.push((name.to_owned(), matchers));
    }
    found
}

/// Labels named by `by (...)` and `on (...)`.
fn grouped(expression: &str) -> Vec<String> {
    let lists = ["by (", "on ("].iter().flat_map(|word| expression.split(word).skip(1));
    let labels = lists.flat_map(|list| list.split(')').next().unwrap_or_default().split(','));
    labels.map(|label| label.trim().to_owned()).filter(|label| !label.is_empty()).collect()
}

#[test]
fn a_name_a_label_or_a_value_that_is_not_exported_is_found() {
    let exported = Exported::read(Path::new(env!("CARGO_MANIFEST_DIR")));
    let recorded = BTreeSet::from(["holdfast:armed".to_owned()]);
    let mistakes = |expression: &str| exported.mistakes(expression, &recorded);
    for good in [
        "rate(holdfast_ingress_requests_total{route=\"POST /v1/sales/{sale}/holds\",status=\"5xx\"}[5m]) > 0 and on () holdfast:armed == 1",
        "sum by (sale, le) (rate(holdfast_line_step_seconds_bucket{le=\"0.5\"}[1m]))",
        "up{job=\"holdfast\"} == 0",
        "holdfast_booker_lane_state{state=~\"serving|unloaded\",sale=~\"$sale\"}",
    ] {
        assert_eq!(mistakes(good), [] as [&str; 0], "{good}");
    }
    for (bad, why) in [
        ("holdfast_line_waiting > 0", "not exported"),
        ("holdfast_line_step_seconds > 0", "not exported"),
        ("holdfast_line_owned{lane=\"0\"}", "no label lane"),
        ("holdfast_booker_lane_state{state=~\"serving|asleep\"}", "never [\"asleep\"]"),
        ("holdfast_ingress_requests_total{route=\"POST /v1/nothing\"}", "never"),
        ("holdfast_line_step_seconds_bucket{le=\"0.7\"}", "no bound 0.7"),
        ("sum by (sail) (holdfast_line_owned)", "label sail"),
        ("holdfast:unarmed == 1", "recorded by no rule"),
    ] {
        let found = mistakes(bad);
        assert!(found.len() == 1 && found[0].contains(why), "{bad}: {found:?}");
    }
}
