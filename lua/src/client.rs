//! The handle that every script call goes through.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use domain::limits::{BROKEN_SAY_MS, REDIS_CALL_MS, REDIS_CONNECT_MS, REDIS_PACE_MS};
use redis::Value;
use tokio::time::Instant;

use crate::access::{Access, Way};
use crate::call::Call;
use crate::cluster::Cluster;
use crate::cluster::topology::Origin;
use crate::error::{CallError, Cure};
use crate::metrics::Metrics;
use crate::node::Node;

/// Bounds of a handle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// A call has its outcome by then, waiting for a connection included.
    pub call: Duration,
    /// Opening a connection and loading the scripts.
    pub connect: Duration,
    /// After a failed attempt nobody tries again before.
    pub pace: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            call: Duration::from_millis(REDIS_CALL_MS),
            connect: Duration::from_millis(REDIS_CONNECT_MS),
            pace: Duration::from_millis(REDIS_PACE_MS),
        }
    }
}

/// A handle on Redis. Clones share one connection per server; make one handle per core-thread (a connection shared by
/// threads costs more than twice the time per call). Connects with the first call, on the runtime of that call.
///
/// A call is executed at most once: sent again is only what a server refused unexecuted. One server's unknown script is sent
/// as text; what a cluster's nodes refuse is followed as [`crate::error`] says.
#[derive(Clone)]
pub struct Redis {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Settings,
    nodes: Nodes,
    metrics: Metrics,
    born: Instant,
    /// Milliseconds after `born` at which the next failed script is worth a line.
    said: AtomicU64,
}

/// Which server has which slots.
enum Nodes {
    /// One server has all slots.
    One(Node),
    /// The masters of a cluster share them.
    Cluster(Cluster),
}

impl Redis {
    /// A handle on one server or on a cluster. Nothing is opened yet, but that a process' first handle on a cluster begins to
    /// ask who has which slot.
    #[must_use]
    pub fn new(access: impl Into<Access>, settings: Settings) -> Self {
        let access = access.into();
        let nodes = match Way::of(&access) {
            Ok(way) => Nodes::One(Node::new(way, settings.connect, settings.pace)),
            Err(seeds) => Nodes::Cluster(Cluster::new(Origin { seeds, credentials: access.credentials }, settings)),
        };
        let (born, said) = (Instant::now(), AtomicU64::new(0));
        Self { inner: Arc::new(Inner { settings, nodes, metrics: Metrics::new(), born, said }) }
    }

    /// Runs a script.
    pub(crate) async fn call(&self, call: &Call) -> Result<Value, CallError> {
        let begin = Instant::now();
        let deadline = begin + self.inner.settings.call;
        let result = match &self.inner.nodes {
            Nodes::One(node) => self.run(node, call, deadline).await,
            Nodes::Cluster(cluster) => cluster.run(call, deadline, &self.inner.metrics).await,
        };
        if let Err(CallError::Broken { why }) = &result {
            self.say_broken(call.script.name, why);
        }
        self.inner.metrics.called(call.script, call.group, begin.elapsed(), result.as_ref().err());
        result
    }

    /// One line a second: whoever calls learns of each, and so do the metrics.
    fn say_broken(&self, script: &'static str, why: &str) {
        let (now, said) = (self.inner.born.elapsed(), &self.inner.said);
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        if said.fetch_update(Relaxed, Relaxed, |next| (next <= now).then_some(now + BROKEN_SAY_MS)).is_ok() {
            tracing::error!(script, why, "a script failed, perhaps half applied");
        }
    }

    async fn run(&self, node: &Node, call: &Call, deadline: Instant) -> Result<Value, CallError> {
        let connection = node.connection(deadline, &self.inner.metrics).await?;
        match node.once(&connection, call.by_digest(), deadline).await {
            Ok(value) => Ok(value),
            Err(judged) if judged.cure == Cure::Text => {
                self.inner.metrics.unknown_script();
                let again = node.once(&connection, &call.by_text(), deadline).await;
                again.map_err(|judged| match judged.cure {
                    Cure::Text => CallError::broken("the server does not know a script it was sent"),
                    _ => judged.error,
                })
            }
            Err(judged) => Err(judged.error),
        }
    }

    /// Runs a plain command that any server can answer, for hints and health. Never for what scripts do.
    pub(crate) async fn command(&self, cmd: &redis::Cmd) -> Result<Value, CallError> {
        let deadline = Instant::now() + self.inner.settings.call;
        match &self.inner.nodes {
            Nodes::One(node) => {
                let connection = node.connection(deadline, &self.inner.metrics).await?;
                node.once(&connection, cmd, deadline).await.map_err(|judged| judged.error)
            }
            Nodes::Cluster(cluster) => cluster.anywhere(cmd, deadline, &self.inner.metrics).await,
        }
    }

    /// Whether the server, or some master of the cluster, answers: for readiness.
    ///
    /// # Errors
    /// [`CallError`] that says what stands against it.
    pub async fn ping(&self) -> Result<(), CallError> {
        let mut cmd = redis::Cmd::new();
        cmd.arg("PING");
        self.command(&cmd).await.map(|_| ())
    }
}

#[cfg(feature = "server")]
impl Redis {
    /// Any command, for tests that play the operator with a shell. In a cluster on some master: see
    /// [`crate::server::TestCluster`] for one that has a key.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn raw(&self, words: &[&[u8]]) -> Result<Value, CallError> {
        let mut cmd = redis::Cmd::new();
        for word in words {
            cmd.arg(*word);
        }
        self.command(&cmd).await
    }
}

#[cfg(test)]
#[path = "client_test.rs"]
mod tests;
