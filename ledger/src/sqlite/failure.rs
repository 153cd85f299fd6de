//! What SQLite's error codes mean for the ledger.

use std::fs::File;
use std::path::Path;

use rusqlite::ErrorCode;

use crate::Error;

/// How far a transaction had come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// COMMIT was not yet sent: whatever happened is rolled back.
    BeforeCommit,
    /// COMMIT failed.
    Commit,
}

/// A segment of the shared-memory index could not be enlarged: its disk is full.
const IOERR_SHMSIZE: i32 = rusqlite::ffi::SQLITE_IOERR_SHMSIZE;

/// Turns an error of SQLite into what callers and operators need to know.
///
/// A failed COMMIT is doubtful: when the fsync failed, the frames may be found by recovery after a crash. Not so when it failed for lack of space
/// (the frame that makes a transaction count is written last) or for a lock (nothing was written).
pub(super) fn failure(path: &Path, error: &rusqlite::Error, stage: Stage) -> Error {
    let path_buf = path.to_path_buf();
    let rusqlite::Error::SqliteFailure(code, text) = error else {
        // A value of a type that the schema rules out, a column that is not there: the file is not what it was.
        return Error::Corrupt { path: path_buf, why: error.to_string() };
    };
    let why = text.clone().unwrap_or_else(|| code.to_string());
    match (code.code, stage) {
        (ErrorCode::DiskFull, _) => Error::Full { path: path_buf },
        (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => Error::Locked { path: path_buf },
        (_, Stage::Commit) => Error::unknown(format!("commit to {} failed: {why}", path.display())),
        (ErrorCode::SystemIoFailure, _) if code.extended_code == IOERR_SHMSIZE => Error::Full { path: path_buf },
        (ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::ConstraintViolation, _) => {
            Error::Corrupt { path: path_buf, why }
        }
        (ErrorCode::ReadOnly | ErrorCode::PermissionDenied, _) => Error::ReadOnly { path: path_buf },
        (ErrorCode::CannotOpen, _) if !has_directory(path) => Error::NoDirectory { path: path_buf },
        (ErrorCode::CannotOpen, _) if no_more_files() => {
            Error::unavailable(format!("{}: too many open files: raise the limit (ulimit -n)", path.display()))
        }
        (ErrorCode::CannotOpen, _) => Error::ReadOnly { path: path_buf },
        _ => Error::unavailable(format!("{}: {why}", path.display())),
    }
}

/// Whether no file can be opened at all. SQLite does not say why it could not: EMFILE and ENFILE of every Unix.
fn no_more_files() -> bool {
    File::open("/dev/null").is_err_and(|error| matches!(error.raw_os_error(), Some(23 | 24)))
}

/// Whether the file's folder exists.
pub(super) fn has_directory(path: &Path) -> bool {
    match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => true,
        Some(folder) => folder.is_dir(),
        None => false,
    }
}
