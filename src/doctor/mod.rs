//! What is wrong with an installation, or unsafe, found by really looking: each finding with its reason and what ends it.

mod disk;
mod keys;
mod processes;
mod stores;
mod system;
mod tls;

use std::fmt;

use serde_json::{Value, json};

use crate::config::{Config, Mode};
use crate::failure::Failure;
use crate::words::words;

words! {
    /// How bad it is.
    Severity {
        /// Good to know: for trying it is well.
        Note = "note",
        /// It works, and will hurt one day.
        Warning = "warning",
        /// It does not work, or can lose what visitors were told of.
        Error = "error",
    }
}

words! {
    /// What was looked at.
    Part {
        /// Limits and settings of the operating system.
        System = "system",
        /// Room and kinds of file systems.
        Disk = "disk",
        /// The keys file.
        Keys = "keys",
        /// The certificate of the visitors' listener.
        Tls = "tls",
        /// Redis.
        Redis = "redis",
        /// The ledger.
        Ledger = "ledger",
        /// The program that runs on this data directory, and others.
        Processes = "processes",
    }
}

/// Something found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Finding {
    pub(crate) part: Part,
    pub(crate) severity: Severity,
    /// Where.
    pub(crate) what: String,
    /// What is wrong, and why that is bad.
    pub(crate) why: String,
    /// What to do: mostly a command.
    pub(crate) fix: String,
}

impl Finding {
    fn new(
        part: Part,
        severity: Severity,
        what: impl Into<String>,
        why: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { part, severity, what: what.into(), why: why.into(), fix: fix.into() }
    }

    /// What stopped a look.
    fn failed(part: Part, failure: Failure) -> Self {
        let (what, why, fix) = failure.into_parts();
        Self { part, severity: Severity::Error, what, why, fix }
    }

    /// As one JSON object.
    pub(crate) fn json(&self) -> Value {
        json!({
            "part": self.part.as_str(), "severity": self.severity.as_str(),
            "what": self.what, "why": self.why, "fix": self.fix,
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}: {}", self.severity.as_str(), self.part.as_str(), self.what, self.why)?;
        if self.fix.is_empty() { Ok(()) } else { write!(f, "; {}", self.fix) }
    }
}

/// What production takes more seriously than somebody who tries it.
fn in_production(config: &Config, there: Severity, elsewhere: Severity) -> Severity {
    if config.mode == Mode::Production { there } else { elsewhere }
}

/// Looks at everything; what is worst comes first.
pub(crate) async fn examine(config: &Config) -> Vec<Finding> {
    let mut found = system::examine(config);
    found.extend(disk::examine(config));
    found.extend(keys::examine(config));
    found.extend(tls::examine(config));
    found.extend(stores::redis(config).await);
    found.extend(stores::ledger(config).await);
    found.extend(processes::examine(config).await);
    found.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    found
}
