//! The client: one call, one outcome, over connections that are kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use domain::limits::{FORWARD_CONNECT_MS, MAX_FORWARD_ANSWER_BYTES, MAX_FORWARD_CALLS};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};

use crate::reply::JSON;

/// Idle connections kept per process that is called.
const KEPT: usize = 32;

/// A call without an answer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotAnswered {
    /// Certainly nothing was done: the process was not reached, or refused before it began.
    #[error("refused: {0}")]
    Refused(String),
    /// The process may have done it.
    #[error("unknown: {0}")]
    Unknown(String),
}

type Sender = SendRequest<Full<Bytes>>;

/// Calls other processes. Cheap to clone; all calls are made on one runtime.
#[derive(Clone)]
pub struct Caller(Arc<Inner>);

struct Inner {
    /// The key that is shown; the first of the keys file.
    key: ArcSwap<Option<HeaderValue>>,
    idle: Mutex<HashMap<String, Vec<Sender>>>,
    room: Semaphore,
}

impl Caller {
    /// A caller that shows this key.
    #[must_use]
    pub fn new(key: &str) -> Self {
        let caller = Self(Arc::new(Inner {
            key: ArcSwap::default(),
            idle: Mutex::default(),
            room: Semaphore::new(MAX_FORWARD_CALLS),
        }));
        caller.set_key(key);
        caller
    }

    /// Shows another key from now on (SIGHUP).
    pub fn set_key(&self, key: &str) {
        let value = HeaderValue::from_str(&format!("Bearer {key}")).ok().map(|mut value| {
            value.set_sensitive(true);
            value
        });
        self.0.key.store(Arc::new(value));
    }

    /// Sends one group and waits for its answer until `within` is over. Sent at most once: only a connection that turned out to
    /// be closed before anything of it was sent is replaced.
    ///
    /// # Errors
    /// [`NotAnswered`].
    pub async fn call(
        &self,
        address: &str,
        path: &str,
        body: Vec<u8>,
        within: Duration,
    ) -> Result<Vec<u8>, NotAnswered> {
        let deadline = Instant::now() + within;
        let refused = |why: &str| NotAnswered::Refused(format!("{address}: {why}"));
        let room = timeout_at(deadline, self.0.room.acquire()).await;
        let _room = room.ok().and_then(Result::ok).ok_or_else(|| refused("too many calls are under way"))?;
        let mut request = self.request(address, path, body).ok_or_else(|| refused("is no address"))?;
        let (answer, sender) = loop {
            let (mut sender, kept) = match self.kept(address) {
                Some(mut sender) => match timeout_at(deadline, sender.ready()).await {
                    Ok(Ok(())) => (sender, true),
                    Ok(Err(_)) => continue,
                    Err(_) => return Err(refused("a kept connection is not ready in time")),
                },
                None => (connect(address).await.map_err(|why| refused(&why))?, false),
            };
            match timeout_at(deadline, sender.try_send_request(request)).await {
                Err(_) => return Err(NotAnswered::Unknown(format!("{address}: no answer in time"))),
                Ok(Ok(answer)) => break (answer, sender),
                Ok(Err(mut failed)) => match failed.take_message() {
                    Some(unsent) if kept => request = unsent,
                    Some(_) => return Err(refused("closed the connection")),
                    None => return Err(NotAnswered::Unknown(format!("{address}: {}", failed.error()))),
                },
            }
        };
        let status = answer.status();
        let unknown = |why: &dyn std::fmt::Display| NotAnswered::Unknown(format!("{address}: {why}"));
        let read = Limited::new(answer.into_body(), MAX_FORWARD_ANSWER_BYTES).collect();
        let text = match timeout_at(deadline, read).await {
            Err(_) => return Err(unknown(&"no whole answer in time")),
            Ok(Err(error)) => return Err(unknown(&error)),
            Ok(Ok(text)) => text.to_bytes(),
        };
        self.keep(address, sender);
        match status {
            StatusCode::OK => Ok(text.into()),
            // Each is answered before anything is done.
            StatusCode::UNAUTHORIZED => {
                tracing::error!(%address, "refuses this process' key: give all processes the same keys file (see the runbook of keys)");
                Err(refused("refuses this process' key"))
            }
            StatusCode::NOT_FOUND
            | StatusCode::BAD_REQUEST
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::TOO_MANY_REQUESTS => Err(refused(status.as_str())),
            _ => Err(unknown(&status)),
        }
    }

    fn request(&self, address: &str, path: &str, body: Vec<u8>) -> Option<Request<Full<Bytes>>> {
        let mut request =
            Request::builder().method(Method::POST).uri(path).header(HOST, address).header(CONTENT_TYPE, JSON);
        if let Some(key) = self.0.key.load().as_ref() {
            request = request.header(AUTHORIZATION, key.clone());
        }
        request.body(Full::new(Bytes::from(body))).ok()
    }

    fn kept(&self, address: &str) -> Option<Sender> {
        let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let senders = idle.get_mut(address)?;
        while let Some(sender) = senders.pop() {
            if !sender.is_closed() {
                return Some(sender);
            }
        }
        // A process that is gone does not come back under its address for long: nothing is kept of it.
        idle.remove(address);
        None
    }

    fn keep(&self, address: &str, sender: Sender) {
        let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let senders = idle.entry(address.to_owned()).or_default();
        if senders.len() < KEPT && !sender.is_closed() {
            senders.push(sender);
        }
    }
}

async fn connect(address: &str) -> Result<Sender, String> {
    let opening = async {
        let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        // Without it a small group waits for the other side's delayed acknowledgement.
        let _ = stream.set_nodelay(true);
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        tokio::spawn(async move {
            // How it ends is told to whoever waits for an answer on it.
            let _ = connection.await;
        });
        Ok(sender)
    };
    timeout(Duration::from_millis(FORWARD_CONNECT_MS), opening)
        .await
        .unwrap_or_else(|_| Err("accepts no connection".to_owned()))
}
