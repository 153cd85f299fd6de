//! Answers out of bytes, as they arrive.

use std::ops::Range;

use crate::limits::MAX_HEADERS;

/// One whole answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reply<'b> {
    pub(crate) status: u16,
    /// `Retry-After` in seconds.
    pub(crate) retry_after: Option<u64>,
    pub(crate) body: &'b [u8],
}

/// Bytes that are no answer of HTTP/1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer is not HTTP/1.1: {0}")]
pub(crate) struct BadAnswer(pub(crate) &'static str);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
    ToEnd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    status: u16,
    retry_after: Option<u64>,
    keep_alive: bool,
    framing: Framing,
    bytes: usize,
}

/// A complete answer inside the buffer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Whole {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<u64>,
    /// Whether the connection may be used again.
    pub(crate) keep_alive: bool,
    /// Where the body lies; a chunked one was put together in place.
    pub(crate) body: Range<usize>,
}

/// Reads one answer from a buffer that grows.
pub(crate) struct Decoder {
    head: Option<Head>,
    /// Bytes of a head and of a body, at most.
    most: usize,
}

impl Decoder {
    pub(crate) const fn new(most: usize) -> Self {
        Self { head: None, most }
    }

    /// Looks at everything received so far; `ended` when the server has closed its side. `None`: more is needed.
    pub(crate) fn look(&mut self, buffer: &mut [u8], ended: bool) -> Result<Option<Whole>, BadAnswer> {
        if self.head.is_none() {
            self.head = head(buffer)?;
        }
        let Some(head) = self.head else {
            return if buffer.len() > self.most { Err(BadAnswer("its head is too large")) } else { Ok(None) };
        };
        let received = buffer.len() - head.bytes;
        if received > self.most {
            return Err(BadAnswer("its body is too large"));
        }
        let (body, used) = match head.framing {
            Framing::Length(length) if length > self.most => return Err(BadAnswer("its body is too large")),
            Framing::Length(length) if received < length => return Ok(None),
            Framing::Length(length) => (length, length),
            Framing::ToEnd if !ended => return Ok(None),
            Framing::ToEnd => (received, received),
            Framing::Chunked => match chunks(buffer.get_mut(head.bytes..).unwrap_or_default(), self.most)? {
                Some(sizes) => sizes,
                None => return Ok(None),
            },
        };
        self.head = None;
        // Bytes behind the answer belong to no request of ours: such a connection is not used again.
        let keep_alive = head.keep_alive && !ended && head.framing != Framing::ToEnd && used == received;
        let body = head.bytes..head.bytes + body;
        Ok(Some(Whole { status: head.status, retry_after: head.retry_after, keep_alive, body }))
    }
}

fn head(buffer: &[u8]) -> Result<Option<Head>, BadAnswer> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut answer = httparse::Response::new(&mut headers);
    let bytes = match answer.parse(buffer) {
        Ok(httparse::Status::Complete(bytes)) => bytes,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(BadAnswer("it has too many headers")),
        Err(_) => return Err(BadAnswer("its head cannot be read")),
    };
    let status = answer.code.unwrap_or(0);
    if status < 200 {
        return Err(BadAnswer("an interim answer was not asked for"));
    }
    let mut head =
        Head { status, retry_after: None, keep_alive: answer.version == Some(1), framing: Framing::ToEnd, bytes };
    for header in answer.headers.iter() {
        let value = header.value.trim_ascii();
        if header.name.eq_ignore_ascii_case("content-length") {
            let length = number(value).ok_or(BadAnswer("its length is no number"))?;
            if head.framing != Framing::Chunked {
                head.framing = Framing::Length(usize::try_from(length).unwrap_or(usize::MAX));
            }
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            if !value.eq_ignore_ascii_case(b"chunked") {
                return Err(BadAnswer("its transfer encoding is not chunked"));
            }
            head.framing = Framing::Chunked;
        } else if header.name.eq_ignore_ascii_case("connection") {
            head.keep_alive = match value {
                close if close.eq_ignore_ascii_case(b"close") => false,
                keep if keep.eq_ignore_ascii_case(b"keep-alive") => true,
                _ => head.keep_alive,
            };
        } else if header.name.eq_ignore_ascii_case("retry-after") {
            head.retry_after = number(value);
        }
    }
    if status == 204 || status == 304 {
        head.framing = Framing::Length(0);
    }
    Ok(Some(head))
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok().filter(|text| !text.starts_with('+'))?.parse().ok()
}

