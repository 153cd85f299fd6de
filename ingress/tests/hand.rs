//! The operator's hand on a sale that runs, and what visitors notice of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::visitor::Visitor;
use common::{BOX, LATER, ROOM, Reply, World, eventually};
use ingress::Settings;
use ledger::faulty::{Call, Fault};
use serde_json::{Value, json};

const JSON: (&str, &str) = ("content-type", "application/json");
const KEY: (&str, &str) = ("idempotency-key", "a-new-one");

async fn act(world: &World, method: &str, path: &str, body: &Value) -> Reply {
    world.operate(method, &format!("/admin/v1/sales/{path}"), &[JSON, KEY], body.to_string().as_bytes()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_stops_calls_passes_and_holds_and_keeps_what_there_is() {
    let world = World::with(&[ROOM], Settings::default()).await;
    let (mut inside, mut late) = (Visitor::new(&world).await, Visitor::new(&world).await);
    inside.join(&world, "room").await;
    eventually("called", || async { inside.clone().claim(&world, "room").await.status < 300 }).await;
    inside.claim(&world, "room").await;
    let held = inside.hold(&world, "room", "k", &[("floor", 1)]).await;
    assert_eq!(held.status, 201, "{}", held.text());
    let id = common::visitor::text(&held.json()["hold_id"]);

    let words = json!({"message": "We check the stage.", "why": "storm"});
    let paused = act(&world, "POST", "room/pause", &words).await;
    assert_eq!((paused.status, &paused.json()["state"]), (200, &"paused".into()), "{}", paused.text());
    assert_eq!(paused.json()["pause_message"], "We check the stage.");
    eventually("everybody is told", || async {
        let line = world.ask("GET", "/v1/sales/room/line", &[], b"").await.json();
        line["state"] == "paused" && line["message"] == "We check the stage."
    })
    .await;
    assert_eq!(world.ask("GET", "/v1/sales/room", &[], b"").await.json()["state"], "paused");

    assert!(late.join(&world, "room").await.status < 300, "a place can be had");
    let refused = late.claim(&world, "room").await;
    assert!(["sale-paused", "not-your-turn"].contains(&refused.refused().1.as_str()), "{}", refused.text());
    assert!(refused.header("retry-after").is_some());
    assert_eq!(inside.claim(&world, "room").await.status, 200, "a pass there was is still told");
    let refused = inside.hold(&world, "room", "k2", &[("floor", 1)]).await;
    assert_eq!(refused.refused(), (409, "sale-paused".into()));
    assert!(refused.text().contains("We check the stage."));
    assert_eq!(inside.hold(&world, "room", "k", &[("floor", 1)]).await.status, 201, "the repeat of a hold there was");
    assert_eq!(inside.confirm(&world, &id).await.status, 201, "a hold can be confirmed");

    let goes_on = act(&world, "POST", "room/resume", &json!({})).await;
    assert_eq!((goes_on.status, &goes_on.json()["state"]), (200, &"open".into()));
    eventually("the next is let in", || async { late.clone().claim(&world, "room").await.status < 300 }).await;
    late.claim(&world, "room").await;
    assert_eq!(late.hold(&world, "room", "k", &[("floor", 1)]).await.status, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_stops_holds_where_there_is_no_waiting_room() {
    let world = World::with(&[BOX], Settings::default()).await;
    let visitor = Visitor::new(&world).await;
    act(&world, "POST", "box/pause", &json!({})).await;
    eventually("holds are refused", || async {
        visitor.hold(&world, "box", "k", &[("floor", 1)]).await.refused() == (409, "sale-paused".into())
    })
    .await;
    act(&world, "POST", "box/resume", &json!({})).await;
    eventually("and taken again", || async { visitor.hold(&world, "box", "k", &[("floor", 1)]).await.status == 201 })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pace_and_cap_change_the_document_and_count_from_the_next_step() {
    let world = World::with(&[ROOM], Settings::default()).await;
    let before = world.operate("GET", "/admin/v1/sales/room", &[], b"").await;
    let set = act(&world, "PUT", "room/pace", &json!({"pace_per_minute": 60, "why": "slower"})).await;
    assert_eq!((set.status, &set.json()["doc"]["admission"]["pace_per_minute"]), (200, &60.into()));
    assert_ne!(set.header("etag"), before.header("etag"), "the document is another one now");
    let same = act(&world, "PUT", "room/pace", &json!({"pace_per_minute": 60})).await;
    assert_eq!((same.status, same.header("etag")), (200, set.header("etag")), "nothing to change");
    let set = act(&world, "PUT", "room/cap", &json!({"active_passes": 1})).await;
    assert_eq!((set.status, &set.json()["doc"]["admission"]["active_passes"]), (200, &1.into()));
    let mut first = Visitor::new(&world).await;
    first.join(&world, "room").await;
    eventually("one is inside", || async { first.clone().claim(&world, "room").await.status < 300 }).await;
    let mut second = Visitor::new(&world).await;
    second.join(&world, "room").await;
    for _ in 0..3 {
        assert_eq!(second.claim(&world, "room").await.refused(), (409, "not-your-turn".into()), "the cap is one");
    }
    let line = world.ask("GET", "/v1/sales/room/line", &[], b"").await.json();
    assert_eq!(line["pace_per_minute"], 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn added_units_can_be_held_and_the_same_key_adds_once() {
    let world = World::with(&[BOX], Settings::default()).await;
    let etag = world.operate("GET", "/admin/v1/sales/box", &[], b"").await.header("etag").unwrap().to_owned();
    let path = "/admin/v1/sales/box/items/floor/stock";
    let add = async |headers: &[(&str, &str)], units: u64| {
        let headers: Vec<_> = [JSON].iter().chain(headers).copied().collect();
        world.operate("POST", path, &headers, json!({"units": units}).to_string().as_bytes()).await
    };
    assert_eq!(add(&[], 4).await.refused(), (400, "key-missing".into()));
    let stale = [("idempotency-key", "a"), ("if-match", "\"77\"")];
    assert_eq!(add(&stale, 4).await.refused(), (412, "precondition-failed".into()));
    let added = add(&[("idempotency-key", "a"), ("if-match", &etag)], 4).await;
    assert_eq!((added.status, &added.json()["doc"]["items"][0]["units"]), (200, &9.into()), "{}", added.text());
    for _ in 0..2 {
        let again = add(&[("idempotency-key", "a"), ("if-match", &etag)], 4).await;
        assert_eq!((again.status, &again.json()["doc"]["items"][0]["units"]), (200, &9.into()), "added once");
    }
    assert_eq!(add(&[("idempotency-key", "a")], 3).await.refused(), (422, "key-reused".into()));
    eventually("the units are free", || async {
        let sale = world.operate("GET", "/admin/v1/sales/box", &[], b"").await.json();
        sale["live"]["items"][0]["free"] == 9
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_joining_is_stopped_only_those_with_a_place_have_one() {
    let world = World::with(&[ROOM], Settings::default()).await;
    let mut early = Visitor::new(&world).await;
    let number = early.join(&world, "room").await.json()["number"].clone();
    let set = act(&world, "PUT", "room/joining", &json!({"open": false, "why": "full house"})).await;
    assert_eq!((set.status, &set.json()["joining"]), (200, &false.into()), "{}", set.text());
    eventually("nobody new gets a place", || async {
        Visitor::new(&world).await.join(&world, "room").await.refused() == (409, "joining-stopped".into())
    })
    .await;
    eventually("the line says so", || async {
        world.ask("GET", "/v1/sales/room/line", &[], b"").await.json()["joining"] == false
    })
    .await;
    let again = early.join(&world, "room").await;
    assert_eq!((again.status, &again.json()["number"]), (200, &number), "with the ticket");
    early.ticket = String::new();
    let again = early.join(&world, "room").await;
    assert_eq!((again.status, &again.json()["number"]), (200, &number), "and without: the answer may have been lost");
    eventually("and enters", || async { early.clone().claim(&world, "room").await.status < 300 }).await;
    act(&world, "PUT", "room/joining", &json!({"open": true})).await;
    eventually("joining goes on", || async { Visitor::new(&world).await.join(&world, "room").await.status == 201 })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_joining_is_stopped_nobody_new_comes_into_the_lobby() {
    let world = World::with(&[LATER], Settings::default()).await;
    let mut early = Visitor::new(&world).await;
    let came = early.join(&world, "later").await;
    assert_eq!((came.status, &came.json()["state"]), (201, &"lobby".into()), "{}", came.text());
    act(&world, "PUT", "later/joining", &json!({"open": false})).await;
    eventually("nobody new comes in", || async {
        Visitor::new(&world).await.join(&world, "later").await.refused() == (409, "joining-stopped".into())
    })
    .await;
    for ticket in [early.ticket.clone(), String::new()] {
        early.ticket = ticket;
        let again = early.join(&world, "later").await;
        assert_eq!((again.status, &again.json()["index"]), (200, &came.json()["index"]), "{}", again.text());
    }
    act(&world, "PUT", "later/joining", &json!({"open": true})).await;
    eventually("others come in again", || async {
        Visitor::new(&world).await.join(&world, "later").await.status == 201
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn let_through_calls_everybody_at_once_and_passes_keep_to_the_cap() {
    let world = World::with(&[ROOM], Settings::default()).await;
    act(&world, "PUT", "room/pace", &json!({"pace_per_minute": 1})).await;
    act(&world, "PUT", "room/cap", &json!({"active_passes": 1})).await;
    let mut visitors = Vec::new();
    for _ in 0..3 {
        let mut visitor = Visitor::new(&world).await;
        visitor.join(&world, "room").await;
        visitors.push(visitor);
    }
    let frontier = async || world.ask("GET", "/v1/sales/room/line", &[], b"").await.json()["frontier"].clone();
    assert!(frontier().await.as_u64().unwrap() <= 1);
    let set = act(&world, "PUT", "room/let-through", &json!({"on": true, "why": "short line"})).await;
    assert_eq!((set.status, &set.json()["let_through"]), (200, &true.into()), "{}", set.text());
    eventually("the frontier is at the last number", || async { frontier().await == 3 }).await;
    let mut inside = 0;
    for visitor in &mut visitors {
        let claim = visitor.claim(&world, "room").await;
        inside += usize::from(claim.status < 300);
        assert!(claim.status < 300 || claim.refused() == (409, "not-your-turn".into()), "{}", claim.text());
    }
    assert_eq!(inside, 1, "pace and cap bound the passes as always");
    act(&world, "PUT", "room/let-through", &json!({"on": false})).await;
    assert_eq!(Visitor::new(&world).await.join(&world, "room").await.status, 201);
    assert_eq!(frontier().await, 3, "and never goes back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn units_that_nobody_has_can_be_withdrawn_and_no_others() {
    let world = World::with(&[BOX], Settings::default()).await;
    let path = "/admin/v1/sales/box/items/floor/stock";
    let change = async |key: &str, units: i64| {
        let headers = [JSON, ("idempotency-key", key)];
        world.operate("POST", path, &headers, json!({"units": units, "why": "seats"}).to_string().as_bytes()).await
    };
    let live = async |what: &str| {
        let sale = world.operate("GET", "/admin/v1/sales/box", &[], b"").await.json();
        sale["live"]["items"][0][what].clone()
    };
    let visitor = Visitor::new(&world).await;
    let held = visitor.hold(&world, "box", "k", &[("floor", 2)]).await;
    assert_eq!(held.status, 201, "{}", held.text());
    eventually("the figures say so", || async { live("free").await == 3 }).await;
    let more = change("a", -4).await;
    assert_eq!(more.refused(), (409, "too-few-free".into()));
    assert!(more.text().contains("3 of 5 units are free"), "{}", more.text());
    for _ in 0..2 {
        let done = change("b", -2).await;
        assert_eq!((done.status, &done.json()["doc"]["items"][0]["units"]), (200, &3.into()), "{}", done.text());
        assert_eq!(done.json()["withdrawals"][0]["withdrawn"], 2);
    }
    assert_eq!(change("b", -1).await.refused(), (422, "key-reused".into()));
    assert_eq!(change("b", 2).await.refused(), (422, "key-reused".into()));
    eventually("the lane has fewer", || async { live("free").await == 1 && live("in_checkout").await == 2 }).await;
    let last = visitor.hold(&world, "box", "k2", &[("floor", 2)]).await;
    assert_eq!(last.refused(), (409, "all-held".into()), "one is left");
    assert_eq!(visitor.confirm(&world, &common::visitor::text(&held.json()["hold_id"])).await.status, 201);
    assert_eq!(change("c", 4).await.json()["doc"]["items"][0]["units"], 7, "and more can come");
    eventually("they are free", || async { live("free").await == 5 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_withdrawal_whose_lane_cannot_write_is_told_so_and_ends_when_it_can() {
    let world = World::with(&[BOX], Settings::default()).await;
    let path = "/admin/v1/sales/box/items/floor/stock";
    let change = async |key: &str, units: i64| {
        let headers = [JSON, ("idempotency-key", key)];
        world.operate("POST", path, &headers, json!({"units": units}).to_string().as_bytes()).await
    };
    world.owners.always(Call::Append, Fault::Refuse);
    let asked = change("a", -5).await;
    let told = asked.json();
    assert_eq!((asked.status, &told["doc"]["items"][0]["units"]), (202, &5.into()), "{}", asked.text());
    assert_eq!((&told["withdrawals"][0]["units"], &told["withdrawals"][0]["withdrawn"]), (&5.into(), &Value::Null));
    assert_eq!(change("b", -1).await.refused(), (409, "too-few-free".into()), "what is leaving leaves once");
    world.owners.heal();
    eventually("it ends", || async { change("a", -5).await.status == 200 }).await;
    let told = change("a", -5).await.json();
    assert_eq!((&told["doc"]["items"][0]["units"], &told["withdrawals"][0]["withdrawn"]), (&0.into(), &5.into()));
    let visitor = Visitor::new(&world).await;
    let refused = visitor.hold(&world, "box", "k", &[("floor", 1)]).await;
    assert_eq!(refused.refused(), (409, "sold-out".into()), "nothing is left, and nothing can come back");
    let doc = told["doc"].to_string();
    let same = world.operate("PUT", "/admin/v1/sales/box", &[JSON], doc.as_bytes()).await;
    assert_eq!((same.status, &same.json()["revision"]), (200, &told["revision"]), "it can be applied: {}", same.text());
    assert_eq!(change("c", 1).await.status, 200);
    eventually("what is added can be had", || async {
        visitor.hold(&world, "box", "k", &[("floor", 1)]).await.status == 201
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_ledger_is_away_nothing_is_done_and_an_act_whose_answer_is_lost_is_done_once() {
    let world = World::with(&[ROOM], Settings::default()).await;
    let seq = async || world.operate("GET", "/admin/v1/sales/room", &[], b"").await.json()["seq"].as_u64().unwrap();
    let before = seq().await;
    world.acts.always(Call::Claim, Fault::Refuse);
    for (method, path, body) in [
        ("POST", "room/pause", json!({})),
        ("PUT", "room/cap", json!({"active_passes": 1})),
        ("POST", "room/items/floor/stock", json!({"units": 1})),
        ("POST", "room/items/floor/stock", json!({"units": -1})),
    ] {
        let reply = act(&world, method, path, &body).await;
        assert_eq!(reply.refused(), (503, "unavailable".into()), "{path}: {}", reply.text());
        assert_eq!(reply.json()["outcome"], "refused");
        assert!(reply.header("retry-after").is_some());
    }
    world.acts.heal();
    assert_eq!(seq().await, before);
    world.acts.next(Call::Append, Fault::LoseAnswer);
    let add = async || act(&world, "POST", "room/items/floor/stock", &json!({"units": 7})).await;
    let lost = add().await;
    assert_eq!((lost.status, &lost.json()["outcome"]), (503, &"unknown".into()), "{}", lost.text());
    let again = add().await;
    assert_eq!((again.status, &again.json()["doc"]["items"][0]["units"]), (200, &107.into()), "{}", again.text());
    assert_eq!(seq().await, before + 1, "it is in the log once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_changes_nothing() {
    let world = World::with(&[ROOM, BOX], Settings::default()).await;
    eventually("the stock is known", || async {
        let sale = world.operate("GET", "/admin/v1/sales/room", &[], b"").await.json();
        sale["live"]["items"][0]["free"] == 100
    })
    .await;
    let seq = world.operate("GET", "/admin/v1/sales/room", &[], b"").await.json()["seq"].clone();
    for (method, path, body, refusal) in [
        ("PUT", "room/pace", json!({"pace_per_minute": 0}), (400, "bad-request")),
        ("PUT", "room/pace", json!({"pace_per_minute": -1}), (400, "bad-request")),
        ("PUT", "room/pace", json!({"pace_per_minute": 6_000_001}), (400, "bad-request")),
        ("PUT", "room/pace", json!({}), (400, "bad-request")),
        ("PUT", "box/pace", json!({"pace_per_minute": 1}), (400, "bad-request")),
        ("PUT", "room/cap", json!({"active_passes": 0}), (400, "bad-request")),
        ("POST", "room/items/nothing/stock", json!({"units": 1}), (404, "not-found")),
        ("POST", "room/items/A%20b/stock", json!({"units": 1}), (400, "bad-request")),
        ("POST", "room/items/floor/stock", json!({"units": 0}), (400, "bad-request")),
        ("POST", "room/items/floor/stock", json!({"units": 100_000_000}), (400, "bad-request")),
        ("POST", "room/pause", json!({"message": "x".repeat(301)}), (400, "bad-request")),
        ("POST", "room/resume", json!({"ramp_ms": 3_600_001}), (400, "bad-request")),
        ("POST", "room/resume", json!({"ramp_ms": -1}), (400, "bad-request")),
        ("PUT", "room/pace", json!({"pace_per_minute": 1e300}), (400, "bad-request")),
        ("PUT", "room/joining", json!({}), (400, "bad-request")),
        ("PUT", "box/joining", json!({"open": false}), (400, "bad-request")),
        ("PUT", "box/let-through", json!({"on": true}), (400, "bad-request")),
        ("POST", "room/items/floor/stock", json!({"units": -101}), (409, "too-few-free")),
        ("POST", "room/items/floor/stock", json!({"units": -100_000_001}), (400, "bad-request")),
        ("POST", "room/items/floor/stock", json!({"units": i64::MIN}), (400, "bad-request")),
        ("POST", "room/items/nothing/stock", json!({"units": -1}), (404, "not-found")),
        ("POST", "room/pause", json!({"colour": "red"}), (400, "bad-request")),
        ("POST", "none/pause", json!({}), (404, "not-found")),
    ] {
        let reply = act(&world, method, path, &body).await;
        assert_eq!(reply.refused(), (refusal.0, refusal.1.into()), "{method} {path} {body}");
    }
    assert_eq!(world.operate("GET", "/admin/v1/sales/room", &[], b"").await.json()["seq"], seq);
    act(&world, "POST", "room/close", &json!({})).await;
    let closed = act(&world, "POST", "room/pause", &json!({})).await;
    assert_eq!(closed.refused(), (410, "sale-closed".into()));
}
