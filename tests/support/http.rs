//! A blocking HTTP/1.1 client that knows only the contract: one connection, kept alive, every wait bounded.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// Longer than any answer the contract allows; what takes longer is a lost answer.
const PATIENCE: Duration = Duration::from_secs(6);

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Answer {
    /// The problem's name, empty when the answer is no problem.
    pub(crate) fn problem(&self) -> &str {
        self.body["type"].as_str().and_then(|uri| uri.rsplit('/').next()).unwrap_or_default()
    }

    pub(crate) fn text(&self, field: &str) -> String {
        self.body[field].as_str().unwrap_or_default().to_owned()
    }
}

/// The answer was lost, whatever became of the request.
#[derive(Debug)]
pub(crate) struct Lost;

#[derive(Default)]
pub(crate) struct Client {
    open: Option<(String, BufReader<TcpStream>)>,
    /// How long an answer is waited for where that is not [`PATIENCE`].
    pub(crate) patience: Option<Duration>,
}

impl Client {
    /// Sends one request to `base` (`http://host:port`). A connection that was used before and turns out to be closed counts as a lost answer.
    pub(crate) fn call(
        &mut self,
        base: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> Result<Answer, Lost> {
        let answer = self.exchange(base, method, path, headers, body);
        if answer.is_err() {
            self.open = None;
        }
        answer.map_err(|_| Lost)
    }

    fn exchange(
        &mut self,
        base: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> std::io::Result<Answer> {
        let host = base.trim_start_matches("http://");
        let body = body.unwrap_or_default();
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {}\r\n", body.len());
        if !body.is_empty() {
            request.push_str("content-type: application/json\r\n");
        }
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        request.push_str(body);
        let stream = self.connection(host)?;
        stream.get_mut().write_all(request.as_bytes())?;
        let (answer, close) = read_answer(stream)?;
        if close {
            self.open = None;
        }
        Ok(answer)
    }

    fn connection(&mut self, host: &str) -> std::io::Result<&mut BufReader<TcpStream>> {
        if self.open.as_ref().is_none_or(|(to, _)| to != host) {
            let address = host.parse().map_err(std::io::Error::other)?;
            let stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
            stream.set_nodelay(true)?;
            let patience = self.patience.unwrap_or(PATIENCE);
            stream.set_read_timeout(Some(patience))?;
            stream.set_write_timeout(Some(patience))?;
            self.open = Some((host.to_owned(), BufReader::new(stream)));
        }
        Ok(&mut self.open.as_mut().unwrap().1)
    }
}

fn read_answer(stream: &mut BufReader<TcpStream>) -> std::io::Result<(Answer, bool)> {
    let broken = || std::io::Error::other("not an HTTP answer");
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(broken)?;
    let (mut length, mut close) = (0, false);
    loop {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Err(broken());
        }
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().map_err(std::io::Error::other)?,
            "connection" => close = value.eq_ignore_ascii_case("close"),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Ok((Answer { status, body }, close))
}
