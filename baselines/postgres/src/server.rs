//! A PostgreSQL server of one's own: a fresh data directory, a Unix socket, settings for many small commits.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// Why it cannot be used.
pub(crate) type Failed = Box<dyn std::error::Error + Send + Sync>;

const START_WITHIN: Duration = Duration::from_secs(30);

/// Durable commits (`fsync`, `synchronous_commit` as shipped), and what tuning gives for this load: WAL that needs no checkpoint
/// while a run lasts, compressed full pages, no work in the background that a run would wait for, `commit_delay` off because the
/// program forms the groups.
const SETTINGS: [&str; 15] = [
    "listen_addresses=",
    "max_connections=200",
    "shared_buffers=1GB",
    "wal_buffers=64MB",
    "max_wal_size=8GB",
    "min_wal_size=1GB",
    "checkpoint_timeout=30min",
    "wal_compression=lz4",
    "wal_level=minimal",
    "max_wal_senders=0",
    "autovacuum_naptime=5s",
    "jit=off",
    "huge_pages=try",
    "log_min_messages=error",
    "log_min_error_statement=panic",
];

/// Ends with its directory when dropped.
pub(crate) struct Server {
    postgres: Child,
    directory: tempfile::TempDir,
}

impl Server {
    pub(crate) fn start() -> Result<Self, Failed> {
        let directory = tempfile::Builder::new().prefix("pg").tempdir()?;
        let data = directory.path().join("data");
        if is_root() {
            // It refuses to run as root; its package brings a user.
            run(Command::new("chown").arg("postgres").arg(directory.path()))?;
        }
        run(as_user("initdb").args(["-D", text(&data), "-U", "bench", "-A", "trust", "--no-sync", "-E", "UTF8"]))?;
        let mut postgres = as_user("postgres");
        postgres.args(["-D", text(&data), "-k", text(directory.path())]);
        for setting in SETTINGS {
            postgres.args(["-c", setting]);
        }
        let server = Self { postgres: postgres.spawn()?, directory };
        let socket = server.socket().join(".s.PGSQL.5432");
        let until = Instant::now() + START_WITHIN;
        while !data.join("postmaster.pid").exists() || !socket.exists() {
            if Instant::now() > until {
                return Err("PostgreSQL does not start: see what it said above".into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    /// The directory of its socket.
    pub(crate) fn socket(&self) -> &Path {
        self.directory.path()
    }

    /// The process whose descendants are the server.
    pub(crate) fn pid(&self) -> u32 {
        self.postgres.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // At once: nobody needs this data again. The first line of the file is the server, whoever started it.
        let file = self.directory.path().join("data/postmaster.pid");
        let pid = std::fs::read_to_string(file).ok().and_then(|text| Some(text.lines().next()?.to_owned()));
        if let Some(pid) = pid {
            let _ = Command::new("kill").args(["-QUIT", &pid]).status();
        }
        let _ = self.postgres.wait();
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0)
}

/// A program of PostgreSQL; Debian keeps it out of the path.
fn as_user(name: &str) -> Command {
    let program = installed(name);
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    command
}

fn installed(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> =
        versions.map(|version| version.path().join("bin").join(name)).filter(|path| path.exists()).collect();
    found.sort();
    found.pop().unwrap_or_else(|| name.into())
}

fn run(command: &mut Command) -> Result<(), Failed> {
    let out = command.output()?;
    if out.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&out.stderr).trim()).into())
}

fn text(path: &Path) -> &str {
    // Temporary directories have names of ASCII.
    path.to_str().unwrap_or_default()
}
