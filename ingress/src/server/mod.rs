//! The accept loop and what it protects: time-outs, limits, draining.
//!
//! Each ingress thread runs [`serve`] on its own clone of one listener. SO_REUSEPORT is not used: two programs on one port
//! would share it in silence, and a connection queued at a socket that closes would be lost.

pub(crate) mod answer;
pub(crate) mod drive;
pub(crate) mod phase;
pub(crate) mod proxy;
pub(crate) mod slots;
pub(crate) mod stream;
pub(crate) mod tls;

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use hyper::server::conn::http1;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};

use crate::metrics::Listener;
use crate::problem::{Name, Problem};
use crate::settings::Limits;
use answer::{Connection, Handler};
use drive::{BRIEFLY, Draining, End, drive, refuse};
use phase::Phase;
use slots::{Full, Slots};
use tls::Tls;

/// When somebody there was no connection for may try again, milliseconds.
const BUSY_MS: u64 = 1_000;
const TOO_MANY_MS: u64 = 5_000;
/// Pause after the first failed accept, doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Everything the connections of one listener and thread share.
pub(crate) struct Server<H> {
    pub(crate) handler: H,
    pub(crate) limits: Limits,
    pub(crate) slots: Arc<Slots>,
    pub(crate) metrics: Listener,
    /// Connections begin with a PROXY header from one of these.
    pub(crate) proxies: Option<Vec<crate::edge::address::Network>>,
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) protocol: http1::Builder,
    draining: Draining,
    open: AtomicUsize,
    emptied: Notify,
}

impl<H: Handler> Server<H> {
    pub(crate) fn new(handler: H, limits: Limits, slots: Arc<Slots>, metrics: Listener) -> Self {
        let protocol = drive::protocol(&limits);
        let (draining, open, emptied) = Default::default();
        Self { handler, limits, slots, metrics, proxies: None, tls: None, protocol, draining, open, emptied }
    }

    /// Accepts until `stop` says true (or its sender is gone), then lets requests under way finish.
    pub(crate) async fn serve(self, listener: TcpListener, mut stop: watch::Receiver<bool>) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let server = Arc::new(self);
        let mut pause = FIRST_PAUSE;
        loop {
            let accepted = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    pause = FIRST_PAUSE;
                    server.take(stream, peer);
                    // The other threads wait on the same queue: leave them their share of a burst.
                    tokio::task::yield_now().await;
                }
                Err(why) if gone_already(&why) => {}
                Err(why) => {
                    server.metrics.accept_failed();
                    tracing::warn!(%why, pause_ms = pause.as_millis(), "accepting connections fails: raise the limit of open files if it says so");
                    tokio::select! {
                        _ = stop.wait_for(|stop| *stop) => break,
                        () = tokio::time::sleep(pause) => {}
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
        server.take_queued(&listener);
        drop(listener);
        server.drain().await;
        Ok(())
    }

    /// What the kernel has already accepted for us is served as well, as far as it is there.
    fn take_queued(self: &Arc<Self>, listener: &tokio::net::TcpListener) {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        while let std::task::Poll::Ready(Ok((stream, peer))) = listener.poll_accept(&mut context) {
            self.take(stream, peer);
        }
    }

    async fn drain(&self) {
        self.draining.begin();
        let emptied = async {
            loop {
                let mut woken = std::pin::pin!(self.emptied.notified());
                woken.as_mut().enable();
                if self.open.load(Relaxed) == 0 {
                    break;
                }
                woken.await;
            }
        };
        if tokio::time::timeout(self.limits.drain, emptied).await.is_err() {
            tracing::warn!(open = self.open.load(Relaxed), "connections are cut: they did not end before the deadline");
        }
    }

    fn take(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let server = Arc::clone(self);
        let open = Open::new(server);
        tokio::spawn(async move { open.0.connection(stream, peer.ip().to_canonical()).await });
    }

    async fn connection(&self, mut stream: TcpStream, mut peer: IpAddr) {
        // Without it a small answer waits for the client's delayed acknowledgement; a socket that refuses is closed already.
        let _ = stream.set_nodelay(true);
        let mut slot = match self.slots.take(self.limits.connections) {
            Ok(slot) => slot,
            Err(full) => return self.turn_away(stream, full).await,
        };
        let phase = Arc::new(Phase::new());
        if let Some(trusted) = &self.proxies {
            let header =
                async { if trusted.iter().any(|n| n.has(peer)) { proxy::read(&mut stream).await } else { None } };
            match tokio::time::timeout(self.limits.first_byte, header).await {
                Ok(Some(proxy::Said::Client(client))) => peer = client.to_canonical(),
                Ok(Some(proxy::Said::Itself)) => {}
                Ok(None) | Err(_) => return self.metrics.ended(End::Broken),
            }
        }
        if let Err(full) = slot.count_for(peer, self.limits.connections_per_address) {
            return self.turn_away(stream, full).await;
        }
        self.metrics.opened();
        let end = match &self.tls {
            None => self.http(stream, Connection { peer, tls: false, phase }).await,
            // In a box of its own, so that plain connections do not carry its size.
            Some(tls) => Box::pin(self.encrypted(tls, stream, peer, phase)).await,
        };
        self.metrics.closed();
        self.metrics.ended(end);
    }

    async fn encrypted(&self, tls: &Tls, stream: TcpStream, peer: IpAddr, phase: Arc<Phase>) -> End {
        match tokio::time::timeout(self.limits.head, tls.accept(stream)).await {
            Ok(Ok(stream)) => self.http(stream, Connection { peer, tls: true, phase }).await,
            Ok(Err(_)) => End::Broken,
            Err(_) => End::TooSlow,
        }
    }

    async fn http<S>(&self, socket: S, connection: Connection) -> End
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let handler = self.handler.clone();
        drive(&self.protocol, socket, handler, Arc::new(connection), &self.limits, &self.draining).await
    }

    async fn turn_away(&self, stream: TcpStream, full: Full) {
        self.metrics.turned_away(full);
        let problem = match full {
            Full::Process => {
                Problem::new(Name::Overloaded, "As many connections are open as may be.").retry_after(BUSY_MS)
            }
            Full::Address => {
                let detail = "This address has as many connections as one address may have.";
                Problem::new(Name::TooManyRequests, detail).retry_after(TOO_MANY_MS)
            }
        };
        Box::pin(refuse(stream, problem, BRIEFLY)).await;
    }
}

/// Counts one connection of a thread's loop, so that draining knows when the last is gone.
struct Open<H: Handler>(Arc<Server<H>>);

impl<H: Handler> Open<H> {
    fn new(server: Arc<Server<H>>) -> Self {
        server.open.fetch_add(1, Relaxed);
        Self(server)
    }
}

impl<H: Handler> Drop for Open<H> {
    fn drop(&mut self) {
        if self.0.open.fetch_sub(1, Relaxed) == 1 {
            self.0.emptied.notify_waiters();
        }
    }
}

/// Errors of accept that belong to the connection that was to be accepted, not to us.
fn gone_already(why: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(why.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
