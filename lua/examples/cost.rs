//! What holds, confirms, settles and joins cost the server and this crate: microseconds of CPU per request in groups of 1, 8
//! and 64, and bytes per record. Starts its own redis-server (AOF everysec).
//!
//! `cargo run --release -p lua --example cost [requests]`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::cast_precision_loss, missing_docs)]

use std::collections::{BTreeMap, HashMap};

use domain::{Fingerprint, HoldId, ItemId, Lines, Millis, SaleId, VisitorHash};
use futures_util::future::join_all;
use lua::lane::{
    self, ConfirmRequest, HoldGroup, HoldReply, HoldRequest, LoadBegin, LoadEnd, Settle, SettleEvent, Settling,
};
use lua::line::{self, JoinGroup, JoinRequest, LineState};
use lua::server::TestRedis;
use lua::{LaneKeys, LineKeys, Redis};

/// Calls under way at once.
const IN_FLIGHT: usize = 4;
/// Name of the sale that is measured.
const SALE: &str = "bench";

struct Bench {
    redis: Redis,
    lane: LaneKeys,
    line: LineKeys,
    sale: SaleId,
    item: ItemId,
    lines: Lines,
    fp: Fingerprint,
}

async fn info(redis: &Redis, section: &str) -> HashMap<String, f64> {
    let value = redis.raw(&[b"INFO", section.as_bytes()]).await.unwrap();
    let text: String = redis::from_redis_value(value).unwrap();
    text.lines()
        .filter_map(|line| Some((line.split_once(':')?.0.to_owned(), line.split_once(':')?.1.parse().ok()?)))
        .collect()
}

async fn cpu_us(redis: &Redis) -> f64 {
    let cpu = info(redis, "cpu").await;
    (cpu["used_cpu_user_main_thread"] + cpu["used_cpu_sys_main_thread"]) * 1e6
}

/// CPU of this thread so far, which runs all calls.
fn own_cpu_us() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e3
}

