//! Who may call from a browser's page (CORS), and who may act with a browser's cookies (CSRF).

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, HeaderName, HeaderValue,
    ORIGIN, VARY,
};
use http::{HeaderMap, Method};

use super::address::Client;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const READABLE: HeaderValue = HeaderValue::from_static(
    "etag, holdfast-booked, idempotency-replayed, location, ratelimit, ratelimit-policy, retry-after, traceparent",
);
const SENDABLE: HeaderValue = HeaderValue::from_static(
    "content-type, holdfast-booked, holdfast-pass, holdfast-proof, holdfast-ticket, holdfast-visitor, idempotency-key, \
     if-none-match, traceparent",
);
const TEN_MINUTES: HeaderValue = HeaderValue::from_static("600");

/// The origins that may call from their pages.
pub(crate) struct Origins(Vec<HeaderValue>);

impl Origins {
    /// From the configuration; what cannot be a header's value cannot be an origin either.
    pub(crate) fn new(origins: &[String]) -> Self {
        Self(origins.iter().filter_map(|origin| HeaderValue::from_str(origin.trim_end_matches('/')).ok()).collect())
    }

    fn allowed(&self, headers: &HeaderMap) -> Option<&HeaderValue> {
        let origin = headers.get(ORIGIN)?;
        self.0.iter().find(|known| known.as_bytes().eq_ignore_ascii_case(origin.as_bytes()))
    }

    /// The caller's origin, when it is one of these: computed before the request is given away.
    pub(crate) fn of(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        if self.0.is_empty() { None } else { self.allowed(headers).cloned() }
    }

    /// Lets the page read the answer. `Vary` also where no origin came: caches must not mix the two up.
    pub(crate) fn mark(&self, origin: Option<HeaderValue>, answer: &mut HeaderMap) {
        if self.0.is_empty() {
            return;
        }
        answer.append(VARY, HeaderValue::from_static("origin"));
        if let Some(origin) = origin {
            answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, READABLE);
        }
    }

    /// What a preflight asks for, besides [`Origins::mark`].
    pub(crate) fn preflight(&self, request: &HeaderMap, methods: &HeaderValue, answer: &mut HeaderMap) {
        if self.allowed(request).is_some() {
            answer.insert(ACCESS_CONTROL_ALLOW_METHODS, methods.clone());
            answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, SENDABLE);
            answer.insert(ACCESS_CONTROL_MAX_AGE, TEN_MINUTES);
        }
    }

    /// Whether a request that a browser authenticated by cookie may change something: safe methods always, others only
    /// from our own pages or an allowed origin. No `Origin` and no `Sec-Fetch-Site` is no browser, and nobody's page.
    pub(crate) fn may_act(&self, method: &Method, headers: &HeaderMap, client: &Client<'_>) -> bool {
        if method.is_safe() || self.allowed(headers).is_some() {
            return true;
        }
        match headers.get(ORIGIN) {
            Some(origin) => {
                let host = origin.to_str().ok().and_then(|text| text.split_once("://")).map(|(_, host)| host);
                matches!((host, client.host), (Some(a), Some(b)) if a.eq_ignore_ascii_case(b))
            }
            None => headers.get(SEC_FETCH_SITE).is_none_or(|site| site == "same-origin" || site == "none"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn may_post(lines: &[(&'static str, &'static str)]) -> bool {
        let origins = Origins::new(&["https://shop.example/".to_owned()]);
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.insert(*name, value.parse().unwrap());
        }
        let client = super::super::address::client(&headers, [127, 0, 0, 1].into(), false, &[]);
        assert!(origins.may_act(&Method::GET, &headers, &client));
        origins.may_act(&Method::POST, &headers, &client)
    }

    #[test]
    fn a_foreign_page_cannot_act_with_somebodys_cookie() {
        assert!(!may_post(&[("host", "queue.example"), ("origin", "https://evil.example")]));
        assert!(!may_post(&[("host", "queue.example"), ("origin", "null")]));
        assert!(!may_post(&[("host", "queue.example"), ("sec-fetch-site", "cross-site")]));
        assert!(!may_post(&[("host", "queue.example"), ("sec-fetch-site", "same-site")]));
    }

    #[test]
    fn our_own_pages_allowed_origins_and_programs_can() {
        assert!(may_post(&[("host", "queue.example"), ("origin", "https://queue.example")]));
        assert!(may_post(&[("host", "queue.example:8080"), ("origin", "http://queue.example:8080")]));
        assert!(may_post(&[("host", "queue.example"), ("origin", "https://shop.example")]));
        assert!(may_post(&[("host", "queue.example"), ("sec-fetch-site", "same-origin")]));
        assert!(may_post(&[("host", "queue.example")]));
    }
}
