//! The lobby and its draw over HTTP: receipt, opening, number, and everything that somebody needs to check it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use admission::draw::{Digest, Held, Noted, Published, Tree};
use common::visitor::{Visitor, text};
use common::{LATER, ROOM, World, actor, eventually};
use ingress::Settings;
use serde_json::Value;

const TICKET: &str = "/v1/sales/later/ticket";
const DRAW: &str = "/v1/sales/later/draw";

async fn open(world: &World) {
    world.registry.open(&"later".parse().unwrap(), actor()).await.unwrap();
    eventually("the draw is shown", || async {
        let sales = world.app.sales();
        sales.get("later").unwrap().view.load().number_of(0).is_some()
    })
    .await;
}

async fn json(world: &World, path: &str) -> Value {
    let reply = world.ask("GET", path, &[], b"").await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_becomes_the_place_that_the_draw_gives_and_opens_the_door() {
    let world = World::with(&[LATER, ROOM], Settings::default()).await;
    let mut visitors = Vec::new();
    for index in 0..5_u64 {
        let mut visitor = Visitor::new(&world).await;
        let joined = visitor.join(&world, "later").await;
        let body = joined.json();
        assert_eq!((joined.status, &body["state"], &body["index"]), (201, &"lobby".into(), &index.into()));
        assert!(body["number"].is_null() && body["opens_in_ms"].as_u64().unwrap() > 1_000_000_000, "{body}");
        let again = visitor.join(&world, "later").await;
        assert_eq!((again.status, &again.json()["index"]), (200, &index.into()), "the same receipt");
        let shown = visitor.get(&world, TICKET).await.json();
        assert_eq!((&shown["state"], &shown["index"]), (&"lobby".into(), &index.into()));
        assert_eq!(visitor.claim(&world, "later").await.refused(), (409, "sale-not-open".into()));
        visitors.push(visitor);
    }
    open(&world).await;
    let mut numbers = Vec::new();
    for visitor in &mut visitors {
        let shown = visitor.get(&world, TICKET).await.json();
        assert!(matches!(shown["state"].as_str().unwrap(), "waiting" | "called"), "{shown}");
        numbers.push(shown["number"].as_u64().unwrap());
    }
    let mut sorted = numbers.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [1, 2, 3, 4, 5]);
    // The receipt is as good as a ticket, whoever lost the rest.
    let first = numbers.iter().position(|number| *number == 1).unwrap();
    let called = &mut visitors[first];
    eventually("number 1 is called", || async { called.get(&world, TICKET).await.json()["state"] == "called" }).await;
    assert_eq!(called.claim(&world, "later").await.status, 201);
    assert_eq!(called.get(&world, TICKET).await.json()["state"], "inside");
    let second = &mut visitors[(first + 1) % 5];
    let number = numbers[(first + 1) % 5];
    assert_eq!(second.join(&world, "later").await.json()["number"], number);
    assert_eq!(second.get(&world, TICKET).await.json()["number"], number, "now by a ticket");
    let mut late = Visitor::new(&world).await;
    assert_eq!(late.join(&world, "later").await.json()["number"], 6);
    let mut other = visitors[(first + 2) % 5].clone();
    other.token.clone_from(&late.token);
    assert_eq!(other.get(&world, TICKET).await.refused(), (403, "forbidden".into()), "another's receipt");
    let receipt = visitors[(first + 2) % 5].ticket.clone();
    let mut room = Visitor { ticket: receipt, ..visitors[(first + 2) % 5].clone() };
    assert_eq!(room.claim(&world, "room").await.refused(), (403, "forbidden".into()), "of another sale");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_a_check_needs_is_published_and_the_check_agrees() {
    let world = World::with(&[LATER], Settings::default()).await;
    let commitment = text(&json(&world, DRAW).await["commitment"]);
    assert_eq!(json(&world, "/v1/sales/later").await["draw_commitment"], *commitment, "since the sale was created");
    let mut visitors = Vec::new();
    for _ in 0..3 {
        let mut visitor = Visitor::new(&world).await;
        visitor.join(&world, "later").await;
        visitors.push(visitor);
    }
    let before = json(&world, DRAW).await;
    assert!(before["root"].is_null() && before["seed"].is_null() && before["count"].is_null(), "{before}");
    for path in ["/draw/receipt", "/draw/leaves"] {
        let refused = visitors[0].get(&world, &format!("/v1/sales/later{path}")).await.refused();
        assert_eq!(refused, (404, "not-found".into()), "{path}");
    }
    open(&world).await;
    let published: Published = serde_json::from_value(json(&world, DRAW).await).unwrap();
    assert_eq!((published.count, published.commitment.to_string()), (3, commitment));
    let noted = Noted { commitment: Some(published.commitment), root: Some(published.root) };
    for visitor in &mut visitors {
        let held = visitor.get(&world, "/v1/sales/later/draw/receipt").await;
        let held: Held = serde_json::from_value(held.json()).unwrap();
        let checked = published.check(&held, &noted).unwrap();
        assert!(checked.ok() && held.number == Some(checked.place.into()), "{checked:?}");
        // With a ticket instead of the receipt it is the same.
        visitor.join(&world, "later").await;
        let again = visitor.get(&world, "/v1/sales/later/draw/receipt").await;
        let again: Held = serde_json::from_value(again.json()).unwrap();
        assert_eq!((again.proof, again.number), (held.proof, held.number));
    }
    let leaves = json(&world, "/v1/sales/later/draw/leaves?from=0").await;
    let mut tree = Tree::default();
    leaves["leaves"].as_array().unwrap().iter().for_each(|leaf| tree.push(text(leaf).parse::<Digest>().unwrap()));
    assert_eq!((leaves["count"].as_u64(), tree.root()), (Some(3), published.root));
    assert_eq!(json(&world, "/v1/sales/later/draw/leaves?from=2").await["leaves"].as_array().unwrap().len(), 1);
    let bad = world.ask("GET", "/v1/sales/later/draw/leaves?from=x", &[], b"").await.refused();
    assert_eq!(bad, (400, "bad-request".into()));
    let mut late = Visitor::new(&world).await;
    late.join(&world, "later").await;
    assert_eq!(late.get(&world, "/v1/sales/later/draw/receipt").await.refused(), (404, "not-found".into()));
    let page = world.ask("GET", "/draw", &[], b"").await;
    assert!(page.status == 200 && page.text().contains(&published.commitment.to_string()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draw_that_waits_for_its_public_value_says_so_and_what_for() {
    const NAMED: &str = "round 42 of the beacon";
    let doc = |more: &str| {
        LATER
            .replace("active_passes = 3", &format!("active_passes = 3, public_value = {{ named = \"{NAMED}\"{more} }}"))
    };
    let world = World::with(&[&doc("")], Settings::default()).await;
    assert_eq!(json(&world, DRAW).await["public_value_named"], NAMED);
    let mut visitor = Visitor::new(&world).await;
    visitor.join(&world, "later").await;
    world.registry.open(&"later".parse().unwrap(), actor()).await.unwrap();
    eventually("the root is published", || async { !json(&world, DRAW).await["root"].is_null() }).await;
    eventually("the line says what is waited for", || async {
        text(&json(&world, "/v1/sales/later/line").await["message"]).contains(NAMED)
    })
    .await;
    assert_eq!(visitor.join(&world, "later").await.json()["state"], "lobby");
    assert_eq!(visitor.claim(&world, "later").await.refused(), (409, "not-your-turn".into()));
    let told = domain::SaleDoc::from_toml(&doc(", value = \"beef\"")).unwrap();
    world.registry.apply(told, None, actor()).await.unwrap();
    eventually("it is drawn", || async { json(&world, DRAW).await["public_value"] == "beef" }).await;
    eventually("the place is known", || async { visitor.get(&world, TICKET).await.json()["number"] == 1 }).await;
    let published: Published = serde_json::from_value(json(&world, DRAW).await).unwrap();
    let held = visitor.get(&world, "/v1/sales/later/draw/receipt").await;
    let checked = published.check(&serde_json::from_value(held.json()).unwrap(), &Noted::default()).unwrap();
    assert!(checked.ok(), "{checked:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sale_without_a_waiting_room_draws_nothing() {
    let world = World::with(&[common::BOX], Settings::default()).await;
    for path in ["draw", "draw/leaves"] {
        assert_eq!(world.ask("GET", &format!("/v1/sales/box/{path}"), &[], b"").await.refused().0, 404);
    }
    assert!(json(&world, "/v1/sales/box").await["draw_commitment"].is_null());
}
