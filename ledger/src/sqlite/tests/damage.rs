//! Damaged files: refused at opening, or found when the damage is read.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rusqlite::Connection;

use super::{Folder, append, is_clear, log};
use crate::{Applied, Error, Sqlite, Store as _};

const EVENTS: u64 = 600;
const PAGE: u64 = 4096;

/// A closed file with enough pages to damage.
async fn filled(folder: &Folder) {
    let store = Sqlite::open(&folder.file()).unwrap();
    let mut writer = store.claim(&log(0), "me").await.unwrap();
    for n in 1..=EVENTS {
        writer = append(&store, &writer, &format!("\"{n} {}\"", "x".repeat(500))).await.unwrap();
    }
}

fn overwrite(file: &Path, at: u64, bytes: &[u8]) {
    OpenOptions::new().write(true).open(file).unwrap().write_all_at(bytes, at).unwrap();
}

fn damaged(error: &Error, file: &Path) {
    assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
    is_clear(error, file);
}

#[tokio::test]
async fn damaged_pages_are_found_when_the_file_is_opened() {
    let folder = Folder::new();
    filled(&folder).await;
    let sound = fs::read(folder.file()).unwrap();
    let pages = sound.len() as u64 / PAGE;
    assert!(pages > 50);
    for page in [1, 2, pages / 2, pages - 1] {
        fs::write(folder.file(), &sound).unwrap();
        overwrite(&folder.file(), page * PAGE, &[0xA5; 200]);
        damaged(&Sqlite::open(&folder.file()).err().expect("must not open"), &folder.file());
    }
    fs::write(folder.file(), &sound).unwrap();
    assert!(Sqlite::open(&folder.file()).is_ok());
}

#[tokio::test]
async fn a_header_that_was_overwritten_or_a_tail_that_is_missing_is_found() {
    let folder = Folder::new();
    filled(&folder).await;
    let sound = fs::read(folder.file()).unwrap();
    overwrite(&folder.file(), 0, b"no longer a header");
    damaged(&Sqlite::open(&folder.file()).err().expect("must not open"), &folder.file());
    fs::write(folder.file(), &sound[..sound.len() / 2]).unwrap();
    damaged(&Sqlite::open(&folder.file()).err().expect("must not open"), &folder.file());
}

#[tokio::test]
async fn damage_that_happens_later_is_an_error_of_its_reader_and_goes_when_it_is_repaired() {
    let folder = Folder::new();
    filled(&folder).await;
    let sound = fs::read(folder.file()).unwrap();
    let store = Sqlite::open(&folder.file()).unwrap();
    overwrite(&folder.file(), PAGE, &vec![0xA5; sound.len() - 4096]);
    for _ in 0..3 {
        damaged(&store.read(&log(0), 0, 1000).await.unwrap_err(), &folder.file());
        damaged(&store.head(&log(0)).await.unwrap_err(), &folder.file());
    }
    overwrite(&folder.file(), 0, &sound);
    assert_eq!(store.head(&log(0)).await.unwrap().head, EVENTS);
    assert_eq!(store.read(&log(0), 0, 1000).await.unwrap().len() as u64, EVENTS);
}

#[tokio::test]
async fn missing_doubled_or_torn_events_are_never_read_as_a_whole_log() {
    let damages = [
        "DELETE FROM appends WHERE first_seq = 300",
        "DELETE FROM appends WHERE first_seq = 1",
        "DELETE FROM appends WHERE first_seq = 600",
        "DELETE FROM appends",
        "UPDATE appends SET count = 2 WHERE first_seq = 300",
        "UPDATE appends SET events = events || char(10) || '\"more\"' WHERE first_seq = 300",
        "UPDATE segments SET head = 599",
        "UPDATE segments SET head = -1",
    ];
    let folder = Folder::new();
    filled(&folder).await;
    let sound = fs::read(folder.file()).unwrap();
    for damage in damages {
        fs::write(folder.file(), &sound).unwrap();
        Connection::open(folder.file()).unwrap().execute_batch(damage).unwrap();
        let ledger = crate::Ledger::sqlite(&folder.file()).unwrap();
        let error = match ledger.read_all(&log(0), 0, |_| ()).await {
            Err(error) => error,
            // A head below zero is below every number: nothing is read, but the head is not believed either.
            Ok(0) => ledger.head(&log(0)).await.unwrap_err(),
            Ok(last) => panic!("{damage}: read up to {last}"),
        };
        damaged(&error, &folder.file());
    }
}

#[tokio::test]
async fn a_log_with_a_foreign_row_in_its_way_does_not_stop_the_others() {
    let folder = Folder::new();
    let store = Sqlite::open(&folder.file()).unwrap();
    let bad = store.claim(&log(0), "me").await.unwrap();
    let good = store.claim(&log(1), "me").await.unwrap();
    Connection::open(folder.file())
        .unwrap()
        .execute("INSERT INTO appends VALUES (?1, 0, 1, 1, x'00', '\"not ours\"')", [log(0).as_str()])
        .unwrap();
    let event = super::text("1");
    for _ in 0..20 {
        let (refused, taken) = tokio::join!(append(&store, &bad, "1"), store.append(&good, &event));
        let error = refused.unwrap_err();
        damaged(&error, &folder.file());
        assert_eq!(error.applied(), Applied::No);
        let _ = taken.unwrap();
    }
    assert_eq!(store.head(&log(0)).await.unwrap().head, 0);
    assert_eq!(store.head(&log(1)).await.unwrap().head, 1);
}

#[tokio::test]
async fn of_a_large_file_the_heads_are_checked_at_opening_and_the_rest_when_it_is_read() {
    let folder = Folder::new();
    let store = Sqlite::open(&folder.file()).unwrap();
    let mut writer = store.claim(&log(0), "me").await.unwrap();
    let large = format!("\"{}\"", "x".repeat(1_000_000));
    while writer.head * 1_000_000 <= domain::limits::MAX_CHECKED_BYTES {
        writer = append(&store, &writer, &large).await.unwrap();
    }
    drop(store);
    let sound = fs::read(folder.file()).unwrap();
    // Root of `segments`.
    overwrite(&folder.file(), PAGE, &[0xA5; 200]);
    damaged(&Sqlite::open(&folder.file()).err().expect("must not open"), &folder.file());
    overwrite(&folder.file(), PAGE, &sound[4096..8192]);
    // Root of `appends`.
    overwrite(&folder.file(), 2 * PAGE, &[0xA5; 200]);
    let store = Sqlite::open(&folder.file()).unwrap();
    damaged(&store.read(&log(0), 0, 10).await.unwrap_err(), &folder.file());
}
