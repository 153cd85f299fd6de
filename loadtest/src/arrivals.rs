//! When journeys start.

mod shape;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use self::shape::Due;
use crate::limits::{MAX_WAITING_ARRIVALS, SHORTEST_NAP, START_LATE};

pub use self::shape::{Point, Shape};

/// How many journeys may still start, shared by all threads.
#[derive(Clone)]
pub(crate) struct Budget(Arc<AtomicU64>);

impl Budget {
    pub(crate) fn new(count: Option<u64>) -> Self {
        Self(Arc::new(AtomicU64::new(count.unwrap_or(u64::MAX))))
    }

    fn take(&self) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }
}

/// Where the visitors of one thread get their starts from.
pub(crate) enum Arrivals {
    /// At once, while the run lasts.
    Closed { budget: Budget, end: Instant },
    /// When the pacer says; a visitor that is free takes the next.
    Open { starts: Mutex<Receiver<Instant>>, end: Instant },
}

impl Arrivals {
    /// The intended start of the next journey, not before it has come; `None` when the run is over.
    pub(crate) async fn next(&self) -> Option<Instant> {
        match self {
            Self::Closed { budget, end } => {
                let now = Instant::now();
                (now < *end && budget.take()).then_some(now)
            }
            Self::Open { starts, end } => {
                let start = starts.lock().await.recv().await?;
                // Late arrivals still start, or the slowest ones would be missing; but not for ever.
                (Instant::now() < *end + START_LATE).then_some(start)
            }
        }
    }

    /// Starts that came but found no visitor until the run was over.
    pub(crate) async fn never_started(&self) -> u64 {
        let Self::Open { starts, .. } = self else { return 0 };
        let mut starts = starts.lock().await;
        let mut left = 0;
        while starts.try_recv().is_ok() {
            left += 1;
        }
        left
    }
}

/// The channels of a pacer: it fills them in turn.
pub(crate) fn open(threads: usize, end: Instant) -> (Vec<Sender<Instant>>, Vec<Arrivals>) {
    let channels = (0..threads).map(|_| channel(MAX_WAITING_ARRIVALS));
    channels.map(|(to, from)| (to, Arrivals::Open { starts: Mutex::new(from), end })).unzip()
}

/// Hands out starts until `end`, from a thread of its own: a runtime's timer ticks in milliseconds and comes late when
/// the runtime is busy. Returns how many found a full channel.
pub(crate) fn pace(
    to: &[Sender<Instant>],
    shape: &Shape,
    seed: u64,
    start: Instant,
    end: Instant,
    budget: &Budget,
) -> u64 {
    let (mut dropped, mut channels) = (0, to.iter().cycle());
    for after in Due::new(shape, SmallRng::seed_from_u64(seed)) {
        let due = start + after;
        let Some(channel) = channels.next() else { break };
        if due >= end || !budget.take() {
            break;
        }
        let ahead = due.saturating_duration_since(Instant::now());
        if !ahead.is_zero() {
            std::thread::sleep(ahead.max(SHORTEST_NAP));
        }
        dropped += u64::from(channel.try_send(due).is_err());
    }
    dropped
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_pacer_keeps_its_budget_and_times_even_when_nobody_takes_them() {
        let start = Instant::now();
        let (to, _from) = open(2, start + Duration::from_secs(60));
        let dropped =
            pace(&to, &Shape::steady(1e6), 1, start, start + Duration::from_secs(60), &Budget::new(Some(1000)));
        assert_eq!(dropped, 0);
        assert_eq!(MAX_WAITING_ARRIVALS - to[0].capacity() + MAX_WAITING_ARRIVALS - to[1].capacity(), 1000);
    }

    #[tokio::test]
    async fn a_closed_run_ends_with_its_budget_or_its_time() {
        let later = Instant::now() + Duration::from_secs(60);
        let closed = Arrivals::Closed { budget: Budget::new(Some(2)), end: later };
        assert!(closed.next().await.is_some() && closed.next().await.is_some() && closed.next().await.is_none());
        let over = Arrivals::Closed { budget: Budget::new(None), end: Instant::now() };
        assert!(over.next().await.is_none());
    }

    #[tokio::test]
    async fn an_open_run_ends_when_its_starts_are_used_up() {
        let end = Instant::now() + Duration::from_secs(60);
        let (to, mut from) = open(1, end);
        let arrivals = from.pop().unwrap();
        let due = Instant::now();
        to[0].try_send(due).unwrap();
        drop(to);
        assert_eq!((arrivals.next().await, arrivals.next().await), (Some(due), None));
        assert_eq!(arrivals.never_started().await, 0);
    }
}
