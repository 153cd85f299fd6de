//! The schema's versions, each a file of statements that may be run again.

use std::time::Duration;

use domain::limits::{CQL_OPEN_MS, CQL_SCHEMA_MS, LEDGER_READ_MS, RESEND_MS};
use scylla::client::session::Session;
use scylla::errors::{DbError, ExecutionError, RequestAttemptError};
use scylla::response::query_result::QueryRowsResult;
use scylla::statement::unprepared::Statement;
use scylla::statement::{Consistency, SerialConsistency};
use tokio::time::{Instant, sleep};

use super::failure::one_line;
use super::ring::Ring;
use super::settings::{Replication, Settings};
use super::statements::{Statements, Talk, odd};
use super::{connect, failure};
use crate::Error;

/// Every version there was, the oldest first. A file that was ever released is never changed; a change is a new file.
const MIGRATIONS: [(i32, &str); 1] = [(1, include_str!("schema/0001_logs.cql"))];

/// Where the versions stand. Before all others, because the first version is noted in it.
const VERSIONS: &str =
    "CREATE TABLE IF NOT EXISTS schema_versions (part text, version int, PRIMARY KEY (part, version))";
const NOTE: &str = "INSERT INTO schema_versions (part, version) VALUES ('ledger', ?) IF NOT EXISTS";
const NOTED: &str = "schema_versions WHERE part = 'ledger'";

/// Newest version this program knows.
pub(super) const NEWEST: i32 = MIGRATIONS[MIGRATIONS.len() - 1].0;

/// What a migration did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Migrated {
    /// Whether the keyspace was made.
    pub keyspace: bool,
    /// Version before; 0 when there was none.
    pub from: i32,
    /// Version now.
    pub to: i32,
}

/// Makes the keyspace where there is none, and brings its tables to this program's version. May be run again at any time, by one process at once:
/// databases of this kind do not order changes of their schema.
///
/// # Errors
/// Everything that is wrong with the way there; [`Error::NewerSchema`]; a keyspace that is to be made without `replication`.
pub async fn migrate(settings: &Settings, replication: Option<Replication>) -> Result<Migrated, Error> {
    let session = connect::session(settings).await?;
    let keyspace = make_keyspace(&session, settings, replication).await?;
    let unusable = |error: &dyn ToString| Error::Unreachable { at: settings.at(), why: one_line(&error.to_string()) };
    let using = session.use_keyspace(&settings.keyspace, false);
    match tokio::time::timeout(Duration::from_millis(CQL_OPEN_MS), using).await {
        Ok(outcome) => outcome.map_err(|error| unusable(&error))?,
        Err(late) => return Err(unusable(&late)),
    }
    change(&session, settings, VERSIONS).await?;
    let from = version(&session, settings).await?;
    if from > NEWEST {
        return Err(Error::NewerSchema { at: settings.to_string(), found: from, known: NEWEST });
    }
    for (version, text) in MIGRATIONS.into_iter().filter(|(version, _)| *version > from) {
        for statement in statements(text) {
            change(&session, settings, &statement).await?;
        }
        note(&session, settings, version).await?;
    }
    Ok(Migrated { keyspace, from, to: NEWEST })
}

/// The file's statements, without its comments.
fn statements(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
    lines.join("\n").split(';').map(str::trim).filter(|one| !one.is_empty()).map(str::to_owned).collect()
}

/// True when it was not there.
async fn make_keyspace(
    session: &Session,
    settings: &Settings,
    replication: Option<Replication>,
) -> Result<bool, Error> {
    let cluster = session.get_cluster_state();
    if cluster.get_keyspace(&settings.keyspace).is_some() {
        return Ok(false);
    }
    let Some(Replication { factor }) = replication else {
        let what = format!("no keyspace {} (say how many replicas it is to have)", settings.keyspace);
        return Err(Error::NotMigrated { at: settings.at(), what });
    };
    let named = Some(settings.datacenter.clone()).filter(|name| !name.is_empty());
    let first = || cluster.get_nodes_info().first().and_then(|node| node.datacenter.clone());
    let Some(datacenter) = named.or_else(first).filter(|name| !name.contains('\'')) else {
        return Err(Error::Unreachable {
            at: settings.at(),
            why: "no node says which data centre it is in".to_owned(),
        });
    };
    let nodes = cluster.get_nodes_info().iter();
    let nodes = nodes.filter(|node| node.datacenter.as_deref() == Some(&datacenter)).count();
    if nodes < usize::from(factor) {
        return Err(Error::Datacenter {
            at: settings.at(),
            keyspace: settings.keyspace.clone(),
            names: datacenter,
            why: format!(
                "{factor} replicas need as many nodes there, and there are {nodes}: ask for fewer, or start more nodes"
            ),
        });
    }
    let make = |tablets: &str| {
        format!(
            "CREATE KEYSPACE IF NOT EXISTS {} WITH replication = {{'class': 'NetworkTopologyStrategy', '{datacenter}': {factor}}}{tablets}",
            settings.keyspace
        )
    };
    // ScyllaDB's tablets and conditions do not go together in all its versions; Cassandra does not know the word.
    let tablets = if is_scylla(session).await { " AND tablets = {'enabled': false}" } else { "" };
    change(session, settings, &make(tablets)).await?;
    Ok(true)
}

