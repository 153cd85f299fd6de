//! Names and meanings of this crate's metrics.

use std::time::Instant;

use domain::metric::{Kind, Metric};
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use crate::append::Tried;
use crate::{Append, Error};

const APPEND_SECONDS: &str = "holdfast_ledger_append_seconds";
const APPEND_EVENTS: &str = "holdfast_ledger_append_events";
const READ_SECONDS: &str = "holdfast_ledger_read_seconds";
const COMMIT_SECONDS: &str = "holdfast_ledger_commit_seconds";
const COMMIT_WRITES: &str = "holdfast_ledger_commit_writes";
const QUEUE_WRITES: &str = "holdfast_ledger_queue_writes";
const TRIES_TOTAL: &str = "holdfast_ledger_cql_tries_total";
const SIZE_BYTES: &str = "holdfast_ledger_size_bytes";
const ERRORS_TOTAL: &str = "holdfast_ledger_errors_total";

const OUTCOMES: &[&str] = &["appended", "fenced", "failed"];
const TRIED: &[&str] = &["applied", "refused", "failed"];
const CALLS: &[&str] = &["claim", "append", "read", "head", "list"];

/// All metrics of this crate, for `docs/metrics.md`.
pub const ALL: &[Metric] = &[
    Metric {
        name: APPEND_SECONDS,
        kind: Kind::Histogram,
        unit: "seconds",
        labels: &[("outcome", OUTCOMES)],
        help: "Time from an append's call to its answer, repetitions under doubt included.",
    },
    Metric {
        name: APPEND_EVENTS,
        kind: Kind::Histogram,
        unit: "events",
        labels: &[],
        help: "Events per append that went into a log: how well group commit works.",
    },
    Metric {
        name: READ_SECONDS,
        kind: Kind::Histogram,
        unit: "seconds",
        labels: &[],
        help: "Time of one read of a page of events or of a head.",
    },
    Metric {
        name: COMMIT_SECONDS,
        kind: Kind::Histogram,
        unit: "seconds",
        labels: &[],
        help: "Time of one transaction of the embedded store, fsync included.",
    },
    Metric {
        name: COMMIT_WRITES,
        kind: Kind::Histogram,
        unit: "writes",
        labels: &[],
        help: "Appends and claims of different logs in one transaction of the embedded store.",
    },
    Metric {
        name: QUEUE_WRITES,
        kind: Kind::Gauge,
        unit: "writes",
        labels: &[],
        help: "Appends and claims that waited behind the last transaction of the embedded store.",
    },
    Metric {
        name: TRIES_TOTAL,
        kind: Kind::Counter,
        unit: "tries",
        labels: &[("outcome", TRIED)],
        help: "Conditional batches sent to a CQL ledger; more of them than appends means that answers got lost and were asked for again.",
    },
    Metric {
        name: SIZE_BYTES,
        kind: Kind::Gauge,
        unit: "bytes",
        labels: &[],
        help: "Size of the embedded store's file with its write-ahead log.",
    },
    Metric {
        name: ERRORS_TOTAL,
        kind: Kind::Counter,
        unit: "errors",
        labels: &[("call", CALLS), ("kind", Error::KINDS)],
        help: "Calls that failed, by call and kind of failure; a fenced append is none.",
    },
];

/// Handles of the metrics that every call touches. Made once, so the program installs its recorder before it opens a ledger.
pub(crate) struct CallMeters {
    appended: Histogram,
    fenced: Histogram,
    failed: Histogram,
    events: Histogram,
    read: Histogram,
}

impl CallMeters {
    pub(crate) fn new() -> Self {
        Self {
            appended: histogram!(APPEND_SECONDS, "outcome" => "appended"),
            fenced: histogram!(APPEND_SECONDS, "outcome" => "fenced"),
            failed: histogram!(APPEND_SECONDS, "outcome" => "failed"),
            events: histogram!(APPEND_EVENTS),
            read: histogram!(READ_SECONDS),
        }
    }

    pub(crate) fn append(&self, since: Instant, events: usize, answer: &Result<Append, Error>) {
        let seconds = since.elapsed().as_secs_f64();
        match answer {
            Ok(Append::Appended(_)) => {
                self.appended.record(seconds);
                // Exact: a group has far fewer events than a double has integers.
                #[expect(clippy::cast_precision_loss, reason = "at most MAX_APPEND_EVENTS")]
                self.events.record(events as f64);
            }
            Ok(Append::Fenced(_)) => self.fenced.record(seconds),
            Err(_) => self.failed.record(seconds),
        }
        self.outcome("append", answer);
    }

    pub(crate) fn read<T>(&self, call: &'static str, since: Instant, answer: &Result<T, Error>) {
        self.read.record(since.elapsed().as_secs_f64());
        self.outcome(call, answer);
    }

    pub(crate) fn outcome<T>(&self, call: &'static str, answer: &Result<T, Error>) {
        if let Err(error) = answer {
            errors(call, error.kind()).increment(1);
        }
    }
}

fn errors(call: &'static str, kind: &'static str) -> Counter {
    counter!(ERRORS_TOTAL, "call" => call, "kind" => kind)
}

/// Handles of the writer thread.
pub(crate) struct CommitMeters {
    pub(crate) seconds: Histogram,
    pub(crate) writes: Histogram,
    pub(crate) queue: Gauge,
    pub(crate) size: Gauge,
}

impl CommitMeters {
    pub(crate) fn new() -> Self {
        Self {
            seconds: histogram!(COMMIT_SECONDS),
            writes: histogram!(COMMIT_WRITES),
            queue: gauge!(QUEUE_WRITES),
            size: gauge!(SIZE_BYTES),
        }
    }
}

/// Handles of the CQL store.
pub(crate) struct CqlMeters {
    applied: Counter,
    refused: Counter,
    failed: Counter,
}

impl CqlMeters {
    pub(crate) fn new() -> Self {
        let tries = |outcome: &'static str| counter!(TRIES_TOTAL, "outcome" => outcome);
        Self { applied: tries("applied"), refused: tries("refused"), failed: tries("failed") }
    }

    pub(crate) fn tried(&self, tried: &Result<Tried, Error>) {
        match tried {
            Ok(Tried::Applied) => self.applied.increment(1),
            Ok(Tried::Refused(_)) => self.refused.increment(1),
            Err(_) => self.failed.increment(1),
        }
    }
}

#[cfg(test)]
mod tests;
