//! One connection, from its first byte to its end.

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::Poll;
use std::time::Duration;

use domain::limits::HTTP_LINGER_BYTES;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::answer::{Connection, Handler, Service};
use super::phase::{Wait, Watched};
use crate::problem::{Name, Problem, last_words};
use crate::settings::Limits;

/// How long the rest of an unread body may keep a connection that has had its answer.
const LINGER: Duration = Duration::from_secs(2);
/// How long a connection that has said nothing may still begin to, once the listener stops.
const NEWCOMER: Duration = Duration::from_millis(200);
pub(crate) const BRIEFLY: Duration = Duration::from_millis(100);

/// Told to every connection of a listener when it stops.
#[derive(Default)]
pub(crate) struct Draining {
    begun: AtomicBool,
    wake: Notify,
}

impl Draining {
    pub(crate) fn begin(&self) {
        self.begun.store(true, Relaxed);
        self.wake.notify_waiters();
    }

    pub(crate) fn begun(&self) -> bool {
        self.begun.load(Relaxed)
    }
}

/// Why a connection ended; the label of the metric.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// The client closed it, or the answer said it would be.
    Done,
    /// What came was not HTTP, or the socket broke.
    Broken,
    /// The client was too slow.
    TooSlow,
}

/// hyper's settings for every connection of a listener. Its own timer stays off: it knows the head of a request only, and
/// cannot tell a connection that rests from one that trickles.
pub(crate) fn protocol(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.header_read_timeout(None).half_close(false).keep_alive(true).max_buf_size(limits.head_bytes.max(8_192));
    // Answers are small: copying one behind its head costs less than a vectored write.
    builder.writev(false);
    builder
}

/// Serves requests on `socket` until either side has had enough.
pub(crate) async fn drive<S, H>(
    protocol: &http1::Builder,
    socket: S,
    handler: H,
    connection: Arc<Connection>,
    limits: &Limits,
    draining: &Draining,
) -> End
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    H: Handler,
{
    let phase = Arc::clone(&connection.phase);
    let io = TokioIo::new(Watched::new(socket, Arc::clone(&phase)));
    let mut http = protocol.serve_connection(io, Service { handler, connection });
    let mut timer = pin!(tokio::time::sleep_until(phase.look_again(limits)));
    let mut drained = pin!(draining.wake.notified());
    drained.as_mut().enable();
    let (mut registered, mut asked) = (false, false);
    let mut unreadable = None;
    let end = poll_fn(|cx| {
        // A task's waker stays the same, so once is enough; whether it fired is read from the flag, which costs nothing.
        if !registered {
            registered = true;
            let _ = drained.as_mut().poll(cx);
        }
        loop {
            // A connection that has not said anything yet may have a request under way: it gets a moment.
            if !asked && draining.begun() && (phase.wait() != Wait::First || phase.age() > NEWCOMER) {
                asked = true;
                std::pin::Pin::new(&mut http).graceful_shutdown();
            }
            if let Poll::Ready(result) = http.poll_without_shutdown(cx) {
                let Err(error) = result else { return Poll::Ready(End::Done) };
                unreadable =
                    if error.is_parse() { phase.unreadable().map(|status| bad_head(status, &error)) } else { None };
                return Poll::Ready(End::Broken);
            }
            if !asked && draining.begun() {
                if phase.wait() != Wait::First {
                    continue;
                }
                timer.as_mut().reset(Instant::now() + NEWCOMER);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if phase.overdue(limits) {
                return Poll::Ready(End::TooSlow);
            }
            timer.as_mut().reset(phase.look_again(limits));
        }
    })
    .await;
    let socket = http.into_parts().io.into_inner().into_inner();
    // In a box: every connection's future would otherwise have room for an ending that most of its life has not come.
    if let Some(problem) = unreadable {
        Box::pin(refuse(socket, problem, LINGER)).await;
        return end;
    }
    match end {
        End::Done if !phase.body_unread() => Box::pin(close(socket)).await,
        End::Done | End::Broken => Box::pin(linger(socket, LINGER)).await,
        End::TooSlow if phase.wait() == Wait::Head => Box::pin(refuse(socket, too_slow(), BRIEFLY)).await,
        End::TooSlow => {}
    }
    end
}

async fn close<S: AsyncWrite + Unpin>(mut socket: S) {
    // Already closed by the other side, or about to be dropped anyway.
    let _ = tokio::time::timeout(LINGER, socket.shutdown()).await;
}

fn too_slow() -> Problem {
    Problem::new(Name::TooSlow, "The head of the request did not arrive in time.")
}

/// A head that hyper could not read. Its status is hyper's choice, 0 where it made none.
fn bad_head(status: u16, error: &hyper::Error) -> Problem {
    let (name, what) = match status {
        414 => (Name::UriTooLong, "The address in the first line is too long"),
        431 => (Name::HeadTooLarge, "The first line and the headers are too large"),
        _ => (Name::BadRequest, "The head of the request is not HTTP/1.1"),
    };
    Problem::new(name, format!("{what}: {error}."))
}

/// Writes a last answer if the socket takes it at once, and closes: lingers briefly where it is given to those there is no
/// room for.
pub(crate) async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(mut socket: S, problem: Problem, most: Duration) {
    let answer = last_words(problem);
    if let Ok(Ok(())) = tokio::time::timeout(BRIEFLY, socket.write_all(&answer)).await {
        linger(socket, most).await;
    }
}

/// Closes our side and throws away what still comes, within bounds: a socket dropped with unread bytes resets the
/// connection, and the client would lose the answer it is being told.
async fn linger<S: AsyncRead + AsyncWrite + Unpin>(mut socket: S, most: Duration) {
    let until = Instant::now() + most;
    let discard = async {
        socket.shutdown().await?;
        let mut left = HTTP_LINGER_BYTES;
        // On the heap: it would otherwise be part of every connection's future, which most never come to use.
        let mut bytes = vec![0; 8_192];
        while left > 0 {
            match socket.read(&mut bytes).await? {
                0 => break,
                read => left = left.saturating_sub(read),
            }
        }
        Ok::<(), std::io::Error>(())
    };
    // Whatever goes wrong here, the connection is over.
    let _ = tokio::time::timeout_at(until, discard).await;
}
