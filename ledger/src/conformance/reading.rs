//! What a reader sees.

use std::sync::atomic::{AtomicU64, Ordering};

use domain::LogId;

use super::{Doubts, Factory, all, append, fresh_log, fresh_sale, plain, rows};

/// Quotes, escapes and every alphabet included.
pub async fn events_come_back_as_they_were_and_in_order(factory: &dyn Factory) {
    let ledger = plain(factory).await;
    let log = fresh_log();
    let texts = [
        "{\"v\":1,\"t\":\"booked\",\"text\":\"two\\nlines, a \\\"quote\\\", a \\\\ and a \\u0000\"}",
        "[]",
        " spaces around ",
        "{\"name\":\"표 한 장, Grüße, \u{1F3AB}\"}",
        "'; DROP TABLE log; --",
        "\r\t[\"other white space\"]",
    ];
    let mut writer = ledger.claim(&log, "me").await.unwrap();
    writer = append(&ledger, &writer, &texts).await;
    writer = append(&ledger, &writer, &texts[..1]).await;
    append(&ledger, &writer, &texts[1..4]).await;
    let expected: Vec<&str> = texts.iter().chain(&texts[..1]).chain(&texts[1..4]).copied().collect();
    assert_eq!(all(&ledger, &log).await, expected);
}

/// From every number, in pages of every size, also inside of appends and across segments.
pub async fn pages_meet_without_gap_at_every_size(factory: &dyn Factory) {
    let ledger = factory.open(rows(2), &Doubts::default()).await;
    let log = fresh_log();
    let mut writer = ledger.claim(&log, "me").await.unwrap();
    let mut total = 0;
    for size in [1_u64, 4, 2, 1, 5] {
        let texts: Vec<String> = (total + 1..=total + size).map(|n| n.to_string()).collect();
        writer = append(&ledger, &writer, &texts.iter().map(String::as_str).collect::<Vec<_>>()).await;
        total += size;
    }
    for size in 1..=total + 1 {
        for start in 0..=total {
            let mut after = start;
            loop {
                let page = ledger.read(&log, after, usize::try_from(size).unwrap()).await.unwrap();
                assert!(page.len() as u64 <= size);
                for entry in &page {
                    after += 1;
                    assert_eq!((entry.seq, entry.event.as_str()), (after, after.to_string().as_str()));
                }
                if page.is_empty() {
                    break;
                }
            }
            assert_eq!(after, total, "pages of {size} from {start}");
        }
    }
    for beyond in [total, total + 1, u64::MAX - 1, u64::MAX] {
        assert!(ledger.read(&log, beyond, 10).await.unwrap().is_empty());
    }
    assert!(ledger.read(&log, 0, 0).await.unwrap().is_empty());
}

/// A page ends early rather than fill a reader's memory; reading on gives the rest.
pub async fn a_page_is_bounded_in_bytes_and_misses_nothing(factory: &dyn Factory) {
    let ledger = plain(factory).await;
    let log = fresh_log();
    let mut writer = ledger.claim(&log, "me").await.unwrap();
    let large = format!("\"{}\"", "x".repeat(900_000));
    for _ in 0..12 {
        writer = append(&ledger, &writer, &[&large]).await;
    }
    let page = ledger.read(&log, 0, 100).await.unwrap();
    let bytes: usize = page.iter().map(|entry| entry.event.len()).sum();
    assert!(!page.is_empty() && bytes <= domain::limits::MAX_READ_BYTES + large.len(), "{bytes} bytes");
    assert_eq!(all(&ledger, &log).await.len(), 12);
}

/// No reader lags behind an answer.
pub async fn what_was_acknowledged_is_seen_by_every_later_read(factory: &dyn Factory) {
    let ledger = plain(factory).await;
    let log = fresh_log();
    let mut writer = ledger.claim(&log, "me").await.unwrap();
    for n in 1..=100_u64 {
        writer = append(&ledger, &writer, &[&n.to_string()]).await;
        assert_eq!(ledger.head(&log).await.unwrap().head, n);
        let page = ledger.read(&log, n - 1, 10).await.unwrap();
        assert_eq!(page.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [n]);
    }
}

/// Readers run beside the writer: each sees a prefix of the log that never shrinks and holds all that was acknowledged before it looked.
pub async fn reading_while_appending_sees_a_growing_prefix(factory: &dyn Factory) {
    const APPENDS: u64 = 60;
    let ledger = factory.open(rows(7), &Doubts::default()).await;
    let log = fresh_log();
    let acknowledged = AtomicU64::new(0);
    let write = async {
        let mut writer = ledger.claim(&log, "me").await.unwrap();
        for n in 0..APPENDS {
            let texts = [(3 * n + 1).to_string(), (3 * n + 2).to_string(), (3 * n + 3).to_string()];
            writer = append(&ledger, &writer, &texts.each_ref().map(String::as_str)).await;
            acknowledged.store(writer.head, Ordering::Release);
        }
    };
    let read = |page: usize| {
        let (ledger, log, acknowledged) = (&ledger, &log, &acknowledged);
        async move {
            let mut seen = 0;
            while seen < APPENDS * 3 {
                let at_least = acknowledged.load(Ordering::Acquire);
                loop {
                    let entries = ledger.read(log, seen, page).await.unwrap();
                    for entry in &entries {
                        seen += 1;
                        assert_eq!((entry.seq, entry.event.as_str()), (seen, seen.to_string().as_str()));
                    }
                    if entries.is_empty() {
                        break;
                    }
                }
                assert!(seen >= at_least, "{at_least} events were acknowledged, {seen} are seen");
            }
        }
    };
    tokio::join!(write, read(1), read(4), read(10_000));
}

/// In order of names, and nothing but what begins so.
pub async fn logs_are_listed_by_prefix(factory: &dyn Factory) {
    let ledger = factory.open(rows(1), &Doubts::default()).await;
    let sale = fresh_sale();
    let logs =
        [LogId::lane(&sale, 0), LogId::lane(&sale, 1), LogId::lane(&sale, 10), LogId::line(&sale), LogId::sale(&sale)];
    for log in logs.iter().rev() {
        let writer = ledger.claim(log, "me").await.unwrap();
        let writer = append(&ledger, &writer, &["1"]).await;
        append(&ledger, &writer, &["2"]).await;
    }
    assert_eq!(ledger.list(&format!("lane/{sale}/")).await.unwrap(), logs[..3]);
    assert_eq!(ledger.list(&format!("lane/{sale}/1")).await.unwrap(), logs[1..3]);
    assert_eq!(ledger.list(&format!("sale/{sale}")).await.unwrap(), logs[4..]);
    assert!(ledger.list(&format!("lane/{sale}-other/")).await.unwrap().is_empty());
    assert!(ledger.list("%").await.unwrap().is_empty());
    let everything = ledger.list("").await.unwrap();
    assert!(everything.is_sorted() && logs.iter().all(|log| everything.contains(log)));
}
