//! Everything that can be wrong with a request, as RFC 9457 problems. One table, from which answers, pages under
//! `/problems/` and the labels of the metric are made.

use std::borrow::Cow;

use domain::outcome::Outcome;
use domain::table::Mistake;
use http::StatusCode;
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, HeaderValue, RETRY_AFTER};
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::{Value, json};

use crate::edge::trace::{Trace, random};
use crate::reply::{self, Response};

const RATELIMIT: http::HeaderName = http::HeaderName::from_static("ratelimit");

/// What kind of problem it is.
pub(crate) struct Kind {
    /// Last part of its URI, and its label in metrics.
    pub(crate) name: &'static str,
    /// The status it usually has.
    pub(crate) status: StatusCode,
    /// One line for people.
    pub(crate) title: &'static str,
    /// Whether the same request may be sent again: it can do no harm, and may succeed.
    pub(crate) retry_safe: bool,
    /// What it means (its page).
    pub(crate) meaning: &'static str,
    /// What to do (its page).
    pub(crate) advice: &'static str,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $name:literal $status:ident $retry:ident: $title:literal, $meaning:literal, $advice:literal;)*) => {
        /// The problems by name.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[allow(dead_code, reason = "a name of the contract has its page before the code that needs it")]
        pub(crate) enum Name { $($(#[$doc])* $variant,)* }

        /// All of them, in the order of [`Name`].
        pub(crate) const KINDS: &[Kind] = &[$(Kind {
            name: $name,
            status: StatusCode::$status,
            title: $title,
            retry_safe: $retry,
            meaning: $meaning,
            advice: $advice,
        },)*];

        impl Name {
            /// Its entry in the table.
            pub(crate) fn kind(self) -> &'static Kind {
                static TABLE: &[Kind] = KINDS;
                &TABLE[self as usize]
            }
        }

        /// The names, for the metric's label.
        pub(crate) const NAMES: &[&str] = &[$($name,)*];
    };
}

kinds! {
    NotYourTurn = "not-your-turn" CONFLICT true: "It is not your turn yet",
        "The ticket is good and keeps its place, but it has not been called, or as many visitors are inside as may be.",
        "Wait for Retry-After and ask again; the line's document says when the number is near.";
    PassExpired = "pass-expired" GONE false: "The pass has ended",
        "The pass expired, was used for a booking, or was given back. What it booked or holds stays as it is.",
        "Join the line again (POST tickets): that gives a new number.";
    SoldOut = "sold-out" CONFLICT true: "Sold out",
        "Fewer units are left than were asked for, and units that others hold could not make up for it. Nothing was held.",
        "Ask for fewer units or for another item.";
    AllHeld = "all-held" CONFLICT true: "Everything is in checkout",
        "The units that are left are held by others. Some may come back when their holds end. Nothing was held.",
        "Try again after Retry-After, with the same key if you like.";
    TooFewFree = "too-few-free" CONFLICT true: "Fewer units are free",
        "Only units that nobody has can be withdrawn: the others are held or sold. Nothing was changed.",
        "Detail says how many could be withdrawn; held units may come free when their holds end.";
    LimitReached = "limit-reached" CONFLICT true: "The limit per visitor is reached",
        "The request would give this visitor more units than the sale allows one visitor, or more holds than one pass may make.",
        "Ask for fewer units, or release or use the holds there are.";
    HoldGone = "hold-gone" GONE false: "The hold is gone for good",
        "The ledger refused this hold: it had ended before it was confirmed, or there was nothing left for it. The decision is final and the key is used up.",
        "Hold again with a new Idempotency-Key.";
    HoldDecided = "hold-decided" CONFLICT false: "The hold cannot be released any more",
        "A confirm of the same visitor came first: the hold is being confirmed, or is booked. Nothing was changed.",
        "Look at the hold; to give the units back, cancel the booking.";
    SaleNotOpen = "sale-not-open" CONFLICT true: "The sale is not open yet",
        "The sale exists and has not opened.",
        "Come back at opens_at; Retry-After says how long that is.";
    SalePaused = "sale-paused" CONFLICT true: "The sale is paused",
        "The operator has stopped the sale for the moment. Places and holds are kept.",
        "Wait; the line's document says when it goes on.";
    JoiningStopped = "joining-stopped" CONFLICT true: "Nobody new may join the line",
        "The operator takes no new visitors into the line of this sale. Places there are go on as they were.",
        "Who has a ticket sends it along. Others wait until the line's document says that joining is open.";
    CodeInvalid = "code-invalid" FORBIDDEN false: "The code is none of this sale",
        "The access code is not one of this sale's, or was mistyped. Nothing was used.",
        "Look at the code again; small letters, dashes and spaces make no difference. Without a code there is a place in everybody's line.";
    CodeUsed = "code-used" CONFLICT false: "The code is used up",
        "As many visitors have used this access code as may, or this visitor has been inside by a code already. Nothing was used.",
        "Who used it joins again without the code and gets that place. Without a code there is a place in everybody's line.";
    ClassFull = "class-full" CONFLICT false: "No places are left for codes of this class",
        "As many visitors have a place in the class that the code lets into as may. The code was not used.",
        "Join without the code: there is a place in everybody's line.";
    SaleClosed = "sale-closed" GONE false: "The sale is closed",
        "The sale is over. Bookings stay.",
        "Look at your bookings (GET /v1/bookings).";
    KeyMissing = "key-missing" BAD_REQUEST false: "Idempotency-Key is missing",
        "This request changes something and has to be repeatable: it needs an Idempotency-Key.",
        "Make a random key (a UUID) for each thing you want to happen, and send it with every attempt at that thing.";
    KeyReused = "key-reused" UNPROCESSABLE_ENTITY false: "The Idempotency-Key stands for another request",
        "A request with this key and other content came before. It was answered then; this one changed nothing.",
        "Use a new key for a new request.";
    BadRequest = "bad-request" BAD_REQUEST false: "The request cannot be understood",
        "Something in the path, the headers or the body is not what this call takes; detail and errors say what and where.",
        "Correct the request. The description of all calls is at /openapi.json.";
    Unauthenticated = "unauthenticated" UNAUTHORIZED false: "Who is asking?",
        "The call needs a visitor (cookie hf_visitor or header Holdfast-Visitor) or an operator's key, and none came that is good.",
        "Visitors: POST /v1/visitors. Operators: send Authorization: Bearer with the key.";
    Forbidden = "forbidden" FORBIDDEN false: "Not allowed",
        "A ticket or pass is missing, altered, or somebody else's; or a foreign web page tried to act with a visitor's cookie.",
        "Send the ticket or pass that this visitor got in this sale; from a web page, ask the operator to allow its origin.";
    ProofNeeded = "proof-needed" FORBIDDEN false: "Joining costs work here",
        "The sale asks for a proof of work with each new place in line, and none came, or one that is not good for this visitor, this sale and this place.",
        "Solve the challenge that came along (or GET .../challenge) and send the solution as header Holdfast-Proof. It is in the ALTCHA format.";
    TicketMoved = "ticket-moved" GONE false: "The place is on another device now",
        "The ticket's place was moved to another device with a code. This ticket is good for nothing any more.",
        "Go on over there; or join the line again (POST tickets), which gives a new number.";
    CodeGone = "code-gone" GONE false: "The code moves nothing",
        "The code was used, is over, or was never given out; or the place it stood for has been used.",
        "Ask for another code on the device that has the place.";
    NotFound = "not-found" NOT_FOUND false: "There is nothing here",
        "No such page, sale or item; or a hold or booking that is not this visitor's.",
        "Check the address. GET /v1/sales lists the sales.";
    MethodNotAllowed = "method-not-allowed" METHOD_NOT_ALLOWED false: "Not with this method",
        "The address exists, but not for this method.",
        "The header Allow lists the methods it takes.";
    WrongContentType = "wrong-content-type" UNSUPPORTED_MEDIA_TYPE false: "Wrong Content-Type",
        "The body is of a type that this call does not take.",
        "Send application/json (sale documents also as application/toml).";
    TooLarge = "too-large" PAYLOAD_TOO_LARGE false: "The body is too large",
        "The body is longer than this call takes. It was not read to its end and the connection is closed.",
        "Send less; detail says how much is taken.";
    UriTooLong = "uri-too-long" URI_TOO_LONG false: "The address is too long",
        "The first line of the request is longer than any address here. The connection is closed.",
        "Correct the address. The description of all calls is at /openapi.json.";
    HeadTooLarge = "head-too-large" REQUEST_HEADER_FIELDS_TOO_LARGE false: "The headers are too large",
        "The first line and the headers together are larger, or more, than are taken. The connection is closed.",
        "Send fewer or smaller headers; clear the cookies of this site.";
    TooSlow = "too-slow" REQUEST_TIMEOUT true: "The body came too slowly",
        "The body was announced and did not arrive in time. Nothing was changed.",
        "Send the request again.";
    PreconditionFailed = "precondition-failed" PRECONDITION_FAILED false: "The sale has changed meanwhile",
        "If-Match names another revision than the sale has.",
        "Read the sale again and apply the change to what it is now.";
    TooManyRequests = "too-many-requests" TOO_MANY_REQUESTS true: "Too many requests",
        "More requests of this kind came from this address or pass than are taken. Nothing was changed.",
        "Wait for Retry-After.";
    Overloaded = "overloaded" SERVICE_UNAVAILABLE true: "Too much is going on",
        "More requests are under way than can be served well. Nothing was changed.",
        "Send the same request again after Retry-After.";
    Unavailable = "unavailable" SERVICE_UNAVAILABLE true: "Cannot be answered at the moment",
        "A part this call needs is starting, being taken over, or not answering. If outcome is unknown, the request may have taken effect.",
        "Send the same request (with the same Idempotency-Key) again after Retry-After: that finds out and does nothing twice.";
}

/// The text of `docs/errors.md`: every problem with its status, what it means and what to do.
#[must_use]
pub fn problems_page() -> String {
    let mut page = String::from(
        "# Errors\n\n\
         Written by `holdfast errors-page` from the table that answers are made of; a test compares. Every answer of 400 and above is an\n\
         RFC 9457 problem: `type` is `/problems/` and the name below, where its page is served as well; `retry_safe` says whether the same\n\
         request may be sent again (it can do no harm, and may succeed), `outcome` whether it took effect where that is a question.\n\n\
         | name | status | again? | what it means | what to do |\n|---|---|---|---|---|\n",
    );
    for Kind { name, status, title, retry_safe, meaning, advice } in KINDS {
        let again = if *retry_safe { "yes" } else { "no" };
        page.push_str(&format!("| `{name}` | {} | {again} | {title}. {meaning} | {advice} |\n", status.as_u16()));
    }
    page
}

/// One problem, on its way to becoming an answer.
#[derive(Debug)]
pub(crate) struct Problem(Box<Inner>);

#[derive(Debug)]
struct Inner {
    name: Name,
    detail: Cow<'static, str>,
    outcome: Option<Outcome>,
    retry_ms: Option<u64>,
    errors: Vec<Mistake>,
    more: Vec<(&'static str, Value)>,
    headers: http::HeaderMap,
}

impl Problem {
    /// A problem of this kind; `detail` says what it is about this time.
    pub(crate) fn new(name: Name, detail: impl Into<Cow<'static, str>>) -> Self {
        let (outcome, retry_ms, errors, more) = (None, None, Vec::new(), Vec::new());
        Self(Box::new(Inner {
            name,
            detail: detail.into(),
            outcome,
            retry_ms,
            errors,
            more,
            headers: http::HeaderMap::new(),
        }))
    }

