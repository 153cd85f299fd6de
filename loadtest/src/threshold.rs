//! What must come out of a run: `confirm.p99 < 50ms`, `errors < 0.1%`, `bookings/s >= 5000`.

use std::fmt;
use std::str::FromStr;

use domain::table::nearest;

use crate::answer::PROBLEMS;
use crate::stats::{Kind, Stats, Timing};

/// A figure and its bound.
#[derive(Clone, PartialEq, Debug)]
pub struct Threshold {
    text: String,
    figure: Figure,
    op: Op,
    bound: f64,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Op {
    Below,
    AtMost,
    Above,
    AtLeast,
}

const OPS: [(&str, Op); 4] = [("<=", Op::AtMost), (">=", Op::AtLeast), ("<", Op::Below), (">", Op::Above)];

/// What is compared. Times are milliseconds, shares go from 0 to 1.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Figure {
    /// A quantile of the durations of a kind of call.
    Time(Timed, f64),
    /// Of all requests, those without an answer that the contract has: lost, strange, given up.
    Errors,
    /// Of all answers, those that name this problem (an index into [`PROBLEMS`]); all of them when none is named.
    Refused(Option<usize>),
    /// Per second of the measured time.
    PerSecond(Counted),
    /// In all.
    Count(Counted),
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Timed {
    Of(Kind),
    Late,
    Lag,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Counted {
    Of(Kind),
    Bookings,
    Answers,
    Arrived,
}

const QUANTILES: [(&str, f64); 6] =
    [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999), ("max", 1.0)];

/// What a threshold asked for and what came.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Verdict {
    pub(crate) name: String,
    pub(crate) asked: f64,
    /// None when there was nothing to measure.
    pub(crate) came: Option<f64>,
    pub(crate) met: bool,
}

impl Threshold {
    /// Confirmed bookings per second, at least.
    pub(crate) fn bookings_per_s(least: f64) -> Self {
        let figure = Figure::PerSecond(Counted::Bookings);
        Self { text: format!("bookings/s >= {least}"), figure, op: Op::AtLeast, bound: least }
    }

    /// The 99th percentile of confirms in milliseconds, at most.
    pub(crate) fn p99_confirm_ms(most: f64) -> Self {
        let figure = Figure::Time(Timed::Of(Kind::Confirm), 0.99);
        Self { text: format!("confirm.p99 <= {most}ms"), figure, op: Op::AtMost, bound: most }
    }

    /// Compares with a run that was measured for so many seconds. What was not measured is not met.
    pub(crate) fn judge(&self, stats: &Stats, seconds: f64) -> Verdict {
        let came = self.figure.of(stats, seconds);
        let met = came.is_some_and(|came| match self.op {
            Op::Below => came < self.bound,
            Op::AtMost => came <= self.bound,
            Op::Above => came > self.bound,
            Op::AtLeast => came >= self.bound,
        });
        Verdict { name: self.text.clone(), asked: self.bound, came, met }
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts of a run are far below 2^53")]
fn share(part: u64, all: u64) -> Option<f64> {
    (all > 0).then(|| part as f64 / all as f64)
}

impl Figure {
    #[allow(clippy::cast_precision_loss, reason = "counts of a run are far below 2^53")]
    fn of(self, stats: &Stats, seconds: f64) -> Option<f64> {
        let calls = || Kind::ALL.into_iter().filter(|kind| kind.is_call()).filter_map(|kind| stats.tally(kind));
        let quantile = |timing: &Timing, share| timing.quantile(share);
        match self {
            Self::Time(Timed::Of(kind), at) => quantile(&stats.tally(kind)?.accepted, at),
            Self::Time(Timed::Late, at) => quantile(&stats.late, at),
            Self::Time(Timed::Lag, at) => quantile(&stats.lag, at),
            Self::Errors => {
                let wrong = calls().map(|tally| tally.lost + tally.strange + tally.unknown).sum();
                share(wrong, calls().map(|tally| tally.sent).sum())
            }
            Self::Refused(which) => {
                let named = |problems: &[u64]| match which {
                    Some(which) => problems.get(which).copied().unwrap_or(0),
                    None => problems.iter().sum(),
                };
                share(calls().map(|tally| named(&tally.problems)).sum(), calls().map(|tally| tally.sent).sum())
            }
            Self::PerSecond(what) => Some(what.of(stats) as f64 / seconds.max(1e-9)),
            Self::Count(what) => Some(what.of(stats) as f64),
        }
    }
}

impl Counted {
    fn of(self, stats: &Stats) -> u64 {
        match self {
            Self::Of(kind) => stats.tally(kind).map_or(0, |tally| tally.accepted.count()),
            Self::Bookings => stats.booked,
            Self::Answers => stats.answers,
            Self::Arrived => stats.arrived,
        }
    }

    fn named(name: &str) -> Option<Self> {
        match name {
            "bookings" => Some(Self::Bookings),
            "answers" => Some(Self::Answers),
            "arrived" => Some(Self::Arrived),
            _ => kind(name).map(Self::Of),
        }
    }
}

fn kind(name: &str) -> Option<Kind> {
    Kind::ALL.into_iter().find(|kind| kind.as_str() == name)
}

/// The figure and whether it is a time, a share, or a plain number.
fn figure(name: &str) -> Option<(Figure, Unit)> {
    if let Some((what, at)) = name.rsplit_once('.') {
        let (_, at) = QUANTILES.into_iter().find(|(known, _)| *known == at)?;
        let timed = match what {
            "late" => Timed::Late,
            "lag" => Timed::Lag,
            _ => Timed::Of(kind(what)?),
        };
        return Some((Figure::Time(timed, at), Unit::Time));
    }
    if let Some(what) = name.strip_suffix("/s") {
        return Some((Figure::PerSecond(Counted::named(what)?), Unit::Plain));
    }
    match name {
        "errors" => Some((Figure::Errors, Unit::Share)),
        "refused" => Some((Figure::Refused(None), Unit::Share)),
        _ => match PROBLEMS.iter().position(|problem| *problem == name) {
            Some(problem) => Some((Figure::Refused(Some(problem)), Unit::Share)),
            None => Some((Figure::Count(Counted::named(name)?), Unit::Plain)),
        },
    }
}

#[derive(Clone, Copy)]
enum Unit {
    Time,
    Share,
    Plain,
}

impl Unit {
    fn read(self, text: &str) -> Result<f64, String> {
        let (units, rule): (&[(&str, f64)], _) = match self {
            Self::Time => {
                (&[("us", 1e-3), ("ms", 1.0), ("s", 1e3), ("m", 6e4)], "a duration such as 50ms, 1.5s or 2m behind it")
            }
            Self::Share => (&[("%", 0.01)], "a share such as 0.1% behind it"),
            Self::Plain => (&[("", 1.0)], "a number such as 5000 behind it"),
        };
        let number = |(unit, scale): &(&str, f64)| {
            let number: f64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
            (number.is_finite() && number >= 0.0).then_some(number * scale)
        };
        units.iter().find_map(number).ok_or_else(|| rule.to_owned())
    }
}

/// All names that stand on the left.
fn names() -> Vec<&'static str> {
    let mut names = vec!["errors", "refused", "bookings", "answers", "arrived", "late", "lag"];
    names.extend(Kind::ALL.map(Kind::as_str));
    names.extend(PROBLEMS);
    names
}

impl FromStr for Threshold {
    type Err = String;

