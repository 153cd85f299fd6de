//! Moving a place to another device.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::visitor::{Visitor, text};
use common::{BOX, LATER, ROOM, Reply, World, eventually};
use ingress::Settings;
use serde_json::json;

async fn offer(world: &World, visitor: &Visitor) -> Reply {
    visitor.post(world, "/v1/sales/room/ticket/code", "", b"").await
}

async fn take(world: &World, visitor: &Visitor, code: &str) -> Reply {
    visitor.post(world, "/v1/sales/room/ticket/move", "", json!({ "code": code }).to_string().as_bytes()).await
}

fn is(status: u16, name: &str) -> (u16, String) {
    (status, name.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_moves_a_place_to_one_other_device_and_the_first_one_loses_it() {
    let world = World::with(&[ROOM], Settings::default()).await;
    let mut phone = Visitor::new(&world).await;
    let number = phone.join(&world, "room").await.json()["number"].clone();
    let given = offer(&world, &phone).await;
    assert_eq!(given.status, 201, "{}", given.text());
    let code = text(&given.json()["code"]);
    assert!(given.json()["expires_in_ms"].as_u64().unwrap() > 590_000, "{}", given.text());

    // A browser that has no visitor yet, and types in small letters.
    let reply = take(&world, &Visitor::default(), &code.to_lowercase()).await;
    assert_eq!((reply.status, reply.json()["number"].clone()), (200, number.clone()), "{}", reply.text());
    let names: Vec<&str> = reply.all("set-cookie").iter().map(|cookie| cookie.split('=').next().unwrap()).collect();
    assert_eq!(names, ["hf_ticket", "hf_visitor"]);
    let body = reply.json();
    let laptop = Visitor { token: text(&body["visitor"]), ticket: text(&body["ticket"]), ..Visitor::default() };
    assert_eq!(take(&world, &laptop, &code).await.status, 200, "a lost answer is asked for again");

    for late in [Visitor::new(&world).await, phone.clone()] {
        assert_eq!(take(&world, &late, &code).await.refused(), is(410, "code-gone"));
    }
    assert_eq!(phone.claim(&world, "room").await.refused(), is(410, "ticket-moved"));
    assert_eq!(offer(&world, &phone).await.refused(), is(410, "ticket-moved"));
    let stolen = Visitor { ticket: laptop.ticket.clone(), ..phone.clone() };
    assert_eq!(stolen.clone().claim(&world, "room").await.refused(), is(403, "forbidden"), "its ticket is bound to it");
    eventually("entered", || async { laptop.clone().claim(&world, "room").await.status < 300 }).await;
    assert_eq!(phone.claim(&world, "room").await.refused(), is(410, "ticket-moved"));
    let place = phone.join(&world, "room").await;
    assert!(place.status == 201 && place.json()["number"] != number, "a place at the end: {}", place.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_devices_with_one_code_one_gets_the_place() {
    let world = World::with(&[ROOM], Settings::default()).await;
    for _ in 0..10 {
        let mut phone = Visitor::new(&world).await;
        phone.join(&world, "room").await;
        let code = text(&offer(&world, &phone).await.json()["code"]);
        let (one, two) = (Visitor::new(&world).await, Visitor::new(&world).await);
        let (a, b) = tokio::join!(take(&world, &one, &code), take(&world, &two, &code));
        let mut statuses = [a.status, b.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 410], "{} {}", a.text(), b.text());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_moved_is_refused() {
    let world = World::with(&[ROOM, BOX, LATER], Settings::default()).await;
    let mut visitor = Visitor::new(&world).await;
    assert_eq!(offer(&world, &visitor).await.refused(), is(403, "forbidden"), "no ticket");
    assert_eq!(offer(&world, &Visitor::default()).await.refused(), is(401, "unauthenticated"));
    for (code, status, name) in [
        ("K7QFM-3MWD9", 410, "code-gone"),
        ("K7QFM", 400, "bad-request"),
        ("K7QFM-3MWDU", 400, "bad-request"),
        ("", 400, "bad-request"),
    ] {
        assert_eq!(take(&world, &visitor, code).await.refused(), is(status, name), "{code}");
    }
    let post = async |visitor: &Visitor, sale: &str, what: &str, body: &str| {
        visitor.post(&world, &format!("/v1/sales/{sale}/ticket/{what}"), "", body.as_bytes()).await.refused()
    };
    let code = r#"{"code":"K7QFM-3MWD9"}"#;
    assert_eq!(post(&visitor, "nope", "move", code).await, is(404, "not-found"));
    assert_eq!(post(&visitor, "box", "move", code).await, is(404, "not-found"), "no waiting room");
    assert_eq!(post(&visitor, "box", "code", "").await, is(404, "not-found"));
    assert_eq!(post(&visitor, "later", "move", code).await, is(409, "sale-not-open"));
    assert_eq!(post(&visitor, "room", "move", "{}").await, is(400, "bad-request"));
    assert_eq!(post(&visitor, "room", "move", r#"{"code":7}"#).await, is(400, "bad-request"));

    visitor.join(&world, "room").await;
    let code = text(&offer(&world, &visitor).await.json()["code"]);
    eventually("entered", || async { visitor.clone().claim(&world, "room").await.status < 300 }).await;
    let other = Visitor::new(&world).await;
    assert_eq!(take(&world, &other, &code).await.refused(), is(410, "code-gone"), "the place is used");
    assert_eq!(offer(&world, &visitor).await.refused(), is(410, "code-gone"));
}
