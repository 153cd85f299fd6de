//! The lane's scripts on a real server, one fact each.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;

use common::{Lane, booked, group, item, lines, pass, request, visitor};
use domain::fault::KnownFaults;
use domain::state::HoldState;
use domain::{Millis, RefuseReason};
use lua::CallError;
use lua::lane::{
    self, CancelReply, ConfirmReply, ConfirmRequest, HoldGroup, HoldReply, LaneState, LoadBegin, LoadChunk, LoadEnd,
    LoadReply, Mend, MendItem, MendReply, Miscounted, ReapCursor, RecountReply, ReleaseReply, ReleaseRequest, Settle,
    SettleEvent, SettleReply, Settling, Undecided, VisitorLoad,
};

#[tokio::test]
async fn a_hold_takes_units_and_a_repeat_is_answered_from_its_record() {
    let lane = Lane::loaded(&[("a", 3)]).await;
    let held = lane.hold(&group(60_000, None, vec![request(1, 1, "a=2")])).await;
    let HoldReply::Held(record) = &held.replies[0] else { panic!("{held:?}") };
    assert_eq!(record.deadline, held.now.plus(60_000));
    assert_eq!(lane.stock("a").await, (1, 2));
    let again = lane.hold(&group(60_000, None, vec![request(1, 1, "a=2")])).await;
    assert_eq!(again.replies, [HoldReply::Exists(record.clone())]);
    assert_eq!(lane.stock("a").await, (1, 2));
}

#[tokio::test]
async fn later_requests_of_a_group_see_what_earlier_ones_did() {
    let lane = Lane::loaded(&[("a", 5), ("b", 1)]).await;
    let requests = vec![
        request(1, 1, "a=2"),
        request(1, 1, "a=2"),     // the same id
        request(1, 1, "a=1"),     // the same id, other content
        request(2, 1, "a=2,b=1"), // the same visitor, up to the limit
        request(3, 1, "a=1"),     // over it
        request(4, 2, "b=1"),     // b is held
        request(5, 2, "a=2"),     // one is left
        request(6, 2, "a=1"),
        request(7, 3, "b=2"), // more than there ever were
        request(8, 3, "c=1"),
    ];
    let held = lane.hold(&group(60_000, Some(5), requests)).await;
    let short: Vec<String> = held.replies.iter().map(common::name).collect();
    assert_eq!(
        short,
        ["held", "exists", "KeyReused", "held", "Limit", "AllHeld", "AllHeld", "held", "SoldOut", "NoSuchItem"]
    );
    assert_eq!((lane.stock("a").await, lane.stock("b").await), ((0, 5), (0, 1)));
}

#[tokio::test]
async fn refusals_come_in_a_fixed_order() {
    let lane = Lane::loaded(&[("a", 1)]).await;
    lane::leave(&lane.redis, &lane.keys, &[(visitor(1), 7)]).await.unwrap();
    let now = lane.meta().await.now;
    let late = Millis(now.0 - 1);
    // Each request fails for its reason and for every later one.
    let requests = vec![
        pass(request(1, 1, "zz=99"), 7, late),
        pass(request(2, 1, "a=99"), 7, late),
        pass(request(3, 1, "a=99"), 8, late),
        pass(request(4, 1, "a=99"), 8, now.plus(60_000)),
        request(5, 2, "a=2"),
    ];
    let held = lane.hold(&group(60_000, Some(3), requests)).await;
    let short: Vec<String> = held.replies.iter().map(common::name).collect();
    assert_eq!(short, ["NoSuchItem", "PassDone", "PassExpired", "Limit", "SoldOut"]);
}

#[tokio::test]
async fn a_pass_makes_at_most_twenty_holds() {
    let lane = Lane::loaded(&[("a", 100)]).await;
    let far = lane.meta().await.now.plus(60_000);
    let requests = (0..21).map(|n| pass(request(n, 1, "a=1"), 5, far)).collect();
    let held = lane.hold(&group(60_000, None, requests)).await;
    assert!(held.replies[..20].iter().all(|reply| matches!(reply, HoldReply::Held(_))));
    assert_eq!(held.replies[20], HoldReply::TooManyHolds);
    // Another pass, another twenty.
    let held = lane.hold(&group(60_000, None, vec![pass(request(50, 1, "a=1"), 6, far)])).await;
    assert!(matches!(held.replies[0], HoldReply::Held(_)));
}

