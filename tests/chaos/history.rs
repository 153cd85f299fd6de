//! What visitors were told: everything is judged by it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What one confirm came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Told {
    Booked { log: String, seq: u64 },
    Gone,
}

/// A confirm with its final answer.
#[derive(Clone, Debug)]
pub(crate) struct Purchase {
    pub(crate) sale: &'static str,
    pub(crate) hold: String,
    pub(crate) visitor: String,
    pub(crate) told: Told,
    /// A cancel was acknowledged.
    pub(crate) cancelled: bool,
}

/// What Redis showed of a lane at one moment.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Glance {
    pub(crate) sale: &'static str,
    pub(crate) lane: u16,
    pub(crate) settled: u64,
    pub(crate) free: i64,
    pub(crate) live: i64,
}

/// Who wrote a lane at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Tenure {
    pub(crate) fence: u64,
    /// The fence of whoever loaded Redis.
    pub(crate) epoch: u64,
}

/// What visitors saw of a fault, and who wrote the first lane before and after it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) answers: BTreeMap<(&'static str, u16), u64>,
    pub(crate) longest_without: Duration,
    pub(crate) before: Tenure,
    pub(crate) after: Tenure,
}

/// Shared by all visitors of one run.
pub(crate) struct History {
    pub(crate) stop: AtomicBool,
    keys: AtomicU64,
    /// When each booking was acknowledged.
    booked: Mutex<Vec<Instant>>,
    /// Every answer: call, status (0: it was lost), when.
    answers: Mutex<Vec<(&'static str, u16, Instant)>>,
    /// Faults that may have taken holds from Redis, counted at their beginning and at their end.
    pub(crate) losses: AtomicU64,
    pub(crate) purchases: Mutex<Vec<Purchase>>,
    pub(crate) released: Mutex<Vec<(&'static str, String)>>,
    /// Numbers of tickets and whose they are.
    pub(crate) numbers: Mutex<HashMap<u64, String>>,
    pub(crate) glances: Mutex<Vec<(Instant, Glance)>>,
    /// Stock was edited by hand.
    pub(crate) edits: Mutex<Vec<Instant>>,
    lies: Mutex<Vec<String>>,
}

impl History {
    pub(crate) fn new() -> Self {
        Self {
            stop: AtomicBool::new(false),
            keys: AtomicU64::new(1),
            booked: Mutex::default(),
            answers: Mutex::default(),
            losses: AtomicU64::new(0),
            purchases: Mutex::default(),
            released: Mutex::default(),
            numbers: Mutex::default(),
            glances: Mutex::default(),
            edits: Mutex::default(),
            lies: Mutex::default(),
        }
    }

    pub(crate) fn key(&self) -> String {
        format!("key-{}", self.keys.fetch_add(1, Ordering::Relaxed))
    }

    /// Something that must not be.
    pub(crate) fn lie(&self, what: String) {
        let mut lies = self.lies.lock().unwrap();
        if lies.len() < 100 {
            eprintln!("VIOLATION: {what}");
            lies.push(what);
        }
    }

    pub(crate) fn lies(&self) -> Vec<String> {
        self.lies.lock().unwrap().clone()
    }

    pub(crate) fn bought(&self, purchase: Purchase) {
        if matches!(purchase.told, Told::Booked { .. }) {
            self.booked.lock().unwrap().push(Instant::now());
        }
        self.purchases.lock().unwrap().push(purchase);
    }

    /// Bookings acknowledged so far.
    pub(crate) fn booked(&self) -> u64 {
        self.booked.lock().unwrap().len() as u64
    }

    pub(crate) fn answered(&self, call: &'static str, status: u16) {
        self.answers.lock().unwrap().push((call, status, Instant::now()));
    }

    /// What visitors saw since then: answers by call and status, and the longest time in which nobody was told of a booking.
    pub(crate) fn since(&self, begun: Instant, before: Tenure, after: Tenure) -> Seen {
        let mut answers: BTreeMap<_, u64> = BTreeMap::new();
        for (call, status, _) in self.answers.lock().unwrap().iter().rev().take_while(|(_, _, at)| *at >= begun) {
            *answers.entry((*call, *status)).or_default() += 1;
        }
        let (mut last, mut longest_without) = (begun, Duration::ZERO);
        for at in self.booked.lock().unwrap().iter().filter(|at| **at >= begun) {
            longest_without = longest_without.max(at.duration_since(last));
            last = *at;
        }
        longest_without = longest_without.max(last.elapsed());
        Seen { answers, longest_without, before, after }
    }

    /// Whether another visitor is to come, after a pause.
    pub(crate) fn next_visitor(&self, after: Duration) -> bool {
        std::thread::park_timeout(after);
        !self.stopped()
    }

    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
