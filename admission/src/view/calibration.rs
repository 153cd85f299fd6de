//! How honest the wait is: what was told for places all over the line is compared with what really happened.

use std::collections::VecDeque;

use domain::Millis;
use domain::limits::MAX_WAIT_PROBES;

use super::place::{Wait, place};
use super::snapshot::Snapshot;

/// A place is noted this often, milliseconds.
const EVERY_MS: u64 = 1_000;
/// Places are noted at so many distances, in turn.
const DISTANCES: u64 = 8;

/// What became of a wait that was told.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Told {
    /// It ended before the shorter figure; half of all should.
    BeforeP50,
    /// It ended between both; four of ten should.
    BeforeP90,
    /// It took longer; one of ten should.
    Late,
}

impl Told {
    /// Every value, for the counters.
    pub const ALL: [Self; 3] = [Self::BeforeP50, Self::BeforeP90, Self::Late];

    /// The name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BeforeP50 => "before_p50",
            Self::BeforeP90 => "before_p90",
            Self::Late => "late",
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Probe {
    number: u64,
    distance: u64,
    at: Millis,
    wait: Wait,
}

/// Places that were noted and are not decided yet, [`MAX_WAIT_PROBES`] at most, as many at each distance. Where they are full
/// no new one is noted: to drop old ones would leave out the long waits.
#[derive(Clone, Debug, Default)]
pub struct Calibration {
    probes: VecDeque<Probe>,
    noted: u64,
    last: Option<Millis>,
}

impl Calibration {
    /// Looks at the picture of `now`; gives what became of waits that are decided with it. Each is decided once.
    pub fn look(&mut self, shot: &Snapshot, now: Millis) -> Vec<Told> {
        let mut decided = Vec::new();
        self.probes.retain(|probe| {
            let told = probe.decided(shot.frontier, now);
            decided.extend(told);
            told.is_none()
        });
        if self.last.is_none_or(|last| now.since(last) >= EVERY_MS) {
            self.last = Some(now);
            self.note(shot, now);
        }
        decided
    }

    /// Notes what a place at the next distance is told.
    fn note(&mut self, shot: &Snapshot, now: Millis) {
        let waiting = shot.issued.saturating_sub(shot.frontier);
        self.noted += 1;
        let distance = self.noted % DISTANCES;
        let noted = self.probes.iter().filter(|probe| probe.distance == distance).count();
        if waiting == 0 || noted >= MAX_WAIT_PROBES / DISTANCES as usize {
            return;
        }
        let number = shot.frontier + 1 + (waiting - 1) / (DISTANCES - 1) * distance;
        if shot.gaps.contains(number) {
            return;
        }
        if let Some(wait) = place(number, shot, 0).wait {
            self.probes.push_back(Probe { number, distance, at: now, wait });
        }
    }
}

impl Probe {
    fn decided(&self, frontier: u64, now: Millis) -> Option<Told> {
        let waited = now.since(self.at);
        if waited > self.wait.p90_ms {
            Some(Told::Late)
        } else if self.number > frontier {
            None
        } else if waited <= self.wait.p50_ms {
            Some(Told::BeforeP50)
        } else {
            Some(Told::BeforeP90)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::Binding;

    fn line(frontier: u64) -> Snapshot {
        Snapshot {
            frontier,
            issued: 10_000,
            pace_per_minute: 600,
            called: 600,
            binding: Binding::Pace,
            free: 50_000,
            band: Some(crate::view::Band::Plenty),
            ..Snapshot::default()
        }
    }

    /// Plays ten minutes of a line that really moves at this pace, which says that it moves at 600.
    fn play(really: u64) -> [usize; 3] {
        let (mut calibration, mut told) = (Calibration::default(), Vec::new());
        for tick in 0..6_000 {
            told.extend(calibration.look(&line(really * tick / 600), Millis(1_000 + tick * 100)));
        }
        assert!(calibration.probes.len() <= MAX_WAIT_PROBES);
        Told::ALL.map(|one| told.iter().filter(|told| **told == one).count())
    }

    #[test]
    fn a_line_that_moves_faster_than_told_decides_early_and_a_slower_one_late() {
        let [early, between, late] = play(900);
        assert!(early > 100 && between == 0 && late == 0, "{early} {between} {late}");
        let [early, between, late] = play(500);
        assert!(early < between && late < early, "{early} {between} {late}");
        let [_, between, late] = play(200);
        assert!(late > 20 && late > between, "{between} {late}");
    }

    #[test]
    fn a_line_that_stands_still_makes_every_wait_late_and_none_twice() {
        let mut calibration = Calibration::default();
        assert!(calibration.look(&line(0), Millis(1_000)).is_empty());
        assert_eq!(calibration.probes.len(), 1);
        let late = calibration.look(&line(0), Millis(10_000_000));
        assert_eq!(late, [Told::Late]);
    }

    #[test]
    fn what_is_not_told_is_not_judged_and_memory_is_bounded() {
        let mut calibration = Calibration::default();
        let closed = Snapshot { binding: Binding::Closed, ..line(0) };
        let far = Snapshot { issued: 1 << 43, ..line(0) };
        for second in 0..10_000 {
            assert!(calibration.look(&closed, Millis(second * 1_000)).is_empty());
        }
        assert!(calibration.probes.is_empty());
        for second in 10_000..20_000 {
            calibration.look(&far, Millis(second * 1_000));
        }
        assert!((1..=MAX_WAIT_PROBES).contains(&calibration.probes.len()));
    }
}
