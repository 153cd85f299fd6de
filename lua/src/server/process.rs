//! A node of a test's cluster as a process.

use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
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

    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("redis.log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
