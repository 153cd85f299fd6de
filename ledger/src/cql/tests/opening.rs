//! What is wrong on the way to a ledger is one line with the fix.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::is_clear;
use crate::cassandra::shared;
use crate::cql::{Cql, Replication, Settings, migrate};
use crate::{Applied, Error};

async fn refused(settings: &Settings) -> Error {
    match Cql::open(settings).await {
        Ok(_) => panic!("{settings} should not open"),
        Err(error) => {
            assert_eq!(error.applied(), Applied::No);
            error
        }
    }
}

#[tokio::test]
async fn contact_points_that_cannot_be_reached_are_named() {
    // Bound and dropped: nobody listens there.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = refused(&Settings::new(vec![format!("127.0.0.1:{port}")], "holdfast")).await;
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    is_clear(&error, &[&port.to_string(), "cannot be reached", "ledger = \"cql:"]);
    let error = refused(&Settings::new(vec!["no-such-host.invalid:9042".to_owned()], "holdfast")).await;
    is_clear(&error, &["no-such-host.invalid", "cannot be reached"]);
}

#[tokio::test]
async fn contact_points_that_accept_and_say_nothing_are_given_up_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let since = Instant::now();
    let error = refused(&Settings::new(vec![silent.local_addr().unwrap().to_string()], "holdfast")).await;
    is_clear(&error, &["cannot be reached"]);
    assert!(since.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn wrong_credentials_are_told_without_the_password() {
    let Some(node) = shared() else { return };
    let wrong = Settings { password: "not-this-one".to_owned(), ..node.ledger() };
    let nobody = Settings { user: String::new(), ..wrong.clone() };
    for settings in [wrong, nobody] {
        let error = refused(&settings).await;
        assert!(matches!(error, Error::Credentials { .. }), "{error:?}");
        is_clear(&error, &["refuses user", "cql.password"]);
        assert!(!error.to_string().contains("not-this-one"));
    }
}

#[tokio::test]
async fn a_keyspace_that_is_missing_is_named_with_the_command_that_makes_it() {
    let Some(node) = shared() else { return };
    let error = refused(&node.settings("no_such_keyspace")).await;
    assert!(matches!(error, Error::NotMigrated { .. }), "{error:?}");
    is_clear(&error, &["no keyspace no_such_keyspace", "holdfast ledger migrate"]);
}

#[tokio::test]
async fn more_replicas_than_nodes_are_refused_before_anything_is_made() {
    let Some(node) = shared() else { return };
    let settings = node.settings("too_many_replicas");
    let error = migrate(&settings, Some(Replication { factor: 3 })).await.unwrap_err();
    is_clear(&error, &["3 replicas", "there are 1"]);
    assert!(matches!(refused(&settings).await, Error::NotMigrated { .. }));
}

#[tokio::test]
async fn another_data_centre_than_the_keyspaces_is_refused() {
    let Some(node) = shared() else { return };
    let error = refused(&Settings { datacenter: "elsewhere".to_owned(), ..node.ledger() }).await;
    is_clear(&error, &["datacenter1", "cql.datacenter", "elsewhere"]);
}
