//! A sale of two lanes is sold out through both ingresses while owners are killed.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::http::{Client, Lost};
use crate::rig::{PATIENCE, Rig, Visitor};
use crate::wait::within;

const UNITS: usize = 300;
const VISITORS: usize = 6;

/// Buys seats, each as a new visitor, until the sale says that it is sold out. What was answered 201.
fn buy(bases: &[String; 2], sold: &AtomicUsize, number: usize) -> BTreeSet<String> {
    let (mut booked, mut http) = (BTreeSet::new(), Client::default());
    let end = std::time::Instant::now() + 2 * PATIENCE;
    for n in number.. {
        assert!(std::time::Instant::now() < end, "visitor {number} is never told that the sale is sold out");
        let (a, b) = (&bases[n % 2], &bases[(n + 1) % 2]);
        let visitor = Visitor::new(&mut http, a);
        let key = [("idempotency-key", "k")];
        let hold = loop {
            let lines = r#"{"lines":[{"item":"seat","quantity":1}]}"#;
            match visitor.call(&mut http, a, "POST", "/v1/sales/queue/holds", &key, lines) {
                Ok(held) if held.status == 201 || held.status == 200 => break held.text("hold_id"),
                Ok(refused) if refused.problem() == "sold-out" => return booked,
                // Held by somebody, or on its way between lanes; or an owner is being followed.
                Ok(later) if later.problem() == "all-held" || later.status == 503 => {}
                Ok(other) => panic!("{} {}", other.status, other.body),
                Err(Lost) => {}
            }
            assert!(std::time::Instant::now() < end, "visitor {number} gets no hold");
            std::thread::park_timeout(std::time::Duration::from_millis(5));
        };
        let confirm = format!("/v1/holds/{hold}/confirm");
        let done = visitor.insist(&mut http, b, "POST", &confirm, &key, "{}", &[201, 200]);
        booked.insert(done.text("booking_id"));
        sold.fetch_add(1, Relaxed);
    }
    booked
}

#[test]
fn a_sale_of_two_lanes_is_sold_out_exactly_through_both_ingresses_though_owners_are_killed() {
    let mut rig = Rig::start(2);
    rig.begin("reconciler-0");
    let sale = format!(
        "id = \"queue\"\nadmission = \"none\"\nlanes = 2\nhold = {{ ttl = \"5m\", paying_ttl = \"5m\" }}\n\
         [[items]]\nid = \"seat\"\nunits = {UNITS}\n"
    );
    rig.apply("ingress-0", &sale);
    let (code, out) = rig.cli("ingress-0", &["sale", "open", "queue"]);
    assert!(code == 0, "{out}");
    let of_both = |rig: &Rig| {
        let owner = |lane| rig.owner("booker", &format!("queue:{lane}"), "lease");
        Some((owner(0)?, owner(1)?))
    };
    assert!(within(PATIENCE, || of_both(&rig).is_some_and(|(one, other)| one != other)), "each booker owns a lane");
    let bases = [rig.public("ingress-0"), rig.public("ingress-1")];
    let sold = AtomicUsize::new(0);
    let seen: Vec<_> = std::thread::scope(|scope| {
        let visitors: Vec<_> = (0..VISITORS)
            .map(|n| {
                scope.spawn({
                    let (bases, sold) = (&bases, &sold);
                    move || buy(bases, sold, n)
                })
            })
            .collect();
        for (lane, after) in [(0, UNITS / 4), (1, UNITS / 2)] {
            assert!(within(PATIENCE, || sold.load(Relaxed) >= after), "{} sold", sold.load(Relaxed));
            let owner = || rig.owner("booker", &format!("queue:{lane}"), "lease");
            assert!(within(PATIENCE, || owner().is_some()));
            let owner = owner().unwrap();
            rig.kill(&owner);
            rig.begin(&owner);
        }
        visitors.into_iter().map(|visitor| visitor.join().unwrap()).collect()
    });
    let booked: BTreeSet<String> = seen.into_iter().flatten().collect();
    let logged: BTreeSet<String> = [0, 1]
        .into_iter()
        .flat_map(|lane| rig.events(&format!("lane/queue/{lane}")))
        .filter(|entry| entry["t"] == "booked")
        .filter_map(|entry| entry["id"].as_str().map(str::to_owned))
        .collect();
    assert_eq!((booked.len(), logged.len()), (UNITS, UNITS));
    assert_eq!(booked, logged, "what visitors were told is what the ledger has");
    let (code, out) = rig.cli("booker-0", &["audit", "queue"]);
    assert!(code == 0 && !out.contains("left out"), "{out}");
    let differences = || rig.metric("reconciler-0", "holdfast_reconciler_difference");
    let none = || !differences().is_empty() && differences().values().all(|found| *found == 0.0);
    assert!(within(PATIENCE, none), "the reconciler finds {:?}", differences());
}
