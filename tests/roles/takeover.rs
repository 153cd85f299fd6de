//! The owner of the lane and the owner of the line are killed, again and again, while visitors go on.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::http::Client;
use crate::rig::{Rig, Visitor};
use crate::wait::within;

/// Kills of each kind in every run of the tests, and in the measurement.
const ROUNDS: usize = 2;
const MEASURED: usize = 20;
/// What the design promises for a take-over after kill -9: lease, claim, and the tail of the log.
const FOLLOWED_IN: Duration = Duration::from_secs(2);

const EXPRESS: &str = r#"id = "queue"
admission = { pace_per_minute = 600000, active_passes = 100000, pass_ttl = "10m", claim_grace = "60s" }
hold = { ttl = "5m", paying_ttl = "5m" }

[[items]]
id = "seat"
units = 100000
"#;

const HOLDS: &str = "/v1/sales/queue/holds";
const SEAT: &str = r#"{"lines":[{"item":"seat","quantity":1}]}"#;

/// A pass and a seat held with it: joined and held at one ingress, claimed at the other.
fn held(visitor: &Visitor, http: &mut Client, a: &str, b: &str) -> (String, String) {
    let tickets = "/v1/sales/queue/tickets";
    let ticket = visitor.insist(http, a, "POST", tickets, &[], "", &[201, 200]).text("ticket");
    let ticket = [("holdfast-ticket", ticket.as_str())];
    let pass = visitor.insist(http, b, "POST", "/v1/sales/queue/passes", &ticket, "", &[201, 200]).text("pass");
    let with = [("holdfast-pass", pass.as_str()), ("idempotency-key", "k")];
    let hold = visitor.insist(http, a, "POST", HOLDS, &with, SEAT, &[201, 200]).text("hold_id");
    (pass, hold)
}

/// Books one seat after the other, each as a new visitor, at both ingresses in turn. What was answered as booked.
fn visit(bases: &[String; 2], stop: &AtomicBool) -> BTreeSet<String> {
    let (mut booked, mut http) = (BTreeSet::new(), Client::default());
    for n in 0u64.. {
        if stop.load(Relaxed) {
            break;
        }
        let [a, b] = if n.is_multiple_of(2) { [&bases[0], &bases[1]] } else { [&bases[1], &bases[0]] };
        let visitor = Visitor::new(&mut http, a);
        let (pass, hold) = held(&visitor, &mut http, a, b);
        let with = [("holdfast-pass", pass.as_str()), ("idempotency-key", "k")];
        let confirm = format!("/v1/holds/{hold}/confirm");
        booked.insert(visitor.insist(&mut http, b, "POST", &confirm, &with, "{}", &[201, 200]).text("booking_id"));
    }
    booked
}

/// Kills the owner, measures until `works` again, and starts the process anew as the next standby.
fn follow(rig: &mut Rig, role: &str, tag: &str, lease: &str, works: impl Fn(&Rig) -> bool) -> Duration {
    let owner = || rig.owner(role, tag, lease);
    assert!(within(Duration::from_secs(20), || owner().is_some()), "nobody owns {tag}");
    let owner = owner().unwrap();
    rig.kill(&owner);
    let begin = Instant::now();
    assert!(within(Duration::from_secs(20), || works(rig)), "nobody follows {owner}");
    let took = begin.elapsed();
    rig.begin(&owner);
    took
}

fn told(what: &str, times: &mut [Duration]) -> Duration {
    times.sort();
    let (p50, max) = (times[times.len() / 2], times[times.len() - 1]);
    println!("take-over of a {what} after kill -9, {} times: p50 {p50:?}, max {max:?}", times.len());
    max
}

#[test]
fn a_killed_owner_is_followed_within_two_seconds_and_no_booking_is_lost() {
    kill_and_follow(ROUNDS);
}

