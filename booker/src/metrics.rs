//! What a lane's owner measures.

use domain::limits::MAX_LANE_LABELS;
use domain::metric::{Kind, Metric};
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use crate::answer::{CancelAnswer, ConfirmAnswer, GiveAnswer, HoldAnswer, LaneError};

macro_rules! metrics {
    ($($name:ident = $text:literal, $kind:ident, $unit:literal, [$(($label:literal, $values:expr)),*], $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $name: Metric = Metric {
                name: $text,
                kind: Kind::$kind,
                unit: $unit,
                labels: &[("sale", &[]), ("lane", &[]) $(, ($label, $values))*],
                help: $help,
            };
        )*
        /// Every metric of this crate.
        pub const ALL: &[Metric] = &[$($name),*];
    };
}

/// Outcomes of holds.
const HOLDS: &[&str] = &[
    "held",
    "replayed",
    "key_reused",
    "gone",
    "sold_out",
    "all_held",
    "limit",
    "too_many_holds",
    "pass_expired",
    "pass_done",
    "no_such_item",
    "busy",
    "no_owner",
    "not_loaded",
    "unknown",
    "stopped",
];
/// Outcomes of confirms and cancels that were answered while somebody waited.
const CONFIRMS: &[&str] = &[
    "booked",
    "confirming",
    "refused_gone",
    "refused_sold_out",
    "refused_limit",
    "refused_pass_used",
    "cancelled",
    "key_reused",
    "too_many",
    "foreign",
    "not_booked",
    "busy",
    "no_owner",
    "not_loaded",
    "unknown",
    "stopped",
];
/// Kinds of events.
const EVENTS: &[&str] = &["booked", "refused", "cancelled", "stock", "transfer_out", "transfer_in"];
/// Where units went.
const WAYS: &[&str] = &["in", "out"];
/// What asking another lane came to.
const ASKED: &[&str] = &["given", "nothing", "failed"];
/// What the reconciler compares.
const COMPARED: &[&str] = &["free", "live"];
/// How a count of live units ended.
const RECOUNTED: &[&str] = &["counted", "changed"];
/// Lane states.
pub(crate) const STATES: &[&str] = &["waiting", "claiming", "folding", "loading", "serving", "unloaded", "stopped"];
metrics! {
    HOLDS_TOTAL = "holdfast_booker_holds_total", Counter, "holds", [("outcome", HOLDS)], "Hold requests answered by the lane's owner.";
    CONFIRMS_TOTAL = "holdfast_booker_confirms_total", Counter, "confirms", [("outcome", CONFIRMS)], "Confirms answered by the lane's owner while somebody waited.";
    CANCELS_TOTAL = "holdfast_booker_cancels_total", Counter, "cancels", [("outcome", CONFIRMS)], "Cancels answered by the lane's owner while somebody waited.";
    EVENTS_TOTAL = "holdfast_booker_events_total", Counter, "events", [("kind", EVENTS)], "Events that the lane's owner appended to the ledger.";
    GROUP_EVENTS = "holdfast_booker_commit_group_events", Histogram, "events", [], "Events in one append: how many bookings share one durable write.";
    APPEND_SECONDS = "holdfast_booker_append_seconds", Histogram, "seconds", [], "Time from handing a group to the ledger to its answer.";
    APPEND_FAILURES = "holdfast_booker_append_failures_total", Counter, "appends", [], "Appends that the ledger did not take, or whose outcome is unknown; their intents are decided anew.";
    SETTLE_LAG = "holdfast_booker_settle_lag_events", Gauge, "events", [], "Events in the ledger that Redis has not been told of yet.";
    UNDECIDED = "holdfast_booker_undecided_intents", Gauge, "intents", [], "Confirms and cancels that wait for the ledger.";
    OLDEST_INTENT = "holdfast_booker_oldest_intent_seconds", Gauge, "seconds", [], "How long the oldest undecided confirm, cancel or transfer has been waiting here; 0 without one.";
    OVERDUE = "holdfast_booker_overdue_holds", Gauge, "holds", [], "Holds, and old records to be purged, whose time was over 5 s ago and which the ticker has not ended.";
    TAKEOVERS = "holdfast_booker_takeovers_total", Counter, "claims", [], "Claims of the lane's log by this process.";
    STEPDOWNS = "holdfast_booker_stepdowns_total", Counter, "stops", [], "Times the owner found that the log has another writer, and stopped.";
    LOADS = "holdfast_booker_loads_total", Counter, "loads", [], "Times Redis was empty and loaded from the fold.";
    DAMAGED = "holdfast_booker_damaged_total", Counter, "loads", [], "Times the lane's scripts failed again and again, because its keys in Redis were damaged, and it was loaded anew.";
    REPLAYS = "holdfast_booker_replays_total", Counter, "reads", [], "Reads of the log because Redis was behind what is kept in memory.";
    DIFFERENCE = "holdfast_booker_reconciler_difference_units", Gauge, "units", [("figure", COMPARED)], "Units by which Redis differed from the ledger at the last comparison, before it was mended.";
    MENDED = "holdfast_booker_reconciler_mended_units_total", Counter, "units", [("figure", COMPARED)], "Units put right in Redis, always towards the ledger.";
    TRANSFERRED = "holdfast_booker_transferred_units_total", Counter, "units", [("way", WAYS)], "Units that this lane got from, or gave to, other lanes of the sale.";
    ASKS = "holdfast_booker_asks_total", Counter, "asks", [("outcome", ASKED)], "Times this lane asked another one for units.";
    DRY_HOLDS = "holdfast_booker_dry_holds_total", Counter, "holds", [], "Holds that this lane had too few units for, and that waited for another lane's.";
    RECOUNTS = "holdfast_booker_recounts_total", Counter, "counts", [("result", RECOUNTED)], "Counts of the records' live units; `changed`: the lane has many, and somebody was served meanwhile.";
    STATE = "holdfast_booker_lane_state", Gauge, "lanes", [("state", STATES)], "1 for the state the lane is in, 0 for the others; `stopped` means that the ledger lost data.";
}

