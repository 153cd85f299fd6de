//! Runs with many visitors, judged by the log alone.

use std::sync::Arc;
use std::time::Duration;

use admission::Claim;

use crate::support::{RoomOf, World, check_log, insist, visitor};

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_claims_never_go_beyond_the_pace_in_any_window() {
    let world = World::open(RoomOf { pace: 30_000, cap: 10_000, ..RoomOf::default() }).await;
    let owner = world.owner("one").await;
    let joins = (1..=2_000).map(|who| {
        let line = owner.line.clone();
        tokio::spawn(async move { (who, insist(|| line.join(visitor(who), None)).await.number) })
    });
    let joins: Vec<_> = joins.collect();
    let mut claims = Vec::new();
    for join in joins {
        let ((who, number), line) = (join.await.unwrap(), owner.line.clone());
        claims.push(tokio::spawn(async move {
            loop {
                match insist(|| line.claim(visitor(who), number)).await {
                    Claim::Granted { .. } => return,
                    Claim::NotYet { .. } => tokio::time::sleep(Duration::from_millis(20)).await,
                    other => panic!("{other:?}"),
                }
            }
        }));
    }
    for claim in claims {
        claim.await.unwrap();
    }
    owner.stop().await;
    let log = world.log().await;
    check_log(&log, 30_000, 10_000);
    let (entries, granted): (Vec<_>, Vec<_>) =
        log.iter().map(|e| (usize::from(!e.granted.is_empty()), e.granted.len())).unzip();
    println!("{} passes in {} of {} entries", granted.iter().sum::<usize>(), entries.iter().sum::<usize>(), log.len());
    assert_eq!(granted.iter().sum::<usize>(), 2_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cap_is_never_exceeded_while_people_come_and_go_and_the_owner_changes() {
    let world = Arc::new(World::open(RoomOf { cap: 20, ttl_ms: 400, grace_ms: 100, ..RoomOf::default() }).await);
    let one = world.owner("one").await;
    let visits = |line: &admission::Line, range: std::ops::Range<u64>| {
        range
            .map(|who| {
                let line = line.clone();
                tokio::spawn(async move {
                    let Ok(place) = line.join(visitor(who), None).await else { return };
                    for _ in 0..300 {
                        match line.claim(visitor(who), place.number).await {
                            Ok(Claim::Granted { .. }) if who % 10 == 0 => return,
                            Ok(Claim::Granted { .. }) => {
                                let _ = line.leave(visitor(who), place.number).await;
                                return;
                            }
                            _ => tokio::time::sleep(Duration::from_millis(10 + who % 7)).await,
                        }
                    }
                })
            })
            .collect::<Vec<_>>()
    };
    let first = visits(&one.line, 0..200);
    for visit in first {
        visit.await.unwrap();
    }
    let second = visits(&one.line, 200..300);
    one.kill().await;
    let two = world.owner("two").await;
    let third = visits(&two.line, 300..450);
    for visit in second.into_iter().chain(third) {
        visit.await.unwrap();
    }
    two.stop().await;
    let log = world.log().await;
    check_log(&log, 60_000, 20);
    assert!(log.iter().map(|entry| entry.granted.len()).sum::<usize>() > 100, "people got in");
}
