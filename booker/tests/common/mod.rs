//! A sale with a real redis-server and a real SQLite ledger, for tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code, unreachable_pub)]

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use booker::{ConfirmAnswer, HoldAnswer, HoldRequest, HoldView, Lane, LaneConfig, LaneError, Siblings};
use domain::event::Event as _;
use domain::fault::KnownFaults;
use domain::sale::HoldTimes;
use domain::{
    Act, Actor, Admission, HoldId, HoldState, Item, ItemId, LaneEvent, Lines, LogId, Millis, SaleDoc, SaleEvent,
    SaleId, VisitorHash,
};
use ledger::faulty::Faulty;
use ledger::{Append, Entry, Ledger};
use lua::server::{TestCluster, TestRedis};
use lua::{LaneKeys, Redis};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

pub const PATIENCE: Duration = Duration::from_secs(10);

/// What the owners know of faults; at first that nobody records any.
#[derive(Clone)]
pub struct Faults(Arc<Mutex<Arc<KnownFaults>>>);

impl Default for Faults {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Arc::new(KnownFaults::none()))))
    }
}

impl Faults {
    /// From now on this is known.
    pub fn know(&self, known: KnownFaults) {
        *self.0.lock().unwrap() = Arc::new(known);
    }

    pub fn source(&self) -> booker::FaultSource {
        let known = Arc::clone(&self.0);
        Arc::new(move || Arc::clone(&known.lock().unwrap()))
    }
}

pub fn item(name: &str) -> ItemId {
    name.parse().unwrap()
}

pub fn visitor(n: u32) -> VisitorHash {
    let mut bytes = [7; 16];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    VisitorHash(bytes)
}

pub fn lines(of: &[(&str, u32)]) -> Lines {
    of.iter().map(|(name, units)| (item(name), *units)).collect()
}

pub fn sale() -> SaleId {
    "gig".parse().unwrap()
}

pub fn id(v: u32, key: &str) -> HoldId {
    HoldId::derive(&sale(), 0, &visitor(v), key)
}

pub fn request(v: u32, key: &str, units: u32) -> HoldRequest {
    HoldRequest { id: id(v, key), visitor: visitor(v), lines: lines(&[("a", units)]), pass: None }
}

pub fn doc(units: &[(&str, u64)]) -> SaleDoc {
    let item =
        |(name, units): &(&str, u64)| Item { id: item(name), title: None, units: *units, price: None, coupon: None };
    SaleDoc {
        id: sale(),
        title: None,
        opens_at: None,
        closes_at: None,
        admission: Admission::None,
        hold: HoldTimes { ttl_ms: 60_000, paying_ttl_ms: 60_000 },
        units_per_visitor: None,
        lanes: 1,
        terms: domain::Terms::default(),
        items: units.iter().map(item).collect(),
    }
}

