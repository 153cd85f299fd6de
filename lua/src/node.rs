//! One server: its connection, opened by one caller at a time, marked dead at the first sign of trouble.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Pipeline, Value};
use tokio::time::{Instant, timeout_at};

use crate::error::CallError;
use crate::metrics::Metrics;
use crate::script;

/// Where a server listens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// A unix socket.
    Unix(PathBuf),
    /// Host and port.
    Tcp(String, u16),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
        }
    }
}

/// Text that names no server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unix:PATH or HOST:PORT")]
pub struct BadTarget;

impl FromStr for Target {
    type Err = BadTarget;
    fn from_str(text: &str) -> Result<Self, BadTarget> {
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() { Err(BadTarget) } else { Ok(Self::Unix(PathBuf::from(path))) };
        }
        match text.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() => {
                let port = port.parse().map_err(|_| BadTarget)?;
                Ok(Self::Tcp(host.to_owned(), port))
            }
            _ => Err(BadTarget),
        }
    }
}

impl Target {
    fn client(&self) -> redis::RedisResult<Client> {
        let address = match self {
            Self::Unix(path) => redis::ConnectionAddr::Unix(path.clone()),
            Self::Tcp(host, port) => redis::ConnectionAddr::Tcp(host.clone(), *port),
        };
        Client::open(address)
    }
}

/// An open connection. Its driver lives on the runtime that opened it.
pub(crate) struct Connection {
    pub(crate) multiplexed: MultiplexedConnection,
    dead: AtomicBool,
    /// Milliseconds from the node's start to the last answer of the server.
    answered: AtomicU64,
}

/// One server.
pub(crate) struct Node {
    target: Target,
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
    pub(crate) fn new(target: Target, connect: Duration, pace: Duration) -> Self {
        let opening = tokio::sync::Mutex::new(None);
        Self { target, connect, pace, start: Instant::now(), open: Mutex::new(None), opening }
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
                tracing::info!(target = %self.target, "connected to Redis");
                *failed = None;
                *self.open.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&connection));
                metrics.connected();
                Ok(connection)
            }
            Ok(Err(error)) => {
                Err(self.failed(&mut failed, metrics, format!("cannot connect to {}: {error}", self.target)))
            }
            Err(_) => Err(self.failed(&mut failed, metrics, format!("{} accepts no connection", self.target))),
        }
    }

    fn failed(&self, last: &mut Option<(Instant, Cow<'static, str>)>, metrics: &Metrics, why: String) -> CallError {
        let why = Cow::from(why);
        if last.is_none() {
            tracing::warn!(%why, "Redis is away; calls are refused until it is back");
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
        let mut multiplexed = self.target.client()?.get_multiplexed_async_connection_with_config(&config).await?;
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
    pub(crate) fn answered(&self, connection: &Connection) {
        connection.answered.store(self.now(), Ordering::Relaxed);
    }

    /// The connection broke: the next call opens another.
    pub(crate) fn broke(&self, connection: &Connection) {
        connection.dead.store(true, Ordering::Release);
    }

    /// A call's deadline passed. A slow server keeps its connection, a silent one loses it.
    pub(crate) fn timed_out(&self, connection: &Connection) {
        if self.now().saturating_sub(connection.answered.load(Ordering::Relaxed)) >= SILENT_MS {
            self.broke(connection);
        }
    }
}

/// Sends one command over an open connection and waits until the deadline.
pub(crate) async fn send(
    connection: &Connection,
    cmd: &redis::Cmd,
    deadline: Instant,
) -> Option<redis::RedisResult<Value>> {
    let mut multiplexed = connection.multiplexed.clone();
    timeout_at(deadline, async move { multiplexed.send_packed_command(cmd).await?.extract_error() }).await.ok()
}
