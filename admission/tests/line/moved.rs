//! Places that move to another device: one place stays one place, whoever shows what, and whoever owns the line.

use admission::{Claim, Joined, LineError};
use domain::limits::MOVE_CODE_MS;

use crate::support::{RoomOf, World, check_log, eventually, insist, visitor};

/// Shows a code until there is an answer of the owner's own.
async fn take_over(owner: &crate::support::Owner, who: u64, code: u64) -> Result<u64, LineError> {
    loop {
        match owner.line.move_to(visitor(who), code).await {
            Err(LineError::Unavailable | LineError::Unknown | LineError::NotLoaded) => {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            answer => return answer,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moved_place_is_the_other_visitor_s_alone_also_for_the_next_owner() {
    let world = World::open(RoomOf { cap: 10, ..RoomOf::default() }).await;
    let one = world.owner("one").await;
    for who in 1..=3 {
        one.join(who, None).await;
    }
    insist(|| one.line.offer(visitor(2), 2, 77)).await;
    assert_eq!(take_over(&one, 9, 77).await, Ok(2));
    assert_eq!(take_over(&one, 9, 77).await, Ok(2), "a lost answer is asked for again");
    assert_eq!(take_over(&one, 8, 77).await, Err(LineError::NoMove), "a code is good once");
    assert_eq!(one.line.claim(visitor(2), 2).await, Err(LineError::Moved));
    assert_eq!(one.line.offer(visitor(2), 2, 78).await, Err(LineError::Moved), "nor can it be given away again");
    one.kill().await;

    let two = world.owner("two").await;
    assert_eq!(two.line.claim(visitor(2), 2).await, Err(LineError::Moved));
    assert_eq!(take_over(&two, 9, 77).await, Err(LineError::NoMove), "codes end with their owner");
    assert_eq!(two.join(9, None).await, Joined { number: 2, new: false }, "the place is found without its ticket");
    let again = two.join(2, Some(2)).await;
    assert!(again.new && again.number > 3, "the old device gets a place at the end: {again:?}");
    assert_eq!(two.join(2, None).await.number, again.number);
    two.pass(9, 2).await;
    assert_eq!(two.line.claim(visitor(2), 2).await, Err(LineError::Moved), "one place, one pass");
    two.stop().await;
    let log = world.log().await;
    check_log(&log, 60_000, 10);
    let moved: Vec<_> = log.into_iter().flat_map(|entry| entry.moved).collect();
    assert_eq!(moved, [(2, visitor(9))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_show_one_code_one_gets_the_place() {
    let world = World::open(RoomOf::default()).await;
    let owner = world.owner("one").await;
    owner.join(1, None).await;
    insist(|| owner.line.offer(visitor(1), 1, 5)).await;
    let all = (100..130).map(|who| {
        let line = owner.line.clone();
        tokio::spawn(async move { (who, line.move_to(visitor(who), 5).await) })
    });
    let all: Vec<_> = all.collect();
    let mut winners = Vec::new();
    for one in all {
        let (who, answer) = one.await.unwrap();
        match answer {
            Ok(number) => winners.push((who, number)),
            Err(error) => assert_eq!(error, LineError::NoMove),
        }
    }
    assert!(matches!(winners[..], [(_, 1)]), "{winners:?}");
    owner.pass(winners[0].0, 1).await;
    assert_eq!(owner.line.claim(visitor(1), 1).await, Err(LineError::Moved));
    owner.stop().await;
    check_log(&world.log().await, 60_000, 10_000);
}

/// The old device claims while the other one takes the place over: one of the two has it, never both.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_and_a_move_of_one_place_never_both_count() {
    let world = World::open(RoomOf::default()).await;
    let owner = world.owner("one").await;
    for round in 0..40_u64 {
        let (old, new) = (1_000 + round, 2_000 + round);
        let number = owner.join(old, None).await.number;
        insist(|| owner.line.offer(visitor(old), number, round)).await;
        owner.frontier(number).await;
        let (claiming, moving) = (owner.line.clone(), owner.line.clone());
        let claim = tokio::spawn(async move { claiming.claim(visitor(old), number).await });
        let moved = tokio::spawn(async move { moving.move_to(visitor(new), round).await });
        let granted = matches!(claim.await.unwrap(), Ok(Claim::Granted { .. }));
        let moved = moved.await.unwrap();
        assert!(!(granted && moved.is_ok()), "round {round}: {number} is in two hands");
        if moved.is_ok() {
            assert_eq!(owner.line.claim(visitor(old), number).await, Err(LineError::Moved));
            owner.pass(new, number).await;
        }
    }
    owner.stop().await;
    check_log(&world.log().await, 60_000, 10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_ends_with_its_time_with_the_next_one_and_with_the_place() {
    let world = World::open(RoomOf::default()).await;
    let owner = world.owner("one").await;
    for who in 1..=3 {
        owner.join(who, None).await;
    }
    assert_eq!(take_over(&owner, 9, 1).await, Err(LineError::NoMove), "nobody gave it out");
    insist(|| owner.line.offer(visitor(1), 1, 1)).await;
    insist(|| owner.line.offer(visitor(1), 1, 2)).await;
    assert_eq!(take_over(&owner, 9, 1).await, Err(LineError::NoMove), "a newer one took its place");
    assert_eq!(take_over(&owner, 1, 2).await, Ok(1), "one's own place stays one's own");
    owner.pass(1, 1).await;
    assert_eq!(take_over(&owner, 9, 2).await, Err(LineError::NoMove), "the place is used");
    assert_eq!(owner.line.offer(visitor(1), 1, 3).await, Err(LineError::NoMove));
    insist(|| owner.line.offer(visitor(2), 2, 4)).await;
    world.clock.by(i64::try_from(MOVE_CODE_MS).unwrap() + 1);
    assert_eq!(take_over(&owner, 9, 4).await, Err(LineError::NoMove), "it is over");
    eventually("another one is given out", || async { owner.line.offer(visitor(2), 2, 4).await.is_ok() }).await;
    assert_eq!(take_over(&owner, 9, 4).await, Ok(2));
    // And on to a third device, and back.
    insist(|| owner.line.offer(visitor(9), 2, 6)).await;
    assert_eq!(take_over(&owner, 2, 6).await, Ok(2));
    owner.pass(2, 2).await;
    assert_eq!(owner.line.claim(visitor(9), 2).await, Err(LineError::Moved));
    owner.stop().await;
    check_log(&world.log().await, 60_000, 10_000);
}
