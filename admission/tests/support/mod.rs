//! One sale with a waiting room on a real redis-server and a real SQLite ledger that fails on demand.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use admission::draw::Seed;
use admission::{Claim, Clock, Joined, Line, LineConfig, LineError, LineStatus, LineView, Sales, Snapshot, clock};
use domain::event::Event as _;
use domain::{Actor, LineClass, LineEvent, LogId, Millis, PublicValue, SaleDoc, SaleId, VisitorHash};
use ledger::Ledger;
use ledger::faulty::Faulty;
use lua::server::TestRedis;
use lua::{LineKeys, Redis};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long a level may take to be reached.
const PATIENCE: Duration = Duration::from_secs(20);

/// Room settings of a test's sale.
pub struct RoomOf {
    pub pace: u32,
    pub cap: u32,
    pub ttl_ms: u64,
    pub grace_ms: u64,
    pub public_value: Option<PublicValue>,
    /// How many classes, and how many places each has: `members` with 30 of 100 calls, `fans` with 20.
    pub classes: usize,
    pub places: u32,
}

impl Default for RoomOf {
    fn default() -> Self {
        Self { pace: 60_000, cap: 10_000, ttl_ms: 60_000, grace_ms: 30_000, public_value: None, classes: 0, places: 3 }
    }
}

pub fn sale() -> SaleId {
    "night".parse().unwrap()
}

pub fn doc(room: &RoomOf) -> SaleDoc {
    let mut doc = SaleDoc::from_toml(
        "id = \"night\"\nadmission = { pace_per_minute = 6000, active_passes = 50 }\n[[items]]\nid = \"floor\"\nunits = 100000\n",
    )
    .unwrap();
    let domain::Admission::Room(to) = &mut doc.admission else { panic!("a waiting room") };
    (to.pace_per_minute, to.active_passes) = (room.pace, room.cap);
    (to.pass_ttl_ms, to.claim_grace_ms) = (room.ttl_ms, room.grace_ms);
    to.public_value.clone_from(&room.public_value);
    let class = |(id, share): (&str, u32)| LineClass {
        id: id.parse().unwrap(),
        title: None,
        share,
        places: room.places,
        codes: Vec::new(),
        uses: 1,
    };
    to.classes = [("members", 30), ("fans", 20)].into_iter().take(room.classes).map(class).collect();
    doc
}

/// Decides the order of the lobby.
pub fn seed() -> Seed {
    Seed::of(&[9; 32], &sale())
}

pub fn actor() -> Actor {
    Actor { by: "test".into(), why: String::new() }
}

pub fn visitor(n: u64) -> VisitorHash {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    VisitorHash(bytes)
}

/// A clock that tests can move.
#[derive(Clone, Default)]
pub struct Moved(Arc<AtomicI64>);

impl Moved {
    pub fn by(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }

    pub fn clock(&self) -> Clock {
        let (system, moved) = (clock::system(), Arc::clone(&self.0));
        Arc::new(move || Millis(system().0.saturating_add_signed(moved.load(Ordering::SeqCst))))
    }
}

/// Redis, ledger and registry; owners come and go.
pub struct World {
    pub server: TestRedis,
    pub redis: Redis,
    pub faulty: Faulty,
    pub ledger: Ledger,
    pub sales: Sales,
    pub clock: Moved,
    pub view: LineView,
    _files: tempfile::TempDir,
}

/// An owner under way.
pub struct Owner {
    pub line: Line,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Whether this is the pass that there was.
pub fn is_again(claim: Claim, number: u64, expires: Millis) -> bool {
    matches!(claim, Claim::Granted { number: n, expires: e, again: true, .. } if (n, e) == (number, expires))
}

impl World {
    /// A world with an open sale and 100,000 units that the view knows of.
    pub async fn open(room: RoomOf) -> Self {
        let world = Self::scheduled(room).await;
        world.sales.open(&sale(), actor()).await.unwrap();
        world
    }

    pub async fn scheduled(room: RoomOf) -> Self {
        let (server, files) = (TestRedis::start().unwrap(), tempfile::tempdir().unwrap());
        let plain = Ledger::sqlite(&files.path().join("ledger.db")).unwrap();
        let faulty = Faulty::new(&plain);
        let clock = Moved::default();
        let sales = Sales::start(faulty.ledger(), "test".into(), clock.clock()).await.unwrap();
        sales.apply(doc(&room), None, actor()).await.unwrap();
        let (redis, view) = (server.redis(), LineView::new());
        view.show(Snapshot { free: 100_000, stock_as_of: Some(Millis(u64::MAX)), ..Snapshot::default() });
        Self { server, redis, ledger: faulty.ledger(), faulty, sales, clock, view, _files: files }
    }

    /// Changes the room.
    pub async fn change(&self, room: RoomOf) {
        self.sales.apply(doc(&room), None, actor()).await.unwrap();
    }

    /// Starts an owner of this name.
    pub fn start(&self, name: &str) -> Owner {
        self.start_with(name, self.server.redis())
    }

    /// Starts an owner that has other keys.
    pub fn start_seeded(&self, name: &str, seed: Seed) -> Owner {
        self.start_as(name, self.server.redis(), seed)
    }

