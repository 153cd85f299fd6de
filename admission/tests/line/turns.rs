//! Turns that end, turns nobody claims, and those who come late.

use admission::{Claim, NotYet};

use crate::support::{RoomOf, World, check_log, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_pass_frees_its_place_for_the_next() {
    let world = World::open(RoomOf { cap: 1, ttl_ms: 200, ..RoomOf::default() }).await;
    let owner = world.owner("one").await;
    for who in 1..=3 {
        owner.join(who, None).await;
    }
    let mut last = 0;
    for who in 1..=3 {
        let expires = owner.pass(who, who).await;
        assert!(
            who == 1 || expires.0 >= last + 200 + domain::limits::PASS_SKEW_MS,
            "a place is free one skew after it expired"
        );
        last = expires.0;
    }
    assert_eq!(owner.claim(1, 1).await, Claim::Ended);
    owner.stop().await;
    let log = world.log().await;
    check_log(&log, 60_000, 1);
    let ended: Vec<u64> = log.into_iter().flat_map(|entry| entry.ended).collect();
    assert_eq!(ended, [1, 2], "ends by expiry are logged");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unclaimed_turn_passes_on_and_its_visitor_enters_late() {
    let world = World::open(RoomOf { cap: 1, grace_ms: 300, ..RoomOf::default() }).await;
    let owner = world.owner("one").await;
    for who in 1..=2 {
        owner.join(who, None).await;
    }
    owner.frontier(1).await;
    assert_eq!(owner.status().frontier, 1, "the first one's turn is kept");
    owner.frontier(2).await;
    owner.pass(2, 2).await;
    let late = owner.claim(1, 1).await;
    assert!(matches!(late, Claim::NotYet { why: NotYet::CapFull, .. }), "late, and subject to the cap: {late:?}");
    owner.leave(2, 2).await;
    owner.pass(1, 1).await;
    owner.stop().await;
    let log = world.log().await;
    check_log(&log, 60_000, 1);
    let called = |number| log.iter().find(|entry| entry.frontier >= number).unwrap().at.0;
    assert!(called(2) >= called(1) + 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_called_while_the_stock_is_gone_or_unknown() {
    use admission::Snapshot;
    use admission::step::Binding;
    use domain::Millis;
    let world = World::open(RoomOf::default()).await;
    let show = |free, as_of| world.view.show(Snapshot { free, stock_as_of: as_of, ..Snapshot::default() });
    show(0, Some(Millis(u64::MAX)));
    let owner = world.owner("one").await;
    for who in 1..=20 {
        owner.join(who, None).await;
    }
    eventually("the stock binds", || async { owner.status().binding == Binding::Stock }).await;
    show(100, None);
    eventually("not knowing binds", || async { owner.status().binding == Binding::Unknown }).await;
    assert_eq!(owner.status().frontier, 0);
    show(3, Some(Millis(u64::MAX)));
    eventually("three units call three people", || async {
        owner.status().frontier == 3 && owner.status().binding == Binding::Stock
    })
    .await;
    owner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_smaller_cap_or_pace_counts_from_the_next_decision() {
    let world = World::open(RoomOf { cap: 5, ..RoomOf::default() }).await;
    let owner = world.owner("one").await;
    for who in 1..=12 {
        owner.join(who, None).await;
    }
    for who in 1..=5 {
        owner.pass(who, who).await;
    }
    world.change(RoomOf { cap: 2, ..RoomOf::default() }).await;
    for who in 1..=3 {
        owner.leave(who, who).await;
    }
    let full = owner.claim(6, 6).await;
    assert!(matches!(full, Claim::NotYet { .. }), "{full:?}");
    owner.leave(4, 4).await;
    owner.pass(6, 6).await;
    owner.stop().await;
}
