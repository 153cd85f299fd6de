//! Hints over pub/sub: something changed, look now. A hint saves waiting for the next poll; nobody depends on one.
//!
//! fred listens, as a client of one server, on one channel for all sales. It is told to subscribe again every second and
//! after each reconnect, which also shows that the connection lives; a client that does not answer is replaced. Whenever
//! something may have been missed, every receiver is woken. In a cluster a hint reaches all nodes: one that is up is listened
//! to, and left for another when it does not answer or is no longer known as up.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::SaleId;
use fred::clients::SubscriberClient;
use fred::interfaces::{ClientLike as _, EventInterface as _, PubsubInterface as _};
use fred::types::Builder;
use fred::types::config::{self, Config, ReconnectPolicy, ServerConfig};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::access::{Access, Address, Credentials, Target};
use crate::client::Redis;
use crate::cluster::topology::{Origin, Topology};
use crate::error::CallError;
use crate::key::VERSION;
use crate::metrics::HINTS;

/// Time between two subscriptions of a listener that has one: its sign of life.
const AGAIN: Duration = Duration::from_secs(1);
/// Time before another node of a cluster is listened to.
const PAUSE: Duration = Duration::from_millis(100);
/// Time for connecting, and for the answer to a subscription.
const ANSWER: Duration = Duration::from_millis(500);
/// Unanswered subscriptions in a row, after which the client is replaced.
const UNANSWERED: u32 = 3;
/// Hints waiting to be noted; more wake every receiver instead.
const WAITING: usize = 1_024;
/// Milliseconds between a client's own attempts to reconnect.
const RECONNECT_MS: u32 = 100;

/// What changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HintKind {
    /// The line's published state.
    Line,
    /// An operator acted on the sale.
    Acts,
    /// A lane or the line has another owner.
    Owner,
}

impl HintKind {
    const ALL: [Self; 3] = [Self::Line, Self::Acts, Self::Owner];

    /// The name on the wire and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Acts => "acts",
            Self::Owner => "owner",
        }
    }
}

/// How many hints of each kind have been seen for a sale; only a change means something.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Seen {
    /// Hints of [`HintKind::Line`].
    pub line: u64,
    /// Hints of [`HintKind::Acts`].
    pub acts: u64,
    /// Hints of [`HintKind::Owner`].
    pub owner: u64,
}

impl Seen {
    fn note(&mut self, kind: HintKind) {
        match kind {
            HintKind::Line => self.line += 1,
            HintKind::Acts => self.acts += 1,
            HintKind::Owner => self.owner += 1,
        }
    }
}

#[derive(Default)]
struct Board(Mutex<BTreeMap<SaleId, watch::Sender<Seen>>>);

impl Board {
    fn subscribe(&self, sale: &SaleId) -> watch::Receiver<Seen> {
        let mut sales = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sales.entry(sale.clone()).or_default().subscribe()
    }

    fn note(&self, sale: &str, kind: HintKind) {
        let Ok(sale) = sale.parse::<SaleId>() else { return };
        if let Some(sender) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&sale) {
            sender.send_modify(|seen| seen.note(kind));
        }
    }

    fn wake_all(&self) {
        for sender in self.0.lock().unwrap_or_else(PoisonError::into_inner).values() {
            sender.send_modify(|seen| HintKind::ALL.into_iter().for_each(|kind| seen.note(kind)));
        }
    }
}

/// Hints of one server or cluster, for all sales of this process. Bounded: one small value per sale, whatever arrives.
/// Listening ends with the last clone.
#[derive(Clone)]
pub struct Hints {
    board: Arc<Board>,
    _alive: Arc<watch::Sender<()>>,
}

impl Hints {
    /// Begins to listen, on the current runtime; a server that is away is waited for without an end.
    #[must_use]
    pub fn listen(access: impl Into<Access>) -> Self {
        let board = Arc::new(Board::default());
        let alive = Arc::new(watch::Sender::new(()));
        tokio::spawn(run(Servers::new(access.into()), Arc::clone(&board), alive.subscribe()));
        Self { board, _alive: alive }
    }

    /// A receiver that changes with each hint for this sale.
    #[must_use]
    pub fn subscribe(&self, sale: &SaleId) -> watch::Receiver<Seen> {
        self.board.subscribe(sale)
    }
}

/// Tells everybody who listens. Nobody may.
///
/// # Errors
/// [`CallError`]; not worth a repetition, everything polls behind hints.
pub async fn publish(redis: &Redis, sale: &SaleId, kind: HintKind) -> Result<(), CallError> {
    let mut cmd = redis::Cmd::new();
    cmd.arg("PUBLISH").arg(channel()).arg(format!("{} {sale}", kind.as_str()));
    redis.command(&cmd).await.map(|_| ())
}

fn channel() -> String {
    format!("{VERSION}:hints")
}

/// Whom to listen to.
enum Servers {
    /// Always the same.
    One(Access),
    /// Any node; the last one listened to comes last.
    Cluster(Arc<Topology>, Origin, Option<Address>),
}

/// Whom a client listens to now.
struct Server {
    config: ServerConfig,
    credentials: Option<Credentials>,
    /// Of a node of a cluster: where it is, and who knows whether it is up.
    node: Option<(Arc<Topology>, Address)>,
}

