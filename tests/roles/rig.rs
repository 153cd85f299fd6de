//! A Redis, a ledger, one keys file, and processes with a role each.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::http::{Answer, Client, Lost};
use crate::wait::within;

/// How long anything that has to come may take. Generous: the machine may build something beside the test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

struct Process {
    child: Child,
    banner: Value,
}

pub(crate) struct Rig {
    dir: tempfile::TempDir,
    redis: Child,
    processes: BTreeMap<String, Process>,
}

impl Rig {
    /// So many processes of each role that serves.
    pub(crate) fn start(of_each: usize) -> Self {
        let dir = tempfile::Builder::new().prefix("hf").tempdir().unwrap();
        let redis = start_redis(dir.path());
        let mut rig = Self { dir, redis, processes: BTreeMap::new() };
        rig.keys("keys.toml");
        for role in ["booker", "admission", "ingress"] {
            (0..of_each).for_each(|n| rig.begin(&format!("{role}-{n}")));
        }
        rig
    }

    /// kill -9 of Redis, which keeps nothing; another one is there after so long.
    pub(crate) fn lose_redis(&mut self, away: Duration) {
        self.redis.kill().unwrap();
        self.redis.wait().unwrap();
        within(away, || false);
        self.redis = start_redis(self.dir.path());
    }

    fn holdfast(&self, name: &str) -> Command {
        let path = |file: &str| self.dir.path().join(file).display().to_string();
        let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
        command.stdin(Stdio::null()).env_clear();
        for kept in ["PATH", "TMPDIR", "HOME"] {
            command.envs(std::env::var_os(kept).map(|value| (kept, value)));
        }
        command
            .env("HOLDFAST_DATA", path(name))
            .env("HOLDFAST_REDIS", format!("unix:{}", path("r.sock")))
            .env("HOLDFAST_LEDGER", format!("sqlite:{}", path("ledger.db")))
            .env("HOLDFAST_KEYS", path("keys.toml"))
            .env("HOLDFAST_EDGE_VISITORS_PER_MINUTE", "0")
            .env("HOLDFAST_EDGE_JOINS_PER_MINUTE", "0");
        command
    }

    /// A keys file of fresh keys.
    pub(crate) fn keys(&self, file: &str) -> PathBuf {
        let path = self.dir.path().join(file);
        let made = self.holdfast("keys").args(["keys", "create"]).arg(&path).stdout(Stdio::null()).status().unwrap();
        assert!(made.success());
        path
    }

    /// Starts a process, named by its role and a number, and waits until it serves.
    pub(crate) fn begin(&mut self, name: &str) {
        self.begin_with(name, &[]);
    }

