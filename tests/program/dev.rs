//! `holdfast dev`: serves, books, survives, ends.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::http::{Answer, Client};
use crate::process::{Dev, alive, beside, run, signal, until};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// A visitor of the sale without a waiting room.
fn visitor(dev: &Dev, client: &mut Client) -> String {
    let answer = dev.public(client, "POST", "/v1/visitors", &[], None);
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.text("visitor")
}

fn hold(dev: &Dev, client: &mut Client, visitor: &str, key: &str) -> Answer {
    let body = r#"{"lines": [{"item": "poster", "quantity": 1}]}"#;
    let headers = [("holdfast-visitor", visitor), ("idempotency-key", key)];
    dev.public(client, "POST", "/v1/sales/express/holds", &headers, Some(body))
}

fn confirm(dev: &Dev, client: &mut Client, visitor: &str, hold: &str) -> Answer {
    let headers = [("holdfast-visitor", visitor), ("idempotency-key", "confirm")];
    dev.public(client, "POST", &format!("/v1/holds/{hold}/confirm"), &headers, Some("{}"))
}

fn audit(data: &Path, sale: &str) -> Value {
    let (code, out, err) = beside(data, &["audit", sale, "--json"]);
    assert_eq!(code, 0, "{out}{err}");
    serde_json::from_str(&out).unwrap()
}

/// A figure of one invariant.
fn figure<'a>(report: &'a Value, invariant: &str, name: &str) -> &'a Value {
    let checks = report["checks"].as_array().unwrap();
    &checks.iter().find(|check| check["invariant"] == invariant).unwrap()["figures"][name]
}

#[test]
fn the_banner_is_one_line_of_json_with_the_fields_of_the_contract() {
    let folder = folder();
    let data = folder.path().join("d");
    let dev = Dev::start(&data, &[]);
    assert_eq!(dev.banner["ready"], true);
    for field in ["public", "admin"] {
        assert!(dev.says(field).starts_with("http://127.0.0.1:"), "{}", dev.banner);
    }
    let inside = |file: &str| data.canonicalize().unwrap().join(file).display().to_string();
    assert_eq!(dev.says("data"), data.canonicalize().unwrap().display().to_string());
    assert_eq!(dev.says("redis"), format!("unix:{}", inside("redis.sock")));
    assert_eq!(dev.says("ledger"), format!("sqlite:{}", inside("ledger.db")));
    assert_eq!(dev.banner["sales"], serde_json::json!(["demo", "express"]));
    assert!(dev.says("operator_key").len() >= 32);
    dev.end();
}

#[test]
fn the_commands_of_the_banner_book_a_unit_when_they_are_pasted() {
    let folder = folder();
    let data = folder.path().join("d");
    let dev = Dev::start(&data, &[]);
    // The same text that people see; with --json only its address differs from what a second program would print.
    let shown = format!("H={}", dev.says("public"));
    let (code, script, err) = run(crate::process::holdfast().args(["journey", dev.says("public")]));
    assert_eq!(code, 0, "{err}");
    assert!(script.starts_with(&shown), "{script}");
    let (code, out, err) = run(Command::new("bash").args(["-c", &script]));
    assert_eq!(code, 0, "{out}{err}");
    let last: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    assert_eq!(last["state"], "booked", "{out}{err}");
    assert_eq!(*figure(&audit(&data, "demo"), "I4", "booked"), 1);
    dev.end();
}

#[test]
fn after_kill_9_the_next_start_goes_on_and_replaces_the_redis_left_behind() {
    let folder = folder();
    let data = folder.path().join("d");
    let mut client = Client::default();
    let mut dev = Dev::start(&data, &[]);
    let visitor = visitor(&dev, &mut client);
    let held = hold(&dev, &mut client, &visitor, "kept").text("hold_id");
    let booking = hold(&dev, &mut client, &visitor, "booked").text("hold_id");
    assert_eq!(confirm(&dev, &mut client, &visitor, &booking).status, 201);
    let redis = dev.redis_pid();
    dev.kill();

    let again = Dev::start(&data, &[]);
    assert!(!alive(redis) && again.redis_pid() != redis);
    let mut client = Client::default();
    let headers = [("holdfast-visitor", visitor.as_str())];
    let found = again.public(&mut client, "GET", &format!("/v1/bookings/{booking}"), &headers, None);
    assert_eq!((found.status, found.text("booking_id")), (200, booking));
    // Redis may have lost its last second: the hold is there, or the ledger decides.
    let confirmed = confirm(&again, &mut client, &visitor, &held);
    assert!([201, 202, 410].contains(&confirmed.status), "{}", confirmed.body);
    audit(&data, "express");
    again.end();
}

