//! What the HTTP edge counts.

use std::time::Duration;

use domain::metric::{Kind, Metric};
use domain::{ProofError, TokenError};
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use crate::problem::{self, Name};
use crate::server::drive::End;
use crate::server::slots::Full;

const LISTENERS: &[&str] = &["public", "admin", "internal"];
const STATUS: &[&str] = &["1xx", "2xx", "3xx", "4xx", "5xx"];

const REQUESTS: Metric = Metric {
    name: "holdfast_ingress_requests_total",
    kind: Kind::Counter,
    unit: "requests",
    labels: &[("route", &[]), ("status", STATUS)],
    help: "Requests answered, by route and class of status.",
};
const SECONDS: Metric = Metric {
    name: "holdfast_ingress_request_seconds",
    kind: Kind::Histogram,
    unit: "seconds",
    labels: &[("route", &[])],
    help: "From the end of a request's head to its answer.",
};
const PROBLEMS: Metric = Metric {
    name: "holdfast_ingress_problems_total",
    kind: Kind::Counter,
    unit: "answers",
    labels: &[("problem", problem::NAMES)],
    help: "Answers that were problems, by name.",
};
const CONNECTIONS: Metric = Metric {
    name: "holdfast_ingress_connections",
    kind: Kind::Gauge,
    unit: "connections",
    labels: &[("listener", LISTENERS)],
    help: "Connections open.",
};
const ENDED: Metric = Metric {
    name: "holdfast_ingress_connections_ended_total",
    kind: Kind::Counter,
    unit: "connections",
    labels: &[("listener", LISTENERS), ("how", &["done", "broken", "too_slow"])],
    help: "Connections that ended: in order, by something that was not HTTP, or because the client was too slow.",
};
const REFUSED: Metric = Metric {
    name: "holdfast_ingress_connections_refused_total",
    kind: Kind::Counter,
    unit: "connections",
    labels: &[("listener", LISTENERS), ("why", &["process", "address"])],
    help: "Connections turned away because the process or the client's address has as many as it may.",
};
const ACCEPT: Metric = Metric {
    name: "holdfast_ingress_accept_errors_total",
    kind: Kind::Counter,
    unit: "errors",
    labels: &[("listener", LISTENERS)],
    help: "Failures to accept a connection, such as too many open files.",
};

const CHECKS: &[&str] = &["visitor", "ticket", "pass", "mark", "proof", "address", "identity", "move_code"];
const REASONS: &[&str] = &[
    "missing",
    "malformed",
    "unknown_key",
    "bad_signature",
    "wrong_kind",
    "wrong_sale",
    "wrong_visitor",
    "expired",
    "future",
    "unsolved",
    "spent",
    "too_many",
    "table_full",
    "moved",
];
const REFUSALS: Metric = Metric {
    name: "holdfast_ingress_refusals_total",
    kind: Kind::Counter,
    unit: "refusals",
    labels: &[("check", CHECKS), ("reason", REASONS)],
    help: "Tokens, proofs of work and requests that a check against abuse let count for nothing, by check and reason.",
};
const PROOFS: Metric = Metric {
    name: "holdfast_ingress_proofs_total",
    kind: Kind::Counter,
    unit: "proofs",
    labels: &[],
    help: "Proofs of work that were right.",
};
const PROOF_PRICE: Metric = Metric {
    name: "holdfast_ingress_proof_hashes",
    kind: Kind::Gauge,
    unit: "hashes",
    labels: &[],
    help: "Hashes that the last challenge given out takes at most.",
};

const STREAMS: Metric = Metric {
    name: "holdfast_ingress_event_streams",
    kind: Kind::Gauge,
    unit: "streams",
    labels: &[],
    help: "Visitors who follow their tickets as events.",
};

/// Every metric of this crate.
pub const ALL: &[Metric] = &[
    REQUESTS,
    SECONDS,
    PROBLEMS,
    CONNECTIONS,
    ENDED,
    REFUSED,
    ACCEPT,
    REFUSALS,
    PROOFS,
    PROOF_PRICE,
    STREAMS,
    CONFIRMS,
];