impl Server {
    fn tcp(address: &Address) -> ServerConfig {
        ServerConfig::Centralized { server: config::Server::new(address.host.clone(), address.port) }
    }

    fn is_lost(&self) -> bool {
        self.node.as_ref().is_some_and(|(topology, address)| !topology.table().is_up(address))
    }
}

impl Servers {
    fn new(access: Access) -> Self {
        let Target::Cluster(seeds) = access.target else { return Self::One(access) };
        let origin = Origin { seeds, credentials: access.credentials };
        Self::Cluster(Topology::of(&origin), origin, None)
    }

    /// The next one to listen to; `None`: no node of the cluster is up.
    fn next(&mut self) -> Option<Server> {
        match self {
            Self::One(Access { target, credentials }) => {
                let config = match target {
                    Target::Unix(path) => ServerConfig::Unix { path: path.clone() },
                    Target::Tcp(host, port) => Server::tcp(&Address { host: host.clone(), port: *port }),
                    Target::Cluster(_) => return None,
                };
                Some(Server { config, credentials: credentials.clone(), node: None })
            }
            Self::Cluster(topology, origin, last) => {
                let table = topology.table();
                let mut up = table.members.iter().filter(|member| member.up).map(|member| &member.address);
                let behind = last.as_ref().and_then(|last| up.clone().find(|address| *address > last));
                let address = behind.or_else(|| up.next())?.clone();
                *last = Some(address.clone());
                let credentials = origin.credentials.clone();
                Some(Server { config: Server::tcp(&address), credentials, node: Some((Arc::clone(topology), address)) })
            }
        }
    }
}

fn client(server: &Server) -> Result<SubscriberClient, fred::error::Error> {
    let (user, password) = match server.credentials.clone() {
        Some(Credentials { user, password }) => (Some(user).filter(|user| !user.is_empty()), Some(password)),
        None => (None, None),
    };
    let config =
        Config { server: server.config.clone(), fail_fast: false, username: user, password, ..Config::default() };
    let mut builder = Builder::from_config(config);
    builder.set_policy(ReconnectPolicy::new_constant(0, RECONNECT_MS));
    builder.with_performance_config(|config| {
        config.default_command_timeout = ANSWER;
        config.broadcast_channel_capacity = WAITING;
    });
    builder.with_connection_config(|config| {
        config.connection_timeout = ANSWER;
        config.internal_command_timeout = ANSWER;
        config.max_command_attempts = 1;
        config.unresponsive.max_timeout = Some(ANSWER);
        config.unresponsive.interval = ANSWER / 4;
    });
    builder.build_subscriber_client()
}

/// Listens until the last handle is gone, with one client after the other.
async fn run(mut servers: Servers, board: Arc<Board>, mut alive: watch::Receiver<()>) {
    loop {
        let server = servers.next();
        match server.as_ref().map(client) {
            Some(Ok(client)) => {
                let lost = || server.as_ref().is_some_and(Server::is_lost);
                let ended = listen(&client, lost, &board, &mut alive).await;
                // The answer to QUIT is worth no wait: the client is dropped anyway.
                let _ = timeout(ANSWER, client.quit()).await;
                if ended {
                    return;
                }
            }
            Some(Err(error)) => tracing::error!(%error, "hints cannot be listened to; everything polls"),
            None => {}
        }
        let pause = if server.is_some_and(|server| server.node.is_some()) { PAUSE } else { AGAIN };
        if timeout(pause, alive.changed()).await.is_ok() {
            return;
        }
    }
}

/// True when the last handle is gone, false when another client is needed.
async fn listen(
    client: &SubscriberClient,
    lost: impl Fn() -> bool,
    board: &Board,
    alive: &mut watch::Receiver<()>,
) -> bool {
    let mut messages = client.message_rx();
    let mut reconnected = client.reconnect_rx();
    let _connection = client.connect();
    let mut again = interval(AGAIN);
    again.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut unanswered = 1;
    loop {
        tokio::select! {
            _ = alive.changed() => return true,
            message = messages.recv() => match message {
                Ok(message) => note(board, &message.value),
                Err(RecvError::Lagged(_)) => board.wake_all(),
                Err(RecvError::Closed) => return false,
            },
            server = reconnected.recv() => match server {
                Err(RecvError::Closed) => return false,
                _ => unanswered = subscribe(client, board, unanswered.max(1)).await,
            },
            _ = again.tick() => unanswered = subscribe(client, board, unanswered).await,
        }
        if unanswered > UNANSWERED || lost() {
            return false;
        }
    }
}

/// Subscribes (again); whoever listens is woken when this is the first answer in a while. Unanswered ones in a row.
async fn subscribe(client: &SubscriberClient, board: &Board, unanswered: u32) -> u32 {
    match timeout(ANSWER, client.subscribe(channel())).await {
        Ok(Ok(())) => {
            if unanswered > 0 {
                board.wake_all();
            }
            0
        }
        Ok(Err(_)) | Err(_) => unanswered + 1,
    }
}

fn note(board: &Board, value: &fred::types::Value) {
    let Some(text) = value.as_str() else { return };
    let Some((kind, sale)) = text.split_once(' ') else { return };
    if let Some(kind) = HintKind::ALL.into_iter().find(|known| known.as_str() == kind) {
        metrics::counter!(HINTS, "kind" => kind.as_str()).increment(1);
        board.note(sale, kind);
    }
}
