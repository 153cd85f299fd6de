#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::future::Future;

use domain::{Millis, VisitorHash};

use super::*;
use crate::line::{Came, Claim, Joined, NotYet};

fn night() -> SaleId {
    "night".parse().unwrap()
}

const VISITOR: VisitorHash = VisitorHash([1; 16]);

/// Runs `asking` on a line of another process until its request waits to be forwarded.
async fn forwarded<T: Send + 'static>(
    outbox: &mut Outbox,
    asking: impl Future<Output = T> + Send + 'static,
) -> (Forwarded, tokio::task::JoinHandle<T>) {
    let task = tokio::spawn(asking);
    (outbox.next().await.unwrap(), task)
}

/// A line whose owner answers requests of each kind, and owns nothing for the one that leaves.
fn owner() -> (Line, tokio::task::JoinHandle<Vec<u64>>) {
    let (line, mut inbox) = handle::channel(&night(), 8);
    inbox.status.send_replace(LineStatus { owned: true, ..LineStatus::default() });
    let owner = tokio::spawn(async move {
        for _ in 0..4 {
            let asked = inbox.requests.recv().await.unwrap();
            assert_eq!(asked.from, From::Elsewhere);
            match asked.request {
                Request::Join { visitor, presented, fee, answer } => {
                    assert_eq!((visitor, presented, fee), (VISITOR, Some(7), crate::line::Fee::After(3)));
                    answer.send(Ok(Joined { number: 7, new: false })).unwrap();
                }
                Request::Claim { number, answer, .. } => {
                    assert_eq!(number, 7);
                    answer
                        .send(Ok(Claim::Granted { number, given: Millis(4), expires: Millis(9), again: true }))
                        .unwrap();
                }
                Request::Come { visitor, answer } => {
                    assert_eq!(visitor, VISITOR);
                    answer.send(Ok(Came { index: 4, new: true })).unwrap();
                }
                Request::Leave { answer, .. } => answer.send(Err(LineError::NoOwner)).unwrap(),
                Request::Redeem { .. } | Request::Offer { .. } | Request::Move { .. } => panic!("nobody does"),
            }
        }
        inbox.ended.recv().await.unwrap()
    });
    (line, owner)
}

#[tokio::test]
async fn a_group_reaches_the_owner_and_each_of_it_gets_its_own_answer() {
    let (here, mut outbox, _ends) = elsewhere(&night());
    let (a, b, c, d) = (here.clone(), here.clone(), here.clone(), here.clone());
    let (one, joined) =
        forwarded(&mut outbox, async move { a.join_for(VISITOR, Some(7), crate::line::Fee::After(3)).await }).await;
    let (two, claimed) = forwarded(&mut outbox, async move { b.claim(VISITOR, 7).await }).await;
    let (three, left) = forwarded(&mut outbox, async move { c.leave(VISITOR, 7).await }).await;
    let (four, came) = forwarded(&mut outbox, async move { d.come(VISITOR).await }).await;
    let (there, owner) = owner();
    let group = vec![one, two, three, four];
    let answer = serve(&there, &encode(&group)).await.unwrap();
    let again = answered(group, &answer).unwrap();
    assert_eq!(joined.await.unwrap(), Ok(Joined { number: 7, new: false }));
    assert_eq!(
        claimed.await.unwrap(),
        Ok(Claim::Granted { number: 7, given: Millis(4), expires: Millis(9), again: true })
    );
    assert_eq!(came.await.unwrap(), Ok(Came { index: 4, new: true }));
    assert_eq!(again.len(), 1, "what is not this process' goes to another one");
    again.into_iter().for_each(Forwarded::no_owner);
    assert_eq!(left.await.unwrap(), Err(LineError::NoOwner));
    assert!(ends_taken(&serve(&there, &encode_ends(&[3, 4])).await.unwrap()));
    assert_eq!(owner.await.unwrap(), [3, 4]);
}

#[tokio::test]
async fn ends_are_kept_by_whoever_sends_them_to_a_process_that_does_not_own_the_line() {
    let (line, mut inbox) = handle::channel(&night(), 8);
    assert!(!ends_taken(&serve(&line, &encode_ends(&[3])).await.unwrap()));
    assert!(inbox.ended.try_recv().is_err());
}

#[tokio::test]
async fn a_lost_answer_is_unknown() {
    let (here, mut outbox, _ends) = elsewhere(&night());
    let odd = serde_json::to_vec(&Answers { v: VERSION, owned: true, answers: vec![Answer::Leave(Ok(()))] }).unwrap();
    for answer in [b"{}".to_vec(), odd] {
        let line = here.clone();
        let (one, joined) = forwarded(&mut outbox, async move { line.join(VISITOR, None).await }).await;
        let _ = answered(vec![one], &answer);
        assert_eq!(joined.await.unwrap(), Err(LineError::Unknown));
    }
}

#[test]
fn every_answer_is_read_back_as_it_was_written() {
    let all = || {
        vec![
            Answer::Come(Ok(Came { index: 4, new: true })),
            Answer::Join(Err(LineError::Drawing)),
            Answer::Join(Err(LineError::NotJoining)),
            Answer::Come(Err(LineError::NotJoining)),
            Answer::Claim(Err(LineError::Paused)),
            Answer::Claim(Ok(Claim::NotYet { retry_after_ms: 5, why: NotYet::CapFull })),
            Answer::Claim(Ok(Claim::Superseded(3))),
            Answer::Leave(Ok(())),
            Answer::Join(Err(LineError::CodeUsed)),
            Answer::Claim(Err(LineError::Moved)),
            Answer::Offer(Ok(Millis(9))),
            Answer::Move(Ok(7)),
            Answer::Move(Err(LineError::NoMove)),
        ]
    };
    let text = serde_json::to_vec(&Answers { v: VERSION, owned: false, answers: all() }).unwrap();
    assert_eq!(read::<Answers>(&text).unwrap().answers, all());
}

#[tokio::test]
async fn what_is_no_group_is_refused_and_nothing_is_asked() {
    let (line, mut inbox) = handle::channel(&night(), 8);
    let many = encode_ends(&vec![1; MAX_FORWARD_ENDS + 1]);
    for wrong in [b"".to_vec(), b"{\"v\":2,\"asks\":[],\"ended\":[]}".to_vec(), many] {
        assert!(serve(&line, &wrong).await.is_err());
    }
    assert!(inbox.requests.try_recv().is_err());
}
