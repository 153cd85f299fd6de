//! The commands beside a running program, and without one.

use std::path::Path;
use std::process::Stdio;

use domain::event::Event as _;
use serde_json::Value;

use crate::http::Client;
use crate::process::{Dev, beside, holdfast, refused, run};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn sale(folder: &Path, text: &str) -> String {
    let file = folder.join("sale.toml");
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

const SMALL: &str = "id = \"small\"\nadmission = \"none\"\n[[items]]\nid = \"seat\"\nunits = 3\n";

fn good((code, out, err): (i32, String, String)) -> String {
    assert_eq!(code, 0, "{out}{err}");
    out
}

#[test]
fn a_sale_is_applied_listed_shown_opened_grown_and_closed() {
    let folder = folder();
    let data = folder.path().join("d");
    let dev = Dev::start(&data, &["--no-demo"]);
    let file = sale(folder.path(), SMALL);
    assert_eq!(good(beside(&data, &["sale", "apply", &file])), "sale small: created\n");
    assert_eq!(good(beside(&data, &["sale", "apply", &file])), "sale small: applied\n");
    assert!(good(beside(&data, &["sale", "list"])).contains("small\tscheduled"));
    assert_eq!(good(beside(&data, &["sale", "open", "small", "--why", "doors"])), "sale small: opened\n");
    assert!(good(beside(&data, &["sale", "list", "--json"])).contains("\"state\":\"open\""));

    let file = sale(folder.path(), &SMALL.replace("units = 3", "units = 5"));
    good(beside(&data, &["sale", "apply", &file]));
    let shown: Value = serde_json::from_str(&good(beside(&data, &["sale", "show", "small"]))).unwrap();
    assert!(shown.to_string().contains("\"seat\""), "{shown}");
    let file = sale(folder.path(), &SMALL.replace("units = 3", "units = 4"));
    refused_below(beside(&data, &["sale", "apply", &file]), &["sale small", "units"]);

    assert_eq!(good(beside(&data, &["sale", "close", "small"])), "sale small: closed\n");
    refused(beside(&data, &["sale", "open", "small"]), 1, &["sale small", "closed"]);
    refused(beside(&data, &["sale", "show", "none"]), 1, &["sale none"]);
    let acts = good(beside(&data, &["log", "read", "sale/small", "--json"]));
    assert!(acts.contains("\"why\":\"doors\"") && acts.contains("\"by\":\"operator\""), "{acts}");
    dev.end();
}

const ROOM: &str =
    "id = \"room\"\nadmission = { pace_per_minute = 60, active_passes = 9 }\n[[items]]\nid = \"seat\"\nunits = 30\n";

#[test]
fn the_operators_hand_reaches_a_sale_and_the_audit_knows_what_was_withdrawn() {
    let folder = folder();
    let data = folder.path().join("d");
    let dev = Dev::start(&data, &["--no-demo"]);
    let file = sale(folder.path(), ROOM);
    let told = |args: &[&str]| good(beside(&data, &[&["sale"][..], args].concat()));
    told(&["apply", &file]);
    told(&["open", "room"]);
    assert_eq!(told(&["pause", "room", "--reason", "We check the stage."]), "sale room: paused\n");
    assert!(told(&["list"]).contains("room\tpaused"));
    assert_eq!(told(&["resume", "room", "--ramp", "5s"]), "sale room: goes on\n");
    assert_eq!(told(&["pace", "room", "600"]), "sale room: at most 600 passes a minute\n");
    assert_eq!(told(&["cap", "room", "50"]), "sale room: at most 50 passes at once\n");
    assert_eq!(told(&["stop-joining", "room"]), "sale room: nobody new may join\n");
    assert_eq!(told(&["stop-joining", "room", "--undo"]), "sale room: joining goes on\n");
    assert_eq!(told(&["let-through", "room", "--why", "rain"]), "sale room: everybody is called\n");
    told(&["stock", "room", "seat", "5", "--key", "a"]);
    told(&["stock", "room", "seat", "5", "--key", "a"]);
    told(&["stock", "room", "seat", "-10", "--key", "b"]);
    // By what is shown as free, or by what the document has where that is not shown yet.
    refused(
        beside(&data, &["sale", "stock", "room", "seat", "-26"]),
        1,
        &["sale room", "Fewer units are free", " 25 "],
    );
    let shown: Value = serde_json::from_str(&told(&["show", "room"])).unwrap();
    assert_eq!((&shown["doc"]["items"][0]["units"], &shown["withdrawals"][0]["withdrawn"]), (&25.into(), &10.into()));
    let report = good(beside(&data, &["audit", "room"]));
    assert!(report.contains("withdrawn 10") && report.contains("left 25"), "{report}");
    dev.end();
    // After another start it is as it was.
    let dev = Dev::start(&data, &["--no-demo"]);
    let shown: Value = serde_json::from_str(&told(&["show", "room"])).unwrap();
    assert_eq!((&shown["let_through"], &shown["doc"]["admission"]["active_passes"]), (&true.into(), &50.into()));
    dev.end();
    let acts = good(beside(&data, &["log", "read", "sale/room", "--json"]));
    assert!(acts.contains("We check the stage.") && acts.contains("\"why\":\"rain\""), "{acts}");
}

/// Like `refused`, with the mistakes on lines below.
fn refused_below((code, out, err): (i32, String, String), wanted: &[&str]) {
    assert_eq!((code, out.as_str()), (1, ""), "{err}");
    for wanted in wanted {
        assert!(err.contains(wanted), "{err}\nshould say {wanted:?}");
    }
}

#[test]
fn every_mistake_of_a_sale_document_is_told_without_a_program_running() {
    let folder = folder();
    let file = sale(
        folder.path(),
        "id = \"X Y\"\nadmission = \"none\"\nlanes = 0\n[[items]]\nid = \"a\"\nunits = -3\nprise = 1\n",
    );
    let failed = beside(&folder.path().join("d"), &["sale", "apply", &file]);
    refused_below(failed, &["id = \"X Y\"", "lanes = 0", "items[0].units = -3", "did you mean \"price\""]);
}

#[test]
fn without_a_program_the_operators_commands_say_how_to_start_one() {
    let folder = folder();
    let data = folder.path().join("d");
    Dev::start(&data, &["--no-demo"]).end();
    let mut command = holdfast();
    // A port where nobody listens: it was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    command.args(["sale", "list", "--admin-listen", &free, "--data"]).arg(&data);
    refused(run(&mut command), 1, &["operators' listener", &free, "holdfast dev"]);
}

#[test]
fn a_wrong_key_is_refused_with_where_the_right_one_comes_from() {
    let folder = folder();
    let data = folder.path().join("d");
    let dev = Dev::start(&data, &["--no-demo"]);
    let mut command = holdfast();
    command.args(["sale", "list", "--data"]).arg(&data).env("HOLDFAST_OPERATOR_KEY", "wrong");
    refused(run(&mut command), 1, &["HOLDFAST_OPERATOR_KEY"]);
    dev.end();
}

#[test]
fn the_audit_proves_a_sale_while_the_program_runs_and_after_it_has_stopped() {
    let folder = folder();
    let data = folder.path().join("d");
    let file = sale(folder.path(), SMALL);
    let dev = Dev::start(&data, &["--no-demo", "--sale", &file]);
    let mut client = Client::default();
    let visitor = dev.public(&mut client, "POST", "/v1/visitors", &[], None).text("visitor");
    for key in ["a", "b"] {
        let headers = [("holdfast-visitor", visitor.as_str()), ("idempotency-key", key)];
        let held = dev.public(
            &mut client,
            "POST",
            "/v1/sales/small/holds",
            &headers,
            Some(r#"{"lines":[{"item":"seat","quantity":1}]}"#),
        );
        assert_eq!(held.status, 201, "{}", held.body);
        if key == "a" {
            let path = format!("/v1/holds/{}/confirm", held.text("hold_id"));
            assert_eq!(dev.public(&mut client, "POST", &path, &headers, Some("{}")).status, 201);
        }
    }
    let text = good(beside(&data, &["audit", "small"]));
    for wanted in [
        "I1 holds",
        "I2 holds",
        "I3 holds",
        "I4 holds",
        "I5 holds",
        "seat (allocated 3, given 3, left 2, sold 1)",
        "free 1, lanes 1, live 1",
    ] {
        assert!(text.contains(wanted), "{text}\nshould say {wanted}");
    }
    assert!(!text.contains("left out"), "{text}");
    let report = audit_over_http(&dev, &mut client);
    assert_eq!((&report["passed"], &report["left_out"]), (&Value::Bool(true), &serde_json::json!([])));
    dev.end();

    let text = good(beside(&data, &["audit", "small"]));
    assert!(text.contains("left out: lane 0: Redis was not reachable") && text.contains("sold 1"), "{text}");
    refused(beside(&data, &["audit", "other"]), 1, &["sale other", "holdfast log list"]);
}

fn audit_over_http(dev: &Dev, client: &mut Client) -> Value {
    let authorization = format!("Bearer {}", dev.says("operator_key"));
    let headers = [("authorization", authorization.as_str())];
    client.call(dev.says("admin"), "GET", "/admin/v1/sales/small/audit", &headers, None).unwrap().body
}

#[test]
fn an_audit_that_finds_something_ends_with_3() {
    let folder = folder();
    let data = folder.path().join("d");
    let file = sale(folder.path(), SMALL);
    Dev::start(&data, &["--no-demo", "--sale", &file]).end();
    // Somebody writes into the ledger by hand: 4 of 3 seats.
    let sale = "small".parse().unwrap();
    let lines: domain::Lines = [("seat".parse().unwrap(), 4)].into_iter().collect();
    let visitor = domain::VisitorHash([1; 16]);
    let event = domain::LaneEvent::Booked {
        id: domain::HoldId::derive(&sale, 0, &visitor, "forged"),
        visitor,
        fp: domain::Fingerprint::of(&lines),
        lines,
        pass: None,
        at: domain::Millis(1),
    };
    append(&data, &domain::LogId::lane(&sale, 0), event.encode().unwrap());
    let (code, out, err) = beside(&data, &["audit", "small"]);
    assert_eq!(code, 3, "{out}{err}");
    assert!(out.contains("I1 FAILS") && out.contains("4 of 3 units of seat are sold"), "{out}");
}

fn append(data: &Path, log: &domain::LogId, event: String) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let ledger = ledger::Ledger::sqlite(&data.join("ledger.db")).unwrap();
        let writer = ledger.claim(log, "forger").await.unwrap();
        let appended = ledger.append(&writer, &[event]).await.unwrap();
        assert!(matches!(appended, ledger::Append::Appended(_)));
    });
}

