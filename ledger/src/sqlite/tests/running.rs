//! What may happen to a store while it is used.

use std::fs;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::{Folder, append, eventually, is_clear, log, text};
use crate::conformance::{Doubt, Doubts, Gate};
use crate::sqlite::writer::Write;
use crate::{Append, Applied, Error, Sqlite, Store as _};

#[tokio::test]
async fn callers_of_a_dead_writer_thread_get_an_error_at_once() {
    let folder = Folder::new();
    let store = Sqlite::open(&folder.file()).unwrap();
    let writer = append(&store, &store.claim(&log(0), "me").await.unwrap(), "1").await.unwrap();
    let since = Instant::now();
    let event = text("2");
    let writes = store.writes.as_ref().unwrap();
    // The append waits behind the write that kills the thread, or comes when it is dead.
    let (killed, during) = tokio::join!(writes.write(Write::Meddle(None)), store.append(&writer, &event));
    assert!(matches!(killed.unwrap_err(), Error::Unavailable { .. }));
    assert!(matches!(during.unwrap_err(), Error::Unavailable { .. }));
    assert!(since.elapsed() < Duration::from_secs(4), "nobody waited for a deadline");
    eventually("its health says so", || matches!(store.check(), Err(Error::Unavailable { .. }))).await;
    let error = store.append(&writer, &event).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { applied: Applied::No, .. }), "{error:?}");
    assert!(matches!(store.claim(&log(0), "me").await.unwrap_err(), Error::Unavailable { .. }));
    assert_eq!(store.head(&log(0)).await.unwrap().head, 1, "reading goes on");
}

#[tokio::test]
async fn a_file_locked_by_another_process_is_an_error_and_works_again_afterwards() {
    let folder = Folder::new();
    let store = Sqlite::open(&folder.file()).unwrap();
    let writer = append(&store, &store.claim(&log(0), "me").await.unwrap(), "1").await.unwrap();
    let other = Connection::open(folder.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = append(&store, &writer, "2").await.unwrap_err();
    assert_eq!((error.clone(), error.applied()), (Error::Locked { path: folder.file() }, Applied::No));
    is_clear(&error, &folder.file());
    assert_eq!(store.read(&log(0), 0, 10).await.unwrap().len(), 1, "reading goes on");
    other.execute_batch("ROLLBACK").unwrap();
    append(&store, &writer, "2").await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_moved_away_is_not_written_any_more() {
    let folder = Folder::new();
    let store = Sqlite::open(&folder.file()).unwrap();
    let writer = append(&store, &store.claim(&log(0), "me").await.unwrap(), "1").await.unwrap();
    let aside = folder.0.path().join("aside.db");
    fs::rename(folder.file(), &aside).unwrap();
    let error = append(&store, &writer, "2").await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { applied: Applied::No, .. }), "{error:?}");
    is_clear(&error, &folder.file());
    fs::write(folder.file(), b"").unwrap();
    let error = append(&store, &writer, "2").await.unwrap_err();
    assert!(error.to_string().contains("was replaced"), "{error}");
    fs::rename(&aside, folder.file()).unwrap();
    append(&store, &writer, "2").await.unwrap();
}

#[tokio::test]
async fn an_append_whose_commit_fails_is_sent_again_until_it_is_known() {
    let folder = Folder::new();
    let store = Sqlite::open(&folder.file()).unwrap();
    let writer = store.claim(&log(0), "me").await.unwrap();
    let other = Connection::open(folder.file()).unwrap();
    // Every row added now makes COMMIT itself fail.
    other
        .execute_batch(
            "CREATE TABLE parent (id INTEGER PRIMARY KEY);
             CREATE TABLE child (id REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
             CREATE TRIGGER spoil AFTER INSERT ON appends BEGIN INSERT INTO child VALUES (1); END;",
        )
        .unwrap();
    let event = text("1");
    let (outcome, ()) = tokio::join!(store.append(&writer, &event), async {
        eventually("a commit has failed", || store.check().is_err()).await;
        assert_eq!(store.check().unwrap_err().applied(), Applied::Unknown);
        other.execute_batch("DROP TRIGGER spoil").unwrap();
    });
    assert!(matches!(outcome.unwrap(), Append::Appended(writer) if writer.head == 1));
    assert_eq!(store.read(&log(0), 0, 10).await.unwrap().len(), 1);
    eventually("its health is good again", || store.check().is_ok()).await;
}

#[tokio::test]
async fn what_waits_is_committed_together_as_far_as_a_transaction_goes() {
    const LOGS: u16 = 700;
    let folder = Folder::new();
    let store = Sqlite::open(&folder.file()).unwrap();
    let logs: Vec<_> = (0..LOGS).map(log).collect();
    let claims = futures_util::future::join_all(logs.iter().map(|log| store.claim(log, "me"))).await;
    let event = text("1");
    let writers: Vec<_> = claims.into_iter().map(Result::unwrap).collect();
    let appends = futures_util::future::join_all(writers.iter().map(|writer| store.append(writer, &event))).await;
    assert!(appends.into_iter().all(|append| matches!(append, Ok(Append::Appended(_)))));
    assert_eq!(store.list("lane/test/").await.unwrap().len(), usize::from(LOGS));
}

#[tokio::test]
async fn an_append_that_nobody_waits_for_any_more_leaves_the_log_whole() {
    let folder = Folder::new();
    let store = Sqlite::open(&folder.file()).unwrap();
    let writer = store.claim(&log(0), "me").await.unwrap();
    let event = text("1");
    {
        let mut append = store.append(&writer, &event);
        // Handed over, then dropped.
        assert!(futures_util::poll!(&mut append).is_pending());
    }
    let next = store.claim(&log(0), "next").await.unwrap();
    assert_eq!(next.head, 1, "it was under way and the claim came after it");
    append(&store, &next, "2").await.unwrap();
}

#[tokio::test]
async fn closing_does_not_wait_for_a_try_that_outlives_the_store() {
    let folder = Folder::new();
    let doubts = Doubts::default();
    let store = Sqlite::open(&folder.file()).unwrap().with_doubts(&doubts);
    let writer = store.claim(&log(0), "me").await.unwrap();
    let gate = Gate::closed();
    doubts.next(&log(0), Doubt::RequestLate, &gate);
    append(&store, &writer, "1").await.unwrap();
    gate.arrived(1).await;
    drop(store);
    gate.open();
    assert_eq!(Sqlite::open(&folder.file()).unwrap().head(&log(0)).await.unwrap().head, 1);
}
