//! The keys file: there, whole, nobody else's, and not too old.

use std::time::Duration;

use super::{Finding, Part, Severity, in_production};
use crate::config::Config;
use crate::keys::KeyFile;

/// Days after which a token key is old: a season, and a part of the next one.
const OLD_DAYS: u64 = 400;

/// What is found about the keys.
pub(super) fn examine(config: &Config) -> Vec<Finding> {
    let file = KeyFile::new(config.keys());
    let what = format!("keys file {}", config.keys().display());
    // The first start of an installation of one process makes it.
    if !file.exists() && !config.ledger().exists() && config.internal_listen.is_none() {
        return Vec::new();
    }
    let keys = match if config.internal_listen.is_some() { file.shared() } else { file.load() } {
        Ok(keys) => keys,
        Err(failure) => return vec![Finding::failed(Part::Keys, failure)],
    };
    let mut found = Vec::new();
    let weak = keys.weak();
    if !weak.is_empty() {
        let severity = in_production(config, Severity::Error, Severity::Note);
        let why = format!("made up by hand or copied from an example: {}", weak.join(", "));
        found.push(Finding::new(Part::Keys, severity, &what, why, "make random ones with holdfast keys create"));
    }
    let now = (admission::clock::system())();
    let age = file.signs_since(&keys).map_or(Duration::ZERO, |made| Duration::from_millis(now.since(made)));
    let days = age.as_secs() / 86_400;
    if days > OLD_DAYS {
        let why =
            format!("the token key that signs is {days} days old: whoever ever saw it can make tickets and passes");
        let fix = "holdfast keys rotate add, then use, then drop: see the runbook of keys";
        found.push(Finding::new(Part::Keys, Severity::Warning, &what, why, fix));
    }
    found
}
