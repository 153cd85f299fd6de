//! What is counted and timed, per thread, added up at the end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::answer::{PROBLEMS, Problem};
use crate::http::Lost;
use crate::limits::MAX_TOLD;

/// What is timed: the calls of the contract, and two spans of several calls.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Kind {
    /// `POST /v1/visitors`
    Visitor,
    /// `GET /v1/sales/{sale}/challenge`, where the sale asks for a proof of work.
    Challenge,
    /// `POST /v1/sales/{sale}/tickets`
    Ticket,
    /// `GET /v1/sales/{sale}/line`
    Line,
    /// `GET /v1/sales/{sale}/ticket`
    Place,
    /// `POST /v1/sales/{sale}/passes`
    Pass,
    /// `DELETE /v1/sales/{sale}/pass`
    Leave,
    /// `POST /v1/sales/{sale}/holds`
    Hold,
    /// `DELETE /v1/holds/{hold_id}`
    Release,
    /// `POST /v1/holds/{hold_id}/confirm`, until it is decided.
    Confirm,
    /// `GET /v1/bookings`
    Bookings,
    /// From joining the line to the pass.
    Wait,
    /// From the intended start of a journey to its booking.
    Whole,
}

impl Kind {
    pub(crate) const ALL: [Self; 13] = [
        Self::Visitor,
        Self::Challenge,
        Self::Ticket,
        Self::Line,
        Self::Place,
        Self::Pass,
        Self::Leave,
        Self::Hold,
        Self::Release,
        Self::Confirm,
        Self::Bookings,
        Self::Wait,
        Self::Whole,
    ];

    /// The name in the report.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Visitor => "visitor",
            Self::Challenge => "challenge",
            Self::Ticket => "ticket",
            Self::Line => "line",
            Self::Place => "place",
            Self::Pass => "pass",
            Self::Leave => "leave",
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Confirm => "confirm",
            Self::Bookings => "bookings",
            Self::Wait => "wait",
            Self::Whole => "whole",
        }
    }
}

/// Durations in microseconds, three digits exact, up to an hour.
#[derive(Clone)]
pub(crate) struct Timing(Option<Histogram<u64>>);

/// Milliseconds.
#[derive(Clone, Copy, PartialEq, Debug, Default, serde::Serialize)]
pub(crate) struct Percentiles {
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

const LONGEST_US: u64 = 3_600_000_000;

impl Timing {
    pub(crate) fn new() -> Self {
        // Fails only for bounds that make no sense; these are constant and tested.
        Self(Histogram::new_with_bounds(1, LONGEST_US, 3).ok())
    }

    pub(crate) fn record(&mut self, span: Duration) {
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(u64::try_from(span.as_micros()).unwrap_or(LONGEST_US).clamp(1, LONGEST_US));
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        if let (Some(histogram), Some(other)) = (&mut self.0, &other.0) {
            // Both have the same bounds, so it fits.
            let _ = histogram.add(other);
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, Histogram::len)
    }

    pub(crate) fn percentiles(&self) -> Percentiles {
        let Some(histogram) = &self.0 else { return Percentiles::default() };
        #[allow(clippy::cast_precision_loss, reason = "an hour of microseconds is exact")]
        let ms = |us: u64| us as f64 / 1e3;
        let at = |quantile| ms(histogram.value_at_quantile(quantile).min(histogram.max()));
        Percentiles { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: ms(histogram.max()) }
    }
}

/// What became of the calls of one kind.
#[derive(Clone)]
pub(crate) struct Tally {
    /// From the intended start to the answer asked for.
    pub(crate) accepted: Timing,
    /// From the intended start to a refusal.
    pub(crate) refused: Timing,
    /// Answers by problem, in the order of [`PROBLEMS`]; a call that was put off and sent again is counted each time.
    pub(crate) problems: [u64; PROBLEMS.len()],
    /// Answers 202: not decided yet.
    pub(crate) pending: u64,
    /// Requests whose answer was lost, each time.
    pub(crate) lost: u64,
    /// Answers that the contract does not have.
    pub(crate) strange: u64,
    /// Calls given up without an outcome.
    pub(crate) unknown: u64,
}

impl Tally {
    fn new() -> Self {
        let (accepted, refused) = (Timing::new(), Timing::new());
        Self { accepted, refused, problems: [0; PROBLEMS.len()], pending: 0, lost: 0, strange: 0, unknown: 0 }
    }

