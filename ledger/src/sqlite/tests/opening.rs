//! What is wrong with a file is said when it is opened, and nothing is changed then.

use std::fs;

use rusqlite::Connection;

use super::{Disk, Folder, append, is_clear, log};
use crate::sqlite::file::{APPLICATION_ID, VERSION};
use crate::{Error, Sqlite, Store as _};

fn refused(file: &std::path::Path) -> Error {
    let error = Sqlite::open(file).err().expect("must not open");
    is_clear(&error, file);
    error
}

#[test]
fn a_missing_folder_is_said() {
    let folder = Folder::new();
    let file = folder.0.path().join("not/there/ledger.db");
    assert_eq!(refused(&file), Error::NoDirectory { path: file.clone() });
    assert!(!folder.0.path().join("not").exists());
}

#[test]
fn a_file_of_another_application_is_left_alone() {
    for setup in [
        "CREATE TABLE theirs (a); PRAGMA application_id = 77",
        "CREATE TABLE theirs (a)",
        "PRAGMA application_id = 77",
        "PRAGMA user_version = 3",
    ] {
        let folder = Folder::new();
        Connection::open(folder.file()).unwrap().execute_batch(setup).unwrap();
        let before = fs::read(folder.file()).unwrap();
        assert_eq!(refused(&folder.file()), Error::Foreign { path: folder.file() }, "{setup}");
        assert_eq!(fs::read(folder.file()).unwrap(), before, "{setup}");
        assert_eq!(fs::read_dir(folder.0.path()).unwrap().count(), 1, "{setup}: nothing beside it");
    }
}

#[test]
fn a_file_of_a_newer_version_is_left_alone() {
    let folder = Folder::new();
    drop(Sqlite::open(&folder.file()).unwrap());
    let newer = VERSION + 1;
    Connection::open(folder.file()).unwrap().pragma_update(None, "user_version", newer).unwrap();
    let error = refused(&folder.file());
    assert_eq!(error, Error::NewerVersion { path: folder.file(), found: 2, known: 1 });
    let kept = Connection::open(folder.file()).unwrap();
    assert_eq!(kept.pragma_query_value(None, "user_version", |row| row.get::<_, i32>(0)).unwrap(), newer);
}

#[test]
fn a_file_of_a_version_that_never_was_is_damaged() {
    let folder = Folder::new();
    drop(Sqlite::open(&folder.file()).unwrap());
    Connection::open(folder.file()).unwrap().pragma_update(None, "user_version", 0).unwrap();
    assert!(matches!(refused(&folder.file()), Error::Corrupt { .. }));
}

#[test]
fn a_file_that_is_no_database_is_left_alone() {
    let folder = Folder::new();
    let content = b"this is a letter to somebody\n".repeat(500);
    fs::write(folder.file(), &content).unwrap();
    assert!(matches!(refused(&folder.file()), Error::Corrupt { .. }));
    assert_eq!(fs::read(folder.file()).unwrap(), content);
}

#[test]
fn a_folder_in_place_of_the_file_is_said() {
    let folder = Folder::new();
    fs::create_dir(folder.file()).unwrap();
    assert_eq!(refused(&folder.file()), Error::ReadOnly { path: folder.file() });
}

#[test]
fn a_file_locked_by_another_process_is_said() {
    let folder = Folder::new();
    let other = Connection::open(folder.file()).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    assert_eq!(refused(&folder.file()), Error::Locked { path: folder.file() });
    drop(other);
    Sqlite::open(&folder.file()).unwrap();
}

#[tokio::test]
async fn a_disk_that_is_mounted_read_only_is_said() {
    let Some(disk) = Disk::mounted(1 << 20) else {
        println!("left out: mounting is not allowed here");
        return;
    };
    let store = Sqlite::open(&disk.file()).unwrap();
    append(&store, &store.claim(&log(0), "me").await.unwrap(), "1").await.unwrap();
    drop(store);
    disk.read_only();
    assert_eq!(refused(&disk.file()), Error::ReadOnly { path: disk.file() });
    let new = disk.path().join("new.db");
    assert_eq!(refused(&new), Error::ReadOnly { path: new.clone() });
}

#[test]
fn a_new_file_says_whose_it_is_and_syncs_before_it_answers() {
    let folder = Folder::new();
    let store = Sqlite::open(&folder.file()).unwrap();
    assert!(store.bytes().unwrap() > 0);
    let other = Connection::open(folder.file()).unwrap();
    let pragma = |name: &str| other.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(pragma("application_id"), i64::from(APPLICATION_ID));
    assert_eq!(pragma("user_version"), i64::from(VERSION));
    let mode: String = other.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
}

#[tokio::test]
async fn two_processes_may_have_it_open_and_the_fence_decides() {
    let folder = Folder::new();
    let one = Sqlite::open(&folder.file()).unwrap();
    let two = Sqlite::open(&folder.file()).unwrap();
    let old = append(&one, &one.claim(&log(0), "one").await.unwrap(), "1").await.unwrap();
    let new = two.claim(&log(0), "two").await.unwrap();
    assert_eq!((new.head, new.fence), (1, old.fence + 1));
    assert!(matches!(one.append(&old, &["2".to_owned()]).await.unwrap(), crate::Append::Fenced(_)));
    append(&two, &new, "2").await.unwrap();
    assert_eq!(one.read(&log(0), 0, 10).await.unwrap().len(), 2);
}
