//! Whole runs against a small server that keeps the contract, or breaks it in one planted way.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fake;

use std::time::Duration;

use fake::{Fake, Faults};
use loadtest::{
    Action, Args, Chance, DONE, FAILED, FOUND, Journey, Load, MISSED, Merge, Open, Scenario, Shape, Transaction, merge,
    run_to,
};
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
    assert_eq!(found(&with_admin(&fake, Journey::Line)), ["called-over-pace", "over-pace", "too-many"]);
}

#[test]
fn refusals_without_reason_and_a_failing_audit_are_found() {
    for (faults, name) in [
        (Faults { blame_every: 50, ..Faults::default() }, "unjustified"),
        (Faults { deny_every: 50, ..Faults::default() }, "sold-out-but-free"),
        (Faults { audit_fails: true, ..Faults::default() }, "audit"),
    ] {
        let fake = Fake::start(1_000, false, faults);
        assert_eq!(found(&with_admin(&fake, Journey::Book)), [name]);
    }
}

/// A run of this load with what the other tests have.
fn of_load(fake: &Fake, load: Load) -> Args {
    Args { load: Some(load), ..args(fake, Journey::Book) }
}

fn steps(actions: &[Action]) -> Scenario {
    actions.iter().fold(Scenario::named("test"), |scenario, action| scenario.then(Transaction::new(*action)))
}

#[test]
fn abuse_that_is_served_is_found() {
    let room = [Action::Join, Action::Wait, Action::Enter, Action::ForgePass, Action::Hold, Action::ReuseKey];
    let fake = Fake::start(1_000, true, Faults::default());
    let forger = steps(&[Action::Join, Action::ForgeVisitor]);
    for (scenario, count) in [(forger, 4), (steps(&room), 4)] {
        let few = Args { count: Some(count), ..of_load(&fake, Load::closed(scenario, 2)) };
        assert_eq!(found(&few), ["served"]);
    }
}

#[test]
fn two_confirms_at_once_are_one_booking() {
    let fake = Fake::start(1_000, false, Faults::default());
    let twice = Load::closed(steps(&[Action::Hold, Action::ConfirmTwice]), 4);
    assert_eq!(found(&of_load(&fake, twice)), Vec::<String>::new());
    assert_eq!(fake.booked(), 200);
    let fake = Fake::start(1_000, false, Faults { change_mind: true, ..Faults::default() });
    let twice = Load::closed(steps(&[Action::Hold, Action::ConfirmTwice]), 4);
    assert!(found(&of_load(&fake, twice)).contains(&"twins-differ".to_owned()));
}

#[test]
fn visitors_choose_by_weight_walk_away_and_lose_answers_and_everything_is_counted() {
    let fake = Fake::start(10_000, false, Faults::default());
    let buyer = steps(&[Action::Hold])
        .weighing(3)
        .then(Transaction::new(Action::Confirm).by(0.5).thinking(Duration::from_millis(1), Duration::from_millis(5)));
    let mut load = Load::closed(buyer, 8);
    load.scenarios.push(Scenario::named("watcher").then(Transaction::new(Action::Poll).times(2)));
    load.lose_answers = Chance(0.1);
    let mut out = Vec::new();
    let code = run_to(&Args { count: Some(400), seed: Some(7), ..of_load(&fake, load) }, &mut out);
    let report: Value = serde_json::from_slice(&out).unwrap();
    let count = |pointer: &str| report.pointer(pointer).and_then(Value::as_u64).unwrap();
    assert_eq!(code, DONE, "{report}");
    assert!((110..190).contains(&fake.booked()), "half of three quarters of 400: {}", fake.booked());
    assert_eq!(count("/journeys/walked_away") + fake.booked() + count("/calls/line/accepted") / 2, 400, "{report}");
    assert!(count("/lost_by_reason/on purpose") > 20 && count("/calls/hold/lost") == 0, "{report}");
    assert!(count("/calls/certainty/accepted") > 2, "{report}");
    let columns = report.pointer("/series/columns").unwrap().as_array().unwrap();
    let sum = |of: &str| columns.iter().map(|column| column[of].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("arrivals"), sum("bookings")), (400, fake.booked()), "{report}");
}

#[test]
fn visitors_of_both_models_travel_in_one_run() {
    let fake = Fake::start(10_000, false, Faults::default());
    let mut load = Load::closed(steps(&[Action::Poll]), 2);
    load.open = Some(Open { shape: Shape::times(&"0\n".repeat(150)).unwrap(), most: 100 });
    load.scenarios[0].model = Some(loadtest::Model::Closed);
    let buyer = Scenario { model: Some(loadtest::Model::Open), ..steps(&[Action::Hold, Action::Confirm]) };
    load.scenarios.push(buyer);
    let both = Args { count: None, duration: Duration::from_secs(1), threads: 2, ..of_load(&fake, load) };
    let mut out = Vec::new();
    assert_eq!(run_to(&both, &mut out), DONE);
    let report: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(fake.booked(), 150, "{report}");
    assert!(report["calls"]["line"]["accepted"].as_u64().unwrap() > 100, "{report}");
}

#[test]
fn parts_of_a_run_are_merged_into_one_that_is_judged_together() {
    let folder = std::env::temp_dir().join(format!("load-parts-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    // Two processes that are told the same numbers: neither can see it, both together can.
    let file = |n: u32| folder.join(format!("{n}.json"));
    let mut bookings = 0;
    for part in 1..=2 {
        let fake = Fake::start(1_000, true, Faults::default());
        let raw = Some(file(part));
        let run = Args { part: Some((part, 2)), raw, count: Some(50), ..args(&fake, Journey::Line) };
        assert_eq!(found(&run), Vec::<String>::new());
        bookings += fake.booked();
    }
    let mut out = Vec::new();
    let html = folder.join("report.html");
    let asked = Merge { files: vec![file(1), file(2)], json: true, html: Some(html.clone()), ..Merge::default() };
    let code = merge(&asked, &mut out);
    let report: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!((code, &report["found"]["number-twice"]), (FOUND, &Value::from(50)), "{report}");
    assert_eq!((&report["units"]["confirmed"], bookings), (&Value::from(100), 100));
    assert_eq!(report["calls"]["confirm"]["accepted"], 100);
    assert!(std::fs::read_to_string(&html).unwrap().contains("Something was found"));
    std::fs::write(file(3), "{}").unwrap();
    assert_eq!(merge(&Merge { files: vec![file(1), file(3)], ..Merge::default() }, &mut Vec::new()), loadtest::USAGE);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_page_shows_what_the_server_said_along_with_the_run() {
    let folder = std::env::temp_dir().join(format!("load-page-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let fake = Fake::start(1_000, true, Faults::default());
    let html = folder.join("report.html");
    let run = Args { html: Some(html.clone()), metrics: Some(fake.url.clone()), ..args(&fake, Journey::Line) };
    let mut out = Vec::new();
    assert_eq!(run_to(&run, &mut out), DONE);
    let report: Value = serde_json::from_slice(&out).unwrap();
    assert!(report.pointer("/server/metrics/holdfast_line_frontier_number/0/1").is_some(), "{report}");
    assert!(std::fs::read_to_string(html).unwrap().contains("What the server says"));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_scenario_of_the_other_kind_of_sale_is_told() {
    let fake = Fake::start(1_000, false, Faults::default());
    let room = Load::closed(steps(&[Action::Join]), 2);
    assert_eq!(run(&of_load(&fake, room)), FAILED);
    let fake = Fake::start(1_000, true, Faults::default());
    assert_eq!(run(&of_load(&fake, Load::closed(steps(&[Action::Hold]), 2))), FAILED);
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
