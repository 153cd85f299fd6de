//! More than one process that wants the line.

use std::collections::BTreeSet;

use admission::{Claim, Joined, LineError};
use domain::LogId;
use domain::limits::NUMBER_BLOCK;

use crate::support::{RoomOf, World, check_log, eventually, insist, is_again, sale, visitor};

#[tokio::test(flavor = "multi_thread")]
async fn the_line_outlives_its_owner() {
    let world = World::open(RoomOf::default()).await;
    let one = world.owner("one").await;
    for who in 1..=5 {
        one.join(who, None).await;
    }
    let expires = one.pass(1, 1).await;
    one.kill().await;
    let two = world.owner("two").await;
    assert!(is_again(two.claim(1, 1).await, 1, expires), "the pass is the log's");
    for who in 2..=5 {
        assert_eq!(two.join(who, None).await, Joined { number: who, new: false });
        two.pass(who, who).await;
    }
    assert_eq!(two.join(6, None).await.number, NUMBER_BLOCK + 1);
    two.pass(6, NUMBER_BLOCK + 1).await;
    two.stop().await;
    check_log(&world.log().await, 60_000, 10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_by_another_makes_the_owner_fold_anew_and_nothing_is_given_twice() {
    let world = World::open(RoomOf::default()).await;
    let owner = world.owner("one").await;
    let mut numbers = BTreeSet::new();
    for round in 0..5 {
        for who in 0..20 {
            let place = owner.join(round * 100 + who, None).await;
            assert!(place.new && numbers.insert(place.number), "{place:?}");
        }
        let fence = owner.status().fence;
        world.ledger.claim(&LogId::line(&sale()), "a stranger").await.unwrap();
        eventually("it has claimed again", || async { owner.status().fence > fence + 1 && owner.status().loaded })
            .await;
    }
    for (who, number) in (0..5).flat_map(|round| (0..20).map(move |who| round * 100 + who)).zip(numbers) {
        owner.pass(who, number).await;
    }
    owner.stop().await;
    check_log(&world.log().await, 60_000, 10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_owners_only_the_fence_s_one_lets_in() {
    let world = World::open(RoomOf { cap: 5, ..RoomOf::default() }).await;
    let one = world.owner("one").await;
    for who in 1..=8 {
        one.join(who, None).await;
    }
    one.frontier(5).await;
    // The lease changes hands while the first owner is alive and believes in itself.
    let lease = lua::LineKeys::new(&sale());
    world.raw(&["SET", lease.lease(), "two", "PX", "20000"]).await;
    let two = world.start("two");
    two.owning().await;
    for who in 1..=3 {
        two.pass(who, who).await;
    }
    let passes = (4..=8).map(|who| (who, one.line.clone(), two.line.clone())).map(|(who, a, b)| {
        tokio::spawn(async move { (a.claim(visitor(who), who).await, b.claim(visitor(who), who).await) })
    });
    for pass in passes.collect::<Vec<_>>() {
        let (old, _) = pass.await.unwrap();
        // From its older fold it may still say "wait", never "enter".
        let waits = matches!(
            old,
            Ok(Claim::NotYet { .. }) | Err(LineError::NoOwner | LineError::Unknown | LineError::NotLoaded)
        );
        assert!(waits, "{old:?}");
    }
    let stale = one.line.join(visitor(90), None).await;
    assert!(matches!(stale, Err(LineError::NoOwner | LineError::NotLoaded)), "{stale:?}");
    assert!(two.join(91, None).await.number > NUMBER_BLOCK);
    two.kill().await;
    world.raw(&["DEL", lease.lease()]).await;
    eventually("the first one has the line again", || async { one.status().owned && one.status().loaded }).await;
    let back = insist(|| one.line.join(visitor(90), None)).await;
    assert!(back.new && back.number > 2 * NUMBER_BLOCK);
    one.stop().await;
    check_log(&world.log().await, 60_000, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_stops_hands_the_lease_over() {
    let world = World::open(RoomOf::default()).await;
    let one = world.owner("one").await;
    let two = world.start("two");
    one.join(1, None).await;
    one.stop().await;
    let begin = std::time::Instant::now();
    two.owning().await;
    assert!(begin.elapsed().as_millis() < 900, "it need not wait until the lease has run out: {:?}", begin.elapsed());
    assert_eq!(two.join(1, None).await, Joined { number: 1, new: false });
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn restarts_without_new_visitors_use_up_no_numbers() {
    let world = World::open(RoomOf { cap: 0, ..RoomOf::default() }).await;
    for _ in 0..3 {
        let owner = world.owner("one").await;
        owner.stop().await;
    }
    assert_eq!(world.log().await.len(), 0);
    let owner = world.owner("one").await;
    assert_eq!(owner.join(1, None).await.number, 1);
    owner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_redis_is_lost_with_the_owner_everybody_in_the_last_block_is_called_together() {
    let world = World::open(RoomOf { cap: 4, ..RoomOf::default() }).await;
    let one = world.owner("one").await;
    for who in 1..=20 {
        one.join(who, None).await;
    }
    one.frontier(4).await;
    one.kill().await;
    world.wipe().await;
    let two = world.owner("two").await;
    // Nobody knows how far the numbers went; nobody waits for people who may not exist.
    let newcomer = two.join(50, None).await.number;
    assert_eq!(newcomer, NUMBER_BLOCK + 1);
    for who in 1..=20 {
        assert_eq!(two.join(who, Some(who)).await.number, who);
    }
    for who in 1..=20 {
        two.pass(who, who).await;
        two.leave(who, who).await;
    }
    two.pass(50, newcomer).await;
    two.stop().await;
    check_log(&world.log().await, 60_000, 4);
}