    pub(crate) fn begin_with(&mut self, name: &str, settings: &[(&str, &str)]) {
        let role = name.split('-').next().unwrap();
        let log = std::fs::File::options().create(true).append(true).open(self.log_file(name)).unwrap();
        let mut child = self
            .holdfast(name)
            .args(["serve", "--json", "--role", role, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
            .env("HOLDFAST_INTERNAL_LISTEN", "127.0.0.1:0")
            .envs(settings.iter().copied())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let banner = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{name}: {line:?}; {}", self.log(name)));
        self.processes.insert(name.to_owned(), Process { child, banner });
    }

    fn log_file(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("{name}.log"))
    }

    pub(crate) fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.log_file(name)).unwrap_or_default()
    }

    pub(crate) fn pid(&self, name: &str) -> u32 {
        self.processes[name].child.id()
    }

    pub(crate) fn public(&self, name: &str) -> String {
        self.processes[name].banner["public"].as_str().unwrap().to_owned()
    }

    /// The process of this role that has the lease.
    pub(crate) fn owner(&self, role: &str, tag: &str, lease: &str) -> Option<String> {
        let holder = self.holder(tag, lease)?;
        let pid: u32 = holder.split('@').next()?.parse().ok()?;
        let of_role = self.processes.iter().filter(|(name, _)| name.starts_with(role));
        of_role.into_iter().find(|(_, process)| process.child.id() == pid).map(|(name, _)| name.clone())
    }

    /// Who has a lease, as Redis says.
    pub(crate) fn holder(&self, tag: &str, lease: &str) -> Option<String> {
        let key = format!("h1:{{{tag}}}:{lease}");
        let socket = self.dir.path().join("r.sock");
        let out = Command::new("redis-cli").arg("-s").arg(socket).args(["GET", &key]).output().unwrap();
        let holder = String::from_utf8(out.stdout).unwrap().trim().to_owned();
        (!holder.is_empty()).then_some(holder)
    }

    /// kill -9.
    pub(crate) fn kill(&mut self, name: &str) {
        let mut process = self.processes.remove(name).unwrap();
        process.child.kill().unwrap();
        process.child.wait().unwrap();
    }

    /// Sends a signal and goes on at once.
    pub(crate) fn signal(&self, name: &str, signal: &str) {
        let done = Command::new("kill").args([format!("-{signal}"), self.pid(name).to_string()]).status().unwrap();
        assert!(done.success());
    }

    /// A step of a change of keys, and every process has read the file after it.
    pub(crate) fn rotate(&self, step: &str) {
        let read = |name: &str| self.log(name).matches("keys are read again").count();
        let before: Vec<_> = self.processes.keys().map(|name| (name.clone(), read(name))).collect();
        let (code, out) = self.cli("operator", &["keys", "rotate", step]);
        assert!(code == 0, "{out}");
        for (name, count) in before {
            self.signal(&name, "HUP");
            assert!(within(PATIENCE, || read(&name) > count), "{name} has not read its keys: {}", self.log(&name));
        }
    }

    /// The values of a metric of a process, by their labels.
    pub(crate) fn metric(&self, name: &str, metric: &str) -> BTreeMap<String, f64> {
        let admin = self.processes[name].banner["admin"].as_str().unwrap();
        let mut stream = TcpStream::connect(admin.trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: rig\r\nconnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let values = text.lines().filter_map(|line| line.strip_prefix(metric)?.rsplit_once(' '));
        values.map(|(labels, value)| (labels.to_owned(), value.trim().parse().unwrap())).collect()
    }

    /// Ends it as an operator does, and insists on exit code 0.
    pub(crate) fn stop(&mut self, name: &str) {
        let mut process = self.processes.remove(name).unwrap();
        let done = Command::new("kill").arg(process.child.id().to_string()).status().unwrap();
        assert!(done.success());
        let ended = within(PATIENCE, || process.child.try_wait().unwrap().is_some());
        let _ = process.child.kill();
        let status = process.child.wait().unwrap();
        assert!(ended && status.code() == Some(0), "{name} ended with {status}: {}", self.log(name));
    }

    /// A command beside this process: its exit code, what it wrote.
    pub(crate) fn cli(&self, name: &str, words: &[&str]) -> (i32, String) {
        let out = self.holdfast(name).args(words).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (out.status.code().unwrap_or(-1), text(&out.stdout) + &text(&out.stderr))
    }

    pub(crate) fn apply(&self, name: &str, document: &str) {
        let file = self.dir.path().join(format!("{name}.toml"));
        std::fs::write(&file, document).unwrap();
        let (code, out) = self.cli(name, &["sale", "apply", file.to_str().unwrap()]);
        assert!(code == 0, "{out}");
    }

    /// Applies a sale at this process, opens it, and waits until somebody owns all of it.
    pub(crate) fn sell(&self, name: &str, document: &str) {
        self.apply(name, document);
        let (code, out) = self.cli(name, &["sale", "open", "queue"]);
        assert!(code == 0, "{out}");
        let owned = || self.holder("queue:0", "lease").is_some() && self.holder("queue", "line-lease").is_some();
        assert!(within(PATIENCE, owned));
        let known = |process: &Process| {
            let Some(public) = process.banner["public"].as_str() else { return true };
            let sale = Client::default().call(public, "GET", "/v1/sales/queue", &[], None);
            sale.is_ok_and(|sale| sale.status == 200 && sale.body["state"] == "open")
        };
        assert!(within(PATIENCE, || self.processes.values().all(known)));
    }

    /// Passes alive, as the line's owner says.
    pub(crate) fn active_passes(&self, sale: &str) -> u64 {
        let Some(owner) = self.owner("admission", sale, "line-lease") else { return u64::MAX };
        let (_, out) = self.cli(&owner, &["sale", "show", sale, "--json"]);
        let shown: Value = serde_json::from_str(&out).unwrap_or_default();
        shown["live"]["line"]["active"].as_u64().unwrap_or(u64::MAX)
    }

    /// Events of a log, from the ledger.
    pub(crate) fn events(&self, log: &str) -> Vec<Value> {
        let (code, out) = self.cli("reader", &["log", "read", log, "--json"]);
        assert!(code == 0, "{out}");
        out.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

/// Ends everything, and insists that each process ends by itself.
impl Drop for Rig {
    fn drop(&mut self) {
        let names: Vec<String> = self.processes.keys().cloned().collect();
        for name in names {
            if std::thread::panicking() {
                eprintln!("--- {name}\n{}", tail(&self.log_file(&name)));
                self.kill(&name);
            } else {
                self.stop(&name);
            }
        }
        let _ = self.redis.kill();
        let _ = self.redis.wait();
    }
}

/// A Redis of its own, that answers.
fn start_redis(dir: &Path) -> Child {
    let socket = dir.join("r.sock");
    let redis = Command::new("redis-server")
        .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
        .arg(&socket)
        .arg("--dir")
        .arg(dir)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    assert!(within(PATIENCE, || std::os::unix::net::UnixStream::connect(&socket).is_ok()));
    redis
}

fn tail(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(25)..].join("\n")
}

/// Somebody with a token.
#[derive(Clone)]
pub(crate) struct Visitor(String);

impl Visitor {
    pub(crate) fn new(http: &mut Client, base: &str) -> Self {
        let made = http.call(base, "POST", "/v1/visitors", &[], None).expect("an answer");
        assert_eq!(made.status, 201, "{}", made.body);
        Self(made.text("visitor"))
    }

    pub(crate) fn call(
        &self,
        http: &mut Client,
        base: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Answer, Lost> {
        let mut all = vec![("holdfast-visitor", self.0.as_str())];
        all.extend(headers);
        http.call(base, method, path, &all, (!body.is_empty()).then_some(body))
    }

    /// Repeats until the status is one of `certain`.
    #[allow(clippy::too_many_arguments, reason = "a request and what is expected of it")]
    pub(crate) fn insist(
        &self,
        http: &mut Client,
        base: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
        certain: &[u16],
    ) -> Answer {
        let (end, mut last) = (Instant::now() + PATIENCE, String::new());
        while Instant::now() < end {
            match self.call(http, base, method, path, headers, body) {
                Ok(answer) if certain.contains(&answer.status) => return answer,
                Ok(answer) => last = format!("{} {}", answer.status, answer.body),
                Err(Lost) => {}
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
        panic!("{method} {path} was never answered with {certain:?}, last {last}");
    }
}