/// Whether this is ScyllaDB, by a table that only it has.
pub(super) async fn is_scylla(session: &Session) -> bool {
    session.query_unpaged("SELECT version FROM system.versions", ()).await.is_ok()
}

/// One change of the schema; the driver waits until all nodes agree.
async fn change(session: &Session, settings: &Settings, text: &str) -> Result<(), Error> {
    let mut statement = Statement::new(text);
    statement.set_request_timeout(Some(Duration::from_millis(CQL_SCHEMA_MS)));
    session.query_unpaged(statement, ()).await.map(|_| ()).map_err(|error| refused(settings, &error))
}

/// Notes that the version is there. Repeated while it is not known whether it was noted: a second note of the same changes nothing.
async fn note(session: &Session, settings: &Settings, version: i32) -> Result<(), Error> {
    let mut note = Statement::new(NOTE);
    note.set_consistency(Consistency::LocalQuorum);
    note.set_serial_consistency(Some(SerialConsistency::LocalSerial));
    let deadline = Instant::now() + Duration::from_millis(CQL_SCHEMA_MS);
    loop {
        match session.query_unpaged(note.clone(), (version,)).await {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() >= deadline => return Err(refused(settings, &error)),
            Err(_) => sleep(Duration::from_millis(RESEND_MS.1)).await,
        }
    }
}

fn refused(settings: &Settings, error: &ExecutionError) -> Error {
    let fix = match error {
        ExecutionError::LastAttemptError(RequestAttemptError::DbError(DbError::Unauthorized, _)) => {
            "grant that user CREATE, ALTER, SELECT and MODIFY on the keyspace"
        }
        _ => "run it again when all nodes are up",
    };
    Error::unavailable(format!("{settings}: {}: {fix}", one_line(error)))
}

/// A session on a keyspace whose schema is this program's.
pub(super) async fn talk(settings: &Settings) -> Result<Talk, Error> {
    let session = connect::session(settings).await?;
    let ring = Ring::new(connect::datacenter(&session, settings)?);
    // First of all: another version may have other tables.
    match version(&session, settings).await? {
        NEWEST => {}
        newer if newer > NEWEST => {
            return Err(Error::NewerSchema { at: settings.to_string(), found: newer, known: NEWEST });
        }
        older => {
            let what = format!("schema {older} of the ledger in keyspace {}, {NEWEST} is needed", settings.keyspace);
            return Err(Error::NotMigrated { at: settings.at(), what });
        }
    }
    let prepared = Statements::prepare(&session, settings).await;
    let statements = prepared.map_err(|error| failure::of_preparing(&error, settings))?;
    Ok(Talk { session, statements, ring })
}

/// The newest version noted in the keyspace; 0 when nobody has noted one.
async fn version(session: &Session, settings: &Settings) -> Result<i32, Error> {
    let mut read = Statement::new(format!("SELECT version FROM {}.{NOTED}", settings.keyspace));
    read.set_consistency(Consistency::LocalQuorum);
    // The first statement of a session: a cluster that has just been started takes its time.
    read.set_request_timeout(Some(Duration::from_millis(LEDGER_READ_MS)));
    match session.query_unpaged(read, ()).await {
        Ok(answer) => newest(&answer.into_rows_result().map_err(|error| failure::of_read(odd(&error)))?),
        Err(ExecutionError::LastAttemptError(RequestAttemptError::DbError(DbError::Invalid, _))) => Ok(0),
        Err(error) => Err(Error::Unreachable { at: settings.at(), why: one_line(&error) }),
    }
}

fn newest(rows: &QueryRowsResult) -> Result<i32, Error> {
    let mut newest = 0;
    for row in rows.rows::<(i32,)>().map_err(|error| failure::of_read(odd(&error)))? {
        newest = newest.max(row.map_err(|error| failure::of_read(odd(&error)))?.0);
    }
    Ok(newest)
}
