//! The program that runs on this data directory, and those it works with: whether they serve, and what they are.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use ingress::internal::{Caller, NotAnswered, metrics_path};

use super::{Finding, Part, Severity};
use crate::admin::Admin;
use crate::config::Config;
use crate::keys::KeyFile;
use crate::running::{self, Build};
use crate::stores;

/// How long another process may take to say what it is.
const ANSWER_IN: Duration = Duration::from_secs(2);
/// Who says that it is alive.
const KINDS: [&str; 2] = ["booker", "admission"];

/// What is found about processes.
pub(super) async fn examine(config: &Config) -> Vec<Finding> {
    let mut found = here(config);
    found.extend(others(config).await);
    found
}

/// What runs on this data directory.
fn here(config: &Config) -> Vec<Finding> {
    let Some(running) = running::now(&config.layout()) else { return Vec::new() };
    let what = format!("process {}", running.process);
    let mut found = Vec::from_iter(differs(&what, &running.build, "systemctl restart holdfast"));
    let error = |why: String, fix: &str| Finding::new(Part::Processes, Severity::Error, &what, why, fix);
    match Admin::at(running.admin).call("GET", "/readyz?verbose", &[], "") {
        Ok(answer) if answer.status == 200 => {
            let stopped = answer.body.lines().filter(|line| line.starts_with("[!]") && line.contains("stopped"));
            let fix = "see the runbook of stopped lanes (docs/runbooks/lane-stopped.md)";
            found.extend(stopped.map(|line| error(line.trim_start_matches("[!] ").to_owned(), fix)));
        }
        Ok(answer) => {
            let missing: Vec<&str> = answer.body.lines().filter_map(|line| line.strip_prefix("[-] ")).collect();
            let fix = format!("curl -s 'http://{}/readyz?verbose', and the runbook of what it names", running.admin);
            found.push(error(format!("is not ready: {}", missing.join("; ")), &fix));
        }
        Err(failure) => {
            found.push(error(failure.into_parts().1, "see its log; systemctl restart holdfast"));
        }
    }
    found
}

/// Other processes on the same stores, as they say themselves.
async fn others(config: &Config) -> Vec<Finding> {
    let (Some(access), Some(_)) = (&config.redis, config.internal_listen) else { return Vec::new() };
    let Ok(keys) = KeyFile::new(config.keys()).shared() else { return Vec::new() };
    let texts = keys.process_texts();
    let (redis, caller) = (stores::redis(access), Caller::new(texts.first().map_or("", String::as_str)));
    let mut addresses = BTreeSet::new();
    for kind in KINDS {
        // Asked as one that goes: nobody counts it.
        let alive = lua::members::alive(&redis, kind, "doctor", 0).await.unwrap_or_default();
        addresses.extend(alive.iter().filter_map(|name| Some(name.split_once('@')?.1.to_owned())));
    }
    let caller = &caller;
    let asked = addresses
        .iter()
        .map(|address| async move { (address, caller.call(address, metrics_path(), Vec::new(), ANSWER_IN).await) });
    let said = join_all(asked).await;
    said.into_iter().filter_map(|(address, answer)| one(address, answer)).collect()
}

fn one(address: &str, answer: Result<Vec<u8>, NotAnswered>) -> Option<Finding> {
    let what = format!("process at {address}");
    let finding = |severity, why: String, fix: &str| Some(Finding::new(Part::Processes, severity, &what, why, fix));
    match answer {
        Ok(text) => {
            let build = build_of(&String::from_utf8_lossy(&text));
            differs(&what, &build, "upgrade and restart it, one process after the other")
        }
        Err(NotAnswered::Refused(why)) if why.contains("404") => {
            let why = "does not say what it is: it is older than this program".to_owned();
            finding(Severity::Warning, why, "upgrade and restart it, one process after the other")
        }
        Err(NotAnswered::Refused(why) | NotAnswered::Unknown(why)) => {
            let why = format!("says that it is alive, and does not answer ({why})");
            finding(Severity::Error, why, "see its log, and whether its internal_address can be reached from here")
        }
    }
}

/// What a process says it is, in its figures.
fn build_of(metrics: &str) -> Option<Build> {
    let labels = metrics.lines().find_map(|line| line.strip_prefix("holdfast_build_info{"))?;
    let value = |name: &str| {
        let (_, rest) = labels.split_once(&format!("{name}=\""))?;
        Some(rest.split_once('"')?.0.to_owned())
    };
    Some(Build { version: value("version")?, scripts: value("scripts")? })
}

/// Another version, or other scripts, than this program.
fn differs(what: &str, theirs: &Option<Build>, fix: &str) -> Option<Finding> {
    let ours = Build::own();
    let why = match theirs {
        None => "does not say what it is: it is older than this program".to_owned(),
        Some(theirs) if *theirs == ours => return None,
        Some(theirs) => format!(
            "is version {} with scripts {}; this program is version {} with scripts {}",
            theirs.version, theirs.scripts, ours.version, ours.scripts
        ),
    };
    Some(Finding::new(Part::Processes, Severity::Warning, what, why, fix))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_a_process_says_of_itself_is_compared() {
        let ours = Build::own();
        let line = format!("x 1\nholdfast_build_info{{version=\"{}\",scripts=\"{}\"}} 1\n", ours.version, ours.scripts);
        assert_eq!(build_of(&line), Some(ours));
        assert_eq!(one("a:1", Ok(line.into_bytes())), None);
        let other = "holdfast_build_info{scripts=\"abc\",version=\"9.9.9\"} 1\n";
        let found = one("a:1", Ok(other.as_bytes().to_vec())).unwrap();
        assert!(found.severity == Severity::Warning && found.why.contains("version 9.9.9 with scripts abc"), "{found}");
        assert!(one("a:1", Ok(Vec::new())).unwrap().why.contains("older"));
        assert!(one("a:1", Err(NotAnswered::Refused("a:1: 404".to_owned()))).unwrap().why.contains("older"));
        let silent = one("a:1", Err(NotAnswered::Unknown("a:1: no answer in time".to_owned()))).unwrap();
        assert!(silent.severity == Severity::Error && silent.why.contains("does not answer"), "{silent}");
    }
}
