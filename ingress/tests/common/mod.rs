//! The whole edge in this process: a real redis-server, a real SQLite ledger, the owners of lanes and lines, and both
//! listeners on free ports. Every answer that [`World::ask`] sees is compared with the API's description.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod http;
pub mod schema;
pub mod visitor;

use std::collections::BTreeMap;
use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use admission::view::Poller;
use admission::{LineConfig, LineView, Sales, clock};
use booker::{LaneConfig, Siblings};
use domain::token::{Key, KeyId, Keyring};
use domain::{Actor, Millis, Mistake, SaleDoc, SaleFold, SaleId};
use ingress::{App, NoEvents, OperatorKey, Parts, SaleHandle, SaleMap, Settings, Tls};
use ledger::Ledger;
use ledger::faulty::Faulty;
use lua::server::TestRedis;
use lua::{Hints, Redis};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use http::{Client, Reply};

/// How long a level may take to be reached.
const PATIENCE: Duration = Duration::from_secs(20);
/// Units of an item that this installation may not sell.
pub const FORBIDDEN: u64 = 1_313;
pub const OPERATOR: &str = "an-operators-secret";

/// A sale without a waiting room: 5 units of `floor` at 12.50 EUR and 5 of `balcony` for nothing, 4 units per visitor.
pub const BOX: &str = r#"
id = "box"
opens_at = "2020-01-01T00:00:00Z"
admission = "none"
hold = { ttl = "60s" }
limits = { units_per_visitor = 4 }
[[items]]
id = "floor"
units = 5
price = { amount = "12.50", currency = "EUR" }
[[items]]
id = "balcony"
units = 5
"#;

/// A sale with a waiting room that lets in three at a time.
pub const ROOM: &str = r#"
id = "room"
opens_at = "2020-01-01T00:00:00Z"
admission = { pace_per_minute = 6000, active_passes = 3, pass_ttl = "60s", claim_grace = "60s" }
[[items]]
id = "floor"
units = 100
"#;

/// A sale that opens in a hundred years.
pub const LATER: &str = r#"
id = "later"
opens_at = "2126-01-01T00:00:00Z"
admission = { pace_per_minute = 6000, active_passes = 3 }
[[items]]
id = "floor"
units = 100
"#;

pub struct World {
    pub app: App,
    pub public: SocketAddr,
    pub admin: SocketAddr,
    pub registry: Sales,
    pub stop: watch::Sender<bool>,
    pub redis: Option<TestRedis>,
    /// The ledger as operators' acts reach it.
    pub acts: Faulty,
    /// The same as owners of lanes and lines reach it.
    pub owners: Faulty,
    pub ready: Arc<Mutex<Result<(), String>>>,
    pub servers: Vec<JoinHandle<std::io::Result<()>>>,
    description: (serde_json::Value, serde_json::Value),
    _files: tempfile::TempDir,
}

/// The operator in tests.
/// What time it is.
pub fn now() -> Millis {
    clock::system()()
}

pub fn actor() -> Actor {
    Actor { by: "test".into(), why: String::new() }
}

pub fn key(id: u32) -> Key {
    Key { id: KeyId(id), secret: [u8::try_from(id).unwrap(); 32] }
}

impl World {
    /// The edge alone: no sales, no Redis.
    pub async fn bare(settings: Settings) -> Self {
        Self::build(settings, None, &[], None, true).await
    }

    /// Like [`World::bare`], with an encrypted public listener; its answers are not compared with the description.
    pub async fn secured(settings: Settings, tls: Arc<Tls>) -> Self {
        Self::build(settings, None, &[], Some(tls), false).await
    }

    /// Like [`World::bare`], for settings under which a plain request is not answered.
    pub async fn bare_unasked(settings: Settings) -> Self {
        Self::build(settings, None, &[], None, false).await
    }

    /// The edge with these sales, served by their owners.
    pub async fn with(sales: &[&str], settings: Settings) -> Self {
        Self::build(settings, Some(TestRedis::start().unwrap()), sales, None, true).await
    }

