//! Making answers.

use std::convert::Infallible;

use bytes::Bytes;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http_body_util::Full;
use hyper::body::Body;
use serde::Serialize;

use crate::server::answer::Content;
pub(crate) use crate::server::answer::Response;

pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
pub(crate) const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
pub(crate) const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
pub(crate) const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
pub(crate) const NDJSON: HeaderValue = HeaderValue::from_static("application/x-ndjson");
/// What is one visitor's own is nobody else's, and old a moment later.
pub(crate) const PRIVATE: HeaderValue = HeaderValue::from_static("no-store");

/// An answer with a body.
pub(crate) fn body(status: StatusCode, content_type: HeaderValue, bytes: impl Into<Bytes>) -> Response {
    let mut answer = http::Response::new(Content::Whole(Full::new(bytes.into())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, content_type);
    answer
}

/// An answer of JSON that is the asking visitor's own.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    // The values are our own structs with text keys: writing them cannot fail.
    let mut answer = body(status, JSON, serde_json::to_vec(value).unwrap_or_default());
    answer.headers_mut().insert(CACHE_CONTROL, PRIVATE);
    answer
}

/// An answer whose body comes in pieces.
pub(crate) fn stream<B>(status: StatusCode, content_type: HeaderValue, body: B) -> Response
where
    B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let mut answer = http::Response::new(Content::Stream(Box::pin(body)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, content_type);
    answer
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response {
    let mut answer = http::Response::new(Content::Whole(Full::default()));
    *answer.status_mut() = status;
    answer
}
