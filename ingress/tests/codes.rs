//! Access codes and the classes they let into, over HTTP.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::visitor::{Visitor, text};
use common::{Reply, World, eventually};
use ingress::Settings;
use serde_json::json;

const JSON: (&str, &str) = ("content-type", "application/json");

/// A waiting room that lets in three at a time; `members` come by signed codes, `fans` by a listed one that two may use.
const CLASSES: &str = r#"
id = "room"
opens_at = "2020-01-01T00:00:00Z"
[admission]
pace_per_minute = 6000
active_passes = 3
pass_ttl = "60s"
claim_grace = "60s"
[[admission.classes]]
id = "members"
title = "Members"
share = 30
places = 2
[[admission.classes]]
id = "fans"
share = 20
places = 10
codes = ["FAN-CLUB-2027"]
uses = 2
[[items]]
id = "floor"
units = 100
"#;

async fn join(world: &World, visitor: &mut Visitor, code: &str) -> Reply {
    let body = json!({ "code": code }).to_string();
    let reply = visitor.post(world, "/v1/sales/room/tickets", "", body.as_bytes()).await;
    if reply.status < 300 {
        visitor.ticket = text(&reply.json()["ticket"]);
    }
    reply
}

async fn signed(world: &World, count: u64, uses: u64) -> Vec<String> {
    let asked = json!({"count": count, "uses": uses}).to_string();
    let path = "/admin/v1/sales/room/classes/members/codes";
    let reply = world.operate("POST", path, &[JSON], asked.as_bytes()).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    reply.json()["codes"].as_array().unwrap().iter().map(text).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_leads_through_its_own_line_to_a_hold() {
    let world = World::with(&[CLASSES], Settings::default()).await;
    let mut visitor = Visitor::new(&world).await;
    let code = signed(&world, 1, 1).await.remove(0);
    let joined = join(&world, &mut visitor, &code.to_lowercase()).await;
    assert_eq!(joined.status, 201, "{}", joined.text());
    assert_eq!((&joined.json()["number"], &joined.json()["class"]), (&1.into(), &"members".into()));
    assert_eq!(join(&world, &mut visitor, &code).await.status, 200, "a refresh uses nothing");
    assert_eq!(visitor.join(&world, "room").await.json()["class"], "members", "and needs no code");
    let shown = visitor.get(&world, "/v1/sales/room/ticket").await.json();
    assert_eq!((&shown["number"], &shown["class"]), (&1.into(), &"members".into()));
    eventually("called", || async { visitor.clone().claim(&world, "room").await.status < 300 }).await;
    visitor.claim(&world, "room").await;
    assert_eq!(visitor.hold(&world, "room", "k", &[("floor", 1)]).await.status, 201);
    eventually("everybody sees how far the class is called", || async {
        let line = world.ask("GET", "/v1/sales/room/line", &[], b"").await.json();
        line["classes"][0] == json!({"class": "members", "title": "Members", "share": 30, "frontier": 1})
    })
    .await;
    let second = join(&world, &mut Visitor::new(&world).await, &code).await;
    assert_eq!(second.refused(), (409, "code-used".into()), "one visitor may use it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_in_a_class_moves_to_another_device() {
    let world = World::with(&[CLASSES], Settings::default()).await;
    let (mut phone, mut laptop) = (Visitor::new(&world).await, Visitor::new(&world).await);
    assert_eq!(join(&world, &mut phone, "FAN-CLUB-2027").await.status, 201);
    let offered = phone.post(&world, "/v1/sales/room/ticket/code", "", b"").await;
    assert_eq!(offered.status, 201, "{}", offered.text());
    let body = json!({ "code": offered.json()["code"] }).to_string();
    let moved = laptop.post(&world, "/v1/sales/room/ticket/move", "", body.as_bytes()).await;
    assert_eq!((moved.status, &moved.json()["class"], &moved.json()["number"]), (200, &"fans".into(), &1.into()));
    laptop.ticket = text(&moved.json()["ticket"]);
    assert_eq!(phone.claim(&world, "room").await.refused(), (410, "ticket-moved".into()));
    assert_eq!(
        join(&world, &mut phone, "FAN-CLUB-2027").await.refused(),
        (409, "code-used".into()),
        "the place was its one"
    );
    eventually("entered", || async { laptop.clone().claim(&world, "room").await.status < 300 }).await;
    assert_eq!(phone.claim(&world, "room").await.refused(), (410, "ticket-moved".into()));
    assert!(phone.join(&world, "room").await.json().get("class").is_none(), "a place in everybody's line");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_is_used_by_as_many_as_may_and_never_by_more() {
    let world = World::with(&[CLASSES], Settings::default()).await;
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.push(join(&world, &mut Visitor::new(&world).await, "fan club 2027").await);
    }
    assert_eq!(answers.iter().filter(|reply| reply.status == 201).count(), 2);
    assert!(answers[2..].iter().all(|reply| reply.refused() == (409, "code-used".into())));
    let codes = signed(&world, 3, 9).await;
    let mut places = Vec::new();
    for code in &codes {
        places.push(join(&world, &mut Visitor::new(&world).await, code).await);
    }
    assert_eq!(places[2].refused(), (409, "class-full".into()), "the class has two places");
    let mut other = Visitor::new(&world).await;
    assert_eq!(join(&world, &mut other, &codes[2]).await.status, 409);
    assert!(other.join(&world, "room").await.json().get("class").is_none(), "there is a place in everybody's line");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_code_is_refused_and_who_tries_many_is_not_answered_any_more() {
    let world = World::with(&[CLASSES], Settings::default()).await;
    let code = signed(&world, 1, 1).await.remove(0);
    let mut visitor = Visitor::new(&world).await;
    let mut wrong = code.clone().into_bytes();
    let last = wrong.last_mut().unwrap();
    *last = if *last == b'0' { b'1' } else { b'0' };
    let wrong = String::from_utf8(wrong).unwrap();
    for text in [wrong.as_str(), "FAN-CLUB-2028", "", "'; DROP TABLE"] {
        assert_eq!(join(&world, &mut visitor, text).await.refused(), (403, "code-invalid".into()), "{text}");
    }
    // One more is taken every few seconds, so a slow test may send some more.
    for _ in 0..10 * domain::limits::BAD_CODES_PER_MINUTE {
        match join(&world, &mut visitor, "FAN-CLUB-2028").await.status {
            403 => {}
            other => {
                assert_eq!(other, 429);
                break;
            }
        }
    }
    let refused = join(&world, &mut visitor, &code).await;
    assert_eq!(refused.refused(), (429, "too-many-requests".into()), "also a good one: else it would tell which is");
    assert!(visitor.join(&world, "room").await.status < 300, "without a code all goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codes_are_made_for_operators_only_and_for_classes_there_are() {
    let world = World::with(&[CLASSES], Settings::default()).await;
    let path = "/admin/v1/sales/room/classes/members/codes";
    let make = |path: &'static str, body: &'static str| world.operate("POST", path, &[JSON], body.as_bytes());
    assert_eq!(make("/admin/v1/sales/room/classes/nobody/codes", r#"{"count":1}"#).await.status, 404);
    assert_eq!(make("/admin/v1/sales/none/classes/members/codes", r#"{"count":1}"#).await.status, 404);
    for wrong in [r#"{"count":0}"#, r#"{"count":10001}"#, r#"{"count":1,"uses":0}"#, r#"{"count":1,"uses":65536}"#] {
        assert_eq!(make(path, wrong).await.status, 400, "{wrong}");
    }
    let many = signed(&world, 1_000, 1).await;
    let different: std::collections::BTreeSet<_> = many.iter().collect();
    assert_eq!(different.len(), 1_000);
}