/// `cargo test --test roles -- --ignored --nocapture take_over` prints the figures of docs/PERFORMANCE.md.
#[test]
#[ignore = "a measurement: it takes a minute and wants the machine to itself"]
fn take_over_measured() {
    kill_and_follow(MEASURED);
}

fn kill_and_follow(rounds: usize) {
    let mut rig = Rig::start(2);
    rig.sell("ingress-0", EXPRESS);
    let bases = [rig.public("ingress-0"), rig.public("ingress-1")];
    let stop = AtomicBool::new(false);
    let mut http = Client::default();
    let prober = Visitor::new(&mut http, &bases[0]);
    let (pass, _) = held(&prober, &mut http, &bases[0], &bases[1]);
    let with = [("holdfast-pass", pass.as_str()), ("idempotency-key", "k")];
    let (mut lanes, mut lines) = (Vec::new(), Vec::new());
    let seen: Vec<_> = std::thread::scope(|scope| {
        let visitors: Vec<_> = (0..4).map(|_| scope.spawn(|| visit(&bases, &stop))).collect();
        for _ in 0..rounds {
            // A lane that answers a hold is owned, folded and loaded.
            lanes.push(follow(&mut rig, "booker", "queue:0", "lease", |_| {
                let again = prober.call(&mut Client::default(), &bases[0], "POST", HOLDS, &with, SEAT);
                again.is_ok_and(|held| held.status == 200 || held.status == 201)
            }));
            lines.push(follow(&mut rig, "admission", "queue", "line-lease", |_| {
                let joined = prober.call(&mut Client::default(), &bases[1], "POST", "/v1/sales/queue/tickets", &[], "");
                joined.is_ok_and(|joined| joined.status == 200 || joined.status == 201)
            }));
        }
        stop.store(true, Relaxed);
        visitors.into_iter().map(|visitor| visitor.join().unwrap()).collect()
    });
    let (lane, line) = (told("lane", &mut lanes), told("line", &mut lines));
    let booked: BTreeSet<String> = seen.into_iter().flatten().collect();
    assert!(booked.len() > rounds, "visitors went on meanwhile: {}", booked.len());
    let logged: Vec<_> = rig.events("lane/queue/0");
    let logged: BTreeSet<String> = logged.iter().filter_map(|entry| entry["id"].as_str().map(str::to_owned)).collect();
    let lost: Vec<_> = booked.difference(&logged).collect();
    assert!(lost.is_empty(), "answered 201 and not in the log: {lost:?}");
    the_frontier_never_went_back(&rig);
    let (code, out) = rig.cli("booker-0", &["audit", "queue"]);
    assert!(code == 0 && !out.contains("left out"), "{out}");
    assert!(lane < FOLLOWED_IN && line < FOLLOWED_IN, "lane {lane:?}, line {line:?}");
}

fn the_frontier_never_went_back(rig: &Rig) {
    let mut last = 0;
    for entry in rig.events("line/queue") {
        if let Some(frontier) = entry["frontier"].as_u64() {
            assert!(frontier >= last, "I6: {frontier} follows {last}");
            last = frontier;
        }
    }
    assert!(last > 0);
}

#[test]
fn a_graceful_stop_hands_over_faster_than_a_lease_lives() {
    let mut rig = Rig::start(2);
    rig.sell("ingress-0", EXPRESS);
    let base = rig.public("ingress-0");
    let prober = Visitor::new(&mut Client::default(), &base);
    let owner = rig.owner("booker", "queue:0", "lease").unwrap();
    rig.stop(&owner);
    let begin = Instant::now();
    let works = || {
        let mine = prober.call(&mut Client::default(), &base, "GET", "/v1/bookings", &[], "");
        mine.is_ok_and(|mine| mine.status == 200)
    };
    assert!(within(Duration::from_secs(20), works));
    let took = begin.elapsed();
    println!("hand-over of a lane after SIGTERM: {took:?} after the process had ended");
    assert!(took < Duration::from_millis(900), "{took:?}");
}
