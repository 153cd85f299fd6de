//! Somebody with a shell edits the lane's keys in the middle of a sale, in every way there is: nothing is sold twice, every
//! acknowledged booking stays, and the lane heals by itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use booker::{CancelAnswer, ConfirmAnswer, HoldAnswer, Lane};
use common::{World, confirmed, doc, held, id, is_booked, item, repeat_of, request, until, visitor};
use domain::limits::RELEASED_KEEP_MS;
use domain::{HoldId, HoldState, LaneEvent, Millis};

/// Units of the sale: fewer than the buyers want at once.
const UNITS: u64 = 8;
const BUYERS: u32 = 12;
/// Two counts of live units, a round of the ticker between them, and a load.
const HEALS: Duration = Duration::from_secs(30);

/// Counts what is logged as a warning or an error.
struct Counted(Arc<AtomicU64>);

impl tracing::Subscriber for Counted {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::WARN
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Relaxed);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

/// Edits of the lane's hash, and of whole keys: the words of one command each.
fn commands(keys: &lua::LaneKeys) -> Vec<Vec<String>> {
    let (lane, holds, due, visitors, confirming) =
        (keys.lane(), keys.holds(), keys.due(), keys.visitors(), keys.confirming());
    let mut all: Vec<Vec<&str>> = vec![];
    // Keys of another type have tests of their own (`faults.rs`).
    all.push(vec!["SET", keys.lease(), "junk"]);
    all.extend([lane, holds, due, visitors, confirming, keys.lease()].map(|key| vec!["DEL", key]));
    for (field, values) in [
        ("f:a", &["-500", "100000", "junk", "inf", "nan", "2.5"][..]),
        ("l:a", &["1000000", "-50", "junk", "inf", "0.5"]),
        ("settled", &["0", "1", "junk"]),
        ("epoch", &["0", "junk"]),
        ("loaded", &["0", "2"]),
        ("edits", &["junk", "-7"]),
    ] {
        all.extend(values.iter().map(|value| vec!["HSET", lane, field, *value]));
        all.push(vec!["HDEL", lane, field]);
    }
    all.extend([vec!["HSET", lane, "f:more", "7", "l:more", "1"], vec!["ZADD", due, "0", "junk"]]);
    all.into_iter().map(|words| words.into_iter().map(str::to_owned).collect()).collect()
}

/// Edits that take a script: each changes all members of one key.
fn scripts(keys: &lua::LaneKeys) -> Vec<Vec<String>> {
    let of_holds = |change: &str| {
        let each = "for _, id in ipairs(redis.call('HKEYS', KEYS[1])) do local r = redis.call('HGET', KEYS[1], id) ";
        (keys.holds(), format!("{each} redis.call('HSET', KEYS[1], id, {change}) end"))
    };
    let due = "for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do redis.call('ZADD', KEYS[1], 'inf', id) end";
    let visitors = "for _, v in ipairs(redis.call('HKEYS', KEYS[1])) do redis.call('HSET', KEYS[1], v, 'junk') end";
    let intents = "for n = 1, 10500 do redis.call('SADD', KEYS[1], string.format('junkju%sj%s%07d', string.char(128), string.char(128), n)) end";
    let all = [
        of_holds("'s' .. string.sub(r, 2)"),
        of_holds("'h' .. string.sub(r, 2)"),
        of_holds("'c' .. string.sub(r, 2)"),
        of_holds("string.sub(r, 1, 30)"),
        of_holds("(string.gsub(r, 'a=1', 'a=3'))"),
        of_holds("'junk'"),
        (keys.due(), due.to_owned()),
        (keys.visitors(), visitors.to_owned()),
        (keys.confirming(), intents.to_owned()),
    ];
    all.into_iter().map(|(key, script)| ["EVAL", &script, "1", key].map(str::to_owned).to_vec()).collect()
}

