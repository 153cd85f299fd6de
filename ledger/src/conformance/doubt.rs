//! Appends whose outcome is in doubt on the way (R4).

use super::{Doubt, Doubts, Factory, Gate, all, append, appended, events, fenced, fresh_log, rows};
use crate::{Ledger, Limits};

async fn doubtful(factory: &dyn Factory, limits: Limits) -> (Ledger, Doubts) {
    let doubts = Doubts::default();
    (factory.open(limits, &doubts).await, doubts)
}

/// The request never arrived: the next try does it.
pub async fn a_lost_request_is_sent_again(factory: &dyn Factory) {
    let (ledger, doubts) = doubtful(factory, Limits::default()).await;
    let log = fresh_log();
    let writer = ledger.claim(&log, "me").await.unwrap();
    doubts.next(&log, Doubt::RequestLost, &Gate::opened());
    let writer = append(&ledger, &writer, &["1", "2"]).await;
    assert_eq!(writer.head, 2);
    append(&ledger, &writer, &["3"]).await;
    assert_eq!(all(&ledger, &log).await, ["1", "2", "3"]);
}

/// The request was carried out, the answer got lost: the next try finds its own work.
pub async fn a_lost_answer_is_success_and_not_doubled(factory: &dyn Factory) {
    let (ledger, doubts) = doubtful(factory, Limits::default()).await;
    let log = fresh_log();
    let writer = ledger.claim(&log, "me").await.unwrap();
    doubts.next(&log, Doubt::AnswerLost, &Gate::opened());
    let writer = append(&ledger, &writer, &["1", "2"]).await;
    assert_eq!(writer.head, 2);
    append(&ledger, &writer, &["3"]).await;
    assert_eq!(all(&ledger, &log).await, ["1", "2", "3"]);
}

/// As often as it takes.
pub async fn answers_lost_again_and_again_are_still_one_append(factory: &dyn Factory) {
    let (ledger, doubts) = doubtful(factory, Limits::default()).await;
    let log = fresh_log();
    let writer = ledger.claim(&log, "me").await.unwrap();
    let gate = Gate::opened();
    for doubt in [Doubt::RequestLost, Doubt::AnswerLost, Doubt::RequestLost, Doubt::AnswerLost] {
        doubts.next(&log, doubt, &gate);
    }
    append(&ledger, &writer, &["1"]).await;
    gate.arrived(4).await;
    assert_eq!(all(&ledger, &log).await, ["1"]);
}

/// A request that was given up as lost arrives after a later try of the same append, and after the next append.
pub async fn a_late_request_changes_nothing(factory: &dyn Factory) {
    let (ledger, doubts) = doubtful(factory, Limits::default()).await;
    let log = fresh_log();
    let writer = ledger.claim(&log, "me").await.unwrap();
    let (early, late) = (Gate::closed(), Gate::closed());
    doubts.next(&log, Doubt::RequestLate, &early);
    let writer = append(&ledger, &writer, &["1"]).await;
    early.open();
    early.arrived(1).await;
    doubts.next(&log, Doubt::RequestLate, &late);
    let writer = append(&ledger, &writer, &["2"]).await;
    let writer = append(&ledger, &writer, &["3"]).await;
    late.open();
    late.arrived(1).await;
    append(&ledger, &writer, &["4"]).await;
    assert_eq!(all(&ledger, &log).await, ["1", "2", "3", "4"]);
}

/// Nothing was written before another writer claimed and wrote: fenced, and never in the log.
pub async fn a_lost_request_overtaken_by_another_writer_is_fenced(factory: &dyn Factory) {
    let (ledger, doubts) = doubtful(factory, Limits::default()).await;
    let log = fresh_log();
    let mine = ledger.claim(&log, "me").await.unwrap();
    let gate = Gate::closed();
    doubts.next(&log, Doubt::RequestLost, &gate);
    let texts = events(&["\"mine\""]);
    let (outcome, other) = tokio::join!(ledger.append(&mine, &texts), async {
        gate.arrived(1).await;
        let other = ledger.claim(&log, "other").await.unwrap();
        let other = append(&ledger, &other, &["\"other\""]).await;
        gate.open();
        other
    });
    let head = fenced(outcome.unwrap());
    assert_eq!((head.fence, head.head, head.owner.as_str()), (other.fence, 1, "other"));
    assert_eq!(all(&ledger, &log).await, ["\"other\""]);
}

/// The append is applied, its answer lost; another writer claims and appends; the try after that must not conclude "fenced, nothing written":
/// its events are in the log. Judged by anything that the other writer overwrites, it would.
pub async fn a_lost_answer_is_success_even_after_another_writer_went_on(factory: &dyn Factory) {
    lost_answer_then_rival(factory, Limits::default()).await;
}

/// The same across the end of a segment, where the other writer goes on in the next one.
pub async fn a_lost_answer_of_a_sealing_append_is_success_even_after_another_writer_went_on(factory: &dyn Factory) {
    lost_answer_then_rival(factory, rows(1)).await;
}

async fn lost_answer_then_rival(factory: &dyn Factory, limits: Limits) {
    let (ledger, doubts) = doubtful(factory, limits).await;
    let log = fresh_log();
    let mine = ledger.claim(&log, "me").await.unwrap();
    let gate = Gate::closed();
    doubts.next(&log, Doubt::AnswerLost, &gate);
    let texts = events(&["\"mine 1\"", "\"mine 2\""]);
    let (outcome, other) = tokio::join!(ledger.append(&mine, &texts), async {
        gate.arrived(1).await;
        let other = ledger.claim(&log, "other").await.unwrap();
        assert_eq!(other.head, 2);
        let other = append(&ledger, &other, &["\"other\""]).await;
        gate.open();
        other
    });
    let mine = appended(outcome.unwrap());
    assert_eq!(mine.head, 2);
    assert_eq!(fenced(ledger.append(&mine, &events(&["\"more\""])).await.unwrap()).fence, other.fence);
    append(&ledger, &other, &["\"other again\""]).await;
    assert_eq!(all(&ledger, &log).await, ["\"mine 1\"", "\"mine 2\"", "\"other\"", "\"other again\""]);
}

/// A seal that never happened must not leave a next segment behind, nor stop whoever claims.
pub async fn a_lost_request_of_a_sealing_append_overtaken_by_a_claim_is_fenced(factory: &dyn Factory) {
    let (ledger, doubts) = doubtful(factory, rows(2)).await;
    let log = fresh_log();
    let mine = append(&ledger, &ledger.claim(&log, "me").await.unwrap(), &["1"]).await;
    let gate = Gate::closed();
    doubts.next(&log, Doubt::RequestLost, &gate);
    let texts = events(&["\"mine\""]);
    let (outcome, other) = tokio::join!(ledger.append(&mine, &texts), async {
        gate.arrived(1).await;
        let other = ledger.claim(&log, "other").await.unwrap();
        gate.open();
        other
    });
    assert_eq!(fenced(outcome.unwrap()).fence, other.fence);
    let other = append(&ledger, &other, &["2"]).await;
    append(&ledger, &other, &["3"]).await;
    assert_eq!(all(&ledger, &log).await, ["1", "2", "3"]);
}
