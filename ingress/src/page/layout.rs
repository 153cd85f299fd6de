//! What every page has around its own part.

use http::StatusCode;
use http::header::{
    CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, VARY,
    X_CONTENT_TYPE_OPTIONS,
};

use super::assets::{SCRIPT, STYLE};
use super::html::{Html, html};
use super::words::{LANGUAGES, Words};
use crate::reply::{self, Response};

/// Own files only, and nobody's frame. `data:` is for the empty icon, which saves a request per visitor.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; script-src 'self'; worker-src 'self'; connect-src 'self'; img-src data:; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);
/// With less than this, browsers send `Origin: null` with our own forms.
const REFERRER: HeaderValue = HeaderValue::from_static("same-origin");
const VARIES: HeaderValue = HeaderValue::from_static("accept-language, cookie");
const OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// One page.
pub(super) struct Page {
    pub(super) words: &'static Words,
    /// Without the program's name.
    pub(super) title: String,
    /// Seconds after which a browser without the script loads it again.
    pub(super) refresh: Option<u64>,
    /// The `main` element.
    pub(super) main: Html,
}

impl Page {
    fn html(&self) -> String {
        let words = self.words;
        let (mut out, tag) = (Html::default(), words.tag);
        html!(out, "<!doctype html>\n<html lang=\"" (tag) "\" dir=\"" (words.say("dir")) "\"><head><meta charset=utf-8>"
            "<meta name=viewport content=\"width=device-width,initial-scale=1\"><title>" (self.title) "</title>"
            "<link rel=icon href=\"data:,\"><link rel=stylesheet href=\"/page/style.css?v=" (STYLE.version) "\">"
            "<script src=\"/page/script.js?v=" (SCRIPT.version) "\" defer></script>");
        if let Some(seconds) = self.refresh {
            html!(out, "<noscript><meta http-equiv=refresh content=\"" (seconds) "\"></noscript>");
        }
        html!(out, "</head>\n<body><header><a href=\"/\">" (words.say("sales")) "</a><nav>");
        for other in LANGUAGES.iter() {
            let (tag, name) = (other.tag, other.say("language"));
            html!(out, "<a href=\"?lang=" (tag) "\" hreflang=\"" (tag) "\" lang=\"" (tag) "\"");
            if other.tag == words.tag {
                html!(out, " aria-current=true");
            }
            html!(out, ">" (name) "</a>");
        }
        html!(out, "</nav></header>\n<p class=note id=offline hidden>" (words.say("offline")) "</p>"
            "<p class=quiet id=say role=status></p>\n");
        out.append(&self.main);
        html!(out, "\n<footer>");
        if self.refresh.is_some() {
            html!(out, "<noscript><p>" (words.say("refreshes")) "</p></noscript>");
        }
        html!(out, "</footer></body></html>\n");
        out.finish()
    }

    /// The page as an answer. One visitor's own, and old a moment later.
    pub(super) fn answer(&self, status: StatusCode) -> Response {
        let mut answer = reply::body(status, reply::HTML, self.html());
        let headers = answer.headers_mut();
        headers.insert(CACHE_CONTROL, reply::PRIVATE);
        headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(self.words.tag));
        headers.insert(VARY, VARIES);
        headers.insert(CONTENT_SECURITY_POLICY, POLICY);
        headers.insert(REFERRER_POLICY, REFERRER);
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(OPENER, HeaderValue::from_static("same-origin"));
        answer
    }
}
