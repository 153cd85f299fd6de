//! Owners that die, sleep, fence each other or lose an answer, step by step on the real scripts, committer and ledger.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "common/hand.rs"]
mod hand;

use booker::committer::{SettleAnswer, Verdict};
use common::{World, id, item};
use domain::HoldState;
use hand::{Hand, check};
use ledger::Append;
use lua::lane::SettleReply;

async fn world(units: u64) -> World {
    World::with_units(units).await
}

#[tokio::test]
async fn a_late_settle_of_a_dead_owner_is_refused_or_says_the_truth() {
    let world = world(2).await;
    let mut first = Hand::first(&world, 2).await;
    first.held(1, "h", 1).await;
    first.confirm(1, "h").await;
    assert!(first.append().await);
    let late = first.plan_settle().await.unwrap(); // sent, and the owner dies
    let mut second = Hand::claim(&world, "second").await;
    second.look().await;
    second.settle().await;
    second.cancel(1, "h").await;
    assert!(second.append().await);
    second.settle().await;
    assert!(matches!(first.run_settle(&late).await, Ok(SettleReply::Behind { .. })));
    assert_eq!(world.state(id(1, "h")).await, Some(HoldState::Cancelled));
    // And onto an older copy of Redis it is what a replay would do.
    world.snapshot("now").await;
    check(&mut second).await;
}

#[tokio::test]
async fn a_crash_between_append_and_settle_is_settled_by_the_next_owner() {
    let world = world(1).await;
    let mut first = Hand::first(&world, 1).await;
    first.held(1, "h", 1).await;
    first.confirm(1, "h").await;
    assert!(first.append().await);
    assert!(first.answered_booked.contains(&id(1, "h")));
    drop(first);
    assert_eq!(world.state(id(1, "h")).await, Some(HoldState::Confirming));
    let mut second = Hand::claim(&world, "second").await;
    check(&mut second).await;
    assert_eq!(world.state(id(1, "h")).await, Some(HoldState::Sold));
}

#[tokio::test]
async fn an_append_that_was_applied_but_not_answered_fences_its_own_writer_which_folds_anew() {
    let world = world(1).await;
    let mut hand = Hand::first(&world, 1).await;
    hand.held(1, "h", 1).await;
    hand.confirm(1, "h").await;
    let texts = hand.form();
    assert!(matches!(hand.send(&texts).await, Append::Appended(_)));
    hand.committer.not_appended(); // the answer is lost
    assert!(hand.answered_booked.is_empty());
    assert!(!hand.append().await, "another batch under the same head is refused: one of the two won");
    assert_eq!(hand.look().await, Verdict::StepDown);
    let mut again = Hand::claim(&world, "first").await;
    check(&mut again).await;
    assert_eq!(world.booked_ids().await, [id(1, "h")]);
}

#[tokio::test]
async fn two_owners_that_fence_each_other_never_decide_an_id_twice() {
    let world = world(3).await;
    let mut one = Hand::first(&world, 3).await;
    let mut two = Hand::claim(&world, "two").await;
    for v in 0..3 {
        one.held(v, "h", 1).await;
        one.confirm(v, "h").await;
    }
    two.look().await;
    two.reread().await;
    assert!(!one.append().await);
    one = Hand::claim(&world, "one").await;
    assert!(!two.append().await);
    one.reread().await;
    two = Hand::claim(&world, "two").await;
    two.reread().await;
    assert!(!one.append().await);
    assert!(two.append().await);
    check(&mut two).await;
    assert_eq!(world.booked_ids().await.len(), 3);
    assert_eq!(one.look().await, Verdict::StepDown);
}

#[tokio::test]
async fn a_settle_runs_while_the_next_group_is_appended_and_order_is_kept() {
    let world = world(3).await;
    let mut hand = Hand::first(&world, 3).await;
    for v in 0..3 {
        hand.held(v, "h", 1).await;
    }
    hand.confirm(0, "h").await;
    assert!(hand.append().await);
    let first = hand.plan_settle().await.unwrap();
    hand.confirm(1, "h").await;
    let texts = hand.form();
    let Append::Appended(writer) = hand.send(&texts).await else { panic!() };
    hand.learn(writer);
    assert_eq!(hand.plan_settle().await, None, "settles go one after the other");
    assert!(matches!(hand.run_settle(&first).await, Ok(SettleReply::Settled { settled: 2 })));
    hand.committer.settle_answer(SettleAnswer::Settled);
    let second = hand.plan_settle().await.unwrap();
    assert_eq!((second.expected, second.events.len()), (2, 1));
    assert!(matches!(hand.run_settle(&second).await, Ok(SettleReply::Settled { settled: 3 })));
    hand.committer.settle_answer(SettleAnswer::Settled);
    check(&mut hand).await;
    assert_eq!(hand.committer.fold().item(&item("a")).sold, 2);
}
