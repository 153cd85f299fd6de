//! What operators have: findings with what ends them, a bundle without secrets, a program that tells systemd how it is.

use std::io::Write as _;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::process::{beside, holdfast, run, signal};
use crate::serve::{FREE, Redis, Serving, apply, serve};

fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("ingress/tests/data").join(name)
}

/// Findings of a doctor as part, severity and what, with the exit code.
fn doctor(folder: &Path, settings: &[(&str, &str)]) -> (i32, Vec<(String, String, String)>) {
    let mut command = holdfast();
    command.args(["doctor", "--json", "--data"]).arg(folder.join("d")).envs(settings.iter().copied());
    let (code, out, err) = run(&mut command);
    let report: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
    assert_eq!(report["good"], code == 0, "{out}");
    let found = report["findings"].as_array().unwrap().iter().map(|one| {
        let text = |key: &str| one[key].as_str().unwrap().to_owned();
        assert!(!text("why").is_empty() && !text("fix").is_empty(), "{one}");
        (text("part"), text("severity"), format!("{}: {}", text("what"), text("why")))
    });
    (code, found.collect())
}

#[test]
fn doctor_finds_what_is_wrong_around_a_program_that_serves_well() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let redis = Redis::start(folder, &["--appendonly", "yes"]);
    let at = format!("unix:{}", folder.join("r.sock").display());
    let well = [("HOLDFAST_REDIS", at.as_str())];
    let serving = Serving::start(serve(folder, &redis, "dev"), &folder.join("log"));
    assert_eq!(doctor(folder, &well), (0, vec![]));

    // A certificate that has expired, a key of another one, one that others may read.
    let (old, key, other) = (certificate("old.crt"), folder.join("old.key"), certificate("one.key"));
    std::fs::copy(certificate("old.key"), &key).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    let tls = |key: &Path| {
        let paths = [old.to_str().unwrap().to_owned(), key.to_str().unwrap().to_owned()];
        let [certificate, key] = &paths;
        let settings =
            [well[0], ("HOLDFAST_EDGE_TLS_CERTIFICATE", certificate.as_str()), ("HOLDFAST_EDGE_TLS_KEY", key.as_str())];
        doctor(folder, &settings)
    };
    let (code, found) = tls(&key);
    assert!(
        code == 3
            && matches!(&found[..], [(part, severity, what), (_, warning, others)] if part == "tls"
        && severity == "error" && what.contains("expired at 2020-02-01") && warning == "warning" && others.contains("others may read it")),
        "{found:?}"
    );
    let (_, found) = tls(&other);
    assert!(found.iter().any(|(part, _, what)| part == "tls" && what.contains("cannot be used together")), "{found:?}");

    // Keys that others may read, and a Redis that forgets.
    let keys = folder.join("d/keys.toml");
    std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(0o644)).unwrap();
    let set = |name: &str, value: &str| {
        let socket = folder.join("r.sock");
        let mut redis = std::process::Command::new("redis-cli");
        assert_eq!(run(redis.arg("-s").arg(socket).args(["config", "set", name, value])).0, 0);
    };
    set("maxmemory-policy", "allkeys-lru");
    let (code, found) = doctor(folder, &well);
    let parts: Vec<(&str, &str)> = found.iter().map(|(part, severity, _)| (part.as_str(), severity.as_str())).collect();
    assert_eq!((code, parts), (3, vec![("keys", "error"), ("redis", "warning")]), "{found:?}");
    std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(0o600)).unwrap();
    set("maxmemory-policy", "noeviction");

    // A program of another version runs, as its word says.
    let word = folder.join("d/running.json");
    let text = std::fs::read_to_string(&word).unwrap();
    let version = format!("\"version\":\"{}\"", env!("CARGO_PKG_VERSION"));
    std::fs::write(&word, text.replace(&version, "\"version\":\"0.0.9\"")).unwrap();
    let (code, found) = doctor(folder, &well);
    assert!(
        code == 3 && matches!(&found[..], [(part, _, what)] if part == "processes" && what.contains("version 0.0.9")),
        "{found:?}"
    );
    std::fs::write(&word, &text).unwrap();

    // It is not ready any more.
    drop(redis);
    let until = Instant::now() + Duration::from_secs(20);
    while !doctor(folder, &well)
        .1
        .iter()
        .any(|(part, _, what)| part == "processes" && what.contains("not ready: redis"))
    {
        assert!(Instant::now() < until, "{:?}", doctor(folder, &well));
    }
    drop(serving);
}