/// Puts chunks together at the front of `bytes` when all are there: (bytes of the body, bytes used up).
fn chunks(bytes: &mut [u8], most: usize) -> Result<Option<(usize, usize)>, BadAnswer> {
    let bad = BadAnswer("its chunks cannot be read");
    // First only look, so that an incomplete answer stays as it is.
    let mut parts: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    loop {
        let (start, size) = match httparse::parse_chunk_size(bytes.get(at..).unwrap_or_default()) {
            Ok(httparse::Status::Complete((start, size))) => (at + start, usize::try_from(size).map_err(|_| bad)?),
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(bad),
        };
        if size > most {
            return Err(BadAnswer("its body is too large"));
        }
        if size == 0 {
            let Some(used) = trailers(bytes, start) else { return Ok(None) };
            let mut length = 0;
            for part in parts {
                let part_length = part.len();
                bytes.copy_within(part, length);
                length += part_length;
            }
            return Ok(Some((length, used)));
        }
        match bytes.get(start + size..start + size + 2) {
            Some(b"\r\n") => parts.push(start..start + size),
            Some(_) => return Err(bad),
            None => return Ok(None),
        }
        at = start + size + 2;
    }
}

/// Where the trailers behind the last chunk end.
fn trailers(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let rest = bytes.get(at..)?;
        let line = rest.windows(2).position(|pair| pair == b"\r\n")?;
        at += line + 2;
        if line == 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::limits::MAX_ANSWER_BYTES;

    /// The answer as it comes out when it arrives in two parts, cut at every place.
    fn read(text: &str) -> Option<(u16, Vec<u8>, bool)> {
        let whole = |buffer: &[u8], done: &Whole| (done.status, buffer[done.body.clone()].to_vec(), done.keep_alive);
        let mut results = Vec::new();
        for cut in 0..=text.len() {
            let (mut decoder, mut buffer) = (Decoder::new(MAX_ANSWER_BYTES), text.as_bytes()[..cut].to_vec());
            let early = decoder.look(&mut buffer, false).unwrap();
            assert!(early.is_none() || cut == text.len(), "complete after {cut} bytes of {text:?}");
            if let Some(done) = early {
                results.push(Some(whole(&buffer, &done)));
                continue;
            }
            buffer.extend_from_slice(&text.as_bytes()[cut..]);
            results.push(decoder.look(&mut buffer, false).unwrap().map(|done| whole(&buffer, &done)));
        }
        assert!(results.windows(2).all(|pair| pair[0] == pair[1]), "{text:?}");
        results.pop().unwrap()
    }

    #[test]
    fn a_body_of_given_length_is_read_however_it_arrives() {
        let text = "HTTP/1.1 201 Created\r\ncontent-length: 5\r\nx: y\r\n\r\nhello";
        assert_eq!(read(text), Some((201, b"hello".to_vec(), true)));
        assert_eq!(read("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), Some((200, vec![], true)));
    }

    #[test]
    fn a_chunked_body_is_put_together() {
        let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n1\r\n \r\nb\r\nhello world\r\n0\r\na: b\r\n\r\n";
        assert_eq!(read(text), Some((200, b"hello hello world".to_vec(), true)));
        assert_eq!(read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), Some((200, vec![], true)));
    }

    #[test]
    fn an_answer_without_body_ends_with_its_head() {
        assert_eq!(read("HTTP/1.1 204 No Content\r\n\r\n"), Some((204, vec![], true)));
        assert_eq!(read("HTTP/1.1 304 Not Modified\r\ncontent-length: 99\r\n\r\n"), Some((304, vec![], true)));
    }

    #[test]
    fn a_connection_is_kept_only_when_the_server_keeps_it() {
        assert!(!read("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx").unwrap().2);
        assert!(!read("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx").unwrap().2);
        assert!(read("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\nx").unwrap().2);
    }

    #[test]
    fn a_body_without_length_ends_with_the_connection() {
        let mut buffer = b"HTTP/1.1 200 OK\r\n\r\nhello".to_vec();
        let mut decoder = Decoder::new(MAX_ANSWER_BYTES);
        assert_eq!(decoder.look(&mut buffer, false).unwrap(), None);
        let whole = decoder.look(&mut buffer, true).unwrap().unwrap();
        assert_eq!((&buffer[whole.body], whole.keep_alive), (&b"hello"[..], false));
    }

    #[test]
    fn bytes_behind_an_answer_end_the_connection() {
        let mut buffer = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200".to_vec();
        assert!(!Decoder::new(MAX_ANSWER_BYTES).look(&mut buffer, false).unwrap().unwrap().keep_alive);
    }

    #[test]
    fn retry_after_is_read() {
        let mut buffer = b"HTTP/1.1 503 Busy\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n".to_vec();
        assert_eq!(Decoder::new(MAX_ANSWER_BYTES).look(&mut buffer, false).unwrap().unwrap().retry_after, Some(3));
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for bad in [
            "SSH-2.0-OpenSSH\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxyz",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n",
        ] {
            assert!(Decoder::new(MAX_ANSWER_BYTES).look(&mut bad.as_bytes().to_vec(), false).is_err(), "{bad:?}");
        }
    }
}
