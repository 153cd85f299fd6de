//! Keys that somebody edited by hand: what the scripts make of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Lane, booked, group, item, request, visitor};
use domain::fault::KnownFaults;
use lua::lane::{
    self, LaneState, LoadBegin, LoadReply, Miscounted, ReapCursor, RecountFrom, RecountReply, Settle, SettleEvent,
    Settling, Undecided,
};
use lua::lease::{self, Lease};
use lua::line::{self, JoinGroup, JoinReply, JoinRequest, Joined, LineState, PresentRequest};
use lua::server::TestRedis;
use lua::{LaneKeys, LineKeys, Redis};

async fn shell(redis: &Redis, words: &[&[u8]]) {
    redis.raw(words).await.unwrap();
}

#[tokio::test]
async fn what_is_no_lease_is_nobodys_and_a_lease_is_its_owners() {
    let server = TestRedis::start().unwrap();
    let redis = server.redis();
    let keys = LaneKeys::new(&"test".parse().unwrap(), 0);
    let key = keys.lease().as_bytes();
    let take = async || lease::take(&redis, (&keys).into(), "one", 1_000).await.unwrap();
    for edit in [
        &[&b"SET"[..], key, b"junk"][..],
        &[b"SET", key, b"junk", b"PX", b"3600000"],
        &[b"RPUSH", key, b"junk"],
        &[b"HSET", key, b"a", b"b"],
    ] {
        shell(&redis, &[b"DEL", key]).await;
        shell(&redis, edit).await;
        assert!(!lease::drop(&redis, (&keys).into(), "one").await.unwrap());
        assert_eq!(take().await, Lease::Mine, "{edit:?}");
    }
    shell(&redis, &[b"SET", key, b"two", b"PX", b"5000"]).await;
    assert!(matches!(take().await, Lease::Other { owner, .. } if owner == "two"), "perhaps a program of other leases");
}

#[tokio::test]
async fn a_number_that_is_none_harms_nobody_else_in_the_line() {
    let server = TestRedis::start().unwrap();
    let (redis, keys) = (server.redis(), LineKeys::new(&"test".parse().unwrap()));
    let state = LineState { epoch: 1, settled: 1, frontier: 1, numbers_to: 100, doc: String::new() };
    line::load(&redis, &keys, &state).await.unwrap();
    let join = async |first_number, visitors: &[u8]| {
        let visitors = visitors.iter().map(|n| JoinRequest { visitor: visitor(*n), replace: None }).collect();
        line::join(&redis, &keys, &JoinGroup { epoch: 1, first_number, visitors }).await.unwrap()
    };
    join(10, &[1, 2]).await;
    for junk in [&b"junk"[..], b"", b"-3", b"99999999999999999999", b"1e9"] {
        shell(&redis, &[b"HSET", keys.tickets().as_bytes(), &visitor(1).0, junk]).await;
        let new = |number| Joined { number, existed: false };
        let known = |number| Joined { number, existed: true };
        assert_eq!(join(20, &[1, 2]).await, JoinReply::Joined { used: 1, numbers: vec![new(20), known(11)] });
        shell(&redis, &[b"HSET", keys.tickets().as_bytes(), &visitor(1).0, junk]).await;
        let show = |n, number| PresentRequest { visitor: visitor(n), number, used: false, replace: None };
        let shown = line::present(&redis, &keys, 1, &[show(1, 10), show(2, 11)]).await.unwrap();
        assert_eq!(shown, Ok(vec![Some(10), Some(11)]), "a ticket restores its place");
    }
}

#[tokio::test]
async fn a_lane_without_its_figures_is_loaded_anew() {
    let lane = Lane::loaded(&[("a", 3)]).await;
    let key = lane.keys.lane().as_bytes();
    let begin = LoadBegin {
        epoch: 1,
        head: 1,
        free: [("a".parse().unwrap(), 3)].into_iter().collect(),
        moved: Default::default(),
    };
    for edit in [
        &[&b"HSET"[..], key, b"settled", b"junk"][..],
        &[b"HDEL", key, b"settled"],
        &[b"HSET", key, b"epoch", b"junk"],
        &[b"HDEL", key, b"epoch"],
        &[b"HSET", key, b"loaded", b"0"],
        &[b"HSET", key, b"loaded", b"2", b"epoch", b"900"],
        &[b"HDEL", key, b"loaded"],
    ] {
        shell(&lane.redis, edit).await;
        assert_eq!(lane.meta().await.state, LaneState::Empty, "{edit:?}");
        assert_eq!(lane::load_begin(&lane.redis, &lane.keys, &begin).await.unwrap(), LoadReply::Done, "{edit:?}");
        shell(&lane.redis, &[b"DEL", key]).await;
        lane.load(1, 1, &[("a", 3)]).await;
        assert_eq!(lane::load_begin(&lane.redis, &lane.keys, &begin).await.unwrap(), LoadReply::Refused);
    }
}

