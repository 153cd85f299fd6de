#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use domain::LogId;
use domain::metric::Kind;
use metrics::{Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, SharedString, Unit};

use super::ALL;
use crate::append::Tried;
use crate::faulty::{Call, Fault, Faulty};
use crate::{Error, Head, Ledger};

/// What was written, as `name{label="value"}`.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<BTreeSet<String>>>);

struct Touch(String, Recorder);

impl Touch {
    fn touch(&self) {
        self.1.0.lock().unwrap().insert(self.0.clone());
    }
}

impl CounterFn for Touch {
    fn increment(&self, _: u64) {
        self.touch();
    }
    fn absolute(&self, _: u64) {
        self.touch();
    }
}

impl GaugeFn for Touch {
    fn increment(&self, _: f64) {
        self.touch();
    }
    fn decrement(&self, _: f64) {
        self.touch();
    }
    fn set(&self, _: f64) {
        self.touch();
    }
}

impl HistogramFn for Touch {
    fn record(&self, _: f64) {
        self.touch();
    }
}

impl Recorder {
    /// Checks that the metric is one of ours with all of its labels, each with a value that is listed.
    fn touch(&self, key: &Key, kind: Kind) -> Arc<Touch> {
        let metric = ALL.iter().find(|metric| metric.name == key.name()).expect("a described metric");
        assert_eq!(metric.kind, kind, "{key}");
        let labels: Vec<_> = key.labels().map(|label| (label.key(), label.value())).collect();
        assert_eq!(labels.len(), metric.labels.len(), "{key}");
        for ((name, value), (expected, values)) in labels.iter().zip(metric.labels) {
            assert!(name == expected && values.contains(value), "{key}");
        }
        let values: Vec<_> = labels.iter().map(|(_, value)| *value).collect();
        Arc::new(Touch(format!("{} {}", key.name(), values.join(" ")), self.clone()))
    }
}

impl metrics::Recorder for Recorder {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.touch(key, Kind::Counter))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.touch(key, Kind::Gauge))
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.touch(key, Kind::Histogram))
    }
}

/// A claim, appends of every outcome, reads and failures.
async fn exercise(ledger: &Ledger) {
    let faulty = Faulty::new(ledger);
    let (ledger, log) = (faulty.ledger(), LogId::lane(&"test".parse().unwrap(), 0));
    let writer = ledger.claim(&log, "me").await.unwrap();
    let event = ["1".to_owned()];
    let _ = ledger.append(&writer, &event).await.unwrap();
    let _ = ledger.append(&writer, &event).await.unwrap();
    ledger.append(&writer, &[]).await.unwrap_err();
    for call in [Call::Claim, Call::Append, Call::Read, Call::Head, Call::List] {
        faulty.next(call, Fault::Refuse);
        faulty.next(call, Fault::LoseAnswer);
    }
    for _ in 0..3 {
        let _ = ledger.claim(&log, "me").await;
        let _ = ledger.append(&writer, &event).await;
        let _ = ledger.read(&log, 0, 10).await;
        let _ = ledger.head(&log).await;
        let _ = ledger.list("").await;
    }
}

#[test]
fn every_metric_is_described_and_every_outcome_counted() {
    let folder = tempfile::tempdir().unwrap();
    let recorder = Recorder::default();
    metrics::with_local_recorder(&recorder, || {
        let ledger = Ledger::sqlite(&folder.path().join("ledger.db")).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(exercise(&ledger));
        let cql = super::CqlMeters::new();
        for tried in [Ok(Tried::Applied), Ok(Tried::Refused(Head::default())), Err(Error::unknown("no answer"))] {
            cql.tried(&tried);
        }
    });
    let seen = recorder.0.lock().unwrap();
    for outcome in ["appended", "fenced", "failed"] {
        assert!(seen.contains(&format!("{} {outcome}", super::APPEND_SECONDS)), "{seen:?}");
    }
    for outcome in super::TRIED {
        assert!(seen.contains(&format!("{} {outcome}", super::TRIES_TOTAL)), "{seen:?}");
    }
    for call in super::CALLS {
        for kind in ["unavailable", "unknown"] {
            assert!(seen.contains(&format!("{} {call} {kind}", super::ERRORS_TOTAL)), "{call} {kind}: {seen:?}");
        }
    }
    assert!(seen.contains(&format!("{} append bad_append", super::ERRORS_TOTAL)));
    for metric in ALL.iter().filter(|metric| metric.name != super::SIZE_BYTES) {
        assert!(seen.iter().any(|seen| seen.starts_with(metric.name)), "{} is never written", metric.name);
    }
}

#[test]
fn names_follow_the_house() {
    let names: BTreeSet<_> = ALL.iter().map(|metric| metric.name).collect();
    assert_eq!(names.len(), ALL.len());
    for metric in ALL {
        let unit = if metric.kind == Kind::Counter { "total" } else { metric.unit };
        assert!(metric.name.starts_with("holdfast_ledger_") && metric.name.ends_with(unit), "{}", metric.name);
        assert!(metric.help.ends_with('.'), "{}", metric.name);
    }
}
