//! A lane's owner and faults of ours: what they extended is told and kept, and their order with what others got is the lane's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use booker::{ConfirmAnswer, HoldAnswer, HoldView, LookAnswer};
use common::{Owner, World, confirmed, doc, held, id, is_booked, request, until, visitor};
use domain::fault::KnownFaults;
use domain::{HoldState, Millis, RefuseReason};

/// One unit; holds live 300 ms.
async fn world() -> (World, Owner) {
    let mut doc = doc(&[("a", 1)]);
    doc.hold.ttl_ms = 300;
    let world = World::new(doc).await;
    let owner = world.ready_owner("one").await;
    (world, owner)
}

async fn look(owner: &Owner, v: u32) -> HoldView {
    match owner.lane.look(id(v, "k"), visitor(v)).await.unwrap() {
        LookAnswer::Hold(hold) => hold,
        other => panic!("{other:?}"),
    }
}

fn from_to(from: u64, to: u64) -> KnownFaults {
    KnownFaults { faults: [(Millis(from), Millis(to))].into_iter().collect(), to: Millis(to) }
}

#[tokio::test]
async fn a_hold_that_ran_into_a_fault_is_kept_until_it_is_known_then_ends_later_as_its_visitor_is_told() {
    let (world, owner) = world().await;
    // The line's owner has said nothing for a while: a fault may be under way.
    let hold = held(&owner.lane, 1, "k", 1).await;
    let deadline = hold.deadline.unwrap();
    world.faults.know(KnownFaults { to: Millis(hold.now.0 - 5_000), ..KnownFaults::default() });
    until("the deadline is over, and some rounds of the ticker", || async {
        look(&owner, 1).await.now.since(deadline) > 700
    })
    .await;
    assert_eq!(look(&owner, 1).await.state, HoldState::Held);
    assert_eq!(owner.lane.hold(request(2, "k", 1)).await.unwrap(), HoldAnswer::AllHeld, "nobody else gets the unit");
    // It is recorded, with an end that gives the test time: 100 ms were left when it began.
    let over = look(&owner, 1).await.now;
    let left = 60_000;
    world.faults.know(from_to(deadline.0 - 100, over.0 + left));
    let told = look(&owner, 1).await;
    assert_eq!((told.state, told.deadline), (HoldState::Held, Some(over.plus(left + 100))));
    let HoldAnswer::Hold { hold: again, replayed: true } = owner.lane.hold(request(1, "k", 1)).await.unwrap() else {
        panic!("the same hold")
    };
    assert_eq!(again.deadline, told.deadline);
    assert!(is_booked(&confirmed(&owner.lane, 1, "k").await));
    owner.stop().await;
}

#[tokio::test]
async fn a_fault_that_the_lane_hears_of_too_late_takes_no_unit_from_whom_it_went_to() {
    let (world, owner) = world().await;
    let hold = held(&owner.lane, 1, "k", 1).await;
    until("its unit is free again", || async { look(&owner, 1).await.state == HoldState::Released }).await;
    held(&owner.lane, 2, "k", 1).await;
    world.faults.know(from_to(hold.now.0, hold.now.0 + 60_000));
    assert_eq!(look(&owner, 1).await.state, HoldState::Released);
    assert!(is_booked(&confirmed(&owner.lane, 2, "k").await));
    assert_eq!(confirmed(&owner.lane, 1, "k").await, ConfirmAnswer::Refused(RefuseReason::Gone));
    owner.stop().await;
}

#[tokio::test]
async fn the_next_owner_ends_nothing_before_it_knows_as_much() {
    let (world, owner) = world().await;
    let hold = held(&owner.lane, 1, "k", 1).await;
    owner.kill().await;
    world.faults.know(KnownFaults::default());
    let next = world.ready_owner("two").await;
    until("the deadline is over", || async { look(&next, 1).await.now.since(hold.deadline.unwrap()) > 700 }).await;
    assert_eq!(look(&next, 1).await.state, HoldState::Held);
    world.faults.know(KnownFaults { to: look(&next, 1).await.now, ..KnownFaults::default() });
    until("it has ended: there was no fault", || async { look(&next, 1).await.state == HoldState::Released }).await;
    next.stop().await;
}