#[tokio::test]
async fn the_group_says_how_many_holds_may_be_made() {
    let lane = Lane::loaded(&[("a", 100)]).await;
    let more = |most, from: u8| HoldGroup {
        most,
        ..group(60_000, None, (from..from + 30).map(|n| request(n, 1, "a=1")).collect())
    };
    let held = lane.hold(&more(25, 1)).await;
    assert_eq!(held.replies.iter().filter(|reply| **reply == HoldReply::TooManyHolds).count(), 5);
    let held = lane.hold(&more(40, 31)).await;
    assert_eq!(held.replies.iter().filter(|reply| **reply == HoldReply::TooManyHolds).count(), 15);
}

#[tokio::test]
async fn overdue_holds_are_reaped_by_the_next_hold_and_by_the_ticker() {
    let lane = Lane::loaded(&[("a", 2)]).await;
    lane.hold(&group(1, None, vec![request(1, 1, "a=1")])).await;
    lane.hold(&group(1, None, vec![request(2, 1, "a=1")])).await;
    lane.wait_past(2).await;
    let held = lane.hold(&group(60_000, None, vec![request(3, 2, "a=2")])).await;
    assert!(matches!(held.replies[0], HoldReply::Held(_)), "{held:?}");
    let look = lane.look(&[1, 2], &[1]).await;
    assert!(look.records.iter().all(|record| record.as_ref().unwrap().state == HoldState::Released));
    assert_eq!(look.visitors[0].unwrap().units, 0);
    lane.release(3, 2).await;
    lane.hold(&group(1, None, vec![request(4, 1, "a=1")])).await;
    lane.wait_past(2).await;
    let reaped = lane::reap(&lane.redis, &lane.keys, ReapCursor::default(), &KnownFaults::none()).await.unwrap();
    assert_eq!((reaped.released, reaped.purged, reaped.more), (1, 0, false));
    assert_eq!(lane.stock("a").await, (2, 0));
}

#[tokio::test]
async fn a_released_id_is_held_anew_but_not_with_other_content() {
    let lane = Lane::loaded(&[("a", 2)]).await;
    lane.hold(&group(60_000, None, vec![request(1, 1, "a=1")])).await;
    assert_eq!(lane.release(1, 2).await, ReleaseReply::Foreign);
    assert_eq!(lane.release(1, 1).await, ReleaseReply::Released);
    assert_eq!(lane.release(1, 1).await, ReleaseReply::Released);
    assert_eq!(lane.release(9, 1).await, ReleaseReply::Missing);
    assert_eq!(lane.stock("a").await, (2, 0));
    let held = lane.hold(&group(60_000, None, vec![request(1, 1, "a=2"), request(1, 1, "a=1")])).await;
    assert_eq!(held.replies[0], HoldReply::KeyReused);
    assert!(matches!(held.replies[1], HoldReply::Held(_)));
}

#[tokio::test]
async fn a_confirm_stops_the_clock_and_notes_the_intent() {
    let lane = Lane::loaded(&[("a", 2)]).await;
    lane.hold(&group(1, None, vec![request(1, 1, "a=1")])).await;
    let replies = lane.confirm(&[(1, 1), (1, 2), (1, 1)]).await;
    let [ConfirmReply::Confirming(first), ConfirmReply::Foreign, ConfirmReply::Confirming(second)] = &replies[..]
    else {
        panic!("{replies:?}")
    };
    assert_eq!((first, first.deadline, &first.lines), (second, Millis(0), &lines("a=1")));
    lane.wait_past(2).await;
    assert_eq!(
        lane::reap(&lane.redis, &lane.keys, ReapCursor::default(), &KnownFaults::none()).await.unwrap().released,
        0
    );
    assert_eq!(lane.stock("a").await, (1, 1));
    assert_eq!(lane.undecided().await, [Undecided::Confirm(item(1), Some(first.clone()))]);
    assert!(matches!(lane.release(1, 1).await, ReleaseReply::Kept(_)));
}

