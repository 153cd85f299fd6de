//! What goes wrong with Redis and the ledger while visitors book, and what they notice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use booker::{CancelAnswer, ConfirmAnswer, HoldAnswer, Lane, LaneError};
use common::{PATIENCE, World, confirmed, held, id, is_booked, repeat_of, request, until, visitor};
use domain::HoldState;
use ledger::faulty::{Call, Fault, Gate};

const SHORT: Duration = Duration::from_millis(60);

#[tokio::test]
async fn a_lost_answer_of_the_ledger_books_once_and_is_answered_in_the_end() {
    let world = World::with_units(5).await;
    let owner = world.ready_owner("one").await;
    held(&owner.lane, 1, "k", 1).await;
    world.faulty.next_on(&world.log(), Call::Append, Fault::LoseAnswer);
    let fence = owner.lane.status().fence;
    assert!(is_booked(&confirmed(&owner.lane, 1, "k").await));
    assert!(owner.lane.status().fence > fence, "it found its own append by folding the log anew");
    assert_eq!(world.booked_ids().await, [id(1, "k")]);
    world.at_rest().await;
    owner.stop().await;
}

#[tokio::test]
async fn an_append_that_arrives_after_it_was_given_up_is_found_and_nothing_is_booked_twice() {
    let world = World::with_units(5).await;
    let owner = world.ready_owner("one").await;
    held(&owner.lane, 1, "k", 1).await;
    held(&owner.lane, 2, "k", 1).await;
    let gate = Gate::closed();
    world.faulty.next_on(&world.log(), Call::Append, Fault::Late(gate.clone()));
    world.faulty.always(Call::Append, Fault::Refuse);
    let first = owner.lane.confirm(id(1, "k"), visitor(1), None, SHORT).await.unwrap();
    assert_eq!(first, ConfirmAnswer::Confirming);
    gate.open();
    until("the late append is in the log", || async { world.events().await.len() == 2 }).await;
    world.faulty.heal();
    assert!(is_booked(&confirmed(&owner.lane, 2, "k").await));
    assert!(is_booked(&confirmed(&owner.lane, 1, "k").await));
    assert_eq!(world.booked_ids().await, [id(1, "k"), id(2, "k")]);
    world.at_rest().await;
    owner.stop().await;
}

#[tokio::test]
async fn while_the_ledger_is_away_confirming_keeps_its_units_and_visitors_get_202() {
    let world = World::with_units(1).await;
    let owner = world.ready_owner("one").await;
    held(&owner.lane, 1, "k", 1).await;
    world.faulty.always(Call::Append, Fault::Refuse);
    let first = owner.lane.confirm(id(1, "k"), visitor(1), None, SHORT).await.unwrap();
    assert_eq!(first, ConfirmAnswer::Confirming);
    until("the owner says that the ledger fails", || async { owner.lane.status().ledger_failing }).await;
    assert_eq!(world.state(id(1, "k")).await, Some(HoldState::Confirming));
    assert_eq!(owner.lane.hold(request(2, "k", 1)).await.unwrap(), HoldAnswer::AllHeld);
    world.faulty.heal();
    // Nobody asks again: the owner finishes it by itself.
    until("it is booked", || async { world.booked_ids().await == [id(1, "k")] }).await;
    assert!(is_booked(&confirmed(&owner.lane, 1, "k").await));
    assert!(!owner.lane.status().ledger_failing);
    owner.stop().await;
}

#[tokio::test]
async fn while_an_append_is_under_way_the_next_group_piles_up_and_is_one_append() {
    let world = World::with_units(100).await;
    let owner = world.ready_owner("one").await;
    for v in 0..40 {
        held(&owner.lane, v, "k", 1).await;
    }
    let before = world.faulty.calls(Call::Append);
    let gate = Gate::closed();
    world.faulty.next_on(&world.log(), Call::Append, Fault::HoldBefore(gate.clone()));
    let ask = |v: u32| {
        let lane = owner.lane.clone();
        tokio::spawn(async move { confirmed(&lane, v, "k").await })
    };
    let mut asked = vec![ask(0)];
    until("the first is being appended", || async { world.faulty.calls(Call::Append) > before }).await;
    asked.extend((1..40).map(ask));
    until("all are with the committer", || async { owner.lane.status().undecided == 40 }).await;
    gate.open();
    for answer in asked {
        assert!(is_booked(&answer.await.unwrap()));
    }
    assert_eq!(world.faulty.calls(Call::Append) - before, 2);
    owner.stop().await;
}

