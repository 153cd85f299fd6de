//! `doctor`: what is wrong with the stores, or unsafe, found by really trying.

use ledger::cql::{self, Finding, Severity};
use serde_json::json;

use crate::config::{Config, LedgerAt, Mode};
use crate::failure::{Exit, Failure};
use crate::out::{self, Out};
use crate::production::redis::{Found, Weight, examine};
use crate::stores;

/// Runs the command; exit 3 when there is a finding.
pub(super) fn run(config: &Config, as_json: bool) -> Result<Exit, Failure> {
    let findings = stores::block_on(async {
        let redis = redis(config).await;
        Ok(redis.into_iter().chain(ledger(config).await).collect::<Vec<_>>())
    })?;
    if as_json {
        let findings = findings.iter().map(|(part, finding)| {
            let Finding { severity, what, why, fix } = finding;
            json!({ "part": part, "severity": severity.as_str(), "what": what, "why": why, "fix": fix })
        });
        let lines: Vec<_> = findings.collect();
        out::line(json!({ "good": lines.is_empty(), "findings": lines }))?;
    } else {
        let mut out = Out::new();
        for (part, Finding { severity, what, why, fix }) in &findings {
            out.line(format_args!("{}: {part}: {what}: {why}; {fix}", severity.as_str()))?;
        }
        if findings.is_empty() {
            out.line("good: nothing found")?;
        }
        out.done()?;
    }
    Ok(if findings.is_empty() { Exit::Done } else { Exit::Found })
}

/// What is found about Redis, where it is not the program's own.
async fn redis(config: &Config) -> Vec<(&'static str, Finding)> {
    let Some(access) = &config.redis else { return Vec::new() };
    let finding = |Found { weight, what, why, fix, .. }| {
        let unsafe_here = weight == Weight::Unsafe && config.mode == Mode::Production;
        let severity = if weight == Weight::Never || unsafe_here { Severity::Error } else { Severity::Warning };
        ("redis", Finding { severity, what, why, fix })
    };
    examine(access).await.into_iter().map(finding).collect()
}

/// What is found about the ledger.
async fn ledger(config: &Config) -> Vec<(&'static str, Finding)> {
    let findings = match config.ledger() {
        LedgerAt::Cql(cql) => cql::examine(&cql.settings, config.mode == Mode::Production).await,
        // Opening checks the file; one that is not there yet is no finding.
        LedgerAt::File(path) if path.exists() => ledger::Ledger::sqlite(&path).map(|_| Vec::new()),
        LedgerAt::File(_) => Ok(Vec::new()),
    };
    let findings = findings.unwrap_or_else(|error| {
        let (why, fix) = error.to_string().rsplit_once(": ").map_or_else(
            || (error.to_string(), "see the message".to_owned()),
            |(why, fix)| (why.to_owned(), fix.to_owned()),
        );
        vec![Finding { severity: Severity::Error, what: config.ledger().to_string(), why, fix }]
    });
    findings.into_iter().map(|finding| ("ledger", finding)).collect()
}