#[tokio::test]
async fn a_confirm_of_a_missing_or_released_hold_is_an_intent_of_no_units_and_bounded() {
    let lane = Lane::loaded(&[("a", 2)]).await;
    lane.hold(&group(60_000, None, vec![request(1, 1, "a=1")])).await;
    lane.release(1, 1).await;
    let replies = lane.confirm(&[(1, 1), (2, 1), (3, 1), (4, 1), (5, 1)]).await;
    for reply in &replies[..4] {
        let ConfirmReply::Confirming(record) = reply else { panic!("{reply:?}") };
        assert!(record.lines.is_empty());
    }
    assert_eq!(replies[4], ConfirmReply::TooMany);
    assert_eq!(lane.stock("a").await, (2, 0));
    assert_eq!(lane.undecided().await.len(), 4);
    let ask = async |id, pass| {
        let request = ConfirmRequest { id: item(id), visitor: visitor(1), pass };
        lane::confirm(&lane.redis, &lane.keys, &[request]).await.unwrap().replies.remove(0)
    };
    assert!(matches!(ask(6, Some(3)).await, ConfirmReply::Confirming(_)), "another pass, another four");
    assert_eq!(lane.look(&[], &[1]).await.visitors[0].unwrap().unknown, 1);
    // An older pass, or none, does not start from zero.
    for (id, pass) in [(7, None), (8, Some(2)), (9, Some(3))] {
        assert!(matches!(ask(id, pass).await, ConfirmReply::Confirming(_)));
    }
    assert_eq!(ask(10, Some(2)).await, ConfirmReply::TooMany);
}

#[tokio::test]
async fn a_forgotten_intent_is_put_back_by_the_ticker() {
    let lane = Lane::loaded(&[("a", 2)]).await;
    lane.hold(&group(60_000, None, vec![request(1, 1, "a=1")])).await;
    lane.confirm(&[(1, 1)]).await;
    lane.redis.raw(&[b"DEL", lane.keys.confirming().as_bytes()]).await.unwrap();
    assert!(lane.undecided().await.is_empty());
    let reaped = lane::reap(&lane.redis, &lane.keys, ReapCursor::default(), &KnownFaults::none()).await.unwrap();
    assert_eq!((reaped.requeued, reaped.rescheduled, reaped.cursor), (1, 0, ReapCursor::default()));
    assert_eq!(lane.undecided().await.len(), 1);
}

#[tokio::test]
async fn a_hold_without_a_deadline_gets_it_back_from_the_ticker() {
    let lane = Lane::loaded(&[("a", 2)]).await;
    lane.hold(&group(1, None, vec![request(1, 1, "a=1")])).await;
    lane.redis.raw(&[b"DEL", lane.keys.due().as_bytes()]).await.unwrap();
    lane.wait_past(2).await;
    let reaped = lane::reap(&lane.redis, &lane.keys, ReapCursor::default(), &KnownFaults::none()).await.unwrap();
    assert_eq!((reaped.released, reaped.rescheduled), (0, 1));
    let reaped = lane::reap(&lane.redis, &lane.keys, ReapCursor::default(), &KnownFaults::none()).await.unwrap();
    assert_eq!((reaped.released, reaped.rescheduled), (1, 0));
    assert_eq!(lane.stock("a").await, (2, 0));
}

#[tokio::test]
async fn a_recount_tells_live_units_that_no_record_claims() {
    let lane = Lane::loaded(&[("a", 9), ("b", 9), ("c", 9)]).await;
    lane.hold(&group(60_000, None, vec![request(1, 1, "a=2,b=1"), request(2, 2, "a=3"), request(3, 3, "b=1")])).await;
    lane.confirm(&[(1, 1), (9, 9)]).await;
    lane.release(3, 3).await;
    lane::cancel(&lane.redis, &lane.keys, &[item(2)]).await.unwrap();
    let recount = async || lane::recount(&lane.redis, &lane.keys).await.unwrap();
    assert_eq!(recount().await, RecountReply::Counted(vec![]));
    lane.redis.raw(&[b"HSET", lane.keys.lane().as_bytes(), b"l:a", b"7", b"l:c", b"1"]).await.unwrap();
    let wrong = |item: &str, live, claimed| Miscounted { item: item.parse().unwrap(), live, claimed };
    assert_eq!(recount().await, RecountReply::Counted(vec![wrong("a", 7, 5), wrong("c", 1, 0)]));
}

