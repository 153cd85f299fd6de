//! What visitors are told while they wait, and what telling them costs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::{Duration, Instant};

use common::visitor::{Visitor, text};
use common::{Client, ROOM, World, eventually};
use ingress::Settings;
use serde_json::Value;

/// One unit, one visitor inside at a time.
const ONE: &str = r#"
id = "one"
opens_at = "2020-01-01T00:00:00Z"
admission = { pace_per_minute = 6000, active_passes = 1, pass_ttl = "60s", claim_grace = "60s" }
[[items]]
id = "floor"
units = 1
"#;

/// Passes of half a second.
const SHORT: &str = r#"
id = "short"
opens_at = "2020-01-01T00:00:00Z"
admission = { pace_per_minute = 6000, active_passes = 3, pass_ttl = "500ms", claim_grace = "60s" }
[[items]]
id = "floor"
units = 100
"#;

async fn entered(world: &World, sale: &str) -> Visitor {
    let mut visitor = Visitor::new(world).await;
    visitor.join(world, sale).await;
    eventually("entered", || async { visitor.clone().claim(world, sale).await.status < 300 }).await;
    visitor.claim(world, sale).await;
    visitor
}

async fn line(world: &World, sale: &str) -> Value {
    world.ask("GET", &format!("/v1/sales/{sale}/line"), &[], b"").await.json()
}

async fn ticket(world: &World, visitor: &Visitor, sale: &str) -> Value {
    visitor.get(world, &format!("/v1/sales/{sale}/ticket")).await.json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_is_told_that_everything_is_held_and_how_much_may_come_back_then_that_it_is_sold() {
    let world = World::with(&[ONE], Settings::default()).await;
    let buyer = entered(&world, "one").await;
    let mut next = Visitor::new(&world).await;
    next.join(&world, "one").await;
    let hold = buyer.hold(&world, "one", "k", &[("floor", 1)]).await;
    assert_eq!(hold.status, 201, "{}", hold.text());
    eventually("it is told", || async { line(&world, "one").await["items"][0]["stock"] == "held" }).await;
    eventually("how much", || async {
        line(&world, "one").await["message"] == "All units are in checkout. 1 unit may come back; places are kept."
    })
    .await;
    let told = ticket(&world, &next, "one").await;
    assert_eq!((&told["state"], &told["chance"], &told["reason"]), (&"standby".into(), &"fair".into(), &Value::Null));
    assert_eq!(buyer.confirm(&world, &text(&hold.json()["hold_id"])).await.status, 201);
    eventually("it is sold", || async { ticket(&world, &next, "one").await["state"] == "released" }).await;
    let told = ticket(&world, &next, "one").await;
    assert_eq!((&told["reason"], &told["chance"]), (&"sold_out".into(), &"none".into()));
    let sold = line(&world, "one").await;
    assert_eq!((&sold["state"], &sold["message"]), (&"sold_out".into(), &"Everything is sold.".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pass_that_has_ended_is_another_reason_than_stock() {
    let world = World::with(&[SHORT], Settings::default()).await;
    let visitor = entered(&world, "short").await;
    eventually("the pass is over", || async { ticket(&world, &visitor, "short").await["state"] == "released" }).await;
    assert_eq!(ticket(&world, &visitor, "short").await["reason"], "pass_ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_poll_comes_sooner_near_the_front_and_differs_between_two_who_ask_together() {
    let world =
        World::with(&[&ROOM.replace("pace_per_minute = 6000", "pace_per_minute = 60")], Settings::default()).await;
    let mut visitors = Vec::new();
    for _ in 0..40 {
        let mut visitor = Visitor::new(&world).await;
        visitor.join(&world, "room").await;
        visitors.push(visitor);
    }
    let mut polls = Vec::new();
    for visitor in [&visitors[5], &visitors[39]] {
        let mut told = Vec::new();
        for _ in 0..20 {
            told.push(ticket(&world, visitor, "room").await["poll_in_ms"].as_u64().unwrap());
        }
        polls.push((*told.iter().min().unwrap(), *told.iter().max().unwrap()));
    }
    let [(near_least, near_most), (far_least, far_most)] = polls[..] else { panic!() };
    assert!(near_most < far_most && near_least < far_least, "{polls:?}");
    assert!(near_least < near_most && far_least < far_most, "with jitter: {polls:?}");
    assert!((800..=1_200).contains(&near_least) && far_most <= 36_000, "{polls:?}");
}

/// Commands that Redis has run.
async fn commands(world: &World) -> u64 {
    let stats = world.redis.as_ref().unwrap().redis().raw(&[b"INFO", b"stats"]).await.unwrap();
    let stats = format!("{stats:?}");
    let (_, figure) = stats.split_once("total_commands_processed:").unwrap();
    let digits: String = figure.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

/// Commands that Redis runs by itself in a millisecond: owners and pictures.
async fn by_itself(world: &World) -> f64 {
    let (begin, before) = (Instant::now(), commands(world).await);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after = commands(world).await;
    (after - before) as f64 / begin.elapsed().as_secs_f64() / 1e3
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn polls_cost_redis_nothing_however_early_they_come() {
    const POLLS: u64 = 8_000;
    let world = World::with(&[ROOM], Settings::default()).await;
    let mut visitor = Visitor::new(&world).await;
    visitor.join(&world, "room").await;
    let rate = by_itself(&world).await;
    let mut client = Client::to(world.public).await;
    let headers = [("holdfast-visitor", visitor.token.as_str()), ("holdfast-ticket", visitor.ticket.as_str())];
    let (begin, before) = (Instant::now(), commands(&world).await);
    for _ in 0..POLLS / 2 {
        assert_eq!(client.get("/v1/sales/room/line", &[]).await.status, 200);
        assert_eq!(client.get("/v1/sales/room/ticket", &headers).await.status, 200);
    }
    let (ran, ms) = (commands(&world).await - before, begin.elapsed().as_secs_f64() * 1e3);
    let expected = 1.5 * rate * ms + 200.0;
    println!("{POLLS} polls in {ms:.0} ms, {ran} commands of Redis meanwhile; by itself it runs {rate:.2} per ms");
    assert!(expected < POLLS as f64, "too slow a machine to tell: {expected:.0} commands are run anyway");
    assert!((ran as f64) < expected, "{ran} commands for {POLLS} polls, {expected:.0} would be run without them");
}
