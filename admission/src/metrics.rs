//! Names, labels and words of this crate's metrics. On hot paths handles are kept.

use domain::SaleId;
use domain::metric::{Kind, Metric};
use metrics::{Counter, Gauge, Histogram};

use crate::line::{Came, Claim, Joined, LineError, LineStatus, NotYet};
use crate::step::{Binding, Terms};
use crate::view::Told;

type Labels = &'static [(&'static str, &'static [&'static str])];

const fn metric(kind: Kind, name: &'static str, unit: &'static str, labels: Labels, help: &'static str) -> Metric {
    Metric { name, kind, unit, labels, help }
}

const SALE: (&str, &[&str]) = ("sale", &[]);
/// A class of the sale's document: there are few.
const CLASS: (&str, &[&str]) = ("class", &[]);
/// Values of `act`.
const ACTS: &[&str] = &[
    "define",
    "open",
    "pause",
    "resume",
    "pace",
    "cap",
    "stock",
    "withdraw",
    "withdrawn",
    "joining",
    "let_through",
    "close",
];
/// Values of `outcome` for a join: a new number, the visitor's own again, the same for a receipt of the lobby, or why there was none.
const JOINS: &[&str] = &[
    "new",
    "known",
    "new_receipt",
    "known_receipt",
    "busy",
    "no_owner",
    "not_loaded",
    "unavailable",
    "unknown",
    "not_open",
    "drawing",
    "paused",
    "not_joining",
    "code_used",
    "class_full",
    "closed",
    "unpaid",
    "moved",
];
/// Values of `outcome` for a claim.
const CLAIMS: &[&str] = &[
    "granted",
    "again",
    "not_called",
    "meter_full",
    "cap_full",
    "ended",
    "superseded",
    "busy",
    "no_owner",
    "not_loaded",
    "unavailable",
    "unknown",
    "not_open",
    "drawing",
    "paused",
    "not_joining",
    "code_used",
    "class_full",
    "closed",
    "moved",
];
/// Values of `term`.
const TERMS: &[&str] = &["pace", "flow", "cap", "health", "stock", "line"];
/// Values of `outcome` for a wait.
const WAITS: &[&str] = &["before_p50", "before_p90", "late"];
const BINDINGS: &[&str] = &["closed", "line", "stock", "unknown", "health", "cap", "flow", "pace"];

use Kind::{Counter as C, Gauge as G, Histogram as H};

/// Acts recorded.
pub const SALE_ACTS: Metric =
    metric(C, "holdfast_sale_acts_total", "acts", &[("act", ACTS)], "Acts of operators recorded in sales' logs.");
/// Joins answered.
pub const LINE_JOINS: Metric =
    metric(C, "holdfast_line_joins_total", "joins", &[SALE, ("outcome", JOINS)], "Joins answered, by outcome.");
/// Claims answered.
pub const LINE_CLAIMS: Metric =
    metric(C, "holdfast_line_claims_total", "claims", &[SALE, ("outcome", CLAIMS)], "Claims answered, by outcome.");
/// Passes granted.
pub const LINE_PASSES: Metric =
    metric(C, "holdfast_line_passes_total", "passes", &[SALE], "Passes granted: in the line's log.");
/// Calls to returns.
pub const LINE_RETURNS: Metric = metric(
    C,
    "holdfast_line_return_calls_total",
    "people",
    &[SALE],
    "People called on standby: to units that came back after all were taken, with a short turn.",
);
/// Class calls.
pub const LINE_CLASS_CALLS: Metric =
    metric(C, "holdfast_line_class_calls_total", "people", &[SALE, CLASS], "People called out of a class.");
/// Bypass.
pub const LINE_BYPASSES: Metric = metric(
    C,
    "holdfast_line_bypasses_total",
    "people",
    &[SALE, CLASS],
    "People called out of a class while somebody without a class waited.",
);
/// Class length.
pub const LINE_CLASS_WAITING: Metric = metric(
    G,
    "holdfast_line_class_waiting_visitors",
    "visitors",
    &[SALE, CLASS],
    "Places of a class that are given out and not called.",
);
/// Entries appended.
pub const LINE_FAULTS: Metric = metric(
    C,
    "holdfast_line_faults_total",
    "faults",
    &[SALE],
    "Failures of ours that were recorded in the line's log: passes and holds that lived then end later.",
);
/// See its help.
pub const LINE_FAULT_SECONDS: Metric = metric(
    C,
    "holdfast_line_fault_seconds_total",
    "seconds",
    &[SALE],
    "How long those failures lasted, each rounded up to whole seconds.",
);
/// See its help.
pub const LINE_ENTRIES: Metric =
    metric(C, "holdfast_line_entries_total", "entries", &[SALE], "Entries appended to the line's log.");
