//! What is too large or no append at all.

use super::{Factory, all, append, appended, events, fresh_log, plain};
use crate::{Applied, Error, Head, Ledger, Writer};
use domain::limits::{MAX_APPEND_BYTES, MAX_APPEND_EVENTS};

/// Appends, must be refused as certainly not applied, and must not have touched the log.
async fn refused(ledger: &Ledger, writer: &Writer, texts: &[String]) -> Error {
    let error = ledger.append(writer, texts).await.expect_err("refused");
    assert_eq!(error.applied(), Applied::No, "{error}");
    let untouched = Head { fence: writer.fence, head: writer.head, owner: writer.owner.clone() };
    assert_eq!(ledger.head(&writer.log).await.unwrap(), untouched);
    error
}

/// In bytes and in events; the writer goes on afterwards.
pub async fn too_large_appends_are_refused_before_anything_is_written(factory: &dyn Factory) {
    let ledger = plain(factory).await;
    let log = fresh_log();
    let writer = ledger.claim(&log, "me").await.unwrap();
    let one = vec!["x".repeat(MAX_APPEND_BYTES + 1)];
    let error = refused(&ledger, &writer, &one).await;
    assert_eq!(error, Error::TooLarge { bytes: MAX_APPEND_BYTES + 1, limit: MAX_APPEND_BYTES });
    // Line breaks between events count.
    let two = vec!["x".repeat(MAX_APPEND_BYTES / 2); 2];
    assert!(matches!(refused(&ledger, &writer, &two).await, Error::TooLarge { .. }));
    let many = vec!["1".to_owned(); MAX_APPEND_EVENTS + 1];
    let error = refused(&ledger, &writer, &many).await;
    assert_eq!(error, Error::TooMany { events: MAX_APPEND_EVENTS + 1, limit: MAX_APPEND_EVENTS });
    append(&ledger, &writer, &["1"]).await;
    assert_eq!(all(&ledger, &log).await, ["1"]);
}

/// The limits themselves are allowed.
pub async fn an_append_at_the_limits_is_taken(factory: &dyn Factory) {
    let ledger = plain(factory).await;
    let log = fresh_log();
    let writer = ledger.claim(&log, "me").await.unwrap();
    let large = vec!["x".repeat(MAX_APPEND_BYTES)];
    let writer = appended(ledger.append(&writer, &large).await.unwrap());
    let many: Vec<String> = (0..MAX_APPEND_EVENTS).map(|n| n.to_string()).collect();
    appended(ledger.append(&writer, &many).await.unwrap());
    assert_eq!(all(&ledger, &log).await, [large, many].concat());
}

/// They are bugs of the caller, and say so instead of damaging the log.
pub async fn an_append_without_events_or_with_a_line_break_is_refused(factory: &dyn Factory) {
    let ledger = plain(factory).await;
    let log = fresh_log();
    let writer = ledger.claim(&log, "me").await.unwrap();
    for texts in [&[][..], &[""], &["1", "", "3"], &["1\n2"], &["1", "\n"], &["a\0b"]] {
        assert!(matches!(refused(&ledger, &writer, &events(texts)).await, Error::BadAppend { .. }), "{texts:?}");
    }
    assert!(all(&ledger, &log).await.is_empty());
}