/// Polls a level until it holds; fails after ten seconds.
pub async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let begin = Instant::now();
    while !holds().await {
        assert!(begin.elapsed() < PATIENCE, "not within ten seconds: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Stores and the sale's log; owners are started on it.
pub struct World {
    pub server: TestRedis,
    /// Where the lane is instead, when it is on a cluster.
    pub cluster: Option<TestCluster>,
    pub faulty: Faulty,
    pub doc: watch::Sender<Arc<SaleDoc>>,
    pub siblings: Siblings,
    pub faults: Faults,
    _directory: tempfile::TempDir,
}

/// An owner at work.
pub struct Owner {
    pub lane: Lane,
    pub ended: mpsc::UnboundedReceiver<Vec<u64>>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Owner {
    /// Lets it finish, as SIGTERM does.
    pub async fn stop(mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
        tokio::time::timeout(PATIENCE, &mut self.task).await.expect("the owner stops").unwrap();
    }

    /// Ends it between two steps, as kill -9 does. Calls that were sent go on.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    pub async fn ready(&self) {
        until("the lane is owned, loaded and stocked", || async {
            let status = self.lane.status();
            status.owned && status.loaded && status.head > 0 && status.settled == status.head
        })
        .await;
    }
}

impl World {
    pub async fn new(doc: SaleDoc) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let ledger = Ledger::sqlite(&directory.path().join("ledger.db")).unwrap();
        let faulty = Faulty::new(&ledger);
        let stock = doc.units();
        let (sender, _) = watch::channel(Arc::new(doc.clone()));
        let (server, siblings) = (TestRedis::start().unwrap(), Siblings::default());
        let faults = Faults::default();
        let world = Self { server, cluster: None, faulty, doc: sender, siblings, faults, _directory: directory };
        world.define(doc, stock).await;
        world
    }

    pub async fn with_units(units: u64) -> Self {
        Self::new(doc(&[("a", units)])).await
    }

    pub fn ledger(&self) -> Ledger {
        self.faulty.ledger()
    }

    pub async fn on_cluster(cluster: TestCluster, units: u64) -> Self {
        Self { cluster: Some(cluster), ..Self::with_units(units).await }
    }

    pub fn redis(&self) -> Redis {
        self.cluster.as_ref().map_or_else(|| self.server.redis(), TestCluster::redis)
    }

    pub fn keys(&self) -> LaneKeys {
        LaneKeys::new(&sale(), 0)
    }

    pub fn log(&self) -> LogId {
        LogId::lane(&sale(), 0)
    }

    /// Appends to the sale's log, as `sale apply` does.
    pub async fn define(&self, doc: SaleDoc, stock: BTreeMap<ItemId, u64>) {
        self.act(Act::Define { doc: Box::new(doc.clone()), stock }).await;
        self.doc.send_replace(Arc::new(doc));
    }

    pub async fn act(&self, act: Act) {
        let actor = Actor { by: "test".into(), why: String::new() };
        let event = SaleEvent { at: Millis(1), actor, act };
        let ledger = self.ledger();
        let writer = ledger.claim(&LogId::sale(&sale()), "test").await.unwrap();
        let appended = ledger.append(&writer, &[event.encode().unwrap()]).await.unwrap();
        assert!(matches!(appended, Append::Appended(_)));
    }

    pub fn owner(&self, name: &str) -> Owner {
        self.owner_of(name, 0)
    }

    pub fn owner_of(&self, name: &str, lane: u16) -> Owner {
        let config = LaneConfig {
            sale: sale(),
            lane,
            doc: self.doc.subscribe(),
            owner: name.into(),
            siblings: self.siblings.clone(),
            faults: self.faults.source(),
        };
        let (sender, ended) = mpsc::unbounded_channel();
        let (lane, owner) = booker::lane(config, self.redis(), self.ledger(), sender);
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(owner.run(async move {
            let _ = stopped.await;
        }));
        Owner { lane, ended, stop: Some(stop), task }
    }

    pub async fn ready_owner(&self, name: &str) -> Owner {
        let owner = self.owner(name);
        owner.ready().await;
        owner
    }

    /// The lane's log as it stands in the ledger.
    pub async fn events(&self) -> Vec<LaneEvent> {
        let mut events = vec![];
        let visit = |entry: Entry| events.push(LaneEvent::decode(&entry.event).unwrap());
        self.ledger().read_all(&self.log(), 0, visit).await.unwrap();
        events
    }

    /// Units sold by the ledger, and I1 and R1 of the whole log on the way.
    pub async fn sold(&self) -> u64 {
        let mut fold = booker::fold::LaneFold::default();
        for (n, event) in self.events().await.iter().enumerate() {
            fold.apply(n as u64 + 1, event).expect("I1 and R1 hold in the log");
        }
        fold.items().values().map(|sum| sum.sold).sum()
    }

    pub async fn booked_ids(&self) -> Vec<HoldId> {
        let booked = |event| match event {
            LaneEvent::Booked { id, .. } => Some(id),
            _ => None,
        };
        self.events().await.into_iter().filter_map(booked).collect()
    }

    /// Free and live units of item `a` in Redis, with the settled seq; `None` while the lane is not loaded.
    pub async fn stock(&self) -> Option<(i64, i64, u64)> {
        let stock = lua::lane::stock(&self.redis(), &self.keys()).await.ok()?;
        let (_, a) = stock.items.iter().find(|(name, _)| *name == item("a"))?;
        Some((a.free, a.live, stock.settled))
    }

    /// I2 with the fold of the ledger, at rest.
    pub async fn at_rest(&self) {
        until("Redis is what the ledger says, and nothing is confirming", || async {
            let Some((free, live, settled)) = self.stock().await else { return false };
            let mut fold = booker::fold::LaneFold::default();
            for (n, event) in self.events().await.iter().enumerate() {
                fold.apply(n as u64 + 1, event).expect("I1 and R1 hold in the log");
            }
            let meta = lua::lane::meta(&self.redis(), &self.keys()).await.unwrap();
            let sum = fold.item(&item("a"));
            meta.confirming == 0
                && settled == fold.head()
                && free + live == i64::try_from(sum.allocated - sum.sold).unwrap()
        })
        .await;
    }

    pub async fn state(&self, id: HoldId) -> Option<HoldState> {
        let look = lua::lane::look(&self.redis(), &self.keys(), &[id], &[]).await.unwrap();
        look.records[0].as_ref().map(|record| record.state)
    }

    /// The operator's shell.
    pub async fn shell(&self, words: &[&str]) {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        self.redis().raw(&words).await.unwrap();
    }

    /// Keeps a copy of the lane inside the server, atomically: a replica that is not told of what follows.
    pub async fn snapshot(&self, name: &str) {
        self.copy("", &format!(":{name}")).await;
    }

    /// The lane is that copy again: a failover to a lagging replica.
    pub async fn restore(&self, name: &str) {
        self.copy(&format!(":{name}"), "").await;
    }

    async fn copy(&self, from: &str, to: &str) {
        const SCRIPT: &str = "for _, key in ipairs(KEYS) do redis.call('DEL', key .. ARGV[2]) redis.call('COPY', key .. ARGV[1], key .. ARGV[2]) end return 1";
        let keys = self.keys();
        let keys = [keys.lane(), keys.holds(), keys.due(), keys.visitors(), keys.confirming()];
        let mut words = vec!["EVAL", SCRIPT, "5"];
        words.extend(keys);
        words.extend([from, to]);
        self.shell(&words).await;
    }
}

/// A hold that must be held.
pub async fn held(lane: &Lane, v: u32, key: &str, units: u32) -> HoldView {
    match lane.hold(request(v, key, units)).await.unwrap() {
        HoldAnswer::Hold { hold, .. } if hold.state == HoldState::Held => hold,
        other => panic!("not held: {other:?}"),
    }
}

/// Confirms as a visitor does: again until it is final.
pub async fn confirmed(lane: &Lane, v: u32, key: &str) -> ConfirmAnswer {
    let begin = Instant::now();
    loop {
        match lane.confirm(id(v, key), visitor(v), None, Duration::from_secs(2)).await {
            Ok(ConfirmAnswer::Confirming) => {}
            Ok(answer) => return answer,
            Err(LaneError::Stopped) => panic!("the lane is stopped"),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
        assert!(begin.elapsed() < PATIENCE, "no final answer within ten seconds");
    }
}

/// What the repeat of a confirm that was answered so has to be answered.
pub fn repeat_of(answer: &ConfirmAnswer) -> ConfirmAnswer {
    match answer {
        ConfirmAnswer::Booked { booking, .. } => ConfirmAnswer::Booked { booking: booking.clone(), replayed: true },
        other => other.clone(),
    }
}

pub fn is_booked(answer: &ConfirmAnswer) -> bool {
    matches!(answer, ConfirmAnswer::Booked { .. })
}