#[tokio::test]
async fn events_that_the_records_have_already_move_no_units_again() {
    let lane = Lane::loaded(&[("a", 5)]).await;
    let cancelled = Settling::Cancelled {
        id: item(2),
        visitor: visitor(2),
        fp: common::fp("a=1"),
        pass: None,
        lines: common::lines("a=1"),
        at: domain::Millis(6),
    };
    let events = vec![
        SettleEvent { seq: 2, what: booked(1, 1, "a=2", None) },
        SettleEvent { seq: 3, what: booked(2, 2, "a=1", None) },
        SettleEvent { seq: 4, what: cancelled },
    ];
    let settle = Settle { expected: 1, events, ..Settle::default() };
    lane.settle(&settle).await;
    let look = lane.look(&[1, 2], &[1, 2]).await;
    shell(&lane.redis, &[b"HSET", lane.keys.lane().as_bytes(), b"settled", b"1"]).await;
    lane.settle(&settle).await;
    assert_eq!(lane.stock("a").await, (3, 0));
    let again = lane.look(&[1, 2], &[1, 2]).await;
    assert_eq!((look.records, look.visitors), (again.records, again.visitors));
}

#[tokio::test]
async fn intents_that_nobody_meant_are_dropped_and_deadlines_beyond_their_records_come_back() {
    let lane = Lane::loaded(&[("a", 5)]).await;
    lane.hold(&group(60_000, None, vec![request(1, 1, "a=1"), request(2, 2, "a=1")])).await;
    lane.confirm(&[(1, 1)]).await;
    lane::cancel(&lane.redis, &lane.keys, &[item(9)]).await.unwrap();
    let set = lane.keys.confirming().as_bytes();
    let no_record = item(7);
    let mut cancel_of_nothing = vec![b'x'];
    cancel_of_nothing.extend_from_slice(&[0xff; 16]);
    for junk in [&b"junk"[..], b"", &[0; 16], no_record.as_bytes(), item(2).as_bytes(), &cancel_of_nothing] {
        shell(&lane.redis, &[b"SADD", set, junk]).await;
    }
    shell(&lane.redis, &[b"ZADD", lane.keys.due().as_bytes(), b"+inf", item(2).as_bytes()]).await;
    let reaped = lane::reap(&lane.redis, &lane.keys, ReapCursor::default(), &KnownFaults::none()).await.unwrap();
    assert_eq!((reaped.dropped, reaped.rescheduled, reaped.requeued), (6, 1, 0));
    let mut left = lane.undecided().await;
    left.sort_by_key(|intent| matches!(intent, Undecided::Cancel(_)));
    assert!(
        matches!(&left[..], [Undecided::Confirm(id, Some(_)), Undecided::Cancel(none)] if *id == item(1) && *none == item(9))
    );
}

#[tokio::test]
async fn a_recount_in_parts_is_of_one_moment_or_says_that_it_is_not() {
    let lane = Lane::loaded(&[("a", 50), ("b", 50)]).await;
    let requests = (1..=30).map(|n| request(n, n, if n % 2 == 0 { "a=1" } else { "a=1,b=2" })).collect();
    lane.hold(&group(60_000, None, requests)).await;
    lane.confirm(&[(1, 1), (2, 2), (3, 3), (4, 4), (5, 5)]).await;
    let whole = async |most| {
        let mut parts = vec![lane::recount_part(&lane.redis, &lane.keys, RecountFrom::default(), most).await.unwrap()];
        while let Some(from) = parts.last().unwrap().next {
            parts.push(lane::recount_part(&lane.redis, &lane.keys, from, most).await.unwrap());
        }
        parts
    };
    for most in [1, 3, 7, 26, 30, 1_000] {
        let parts = whole(most).await;
        let claimed = |name: &str| parts.iter().filter_map(|part| part.claimed.get(name)).sum::<i64>();
        assert_eq!((claimed("a"), claimed("b")), (30, 30), "in parts of {most}");
        assert!(parts.iter().all(|part| part.edits == parts[0].edits));
        assert_eq!(parts.last().unwrap().live.len(), 2);
    }
    let edits = whole(7).await[0].edits;
    lane.confirm(&[(6, 6)]).await;
    assert!(whole(7).await[0].edits > edits, "a record in another index");
    let key = lane.keys.lane().as_bytes();
    for (live, shown) in [(&b"31"[..], 31), (b"junk", 0), (b"inf", 0), (b"30.5", 0)] {
        shell(&lane.redis, &[b"HSET", key, b"l:a", live]).await;
        let wrong = Miscounted { item: "a".parse().unwrap(), live: shown, claimed: 30 };
        let found = lane::recount(&lane.redis, &lane.keys).await.unwrap();
        assert_eq!(found, RecountReply::Counted(vec![wrong]));
    }
}
