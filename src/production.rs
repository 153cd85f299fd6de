//! What production refuses: each of these has lost somebody money.

use std::time::{Duration, Instant};

use domain::SaleDoc;
use domain::table::Mistake;
use ledger::cql::{self, Finding, Settings, Severity};
use lua::facts::{self, Facts, NoFacts, Server};
use lua::{Access, Target};

use crate::config::{Config, Mode};
use crate::failure::Failure;
use crate::keys::Keys;
use crate::out;

/// How long Redis is waited for at a start: whatever started both at once starts us again after that.
const REDIS_IN: Duration = Duration::from_secs(10);
/// Between two looks whether it is there.
const REDIS_AGAIN: Duration = Duration::from_millis(100);
/// One answer of one server.
const REDIS_ANSWER_IN: Duration = Duration::from_secs(1);

/// Refuses keys somebody made up.
pub(crate) fn check_keys(config: &Config, keys: &Keys) -> Result<(), Failure> {
    let weak = keys.weak();
    if config.mode == Mode::Dev || weak.is_empty() {
        return Ok(());
    }
    Err(Failure::usage(
        format!("keys file {}", config.keys().display()),
        format!("made up by hand or copied from an example: {}", weak.join(", ")),
        "make random ones with holdfast keys create",
    ))
}

/// Refuses a CQL cluster on which conditions do not hold, or which can lose what it acknowledged.
pub(crate) async fn check_ledger(config: &Config, settings: &Settings) -> Result<(), Failure> {
    if config.mode == Mode::Dev {
        return Ok(());
    }
    let findings = cql::examine(settings, true).await.map_err(|error| Failure::new("ledger", error, ""))?;
    match findings.into_iter().find(|finding| finding.severity == Severity::Error) {
        Some(Finding { what, why, fix, .. }) => Err(Failure::usage(format!("ledger: {what}"), why, fix)),
        None => Ok(()),
    }
}

/// Refuses sales that would give away what they ask money for.
///
/// # Errors
/// The first price, why not, and what to do.
pub(crate) fn may_sell(mode: Mode, doc: &SaleDoc) -> Result<(), Mistake> {
    let priced = doc.items.iter().enumerate().find_map(|(n, item)| Some((n, item.price.as_ref()?)));
    match priced {
        Some((n, price)) if mode == Mode::Production => Err(Mistake::new(
            format!("items[{n}].price"),
            price,
            "must be left out in production: there is no checkout yet that would take the money (mode = \"dev\" gives it away)",
        )),
        _ => Ok(()),
    }
}

/// How bad something found at Redis is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Weight {
    /// Nothing can work like this.
    Never,
    /// Sales would lose holds; for trying it is good enough.
    Unsafe,
    /// Worth knowing.
    Remark,
}

/// Something found at Redis.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Found {
    pub(crate) weight: Weight,
    /// Which server.
    pub(crate) what: String,
    pub(crate) why: String,
    pub(crate) fix: String,
}

/// Judges what the servers said, all of a cluster's: a replica is a master after the next failover.
pub(crate) fn judge_redis(access: &Access, facts: &Facts) -> Vec<Found> {
    let mut found = Vec::new();
    let clustered = matches!(access.target, Target::Cluster(_));
    if let Some((count, first)) = facts.unassigned_slots {
        found.push(Found {
            weight: Weight::Never,
            what: format!("redis {access}"),
            why: format!("{count} slots of the cluster belong to no master, the first is {first}"),
            fix: "assign them with redis-cli --cluster fix, or create the cluster with redis-cli --cluster create"
                .to_owned(),
        });
    }
    for (name, why) in &facts.silent_masters {
        found.push(Found {
            weight: Weight::Remark,
            what: format!("redis {name}"),
            why: format!("this master does not answer ({why}); its lanes and lines answer 503"),
            fix: "start it, or let a replica take over with CLUSTER FAILOVER FORCE".to_owned(),
        });
    }
    for server in &facts.servers {
        judge_server(server, clustered, &mut found);
    }
    found
}

