//! Style and script: files of their own, so that the page needs nothing inline. Their address changes with their content, so a
//! browser may keep them for a year and never mixes two versions.

use std::hash::{DefaultHasher, Hasher as _};
use std::sync::LazyLock;

use bytes::Bytes;
use http::StatusCode;
use http::header::{CACHE_CONTROL, ETAG, HeaderValue, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS};

use crate::call::Call;
use crate::reply::{self, Response};

const STYLE_TEXT: &str = include_str!("style.css");
const SCRIPT_TEXT: &str = include_str!("script.js");
const PROOF_TEXT: &str = include_str!("proof.js");

/// A file of the page.
pub(super) struct Asset {
    text: &'static str,
    kind: HeaderValue,
    /// Changes with the content.
    pub(super) version: String,
}

pub(super) static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new(STYLE_TEXT, HeaderValue::from_static("text/css; charset=utf-8")));
pub(super) static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new(SCRIPT_TEXT, HeaderValue::from_static("text/javascript; charset=utf-8")));
/// The worker that computes proofs of work; only where a sale asks for one.
pub(super) static PROOF: LazyLock<Asset> =
    LazyLock::new(|| Asset::new(PROOF_TEXT, HeaderValue::from_static("text/javascript; charset=utf-8")));

impl Asset {
    fn new(text: &'static str, kind: HeaderValue) -> Self {
        let mut hash = DefaultHasher::new();
        hash.write(text.as_bytes());
        Self { text, kind, version: format!("{:016x}", hash.finish()) }
    }

    /// The file, or 304 for who has it. Only the address of this very version may be kept.
    fn answer(&self, call: &Call) -> Response {
        let etag = format!("\"{}\"", self.version);
        let known = call.headers().get(IF_NONE_MATCH).is_some_and(|tag| tag.as_bytes() == etag.as_bytes());
        let mut answer = if known {
            reply::empty(StatusCode::NOT_MODIFIED)
        } else {
            reply::body(StatusCode::OK, self.kind.clone(), Bytes::from_static(self.text.as_bytes()))
        };
        let lasting = call.query("v").is_some_and(|version| version == self.version);
        let caching = if lasting { "public, max-age=31536000, immutable" } else { "no-cache" };
        let headers = answer.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.extend(HeaderValue::from_str(&etag).ok().map(|tag| (ETAG, tag)));
        answer
    }
}

/// How the page looks.
#[utoipa::path(get, path = "/page/style.css", tag = "pages", operation_id = "pageStyle",
    responses((status = 200, description = "CSS", body = String, content_type = "text/css"),
        (status = 304, description = "It has not changed")))]
pub(crate) fn style(call: &Call) -> Response {
    STYLE.answer(call)
}

/// What the page does by itself.
#[utoipa::path(get, path = "/page/script.js", tag = "pages", operation_id = "pageScript",
    responses((status = 200, description = "A script", body = String, content_type = "text/javascript"),
        (status = 304, description = "It has not changed")))]
pub(crate) fn script(call: &Call) -> Response {
    SCRIPT.answer(call)
}

/// What the page lets compute beside itself: the proof of work of a sale that asks for one.
#[utoipa::path(get, path = "/page/proof.js", tag = "pages", operation_id = "pageWorker",
    responses((status = 200, description = "A script", body = String, content_type = "text/javascript"),
        (status = 304, description = "It has not changed")))]
pub(crate) fn worker(call: &Call) -> Response {
    PROOF.answer(call)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_style_knows_no_left_and_right_and_nothing_foreign() {
        for physical in ["left", "right", "margin-top", "margin-bottom", "padding-top", "width:", "height:"] {
            let logical = STYLE_TEXT.replace("line-height:", "").replace("max-inline-size", "");
            assert!(!logical.contains(physical), "{physical} is not safe from right to left: use the logical property");
        }
        for text in [STYLE_TEXT, SCRIPT_TEXT, PROOF_TEXT] {
            assert!(!text.contains("//cdn") && !text.contains("https://") && !text.contains("@import"));
        }
        for unsafe_call in ["innerHTML", "insertAdjacentHTML", "eval(", "document.write"] {
            assert!(!SCRIPT_TEXT.contains(unsafe_call) && !PROOF_TEXT.contains(unsafe_call), "{unsafe_call}");
        }
    }
}
