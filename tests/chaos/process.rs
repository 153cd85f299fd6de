//! Real `holdfast serve` processes that can be killed and paused, each behind proxies of its own.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, kill_process, prlimit};
use serde_json::Value;

pub(crate) use rustix::process::Signal;

use crate::proxy::Proxy;
use crate::wait::within;

/// How long a process may take from its start to serving. Generous: the machine may build something beside the test.
const START: Duration = Duration::from_secs(60);
/// How long it may take to end when told to.
const END: Duration = Duration::from_secs(20);

/// The program under test, and what all its processes share.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) folder: PathBuf,
    /// Settings of every process, as environment.
    pub(crate) settings: Vec<(String, String)>,
}

impl Program {
    fn command(&self) -> Command {
        let mut command = survives_a_full_disk(&self.path);
        command.stdin(Stdio::null()).env_clear();
        for name in ["PATH", "TMPDIR", "HOME"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        command.envs(self.settings.iter().cloned());
        command
    }

    /// A command beside the processes: exit code, stdout, stderr.
    pub(crate) fn cli(&self, beside: &Process, words: &[&str]) -> (i32, String, String) {
        self.run(&[words, &["--data", beside.data.to_str().unwrap()]].concat())
    }

    /// A command by itself: exit code, stdout, stderr.
    pub(crate) fn run(&self, words: &[&str]) -> (i32, String, String) {
        let out = self.command().args(words).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (out.status.code().unwrap_or(-1), text(&out.stdout), text(&out.stderr))
    }
}

/// One process: its own data directory, its own way to Redis, its own way in for visitors.
pub(crate) struct Process {
    pub(crate) name: String,
    program: Program,
    data: PathBuf,
    child: Option<Child>,
    /// Between it and Redis.
    pub(crate) to_redis: Proxy,
    /// Between visitors and it.
    pub(crate) visitors: Proxy,
    /// Between other processes and what it owns.
    pub(crate) others: Proxy,
    /// Where it listens for them.
    internal: SocketAddr,
    extra: Vec<(String, String)>,
}

impl Process {
    /// Starts it and waits until it serves.
    pub(crate) fn start(program: &Program, name: &str, redis: SocketAddr, extra: &[(String, String)]) -> Self {
        let mut process = Self {
            name: name.to_owned(),
            program: program.clone(),
            data: program.folder.join(name),
            child: None,
            to_redis: Proxy::new(),
            visitors: Proxy::new(),
            others: Proxy::new(),
            internal: own_address(),
            extra: extra.to_vec(),
        };
        process.to_redis.lead(redis);
        process.others.lead(process.internal);
        process.go_on();
        process
    }

    fn log_file(&self) -> PathBuf {
        self.program.folder.join(format!("{}.log", self.name))
    }

    /// Starts it on whatever it left behind.
    pub(crate) fn go_on(&mut self) {
        let begun = Instant::now();
        let log = std::fs::File::options().create(true).append(true).open(self.log_file()).unwrap();
        let mut child = self
            .program
            .command()
            .args(["serve", "--json", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data"])
            .arg(&self.data)
            .env("HOLDFAST_REDIS", self.to_redis.address.to_string())
            .env("HOLDFAST_INTERNAL_LISTEN", self.internal.to_string())
            .env("HOLDFAST_INTERNAL_ADDRESS", self.others.address.to_string())
            .envs(self.extra.iter().cloned())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        self.child = Some(child);
        let banner: Value = serde_json::from_str(&line)
            .unwrap_or_else(|_| panic!("{}: no banner but {line:?}; log: {}", self.name, self.said()));
        assert!(banner["ready"] == true && begun.elapsed() < START, "{banner} after {:?}", begun.elapsed());
        let planted = self.program.settings.iter().find(|(name, _)| name == "PLANTED_BUG").map(|(_, bug)| bug.as_str());
        assert_eq!(banner["planted"].as_str(), planted, "the program must say what is planted in it");
        let public = banner["public"].as_str().unwrap().trim_start_matches("http://");
        self.visitors.lead(public.parse().unwrap());
    }

    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    pub(crate) fn signal(&self, what: Signal) {
        signal(self.child.as_ref().unwrap().id(), what);
    }

    /// Its disk is full, or has room again.
    pub(crate) fn fill_disk(&self, full: bool) {
        fill_disk(self.child.as_ref().unwrap().id(), full);
    }

    /// The end of what it logged.
    pub(crate) fn said(&self) -> String {
        tail(&self.log_file(), 60)
    }
}

/// Ended the way an operator does it.
impl Drop for Process {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let _ = Command::new("kill").args(["-CONT", &child.id().to_string()]).status();
        let _ = Command::new("kill").arg(child.id().to_string()).status();
        let ended = within(END, || child.try_wait().unwrap().is_some());
        let _ = child.kill();
        let _ = child.wait();
        if !std::thread::panicking() {
            assert!(ended, "SIGTERM did not end {} within {END:?}: {}", self.name, self.said());
        }
    }
}

pub(crate) fn signal(pid: u32, what: Signal) {
    kill_process(known(pid), what).unwrap();
    if what == Signal::STOP {
        // A thread on another core runs on for a moment, long enough to take the lock that was held until now.
        assert!(within(Duration::from_secs(5), || is_stopped(pid)), "process {pid} does not stop");
    }
}

/// Whether no thread of a process runs.
fn is_stopped(pid: u32) -> bool {
    let Ok(mut threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return true };
    threads.all(|thread| {
        let stat = thread.and_then(|thread| std::fs::read_to_string(thread.path().join("stat")));
        stat.is_ok_and(|stat| stat.rsplit(") ").next().is_some_and(|state| state.starts_with(['T', 'Z', 'X'])))
    })
}

/// An address for a server that comes and goes. Not of 127.0.0.1, from whose ports connections take theirs while it is down.
pub(crate) fn own_address() -> SocketAddr {
    static NEXT: AtomicU8 = AtomicU8::new(0);
    let [.., high, low] = std::process::id().to_be_bytes();
    let address = Ipv4Addr::new(127, 100 + NEXT.fetch_add(1, Ordering::Relaxed) % 100, high, low);
    TcpListener::bind((address, 0)).unwrap().local_addr().unwrap()
}

fn known(pid: u32) -> Pid {
    Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()
}

/// A program that is told of a full disk by an error of the write, as a file system does it, and not by a signal.
pub(crate) fn survives_a_full_disk(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", r#"trap "" XFSZ; exec "$0" "$@""#]).arg(program);
    command
}

/// No file that this process writes can grow, or all can again.
pub(crate) fn fill_disk(pid: u32, full: bool) {
    // It has inherited this.
    let usual = getrlimit(Resource::Fsize);
    let limit = if full { Rlimit { current: Some(0), ..usual } } else { usual };
    prlimit(Some(known(pid)), Resource::Fsize, limit).unwrap();
}

fn tail(file: &Path, lines: usize) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
