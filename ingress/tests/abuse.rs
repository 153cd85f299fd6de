//! Proof of work and the bounds per client and visitor.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::visitor::{Visitor, text};
use common::{ROOM, Reply, World, eventually, key};
use domain::token::{Keyring, ProofTerms};
use domain::{Challenge, Millis, VisitorHash};
use ingress::Settings;

/// A sale that asks for little work, and one that asks for none.
const WORK: &str = r#"
id = "work"
opens_at = "2020-01-01T00:00:00Z"
admission = { pace_per_minute = 6000, active_passes = 5, pass_ttl = "60s", proof_of_work = { least = 1000, most = 1000 } }
[[items]]
id = "floor"
units = 100
"#;

/// The same before it opens.
const LOBBY: &str = r#"
id = "lobby"
opens_at = "2126-01-01T00:00:00Z"
admission = { pace_per_minute = 6000, active_passes = 5, proof_of_work = { least = 1000, most = 1000 } }
[[items]]
id = "floor"
units = 100
"#;

const NEEDED: (u16, &str) = (403, "proof-needed");

#[track_caller]
fn refused(reply: &Reply) -> (u16, String) {
    reply.refused()
}

fn is(expected: (u16, &str)) -> (u16, String) {
    (expected.0, expected.1.to_owned())
}

/// The solution of the challenge that is at this place of an answer.
#[track_caller]
fn solved(value: &serde_json::Value) -> String {
    let challenge: Challenge = serde_json::from_value(value.clone()).unwrap();
    challenge.solved_by(challenge.solve().unwrap())
}

/// A visitor with a solution in hand.
async fn paid(world: &World, sale: &str) -> Visitor {
    let mut visitor = Visitor::new(world).await;
    pay(world, &mut visitor, sale).await;
    visitor
}

async fn pay(world: &World, visitor: &mut Visitor, sale: &str) {
    let reply = visitor.get(world, &format!("/v1/sales/{sale}/challenge")).await;
    assert_eq!((reply.status, reply.header("cache-control")), (200, Some("no-store")), "{}", reply.text());
    visitor.proof = solved(&reply.json());
}

