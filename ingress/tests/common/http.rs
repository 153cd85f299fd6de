//! A client that says exactly what it is told to, and reads what comes.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Name of the problem; fails when the answer is none, or does not say what problems say.
    #[track_caller]
    pub fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?} {}", self.text());
        let body = self.json();
        assert_eq!(body["status"], self.status, "{body}");
        let retry = self.header("retry-after").map(|s| s.parse::<u64>().unwrap());
        assert_eq!(retry, body["retry_in_ms"].as_u64().map(|ms| ms.div_ceil(1_000).max(1)), "{body}");
        body["type"].as_str().unwrap().strip_prefix("/problems/").unwrap().to_owned()
    }

    /// Status and problem, to compare with what is expected.
    #[track_caller]
    pub fn refused(&self) -> (u16, String) {
        (self.status, self.problem())
    }
}

/// One connection.
pub struct Client {
    pub stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub async fn to(address: SocketAddr) -> Self {
        Self::on(TcpStream::connect(address).await.unwrap())
    }

    pub const fn on(stream: TcpStream) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    pub async fn get(&mut self, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.send("GET", path, headers, b"").await
    }

    pub async fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut text = format!("{method} {path} HTTP/1.1\r\nhost: test.example\r\n").into_bytes();
        for (name, value) in headers {
            text.extend(format!("{name}: {value}\r\n").bytes());
        }
        if !body.is_empty() {
            text.extend(format!("content-length: {}\r\n", body.len()).bytes());
        }
        text.extend(b"\r\n");
        text.extend(body);
        self.write(&text).await;
        self.reply_to(method == "HEAD").await.expect("an answer")
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        timeout(PATIENCE, self.stream.write_all(bytes)).await.unwrap().unwrap();
    }

    pub async fn try_write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Status of an answer, if there is one.
    pub async fn try_get(&mut self, path: &str) -> Option<u16> {
        self.try_write(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.ok()?;
        self.reply().await.map(|reply| reply.status)
    }

    pub async fn reply(&mut self) -> Option<Reply> {
        self.reply_to(false).await
    }

    /// The next answer; `None` when the connection ends instead.
    async fn reply_to(&mut self, head_only: bool) -> Option<Reply> {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            if self.more().await == 0 {
                return None;
            }
        };
        let head = String::from_utf8(self.buffer.drain(..end).collect()).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut reply = Reply { status, headers, body: Vec::new() };
        let length = reply.header("content-length").map_or(0, |n| n.parse::<usize>().unwrap());
        if !head_only && length > 0 && status != 304 {
            while self.buffer.len() < length {
                assert_ne!(self.more().await, 0, "the body broke off: {reply:?}");
            }
            reply.body = self.buffer.drain(..length).collect();
        }
        Some(reply)
    }

    async fn more(&mut self) -> usize {
        let mut bytes = vec![0; 16 << 10];
        let read = timeout(PATIENCE, self.stream.read(&mut bytes)).await.expect("something in time").unwrap_or(0);
        self.buffer.extend_from_slice(&bytes[..read]);
        read
    }

    /// Whether the server has ended the connection, waiting for it.
    pub async fn ended(&mut self) -> bool {
        while self.more().await > 0 {}
        true
    }
}
