#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use domain::limits::APPEND_MS;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::{Attempt, Batch, Limits, Place, Tried, append};
use crate::{Append, Applied, Error, Head, Writer};

/// Answers tries as told, the last answer for ever, and keeps what was sent.
struct Script {
    answers: Mutex<VecDeque<Result<Tried, Error>>>,
    sent: Mutex<Vec<Arc<Batch>>>,
    hopeful: bool,
}

impl Script {
    fn new(answers: impl IntoIterator<Item = Result<Tried, Error>>) -> Self {
        Self { answers: Mutex::new(answers.into_iter().collect()), sent: Mutex::default(), hopeful: true }
    }

    async fn append(&self) -> Result<Append, Error> {
        let batch = Batch::new(&writer(), &["1".to_owned()], &Limits::default(), [7; 16]).unwrap();
        append(self, &writer(), batch).await
    }

    fn sent(&self) -> usize {
        let sent = self.sent.lock().unwrap();
        assert!(sent.iter().all(|batch| *batch == sent[0]), "the same batch each time");
        sent.len()
    }
}

impl Attempt for Script {
    fn attempt<'a>(&'a self, batch: &'a Arc<Batch>) -> BoxFuture<'a, Result<Tried, Error>> {
        self.sent.lock().unwrap().push(Arc::clone(batch));
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0].clone() };
        async move { answer }.boxed()
    }

    fn hopeful(&self) -> bool {
        self.hopeful
    }
}

fn writer() -> Writer {
    Writer { log: "lane/s/0".parse().unwrap(), fence: 3, owner: "me".to_owned(), head: 10, place: Place::default() }
}

fn unknown() -> Result<Tried, Error> {
    Err(Error::unknown("who knows"))
}

fn full() -> Result<Tried, Error> {
    Err(Error::Full { path: "ledger.db".into() })
}

#[tokio::test]
async fn a_definite_failure_ends_an_append_at_once() {
    let script = Script::new([full()]);
    assert_eq!(script.append().await.unwrap_err().applied(), Applied::No);
    assert_eq!(script.sent(), 1);
}

#[tokio::test]
async fn after_a_doubt_a_definite_failure_of_a_later_try_decides_nothing() {
    let script = Script::new([unknown(), full(), Err(Error::unavailable("away")), Ok(Tried::Applied)]);
    let Append::Appended(writer) = script.append().await.unwrap() else { panic!("fenced") };
    assert_eq!((writer.head, script.sent()), (11, 4));
    let head = Head { fence: 4, head: 12, owner: "other".to_owned() };
    let script = Script::new([unknown(), full(), Ok(Tried::Refused(head.clone()))]);
    assert_eq!(script.append().await.unwrap(), Append::Fenced(head));
}

#[tokio::test]
async fn a_doubt_that_nothing_resolves_ends_as_unknown_at_the_deadline() {
    let script = Script::new([unknown(), full()]);
    let since = Instant::now();
    let error = script.append().await.unwrap_err();
    assert_eq!(error.applied(), Applied::Unknown);
    assert!(error.to_string().contains("no space left"), "says what was seen last: {error}");
    assert!(since.elapsed() <= Duration::from_millis(APPEND_MS) && script.sent() > 5);
}

#[tokio::test]
async fn without_hope_nobody_waits_for_the_deadline() {
    let script = Script { hopeful: false, ..Script::new([unknown()]) };
    assert_eq!(script.append().await.unwrap_err().applied(), Applied::Unknown);
    assert_eq!(script.sent(), 1);
}

#[test]
fn a_segment_is_sealed_while_the_largest_append_would_still_fit() {
    let limits = Limits { append_bytes: 10, segment_rows: 3, segment_bytes: 30, ..Limits::default() };
    let seals = |rows, bytes, text: &str| {
        let writer = Writer { place: Place { segment: 0, rows, bytes }, ..writer() };
        Batch::new(&writer, &[text.to_owned()], &limits, [0; 16]).unwrap().seals
    };
    assert!(!seals(0, 0, "1234567890"));
    assert!(!seals(1, 10, "1234567890"));
    assert!(seals(1, 11, "1234567890"));
    assert!(seals(1, 20, "1"));
    assert!(seals(2, 2, "1"));
}

#[tokio::test]
async fn an_append_waits_for_another_process_that_writes_and_says_so_when_it_never_ends() {
    let locked = || Err(Error::Locked { path: "ledger.db".into() });
    let script = Script::new([locked(), locked(), Ok(Tried::Applied)]);
    assert!(matches!(script.append().await.unwrap(), Append::Appended(_)));
    assert_eq!(script.sent(), 3);
    let script = Script::new([locked()]);
    let error = script.append().await.unwrap_err();
    assert!(matches!(error, Error::Locked { .. }) && error.applied() == Applied::No, "{error:?}");
}