/// Line length.
pub const LINE_WAITING: Metric = metric(
    G,
    "holdfast_line_waiting_visitors",
    "visitors",
    &[SALE],
    "Numbers given out in front of the frontier, without gaps.",
);
/// Lobby.
pub const LINE_LOBBY: Metric = metric(
    G,
    "holdfast_line_lobby_receipts",
    "receipts",
    &[SALE],
    "Receipts of the lobby that are in the line's log and not drawn yet.",
);
/// Frontier.
pub const LINE_FRONTIER: Metric =
    metric(G, "holdfast_line_frontier_number", "number", &[SALE], "Tickets up to this number may enter.");
/// Active passes.
pub const LINE_ACTIVE: Metric =
    metric(G, "holdfast_line_active_passes", "passes", &[SALE], "Passes granted and not ended, by the line's log.");
/// Unclaimed turns.
pub const LINE_UNCLAIMED: Metric = metric(
    G,
    "holdfast_line_unclaimed_turns",
    "turns",
    &[SALE],
    "Numbers called within the grace period and not claimed yet.",
);
/// Binding term.
pub const LINE_BINDING: Metric = metric(
    G,
    "holdfast_line_binding",
    "flag",
    &[SALE, ("term", BINDINGS)],
    "1 for the term that holds the frontier, 0 for the others.",
);
/// Terms.
pub const LINE_TERM: Metric = metric(
    G,
    "holdfast_line_term_people",
    "people",
    &[SALE, ("term", TERMS)],
    "How many more people each term would let in now.",
);
/// Stay.
pub const LINE_STAY: Metric = metric(
    G,
    "holdfast_line_stay_seconds",
    "seconds",
    &[SALE],
    "Time from pass to end, on average over the last minutes, as admission reckons with it.",
);
/// Show.
pub const LINE_SHOW: Metric = metric(
    G,
    "holdfast_line_show_ratio",
    "ratio",
    &[SALE],
    "Part of those called who claim in time, over the last minutes, as admission reckons with it.",
);
/// Waits.
pub const LINE_WAITS: Metric = metric(
    C,
    "holdfast_line_waits_total",
    "waits",
    &[SALE, ("outcome", WAITS)],
    "Waits told for places all over the line, by what became of them: half should end before p50, nine of ten before p90.",
);
/// Ownership.
pub const LINE_OWNED: Metric = metric(G, "holdfast_line_owned", "flag", &[SALE], "1 while this process owns the line.");
/// Values of `state`.
const STATES: &[&str] = &["waiting", "serving", "stopped"];
/// State.
pub const LINE_STATE: Metric = metric(
    G,
    "holdfast_line_state",
    "flag",
    &[SALE, ("state", STATES)],
    "1 for the state the line's owner is in, 0 for the others; `stopped` means that the line's log is damaged or lost entries.",
);
/// Damage.
pub const LINE_DAMAGED: Metric = metric(
    C,
    "holdfast_line_damaged_total",
    "loads",
    &[SALE],
    "Times the line's keys in Redis were damaged and the line was loaded anew.",
);
/// Clock.
pub const LINE_CLOCK_BEHIND: Metric = metric(
    G,
    "holdfast_line_clock_behind_seconds",
    "seconds",
    &[SALE],
    "How far this machine's clock is behind the line's log; the pace stands still until it has caught up.",
);
/// Step.
pub const LINE_STEP: Metric = metric(
    H,
    "holdfast_line_step_seconds",
    "seconds",
    &[SALE],
    "From a step's tick until what it decided is in the log.",
);
/// Append.
pub const LINE_APPEND: Metric =
    metric(H, "holdfast_line_append_seconds", "seconds", &[SALE], "Time one append to the line's log took.");

