//! Opening the file: whose it is, which version, whether it is sound, and the settings every connection needs.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use domain::limits::{LEDGER_LOCK_MS, MAX_CHECKED_BYTES, RESEND_MS};
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::failure::{Stage, failure, has_directory};
use crate::Error;

/// "HOLD" in the file's header, shown by `file` and checked before anything is touched.
pub(super) const APPLICATION_ID: i32 = 0x484F_4C44;
/// Version of the schema below, in the file's `user_version`.
pub(super) const VERSION: i32 = 1;

/// One row of `segments` is what a partition's static cells are in CQL; one row of `appends` is one append (R3).
/// Without rowids, because every access is by the key and a log's appends lie side by side.
const SCHEMA: &str = "
CREATE TABLE segments (
    log     TEXT    NOT NULL,
    segment INTEGER NOT NULL,
    fence   INTEGER NOT NULL,
    owner   TEXT    NOT NULL,
    head    INTEGER NOT NULL,
    sealed  INTEGER NOT NULL,
    PRIMARY KEY (log, segment)
) STRICT, WITHOUT ROWID;
CREATE TABLE appends (
    log       TEXT    NOT NULL,
    segment   INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    count     INTEGER NOT NULL,
    append_id BLOB    NOT NULL,
    events    TEXT    NOT NULL,
    PRIMARY KEY (log, segment, first_seq)
) STRICT, WITHOUT ROWID;
";

/// Bytes of the write-ahead log that stay allocated between checkpoints: many checkpoints' worth, so that it is rarely cut.
const WAL_KEPT_BYTES: i64 = 64 << 20;

/// The file, and which one it was when it was opened.
#[derive(Clone, Debug)]
pub(super) struct DataFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl DataFile {
    /// Opens or creates the file, checks it, and remembers which one it is. Several processes may do so at once: making the file and changing its
    /// journal takes a lock that SQLite does not wait for.
    pub(super) fn open(path: &Path) -> Result<(Self, Connection), Error> {
        let deadline = Instant::now() + Duration::from_millis(LEDGER_LOCK_MS);
        loop {
            match Self::try_open(path) {
                Err(Error::Locked { .. }) if Instant::now() < deadline => {
                    thread::sleep(Duration::from_millis(RESEND_MS.0))
                }
                opened => return opened,
            }
        }
    }

    fn try_open(path: &Path) -> Result<(Self, Connection), Error> {
        if !has_directory(path) {
            return Err(Error::NoDirectory { path: path.to_path_buf() });
        }
        let fail = |error: rusqlite::Error| failure(path, &error, Stage::BeforeCommit);
        let mut connection = connect(path, OpenFlags::SQLITE_OPEN_CREATE).map_err(fail)?;
        if connection.is_readonly(rusqlite::MAIN_DB).map_err(fail)? {
            return Err(Error::ReadOnly { path: path.to_path_buf() });
        }
        let fresh = belongs(path, &connection)?;
        settle(path, &connection)?;
        if fresh {
            create(&mut connection).map_err(fail)?;
            belongs(path, &connection)?;
        }
        sound(path, &connection)?;
        sync_folder(path)?;
        let meta = fs::metadata(path).map_err(|error| gone(path, &error))?;
        Ok((Self { path: path.to_path_buf(), device: meta.dev(), inode: meta.ino() }, connection))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Another connection for writing, after the first one has failed.
    pub(super) fn writer(&self) -> Result<Connection, Error> {
        self.present()?;
        let connection = connect(&self.path, OpenFlags::empty()).map_err(|error| self.failure(&error))?;
        belongs(&self.path, &connection)?;
        settle(&self.path, &connection)?;
        Ok(connection)
    }

    /// A connection for reading.
    pub(super) fn reader(&self) -> Result<Connection, Error> {
        self.present()?;
        let connection = connect(&self.path, OpenFlags::empty()).map_err(|error| self.failure(&error))?;
        connection.pragma_update(None, "query_only", true).map_err(|error| self.failure(&error))?;
        Ok(connection)
    }

    /// That the path still leads to the file that was opened. SQLite would go on writing to a deleted file, and what it acknowledges there
    /// would be gone at the next start (I3).
    pub(super) fn present(&self) -> Result<(), Error> {
        match fs::metadata(&self.path) {
            Ok(meta) if meta.dev() == self.device && meta.ino() == self.inode => Ok(()),
            Ok(_) => Err(Error::unavailable(format!(
                "{} was replaced while in use: stop holdfast, decide which file is right, start again",
                self.path.display()
            ))),
            Err(error) => Err(gone(&self.path, &error)),
        }
    }

    pub(super) fn failure(&self, error: &rusqlite::Error) -> Error {
        failure(&self.path, error, Stage::BeforeCommit)
    }

    /// Bytes of the file and its write-ahead log.
    pub(super) fn bytes(&self) -> u64 {
        let size = |path: &Path| fs::metadata(path).map_or(0, |meta| meta.len());
        size(&self.path) + size(&wal(&self.path))
    }
}

fn wal(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}

fn gone(path: &Path, error: &std::io::Error) -> Error {
    Error::unavailable(format!(
        "{} was moved or deleted while in use ({error}): put it back, start again",
        path.display()
    ))
}

fn connect(path: &Path, extra: OpenFlags) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | extra;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_millis(LEDGER_LOCK_MS))?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // Finds damaged pages when they are read, not when their content has already been believed.
    connection.pragma_update(None, "cell_size_check", true)?;
    Ok(connection)
}

