//! Versions of the schema, and what the doctor sees of a cluster.

use std::time::Duration;

use domain::limits::CQL_SCHEMA_MS;
use scylla::statement::unprepared::Statement;

use super::is_clear;
use crate::Error;
use crate::cassandra::shared;
use crate::cql::schema::NEWEST;
use crate::cql::{Cql, Migrated, Replication, Severity, connect, examine, migrate};

/// Says something to the database that the store never would.
async fn meddle(settings: &crate::cql::Settings, text: String) {
    let session = connect::session(settings).await.unwrap();
    let mut statement = Statement::new(text);
    statement.set_request_timeout(Some(Duration::from_millis(CQL_SCHEMA_MS)));
    session.query_unpaged(statement, ()).await.unwrap();
}

#[tokio::test]
async fn a_migration_may_be_run_again_and_then_does_nothing() {
    let Some(node) = shared() else { return };
    let keyspace = format!("again_{:x}", rand::random::<u32>());
    let settings = node.settings(&keyspace);
    let error = migrate(&settings, None).await.unwrap_err();
    is_clear(&error, &["no keyspace", "replicas"]);
    let first = migrate(&settings, Some(Replication { factor: 1 })).await.unwrap();
    assert_eq!(first, Migrated { keyspace: true, from: 0, to: NEWEST });
    let again = migrate(&settings, Some(Replication { factor: 1 })).await.unwrap();
    assert_eq!(again, Migrated { keyspace: false, from: NEWEST, to: NEWEST });
    Cql::open(&settings).await.unwrap();
    meddle(&settings, format!("DROP KEYSPACE {keyspace}")).await;
}

#[tokio::test]
async fn a_keyspace_of_a_newer_program_or_without_tables_is_not_touched() {
    let Some(node) = shared() else { return };
    let keyspace = format!("newer_{:x}", rand::random::<u32>());
    let settings = node.migrate(&keyspace);
    let newer = NEWEST + 1;
    meddle(&settings, format!("INSERT INTO {keyspace}.schema_versions (part, version) VALUES ('ledger', {newer})"))
        .await;
    for error in [Cql::open(&settings).await.err().unwrap(), migrate(&settings, None).await.unwrap_err()] {
        assert!(matches!(error, Error::NewerSchema { .. }), "{error:?}");
        is_clear(&error, &[&keyspace, &format!("schema {newer}"), "newer holdfast"]);
    }
    meddle(&settings, format!("DELETE FROM {keyspace}.schema_versions WHERE part = 'ledger' AND version = {newer}"))
        .await;
    meddle(&settings, format!("DROP TABLE {keyspace}.segments")).await;
    let error = Cql::open(&settings).await.err().unwrap();
    assert!(matches!(error, Error::NotMigrated { .. }), "{error:?}");
    is_clear(&error, &["no tables", "holdfast ledger migrate"]);
    meddle(&settings, format!("DROP KEYSPACE {keyspace}")).await;
}

#[tokio::test]
async fn the_doctor_finds_one_replica_and_finds_that_conditions_hold() {
    let Some(node) = shared() else { return };
    let found = examine(&node.ledger(), true).await.unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].severity, Severity::Error);
    assert!(found[0].what.contains("replication factor 1") && found[0].fix.contains("ALTER KEYSPACE"), "{found:?}");
    let found = examine(&node.ledger(), false).await.unwrap();
    assert_eq!(found[0].severity, Severity::Warning, "for trying it is good enough");
}

#[tokio::test]
async fn the_doctor_finds_a_plain_write_that_makes_appends_vanish() {
    let Some(node) = shared() else { return };
    let keyspace = format!("plain_{:x}", rand::random::<u32>());
    let settings = node.migrate(&keyspace);
    examine(&settings, false).await.unwrap();
    // Applied in the year 2286: every later append changes nothing, silently.
    let far = 9_999_999_999_999_999_u64;
    meddle(
        &settings,
        format!("UPDATE {keyspace}.segments USING TIMESTAMP {far} SET head = 1 WHERE log = 'doctor' AND segment = 0"),
    )
    .await;
    let found = examine(&settings, false).await.unwrap();
    let broken = found.iter().find(|finding| finding.what.contains("do not do what they must")).expect("found");
    assert!(broken.severity == Severity::Error && broken.why.contains("timestamp"), "{broken:?}");
    meddle(&settings, format!("DROP KEYSPACE {keyspace}")).await;
}
