//! The store ends between an append and its answer.

use super::{Doubt, Doubts, Factory, Gate, all, append, events, fenced, fresh_log, plain};
use crate::Limits;

/// Opening again brings back every event, fence and owner.
pub async fn acknowledged_events_outlive_the_store(factory: &dyn Factory) {
    let log = fresh_log();
    let ledger = plain(factory).await;
    let mut writer = ledger.claim(&log, "me").await.unwrap();
    for n in 1..=20_u64 {
        writer = append(&ledger, &writer, &[&n.to_string()]).await;
    }
    drop(ledger);
    let ledger = plain(factory).await;
    let head = ledger.head(&log).await.unwrap();
    assert_eq!((head.fence, head.head, head.owner.as_str()), (writer.fence, 20, "me"));
    assert_eq!(all(&ledger, &log).await, (1..=20).map(|n: u64| n.to_string()).collect::<Vec<_>>());
    // A writer is data, not a connection: it is good as long as nobody claims.
    append(&ledger, &writer, &["21"]).await;
}

/// The process dies while an append is under way, before or after it was carried out: the next owner finds all of it, once, or nothing of it.
pub async fn an_append_whose_answer_never_came_is_there_once_or_not_at_all(factory: &dyn Factory) {
    for (doubt, expected) in [(Doubt::AnswerLost, &["1", "2", "3"][..]), (Doubt::RequestLost, &["1"][..])] {
        let log = fresh_log();
        let doubts = Doubts::default();
        let ledger = factory.open(Limits::default(), &doubts).await;
        let writer = append(&ledger, &ledger.claim(&log, "me").await.unwrap(), &["1"]).await;
        let gate = Gate::closed();
        doubts.next(&log, doubt, &gate);
        let texts = events(&["2", "3"]);
        tokio::select! {
            answer = ledger.append(&writer, &texts) => panic!("nobody opened the gate: {answer:?}"),
            () = gate.arrived(1) => {}
        }
        drop(ledger);
        let ledger = plain(factory).await;
        let next = ledger.claim(&log, "next").await.unwrap();
        assert_eq!(all(&ledger, &log).await, expected, "{doubt:?}");
        assert_eq!(next.head, expected.len() as u64);
        assert_eq!(fenced(ledger.append(&writer, &texts).await.unwrap()).fence, next.fence);
        append(&ledger, &next, &["\"next\""]).await;
        assert_eq!(all(&ledger, &log).await.len(), expected.len() + 1);
    }
}