/// Whether the file is new; an error when it is not one of ours or newer than this program. Changes nothing.
fn belongs(path: &Path, connection: &Connection) -> Result<bool, Error> {
    let fail = |error: rusqlite::Error| failure(path, &error, Stage::BeforeCommit);
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0)).map_err(fail);
    let application = pragma("application_id")?;
    let version = pragma("user_version")?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0)).map_err(fail)?;
    match (application, version) {
        (0, 0) if tables == 0 => Ok(true),
        (APPLICATION_ID, VERSION) => Ok(false),
        (APPLICATION_ID, newer) if newer > VERSION => Err(Error::NewerVersion {
            path: path.to_path_buf(),
            found: newer.unsigned_abs(),
            known: VERSION.unsigned_abs(),
        }),
        (APPLICATION_ID, odd) => Err(Error::Corrupt { path: path.to_path_buf(), why: format!("its version is {odd}") }),
        _ => Err(Error::Foreign { path: path.to_path_buf() }),
    }
}

/// Durability of a writing connection: write-ahead log, and an fsync before COMMIT answers (I3).
fn settle(path: &Path, connection: &Connection) -> Result<(), Error> {
    let fail = |error: rusqlite::Error| failure(path, &error, Stage::BeforeCommit);
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0)).map_err(fail)?;
    if mode != "wal" {
        let why =
            format!("{} is on a disk without shared memory (journal mode {mode}): use a local disk", path.display());
        return Err(Error::unavailable(why));
    }
    // A write-ahead log that a long read has let grow gives its space back.
    connection.pragma_update_and_check(None, "journal_size_limit", WAL_KEPT_BYTES, |_| Ok(())).map_err(fail)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(fail)
}

fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been faster.
    let tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))?;
    if tables == 0 {
        transaction.execute_batch(SCHEMA)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    transaction.commit()
}

/// A bounded check. What it leaves out is found when it is read: every read checks that numbers have no gap.
fn sound(path: &Path, connection: &Connection) -> Result<(), Error> {
    let whole = fs::metadata(path).map_or(0, |meta| meta.len()) <= MAX_CHECKED_BYTES;
    let check = if whole { "PRAGMA quick_check(1)" } else { "PRAGMA quick_check('segments')" };
    let found: String = connection
        .query_row(check, (), |row| row.get(0))
        .map_err(|error| failure(path, &error, Stage::BeforeCommit))?;
    if found == "ok" { Ok(()) } else { Err(Error::Corrupt { path: path.to_path_buf(), why: found.replace('\n', " ") }) }
}

/// Makes the file's name as durable as its content.
fn sync_folder(path: &Path) -> Result<(), Error> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| Error::unavailable(format!("{}: {error}", folder.display())))
}
