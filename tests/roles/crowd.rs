//! Thousands wait while the line's owner, an ingress and Redis are killed: nobody loses the place, nobody enters before an earlier
//! number, no window has more passes than it may, and the line goes on within two seconds where only a process died.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::http::Client;
use crate::rig::{PATIENCE, Rig, Visitor};
use crate::wait::within;

/// Who waits in every run of the tests, unless `HOLDFAST_CROWD` says otherwise, and in the measurement.
const CROWD: usize = 1_200;
const MEASURED: usize = 50_000;
/// Clients that join and that enter at once.
const CLIENTS: usize = 6;
/// What a killed process may cost those who are to enter.
const STALL: Duration = Duration::from_secs(2);
const PACE: usize = 6_000;

const LINE: &str = r#"id = "queue"
admission = { pace_per_minute = 6000, active_passes = 200, pass_ttl = "5m", claim_grace = "60s" }

[[items]]
id = "seat"
units = 100000
"#;

const TICKETS: &str = "/v1/sales/queue/tickets";

struct Waiting {
    visitor: Visitor,
    ticket: String,
    number: u64,
}

fn joined(bases: &[String; 2], count: usize) -> Vec<Waiting> {
    let next = AtomicUsize::new(0);
    let join = || {
        let (mut http, mut mine) = (Client::default(), Vec::new());
        loop {
            let n = next.fetch_add(1, Relaxed);
            if n >= count {
                return mine;
            }
            let base = &bases[n % 2];
            let visitor = Visitor::new(&mut http, base);
            let place = visitor.insist(&mut http, base, "POST", TICKETS, &[], "", &[201, 200]);
            let number = place.body["number"].as_u64().unwrap();
            mine.push(Waiting { visitor, ticket: place.text("ticket"), number });
        }
    };
    let mut all: Vec<Waiting> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(join)).collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    all.sort_by_key(|waiting| waiting.number);
    assert!(all.windows(2).all(|pair| pair[0].number < pair[1].number), "I6: two visitors have one number");
    all
}

/// When each pass was answered.
type Entered = Mutex<Vec<Instant>>;

