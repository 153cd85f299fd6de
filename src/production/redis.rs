//! What is good enough for a Redis: judged for a start, and for `doctor`.

use std::time::Duration;

use domain::limits::PASS_SKEW_MS;
use lua::facts::{self, Facts, NoFacts, Server};
use lua::{Access, Target};

use crate::config::{Config, Mode};
use crate::failure::Failure;
use crate::waiting::{Missing, Waiting};
use crate::words::words;

/// One answer of one server.
const ANSWER_IN: Duration = Duration::from_secs(1);
/// Percent of the memory it may use beyond which somebody should know.
const FULL_PERCENT: u64 = 80;

/// How bad something found at Redis is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Weight {
    /// Nothing can work like this.
    Never,
    /// Sales would lose holds; for trying it is good enough.
    Unsafe,
    /// It works, and will hurt one day.
    Remark,
}

words! {
    /// What something found at Redis is about.
    About {
        /// A server does not answer.
        Answer = "answer",
        /// Slots of a cluster belong to nobody.
        Slots = "slots",
        /// A cluster is named as a single server.
        Cluster = "cluster",
        /// Too old.
        Version = "version",
        /// It does not keep a file.
        Appendonly = "appendonly",
        /// It could not write that file.
        AppendFile = "append_file",
        /// It drops keys to make room.
        MaxmemoryPolicy = "maxmemory_policy",
        /// Its memory is nearly used up.
        Maxmemory = "maxmemory",
        /// Its clock and ours differ.
        Clock = "clock",
        /// It does not tell its settings.
        Settings = "settings",
        /// It never syncs its file.
        Appendfsync = "appendfsync",
        /// One master that is away stops all.
        FullCoverage = "full_coverage",
        /// Nobody follows a master.
        Replicas = "replicas",
        /// A replica does not follow.
        ReplicaLink = "replica_link",
    }
}

/// Something found at Redis.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Found {
    pub(crate) weight: Weight,
    pub(crate) about: About,
    /// Which server.
    pub(crate) what: String,
    pub(crate) why: String,
    pub(crate) fix: String,
}

/// Waits for Redis, refuses what cannot work, in production also what forgets on purpose, and says the rest.
pub(crate) async fn check(config: &Config, access: &Access, waiting: &Waiting) -> Result<(), Failure> {
    let facts = waiting.until(async || ready(access, facts::gather(access, ANSWER_IN).await)).await?;
    for Found { weight, what, why, fix, .. } in judge(access, &facts) {
        let refused = weight == Weight::Never || (weight == Weight::Unsafe && config.mode == Mode::Production);
        if refused {
            return Err(Failure::usage(what, why, fix));
        }
        tracing::warn!("{what}: {why}; {fix}");
    }
    Ok(())
}