#[test]
fn the_ledger_is_readable_beside_the_program() {
    let folder = folder();
    let data = folder.path().join("d");
    let dev = Dev::start(&data, &[]);
    let list = good(beside(&data, &["log", "list"]));
    for log in ["lane/demo/0", "lane/express/0", "line/demo", "sale/demo", "sale/express"] {
        assert!(list.lines().any(|line| line.starts_with(&format!("{log}\t"))), "{list}");
    }
    assert_eq!(good(beside(&data, &["log", "list", "sale/"])).lines().count(), 2);
    let all = good(beside(&data, &["log", "read", "sale/demo", "--json"]));
    let seqs: Vec<Value> =
        all.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["seq"].clone()).collect();
    assert_eq!(seqs, [1, 2]);
    assert_eq!(good(beside(&data, &["log", "read", "sale/demo", "--from", "2"])).lines().count(), 1);
    refused(beside(&data, &["log", "read", "lane/demo/9"]), 1, &["lane/demo/9", "holdfast log list"]);
    refused(beside(&data, &["log", "read", "nonsense"]), 2, &["nonsense", "sale/SALE"]);
    dev.end();
    refused(beside(&folder.path().join("none"), &["log", "list"]), 1, &["ledger", "--data"]);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child =
        holdfast().args(["completion", "bash"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success() && out.stderr.is_empty(), "{out:?}");
}

