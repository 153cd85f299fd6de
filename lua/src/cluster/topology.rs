//! Keeps the table of slots current: one thread per cluster and process, whoever of its handles live.
//!
//! A thread of its own, because the runtimes of the handles come and go (a command's, an audit's) and are busy when it
//! matters, and because one look per process costs the nodes less than one per core. It asks all nodes at once over
//! connections that carry nothing else, each half second and when somebody met a refusal or a broken connection. Readers
//! take the table without a lock.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use domain::limits::{REDIS_SLOTS_ANSWER_MS, REDIS_SLOTS_MS, REDIS_SLOTS_SOON_MS};
use futures_util::future::join_all;
use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::table::{Answer, Table};
use crate::access::{Address, Credentials, Way};
use crate::metrics;

/// How the last look went.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Look {
    /// There was none yet.
    None,
    /// At least one node answered.
    Answered,
    /// None did; what the last one said, or why it could not be asked.
    Failed(Arc<str>),
}

struct Shared {
    table: ArcSwap<Table>,
    look: watch::Sender<Look>,
    soon: Notify,
}

/// The slots of one cluster. Ends its thread when dropped.
pub(crate) struct Topology {
    shared: Arc<Shared>,
    _alive: oneshot::Sender<()>,
}

/// Who is asked first, and as whom.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) seeds: Vec<Address>,
    pub(crate) credentials: Option<Credentials>,
}

static ALL: Mutex<Vec<(Origin, Weak<Topology>)>> = Mutex::new(Vec::new());

impl Topology {
    /// The one of this process.
    pub(crate) fn of(origin: &Origin) -> Arc<Self> {
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(_, topology)| topology.strong_count() > 0);
        let found = all.iter().find(|(known, _)| known == origin).and_then(|(_, topology)| topology.upgrade());
        found.unwrap_or_else(|| {
            let topology = Arc::new(Self::start(origin.clone()));
            all.push((origin.clone(), Arc::downgrade(&topology)));
            topology
        })
    }

    fn start(origin: Origin) -> Self {
        let shared = Arc::new(Shared {
            table: ArcSwap::from_pointee(Table::empty()),
            look: watch::Sender::new(Look::None),
            soon: Notify::new(),
        });
        let (alive, ended) = oneshot::channel();
        let keeper = Keeper { origin, shared: Arc::clone(&shared), connections: HashMap::new() };
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            match runtime {
                Ok(runtime) => runtime.block_on(keeper.run(ended)),
                Err(error) => keeper.gives_up(&error),
            }
        };
        if let Err(error) = std::thread::Builder::new().name("redis-slots".to_owned()).spawn(run) {
            shared.look.send_replace(Look::Failed(error.to_string().into()));
        }
        Self { shared, _alive: alive }
    }

    /// Who has which slot, as far as is known.
    pub(crate) fn table(&self) -> arc_swap::Guard<Arc<Table>> {
        self.shared.table.load()
    }

    /// Something does not fit the table: look soon.
    pub(crate) fn look_soon(&self) {
        self.shared.soon.notify_one();
    }

    /// How the last look went; waits for the first one until the deadline.
    pub(crate) async fn looked(&self, deadline: Instant) -> Look {
        let mut look = self.shared.look.subscribe();
        let first = tokio::time::timeout_at(deadline, look.wait_for(|look| *look != Look::None)).await;
        match first {
            Ok(Ok(look)) => look.clone(),
            _ => Look::None,
        }
    }
}

/// The work of the thread.
struct Keeper {
    origin: Origin,
    shared: Arc<Shared>,
    connections: HashMap<Address, MultiplexedConnection>,
}

impl Keeper {
    fn gives_up(&self, error: &std::io::Error) {
        self.shared.look.send_replace(Look::Failed(error.to_string().into()));
    }

    async fn run(mut self, mut ended: oneshot::Receiver<()>) {
        loop {
            let begin = Instant::now();
            self.look().await;
            let (soon, late) = (Duration::from_millis(REDIS_SLOTS_SOON_MS), Duration::from_millis(REDIS_SLOTS_MS));
            let kicked = async {
                self.shared.soon.notified().await;
                sleep_until(begin + soon).await;
            };
            tokio::select! {
                _ = &mut ended => return,
                () = kicked => {}
                () = sleep_until(begin + late) => {}
            }
        }
    }

    async fn look(&mut self) {
        let before = self.shared.table.load_full();
        let members: Vec<Address> = before.members.iter().map(|member| member.address.clone()).collect();
        let mut found = self.ask(&members).await;
        if found.is_err() {
            // Everybody known is gone, perhaps under other addresses: from the beginning.
            found = self.ask(&self.origin.seeds.clone()).await;
        }
        let look = match found {
            Ok(answers) => {
                let next = before.learn(&answers);
                if next != *before {
                    metrics::slots(&next);
                    self.shared.table.store(Arc::new(next));
                }
                Look::Answered
            }
            Err(why) => Look::Failed(why.into()),
        };
        self.shared.look.send_if_modified(|known| {
            let changed = *known != look;
            match &look {
                Look::Failed(why) if changed => tracing::warn!(%why, "no node of the cluster says who has which slot"),
                _ => {}
            }
            *known = look;
            changed
        });
    }

    /// Asks all at once; what those who answer say, or what the last of them had instead of an answer.
    async fn ask(&mut self, nodes: &[Address]) -> Result<Vec<Answer>, String> {
        self.connections.retain(|node, _| nodes.contains(node));
        let asks = nodes.iter().map(|node| {
            let open = self.connections.get(node).cloned();
            let credentials = self.origin.credentials.clone();
            async move { (node.clone(), ask(node, credentials.as_ref(), open).await) }
        });
        let (mut answers, mut why) = (vec![], "nobody to ask".to_owned());
        for (from, result) in join_all(asks).await {
            match result {
                Ok((text, connection)) => {
                    self.connections.insert(from.clone(), connection);
                    answers.push(Answer { from, text });
                }
                Err(error) => {
                    self.connections.remove(&from);
                    why = format!("{from}: {error}");
                }
            }
        }
        if answers.is_empty() { Err(why) } else { Ok(answers) }
    }
}

/// Asks one node, over a connection that is opened when there is none.
pub(crate) async fn ask(
    node: &Address,
    credentials: Option<&Credentials>,
    open: Option<MultiplexedConnection>,
) -> Result<(String, MultiplexedConnection), String> {
    let asking = async {
        let mut connection = match open {
            Some(connection) => connection,
            None => connect(node, credentials).await?,
        };
        let text = redis::cmd("CLUSTER").arg("NODES").query_async::<String>(&mut connection).await?;
        Ok::<_, redis::RedisError>((text, connection))
    };
    match timeout(Duration::from_millis(REDIS_SLOTS_ANSWER_MS), asking).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("does not answer".to_owned()),
    }
}

async fn connect(node: &Address, credentials: Option<&Credentials>) -> redis::RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
    Way::to(node, credentials).client()?.get_multiplexed_async_connection_with_config(&config).await
}
