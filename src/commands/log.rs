//! `log list` and `log read`: the ledger as it is, beside a running program or without one.

use domain::LogId;
use ledger::Ledger;
use serde_json::json;
use serde_json::value::RawValue;

use crate::cli::Log;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::out::Out;
use crate::stores;

/// Events read from the ledger at once.
const PAGE: usize = 1_000;

/// Runs the command.
pub(super) fn run(config: &Config, command: &Log, as_json: bool) -> Result<Exit, Failure> {
    stores::block_on(async {
        let ledger = stores::existing_ledger(config).await?;
        match command {
            Log::List { prefix } => list(&ledger, prefix, as_json).await,
            Log::Read { log, from } => read(&ledger, log, *from, as_json).await,
        }
    })
}

async fn list(ledger: &Ledger, prefix: &str, as_json: bool) -> Result<Exit, Failure> {
    let mut out = Out::new();
    for log in ledger.list(prefix).await.map_err(stores::ledger_failure)? {
        let head = ledger.head(&log).await.map_err(stores::ledger_failure)?;
        let line = if as_json {
            json!({ "log": log.as_str(), "head": head.head, "fence": head.fence, "owner": head.owner }).to_string()
        } else {
            format!("{log}\t{} events\tfence {}\t{}", head.head, head.fence, head.owner)
        };
        if !out.line(line)? {
            break;
        }
    }
    out.done()?;
    Ok(Exit::Done)
}

async fn read(ledger: &Ledger, log: &str, from: u64, as_json: bool) -> Result<Exit, Failure> {
    let id: LogId = log.parse().map_err(|error| {
        Failure::usage(format!("log {log:?}"), format!("must be {error}"), "holdfast log list shows all")
    })?;
    let head = ledger.head(&id).await.map_err(stores::ledger_failure)?;
    if head.fence == 0 {
        return Err(Failure::new(format!("log {id}"), "there is none of this name", "holdfast log list shows all"));
    }
    let mut out = Out::new();
    let mut after = from.saturating_sub(1);
    loop {
        let page = ledger.read(&id, after, PAGE).await.map_err(stores::ledger_failure)?;
        let Some(last) = page.last() else { break };
        after = last.seq;
        for entry in page {
            let line =
                if as_json { with_seq(entry.seq, &entry.event) } else { format!("{}\t{}", entry.seq, entry.event) };
            if !out.line(line)? {
                return out.done().map(|()| Exit::Done);
            }
        }
    }
    out.done()?;
    Ok(Exit::Done)
}

/// The event's object with its number in front; text that is no JSON object is shown as text.
fn with_seq(seq: u64, event: &str) -> String {
    match event.strip_prefix('{') {
        Some(rest) if serde_json::from_str::<&RawValue>(event).is_ok() && rest != "}" => {
            format!("{{\"seq\":{seq},{rest}")
        }
        _ => json!({ "seq": seq, "text": event }).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_keeps_its_fields_behind_its_number() {
        assert_eq!(with_seq(3, r#"{"v":1,"t":"booked"}"#), r#"{"seq":3,"v":1,"t":"booked"}"#);
        assert_eq!(with_seq(3, "not json"), r#"{"seq":3,"text":"not json"}"#);
        assert_eq!(with_seq(3, "{}"), r#"{"seq":3,"text":"{}"}"#);
    }
}