/// What looked, in the order of the label's values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Check {
    Visitor,
    Ticket,
    Pass,
    Mark,
    Proof,
    /// The bound per client address.
    Address,
    /// The bound per visitor.
    Identity,
    /// A code that moves a place.
    MoveCode,
}

/// Why it counted for nothing, in the order of the label's values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reason {
    Missing,
    Malformed,
    UnknownKey,
    BadSignature,
    WrongKind,
    WrongSale,
    WrongVisitor,
    Expired,
    Future,
    /// Not the number that was asked for.
    Unsolved,
    /// It has bought a place already.
    Spent,
    TooMany,
    /// The table of clients is full, and the bucket for the others as well.
    TableFull,
    /// Its place is another visitor's now.
    Moved,
}

impl From<TokenError> for Reason {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Malformed => Self::Malformed,
            TokenError::UnknownKey => Self::UnknownKey,
            TokenError::BadSignature => Self::BadSignature,
            TokenError::WrongKind => Self::WrongKind,
            TokenError::WrongSale => Self::WrongSale,
            TokenError::WrongVisitor => Self::WrongVisitor,
            TokenError::Expired => Self::Expired,
            TokenError::Future => Self::Future,
        }
    }
}

impl From<ProofError> for Reason {
    fn from(error: ProofError) -> Self {
        match error {
            ProofError::Malformed => Self::Malformed,
            ProofError::UnknownKey => Self::UnknownKey,
            ProofError::BadSignature => Self::BadSignature,
            ProofError::Unsolved => Self::Unsolved,
            ProofError::WrongSale => Self::WrongSale,
            ProofError::WrongVisitor => Self::WrongVisitor,
            ProofError::Expired => Self::Expired,
            ProofError::Future => Self::Future,
        }
    }
}

/// Counts what the checks against abuse refused.
pub(crate) struct Refusals(Vec<Vec<Counter>>);

impl Refusals {
    pub(crate) fn new() -> Self {
        let of = |check: &'static str| {
            REASONS.iter().map(|reason| counter!(REFUSALS.name, "check" => check, "reason" => *reason)).collect()
        };
        Self(CHECKS.iter().map(|check| of(check)).collect())
    }

    pub(crate) fn count(&self, check: Check, reason: impl Into<Reason>) {
        if let Some(counter) = self.0.get(check as usize).and_then(|of| of.get(reason.into() as usize)) {
            counter.increment(1);
        }
    }
}

/// What is counted about proofs of work.
pub(crate) struct Proofs {
    pub(crate) right: Counter,
    pub(crate) price: Gauge,
}

impl Proofs {
    pub(crate) fn new() -> Self {
        Self { right: counter!(PROOFS.name), price: gauge!(PROOF_PRICE.name) }
    }
}

/// Counts one stream of events.
pub(crate) struct Streams(Gauge);

impl Streams {
    pub(crate) fn new() -> Self {
        Self(gauge!(STREAMS.name))
    }

    pub(crate) fn opened(&self) {
        self.0.increment(1.0);
    }

    pub(crate) fn closed(&self) {
        self.0.decrement(1.0);
    }
}

const CONFIRMS: Metric = Metric {
    name: "holdfast_ingress_confirm_answers_total",
    kind: Kind::Counter,
    unit: "answers",
    labels: &[("answer", &["booked", "again", "pending", "refused", "not_taken", "unavailable"])],
    help: "What visitors were told who confirmed a hold: booked, booked before, 202, a final no, a request that was none, or 503.",
};

/// What a visitor is told who confirms a hold. In the order of the label's values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Confirmed {
    /// 201.
    Booked,
    /// 201, as an earlier request was.
    Again,
    /// 202: nobody knows yet.
    Pending,
    /// The ledger, or what it has decided before, says no.
    Refused,
    /// Nothing was decided, by the visitor's own fault.
    NotTaken,
    /// Nothing was decided, or nobody knows what, by ours.
    Unavailable,
}

/// Counts them.
pub(crate) struct Confirms([Counter; 6]);

