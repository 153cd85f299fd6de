//! What a run has come to so far, for whoever waits for it.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crate::limits::PROGRESS_EVERY;

/// Counts of one thread. It alone writes them.
#[derive(Default, Debug)]
pub(crate) struct Progress {
    began: AtomicU64,
    ended: AtomicU64,
    answers: AtomicU64,
    refused: AtomicU64,
    lost: AtomicU64,
    booked: AtomicU64,
}

/// One writer: a load and a store cost less than an addition that others might disturb.
fn more(count: &AtomicU64) {
    count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

impl Progress {
    pub(crate) fn began(&self) {
        more(&self.began);
    }
    pub(crate) fn ended(&self) {
        more(&self.ended);
    }
    pub(crate) fn answered(&self) {
        more(&self.answers);
    }
    pub(crate) fn refused(&self) {
        more(&self.refused);
    }
    pub(crate) fn lost(&self) {
        more(&self.lost);
    }
    pub(crate) fn booked(&self) {
        more(&self.booked);
    }
}

/// The counts of all threads at one moment.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Sums {
    began: u64,
    ended: u64,
    answers: u64,
    refused: u64,
    lost: u64,
    booked: u64,
}

impl Sums {
    fn of(all: &[Arc<Progress>]) -> Self {
        let sum = |of: fn(&Progress) -> &AtomicU64| all.iter().map(|one| of(one).load(Ordering::Relaxed)).sum();
        Self {
            began: sum(|p| &p.began),
            ended: sum(|p| &p.ended),
            answers: sum(|p| &p.answers),
            refused: sum(|p| &p.refused),
            lost: sum(|p| &p.lost),
            booked: sum(|p| &p.booked),
        }
    }

    fn line(self, before: Self, seconds: f64, elapsed: u64) -> String {
        #[allow(clippy::cast_precision_loss, reason = "counts of a run are far below 2^53")]
        let per_s = |now: u64, before: u64| (now.saturating_sub(before)) as f64 / seconds.max(1e-3);
        format!(
            "{elapsed:>5} s  {:>7} visitors on their way, {:>8.0} come/s, {:>8.0} answers/s, {:>8.0} bookings/s ({} in all), {:>7.0} refusals/s, {} lost",
            self.began.saturating_sub(self.ended),
            per_s(self.began, before.began),
            per_s(self.answers, before.answers),
            per_s(self.booked, before.booked),
            self.booked,
            per_s(self.refused, before.refused),
            self.lost
        )
    }
}

/// Tells the progress on stderr every second until it is dropped.
pub(crate) struct Teller {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Teller {
    /// Tells on a terminal, in one line that changes; elsewhere, when it is asked for, a line each.
    pub(crate) fn start(all: Vec<Arc<Progress>>, asked: bool) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let terminal = std::io::stderr().is_terminal();
        if !terminal && !asked {
            return Self { over, thread: None };
        }
        let ended = Arc::clone(&over);
        let tell = move || tell(&all, &ended, terminal);
        Self { over, thread: thread::Builder::new().name("load-progress".to_owned()).spawn(tell).ok() }
    }
}

fn tell(all: &[Arc<Progress>], over: &AtomicBool, terminal: bool) {
    let (start, mut before, mut last) = (Instant::now(), Sums::default(), Instant::now());
    while !over.load(Ordering::Relaxed) {
        thread::park_timeout(PROGRESS_EVERY);
        let (now, sums) = (Instant::now(), Sums::of(all));
        let line = sums.line(before, (now - last).as_secs_f64(), (now - start).as_secs());
        // Progress that cannot be told is no reason to stop.
        let mut err = std::io::stderr().lock();
        let _ = if terminal { write!(err, "\r\x1b[K{line}") } else { writeln!(err, "{line}") };
        let _ = err.flush();
        (before, last) = (sums, now);
    }
    if terminal {
        let _ = writeln!(std::io::stderr().lock());
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_line_tells_all_threads_together_and_rates_since_the_last_one() {
        let all = [Arc::new(Progress::default()), Arc::new(Progress::default())];
        for one in &all {
            (0..30).for_each(|_| one.began());
            (0..10).for_each(|_| one.ended());
            (0..5).for_each(|_| one.booked());
        }
        let before = Sums::of(&all);
        (0..20).for_each(|_| all[0].booked());
        let line = Sums::of(&all).line(before, 2.0, 7);
        assert!(line.contains("    7 s       40 visitors on their way"), "{line}");
        assert!(line.contains("10 bookings/s (30 in all)"), "{line}");
    }
}
