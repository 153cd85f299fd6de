//! Durable bookings a second through one lane's owner, without HTTP: a real redis-server, a real SQLite ledger, callers in this
//! process. `cargo run --release -p booker --example throughput [callers] [bookings]`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::cast_precision_loss)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use booker::{ConfirmAnswer, HoldAnswer, HoldRequest, Lane, LaneConfig};
use domain::event::Event as _;
use domain::sale::HoldTimes;
use domain::{Act, Actor, Admission, HoldId, Item, LogId, Millis, SaleDoc, SaleEvent, SaleId, VisitorHash};
use ledger::Ledger;
use lua::server::TestRedis;
use tokio::sync::{mpsc, watch};

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
        items: vec![Item { id: "hot".parse().unwrap(), title: None, units, price: None }],
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

fn main() {
    let number = |n: usize, default: u64| std::env::args().nth(n).and_then(|a| a.parse().ok()).unwrap_or(default);
    let (callers, bookings) = (number(1, 512), number(2, 100_000));
    let directory = tempfile::tempdir().unwrap();
    let ledger = Ledger::sqlite(&directory.path().join("ledger.db")).unwrap();
    let server = TestRedis::start().unwrap();
    let doc = doc(bookings + callers);
    let sale = doc.id.clone();
    let (ended, _keep) = mpsc::unbounded_channel();
    let (sender, seen) = watch::channel(Arc::new(doc.clone()));
    let config = LaneConfig {
        sale: sale.clone(),
        lane: 0,
        doc: seen,
        owner: "bench".into(),
        siblings: booker::Siblings::default(),
    };
    let (lane, owner) = booker::lane(config, server.redis(), ledger.clone(), ended);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let booker = std::thread::spawn(move || runtime().block_on(owner.run(async move { drop(stopped.await) })));
    runtime().block_on(async {
        define(&ledger, &doc).await;
        while lane.status().head == 0 || lane.status().settled != lane.status().head {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let begin = Instant::now();
        let each = bookings / callers;
        let tasks: Vec<_> =
            (0..callers).map(|c| tokio::spawn(caller(lane.clone(), sale.clone(), c * each, each))).collect();
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
        let status = lane.status();
        println!("settle lag at the end: {} events", status.head - status.settled);
    });
    drop((stop, sender));
    booker.join().unwrap();
}
