//! A failure of ours costs nobody a pass or a hold: the time in which a lane had no owner is added to what lived then.

use std::time::Duration;

use crate::http::Client;
use crate::rig::{PATIENCE, Rig, Visitor};
use crate::wait::within;

/// Holds and passes that would not outlive the failure.
const SHORT: &str = r#"id = "queue"
admission = { pace_per_minute = 60000, active_passes = 100, pass_ttl = "6s", claim_grace = "60s" }
hold = { ttl = "5s", paying_ttl = "5s" }

[[items]]
id = "seat"
units = 1
"#;

#[test]
fn what_lived_while_a_lane_had_no_owner_ends_later_and_can_be_booked() {
    let mut rig = Rig::start(1);
    rig.sell("ingress-0", SHORT);
    let base = rig.public("ingress-0");
    let mut http = Client::default();
    let visitor = Visitor::new(&mut http, &base);
    let ticket = visitor.insist(&mut http, &base, "POST", "/v1/sales/queue/tickets", &[], "", &[201]).text("ticket");
    let ticket = [("holdfast-ticket", ticket.as_str())];
    let passes = "/v1/sales/queue/passes";
    let pass = visitor.insist(&mut http, &base, "POST", passes, &ticket, "", &[201, 200]).text("pass");
    let with = [("holdfast-pass", pass.as_str()), ("idempotency-key", "k")];
    let seat = r#"{"lines":[{"item":"seat","quantity":1}]}"#;
    let hold = visitor.insist(&mut http, &base, "POST", "/v1/sales/queue/holds", &with, seat, &[201]).text("hold_id");
    let hold = format!("/v1/holds/{hold}");
    rig.kill("booker-0");
    // Longer than hold and pass live.
    within(Duration::from_secs(7), || false);
    rig.begin("booker-0");

    let look = |http: &mut Client| visitor.insist(http, &base, "GET", &hold, &[], "", &[200]);
    let extended = || look(&mut Client::default()).body["expires_in_ms"].as_u64().is_some_and(|ms| ms > 0);
    assert!(within(PATIENCE, extended), "{}", look(&mut http).body);
    let document = || Client::default().call(&base, "GET", "/v1/sales/queue/line", &[], None).unwrap().body;
    let told = || document()["faults"].as_array().is_some_and(|faults| faults.len() == 1);
    assert!(within(PATIENCE, told), "{}", document());
    let again = visitor.insist(&mut http, &base, "POST", passes, &ticket, "", &[200]);
    assert!(again.body["expires_in_ms"].as_u64().unwrap() > 0 && again.text("pass") == pass, "{}", again.body);
    let all = [ticket[0], with[0]];
    let told = visitor.insist(&mut http, &base, "GET", "/v1/sales/queue/ticket", &all, "", &[200]);
    assert_eq!(told.body["state"], "inside", "{}", told.body);
    visitor.insist(&mut http, &base, "POST", &format!("{hold}/confirm"), &with, "{}", &[201]);
    let faults: Vec<_> = rig.events("line/queue").into_iter().filter(|entry| !entry["fault"].is_null()).collect();
    assert_eq!(faults.len(), 1, "{faults:?}");
    let (code, out) = rig.cli("booker-0", &["audit", "queue"]);
    assert!(code == 0 && !out.contains("left out"), "{out}");
}
