//! Documents that are the same for everybody: made once, given to all until they change.

use std::hash::{DefaultHasher, Hasher as _};

use bytes::Bytes;
use http::StatusCode;
use http::header::{CACHE_CONTROL, ETAG, HeaderValue, IF_NONE_MATCH};

use crate::call::Call;
use crate::reply::{self, Response};

const ONE_SECOND: HeaderValue = HeaderValue::from_static("public, max-age=1");

/// A document and the name of its content.
pub(crate) struct Rendered {
    pub(crate) body: Bytes,
    etag: HeaderValue,
}

impl Rendered {
    /// `lasting` is what the document says apart from times that run: the weak ETag stays the same as long as it does.
    pub(crate) fn new(body: Bytes, lasting: &[u8]) -> Self {
        let mut hash = DefaultHasher::new();
        hash.write(lasting);
        let etag = HeaderValue::from_str(&format!("W/\"{:016x}\"", hash.finish()));
        Self { body, etag: etag.unwrap_or(HeaderValue::from_static("W/\"0\"")) }
    }

    pub(crate) const fn etag(&self) -> &HeaderValue {
        &self.etag
    }

    /// 200 with the document, or 304 for who has it.
    pub(crate) fn answer(&self, call: &Call) -> Response {
        let known =
            call.headers().get(IF_NONE_MATCH).is_some_and(|asked| names(asked.as_bytes(), self.etag.as_bytes()));
        let mut answer = if known {
            reply::empty(StatusCode::NOT_MODIFIED)
        } else {
            reply::body(StatusCode::OK, reply::JSON, self.body.clone())
        };
        let headers = answer.headers_mut();
        headers.insert(ETAG, self.etag.clone());
        headers.insert(CACHE_CONTROL, ONE_SECOND);
        answer
    }
}

/// Whether a list of tags has this one, compared weakly (RFC 9110, 13.1.2).
fn names(list: &[u8], etag: &[u8]) -> bool {
    let opaque = |tag: &[u8]| tag.strip_prefix(b"W/").map_or(tag.to_vec(), <[u8]>::to_vec);
    let wanted = opaque(etag);
    list == b"*" || list.split(|b| *b == b',').any(|tag| opaque(tag.trim_ascii()) == wanted)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn tags_are_compared_weakly_and_in_lists() {
        assert!(names(b"W/\"a\"", b"W/\"a\""));
        assert!(names(b"\"b\", \"a\"", b"W/\"a\""));
        assert!(names(b"*", b"W/\"a\""));
        assert!(!names(b"\"ab\"", b"W/\"a\""));
        assert!(!names(b"", b"W/\"a\""));
    }
}
