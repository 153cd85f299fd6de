//! The data directory: one program at a time, one format, everything of an appliance in one place.
//!
//! ```text
//! DATA/format      version of this layout
//! DATA/lock        flock of the program that uses it, with its process id
//! DATA/sold        there, once the ledger had a sale
//! DATA/keys.toml   token, operator and visitor keys (0600)
//! DATA/ledger.db   the ledger (SQLite, with -wal and -shm beside it)
//! DATA/redis/      append-only files of the own redis-server; redis.conf, redis.log, redis.pid, redis.sock beside it
//! ```

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::failure::{Failure, remedy};
use crate::files;

/// Version of the layout. A change that an older program could not read needs a new one.
const FORMAT: &str = "1";
/// Bytes of `lock` and `format` that are looked at: a process id, a version.
const SMALL: u64 = 64;

/// Says that there were sales.
const SOLD: &str = "sold";

/// How often the lock is tried, and the time between: what somebody who only looks may take, many times over.
const LOCK_TRIES: u32 = 10;
const LOCK_AGAIN: Duration = Duration::from_millis(20);

/// Paths inside a data directory. Nothing is opened or locked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The layout of the directory, which need not exist. Made absolute, so that it means the same to a child process.
    pub(crate) fn new(root: &Path) -> Self {
        let root = root.canonicalize().or_else(|_| std::path::absolute(root)).unwrap_or_else(|_| root.to_owned());
        Self { root }
    }

    /// The directory.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Notes that the ledger has sales: from now on an empty one is a lost one.
    pub(crate) fn mark_sold(&self) -> io::Result<()> {
        if self.has_sold() {
            return Ok(());
        }
        files::write_atomically(&self.path(SOLD), "the ledger of this directory has sales\n", 0o644)
    }

    /// Whether the ledger had sales once.
    pub(crate) fn has_sold(&self) -> bool {
        self.path(SOLD).exists()
    }

    /// `relative` inside the directory; an absolute path stays as it is.
    pub(crate) fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }
}

/// A data directory in use by this process, until it is dropped or the process ends in whatever way.
#[derive(Debug)]
pub(crate) struct DataDir {
    layout: Layout,
    /// Held for its flock.
    _lock: File,
}

impl DataDir {
    /// Creates the directory when it is not there, locks it and checks its format.
    ///
    /// # Errors
    /// Not a directory, not writable, in use by another program, or of another version: one line each.
    pub(crate) fn open(root: &Path) -> Result<Self, Failure> {
        let shown = root.display();
        let what = format!("data directory {shown}");
        DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(|error| not_usable(&what, &error))?;
        let layout = Layout::new(root);
        let lock = lock(&layout.path("lock"), &what)?;
        check_format(&layout, &what)?;
        Ok(Self { layout, _lock: lock })
    }

    /// Where things are.
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }
}

/// Whether a program has this data directory locked now.
pub(crate) fn in_use(layout: &Layout) -> bool {
    File::open(layout.path("lock")).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

fn not_usable(what: &str, error: &io::Error) -> Failure {
    let why = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => format!("not writable ({error})"),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => format!("the disk is full ({error})"),
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => "not a directory".to_owned(),
        _ => error.to_string(),
    };
    let elsewhere = "name another directory with --data DIR";
    let fix = match remedy(error) {
        "" => elsewhere.to_owned(),
        remedy => format!("{remedy}, or {elsewhere}"),
    };
    Failure::new(what, why, fix)
}

fn lock(path: &Path, what: &str) -> Result<File, Failure> {
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(|error| not_usable(what, &error))?;
    match try_lock(&file) {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let _ = (&file).take(SMALL).read_to_string(&mut pid);
            let who = match pid.trim() {
                "" => "another holdfast".to_owned(),
                pid => format!("another holdfast (process {pid})"),
            };
            return Err(Failure::new(
                what,
                format!("in use by {who}"),
                "stop that one, or name another directory with --data DIR",
            ));
        }
        Err(TryLockError::Error(error)) => return Err(not_usable(what, &error)),
    }
    // For people and for the message above; the lock itself is the flock.
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(|error| not_usable(what, &error))?;
    Ok(file)
}

/// A command that looks whether a program runs ([`in_use`]) has the lock for a moment: that is nobody to be refused for.
fn try_lock(file: &File) -> Result<(), TryLockError> {
    for _ in 1..LOCK_TRIES {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_AGAIN),
            done => return done,
        }
    }
    file.try_lock()
}

fn check_format(layout: &Layout, what: &str) -> Result<(), Failure> {
    let path = layout.path("format");
    let found = match File::open(&path) {
        Ok(file) => {
            let mut bytes = Vec::new();
            file.take(SMALL).read_to_end(&mut bytes).map_err(|error| not_usable(what, &error))?;
            String::from_utf8_lossy(&bytes).trim().to_owned()
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if has_foreign_files(layout.root()).map_err(|error| not_usable(what, &error))? {
                return Err(Failure::new(
                    what,
                    "holds files, but none that says it is a data directory of holdfast",
                    "name an empty or new directory with --data DIR",
                ));
            }
            return files::write_atomically(&path, &format!("{FORMAT}\n"), 0o644)
                .map_err(|error| not_usable(what, &error));
        }
        Err(error) => return Err(not_usable(what, &error)),
    };
    if found == FORMAT {
        return Ok(());
    }
    Err(Failure::new(
        what,
        format!("has format {found:?}, this program ({}) knows format {FORMAT}", env!("CARGO_PKG_VERSION")),
        "run the holdfast that wrote it, or name another directory with --data DIR",
    ))
}

/// Anything but our lock, keys that were put there beforehand, what a file system puts into its root, and hidden files: a
/// directory that is somebody else's.
fn has_foreign_files(root: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(root)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        if !["lock", "keys.toml", "lost+found"].contains(&&*name) && !name.starts_with('.') {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_fresh_directory_is_made_and_can_be_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("a/b");
        drop(DataDir::open(&root).unwrap());
        let data = DataDir::open(&root).unwrap();
        assert!(data.layout().path("format").exists());
    }

    #[test]
    fn two_programs_on_one_directory_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        assert!(!in_use(&layout));
        let first = DataDir::open(folder.path()).unwrap();
        assert!(in_use(&layout));
        let error = DataDir::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("in use by another holdfast (process {})", std::process::id())), "{error}");
        drop(first);
        assert!(!in_use(&layout));
    }

    #[test]
    fn another_version_is_refused_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("format"), "99\n").unwrap();
        let error = DataDir::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("has format \"99\"") && error.contains("--data DIR"), "{error}");
    }

    #[test]
    fn a_format_that_is_no_text_is_another_version() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("format"), [0xff; 100]).unwrap();
        let error = DataDir::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("has format"), "{error}");
    }

    #[test]
    fn somebody_elses_directory_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("holiday.jpg"), "x").unwrap();
        let error = DataDir::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("holds files"), "{error}");
        assert!(!folder.path().join("format").exists());
    }

    #[test]
    fn a_file_in_place_of_the_directory_is_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "x").unwrap();
        let error = DataDir::open(&path).unwrap_err().to_string();
        assert!(error.contains("not a directory") && error.contains("file away"), "{error}");
    }

    #[test]
    fn a_full_disk_is_not_told_to_be_made_writable() {
        let full = io::Error::from_raw_os_error(rustix::io::Errno::NOSPC.raw_os_error());
        let error = not_usable("data directory d", &full).to_string();
        assert!(error.contains("disk is full") && error.contains("free some space"), "{error}");
        assert!(!error.contains("writable"), "{error}");
    }
}
