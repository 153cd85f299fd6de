//! Roles as processes: any ingress serves any visitor, and an owner that is killed is followed within two seconds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code)]

mod credit;
mod crowd;
mod hand;
mod hostile;
#[path = "../support/http.rs"]
mod http;
mod paused;
mod rig;
mod rotation;
mod sold_out;
mod takeover;
#[path = "../support/wait.rs"]
mod wait;

use std::time::Duration;

use http::Client;
use rig::{Rig, Visitor};
use wait::within;

pub(crate) const QUEUE: &str = r#"id = "queue"
admission = { pace_per_minute = 60000, active_passes = 100, pass_ttl = "5m", claim_grace = "60s" }
hold = { ttl = "5m", paying_ttl = "5m" }

[[items]]
id = "seat"
units = 1000
"#;

/// A journey in which each request goes to another ingress: join at A, claim at B, hold at A, confirm at B, bookings at A.
fn journey(rig: &Rig, http: &mut Client, key: &str) {
    let (a, b) = (rig.public("ingress-0"), rig.public("ingress-1"));
    let visitor = Visitor::new(http, &a);
    let joined = visitor.insist(http, &a, "POST", "/v1/sales/queue/tickets", &[], "", &[201]);
    let ticket = joined.text("ticket");
    let with_ticket = [("holdfast-ticket", ticket.as_str())];
    let again = visitor.insist(http, &b, "POST", "/v1/sales/queue/tickets", &with_ticket, "", &[200]);
    assert_eq!(again.body["number"], joined.body["number"], "one visitor is the same visitor everywhere");
    let pass = visitor.insist(http, &b, "POST", "/v1/sales/queue/passes", &with_ticket, "", &[201, 200]).text("pass");
    let with_key = [("holdfast-pass", pass.as_str()), ("idempotency-key", key)];
    let lines = r#"{"lines":[{"item":"seat","quantity":1}]}"#;
    let hold = visitor.insist(http, &a, "POST", "/v1/sales/queue/holds", &with_key, lines, &[201]).text("hold_id");
    let confirm = format!("/v1/holds/{hold}/confirm");
    let booked = visitor.insist(http, &b, "POST", &confirm, &with_key, "{}", &[201]);
    let mine = visitor.insist(http, &a, "GET", "/v1/bookings", &[], "", &[200]);
    assert_eq!(mine.body["bookings"][0]["booking_id"], booked.body["booking_id"], "{}", mine.body);
    let twin = visitor.insist(http, &a, "POST", &confirm, &with_key, "{}", &[200, 201]);
    assert_eq!(twin.body["seq"], booked.body["seq"], "a repeat elsewhere is the same booking");
}

#[test]
fn a_visitor_may_arrive_at_any_ingress_with_every_request() {
    let rig = Rig::start(2);
    rig.sell("ingress-1", QUEUE);
    let mut http = Client::default();
    for n in 0..20 {
        journey(&rig, &mut http, &format!("key-{n}"));
    }
    // Booked passes end at the line's owner, though another process booked them: the cap of passes is never in the way of more.
    assert!(within(Duration::from_secs(10), || rig.active_passes("queue") == 0), "{}", rig.active_passes("queue"));
    let (code, out) = rig.cli("booker-0", &["audit", "queue"]);
    assert!(code == 0 && !out.contains("left out"), "{out}");
}

#[test]
fn operators_act_at_any_process_and_acts_at_once_are_put_in_order() {
    let rig = Rig::start(1);
    rig.sell("booker-0", QUEUE);
    for (n, process) in ["ingress-0", "admission-0", "booker-0"].into_iter().cycle().take(6).enumerate() {
        rig.apply(process, &QUEUE.replace("units = 1000", &format!("units = {}", 1001 + n)));
    }
    std::thread::scope(|scope| {
        for process in ["ingress-0", "admission-0", "booker-0"] {
            let rig = &rig;
            scope.spawn(move || rig.cli(process, &["sale", "close", "queue"]));
        }
    });
    let (_, out) = rig.cli("ingress-0", &["log", "read", "sale/queue"]);
    assert_eq!(out.matches("\"close\"").count(), 1, "a close is recorded once: {out}");
    let open = |process: &str| rig.cli(process, &["sale", "show", "queue"]).1.contains("closed");
    for process in ["ingress-0", "admission-0", "booker-0"] {
        assert!(within(Duration::from_secs(5), || open(process)), "{process} does not see the close");
    }
}

#[test]
fn lanes_are_spread_over_the_bookers_and_come_back_when_one_goes() {
    let mut rig = Rig::start(1);
    rig.sell("ingress-0", &QUEUE.replace("hold =", "lanes = 4\nhold ="));
    let owners =
        |rig: &Rig| (0..4).filter_map(|lane| rig.holder(&format!("queue:{lane}"), "lease")).collect::<Vec<_>>();
    let of = |owners: &[String], pid: u32| owners.iter().filter(|owner| owner.starts_with(&format!("{pid}@"))).count();
    assert!(within(Duration::from_secs(10), || of(&owners(&rig), rig.pid("booker-0")) == 4));
    rig.begin("booker-1");
    let shared = || {
        let owners = owners(&rig);
        (of(&owners, rig.pid("booker-0")), of(&owners, rig.pid("booker-1"))) == (2, 2)
    };
    assert!(within(Duration::from_secs(20), shared), "{:?}", owners(&rig));
    let mut http = Client::default();
    let visitor = Visitor::new(&mut http, &rig.public("ingress-0"));
    visitor.insist(&mut http, &rig.public("ingress-0"), "GET", "/v1/bookings", &[], "", &[200]);
    rig.stop("booker-0");
    let last = rig.pid("booker-1");
    assert!(within(Duration::from_secs(10), || of(&owners(&rig), last) == 4), "{:?}", owners(&rig));
}

#[test]
fn a_process_with_another_key_gets_nothing_done_and_says_why() {
    let mut rig = Rig::start(1);
    rig.sell("ingress-0", QUEUE);
    let other = rig.keys("other.toml");
    rig.begin_with("ingress-1", &[("HOLDFAST_KEYS", other.to_str().unwrap())]);
    let mut http = Client::default();
    let stranger = Visitor::new(&mut http, &rig.public("ingress-1"));
    let answer =
        stranger.call(&mut http, &rig.public("ingress-1"), "POST", "/v1/sales/queue/tickets", &[], "").unwrap();
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(rig.log("ingress-1").contains("refuses this process' key"));
}