#[tokio::test]
async fn answers_wait_for_the_append_also_for_twins_and_cancels_in_the_same_group() {
    let world = World::with_units(5).await;
    let owner = world.ready_owner("one").await;
    held(&owner.lane, 1, "k", 1).await;
    held(&owner.lane, 2, "k", 1).await;
    let gate = Gate::closed();
    world.faulty.next_on(&world.log(), Call::Append, Fault::HoldAnswer(gate.clone()));
    let ask = |v: u32| {
        let lane = owner.lane.clone();
        tokio::spawn(async move { lane.confirm(id(v, "k"), visitor(v), None, PATIENCE).await.unwrap() })
    };
    let (first, twin) = (ask(1), ask(1));
    until("the booking is in the log", || async { world.booked_ids().await.len() == 1 }).await;
    let patience = Duration::from_millis(30);
    assert_eq!(owner.lane.confirm(id(1, "k"), visitor(1), None, patience).await.unwrap(), ConfirmAnswer::Confirming);
    assert_eq!(owner.lane.cancel(id(1, "k"), visitor(1), patience).await.unwrap(), CancelAnswer::Cancelling);
    assert!(!first.is_finished() && !twin.is_finished());
    gate.open();
    assert!(is_booked(&first.await.unwrap()) && is_booked(&twin.await.unwrap()));
    until("the cancel follows", || async { world.sold().await == 0 }).await;
    owner.stop().await;
}

#[tokio::test]
async fn a_confirm_under_way_while_redis_is_wiped_ends_as_a_booking() {
    let world = World::with_units(3).await;
    let owner = world.ready_owner("one").await;
    held(&owner.lane, 1, "k", 1).await;
    let gate = Gate::closed();
    world.faulty.next_on(&world.log(), Call::Append, Fault::HoldBefore(gate.clone()));
    let lane = owner.lane.clone();
    let asked = tokio::spawn(async move { confirmed(&lane, 1, "k").await });
    until("it is being appended", || async { owner.lane.status().undecided == 1 }).await;
    world.shell(&["FLUSHALL"]).await;
    gate.open();
    assert!(is_booked(&asked.await.unwrap()));
    world.at_rest().await;
    assert_eq!(world.state(id(1, "k")).await, Some(HoldState::Sold));
    assert_eq!(world.stock().await.map(|s| (s.0, s.1)), Some((2, 0)));
    owner.stop().await;
}