    fn add(&mut self, other: &Self) {
        self.accepted.add(&other.accepted);
        self.refused.add(&other.refused);
        for (sum, more) in self.problems.iter_mut().zip(other.problems) {
            *sum += more;
        }
        self.pending += other.pending;
        self.lost += other.lost;
        self.strange += other.strange;
        self.unknown += other.unknown;
    }

    /// Whether anything of this kind happened.
    pub(crate) fn is_empty(&self) -> bool {
        let others = self.pending + self.lost + self.strange + self.unknown + self.problems.iter().sum::<u64>();
        self.accepted.count() + self.refused.count() + others == 0
    }
}

/// The span that is measured. Calls count when they were *meant* to start inside, however late they end: leaving out slow
/// ones at the end would make the server look better than it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) from: Instant,
    pub(crate) to: Instant,
}

impl Window {
    fn holds(&self, at: Instant) -> bool {
        self.from <= at && at < self.to
    }
}

/// Everything one thread counted.
#[derive(Clone)]
pub(crate) struct Stats {
    pub(crate) window: Window,
    tallies: Vec<Tally>,
    /// Bookings whose 201 came inside the window.
    pub(crate) booked: u64,
    /// Answers that came inside the window.
    pub(crate) answers: u64,
    /// Journeys that were begun inside the window, and those cut off by the end of the run.
    pub(crate) begun: u64,
    /// See [`Stats::begun`].
    pub(crate) cut_off: u64,
    /// Visitors who stopped travelling because the sale is over: closed, or nothing is left that could come back.
    pub(crate) turned_away: u64,
    /// Journeys that came to what they were made for, inside the window or not.
    pub(crate) arrived: u64,
    /// How much later than intended journeys began.
    pub(crate) late: Timing,
    /// Lost answers by reason.
    pub(crate) lost: BTreeMap<&'static str, u64>,
    /// The first strange answers, in words.
    pub(crate) told: Vec<String>,
}

impl Stats {
    pub(crate) fn new(window: Window) -> Self {
        Self {
            window,
            tallies: Kind::ALL.iter().map(|_| Tally::new()).collect(),
            booked: 0,
            answers: 0,
            begun: 0,
            cut_off: 0,
            turned_away: 0,
            arrived: 0,
            late: Timing::new(),
            lost: BTreeMap::new(),
            told: Vec::new(),
        }
    }

    pub(crate) fn tally(&self, kind: Kind) -> Option<&Tally> {
        self.tallies.get(kind as usize)
    }

    /// Changes the tally of a kind, when `from` lies in the window.
    fn count(&mut self, kind: Kind, from: Instant, change: impl FnOnce(&mut Tally)) {
        if self.window.holds(from)
            && let Some(tally) = self.tallies.get_mut(kind as usize)
        {
            change(tally);
        }
    }

    pub(crate) fn begin(&mut self, intended: Instant, now: Instant) {
        if self.window.holds(intended) {
            self.begun += 1;
            self.late.record(now.saturating_duration_since(intended));
        }
    }

    pub(crate) fn answered(&mut self, now: Instant) {
        self.answers += u64::from(self.window.holds(now));
    }

    pub(crate) fn accepted(&mut self, kind: Kind, from: Instant, now: Instant) {
        self.count(kind, from, |tally| tally.accepted.record(now.saturating_duration_since(from)));
    }

    pub(crate) fn refused(&mut self, kind: Kind, from: Instant, now: Instant) {
        self.count(kind, from, |tally| tally.refused.record(now.saturating_duration_since(from)));
    }

    pub(crate) fn problem(&mut self, kind: Kind, from: Instant, problem: Problem) {
        self.count(kind, from, |tally| tally.problems.iter_mut().skip(problem.0).take(1).for_each(|count| *count += 1));
    }

    pub(crate) fn pending(&mut self, kind: Kind, from: Instant) {
        self.count(kind, from, |tally| tally.pending += 1);
    }

    pub(crate) fn lost(&mut self, kind: Kind, from: Instant, why: &Lost) {
        self.count(kind, from, |tally| tally.lost += 1);
        let why = match why {
            Lost::Refused(_) => "no connection",
            Lost::Closed => "closed",
            Lost::Broken(_) => "broken",
            Lost::TimedOut => "timed out",
            Lost::Bad(_) => "not HTTP",
        };
        *self.lost.entry(why).or_default() += 1;
    }

