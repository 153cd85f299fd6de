//! Durable bookings a second through one lane's owner, without HTTP, and how long the next owner takes until it serves: a real
//! redis-server, a real ledger, callers in this process.
//!
//! `cargo run --release -p booker --example throughput [CALLERS [BOOKINGS [HOST:PORT]]]`: without HOST:PORT on SQLite, with it on a CQL
//! cluster for trying, in a keyspace `holdfast_throughput` of its own (`deploy/cassandra/cassandra.sh start DIR` starts one).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::cast_precision_loss)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use booker::{ConfirmAnswer, HoldAnswer, HoldRequest, Lane, LaneConfig};
use domain::event::Event as _;
use domain::sale::HoldTimes;
use domain::{Act, Actor, Admission, HoldId, Item, LogId, Millis, SaleDoc, SaleEvent, SaleId, VisitorHash};
use ledger::Ledger;
use ledger::cql::{Replication, Settings, migrate};
use lua::server::TestRedis;
use tokio::sync::{mpsc, oneshot, watch};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn doc(units: u64) -> SaleDoc {
    SaleDoc {
        id: "bench".parse().unwrap(),
        title: None,
        opens_at: None,
        closes_at: None,
        admission: Admission::None,
        hold: HoldTimes { ttl_ms: 60_000, paying_ttl_ms: 60_000 },
        units_per_visitor: Some(4),
        lanes: 1,
        terms: domain::Terms::default(),
        items: vec![Item { id: "hot".parse().unwrap(), title: None, units, price: None, coupon: None }],
    }
}

async fn define(ledger: &Ledger, doc: &SaleDoc) {
    let writer = ledger.claim(&LogId::sale(&doc.id), "bench").await.unwrap();
    let act = Act::Define { doc: Box::new(doc.clone()), stock: doc.units() };
    let event = SaleEvent { at: Millis(1), actor: Actor { by: "bench".into(), why: String::new() }, act };
    let appended = ledger.append(&writer, &[event.encode().unwrap()]).await.unwrap();
    assert!(matches!(appended, ledger::Append::Appended(_)));
}

fn visitor(n: u64) -> VisitorHash {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    VisitorHash(bytes)
}

/// One visitor after the other holds and confirms; the times of both calls.
async fn caller(lane: Lane, sale: SaleId, from: u64, count: u64) -> Vec<(Duration, Duration)> {
    let mut times = vec![];
    for n in from..from + count {
        let visitor = visitor(n);
        let id = HoldId::derive(&sale, 0, &visitor, "k");
        let lines = [("hot".parse().unwrap(), 1)].into_iter().collect();
        let begin = Instant::now();
        let held = lane.hold(HoldRequest { id, visitor, lines, pass: None }).await.unwrap();
        assert!(matches!(held, HoldAnswer::Hold { .. }), "{held:?}");
        let hold = begin.elapsed();
        let begin = Instant::now();
        let answer = lane.confirm(id, visitor, None, Duration::from_secs(5)).await.unwrap();
        assert!(matches!(answer, ConfirmAnswer::Booked { .. }), "{answer:?}");
        times.push((hold, begin.elapsed()));
    }
    times
}

/// An owner of the lane, on a thread of its own.
struct Owner {
    lane: Lane,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
    _doc: watch::Sender<Arc<SaleDoc>>,
}

impl Owner {
    /// Begins, and waits until it serves. Answers how long that took.
    async fn start(name: &str, doc: &SaleDoc, server: &TestRedis, ledger: &Ledger) -> (Self, Duration) {
        let begin = Instant::now();
        let (sender, seen) = watch::channel(Arc::new(doc.clone()));
        let siblings = booker::Siblings::default();
        let faults = booker::no_faults();
        let config = LaneConfig { sale: doc.id.clone(), lane: 0, doc: seen, owner: name.into(), siblings, faults };
        let (ended, keep) = mpsc::unbounded_channel();
        let (lane, owner) = booker::lane(config, server.redis(), ledger.clone(), ended);
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let _keep = keep;
            runtime().block_on(owner.run(async move { drop(stopped.await) }));
        });
        while lane.status().head == 0 || lane.status().settled != lane.status().head {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        (Self { lane, stop: Some(stop), thread: Some(thread), _doc: sender }, begin.elapsed())
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

async fn book(owner: &Owner, sale: &SaleId, callers: u64, bookings: u64) {
    let begin = Instant::now();
    let each = bookings / callers;
    let tasks: Vec<_> =
        (0..callers).map(|c| tokio::spawn(caller(owner.lane.clone(), sale.clone(), c * each, each))).collect();
    let (mut holds, mut confirms) = (vec![], vec![]);
    for task in tasks {
        for (hold, confirm) in task.await.unwrap() {
            holds.push(hold);
            confirms.push(confirm);
        }
    }
    let took = begin.elapsed();
    holds.sort_unstable();
    confirms.sort_unstable();
    let at = |times: &[Duration], part: usize| times[(times.len() * part / 100).min(times.len() - 1)];
    println!(
        "{} bookings by {callers} callers in {took:.2?}: {:.0} bookings/s; hold p50 {:.2?} p99 {:.2?}; confirm p50 {:.2?} p99 {:.2?}",
        confirms.len(),
        confirms.len() as f64 / took.as_secs_f64(),
        at(&holds, 50),
        at(&holds, 99),
        at(&confirms, 50),
        at(&confirms, 99),
    );
    let status = owner.lane.status();
    println!("settle lag at the end: {} events", status.head - status.settled);
}

/// Books, then lets other owners follow: with Redis as it is, and emptied.
async fn measure(server: &TestRedis, ledger: &Ledger, callers: u64, bookings: u64) {
    let doc = doc(bookings + callers);
    define(ledger, &doc).await;
    let (owner, _) = Owner::start("first", &doc, server, ledger).await;
    book(&owner, &doc.id, callers, bookings).await;
    drop(owner);
    for emptied in [false, true, true, true] {
        if emptied {
            server.redis().raw(&[b"FLUSHALL"]).await.unwrap();
        }
        let (owner, took) = Owner::start("next", &doc, server, ledger).await;
        let redis = if emptied { "emptied" } else { "as it was" };
        println!(
            "the next owner serves a lane of {} events after {took:.2?} (Redis {redis})",
            owner.lane.status().head
        );
    }
}

fn main() {
    let number = |n: usize, default: u64| std::env::args().nth(n).and_then(|a| a.parse().ok()).unwrap_or(default);
    let (callers, bookings) = (number(1, 512), number(2, 100_000));
    let server = TestRedis::start().unwrap();
    let directory = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let ledger = match std::env::args().nth(3) {
            None => Ledger::sqlite(&directory.path().join("ledger.db")).unwrap(),
            Some(point) => {
                let settings = Settings::new(vec![point], "holdfast_throughput");
                migrate(&settings, Some(Replication { factor: 1 })).await.unwrap();
                Ledger::cql(&settings).await.unwrap()
            }
        };
        measure(&server, &ledger, callers, bookings).await;
    });
}
