//! The appliance as a real process that can be killed at any moment, and what can be done to its Redis behind its back.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::RwLock;
use std::time::Duration;

use serde_json::Value;

use crate::start::{self, tail};
use crate::wait::within;

pub(crate) struct Rig {
    pub(crate) dir: tempfile::TempDir,
    program: Option<Child>,
    banner: RwLock<Value>,
    /// Where a Redis is that the program does not run itself.
    foreign_redis: Option<String>,
}

impl Rig {
    /// A fresh appliance without any sale but the demo.
    pub(crate) fn start() -> Self {
        Self::start_with(None)
    }

    /// The same on a Redis that somebody else runs, and without the demo.
    pub(crate) fn start_on(redis: String) -> Self {
        Self::start_with(Some(redis))
    }

    fn start_with(foreign_redis: Option<String>) -> Self {
        let dir = tempfile::Builder::new().prefix("hf").tempdir().unwrap();
        let mut rig = Self { dir, program: None, banner: RwLock::new(Value::Null), foreign_redis };
        rig.go_on();
        rig
    }

    /// Starts the program on whatever the data directory holds now and waits until it serves.
    pub(crate) fn go_on(&mut self) {
        let program = Command::new(env!("CARGO_BIN_EXE_holdfast"));
        let mut command = match &self.foreign_redis {
            Some(_) => start::on_free_ports("serve", program, &self.data()),
            None => start::dev(program, &self.data()),
        };
        command.envs(self.foreign_redis.iter().map(|redis| ("HOLDFAST_REDIS", redis)));
        command.env("HOLDFAST_EDGE_VISITORS_PER_MINUTE", "0");
        command.env("HOLDFAST_EDGE_JOINS_PER_MINUTE", "0");
        let (child, banner) = start::serving(command, &self.log_file());
        *self.banner.write().unwrap() = banner;
        self.program = Some(child);
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn log_file(&self) -> PathBuf {
        self.dir.path().join("stderr.log")
    }

    pub(crate) fn banner(&self, field: &str) -> String {
        self.banner.read().unwrap()[field].as_str().unwrap().to_owned()
    }

    /// kill -9 of the program; its Redis is left to itself.
    pub(crate) fn kill(&mut self) {
        let mut child = self.program.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// kill -9 of the Redis the program runs on; the program has to notice and start another.
    pub(crate) fn kill_redis(&self) {
        let info = self.redis(&["INFO", "server"]);
        let Some(pid) = info.lines().find_map(|line| line.strip_prefix("process_id:")) else { return };
        let done = Command::new("kill").args(["-9", pid.trim()]).stderr(Stdio::null()).status().unwrap();
        assert!(done.success() || !Path::new(&format!("/proc/{}", pid.trim())).exists());
    }

    /// Says something to Redis with its own command line client. Empty when Redis does not answer just now.
    pub(crate) fn redis(&self, words: &[&str]) -> String {
        let socket = self.banner("redis");
        let socket = socket.strip_prefix("unix:").unwrap();
        let out = Command::new("redis-cli").args(["-s", socket]).args(words).output().unwrap();
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    /// Runs the command line client of the appliance against its data directory: exit code, stdout, stderr.
    pub(crate) fn cli(&self, words: &[&str]) -> (i32, String, String) {
        let out = Command::new(env!("CARGO_BIN_EXE_holdfast"))
            .args(words)
            .arg("--data")
            .arg(self.data())
            .env("HOLDFAST_ADMIN_LISTEN", self.banner("admin").trim_start_matches("http://"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (out.status.code().unwrap_or(-1), text(&out.stdout), text(&out.stderr))
    }

    /// Applies a sale document and opens it.
    pub(crate) fn sell(&self, document: &str) {
        let id = self.offer(document);
        self.open(&id);
    }

    /// Creates a sale; its id.
    pub(crate) fn offer(&self, document: &str) -> String {
        let file = self.dir.path().join("sale.toml");
        std::fs::write(&file, document).unwrap();
        let id = document.lines().find_map(|line| line.strip_prefix("id = ")).unwrap().trim_matches('"').to_owned();
        self.operate(&["sale", "apply", file.to_str().unwrap()]);
        id
    }

    /// Opens a sale.
    pub(crate) fn open(&self, id: &str) {
        self.operate(&["sale", "open", id]);
    }

    fn operate(&self, words: &[&str]) {
        let (code, out, err) = self.cli(words);
        assert!(code == 0, "{words:?} ended with {code}: {out}{err}");
    }

    /// The events of a log, each as JSON with its `seq`.
    pub(crate) fn log(&self, log: &str) -> Vec<Value> {
        let (code, out, err) = self.cli(&["log", "read", log, "--json"]);
        assert!(code == 0, "log read ended with {code}: {err}");
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The proof from the stores themselves; panics with its report when an invariant fails.
    pub(crate) fn audit(&self, sale: &str) {
        let (code, out, err) = self.cli(&["audit", sale]);
        assert!(code == 0, "audit of {sale} ended with {code}:\n{out}{err}{}", tail(&self.log_file()));
    }
}

/// Ends the program the way an operator does, and insists that nothing is left over.
impl Drop for Rig {
    fn drop(&mut self) {
        let Some(mut child) = self.program.take() else { return };
        let own = self.foreign_redis.is_none();
        let redis = if own { self.redis(&["INFO", "server"]) } else { String::new() };
        let redis = redis.lines().find_map(|line| line.strip_prefix("process_id:")).map(|pid| pid.trim().to_owned());
        let _ = Command::new("kill").arg(child.id().to_string()).status();
        let ended = within(Duration::from_secs(20), || child.try_wait().unwrap().is_some());
        let _ = child.kill();
        let _ = child.wait();
        let gone = redis.is_none_or(|pid| {
            let gone = within(Duration::from_secs(5), || !Path::new(&format!("/proc/{pid}")).exists());
            let _ = Command::new("kill").args(["-9", &pid]).stderr(Stdio::null()).status();
            gone
        });
        if !std::thread::panicking() {
            assert!(ended, "SIGTERM did not end the program within 20 s");
            assert!(gone, "the program left its redis-server behind");
        }
    }
}
