//! Who may write.

use futures_util::future::join_all;

use super::{Factory, all, append, appended, events, fenced, fresh_lane, fresh_log, plain};
use crate::{Append, Applied, Error, Head};

/// Nobody creates logs: one that was never claimed reads as empty.
pub async fn a_log_that_nobody_claimed_is_empty(factory: &dyn Factory) {
    let ledger = plain(factory).await;
    let log = fresh_log();
    assert_eq!(ledger.head(&log).await.unwrap(), Head::default());
    assert!(ledger.read(&log, 0, 10).await.unwrap().is_empty());
    assert!(ledger.list(log.as_str()).await.unwrap().is_empty());
}

/// Each claim's fence is above the one before; the head tells who has it.
pub async fn a_claim_raises_the_fence_and_names_the_owner(factory: &dyn Factory) {
    let ledger = plain(factory).await;
    let log = fresh_log();
    let first = ledger.claim(&log, "one").await.unwrap();
    let second = ledger.claim(&log, "two").await.unwrap();
    assert!(first.fence > 0 && second.fence > first.fence);
    assert_eq!((second.head, second.owner.as_str(), &second.log), (0, "two", &log));
    assert_eq!(ledger.head(&log).await.unwrap(), Head { fence: second.fence, head: 0, owner: "two".to_owned() });
}

/// Also when the newer writer has not written yet, and after it has.
pub async fn an_older_writer_is_refused_for_ever(factory: &dyn Factory) {
    let ledger = plain(factory).await;
    let log = fresh_log();
    let old = append(&ledger, &ledger.claim(&log, "old").await.unwrap(), &["{\"n\":1}"]).await;
    let mut new = ledger.claim(&log, "new").await.unwrap();
    assert_eq!(new.head, 1);
    for round in 0..3 {
        let head = fenced(ledger.append(&old, &events(&["\"lost\""])).await.unwrap());
        assert_eq!((head.fence, head.head, head.owner.as_str()), (new.fence, new.head, "new"));
        new = append(&ledger, &new, &[&format!("{{\"round\":{round}}}")]).await;
    }
    assert_eq!(all(&ledger, &log).await, ["{\"n\":1}", "{\"round\":0}", "{\"round\":1}", "{\"round\":2}"]);
}

/// The fence alone does not make a writer: its head must be the log's.
pub async fn an_older_copy_of_a_writer_is_refused(factory: &dyn Factory) {
    let ledger = plain(factory).await;
    let log = fresh_log();
    let old = ledger.claim(&log, "me").await.unwrap();
    let new = append(&ledger, &old, &["1", "2"]).await;
    assert_eq!(new.head, 2);
    let head = fenced(ledger.append(&old, &events(&["3"])).await.unwrap());
    assert_eq!((head.fence, head.head), (old.fence, 2));
    append(&ledger, &new, &["3"]).await;
    assert_eq!(all(&ledger, &log).await, ["1", "2", "3"]);
}

/// All get a fence of their own, and only the highest can append, whatever the order of the appends.
pub async fn of_concurrent_claims_exactly_the_highest_fence_wins(factory: &dyn Factory) {
    let ledger = plain(factory).await;
    let log = fresh_log();
    let owners: Vec<String> = (0..8).map(|n| format!("owner-{n}")).collect();
    let mut writers: Vec<_> = join_all(owners.iter().map(|owner| ledger.claim(&log, owner)))
        .await
        .into_iter()
        .map(|claim| claim.expect("the store answers"))
        .collect();
    writers.sort_by_key(|writer| writer.fence);
    assert!(writers.windows(2).all(|pair| pair[0].fence < pair[1].fence), "fences are distinct");
    let texts: Vec<_> = writers.iter().map(|writer| events(&[&format!("\"{}\"", writer.owner)])).collect();
    let outcomes = join_all(writers.iter().zip(&texts).map(|(writer, text)| ledger.append(writer, text))).await;
    let winner = writers.last().unwrap();
    for (writer, outcome) in writers.iter().zip(outcomes) {
        let won = matches!(outcome.unwrap(), Append::Appended(_));
        assert_eq!(won, writer.fence == winner.fence, "{writer:?}");
    }
    assert_eq!(all(&ledger, &log).await, [format!("\"{}\"", winner.owner)]);
}

/// Copies of one writer, or two that believe in the same claim: the head decides.
pub async fn of_two_appends_under_one_head_exactly_one_wins(factory: &dyn Factory) {
    let ledger = plain(factory).await;
    let log = fresh_log();
    let writer = ledger.claim(&log, "me").await.unwrap();
    let (one, two) = (events(&["1"]), events(&["2"]));
    let (one, two) = tokio::join!(ledger.append(&writer, &one), ledger.append(&writer, &two));
    let winners: Vec<&str> = [("1", one.unwrap()), ("2", two.unwrap())]
        .into_iter()
        .filter(|(_, outcome)| matches!(outcome, Append::Appended(_)))
        .map(|(text, _)| text)
        .collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(all(&ledger, &log).await, winners);
}

/// Appends to many logs at once share transactions in some stores; each has its own condition and its own outcome.
pub async fn a_fenced_log_does_not_hold_up_the_others(factory: &dyn Factory) {
    let ledger = plain(factory).await;
    let logs: Vec<_> = (0..20).map(fresh_lane).collect();
    let mut writers = Vec::new();
    for log in &logs {
        writers.push(ledger.claim(log, "me").await.unwrap());
    }
    let rival = ledger.claim(&logs[7], "rival").await.unwrap();
    let texts: Vec<_> = (0..20).map(|n| events(&[&n.to_string(), "\"second\""])).collect();
    let outcomes = join_all(writers.iter().zip(&texts).map(|(writer, text)| ledger.append(writer, text))).await;
    for (n, outcome) in outcomes.into_iter().enumerate() {
        let log = &logs[n];
        if n == 7 {
            assert_eq!(fenced(outcome.unwrap()).fence, rival.fence);
            assert!(all(&ledger, log).await.is_empty());
        } else {
            assert_eq!(appended(outcome.unwrap()).head, 2);
            assert_eq!(all(&ledger, log).await, texts[n]);
        }
    }
}

/// The owner's name tells operators and other processes whom to ask; it is never empty.
pub async fn a_claim_without_a_proper_owner_is_refused(factory: &dyn Factory) {
    let ledger = plain(factory).await;
    let log = fresh_log();
    let long = "x".repeat(domain::limits::MAX_OWNER_BYTES + 1);
    for owner in ["", long.as_str(), "a\0b"] {
        let error = ledger.claim(&log, owner).await.unwrap_err();
        assert!(matches!(error, Error::BadOwner { .. }) && error.applied() == Applied::No, "{error:?}");
    }
    assert_eq!(ledger.head(&log).await.unwrap(), Head::default());
}
