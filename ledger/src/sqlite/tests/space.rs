//! No space: definite, and over as soon as there is space again.

use std::fs;

use super::{Disk, Folder, append, eventually, is_clear, log, meddle};
use crate::{Applied, Error, Sqlite, Store as _};

/// An event that takes a hundred pages.
fn large() -> String {
    format!("\"{}\"", "x".repeat(400_000))
}

#[tokio::test]
async fn a_full_disk_refuses_what_does_not_fit_and_nothing_of_it_is_kept() {
    let folder = Folder::new();
    let store = Sqlite::open(&folder.file()).unwrap();
    let writer = append(&store, &store.claim(&log(0), "me").await.unwrap(), "1").await.unwrap();
    let small = store.claim(&log(1), "me").await.unwrap();
    meddle(&store, "PRAGMA max_page_count = 20").await;
    // Together with one that fits: only the other one fails.
    let event = large();
    let (refused, taken) = tokio::join!(append(&store, &writer, &event), append(&store, &small, "1"));
    let error = refused.unwrap_err();
    assert_eq!((error.clone(), error.applied()), (Error::Full { path: folder.file() }, Applied::No));
    is_clear(&error, &folder.file());
    taken.unwrap();
    assert_eq!(store.head(&log(0)).await.unwrap().head, 1);
    assert_eq!(store.head(&log(1)).await.unwrap().head, 1);
    meddle(&store, "PRAGMA max_page_count = 1000000").await;
    let writer = append(&store, &writer, &large()).await.unwrap();
    assert_eq!((writer.head, store.check()), (2, Ok(())));
}

#[tokio::test]
async fn a_disk_that_was_full_is_used_again_without_a_restart() {
    let Some(disk) = Disk::mounted(2 << 20) else {
        println!("left out: mounting is not allowed here");
        return;
    };
    let store = Sqlite::open(&disk.file()).unwrap();
    let mut writer = store.claim(&log(0), "me").await.unwrap();
    let ballast = disk.path().join("ballast");
    fs::write(&ballast, vec![0; 1 << 20]).unwrap();
    let event = format!("\"{}\"", "x".repeat(20_000));
    let error = loop {
        match append(&store, &writer, &event).await {
            Ok(next) => writer = next,
            Err(error) => break error,
        }
    };
    assert_eq!((error.clone(), error.applied()), (Error::Full { path: disk.file() }, Applied::No));
    assert_eq!(store.check(), Err(error));
    assert!(writer.head > 5, "some fitted: {}", writer.head);
    assert_eq!(store.head(&log(0)).await.unwrap().head, writer.head, "reading goes on");
    let error = append(&store, &writer, &event).await.unwrap_err();
    assert_eq!(error, Error::Full { path: disk.file() }, "still full");
    fs::remove_file(&ballast).unwrap();
    eventually("asking for its health shows that it works again", || store.check().is_ok()).await;
    let writer = append(&store, &writer, &event).await.unwrap();
    drop(store);
    let store = Sqlite::open(&disk.file()).unwrap();
    assert_eq!(store.head(&log(0)).await.unwrap().head, writer.head);
}

#[tokio::test]
async fn a_disk_that_is_full_at_the_start_is_said() {
    let Some(disk) = Disk::mounted(1 << 20) else {
        println!("left out: mounting is not allowed here");
        return;
    };
    let ballast = disk.path().join("ballast");
    // As much as goes in.
    let _ = fs::write(&ballast, vec![0; 2 << 20]);
    let error = Sqlite::open(&disk.file()).err().expect("must not open");
    assert_eq!(error, Error::Full { path: disk.file() });
    fs::remove_file(&ballast).unwrap();
    Sqlite::open(&disk.file()).unwrap();
}
