//! What happened when: one column per second, or longer ones in a long run, so that memory is bounded.

use std::time::{Duration, Instant};

use crate::answer::{PROBLEMS, Problem};
use crate::limits::MAX_COLUMNS;
use crate::stats::Kind;

const KINDS: usize = Kind::ALL.len();

/// Steps per doubling: a band is exact to 6 %.
const STEPS: u64 = 16;
/// Steps up to an hour of microseconds.
const BANDS: usize = 33 * STEPS as usize;

/// Durations of one kind in one column.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Band(Box<[u32; BANDS]>);

impl Band {
    fn new() -> Self {
        Self(Box::new([0; BANDS]))
    }

    fn place(us: u64) -> usize {
        let us = us.max(1);
        let octave = u64::from(us.ilog2());
        // The bits behind the first one, as many as there are steps.
        let step = if octave >= 4 { (us >> (octave - 4)) & (STEPS - 1) } else { (us << (4 - octave)) & (STEPS - 1) };
        usize::try_from(octave * STEPS + step).unwrap_or(BANDS).min(BANDS - 1)
    }

    /// The middle of a step, in milliseconds.
    #[allow(clippy::cast_precision_loss, reason = "both are small")]
    fn middle(place: usize) -> f64 {
        let (octave, step) = (place as u64 / STEPS, place as u64 % STEPS);
        (2.0_f64).powf(octave as f64) * (1.0 + (step as f64 + 0.5) / STEPS as f64) / 1e3
    }

    fn record(&mut self, span: Duration) {
        let place = Self::place(u64::try_from(span.as_micros()).unwrap_or(u64::MAX));
        if let Some(count) = self.0.get_mut(place) {
            *count += 1;
        }
    }

    fn add(&mut self, other: &Self) {
        for (sum, more) in self.0.iter_mut().zip(other.0.iter()) {
            *sum += more;
        }
    }

    /// Milliseconds at each of these shares; none of nothing.
    #[allow(clippy::cast_precision_loss, reason = "counts of a column are far below 2^53")]
    pub(crate) fn quantiles<const N: usize>(&self, shares: [f64; N]) -> Option<[f64; N]> {
        let all: u64 = self.0.iter().map(|count| u64::from(*count)).sum();
        if all == 0 {
            return None;
        }
        Some(shares.map(|share| {
            let (mut left, wanted) = (0, (share * all as f64).ceil().max(1.0));
            let found = self.0.iter().position(|count| {
                left += u64::from(*count);
                left as f64 >= wanted
            });
            Self::middle(found.unwrap_or(BANDS - 1))
        }))
    }

    /// What is not 0, as (step, how often).
    pub(crate) fn pairs(&self) -> Vec<(u16, u32)> {
        (0_u16..).zip(self.0.iter()).filter(|(_, count)| **count > 0).map(|(place, count)| (place, *count)).collect()
    }

    pub(crate) fn of_pairs(pairs: &[(u16, u32)]) -> Self {
        let mut band = Self::new();
        for (place, count) in pairs {
            if let Some(sum) = band.0.get_mut(usize::from(*place)) {
                *sum += count;
            }
        }
        band
    }
}

/// What happened in one span of the run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Column {
    /// Visitors who were meant to come.
    pub(crate) arrivals: u64,
    pub(crate) bookings: u64,
    pub(crate) lost: u64,
    /// Answers of each kind that were asked for.
    pub(crate) accepted: [u64; KINDS],
    pub(crate) problems: [u64; PROBLEMS.len()],
    pub(crate) bands: [Option<Band>; KINDS],
}

impl Default for Column {
    fn default() -> Self {
        let (accepted, problems, bands) = ([0; KINDS], [0; PROBLEMS.len()], [const { None }; KINDS]);
        Self { arrivals: 0, bookings: 0, lost: 0, accepted, problems, bands }
    }
}

/// The columns of a run.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) start: Instant,
    pub(crate) width: Duration,
    pub(crate) columns: Vec<Column>,
    /// Where the last answer came: what belongs to an answer without a time of its own.
    last: usize,
}

impl Series {
    /// Columns of whole seconds for a run of about this length. What comes later is in the last one.
    pub(crate) fn new(start: Instant, length: Duration) -> Self {
        let width = Duration::from_secs(length.as_secs().div_ceil(MAX_COLUMNS).max(1));
        Self { start, width, columns: Vec::new(), last: 0 }
    }

    fn at(&mut self, at: Instant) -> &mut Column {
        let place = at.saturating_duration_since(self.start).as_secs() / self.width.as_secs().max(1);
        self.last = usize::try_from(place.min(MAX_COLUMNS - 1)).unwrap_or(0);
        self.column()
    }

