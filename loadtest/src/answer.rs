//! What answers say, as far as a run needs it.

use serde::Deserialize;

use crate::http::Reply;

/// The problems of the contract and those that HTTP adds, by the last part of their `type`. The last one stands for all others.
pub(crate) const PROBLEMS: [&str; 31] = [
    "not-your-turn",
    "pass-expired",
    "sold-out",
    "all-held",
    "limit-reached",
    "hold-gone",
    "hold-decided",
    "sale-not-open",
    "sale-paused",
    "sale-closed",
    "key-missing",
    "key-reused",
    "bad-request",
    "unauthenticated",
    "forbidden",
    "proof-needed",
    "ticket-moved",
    "code-gone",
    "code-invalid",
    "code-used",
    "class-full",
    "not-found",
    "method-not-allowed",
    "wrong-content-type",
    "too-large",
    "too-slow",
    "precondition-failed",
    "too-many-requests",
    "overloaded",
    "unavailable",
    "other",
];

/// A problem, as an index into [`PROBLEMS`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Problem(pub(crate) usize);

impl Problem {
    pub(crate) fn named(name: &str) -> Self {
        Self(PROBLEMS.iter().position(|known| *known == name).unwrap_or(PROBLEMS.len() - 1))
    }

    pub(crate) fn name(self) -> &'static str {
        PROBLEMS.get(self.0).copied().unwrap_or("other")
    }
}

/// What an honest visitor is never told: the request was wrong, or is said to be.
const NEVER: [&str; 10] = [
    "key-missing",
    "key-reused",
    "bad-request",
    "unauthenticated",
    "forbidden",
    "not-found",
    "method-not-allowed",
    "wrong-content-type",
    "too-large",
    "precondition-failed",
];

impl Problem {
    /// Whether it says that the request was wrong.
    pub(crate) fn is_mistake(self) -> bool {
        NEVER.contains(&self.name())
    }
}

/// Every field that any answer of a journey has and a run looks at. Borrowed: tokens and ids have no escapes.
#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub(crate) struct Fields<'b> {
    pub(crate) visitor: Option<&'b str>,
    pub(crate) ticket: Option<&'b str>,
    pub(crate) number: Option<u64>,
    pub(crate) state: Option<&'b str>,
    pub(crate) frontier: Option<u64>,
    pub(crate) pace_per_minute: Option<u64>,
    pub(crate) poll_in_ms: Option<u64>,
    pub(crate) pass: Option<&'b str>,
    pub(crate) expires_at: Option<&'b str>,
    pub(crate) expires_in_ms: Option<u64>,
    pub(crate) hold_id: Option<&'b str>,
    pub(crate) booking_id: Option<&'b str>,
    pub(crate) log: Option<&'b str>,
    pub(crate) seq: Option<u64>,
    #[serde(rename = "type")]
    problem: Option<&'b str>,
}

impl<'b> Fields<'b> {
    /// The fields of an answer; none when there is no body. `None` for a body that is no such JSON.
    pub(crate) fn of(reply: &Reply<'b>) -> Option<Self> {
        if reply.body.is_empty() { Some(Self::default()) } else { serde_json::from_slice(reply.body).ok() }
    }

    /// The problem that the answer names.
    pub(crate) fn problem(&self) -> Problem {
        Problem::named(self.problem.and_then(|uri| uri.rsplit('/').next()).unwrap_or_default())
    }

    /// The lane in `lane/{sale}/{n}` of the log.
    pub(crate) fn lane(&self) -> Option<u16> {
        self.log?.strip_prefix("lane/")?.rsplit('/').next()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn fields(body: &str) -> Option<Fields<'_>> {
        Fields::of(&Reply { status: 200, retry_after: None, body: body.as_bytes() })
    }

    #[test]
    fn a_problem_is_known_by_the_end_of_its_type() {
        let named = |uri: &str| fields(&format!(r#"{{"type":"{uri}","title":"a \"b\""}}"#)).unwrap().problem().name();
        assert_eq!(named("http://127.0.0.1:8080/problems/sold-out"), "sold-out");
        assert_eq!(named("/problems/hold-gone"), "hold-gone");
        assert_eq!(named("about:blank"), "other");
        assert_eq!(fields("{}").unwrap().problem().name(), "other");
    }

    #[test]
    fn a_booking_says_where_it_stands() {
        let fields =
            fields(r#"{"booking_id":"x","lines":[{"item":"a","quantity":1}],"log":"lane/demo/3","seq":7}"#).unwrap();
        assert_eq!((fields.lane(), fields.seq, fields.booking_id), (Some(3), Some(7), Some("x")));
    }

    #[test]
    fn an_empty_body_has_no_fields_and_other_text_is_none() {
        assert!(fields("").unwrap().visitor.is_none());
        assert!(fields("<html>").is_none());
        assert!(fields(r#"{"visitor": 3}"#).is_none());
    }
}