    /// Reads `FIGURE OP BOUND`. The error goes behind "must be".
    fn from_str(text: &str) -> Result<Self, String> {
        let rule = "a figure, one of < <= > >=, and a bound, such as \"confirm.p99 < 50ms\"";
        let split = OPS.iter().find_map(|(sign, op)| text.split_once(sign).map(|(name, bound)| (name, *op, bound)));
        let (name, op, bound) = split.ok_or(rule)?;
        let (name, bound) = (name.trim(), bound.trim());
        let Some((figure, unit)) = figure(name) else {
            let word = name.split(['.', '/']).next().unwrap_or_default();
            let like = nearest(word, &names()).filter(|like| *like != word);
            let like = like.map_or_else(String::new, |like| format!(" (did you mean {like:?}?)"));
            let calls = Kind::ALL.map(Kind::as_str).join(", ");
            return Err(format!(
                "about a figure there is{like}: CALL.p50, .p90, .p95, .p99, .p999 or .max, CALL/s, CALL, errors, refused, the name of a \
                 problem, bookings, bookings/s, answers/s, arrived, late.p99 or lag.p99, where CALL is {calls}"
            ));
        };
        Ok(Self { text: text.to_owned(), figure, op, bound: unit.read(bound)? })
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::answer::Problem;
    use crate::http::Lost;
    use crate::series::Series;
    use crate::stats::Window;

    /// A hundred confirms of 1 to 100 ms in ten seconds, 20 bookings, one lost answer, four sold out.
    fn stats() -> Stats {
        let from = Instant::now();
        let (second, window) = (Duration::from_secs(1), Window { from, to: from + Duration::from_secs(10) });
        let mut stats = Stats::new(window, Series::new(from, second), Arc::default());
        for n in 1..=100 {
            stats.sends(Kind::Confirm, from);
            stats.accepted(Kind::Confirm, from, from + Duration::from_millis(n));
        }
        (0..20).for_each(|_| stats.booking(from));
        (0..4).for_each(|_| stats.problem(Kind::Hold, from, Problem::named("sold-out")));
        stats.lost(Kind::Confirm, from, &Lost::TimedOut);
        stats
    }

    fn verdict(text: &str) -> Verdict {
        text.parse::<Threshold>().unwrap().judge(&stats(), 10.0)
    }

    #[test]
    fn every_kind_of_figure_is_met_and_missed() {
        for (met, missed) in [
            ("confirm.p99 < 100ms", "confirm.p99 < 98ms"),
            ("confirm.p50 <= 0.06s", "confirm.p50 <= 40000us"),
            ("bookings/s >= 2", "bookings/s > 2"),
            ("bookings >= 20", "bookings < 20"),
            ("confirm/s >= 10", "confirm/s >= 11"),
            ("errors <= 1%", "errors < 0.9%"),
            ("sold-out < 4.1%", "sold-out < 3.9%"),
            ("refused < 5%", "refused > 5%"),
        ] {
            assert!(verdict(met).met, "{met}: {:?}", verdict(met));
            assert!(!verdict(missed).met, "{missed}: {:?}", verdict(missed));
        }
    }

    #[test]
    fn what_was_not_measured_is_not_met() {
        let verdict = verdict("whole.p99 < 10s");
        assert_eq!((verdict.came, verdict.met), (None, false));
    }

    #[test]
    fn what_is_no_threshold_is_said_with_what_would_be_one() {
        let said = |text: &str| text.parse::<Threshold>().unwrap_err();
        assert!(said("confirm.p99").contains("one of < <= > >="));
        assert!(said("confirms.p99 < 5ms").contains("did you mean \"confirm\"?"), "{}", said("confirms.p99 < 5ms"));
        assert!(said("confirm.p98 < 5ms").contains(".p99"));
        assert_eq!(said("confirm.p99 < 50"), "a duration such as 50ms, 1.5s or 2m behind it");
        assert_eq!(said("errors < 0.1"), "a share such as 0.1% behind it");
        assert_eq!(said("bookings/s >= -1"), "a number such as 5000 behind it");
    }
}
