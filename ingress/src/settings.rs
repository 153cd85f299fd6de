//! What an operator may set about the HTTP edge, with the defaults of `domain::limits`.

use std::time::Duration;

use domain::limits;

use crate::edge::address::Network;

/// Everything the two listeners need to know. `Settings::default()` is what `holdfast dev` runs with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Waits and sizes of connections.
    pub server: Limits,
    /// Peers whose `Forwarded`, `X-Forwarded-For`, `X-Forwarded-Proto` and PROXY headers are believed. Nobody's by default.
    pub trusted_proxies: Vec<Network>,
    /// Every connection to the public listener begins with a PROXY protocol v2 header from a trusted proxy; others are closed.
    pub proxy_protocol: bool,
    /// Origins (`https://shop.example`) that may call from a browser, besides the page's own.
    pub allowed_origins: Vec<String>,
    /// Anonymous visitors one client address may make in a minute; 0: no bound.
    pub visitors_per_minute: u32,
    /// Joins of one client address in a minute; 0: no bound.
    pub joins_per_minute: u32,
    /// Joins of one visitor in a minute; 0: no bound.
    pub joins_per_visitor: u32,
    /// Bits of an IPv4 and of an IPv6 address that count as one client for these bounds.
    pub address_bits: (u8, u8),
    /// Requests under way at once, beyond which even confirms are refused; lower classes stop earlier.
    pub in_flight: usize,
    /// Visitors who may follow their tickets as events at once, on connections that stay open.
    pub event_streams: usize,
    /// People ahead, at most, of who may.
    pub event_stream_ahead: u64,
    /// How long one of them may last; the shortest half as long.
    pub event_stream_life: Duration,
    /// How long a confirm or cancel may wait for the ledger before it is answered 202.
    pub confirm_patience: Duration,
}

/// Waits and sizes of connections.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections of this process and listener.
    pub connections: usize,
    /// Connections of one client address (an IPv6 /64 counts as one); 0: no bound.
    pub connections_per_address: usize,
    /// Bytes of request line and headers together; at least 8192.
    pub head_bytes: usize,
    /// Bytes of a request body.
    pub body_bytes: usize,
    /// From accepting a connection to its first byte.
    pub first_byte: Duration,
    /// From a request's first byte to the end of its headers.
    pub head: Duration,
    /// From a request's headers to the end of its body.
    pub body: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// Until the client has accepted the next bytes of an answer.
    pub write: Duration,
    /// For requests under way when the program stops.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: limits::HTTP_CONNECTIONS,
            connections_per_address: 0,
            head_bytes: limits::HTTP_HEAD_BYTES,
            body_bytes: limits::HTTP_BODY_BYTES,
            first_byte: Duration::from_millis(limits::HTTP_FIRST_BYTE_MS),
            head: Duration::from_millis(limits::HTTP_HEAD_MS),
            body: Duration::from_millis(limits::HTTP_BODY_MS),
            idle: Duration::from_millis(limits::HTTP_IDLE_MS),
            write: Duration::from_millis(limits::HTTP_WRITE_MS),
            drain: Duration::from_millis(limits::HTTP_DRAIN_MS),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            server: Limits::default(),
            trusted_proxies: Vec::new(),
            proxy_protocol: false,
            allowed_origins: Vec::new(),
            visitors_per_minute: limits::VISITORS_PER_MINUTE,
            joins_per_minute: limits::JOINS_PER_MINUTE,
            joins_per_visitor: limits::JOINS_PER_VISITOR,
            address_bits: limits::ADDRESS_BITS,
            in_flight: limits::HTTP_IN_FLIGHT,
            event_streams: limits::MAX_EVENT_STREAMS,
            event_stream_ahead: limits::EVENT_STREAM_AHEAD,
            event_stream_life: Duration::from_millis(limits::EVENT_STREAM_MS),
            confirm_patience: Duration::from_millis(limits::CONFIRM_PATIENCE_MS),
        }
    }
}