    /// What became of the request.
    pub(crate) fn outcome(mut self, outcome: Outcome) -> Self {
        self.0.outcome = Some(outcome);
        self
    }

    /// When to ask again, milliseconds.
    pub(crate) fn retry_after(mut self, ms: u64) -> Self {
        self.0.retry_ms = Some(ms);
        self
    }

    /// What exactly is wrong, place by place.
    pub(crate) fn errors(mut self, errors: Vec<Mistake>) -> Self {
        self.0.errors = errors;
        self
    }

    /// Something that helps to do better; described with the shape of problems.
    pub(crate) fn with(mut self, name: &'static str, value: Value) -> Self {
        self.0.more.push((name, value));
        self
    }

    /// The methods that would be right.
    pub(crate) fn allow(mut self, methods: HeaderValue) -> Self {
        self.0.headers.insert(ALLOW, methods);
        self
    }

    /// A header that goes with it.
    pub(crate) fn header(mut self, name: http::HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    /// The connection ends with this answer.
    pub(crate) fn close(mut self) -> Self {
        self.0.headers.insert(CONNECTION, HeaderValue::from_static("close"));
        self
    }

    /// Its name, for the metric.
    pub(crate) fn name(&self) -> Name {
        self.0.name
    }

    /// The answer. `instance`: the path that was asked for, with the trace's id as fragment.
    pub(crate) fn answer(self, instance: &str) -> Response {
        let kind = self.0.name.kind();
        let body = serde_json::to_vec(&Body { inner: &self.0, kind, instance }).unwrap_or_default();
        let mut answer = reply::body(kind.status, reply::PROBLEM_JSON, body);
        let headers = answer.headers_mut();
        // Caches would keep a 404 or 410 by themselves.
        headers.insert(CACHE_CONTROL, reply::PRIVATE);
        if let Some(ms) = self.0.retry_ms {
            // A quota of one's own says more, and replaces this one.
            retry_after(kind.status, ms, headers);
        }
        headers.extend(self.0.headers);
        answer
    }
}

/// When to ask again, as headers.
pub(crate) fn retry_after(status: StatusCode, ms: u64, headers: &mut http::HeaderMap) {
    let seconds = ms.div_ceil(1_000).max(1);
    headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        let left = HeaderValue::from_str(&format!("\"capacity\";r=0;t={seconds}")).ok();
        headers.extend(left.map(|left| (RATELIMIT, left)));
    }
}

/// A problem as the bytes of a last answer, for connections that never get as far as a handler.
pub(crate) fn last_words(problem: Problem) -> Vec<u8> {
    let trace = Trace::of(&http::HeaderMap::new(), random());
    let answer = problem.close().answer(&format!("#{}", trace.id()));
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = answer.into_body().whole();
    let mut bytes = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n", body.len()).into_bytes();
    for (name, value) in &headers {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&body);
    bytes
}

/// A body that names one place.
pub(crate) fn bad(key: &str, value: impl std::fmt::Display, problem: impl Into<String>) -> Problem {
    let mistake = Mistake::new(key, value, problem);
    Problem::new(Name::BadRequest, mistake.to_string()).errors(vec![mistake])
}

/// Mistakes as the API shows them.
pub(crate) fn mistakes(errors: &[Mistake]) -> Value {
    errors.iter().map(|m| json!({"key": m.key, "value": m.value, "problem": m.problem})).collect()
}

struct Body<'a> {
    inner: &'a Inner,
    kind: &'a Kind,
    instance: &'a str,
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", &format_args!("/problems/{}", self.kind.name))?;
        map.serialize_entry("title", self.kind.title)?;
        map.serialize_entry("status", &self.kind.status.as_u16())?;
        map.serialize_entry("detail", &self.inner.detail)?;
        map.serialize_entry("instance", self.instance)?;
        map.serialize_entry("retry_safe", &self.kind.retry_safe)?;
        if let Some(outcome) = self.inner.outcome {
            map.serialize_entry("outcome", outcome.as_str())?;
        }
        if let Some(ms) = self.inner.retry_ms {
            map.serialize_entry("retry_in_ms", &ms)?;
        }
        if !self.inner.errors.is_empty() {
            map.serialize_entry("errors", &mistakes(&self.inner.errors))?;
        }
        for (name, value) in &self.inner.more {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}
