//! What visitors see on a good day.

use admission::{Claim, Joined, LineError, NotYet};

use crate::support::{RoomOf, World, actor, check_log, eventually, is_again, sale, visitor};

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_joins_is_called_enters_leaves_and_joins_again() {
    let world = World::open(RoomOf::default()).await;
    let owner = world.owner("one").await;
    let first = owner.join(1, None).await;
    assert_eq!(first, Joined { number: 1, new: true });
    assert_eq!(owner.join(1, None).await, Joined { number: 1, new: false }, "a refresh gives the same place");
    assert_eq!(owner.join(1, Some(1)).await, Joined { number: 1, new: false });
    let expires = owner.pass(1, 1).await;
    let again = owner.claim(1, 1).await;
    assert!(is_again(again, 1, expires), "one ticket has one pass");
    assert_eq!(owner.join(1, Some(1)).await.number, 1, "while the pass lives the ticket is the place");
    owner.leave(1, 1).await;
    owner.leave(1, 1).await;
    assert_eq!(owner.claim(1, 1).await, Claim::Ended);
    assert_eq!(owner.join(1, Some(1)).await, Joined { number: 2, new: true }, "after it ended there is a new number");
    assert_eq!(owner.join(1, None).await, Joined { number: 2, new: false });
    owner.stop().await;
    check_log(&world.log().await, 60_000, 10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_without_a_ticket_whose_pass_ended_gets_a_new_number() {
    let world = World::open(RoomOf::default()).await;
    let owner = world.owner("one").await;
    let number = owner.join(1, None).await.number;
    owner.pass(1, number).await;
    owner.line.ended(vec![number]);
    eventually("the booking's end is logged", || async { owner.claim(1, number).await == Claim::Ended }).await;
    assert_eq!(owner.join(1, None).await, Joined { number: number + 1, new: true });
    owner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_follow_the_order_of_arrival_without_holes_or_doubles() {
    let world = World::open(RoomOf { cap: 0, ..RoomOf::default() }).await;
    let owner = world.owner("one").await;
    let joins = (0..3_000).map(|n| {
        let line = owner.line.clone();
        tokio::spawn(async move { line.join(visitor(n), None).await.unwrap().number })
    });
    let mut numbers = Vec::new();
    for join in joins.collect::<Vec<_>>() {
        numbers.push(join.await.unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=3_000).collect::<Vec<_>>());
    eventually("the status tells how many came", || async { owner.status().issued == 3_000 }).await;
    owner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_in_front_of_the_frontier_waits_and_a_full_room_says_so() {
    let world = World::open(RoomOf { cap: 1, ..RoomOf::default() }).await;
    let owner = world.owner("one").await;
    for who in 1..=3 {
        owner.join(who, None).await;
    }
    owner.pass(1, 1).await;
    let waits = owner.claim(2, 2).await;
    assert!(
        matches!(waits, Claim::NotYet { why: NotYet::NotCalled, retry_after_ms } if retry_after_ms >= 100),
        "{waits:?}"
    );
    owner.leave(1, 1).await;
    owner.pass(2, 2).await;
    owner.stop().await;
    check_log(&world.log().await, 60_000, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_that_is_not_open_or_closed_takes_nobody() {
    let world = World::scheduled(RoomOf::default()).await;
    let owner = world.owner("one").await;
    assert_eq!(owner.line.join(visitor(1), None).await, Err(LineError::NotOpen));
    assert_eq!(owner.line.claim(visitor(1), 1).await, Err(LineError::NotOpen));
    world.sales.open(&sale(), actor()).await.unwrap();
    let number = owner.join(1, None).await.number;
    let late = owner.join(2, None).await.number;
    let expires = owner.pass(1, number).await;
    world.sales.close(&sale(), actor()).await.unwrap();
    assert_eq!(owner.line.join(visitor(3), None).await, Err(LineError::Closed));
    assert_eq!(owner.line.claim(visitor(2), late).await, Err(LineError::Closed));
    assert!(is_again(owner.claim(1, number).await, number, expires), "who is inside stays");
    owner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_owner_every_request_is_turned_away_at_once() {
    let world = World::open(RoomOf::default()).await;
    let owner = world.owner("one").await;
    let line = owner.line.clone();
    owner.stop().await;
    assert_eq!(line.join(visitor(1), None).await, Err(LineError::NoOwner));
    assert_eq!(line.claim(visitor(1), 1).await, Err(LineError::NoOwner));
    assert_eq!(line.leave(visitor(1), 1).await, Err(LineError::NoOwner));
    assert!(!line.status().owned);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tabs_that_claim_at_once_get_one_pass() {
    let world = World::open(RoomOf::default()).await;
    let owner = world.owner("one").await;
    let number = owner.join(1, None).await.number;
    owner.frontier(number).await;
    let tabs: Vec<_> = (0..20)
        .map(|_| {
            let line = owner.line.clone();
            tokio::spawn(async move { line.claim(visitor(1), number).await.unwrap() })
        })
        .collect();
    let (mut first, mut ends) = (0, Vec::new());
    for tab in tabs {
        let Claim::Granted { expires, again, .. } = tab.await.unwrap() else { panic!("no pass") };
        first += u32::from(!again);
        ends.push(expires);
    }
    assert!(first == 1 && ends.iter().all(|end| *end == ends[0]));
    owner.stop().await;
    let granted: Vec<u64> = world.log().await.iter().flat_map(|entry| entry.granted.clone()).collect();
    assert_eq!(granted, [number]);
}