/// Books what it can until told to stop; every acknowledged booking.
fn buyer(lane: &Lane, v: u32, stop: &Arc<AtomicBool>) -> tokio::task::JoinHandle<Vec<domain::HoldId>> {
    let (lane, stop) = (lane.clone(), stop.clone());
    tokio::spawn(async move {
        let mut booked = vec![];
        for n in 0.. {
            if stop.load(Ordering::Relaxed) || n == 400 {
                break;
            }
            let key = format!("k{n}");
            match lane.hold(request(v, &key, 1)).await {
                Ok(HoldAnswer::Hold { .. }) => {
                    if is_booked(&confirmed(&lane, v, &key).await) {
                        booked.push(id(v, &key));
                    }
                }
                Ok(_) => tokio::time::sleep(Duration::from_millis(2)).await,
                Err(LaneError::Stopped) => panic!("stopped"),
                // Longer: they have 400 tries, and service may be away for some seconds.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
        booked
    })
}

/// Runs a sale of 300 units with 12 buyers, does something to Redis again and again meanwhile, and checks at the end that
/// what was acknowledged is booked, that not a unit too much was sold, and that Redis agrees.
async fn sale_while(what: impl AsyncFn(&mut World)) {
    let mut world = World::with_units(300).await;
    let owner = world.ready_owner("one").await;
    let stop = Arc::new(AtomicBool::new(false));
    let buyers: Vec<_> = (0..12).map(|v| buyer(&owner.lane, v, &stop)).collect();
    for round in 1..=3u64 {
        until("some more are booked", || async { world.sold().await >= round * 40 }).await;
        what(&mut world).await;
    }
    until("the sale goes on", || async { world.sold().await >= 200 }).await;
    stop.store(true, Ordering::Relaxed);
    let mut acknowledged = vec![];
    for buyer in buyers {
        acknowledged.extend(buyer.await.unwrap());
    }
    let booked = world.booked_ids().await;
    assert!(acknowledged.iter().all(|id| booked.contains(id)), "every acknowledged booking is in the ledger");
    assert!(world.sold().await <= 300);
    world.at_rest().await;
    owner.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_wiped_in_the_middle_of_a_sale_loses_no_booking_and_sells_nothing_twice() {
    sale_while(async |world| world.shell(&["FLUSHALL"]).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_killed_in_the_middle_of_a_sale_loses_no_booking_and_sells_nothing_twice() {
    sale_while(async |world| world.server.restart().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_rolled_back_in_the_middle_of_a_sale_loses_no_booking_and_sells_nothing_twice() {
    let taken = AtomicBool::new(false);
    sale_while(async |world| {
        if taken.swap(true, Ordering::Relaxed) {
            world.restore("copy").await;
        } else {
            world.snapshot("copy").await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_showing_more_stock_than_there_is_is_mended_and_never_oversold() {
    let world = World::with_units(20).await;
    let owner = world.ready_owner("one").await;
    world.shell(&["HINCRBY", world.keys().lane(), "f:a", "1000"]).await;
    let mut tried = vec![];
    for v in 0..60 {
        let lane = owner.lane.clone();
        tried.push(tokio::spawn(async move {
            match lane.hold(request(v, "k", 1)).await.unwrap() {
                HoldAnswer::Hold { .. } => confirmed(&lane, v, "k").await,
                _ => ConfirmAnswer::Foreign,
            }
        }));
    }
    let mut booked = 0;
    for answer in tried {
        match answer.await.unwrap() {
            ConfirmAnswer::Booked { .. } => booked += 1,
            ConfirmAnswer::Refused(domain::RefuseReason::SoldOut) | ConfirmAnswer::Foreign => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(booked <= 20);
    assert_eq!(world.sold().await, booked);
    world.at_rest().await;
    assert_eq!(world.stock().await.map(|s| s.0), Some(20 - i64::try_from(booked).unwrap()));
    owner.stop().await;
}

#[tokio::test]
async fn an_owner_that_dies_is_replaced_and_its_successor_finishes_what_it_began() {
    let world = World::with_units(4).await;
    let first = world.ready_owner("one").await;
    held(&first.lane, 1, "k", 1).await;
    held(&first.lane, 2, "k", 1).await;
    assert!(is_booked(&confirmed(&first.lane, 1, "k").await));
    world.faulty.always(Call::Append, Fault::Refuse);
    let answer = first.lane.confirm(id(2, "k"), visitor(2), None, SHORT).await.unwrap();
    assert_eq!(answer, ConfirmAnswer::Confirming);
    first.kill().await;
    world.faulty.heal();
    let second = world.owner("two");
    assert_eq!(second.lane.hold(request(3, "k", 1)).await, Err(LaneError::NoOwner), "until take-over");
    second.ready().await;
    until("the confirm it found is decided", || async { world.booked_ids().await.len() == 2 }).await;
    assert!(is_booked(&confirmed(&second.lane, 1, "k").await));
    assert!(is_booked(&confirmed(&second.lane, 2, "k").await));
    held(&second.lane, 3, "k", 2).await;
    world.at_rest().await;
    second.stop().await;
}

#[tokio::test]
async fn an_owner_that_was_only_slow_is_refused_by_the_fence_and_claims_anew() {
    let world = World::with_units(4).await;
    let owner = world.ready_owner("one").await;
    held(&owner.lane, 1, "k", 1).await;
    let fence = owner.lane.status().fence;
    // Somebody else claims, without the lease: the fence alone decides.
    let other = world.ledger().claim(&world.log(), "other").await.unwrap();
    assert!(is_booked(&confirmed(&owner.lane, 1, "k").await));
    assert!(other.fence > fence && owner.lane.status().fence > other.fence);
    let refused = world.ledger().append(&other, &["{}".to_owned()]).await.unwrap();
    assert!(matches!(refused, ledger::Append::Fenced(_)));
    assert_eq!(world.booked_ids().await, [id(1, "k")]);
    owner.stop().await;
}

#[tokio::test]
async fn without_the_lease_nobody_claims_and_a_stopped_owner_gives_it_back() {
    let world = World::with_units(4).await;
    let one = world.ready_owner("one").await;
    let fence = one.lane.status().fence;
    let two = world.owner("two");
    assert_eq!(two.lane.hold(request(1, "k", 1)).await, Err(LaneError::NoOwner));
    // Seen from outside, a lease has more time left only when it was renewed; five renewals take longer than one lease lives.
    let (begin, mut left, mut renewals) = (Instant::now(), u64::MAX, 0);
    while renewals < 5 {
        let seen = lua::lease::take(&world.redis(), (&world.keys()).into(), "somebody", 1_000).await.unwrap();
        let lua::lease::Lease::Other { owner, left_ms } = seen else { panic!("the lease ran out") };
        assert_eq!(owner, "one");
        renewals += u32::from(left_ms > left);
        left = left_ms;
        assert!(begin.elapsed() < PATIENCE, "not renewed");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(two.lane.status().fence, 0);
    assert_eq!(one.lane.status().fence, fence);
    one.stop().await;
    two.ready().await;
    assert_eq!(two.lane.status().fence, fence + 1);
    two.stop().await;
}

#[tokio::test]
async fn a_frozen_redis_gives_unknown_or_busy_answers_and_the_lane_goes_on_afterwards() {
    let world = World::with_units(4).await;
    let owner = world.ready_owner("one").await;
    held(&owner.lane, 1, "k", 1).await;
    world.server.freeze().unwrap();
    let (hold, confirm) = tokio::join!(
        owner.lane.hold(request(2, "k", 1)),
        owner.lane.confirm(id(1, "k"), visitor(1), None, Duration::from_secs(3)),
    );
    world.server.thaw().unwrap();
    assert!(matches!(hold, Err(LaneError::Unknown | LaneError::NotLoaded)), "{hold:?}");
    assert!(matches!(confirm, Ok(ConfirmAnswer::Confirming) | Err(_)), "{confirm:?}");
    assert!(is_booked(&confirmed(&owner.lane, 1, "k").await));
    until("the same hold again is held once", || async {
        matches!(owner.lane.hold(request(2, "k", 1)).await, Ok(HoldAnswer::Hold { .. }))
    })
    .await;
    world.at_rest().await;
    assert_eq!(world.stock().await.map(|s| (s.0, s.1)), Some((2, 1)));
    owner.stop().await;
}

#[tokio::test]
async fn a_ledger_that_has_less_than_redis_stops_the_lane() {
    let world = World::with_units(4).await;
    let owner = world.ready_owner("one").await;
    held(&owner.lane, 1, "k", 1).await;
    world.shell(&["HSET", world.keys().lane(), "settled", "40"]).await;
    until("the lane stops", || async { owner.lane.status().stopped }).await;
    assert_eq!(owner.lane.hold(request(2, "k", 1)).await, Err(LaneError::Stopped));
    owner.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_beyond_every_bound_are_refused_as_busy_and_nothing_else_is_lost() {
    let world = World::with_units(1).await;
    let owner = world.ready_owner("one").await;
    world.server.freeze().unwrap();
    let most = u32::try_from(domain::limits::MAX_OWNER_QUEUE).unwrap();
    let ask = |v: u32| {
        let lane = owner.lane.clone();
        tokio::spawn(async move { lane.look(id(v, "k"), visitor(v)).await })
    };
    let asked: Vec<_> = (0..3 * most).map(ask).collect();
    let mut busy = 0;
    until("some are answered", || async { asked.iter().any(tokio::task::JoinHandle::is_finished) }).await;
    world.server.thaw().unwrap();
    for answer in asked {
        busy += u32::from(answer.await.unwrap() == Err(LaneError::Busy));
    }
    assert!(busy > 0, "the bound was not reached");
    assert!(is_booked_after(&owner.lane).await);
    owner.stop().await;
}

async fn is_booked_after(lane: &Lane) -> bool {
    until("the lane takes holds again", || async {
        matches!(lane.hold(request(1, "after", 1)).await, Ok(HoldAnswer::Hold { .. }))
    })
    .await;
    is_booked(&confirmed(lane, 1, "after").await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owners_killed_in_the_middle_of_a_sale_lose_no_booking_and_sell_nothing_twice() {
    let world = World::with_units(300).await;
    let mut owner = world.ready_owner("o0").await;
    let mut acknowledged = vec![];
    for round in 1..=3u32 {
        let buyers: Vec<_> = (0..8).map(|v| tokio::spawn(buy_until_lost(owner.lane.clone(), v, round))).collect();
        until("some more are booked", || async { world.sold().await >= u64::from(round) * 40 }).await;
        owner.kill().await;
        for buyer in buyers {
            acknowledged.extend(buyer.await.unwrap());
        }
        owner = world.ready_owner(&format!("o{round}")).await;
    }
    world.at_rest().await;
    let booked = world.booked_ids().await;
    assert!(!acknowledged.is_empty());
    assert!(acknowledged.iter().all(|id| booked.contains(id)), "every acknowledged booking is in the ledger");
    assert!(world.sold().await <= 300);
    owner.stop().await;
}

/// Books until the owner is gone; every acknowledged booking.
async fn buy_until_lost(lane: Lane, v: u32, round: u32) -> Vec<domain::HoldId> {
    let mut booked = vec![];
    for n in 0.. {
        let key = format!("r{round}k{n}");
        match lane.hold(request(v, &key, 1)).await {
            Ok(HoldAnswer::Hold { .. }) => {}
            Ok(_) | Err(_) => break,
        }
        match lane.confirm(id(v, &key), visitor(v), None, PATIENCE).await {
            Ok(ConfirmAnswer::Booked { .. }) => booked.push(id(v, &key)),
            Ok(_) | Err(_) => break,
        }
    }
    booked
}

/// One of the lane's keys is overwritten in the middle of a sale, twice.
async fn sale_while_a_key_is_damaged(key: fn(&lua::LaneKeys) -> &str) {
    let rounds = std::sync::atomic::AtomicU32::new(0);
    sale_while(async |world| {
        if rounds.fetch_add(1, Ordering::Relaxed) < 2 {
            world.shell(&["SET", key(&world.keys()), "junk"]).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_lane_is_loaded_anew_under_buyers() {
    sale_while_a_key_is_damaged(lua::LaneKeys::lane).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_holds_are_loaded_anew_under_buyers() {
    sale_while_a_key_is_damaged(lua::LaneKeys::holds).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_deadlines_are_loaded_anew_under_buyers() {
    sale_while_a_key_is_damaged(lua::LaneKeys::due).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_visitors_are_loaded_anew_under_buyers() {
    sale_while_a_key_is_damaged(lua::LaneKeys::visitors).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_intents_are_loaded_anew_under_buyers() {
    sale_while_a_key_is_damaged(lua::LaneKeys::confirming).await;
}

#[tokio::test]
async fn a_damaged_lane_that_nobody_uses_heals_shows_it_and_answers_from_the_ledger() {
    let world = World::with_units(5).await;
    let owner = world.ready_owner("one").await;
    held(&owner.lane, 1, "k", 1).await;
    held(&owner.lane, 2, "k", 2).await;
    let booked = confirmed(&owner.lane, 1, "k").await;
    assert!(is_booked(&booked));
    world.at_rest().await;
    let mut seen = owner.lane.watch();
    world.shell(&["SET", world.keys().visitors(), "junk"]).await;
    tokio::time::timeout(PATIENCE, seen.wait_for(|status| status.redis_failing)).await.unwrap().unwrap();
    let whole = |status: &booker::LaneStatus| status.loaded && !status.redis_failing;
    tokio::time::timeout(PATIENCE, seen.wait_for(whole)).await.unwrap().unwrap();
    assert_eq!(confirmed(&owner.lane, 1, "k").await, repeat_of(&booked));
    assert_eq!(confirmed(&owner.lane, 2, "k").await, ConfirmAnswer::Refused(domain::RefuseReason::Gone));
    held(&owner.lane, 3, "k", 4).await;
    world.at_rest().await;
    owner.stop().await;
}
