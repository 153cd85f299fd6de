//! What the program itself counts: what is forwarded to other processes, and what the reconciler finds.

use std::time::Duration;

use domain::metric::{Kind as Type, Metric};
use ingress::internal::NotAnswered;
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use crate::reconcile::Found;

const OUTCOMES: &[&str] = &["answered", "refused", "unknown"];

const CALLS: Metric = Metric {
    name: "holdfast_forward_calls_total",
    kind: Type::Counter,
    unit: "calls",
    labels: &[("outcome", OUTCOMES)],
    help: "Groups of requests sent to owners in other processes, by outcome.",
};
const GROUP: Metric = Metric {
    name: "holdfast_forward_group_requests",
    kind: Type::Histogram,
    unit: "requests",
    labels: &[],
    help: "Requests in one forwarded group.",
};
const SECONDS: Metric = Metric {
    name: "holdfast_forward_call_seconds",
    kind: Type::Histogram,
    unit: "seconds",
    labels: &[],
    help: "From sending a group to its answer.",
};
const NO_OWNER: Metric = Metric {
    name: "holdfast_forward_no_owner_total",
    kind: Type::Counter,
    unit: "requests",
    labels: &[],
    help: "Requests refused because no process owned their lane or line in time.",
};

/// Every metric of the program itself.
pub(crate) const ALL: &[Metric] = &[CALLS, GROUP, SECONDS, NO_OWNER, DIFFERENCE, ROUNDS, MENDED];

/// Handles of what is counted about forwarding.
#[derive(Clone)]
pub(crate) struct Forwarding {
    calls: [Counter; 3],
    group: Histogram,
    seconds: Histogram,
    no_owner: Counter,
}

impl Forwarding {
    /// Handles of the recorder that is installed by now.
    pub(crate) fn new() -> Self {
        let call = |outcome: &'static str| counter!(CALLS.name, "outcome" => outcome);
        Self {
            calls: [call("answered"), call("refused"), call("unknown")],
            group: histogram!(GROUP.name),
            seconds: histogram!(SECONDS.name),
            no_owner: counter!(NO_OWNER.name),
        }
    }

    /// A call has ended.
    pub(crate) fn called(&self, requests: usize, took: Duration, error: Option<&NotAnswered>) {
        let [answered, refused, unknown] = &self.calls;
        match error {
            None => answered,
            Some(NotAnswered::Refused(_)) => refused,
            Some(NotAnswered::Unknown(_)) => unknown,
        }
        .increment(1);
        self.group.record(u32::try_from(requests).unwrap_or(u32::MAX));
        self.seconds.record(took);
    }

    /// A request was refused for want of an owner.
    pub(crate) fn no_owner(&self) {
        self.no_owner.increment(1);
    }
}

const KINDS: &[&str] =
    &["free", "live", "ahead", "behind", "stuck", "lane_without_owner", "line_without_owner", "line_ahead", "not_seen"];

const DIFFERENCE: Metric = Metric {
    name: "holdfast_reconciler_difference",
    kind: Type::Gauge,
    unit: "things",
    labels: &[("kind", KINDS)],
    help: "What differs between Redis and the ledger, seen from outside: units (free, live), intents (stuck), lanes or lines.",
};
const ROUNDS: Metric = Metric {
    name: "holdfast_reconciler_rounds_total",
    kind: Type::Counter,
    unit: "rounds",
    labels: &[],
    help: "Rounds of the reconciler over all lanes and lines.",
};
const MENDED: Metric = Metric {
    name: "holdfast_reconciler_mended_units_total",
    kind: Type::Counter,
    unit: "units",
    labels: &[],
    help: "Free units that the reconciler set right because a lane's owner had not.",
};

/// What the reconciler finds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Kind {
    /// Units by which free + live is not allocated - sold.
    Free,
    /// Units by which live is not what the records claim.
    Live,
    /// Lanes of which Redis has more than the ledger.
    Ahead,
    /// Lanes of which Redis has less than the ledger for a while.
    Behind,
    /// Intents that nobody decides.
    Stuck,
    /// Lanes that nobody owns.
    LaneWithoutOwner,
    /// Lines that nobody owns.
    LineWithoutOwner,
    /// Lines of which Redis shows more than the ledger.
    LineAhead,
    /// Lanes and lines that could not be compared.
    NotSeen,
    /// Units that were set right: no difference any more.
    Mended,
}

impl Kind {
    const DIFFERENCES: [Self; 9] = [
        Self::Free,
        Self::Live,
        Self::Ahead,
        Self::Behind,
        Self::Stuck,
        Self::LaneWithoutOwner,
        Self::LineWithoutOwner,
        Self::LineAhead,
        Self::NotSeen,
    ];
}

/// Handles of what the reconciler exports.
pub(crate) struct Reconciling {
    differences: Vec<(Kind, Gauge)>,
    rounds: Counter,
    mended: Counter,
}

impl Reconciling {
    /// Handles of the recorder that is installed by now.
    pub(crate) fn new() -> Self {
        let gauge = |(kind, name): (Kind, &&'static str)| (kind, gauge!(DIFFERENCE.name, "kind" => *name));
        let differences = Kind::DIFFERENCES.into_iter().zip(KINDS).map(gauge).collect();
        Self { differences, rounds: counter!(ROUNDS.name), mended: counter!(MENDED.name) }
    }

    /// A round is over.
    pub(crate) fn found(&self, found: &Found) {
        for (kind, gauge) in &self.differences {
            gauge.set(f64::from(u32::try_from(found.of(*kind)).unwrap_or(u32::MAX)));
        }
        self.rounds.increment(1);
    }

    /// Units were set right.
    pub(crate) fn mended(&self, units: u64) {
        self.mended.increment(units);
    }
}
