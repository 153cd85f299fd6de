//! A node of a test's cluster as a process, and who clears up after a test that cannot.

use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

/// Ports below those that the system gives to outgoing connections.
const PORTS: std::ops::Range<u16> = 16_400..32_000;

/// One redis-server. Killed with it.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) port: u16,
    pub(super) directory: PathBuf,
    pub(super) bus: u16,
    arguments: Vec<String>,
    pub(super) child: Option<Child>,
}

pub(super) fn other(why: impl Into<String>) -> io::Error {
    io::Error::other(why.into())
}

/// A port that nobody listens on. Tests of other processes look elsewhere.
pub(super) fn free_port() -> io::Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let size = PORTS.end - PORTS.start;
    let begin = u16::try_from(u64::from(std::process::id()) * 37 % u64::from(size)).unwrap_or(0);
    for _ in 0..1_000 {
        let port = PORTS.start + (begin + NEXT.fetch_add(1, Ordering::Relaxed) % size) % size;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err(other("no free port"))
}

impl Server {
    pub(super) fn new(directory: PathBuf, settings: &[(&str, &str)]) -> io::Result<Self> {
        std::fs::create_dir(&directory)?;
        let (port, bus) = (free_port()?, free_port()?);
        let own = [
            ("port", &*port.to_string()),
            ("cluster-port", &bus.to_string()),
            ("bind", "127.0.0.1"),
            ("dir", &directory.display().to_string()),
            ("pidfile", &directory.join(PID_FILE).display().to_string()),
            ("logfile", &directory.join("redis.log").display().to_string()),
            ("save", ""),
            ("appendonly", "yes"),
            ("appendfsync", "everysec"),
            ("maxmemory-policy", "noeviction"),
            ("enable-debug-command", "local"),
            ("cluster-enabled", "yes"),
            ("cluster-node-timeout", "2000"),
            ("cluster-require-full-coverage", "no"),
            ("cluster-allow-replica-migration", "no"),
            ("repl-diskless-sync-delay", "0"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let given = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let arguments = own.into_iter().chain(given).flat_map(|(name, value)| [format!("--{name}"), value]).collect();
        Ok(Self { port, bus, directory, arguments, child: None })
    }

    pub(super) fn start(&mut self) -> io::Result<()> {
        let child = Command::new("redis-server")
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        self.child = Some(child);
        Ok(())
    }

    pub(super) fn kill(&mut self) -> io::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Whether it ended by itself.
    pub(super) fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| !matches!(child.try_wait(), Ok(None)))
    }

    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("redis.log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// What a server writes its process id to.
pub(super) const PID_FILE: &str = "redis.pid";

/// Kills what runs in a directory, which servers keep as theirs, and removes it, when its standard input ends.
const CLEAR_UP: &str = r#"
trap '' HUP INT TERM
read -r _
for file in "$1"/redis.pid "$1"/*/redis.pid; do
    [ -s "$file" ] || continue
    pid=$(cat "$file")
    case $(readlink "/proc/$pid/cwd") in "$1" | "$1"/*) kill -9 "$pid" ;; esac
done
rm -rf "$1"
"#;

/// Clears up behind a test that is killed: the system then closes what the guard reads from. Behind one that ends by itself
/// it finds nothing; drop it last.
#[derive(Debug)]
pub(super) struct Guard {
    shell: Child,
}

impl Guard {
    pub(super) fn of(directory: &Path) -> io::Result<Self> {
        let mut shell = Command::new("sh");
        shell.args(["-c", CLEAR_UP, "guard"]).arg(directory.canonicalize()?);
        let shell = shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        Ok(Self { shell })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_guard_kills_and_removes_what_a_killed_test_left_behind_and_nothing_else() {
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let sleep = |at: &Path| Command::new("sleep").arg("60").current_dir(at).spawn().unwrap();
        let (mut left, mut other) = (sleep(folder.path()), sleep(elsewhere.path()));
        let node = folder.path().join("1");
        std::fs::create_dir(&node).unwrap();
        std::fs::write(folder.path().join(PID_FILE), left.id().to_string()).unwrap();
        // A number that somebody else has by now.
        std::fs::write(node.join(PID_FILE), other.id().to_string()).unwrap();
        drop(Guard::of(folder.path()).unwrap());
        assert!(!folder.path().exists());
        let begin = Instant::now();
        while left.try_wait().unwrap().is_none() {
            assert!(begin.elapsed() < Duration::from_secs(10), "it still runs");
            std::thread::sleep(Duration::from_millis(2));
        }
        assert!(other.try_wait().unwrap().is_none(), "it was not ours");
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