async fn enter(world: &World, visitor: &mut Visitor, sale: &str) {
    eventually("entered", || async { visitor.clone().claim(world, sale).await.status < 300 }).await;
    visitor.claim(world, sale).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_costs_work_where_the_sale_says_so_and_nothing_elsewhere() {
    let world = World::with(&[WORK, ROOM, LOBBY], Settings::default()).await;
    assert_eq!(world.ask("GET", "/v1/sales/work", &[], b"").await.json()["proof_of_work"], true);
    assert_eq!(world.ask("GET", "/v1/sales/room", &[], b"").await.json()["proof_of_work"], false);
    for sale in ["work", "lobby"] {
        let mut visitor = Visitor::new(&world).await;
        let reply = visitor.join(&world, sale).await;
        assert_eq!(refused(&reply), is(NEEDED));
        assert_eq!(reply.json()["challenge"]["maxnumber"], 1_000);
        visitor.proof = solved(&reply.json()["challenge"]);
        let place = visitor.join(&world, sale).await;
        assert_eq!(place.status, 201, "{}", place.text());
        assert_eq!(
            visitor.join(&world, sale).await.status,
            200,
            "a lost answer is asked for again with the same proof"
        );
        visitor.proof.clear();
        let again = visitor.join(&world, sale).await;
        assert_eq!(again.status, 200, "the ticket stands for the place there is");
        assert_eq!(again.json()["number"], place.json()["number"]);
        let nothing = Visitor { ticket: String::new(), ..visitor.clone() };
        assert_eq!(refused(&nothing.clone().join(&world, sale).await), is(NEEDED));
    }
    let mut free = Visitor::new(&world).await;
    assert_eq!(free.join(&world, "room").await.status, 201);
    assert_eq!(refused(&free.get(&world, "/v1/sales/room/challenge").await), is((404, "not-found")));
    assert_eq!(
        refused(&Visitor::default().get(&world, "/v1/sales/work/challenge").await),
        is((401, "unauthenticated"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_joins_without_a_visitor_gets_one_with_the_challenge() {
    let world = World::with(&[WORK], Settings::default()).await;
    let reply = Visitor::default().join(&world, "work").await;
    assert_eq!(refused(&reply), is(NEEDED));
    assert!(reply.header("set-cookie").unwrap().starts_with("hf_visitor="));
    let body = reply.json();
    let mut app = Visitor { token: text(&body["visitor"]), proof: solved(&body["challenge"]), ..Visitor::default() };
    assert_eq!(app.join(&world, "work").await.status, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_solution_buys_one_place_of_one_visitor_and_never_a_second_one() {
    let world = World::with(&[WORK], Settings::default()).await;
    let mut first = paid(&world, "work").await;
    assert_eq!(first.join(&world, "work").await.status, 201);
    let mut thief = Visitor { proof: first.proof.clone(), ..Visitor::new(&world).await };
    assert_eq!(refused(&thief.join(&world, "work").await), is(NEEDED), "another visitor's");

    enter(&world, &mut first, "work").await;
    assert_eq!(first.delete(&world, "/v1/sales/work/pass").await.status, 204);
    for ticket in [first.ticket.clone(), String::new()] {
        let mut again = Visitor { ticket, ..first.clone() };
        assert_eq!(refused(&again.join(&world, "work").await), is(NEEDED), "the place it bought has been used");
        again.proof.clear();
        assert_eq!(refused(&again.join(&world, "work").await), is(NEEDED), "a used ticket stands for no new place");
    }
    // The refusal's challenge is for the next place, also when the visitor has lost the ticket.
    let mut next = Visitor { ticket: String::new(), ..first.clone() };
    next.proof = solved(&next.clone().join(&world, "work").await.json()["challenge"]);
    let place = next.join(&world, "work").await;
    assert_eq!(place.status, 201, "{}", place.text());
    enter(&world, &mut next, "work").await;
    assert_eq!(next.delete(&world, "/v1/sales/work/pass").await.status, 204);
    assert_eq!(refused(&next.clone().join(&world, "work").await), is(NEEDED), "nor does that one buy a third");
    pay(&world, &mut next, "work").await;
    assert_eq!(next.join(&world, "work").await.status, 201, "a challenge that is asked for with the ticket");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_solution_that_is_not_good_is_refused_with_a_new_challenge() {
    let world = World::with(&[WORK, LOBBY], Settings::default()).await;
    let mut visitor = paid(&world, "work").await;
    let good = visitor.proof.clone();
    let ours = Keyring::new(vec![key(1)]).unwrap();
    let known = ours.verify_visitor(&visitor.token, Millis(0)).unwrap();
    let hash = VisitorHash::derive(&[7; 32], &known.visitor);
    let now = common::now().0;
    let signed = |ring: &Keyring, sale: &str, at: u64| {
        let terms = ProofTerms { sale: &sale.parse().unwrap(), visitor: &hash, after: 0, expires: Millis(at) };
        ring.challenge(&terms, 1, 5, 10).solved_by(5)
    };
    let theirs = Keyring::new(vec![key(9)]).unwrap();
    let soon = now + 60_000;
    for (what, proof) in [
        ("nothing", "e30=".to_owned()),
        ("cut off", good[..good.len() - 8].to_owned()),
        ("another sale's", signed(&ours, "lobby", soon)),
        ("expired", signed(&ours, "work", now - 1_000)),
        ("of the future", signed(&ours, "work", now + 3_600_000)),
        ("an old key's", signed(&theirs, "work", soon)),
        ("a token", visitor.token.clone()),
        ("as long as a head may have", "A".repeat(10_000)),
    ] {
        visitor.proof = proof;
        let reply = visitor.clone().join(&world, "work").await;
        assert_eq!(refused(&reply), is(NEEDED), "{what}");
        assert!(reply.json()["challenge"]["salt"].as_str().unwrap().contains("sale=work&"), "{what}");
    }
    let twice = [
        ("holdfast-visitor", visitor.token.as_str()),
        ("holdfast-proof", good.as_str()),
        ("holdfast-proof", good.as_str()),
    ];
    assert_eq!(refused(&world.ask("POST", "/v1/sales/work/tickets", &twice, b"").await), is((400, "bad-request")));
    visitor.proof = good;
    assert_eq!(visitor.join(&world, "work").await.status, 201, "nothing was used up by all that");
}

/// Redis is stopped: what is refused without it was refused before any store was asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_is_checked_before_any_store_is_touched() {
    let mut world = World::with(&[WORK], Settings::default()).await;
    let mut visitor = paid(&world, "work").await;
    drop(world.redis.take());
    let good = std::mem::replace(&mut visitor.proof, "e30=".to_owned());
    assert_eq!(refused(&visitor.join(&world, "work").await), is(NEEDED));
    visitor.proof = good;
    assert_eq!(visitor.join(&world, "work").await.status, 503, "the store is asked, and fails closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_price_rises_with_what_an_address_has_used() {
    let work = WORK.replace("least = 1000, most = 1000", "least = 1000, most = 100000");
    let settings = Settings { joins_per_minute: 10, ..Settings::default() };
    let world = World::with(&[work.as_str()], settings).await;
    let mut prices = Vec::new();
    for _ in 0..4 {
        let mut visitor = Visitor::new(&world).await;
        let reply = visitor.get(&world, "/v1/sales/work/challenge").await;
        prices.push(reply.json()["maxnumber"].as_u64().unwrap());
        visitor.proof = solved(&reply.json());
        assert_eq!(visitor.join(&world, "work").await.status, 201);
    }
    assert!(prices[0] < 1_100 && prices.windows(2).all(|pair| pair[0] < pair[1]), "{prices:?}");
    assert!(prices[3] > 3_000, "three of ten joins are used: {prices:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joins_are_bounded_per_visitor_and_per_network() {
    let settings = Settings {
        joins_per_visitor: 3,
        joins_per_minute: 5,
        address_bits: (24, 48),
        trusted_proxies: vec!["127.0.0.1".parse().unwrap()],
        ..Settings::default()
    };
    let world = World::with(&[ROOM], settings).await;
    let join = async |visitor: &Visitor, address: &str| {
        let headers = [("holdfast-visitor", visitor.token.as_str()), ("x-forwarded-for", address)];
        world.ask("POST", "/v1/sales/room/tickets", &headers, b"").await
    };
    let (one, two) = (Visitor::new(&world).await, Visitor::new(&world).await);
    for n in 0..3 {
        assert!(join(&one, &format!("192.0.2.{n}")).await.status < 300, "{n}");
    }
    let reply = join(&one, "192.0.2.3").await;
    assert_eq!(refused(&reply), is((429, "too-many-requests")));
    assert!(reply.header("ratelimit").unwrap().starts_with("\"visitor-joins\";r=0;t="), "{reply:?}");
    assert_eq!(reply.header("ratelimit-policy"), Some("\"visitor-joins\";q=3;w=60"));
    assert_eq!(join(&one, "198.51.100.1").await.status, 429, "from wherever");

    assert!(join(&two, "192.0.2.9").await.status < 300);
    assert!(join(&two, "192.0.2.10").await.status < 300);
    let reply = join(&two, "192.0.2.11").await;
    assert_eq!(refused(&reply), is((429, "too-many-requests")), "the network has used its five");
    assert!(reply.header("ratelimit").unwrap().starts_with("\"joins\";r=0;t="), "{reply:?}");
    assert!(reply.header("retry-after").is_some());
    let three = Visitor::new(&world).await;
    assert!(join(&three, "2001:db8:1:2::1").await.status < 300, "another network has its own");
    let place = two.get(&world, "/v1/sales/room/ticket").await;
    assert_eq!(place.status, 403, "asking is not bounded, and needs the ticket: {}", place.text());
}
