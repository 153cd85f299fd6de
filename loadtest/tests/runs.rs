//! Whole runs against a small server that keeps the contract, or breaks it in one planted way.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fake;

use std::time::Duration;

use fake::{Fake, Faults};
use loadtest::{Args, DONE, FAILED, FOUND, Journey, MISSED, run_to};
use serde_json::Value;

fn args(fake: &Fake, journey: Journey) -> Args {
    Args {
        target: fake.url.clone(),
        journey,
        visitors: 8,
        per_visitor: 4,
        duration: Duration::from_secs(20),
        count: Some(200),
        call_timeout: Duration::from_secs(2),
        confirm_within: Duration::from_secs(2),
        json: true,
        ..Args::default()
    }
}

fn run(args: &Args) -> u8 {
    run_to(args, &mut Vec::new())
}

/// What the oracle found, by name; the exit code says the same.
fn found(args: &Args) -> Vec<String> {
    let mut out = Vec::new();
    let code = run_to(args, &mut out);
    let report: Value = serde_json::from_slice(&out).unwrap();
    let names: Vec<String> = report["found"].as_object().unwrap().keys().cloned().collect();
    assert_eq!((code, code == FOUND), (report["exit_code"].as_u64().unwrap() as u8, !names.is_empty()), "{report}");
    names
}

fn book(units: u64, faults: Faults) -> (u8, u64) {
    let fake = Fake::start(units, false, faults);
    let code = run(&args(&fake, Journey::Book));
    (code, fake.booked())
}

#[test]
fn a_server_that_keeps_the_contract_passes() {
    assert_eq!(book(1_000, Faults::default()), (DONE, 200));
}

#[test]
fn a_sale_of_fifty_sells_fifty_and_the_rest_is_told_so() {
    assert_eq!(book(50, Faults::default()), (DONE, 50));
}

#[test]
fn chunks_and_closed_connections_make_no_difference() {
    assert_eq!(book(1_000, Faults { chunked: true, close_every: 7, ..Faults::default() }), (DONE, 200));
}

#[test]
fn a_confirm_that_takes_longer_is_repeated_until_it_is_decided() {
    assert_eq!(book(1_000, Faults { pending: true, ..Faults::default() }), (DONE, 200));
}

#[test]
fn lost_answers_and_busy_servers_end_in_one_booking_per_key() {
    let fake = Fake::start(1_000, false, Faults { lose_answer_every: 5, busy_every: 7, ..Faults::default() });
    assert_eq!(run(&args(&fake, Journey::Book)), DONE);
    assert_eq!((fake.booked(), fake.keys()), (200, 200));
}

#[test]
fn every_journey_passes() {
    for (journey, room) in [
        (Journey::Line, true),
        (Journey::Join, true),
        (Journey::Poll, true),
        (Journey::Poll, false),
        (Journey::Hold, false),
    ] {
        let fake = Fake::start(1_000, room, Faults::default());
        assert_eq!(run(&args(&fake, journey)), DONE, "{journey:?}");
        assert_eq!(fake.booked(), if journey == Journey::Line { 200 } else { 0 });
    }
}

#[test]
fn visitors_of_a_sale_that_is_over_stop_and_the_report_says_so() {
    for faults in [Faults { closed: true, ..Faults::default() }, Faults { sold_out: true, ..Faults::default() }] {
        let fake = Fake::start(1_000, true, faults);
        let mut out = Vec::new();
        let begin = std::time::Instant::now();
        let code = run_to(&Args { count: None, ..args(&fake, Journey::Line) }, &mut out);
        let report: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!((code, &report["journeys"]["turned_away"]), (FAILED, &Value::from(8)), "{report}");
        assert_eq!(report["journeys"]["begun"], 8, "one each, not as many as the server can refuse: {report}");
        assert!(begin.elapsed() < Duration::from_secs(15), "the run ends when everybody has stopped");
    }
}

/// A short run of four visitors in a line.
fn short(fake: &Fake, finish_within: Duration) -> Args {
    let duration = Duration::from_millis(300);
    Args { visitors: 4, count: None, duration, finish_within, ..args(fake, Journey::Line) }
}

#[test]
fn a_journey_that_the_end_cuts_off_is_the_last_of_its_visitor() {
    let fake = Fake::start(1_000, true, Faults { call_after_ms: 60_000, poll_in_ms: 10_000, ..Faults::default() });
    let mut out = Vec::new();
    let code = run_to(&short(&fake, Duration::ZERO), &mut out);
    let report: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!((fake.tickets(), fake.booked(), code), (4, 0, FAILED), "{report}");
    assert_eq!(report["journeys"]["cut_off"], 4, "{report}");
}

#[test]
fn journeys_under_way_at_the_end_may_still_arrive() {
    let fake = Fake::start(1_000, true, Faults { call_after_ms: 500, ..Faults::default() });
    let mut out = Vec::new();
    let code = run_to(&short(&fake, Duration::from_secs(20)), &mut out);
    let report: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!((fake.tickets(), fake.booked(), code), (4, 4, DONE), "{report}");
    assert_eq!(report["calls"]["whole"]["accepted"], 4, "{report}");
}

#[test]
fn a_run_without_one_journey_completed_fails() {
    assert_eq!(book(0, Faults::default()), (FAILED, 0));
    let fake = Fake::start(0, false, Faults::default());
    assert_eq!(run(&args(&fake, Journey::Hold)), FAILED);
}

#[test]
fn random_arrivals_on_several_threads_pass() {
    let fake = Fake::start(1_000, false, Faults::default());
    let open =
        Args { rate: Some(2_000.0), threads: 2, connections: Some(4), seed: Some(1), ..args(&fake, Journey::Book) };
    assert_eq!(run(&open), DONE);
    assert_eq!(fake.booked(), 200);
}