/// Every metric of this crate.
pub const ALL: &[Metric] = &[
    SALE_ACTS,
    LINE_JOINS,
    LINE_CLAIMS,
    LINE_PASSES,
    LINE_RETURNS,
    LINE_CLASS_CALLS,
    LINE_BYPASSES,
    LINE_CLASS_WAITING,
    LINE_ENTRIES,
    LINE_FAULTS,
    LINE_FAULT_SECONDS,
    LINE_WAITING,
    LINE_LOBBY,
    LINE_FRONTIER,
    LINE_ACTIVE,
    LINE_UNCLAIMED,
    LINE_BINDING,
    LINE_TERM,
    LINE_STAY,
    LINE_SHOW,
    LINE_WAITS,
    LINE_OWNED,
    LINE_STATE,
    LINE_DAMAGED,
    LINE_CLOCK_BEHIND,
    LINE_STEP,
    LINE_APPEND,
];

/// Counts an act.
pub(crate) fn act(act: &'static str) {
    metrics::counter!(SALE_ACTS.name, "act" => act).increment(1);
}

/// Counters of what callers of a line were answered.
pub(crate) struct CallMetrics {
    joins: [Counter; JOINS.len()],
    claims: [Counter; CLAIMS.len()],
}

impl CallMetrics {
    pub(crate) fn new(sale: &SaleId) -> Self {
        let count = |name: &'static str, outcome: &'static str| metrics::counter!(name, "sale" => sale.to_string(), "outcome" => outcome);
        Self {
            joins: std::array::from_fn(|n| count(LINE_JOINS.name, JOINS.get(n).copied().unwrap_or_default())),
            claims: std::array::from_fn(|n| count(LINE_CLAIMS.name, CLAIMS.get(n).copied().unwrap_or_default())),
        }
    }

    pub(crate) fn join(&self, answer: &Result<Joined, LineError>) {
        let name = match answer {
            Ok(Joined { new: true, .. }) => "new",
            Ok(Joined { new: false, .. }) => "known",
            Err(error) => error.as_str(),
        };
        count(&self.joins, JOINS, name);
    }

    pub(crate) fn come(&self, answer: &Result<Came, LineError>) {
        let name = match answer {
            Ok(Came { new: true, .. }) => "new_receipt",
            Ok(Came { new: false, .. }) => "known_receipt",
            Err(error) => error.as_str(),
        };
        count(&self.joins, JOINS, name);
    }

    pub(crate) fn claim(&self, answer: &Result<Claim, LineError>) {
        let name = match answer {
            Ok(Claim::Granted { again: false, .. }) => "granted",
            Ok(Claim::Granted { again: true, .. }) => "again",
            Ok(Claim::NotYet { why, .. }) => NotYet::as_str(*why),
            Ok(Claim::Ended) => "ended",
            Ok(Claim::Superseded(_)) => "superseded",
            Err(error) => error.as_str(),
        };
        count(&self.claims, CLAIMS, name);
    }
}

/// Counters of what became of waits that were told.
pub(crate) struct ToldMetrics([Counter; WAITS.len()]);

impl ToldMetrics {
    pub(crate) fn new(sale: &SaleId) -> Self {
        Self(
            Told::ALL
                .map(|told| metrics::counter!(LINE_WAITS.name, "sale" => sale.to_string(), "outcome" => told.as_str())),
        )
    }

    pub(crate) fn count(&self, decided: &[Told]) {
        decided.iter().for_each(|told| count(&self.0, WAITS, told.as_str()));
    }
}

fn count(counters: &[Counter], names: &[&str], name: &str) {
    let at = names.iter().position(|known| *known == name);
    if let Some(counter) = at.and_then(|at| counters.get(at)) {
        counter.increment(1);
    }
}

/// The owner's gauges.
pub(crate) struct LineMetrics {
    sale: String,
    pub(crate) passes: Counter,
    pub(crate) returns: Counter,
    pub(crate) entries: Counter,
    pub(crate) faults: Counter,
    pub(crate) fault_seconds: Counter,
    pub(crate) damaged: Counter,
    pub(crate) step: Histogram,
    pub(crate) append: Histogram,
    waiting: Gauge,
    lobby: Gauge,
    frontier: Gauge,
    active: Gauge,
    unclaimed: Gauge,
    stay: Gauge,
    show: Gauge,
    owned: Gauge,
    states: [Gauge; STATES.len()],
    clock_behind: Gauge,
    binding: [Gauge; BINDINGS.len()],
    terms: [Gauge; TERMS.len()],
}