#[tokio::test]
async fn settle_applies_events_once_and_in_order() {
    let lane = Lane::loaded(&[("a", 3)]).await;
    lane.hold(&group(60_000, None, vec![request(1, 1, "a=1"), request(2, 2, "a=1")])).await;
    lane.confirm(&[(1, 1), (2, 2)]).await;
    lane::cancel(&lane.redis, &lane.keys, &[item(9)]).await.unwrap();
    let settle = Settle {
        expected: 1,
        events: vec![
            SettleEvent { seq: 2, what: booked(1, 1, "a=1", None) },
            SettleEvent {
                seq: 3,
                what: Settling::Refused { id: item(2), visitor: visitor(2), why: RefuseReason::Limit, at: Millis(5) },
            },
            SettleEvent { seq: 4, what: Settling::Stock { lines: [("b".parse().unwrap(), 7)].into_iter().collect() } },
        ],
        resolutions: vec![],
        cancels: vec![item(9)],
    };
    assert_eq!(lane.settle(&settle).await, SettleReply::Settled { settled: 4 });
    assert_eq!(lane.settle(&settle).await, SettleReply::Behind { settled: 4 });
    assert_eq!((lane.stock("a").await, lane.stock("b").await), ((2, 0), (7, 0)));
    assert!(lane.undecided().await.is_empty());
    let look = lane.look(&[1, 2], &[1, 2]).await;
    let records: Vec<_> = look.records.into_iter().flatten().collect();
    assert_eq!((records[0].state, records[0].seq, &records[0].lines), (HoldState::Sold, 2, &lines("a=1")));
    assert_eq!((records[1].state, records[1].why), (HoldState::Refused, Some(RefuseReason::Limit)));
    assert_eq!(records[1].lines, lines("a=1"), "what it had asked for is still known");
    assert_eq!(look.visitors[0].unwrap().units, 1);
    assert_eq!(look.visitors[1].unwrap().units, 0);
    let replies = lane.confirm(&[(1, 1), (2, 2)]).await;
    assert!(replies.iter().all(|reply| matches!(reply, ConfirmReply::Decided(_))), "{replies:?}");
}

#[tokio::test]
async fn settle_of_ids_that_redis_has_never_heard_of_moves_the_units_all_the_same() {
    let lane = Lane::loaded(&[("a", 3)]).await;
    let cancelled = Settling::Cancelled {
        id: item(1),
        visitor: visitor(1),
        fp: common::fp("a=2"),
        pass: None,
        lines: lines("a=2"),
        at: Millis(6),
    };
    let events = vec![
        SettleEvent { seq: 2, what: booked(1, 1, "a=2", None) },
        SettleEvent { seq: 3, what: booked(2, 2, "a=2", Some(5)) },
        SettleEvent { seq: 4, what: cancelled },
    ];
    lane.settle(&Settle { expected: 1, events, ..Settle::default() }).await;
    assert_eq!(lane.stock("a").await, (1, 0));
    let look = lane.look(&[1], &[1, 2]).await;
    assert_eq!(look.records[0].as_ref().unwrap().state, HoldState::Cancelled);
    assert_eq!(look.visitors[0], None, "nothing left to remember");
    assert_eq!(look.visitors[1].unwrap().done, Some(5), "a booking ends its pass");
}

#[tokio::test]
async fn a_booking_of_other_units_than_the_record_holds_leaks_none() {
    let lane = Lane::loaded(&[("a", 5)]).await;
    lane.hold(&group(60_000, None, vec![request(1, 1, "a=2")])).await;
    let events = vec![SettleEvent { seq: 2, what: booked(1, 1, "a=1", None) }];
    lane.settle(&Settle { expected: 1, events, ..Settle::default() }).await;
    assert_eq!(lane.stock("a").await, (4, 0));
    assert_eq!(lane.look(&[], &[1]).await.visitors[0].unwrap().units, 1);
    assert_eq!(lane.meta().await.due, 0);
}

#[tokio::test]
async fn records_that_the_ticker_left_for_too_long_are_overdue() {
    let lane = Lane::loaded(&[("a", 5)]).await;
    let held = lane.hold(&group(1, None, vec![request(1, 1, "a=2")])).await;
    assert_eq!((lane.meta().await.due, lane.meta().await.overdue), (1, 0), "its time is over, or nearly");
    // As if that had been a while ago.
    let score = |ago: u64| (held.now.0 - ago).to_string();
    let key = "h1:{test:0}:due".as_bytes();
    for (ago, overdue) in [(domain::limits::OVERDUE_AFTER_MS - 1_000, 0), (domain::limits::OVERDUE_AFTER_MS + 1_000, 1)]
    {
        lane.redis.raw(&[b"ZADD", key, score(ago).as_bytes(), item(1).as_bytes()]).await.unwrap();
        assert_eq!(lane.meta().await.overdue, overdue, "{ago} ms ago");
    }
    lane.wait_past(5).await;
    let patience = domain::limits::OVERDUE_AFTER_MS + domain::limits::MAX_FAULT_CREDIT_MS;
    let patient = lane::meta_after(&lane.redis, &lane.keys, patience).await.unwrap();
    assert_eq!(patient.overdue, 0, "while a fault may extend it");
    let reaped = lane::reap(&lane.redis, &lane.keys, ReapCursor::default(), &KnownFaults::none()).await.unwrap();
    assert_eq!((reaped.released, lane.meta().await.overdue), (1, 0));
}