    pub(crate) fn unknown(&mut self, kind: Kind, from: Instant) {
        self.count(kind, from, |tally| tally.unknown += 1);
    }

    /// Notes an answer that the contract does not have; always counted, window or not.
    pub(crate) fn strange(&mut self, kind: Kind, status: u16, body: &[u8]) {
        if let Some(tally) = self.tallies.get_mut(kind as usize) {
            tally.strange += 1;
        }
        if self.told.len() < MAX_TOLD {
            let start = String::from_utf8_lossy(body.get(..body.len().min(300)).unwrap_or_default()).into_owned();
            self.told.push(format!("{} was answered {status} {start}", kind.as_str()));
        }
    }

    pub(crate) fn booking(&mut self, now: Instant) {
        self.booked += u64::from(self.window.holds(now));
    }

    /// Adds what another thread counted in the same window.
    pub(crate) fn add(&mut self, other: Self) {
        for (sum, more) in self.tallies.iter_mut().zip(&other.tallies) {
            sum.add(more);
        }
        self.booked += other.booked;
        self.answers += other.answers;
        self.begun += other.begun;
        self.cut_off += other.cut_off;
        self.turned_away += other.turned_away;
        self.arrived += other.arrived;
        self.late.add(&other.late);
        for (why, count) in other.lost {
            *self.lost.entry(why).or_default() += count;
        }
        let room = MAX_TOLD.saturating_sub(self.told.len());
        self.told.extend(other.told.into_iter().take(room));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn percentiles_are_within_a_thousandth_of_the_true_ones() {
        let mut timing = Timing::new();
        for n in 1..=1000 {
            timing.record(ms(n));
        }
        let found = timing.percentiles();
        for (found, exact) in [(found.p50, 500.0), (found.p90, 900.0), (found.p99, 990.0), (found.max, 1000.0)] {
            assert!((found / exact - 1.0).abs() < 0.002, "{found} {exact}");
        }
    }

    #[test]
    fn percentiles_of_threads_add_up_to_those_of_all() {
        let (mut all, mut odd, mut even) = (Timing::new(), Timing::new(), Timing::new());
        for n in 1..=999_u64 {
            all.record(ms(n * n));
            if n % 2 == 0 {
                even.record(ms(n * n))
            } else {
                odd.record(ms(n * n))
            };
        }
        odd.add(&even);
        assert_eq!((odd.percentiles(), odd.count()), (all.percentiles(), 999));
    }

    #[test]
    fn nothing_measured_is_zero_and_too_long_is_the_longest() {
        let mut timing = Timing::new();
        assert_eq!(timing.percentiles(), Percentiles::default());
        timing.record(Duration::from_secs(100_000));
        timing.record(Duration::ZERO);
        assert_eq!(timing.count(), 2);
        assert!((timing.percentiles().max / 3_600_000.0 - 1.0).abs() < 0.002);
    }

    #[test]
    fn a_call_counts_when_it_was_meant_to_start_in_the_window_however_late_it_ends() {
        let from = Instant::now();
        let window = Window { from, to: from + ms(100) };
        let mut stats = Stats::new(window);
        stats.accepted(Kind::Hold, from + ms(99), from + ms(500));
        stats.accepted(Kind::Hold, from + ms(100), from + ms(101));
        stats.booking(from + ms(99));
        stats.booking(from + ms(100));
        let hold = stats.tally(Kind::Hold).unwrap();
        assert_eq!((hold.accepted.count(), hold.accepted.percentiles().max.round(), stats.booked), (1, 401.0, 1));
    }

    #[test]
    fn problems_are_counted_by_name() {
        let from = Instant::now();
        let mut stats = Stats::new(Window { from, to: from + ms(100) });
        let sold_out = Problem::named("sold-out");
        stats.problem(Kind::Hold, from, sold_out);
        let mut sum = stats.clone();
        sum.add(stats);
        assert_eq!(sum.tally(Kind::Hold).unwrap().problems[sold_out.0], 2);
        assert!(sum.tally(Kind::Confirm).unwrap().is_empty());
    }
}
