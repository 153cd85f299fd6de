//! The client that calls other processes: what it may say of a call that was not answered, and that it sends nothing twice.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use ingress::internal::{Caller, NotAnswered};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const SOON: Duration = Duration::from_secs(10);
const BODY: &[u8] = b"{\"v\":1}";

/// What a process does with the requests of one connection, in order.
#[derive(Clone, Copy)]
enum Act {
    Say(&'static str),
    /// Answers, and closes the connection without having said that it would.
    SayAndClose(&'static str),
    CloseUnanswered,
    Wait,
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A process that reads whole requests, counts them, and acts as told.
async fn process(acts: Vec<Act>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, seen) = (listener.local_addr().unwrap().to_string(), Arc::new(AtomicUsize::new(0)));
    let counter = Arc::clone(&seen);
    tokio::spawn(async move {
        let mut acts = acts.into_iter();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            while read_request(&mut stream).await {
                counter.fetch_add(1, Relaxed);
                match acts.next().expect("nothing is sent beyond what is expected") {
                    Act::Say(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
                    Act::SayAndClose(answer) => {
                        stream.write_all(answer.as_bytes()).await.unwrap();
                        break;
                    }
                    Act::CloseUnanswered => break,
                    Act::Wait => std::future::pending().await,
                }
            }
        }
    });
    (address, seen)
}

async fn read_request(stream: &mut TcpStream) -> bool {
    let (mut text, mut part) = (Vec::new(), [0; 4096]);
    while !text.ends_with(BODY) {
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => return false,
            Ok(count) => text.extend_from_slice(&part[..count]),
        }
    }
    assert!(String::from_utf8(text).unwrap().to_ascii_lowercase().contains("authorization: bearer sesame"));
    true
}

async fn call(caller: &Caller, address: &str, within: Duration) -> Result<Vec<u8>, NotAnswered> {
    caller.call(address, "/internal/v1/lanes/gig:0", BODY.to_vec(), within).await
}

#[tokio::test]
async fn what_reached_nobody_or_was_refused_before_it_began_is_certainly_not_done() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let caller = Caller::new("sesame");
    assert!(matches!(call(&caller, &nobody, SOON).await, Err(NotAnswered::Refused(_))));
    for status in ["400 Bad Request", "401 Unauthorized", "404 Not Found", "413 Too Large", "503 Unavailable"] {
        let answer: &'static str = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").leak();
        let (address, seen) = process(vec![Act::Say(answer)]).await;
        assert!(matches!(call(&caller, &address, SOON).await, Err(NotAnswered::Refused(_))), "{status}");
        assert_eq!(seen.load(Relaxed), 1);
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_late_broken_or_not_understood_leaves_the_outcome_open_and_nothing_is_sent_again() {
    let short = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok";
    let failed = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n";
    for (act, within) in [
        (Act::CloseUnanswered, SOON),
        (Act::SayAndClose(short), SOON),
        (Act::Say("what?\r\n\r\n"), SOON),
        (Act::Say(failed), SOON),
        (Act::Wait, Duration::from_millis(200)),
    ] {
        let (address, seen) = process(vec![act]).await;
        let answer = call(&Caller::new("sesame"), &address, within).await;
        assert!(matches!(answer, Err(NotAnswered::Unknown(_))), "{answer:?}");
        assert_eq!(seen.load(Relaxed), 1);
    }
}

#[tokio::test]
async fn a_kept_connection_is_used_again_and_one_that_was_closed_meanwhile_makes_nothing_happen_twice() {
    let (address, seen) = process(vec![Act::Say(OK), Act::SayAndClose(OK), Act::Say(OK)]).await;
    let caller = Caller::new("sesame");
    for calls in 1..=2 {
        assert_eq!(call(&caller, &address, SOON).await.unwrap(), b"ok");
        assert_eq!(seen.load(Relaxed), calls);
    }
    // Whether the client knows of the end by now is a race: it sends on a new connection, or cannot say what became of it.
    match call(&caller, &address, SOON).await {
        Ok(_) => assert_eq!(seen.load(Relaxed), 3),
        Err(NotAnswered::Unknown(_)) => assert_eq!(seen.load(Relaxed), 2),
        Err(NotAnswered::Refused(why)) => panic!("the process could be reached: {why}"),
    }
}
