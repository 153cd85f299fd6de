//! A line that must survive: places, order, and one pass per ticket.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::http::{Answer, Client};
use crate::rig::Rig;
use crate::wait::within;

const WAITING: usize = 120;
const SALE: &str = r#"id = "queue"
admission = { pace_per_minute = 1800, active_passes = 40, pass_ttl = "2s", claim_grace = "2s" }
hold = { ttl = "2s", paying_ttl = "2s" }

[[items]]
id = "seat"
units = 10000
"#;

struct Waiting {
    visitor: String,
    ticket: String,
    number: u64,
}

fn call(rig: &Rig, http: &mut Client, method: &str, path: &str, who: &[(&str, &str)]) -> Option<Answer> {
    http.call(&rig.banner("public"), method, path, who, None).ok()
}

/// Repeats until the status is one of `certain`.
pub(crate) fn insist(
    rig: &Rig,
    http: &mut Client,
    method: &str,
    path: &str,
    who: &[(&str, &str)],
    certain: &[u16],
) -> Answer {
    let end = Instant::now() + Duration::from_secs(30);
    let mut last = None;
    while Instant::now() < end {
        match call(rig, http, method, path, who) {
            Some(answer) if certain.contains(&answer.status) => return answer,
            other => last = other,
        }
        std::thread::park_timeout(Duration::from_millis(30));
    }
    let last = last.map(|answer| format!("{} {}", answer.status, answer.body));
    panic!("{method} {path} was never answered with {certain:?}, last {last:?}");
}

fn join(rig: &Rig, http: &mut Client) -> Waiting {
    let visitor = insist(rig, http, "POST", "/v1/visitors", &[], &[201]).text("visitor");
    let who = [("holdfast-visitor", visitor.as_str())];
    let answer = insist(rig, http, "POST", "/v1/sales/queue/tickets", &who, &[201, 200]);
    let number = answer.body["number"].as_u64().expect("a number");
    Waiting { ticket: answer.text("ticket"), visitor, number }
}

/// Joins, does the harm, joins again, and lets everybody through: numbers stay, are nobody else's, and go in order.
pub(crate) fn survives(rig: &mut Rig, harm: impl FnOnce(&mut Rig)) {
    rig.sell(SALE);
    let mut http = Client::default();
    let early: Vec<Waiting> = (0..WAITING).map(|_| join(rig, &mut http)).collect();
    assert!(early.windows(2).all(|pair| pair[0].number < pair[1].number), "numbers follow the order of arrival");
    let frontier_before = frontier(rig, &mut http);
    harm(rig);
    let late: Vec<Waiting> = (0..20).map(|_| join(rig, &mut http)).collect();
    for waiting in &early {
        let who = [("holdfast-visitor", waiting.visitor.as_str()), ("holdfast-ticket", waiting.ticket.as_str())];
        let again = insist(rig, &mut http, "POST", "/v1/sales/queue/tickets", &who, &[200, 201]);
        assert_eq!(again.body["number"], waiting.number, "the ticket restores the place");
    }
    assert!(frontier(rig, &mut http) >= frontier_before, "I6: the frontier went back");
    let last = early.iter().map(|waiting| waiting.number).max().unwrap();
    assert!(late.iter().all(|waiting| waiting.number > last), "who came later got a number before others");
    let mut all: Vec<Waiting> = early.into_iter().chain(late).collect();
    all.sort_by_key(|waiting| waiting.number);
    assert!(all.windows(2).all(|pair| pair[0].number != pair[1].number), "I6: two tickets share a number");
    everybody_enters(rig, &mut http, &all);
    the_log_kept_the_rules(rig);
}

fn frontier(rig: &Rig, http: &mut Client) -> u64 {
    let line = insist(rig, http, "GET", "/v1/sales/queue/line", &[], &[200]);
    line.body["frontier"].as_u64().expect("a frontier")
}

fn everybody_enters(rig: &Rig, http: &mut Client, all: &[Waiting]) {
    for waiting in all {
        let who = [("holdfast-visitor", waiting.visitor.as_str()), ("holdfast-ticket", waiting.ticket.as_str())];
        let pass = insist(rig, http, "POST", "/v1/sales/queue/passes", &who, &[201, 200]);
        assert!(!pass.text("pass").is_empty());
    }
}

/// I6 and I7 from the line's own log: order, one pass per number, every window within the pace, the cap never exceeded.
fn the_log_kept_the_rules(rig: &Rig) {
    let (pace, cap, ttl) = (1_800, 40, 2_000);
    let events = rig.log("line/queue");
    let (mut frontier, mut at) = (0, 0);
    let mut granted: BTreeMap<u64, u64> = BTreeMap::new();
    let mut alive: BTreeMap<u64, u64> = BTreeMap::new();
    let mut times: Vec<u64> = vec![];
    for event in &events {
        let now = event["at"].as_u64().unwrap();
        assert!(event["frontier"].as_u64().unwrap() >= frontier, "I6: the frontier went back at {event}");
        assert!(now >= at, "time went back at {event}");
        (frontier, at) = (event["frontier"].as_u64().unwrap(), now);
        alive.retain(|_, since| *since + ttl > now);
        for ended in event["ended"].as_array().into_iter().flatten() {
            alive.remove(&ended.as_u64().unwrap());
        }
        for number in event["granted"].as_array().into_iter().flatten().map(|n| n.as_u64().unwrap()) {
            assert!(number <= frontier, "I6: {number} entered before it was called");
            assert!(granted.insert(number, now).is_none(), "{number} got a second pass");
            alive.insert(number, now);
            times.push(now);
        }
        assert!(alive.len() <= cap, "I7: {} passes alive, cap {cap}", alive.len());
    }
    for (i, begin) in times.iter().enumerate() {
        let within_ms = |ms| times[i..].iter().take_while(|t| **t < begin + ms).count();
        assert!(within_ms(1_000) <= 1_800_usize.div_ceil(60), "I7: too many passes in the second from {begin}");
        assert!(within_ms(60_000) <= pace, "I7: too many passes in the minute from {begin}");
    }
    assert!(within(Duration::ZERO, || granted.len() >= WAITING), "{} passes", granted.len());
}
