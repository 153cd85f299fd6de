//! The program on a CQL cluster: prepared, looked at, served, and what it says when something is wrong.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use ledger::cassandra::shared;
use ledger::cql::Settings;
use serde_json::Value;

use crate::process::{holdfast, refused, run};
use crate::serve::{FREE, Redis, Serving, book_two_seats, serve};

/// A command on this ledger.
fn on(mut command: Command, settings: &Settings) -> Command {
    command
        .env("HOLDFAST_LEDGER", settings.to_string())
        .env("HOLDFAST_CQL_USER", &settings.user)
        .env("HOLDFAST_CQL_PASSWORD", &settings.password)
        .env("HOLDFAST_CQL_REPLICAS", "1");
    command
}

fn command(words: &[&str], folder: &Path, settings: &Settings) -> Command {
    let mut command = holdfast();
    command.args(words).arg("--data").arg(folder.join("d"));
    on(command, settings)
}

fn good(command: &mut Command) -> String {
    let (code, out, err) = run(command);
    assert_eq!(code, 0, "{out}{err}");
    out
}

/// A keyspace nobody else uses.
fn fresh(what: &str) -> Option<Settings> {
    Some(shared()?.settings(&format!("{what}_{}", std::process::id())))
}

#[test]
fn a_cluster_is_prepared_examined_and_served() {
    let Some(settings) = fresh("program") else { return };
    let folder = tempfile::tempdir().unwrap();
    let doctor = || run(&mut command(&["doctor", "--json"], folder.path(), &settings));
    let missing = format!("no keyspace {}", settings.keyspace);
    let (code, out, err) = doctor();
    assert!(code == 3 && out.contains(&missing) && out.contains("holdfast ledger migrate"), "{out}{err}");
    refused(run(&mut command(&["log", "list"], folder.path(), &settings)), 1, &[&missing, "holdfast ledger migrate"]);

    let made = good(&mut command(&["ledger", "migrate"], folder.path(), &settings));
    assert!(made.contains("keyspace made, schema 0 -> "), "{made}");
    assert!(good(&mut command(&["ledger", "migrate"], folder.path(), &settings)).contains("nothing to do"));
    let (code, out, err) = doctor();
    let report: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
    assert_eq!((code, report["good"].as_bool()), (3, Some(false)));
    let of = |part: &str| {
        report["findings"].as_array().unwrap().iter().filter(|one| one["part"] == part).cloned().collect::<Vec<_>>()
    };
    assert!(of("keys").len() == 1 && out.contains("holdfast keys create"), "{out}");
    let findings = of("ledger");
    assert_eq!((findings.len(), findings[0]["severity"].as_str()), (1, Some("warning")), "{out}");
    assert!(findings[0]["what"].as_str().unwrap().contains("replication factor 1"), "{out}");

    let redis = Redis::start(folder.path(), &["--appendonly", "yes"]);
    // Keys are shared by whoever shares a ledger: nobody makes them up beside one.
    refused(run(&mut on(serve(folder.path(), &redis, "dev"), &settings)), 1, &["keys"]);
    good(&mut command(&["keys", "create"], folder.path(), &settings));
    let serving = Serving::start(on(serve(folder.path(), &redis, "dev"), &settings), &folder.path().join("log"));
    assert_eq!(serving.banner["ledger"], settings.to_string());
    book(&serving, folder.path(), &settings);
    let list = good(&mut command(&["log", "list"], folder.path(), &settings));
    assert_eq!(list.lines().count(), 2, "{list}");
    assert!(list.starts_with("lane/free/0\t2 events"), "{list}");
    let read = good(&mut command(&["log", "read", "lane/free/0"], folder.path(), &settings));
    assert!(read.starts_with("1\t{") && read.contains("booked"), "{read}");
}

/// Applies a sale, books of it, and has it audited.
fn book(serving: &Serving, folder: &Path, settings: &Settings) {
    let document = folder.join("sale.toml");
    std::fs::write(&document, FREE).unwrap();
    good(&mut command(&["sale", "apply", document.to_str().unwrap()], folder, settings));
    good(&mut command(&["sale", "open", "free"], folder, settings));
    book_two_seats(serving);
    let audit = good(&mut command(&["audit", "free"], folder, settings));
    assert!(!audit.contains("left out"), "{audit}");
}

#[test]
fn production_refuses_a_cluster_with_one_replica() {
    let Some(settings) = fresh("production") else { return };
    let folder = tempfile::tempdir().unwrap();
    good(&mut command(&["ledger", "migrate"], folder.path(), &settings));
    std::fs::create_dir(folder.path().join("d")).unwrap();
    good(&mut command(&["keys", "create"], folder.path(), &settings));
    let redis = Redis::start(folder.path(), &["--appendonly", "yes"]);
    let wanted = ["replication factor 1", "ALTER KEYSPACE"];
    refused(run(&mut on(serve(folder.path(), &redis, "production"), &settings)), 2, &wanted);
}

#[test]
fn wrong_credentials_are_one_line_without_the_password() {
    let Some(settings) = fresh("program") else { return };
    let folder = tempfile::tempdir().unwrap();
    let wrong = Settings { password: "not-this-one".to_owned(), ..settings };
    let answer = run(&mut command(&["ledger", "migrate"], folder.path(), &wrong));
    assert!(!answer.2.contains("not-this-one"));
    refused(answer, 1, &["refuses user", "cql.password"]);
}

#[test]
fn serve_says_what_it_waits_for_and_ends_when_told_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let settings = Settings::new(vec![format!("127.0.0.1:{port}")], "nobody_there");
    std::fs::create_dir(folder.path().join("d")).unwrap();
    good(&mut command(&["keys", "create"], folder.path(), &settings));
    let redis = Redis::start(folder.path(), &["--appendonly", "yes"]);
    let mut child = on(serve(folder.path(), &redis, "dev"), &settings)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = lines.by_ref().map_while(Result::ok).find(|line| line.contains("waiting up to")).expect("said");
    assert!(line.contains("the ledger") && line.contains(&port.to_string()), "{line}");
    crate::process::signal(child.id(), "TERM");
    // Somebody has to read on, or the program would wait to be read.
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{rest:?}");
}