fn visitor(n: u64) -> VisitorHash {
    let mut bytes = [0; 16];
    // Spread, as hashes are.
    bytes[..8].copy_from_slice(&n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
    bytes[8..].copy_from_slice(&n.wrapping_mul(0xD6E8_FEB8_6659_FD93).to_be_bytes());
    VisitorHash(bytes)
}

impl Bench {
    fn id(&self, n: u64) -> HoldId {
        HoldId::derive(&self.sale, 0, &visitor(n), "key")
    }

    async fn load(&self) {
        let free = [(self.item.clone(), 100_000_000)].into_iter().collect();
        lane::load_begin(&self.redis, &self.lane, &LoadBegin { epoch: 1, head: 0, free, moved: BTreeMap::new() })
            .await
            .unwrap();
        lane::load_end(&self.redis, &self.lane, &LoadEnd { epoch: 1, head: 0, n: 0 }).await.unwrap();
        let state = LineState { epoch: 1, settled: 1, frontier: 0, numbers_to: 0, doc: String::new() };
        line::load(&self.redis, &self.line, &state).await.unwrap();
    }

    async fn hold(&self, from: u64, group: u64) {
        let request =
            |n| HoldRequest { id: self.id(n), visitor: visitor(n), fp: self.fp, lines: self.lines.clone(), pass: None };
        let group = HoldGroup {
            ttl_ms: 300_000,
            limit: Some(4),
            most: 20,
            faults: std::sync::Arc::new(domain::fault::KnownFaults::none()),
            requests: (from..from + group).map(request).collect(),
        };
        let replies = lane::hold(&self.redis, &self.lane, &group).await.unwrap().replies;
        assert!(replies.iter().all(|reply| matches!(reply, HoldReply::Held(_))), "{replies:?}");
    }

    async fn confirm(&self, from: u64, group: u64) {
        let request = |n| ConfirmRequest { id: self.id(n), visitor: visitor(n), pass: None };
        let requests: Vec<_> = (from..from + group).map(request).collect();
        lane::confirm(&self.redis, &self.lane, &requests).await.unwrap();
    }

    async fn settle(&self, from: u64, group: u64, expected: u64) {
        let booked = |n| Settling::Booked {
            id: self.id(n),
            visitor: visitor(n),
            fp: self.fp,
            pass: None,
            lines: self.lines.clone(),
            at: Millis(1_800_000_000_000),
        };
        let events = (from..from + group).zip(expected + 1..).map(|(n, seq)| SettleEvent { seq, what: booked(n) });
        let settle = Settle { expected, events: events.collect(), ..Settle::default() };
        lane::settle(&self.redis, &self.lane, &settle).await.unwrap();
    }

    async fn join(&self, from: u64, group: u64) {
        let visitors = (from..from + group).map(|n| JoinRequest { visitor: visitor(n), replace: None });
        let group = JoinGroup { epoch: 1, first_number: from + 1, visitors: visitors.collect() };
        line::join(&self.redis, &self.line, &group).await.unwrap();
    }

    /// Runs calls for `requests` requests in groups; CPU per request of the server, and of this thread.
    async fn run(&self, requests: u64, group: u64, in_flight: usize, what: impl AsyncFn(u64)) -> (f64, f64) {
        let (before, own) = (cpu_us(&self.redis).await, own_cpu_us());
        let starts: Vec<u64> = (0..requests / group).map(|n| n * group).collect();
        for calls in starts.chunks(in_flight) {
            join_all(calls.iter().map(|from| what(*from))).await;
        }
        let (own, requests) = (own_cpu_us() - own, (requests / group * group) as f64);
        ((cpu_us(&self.redis).await - before) / requests, own / requests)
    }

    async fn bytes(&self, key: &str, count: &str) -> f64 {
        let usage = self.redis.raw(&[b"MEMORY", b"USAGE", key.as_bytes(), b"SAMPLES", b"0"]).await.unwrap();
        let size = self.redis.raw(&[count.as_bytes(), key.as_bytes()]).await.unwrap();
        let (usage, size): (f64, f64) =
            (redis::from_redis_value(usage).unwrap(), redis::from_redis_value(size).unwrap());
        if size > 0.0 { usage / size } else { 0.0 }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let requests: u64 = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(100_000);
    let server = TestRedis::start().unwrap();
    let sale: SaleId = SALE.parse().unwrap();
    let item: ItemId = "standing".parse().unwrap();
    let lines: Lines = [(item.clone(), 1)].into_iter().collect();
    let bench = Bench {
        redis: server.redis(),
        lane: LaneKeys::new(&sale, 0),
        line: LineKeys::new(&sale),
        fp: Fingerprint::of(&lines),
        sale,
        item,
        lines,
    };
    println!("{requests} requests each; CPU in microseconds per request: server, client");
    println!("{:>6} {:>15} {:>15} {:>15} {:>15}", "group", "hold", "confirm", "settle", "join");
    let mut memory = vec![];
    for group in [1, 8, 64] {
        bench.redis.raw(&[b"FLUSHALL"]).await.unwrap();
        bench.load().await;
        let hold = bench.run(requests, group, IN_FLIGHT, async |from| bench.hold(from, group).await).await;
        let held = [
            ("hold", bench.bytes(bench.lane.holds(), "HLEN").await),
            ("deadline", bench.bytes(bench.lane.due(), "ZCARD").await),
            ("visitor", bench.bytes(bench.lane.visitors(), "HLEN").await),
        ];
        let few = requests.min(9_000); // the set of intents is bounded
        let confirm = bench.run(few, group, IN_FLIGHT, async |from| bench.confirm(from, group).await).await;
        let settle = bench.run(few, group, 1, async |from| bench.settle(from, group, from).await).await;
        let join = bench.run(requests, group, 1, async |from| bench.join(from, group).await).await;
        let both = |(server, client): (f64, f64)| format!("{server:.2} {client:.2}");
        println!("{group:>6} {:>15} {:>15} {:>15} {:>15}", both(hold), both(confirm), both(settle), both(join));
        memory = held.to_vec();
        memory.push(("ticket", bench.bytes(bench.line.tickets(), "HLEN").await));
    }
    println!("bytes per record (MEMORY USAGE):");
    for (what, bytes) in memory {
        println!("{what:>10} {bytes:.0}");
    }
}
