//! Codes and the classes they let into, on real stores.

use admission::{Claim, Joined, LineError, NotYet};
use domain::number::number;
use domain::{Code, CodeHash, LogId};
use ledger::faulty::{Call, Fault};

use crate::support::{RoomOf, World, check_log, eventually, insist, is_again, sale, visitor};

fn code(n: u8, class: u8, uses: u32) -> Code {
    Code { code: CodeHash([n; 16]), class, uses }
}

/// Classes `members` and `fans`, three places each.
fn room() -> RoomOf {
    RoomOf { classes: 2, ..RoomOf::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_gives_a_place_in_its_class_once_for_each_visitor_and_use() {
    let world = World::open(room()).await;
    let owner = world.owner("one").await;
    let place = number(1, 1);
    let redeem = |who, code| insist_but(owner.line.clone(), who, code);
    assert_eq!(redeem(1, code(1, 1, 2)).await, Ok(Joined { number: place, new: true }));
    assert_eq!(redeem(1, code(1, 1, 2)).await, Ok(Joined { number: place, new: false }), "a refresh uses nothing");
    assert_eq!(redeem(1, code(9, 2, 5)).await, Ok(Joined { number: place, new: false }), "one place by code");
    assert_eq!(redeem(2, code(1, 1, 2)).await, Ok(Joined { number: number(1, 2), new: true }));
    assert_eq!(redeem(3, code(1, 1, 2)).await, Err(LineError::CodeUsed));
    assert_eq!(redeem(3, code(2, 1, 1)).await, Ok(Joined { number: number(1, 3), new: true }));
    assert_eq!(redeem(4, code(3, 1, 1)).await, Err(LineError::ClassFull), "three places");
    assert_eq!(redeem(4, code(3, 5, 1)).await, Err(LineError::ClassFull), "a class that is not there");
    assert_eq!(
        redeem(4, code(3, 2, 1)).await,
        Ok(Joined { number: number(2, 1), new: true }),
        "and was not used by that"
    );
    assert_eq!(owner.join(1, None).await, Joined { number: place, new: false }, "the place by code is the place");
    assert_eq!(owner.join(5, None).await, Joined { number: 1, new: true }, "everybody's line counts by itself");
    owner.stop().await;
    check_log(&world.log().await, 60_000, 10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_by_code_moves_and_is_the_other_device_s_alone_also_for_the_next_owner() {
    let world = World::open(room()).await;
    let one = world.owner("one").await;
    let place = insist_but(one.line.clone(), 1, code(1, 1, 1)).await.unwrap().number;
    let general = one.join(9, None).await.number;
    insist(|| one.line.offer(visitor(1), place, 77)).await;
    assert_eq!(insist(|| one.line.move_to(visitor(9), 77)).await, place);
    assert_eq!(one.line.claim(visitor(1), place).await, Err(LineError::Moved));
    assert_eq!(one.line.offer(visitor(1), place, 78).await, Err(LineError::Moved));
    let again = insist_but(one.line.clone(), 1, code(2, 1, 1)).await;
    assert_eq!(again, Err(LineError::CodeUsed), "who gave a place away gets no other one by a code");
    assert_eq!(one.line.offer(visitor(9), general, 79).await, Err(LineError::NoMove), "only the better place moves");
    one.kill().await;

    let two = world.owner("two").await;
    assert_eq!(two.join(9, None).await, Joined { number: place, new: false }, "the place is found without its ticket");
    let same = insist_but(two.line.clone(), 9, code(3, 2, 1)).await;
    assert_eq!(same, Ok(Joined { number: place, new: false }), "who has a place in a class uses no code");
    assert_eq!(two.claim(9, general).await, Claim::Superseded(place));
    assert!(two.join(1, Some(place)).await.new, "the old device gets a place in everybody's line");
    two.pass(9, place).await;
    assert_eq!(two.line.claim(visitor(1), place).await, Err(LineError::Moved), "one place, one pass");
    two.leave(9, place).await;
    assert_eq!(two.join(9, None).await.number, general, "the place in everybody's line was kept");
    two.stop().await;
    let log = world.log().await;
    check_log(&log, 60_000, 10_000);
    let moved: Vec<_> = log.into_iter().flat_map(|entry| entry.moved).collect();
    assert_eq!(moved, [(place, visitor(9))]);
}

/// Repeats what is safe to repeat until it is answered for good.
async fn insist_but(line: admission::Line, who: u64, code: Code) -> Result<Joined, LineError> {
    insist(|| async {
        match line.redeem(visitor(who), code).await {
            Err(error @ (LineError::CodeUsed | LineError::ClassFull)) => Ok(Err(error)),
            other => other.map(Ok),
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_by_code_is_called_let_in_and_over_like_any_other() {
    let world = World::open(room()).await;
    let owner = world.owner("one").await;
    let general = owner.join(1, None).await.number;
    let place = insist_but(owner.line.clone(), 1, code(1, 1, 1)).await.unwrap().number;
    assert_eq!(owner.claim(1, general).await, Claim::Superseded(place), "one person, one turn at a time");
    let expires = owner.pass(1, place).await;
    assert!(is_again(owner.claim(1, place).await, place, expires));
    let refused = owner.line.claim(visitor(2), place).await;
    assert_eq!(refused, Err(LineError::Unavailable), "it is nobody else's");
    owner.leave(1, place).await;
    assert_eq!(owner.claim(1, place).await, Claim::Ended);
    let again = insist_but(owner.line.clone(), 1, code(1, 1, 1)).await;
    assert_eq!(again, Err(LineError::CodeUsed), "a class is entered once");
    assert_eq!(owner.join(1, None).await.number, general, "the place in everybody's line was kept");
    owner.pass(1, general).await;
    owner.stop().await;
    check_log(&world.log().await, 60_000, 10_000);
}

/// However the uses are spread over owners that die: what the log has is used, what it has not is not.
#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_not_used_twice_when_its_owner_dies_and_redis_is_lost() {
    let world = World::open(room()).await;
    let mut got = 0;
    for round in 0_u64..4 {
        let owner = world.owner("one").await;
        for who in round * 10..round * 10 + 5 {
            got += usize::from(insist_but(owner.line.clone(), who, code(1, 1, 2)).await.is_ok());
        }
        owner.kill().await;
        world.wipe().await;
        // A dead owner's lease ends by itself; the next one is of the same name and takes it over.
    }
    assert_eq!(got, 2);
    let uses: usize = world.log().await.iter().map(|entry| entry.redeemed.len()).sum();
    assert_eq!(uses, 2, "the log has as many");
    check_log(&world.log().await, 60_000, 10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_is_being_logged_when_the_ledger_fails_is_used_once_or_not_at_all() {
    let world = World::open(room()).await;
    let owner = world.owner("one").await;
    world.faulty.next_on(&LogId::line(&sale()), Call::Append, Fault::LoseAnswer);
    let first = insist_but(owner.line.clone(), 1, code(1, 1, 1)).await;
    let second = insist_but(owner.line.clone(), 2, code(1, 1, 1)).await;
    assert_eq!(first, Ok(Joined { number: number(1, 1), new: false }), "it was in the log");
    assert_eq!(second, Err(LineError::CodeUsed));
    owner.stop().await;
    let uses: usize = world.log().await.iter().map(|entry| entry.redeemed.len()).sum();
    assert_eq!(uses, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn classes_share_the_calls_and_the_bypass_is_bounded() {
    // Slow enough that both lines wait: 600 a minute, ten in any second. Nobody claims.
    let world = World::open(RoomOf { pace: 600, places: 500, ..room() }).await;
    let owner = world.owner("one").await;
    let joins = (0..200).map(|who| {
        let line = owner.line.clone();
        tokio::spawn(async move { insist(|| line.join(visitor(who), None)).await })
    });
    for join in joins.collect::<Vec<_>>() {
        join.await.unwrap();
    }
    let codes = (1_000..1_200).map(|who| (who, tokio::spawn(insist_but(owner.line.clone(), who, code(1, 1, 500)))));
    let mut last = (0, 0);
    for (who, redeemed) in codes.collect::<Vec<_>>() {
        last = last.max((redeemed.await.unwrap().unwrap().number, who));
    }
    assert_eq!(last.0, number(1, 200), "no hole and no double");
    let waits = owner.claim(last.1, last.0).await;
    assert!(matches!(waits, Claim::NotYet { why: NotYet::NotCalled, .. }), "{waits:?}");
    let before = totals(&world.log().await);
    eventually("forty more are called", || async {
        let now = totals(&world.log().await);
        now.0 + now.1 >= before.0 + before.1 + 40
    })
    .await;
    let after = totals(&world.log().await);
    let (everybody, members) = (after.0 - before.0, after.1 - before.1);
    // `members` has 30 of 100.
    assert!(members * 100 <= 30 * (everybody + members) + 300, "{everybody} and {members}");
    assert!(members * 100 + 300 >= 30 * (everybody + members), "{everybody} and {members}");
    owner.stop().await;
}

/// People called of everybody's line and of the first class.
fn totals(log: &[domain::LineEvent]) -> (u64, u64) {
    let class = log.iter().flat_map(|entry| &entry.classes).filter(|call| call.class == 1).map(|call| call.frontier);
    (log.last().map_or(0, |entry| entry.frontier), class.max().unwrap_or(0))
}
