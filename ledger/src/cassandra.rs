//! A real Apache Cassandra for tests: one node for all tests of a run, or nodes of a test's own that it may kill and freeze.
//!
//! `deploy/cassandra/cassandra.sh` starts them. Where java or Maven is missing there is none, which is said in one line; with `CI=true` that is a failure.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "for tests, which fail so")]
#![allow(clippy::missing_panics_doc, reason = "everything here panics when a node does not do as it is told")]

use std::fs::File;
use std::io::Write as _;
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

use crate::cql::{Replication, Settings, migrate};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/cassandra/cassandra.sh");
/// User and password of the nodes.
const USER: &str = "cassandra";

/// One node, shared by all tests of a run, also those of other test programs. Ends by itself when the last of them has ended, however it ended.
#[derive(Debug)]
pub struct Shared {
    contact_points: Vec<String>,
    /// Locked as long as this process lives.
    _user: File,
}

/// The shared node; `None` where this machine cannot run one.
pub fn shared() -> Option<&'static Shared> {
    static SHARED: OnceLock<Option<Shared>> = OnceLock::new();
    SHARED.get_or_init(|| is_possible().then(Shared::join)).as_ref()
}

/// Whether nodes can be started here. Says once what is left out otherwise.
fn is_possible() -> bool {
    static POSSIBLE: OnceLock<bool> = OnceLock::new();
    *POSSIBLE.get_or_init(|| {
        let check = script(&["check"]);
        let why = String::from_utf8_lossy(&check.stderr).trim().to_owned();
        let possible = check.status.success();
        assert!(possible || std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{why}");
        if !possible {
            // Straight to the terminal: the harness keeps what tests that pass print.
            let _ = writeln!(std::io::stderr(), "left out: tests on a real Cassandra ({why})");
        }
        possible
    })
}

fn script(arguments: &[&str]) -> std::process::Output {
    Command::new(SCRIPT).args(arguments).stdin(Stdio::null()).output().expect("the script runs")
}

fn start(arguments: &[&str]) -> Vec<String> {
    let started = script(arguments);
    assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
    points(&String::from_utf8_lossy(&started.stdout))
}

fn points(text: &str) -> Vec<String> {
    text.trim().split(',').map(str::to_owned).collect()
}

impl Shared {
    fn join() -> Self {
        // One per checkout, so that two of them do not test each other's.
        let place = SCRIPT.bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
        let directory = std::env::temp_dir().join(format!("holdfast-cassandra-{place:x}"));
        let _lock = lock(&directory);
        let found = std::fs::read_to_string(directory.join("contacts")).map(|text| points(&text)).unwrap_or_default();
        let runs = found.first().is_some_and(|point| TcpStream::connect(point).is_ok());
        let directory_text = directory.to_str().expect("a path");
        if !runs && directory.exists() {
            script(&["stop", directory_text]);
            std::fs::remove_dir_all(&directory).expect("what a dead one left can be removed");
        }
        let user = user(&directory);
        let contact_points = if runs {
            found
        } else {
            let parent = std::os::unix::process::parent_id().to_string();
            start(&["start", "--password", "--guard", &parent, directory_text])
        };
        let shared = Self { contact_points, _user: user };
        shared.migrate("holdfast_test");
        shared
    }

    /// How to get in, to this keyspace.
    #[must_use]
    pub fn settings(&self, keyspace: &str) -> Settings {
        settings(&self.contact_points, keyspace)
    }

    /// A keyspace with the tables of a ledger that all tests use; they tell their logs apart by name.
    #[must_use]
    pub fn ledger(&self) -> Settings {
        self.settings("holdfast_test")
    }

    /// Makes a keyspace with the tables of a ledger.
    pub fn migrate(&self, keyspace: &str) -> Settings {
        let settings = self.settings(keyspace);
        make(settings.clone(), 1);
        settings
    }
}

/// The right to look at these nodes, and to start or end them. A guard that ends them removes the file of the lock that it holds:
/// whoever then gets a lock on that file has one on nothing, and begins again.
fn lock(directory: &Path) -> File {
    let path = directory.with_extension("lock");
    loop {
        let lock = File::create(&path).expect("a lock");
        lock.lock().expect("the lock");
        let (locked, there) = (lock.metadata().expect("a file"), std::fs::metadata(&path));
        if there.is_ok_and(|there| (there.dev(), there.ino()) == (locked.dev(), locked.ino())) {
            return lock;
        }
    }
}

/// Says to the guard of these nodes that they are in use, as long as the file is open.
fn user(directory: &Path) -> File {
    std::fs::create_dir_all(directory).expect("a directory");
    let user = File::options().create(true).append(true).open(directory.join("users")).expect("a file of users");
    user.lock_shared().expect("the lock of the users");
    user
}

fn settings(contact_points: &[String], keyspace: &str) -> Settings {
    Settings { user: USER.to_owned(), password: USER.to_owned(), ..Settings::new(contact_points.to_vec(), keyspace) }
}

/// On a thread of its own: the caller may be inside a runtime.
fn make(settings: Settings, factor: u16) {
    let migrating = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(migrate(&settings, Some(Replication { factor })))
    });
    migrating.join().expect("a thread").expect("the keyspace can be made");
}