/// Enters one visitor after the other, in order of their numbers, and leaves at once: the place goes to the next.
fn enter(crowd: &[Waiting], next: &AtomicUsize, bases: &Mutex<Vec<String>>, entered: &Entered, stop: &AtomicBool) {
    let mut http = Client::default();
    while let Some(waiting) = crowd.get(next.fetch_add(1, Relaxed)) {
        let ticket = [("holdfast-ticket", waiting.ticket.as_str())];
        for turn in 0.. {
            if stop.load(Relaxed) {
                return;
            }
            let base = {
                let bases = bases.lock().unwrap();
                bases[turn % bases.len()].clone()
            };
            let claim = waiting.visitor.call(&mut http, &base, "POST", "/v1/sales/queue/passes", &ticket, "");
            let Ok(answer) = claim else { continue };
            assert!(matches!(answer.status, 200 | 201 | 409 | 503), "{} {}", answer.status, answer.body);
            if answer.status < 300 {
                entered.lock().unwrap().push(Instant::now());
                let pass = answer.text("pass");
                // What gets lost here costs a place until its pass expires; there are more.
                let pass = [("holdfast-pass", pass.as_str())];
                let _ = waiting.visitor.call(&mut http, &base, "DELETE", "/v1/sales/queue/pass", &pass, "");
                break;
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
}

/// Does something to the rig while others enter, and gives the longest time in which nobody did, from then until thirty more have.
fn stalled(entered: &Entered, fault: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    fault();
    let count = || entered.lock().unwrap().iter().filter(|at| **at > begin).count();
    let before = count();
    assert!(within(PATIENCE, || count() >= before + 30), "nobody enters any more: {}", count());
    let entered = entered.lock().unwrap();
    let mut times: Vec<Instant> = entered.iter().copied().filter(|at| *at > begin).collect();
    times.sort_unstable();
    times.insert(0, begin);
    times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap()
}

/// I6 and I7 of the line's log, counted anew; how many passes it granted.
fn check_log(events: &[Value]) -> usize {
    let (mut frontier, mut granted, mut times) = (0, BTreeSet::new(), Vec::new());
    for entry in events {
        let now = entry["frontier"].as_u64().unwrap();
        assert!(now >= frontier, "I6: the frontier went from {frontier} back to {now}");
        frontier = now;
        for number in entry["granted"].as_array().into_iter().flatten() {
            let number = number.as_u64().unwrap();
            assert!(number <= frontier, "I6: {number} entered at frontier {frontier}");
            assert!(granted.insert(number), "{number} entered twice");
            times.push(entry["at"].as_u64().unwrap());
        }
    }
    for (window, most) in [(1_000, PACE.div_ceil(60)), (60_000, PACE)] {
        let mut first = 0;
        for (n, at) in times.iter().enumerate() {
            while at - times[first] >= window {
                first += 1;
            }
            assert!(n + 1 - first <= most, "I7: {} passes within {window} ms", n + 1 - first);
        }
    }
    times.len()
}

fn everybody_has_the_place(crowd: &[Waiting], entered: &BTreeSet<u64>, base: &str) {
    let next = AtomicUsize::new(0);
    let look = || {
        let mut http = Client::default();
        while let Some(waiting) = crowd.get(next.fetch_add(1, Relaxed)) {
            if entered.contains(&waiting.number) {
                continue;
            }
            let ticket = [("holdfast-ticket", waiting.ticket.as_str())];
            let place = waiting.visitor.insist(&mut http, base, "POST", TICKETS, &ticket, "", &[200, 201]);
            assert_eq!(place.body["number"].as_u64(), Some(waiting.number), "a place is lost: {}", place.body);
        }
    };
    std::thread::scope(|scope| (0..CLIENTS).for_each(|_| drop(scope.spawn(look))));
}

fn crowd_survives(count: usize) {
    let mut rig = Rig::start(2);
    rig.sell("ingress-0", LINE);
    let both = [rig.public("ingress-0"), rig.public("ingress-1")];
    let begin = Instant::now();
    let crowd = joined(&both, count);
    println!("{count} visitors joined in {:?}", begin.elapsed());
    let (next, stop, entered) = (AtomicUsize::new(0), AtomicBool::new(false), Entered::default());
    let bases = Mutex::new(both.to_vec());
    let stalls = std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| enter(&crowd, &next, &bases, &entered, &stop));
        }
        assert!(within(PATIENCE, || entered.lock().unwrap().len() > 30));
        let owner = rig.owner("admission", "queue", "line-lease").unwrap();
        let line = stalled(&entered, || rig.kill(&owner));
        rig.begin(&owner);
        let ingress = stalled(&entered, || {
            rig.kill("ingress-0");
            bases.lock().unwrap().remove(0);
        });
        let redis = stalled(&entered, || rig.lose_redis(Duration::from_secs(3)));
        stop.store(true, Relaxed);
        (line, ingress, redis)
    });
    let (line, ingress, redis) = stalls;
    println!(
        "nobody entered for {line:?} (owner killed), {ingress:?} (ingress killed), {redis:?} (Redis lost for 3 s)"
    );
    let events = rig.events("line/queue");
    let granted = check_log(&events);
    let inside = events.iter().flat_map(|entry| entry["granted"].as_array().into_iter().flatten());
    let inside: BTreeSet<u64> = inside.filter_map(Value::as_u64).collect();
    println!("{granted} passes, {} entries", events.len());
    assert!(inside.len() < count, "everybody entered: nobody was left to lose a place");
    everybody_has_the_place(&crowd, &inside, &rig.public("ingress-1"));
    let recorded = || rig.events("line/queue").iter().any(|entry| !entry["fault"].is_null());
    assert!(within(PATIENCE, recorded), "the time without Redis is recorded");
    check_log(&rig.events("line/queue"));
    assert!(line < STALL && ingress < STALL, "owner {line:?}, ingress {ingress:?}");
    rig.begin("ingress-0");
}

#[test]
fn nobody_of_a_crowd_loses_the_place_when_processes_and_redis_are_killed() {
    crowd_survives(std::env::var("HOLDFAST_CROWD").ok().and_then(|count| count.parse().ok()).unwrap_or(CROWD));
}

/// `cargo test --test roles -- --ignored --nocapture fifty_thousand` prints the figures.
#[test]
#[ignore = "a measurement: it takes minutes and wants the machine to itself"]
fn fifty_thousand_keep_their_places() {
    crowd_survives(MEASURED);
}
