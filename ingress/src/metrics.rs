//! What the HTTP edge counts.

use std::time::Duration;

use domain::metric::{Kind, Metric};
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

/// Every metric of this crate.
pub const ALL: &[Metric] = &[REQUESTS, SECONDS, PROBLEMS, CONNECTIONS, ENDED, REFUSED, ACCEPT];

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
