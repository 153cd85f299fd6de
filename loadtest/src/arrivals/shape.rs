//! When visitors come who come at their own times.

use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::SmallRng;

/// A rate at a moment; between two moments it changes evenly.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Point {
    /// Since the start.
    pub at: Duration,
    /// Visitors per second.
    pub rate: f64,
}

/// The times at which visitors come.
#[derive(Clone, PartialEq, Debug)]
pub enum Shape {
    /// At random (Poisson), at a rate that changes evenly between points; as at the first point before it, as at the last
    /// one behind it.
    Rates(Vec<Point>),
    /// At exactly these times since the start, in order.
    Times(Vec<Duration>),
}

impl Shape {
    /// At random at one rate.
    #[must_use]
    pub fn steady(rate: f64) -> Self {
        Self::Rates(vec![Point { at: Duration::ZERO, rate }])
    }

    /// About so many visitors at random: more and more of them for as long as it rises, fewer and fewer while it falls.
    #[must_use]
    pub fn wave(visitors: u32, rise: Duration, fall: Duration) -> Self {
        // The area of the triangle is the number of visitors.
        let peak = 2.0 * f64::from(visitors) / (rise + fall).as_secs_f64().max(1e-3);
        let mut points = vec![Point { at: rise, rate: peak }, Point { at: rise + fall, rate: 0.0 }];
        if !rise.is_zero() {
            points.insert(0, Point { at: Duration::ZERO, rate: 0.0 });
        }
        Self::Rates(points)
    }

    /// A recorded trace: a line per visitor, in milliseconds since the start.
    ///
    /// # Errors
    /// The first line that is no number, or goes back in time.
    pub fn times(text: &str) -> Result<Self, String> {
        let mut times: Vec<Duration> = Vec::new();
        for (n, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let ms: u64 = line.parse().map_err(|_| format!("line {n}: {line:?} must be whole milliseconds"))?;
            let at = Duration::from_millis(ms);
            if times.last().is_some_and(|last| *last > at) {
                return Err(format!("line {n}: {ms} must not be before the line above"));
            }
            times.push(at);
        }
        if times.is_empty() { Err("there is no arrival in it".to_owned()) } else { Ok(Self::Times(times)) }
    }

    /// The part of these visitors that one of `of` processes sends (`part` from 0).
    pub(crate) fn part(&self, part: u32, of: u32) -> Self {
        match self {
            Self::Rates(points) => {
                let part = |point: &Point| Point { at: point.at, rate: point.rate / f64::from(of) };
                Self::Rates(points.iter().map(part).collect())
            }
            Self::Times(times) => {
                Self::Times(times.iter().copied().skip(part as usize).step_by(of.max(1) as usize).collect())
            }
        }
    }

    /// In words, for the report.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Rates(points) => match points.as_slice() {
                [one] => format!("{} per second, at random", one.rate),
                many => {
                    let most = many.iter().map(|point| point.rate).fold(0.0, f64::max);
                    format!("at random, up to {most:.0} per second")
                }
            },
            Self::Times(times) => format!("a trace of {} visitors", times.len()),
        }
    }
}

/// The times one by one.
pub(crate) enum Due {
    Rates {
        rng: SmallRng,
        points: Vec<Point>,
        /// Now, in seconds since the start, and the point ahead.
        now: f64,
        next: usize,
    },
    Times(std::vec::IntoIter<Duration>),
}

impl Due {
    pub(crate) fn new(shape: &Shape, rng: SmallRng) -> Self {
        match shape {
            Shape::Rates(points) => Self::Rates { rng, points: points.clone(), now: 0.0, next: 0 },
            Shape::Times(times) => Self::Times(times.clone().into_iter()),
        }
    }
}

impl Iterator for Due {
    type Item = Duration;

    /// The next visitor; none when no other will come.
    fn next(&mut self) -> Option<Duration> {
        let (rng, points, now, next) = match self {
            Self::Times(times) => return times.next(),
            Self::Rates { rng, points, now, next } => (rng, points, now, next),
        };
        let uniform: f64 = rng.random();
        // How much rate times time passes until then: exponential. 1 - u lies in (0, 1], so the logarithm is finite.
        let mut left = -(1.0 - uniform).ln();
        loop {
            let ahead = points.get(*next);
            let behind = next.checked_sub(1).and_then(|before| points.get(before));
            let (from, to, until) = match (behind, ahead) {
                (Some(behind), Some(ahead)) => (rate_at(behind, ahead, *now), ahead.rate, ahead.at.as_secs_f64()),
                (None, Some(first)) => (first.rate, first.rate, first.at.as_secs_f64()),
                (Some(last), None) => (last.rate, last.rate, f64::INFINITY),
                (None, None) => return None,
            };
            match reach(left, from, to, until - *now) {
                Ok(seconds) => {
                    *now += seconds;
                    return Duration::try_from_secs_f64(*now).ok();
                }
                Err(_) if until.is_infinite() => return None,
                Err(passed) => {
                    left -= passed;
                    *now = until;
                    *next += 1;
                }
            }
        }
    }
}

