//! The connections of one thread.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::connection::{Connection, Lost};
use super::decode::Reply;
use crate::limits::{CONNECT_WITHIN, MAX_ANSWER_BYTES};

/// A bounded number of connections to one server, shared by the visitors of one thread. A visitor waits for a free one.
pub(crate) struct Pool {
    address: SocketAddr,
    call_timeout: Duration,
    most_bytes: usize,
    permits: Semaphore,
    idle: RefCell<Vec<Connection>>,
    opened: Cell<u64>,
}

impl Pool {
    pub(crate) fn new(address: SocketAddr, connections: usize, call_timeout: Duration) -> Self {
        let (permits, idle) = (Semaphore::new(connections), RefCell::new(Vec::with_capacity(connections)));
        Self { address, call_timeout, most_bytes: MAX_ANSWER_BYTES, permits, idle, opened: Cell::new(0) }
    }

    /// The same, for answers of up to so many bytes.
    pub(crate) fn of_answers_up_to(self, most_bytes: usize) -> Self {
        Self { most_bytes, ..self }
    }

    /// How many connections were opened so far.
    pub(crate) fn opened(&self) -> u64 {
        self.opened.get()
    }

    /// Sends a request and hands the answer to `read`. Never sends twice. An answer that is to be lost is thrown away
    /// together with its connection.
    pub(crate) async fn call<T>(
        &self,
        request: &[u8],
        lose: bool,
        read: impl FnOnce(&Reply<'_>) -> T,
    ) -> Result<T, Lost> {
        // The semaphore is never closed; without a permit the call goes on, it is only not bounded.
        let _permit = self.permits.acquire().await.ok();
        let idle = self.idle.borrow_mut().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => {
                self.opened.set(self.opened.get() + 1);
                timeout(CONNECT_WITHIN, Connection::open(self.address, self.most_bytes))
                    .await
                    .unwrap_or_else(|_| Err(Lost::Refused(std::io::ErrorKind::TimedOut.into())))?
            }
        };
        let exchanged = timeout(self.call_timeout, connection.exchange(request)).await;
        let whole = exchanged.unwrap_or(Err(Lost::TimedOut))?;
        if lose {
            return Err(Lost::OnPurpose);
        }
        let reply = Reply { status: whole.status, retry_after: whole.retry_after, body: connection.body(&whole) };
        let result = read(&reply);
        if whole.keep_alive {
            self.idle.borrow_mut().push(connection);
        }
        Ok(result)
    }
}
