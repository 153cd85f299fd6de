//! The counterexamples of the protocol's model (H1-H11), replayed on the real scripts, the real committer and the real ledger,
//! step by step. Each schedule broke an invariant of an earlier version of the rules.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "common/hand.rs"]
mod hand;

use booker::committer::{Bounds, LoadStep, Verdict};
use common::{World, id};
use domain::{HoldState, LaneEvent, RefuseReason};
use hand::{Hand, check};
use ledger::Append;
use lua::lane::{ConfirmReply, HoldReply, LoadReply};

async fn world(units: u64) -> World {
    World::with_units(units).await
}

#[tokio::test]
async fn h1_a_confirm_of_a_lost_hold_whose_append_is_under_way_is_never_answered_gone() {
    let world = world(1).await;
    let mut hand = Hand::first(&world, 1).await;
    world.snapshot("before").await;
    hand.held(1, "h", 1).await;
    hand.confirm(1, "h").await;
    let texts = hand.form();
    world.restore("before").await;
    // The retry finds no hold. Redis does not say no: the record is confirming without lines, and the ledger decides.
    let retry = hand.confirm(1, "h").await;
    assert!(matches!(&retry, ConfirmReply::Confirming(record) if record.lines.is_empty()), "{retry:?}");
    assert!(hand.answered_gone.is_empty());
    let Append::Appended(writer) = hand.send(&texts).await else { panic!() };
    hand.learn(writer);
    assert!(hand.answered_booked.contains(&id(1, "h")));
    check(&mut hand).await;
    assert_eq!(world.booked_ids().await, [id(1, "h")]);
    assert!(hand.answered_gone.is_empty());
}

#[tokio::test]
async fn h1_a_hold_that_expired_and_comes_back_by_a_failover_ends_once() {
    let world = world(1).await;
    let mut hand = Hand::first(&world, 1).await;
    hand.held(1, "h", 1).await;
    world.snapshot("held").await;
    hand.release(1, "h").await;
    hand.confirm(1, "h").await;
    assert!(hand.append().await);
    assert!(hand.answered_gone.contains(&id(1, "h")));
    world.restore("held").await;
    // Redis shows the hold as held again; the retry gets the ledger's answer.
    hand.confirm(1, "h").await;
    assert!(hand.append().await);
    check(&mut hand).await;
    assert!(hand.answered_booked.is_empty());
    assert_eq!(world.booked_ids().await, []);
    assert_eq!(world.stock().await.map(|s| (s.0, s.1)), Some((1, 0)));
}

#[tokio::test]
async fn h1_a_booking_whose_record_a_load_brought_back_is_answered_as_booked() {
    let world = world(1).await;
    let mut hand = Hand::first(&world, 1).await;
    hand.held(1, "h", 1).await;
    hand.confirm(1, "h").await;
    assert!(hand.append().await);
    world.shell(&["FLUSHALL"]).await;
    check(&mut hand).await;
    let retry = hand.confirm_by_nobody(1, "h").await;
    assert!(matches!(&retry, ConfirmReply::Decided(record) if record.state == HoldState::Sold), "{retry:?}");
    assert_eq!(world.events().await.len(), 2);
}

#[tokio::test]
async fn h2_a_refused_id_stays_refused_although_there_is_room_after_a_failover() {
    let world = world(1).await;
    let mut hand = Hand::first(&world, 1).await;
    world.snapshot("empty").await;
    hand.held(1, "h0", 1).await;
    hand.confirm(1, "h0").await;
    let first = hand.form();
    world.restore("empty").await;
    hand.held(2, "h1", 1).await;
    hand.confirm(2, "h1").await;
    world.snapshot("h1 confirming").await;
    let Append::Appended(writer) = hand.send(&first).await else { panic!() };
    hand.learn(writer);
    assert!(hand.append().await);
    assert!(hand.answered_gone.contains(&id(2, "h1")), "answered 410, money voided");
    hand.cancel(1, "h0").await;
    assert!(hand.append().await);
    world.restore("h1 confirming").await;
    check(&mut hand).await;
    assert_eq!(world.sold().await, 0, "there is room now, and h1 is dead all the same");
    assert!(matches!(world.events().await[2], LaneEvent::Refused { why: RefuseReason::SoldOut, .. }));
}