#[test]
fn every_planted_fault_is_found() {
    let plants = [
        (50, Faults { oversell: true, ..Faults::default() }, vec!["oversold"]),
        (1_000, Faults { forget_every: 2, ..Faults::default() }, vec!["lost"]),
        (1_000, Faults { change_mind: true, ..Faults::default() }, vec!["changed"]),
        (
            1_000,
            Faults { one_booking_for_all: true, ..Faults::default() },
            vec!["lost", "one-booking-twice", "one-event-twice"],
        ),
    ];
    for (units, faults, names) in plants {
        let fake = Fake::start(units, false, faults);
        assert_eq!(found(&args(&fake, Journey::Book)), names);
    }
}

#[test]
fn a_confirm_that_is_never_decided_is_found() {
    let fake = Fake::start(1_000, false, Faults { never_decide: true, ..Faults::default() });
    let short = Duration::from_millis(50);
    let few = Args { count: Some(2), visitors: 2, ..args(&fake, Journey::Book) };
    assert_eq!(found(&Args { confirm_within: short, recheck_within: short * 4, ..few }), ["undecided"]);
}

#[test]
fn a_confirm_that_is_decided_late_is_no_finding() {
    let fake = Fake::start(1_000, false, Faults { pending: true, ..Faults::default() });
    let impatient = Args { confirm_within: Duration::from_nanos(1), ..args(&fake, Journey::Book) };
    assert_eq!(found(&impatient), Vec::<String>::new());
    assert_eq!(fake.booked(), 200);
}

#[test]
fn every_planted_fault_of_the_line_is_found() {
    let plants = [
        (Faults { one_number_for_all: true, ..Faults::default() }, vec!["number-twice", "pass-twice"]),
        (Faults { no_meter: true, ..Faults::default() }, vec!["too-many"]),
    ];
    for (faults, names) in plants {
        let fake = Fake::start(1_000, true, faults);
        assert_eq!(found(&args(&fake, Journey::Line)), names);
    }
}

#[test]
fn a_pass_ahead_of_the_frontier_is_found() {
    let fake = Fake::start(1_000, true, Faults { uncalled: true, ..Faults::default() });
    let one = Args { count: Some(1), visitors: 1, ..args(&fake, Journey::Line) };
    assert_eq!(found(&one), ["not-called"]);
}

fn with_admin(fake: &Fake, journey: Journey) -> Args {
    Args { admin: Some(fake.url.clone()), operator_key: Some("secret".to_owned()), ..args(fake, journey) }
}

fn not_checked(args: &Args) -> (u8, String) {
    let mut out = Vec::new();
    let code = run_to(args, &mut out);
    (code, serde_json::from_slice::<Value>(&out).unwrap()["not_checked"].to_string())
}

#[test]
fn with_the_operators_address_the_event_feed_is_checked_to_its_end() {
    for (journey, room) in [(Journey::Book, false), (Journey::Line, true)] {
        let fake = Fake::start(1_000, room, Faults::default());
        assert_eq!(not_checked(&with_admin(&fake, journey)), (DONE, "[]".to_owned()), "{journey:?}");
        let (code, left) = not_checked(&args(&fake, journey));
        assert!(code == DONE && left.contains("event feed: give --admin"), "{left}");
    }
}

#[test]
fn a_feed_that_cannot_be_read_is_said() {
    let fake = Fake::start(1_000, false, Faults { no_feed: true, ..Faults::default() });
    let (code, left) = not_checked(&with_admin(&fake, Journey::Book));
    assert!(code == DONE && left.contains("event feed: it was answered 403"), "{left}");
}

#[test]
fn what_the_feed_shows_otherwise_is_found() {
    let fake = Fake::start(1_000, false, Faults { log_not_every: 50, ..Faults::default() });
    assert_eq!(found(&with_admin(&fake, Journey::Book)), ["no-event"]);
    let fake = Fake::start(1_000, true, Faults { no_meter: true, ..Faults::default() });
    assert_eq!(found(&with_admin(&fake, Journey::Line)), ["over-pace", "too-many"]);
}

#[test]
fn the_report_for_people_says_what_counts() {
    let fake = Fake::start(50, false, Faults::default());
    let mut out = Vec::new();
    let code = run_to(&Args { json: false, min_bookings_per_s: Some(1e9), ..args(&fake, Journey::Book) }, &mut out);
    let text = String::from_utf8(out).unwrap();
    for part in [
        "confirmed bookings/s",
        "sold-out 150",
        "50 of 50 units confirmed",
        "nothing found",
        "MISSED",
        "CPU per thread",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    assert_eq!(code, MISSED);
}

#[test]
fn a_missed_threshold_has_its_own_exit_code() {
    let fake = Fake::start(1_000, false, Faults::default());
    let slow = Args { min_bookings_per_s: Some(1e9), ..args(&fake, Journey::Book) };
    assert_eq!(run(&slow), MISSED);
    let met = Args { min_bookings_per_s: Some(1.0), max_p99_confirm_ms: Some(10_000.0), ..slow };
    assert_eq!(run(&met), DONE);
}

#[test]
fn a_run_that_cannot_begin_fails() {
    let fake = Fake::start(1_000, false, Faults::default());
    let good = args(&fake, Journey::Book);
    let url = fake.url.clone();
    assert_eq!(run(&Args { sale: "other".to_owned(), ..good.clone() }), FAILED);
    assert_eq!(run(&Args { item: Some("other".to_owned()), ..good.clone() }), FAILED);
    assert_eq!(run(&Args { journey: Journey::Line, ..good.clone() }), FAILED);
    drop(fake);
    assert_eq!(run(&Args { target: url, ..good }), FAILED);
}
