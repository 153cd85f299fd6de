//! What the servers say about themselves, for checks before a start and by an operator. Facts only: what is good enough is
//! judged by whoever asks.

mod server;

use std::time::Duration;

use futures_util::future::join_all;
use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;
use tokio::time::timeout;

use crate::access::{Access, Address, Way};
use crate::cluster::table::{Answer, Table};

pub use self::server::Server;

/// What is known about one server, or about all nodes of a cluster.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Facts {
    /// Those that answered.
    pub servers: Vec<Server>,
    /// Masters of a cluster that did not, and why.
    pub silent_masters: Vec<(String, String)>,
    /// Replicas of a cluster that did not, and why.
    pub silent_replicas: Vec<(String, String)>,
    /// Slots of a cluster that belong to no master, alive or dead: how many, and the first one.
    pub unassigned_slots: Option<(u16, u16)>,
}

/// Why nothing is known.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoFacts {
    /// Nobody answers.
    #[error("{name} does not answer: {why}")]
    Unreachable {
        /// Who was asked last.
        name: String,
        /// What there was instead of an answer.
        why: String,
    },
    /// User or password are wrong or missing.
    #[error("{name} refuses user and password: {why}")]
    Credentials {
        /// Who refuses.
        name: String,
        /// Its words.
        why: String,
    },
    /// A server that is no part of a cluster was named as one.
    #[error("{name} is not part of a cluster")]
    NoCluster {
        /// Which.
        name: String,
    },
}

/// Asks the server, or every node of the cluster, each at most this long.
///
/// # Errors
/// [`NoFacts`].
pub async fn gather(access: &Access, within: Duration) -> Result<Facts, NoFacts> {
    match Way::of(access) {
        Ok(way) => {
            let server = ask(&way, within).await?;
            Ok(Facts { servers: vec![server], ..Facts::default() })
        }
        Err(seeds) => cluster(access, &seeds, within).await,
    }
}

async fn cluster(access: &Access, seeds: &[Address], within: Duration) -> Result<Facts, NoFacts> {
    let way = |address: &Address| Way::to(address, access.credentials.as_ref());
    let mut table =
        nodes(seeds.iter().map(|seed| (seed.clone(), way(seed))).collect(), &Table::empty(), within).await?;
    // The seeds name the others; only together they know.
    let all = table.members.iter().map(|member| (member.address.clone(), way(&member.address))).collect();
    table = nodes(all, &table, within).await?;
    let asked = table.members.iter().map(|member| {
        let way = way(&member.address);
        async move { (member, ask(&way, within).await) }
    });
    let mut facts = Facts::default();
    for (member, answer) in join_all(asked).await {
        match answer {
            Ok(server) => facts.servers.push(server),
            Err(NoFacts::Credentials { name, why }) => return Err(NoFacts::Credentials { name, why }),
            Err(error) if member.master => facts.silent_masters.push((member.address.to_string(), error.to_string())),
            Err(error) => facts.silent_replicas.push((member.address.to_string(), error.to_string())),
        }
    }
    let (count, first) = table.unassigned();
    facts.unassigned_slots = first.map(|first| (count, first));
    Ok(facts)
}

/// Asks nodes about the cluster. One answer is enough; without any, the last error counts.
async fn nodes(ways: Vec<(Address, Way)>, before: &Table, within: Duration) -> Result<Table, NoFacts> {
    let asked = ways.iter().map(|(from, way)| async move {
        let ask = async {
            let mut connection = connect(way).await?;
            redis::cmd("CLUSTER").arg("NODES").query_async::<String>(&mut connection).await
        };
        bounded(way, within, ask).await.map(|text| Answer { from: from.clone(), text })
    });
    let (mut answers, mut failed) = (vec![], None);
    for answer in join_all(asked).await {
        match answer {
            Ok(answer) => answers.push(answer),
            Err(error) => failed = Some(error),
        }
    }
    match failed {
        Some(error) if answers.is_empty() => Err(error),
        _ => Ok(before.learn(&answers)),
    }
}

async fn ask(way: &Way, within: Duration) -> Result<Server, NoFacts> {
    bounded(way, within, async { Server::ask(&way.name, &mut connect(way).await?).await }).await
}

async fn connect(way: &Way) -> redis::RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
    way.client()?.get_multiplexed_async_connection_with_config(&config).await
}

async fn bounded<T>(
    way: &Way,
    within: Duration,
    work: impl Future<Output = redis::RedisResult<T>>,
) -> Result<T, NoFacts> {
    let name = way.name.clone();
    match timeout(within, work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => {
            let why = error.to_string();
            let code = error.code().unwrap_or_default();
            if error.kind() == redis::ErrorKind::AuthenticationFailed
                || ["NOAUTH", "WRONGPASS", "NOPERM"].contains(&code)
            {
                Err(NoFacts::Credentials { name, why })
            } else if why.contains("cluster support disabled") {
                Err(NoFacts::NoCluster { name })
            } else {
                Err(NoFacts::Unreachable { name, why })
            }
        }
        Err(_) => Err(NoFacts::Unreachable { name, why: format!("no answer within {} ms", within.as_millis()) }),
    }
}
