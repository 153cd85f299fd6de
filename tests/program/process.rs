//! A real `holdfast dev` in a directory of its own, and commands run beside it.

use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::http::{Answer, Client};
use crate::start;

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// The program under test.
pub fn holdfast() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
    command.stdin(Stdio::null()).env_clear();
    for name in ["PATH", "TMPDIR", "HOME"] {
        command.envs(std::env::var_os(name).map(|value| (name, value)));
    }
    command
}

pub struct Dev {
    pub child: Child,
    pub banner: Value,
    log: PathBuf,
}

impl Dev {
    /// Starts `dev` on the directory and waits until it serves.
    pub fn start(data: &Path, flags: &[&str]) -> Self {
        let mut command = dev(data);
        command.args(flags);
        Self::of(command, data)
    }

    /// The same of a command that [`dev`] made.
    pub fn of(command: Command, data: &Path) -> Self {
        let log = data.with_extension("log");
        let (child, banner) = start::serving(command, &log);
        Self { child, banner, log }
    }

    pub fn says(&self, field: &str) -> &str {
        self.banner[field].as_str().unwrap()
    }

    /// A connection to the listener that stands in this field of the banner.
    pub fn connect(&self, field: &str) -> TcpStream {
        let stream = TcpStream::connect(self.says(field).strip_prefix("http://").unwrap()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// One request to the visitors' listener.
    pub fn public(
        &self,
        client: &mut Client,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> Answer {
        client
            .call(self.says("public"), method, path, headers, body)
            .unwrap_or_else(|_| panic!("no answer; log: {}", self.log()))
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Process id of its redis-server, as the file it keeps says.
    pub fn redis_pid(&self) -> u32 {
        let file = Path::new(self.says("data")).join("redis.pid");
        let mut pid = None;
        until("a redis.pid", || {
            pid = std::fs::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok());
            pid.is_some()
        });
        pid.unwrap()
    }

    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Ends it as an operator does, and insists on exit code 0 and an end of everything it started.
    pub fn end(mut self) {
        let redis = self.redis_pid();
        self.signal("TERM");
        let status = self.child.wait().unwrap();
        assert!(status.code() == Some(0), "ended with {status}; log: {}", self.log());
        assert!(!alive(redis), "redis-server is left behind");
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A test that fails leaves nothing running.
impl Drop for Dev {
    fn drop(&mut self) {
        if self.child.try_wait().unwrap().is_some() {
            return;
        }
        self.signal("TERM");
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait().unwrap().is_none() && Instant::now() < deadline {
            std::thread::park_timeout(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `dev` on free ports, not started.
pub fn dev(data: &Path) -> Command {
    start::dev(holdfast(), data)
}

/// The same as another user, where the tests run as root, for whom nothing is forbidden.
pub fn as_nobody(mut command: Command) -> Command {
    if rustix::process::getuid().is_root() {
        command.uid(65_534).gid(65_534);
    }
    command
}

/// Exit code, stdout, stderr.
pub fn run(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

/// A command beside the program on this directory.
pub fn beside(data: &Path, words: &[&str]) -> (i32, String, String) {
    run(holdfast().args(words).arg("--data").arg(data))
}

pub fn signal(pid: u32, name: &str) {
    let done = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status().unwrap();
    assert!(done.success());
}

/// Whether a process runs; one that has ended and is waited for by nobody does not.
pub fn alive(pid: u32) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|words| !words.is_empty())
}

/// Waits for a state, within a bound.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not in time");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// What a refusal looks like: exit code, nothing on stdout, one line on stderr that says what and what to do.
pub fn refused((code, out, err): (i32, String, String), exit: i32, wanted: &[&str]) {
    assert_eq!(code, exit, "{out}{err}");
    assert_eq!(out, "");
    let line = err.lines().last().unwrap_or_default();
    assert!(line.starts_with("holdfast: "), "{err}");
    for wanted in wanted {
        assert!(line.contains(wanted), "{line}\nshould say {wanted:?}");
    }
    assert!(!err.contains("RUST_BACKTRACE") && !err.contains("panicked"), "{err}");
}