#[test]
fn after_kill_9_of_its_redis_service_resumes_by_itself() {
    let folder = folder();
    let data = folder.path().join("d");
    let mut client = Client::default();
    let dev = Dev::start(&data, &[]);
    let visitor = visitor(&dev, &mut client);
    let booking = hold(&dev, &mut client, &visitor, "first").text("hold_id");
    assert_eq!(confirm(&dev, &mut client, &visitor, &booking).status, 201);
    let redis = dev.redis_pid();
    signal(redis, "KILL");
    until("a hold after the restart of Redis", || hold(&dev, &mut client, &visitor, "second").status == 201);
    assert_ne!(dev.redis_pid(), redis);
    let second = hold(&dev, &mut client, &visitor, "second").text("hold_id");
    until("a booking after the restart of Redis", || confirm(&dev, &mut client, &visitor, &second).status == 201);
    assert_eq!(*figure(&audit(&data, "express"), "I4", "booked"), 2);
    dev.end();
}

#[test]
fn an_interrupt_at_the_terminal_ends_it_in_order() {
    let folder = folder();
    let mut dev = Dev::start(&folder.path().join("d"), &["--no-demo"]);
    let redis = dev.redis_pid();
    dev.signal("INT");
    assert_eq!(dev.child.wait().unwrap().code(), Some(0));
    assert!(!alive(redis));
}