    pub fn start_with(&self, name: &str, redis: Redis) -> Owner {
        self.start_as(name, redis, seed())
    }

    fn start_as(&self, name: &str, redis: Redis, seed: Seed) -> Owner {
        let config = LineConfig {
            sale: sale(),
            owner: name.into(),
            sales: self.sales.watch(),
            view: self.view.clone(),
            clock: self.clock.clock(),
            seed,
        };
        let (line, owner) = admission::line(config, redis, self.ledger.clone());
        let (stop, stopped) = watch::channel(false);
        Owner { line, stop, task: tokio::spawn(owner.run(stopped)) }
    }

    /// An owner that has taken the line over.
    pub async fn owner(&self, name: &str) -> Owner {
        let owner = self.start(name);
        owner.owning().await;
        owner
    }

    /// All entries of the line's log.
    pub async fn log(&self) -> Vec<LineEvent> {
        let mut events = Vec::new();
        let log = LogId::line(&sale());
        self.ledger.read_all(&log, 0, |entry| events.push(LineEvent::decode(&entry.event).unwrap())).await.unwrap();
        events
    }

    pub async fn raw(&self, words: &[&str]) {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        self.redis.raw(&words).await.unwrap();
    }

    /// Copies the line's keys aside.
    pub async fn snapshot(&self) {
        let keys = LineKeys::new(&sale());
        for key in [keys.line(), keys.tickets()] {
            self.raw(&["DEL", &format!("{key}:copy")]).await;
            self.raw(&["COPY", key, &format!("{key}:copy"), "REPLACE"]).await;
        }
    }

    /// Brings the copy back, as a failover to a lagging replica does.
    pub async fn roll_back(&self) {
        let keys = LineKeys::new(&sale());
        for key in [keys.line(), keys.tickets()] {
            self.raw(&["DEL", key]).await;
            self.raw(&["COPY", &format!("{key}:copy"), key, "REPLACE"]).await;
        }
    }

    pub async fn wipe(&self) {
        self.raw(&["FLUSHALL"]).await;
    }
}

impl Owner {
    pub async fn owning(&self) {
        eventually("owns and has loaded the line", || async { self.line.status().owned && self.line.status().loaded })
            .await;
    }

    pub fn status(&self) -> LineStatus {
        self.line.status()
    }

    /// Ends it as a shutdown does.
    pub async fn stop(self) {
        self.stop.send(true).unwrap();
        self.task.await.unwrap();
    }

    /// Ends it as kill -9 does: nothing is finished, nobody is answered.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    /// Joins until there is an answer.
    pub async fn join(&self, who: u64, ticket: Option<u64>) -> Joined {
        insist(|| self.line.join(visitor(who), ticket)).await
    }

    /// Claims until there is an answer.
    pub async fn claim(&self, who: u64, number: u64) -> Claim {
        insist(|| self.line.claim(visitor(who), number)).await
    }

    /// Claims until there is a pass; its expiry.
    pub async fn pass(&self, who: u64, number: u64) -> Millis {
        let begin = Instant::now();
        loop {
            match self.claim(who, number).await {
                Claim::Granted { number: granted, expires, .. } => {
                    assert_eq!(granted, number);
                    return expires;
                }
                Claim::NotYet { .. } if begin.elapsed() < PATIENCE => {
                    tokio::time::sleep(Duration::from_millis(5)).await
                }
                other => panic!("no pass for {number}: {other:?}"),
            }
        }
    }

    /// Leaves until it is logged.
    pub async fn leave(&self, who: u64, number: u64) {
        insist(|| self.line.leave(visitor(who), number)).await;
    }

    pub async fn frontier(&self, at_least: u64) {
        eventually("the frontier moves", || async { self.status().frontier >= at_least }).await;
    }
}

/// Repeats what is safe to repeat until it is answered.
pub async fn insist<T, F: Future<Output = Result<T, LineError>>>(ask: impl Fn() -> F) -> T {
    let begin = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error @ (LineError::NotOpen | LineError::Closed)) => panic!("{error}"),
            Err(error) => assert!(begin.elapsed() < PATIENCE, "still {error}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits for a level, with a deadline.
pub async fn eventually<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let begin = Instant::now();
    while !holds().await {
        assert!(begin.elapsed() < PATIENCE, "not reached: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// I6, I7 and L1 to L7, read from the log alone: it folds; no window holds more than the pace; never more alive than the cap.
pub fn check_log(events: &[LineEvent], pace: u32, cap: u64) {
    let mut fold = admission::fold::LineFold::new(0);
    let mut passes: Vec<(u64, u64)> = Vec::new();
    for (n, event) in events.iter().enumerate() {
        fold.apply(n as u64 + 1, event)
            .expect("the log folds: the frontier never goes back, no number is granted twice");
        assert!(fold.active() <= cap, "{} alive, the cap is {cap}", fold.active());
        if !event.granted.is_empty() {
            passes.push((event.at.0, event.granted.len() as u64));
            for (window, most) in [(1_000, u64::from(pace.div_ceil(60))), (60_000, u64::from(pace))] {
                let within: u64 = passes.iter().filter(|(at, _)| event.at.0 - at < window).map(|(_, n)| n).sum();
                assert!(within <= most, "{within} passes in {window} ms, {most} are allowed");
            }
        }
    }
}
