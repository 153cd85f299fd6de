//! The handle that every script call goes through.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use domain::limits::{BROKEN_SAY_MS, REDIS_CALL_MS, REDIS_CONNECT_MS, REDIS_PACE_MS};
use redis::Value;
use tokio::time::Instant;

use crate::call::Call;
use crate::error::{CallError, judge};
use crate::metrics::Metrics;
use crate::node::{Connection, Node, Target, send};

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
/// A call is sent at most once. Only what the server refused unexecuted for want of the script is sent again, as text.
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

/// Which server has which slots. More servers are more variants here, and the same calls.
enum Nodes {
    /// One server has all slots.
    One(Node),
}

impl Nodes {
    fn of(&self, _slot: u16) -> &Node {
        match self {
            Self::One(node) => node,
        }
    }
}

impl Redis {
    /// A handle on one server. Nothing is opened yet.
    #[must_use]
    pub fn new(target: Target, settings: Settings) -> Self {
        let nodes = Nodes::One(Node::new(target, settings.connect, settings.pace));
        let (born, said) = (Instant::now(), AtomicU64::new(0));
        Self { inner: Arc::new(Inner { settings, nodes, metrics: Metrics::new(), born, said }) }
    }

    /// Runs a script.
    pub(crate) async fn call(&self, call: &Call) -> Result<Value, CallError> {
        let begin = Instant::now();
        let result = self.run(call, begin + self.inner.settings.call).await;
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

    async fn run(&self, call: &Call, deadline: Instant) -> Result<Value, CallError> {
        let node = self.inner.nodes.of(call.slot);
        let connection = node.connection(deadline, &self.inner.metrics).await?;
        match self.once(node, &connection, call.by_digest(), deadline).await {
            Some(result) => result,
            None => {
                self.inner.metrics.unknown_script();
                let again = self.once(node, &connection, &call.by_text(), deadline).await;
                again.unwrap_or_else(|| Err(CallError::broken("the server does not know a script it was sent")))
            }
        }
    }

    /// Sends one command once; `None` when the server does not know its script.
    async fn once(
        &self,
        node: &Node,
        connection: &Connection,
        cmd: &redis::Cmd,
        deadline: Instant,
    ) -> Option<Result<Value, CallError>> {
        let Some(answer) = send(connection, cmd, deadline).await else {
            node.timed_out(connection);
            return Some(Err(CallError::unknown("no answer before the deadline")));
        };
        match answer {
            Ok(value) => {
                node.answered(connection);
                Some(Ok(value))
            }
            Err(error) => {
                if error.code().is_some() {
                    node.answered(connection);
                } else {
                    node.broke(connection);
                }
                judge(&error).map(Err)
            }
        }
    }

    /// Runs a plain command on the server of a slot, for hints and health. Never for what scripts do.
    pub(crate) async fn command(&self, slot: u16, cmd: &redis::Cmd) -> Result<Value, CallError> {
        let deadline = Instant::now() + self.inner.settings.call;
        let node = self.inner.nodes.of(slot);
        let connection = node.connection(deadline, &self.inner.metrics).await?;
        let result = self.once(node, &connection, cmd, deadline).await;
        result.unwrap_or_else(|| Err(CallError::broken("a command answered as a script")))
    }

    /// Whether the server answers: for readiness.
    ///
    /// # Errors
    /// [`CallError`] that says what stands against it.
    pub async fn ping(&self) -> Result<(), CallError> {
        let mut cmd = redis::Cmd::new();
        cmd.arg("PING");
        self.command(0, &cmd).await.map(|_| ())
    }
}

#[cfg(feature = "server")]
impl Redis {
    /// Any command, for tests that play the operator with a shell.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn raw(&self, words: &[&[u8]]) -> Result<Value, CallError> {
        let mut cmd = redis::Cmd::new();
        for word in words {
            cmd.arg(*word);
        }
        self.command(0, &cmd).await
    }
}

#[cfg(test)]
#[path = "client_test.rs"]
mod tests;
