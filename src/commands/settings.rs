//! `config show` and `check-config`.

use serde_json::json;

use crate::cli::ConfigCommand;
use crate::config::Loaded;
use crate::failure::{Exit, Failure};
use crate::out::{self, Out};

/// Prints every value that counts, also when some are wrong.
pub(super) fn show(loaded: &Loaded, command: &ConfigCommand, as_json: bool) -> Result<Exit, Failure> {
    let ConfigCommand::Show { origin } = command;
    let mut out = Out::new();
    for shown in loaded.shown() {
        let line = if as_json {
            let value = serde_json::to_value(&shown.value).unwrap_or_default();
            json!({ "key": shown.key, "value": value, "origin": shown.origin }).to_string()
        } else if *origin {
            format!("{} = {}  # {}", shown.key, shown.value, shown.origin)
        } else {
            format!("{} = {}", shown.key, shown.value)
        };
        if !out.line(line)? {
            break;
        }
    }
    out.done()?;
    for mistake in loaded.mistakes() {
        out::say(format_args!("holdfast: configuration: {mistake}"));
    }
    Ok(if loaded.mistakes().is_empty() { Exit::Done } else { Exit::Found })
}

/// Prints every mistake.
pub(super) fn check(loaded: &Loaded, as_json: bool) -> Result<Exit, Failure> {
    let mistakes = loaded.mistakes();
    if as_json {
        out::line(json!({ "good": mistakes.is_empty(), "mistakes": mistakes }))?;
    } else if mistakes.is_empty() {
        out::line("configuration: good")?;
    }
    for mistake in &mistakes {
        out::say(format_args!("holdfast: configuration: {mistake}"));
    }
    Ok(if mistakes.is_empty() { Exit::Done } else { Exit::Found })
}