    async fn build(
        settings: Settings,
        redis: Option<TestRedis>,
        docs: &[&str],
        tls: Option<Arc<Tls>>,
        describe: bool,
    ) -> Self {
        let files = tempfile::tempdir().unwrap();
        let ledger = Ledger::sqlite(&files.path().join("ledger.db")).unwrap();
        let (acts, owners) = (Faulty::new(&ledger), Faulty::new(&ledger));
        let registry = Sales::start(acts.ledger(), "test".into(), clock::system()).await.unwrap();
        let ready = Arc::new(Mutex::new(Ok(())));
        let app = App::new(Parts { tls, ..parts(settings, registry.clone(), Arc::clone(&ready)) });
        let (stop, stopped) = watch::channel(false);
        for doc in docs {
            registry.apply(SaleDoc::from_toml(doc).unwrap(), None, actor()).await.unwrap();
        }
        if let Some(server) = &redis {
            let hints = Hints::listen(server.target());
            let (registry, ledger, redis) = (registry.clone(), owners.ledger(), server.redis());
            let serving = Serving { app: app.clone(), registry, ledger, redis, hints };
            tokio::spawn(serving.follow(stopped.clone()));
        }
        let (listener, admin_listener) = (listener(), listener());
        let (public, admin) = (listener.local_addr().unwrap(), admin_listener.local_addr().unwrap());
        let servers = vec![
            tokio::spawn(ingress::serve_public(listener, app.clone(), stopped.clone())),
            tokio::spawn(ingress::serve_admin(admin_listener, app.clone(), stopped)),
        ];
        let get = async |address| match describe {
            true => Client::to(address).await.get("/openapi.json", &[]).await.json(),
            false => serde_json::Value::Null,
        };
        let description = (get(public).await, get(admin).await);
        let world = Self {
            app,
            public,
            admin,
            registry,
            stop,
            redis,
            acts,
            owners,
            ready,
            servers,
            description,
            _files: files,
        };
        world.loaded().await;
        world
    }

    /// Waits until every lane and line is loaded and seen.
    pub async fn loaded(&self) {
        eventually("every sale is served", || async {
            let sales = self.app.sales();
            sales.iter().all(|sale| {
                let stocked = sale.view.load().items.iter().map(|item| item.free + item.live).sum::<u64>() > 0;
                sale.lanes.iter().all(|lane| lane.status().loaded)
                    && sale.line.as_ref().is_none_or(|line| line.status().loaded)
                    && stocked
            }) && sales.iter().count() == self.registry.list().len()
        })
        .await;
    }

    /// Sends one request on a connection of its own and compares the answer with the description.
    pub async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let reply = Client::to(self.public).await.send(method, path, headers, body).await;
        schema::check(&self.description.0, method, path, &reply);
        reply
    }

    /// The same, to the admin listener with the operator's key.
    pub async fn operate(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let bearer = format!("Bearer {OPERATOR}");
        let mut all = vec![("authorization", bearer.as_str())];
        all.extend(headers);
        self.operate_as(method, path, &all, body).await
    }

    pub async fn operate_as(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let reply = Client::to(self.admin).await.send(method, path, headers, body).await;
        schema::check(&self.description.1, method, path, &reply);
        reply
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
    }
}

fn parts(settings: Settings, registry: Sales, ready: Arc<Mutex<Result<(), String>>>) -> Parts {
    Parts {
        keyring: Keyring::new(vec![key(1)]).unwrap(),
        registry,
        operators: vec![OperatorKey { name: "tester".into(), secret: OPERATOR.into() }],
        metrics_text: Arc::new(|| "holdfast_test 1\n".into()),
        checks: vec![("redis", Arc::new(move || ready.lock().unwrap().clone()))],
        may_sell: Arc::new(|doc| match doc.items.iter().any(|item| item.units == FORBIDDEN) {
            true => Err(Mistake::new("items[0].units", FORBIDDEN, "must not be sold here")),
            false => Ok(()),
        }),
        audit: Arc::new(|sale| {
            Box::pin(async move {
                let text = format!("{{\"sale\":\"{sale}\",\"holds\":true}}");
                serde_json::value::RawValue::from_string(text).map_err(|error| error.to_string())
            })
        }),
        events: Arc::new(|sale, from| {
            Box::pin(async move {
                match from.as_str() {
                    "x" => Err(NoEvents::BadPosition("is no position".into())),
                    "away" => Err(NoEvents::Unavailable("the ledger is away".into())),
                    _ => Ok(format!("{{\"sale\":\"{sale}\",\"from\":\"{from}\"}}\n")),
                }
            })
        }),
        settings,
        tls: None,
    }
}

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

