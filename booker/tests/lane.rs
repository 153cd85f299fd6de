//! A lane with its owner, a real Redis and a real ledger.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::HashSet;
use std::time::Duration;

use booker::{CancelAnswer, ConfirmAnswer, HoldAnswer, LookAnswer, ReleaseAnswer};
use common::{World, confirmed, doc, held, id, is_booked, item, lines, repeat_of, request, until, visitor};
use domain::fault::Life;
use domain::{HoldState, LaneEvent, Lines, Millis, RefuseReason};

const fn life(expires: Millis) -> Life {
    Life { given: Millis(0), expires }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_concurrent_visitors_on_fifty_units_book_exactly_fifty() {
    let world = World::with_units(50).await;
    let owner = world.ready_owner("one").await;
    let visitors = (0..200).map(|v| {
        let lane = owner.lane.clone();
        tokio::spawn(async move {
            match lane.hold(request(v, "k", 1)).await.unwrap() {
                HoldAnswer::Hold { hold, .. } => {
                    assert_eq!(hold.state, HoldState::Held);
                    is_booked(&confirmed(&lane, v, "k").await)
                }
                HoldAnswer::AllHeld | HoldAnswer::SoldOut => false,
                other => panic!("{other:?}"),
            }
        })
    });
    let mut booked = 0;
    for visitor in visitors.collect::<Vec<_>>() {
        booked += u32::from(visitor.await.unwrap());
    }
    assert_eq!(booked, 50);
    assert_eq!(world.sold().await, 50);
    world.at_rest().await;
    assert_eq!(world.stock().await.map(|s| (s.0, s.1)), Some((0, 0)));
    assert!(matches!(owner.lane.hold(request(900, "k", 1)).await.unwrap(), HoldAnswer::SoldOut));
    owner.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_key_twenty_times_at_once_is_one_booking_with_one_id() {
    let world = World::with_units(100).await;
    let owner = world.ready_owner("one").await;
    let twins = (0..20).map(|_| {
        let lane = owner.lane.clone();
        tokio::spawn(async move {
            // Held, or already confirming or sold by a twin that was faster.
            assert!(matches!(lane.hold(request(1, "k", 2)).await.unwrap(), HoldAnswer::Hold { .. }));
            match lane.confirm(id(1, "k"), visitor(1), None, Duration::from_secs(5)).await.unwrap() {
                ConfirmAnswer::Booked { booking, .. } => booking,
                other => panic!("{other:?}"),
            }
        })
    });
    let mut bookings = HashSet::new();
    for twin in twins.collect::<Vec<_>>() {
        let booking = twin.await.unwrap();
        assert_eq!(booking.id, id(1, "k"));
        bookings.insert((booking.log.to_string(), booking.seq, booking.at));
    }
    assert_eq!(bookings.len(), 1);
    assert_eq!(world.booked_ids().await, [id(1, "k")]);
    assert_eq!(world.sold().await, 2);
    owner.stop().await;
}

#[tokio::test]
async fn a_hold_is_replayed_released_and_held_anew_under_its_key() {
    let world = World::with_units(3).await;
    let owner = world.ready_owner("one").await;
    let lane = &owner.lane;
    let first = held(lane, 1, "k", 2).await;
    assert!(first.deadline.unwrap() > first.now);
    match lane.hold(request(1, "k", 2)).await.unwrap() {
        HoldAnswer::Hold { hold, replayed: true } => assert_eq!(hold.deadline, first.deadline),
        other => panic!("{other:?}"),
    }
    assert_eq!(lane.hold(request(1, "k", 1)).await.unwrap(), HoldAnswer::KeyReused);
    assert_eq!(lane.hold(request(2, "k", 2)).await.unwrap(), HoldAnswer::AllHeld);
    assert_eq!(lane.hold(request(2, "k", 4)).await.unwrap(), HoldAnswer::SoldOut);
    for _ in 0..2 {
        assert_eq!(lane.release(id(1, "k"), visitor(1)).await.unwrap(), ReleaseAnswer::Released);
    }
    held(lane, 2, "k", 3).await;
    lane.release(id(2, "k"), visitor(2)).await.unwrap();
    match lane.hold(request(1, "k", 2)).await.unwrap() {
        HoldAnswer::Hold { hold, replayed: false } => assert_eq!(hold.state, HoldState::Held),
        other => panic!("{other:?}"),
    }
    owner.stop().await;
}

#[tokio::test]
async fn an_item_nobody_sells_is_told_from_one_that_is_sold_out() {
    let world = World::new(doc(&[("a", 1), ("b", 1)])).await;
    let owner = world.ready_owner("one").await;
    let mut unknown = request(1, "k", 1);
    unknown.lines = lines(&[("c", 1)]);
    assert_eq!(owner.lane.hold(unknown).await.unwrap(), HoldAnswer::NoSuchItem);
    let mut both = request(1, "k", 1);
    both.lines = lines(&[("a", 1), ("b", 2)]);
    assert_eq!(owner.lane.hold(both).await.unwrap(), HoldAnswer::SoldOut);
    assert_eq!(world.stock().await.map(|s| (s.0, s.1)), Some((1, 0)), "all lines or none");
    owner.stop().await;
}

#[tokio::test]
async fn the_limit_per_visitor_counts_holds_and_bookings_together() {
    let mut limited = doc(&[("a", 10)]);
    limited.units_per_visitor = Some(3);
    let world = World::new(limited).await;
    let owner = world.ready_owner("one").await;
    held(&owner.lane, 1, "x", 2).await;
    assert!(is_booked(&confirmed(&owner.lane, 1, "x").await));
    assert_eq!(owner.lane.hold(request(1, "y", 2)).await.unwrap(), HoldAnswer::Limit);
    held(&owner.lane, 1, "z", 1).await;
    assert_eq!(owner.lane.hold(request(1, "w", 1)).await.unwrap(), HoldAnswer::Limit);
    owner.stop().await;
}

#[tokio::test]
async fn a_booking_is_seen_by_its_visitor_only_and_a_repeat_gets_the_same_answer() {
    let world = World::with_units(3).await;
    let owner = world.ready_owner("one").await;
    let lane = &owner.lane;
    held(lane, 1, "k", 2).await;
    let ConfirmAnswer::Booked { booking, replayed: false } = confirmed(lane, 1, "k").await else { panic!() };
    assert_eq!(booking.log, world.log());
    assert_eq!(*booking.lines, lines(&[("a", 2)]));
    let again = confirmed(lane, 1, "k").await;
    assert_eq!(again, ConfirmAnswer::Booked { booking: booking.clone(), replayed: true });
    assert_eq!(lane.bookings(visitor(1)).await.unwrap(), std::slice::from_ref(&booking));
    assert_eq!(lane.bookings(visitor(2)).await.unwrap(), []);
    assert_eq!(lane.booking(id(1, "k"), visitor(1)).await.unwrap(), Some(booking.clone()));
    assert_eq!(lane.booking(id(1, "k"), visitor(2)).await.unwrap(), None);
    match lane.look(id(1, "k"), visitor(1)).await.unwrap() {
        LookAnswer::Hold(hold) => {
            assert_eq!((hold.state, hold.booking), (HoldState::Sold, Some(booking)));
        }
        other => panic!("{other:?}"),
    }
    match lane.hold(request(1, "k", 2)).await.unwrap() {
        HoldAnswer::Hold { hold, replayed: true } => assert_eq!(hold.state, HoldState::Sold),
        other => panic!("{other:?}"),
    }
    assert_eq!(lane.hold(request(1, "k", 1)).await.unwrap(), HoldAnswer::KeyReused);
    let released = lane.release(id(1, "k"), visitor(1)).await.unwrap();
    assert_eq!(released, ReleaseAnswer::TooLate(HoldState::Sold));
    owner.stop().await;
}

#[tokio::test]
async fn a_stranger_or_an_id_of_elsewhere_is_foreign_and_changes_nothing() {
    let world = World::with_units(3).await;
    let owner = world.ready_owner("one").await;
    let lane = &owner.lane;
    held(lane, 1, "k", 1).await;
    let patience = Duration::from_secs(1);
    assert_eq!(lane.confirm(id(1, "k"), visitor(2), None, patience).await.unwrap(), ConfirmAnswer::Foreign);
    assert_eq!(lane.look(id(1, "k"), visitor(2)).await.unwrap(), LookAnswer::Foreign);
    assert_eq!(lane.release(id(1, "k"), visitor(2)).await.unwrap(), ReleaseAnswer::Foreign);
    assert_eq!(lane.cancel(id(1, "k"), visitor(2), patience).await.unwrap(), CancelAnswer::Foreign);
    let other_sale = domain::HoldId::derive(&"other".parse().unwrap(), 0, &visitor(1), "k");
    let other_lane = domain::HoldId::derive(&common::sale(), 1, &visitor(1), "k");
    for foreign in [other_sale, other_lane] {
        assert_eq!(lane.confirm(foreign, visitor(1), None, patience).await.unwrap(), ConfirmAnswer::Foreign);
        assert_eq!(lane.look(foreign, visitor(1)).await.unwrap(), LookAnswer::Foreign);
        assert_eq!(lane.booking(foreign, visitor(1)).await.unwrap(), None);
    }
    assert_eq!(world.events().await.len(), 1, "only the stock");
    assert_eq!(world.state(id(1, "k")).await, Some(HoldState::Held));
    owner.stop().await;
}

#[tokio::test]
async fn a_confirm_of_a_hold_that_nobody_knows_is_refused_by_the_ledger_for_ever() {
    let world = World::with_units(3).await;
    let owner = world.ready_owner("one").await;
    let lane = &owner.lane;
    assert_eq!(lane.look(id(1, "k"), visitor(1)).await.unwrap(), LookAnswer::Unknown);
    assert_eq!(confirmed(lane, 1, "k").await, ConfirmAnswer::Refused(RefuseReason::Gone));
    assert!(matches!(world.events().await[1], LaneEvent::Refused { why: RefuseReason::Gone, .. }));
    assert_eq!(confirmed(lane, 1, "k").await, ConfirmAnswer::Refused(RefuseReason::Gone));
    assert_eq!(lane.hold(request(1, "k", 1)).await.unwrap(), HoldAnswer::Gone(RefuseReason::Gone));
    held(lane, 1, "another-key", 1).await;
    owner.stop().await;
}

#[tokio::test]
async fn cancelling_frees_the_units_once_and_is_final() {
    let world = World::with_units(2).await;
    let owner = world.ready_owner("one").await;
    let lane = &owner.lane;
    let patience = Duration::from_secs(5);
    assert_eq!(lane.cancel(id(1, "k"), visitor(1), patience).await.unwrap(), CancelAnswer::NotBooked);
    held(lane, 1, "k", 2).await;
    assert_eq!(lane.cancel(id(1, "k"), visitor(1), patience).await.unwrap(), CancelAnswer::NotBooked);
    assert!(is_booked(&confirmed(lane, 1, "k").await));
    for _ in 0..2 {
        match lane.cancel(id(1, "k"), visitor(1), patience).await.unwrap() {
            CancelAnswer::Cancelled { booking, .. } => assert!(booking.cancelled.is_some()),
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(confirmed(lane, 1, "k").await, ConfirmAnswer::Cancelled(_)));
    world.at_rest().await;
    assert_eq!(world.stock().await.map(|s| (s.0, s.1)), Some((2, 0)));
    assert_eq!(world.state(id(1, "k")).await, Some(HoldState::Cancelled));
    held(lane, 2, "k", 2).await;
    assert_eq!(world.events().await.len(), 3);
    owner.stop().await;
}

#[tokio::test]
async fn held_units_come_back_after_their_deadline_without_any_request() {
    let mut short = doc(&[("a", 1)]);
    short.hold.ttl_ms = 150;
    let world = World::new(short).await;
    let owner = world.ready_owner("one").await;
    held(&owner.lane, 1, "k", 1).await;
    until("the unit is free again", || async { world.stock().await.is_some_and(|s| s.0 == 1 && s.1 == 0) }).await;
    assert_eq!(world.state(id(1, "k")).await, Some(HoldState::Released));
    held(&owner.lane, 2, "k", 1).await;
    assert!(is_booked(&confirmed(&owner.lane, 2, "k").await));
    // The first one confirms too late: the ledger says so. The confirm of a hold that has ended is an intent of no units, so
    // nobody knows any more what it had claimed.
    assert_eq!(confirmed(&owner.lane, 1, "k").await, ConfirmAnswer::Refused(RefuseReason::Gone));
    let LookAnswer::Hold(refused) = owner.lane.look(id(1, "k"), visitor(1)).await.unwrap() else { panic!() };
    assert_eq!((refused.state, refused.lines), (HoldState::Refused, Lines::default()));
    owner.stop().await;
}

#[tokio::test]
async fn stock_added_to_the_sale_reaches_the_lane_once_and_at_the_hint() {
    let world = World::with_units(1).await;
    let owner = world.ready_owner("one").await;
    held(&owner.lane, 1, "k", 1).await;
    assert_eq!(owner.lane.hold(request(2, "k", 1)).await.unwrap(), HoldAnswer::AllHeld);
    world.define(doc(&[("a", 3)]), [(item("a"), 2)].into_iter().collect()).await;
    until("the new units are there", || async { world.stock().await.is_some_and(|s| s.0 == 2) }).await;
    owner.stop().await;
    let owner = world.ready_owner("two").await;
    world.at_rest().await;
    let stock = world.events().await.into_iter().filter(|e| matches!(e, LaneEvent::Stock { .. })).count();
    assert_eq!(stock, 2, "a new owner does not add it again");
    owner.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_withdrawal_takes_what_is_free_once_and_never_what_is_held_or_sold() {
    let world = World::with_units(10).await;
    let owner = world.ready_owner("one").await;
    let lanes = [owner.lane.clone()];
    let take = async |seq, units| booker::withdraw(&lanes, &common::sale(), seq, &item("a"), units).await.unwrap();
    held(&owner.lane, 1, "k", 3).await;
    held(&owner.lane, 2, "k", 2).await;
    assert!(is_booked(&confirmed(&owner.lane, 2, "k").await));
    assert_eq!(take(5, 4).await, 4);
    assert_eq!(take(5, 4).await, 4, "the same withdrawal again");
    assert_eq!(take(6, 4).await, 1, "three are held and two are sold");
    assert_eq!(take(7, 4).await, 0);
    assert!(matches!(owner.lane.hold(request(3, "k", 1)).await.unwrap(), HoldAnswer::AllHeld));
    owner.lane.release(id(1, "k"), visitor(1)).await.unwrap();
    until("the units are free", || async { world.stock().await.is_some_and(|s| s.0 == 3) }).await;
    assert_eq!(take(7, 4).await, 0, "what came to nothing stays nothing");
    assert_eq!(take(8, 2).await, 2);
    world.at_rest().await;
    assert_eq!(world.stock().await.map(|s| (s.0, s.1)), Some((1, 0)));
    owner.stop().await;
    let owner = world.ready_owner("two").await;
    let lanes = [owner.lane.clone()];
    assert_eq!(booker::withdraw(&lanes, &common::sale(), 6, &item("a"), 4).await.unwrap(), 1, "the next owner knows");
    owner.stop().await;
}

#[tokio::test]
async fn lanes_share_the_units_and_each_sells_its_own() {
    let mut two = doc(&[("a", 3)]);
    two.lanes = 2;
    let world = World::new(two).await;
    let owners = [world.owner_of("one", 0), world.owner_of("two", 1)];
    let mut sold = vec![];
    for (lane, owner) in (0u16..).zip(&owners) {
        owner.ready().await;
        let of = |n: u32| booker::HoldRequest {
            id: domain::HoldId::derive(&common::sale(), lane, &visitor(n), "k"),
            visitor: visitor(n),
            lines: lines(&[("a", 1)]),
            pass: None,
        };
        let mut units = 0;
        for n in 0..4 {
            units += u32::from(matches!(owner.lane.hold(of(n)).await.unwrap(), HoldAnswer::Hold { .. }));
        }
        sold.push(units);
    }
    assert_eq!(sold, [2, 1]);
    for owner in owners {
        owner.stop().await;
    }
}

#[tokio::test]
async fn a_pass_books_once_and_its_end_is_reported_after_redis_knows_it() {
    let world = World::with_units(9).await;
    let mut owner = world.ready_owner("one").await;
    let pass = |number| Some(booker::PassRef { number, life: life(Millis(u64::MAX >> 12)) });
    let mut first = request(1, "k", 1);
    first.pass = pass(7);
    assert!(matches!(owner.lane.hold(first).await.unwrap(), HoldAnswer::Hold { .. }));
    assert!(is_booked(&confirmed(&owner.lane, 1, "k").await));
    assert_eq!(owner.ended.recv().await, Some(vec![7]));
    let mut second = request(1, "again", 1);
    second.pass = pass(7);
    assert_eq!(owner.lane.hold(second).await.unwrap(), HoldAnswer::PassDone);
    let mut expired = request(2, "k", 1);
    expired.pass = Some(booker::PassRef { number: 8, life: life(Millis(1)) });
    assert_eq!(owner.lane.hold(expired).await.unwrap(), HoldAnswer::PassExpired);
    owner.lane.leave(visitor(3), 9).await.unwrap();
    let mut left = request(3, "k", 1);
    left.pass = pass(9);
    assert_eq!(owner.lane.hold(left).await.unwrap(), HoldAnswer::PassDone);
    owner.stop().await;
    // Whoever takes over reports all of them again: at least once.
    let mut owner = world.ready_owner("two").await;
    assert_eq!(owner.ended.recv().await, Some(vec![7]));
    owner.stop().await;
}

#[tokio::test]
async fn two_holds_of_one_pass_become_one_booking_and_the_other_gives_its_units_back() {
    let world = World::with_units(9).await;
    let owner = world.ready_owner("one").await;
    for key in ["one", "two", "three"] {
        let pass = Some(booker::PassRef { number: 7, life: life(Millis(u64::MAX >> 12)) });
        let hold = booker::HoldRequest { pass, ..request(1, key, 2) };
        assert!(matches!(owner.lane.hold(hold).await.unwrap(), HoldAnswer::Hold { .. }));
    }
    let (one, two) = tokio::join!(confirmed(&owner.lane, 1, "one"), confirmed(&owner.lane, 1, "two"));
    assert!(is_booked(&one), "{one:?}");
    assert_eq!(two, ConfirmAnswer::Refused(RefuseReason::PassUsed));
    assert_eq!(confirmed(&owner.lane, 1, "one").await, repeat_of(&one), "the booking's own replay");
    assert!(matches!(
        owner.lane.cancel(id(1, "one"), visitor(1), Duration::from_secs(5)).await,
        Ok(CancelAnswer::Cancelled { .. })
    ));
    assert_eq!(confirmed(&owner.lane, 1, "three").await, ConfirmAnswer::Refused(RefuseReason::PassUsed));
    assert_eq!(world.sold().await, 0);
    world.at_rest().await;
    until("every unit is free again", || async { world.stock().await.map(|s| (s.0, s.1)) == Some((9, 0)) }).await;
    owner.stop().await;
}

#[tokio::test]
async fn without_a_waiting_room_a_visitor_holds_and_releases_all_day_up_to_a_bound() {
    use domain::limits::{MAX_HOLDS_PER_PASS, MAX_HOLDS_WITHOUT_PASS};
    let world = World::with_units(3).await;
    let owner = world.ready_owner("one").await;
    for n in 0..MAX_HOLDS_WITHOUT_PASS {
        let key = n.to_string();
        held(&owner.lane, 1, &key, 1).await;
        if n % 100 == 0 && n > 0 {
            // A booking is bounded by the stock, not by the number of holds.
            assert!(is_booked(&confirmed(&owner.lane, 1, &key).await));
            owner.lane.cancel(id(1, &key), visitor(1), Duration::from_secs(5)).await.unwrap();
        } else {
            assert_eq!(owner.lane.release(id(1, &key), visitor(1)).await.unwrap(), ReleaseAnswer::Released);
        }
    }
    world.at_rest().await;
    let counts = lua::lane::look(&world.redis(), &world.keys(), &[], &[visitor(1)]).await.unwrap().visitors[0];
    let counts = counts.unwrap();
    let booked = u64::from(MAX_HOLDS_WITHOUT_PASS - 1) / 100;
    assert_eq!((counts.units, counts.made), (0, u64::from(MAX_HOLDS_WITHOUT_PASS) - booked));
    for n in 0..booked {
        held(&owner.lane, 1, &format!("more {n}"), 1).await;
        owner.lane.release(id(1, &format!("more {n}")), visitor(1)).await.unwrap();
    }
    assert_eq!(owner.lane.hold(request(1, "over", 1)).await.unwrap(), HoldAnswer::TooManyHolds);
    held(&owner.lane, 2, "k", 1).await;
    // With a pass the smaller bound counts.
    let mut room = doc(&[("a", 3)]);
    room.admission = domain::Admission::Room(domain::sale::Room {
        public_value: None,
        proof_of_work: None,
        standby: None,
        classes: Vec::new(),
        pace_per_minute: 1,
        active_passes: 1,
        pass_ttl_ms: 1_000,
        claim_grace_ms: 1_000,
    });
    world.define(room, std::collections::BTreeMap::new()).await;
    for n in 0..=MAX_HOLDS_PER_PASS {
        let pass = Some(booker::PassRef { number: 7, life: life(Millis(u64::MAX >> 12)) });
        let key = n.to_string();
        let answer = owner.lane.hold(booker::HoldRequest { pass, ..request(3, &key, 1) }).await.unwrap();
        assert_eq!(answer == HoldAnswer::TooManyHolds, n == MAX_HOLDS_PER_PASS, "{n}: {answer:?}");
        owner.lane.release(id(3, &key), visitor(3)).await.unwrap();
    }
    owner.stop().await;
}

#[tokio::test]
async fn a_day_after_the_sale_is_over_the_lane_is_unloaded_and_the_fold_answers() {
    let world = World::with_units(5).await;
    let owner = world.ready_owner("one").await;
    held(&owner.lane, 1, "k", 2).await;
    let ConfirmAnswer::Booked { booking, replayed: false } = confirmed(&owner.lane, 1, "k").await else { panic!() };
    let mut over = doc(&[("a", 5)]);
    over.closes_at = Some(domain::Millis(1_000));
    world.define(over, std::collections::BTreeMap::new()).await;
    until("the lane is unloaded", || async { owner.lane.status().unloaded }).await;
    assert_eq!(world.stock().await, None);
    assert_eq!(confirmed(&owner.lane, 1, "k").await, ConfirmAnswer::Booked { booking, replayed: true });
    assert_eq!(owner.lane.look(id(2, "k"), visitor(2)).await.unwrap(), LookAnswer::Unknown);
    assert_eq!(confirmed(&owner.lane, 2, "k").await, ConfirmAnswer::Refused(RefuseReason::Gone));
    let cancelled = owner.lane.cancel(id(1, "k"), visitor(1), Duration::from_secs(5)).await.unwrap();
    assert!(matches!(cancelled, CancelAnswer::Cancelled { .. }));
    assert!(owner.lane.hold(request(3, "k", 1)).await.is_err());
    assert_eq!(world.sold().await, 0);
    owner.stop().await;
}
