//! What the audit says.

use std::fmt::Write as _;

use domain::Millis;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// Findings listed per check; the rest is counted.
const MAX_FINDINGS: usize = 20;

/// One invariant with its figures.
#[derive(Debug, Serialize)]
pub(crate) struct Check {
    pub(crate) invariant: &'static str,
    pub(crate) says: &'static str,
    pub(crate) passed: bool,
    pub(crate) figures: Map<String, Value>,
    /// What speaks against it, each with its place; at most [`MAX_FINDINGS`].
    pub(crate) findings: Vec<String>,
    /// How many there are.
    pub(crate) found: usize,
}

impl Check {
    pub(crate) fn new(invariant: &'static str, says: &'static str, mut findings: Vec<String>) -> Self {
        let found = findings.len();
        findings.truncate(MAX_FINDINGS);
        Self { invariant, says, passed: found == 0, figures: Map::new(), findings, found }
    }

    pub(crate) fn figure(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.figures.insert(name.to_owned(), value.into());
        self
    }
}

/// The whole audit.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) sale: String,
    /// When it was made, by this machine's clock.
    pub(crate) at: String,
    pub(crate) passed: bool,
    pub(crate) checks: Vec<Check>,
    /// What could not be looked at, and why.
    pub(crate) left_out: Vec<String>,
}

impl Report {
    pub(crate) fn new(sale: String, at: Millis, checks: Vec<Check>, left_out: Vec<String>) -> Self {
        Self { sale, at: at.to_string(), passed: checks.iter().all(|check| check.passed), checks, left_out }
    }

    /// As one JSON object.
    pub(crate) fn raw(&self) -> Result<Box<RawValue>, serde_json::Error> {
        serde_json::value::to_raw_value(self)
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("audit of {} at {}\n", self.sale, self.at);
        for check in &self.checks {
            let word = if check.passed { "holds" } else { "FAILS" };
            let figures: Vec<String> =
                check.figures.iter().map(|(name, value)| format!("{name} {}", plain(value))).collect();
            let _ = writeln!(text, "{} {word}  {}: {}", check.invariant, check.says, figures.join(", "));
            for finding in &check.findings {
                let _ = writeln!(text, "     {finding}");
            }
            if check.found > check.findings.len() {
                let _ = writeln!(text, "     and {} more", check.found - check.findings.len());
            }
        }
        for what in &self.left_out {
            let _ = writeln!(text, "left out: {what}");
        }
        text
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let inner: Vec<String> = map.iter().map(|(name, value)| format!("{name} {}", plain(value))).collect();
            format!("({})", inner.join(", "))
        }
        other => other.to_string(),
    }
}