/// Buys and gives back, until told to stop; ids that were acknowledged as booked.
async fn buyer(lane: Lane, v: u32, bookings: Arc<AtomicU64>, stop: Arc<AtomicBool>) -> Vec<HoldId> {
    let mut booked = vec![];
    for n in 0.. {
        if stop.load(Relaxed) {
            break;
        }
        let key = format!("k{n}");
        let Ok(HoldAnswer::Hold { hold, .. }) = lane.hold(request(v, &key, 1)).await else {
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        };
        assert_eq!(hold.id, id(v, &key));
        let begin = Instant::now();
        loop {
            match lane.confirm(hold.id, visitor(v), None, Duration::from_secs(2)).await {
                Ok(ConfirmAnswer::Booked { .. }) => {
                    booked.push(hold.id);
                    bookings.fetch_add(1, Relaxed);
                    break;
                }
                // A damaged record does not say whose it is: its visitor holds again, under another key.
                Ok(ConfirmAnswer::Refused(_) | ConfirmAnswer::Foreign | ConfirmAnswer::KeyReused) => break,
                Ok(ConfirmAnswer::Confirming) | Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                Ok(other) => panic!("{other:?}"),
            }
            assert!(begin.elapsed() < HEALS, "no final answer");
        }
        while !matches!(
            lane.cancel(hold.id, visitor(v), Duration::from_secs(2)).await,
            Ok(CancelAnswer::Cancelled { .. } | CancelAnswer::NotBooked)
        ) {
            assert!(begin.elapsed() < HEALS, "no cancellation");
        }
    }
    booked
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_edited_nothing_is_sold_twice_and_the_sale_goes_on_by_itself() {
    let lines = Arc::new(AtomicU64::new(0));
    tracing::subscriber::set_global_default(Counted(lines.clone())).unwrap();
    let world = World::with_units(UNITS).await;
    let owner = world.ready_owner("one").await;
    let (bookings, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let buyers = (0..BUYERS).map(|v| tokio::spawn(buyer(owner.lane.clone(), v, bookings.clone(), stop.clone())));
    let buyers: Vec<_> = buyers.collect();
    let keys = world.keys();
    let edits = [commands(&keys), scripts(&keys)].concat();
    for edit in &edits {
        let words: Vec<&str> = edit.iter().map(String::as_str).collect();
        let (before, logged, begin) = (bookings.load(Relaxed), lines.load(Relaxed), Instant::now());
        world.shell(&words).await;
        while bookings.load(Relaxed) < before + 3 * u64::from(BUYERS) {
            assert!(begin.elapsed() < HEALS, "nothing is booked after {words:?}: {:?}", owner.lane.status());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let logged = lines.load(Relaxed) - logged;
        assert!(logged < 200, "{logged} lines are logged after {words:?}");
        println!("{:>6} ms, {logged:>3} lines: {words:?}", begin.elapsed().as_millis());
    }
    stop.store(true, Relaxed);
    let mut acknowledged = vec![];
    for buyer in buyers {
        acknowledged.extend(buyer.await.unwrap());
    }
    // The fold of the whole log on the way: I1 held after each event.
    assert_eq!(world.sold().await, 0);
    let booked: std::collections::HashSet<_> = world.booked_ids().await.into_iter().collect();
    assert!(acknowledged.iter().all(|id| booked.contains(id)), "every acknowledged booking is in the ledger");
    let begin = Instant::now();
    while world.stock().await.map(|stock| (stock.0, stock.1)) != Some((UNITS.cast_signed(), 0)) {
        assert!(begin.elapsed() < HEALS, "units stay away: {:?}", world.stock().await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.at_rest().await;
    let logged = lines.load(Relaxed);
    for n in 0..50 {
        held(&owner.lane, 90, &n.to_string(), 1).await;
        assert!(is_booked(&confirmed(&owner.lane, 90, &n.to_string()).await));
        owner.lane.cancel(id(90, &n.to_string()), visitor(90), Duration::from_secs(5)).await.unwrap();
    }
    assert_eq!(lines.load(Relaxed), logged, "a healed lane has nothing to say");
    owner.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_units_edited_in_a_lane_of_many_holds_are_found() {
    let holds = u32::try_from(domain::limits::MAX_RECOUNT).unwrap() + 200;
    let world = World::with_units(u64::from(holds) + 10).await;
    let owner = world.ready_owner("one").await;
    let hold = |v: u32| {
        let lane = owner.lane.clone();
        async move { lane.hold(request(v, "k", 1)).await }
    };
    for held in futures_util::future::join_all((0..holds).map(hold)).await {
        assert!(matches!(held, Ok(HoldAnswer::Hold { .. })));
    }
    world.shell(&["HINCRBY", world.keys().lane(), "l:a", "5"]).await;
    let begin = Instant::now();
    while world.stock().await.map(|stock| (stock.0, stock.1)) != Some((i64::from(holds) + 10, 0)) {
        assert!(begin.elapsed() < HEALS, "{:?}", world.stock().await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    owner.stop().await;
}

#[tokio::test]
async fn a_seq_or_an_epoch_that_the_ledger_never_had_stops_the_lane_until_its_keys_are_removed() {
    for (field, value) in [("settled", "4000"), ("epoch", "4000")] {
        let world = World::with_units(4).await;
        let owner = world.ready_owner("one").await;
        held(&owner.lane, 1, "k", 1).await;
        let booking = confirmed(&owner.lane, 1, "k").await;
        assert!(is_booked(&booking));
        world.shell(&["HSET", world.keys().lane(), field, value]).await;
        until("the lane stops", || async { owner.lane.status().stopped }).await;
        owner.stop().await;
        world.shell(&["DEL", world.keys().lane()]).await;
        let owner = world.ready_owner("two").await;
        assert_eq!(confirmed(&owner.lane, 1, "k").await, repeat_of(&booking));
        held(&owner.lane, 2, "k", 3).await;
        owner.stop().await;
    }
}

#[tokio::test]
async fn released_records_go_an_hour_after_their_deadline_and_not_before() {
    let world = World::with_units(4).await;
    let owner = world.ready_owner("one").await;
    for (key, ago) in [("young", RELEASED_KEEP_MS - 60_000), ("old", RELEASED_KEEP_MS + 1_000)] {
        held(&owner.lane, 1, key, 1).await;
        owner.lane.release(id(1, key), visitor(1)).await.unwrap();
        // As if its deadline had been so long ago.
        let now = lua::lane::meta(&world.redis(), &world.keys()).await.unwrap().now;
        let deadline = format!("{:013}", now.0 - ago);
        let redis = world.redis();
        let edit = "local r = redis.call('HGET', KEYS[1], ARGV[1]) redis.call('HSET', KEYS[1], ARGV[1], string.sub(r, 1, 25) .. ARGV[2] .. string.sub(r, 39)) redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])";
        let (hold, keys) = (id(1, key), world.keys());
        let words: [&[u8]; 7] = [
            b"EVAL",
            edit.as_bytes(),
            b"2",
            keys.holds().as_bytes(),
            keys.due().as_bytes(),
            hold.as_bytes(),
            deadline.as_bytes(),
        ];
        redis.raw(&words).await.unwrap();
    }
    until("the old record is gone", || async { world.state(id(1, "old")).await.is_none() }).await;
    assert_eq!(world.state(id(1, "young")).await, Some(HoldState::Released));
    assert_eq!(world.stock().await.map(|stock| (stock.0, stock.1)), Some((4, 0)));
    owner.stop().await;
}

#[tokio::test]
async fn a_lane_stays_in_redis_for_a_day_after_the_close_and_no_longer() {
    let world = World::with_units(5).await;
    let owner = world.ready_owner("one").await;
    held(&owner.lane, 1, "k", 2).await;
    assert!(is_booked(&confirmed(&owner.lane, 1, "k").await));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let closed = |hours_ago: u64| {
        let mut over = doc(&[("a", 5)]);
        over.closes_at = Some(Millis(u64::try_from(now).unwrap() - hours_ago * 3_600_000));
        over
    };
    world.define(closed(23), [(item("a"), 1)].into_iter().collect()).await;
    // The stock of the same act has come: the owner has seen the document, and looked with it.
    until("the document is known", || async { world.stock().await.is_some_and(|stock| stock.0 == 4) }).await;
    let looked = owner.lane.status();
    assert!(looked.loaded && !looked.unloaded);
    world.define(closed(25), std::collections::BTreeMap::new()).await;
    until("the lane is unloaded", || async { owner.lane.status().unloaded }).await;
    assert!(matches!(world.events().await.last(), Some(LaneEvent::Stock { .. })));
    owner.stop().await;
}