/// One counter per label value, so that counting looks nothing up.
pub(crate) struct Labelled(Vec<(&'static str, Counter)>);

impl Labelled {
    fn new(of: &Metric, sale: &str, lane: &str, label: &'static str, values: &[&'static str]) -> Self {
        let handle = |value: &'static str| counter!(of.name, "sale" => sale.to_owned(), "lane" => lane.to_owned(), label => value);
        Self(values.iter().map(|value| (*value, handle(value))).collect())
    }

    pub(crate) fn count(&self, value: &str) {
        if let Some((_, counter)) = self.0.iter().find(|(name, _)| *name == value) {
            counter.increment(1);
        }
    }
}

/// The label of a lane. Lanes beyond the bound are counted together.
fn label_of(lane: u16) -> String {
    if lane < MAX_LANE_LABELS { lane.to_string() } else { "more".to_owned() }
}

/// The handles of one of several lanes.
pub(crate) struct TransferMetrics {
    pub(crate) units_in: Counter,
    pub(crate) units_out: Counter,
    pub(crate) dry_holds: Counter,
    asks: Labelled,
}

impl TransferMetrics {
    pub(crate) fn new(sale: &str, lane: u16) -> Self {
        let lane = label_of(lane);
        let way = |way: &'static str| counter!(TRANSFERRED.name, "sale" => sale.to_owned(), "lane" => lane.clone(), "way" => way);
        Self {
            units_in: way("in"),
            units_out: way("out"),
            dry_holds: counter!(DRY_HOLDS.name, "sale" => sale.to_owned(), "lane" => lane.clone()),
            asks: Labelled::new(&ASKS, sale, &lane, "outcome", ASKED),
        }
    }

    pub(crate) fn asked(&self, answer: &Result<GiveAnswer, LaneError>) {
        self.asks.count(match answer {
            Ok(GiveAnswer::Given { .. }) => "given",
            Ok(GiveAnswer::Nothing) => "nothing",
            Err(_) => "failed",
        });
    }
}

/// The handles of one lane.
pub(crate) struct Metrics {
    holds: Labelled,
    confirms: Labelled,
    cancels: Labelled,
    pub(crate) events: Labelled,
    pub(crate) group_events: Histogram,
    pub(crate) append_seconds: Histogram,
    pub(crate) append_failures: Counter,
    pub(crate) settle_lag: Gauge,
    pub(crate) undecided: Gauge,
    pub(crate) oldest_intent: Gauge,
    pub(crate) overdue: Gauge,
    pub(crate) takeovers: Counter,
    pub(crate) stepdowns: Counter,
    pub(crate) loads: Counter,
    pub(crate) damaged: Counter,
    pub(crate) replays: Counter,
    pub(crate) difference_free: Gauge,
    pub(crate) difference_live: Gauge,
    pub(crate) mended_free: Counter,
    pub(crate) mended_live: Counter,
    pub(crate) recounts: Labelled,
    states: Vec<(&'static str, Gauge)>,
}

impl Metrics {
    pub(crate) fn new(sale: &str, lane: u16) -> Self {
        let (own, lane) = (lane < MAX_LANE_LABELS, label_of(lane));
        let labelled = |of: &Metric, label, values| Labelled::new(of, sale, &lane, label, values);
        let counter = |of: &Metric| counter!(of.name, "sale" => sale.to_owned(), "lane" => lane.clone());
        // A gauge of several lanes would show whichever spoke last.
        let gauge = |of: &Metric| {
            if own { gauge!(of.name, "sale" => sale.to_owned(), "lane" => lane.clone()) } else { Gauge::noop() }
        };
        let histogram = |of: &Metric| histogram!(of.name, "sale" => sale.to_owned(), "lane" => lane.clone());
        let figure =
            |name: &'static str| [("sale", sale.to_owned()), ("lane", lane.clone()), ("figure", name.to_owned())];
        let difference = |name| if own { gauge!(DIFFERENCE.name, &figure(name)) } else { Gauge::noop() };
        let of_state =
            |name: &'static str| gauge!(STATE.name, "sale" => sale.to_owned(), "lane" => lane.clone(), "state" => name);
        let state = |name: &'static str| (name, if own { of_state(name) } else { Gauge::noop() });
        Self {
            holds: labelled(&HOLDS_TOTAL, "outcome", HOLDS),
            confirms: labelled(&CONFIRMS_TOTAL, "outcome", CONFIRMS),
            cancels: labelled(&CANCELS_TOTAL, "outcome", CONFIRMS),
            events: labelled(&EVENTS_TOTAL, "kind", EVENTS),
            group_events: histogram(&GROUP_EVENTS),
            append_seconds: histogram(&APPEND_SECONDS),
            append_failures: counter(&APPEND_FAILURES),
            settle_lag: gauge(&SETTLE_LAG),
            undecided: gauge(&UNDECIDED),
            oldest_intent: gauge(&OLDEST_INTENT),
            overdue: gauge(&OVERDUE),
            takeovers: counter(&TAKEOVERS),
            stepdowns: counter(&STEPDOWNS),
            loads: counter(&LOADS),
            damaged: counter(&DAMAGED),
            replays: counter(&REPLAYS),
            difference_free: difference("free"),
            difference_live: difference("live"),
            mended_free: counter!(MENDED.name, &figure("free")),
            mended_live: counter!(MENDED.name, &figure("live")),
            recounts: labelled(&RECOUNTS, "result", RECOUNTED),
            states: STATES.iter().map(|name| state(name)).collect(),
        }
    }

    pub(crate) fn hold(&self, answer: &Result<HoldAnswer, LaneError>) {
        self.holds.count(match answer {
            Ok(HoldAnswer::Hold { replayed: false, .. }) => "held",
            Ok(HoldAnswer::Hold { replayed: true, .. }) => "replayed",
            Ok(HoldAnswer::KeyReused) => "key_reused",
            Ok(HoldAnswer::Gone(_)) => "gone",
            Ok(HoldAnswer::SoldOut) => "sold_out",
            Ok(HoldAnswer::AllHeld) => "all_held",
            Ok(HoldAnswer::Limit) => "limit",
            Ok(HoldAnswer::TooManyHolds) => "too_many_holds",
            Ok(HoldAnswer::PassExpired) => "pass_expired",
            Ok(HoldAnswer::PassDone) => "pass_done",
            Ok(HoldAnswer::NoSuchItem) => "no_such_item",
            Err(error) => error.as_str(),
        });
    }

    pub(crate) fn confirm(&self, answer: &Result<ConfirmAnswer, LaneError>) {
        use domain::RefuseReason;
        self.confirms.count(match answer {
            Ok(ConfirmAnswer::Booked { .. }) => "booked",
            Ok(ConfirmAnswer::Confirming) => "confirming",
            Ok(ConfirmAnswer::Refused(RefuseReason::Gone)) => "refused_gone",
            Ok(ConfirmAnswer::Refused(RefuseReason::SoldOut)) => "refused_sold_out",
            Ok(ConfirmAnswer::Refused(RefuseReason::Limit)) => "refused_limit",
            Ok(ConfirmAnswer::Refused(RefuseReason::PassUsed)) => "refused_pass_used",
            Ok(ConfirmAnswer::Cancelled(_)) => "cancelled",
            Ok(ConfirmAnswer::KeyReused) => "key_reused",
            Ok(ConfirmAnswer::TooMany) => "too_many",
            Ok(ConfirmAnswer::Foreign) => "foreign",
            Err(error) => error.as_str(),
        });
    }

    pub(crate) fn cancel(&self, answer: &Result<CancelAnswer, LaneError>) {
        self.cancels.count(match answer {
            Ok(CancelAnswer::Cancelled { .. }) => "cancelled",
            Ok(CancelAnswer::Cancelling) => "confirming",
            Ok(CancelAnswer::NotBooked) => "not_booked",
            Ok(CancelAnswer::Foreign) => "foreign",
            Err(error) => error.as_str(),
        });
    }

    pub(crate) fn state(&self, now: &str) {
        for (name, gauge) in &self.states {
            gauge.set(if *name == now { 1.0 } else { 0.0 });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_house_and_are_unique() {
        for (n, metric) in ALL.iter().enumerate() {
            assert!(metric.name.starts_with("holdfast_booker_"), "{}", metric.name);
            assert_eq!(metric.name.ends_with("_total"), metric.kind == Kind::Counter, "{}", metric.name);
            assert!(!ALL[..n].iter().any(|other| other.name == metric.name), "{}", metric.name);
        }
    }
}
