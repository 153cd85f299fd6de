//! What operators and machines ask.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{BOX, Client, ROOM, World, eventually};
use ingress::{OperatorKey, Settings};
use serde_json::json;

const TOML: (&str, &str) = ("content-type", "application/toml");
const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sale_is_created_changed_opened_and_closed_and_served_at_once() {
    let world = World::with(&[], Settings::default()).await;
    let doc = BOX.replace("opens_at = \"2020-01-01T00:00:00Z\"\n", "");
    let created = world.operate("PUT", "/admin/v1/sales/box", &[TOML], doc.as_bytes()).await;
    assert_eq!(created.status, 201, "{}", created.text());
    assert_eq!((created.header("etag"), created.header("location")), (Some("\"1\""), Some("/admin/v1/sales/box")));
    let same = world.operate("PUT", "/admin/v1/sales/box", &[TOML], doc.as_bytes()).await;
    assert_eq!((same.status, same.header("etag")), (200, Some("\"1\"")), "the same document changes nothing");
    let more = doc.replace("units = 5", "units = 6");
    let changed = world.operate("PUT", "/admin/v1/sales/box", &[TOML, ("if-match", "\"1\"")], more.as_bytes()).await;
    assert_eq!((changed.status, changed.header("etag")), (200, Some("\"2\"")));

    assert_eq!(changed.json()["state"], "scheduled");
    let opened = world.operate("POST", "/admin/v1/sales/box/open", &[JSON], br#"{"why": "doors open"}"#).await;
    assert_eq!((opened.status, &opened.json()["state"]), (200, &"open".into()));
    world.loaded().await;
    eventually("with live figures", || async {
        let sale = world.operate("GET", "/admin/v1/sales/box", &[], b"").await.json();
        sale["live"]["items"]
            == json!([
                {"item": "floor", "units": 6, "free": 6, "in_checkout": 0, "stock": "plenty"},
                {"item": "balcony", "units": 6, "free": 6, "in_checkout": 0, "stock": "plenty"},
            ])
            && sale["live"]["lanes"][0]["owned"] == true
    })
    .await;
    assert_eq!(world.ask("GET", "/v1/sales/box", &[], b"").await.json()["state"], "open");
    let list = world.operate("GET", "/admin/v1/sales", &[], b"").await.json();
    assert_eq!((&list["sales"][0]["id"], &list["sales"][0]["revision"]), (&"box".into(), &2.into()));

    let closed = world.operate("POST", "/admin/v1/sales/box/close", &[], b"").await;
    assert_eq!((closed.status, &closed.json()["state"]), (200, &"closed".into()));
    let again = world.operate("POST", "/admin/v1/sales/box/open", &[], b"").await;
    assert_eq!(again.refused(), (410, "sale-closed".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_installation_may_not_sell_is_neither_created_nor_changed_nor_opened() {
    let world = World::with(&[], Settings::default()).await;
    let doc = BOX.replace("opens_at = \"2020-01-01T00:00:00Z\"\n", "");
    let forbidden = doc.replacen("units = 5", &format!("units = {}", common::FORBIDDEN), 1);
    let refused = world.operate("PUT", "/admin/v1/sales/box", &[TOML], forbidden.as_bytes()).await;
    assert_eq!(refused.refused(), (400, "bad-request".into()));
    let body = refused.json();
    assert_eq!((&body["errors"][0]["key"], &body["outcome"]), (&"items[0].units".into(), &"refused".into()), "{body}");
    assert_eq!(world.operate("GET", "/admin/v1/sales/box", &[], b"").await.status, 404, "nothing was recorded");
    // One that was recorded by a program that may.
    let by = domain::Actor { by: "other".into(), why: String::new() };
    world.registry.apply(domain::SaleDoc::from_toml(&forbidden).unwrap(), None, by).await.unwrap();
    let opened = world.operate("POST", "/admin/v1/sales/box/open", &[], b"").await;
    assert_eq!(opened.refused(), (400, "bad-request".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sale_past_its_closing_time_is_not_opened_until_its_document_says_a_later_one() {
    let world = World::with(&[], Settings::default()).await;
    let doc = BOX.replace("opens_at = \"2020-01-01T00:00:00Z\"", "closes_at = \"2020-01-01T00:00:00Z\"");
    assert_eq!(world.operate("PUT", "/admin/v1/sales/box", &[TOML], doc.as_bytes()).await.status, 201);
    let refused = world.operate("POST", "/admin/v1/sales/box/open", &[], b"").await;
    assert_eq!(refused.refused(), (410, "sale-closed".into()));
    assert!(refused.json()["detail"].as_str().unwrap().contains("later closes_at"), "{}", refused.text());
    let later = doc.replace("closes_at = \"2020", "closes_at = \"2120");
    assert_eq!(world.operate("PUT", "/admin/v1/sales/box", &[TOML], later.as_bytes()).await.status, 200);
    let opened = world.operate("POST", "/admin/v1/sales/box/open", &[], b"").await;
    assert_eq!((opened.status, &opened.json()["state"]), (200, &"open".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_document_is_refused_with_all_its_mistakes() {
    let world = World::bare(Settings::default()).await;
    let doc =
        "id = \"box\"\nadmission = \"none\"\nlanes = 0\ncolour = \"red\"\n[[items]]\nid = \"floor\"\nunits = -3\n";
    let refused = world.operate("PUT", "/admin/v1/sales/box", &[TOML], doc.as_bytes()).await;
    assert_eq!(refused.refused(), (400, "bad-request".into()));
    let errors = refused.json()["errors"].as_array().unwrap().clone();
    let keys: Vec<&str> = errors.iter().map(|error| error["key"].as_str().unwrap()).collect();
    assert!(["lanes", "colour", "items[0].units"].iter().all(|key| keys.contains(key)), "{keys:?}");
    assert!(
        errors.iter().any(|error| error["value"] == "-3" && error["problem"].as_str().unwrap().contains("100000000"))
    );

    for (headers, body, status, problem) in [
        (vec![TOML], BOX.replace("\"box\"", "\"other\""), 400, "bad-request"),
        (vec![TOML], "id = ".into(), 400, "bad-request"),
        (vec![JSON], "{".into(), 400, "bad-request"),
        (vec![("content-type", "text/plain")], BOX.into(), 415, "wrong-content-type"),
        (vec![], BOX.into(), 415, "wrong-content-type"),
        (vec![TOML, ("if-match", "\"7\"")], BOX.into(), 412, "precondition-failed"),
        (vec![TOML, ("if-match", "*")], BOX.into(), 412, "precondition-failed"),
        (vec![TOML, ("if-match", "seven")], BOX.into(), 400, "bad-request"),
        (vec![TOML], " ".repeat(2 << 20), 413, "too-large"),
    ] {
        let reply = world.operate("PUT", "/admin/v1/sales/box", &headers, body.as_bytes()).await;
        assert_eq!(reply.refused(), (status, problem.into()), "{headers:?} {:.60}", body);
    }
    assert_eq!(world.operate("GET", "/admin/v1/sales/box", &[], b"").await.refused(), (404, "not-found".into()));
    assert_eq!(world.operate("GET", "/admin/v1/sales/BOX", &[], b"").await.refused(), (400, "bad-request".into()));

    let only_new = [TOML, ("if-none-match", "*")];
    assert_eq!(world.operate("PUT", "/admin/v1/sales/box", &only_new, BOX.as_bytes()).await.status, 201);
    let there = world.operate("PUT", "/admin/v1/sales/box", &only_new, BOX.replace("60s", "61s").as_bytes()).await;
    assert_eq!(there.refused(), (412, "precondition-failed".into()));
    let fewer = BOX.replace("units = 5", "units = 4").replace("lanes = 1", "lanes = 2");
    let refused = world.operate("PUT", "/admin/v1/sales/box", &[TOML], fewer.as_bytes()).await;
    assert_eq!(refused.refused(), (400, "bad-request".into()));
    assert_eq!(refused.json()["errors"].as_array().unwrap().len(), 2, "both items lose units: {}", refused.text());
    let why = format!("{{\"why\": \"{}\"}}", "x".repeat(501));
    let refused = world.operate("POST", "/admin/v1/sales/box/open", &[JSON], why.as_bytes()).await;
    assert_eq!(refused.refused(), (400, "bad-request".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_operators_keys_open_and_the_last_act_names_its_operator() {
    let world = World::with(&[ROOM], Settings::default()).await;
    let calls = [
        ("GET", "/admin/v1/sales"),
        ("GET", "/admin/v1/sales/room"),
        ("PUT", "/admin/v1/sales/room"),
        ("POST", "/admin/v1/sales/room/open"),
        ("POST", "/admin/v1/sales/room/pause"),
        ("POST", "/admin/v1/sales/room/resume"),
        ("PUT", "/admin/v1/sales/room/pace"),
        ("PUT", "/admin/v1/sales/room/cap"),
        ("PUT", "/admin/v1/sales/room/joining"),
        ("PUT", "/admin/v1/sales/room/let-through"),
        ("POST", "/admin/v1/sales/room/items/floor/stock"),
        ("POST", "/admin/v1/sales/room/close"),
        ("GET", "/admin/v1/sales/room/audit"),
        ("GET", "/admin/v1/sales/room/events"),
    ];
    for (method, path) in calls {
        for auth in [
            None,
            Some("Bearer wrong"),
            Some("Bearer "),
            Some("Basic x"),
            Some("an-operators-secret"),
            Some("Bearer an-operators-secre"),
        ] {
            let headers: Vec<(&str, &str)> = auth.iter().map(|value| ("authorization", *value)).collect();
            let reply = world.operate_as(method, path, &headers, b"").await;
            assert_eq!(reply.refused(), (401, "unauthenticated".into()), "{method} {path} {auth:?}");
            assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
        }
        let public = Client::to(world.public).await.send(method, path, &[], b"").await;
        assert_eq!(public.status, 404, "not on the public listener");
    }
    let two = |name: &str, secret: &str| OperatorKey { name: name.into(), secret: secret.into() };
    world.app.set_operators(vec![two("ann", "a"), two("bob", "b"), two("empty", "")]);
    assert_eq!(world.operate_as("GET", "/admin/v1/sales", &[("authorization", "bearer b")], b"").await.status, 200);
    assert_eq!(world.operate("GET", "/admin/v1/sales", &[], b"").await.status, 401, "the old key is gone");
    assert_eq!(world.operate_as("GET", "/admin/v1/sales", &[("authorization", "Bearer ")], b"").await.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audit_and_events_come_from_the_program() {
    let world = World::with(&[ROOM], Settings::default()).await;
    let audit = world.operate("GET", "/admin/v1/sales/room/audit", &[], b"").await;
    assert_eq!((audit.status, audit.json()), (200, json!({"sale": "room", "holds": true})));
    let events = world.operate("GET", "/admin/v1/sales/room/events?from=lane%2F0:7", &[], b"").await;
    assert_eq!(events.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(events.text(), "{\"sale\":\"room\",\"from\":\"lane/0:7\"}\n");
    for (from, status, problem) in [("x", 400, "bad-request"), ("away", 503, "unavailable")] {
        let reply = world.operate("GET", &format!("/admin/v1/sales/room/events?from={from}"), &[], b"").await;
        assert_eq!(reply.refused(), (status, problem.into()));
    }
    for what in ["audit", "events"] {
        let reply = world.operate("GET", &format!("/admin/v1/sales/nope/{what}"), &[], b"").await;
        assert_eq!(reply.refused(), (404, "not-found".into()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_follows_what_serving_needs_and_ends_when_draining() {
    let world = World::bare(Settings::default()).await;
    let ask = async |path: &str| world.operate_as("GET", path, &[], b"").await;
    assert_eq!((ask("/livez").await.status, ask("/livez").await.text()), (200, "ok\n"));
    assert_eq!((ask("/readyz").await.status, ask("/readyz").await.text()), (200, "ready\n"));
    assert_eq!(ask("/readyz?verbose").await.text(), "[+] serving\n[+] redis\nready\n");
    *world.ready.lock().unwrap() = Err("does not answer".into());
    let away = ask("/readyz").await;
    assert_eq!((away.status, away.text()), (503, "[-] redis: does not answer\nnot ready\n"));
    assert_eq!((away.header("retry-after"), away.header("ratelimit")), (Some("1"), Some("\"capacity\";r=0;t=1")));
    *world.ready.lock().unwrap() = Ok(());
    world.app.drain();
    let draining = ask("/readyz").await;
    assert_eq!((draining.status, draining.text()), (503, "[-] serving: the program is stopping\nnot ready\n"));
    assert_eq!(draining.header("retry-after"), Some("1"));
    assert_eq!(ask("/livez").await.status, 200, "and it still lives");
    let metrics = ask("/metrics").await;
    assert_eq!((metrics.status, metrics.text()), (200, "holdfast_test 1\n"));
    assert!(metrics.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    assert_eq!(ask("/problems/unauthenticated").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_get_in_when_there_is_no_room_for_visitors() {
    let world = World::bare_unasked(Settings { in_flight: 0, ..Settings::default() }).await;
    let refused = Client::to(world.public).await.send("POST", "/v1/visitors", &[], b"").await;
    assert_eq!((refused.refused(), refused.header("cache-control")), ((503, "overloaded".into()), Some("no-store")));
    let bearer = format!("Bearer {}", common::OPERATOR);
    let headers = [("authorization", bearer.as_str()), TOML];
    let put = Client::to(world.admin).await.send("PUT", "/admin/v1/sales/box", &headers, BOX.as_bytes()).await;
    assert_eq!(put.status, 201, "{}", put.text());
}