#[test]
fn settings_are_shown_with_their_origin_and_checked() {
    let out = good(run(holdfast()
        .args(["config", "show", "--origin", "--data", "here"])
        .env("HOLDFAST_LOG_LEVEL", "warn")
        .env("HOLDFAST_OPERATOR_KEY", "secret-key")));
    for wanted in [
        "data = \"here\"  # --data",
        "log.level = \"warn\"  # HOLDFAST_LOG_LEVEL",
        "listen = \"127.0.0.1:8080\"  # default",
    ] {
        assert!(out.lines().any(|line| line == wanted), "{out}\nshould say {wanted}");
    }
    assert!(!out.contains("secret-key"), "{out}");
    let json = good(run(holdfast().args(["config", "show", "--json"])));
    assert!(json.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{json}");

    assert_eq!(good(run(holdfast().arg("check-config"))), "configuration: good\n");
    let (code, out, err) =
        run(holdfast().args(["check-config", "--json"]).env("HOLDFAST_MODE", "prod").env("HOLDFAST_HTTP_IDLE", "soon"));
    assert_eq!(code, 3);
    let found: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((found["good"].as_bool(), found["mistakes"].as_array().unwrap().len()), (Some(false), 2), "{out}");
    assert_eq!(err.lines().count(), 2, "{err}");
}

#[test]
fn keys_are_created_once() {
    let folder = folder();
    let file = folder.path().join("k.toml");
    let create = || run(holdfast().args(["keys", "create"]).arg(&file));
    assert_eq!(good(create()).trim(), file.display().to_string());
    refused(create(), 1, &["exists already"]);
}

#[test]
fn version_and_completion_are_told() {
    assert_eq!(good(run(holdfast().arg("version"))), format!("holdfast {}\n", env!("CARGO_PKG_VERSION")));
    let json: Value = serde_json::from_str(&good(run(holdfast().args(["version", "--json"])))).unwrap();
    assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
    for shell in ["bash", "zsh", "fish"] {
        assert!(good(run(holdfast().args(["completion", shell]))).contains("holdfast"));
    }
}

#[test]
fn arguments_that_make_no_run_are_wrong_usage() {
    for words in [&["--duration", "0s"][..], &["--visitors", "0"], &["--finish-within", "2d"], &["--target", "ftp://x"]]
    {
        let (code, out, err) = run(holdfast().args(["load", "book"]).args(words));
        assert_eq!((code, out.as_str()), (2, ""), "{words:?}: {err}");
        assert!(err.starts_with("load: ") || err.starts_with("error: "), "{words:?}: {err}");
    }
}

#[test]
fn the_load_harness_books_against_a_running_program_and_finds_nothing_wrong() {
    let folder = folder();
    let data = folder.path().join("d");
    let dev = Dev::start(&data, &[]);
    // It finds the program by the data directory.
    let flags = ["load", "book", "--count", "50", "--visitors", "8", "--duration", "20s", "--json"];
    let out = good(beside(&data, &flags));
    assert!(serde_json::from_str::<Value>(&out).is_ok(), "{out}");
    good(beside(&data, &["audit", "express"]));
    dev.end();
}

#[test]
fn the_waiting_page_for_a_cdn_is_written_without_a_server() {
    let folder = folder();
    let dir = folder.path().join("cdn/waiting");
    let out = good(run(holdfast().args(["page", "export"]).arg(&dir)));
    let file = dir.join("index.html");
    assert_eq!(out, format!("{}\n", file.display()));
    let page = std::fs::read_to_string(&file).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("lang=\"ko\""), "{page}");
    std::fs::write(folder.path().join("taken"), "").unwrap();
    let refusal = run(holdfast().args(["page", "export"]).arg(folder.path().join("taken")));
    refused(refusal, 1, &["waiting page", "taken"]);
}
