//! The operator's hand where every role is a process of its own: an act at any of them counts at all of them at once, and what it
//! began goes on when processes die.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::QUEUE;
use crate::http::Client;
use crate::rig::{PATIENCE, Rig, Visitor};
use crate::wait::within;

/// A step is 100 ms, and the wait looks every 10 ms; the rest is the machine's.
const AT_ONCE: Duration = Duration::from_millis(350);
const SEAT: &str = r#"{"lines":[{"item":"seat","quantity":1}]}"#;

fn act(rig: &Rig, process: &str, words: &[&str]) {
    let (code, out) = rig.cli(process, &[&["sale"], words].concat());
    assert!(code == 0, "{words:?} at {process}: {out}");
}

/// Waits until every ingress shows the line in this state; how long that took.
fn shown(rig: &Rig, state: &str) -> Duration {
    let begin = Instant::now();
    for name in ["ingress-0", "ingress-1"] {
        let base = rig.public(name);
        let line = || Client::default().call(&base, "GET", "/v1/sales/queue/line", &[], None);
        assert!(
            within(PATIENCE, || line().is_ok_and(|line| line.body["state"] == state)),
            "{name} never shows {state}"
        );
    }
    begin.elapsed()
}

fn sale(rig: &Rig, process: &str) -> Value {
    let (_, out) = rig.cli(process, &["sale", "show", "queue"]);
    serde_json::from_str(&out).unwrap_or_default()
}

#[test]
fn an_act_at_any_process_counts_at_every_other_one_within_a_step() {
    let rig = Rig::start(2);
    rig.sell("ingress-0", QUEUE);
    let mut took = Vec::new();
    for process in ["booker-0", "admission-0", "ingress-0", "ingress-1", "booker-1"] {
        act(&rig, process, &["pause", "queue", "--reason", process]);
        took.push(shown(&rig, "paused"));
        act(&rig, process, &["resume", "queue", "--ramp", "0s"]);
        took.push(shown(&rig, "open"));
    }
    took.sort();
    // A hint that is lost costs up to a second.
    assert!(took[took.len() / 2] <= AT_ONCE, "{took:?}");

    let (a, b) = (rig.public("ingress-0"), rig.public("ingress-1"));
    let mut http = Client::default();
    let passes = "/v1/sales/queue/passes";
    let visitor = Visitor::new(&mut http, &a);
    let ticket = visitor.insist(&mut http, &a, "POST", "/v1/sales/queue/tickets", &[], "", &[201]).text("ticket");
    let with_ticket = [("holdfast-ticket", ticket.as_str())];
    let pass = visitor.insist(&mut http, &b, "POST", passes, &with_ticket, "", &[200, 201]).text("pass");
    let other = Visitor::new(&mut http, &b);
    let ticket = other.insist(&mut http, &b, "POST", "/v1/sales/queue/tickets", &[], "", &[201]).text("ticket");
    let other_ticket = [("holdfast-ticket", ticket.as_str())];

    // The line's owner, in a third process, lets nobody in; each ingress takes no new hold.
    act(&rig, "booker-0", &["pause", "queue", "--reason", "We check the stage."]);
    shown(&rig, "paused");
    let mut refused = |visitor: &Visitor, base: &str, path: &str, headers: &[(&str, &str)], body: &str, name: &str| {
        let now = || {
            let answer = visitor.call(&mut http, base, "POST", path, headers, body).unwrap();
            answer.status == 409 && answer.problem() == name
        };
        assert!(within(PATIENCE, now), "{path} is not refused with {name}");
    };
    let with_pass = [("holdfast-pass", pass.as_str()), ("idempotency-key", "k")];
    for base in [&a, &b] {
        refused(&visitor, base, "/v1/sales/queue/holds", &with_pass, SEAT, "sale-paused");
        refused(&other, base, passes, &other_ticket, "", "sale-paused");
    }
    act(&rig, "ingress-1", &["resume", "queue", "--ramp", "0s"]);
    visitor.insist(&mut http, &a, "POST", "/v1/sales/queue/holds", &with_pass, SEAT, &[201]);

    // One pass is alive: with a cap of one the next has to wait, wherever the cap was set and the claim is made.
    act(&rig, "ingress-0", &["cap", "queue", "1"]);
    assert!(within(PATIENCE, || sale(&rig, "admission-0")["doc"]["admission"]["active_passes"] == 1));
    assert!(within(PATIENCE, || sale(&rig, "admission-1")["doc"]["admission"]["active_passes"] == 1));
    let full = other.call(&mut http, &b, "POST", passes, &other_ticket, "").unwrap();
    assert_eq!((full.status, full.problem()), (409, "not-your-turn"), "{}", full.body);
    act(&rig, "booker-1", &["cap", "queue", "100"]);
    other.insist(&mut http, &a, "POST", passes, &other_ticket, "", &[201]);

    act(&rig, "booker-0", &["stop-joining", "queue"]);
    for base in [&a, &b] {
        // Somebody new each time: who got a place before the act was in force keeps it.
        let mut stopped = || {
            let late = Visitor::new(&mut http, &a);
            let answer = late.call(&mut http, base, "POST", "/v1/sales/queue/tickets", &[], "").unwrap();
            answer.problem() == "joining-stopped"
        };
        assert!(within(PATIENCE, &mut stopped), "{base} still takes visitors");
    }
    let (code, out) = rig.cli("booker-0", &["audit", "queue"]);
    assert!(code == 0 && !out.contains("left out"), "{out}");
}

#[test]
fn a_withdrawal_ends_though_its_lanes_stand_still_and_the_process_that_was_asked_dies() {
    let mut rig = Rig::start(2);
    rig.sell("ingress-0", &QUEUE.replace("hold =", "lanes = 2\nhold ="));
    assert!(within(PATIENCE, || sale(&rig, "ingress-0")["live"]["items"][0]["free"] == 1_000));
    let bookers = ["booker-0", "booker-1"];
    bookers.iter().for_each(|name| rig.signal(name, "STOP"));
    let (code, out) = rig.cli("ingress-0", &["sale", "stock", "queue", "seat", "-600", "--key", "w", "--why", "rows"]);
    assert!(code == 0 && out.contains("not all lanes have answered"), "{code} {out}");
    assert_eq!(sale(&rig, "ingress-1")["withdrawals"][0]["withdrawn"], Value::Null);
    rig.kill("ingress-0");
    bookers.iter().for_each(|name| rig.signal(name, "CONT"));
    let told = || {
        let sale = sale(&rig, "ingress-1");
        sale["withdrawals"][0]["withdrawn"] == 600 && sale["doc"]["items"][0]["units"] == 400
    };
    assert!(within(PATIENCE, told), "{}", sale(&rig, "ingress-1"));
    // The audit adds up what the lanes' logs say.
    let (code, out) = rig.cli("booker-0", &["audit", "queue"]);
    assert!(code == 0 && out.contains("withdrawn 600") && !out.contains("left out"), "{out}");
}
