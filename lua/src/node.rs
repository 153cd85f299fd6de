//! One server: its connection, opened by one caller at a time, marked dead at the first sign of trouble.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Pipeline, Value};
use tokio::time::{Instant, timeout_at};

use crate::access::Way;
use crate::error::{CallError, Judgement, judge};
use crate::metrics::Metrics;
use crate::script;

/// An open connection. Its driver lives on the runtime that opened it.
pub(crate) struct Connection {
    pub(crate) multiplexed: MultiplexedConnection,
    dead: AtomicBool,
    /// Milliseconds from the node's start to the last answer of the server.
    answered: AtomicU64,
}

/// One server.
pub(crate) struct Node {
    way: Way,
    connect: Duration,
    pace: Duration,
    start: Instant,
    open: Mutex<Option<Arc<Connection>>>,
    /// Held by whoever opens; knows when the last attempt failed and why.
    opening: tokio::sync::Mutex<Option<(Instant, Cow<'static, str>)>>,
}

/// A server that answered nothing for this long, and lets a call time out, gets a new connection: when it is frozen, the
/// next calls fail while connecting, and so are known not to be executed.
const SILENT_MS: u64 = 400;

impl Node {
    pub(crate) fn new(way: Way, connect: Duration, pace: Duration) -> Self {
        let opening = tokio::sync::Mutex::new(None);
        Self { way, connect, pace, start: Instant::now(), open: Mutex::new(None), opening }
    }

    fn current(&self) -> Option<Arc<Connection>> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.as_ref().filter(|connection| !connection.dead.load(Ordering::Acquire)).cloned()
    }

    /// A connection that is not known to be dead; opens one if need be. One caller opens, the others wait for it; after a
    /// failure nobody tries for a while, and calls fail at once.
    pub(crate) async fn connection(&self, deadline: Instant, metrics: &Metrics) -> Result<Arc<Connection>, CallError> {
        if let Some(connection) = self.current() {
            return Ok(connection);
        }
        let waited = timeout_at(deadline, self.opening.lock()).await;
        let mut failed = waited.map_err(|_| CallError::not_executed("no connection before the deadline"))?;
        if let Some(connection) = self.current() {
            return Ok(connection);
        }
        if let Some((when, why)) = failed.as_ref()
            && when.elapsed() < self.pace
        {
            return Err(CallError::not_executed(why.clone()));
        }
        match timeout_at(deadline.min(Instant::now() + self.connect), self.dial()).await {
            Ok(Ok(connection)) => {
                let connection = Arc::new(connection);
                tracing::info!(target = %self.way.name, "connected to Redis");
                *failed = None;
                *self.open.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&connection));
                metrics.connected();
                Ok(connection)
            }
            Ok(Err(error)) => {
                Err(self.failed(&mut failed, metrics, format!("cannot connect to {}: {error}", self.way.name)))
            }
            Err(_) => Err(self.failed(&mut failed, metrics, format!("{} accepts no connection", self.way.name))),
        }
    }

    fn failed(&self, last: &mut Option<(Instant, Cow<'static, str>)>, metrics: &Metrics, why: String) -> CallError {
        let why = Cow::from(why);
        if last.is_none() {
            tracing::warn!(%why, "Redis is away; its calls are refused until it is back");
        }
        *last = Some((Instant::now(), why.clone()));
        metrics.connect_failed();
        CallError::not_executed(why)
    }

    /// Connects and loads the scripts. A server that still loads its data, or is frozen, is not taken.
    async fn dial(&self) -> redis::RedisResult<Connection> {
        // The deadline of each call is its own; the client's would only end it earlier.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_pipeline_buffer_size(1024);
        let mut multiplexed = self.way.client()?.get_multiplexed_async_connection_with_config(&config).await?;
        let mut load = Pipeline::new();
        for script in script::all() {
            load.cmd("SCRIPT").arg("LOAD").arg(script.text.as_str());
        }
        let digests: Vec<String> = load.query_async(&mut multiplexed).await?;
        debug_assert!(digests.iter().zip(script::all()).all(|(digest, script)| *digest == script.digest));
        let answered = AtomicU64::new(self.now());
        Ok(Connection { multiplexed, dead: AtomicBool::new(false), answered })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The server answered something over this connection.
    fn answered(&self, connection: &Connection) {
        connection.answered.store(self.now(), Ordering::Relaxed);
    }

    /// The connection broke: the next call opens another.
    fn broke(&self, connection: &Connection) {
        connection.dead.store(true, Ordering::Release);
    }

    /// A call's deadline passed. A slow server keeps its connection, a silent one loses it.
    fn timed_out(&self, connection: &Connection) {
        if self.now().saturating_sub(connection.answered.load(Ordering::Relaxed)) >= SILENT_MS {
            self.broke(connection);
        }
    }

    /// Runs one command over a connection of this node, sent at most once.
    pub(crate) async fn once(
        &self,
        connection: &Connection,
        cmd: &redis::Cmd,
        deadline: Instant,
    ) -> Result<Value, Judgement> {
        let mut multiplexed = connection.multiplexed.clone();
        let sent = async move { multiplexed.send_packed_command(cmd).await?.extract_error() };
        self.outcome(connection, timeout_at(deadline, sent).await.ok())
    }

    /// The same behind ASKING, in one piece, so that nobody's command comes between the two.
    pub(crate) async fn once_asking(
        &self,
        connection: &Connection,
        cmd: &redis::Cmd,
        deadline: Instant,
    ) -> Result<Value, Judgement> {
        let mut both = Pipeline::new();
        both.cmd("ASKING").add_command(cmd.clone());
        let mut multiplexed = connection.multiplexed.clone();
        let sent = async move {
            let answers = multiplexed.send_packed_commands(&both, 1, 1).await?;
            answers.into_iter().next().unwrap_or(Value::Nil).extract_error()
        };
        self.outcome(connection, timeout_at(deadline, sent).await.ok())
    }

    /// What an answer says about the call and about the connection; `None`: there was none in time.
    fn outcome(&self, connection: &Connection, answer: Option<redis::RedisResult<Value>>) -> Result<Value, Judgement> {
        match answer {
            Some(Ok(value)) => {
                self.answered(connection);
                Ok(value)
            }
            Some(Err(error)) => {
                if error.code().is_some() {
                    self.answered(connection);
                } else {
                    self.broke(connection);
                }
                Err(judge(&error))
            }
            None => {
                self.timed_out(connection);
                Err(Judgement::last(CallError::unknown("no answer before the deadline")))
            }
        }
    }
}
