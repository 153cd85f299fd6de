//! A lane on a Redis Cluster: what its owner does when the lane comes back older, or not at all.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use booker::{ConfirmAnswer, HoldAnswer};
use common::{World, confirmed, held, id, is_booked, request, until};
use domain::HoldState;
use lua::server::{Failover, TestCluster};

/// Units that can be held again: with the whole rest in one hold.
async fn rest_can_be_held(world: &World, lane: &booker::Lane, units: u32) {
    until("all units that are not sold can be held", || async {
        world.stock().await.is_some_and(|(free, ..)| free == i64::from(units))
            && matches!(lane.hold(request(99, "rest", units)).await, Ok(HoldAnswer::Hold { .. }))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failover_to_a_lagging_replica_the_log_is_replayed_and_lost_holds_give_their_units_back() {
    let mut world = World::on_cluster(TestCluster::start().unwrap(), 10).await;
    let owner = world.ready_owner("one").await;
    let slot = TestCluster::slot_of(world.keys().lane());
    held(&owner.lane, 1, "known", 2).await;
    held(&owner.lane, 2, "booked", 1).await;
    let cluster = world.cluster.as_mut().unwrap();
    cluster.settled().unwrap();
    let master = cluster.master_of(slot).unwrap();
    let replica = cluster.replica_of(master).unwrap();
    cluster.cut_off(replica).unwrap();
    // Nothing of this reaches the replica.
    assert!(is_booked(&confirmed(&owner.lane, 2, "booked").await));
    held(&owner.lane, 3, "lost", 3).await;
    held(&owner.lane, 4, "lost and booked", 1).await;
    assert!(is_booked(&confirmed(&owner.lane, 4, "lost and booked").await));
    let cluster = world.cluster.as_mut().unwrap();
    cluster.kill(master).unwrap();
    cluster.failover(replica, Failover::TakeOver).unwrap();

    until("the log is replayed", || async {
        world.stock().await.is_some_and(|(.., settled)| settled == owner.lane.status().head)
    })
    .await;
    for (v, key) in [(2, "booked"), (4, "lost and booked")] {
        assert_eq!(world.state(id(v, key)).await, Some(HoldState::Sold), "{key}");
        assert!(is_booked(&confirmed(&owner.lane, v, key).await), "{key}");
    }
    assert_eq!(world.state(id(1, "known")).await, Some(HoldState::Held));
    assert!(is_booked(&confirmed(&owner.lane, 1, "known").await));
    // A hold that was lost: Redis does not know it, the ledger decides, and its units are free.
    assert!(matches!(confirmed(&owner.lane, 3, "lost").await, ConfirmAnswer::Refused(_)));
    rest_can_be_held(&world, &owner.lane, 6).await;
    assert_eq!(world.sold().await, 4);
    world.at_rest().await;
    owner.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shard_that_comes_back_empty_is_loaded_anew_and_decided_holds_answer_as_before() {
    let mut world = World::on_cluster(TestCluster::start().unwrap(), 5).await;
    let owner = world.ready_owner("one").await;
    let slot = TestCluster::slot_of(world.keys().lane());
    held(&owner.lane, 1, "booked", 2).await;
    assert!(is_booked(&confirmed(&owner.lane, 1, "booked").await));
    held(&owner.lane, 2, "lost", 1).await;
    let cluster = world.cluster.as_mut().unwrap();
    let master = cluster.master_of(slot).unwrap();
    let replica = cluster.replica_of(master).unwrap();
    for n in [replica, master] {
        cluster.kill(n).unwrap();
        cluster.wipe(n).unwrap();
    }
    for n in [master, replica] {
        cluster.restart(n).unwrap();
    }
    owner.ready().await;
    until("the lane is loaded", || async { world.stock().await.is_some() }).await;
    assert!(is_booked(&confirmed(&owner.lane, 1, "booked").await));
    assert!(matches!(confirmed(&owner.lane, 2, "lost").await, ConfirmAnswer::Refused(_)));
    rest_can_be_held(&world, &owner.lane, 3).await;
    world.at_rest().await;
    owner.stop().await;
}
