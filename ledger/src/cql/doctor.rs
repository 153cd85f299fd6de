//! What is wrong with a cluster, or unsafe: what its settings say, and what it does when conditions are really tried on it.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::limits::CQL_TRY_MS;
use scylla::cluster::Node;
use scylla::cluster::metadata::Strategy;
use scylla::policies::load_balancing::{NodeIdentifier, SingleTargetLoadBalancingPolicy};
use scylla::statement::Consistency;
use scylla::statement::unprepared::Statement;

use super::segments::{State, signed};
use super::settings::Settings;
use super::statements::{Parts, Talk};
use super::{Runtime, schema};
use crate::Error;

/// How bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    /// Bookings can get lost, or are refused. `serve` does not start on it in production.
    Error,
    /// It works, and will hurt one day.
    Warning,
}

impl Severity {
    /// As it is printed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// Something that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub what: String,
    /// Why that matters.
    pub why: String,
    /// What to do.
    pub fix: String,
}

impl Finding {
    fn new(severity: Severity, what: impl Into<String>, why: &str, fix: impl Into<String>) -> Self {
        Self { severity, what: what.into(), why: why.to_owned(), fix: fix.into() }
    }

    fn error(what: impl Into<String>, why: &str, fix: impl Into<String>) -> Self {
        Self::new(Severity::Error, what, why, fix)
    }

    fn warning(what: impl Into<String>, why: &str, fix: impl Into<String>) -> Self {
        Self::new(Severity::Warning, what, why, fix)
    }
}

/// Name of the log that is only tried on. No [`domain::LogId`], so nothing else ever meets it; each look adds a row to it.
const TRIAL: &str = "doctor";
/// Tries of the trial before another doctor is no excuse any more.
const TRIALS: u32 = 5;
/// Replicas below which the loss of one stops everything.
const ENOUGH: usize = 3;

/// Looks at everything. With `production`, what is only good for trying is an error.
///
/// # Errors
/// What keeps one from looking: [`Error::Unreachable`], [`Error::Credentials`], [`Error::NotMigrated`], [`Error::NewerSchema`], [`Error::Datacenter`].
pub async fn examine(settings: &Settings, production: bool) -> Result<Vec<Finding>, Error> {
    let runtime = Runtime::start()?;
    let settings = settings.clone();
    let looked = runtime.handle.spawn(async move {
        let talk = schema::talk(&settings).await?;
        let mut findings = replication(&talk, &settings, production);
        findings.extend(commit_logs(&talk, production).await);
        findings.extend(conditions(&talk).await);
        Ok(findings)
    });
    looked.await.map_err(|error| Error::unavailable(format!("its thread has died: {error}")))?
}

fn replication(talk: &Talk, settings: &Settings, production: bool) -> Vec<Finding> {
    let cluster = talk.session.get_cluster_state();
    let Some(keyspace) = cluster.get_keyspace(&settings.keyspace) else { return Vec::new() };
    let name = &settings.keyspace;
    let mut findings = Vec::new();
    let (factor, datacenters) = match &keyspace.strategy {
        Strategy::SimpleStrategy { replication_factor } => (*replication_factor, 1),
        Strategy::NetworkTopologyStrategy { datacenter_repfactors } => {
            let deciding = talk.ring.datacenter().and_then(|name| datacenter_repfactors.get(name));
            (deciding.copied().unwrap_or(0), datacenter_repfactors.values().filter(|factor| **factor > 0).count())
        }
        _ => (0, 1),
    };
    if factor < ENOUGH {
        let severity = if production && factor < 2 { Severity::Error } else { Severity::Warning };
        let why = match factor {
            0 | 1 => "a node that is lost takes its part of all bookings with it",
            _ => "while one node is away nothing can be booked",
        };
        let fix =
            format!("start {ENOUGH} nodes or more, then ALTER KEYSPACE {name} with replication {ENOUGH} and repair it");
        findings.push(Finding::new(severity, format!("keyspace {name} has replication factor {factor}"), why, fix));
    }
    if datacenters > 1 {
        findings.push(Finding::warning(
            format!("keyspace {name} has replicas in {datacenters} data centres"),
            "conditions hold within one: a process that names another books against the others",
            "set the same cql.datacenter in every process, or replicate in one data centre only",
        ));
    }
    if keyspace.tablet_based {
        findings.push(Finding::error(
            format!("keyspace {name} has tablets"),
            "conditional statements are refused or unproven on them",
            "make it anew WITH tablets = {'enabled': false} (holdfast ledger migrate does so), and copy the logs",
        ));
    }
    if !keyspace.durable_writes {
        findings.push(Finding::error(
            format!("keyspace {name} has durable_writes = false"),
            "a node that restarts has lost what it acknowledged",
            format!("ALTER KEYSPACE {name} WITH durable_writes = true"),
        ));
    }
    findings
}

