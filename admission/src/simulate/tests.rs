#![allow(clippy::unwrap_used, clippy::panic)]

use domain::Millis;
use domain::event::Event as _;

use super::*;
use crate::step::{Binding, Settings};

fn sale() -> Sale {
    Sale {
        units: 2_000,
        settings: Settings {
            pace_per_minute: 3_000,
            active_passes: 300,
            units_per_visitor: Some(1),
            shares: crate::step::Shares::ONE_LINE,
        },
        pass_ttl_ms: 120_000,
        claim_grace_ms: 30_000,
        hold_ttl_ms: 120_000,
        faults: Vec::new(),
        most_ms: 3_600_000,
    }
}

fn model() -> Model {
    Model {
        visitors: 8_000,
        early_permille: 500,
        wave_ms: 60_000,
        patience_ms: 1_200_000,
        no_show_permille: 150,
        react_ms: 3_000,
        think_ms: 15_000,
        want_permille: 900,
        lapse_permille: 150,
        seed: 1,
    }
}

fn outcomes(sale: &Sale, model: &Model) -> [Outcome; 3] {
    let visitors = model.visitors();
    Policy::ALL.map(|policy| run(policy, sale, &visitors).unwrap())
}

#[test]
fn the_same_seed_plays_the_same_sale_and_another_one_another() {
    let (sale, model) = (Sale { units: 200, ..sale() }, Model { visitors: 1_000, ..model() });
    assert_eq!(outcomes(&sale, &model), outcomes(&sale, &model));
    assert_ne!(outcomes(&sale, &model)[0], outcomes(&sale, &Model { seed: 2, ..model })[0]);
}

#[test]
fn the_step_sells_everything_within_the_cap_and_calls_few_to_nothing() {
    let [ours, fixed, plain] = outcomes(&sale(), &model());
    assert_eq!((ours.sold, ours.overshoot), (2_000, 0), "{ours:?}");
    assert!(fixed.overshoot > 0, "a fixed rate knows no cap");
    assert!(ours.called_to_nothing * 10 < fixed.called_to_nothing.min(plain.called_to_nothing).max(1), "{ours:?}");
    assert!(ours.called < fixed.called);
    assert!(ours.wait_by_place_ms[0] < ours.wait_by_place_ms[2], "{:?}", ours.wait_by_place_ms);
    assert!(ours.curve.len() <= 601 && ours.curve.windows(2).all(|pair| pair[0].at_ms < pair[1].at_ms));
}

#[test]
fn nobody_is_called_while_no_store_answers_and_the_sale_goes_on_afterwards() {
    let faults = vec![(10_000, 25_000)];
    let ours = run(Policy::Holdfast, &Sale { faults, ..sale() }, &model().visitors()).unwrap();
    let during: Vec<_> = ours.curve.iter().filter(|second| (10_000..25_000).contains(&second.at_ms)).collect();
    assert!(
        during.len() >= 3 && during.iter().all(|second| second.binding == Binding::Unknown || second.waiting == 0),
        "{during:?}"
    );
    assert_eq!(ours.sold, 2_000);
}

#[test]
fn people_who_give_up_or_do_not_come_are_no_shows_and_the_line_goes_on() {
    // Half do not come and many more give up: the last few units go slowly, one turn after the other.
    let model = Model { no_show_permille: 500, patience_ms: 600_000, visitors: 20_000, ..model() };
    let ours = run(Policy::Holdfast, &sale(), &model.visitors()).unwrap();
    assert!(ours.no_shows > ours.called / 2, "{} of {}", ours.no_shows, ours.called);
    assert!(ours.sold >= 1_980 && ours.overshoot == 0, "{} sold", ours.sold);
}

#[test]
fn a_chart_has_a_curve_per_policy_and_panel() {
    let svg = chart(&outcomes(&Sale { units: 100, ..sale() }, &Model { visitors: 500, ..model() }));
    assert_eq!(svg.matches("<polyline").count(), 9);
    assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n") && !svg.contains("NaN"));
    assert_eq!(chart(&[]).matches("<polyline").count(), 0);
}

/// A feed of a small sale: three called, two came.
fn record() -> Vec<String> {
    let doc = domain::SaleDoc::from_toml(
        "id = \"demo\"\nadmission = { pace_per_minute = 60, active_passes = 2 }\n[[items]]\nid = \"seat\"\nunits = 5\n",
    )
    .unwrap();
    let at = |ms: u64| Millis(1_000_000 + ms);
    let entry = |at, frontier, granted: &[u64], ended: &[u64]| {
        let event = domain::LineEvent {
            at,
            numbers_to: 10_000,
            frontier,
            granted: granted.to_vec(),
            ended: ended.to_vec(),
            pass_ttl_ms: Some(300_000),
            ..domain::LineEvent::default()
        };
        event.encode().unwrap()
    };
    let actor = domain::Actor { by: "operator".into(), why: String::new() };
    let act = domain::Act::Define { stock: doc.initial_stock(), doc: Box::new(doc) };
    let define = domain::SaleEvent { at: at(0), actor, act }.encode().unwrap();
    vec![
        format!("{{\"log\":\"sale/demo\",\"seq\":1,\"event\":{define}}}"),
        format!("{{\"log\":\"line/demo\",\"seq\":1,\"event\":{}}}", entry(at(0), 2, &[], &[])),
        format!("{{\"log\":\"line/demo\",\"seq\":2,\"event\":{}}}", entry(at(2_000), 3, &[1, 2], &[])),
        format!("{{\"log\":\"line/demo\",\"seq\":3,\"event\":{}}}", entry(at(9_000), 3, &[], &[1])),
        "{\"next\":\"1-3\"}".to_owned(),
    ]
}

#[test]
fn a_recorded_sale_becomes_its_visitors_and_plays_again() {
    let record = record();
    let recorded = Recorded::read(record.iter().map(String::as_str)).unwrap();
    assert_eq!((recorded.visitors.len(), recorded.passes, recorded.sale.units), (3, 2, 5));
    let [first, second, third] = recorded.visitors[..] else { panic!() };
    assert_eq!((first.react_ms, first.look_ms, first.no_show), (2_000, 7_000, false));
    assert_eq!(second.look_ms, recorded.sale.pass_ttl_ms, "a pass that nobody ended lives its time");
    assert!(third.no_show);
    let again = run(Policy::Holdfast, &recorded.sale, &recorded.visitors).unwrap();
    assert_eq!((again.called, again.no_shows, again.overshoot), (3, 1, 0));
}

#[test]
fn a_record_that_cannot_be_played_says_why_and_where() {
    let record = record();
    let read = |lines: &[&str]| Recorded::read(lines.iter().copied()).unwrap_err();
    assert_eq!(read(&[]), BadRecord::NoSale);
    assert_eq!(read(&[&record[1]]), BadRecord::NoSale);
    assert_eq!(read(&[&record[0]]), BadRecord::Nobody);
    assert!(matches!(read(&[&record[0], "{"]), BadRecord::Line { line: 2, .. }));
    assert!(matches!(read(&["{\"log\":\"line/demo\"}"]), BadRecord::Line { line: 1, .. }));
    let cut = record[1].replace("\"numbers_to\":10000,", "");
    assert!(matches!(read(&[&record[0], &cut]), BadRecord::Line { line: 2, .. }));
}
