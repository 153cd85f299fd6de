//! The operator's side of HTTP: one request to `/admin/v1` of a running program, one answer.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::config::Config;
use crate::failure::Failure;
use crate::keys::KeyFile;
use crate::running;

/// How long the connection may take: the program is on this machine or near.
const CONNECT_IN: Duration = Duration::from_secs(3);
/// How long one answer may take.
const ANSWER_IN: Duration = Duration::from_secs(30);
/// Bytes of an answer that are read: far above the largest sale's figures.
const MAX_ANSWER: u64 = 16 << 20;

/// Where the operators' listener is and the key to it.
pub(crate) struct Admin {
    address: SocketAddr,
    key: String,
}

/// What came back.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Value of `ETag`, if any.
    pub(crate) etag: Option<String>,
    pub(crate) body: String,
}

impl Admin {
    /// As the settings say; where they leave the address open, as the program running on the data directory says.
    pub(crate) fn new(config: &Config) -> Result<Self, Failure> {
        let said =
            if config.admin_listen_given { None } else { running::now(&config.layout()).map(|running| running.admin) };
        let key = match &config.operator_key {
            Some(key) => key.clone(),
            None => {
                let keys = KeyFile::new(config.keys()).load()?;
                keys.operator.into_iter().next().map(|operator| operator.key).unwrap_or_default()
            }
        };
        Ok(Self { address: said.unwrap_or(config.admin_listen), key })
    }

    /// At this address, for what needs no key.
    pub(crate) const fn at(address: SocketAddr) -> Self {
        Self { address, key: String::new() }
    }

    /// Sends one request and reads its answer, whatever its status.
    pub(crate) fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Answer, Failure> {
        let answer = self.exchange(method, path, headers, body).map_err(|error| {
            Failure::new(
                format!("operators' listener http://{}", self.address),
                error,
                "start it with holdfast dev, or say where it is with --admin-listen or --data",
            )
        })?;
        parse(&answer).ok_or_else(|| {
            Failure::new(
                format!("http://{}", self.address),
                "does not answer as holdfast does",
                "say where holdfast is with --admin-listen or --data",
            )
        })
    }

    fn exchange(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect_timeout(&self.address, CONNECT_IN)?;
        stream.set_read_timeout(Some(ANSWER_IN))?;
        stream.set_write_timeout(Some(ANSWER_IN))?;
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\nconnection: close\r\ncontent-length: {}\r\n",
            self.address,
            self.key,
            body.len()
        );
        if !body.is_empty() {
            request.push_str("content-type: application/json\r\n");
        }
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        stream.write_all(format!("{request}\r\n{body}").as_bytes())?;
        let mut answer = Vec::new();
        stream.take(MAX_ANSWER).read_to_end(&mut answer)?;
        Ok(answer)
    }
}

fn parse(answer: &[u8]) -> Option<Answer> {
    let split = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let head = std::str::from_utf8(answer.get(..split)?).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let header = |wanted: &str| {
        let mut pairs = head.split("\r\n").filter_map(|line| line.split_once(':'));
        pairs.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim())
    };
    let body = answer.get(split + 4..)?;
    let body = match header("transfer-encoding") {
        Some(coding) if coding.eq_ignore_ascii_case("chunked") => unchunk(body)?,
        _ => body.to_vec(),
    };
    if header("content-length").is_some_and(|length| length.parse() != Ok(body.len())) {
        return None;
    }
    Some(Answer { status, etag: header("etag").map(str::to_owned), body: String::from_utf8(body).ok()? })
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|bytes| bytes == b"\r\n")?;
        let size = std::str::from_utf8(rest.get(..end)?).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        let data = rest.get(end + 2..)?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(data.get(..size)?);
        rest = data.get(size + 2..)?;
    }
}

impl Answer {
    /// The body, when the status says that it was done.
    pub(crate) fn done(self, what: &str) -> Result<Self, Failure> {
        if (200..300).contains(&self.status) { Ok(self) } else { Err(self.refusal(what)) }
    }

    /// The body as JSON.
    pub(crate) fn json(&self, what: &str) -> Result<Value, Failure> {
        serde_json::from_str(&self.body).map_err(|error| Failure::new(what, format!("answer is no JSON: {error}"), ""))
    }

    /// A problem document (RFC 9457) as one line, its mistakes below.
    fn refusal(&self, what: &str) -> Failure {
        let problem: Value = serde_json::from_str(&self.body).unwrap_or_default();
        let text = |key: &str| problem.get(key).and_then(Value::as_str).unwrap_or_default();
        let why = match (text("title"), text("detail")) {
            ("", "") => format!("answered {}", self.status),
            (title, "") => title.to_owned(),
            ("", detail) => detail.to_owned(),
            (title, detail) => format!("{title}: {detail}"),
        };
        let fix = match self.status {
            401 | 403 => "give the key with HOLDFAST_OPERATOR_KEY, or name the data directory with --data",
            503 => "try again in a moment",
            _ => "",
        };
        let mistakes = problem.get("errors").and_then(Value::as_array).into_iter().flatten();
        Failure::new(what, why, fix).with_lines(mistakes.map(mistake_text))
    }
}

/// A mistake as the problem lists it: key, value and what is wrong.
fn mistake_text(mistake: &Value) -> String {
    let text = |key: &str| mistake.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    domain::table::Mistake { key: text("key"), value: text("value"), problem: text("problem") }.to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_answer_is_read_whole_or_not_at_all() {
        let whole = parse(b"HTTP/1.1 200 OK\r\nETag: \"3\"\r\nContent-Length: 2\r\n\r\n{}").unwrap();
        assert_eq!(whole, Answer { status: 200, etag: Some("\"3\"".to_owned()), body: "{}".to_owned() });
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{}"), None);
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\n"), None);
        assert_eq!(parse(b"SSH-2.0-x\r\n\r\n"), None);
    }

    #[test]
    fn chunks_are_put_together_and_a_cut_one_is_noticed() {
        let answer = |body: &str| format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{body}").into_bytes();
        assert_eq!(parse(&answer("3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n")).unwrap().body, "abcde");
        assert_eq!(parse(&answer("3\r\nabc\r\n2\r\nd")), None);
    }

    #[test]
    fn a_problem_becomes_one_line_with_its_mistakes_below() {
        let body = r#"{"title":"Bad request","detail":"2 mistakes","errors":[{"key":"a","value":"1","problem":"no"}]}"#;
        let answer = Answer { status: 400, etag: None, body: body.to_owned() };
        assert_eq!(answer.done("sale x").unwrap_err().to_string(), "sale x: Bad request: 2 mistakes\n  a = 1: no");
        let answer = Answer { status: 404, etag: None, body: String::new() };
        assert_eq!(answer.done("sale x").unwrap_err().to_string(), "sale x: answered 404");
    }
}