/// When each node says that a write is safe. Virtual tables and this table of ScyllaDB's speak of the node that is asked.
async fn commit_logs(talk: &Talk, production: bool) -> Vec<Finding> {
    let mut nodes_by_sync: BTreeMap<Option<String>, Vec<String>> = BTreeMap::new();
    for node in talk.session.get_cluster_state().get_nodes_info() {
        nodes_by_sync.entry(commit_log(talk, node).await).or_default().push(node.address.to_string());
    }
    let mut findings = Vec::new();
    for (sync, nodes) in nodes_by_sync {
        let nodes = nodes.join(", ");
        match sync.as_deref() {
            Some("batch" | "group") => {}
            Some(other) => findings.push(Finding::new(
                if production { Severity::Error } else { Severity::Warning },
                format!("commitlog_sync is {other} on {nodes}"),
                "writes are acknowledged before they are on disk: nodes that crash together lose bookings that visitors were told of",
                "set commitlog_sync: batch in cassandra.yaml and restart the nodes one by one",
            )),
            None => findings.push(Finding::warning(
                format!("commitlog_sync of {nodes} cannot be seen"),
                "with periodic, nodes that crash together lose bookings that visitors were told of",
                "let this user SELECT from system_views.settings, or look into cassandra.yaml: it should say batch or group",
            )),
        }
    }
    findings
}

async fn commit_log(talk: &Talk, node: &Arc<Node>) -> Option<String> {
    for table in ["system_views.settings", "system.config"] {
        let mut read = Statement::new(format!("SELECT value FROM {table} WHERE name = 'commitlog_sync'"));
        read.set_consistency(Consistency::One);
        read.set_request_timeout(Some(std::time::Duration::from_millis(CQL_TRY_MS)));
        let node = NodeIdentifier::Node(Arc::clone(node));
        read.set_load_balancing_policy(Some(SingleTargetLoadBalancingPolicy::new(node, None)));
        let Ok(answer) = talk.session.query_unpaged(read, ()).await else { continue };
        let Ok(rows) = answer.into_rows_result() else { continue };
        if let Ok(Some((value,))) = rows.maybe_first_row::<(String,)>() {
            return Some(value.trim_matches('"').to_owned());
        }
    }
    None
}

/// Why a trial did not go to its end.
enum Flaw {
    /// The database did what it must not do.
    Wrong(&'static str),
    /// Another doctor came between.
    Disturbed,
    Error(Error),
}

impl From<Error> for Flaw {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// A claim, an append, the same again, and an append under the old claim, on a log of their own.
async fn conditions(talk: &Talk) -> Option<Finding> {
    let fix = "do not use this cluster for bookings before that is mended; Apache Cassandra 5 is what is tested";
    for _ in 0..TRIALS {
        match conditions_once(talk).await {
            Ok(()) => return None,
            Err(Flaw::Wrong(why)) => {
                return Some(Finding::error("conditional statements do not do what they must", why, fix));
            }
            Err(Flaw::Error(error)) => {
                let fix = "look at its log and at system.paxos; all replicas of a partition but one must be up";
                return Some(Finding::error("conditional statements are not answered", &error.to_string(), fix));
            }
            Err(Flaw::Disturbed) => {}
        }
    }
    Some(Finding::error(
        "conditional statements fail again and again",
        "others write to the log of the doctor",
        "let one doctor look at a time",
    ))
}

async fn conditions_once(talk: &Talk) -> Result<(), Flaw> {
    talk.decide(&talk.statements.seed, (TRIAL, 0_i32, 0_i64, "", 0_i64)).await?;
    let before = state(talk).await?;
    let (fence, head) = (signed(before.head.fence)?, signed(before.head.head)?);
    let id: [u8; 16] = rand::random();
    let claim = (fence + 1, TRIAL, id.as_slice(), TRIAL, 0_i32, fence);
    if !talk.decide(&talk.statements.claim, claim).await? {
        return Err(Flaw::Disturbed);
    }
    if talk.decide(&talk.statements.claim, claim).await? {
        return Err(Flaw::Wrong("an update was applied although its condition did not hold"));
    }
    let (old, new): ([u8; 16], [u8; 16]) = (rand::random(), rand::random());
    let parts = |fence, id| Parts {
        log: TRIAL,
        segment: 0,
        fence,
        before: head,
        seals: false,
        rows: head + 1,
        bytes: 0,
        count: 1,
        id,
        events: "{}",
    };
    if talk.append(&parts(fence, old.as_slice())).await? {
        return Err(Flaw::Wrong("a batch was applied under a claim that another had replaced"));
    }
    if talk.author(TRIAL, 0, head + 1).await?.is_some_and(|found| found == old) {
        return Err(Flaw::Wrong("a batch was refused and its row is there"));
    }
    if !talk.append(&parts(fence + 1, new.as_slice())).await? {
        return Err(Flaw::Disturbed);
    }
    if talk.author(TRIAL, 0, head + 1).await?.is_none_or(|found| found != new) {
        return Err(Flaw::Wrong("a batch was applied and its row is not there"));
    }
    if state(talk).await?.head.head <= before.head.head {
        return Err(Flaw::Wrong(
            "a batch was applied and its condition's cells are as before: a plain write with a timestamp in the future stands in the way",
        ));
    }
    if talk.append(&parts(fence + 1, new.as_slice())).await? {
        return Err(Flaw::Wrong("the same batch was applied twice under one condition"));
    }
    Ok(())
}

async fn state(talk: &Talk) -> Result<State, Flaw> {
    talk.state(TRIAL, 0).await?.ok_or(Flaw::Wrong("a row that was made under a condition is not there"))
}
