//! H15 to H18 of the protocol's model, and the loss of everything Redis knows, replayed on the real thing.

use std::collections::{BTreeMap, BTreeSet};

use admission::{Claim, Joined, LineError, NotYet};

use crate::support::{Owner, RoomOf, World, check_log, eventually, insist, visitor};

/// The owner has published what it knows now.
async fn published(world: &World, owner: &Owner) {
    let keys = lua::LineKeys::new(&crate::support::sale());
    eventually("Redis shows the owner's last entry", || async {
        let look = lua::line::look(&world.redis, &keys).await;
        look.is_ok_and(|look| look.state.settled == owner.status().head)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h15_a_number_given_before_a_rollback_is_never_given_again() {
    let world = World::open(RoomOf { cap: 0, ..RoomOf::default() }).await;
    let owner = world.owner("one").await;
    assert_eq!(owner.join(9, None).await.number, 1);
    published(&world, &owner).await;
    world.snapshot().await;
    assert_eq!(owner.join(0, None).await.number, 2);
    world.roll_back().await;
    assert_eq!(owner.join(1, None).await.number, 3, "2 is somebody's, whatever Redis says");
    assert_eq!(owner.join(0, Some(2)).await, Joined { number: 2, new: false }, "its ticket restores it");
    owner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h15_a_new_owner_starts_behind_every_number_the_old_one_may_have_given() {
    let world = World::open(RoomOf { cap: 2, ..RoomOf::default() }).await;
    let one = world.owner("one").await;
    for who in 1..=3 {
        assert_eq!(one.join(who, None).await.number, who);
    }
    eventually("the numbers given out are published", || async { one.status().issued == 3 }).await;
    published(&world, &one).await;
    world.snapshot().await;
    assert_eq!(one.join(4, None).await.number, 4);
    one.kill().await;
    world.roll_back().await;
    let two = world.owner("two").await;
    let fifth = two.join(5, None).await.number;
    assert_eq!(fifth, domain::limits::NUMBER_BLOCK + 1);
    assert_eq!(
        two.join(4, Some(4)).await,
        Joined { number: 4, new: false },
        "a ticket out of the gap is as good as any"
    );
    for who in 1..=4 {
        two.pass(who, who).await;
        two.leave(who, who).await;
    }
    two.pass(5, fifth).await;
    two.stop().await;
    let log = world.log().await;
    let gaps: Vec<_> = log.iter().filter_map(|entry| entry.gap).collect();
    assert!(gaps.len() == 1 && gaps[0].1 == domain::limits::NUMBER_BLOCK && gaps[0].0 <= 5, "{gaps:?}");
    check_log(&log, 60_000, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn h15_numbers_of_a_join_that_nobody_saw_end_are_never_offered_again() {
    let world = World::open(RoomOf { cap: 0, ..RoomOf::default() }).await;
    let owner = world.owner("one").await;
    assert_eq!(owner.join(9, None).await.number, 1);
    world.snapshot().await;
    world.server.freeze().unwrap();
    assert_eq!(owner.line.join(visitor(0), None).await, Err(LineError::Unknown));
    world.server.thaw().unwrap();
    // The frozen server executes what lay in its socket: the record may be there, or come back with an older copy.
    let first = owner.join(1, None).await.number;
    assert!(first >= 3, "2 was sent in the call that nobody saw end: {first}");
    let mine = owner.join(0, None).await.number;
    assert_ne!(mine, first);
    world.roll_back().await;
    let after = owner.join(2, None).await.number;
    assert!(after > first.max(mine), "{after}");
    owner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h16_the_cap_holds_when_redis_forgets_the_pass() {
    let world = World::open(RoomOf { cap: 1, grace_ms: 1, ..RoomOf::default() }).await;
    let owner = world.owner("one").await;
    for who in 1..=2 {
        owner.join(who, None).await;
    }
    owner.pass(1, 1).await;
    world.wipe().await;
    let refused = insist(|| owner.line.claim(visitor(2), 2)).await;
    assert!(matches!(refused, Claim::NotYet { why: NotYet::NotCalled | NotYet::CapFull, .. }), "{refused:?}");
    owner.leave(1, 1).await;
    owner.pass(2, 2).await;
    owner.stop().await;
    check_log(&world.log().await, 60_000, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn h16_a_used_ticket_gets_no_second_pass_after_a_loss() {
    let world = World::open(RoomOf { ttl_ms: 50, ..RoomOf::default() }).await;
    let owner = world.owner("one").await;
    let number = owner.join(1, None).await.number;
    owner.pass(1, number).await;
    world.wipe().await;
    eventually("its time is over", || async { owner.claim(1, number).await == Claim::Ended }).await;
    world.wipe().await;
    assert_eq!(owner.claim(1, number).await, Claim::Ended);
    assert_eq!(
        owner.join(1, Some(number)).await,
        Joined { number: number + 1, new: true },
        "a used ticket is not restored"
    );
    owner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h18_of_two_unused_tickets_the_lower_is_the_place() {
    let world = World::open(RoomOf::default()).await;
    let owner = world.owner("one").await;
    assert_eq!(owner.join(1, None).await.number, 1);
    world.wipe().await;
    assert_eq!(owner.join(1, None).await.number, 2, "without its ticket nobody knows the visitor");
    assert_eq!(owner.join(1, Some(1)).await, Joined { number: 1, new: false });
    assert_eq!(owner.join(1, Some(2)).await, Joined { number: 1, new: false });
    owner.frontier(2).await;
    assert_eq!(owner.claim(1, 2).await, Claim::Superseded(1));
    owner.pass(1, 1).await;
    owner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h18_a_used_ticket_gives_way_to_an_unused_one() {
    let world = World::open(RoomOf { cap: 2, ..RoomOf::default() }).await;
    let owner = world.owner("one").await;
    let first = owner.join(1, None).await.number;
    world.wipe().await;
    let second = owner.join(1, None).await.number;
    assert_eq!(owner.join(1, Some(first)).await.number, first, "the record is the lower one again");
    owner.pass(1, first).await;
    owner.leave(1, first).await;
    owner.pass(1, second).await;
    owner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_waiting_keep_their_places_when_redis_is_wiped() {
    let world = World::open(RoomOf { cap: 100, ..RoomOf::default() }).await;
    let owner = world.owner("one").await;
    let mut tickets = BTreeMap::new();
    for who in 0..1_000 {
        tickets.insert(who, owner.join(who, None).await.number);
    }
    for who in 0..50 {
        owner.pass(who, tickets[&who]).await;
    }
    let frontier = owner.status().frontier;
    world.wipe().await;
    let (line, all) = (owner.line.clone(), tickets.clone());
    let returning = tokio::spawn(async move {
        for (who, number) in all {
            let place = insist(|| line.join(visitor(who), Some(number))).await;
            assert_eq!(place, Joined { number, new: false }, "a ticket restores its place");
        }
    });
    let line = owner.line.clone();
    let newcomers = tokio::spawn(async move {
        let mut numbers = BTreeSet::new();
        for who in 5_000..5_300 {
            let place = insist(|| line.join(visitor(who), None)).await;
            assert!(place.number > 1_000, "nobody gets in front of those who waited: {place:?}");
            assert!(numbers.insert(place.number), "{place:?} twice");
        }
        numbers
    });
    returning.await.unwrap();
    let new = newcomers.await.unwrap();
    assert!(owner.status().frontier >= frontier);
    // Everybody gets in, those who waited first.
    world.change(RoomOf { cap: 5_000, ..RoomOf::default() }).await;
    owner.frontier(1_000).await;
    for who in 50..1_000 {
        owner.pass(who, tickets[&who]).await;
    }
    for (who, number) in (5_000..5_300).zip(new) {
        owner.pass(who, number).await;
    }
    owner.stop().await;
    check_log(&world.log().await, 60_000, 5_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_redis_is_loaded_again_within_a_second_and_nobody_else_is_needed() {
    let world = World::open(RoomOf::default()).await;
    let owner = world.owner("one").await;
    owner.join(1, None).await;
    let frontier = {
        owner.frontier(1).await;
        owner.status().frontier
    };
    world.wipe().await;
    let keys = lua::LineKeys::new(&crate::support::sale());
    eventually("the line is there again", || async {
        lua::line::look(&world.redis, &keys)
            .await
            .is_ok_and(|look| look.state.frontier == frontier && look.state.epoch == owner.status().fence)
    })
    .await;
    owner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_dead_the_line_waits_and_goes_on_by_itself() {
    let mut world = World::open(RoomOf::default()).await;
    let owner = world.owner("one").await;
    let number = owner.join(1, None).await.number;
    owner.frontier(number).await;
    world.server.kill().unwrap();
    let refused = owner.line.join(visitor(2), None).await.unwrap_err();
    assert!(matches!(refused, LineError::Unavailable | LineError::Unknown), "{refused:?}");
    assert!(owner.line.claim(visitor(1), number).await.is_err());
    world.server.restart().unwrap();
    owner.pass(1, number).await;
    let second = owner.join(2, None).await.number;
    assert!(second > number);
    owner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_keys_are_loaded_anew_and_tickets_that_are_shown_restore_places() {
    let world = World::open(RoomOf { cap: 0, ..RoomOf::default() }).await;
    let owner = world.owner("one").await;
    let keys = lua::LineKeys::new(&crate::support::sale());
    let mut highest = 0;
    for (round, key) in [keys.line(), keys.tickets()].into_iter().enumerate() {
        let (first, second) = (10 * round as u64 + 1, 10 * round as u64 + 2);
        let number = owner.join(first, None).await.number;
        published(&world, &owner).await;
        world.redis.raw(&[&b"SET"[..], key.as_bytes(), b"junk"]).await.unwrap();
        let next = insist(|| owner.line.join(visitor(second), None)).await.number;
        assert!(next > number && number > highest, "no number is given twice: {highest}, {number}, {next}");
        let again = insist(|| owner.line.join(visitor(first), Some(number))).await;
        assert_eq!(again, Joined { number, new: false }, "its ticket restores it");
        highest = next;
    }
    owner.stop().await;
}

/// What somebody with a shell may do to the line's keys, besides what says that the ledger lost data.
fn edits(keys: &lua::LineKeys) -> Vec<Vec<&str>> {
    let (line, tickets) = (keys.line(), keys.tickets());
    let field = |name, value| vec!["HSET", line, name, value];
    vec![
        field("frontier", "9000"),
        field("frontier", "0"),
        field("frontier", "junk"),
        field("numbers_to", "1"),
        field("doc", "junk"),
        field("settled", "0"),
        field("settled", "junk"),
        field("epoch", "0"),
        field("epoch", "junk"),
        field("loaded", "0"),
        vec!["HDEL", line, "epoch"],
        vec!["HDEL", line, "doc", "settled", "numbers_to"],
        vec!["DEL", line],
        vec!["DEL", tickets],
        vec!["SET", line, "junk"],
        vec!["SET", tickets, "junk"],
        vec!["SET", keys.lease(), "junk"],
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_somebody_edits_no_number_is_given_twice_and_the_line_goes_on_by_itself() {
    let world = World::open(RoomOf { cap: 100, ..RoomOf::default() }).await;
    let owner = world.owner("one").await;
    let keys = lua::LineKeys::new(&crate::support::sale());
    let (mut numbers, mut frontier) = (BTreeSet::new(), 0);
    for (n, edit) in edits(&keys).into_iter().enumerate() {
        let who = 10 * n as u64;
        let first = owner.join(who, None).await.number;
        assert!(numbers.insert(first), "{first} twice");
        owner.pass(who, first).await;
        world.raw(&edit).await;
        let second = owner.join(who + 1, None).await.number;
        assert!(numbers.insert(second), "{second} twice, after {edit:?}");
        assert_eq!(owner.join(who + 1, Some(second)).await.number, second, "after {edit:?}");
        owner.pass(who + 1, second).await;
        eventually("Redis shows the line as it is", || async {
            let (status, look) = (owner.status(), lua::line::look(&world.redis, &keys).await);
            let shows =
                |look: lua::line::LineLook| look.state.settled == status.head && look.state.frontier == status.frontier;
            look.is_ok_and(shows) && status.loaded && !status.redis_failing
        })
        .await;
        assert!(owner.status().frontier >= frontier, "the frontier goes back after {edit:?}");
        frontier = owner.status().frontier;
        for who in [who, who + 1] {
            let number = if who % 10 == 0 { first } else { second };
            owner.leave(who, number).await;
        }
    }
    owner.stop().await;
    check_log(&world.log().await, 60_000, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_whose_keys_fail_shows_it() {
    let world = World::open(RoomOf::default()).await;
    let owner = world.owner("one").await;
    let mut seen = owner.line.status_watch();
    world.server.freeze().unwrap();
    tokio::time::timeout(std::time::Duration::from_secs(20), seen.wait_for(|status| status.redis_failing))
        .await
        .unwrap()
        .unwrap();
    world.server.thaw().unwrap();
    eventually("it is whole again", || async { owner.status().loaded && !owner.status().redis_failing }).await;
    owner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_log_shows_as_stopped() {
    let world = World::open(RoomOf::default()).await;
    let log = domain::LogId::line(&crate::support::sale());
    let writer = world.ledger.claim(&log, "vandal").await.unwrap();
    let appended = world.ledger.append(&writer, &["{\"no\":\"entry\"}".to_owned()]).await.unwrap();
    assert!(matches!(appended, ledger::Append::Appended(_)));
    let owner = world.start("one");
    eventually("the line is stopped", || async { owner.status().stopped && !owner.status().owned }).await;
    owner.stop().await;
}
