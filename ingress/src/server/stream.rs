//! Answers that go on: events for one client, as there is something to say.
//!
//! Nothing piles up for a client that does not read: what is said next is asked for when the last word has gone out, and says how
//! things stand then. A client that takes nothing has the time that every answer has, counted from the first word it did not take.

use std::convert::Infallible;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use domain::limits::EVENT_LOOK_MS;
use hyper::body::{Body, Frame};
use tokio::time::{Instant, Sleep};

use super::answer::Connection;
use super::phase::Wait;

/// What there is to say at a moment.
pub(crate) enum Say {
    /// Nothing new.
    Nothing,
    /// This, and more may come.
    More(Bytes),
    /// This, or nothing any more, and the stream ends.
    Last(Bytes),
}

/// Who says it. Asked every [`EVENT_LOOK_MS`].
pub(crate) trait Teller: Send + Unpin + 'static {
    /// What there is to say now.
    fn say(&mut self, now: Instant) -> Say;
}

/// The body of such an answer.
pub(crate) struct Stream<T> {
    teller: T,
    from: Arc<Connection>,
    timer: Pin<Box<Sleep>>,
    begun: bool,
    over: bool,
}

impl<T: Teller> Stream<T> {
    /// Asks `teller` from now on, for the client of this connection.
    pub(crate) fn new(teller: T, from: Arc<Connection>) -> Self {
        Self { teller, from, timer: Box::pin(tokio::time::sleep(Duration::ZERO)), begun: false, over: false }
    }

    /// Whether the client has not taken yet what it was told last. The head goes out with the first word.
    fn is_behind(&self) -> bool {
        self.begun && self.from.phase.wait() == Wait::Write
    }
}

impl<T: Teller> Body for Stream<T> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        loop {
            let now = Instant::now();
            if self.over {
                // The end of the body is written as well, and is ours.
                self.from.phase.answered(now);
                return Poll::Ready(None);
            }
            let said = if self.is_behind() { Say::Nothing } else { self.teller.say(now) };
            self.timer.as_mut().reset(now + Duration::from_millis(EVENT_LOOK_MS));
            let bytes = match said {
                Say::Nothing => Bytes::new(),
                Say::More(bytes) => bytes,
                Say::Last(bytes) => {
                    self.over = true;
                    bytes
                }
            };
            if !bytes.is_empty() {
                self.begun = true;
                self.from.phase.answered(now);
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            if !self.over {
                ready!(self.timer.as_mut().poll(cx));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use http::StatusCode;
    use http::header::HeaderValue;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::task::JoinHandle;

    use super::super::answer::{Answer, Handler, Request};
    use super::super::drive::{Draining, End, drive, protocol};
    use super::super::phase::Phase;
    use super::*;
    use crate::reply;
    use crate::settings::Limits;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// Always has more to say than the socket below takes in one go.
    #[derive(Clone, Default)]
    struct Talker(Arc<AtomicU32>);

    impl Teller for Talker {
        fn say(&mut self, _: Instant) -> Say {
            self.0.fetch_add(1, Relaxed);
            Say::More(Bytes::from_static(&[b'x'; 200]))
        }
    }

    impl Handler for Talker {
        fn handle(&self, _: Request, from: &Arc<Connection>) -> Answer {
            let answer = reply::stream(
                StatusCode::OK,
                HeaderValue::from_static("text/plain"),
                Stream::new(self.clone(), Arc::clone(from)),
            );
            from.phase.answered(Instant::now());
            Answer::now(answer)
        }
    }

    /// A client that has asked, and the connection as the server drives it.
    async fn asked(talker: &Talker) -> (DuplexStream, JoinHandle<End>) {
        let (mut client, socket) = duplex(64);
        let (talker, phase) = (talker.clone(), Arc::new(Phase::new()));
        let driven = tokio::spawn(async move {
            let limits = Limits { write: Duration::from_millis(700), ..Limits::default() };
            let connection = Arc::new(Connection { peer: IpAddr::V4(Ipv4Addr::LOCALHOST), tls: false, phase });
            drive(&protocol(&limits), socket, talker, connection, &limits, &Draining::default()).await
        });
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        (client, driven)
    }

    #[tokio::test]
    async fn who_takes_nothing_is_told_nothing_more_and_is_cut_off() {
        let talker = Talker::default();
        let (mut client, driven) = asked(&talker).await;
        let end = tokio::time::timeout(PATIENCE, driven).await.unwrap().unwrap();
        assert_eq!(end, End::TooSlow);
        assert_eq!(talker.0.load(Relaxed), 1, "what is not read is not said");
        let mut got = Vec::new();
        client.read_to_end(&mut got).await.unwrap();
        assert!(got.len() <= 64, "and is not kept: {}", got.len());
    }

    #[tokio::test]
    async fn who_reads_is_told_for_longer_than_an_answer_may_take() {
        let talker = Talker::default();
        let (mut client, driven) = asked(&talker).await;
        let (begin, mut bytes) = (Instant::now(), [0; 64]);
        while begin.elapsed() < Duration::from_millis(1_600) {
            let read = tokio::time::timeout(PATIENCE, client.read(&mut bytes)).await.unwrap().unwrap();
            assert!(read > 0, "cut off after {:?}", begin.elapsed());
        }
        assert!(talker.0.load(Relaxed) >= 3, "{}", talker.0.load(Relaxed));
        drop(client);
        tokio::time::timeout(PATIENCE, driven).await.unwrap().unwrap();
    }
}