#[tokio::test]
async fn h3_a_confirm_that_comes_after_a_rollback_is_not_overlooked() {
    let world = world(2).await;
    let mut hand = Hand::first(&world, 2).await;
    world.snapshot("empty").await;
    hand.held(1, "h0", 1).await;
    hand.confirm(1, "h0").await;
    assert!(hand.append().await);
    world.restore("empty").await;
    hand.held(2, "h1", 1).await;
    // Its script's answer reaches nobody: only the set knows of it.
    hand.confirm_by_nobody(2, "h1").await;
    check(&mut hand).await;
    assert_eq!(world.booked_ids().await, [id(1, "h0"), id(2, "h1")]);
}

#[tokio::test]
async fn h4_an_intent_that_needs_no_event_is_settled_and_gives_its_units_back() {
    let world = world(3).await;
    let mut hand = Hand::first(&world, 3).await;
    hand.held(1, "h", 1).await;
    hand.confirm(1, "h").await;
    assert!(hand.append().await);
    hand.settle().await;
    // The record is lost, as after a load without records or a purge; the hold is made and confirmed anew.
    let keys = world.keys();
    let script = "redis.call('DEL', KEYS[1]) return redis.call('DEL', KEYS[2])";
    world.shell(&["EVAL", script, "2", keys.holds(), keys.visitors()]).await;
    hand.held(1, "h", 1).await;
    assert!(matches!(hand.confirm(1, "h").await, ConfirmReply::Confirming(_)));
    assert_eq!(hand.form(), Vec::<String>::new(), "no event");
    assert_eq!(hand.settle().await, None);
    assert_eq!(world.state(id(1, "h")).await, Some(HoldState::Sold));
    check(&mut hand).await;
    assert_eq!(world.stock().await.map(|s| (s.0, s.1)), Some((2, 0)));
}

#[tokio::test]
async fn h4_a_resolution_takes_the_state_after_the_whole_group_not_when_it_was_decided() {
    let world = world(1).await;
    let mut hand = Hand::first(&world, 1).await;
    hand.held(1, "h", 1).await;
    hand.confirm(1, "h").await;
    assert!(hand.append().await);
    hand.settle().await;
    // Redis loses the record, the visitor confirms again (already booked: no event) and cancels in the same group.
    forget_records(&world).await;
    hand.confirm(1, "h").await;
    hand.cancel(1, "h").await;
    assert!(hand.append().await);
    assert!(hand.answered_cancelled.contains(&id(1, "h")));
    world.shell(&["FLUSHALL"]).await;
    check(&mut hand).await;
    assert_eq!(world.state(id(1, "h")).await, Some(HoldState::Cancelled));
    assert_eq!(world.stock().await.map(|s| s.0), Some(1));
}

/// All records are gone, nothing else: their names are bytes, so it goes by script.
async fn forget_records(world: &World) {
    let script = "for _, f in ipairs(redis.call('HKEYS', KEYS[1])) do redis.call('HDEL', KEYS[1], f) end return 1";
    world.shell(&["EVAL", script, "1", world.keys().holds()]).await;
}

#[tokio::test]
async fn h5_a_twin_in_a_group_that_is_fenced_was_answered_nothing() {
    let world = world(1).await;
    let mut hand = Hand::first(&world, 1).await;
    hand.held(1, "h", 1).await;
    hand.confirm(1, "h").await;
    hand.reread().await; // the same intent once more, as at-least-once has it
    hand.cancel(1, "h").await;
    let texts = hand.form();
    assert!(hand.answered_booked.is_empty() && hand.answered_cancelled.is_empty());
    let mut other = Hand::claim(&world, "other").await;
    assert!(matches!(hand.send(&texts).await, Append::Fenced(_)));
    hand.committer.not_appended();
    assert!(hand.answered_booked.is_empty() && hand.answered_cancelled.is_empty());
    assert_eq!(hand.look().await, Verdict::StepDown);
    check(&mut other).await;
    assert_eq!(world.booked_ids().await, [id(1, "h")], "the set had the confirm, and the cancel after it");
    assert_eq!(world.sold().await, 0);
}

#[tokio::test]
async fn h6_a_limit_that_redis_forgot_is_kept_by_the_ledger() {
    let world = world(5).await;
    let mut hand = Hand::first(&world, 5).await;
    hand.limit = Some(1);
    world.snapshot("empty").await;
    hand.held(1, "k1", 1).await;
    hand.confirm(1, "k1").await;
    let texts = hand.form();
    world.restore("empty").await;
    hand.held(1, "k2", 1).await;
    hand.confirm(1, "k2").await;
    let Append::Appended(writer) = hand.send(&texts).await else { panic!() };
    hand.learn(writer);
    assert!(hand.append().await);
    assert_eq!(world.booked_ids().await, [id(1, "k1")]);
    assert!(matches!(world.events().await[2], LaneEvent::Refused { why: RefuseReason::Limit, .. }));
    check(&mut hand).await;
    assert_eq!(hand.hold(1, "k3", 1).await, HoldReply::Limit, "Redis knows again");
}