/// Nodes of one test. Stopped and removed with it, and by a guard when the test's process dies before.
#[derive(Debug)]
pub struct Own {
    directory: PathBuf,
    contact_points: Vec<String>,
    /// Locked as long as this lives.
    _user: File,
}

impl Own {
    /// Starts one node, or three; `None` where this machine cannot. With a keyspace `holdfast_test` on all of them.
    #[must_use]
    pub fn start(nodes: u16) -> Option<Self> {
        if !is_possible() {
            return None;
        }
        let name = format!("holdfast-cassandra-{}-{:x}", std::process::id(), rand::random::<u32>());
        let directory = std::env::temp_dir().join(name);
        let path = directory.to_str().expect("a path").to_owned();
        let (count, guard) = (nodes.to_string(), std::process::id().to_string());
        let user = user(&directory);
        let contact_points = start(&["start", "--nodes", &count, "--guard", &guard, &path]);
        let own = Self { directory, contact_points, _user: user };
        make(own.settings(), nodes);
        Some(own)
    }

    /// How to get in.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings::new(self.contact_points.clone(), "holdfast_test")
    }

    /// Where node `n` (from 1) keeps its things.
    fn node(&self, n: u16) -> PathBuf {
        self.directory.join(format!("node{n}"))
    }

    fn signal(&self, n: u16, signal: Signal) {
        let pid = pid(&self.node(n)).expect("a node that runs");
        kill_process(pid, signal).expect("a process of ours");
    }

    /// kill -9, and waits until it is gone.
    pub fn kill(&self, n: u16) {
        let pid = pid(&self.node(n)).expect("a node that runs");
        self.signal(n, Signal::KILL);
        while Path::new(&format!("/proc/{}/fd", pid.as_raw_nonzero()))
            .read_dir()
            .is_ok_and(|mut fds| fds.next().is_some())
        {
            thread::yield_now();
        }
    }

    /// Starts it again, and waits until it answers.
    pub fn restart(&self, n: u16) {
        let started = script(&["start-node", &n.to_string(), self.directory.to_str().expect("a path")]);
        assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
    }

    /// Freezes it: it keeps its connections and answers nothing.
    pub fn freeze(&self, n: u16) {
        self.signal(n, Signal::STOP);
    }

    /// Lets it go on.
    pub fn thaw(&self, n: u16) {
        self.signal(n, Signal::CONT);
    }
}

fn pid(node: &Path) -> Option<Pid> {
    Pid::from_raw(std::fs::read_to_string(node.join("pid")).ok()?.trim().parse().ok()?)
}

impl Drop for Own {
    fn drop(&mut self) {
        for n in 1..=3 {
            // Nothing of it is needed any more.
            if let Some(pid) = pid(&self.node(n)) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        let _ = script(&["stop", self.directory.to_str().unwrap_or_default()]);
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

#[cfg(test)]
mod tests {
    use std::process::Child;
    use std::time::{Duration, Instant};

    use super::*;

    /// A guard of a directory without nodes, for a process that has ended.
    fn guarded(directory: &Path) -> Child {
        let mut ended = Command::new("true").spawn().unwrap();
        let pid = ended.id().to_string();
        ended.wait().unwrap();
        Command::new(SCRIPT).args(["guard", &pid]).arg(directory).spawn().unwrap()
    }

    fn ends(mut guard: Child) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while guard.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "the guard does not end");
            thread::park_timeout(Duration::from_millis(10));
        }
    }

    #[test]
    fn a_guard_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("nodes");
        std::fs::create_dir(&directory).unwrap();
        ends(guarded(&directory));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn who_waited_for_a_guard_s_lock_has_one_on_a_file_that_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("nodes");
        std::fs::create_dir(&directory).unwrap();
        // As a guard does: it holds the lock, and removes what it locked. Another one waits for it meanwhile.
        let path = directory.with_extension("lock");
        let held = File::create(&path).unwrap();
        held.lock().unwrap();
        let waiting = thread::spawn({
            let directory = directory.clone();
            move || lock(&directory)
        });
        std::fs::remove_file(&path).unwrap();
        drop(held);
        let got = waiting.join().unwrap();
        assert_eq!(got.metadata().unwrap().ino(), std::fs::metadata(&path).unwrap().ino());
        // A guard cannot end what somebody uses, and waits for whoever looks.
        let using = user(&directory);
        let guard = guarded(&directory);
        drop(got);
        let mine = lock(&directory);
        assert!(directory.exists());
        drop((using, mine));
        ends(guard);
        assert!(!directory.exists() && !path.exists());
    }
}