fn rate_at(behind: &Point, ahead: &Point, now: f64) -> f64 {
    let (from, to) = (behind.at.as_secs_f64(), ahead.at.as_secs_f64());
    let share = if to > from { ((now - from) / (to - from)).clamp(0.0, 1.0) } else { 1.0 };
    behind.rate + (ahead.rate - behind.rate) * share
}

/// After how many seconds the rate, on its way from `from` to `to` within `span` seconds, has added up to `left`; or what it
/// adds up to within the span, when that is less.
fn reach(left: f64, from: f64, to: f64, span: f64) -> Result<f64, f64> {
    if span.is_infinite() {
        return if from > 0.0 { Ok(left / from) } else { Err(0.0) };
    }
    let all = (from + to) / 2.0 * span;
    if span <= 0.0 || all < left {
        return Err(all.max(0.0));
    }
    let slope = (to - from) / span;
    // from * t + slope / 2 * t^2 = left, in the form that stays exact for a slope near 0.
    let root = (from * from + 2.0 * slope * left).max(0.0).sqrt();
    Ok((2.0 * left / (from + root)).min(span))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use rand::SeedableRng as _;

    use super::*;

    fn seconds(shape: &Shape, most: usize) -> Vec<f64> {
        Due::new(shape, SmallRng::seed_from_u64(1)).take(most).map(|at| at.as_secs_f64()).collect()
    }

    #[test]
    fn gaps_of_a_steady_rate_are_exponential() {
        let times = seconds(&Shape::steady(100.0), 100_000);
        let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        // Mean 1/rate, standard deviation as large as the mean.
        assert!((mean - 0.01).abs() < 0.0002, "{mean}");
        assert!((variance.sqrt() - 0.01).abs() < 0.0003, "{}", variance.sqrt());
    }

    #[test]
    fn a_wave_brings_its_visitors_rises_falls_and_ends() {
        let wave = Shape::wave(10_000, Duration::from_secs(10), Duration::from_secs(30));
        let times = seconds(&wave, usize::MAX);
        assert!((9_700..10_300).contains(&times.len()), "{}", times.len());
        assert!(times.is_sorted() && times.last().unwrap() <= &40.0);
        let within = |from: f64, to: f64| times.iter().filter(|at| (from..to).contains(*at)).count();
        // A quarter of the rise's area lies in its first half; the rise is a quarter of all.
        assert!((550..700).contains(&within(0.0, 5.0)), "{}", within(0.0, 5.0));
        assert!((2_350..2_650).contains(&within(0.0, 10.0)), "{}", within(0.0, 10.0));
        assert!((700..960).contains(&within(30.0, 40.0)), "{}", within(30.0, 40.0));
    }

    #[test]
    fn rates_change_evenly_and_the_last_one_goes_on() {
        let points = vec![
            Point { at: Duration::from_secs(10), rate: 100.0 },
            Point { at: Duration::from_secs(20), rate: 0.0 },
            Point { at: Duration::from_secs(30), rate: 0.0 },
            Point { at: Duration::from_secs(31), rate: 500.0 },
        ];
        let times: Vec<f64> = seconds(&Shape::Rates(points), 9_000).into_iter().take_while(|at| *at < 40.0).collect();
        let within = |from: f64, to: f64| times.iter().filter(|at| (from..to).contains(*at)).count();
        assert!((900..1_100).contains(&within(0.0, 10.0)), "as at the first point before it");
        assert!((430..570).contains(&within(10.0, 20.0)), "{}", within(10.0, 20.0));
        assert_eq!(within(20.0, 30.0), 0);
        assert!((4_250..4_750).contains(&within(31.0, 40.0)), "{}", within(31.0, 40.0));
    }

    #[test]
    fn a_trace_is_played_as_it_was_recorded_and_dealt_to_processes() {
        let trace = Shape::times("# ms\n0\n5\n5\n\n1200\n").unwrap();
        assert_eq!(seconds(&trace, 10), [0.0, 0.005, 0.005, 1.2]);
        assert_eq!(seconds(&trace.part(1, 2), 10), [0.005, 1.2]);
        let steady = Shape::steady(90.0).part(1, 3);
        assert_eq!(steady, Shape::steady(30.0));
        assert_eq!(Shape::times("5\n4"), Err("line 2: 4 must not be before the line above".to_owned()));
        assert!(Shape::times("# none\n").is_err() && Shape::times("soon").is_err());
    }
}
