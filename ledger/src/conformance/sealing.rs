//! Segments: sealed before they grow too large, one log for everybody outside.

use super::{Doubts, Factory, all, append, appended, events, fenced, fresh_log, rows};
use crate::Limits;

/// By rows and by bytes; the number of a log's events goes through all segments.
pub async fn segments_are_sealed_before_their_limit_and_numbers_go_on(factory: &dyn Factory) {
    let bytes = Limits { append_bytes: 40, segment_bytes: 100, ..Limits::default() };
    for limits in [rows(1), rows(3), bytes] {
        let ledger = factory.open(limits, &Doubts::default()).await;
        let log = fresh_log();
        let mut writer = ledger.claim(&log, "me").await.unwrap();
        for n in 0..10_u64 {
            writer = append(&ledger, &writer, &[&n.to_string(), "\"thirty bytes or thereabouts\""]).await;
            assert_eq!(writer.head, 2 * (n + 1));
            assert!(writer.place.rows <= limits.segment_rows && writer.place.bytes <= limits.segment_bytes);
        }
        let least = if limits.segment_rows == 1 { 10 } else { 3 };
        assert!(writer.place.segment >= least, "{limits:?} made segment {}", writer.place.segment);
        assert_eq!(all(&ledger, &log).await.len(), 20);
    }
}

/// Whoever claims makes the next segment, with the fence and the head of the sealed one.
pub async fn a_claim_after_sealing_goes_on_in_the_next_segment(factory: &dyn Factory) {
    let ledger = factory.open(rows(2), &Doubts::default()).await;
    let log = fresh_log();
    let mut expected = Vec::new();
    let mut fence = 0;
    for n in 0..7_u64 {
        let writer = ledger.claim(&log, &format!("owner-{n}")).await.unwrap();
        assert_eq!((writer.fence, writer.head), (fence + 1, n));
        fence = writer.fence;
        append(&ledger, &writer, &[&n.to_string()]).await;
        expected.push(n.to_string());
        assert_eq!(ledger.head(&log).await.unwrap().fence, fence, "sealing changes no fence");
    }
    assert_eq!(all(&ledger, &log).await, expected);
}

/// Sealing is no reason to claim again.
pub async fn a_writer_that_sealed_goes_on_under_its_fence(factory: &dyn Factory) {
    let ledger = factory.open(rows(1), &Doubts::default()).await;
    let log = fresh_log();
    let mut writer = ledger.claim(&log, "me").await.unwrap();
    let fence = writer.fence;
    for n in 1..=5_u64 {
        let older = writer.clone();
        writer = append(&ledger, &writer, &[&n.to_string()]).await;
        assert_eq!((writer.fence, writer.head), (fence, n));
        assert_eq!(fenced(ledger.append(&older, &events(&["\"again\""])).await.unwrap()).head, n);
    }
    assert_eq!(all(&ledger, &log).await, ["1", "2", "3", "4", "5"]);
}

/// It seals and sleeps; another makes the next segment, claims and perhaps writes; its own making of that segment must not bring the old fence back.
pub async fn a_writer_that_sealed_is_refused_after_a_claim(factory: &dyn Factory) {
    for writes in [false, true] {
        let ledger = factory.open(rows(1), &Doubts::default()).await;
        let log = fresh_log();
        let sealed = append(&ledger, &ledger.claim(&log, "me").await.unwrap(), &["1"]).await;
        let mut other = ledger.claim(&log, "other").await.unwrap();
        if writes {
            other = append(&ledger, &other, &["2"]).await;
        }
        for _ in 0..2 {
            let head = fenced(ledger.append(&sealed, &events(&["\"lost\""])).await.unwrap());
            assert_eq!((head.fence, head.head, head.owner.as_str()), (other.fence, other.head, "other"));
        }
        let other = appended(ledger.append(&other, &events(&["3"])).await.unwrap());
        assert_eq!(all(&ledger, &log).await.len() as u64, other.head);
    }
}

/// Otherwise an old writer's fence would be good again.
pub async fn a_fence_never_repeats_across_segments(factory: &dyn Factory) {
    let ledger = factory.open(rows(2), &Doubts::default()).await;
    let log = fresh_log();
    let mut fences = Vec::new();
    let mut stale = Vec::new();
    for n in 0..9 {
        let writer = ledger.claim(&log, "me").await.unwrap();
        fences.push(writer.fence);
        stale.push(writer.clone());
        if n % 2 == 0 {
            stale.push(append(&ledger, &writer, &["1"]).await);
        }
    }
    assert!(fences.windows(2).all(|pair| pair[0] < pair[1]), "{fences:?}");
    ledger.claim(&log, "last").await.unwrap();
    for writer in stale {
        let _ = fenced(ledger.append(&writer, &events(&["\"lost\""])).await.unwrap());
    }
    assert_eq!(all(&ledger, &log).await.len(), 5);
}

/// Also with other limits than it was written with.
pub async fn a_sealed_log_reads_the_same_after_opening_again(factory: &dyn Factory) {
    let log = fresh_log();
    let ledger = factory.open(rows(2), &Doubts::default()).await;
    let mut writer = ledger.claim(&log, "me").await.unwrap();
    for n in 1..=6_u64 {
        writer = append(&ledger, &writer, &[&n.to_string()]).await;
    }
    drop(ledger);
    let ledger = factory.open(rows(3), &Doubts::default()).await;
    assert_eq!(all(&ledger, &log).await, ["1", "2", "3", "4", "5", "6"]);
    let mut again = ledger.claim(&log, "again").await.unwrap();
    assert_eq!((again.fence, again.head), (writer.fence + 1, 6));
    for n in 7..=12_u64 {
        again = append(&ledger, &again, &[&n.to_string()]).await;
    }
    assert_eq!(all(&ledger, &log).await.len(), 12);
    assert_eq!(fenced(ledger.append(&writer, &events(&["\"lost\""])).await.unwrap()).fence, again.fence);
}