    #[allow(clippy::indexing_slicing, reason = "the line before makes the place")]
    fn column(&mut self) -> &mut Column {
        if self.columns.len() <= self.last {
            self.columns.resize(self.last + 1, Column::default());
        }
        &mut self.columns[self.last]
    }

    pub(crate) fn arrival(&mut self, at: Instant) {
        self.at(at).arrivals += 1;
    }

    pub(crate) fn booking(&mut self, at: Instant) {
        self.at(at).bookings += 1;
    }

    pub(crate) fn accepted(&mut self, kind: Kind, now: Instant, span: Duration) {
        let column = self.at(now);
        if let (Some(count), Some(band)) = (column.accepted.get_mut(kind as usize), column.bands.get_mut(kind as usize))
        {
            *count += 1;
            band.get_or_insert_with(Band::new).record(span);
        }
    }

    /// Counted where the last answer was, at most a moment ago.
    pub(crate) fn problem(&mut self, problem: Problem) {
        self.column().problems.iter_mut().skip(problem.0).take(1).for_each(|count| *count += 1);
    }

    /// See [`Series::problem`].
    pub(crate) fn lost(&mut self) {
        self.column().lost += 1;
    }

    /// Adds the columns of another thread, or of another process with the same width.
    pub(crate) fn add(&mut self, other: &Self) {
        if self.columns.len() < other.columns.len() {
            self.columns.resize(other.columns.len(), Column::default());
        }
        for (sum, more) in self.columns.iter_mut().zip(&other.columns) {
            sum.arrivals += more.arrivals;
            sum.bookings += more.bookings;
            sum.lost += more.lost;
            sum.accepted.iter_mut().zip(more.accepted).for_each(|(sum, more)| *sum += more);
            sum.problems.iter_mut().zip(more.problems).for_each(|(sum, more)| *sum += more);
            for (sum, more) in sum.bands.iter_mut().zip(&more.bands) {
                match (&mut *sum, more) {
                    (Some(sum), Some(more)) => sum.add(more),
                    (None, Some(more)) => *sum = Some(more.clone()),
                    (_, None) => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn bands_are_exact_to_six_percent() {
        let mut band = Band::new();
        for ms in 1..=1_000 {
            band.record(Duration::from_millis(ms));
        }
        for (found, exact) in band.quantiles([0.5, 0.9, 0.99]).unwrap().into_iter().zip([500.0, 900.0, 990.0]) {
            assert!((found / exact - 1.0_f64).abs() < 0.07, "{found} {exact}");
        }
        assert_eq!(Band::new().quantiles([0.5]), None);
        assert_eq!(Band::of_pairs(&band.pairs()), band);
        for us in [0, 1, 7, 15, 16, 17, 1_000, 3_600_000_000] {
            let middle = Band::middle(Band::place(us)) * 1e3;
            assert!((middle / us.max(1) as f64 - 1.0).abs() < 0.07, "{us}: {middle}");
        }
    }

    #[test]
    fn things_stand_in_the_column_of_their_second_and_a_long_run_has_no_more_columns() {
        let start = Instant::now();
        let second = |n| start + Duration::from_secs(n);
        let mut short = Series::new(start, Duration::from_secs(60));
        short.arrival(second(0));
        short.accepted(Kind::Hold, second(2), Duration::from_millis(5));
        short.problem(Problem(0));
        short.booking(second(2));
        short.booking(second(100_000));
        assert_eq!((short.width, short.columns.len() as u64), (Duration::from_secs(1), MAX_COLUMNS));
        assert_eq!((short.columns[0].arrivals, short.columns[2].bookings), (1, 1));
        assert_eq!(short.columns[2].accepted[Kind::Hold as usize], 1);
        assert_eq!((short.columns[2].problems[0], short.columns.last().unwrap().bookings), (1, 1));
        let long = Series::new(start, Duration::from_secs(3_600));
        assert_eq!(long.width, Duration::from_secs(6));
    }

    #[test]
    fn columns_of_threads_add_up() {
        let start = Instant::now();
        let mut one = Series::new(start, Duration::from_secs(1));
        let mut other = one.clone();
        one.accepted(Kind::Hold, start, Duration::from_millis(1));
        other.accepted(Kind::Hold, start + Duration::from_secs(3), Duration::from_millis(1));
        other.accepted(Kind::Hold, start, Duration::from_millis(1));
        one.add(&other);
        let counts: Vec<u64> = one.columns.iter().map(|column| column.accepted[Kind::Hold as usize]).collect();
        assert_eq!(counts, [2, 0, 0, 1]);
        assert!(one.columns[3].bands[Kind::Hold as usize].is_some());
    }
}
