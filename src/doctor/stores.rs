//! Redis and the ledger, by really trying.

use ledger::cql;

use super::{Finding, Part, Severity, in_production};
use crate::config::{Config, LedgerAt, Mode};
use crate::production::redis::{Found, Weight, examine};

/// What is found about Redis, where it is not the program's own.
pub(super) async fn redis(config: &Config) -> Vec<Finding> {
    let Some(access) = &config.redis else { return Vec::new() };
    let finding = |Found { weight, what, why, fix, .. }| {
        let severity = match weight {
            Weight::Never => Severity::Error,
            Weight::Unsafe => in_production(config, Severity::Error, Severity::Warning),
            Weight::Remark => Severity::Warning,
        };
        Finding { part: Part::Redis, severity, what, why, fix }
    };
    examine(access).await.into_iter().map(finding).collect()
}

/// What is found about the ledger.
pub(super) async fn ledger(config: &Config) -> Vec<Finding> {
    let findings = match config.ledger() {
        LedgerAt::Cql(cql) => cql::examine(&cql.settings, config.mode == Mode::Production).await,
        // Opening checks the file; one that is not there yet is no finding.
        LedgerAt::File(path) if path.exists() => ledger::Ledger::sqlite(&path).map(|_| Vec::new()),
        LedgerAt::File(_) => Ok(Vec::new()),
    };
    let finding = |cql::Finding { severity, what, why, fix }| {
        let severity = match severity {
            cql::Severity::Error => Severity::Error,
            cql::Severity::Warning => Severity::Warning,
        };
        Finding { part: Part::Ledger, severity, what, why, fix }
    };
    match findings {
        Ok(findings) => findings.into_iter().map(finding).collect(),
        Err(error) => {
            let text = error.to_string();
            let (why, fix) = text.rsplit_once(": ").unwrap_or((&text, "see the message"));
            vec![Finding::new(Part::Ledger, Severity::Error, config.ledger().to_string(), why, fix)]
        }
    }
}
