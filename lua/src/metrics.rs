//! What this crate measures.

use std::sync::OnceLock;
use std::time::Duration;

use domain::metric::{Kind, Metric};
use metrics::{Counter, Histogram};

use crate::cluster::table::Table;
use crate::error::CallError;
use crate::script::{NAMES, Script};

/// Time of a script call, from asking for it to its outcome.
const CALL_SECONDS: &str = "holdfast_redis_call_seconds";
/// Requests that shared a call.
const GROUP_REQUESTS: &str = "holdfast_redis_group_requests";
/// Outcomes of calls.
const CALLS: &str = "holdfast_redis_calls_total";
/// Connections opened.
const CONNECTS: &str = "holdfast_redis_connects_total";
/// Calls of a script that the server had forgotten.
const UNKNOWN_SCRIPTS: &str = "holdfast_redis_unknown_scripts_total";
/// Calls sent again after a refusal of a cluster.
const RESENT: &str = "holdfast_redis_resent_total";
/// Slots of a cluster without a master that is up.
const SLOTS_UNSERVED: &str = "holdfast_redis_slots_unserved";
/// Hints received.
pub(crate) const HINTS: &str = "holdfast_redis_hints_total";

/// Why a cluster refused a call that was sent again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Resent {
    /// Another node has the slot.
    Moved,
    /// Another node has the keys already.
    Ask,
    /// Nobody can serve the slot for now.
    Wait,
}

const REASONS: [&str; 3] = ["moved", "ask", "wait"];
const OUTCOMES: [&str; 5] = ["answered", "not_loaded", "not_executed", "unknown", "broken"];

/// Every metric of this crate.
pub const ALL: &[Metric] = &[
    Metric {
        name: CALL_SECONDS,
        kind: Kind::Histogram,
        unit: "seconds",
        labels: &[("script", &NAMES)],
        help: "Time of a script call, from asking for it to its outcome, waiting for a connection included.",
    },
    Metric {
        name: GROUP_REQUESTS,
        kind: Kind::Histogram,
        unit: "requests",
        labels: &[("script", &NAMES)],
        help: "Requests that shared one script call.",
    },
    Metric {
        name: CALLS,
        kind: Kind::Counter,
        unit: "calls",
        labels: &[("script", &NAMES), ("outcome", &OUTCOMES)],
        help: "Script calls by outcome; broken is a bug or damaged data and deserves an alarm.",
    },
    Metric {
        name: CONNECTS,
        kind: Kind::Counter,
        unit: "connections",
        labels: &[("result", &["opened", "failed"])],
        help: "Attempts to open a connection to Redis.",
    },
    Metric {
        name: UNKNOWN_SCRIPTS,
        kind: Kind::Counter,
        unit: "calls",
        labels: &[],
        help: "Calls of a script that the server had forgotten, answered by sending its text.",
    },
    Metric {
        name: RESENT,
        kind: Kind::Counter,
        unit: "calls",
        labels: &[("reason", &REASONS)],
        help: "Calls sent again because a cluster had refused them unexecuted: slot moved, slot on its way, nobody there yet.",
    },
    Metric {
        name: SLOTS_UNSERVED,
        kind: Kind::Gauge,
        unit: "slots",
        labels: &[],
        help: "Slots of a cluster whose master is down or missing; their lanes and lines answer 503. Absent with one server.",
    },
    Metric {
        name: HINTS,
        kind: Kind::Counter,
        unit: "hints",
        labels: &[("kind", &["line", "acts", "owner"])],
        help: "Hints received over a subscription; each saves a poll.",
    },
];

struct PerScript {
    seconds: Histogram,
    group: Histogram,
    outcomes: [Counter; OUTCOMES.len()],
}

/// Handles of one connection handle, looked up once: with the first call, so that a recorder installed at start is used.
pub(crate) struct Metrics {
    scripts: [OnceLock<PerScript>; NAMES.len()],
    opened: OnceLock<Counter>,
    failed: OnceLock<Counter>,
    unknown_scripts: OnceLock<Counter>,
    resent: [OnceLock<Counter>; REASONS.len()],
}

impl Metrics {
    pub(crate) fn new() -> Self {
        Self {
            scripts: [const { OnceLock::new() }; NAMES.len()],
            opened: OnceLock::new(),
            failed: OnceLock::new(),
            unknown_scripts: OnceLock::new(),
            resent: [const { OnceLock::new() }; REASONS.len()],
        }
    }

    pub(crate) fn called(&self, script: &Script, group: usize, took: Duration, error: Option<&CallError>) {
        let (Some(handles), Some(name)) = (self.scripts.get(script.index), NAMES.get(script.index)) else { return };
        let handles = handles.get_or_init(|| PerScript {
            seconds: metrics::histogram!(CALL_SECONDS, "script" => *name),
            group: metrics::histogram!(GROUP_REQUESTS, "script" => *name),
            outcomes: OUTCOMES.map(|outcome| metrics::counter!(CALLS, "script" => *name, "outcome" => outcome)),
        });
        handles.seconds.record(took);
        #[expect(clippy::cast_precision_loss, reason = "a group has at most a few thousand requests")]
        handles.group.record(group as f64);
        let outcome = error.map_or(OUTCOMES[0], CallError::as_str);
        if let Some((_, counter)) = OUTCOMES.iter().zip(&handles.outcomes).find(|(name, _)| **name == outcome) {
            counter.increment(1);
        }
    }

    pub(crate) fn connected(&self) {
        self.opened.get_or_init(|| metrics::counter!(CONNECTS, "result" => "opened")).increment(1);
    }

    pub(crate) fn connect_failed(&self) {
        self.failed.get_or_init(|| metrics::counter!(CONNECTS, "result" => "failed")).increment(1);
    }

    pub(crate) fn unknown_script(&self) {
        self.unknown_scripts.get_or_init(|| metrics::counter!(UNKNOWN_SCRIPTS)).increment(1);
    }

    pub(crate) fn resent(&self, why: Resent) {
        let (Some(counter), Some(reason)) = (self.resent.get(why as usize), REASONS.get(why as usize)) else { return };
        counter.get_or_init(|| metrics::counter!(RESENT, "reason" => *reason)).increment(1);
    }
}

/// The table of a cluster's slots has changed.
pub(crate) fn slots(table: &Table) {
    metrics::gauge!(SLOTS_UNSERVED).set(f64::from(table.unserved().0));
}