#[test]
fn a_support_bundle_has_everything_but_secrets() {
    const REDIS: &str = "correct-horse-battery";
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let redis = Redis::start(folder, &["--appendonly", "yes", "--requirepass", REDIS]);
    let operator = "hf-operators-own-key-written-by-hand-0123456789";
    let settings = folder.join("holdfast.toml");
    std::fs::write(
        &settings,
        format!("redis_password = \"{REDIS}\"\n[cql]\nuser = \"u\"\npassword = \"cql-word-77\"\n"),
    )
    .unwrap();
    let mut command = serve(folder, &redis, "dev");
    command.arg("--config").arg(&settings);
    let serving = Serving::start(command, &folder.join("log"));
    assert_eq!(apply_with(folder, &settings).0, 0);

    // Everything that is secret, in a log as careless people write them.
    let keys = std::fs::read_to_string(folder.join("d/keys.toml")).unwrap();
    let mut secrets: Vec<String> = keys
        .lines()
        .filter_map(|line| line.split_once('"'))
        .map(|(_, rest)| rest.trim_end_matches('"').to_owned())
        .collect();
    secrets.retain(|secret| secret.len() > 20);
    assert!(secrets.len() >= 4, "{}", secrets.len());
    let pem = std::fs::read_to_string(certificate("one.key")).unwrap();
    let inside = &pem.lines().nth(1).unwrap()[..20];
    let mut log = std::fs::File::create(folder.join("careless.log")).unwrap();
    for secret in secrets.iter().map(String::as_str).chain([REDIS, operator, "cql-word-77"]) {
        writeln!(log, "a line with {secret} in it\n{{\"x\":\"{secret}\"}} Authorization: Bearer {secret}").unwrap();
    }
    writeln!(log, "{pem}\nrequirepass hush77\nGET /x hf_visitor=1.{}\nlast line", "aB3".repeat(30)).unwrap();

    let bundle = folder.join("bundle.txt");
    let mut command = holdfast();
    command
        .args(["support", "bundle", "--output"])
        .arg(&bundle)
        .arg("--config")
        .arg(&settings)
        .arg("--data")
        .arg(folder.join("d"));
    command.arg("--log").arg(folder.join("careless.log"));
    command.env("HOLDFAST_REDIS", serving.banner["redis"].as_str().unwrap()).env("HOLDFAST_OPERATOR_KEY", operator);
    let (code, out, err) = run(&mut command);
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(std::fs::metadata(&bundle).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&bundle).unwrap();
    for secret in secrets.iter().map(String::as_str).chain([REDIS, operator, "cql-word-77", "hush77", inside, "aB3aB3"])
    {
        assert!(!text.contains(secret), "{secret} is in the bundle");
    }
    for wanted in [
        "== configuration",
        "redis_password = \"(set, not shown)\"",
        "== findings of doctor",
        "== running program",
        "holdfast_build_info",
        "[+] redis",
        "lane/free/0",
        "noeviction",
        "keys.toml",
        "HOLDFAST_OPERATOR_KEY",
        "last line",
        "a line with (removed) in it",
    ] {
        assert!(text.contains(wanted), "{wanted} is missing in\n{text}");
    }
    // A program that does not run, and a log that is not there, are said and stop nothing.
    drop(serving);
    command.args(["--log", "/nowhere.log"]);
    let (code, out, err) = run(&mut command);
    assert_eq!(code, 0, "{out}{err}");
    let text = std::fs::read_to_string(&bundle).unwrap();
    assert!(text.contains("none on this data directory") && text.contains("left out: log /nowhere.log"), "{text}");
}

/// The sale [`FREE`] by the keys of the data directory.
fn apply_with(folder: &Path, settings: &Path) -> (i32, String, String) {
    let file = folder.join("sale.toml");
    std::fs::write(&file, FREE).unwrap();
    let words = ["sale", "apply", file.to_str().unwrap(), "--config", settings.to_str().unwrap()];
    beside(&folder.join("d"), &words)
}

#[test]
fn systemd_is_told_that_it_serves_that_it_lives_and_that_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let redis = Redis::start(folder, &["--appendonly", "yes"]);
    let systemd = UnixDatagram::bind(folder.join("notify")).unwrap();
    systemd.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let hear = || {
        let mut bytes = [0; 256];
        let length = systemd.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    };
    let mut command = serve(folder, &redis, "dev");
    command.env("NOTIFY_SOCKET", folder.join("notify")).env("WATCHDOG_USEC", "600000").env("HOLDFAST_HTTP_DRAIN", "1s");
    let mut serving = Serving::start(command, &folder.join("log"));
    assert!(hear().starts_with("READY=1\n"));
    for _ in 0..3 {
        assert_eq!(hear(), "WATCHDOG=1");
    }
    // A process that stands still gives no sign: what was under way may be heard, then nothing.
    let pid = serving.child.id();
    signal(pid, "STOP");
    systemd.set_read_timeout(Some(Duration::from_millis(900))).unwrap();
    let mut bytes = [0; 64];
    assert!((0..3).any(|_| systemd.recv(&mut bytes).is_err()), "signs of life from a process that stands still");
    signal(pid, "CONT");
    systemd.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    assert_eq!(hear(), "WATCHDOG=1");

    // Somebody who never ends a request does not keep it from ending within what the unit allows.
    let mut slow =
        TcpStream::connect(serving.banner["public"].as_str().unwrap().trim_start_matches("http://")).unwrap();
    slow.write_all(b"POST /v1/visitors HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{").unwrap();
    let unit =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/systemd/holdfast.service")).unwrap();
    let stop = unit.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")).unwrap();
    let stop = Duration::from_secs(stop.trim_end_matches('s').parse().unwrap());
    let begun = Instant::now();
    signal(pid, "TERM");
    let said = std::iter::repeat_with(hear).find(|said| said != "WATCHDOG=1").unwrap();
    assert!(said.starts_with("STOPPING=1\n"), "{said}");
    assert_eq!(serving.child.wait().unwrap().code(), Some(0));
    // The unit's time is for a drain of 10 s, and this one is of 1 s.
    assert!(begun.elapsed() + Duration::from_secs(9) < stop, "{:?} of {stop:?}", begun.elapsed());
    assert_eq!(apply(folder, FREE).0, 1, "nobody answers any more");
}