#[tokio::test]
async fn h7_other_content_under_the_same_key_after_a_rollback_leaks_no_unit_and_is_told() {
    let world = world(3).await;
    let mut hand = Hand::first(&world, 3).await;
    world.snapshot("empty").await;
    hand.held(1, "h", 1).await;
    hand.confirm(1, "h").await;
    let texts = hand.form();
    world.restore("empty").await;
    hand.held(1, "h", 2).await;
    hand.confirm_by_nobody(1, "h").await;
    let Append::Appended(writer) = hand.send(&texts).await else { panic!() };
    hand.learn(writer);
    hand.reread().await;
    assert!(hand.answered_key_reused.contains(&id(1, "h")), "422, and the booking stands");
    check(&mut hand).await;
    assert_eq!(world.sold().await, 1);
    assert_eq!(world.stock().await.map(|s| (s.0, s.1)), Some((2, 0)));
}

#[tokio::test]
async fn h8_a_cancelled_id_is_never_booked_again() {
    let world = world(1).await;
    let mut hand = Hand::first(&world, 1).await;
    hand.held(1, "h", 1).await;
    hand.confirm(1, "h").await;
    assert!(hand.append().await);
    hand.cancel(1, "h").await;
    assert!(hand.append().await);
    world.shell(&["FLUSHALL"]).await;
    check(&mut hand).await;
    assert!(matches!(hand.hold(1, "h", 1).await, HoldReply::Exists(record) if record.state == HoldState::Cancelled));
    // Also when Redis has forgotten it and holds it again.
    forget_records(&world).await;
    hand.held(1, "h", 1).await;
    hand.confirm(1, "h").await;
    assert!(hand.append().await);
    check(&mut hand).await;
    assert_eq!(world.events().await.len(), 3, "stock, booked, cancelled");
    assert_eq!(world.state(id(1, "h")).await, Some(HoldState::Cancelled));
    assert_eq!(world.stock().await.map(|s| (s.0, s.1)), Some((1, 0)));
}

#[tokio::test]
async fn h9_a_rollback_on_a_quiet_lane_is_noticed_by_the_heartbeat() {
    let world = world(1).await;
    let mut hand = Hand::first(&world, 1).await;
    hand.held(1, "h", 1).await;
    world.snapshot("held").await;
    hand.confirm(1, "h").await;
    assert!(hand.append().await);
    hand.settle().await;
    world.restore("held").await;
    assert_eq!(world.state(id(1, "h")).await, Some(HoldState::Held), "and would expire: its unit free again");
    assert_eq!(hand.look().await, Verdict::Fine);
    assert_eq!(hand.settle().await, None);
    assert_eq!(world.state(id(1, "h")).await, Some(HoldState::Sold));
    check(&mut hand).await;
}

#[tokio::test]
async fn h9_an_idle_writer_notices_that_another_has_claimed_and_stops() {
    let world = world(2).await;
    let mut first = Hand::first(&world, 2).await;
    let mut second = Hand::claim(&world, "second").await;
    second.held(1, "h", 1).await;
    second.confirm(1, "h").await;
    assert!(second.append().await);
    drop(second); // dies between append and settle
    assert_eq!(first.look().await, Verdict::StepDown);
    let mut first = Hand::claim(&world, "first").await;
    check(&mut first).await;
    assert_eq!(world.state(id(1, "h")).await, Some(HoldState::Sold));
}

#[tokio::test]
async fn h10_a_failover_during_a_load_does_not_open_the_lane_half_loaded() {
    let world = world(9).await;
    let small = Bounds { load_chunk: 2, ..Bounds::default() };
    let mut hand = Hand::first(&world, 9).await;
    for v in 0..5 {
        hand.held(v, "h", 1).await;
        hand.confirm(v, "h").await;
    }
    assert!(hand.append().await);
    hand.settle().await;
    world.shell(&["FLUSHALL"]).await;
    let mut hand = Hand::claim_with(&world, "loader", small).await;
    assert_eq!(hand.look().await, Verdict::Fine);
    assert!(matches!(hand.load_step().await, Some((LoadStep::Begin { .. }, LoadReply::Done))));
    assert!(matches!(hand.load_step().await, Some((LoadStep::Chunk { n: 0, .. }, LoadReply::Done))));
    world.snapshot("one chunk").await;
    assert!(matches!(hand.load_step().await, Some((LoadStep::Chunk { n: 1, .. }, LoadReply::Done))));
    world.restore("one chunk").await;
    assert!(matches!(hand.load_step().await, Some((LoadStep::Chunk { n: 2, .. }, LoadReply::Refused))));
    assert_eq!(world.stock().await, None, "still not open");
    // A new look takes the load up where that copy of Redis has it.
    assert_eq!(hand.look().await, Verdict::Fine);
    assert!(matches!(hand.load_step().await, Some((LoadStep::Chunk { n: 1, .. }, LoadReply::Done))));
    check(&mut hand).await;
    for v in 0..5 {
        assert_eq!(world.state(id(v, "h")).await, Some(HoldState::Sold));
    }
    hand.limit = Some(1);
    assert_eq!(hand.hold(3, "more", 1).await, HoldReply::Limit, "units per visitor were loaded as well");
}

