//! `doctor`: what is wrong, or unsafe, and what ends it.

use serde_json::json;

use crate::config::Config;
use crate::doctor::{self, Severity};
use crate::failure::{Exit, Failure};
use crate::out::{self, Out};
use crate::stores;

/// Runs the command; exit 3 when something is wrong or unsafe. Notes are no findings.
pub(super) fn run(config: &Config, as_json: bool) -> Result<Exit, Failure> {
    let found = stores::block_on(async { Ok(doctor::examine(config).await) })?;
    let good = found.iter().all(|finding| finding.severity == Severity::Note);
    if as_json {
        let (notes, findings): (Vec<_>, Vec<_>) = found.iter().partition(|finding| finding.severity == Severity::Note);
        let list = |all: Vec<&doctor::Finding>| all.into_iter().map(doctor::Finding::json).collect::<Vec<_>>();
        out::line(json!({ "good": good, "findings": list(findings), "notes": list(notes) }))?;
    } else {
        let mut out = Out::new();
        for finding in &found {
            out.line(finding)?;
        }
        if good {
            out.line("good: nothing found")?;
        }
        out.done()?;
    }
    Ok(if good { Exit::Done } else { Exit::Found })
}
