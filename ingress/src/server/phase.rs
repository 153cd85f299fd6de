//! Where a connection stands, and when its patience ends.
//!
//! The socket wrapper, the service and the connection's driver share one [`Phase`]. All three run inside one task, so the
//! atomics are only there to make the future `Send`; nobody ever waits for another thread's store.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use std::{io, io::IoSlice};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::settings::Limits;

/// What a connection is waiting for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Wait {
    /// Its first byte.
    First,
    /// The rest of a request's head.
    Head,
    /// Our own handler, which has bounds of its own.
    Handler,
    /// The client, to take the answer.
    Write,
    /// The next request.
    Idle,
}

impl Wait {
    const ALL: [Self; 5] = [Self::First, Self::Head, Self::Handler, Self::Write, Self::Idle];

    fn bound(self, limits: &Limits) -> Option<Duration> {
        match self {
            Self::First => Some(limits.first_byte),
            Self::Head => Some(limits.head),
            Self::Handler => None,
            Self::Write => Some(limits.write),
            Self::Idle => Some(limits.idle),
        }
    }
}

/// The phase of one connection.
pub(crate) struct Phase {
    born: Instant,
    wait: AtomicU8,
    /// Milliseconds after `born` at which the wait began.
    since: AtomicU64,
    /// A body was announced and nobody has read it to its end.
    unread: AtomicBool,
    /// Status of the answer hyper gave by itself to a head it could not read; 0: none.
    unreadable: AtomicU16,
}

impl Phase {
    pub(crate) fn new() -> Self {
        Self {
            born: Instant::now(),
            wait: AtomicU8::new(Wait::First as u8),
            since: AtomicU64::new(0),
            unread: AtomicBool::new(false),
            unreadable: AtomicU16::new(0),
        }
    }

    pub(crate) fn wait(&self) -> Wait {
        Wait::ALL.get(usize::from(self.wait.load(Relaxed))).copied().unwrap_or(Wait::First)
    }

    fn set(&self, wait: Wait, now: Instant) {
        let since = u64::try_from((now - self.born).as_millis()).unwrap_or(u64::MAX);
        self.since.store(since, Relaxed);
        self.wait.store(wait as u8, Relaxed);
    }

    /// The head is complete, the handler starts. `unread`: a body follows.
    pub(crate) fn handling(&self, unread: bool) {
        self.wait.store(Wait::Handler as u8, Relaxed);
        self.unread.store(unread, Relaxed);
    }

    /// The body has been read to its end.
    pub(crate) fn body_read(&self) {
        self.unread.store(false, Relaxed);
    }

    /// Whether the client may still be sending a body that nobody reads.
    pub(crate) fn body_unread(&self) -> bool {
        self.unread.load(Relaxed)
    }

    /// The handler has its answer.
    pub(crate) fn answered(&self, now: Instant) {
        self.set(Wait::Write, now);
    }

    fn received(&self) {
        if matches!(self.wait(), Wait::First | Wait::Idle) {
            self.set(Wait::Head, Instant::now());
        }
    }

    /// The socket took some of what it was given, and is asked to take more: the wait for the client begins anew.
    fn sent_partly(&self) {
        if self.wait() == Wait::Write {
            self.set(Wait::Write, Instant::now());
        }
    }

    /// Whether bytes that go out are an answer of our own. Before a handler was called they can only be hyper's, which says
    /// nothing but a status: that is kept, and the driver says it in our words.
    fn is_ours(&self, bytes: &[u8]) -> bool {
        if matches!(self.wait(), Wait::Handler | Wait::Write) {
            return true;
        }
        let status = bytes.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        self.unreadable.store(status.unwrap_or(400), Relaxed);
        false
    }

    /// Status for a head that could not be read; `None` while answers of our own are under way, which nothing may be added to.
    pub(crate) fn unreadable(&self) -> Option<u16> {
        if matches!(self.wait(), Wait::Handler | Wait::Write) {
            return None;
        }
        Some(self.unreadable.load(Relaxed))
    }

    /// hyper flushes the socket once everything it has for it is written. Resting counts from the answer: one look at the
    /// clock less per request.
    fn flushed(&self) {
        if self.wait() == Wait::Write {
            self.wait.store(Wait::Idle as u8, Relaxed);
        }
    }

    /// When to look again: the end of the present wait, or earlier when a later, shorter wait could end before it.
    pub(crate) fn look_again(&self, limits: &Limits) -> Instant {
        let shortest = limits.head.min(limits.write).min(limits.first_byte).min(limits.idle);
        let soon = Instant::now() + shortest;
        self.deadline(limits).map_or(soon, |deadline| deadline.min(soon))
    }

    /// How long ago the connection began.
    pub(crate) fn age(&self) -> Duration {
        self.born.elapsed()
    }

    /// Whether the present wait has lasted longer than it may.
    pub(crate) fn overdue(&self, limits: &Limits) -> bool {
        self.deadline(limits).is_some_and(|deadline| deadline <= Instant::now())
    }

    fn deadline(&self, limits: &Limits) -> Option<Instant> {
        let bound = self.wait().bound(limits)?;
        Some(self.born + Duration::from_millis(self.since.load(Relaxed)) + bound)
    }
}

/// A socket that tells its [`Phase`] about bytes.
pub(crate) struct Watched<S> {
    socket: S,
    phase: std::sync::Arc<Phase>,
}

impl<S> Watched<S> {
    pub(crate) const fn new(socket: S, phase: std::sync::Arc<Phase>) -> Self {
        Self { socket, phase }
    }

    pub(crate) fn into_inner(self) -> S {
        self.socket
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.phase.received();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if !self.phase.is_ours(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        let sent = ready!(Pin::new(&mut self.socket).poll_write(cx, bytes))?;
        if sent < bytes.len() {
            self.phase.sent_partly();
        }
        Poll::Ready(Ok(sent))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let sent = ready!(Pin::new(&mut self.socket).poll_write_vectored(cx, bytes))?;
        if sent < bytes.iter().map(|part| part.len()).sum() {
            self.phase.sent_partly();
        }
        Poll::Ready(Ok(sent))
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.socket).poll_flush(cx))?;
        self.phase.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