#[tokio::test]
async fn h10_two_loaders_do_not_mix_their_chunks() {
    let world = world(9).await;
    let small = Bounds { load_chunk: 1, ..Bounds::default() };
    let mut first = Hand::first(&world, 9).await;
    for v in 0..2 {
        first.held(v, "h", 1).await;
        first.confirm(v, "h").await;
    }
    assert!(first.append().await);
    world.shell(&["FLUSHALL"]).await;
    let mut old = Hand::claim_with(&world, "old", small).await;
    let mut new = Hand::claim_with(&world, "new", small).await;
    old.look().await;
    assert_eq!(new.look().await, Verdict::Fine);
    // The old one is only slow: its calls come in between.
    let lost = old.committer.ask();
    old.committer.observe(lost, Some(lua::lane::LaneState::Empty), None);
    assert!(matches!(old.load_step().await, Some((LoadStep::Begin { .. }, LoadReply::Done))));
    assert!(matches!(new.load_step().await, Some((LoadStep::Begin { .. }, LoadReply::Done))));
    assert!(matches!(old.load_step().await, Some((LoadStep::Chunk { .. }, LoadReply::Refused))));
    assert!(matches!(new.load_step().await, Some((LoadStep::Chunk { .. }, LoadReply::Done))));
    old.committer.observe(old.committer.ask(), Some(lua::lane::LaneState::Empty), None);
    assert!(
        matches!(old.load_step().await, Some((LoadStep::Begin { .. }, LoadReply::Refused))),
        "a higher epoch began"
    );
    check(&mut new).await;
}

#[tokio::test]
async fn h11_free_edited_by_hand_is_mended_without_losing_a_hold() {
    let world = world(5).await;
    let owner = world.ready_owner("one").await;
    common::held(&owner.lane, 1, "h", 2).await;
    for edit in ["40", "-40"] {
        world.shell(&["HINCRBY", world.keys().lane(), "f:a", edit]).await;
        common::until("free is right again", || async {
            world.stock().await.is_some_and(|(free, live, _)| (free, live) == (3, 2))
        })
        .await;
    }
    assert_eq!(world.state(id(1, "h")).await, Some(HoldState::Held));
    owner.stop().await;
}

#[tokio::test]
async fn h11_live_edited_by_hand_is_loaded_anew_and_bookings_stay() {
    let world = World::with_units(5).await;
    let owner = world.ready_owner("one").await;
    common::held(&owner.lane, 1, "sold", 2).await;
    assert!(common::is_booked(&common::confirmed(&owner.lane, 1, "sold").await));
    common::held(&owner.lane, 2, "held", 1).await;
    world.shell(&["HINCRBY", world.keys().lane(), "l:a", "1"]).await;
    common::until("live is what the records claim", || async {
        world.stock().await.is_some_and(|(free, live, _)| (free, live) == (3, 0))
    })
    .await;
    world.at_rest().await;
    assert_eq!(world.state(id(1, "sold")).await, Some(HoldState::Sold));
    assert_eq!(
        world.state(id(2, "held")).await,
        None,
        "a load ends undecided holds: a confirm is refused by the ledger"
    );
    owner.stop().await;
}

#[tokio::test]
async fn an_intent_deleted_from_the_set_is_put_back_by_the_ticker_and_decided() {
    let world = world(1).await;
    let mut hand = Hand::first(&world, 1).await;
    hand.held(1, "h", 1).await;
    hand.confirm_by_nobody(1, "h").await;
    world.shell(&["DEL", world.keys().confirming()]).await;
    assert_eq!(hand.reread().await, 0);
    check(&mut hand).await;
    assert_eq!(world.booked_ids().await, [id(1, "h")]);
}
