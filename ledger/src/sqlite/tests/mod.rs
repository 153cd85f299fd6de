#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod conformance;
mod damage;
mod kill;
mod opening;
mod processes;
mod running;
mod space;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use domain::LogId;
use tempfile::TempDir;

use super::Sqlite;
use super::writer::Write;
use crate::{Append, Error, Store as _, Writer};

/// A folder of its own, gone at the end of the test.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("ledger.db")
    }
}

/// A small disk of memory, where this machine lets us mount one; unmounted at the end of the test.
struct Disk(Folder);

impl Disk {
    /// `None` where mounting is not allowed; the tests that need one then say so and test what they can without.
    fn mounted(bytes: u64) -> Option<Self> {
        let disk = Self(Folder::new());
        mount(&["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"], disk.path()).then_some(disk)
    }

    fn path(&self) -> &Path {
        self.0.0.path()
    }

    fn file(&self) -> PathBuf {
        self.0.file()
    }

    fn read_only(&self) {
        assert!(mount(&["-o", "remount,ro"], self.path()));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).stderr(Stdio::null()).status();
    }
}

fn mount(arguments: &[&str], on: &Path) -> bool {
    let status = Command::new("mount").args(arguments).arg(on).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn log(lane: u16) -> LogId {
    LogId::lane(&"test".parse().unwrap(), lane)
}

fn text(event: impl Into<String>) -> Vec<String> {
    vec![event.into()]
}

async fn append(store: &Sqlite, writer: &Writer, event: &str) -> Result<Writer, Error> {
    match store.append(writer, &text(event)).await? {
        Append::Appended(writer) => Ok(writer),
        Append::Fenced(head) => panic!("fenced: {head:?}"),
    }
}

/// Changes something on the writer's connection.
async fn meddle(store: &Sqlite, sql: &'static str) {
    store.writes.as_ref().unwrap().write(Write::Meddle(Some(sql))).await.unwrap();
}

/// Asks until the answer is right.
async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "not within 20 s: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// One line that names the file and says what to do.
fn is_clear(error: &Error, file: &Path) {
    let line = error.to_string();
    assert!(line.contains(file.to_str().unwrap()) && !line.contains('\n') && line.contains(':'), "{line}");
}
