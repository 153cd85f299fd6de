//! The owner of the lane and the owner of the line are killed, again and again, while visitors go on.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::http::Client;
use crate::rig::{Rig, Visitor, within};

const ROUNDS: usize = 10;
/// What the design promises for a take-over after kill -9: lease, claim, and the tail of the log.
const FOLLOWED_IN: Duration = Duration::from_secs(2);

const EXPRESS: &str = r#"id = "queue"
admission = { pace_per_minute = 600000, active_passes = 100000, pass_ttl = "10m", claim_grace = "60s" }
hold = { ttl = "5m", paying_ttl = "5m" }

[[items]]
id = "seat"
units = 100000
"#;

/// What one visitor who comes again and again saw.
#[derive(Default)]
struct Seen {
    booked: BTreeSet<String>,
    frontier: u64,
}

/// Books one seat after the other, each as a new visitor, at both ingresses in turn.
fn visit(bases: &[String; 2], stop: &AtomicBool) -> Seen {
    let (mut seen, mut http) = (Seen::default(), Client::default());
    for n in 0u64.. {
        if stop.load(Relaxed) {
            break;
        }
        let [a, b] = if n.is_multiple_of(2) { [&bases[0], &bases[1]] } else { [&bases[1], &bases[0]] };
        let visitor = Visitor::new(&mut http, a);
        let ticket =
            visitor.insist(&mut http, a, "POST", "/v1/sales/queue/tickets", &[], "", &[201, 200]).text("ticket");
        let ticket = [("holdfast-ticket", ticket.as_str())];
        let pass =
            visitor.insist(&mut http, b, "POST", "/v1/sales/queue/passes", &ticket, "", &[201, 200]).text("pass");
        let with = [("holdfast-pass", pass.as_str()), ("idempotency-key", "k")];
        let lines = r#"{"lines":[{"item":"seat","quantity":1}]}"#;
        let hold =
            visitor.insist(&mut http, a, "POST", "/v1/sales/queue/holds", &with, lines, &[201, 200]).text("hold_id");
        let confirm = format!("/v1/holds/{hold}/confirm");
        seen.booked.insert(visitor.insist(&mut http, b, "POST", &confirm, &with, "{}", &[201, 200]).text("booking_id"));
        let line = visitor.insist(&mut http, a, "GET", "/v1/sales/queue/line", &[], "", &[200]);
        let frontier = line.body["frontier"].as_u64().unwrap();
        // Both ingresses show what they last saw of Redis; each by itself never goes back, which its own test says.
        seen.frontier = seen.frontier.max(frontier);
    }
    seen
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
    let mut rig = Rig::start(2);
    rig.sell("ingress-0", EXPRESS);
    let bases = [rig.public("ingress-0"), rig.public("ingress-1")];
    let stop = AtomicBool::new(false);
    let mut http = Client::default();
    let prober = Visitor::new(&mut http, &bases[0]);
    let (mut lanes, mut lines) = (Vec::new(), Vec::new());
    let seen: Vec<Seen> = std::thread::scope(|scope| {
        let visitors: Vec<_> = (0..4).map(|_| scope.spawn(|| visit(&bases, &stop))).collect();
        for _ in 0..ROUNDS {
            // A lane that answers what it has decided is one that is owned and folded.
            lanes.push(follow(&mut rig, "booker", "queue:0", "lease", |_| {
                let mine = prober.call(&mut Client::default(), &bases[0], "GET", "/v1/bookings", &[], "");
                mine.is_ok_and(|mine| mine.status == 200)
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
    let booked: BTreeSet<String> = seen.into_iter().flat_map(|seen| seen.booked).collect();
    assert!(booked.len() > ROUNDS, "visitors went on meanwhile: {}", booked.len());
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
