//! What the program itself counts: what is forwarded to other processes, what the reconciler finds, and what surrounds it.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::SaleId;

use domain::metric::{Kind as Type, Metric};
use ingress::internal::NotAnswered;
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use crate::production::redis::{self, About};
use crate::reconcile::Found;
use crate::words::words;

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
pub(crate) const ALL: &[Metric] = &[
    CALLS,
    GROUP,
    SECONDS,
    NO_OWNER,
    DIFFERENCE,
    ROUNDS,
    MENDED,
    AUDIT,
    REDIS_UNSAFE,
    TLS_EXPIRES,
    KEY_AGE,
    DATA_FREE,
    BUILD,
];

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

const DIFFERENCE: Metric = Metric {
    name: "holdfast_reconciler_difference",
    kind: Type::Gauge,
    unit: "things",
    labels: &[("kind", Kind::WORDS)],
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
const AUDIT: Metric = Metric {
    name: "holdfast_audit_violations",
    kind: Type::Gauge,
    unit: "things",
    labels: &[("sale", &[]), ("invariant", Invariant::WORDS)],
    help: "What the reconciler finds now that breaks an invariant and that no owner has put right: units, events, logs, intents or holds.",
};

words! {
    /// What the reconciler finds to differ.
    Kind {
        /// Units by which free + live is not allocated - sold.
        Free = "free",
        /// Units by which live is not what the records claim.
        Live = "live",
        /// Lanes of which Redis has more than the ledger.
        Ahead = "ahead",
        /// Lanes of which Redis has less than the ledger for a while.
        Behind = "behind",
        /// Intents that nobody decides.
        Stuck = "stuck",
        /// Lanes that nobody owns.
        LaneWithoutOwner = "lane_without_owner",
        /// Lines that nobody owns.
        LineWithoutOwner = "line_without_owner",
        /// Lines of which Redis shows more than the ledger.
        LineAhead = "line_ahead",
        /// Lanes and lines that could not be compared.
        NotSeen = "not_seen",
    }
}

words! {
    /// What must always hold, by its number in docs/ARCHITECTURE.md, as far as it can be seen from outside at any moment.
    Invariant {
        /// No oversell.
        Oversell = "I1",
        /// Free and live units are those that are not sold.
        Units = "I2",
        /// The ledger has what Redis says is decided, whole.
        Durable = "I3",
        /// One outcome per hold.
        Outcome = "I4",
        /// Every hold ends in bounded time.
        Orphan = "I5",
        /// The frontier never goes back.
        Order = "I6",
    }
}

/// Handles of what the reconciler exports.
pub(crate) struct Reconciling {
    differences: Vec<(Kind, Gauge)>,
    rounds: Counter,
    mended: Counter,
    /// Of every sale that was watched in the last round.
    audited: BTreeMap<SaleId, Vec<(Invariant, Gauge)>>,
}

impl Reconciling {
    /// Handles of the recorder that is installed by now.
    pub(crate) fn new() -> Self {
        let gauge = |kind: &Kind| (*kind, gauge!(DIFFERENCE.name, "kind" => kind.as_str()));
        let differences = Kind::ALL.iter().map(gauge).collect();
        let (rounds, mended) = (counter!(ROUNDS.name), counter!(MENDED.name));
        Self { differences, rounds, mended, audited: BTreeMap::new() }
    }

    /// A round is over.
    pub(crate) fn found(&mut self, found: &Found) {
        for (kind, gauge) in &self.differences {
            gauge.set(amount(found.of(*kind)));
        }
        for sale in found.sales() {
            let gauges = self.audited.entry(sale.clone()).or_insert_with(|| audited(sale));
            for (invariant, gauge) in gauges {
                gauge.set(amount(found.broken(sale, *invariant)));
            }
        }
        self.audited.retain(|sale, gauges| {
            let watched = found.watches(sale);
            if !watched {
                // A sale that is over is compared with nothing: what was found last must not stay for ever.
                gauges.iter().for_each(|(_, gauge)| gauge.set(0.0));
            }
            watched
        });
        self.mended.increment(found.mended());
        self.rounds.increment(1);
    }
}

fn audited(sale: &SaleId) -> Vec<(Invariant, Gauge)> {
    let gauge = |invariant: &Invariant| {
        (*invariant, gauge!(AUDIT.name, "sale" => sale.to_string(), "invariant" => invariant.as_str()))
    };
    Invariant::ALL.iter().map(gauge).collect()
}

fn amount(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

const REDIS_UNSAFE: Metric = Metric {
    name: "holdfast_redis_unsafe",
    kind: Type::Gauge,
    unit: "servers",
    labels: &[("setting", About::WORDS)],
    help: "Servers of Redis with something that loses holds or will hurt one day, by what it is about; holdfast doctor says what to do.",
};
const TLS_EXPIRES: Metric = Metric {
    name: "holdfast_tls_expires_seconds",
    kind: Type::Gauge,
    unit: "seconds",
    labels: &[],
    help: "Time until the first certificate of the visitors' listener expires; below 0 afterwards. Absent without one.",
};
const KEY_AGE: Metric = Metric {
    name: "holdfast_key_age_seconds",
    kind: Type::Gauge,
    unit: "seconds",
    labels: &[],
    help: "Age of the token key that signs; where the keys file does not say when it was made, since that file changed last.",
};
const DATA_FREE: Metric = Metric {
    name: "holdfast_data_free_bytes",
    kind: Type::Gauge,
    unit: "bytes",
    labels: &[],
    help: "Room on the file system of the data directory, or of the ledger's file where that has less.",
};
const BUILD: Metric = Metric {
    name: "holdfast_build_info",
    kind: Type::Gauge,
    unit: "flag",
    labels: &[("version", &[]), ("scripts", &[])],
    help: "Always 1: which program this is, and which scripts it runs in Redis.",
};

/// Handles of what surrounds the program.
pub(crate) struct Around {
    redis: Vec<(About, Gauge)>,
    key_age: Gauge,
    data_free: Gauge,
}

impl Around {
    /// Handles of the recorder that is installed by now.
    pub(crate) fn new() -> Self {
        gauge!(BUILD.name, "version" => env!("CARGO_PKG_VERSION"), "scripts" => lua::scripts_digest()).set(1.0);
        let setting = |about: &About| (*about, gauge!(REDIS_UNSAFE.name, "setting" => about.as_str()));
        Self {
            redis: About::ALL.iter().map(setting).collect(),
            key_age: gauge!(KEY_AGE.name),
            data_free: gauge!(DATA_FREE.name),
        }
    }

    /// What was found about Redis.
    pub(crate) fn redis(&self, found: &[redis::Found]) {
        for (about, gauge) in &self.redis {
            let count = found.iter().filter(|one| one.about == *about).count();
            gauge.set(amount(count as u64));
        }
    }

    /// Time until the certificate expires. Called only where there is one, so that nothing is shown where there is none.
    pub(crate) fn tls(&self, seconds: f64) {
        gauge!(TLS_EXPIRES.name).set(seconds);
    }

    /// How old the key that signs is.
    pub(crate) fn key_age(&self, age: Duration) {
        self.key_age.set(age.as_secs_f64());
    }

    /// Room that is left.
    #[allow(clippy::cast_precision_loss, reason = "nobody counts the bytes of a disk one by one")]
    pub(crate) fn data_free(&self, bytes: u64) {
        self.data_free.set(bytes as f64);
    }
}