impl Confirms {
    pub(crate) fn new() -> Self {
        let value = |n: usize| counter!(CONFIRMS.name, "answer" => CONFIRMS.labels[0].1[n]);
        Self(std::array::from_fn(value))
    }

    pub(crate) fn answered(&self, answer: Confirmed) {
        self.0[answer as usize].increment(1);
    }
}

/// What one listener counts about its connections.
pub(crate) struct Listener {
    open: Gauge,
    ended: [Counter; 3],
    refused: [Counter; 2],
    accept: Counter,
}

impl Listener {
    pub(crate) fn new(listener: &'static str) -> Self {
        let ended = |how: &'static str| counter!(ENDED.name, "listener" => listener, "how" => how);
        let refused = |why: &'static str| counter!(REFUSED.name, "listener" => listener, "why" => why);
        Self {
            open: gauge!(CONNECTIONS.name, "listener" => listener),
            ended: [ended("done"), ended("broken"), ended("too_slow")],
            refused: [refused("process"), refused("address")],
            accept: counter!(ACCEPT.name, "listener" => listener),
        }
    }

    pub(crate) fn opened(&self) {
        self.open.increment(1.0);
    }

    pub(crate) fn closed(&self) {
        self.open.decrement(1.0);
    }

    pub(crate) fn ended(&self, end: End) {
        self.ended[end as usize].increment(1);
    }

    pub(crate) fn turned_away(&self, full: Full) {
        self.refused[full as usize].increment(1);
    }

    pub(crate) fn accept_failed(&self) {
        self.accept.increment(1);
    }
}

/// What one route counts about its requests.
pub(crate) struct Route {
    status: [Counter; 5],
    seconds: Histogram,
}

impl Route {
    pub(crate) fn new(route: &'static str) -> Self {
        let status = |n: usize| counter!(REQUESTS.name, "route" => route, "status" => STATUS[n]);
        let seconds = histogram!(SECONDS.name, "route" => route);
        Self { status: std::array::from_fn(status), seconds }
    }

    pub(crate) fn answered(&self, status: http::StatusCode, took: Duration) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        self.status[class].increment(1);
        self.seconds.record(took.as_secs_f64());
    }
}

/// Counts problems by name.
pub(crate) struct Problems(Vec<Counter>);

impl Problems {
    pub(crate) fn new() -> Self {
        Self(problem::NAMES.iter().map(|name| counter!(PROBLEMS.name, "problem" => *name)).collect())
    }

    pub(crate) fn answered(&self, name: Name) {
        if let Some(counter) = self.0.get(name as usize) {
            counter.increment(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_and_reason_has_its_label() {
        let checks = [
            (Check::Visitor, "visitor"),
            (Check::Ticket, "ticket"),
            (Check::Pass, "pass"),
            (Check::Mark, "mark"),
            (Check::Proof, "proof"),
            (Check::Address, "address"),
            (Check::Identity, "identity"),
            (Check::MoveCode, "move_code"),
        ];
        assert!(checks.len() == CHECKS.len() && checks.iter().all(|(check, name)| CHECKS[*check as usize] == *name));
        let reasons = [
            (Reason::Missing, "missing"),
            (TokenError::Malformed.into(), "malformed"),
            (TokenError::UnknownKey.into(), "unknown_key"),
            (TokenError::BadSignature.into(), "bad_signature"),
            (TokenError::WrongKind.into(), "wrong_kind"),
            (TokenError::WrongSale.into(), "wrong_sale"),
            (TokenError::WrongVisitor.into(), "wrong_visitor"),
            (ProofError::Expired.into(), "expired"),
            (ProofError::Future.into(), "future"),
            (ProofError::Unsolved.into(), "unsolved"),
            (Reason::Spent, "spent"),
            (Reason::TooMany, "too_many"),
            (Reason::TableFull, "table_full"),
            (Reason::Moved, "moved"),
        ];
        assert!(reasons.len() == REASONS.len() && reasons.iter().all(|(why, name)| REASONS[*why as usize] == *name));
    }
}
