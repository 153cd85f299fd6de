//! Opening a session, with the driver's own cleverness switched off.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use domain::limits::{CQL_CONNECT_MS, CQL_KEEPALIVE_MS, CQL_OPEN_MS, CQL_TRY_MS};
use scylla::client::PoolSize;
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::cluster::metadata::Strategy;
use scylla::policies::retry::FallthroughRetryPolicy;
use scylla::statement::{Consistency, SerialConsistency};
use tokio::time::timeout;

use super::failure;
use super::settings::Settings;
use crate::Error;

/// Opens a session. No retries, no speculation: whether a statement is sent again is decided by whoever knows what a second one would do.
pub(super) async fn session(settings: &Settings) -> Result<Session, Error> {
    settings.check()?;
    let profile = ExecutionProfile::builder()
        .consistency(Consistency::LocalQuorum)
        .serial_consistency(Some(SerialConsistency::LocalSerial))
        .retry_policy(Arc::new(FallthroughRetryPolicy::new()))
        .speculative_execution_policy(None)
        .request_timeout(Some(Duration::from_millis(CQL_TRY_MS)))
        .build();
    let mut builder = SessionBuilder::new()
        .known_nodes(&settings.contact_points)
        .default_execution_profile_handle(profile.into_handle())
        .pool_size(PoolSize::PerHost(NonZeroUsize::MIN))
        .keyspaces_to_fetch([&settings.keyspace])
        .fetch_full_schema_metadata(false)
        .connection_timeout(Duration::from_millis(CQL_CONNECT_MS))
        // A frozen node's connections end after both.
        .keepalive_interval(Duration::from_millis(CQL_KEEPALIVE_MS.0))
        .keepalive_timeout(Duration::from_millis(CQL_KEEPALIVE_MS.1));
    if !settings.user.is_empty() {
        builder = builder.user(&settings.user, &settings.password);
    }
    match timeout(Duration::from_millis(CQL_OPEN_MS), builder.build()).await {
        Ok(Ok(session)) => Ok(session),
        Ok(Err(error)) => Err(failure::of_connecting(&error, settings)),
        Err(_) => Err(Error::Unreachable { at: settings.at(), why: format!("no answer within {CQL_OPEN_MS} ms") }),
    }
}

/// The data centre that decides the conditions of the keyspace, where there is more than one to choose from.
pub(super) fn datacenter(session: &Session, settings: &Settings) -> Result<Option<String>, Error> {
    let cluster = session.get_cluster_state();
    let Some(keyspace) = cluster.get_keyspace(&settings.keyspace) else {
        return Err(Error::NotMigrated { at: settings.at(), what: format!("no keyspace {}", settings.keyspace) });
    };
    let Strategy::NetworkTopologyStrategy { datacenter_repfactors } = &keyspace.strategy else { return Ok(None) };
    let mut replicated: Vec<&String> =
        datacenter_repfactors.iter().filter(|(_, factor)| **factor > 0).map(|(name, _)| name).collect();
    replicated.sort();
    let why = match (settings.datacenter.as_str(), replicated.as_slice()) {
        ("", [only]) => return Ok(Some((*only).clone())),
        ("", _) => "set cql.datacenter, the same in every process".to_owned(),
        (named, all) if all.iter().any(|name| *name == named) => return Ok(Some(named.to_owned())),
        (named, _) => format!("set cql.datacenter to one of those instead of {named:?}"),
    };
    let names = replicated.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
    Err(Error::Datacenter { at: settings.at(), keyspace: settings.keyspace.clone(), names, why })
}
