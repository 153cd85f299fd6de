//! An owner that stops answering in the middle of a call: what became of it is open, is said so, and ends as one booking.

use crate::http::Client;
use crate::rig::{PATIENCE, Rig, Visitor};
use crate::wait::within;

const OPEN: &str = r#"id = "queue"
admission = "none"
hold = { ttl = "5m", paying_ttl = "5m" }

[[items]]
id = "seat"
units = 100
"#;

#[test]
fn a_call_to_an_owner_that_is_paused_ends_unknown_and_is_decided_once_by_whoever_follows() {
    let rig = Rig::start(2);
    rig.apply("ingress-0", OPEN);
    let (code, out) = rig.cli("ingress-0", &["sale", "open", "queue"]);
    assert!(code == 0, "{out}");
    let (a, b) = (rig.public("ingress-0"), rig.public("ingress-1"));
    let mut http = Client::default();
    let holds = "/v1/sales/queue/holds";
    let seat = r#"{"lines":[{"item":"seat","quantity":1}]}"#;
    let visitor = Visitor::new(&mut http, &a);
    let key = [("idempotency-key", "first")];
    let hold = visitor.insist(&mut http, &a, "POST", holds, &key, seat, &[201]).text("hold_id");
    // Every ingress has spoken with the owner, so that the calls below go out on connections that are open.
    visitor.insist(&mut http, &b, "GET", &format!("/v1/holds/{hold}"), &[], "", &[200]);

    let paused = rig.owner("booker", "queue:0", "lease").unwrap();
    rig.signal(&paused, "STOP");
    let confirm = format!("/v1/holds/{hold}/confirm");
    let (confirmed, held) = std::thread::scope(|scope| {
        let at_b = scope.spawn(|| {
            let other = Visitor::new(&mut Client::default(), &b);
            other.call(&mut Client::default(), &b, "POST", holds, &key, seat).unwrap()
        });
        let confirmed = visitor.call(&mut http, &a, "POST", &confirm, &key, "{}").unwrap();
        (confirmed, at_b.join().unwrap())
    });
    assert_eq!((confirmed.status, &confirmed.body["state"]), (202, &"confirming".into()), "{}", confirmed.body);
    assert_eq!((held.status, &held.body["outcome"]), (503, &"unknown".into()), "{}", held.body);
    assert_eq!(held.body["retry_safe"], true);

    let booked = visitor.insist(&mut http, &b, "POST", &confirm, &key, "{}", &[201]);
    let follower = rig.owner("booker", "queue:0", "lease").unwrap();
    assert_ne!(follower, paused);
    rig.signal(&paused, "CONT");
    // It finds that the log is another's, and whatever it still had in hand changes nothing.
    assert!(within(PATIENCE, || rig.log(&paused).contains("stepping down")), "{}", rig.log(&paused));
    let again = visitor.insist(&mut http, &a, "POST", &confirm, &key, "{}", &[201, 200]);
    assert_eq!(again.body["seq"], booked.body["seq"]);
    let of_hold = |entry: &&serde_json::Value| entry["id"] == hold.as_str();
    let events = rig.events("lane/queue/0");
    assert_eq!(events.iter().filter(of_hold).count(), 1, "one id, one outcome: {events:?}");
    let (code, out) = rig.cli("booker-0", &["audit", "queue"]);
    assert!(code == 0 && !out.contains("left out"), "{out}");
}
