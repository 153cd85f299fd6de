//! Somebody else on the embedded ledger's file.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

/// Longest wait for the file's own writers to let go.
const WAIT: Duration = Duration::from_secs(20);

/// The write lock of an embedded ledger's file, held from another process as a backup or an SQL shell would: nobody appends
/// until it is dropped, and nothing is changed by it.
#[derive(Debug)]
pub struct WriteLock(Connection);

impl WriteLock {
    /// Takes the lock. Blocks until whoever has it lets go.
    #[must_use]
    pub fn take(file: &Path) -> Self {
        let connection = Connection::open(file).unwrap();
        connection.busy_timeout(WAIT).unwrap();
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        Self(connection)
    }
}

impl Drop for WriteLock {
    fn drop(&mut self) {
        let _ = self.0.execute_batch("ROLLBACK");
    }
}