impl LineMetrics {
    pub(crate) fn new(sale: &SaleId) -> Self {
        let name = sale.to_string();
        let sale = || sale.to_string();
        let gauge = |metric: &Metric| metrics::gauge!(metric.name, "sale" => sale());
        let term = |metric: &Metric, name: &'static str| metrics::gauge!(metric.name, "sale" => sale(), "term" => name);
        let state = |name: &'static str| metrics::gauge!(LINE_STATE.name, "sale" => sale(), "state" => name);
        Self {
            sale: name,
            passes: metrics::counter!(LINE_PASSES.name, "sale" => sale()),
            returns: metrics::counter!(LINE_RETURNS.name, "sale" => sale()),
            entries: metrics::counter!(LINE_ENTRIES.name, "sale" => sale()),
            faults: metrics::counter!(LINE_FAULTS.name, "sale" => sale()),
            fault_seconds: metrics::counter!(LINE_FAULT_SECONDS.name, "sale" => sale()),
            damaged: metrics::counter!(LINE_DAMAGED.name, "sale" => sale()),
            step: metrics::histogram!(LINE_STEP.name, "sale" => sale()),
            append: metrics::histogram!(LINE_APPEND.name, "sale" => sale()),
            waiting: gauge(&LINE_WAITING),
            lobby: gauge(&LINE_LOBBY),
            frontier: gauge(&LINE_FRONTIER),
            active: gauge(&LINE_ACTIVE),
            unclaimed: gauge(&LINE_UNCLAIMED),
            stay: gauge(&LINE_STAY),
            show: gauge(&LINE_SHOW),
            owned: gauge(&LINE_OWNED),
            states: std::array::from_fn(|n| state(STATES.get(n).copied().unwrap_or_default())),
            clock_behind: gauge(&LINE_CLOCK_BEHIND),
            binding: Binding::ALL.map(|binding| term(&LINE_BINDING, binding.as_str())),
            terms: std::array::from_fn(|n| term(&LINE_TERM, TERMS.get(n).copied().unwrap_or_default())),
        }
    }

    pub(crate) fn status(&self, status: &LineStatus, waiting: u64, behind_ms: u64) {
        self.owned.set(if status.owned { 1.0 } else { 0.0 });
        let now = match (status.stopped, status.owned) {
            (true, _) => "stopped",
            (false, true) => "serving",
            (false, false) => "waiting",
        };
        for (gauge, state) in self.states.iter().zip(STATES) {
            gauge.set(if *state == now { 1.0 } else { 0.0 });
        }
        self.waiting.set(real(waiting));
        self.lobby.set(real(status.lobby));
        self.frontier.set(real(status.frontier));
        self.active.set(real(status.active));
        self.unclaimed.set(real(status.unclaimed));
        self.clock_behind.set(real(behind_ms) / 1_000.0);
        for (gauge, binding) in self.binding.iter().zip(Binding::ALL) {
            gauge.set(if status.owned && binding == status.binding { 1.0 } else { 0.0 });
        }
    }

    /// What admission reckons with: milliseconds from pass to end, and how many of 1,000 people called come.
    pub(crate) fn habits(&self, stay_ms: u64, show_permille: u64) {
        self.stay.set(real(stay_ms) / 1_000.0);
        self.show.set(real(show_permille) / 1_000.0);
    }

    /// What an entry did to a class.
    pub(crate) fn class_called(&self, class: &str, called: u64, bypasses: u64) {
        let count =
            |name: &'static str| metrics::counter!(name, "sale" => self.sale.clone(), "class" => class.to_owned());
        count(LINE_CLASS_CALLS.name).increment(called);
        count(LINE_BYPASSES.name).increment(bypasses);
    }

    /// How many of a class wait.
    pub(crate) fn class_waiting(&self, class: &str, waiting: u64) {
        let (sale, class) = (self.sale.clone(), class.to_owned());
        metrics::gauge!(LINE_CLASS_WAITING.name, "sale" => sale, "class" => class).set(real(waiting));
    }

    pub(crate) fn terms(&self, terms: &Terms) {
        for (gauge, value) in
            self.terms.iter().zip([terms.pace, terms.flow, terms.cap, terms.health, terms.stock, terms.line])
        {
            gauge.set(real(value));
        }
    }
}

/// As a gauge shows it: exact up to 2^53.
#[allow(clippy::cast_precision_loss, reason = "a gauge is a double")]
const fn real(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests;