/// Whether it is worth a look yet: one that does not answer, still reads its files, or is only being made may soon be.
fn ready(access: &Access, answer: Result<Facts, NoFacts>) -> Result<Facts, Missing> {
    let name = format!("redis {access}");
    let facts = match answer {
        Ok(facts) => facts,
        Err(error @ NoFacts::Unreachable { .. }) => {
            return Err(Missing::Yet(Failure::new(name, &error, fix_of(&error))));
        }
        Err(error) => return Err(Missing::Wrong(Failure::usage(name, &error, fix_of(&error)))),
    };
    if let Some(server) = facts.servers.iter().find(|server| server.master && server.loading) {
        let fix = "wait until it has, and start again";
        return Err(Missing::Yet(Failure::new(format!("redis {}", server.name), "it still reads its files", fix)));
    }
    match unassigned(access, &facts) {
        Some(Found { what, why, fix, .. }) => Err(Missing::Yet(Failure::usage(what, why, fix))),
        None => Ok(facts),
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

/// What is found about Redis while the program serves; `None`: nobody answers.
pub(crate) async fn look(access: &Access) -> Option<Vec<Found>> {
    match facts::gather(access, ANSWER_IN).await {
        Ok(facts) => Some(judge(access, &facts)),
        Err(_) => None,
    }
}

/// What is found about Redis now.
pub(crate) async fn examine(access: &Access) -> Vec<Found> {
    match facts::gather(access, ANSWER_IN).await {
        Ok(facts) => judge(access, &facts),
        Err(error) => {
            let (what, fix) = (format!("redis {access}"), fix_of(&error).to_owned());
            vec![Found { weight: Weight::Never, about: About::Answer, what, why: error.to_string(), fix }]
        }
    }
}

/// Judges what the servers said, all of a cluster's: a replica is a master after the next failover.
pub(crate) fn judge(access: &Access, facts: &Facts) -> Vec<Found> {
    let silent = |name: &str, why: String, fix: String| {
        let what = format!("redis {name}");
        Found { weight: Weight::Remark, about: About::Answer, what, why, fix }
    };
    let mut found = Vec::from_iter(unassigned(access, facts));
    for (name, why) in &facts.silent_masters {
        let why = format!("this master does not answer ({why}); its lanes and lines answer 503");
        found.push(silent(
            name,
            why,
            "start it, or let a replica take over: redis-cli ... cluster failover force".to_owned(),
        ));
    }
    for (name, why) in &facts.silent_replicas {
        let why = format!("this replica does not answer ({why}); its master may have no other one");
        found.push(silent(name, why, format!("start it, or redis-cli --cluster del-node {name} ID")));
    }
    let clustered = matches!(access.target, Target::Cluster(_));
    for server in &facts.servers {
        judge_server(server, clustered, &mut found);
    }
    found
}

fn unassigned(access: &Access, facts: &Facts) -> Option<Found> {
    let (count, first) = facts.unassigned_slots?;
    let fix =
        "assign them with redis-cli --cluster fix HOST:PORT, or create the cluster with redis-cli --cluster create";
    Some(Found {
        weight: Weight::Never,
        about: About::Slots,
        what: format!("redis {access}"),
        why: format!("{count} slots of the cluster belong to no master, the first is {first}"),
        fix: fix.to_owned(),
    })
}

/// The command line that talks to a server.
fn cli(name: &str) -> String {
    match name.strip_prefix("unix:") {
        Some(path) => format!("redis-cli -s {path}"),
        None => {
            let (host, port) = name.rsplit_once(':').unwrap_or((name, "6379"));
            format!("redis-cli -h {} -p {port}", host.trim_matches(['[', ']']))
        }
    }
}

fn judge_server(server: &Server, clustered: bool, found: &mut Vec<Found>) {
    let cli = cli(&server.name);
    // What is set on a running server is forgotten at its next start, if it is not written down.
    let set = |name: &str, value: &str| format!("{cli} config set {name} {value}, then {cli} config rewrite");
    let mut add = |weight, about, why: String, fix: String| {
        found.push(Found { weight, about, what: format!("redis {}", server.name), why, fix });
    };
    if server.clustered && !clustered {
        let fix = format!("set redis = \"cluster:{}\"", server.name);
        add(Weight::Never, About::Cluster, "it is part of a cluster, and named as a single server".to_owned(), fix);
    }
    if server.version.split('.').next().and_then(|major| major.parse().ok()).is_some_and(|major: u32| major < 7) {
        let why = format!("it is version {}, and scripts need 7.0 or newer", server.version);
        let fix = "apt-get install redis-server of a newer system, or what replaces it there".to_owned();
        add(Weight::Never, About::Version, why, fix);
    }
    if !server.keeps_file {
        let why = "appendonly is no: a restart would lose every hold".to_owned();
        add(Weight::Unsafe, About::Appendonly, why, set("appendonly", "yes"));
    } else if !server.file_written {
        let why = "its append-only file could not be written: it refuses every change until it can".to_owned();
        add(Weight::Unsafe, About::AppendFile, why, format!("free some space on its disk; {cli} info persistence"));
    }
    if server.eviction != "noeviction" {
        let why = format!("maxmemory-policy is {}: it would drop holds to make room", server.eviction);
        add(Weight::Unsafe, About::MaxmemoryPolicy, why, set("maxmemory-policy", "noeviction"));
    }
    if server.most_memory > 0 && server.memory.saturating_mul(100) > server.most_memory.saturating_mul(FULL_PERCENT) {
        let (used, most) = (server.memory >> 20, server.most_memory >> 20);
        let why = format!("it uses {used} of the {most} MiB it may use (maxmemory): full, it refuses every hold");
        add(Weight::Remark, About::Maxmemory, why, set("maxmemory", "BYTES"));
    }
    if server.ahead_ms.unsigned_abs() > PASS_SKEW_MS {
        let (by, side) = (server.ahead_ms.unsigned_abs(), if server.ahead_ms > 0 { "ahead of" } else { "behind" });
        let why = format!("its clock is {by} ms {side} this machine's: deadlines that visitors are told do not hold");
        let fix = "chronyc makestep on both machines, with chrony running on both".to_owned();
        add(Weight::Remark, About::Clock, why, fix);
    }
    judge_settings(server, clustered, set, &mut add);
    if clustered && server.master && server.replicas == 0 {
        let why = "no replica follows this master: when it dies, its lanes and lines stand still until it is back";
        let fix = format!("redis-cli --cluster add-node NEWHOST:PORT {} --cluster-slave", server.name);
        add(Weight::Remark, About::Replicas, why.to_owned(), fix);
    }
    if !server.master && !server.follows {
        let why = "this replica has lost its master: it would take over with old data".to_owned();
        let fix = format!("{cli} info replication; its masterauth has to be the master's password");
        add(Weight::Remark, About::ReplicaLink, why, fix);
    }
}

/// What only CONFIG GET tells.
fn judge_settings(
    server: &Server,
    clustered: bool,
    set: impl Fn(&str, &str) -> String,
    add: &mut impl FnMut(Weight, About, String, String),
) {
    if let Some(why) = &server.settings_refused {
        let fix =
            "allow it CONFIG GET (acl setuser USER +config|get), or look yourself: appendfsync everysec".to_owned();
        add(Weight::Remark, About::Settings, format!("it does not tell this user its settings ({why})"), fix);
    }
    if server.keeps_file && server.setting("appendfsync") == Some("no") {
        let why = "appendfsync is no: with the power go the holds of half a minute instead of a second".to_owned();
        add(Weight::Remark, About::Appendfsync, why, set("appendfsync", "everysec"));
    }
    if clustered && server.setting("cluster-require-full-coverage") == Some("yes") {
        let why = "cluster-require-full-coverage is yes: while one master is away, every lane stops instead of its own";
        add(Weight::Remark, About::FullCoverage, why.to_owned(), set("cluster-require-full-coverage", "no"));
    }
}

#[cfg(test)]
#[path = "redis_test.rs"]
mod tests;
