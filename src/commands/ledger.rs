//! `ledger migrate`: the keyspace and the tables of a CQL ledger.

use ledger::cql::{Migrated, Replication, migrate};
use serde_json::json;

use crate::cli::Ledger;
use crate::config::{Config, LedgerAt};
use crate::failure::{Exit, Failure};
use crate::{out, stores};

/// Runs the command.
pub(super) fn run(config: &Config, command: &Ledger, as_json: bool) -> Result<Exit, Failure> {
    let Ledger::Migrate = command;
    let at = config.ledger();
    let LedgerAt::Cql(cql) = &at else {
        // A file's schema is made with it.
        return say(&at.to_string(), None, as_json);
    };
    let replication = Replication { factor: cql.replicas };
    let migrated =
        stores::block_on(async { migrate(&cql.settings, Some(replication)).await.map_err(stores::ledger_failure) })?;
    say(&at.to_string(), Some(&migrated), as_json)
}

fn say(at: &str, migrated: Option<&Migrated>, as_json: bool) -> Result<Exit, Failure> {
    if as_json {
        let from_to = migrated.map(|migrated| (migrated.from, migrated.to));
        out::line(json!({
            "ledger": at,
            "keyspace_made": migrated.is_some_and(|migrated| migrated.keyspace),
            "from": from_to.map(|(from, _)| from),
            "to": from_to.map(|(_, to)| to),
        }))?;
    } else {
        out::line(match migrated {
            None => format!("{at}: nothing to do, its first use makes it"),
            Some(Migrated { from, to, .. }) if from == to => format!("{at}: schema {to}, nothing to do"),
            Some(Migrated { keyspace, from, to }) => {
                format!("{at}: {}schema {from} -> {to}", if *keyspace { "keyspace made, " } else { "" })
            }
        })?;
    }
    Ok(Exit::Done)
}