#[tokio::test]
async fn a_resolution_ends_only_what_is_still_confirming() {
    let lane = Lane::loaded(&[("a", 5)]).await;
    lane.hold(&group(60_000, None, vec![request(1, 1, "a=2"), request(2, 1, "a=1")])).await;
    lane.confirm(&[(1, 1)]).await;
    let sold = |id: u8, units: &str| (item(id), common::record(HoldState::Sold, 1, units, 1));
    let resolutions = vec![sold(1, "a=1"), sold(2, "a=1")];
    lane.settle(&Settle { expected: 1, resolutions, ..Settle::default() }).await;
    // The units of 1 were counted when its event was settled; what the record claimed comes back.
    assert_eq!(lane.stock("a").await, (4, 1));
    let look = lane.look(&[1, 2], &[1]).await;
    let states: Vec<_> = look.records.iter().flatten().map(|record| record.state).collect();
    assert_eq!(states, [HoldState::Sold, HoldState::Held]);
    assert!(lane.undecided().await.is_empty());
}

#[tokio::test]
async fn cancels_are_intents_even_when_nothing_is_known() {
    let lane = Lane::loaded(&[("a", 1)]).await;
    let replies = lane::cancel(&lane.redis, &lane.keys, &[item(1), item(1)]).await.unwrap();
    assert_eq!(replies, [CancelReply::Noted, CancelReply::Noted]);
    assert_eq!(lane.undecided().await, [Undecided::Cancel(item(1))]);
}

#[tokio::test]
async fn a_lane_that_is_not_loaded_answers_so_to_everything_and_a_load_is_guarded() {
    let lane = Lane::empty();
    let (redis, keys) = (&lane.redis, &lane.keys);
    let not_loaded = |result: Result<(), CallError>| assert_eq!(result, Err(CallError::NotLoaded));
    let check = async || {
        not_loaded(lane::hold(redis, keys, &group(1, None, vec![request(1, 1, "a=1")])).await.map(|_| ()));
        let confirm = ConfirmRequest { id: item(1), visitor: visitor(1), pass: None };
        not_loaded(lane::confirm(redis, keys, &[confirm]).await.map(|_| ()));
        let release = ReleaseRequest { id: item(1), visitor: visitor(1) };
        not_loaded(lane::release(redis, keys, &[release]).await.map(|_| ()));
        not_loaded(lane::cancel(redis, keys, &[item(1)]).await.map(|_| ()));
        not_loaded(lane::leave(redis, keys, &[(visitor(1), 1)]).await);
        not_loaded(lane::settle(redis, keys, &Settle::default()).await.map(|_| ()));
        not_loaded(lane::reap(redis, keys, ReapCursor::default(), &KnownFaults::none()).await.map(|_| ()));
        not_loaded(lane::mend(redis, keys, &Mend { expected: 0, items: vec![] }).await.map(|_| ()));
        not_loaded(lane::look(redis, keys, &[item(1)], &[]).await.map(|_| ()));
        not_loaded(lane::undecided(redis, keys, 0).await.map(|_| ()));
        not_loaded(lane::stock(redis, keys).await.map(|_| ()));
    };
    check().await;
    assert_eq!(lane.meta().await.state, LaneState::Empty);
    let begin = LoadBegin {
        epoch: 2,
        head: 9,
        free: [("a".parse().unwrap(), 4)].into_iter().collect(),
        moved: BTreeMap::new(),
    };
    let chunk = LoadChunk {
        epoch: 2,
        head: 9,
        n: 0,
        records: vec![(item(1), common::record(HoldState::Sold, 1, "a=2", 3))],
        visitors: vec![(visitor(1), VisitorLoad { units: 2, done: Some(4) })],
    };
    let end = LoadEnd { epoch: 2, head: 9, n: 1 };
    assert_eq!(lane::load_chunk(redis, keys, &chunk).await.unwrap(), LoadReply::Refused, "before begin");
    assert_eq!(lane::load_begin(redis, keys, &begin).await.unwrap(), LoadReply::Done);
    check().await;
    assert_eq!(lane.meta().await.state, LaneState::Loading { epoch: 2, head: 9, chunks: 0 });
    assert_eq!(
        lane::load_begin(redis, keys, &LoadBegin { epoch: 1, ..begin.clone() }).await.unwrap(),
        LoadReply::Refused
    );
    assert_eq!(lane::load_end(redis, keys, &end).await.unwrap(), LoadReply::Refused, "a chunk is missing");
    for wrong in [
        LoadChunk { epoch: 1, ..chunk.clone() },
        LoadChunk { head: 8, ..chunk.clone() },
        LoadChunk { n: 1, ..chunk.clone() },
    ] {
        assert_eq!(lane::load_chunk(redis, keys, &wrong).await.unwrap(), LoadReply::Refused);
    }
    assert_eq!(lane::load_chunk(redis, keys, &chunk).await.unwrap(), LoadReply::Done);
    assert_eq!(lane::load_chunk(redis, keys, &chunk).await.unwrap(), LoadReply::Refused, "twice");
    assert_eq!(lane::load_end(redis, keys, &end).await.unwrap(), LoadReply::Done);
    assert_eq!(lane::load_begin(redis, keys, &LoadBegin { epoch: 3, ..begin }).await.unwrap(), LoadReply::Refused);
    assert_eq!(lane.meta().await.state, LaneState::Loaded { epoch: 2, settled: 9 });
    assert_eq!(lane.stock("a").await, (4, 0));
    let look = lane.look(&[1], &[1]).await;
    assert_eq!(look.records[0], Some(common::record(HoldState::Sold, 1, "a=2", 3)));
    assert_eq!((look.visitors[0].unwrap().units, look.visitors[0].unwrap().done), (2, Some(4)));
    assert!(!lane::unload(redis, keys, 1).await.unwrap());
    assert!(lane::unload(redis, keys, 2).await.unwrap());
    check().await;
}

