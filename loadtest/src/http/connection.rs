//! One connection.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::decode::{BadAnswer, Decoder, Whole};
use crate::limits::BUFFER_BYTES;

/// Why there is no answer. Only [`Lost::Refused`] says that nothing happened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Lost {
    /// No connection came about: the request was not sent.
    #[error("no connection")]
    Refused(#[source] io::Error),
    /// The server had closed a connection that rested; it may or may not have read the request.
    #[error("the connection was closed before the answer")]
    Closed,
    /// The connection broke.
    #[error("the connection broke")]
    Broken(#[source] io::Error),
    /// No answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// The answer came and was thrown away, as the load says.
    #[error("the answer was thrown away on purpose")]
    OnPurpose,
    /// Something answered that is not HTTP.
    #[error(transparent)]
    Bad(#[from] BadAnswer),
}

/// A connection that carries one request at a time.
pub(crate) struct Connection {
    stream: TcpStream,
    /// Bytes of one answer, at most.
    most: usize,
    /// What was received of the answer under way; reused for all answers.
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr, most: usize) -> Result<Self, Lost> {
        let stream = TcpStream::connect(address).await.map_err(Lost::Refused)?;
        stream.set_nodelay(true).map_err(Lost::Refused)?;
        Ok(Self { stream, most, buffer: Vec::with_capacity(BUFFER_BYTES) })
    }

    /// Sends a whole request and waits for the whole answer. After an error, or when the answer does not keep the
    /// connection, it must be thrown away.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Whole, Lost> {
        self.buffer.clear();
        self.stream.write_all(request).await.map_err(Lost::Broken)?;
        let mut decoder = Decoder::new(self.most);
        loop {
            self.buffer.reserve(BUFFER_BYTES / 4);
            let received = self.stream.read_buf(&mut self.buffer).await.map_err(Lost::Broken)?;
            let ended = received == 0;
            if let Some(whole) = decoder.look(&mut self.buffer, ended)? {
                return Ok(whole);
            }
            if ended {
                return Err(Lost::Closed);
            }
        }
    }

    /// The body of the answer just received.
    pub(crate) fn body(&self, whole: &Whole) -> &[u8] {
        self.buffer.get(whole.body.clone()).unwrap_or_default()
    }
}
