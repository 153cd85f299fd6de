//! Where the own redis-server lives and how it is configured.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::data::Layout;
use crate::failure::{Failure, remedy};
use crate::files;

/// Bytes of a unix socket's path: `sun_path` has 108 with the closing zero.
const MAX_SOCKET_PATH: usize = 107;
/// Milliseconds a script may run before Redis answers others BUSY: half of what one of our calls waits.
const BUSY_MS: u64 = domain::limits::REDIS_CALL_MS / 2;
/// Bytes a disk must have left for a start.
const LEAST_ROOM: u64 = 64 << 10;
/// Lines of redis.log shown when it does not start.
const LOG_LINES: usize = 3;

/// The files of one redis-server and the programs that start it.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// redis-server itself.
    pub(crate) program: PathBuf,
    /// `setpriv`, where there is one: ends redis-server when we die.
    pub(crate) setpriv: Option<PathBuf>,
    /// Its configuration; its only argument, and so what tells it from other redis-servers.
    pub(crate) conf: PathBuf,
    /// Where its append-only file lives.
    pub(crate) dir: PathBuf,
    /// Where it listens.
    pub(crate) socket: PathBuf,
    /// Where it writes its process id.
    pub(crate) pid: PathBuf,
    /// Where it logs.
    pub(crate) log: PathBuf,
}

impl Plan {
    /// The plan for a data directory. `program` is a path, or a name to be found in PATH.
    ///
    /// # Errors
    /// redis-server is not installed; no private place for its socket.
    pub(crate) fn new(layout: &Layout, program: &str) -> Result<Self, Failure> {
        let missing = || {
            Failure::new(
                "redis-server",
                format!("{program} is not installed, or not in PATH"),
                "apt-get install redis-server, or say where it is with HOLDFAST_REDIS_SERVER",
            )
        };
        Ok(Self {
            program: find(program).ok_or_else(missing)?,
            setpriv: find("setpriv"),
            conf: layout.path("redis.conf"),
            dir: layout.path("redis"),
            socket: socket(layout)?,
            pid: layout.path("redis.pid"),
            log: layout.path("redis.log"),
        })
    }

    /// Writes the configuration and makes the directory.
    pub(super) fn write(&self) -> Result<(), Failure> {
        let written = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.dir)
            .and_then(|()| files::write_atomically(&self.conf, &self.text(), 0o600));
        let what = || format!("files of redis-server beside {}", self.dir.display());
        written.map_err(|error| Failure::new(what(), &error, remedy(&error)))
    }

    fn text(&self) -> String {
        format!(
            "# Written by holdfast at every start: edits are lost.\n\
             port 0\n\
             unixsocket {socket}\n\
             unixsocketperm 700\n\
             dir {dir}\n\
             pidfile {pid}\n\
             logfile {log}\n\
             daemonize no\n\
             # The command line stays as it was started: the next start knows its own by it.\n\
             set-proc-title no\n\
             # What a crash may take is the last second; the ledger gives it back.\n\
             appendonly yes\n\
             appendfsync everysec\n\
             save \"\"\n\
             # Records are never dropped to make room.\n\
             maxmemory-policy noeviction\n\
             busy-reply-threshold {BUSY_MS}\n",
            socket = quoted(&self.socket),
            dir = quoted(&self.dir),
            pid = quoted(&self.pid),
            log = quoted(&self.log),
        )
    }

    /// The failure to start, with what its log says last.
    pub(super) fn does_not_start(&self, why: &str) -> Failure {
        // Its own log cannot say this one.
        if is_full(&self.dir) {
            let why = format!("{why}: the disk of {} is full", self.dir.display());
            return Failure::new("redis-server", why, "free some space on that disk");
        }
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let skip = log.lines().count().saturating_sub(LOG_LINES);
        Failure::new(
            "redis-server",
            why,
            format!(
                "see {}; {} may be moved away, it is rebuilt from the ledger",
                self.log.display(),
                self.dir.display()
            ),
        )
        .with_lines(log.lines().skip(skip).map(str::to_owned))
    }
}

/// Whether the directory's disk has no room for the few lines and the first records a redis-server writes at its start.
fn is_full(folder: &Path) -> bool {
    rustix::fs::statvfs(folder).is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < LEAST_ROOM)
}

/// A path as one argument of redis.conf.
fn quoted(path: &Path) -> String {
    let mut text = String::from("\"");
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'"' | b'\\' => text.extend(['\\', char::from(*byte)]),
            b' '..=b'~' => text.push(char::from(*byte)),
            other => text.push_str(&format!("\\x{other:02x}")),
        }
    }
    text.push('"');
    text
}

/// An executable by path or by name in PATH.
fn find(program: &str) -> Option<PathBuf> {
    let executable =
        |path: &Path| fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0);
    if program.contains('/') {
        return Path::new(program).canonicalize().ok().filter(|path| executable(path));
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(OsStr::new(program))).find(|path| executable(path))
}

/// `DATA/redis.sock`; where that is too long for a socket, `redis.sock` in a private directory of the temporary directory
/// named after the data directory's path, so that the next start looks in the same place.
fn socket(layout: &Layout) -> Result<PathBuf, Failure> {
    let inside = layout.path("redis.sock");
    if inside.as_os_str().len() <= MAX_SOCKET_PATH {
        return Ok(inside);
    }
    let mut hash = DefaultHasher::new();
    layout.root().hash(&mut hash);
    let uid = rustix::process::getuid().as_raw();
    let folder = std::env::temp_dir().join(format!("holdfast-{uid}-{:016x}", hash.finish()));
    let what = format!("socket directory {}", folder.display());
    let refuse =
        |why: &dyn std::fmt::Display| Failure::new(&what, why, "name a shorter data directory with --data DIR");
    DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(|error| refuse(&error))?;
    // Somebody else could have made it first, to read what we write there.
    let meta = fs::symlink_metadata(&folder).map_err(|error| refuse(&error))?;
    if !meta.is_dir() || meta.uid() != uid || meta.mode() & 0o077 != 0 {
        return Err(refuse(&"belongs to somebody else or is open to others"));
    }
    let path = folder.join("redis.sock");
    if path.as_os_str().len() > MAX_SOCKET_PATH {
        return Err(refuse(&"its path is too long for a unix socket as well"));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_long_data_directory_gets_a_short_private_socket_that_stays_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let long = Layout::new(&folder.path().join("x".repeat(120)));
        let first = socket(&long).unwrap();
        assert!(first.as_os_str().len() <= MAX_SOCKET_PATH);
        assert_eq!(first, socket(&long).unwrap());
        let private = first.parent().unwrap();
        assert_eq!(fs::metadata(private).unwrap().mode() & 0o777, 0o700);
        fs::set_permissions(private, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(socket(&long).unwrap_err().to_string().contains("open to others"));
        fs::remove_dir(private).unwrap();
    }

    #[test]
    fn a_short_one_keeps_it_inside() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        assert_eq!(socket(&layout).unwrap(), layout.path("redis.sock"));
    }

    #[test]
    fn paths_with_spaces_quotes_and_umlauts_stay_one_argument() {
        assert_eq!(quoted(Path::new("/a b/\"c\\d/\u{e4}")), "\"/a b/\\\"c\\\\d/\\xc3\\xa4\"");
    }

    #[test]
    fn a_missing_redis_server_names_the_command_that_installs_it() {
        let folder = tempfile::tempdir().unwrap();
        let error = Plan::new(&Layout::new(folder.path()), "no-such-redis").unwrap_err().to_string();
        assert!(error.contains("apt-get install redis-server"), "{error}");
    }
}
