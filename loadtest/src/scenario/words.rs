//! The values of a load that are written as text.

use std::str::FromStr;
use std::time::Duration;

use domain::time::parse_duration_ms;
use rand::RngExt as _;
use rand::rngs::SmallRng;

use crate::limits::{MAX_RATE, MAX_THINK};

/// A share of something, from 0 to 1; written `85%`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Chance(pub f64);

impl Chance {
    /// Always.
    pub const SURE: Self = Self(1.0);
    /// Never.
    pub const NEVER: Self = Self(0.0);

    pub(crate) fn draw(self, rng: &mut SmallRng) -> bool {
        self.0 >= 1.0 || (self.0 > 0.0 && rng.random::<f64>() < self.0)
    }
}

impl FromStr for Chance {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let percent = text.strip_suffix('%').and_then(|number| number.trim_end().parse::<f64>().ok());
        let share = percent.filter(|percent| (0.0..=100.0).contains(percent)).map(|percent| Self(percent / 100.0));
        share.ok_or("a share from \"0%\" to \"100%\"")
    }
}

/// How long a visitor thinks: evenly between two durations; written `2s` or `1s..5s`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pause {
    /// At least.
    pub from: Duration,
    /// At most.
    pub to: Duration,
}

impl Pause {
    /// Not at all.
    pub const NONE: Self = Self { from: Duration::ZERO, to: Duration::ZERO };

    pub(crate) fn draw(self, rng: &mut SmallRng) -> Duration {
        if self.to <= self.from {
            return self.from;
        }
        self.from + (self.to - self.from).mul_f64(rng.random::<f64>())
    }
}

impl FromStr for Pause {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rule = || format!("a duration such as \"2s\", or two such as \"1s..5s\", up to {} s", MAX_THINK.as_secs());
        let (from, to) = text.split_once("..").unwrap_or((text, text));
        let read = |text: &str| if text == "0s" { Some(0) } else { parse_duration_ms(text.trim()) };
        let (from, to) = read(from).zip(read(to)).ok_or_else(rule)?;
        let pause = Self { from: Duration::from_millis(from), to: Duration::from_millis(to) };
        if pause.from <= pause.to && pause.to <= MAX_THINK { Ok(pause) } else { Err(rule()) }
    }
}

/// Visitors per second; written `250/s` or `90/m`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rate(pub f64);

impl FromStr for Rate {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = text.split_once('/').and_then(|(number, per)| {
            let number = number.trim().parse::<f64>().ok()?;
            match per.trim() {
                "s" => Some(number),
                "m" => Some(number / 60.0),
                _ => None,
            }
        });
        let rate = read.filter(|rate| (0.0..=MAX_RATE).contains(rate)).map(Self);
        rate.ok_or_else(|| format!("a rate such as \"250/s\" or \"90/m\", up to {MAX_RATE}/s"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn words_read_as_they_are_written() {
        assert_eq!("85%".parse(), Ok(Chance(0.85)));
        assert_eq!("0.5%".parse(), Ok(Chance(0.005)));
        assert_eq!("1s..5s".parse(), Ok(Pause { from: Duration::from_secs(1), to: Duration::from_secs(5) }));
        assert_eq!("250ms".parse(), Ok(Pause { from: Duration::from_millis(250), to: Duration::from_millis(250) }));
        assert_eq!("90/m".parse(), Ok(Rate(1.5)));
        for bad in ["85", "101%", "-1%", "NaN%"] {
            assert!(bad.parse::<Chance>().is_err(), "{bad}");
        }
        for bad in ["5", "5s..1s", "2d", "1s.."] {
            assert!(bad.parse::<Pause>().is_err(), "{bad}");
        }
        for bad in ["5", "-1/s", "1/h", "inf/s"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
    }

    #[test]
    fn chances_and_pauses_are_drawn_evenly() {
        let mut rng = SmallRng::seed_from_u64(1);
        let half = (0..10_000).filter(|_| Chance(0.5).draw(&mut rng)).count();
        assert!((4_800..5_200).contains(&half), "{half}");
        assert!(Chance::SURE.draw(&mut rng) && !Chance::NEVER.draw(&mut rng));
        let pause = Pause { from: Duration::from_secs(1), to: Duration::from_secs(3) };
        let sum: Duration = (0..10_000).map(|_| pause.draw(&mut rng)).sum();
        assert!((sum.as_secs_f64() / 10_000.0 - 2.0).abs() < 0.05, "{sum:?}");
    }
}
