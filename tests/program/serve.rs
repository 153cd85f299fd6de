//! `holdfast serve` on a Redis somebody else runs, and what production refuses.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::http::Client;
use crate::process::{alive, beside, holdfast, refused, run, signal, until};
use crate::start;

/// A redis-server as an operator would run it.
pub struct Redis {
    child: Child,
    socket: PathBuf,
}

impl Redis {
    pub fn start(folder: &Path, settings: &[&str]) -> Self {
        let socket = folder.join("r.sock");
        let child = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--unixsocket"])
            .arg(&socket)
            .arg("--dir")
            .arg(folder)
            .args(settings)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        until("a socket", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
        Self { child, socket }
    }

    fn address(&self) -> String {
        format!("unix:{}", self.socket.display())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn serve(folder: &Path, redis: &Redis, mode: &str) -> Command {
    let mut command = holdfast();
    command.args(["serve", "--json", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data"]);
    command.arg(folder.join("d")).env("HOLDFAST_REDIS", redis.address()).env("HOLDFAST_MODE", mode);
    command
}

/// A program that is ended with the test.
pub struct Serving {
    pub child: Child,
    pub banner: Value,
}

impl Serving {
    pub fn start(command: Command, log: &Path) -> Self {
        let (child, banner) = start::serving(command, log);
        Self { child, banner }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn apply(folder: &Path, text: &str) -> (i32, String, String) {
    let file = folder.join("sale.toml");
    std::fs::write(&file, text).unwrap();
    run(holdfast()
        .args(["sale", "apply"])
        .arg(&file)
        .arg("--data")
        .arg(folder.join("d"))
        .env("HOLDFAST_MODE", "production"))
}

pub const FREE: &str = "id = \"free\"\nadmission = \"none\"\n[[items]]\nid = \"seat\"\nunits = 3\n";

/// Books two seats of the sale [`FREE`].
pub fn book_two_seats(serving: &Serving) {
    let public = serving.banner["public"].as_str().unwrap().to_owned();
    let mut client = Client::default();
    let mut post = |path: &str, visitor: &str, body: &str| {
        let headers = [("holdfast-visitor", visitor), ("idempotency-key", "k")];
        client.call(&public, "POST", path, if visitor.is_empty() { &[] } else { &headers }, Some(body)).unwrap()
    };
    let visitor = post("/v1/visitors", "", "{}").text("visitor");
    let held = post("/v1/sales/free/holds", &visitor, r#"{"lines":[{"item":"seat","quantity":2}]}"#);
    let confirmed = post(&format!("/v1/holds/{}/confirm", held.text("hold_id")), &visitor, "{}");
    assert_eq!(confirmed.status, 201, "{}", confirmed.body);
}
const PRICED: &str = "id = \"priced\"\nadmission = \"none\"\n[[items]]\nid = \"seat\"\nunits = 3\nprice = { amount = \"1.00\", currency = \"EUR\" }\n";

#[test]
fn serve_books_on_a_redis_that_it_does_not_own_and_leaves_it_running() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("d");
    let redis = Redis::start(folder.path(), &["--appendonly", "yes"]);
    let mut serving = Serving::start(serve(folder.path(), &redis, "production"), &folder.path().join("log"));
    assert_eq!(serving.banner["redis"], redis.address());
    assert_eq!(serving.banner["sales"], serde_json::json!([]));

    assert_eq!(apply(folder.path(), FREE).0, 0);
    assert_eq!(beside(&data, &["sale", "open", "free"]).0, 0);
    book_two_seats(&serving);
    let (code, out, err) = beside(&data, &["audit", "free"]);
    assert!(code == 0 && !out.contains("left out"), "{out}{err}");

    signal(serving.child.id(), "TERM");
    assert_eq!(serving.child.wait().unwrap().code(), Some(0));
    assert!(alive(redis.child.id()));
}

#[test]
fn production_refuses_a_redis_that_forgets() {
    let folder = tempfile::tempdir().unwrap();
    let redis = Redis::start(folder.path(), &["--appendonly", "no"]);
    refused(run(&mut serve(folder.path(), &redis, "production")), 2, &["appendonly is no", "set appendonly yes"]);
    drop(redis);
    let redis = Redis::start(folder.path(), &["--appendonly", "yes", "--maxmemory-policy", "allkeys-lru"]);
    refused(run(&mut serve(folder.path(), &redis, "production")), 2, &["maxmemory-policy is allkeys-lru"]);
    drop(redis);
    let gone = Redis { child: Command::new("true").spawn().unwrap(), socket: folder.path().join("none.sock") };
    let mut impatient = serve(folder.path(), &gone, "production");
    impatient.env("HOLDFAST_START_WAIT", "1s");
    refused(run(&mut impatient), 1, &["redis unix:", "start it"]);
}

#[test]
fn serve_says_that_it_waits_for_redis_and_serves_when_it_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let gone = Redis { child: Command::new("true").spawn().unwrap(), socket: folder.path().join("r.sock") };
    let log = folder.path().join("log");
    std::thread::scope(|scope| {
        let starting = scope.spawn(|| Serving::start(serve(folder.path(), &gone, "production"), &log));
        until("the program says what it waits for", || {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            said.contains("waiting up to") && said.contains("for redis unix:") && said.contains("start it")
        });
        let redis = Redis::start(folder.path(), &["--appendonly", "yes"]);
        let serving = starting.join().unwrap();
        assert_eq!(serving.banner["redis"], redis.address());
    });
}

#[test]
fn a_process_that_others_cannot_reach_or_that_would_make_its_own_keys_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let redis = Redis::start(folder.path(), &["--appendonly", "yes"]);
    let role = |role: &str| {
        let mut command = serve(folder.path(), &redis, "dev");
        command.args(["--role", role]);
        command
    };
    refused(run(&mut role("cook")), 2, &["role \"cook\"", "ingress, admission, booker, reconciler"]);
    refused(run(&mut role("ingress")), 1, &["keys.toml", "is missing", "holdfast keys create"]);
    let keys = folder.path().join("d/keys.toml");
    assert_eq!(run(holdfast().args(["keys", "create"]).arg(&keys)).0, 0);
    refused(run(&mut role("booker")), 2, &["internal_listen", "must be set"]);
    refused(run(role("booker").env("HOLDFAST_INTERNAL_LISTEN", "0.0.0.0:0")), 2, &["internal_address"]);
    let text = std::fs::read_to_string(&keys).unwrap();
    let old = text.split("# By which").next().unwrap();
    std::fs::write(&keys, old).unwrap();
    refused(run(&mut role("ingress")), 1, &["keys.toml", "lacks keys", "holdfast keys complete"]);
    assert_eq!(run(holdfast().args(["keys", "complete"]).arg(&keys)).0, 0);
    assert!(std::fs::read_to_string(&keys).unwrap().starts_with(old));
}

/// The same as JSON.
const PRICED_JSON: &str = r#"{"id": "priced", "admission": "none",
    "items": [{"id": "seat", "units": 1, "price": {"amount": "5.00", "currency": "EUR"}}]}"#;

#[test]
fn production_does_not_sell_what_it_cannot_charge() {
    let folder = tempfile::tempdir().unwrap();
    let redis = Redis::start(folder.path(), &["--appendonly", "yes"]);
    let serving = Serving::start(serve(folder.path(), &redis, "production"), &folder.path().join("log"));
    refused(apply(folder.path(), PRICED), 1, &["sale priced", "items[0].price", "no checkout"]);
    // Whoever goes past the command is told the same, instead of being left with a sale that is never served.
    let keys = std::fs::read_to_string(folder.path().join("d/keys.toml")).unwrap();
    let key = keys.lines().find_map(|line| line.strip_prefix("key = \"hf-")).unwrap().trim_matches('"');
    let authorization = format!("Bearer hf-{key}");
    let headers = [("authorization", authorization.as_str())];
    let admin = serving.banner["admin"].as_str().unwrap();
    let mut client = Client::default();
    let put = client.call(admin, "PUT", "/admin/v1/sales/priced", &headers, Some(PRICED_JSON)).unwrap();
    assert_eq!((put.status, &put.body["errors"][0]["key"]), (400, &Value::from("items[0].price")), "{}", put.body);
    assert!(put.text("detail").contains("no checkout"), "{}", put.body);
}