#[tokio::test]
async fn mend_sets_free_right_and_loses_no_hold() {
    let lane = Lane::loaded(&[("a", 5), ("b", 5)]).await;
    lane.hold(&group(60_000, None, vec![request(1, 1, "a=2")])).await;
    let mend = |expected| Mend {
        expected,
        items: ["a", "b"].map(|name| MendItem { item: name.parse().unwrap(), allocated: 5, sold: 0 }).to_vec(),
    };
    let run = async |expected| lane::mend(&lane.redis, &lane.keys, &mend(expected)).await.unwrap();
    assert_eq!(run(1).await, MendReply::Done(vec![]));
    for edit in [&b"1000"[..], b"nonsense", b"-7"] {
        lane.redis.raw(&[b"HSET", lane.keys.lane().as_bytes(), b"f:a", edit]).await.unwrap();
        lane.redis.raw(&[b"HDEL", lane.keys.lane().as_bytes(), b"f:b"]).await.unwrap();
        assert_eq!(run(7).await, MendReply::Behind { settled: 1 });
        let MendReply::Done(mended) = run(1).await else { panic!("refused") };
        assert_eq!((mended[0].is, mended[1].was, mended[1].is), (3, None, 5));
        assert_eq!((lane.stock("a").await, lane.stock("b").await), ((3, 2), (5, 0)));
    }
}

#[tokio::test]
async fn figures_beyond_fourteen_digits_stay_exact() {
    let lane = Lane::empty();
    let big = (1u64 << 53) - 3;
    let begin = LoadBegin {
        epoch: big,
        head: big - 10,
        free: [("a".parse().unwrap(), 123_456_789_012_345)].into_iter().collect(),
        moved: BTreeMap::new(),
    };
    lane::load_begin(&lane.redis, &lane.keys, &begin).await.unwrap();
    lane::load_end(&lane.redis, &lane.keys, &LoadEnd { epoch: big, head: big - 10, n: 0 }).await.unwrap();
    let far = lane.meta().await.now.plus(60_000);
    lane.hold(&group(60_000, None, vec![pass(request(1, 1, "a=1"), big, far)])).await;
    assert_eq!(lane.stock("a").await, (123_456_789_012_344, 1));
    let what = booked(1, 1, "a=1", Some(big));
    let settle = Settle { expected: big - 10, events: vec![SettleEvent { seq: big - 9, what }], ..Settle::default() };
    assert_eq!(lane.settle(&settle).await, SettleReply::Settled { settled: big - 9 });
    let look = lane.look(&[1], &[1]).await;
    assert_eq!((look.records[0].as_ref().unwrap().pass, look.visitors[0].unwrap().done), (Some(big), Some(big)));
    assert_eq!(lane.meta().await.state, LaneState::Loaded { epoch: big, settled: big - 9 });
    assert_eq!(lane.stock("a").await, (123_456_789_012_344, 0));
}
