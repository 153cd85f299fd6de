//! Keys change while visitors go on.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use crate::http::Client;
use crate::rig::{PATIENCE, Rig, Visitor};
use crate::wait::within;

/// Joins at one ingress and comes back with the ticket at the other one, again and again. Nothing else than success is allowed.
fn visit(bases: &[String; 2], stop: &AtomicBool, visits: &AtomicUsize) {
    let mut http = Client::default();
    while !stop.load(Relaxed) {
        let visitor = Visitor::new(&mut http, &bases[0]);
        let joined = visitor.call(&mut http, &bases[1], "POST", "/v1/sales/queue/tickets", &[], "").unwrap();
        assert_eq!(joined.status, 201, "{}", joined.body);
        let ticket = joined.text("ticket");
        let ticket = [("holdfast-ticket", ticket.as_str())];
        let place = visitor.call(&mut http, &bases[0], "GET", "/v1/sales/queue/ticket", &ticket, "").unwrap();
        assert_eq!((place.status, &place.body["number"]), (200, &joined.body["number"]), "{}", place.body);
        visits.fetch_add(1, Relaxed);
    }
}

#[test]
fn keys_change_under_all_processes_while_visitors_go_on_and_nobody_is_turned_away() {
    let rig = Rig::start(2);
    rig.sell("ingress-0", crate::QUEUE);
    let bases = [rig.public("ingress-0"), rig.public("ingress-1")];
    let mut http = Client::default();
    let early = Visitor::new(&mut http, &bases[0]);
    let joined = early.insist(&mut http, &bases[0], "POST", "/v1/sales/queue/tickets", &[], "", &[201]);
    let ticket = joined.text("ticket");
    let ticket = [("holdfast-ticket", ticket.as_str())];
    let (stop, visits) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let visitors: Vec<_> = (0..2).map(|_| scope.spawn(|| visit(&bases, &stop, &visits))).collect();
        let some_more = || {
            let before = visits.load(Relaxed);
            within(PATIENCE, || visits.load(Relaxed) > before + 4 || visitors.iter().any(|one| one.is_finished()))
        };
        assert!(some_more());
        for step in ["add", "use"] {
            rig.rotate(step);
            assert!(some_more());
        }
        for base in &bases {
            let place = early.call(&mut http, base, "GET", "/v1/sales/queue/ticket", &ticket, "").unwrap();
            assert_eq!(place.body["number"], joined.body["number"], "what the old key signed still counts");
        }
        stop.store(true, Relaxed);
        visitors.into_iter().for_each(|visitor| visitor.join().unwrap());
        // Those who came meanwhile may still have tokens of the old key: only now nobody goes on.
        rig.rotate("drop");
    });
    for base in &bases {
        let place = early.call(&mut http, base, "GET", "/v1/sales/queue/ticket", &ticket, "").unwrap();
        assert_eq!(place.status, 401, "{}", place.body);
    }
    let fresh = Visitor::new(&mut http, &bases[0]);
    fresh.insist(&mut http, &bases[1], "POST", "/v1/sales/queue/tickets", &[], "", &[201]);
}