#[test]
fn a_start_that_is_interrupted_leaves_nothing_behind() {
    let folder = folder();
    let data = folder.path().join("d");
    let mut child = crate::process::dev(&data)
        .stderr(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut redis: Option<u32> = None;
    until("a redis.pid", || {
        redis = std::fs::read_to_string(data.join("redis.pid")).ok().and_then(|text| text.trim().parse().ok());
        redis.is_some() || child.try_wait().unwrap().is_some()
    });
    signal(child.id(), "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    until("the end of its redis-server", || !alive(redis.unwrap()));
}

#[test]
fn a_redis_that_is_frozen_is_replaced_and_holds_outlive_it() {
    let folder = folder();
    let dev = Dev::start(&folder.path().join("d"), &[]);
    let mut client = Client::default();
    let who = visitor(&dev, &mut client);
    let held = hold(&dev, &mut client, &who, "before");
    assert_eq!(held.status, 201, "{}", held.body);
    let frozen = dev.redis_pid();
    signal(frozen, "STOP");
    until("another redis-server", || dev.redis_pid() != frozen && alive(dev.redis_pid()));
    assert!(!alive(frozen), "two of them on one directory would write the same file");
    until("service", || hold(&dev, &mut client, &who, "after").status == 201);
    let path = format!("/v1/holds/{}", held.text("hold_id"));
    let shown = dev.public(&mut client, "GET", &path, &[("holdfast-visitor", &who)], None);
    assert_eq!(shown.text("state"), "held", "{}", shown.body);
    assert!(dev.log().contains("gives no answer any more"), "{}", dev.log());
    dev.end();
}

#[test]
fn while_it_drains_it_is_not_ready_and_closes_what_rests_and_finishes_what_is_under_way() {
    let folder = folder();
    let mut dev = Dev::start(&folder.path().join("d"), &["--no-demo"]);
    let redis = dev.redis_pid();
    let (mut busy, mut resting) = (dev.connect("public"), dev.connect("public"));
    write!(resting, "GET /v1/sales HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    assert!(head(&mut resting).starts_with("HTTP/1.1 200"));
    write!(busy, "POST /v1/visitors HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n").unwrap();
    assert!(head(&mut busy).starts_with("HTTP/1.1 100"), "under way");
    let mut admin = dev.connect("admin");
    dev.signal("TERM");
    until("not ready", || {
        write!(admin, "GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        let ready = head(&mut admin);
        ready.starts_with("HTTP/1.1 503") && ready.contains("retry-after: 1")
    });
    let address = dev.says("public").strip_prefix("http://").unwrap();
    until("nobody is accepted", || std::net::TcpStream::connect(address).is_err());
    let mut rest = Vec::new();
    resting.read_to_end(&mut rest).unwrap();
    write!(busy, "{{}}").unwrap();
    let answer = head(&mut busy);
    assert!(answer.starts_with("HTTP/1.1 201") && answer.contains("connection: close"), "{answer}");
    assert_eq!(dev.child.wait().unwrap().code(), Some(0));
    assert!(!alive(redis));
}

/// Reads one answer; its head.
fn head(stream: &mut std::net::TcpStream) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        bytes.extend(byte);
    }
    let head = String::from_utf8(bytes).unwrap().to_ascii_lowercase().replacen("http", "HTTP", 1);
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
    stream.read_exact(&mut vec![0; length]).unwrap();
    head
}

#[test]
fn an_older_copy_of_the_ledger_stops_the_lane_which_says_so_and_rests() {
    let folder = folder();
    let data = folder.path().join("d");
    Dev::start(&data, &[]).end();
    let copy = folder.path().join("ledger.db");
    std::fs::copy(data.join("ledger.db"), &copy).unwrap();
    let dev = Dev::start(&data, &[]);
    let mut client = Client::default();
    let who = visitor(&dev, &mut client);
    let held = hold(&dev, &mut client, &who, "k").text("hold_id");
    assert_eq!(confirm(&dev, &mut client, &who, &held).status, 201);
    until("Redis is told", || audit(&data, "express")["left_out"] == serde_json::json!([]));
    dev.end();
    for end in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(data.join(format!("ledger.db{end}")));
    }
    std::fs::copy(&copy, data.join("ledger.db")).unwrap();

    let dev = Dev::start(&data, &[]);
    let ready = || {
        let (code, out, err) =
            run(Command::new("curl").args(["-sS", &format!("{}/readyz?verbose", dev.says("admin"))]));
        assert_eq!(code, 0, "{err}");
        out
    };
    until("the operator is told", || ready().contains("[!] lane/express/0: stopped, because the ledger lost data"));
    let refused = hold(&dev, &mut client, &who, "another");
    assert_eq!((refused.status, refused.problem()), (503, "unavailable"), "{}", refused.body);
    // What is stopped waits for an operator, who may sleep: it must not keep a core awake until then.
    let (begin, before) = (std::time::Instant::now(), cpu_ms(dev.child.id()));
    std::thread::park_timeout(std::time::Duration::from_secs(2));
    let (waited, used) = (begin.elapsed().as_millis(), cpu_ms(dev.child.id()) - before);
    assert!(u128::from(used) * 4 < waited, "{used} ms of CPU in {waited} ms");
    dev.end();
}

/// User and system time of a process: fields 14 and 15 of its stat, in hundredths of a second.
fn cpu_ms(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    fields[11..13].iter().map(|ticks| ticks.parse::<u64>().unwrap() * 10).sum()
}

#[test]
fn a_sale_that_exists_is_never_unknown_however_early_it_is_asked_for() {
    let folder = folder();
    let data = folder.path().join("d");
    Dev::start(&data, &[]).end();
    // Free a moment ago, at an address that no other test takes ports of; asked before the banner says that it serves.
    let free = std::net::TcpListener::bind("127.83.0.1:0").unwrap().local_addr().unwrap().to_string();
    let url = format!("http://{free}");
    let mut command = crate::process::holdfast();
    command.args(["dev", "--json", "--admin-listen", "127.0.0.1:0", "--listen", &free, "--data"]).arg(&data);
    let dev = std::thread::scope(|scope| {
        let started = scope.spawn(|| Dev::of(command, &data));
        let mut seen = Vec::new();
        while !started.is_finished() {
            for path in ["/v1/sales/demo", "/v1/sales/demo/line", "/v1/sales/express"] {
                if let Ok(answer) = Client::default().call(&url, "GET", path, &[], None) {
                    assert!(matches!(answer.status, 200 | 503), "{path}: {} {}", answer.status, answer.body);
                    seen.push(answer.status);
                }
            }
        }
        let dev = started.join().unwrap();
        assert!(!seen.is_empty(), "never answered before the banner");
        dev
    });
    dev.end();
}

#[test]
fn a_very_long_data_directory_works_as_well() {
    let folder = folder();
    let data = folder.path().join("x".repeat(110));
    let dev = Dev::start(&data, &["--no-demo"]);
    let socket = dev.says("redis").strip_prefix("unix:").unwrap().to_owned();
    assert!(socket.len() < 108 && !Path::new(&socket).starts_with(&data), "{socket}");
    dev.end();
    assert!(!Path::new(&socket).parent().unwrap().exists(), "{socket} is left behind");
}

#[test]
fn a_hangup_reads_the_keys_again() {
    let folder = folder();
    let data = folder.path().join("d");
    let dev = Dev::start(&data, &["--no-demo"]);
    let key = "hf-0123456789abcdef0123456789abcdef";
    let list = |key: &str| {
        let authorization = format!("Bearer {key}");
        let answer = Client::default().call(
            dev.says("admin"),
            "GET",
            "/admin/v1/sales",
            &[("authorization", &authorization)],
            None,
        );
        answer.unwrap().status
    };
    assert_eq!(list(key), 401);
    let file = data.join("keys.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}\n[[operator]]\nname = \"second\"\nkey = \"{key}\"\n")).unwrap();
    dev.signal("HUP");
    until("the new key", || list(key) == 200);
    assert_eq!(list(dev.says("operator_key")), 200);
    // A file that is wrong changes nothing.
    std::fs::write(&file, "nonsense").unwrap();
    dev.signal("HUP");
    until("a word about it", || dev.log().contains("the keys stay as they were"));
    assert_eq!(list(key), 200);
    std::fs::write(&file, text).unwrap();
    dev.end();
}