fn judge_server(server: &Server, clustered: bool, found: &mut Vec<Found>) {
    let mut add = |weight, why: String, fix: String| {
        found.push(Found { weight, what: format!("redis {}", server.name), why, fix });
    };
    if server.clustered && !clustered {
        let fix = format!("set redis = \"cluster:{}\"", server.name);
        add(Weight::Never, "it is part of a cluster, and named as a single server".to_owned(), fix);
    }
    if server.version.split('.').next().and_then(|major| major.parse().ok()).is_some_and(|major: u32| major < 7) {
        let why = format!("it is version {}, and scripts need 7.0 or newer", server.version);
        add(Weight::Never, why, "install Redis 7 or newer".to_owned());
    }
    if let Some(why) = &server.settings_refused {
        let fix =
            "allow CONFIG GET to this user, or make sure of appendonly yes and maxmemory-policy noeviction".to_owned();
        add(Weight::Unsafe, format!("it does not tell its settings: {why}"), fix);
        return;
    }
    for (name, wanted, why) in [
        ("appendonly", "yes", "a restart would lose every hold"),
        ("maxmemory-policy", "noeviction", "it would drop holds to make room"),
    ] {
        match server.setting(name) {
            Some(value) if value != wanted => {
                add(
                    Weight::Unsafe,
                    format!("{name} is {value}: {why}"),
                    format!("set {name} {wanted} in its configuration"),
                );
            }
            _ => {}
        }
    }
    if clustered && server.setting("cluster-require-full-coverage") == Some("yes") {
        let why = "cluster-require-full-coverage is yes: while one master is away, every lane stops instead of its own";
        add(Weight::Remark, why.to_owned(), "set cluster-require-full-coverage no in its configuration".to_owned());
    }
}

/// Waits for Redis for a while, refuses what cannot work, in production also what forgets on purpose, and says the rest.
pub(crate) async fn check_redis(config: &Config, access: &Access) -> Result<(), Failure> {
    let facts = redis_facts(access).await?;
    for Found { weight, what, why, fix } in judge_redis(access, &facts) {
        let refused = weight == Weight::Never || (weight == Weight::Unsafe && config.mode == Mode::Production);
        if refused {
            return Err(Failure::usage(what, why, fix));
        }
        tracing::warn!("{what}: {why}; {fix}");
    }
    Ok(())
}

/// What Redis says of itself; one that does not answer, or still reads its files, is waited for.
async fn redis_facts(access: &Access) -> Result<Facts, Failure> {
    let deadline = Instant::now() + REDIS_IN;
    let mut told = false;
    loop {
        let (why, fix) = match facts::gather(access, REDIS_ANSWER_IN).await {
            Ok(facts) if facts.servers.iter().all(|server| !server.loading) => return Ok(facts),
            Ok(_) => ("it still reads its files".to_owned(), "wait until it has, and start again"),
            Err(error @ NoFacts::Unreachable { .. }) => (error.to_string(), fix_of(&error)),
            Err(error) => return Err(Failure::usage(format!("redis {access}"), &error, fix_of(&error))),
        };
        if Instant::now() >= deadline {
            return Err(Failure::new(format!("redis {access}"), why, fix));
        }
        if !told {
            out::say(format_args!("holdfast: waiting up to {} s for redis {access}: {why}", REDIS_IN.as_secs()));
            told = true;
        }
        tokio::time::sleep(REDIS_AGAIN).await;
    }
}

fn fix_of(error: &NoFacts) -> &'static str {
    match error {
        NoFacts::Unreachable { .. } => "start it, or correct the setting redis",
        NoFacts::Credentials { .. } => "correct redis_user and redis_password (HOLDFAST_REDIS_PASSWORD)",
        NoFacts::NoCluster { .. } => {
            "name it as HOST:PORT without cluster:, or set cluster-enabled yes in its configuration"
        }
    }
}

/// What is found about Redis now, for `doctor`.
pub(crate) async fn examine_redis(access: &Access) -> Vec<Found> {
    match facts::gather(access, REDIS_ANSWER_IN).await {
        Ok(facts) => judge_redis(access, &facts),
        Err(error) => {
            let (what, fix) = (format!("redis {access}"), fix_of(&error).to_owned());
            vec![Found { weight: Weight::Never, what, why: error.to_string(), fix }]
        }
    }
}

#[cfg(test)]
#[path = "production/tests.rs"]
mod tests;
