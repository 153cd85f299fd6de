//! What a handler gives back to the server: an answer now, or a future of one.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::phase::Phase;

/// A request as it comes from the socket.
pub(crate) type Request = http::Request<Incoming>;
/// An answer.
pub(crate) type Response = http::Response<Content>;

/// The body of an answer.
pub(crate) enum Content {
    /// In one piece: nearly every one.
    Whole(Full<Bytes>),
    /// Comes in pieces, as there is something to say.
    Stream(Pin<Box<dyn Body<Data = Bytes, Error = Infallible> + Send>>),
}

impl Content {
    /// The body, where it is in one piece.
    pub(crate) fn whole(self) -> Bytes {
        match self {
            Self::Whole(body) => body.into_inner().unwrap_or_default(),
            Self::Stream(_) => Bytes::new(),
        }
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Whole(body) => Pin::new(body).poll_frame(cx),
            Self::Stream(body) => body.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Stream(body) => body.size_hint(),
        }
    }
}

/// The answer of a handler. What memory alone can answer costs no allocation for a future.
#[allow(clippy::large_enum_variant, reason = "moved twice per request, and a box would cost more")]
pub(crate) enum Answer {
    /// Ready, once.
    Now(Option<Response>),
    /// Comes later.
    Later(BoxFuture<'static, Response>),
}

impl Answer {
    /// An answer that is ready.
    pub(crate) fn now(response: Response) -> Self {
        Self::Now(Some(response))
    }

    /// An answer that has to wait for something.
    pub(crate) fn later(future: impl Future<Output = Response> + Send + 'static) -> Self {
        Self::Later(Box::pin(future))
    }
}

/// One listener's handlers.
pub(crate) trait Handler: Clone + Send + Sync + Unpin + 'static {
    /// Answers one request of a connection, and tells its phase when the answer is there. Never fails: failures are
    /// answers too.
    fn handle(&self, request: Request, from: &Arc<Connection>) -> Answer;
}

/// What is known of the connection a request came on.
pub(crate) struct Connection {
    /// The other end, after a PROXY header when those are enabled.
    pub(crate) peer: std::net::IpAddr,
    /// Whether the connection itself is encrypted.
    pub(crate) tls: bool,
    /// Where it stands.
    pub(crate) phase: Arc<Phase>,
}

/// hyper's view of a handler on one connection.
pub(crate) struct Service<H> {
    pub(crate) handler: H,
    pub(crate) connection: Arc<Connection>,
}

impl<H: Handler> hyper::service::Service<Request> for Service<H> {
    type Response = Response;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, request: Request) -> Answering {
        let phase = &self.connection.phase;
        phase.handling(!request.body().is_end_stream());
        Answering(self.handler.handle(request, &self.connection))
    }
}

/// An answer on its way. Whoever makes it tells the phase when it is there.
pub(crate) struct Answering(Answer);

impl Future for Answering {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Answer::Now(response) => response.take().map_or(Poll::Pending, |response| Poll::Ready(Ok(response))),
            Answer::Later(future) => future.as_mut().poll(cx).map(Ok),
        }
    }
}