#[test]
fn sales_of_files_are_on_sale_at_start() {
    let folder = folder();
    let file = folder.path().join("sale.toml");
    std::fs::write(&file, "id = \"mine\"\nadmission = \"none\"\n[[items]]\nid = \"seat\"\nunits = 3\n").unwrap();
    let dev = Dev::start(&folder.path().join("d"), &["--no-demo", "--sale", file.to_str().unwrap()]);
    assert_eq!(dev.banner["sales"], serde_json::json!(["mine"]));
    let answer = dev.public(&mut Client::default(), "GET", "/v1/sales/mine", &[], None);
    assert_eq!((answer.status, answer.text("state")), (200, "open".to_owned()));
    dev.end();
}

#[test]
fn metrics_and_health_are_served_to_operators() {
    let folder = folder();
    let dev = Dev::start(&folder.path().join("d"), &[]);
    let text = |path: &str| {
        let url = format!("{}{path}", dev.says("admin"));
        let (code, out, err) = run(Command::new("curl").args(["-sS", "-f", &url]));
        assert_eq!(code, 0, "{path}: {err}");
        out
    };
    text("/livez");
    let ready = text("/readyz?verbose");
    for part in ["redis", "ledger", "sales"] {
        assert!(ready.contains(part), "{ready}");
    }
    let metrics = text("/metrics");
    for part in ["holdfast_ledger_append_seconds_bucket", "# HELP holdfast_", "holdfast_redis_", "holdfast_line_"] {
        assert!(metrics.contains(part), "{part} is missing in\n{metrics}");
    }
    dev.end();
}

#[test]
fn the_feed_of_a_sale_goes_on_from_where_it_was_read() {
    let folder = folder();
    let dev = Dev::start(&folder.path().join("d"), &[]);
    let feed = |from: &str| {
        let (url, key) =
            (format!("{}/admin/v1/sales/demo/events?from={from}", dev.says("admin")), dev.says("operator_key"));
        let (code, out, err) =
            run(Command::new("curl").args(["-sS", "-f", "-H", &format!("Authorization: Bearer {key}"), &url]));
        assert_eq!(code, 0, "{err}");
        out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>()
    };
    let all = feed("");
    let logs: Vec<&str> = all.iter().filter_map(|line| line["log"].as_str()).collect();
    assert!(logs.starts_with(&["sale/demo", "sale/demo"]) && logs.contains(&"lane/demo/0"), "{logs:?}");
    let next = all.last().unwrap()["next"].as_str().unwrap();
    // The line may have moved on since, sale and lane have not.
    assert!(feed(next).iter().all(|line| line["log"].as_str().is_none_or(|log| log == "line/demo")));
    dev.end();
}

#[test]
fn visitors_are_served_encrypted_where_a_certificate_is_set() {
    let folder = folder();
    let file = folder.path().join("holdfast.toml");
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("ingress/tests/data");
    let (certificate, key) = (data.join("one.crt"), data.join("one.key"));
    let text = format!(
        "[edge]\ntls_certificate = {:?}\ntls_key = {:?}\n",
        certificate.to_str().unwrap(),
        key.to_str().unwrap()
    );
    std::fs::write(&file, text).unwrap();
    let dev = Dev::start(&folder.path().join("d"), &["--no-demo", "--config", file.to_str().unwrap()]);
    assert!(dev.says("public").starts_with("https://"), "{}", dev.banner);
    let port = dev.says("public").rsplit(':').next().unwrap();
    let address = format!("test.example:{port}:127.0.0.1");
    let url = format!("https://test.example:{port}/v1/sales");
    let (code, out, err) = run(Command::new("curl").args([
        "-sS",
        "-f",
        "--resolve",
        &address,
        "--cacert",
        certificate.to_str().unwrap(),
        &url,
    ]));
    assert_eq!((code, out.as_str()), (0, "{\"sales\":[]}"), "{err}");
    dev.end();
}
