//! Figures, by hand: `cargo test -p admission --test line figures -- --ignored --nocapture --test-threads 1`.

use std::time::Instant;

use futures_util::future::join_all;

use crate::support::{RoomOf, World, insist, visitor};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures; run by hand"]
async fn joins_and_claims_per_second() {
    const CLIENTS: u64 = 256;
    let world = World::open(RoomOf { pace: 60_000_000, cap: 1_000_000, ..RoomOf::default() }).await;
    let owner = world.owner("one").await;
    for (from, to) in [(0, 20_000), (20_000, 40_000), (40_000, 200_000), (200_000, 220_000), (220_000, 240_000)] {
        let begin = Instant::now();
        join_all((0..CLIENTS).map(|client| {
            let line = owner.line.clone();
            tokio::spawn(async move {
                for who in (from..to).filter(|who| who % CLIENTS == client) {
                    insist(|| line.join(visitor(who), None)).await;
                }
            })
        }))
        .await;
        let rate = (to - from) as f64 / begin.elapsed().as_secs_f64();
        println!("{rate:.0} joins/s with {from} to {to} in line, {CLIENTS} clients");
    }
    let tickets = lua::LineKeys::new(&crate::support::sale());
    let usage = world.redis.raw(&[b"MEMORY", b"USAGE", tickets.tickets().as_bytes(), b"SAMPLES", b"0"]).await.unwrap();
    println!("{usage:?} bytes for 240,000 visitors in line");
    owner.frontier(20_000).await;
    let begin = Instant::now();
    join_all((0..CLIENTS).map(|client| {
        let line = owner.line.clone();
        tokio::spawn(async move {
            for who in (0..20_000).filter(|who| who % CLIENTS == client) {
                let place = insist(|| line.join(visitor(who), None)).await;
                insist(|| line.claim(visitor(who), place.number)).await;
            }
        })
    }))
    .await;
    let seconds = begin.elapsed().as_secs_f64();
    let log = world.log().await;
    let (passes, entries) =
        (log.iter().map(|e| e.granted.len()).sum::<usize>(), log.iter().filter(|e| !e.granted.is_empty()).count());
    println!("{:.0} joins with claims/s, {passes} passes in {entries} entries", 20_000.0 / seconds);
    owner.stop().await;
}