/// Starts owners for every sale of the registry and shows them to the edge, as the program does.
struct Serving {
    app: App,
    registry: Sales,
    ledger: Ledger,
    redis: Redis,
    hints: Hints,
}

struct Handles {
    lanes: Vec<booker::Lane>,
    line: Option<admission::Line>,
    view: LineView,
    doc: watch::Sender<Arc<SaleDoc>>,
}

impl Serving {
    fn follow(self, mut stop: watch::Receiver<bool>) -> impl Future<Output = ()> {
        let mut handles = BTreeMap::new();
        let mut sales = self.registry.watch();
        self.show(&mut handles, &sales.borrow_and_update().clone(), &stop);
        async move {
            loop {
                tokio::select! {
                    changed = sales.changed() => if changed.is_err() { return },
                    _ = stop.wait_for(|stop| *stop) => return,
                }
                let now = sales.borrow_and_update().clone();
                self.show(&mut handles, &now, &stop);
            }
        }
    }

    fn show(
        &self,
        handles: &mut BTreeMap<SaleId, Handles>,
        sales: &BTreeMap<SaleId, Arc<SaleFold>>,
        stop: &watch::Receiver<bool>,
    ) {
        let map = sales.iter().map(|(id, fold)| {
            let serving = handles.entry(id.clone()).or_insert_with(|| self.start(fold, stop));
            serving.doc.send_replace(Arc::clone(&fold.doc));
            let (lanes, line, view) = (serving.lanes.clone(), serving.line.clone(), serving.view.clone());
            Arc::new(SaleHandle::new(Arc::clone(fold), lanes, line, view, [7; 32]))
        });
        self.app.set_sales(map.collect::<SaleMap>());
    }

    fn start(&self, fold: &SaleFold, stop: &watch::Receiver<bool>) -> Handles {
        let sale = &fold.doc.id;
        let view = LineView::of(self.ledger.clone(), sale.clone());
        let poller = Poller {
            sale: sale.clone(),
            redis: self.redis.clone(),
            sales: self.registry.watch(),
            hints: self.hints.subscribe(sale),
            clock: clock::system(),
            view: view.clone(),
        };
        tokio::spawn(poller.run(stop.clone()));
        let line = fold.doc.room().map(|_| {
            let config = LineConfig {
                sale: sale.clone(),
                owner: "test".into(),
                sales: self.registry.watch(),
                view: view.clone(),
                clock: clock::system(),
                seed: admission::draw::Seed::of(&[7; 32], sale),
            };
            let (line, owner) = admission::line(config, self.redis.clone(), self.ledger.clone());
            tokio::spawn(owner.run(stop.clone()));
            line
        });
        let (doc, _) = watch::channel(Arc::clone(&fold.doc));
        let ended =
            line.as_ref().map_or_else(|| tokio::sync::mpsc::unbounded_channel().0, admission::Line::ended_sender);
        let siblings = Siblings::default();
        let lanes = (0..fold.doc.lanes).map(|n| {
            let (doc, siblings) = (doc.subscribe(), siblings.clone());
            let shown = view.clone();
            let faults: booker::FaultSource = match &line {
                Some(_) => Arc::new(move || shown.faults()),
                None => booker::no_faults(),
            };
            let config = LaneConfig { sale: sale.clone(), lane: n, doc, owner: "test".into(), siblings, faults };
            let (lane, owner) = booker::lane(config, self.redis.clone(), self.ledger.clone(), ended.clone());
            let mut stop = stop.clone();
            tokio::spawn(owner.run(async move { drop(stop.wait_for(|stop| *stop).await) }));
            lane
        });
        let lanes: Vec<booker::Lane> = lanes.collect();
        siblings.set(lanes.clone());
        Handles { lanes, line, view, doc }
    }
}

/// Waits until `level` is reached, or fails saying what was waited for.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut level: impl FnMut() -> F) {
    let begin = Instant::now();
    while !level().await {
        assert!(begin.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
