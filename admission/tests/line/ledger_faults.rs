//! What the ledger may do to a line.

use admission::{Claim, LineError};
use domain::limits::NUMBER_BLOCK;
use ledger::faulty::{Call, Fault, Gate};

use crate::support::{RoomOf, World, check_log, eventually, insist, is_again, visitor};

/// Numbers granted over all entries.
async fn granted(world: &World) -> Vec<u64> {
    world.log().await.into_iter().flat_map(|entry| entry.granted).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_whose_append_lost_its_answer_ends_as_one_pass() {
    let world = World::open(RoomOf::default()).await;
    let owner = world.owner("one").await;
    let number = owner.join(1, None).await.number;
    owner.frontier(number).await;
    let fence = owner.status().fence;
    world.faulty.next(Call::Append, Fault::LoseAnswer);
    assert_eq!(owner.line.claim(visitor(1), number).await, Err(LineError::Unknown), "nobody guesses");
    let expires = owner.pass(1, number).await;
    assert!(is_again(owner.claim(1, number).await, number, expires));
    assert_eq!(granted(&world).await, [number]);
    eventually("it claimed anew", || async { owner.status().fence > fence }).await;
    owner.stop().await;
    check_log(&world.log().await, 60_000, 10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_that_lands_after_it_was_given_up_does_no_harm() {
    let world = World::open(RoomOf { cap: 1, ..RoomOf::default() }).await;
    let owner = world.owner("one").await;
    for who in 1..=2 {
        owner.join(who, None).await;
    }
    owner.frontier(1).await;
    let gate = Gate::closed();
    world.faulty.next(Call::Append, Fault::Late(gate.clone()));
    assert_eq!(owner.line.claim(visitor(1), 1).await, Err(LineError::Unknown));
    owner.pass(1, 1).await;
    gate.open();
    gate.arrived(1).await;
    owner.leave(1, 1).await;
    owner.pass(2, 2).await;
    owner.stop().await;
    assert_eq!(granted(&world).await, [1, 2]);
    check_log(&world.log().await, 60_000, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_answered_a_pass_before_the_log_has_it() {
    let world = World::open(RoomOf::default()).await;
    let owner = world.owner("one").await;
    let number = owner.join(1, None).await.number;
    owner.frontier(number).await;
    let gate = Gate::closed();
    world.faulty.next(Call::Append, Fault::HoldBefore(gate.clone()));
    let line = owner.line.clone();
    let claim = tokio::spawn(async move { line.claim(visitor(1), number).await });
    gate.arrived(1).await;
    // The owner goes on serving others meanwhile.
    owner.join(2, None).await;
    assert!(!claim.is_finished() && granted(&world).await.is_empty());
    gate.open();
    assert!(matches!(claim.await.unwrap(), Ok(Claim::Granted { .. })));
    owner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_ledger_is_away_nobody_is_called_and_joins_go_on_within_the_block() {
    let world = World::open(RoomOf { cap: 3, ..RoomOf::default() }).await;
    let owner = world.owner("one").await;
    for who in 0..10 {
        owner.join(who, None).await;
    }
    owner.pass(0, 1).await;
    owner.frontier(3).await;
    world.faulty.always(Call::Append, Fault::Refuse);
    assert_eq!(owner.line.claim(visitor(1), 2).await, Err(LineError::Unavailable));
    let joins: Vec<_> = (100..100 + NUMBER_BLOCK)
        .map(|who| {
            let line = owner.line.clone();
            tokio::spawn(async move { line.join(visitor(who), None).await })
        })
        .collect();
    let (mut joined, mut refused) = (0, 0);
    for join in joins {
        match join.await.unwrap() {
            Ok(place) => {
                assert!(place.number <= NUMBER_BLOCK);
                joined += 1;
            }
            Err(LineError::Unavailable) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!((joined, refused), (NUMBER_BLOCK - 10, 10), "the block, and no number more");
    assert_eq!(owner.status().frontier, 3);
    assert_eq!(granted(&world).await, [1]);
    world.faulty.heal();
    owner.pass(1, 2).await;
    assert_eq!(owner.join(99_999, None).await.number, NUMBER_BLOCK + 1);
    owner.stop().await;
    check_log(&world.log().await, 60_000, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_take_over_waits_for_the_ledger() {
    let world = World::open(RoomOf::default()).await;
    world.faulty.always(Call::Claim, Fault::Refuse);
    let owner = world.start("one");
    assert_eq!(owner.line.join(visitor(1), None).await, Err(LineError::NoOwner));
    world.faulty.heal();
    owner.owning().await;
    owner.join(1, None).await;
    owner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_lost_entries_stops_the_line() {
    let world = World::open(RoomOf::default()).await;
    // Redis remembers an owner that the ledger has never heard of.
    let keys = lua::LineKeys::new(&crate::support::sale());
    let state = lua::line::LineState { epoch: 40, settled: 900, frontier: 70, numbers_to: 10_000, doc: String::new() };
    lua::line::load(&world.redis, &keys, &state).await.unwrap();
    let owner = world.start("one");
    eventually("it has looked twice and stopped", || async {
        world.faulty.calls(Call::Head) >= 1 && !owner.status().owned && world.faulty.calls(Call::Claim) >= 2
    })
    .await;
    let claims = world.faulty.calls(Call::Claim);
    assert_eq!(owner.line.join(visitor(1), None).await, Err(LineError::NoOwner));
    eventually("it says so", || async { owner.status().stopped }).await;
    eventually("it lets its lease run out", || async {
        let lease = lua::lease::take(&world.redis, (&keys).into(), "another", 1).await;
        lease.is_ok_and(|lease| lease == lua::lease::Lease::Mine)
    })
    .await;
    assert_eq!(world.faulty.calls(Call::Claim), claims, "it does not try again");
    owner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_steps_back_never_takes_the_log_back() {
    let world = World::open(RoomOf::default()).await;
    let owner = world.owner("one").await;
    owner.join(1, None).await;
    let expires = owner.pass(1, 1).await;
    world.clock.by(-30_000);
    owner.join(2, None).await;
    assert_eq!(owner.pass(2, 2).await, expires.max(owner.pass(2, 2).await));
    owner.stop().await;
    let two = world.owner("two").await;
    let third = two.join(3, None).await.number;
    insist(|| two.line.claim(visitor(3), third)).await;
    two.pass(3, third).await;
    two.stop().await;
    check_log(&world.log().await, 60_000, 10_000);
}
