//! What is special about doubt on this store, beside the suite.

use std::sync::Arc;

use futures_util::future::join_all;

use super::{all, append, fresh_log};
use crate::append::{Attempt as _, Batch, Tried};
use crate::cassandra::shared;
use crate::cql::Cql;
use crate::cql::write::Tries;
use crate::{Append, Error, Ledger, Limits, Store as _};

#[tokio::test]
async fn a_claim_that_is_repeated_after_a_doubt_is_the_same_claim() {
    let Some(node) = shared() else { return };
    let store = Cql::open(&node.ledger()).await.unwrap();
    let log = fresh_log();
    let id = rand::random();
    let first = store.inner.claim(&log, "me", id).await.unwrap();
    assert_eq!(store.inner.claim(&log, "me", id).await.unwrap(), first);
    let second = store.inner.claim(&log, "me", rand::random()).await.unwrap();
    assert_eq!(second.fence, first.fence + 1);
    // Replaced meanwhile: the repeated one is a new claim.
    assert_eq!(store.inner.claim(&log, "me", id).await.unwrap().fence, second.fence + 1);
}

/// The first try was applied and its answer lost; another writer claimed and appended; the same batch again must say applied.
#[tokio::test]
async fn the_row_tells_whose_append_it_is_and_not_the_static_cells() {
    let Some(node) = shared() else { return };
    let store = Cql::open(&node.ledger()).await.unwrap();
    let log = fresh_log();
    let writer = store.claim(&log, "me").await.unwrap();
    let mine = ["\"mine\"".to_owned()];
    let batch = Arc::new(Batch::new(&writer, &mine, &Limits::default(), rand::random()).unwrap());
    let tries = Tries(Arc::clone(&store.inner));
    assert_eq!(tries.attempt(&batch).await.unwrap(), Tried::Applied);
    let other = store.claim(&log, "other").await.unwrap();
    append(&store, &other, "\"other\"").await.unwrap();
    assert_eq!(tries.attempt(&batch).await.unwrap(), Tried::Applied);
    let rival = Arc::new(Batch::new(&writer, &mine, &Limits::default(), rand::random()).unwrap());
    let Tried::Refused(head) = tries.attempt(&rival).await.unwrap() else { panic!("another append at the same place") };
    assert_eq!((head.head, head.owner.as_str()), (2, "other"));
    assert_eq!(all(&Ledger::new(Arc::new(store)), &log).await, ["\"mine\"", "\"other\""]);
}

/// Sealing under rivals: whoever makes the next segment, it begins with the final fence and head.
#[tokio::test]
async fn rivals_on_several_sessions_leave_one_gapless_log() {
    let Some(node) = shared() else { return };
    let log = fresh_log();
    let limits = Limits { segment_rows: 3, ..Limits::default() };
    let rival = |n: usize| {
        let (settings, log) = (node.ledger(), log.clone());
        async move {
            let store = Cql::open_with(&settings, limits).await.unwrap();
            let (mut told, mut doubtful) = (Vec::new(), Vec::new());
            for round in 0..6 {
                // On a busy machine rivals may keep each other from claiming for a while.
                let Ok(mut writer) = store.claim(&log, &format!("rival {n}")).await else { continue };
                for part in 0..3 {
                    let event = format!("\"{n}/{round}/{part}\"");
                    match store.append(&writer, std::slice::from_ref(&event)).await {
                        Ok(Append::Appended(next)) => {
                            told.push((next.head, event));
                            writer = next;
                        }
                        Ok(Append::Fenced(_)) => break,
                        Err(error) => {
                            assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
                            doubtful.push(event);
                            break;
                        }
                    }
                }
            }
            (told, doubtful)
        }
    };
    let (told, doubtful): (Vec<_>, Vec<_>) = join_all((0..3).map(rival)).await.into_iter().unzip();
    let (mut told, doubtful) = (told.concat(), doubtful.concat());
    told.sort();
    let ledger = Ledger::cql(&node.ledger()).await.unwrap();
    let mut found: Vec<(u64, String)> = (1..).zip(all(&ledger, &log).await).collect();
    assert!(found.len() >= 3, "{found:?}");
    found.retain(|(_, event)| !doubtful.contains(event));
    assert_eq!(found, told);
}
