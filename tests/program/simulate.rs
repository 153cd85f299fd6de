//! `holdfast load simulate` and `load replay`: figures, a picture, and what is wrong with a record.

use domain::event::Event as _;
use serde_json::Value;

use crate::process::{holdfast, refused, run};

const SMALL: [&str; 10] =
    ["load", "simulate", "--units", "200", "--visitors", "2000", "--pace", "600", "--active-passes", "50"];

#[test]
fn a_small_sale_is_played_and_told_as_table_json_and_picture() {
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("sale.svg");
    let (code, out, err) = run(holdfast().args(SMALL).arg("--svg").arg(&picture));
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.lines().next().unwrap().split_whitespace().eq(["holdfast", "fixed_rate", "plain_cap"]), "{out}");
    assert!(out.contains("came to an empty shelf") && out.contains("wait of tenth 10, s"), "{out}");
    assert!(std::fs::read_to_string(&picture).unwrap().contains("<polyline"));
    let (code, out, _) = run(holdfast().args(SMALL).arg("--json"));
    let told: Value = serde_json::from_str(&out).unwrap();
    let ours = &told["outcomes"][0];
    assert_eq!((code, &ours["sold"], &ours["overshoot"]), (0, &200.into(), &0.into()));
    assert_eq!(run(holdfast().args(SMALL).arg("--json")).1, out, "the same seed, the same sale");
}

#[test]
fn a_record_is_played_under_other_settings_and_a_damaged_one_named_by_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("feed.ndjson");
    let doc =
        "id = \"demo\"\nadmission = { pace_per_minute = 60, active_passes = 2 }\n[[items]]\nid = \"seat\"\nunits = 5\n";
    let doc = domain::SaleDoc::from_toml(doc).unwrap();
    let actor = domain::Actor { by: "me".into(), why: String::new() };
    let act = domain::Act::Define { stock: doc.initial_stock(), doc: Box::new(doc) };
    let define = domain::SaleEvent { at: domain::Millis(1_000), actor, act }.encode().unwrap();
    let called = r#"{"v":1,"t":"line","at":2000,"numbers_to":9,"frontier":3,"pass_ttl_ms":300000}"#;
    let granted = r#"{"v":1,"t":"line","at":3000,"numbers_to":9,"frontier":3,"granted":[1,2]}"#;
    let lines = [
        format!(r#"{{"log":"sale/demo","seq":1,"event":{define}}}"#),
        format!(r#"{{"log":"line/demo","seq":1,"event":{called}}}"#),
        format!(r#"{{"log":"line/demo","seq":2,"event":{granted}}}"#),
        r#"{"next":"1-2"}"#.to_owned(),
    ];
    std::fs::write(&file, lines.join("\n")).unwrap();
    let replay = |flags: &[&str]| run(holdfast().args(["load", "replay"]).arg(&file).args(flags));
    let (code, out, err) = replay(&["--pass-ttl", "10s", "--json"]);
    assert_eq!(code, 0, "{err}");
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&told["outcomes"][0]["called"], &told["outcomes"][0]["no_shows"]), (&3.into(), &1.into()));
    std::fs::write(&file, format!("{}\nnonsense\n", lines[0])).unwrap();
    refused(replay(&[]), 1, &["feed.ndjson", "line 2"]);
    std::fs::write(&file, &lines[1]).unwrap();
    refused(replay(&[]), 1, &["definition is missing"]);
    std::fs::remove_file(&file).unwrap();
    refused(replay(&[]), 1, &["feed.ndjson", "No such file"]);
}

#[test]
fn wrong_flags_are_told_with_what_is_right() {
    let (code, _, err) = run(holdfast().args(["load", "simulate", "--fault", "9s-3s"]));
    assert!(code == 2 && err.contains("must end after it begins"), "{err}");
    let (code, _, err) = run(holdfast().args(["load", "simulate", "--think", "soon"]));
    assert!(code == 2 && err.contains("must be a duration"), "{err}");
}
