//! One step of admission: from what was observed to how far the frontier moves. Pure: the line's owner observes, calls
//! [`step`] every 100 ms, logs the new frontier and only then shows it.
//!
//! Every term answers one question in people: how many more may be called now? The smallest one binds and is exported, so
//! that an operator sees what holds the line. A term that cannot be known says zero (unknown means down).
//!
//! Left open on purpose: control of no-shows multiplies [`pace_term`]'s pace, health of the stores is one more term beside
//! the cap, and a class is one more observation with its own frontier and share of the pace.

mod gaps;

use domain::Millis;
use serde::{Deserialize, Serialize};

pub use gaps::Gaps;

use crate::meter::per_second;

/// One call in units of the accumulator: `pace per minute` x milliseconds.
const CALL: u64 = 60_000;
/// Units a holder is taken to hold where the sale sets no limit per visitor.
const UNITS_WITHOUT_LIMIT: u32 = 10;

/// The operator's settings that bound a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Calls in any 60 s, at most; a sixtieth of it, rounded up, in any second.
    pub pace_per_minute: u32,
    /// Passes alive at once, at most.
    pub active_passes: u32,
    /// Units one visitor may have; absent: no limit.
    pub units_per_visitor: Option<u32>,
    /// Of 1,000 units that are held, how many are expected to come back. Zero until it is measured.
    pub lapse_permille: u32,
    /// Of 1,000 people inside without a hold, how many are expected to take a unit. All of them until it is measured.
    pub take_permille: u32,
}

impl Settings {
    /// The cautious settings of a sale whose habits nobody has measured: no hold lapses, everybody takes.
    #[must_use]
    pub const fn cautious(room: &domain::Room, units_per_visitor: Option<u32>) -> Self {
        Self {
            pace_per_minute: room.pace_per_minute,
            active_passes: room.active_passes,
            units_per_visitor,
            lapse_permille: 0,
            take_permille: 1_000,
        }
    }
}

/// Stock over all items and lanes as Redis showed it a moment ago. Items below zero count as empty.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stock {
    /// Units nobody has.
    pub free: u64,
    /// Units in holds that are not decided.
    pub held: u64,
}

/// What is known at the moment of a step.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    /// The owner's clock, never earlier than the log's last entry.
    pub now: Millis,
    /// The sale is open.
    pub open: bool,
    /// The logged frontier.
    pub frontier: u64,
    /// The highest number that may have been given to a visitor.
    pub issued: u64,
    /// Numbers that nobody stands behind.
    pub gaps: &'a Gaps,
    /// Passes granted and not ended, by the log.
    pub active: u64,
    /// Called within the grace period and not claimed yet.
    pub unclaimed: u64,
    /// Calls that the exact windows over the log still allow.
    pub calls_room: u32,
    /// The accumulator as the step before left it.
    pub tokens: Tokens,
    /// `None`: Redis did not say lately.
    pub stock: Option<Stock>,
}

/// What to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Decision {
    /// The new frontier: the old one or a later one (I6).
    pub frontier: u64,
    /// People this calls; gaps cost nothing.
    pub called: u32,
    /// The term that kept it from being more.
    pub binding: Binding,
    /// Every term, for the gauges.
    pub terms: Terms,
    /// The accumulator, for the next step.
    pub tokens: Tokens,
}

/// The terms of a step, in people.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Terms {
    /// What the pace allows at this moment.
    pub pace: u64,
    /// Places that are not taken and not promised.
    pub cap: u64,
    /// People whom the stock can still serve.
    pub stock: u64,
    /// People who wait.
    pub line: u64,
}

/// What holds the frontier.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Binding {
    /// The sale is not open.
    #[default]
    Closed,
    /// Nobody waits any more.
    Line,
    /// Free units and expected returns serve no more people than are called.
    Stock,
    /// What is left in stock is not known.
    Unknown,
    /// As many passes are alive or promised as may be.
    Cap,
    /// The pace.
    Pace,
}

impl Binding {
    /// Every value, for the gauges.
    pub const ALL: [Self; 6] = [Self::Closed, Self::Line, Self::Stock, Self::Unknown, Self::Cap, Self::Pace];

    /// The name in metrics and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Line => "line",
            Self::Stock => "stock",
            Self::Unknown => "unknown",
            Self::Cap => "cap",
            Self::Pace => "pace",
        }
    }
}

/// An accumulator of calls: fills with the pace, holds one second's worth at most. It smooths; the exact windows of the
/// [`Meter`](crate::meter::Meter) bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tokens {
    /// When it was last filled; `None`: never, it is full.
    at: Option<Millis>,
    /// What is in it, in units of pace x milliseconds.
    credit: u64,
}

impl Tokens {
    /// Filled up to `now`. Nothing flows while the clock stands still or steps back.
    #[must_use]
    fn filled(self, pace: u32, now: Millis) -> Self {
        let full = u64::from(per_second(pace)) * CALL;
        let Some(at) = self.at else {
            return Self { at: Some(now), credit: full };
        };
        let credit = self.credit.saturating_add(u64::from(pace).saturating_mul(now.since(at)));
        Self { at: Some(at.max(now)), credit: credit.min(full) }
    }

    /// Whole calls in it.
    const fn calls(self) -> u64 {
        self.credit / CALL
    }

    const fn spend(self, calls: u32) -> Self {
        Self { at: self.at, credit: self.credit.saturating_sub(calls as u64 * CALL) }
    }
}

/// Decides how far the frontier moves now.
#[must_use]
pub fn step(seen: &Observation<'_>, settings: &Settings) -> Decision {
    let tokens = seen.tokens.filled(settings.pace_per_minute, seen.now);
    let stock = stock_term(seen.stock, seen.active + seen.unclaimed, seen.active, settings);
    let terms = Terms {
        pace: pace_term(tokens, seen.calls_room),
        cap: cap_term(settings.active_passes, seen.active, seen.unclaimed),
        stock: stock.unwrap_or(0),
        line: seen.gaps.people(seen.frontier, seen.issued),
    };
    let room = if seen.open { terms.pace.min(terms.cap).min(terms.stock) } else { 0 };
    let (frontier, called) = seen.gaps.advance(seen.frontier, seen.issued, room);
    let called = u32::try_from(called).unwrap_or(u32::MAX);
    let binding = binding(seen.open, stock.is_none(), &terms);
    Decision { frontier, called, binding, terms, tokens: tokens.spend(called) }
}

/// Calls that the pace allows now: what has accumulated, within the exact windows.
fn pace_term(tokens: Tokens, calls_room: u32) -> u64 {
    tokens.calls().min(u64::from(calls_room))
}

/// Places neither taken nor promised. A called number keeps its place promised for the grace period, then it passes on.
fn cap_term(active_passes: u32, active: u64, unclaimed: u64) -> u64 {
    u64::from(active_passes).saturating_sub(active).saturating_sub(unclaimed)
}

/// People whom free units and expected returns can still serve, beyond those inside or called who have no hold yet.
///
/// How many people stand behind the units held is not known; taking each for a visitor at the limit counts the fewest, so
/// the most are expected to take still: nobody is called forward to an empty shelf. As they hold, book or leave, what they
/// did not take is called for.
fn stock_term(stock: Option<Stock>, inside: u64, active: u64, settings: &Settings) -> Option<u64> {
    let Stock { free, held } = stock?;
    let limit = u64::from(settings.units_per_visitor.unwrap_or(UNITS_WITHOUT_LIMIT).max(1));
    let holders = held.div_ceil(limit).min(active);
    let takers = inside.saturating_sub(holders);
    let taken = (takers.saturating_mul(u64::from(settings.take_permille))).div_ceil(1_000);
    let returns = held.saturating_mul(u64::from(settings.lapse_permille)) / 1_000;
    Some(free.saturating_add(returns).saturating_sub(taken))
}

/// The term that binds: the smallest; among equals the one nearest to the cause.
fn binding(open: bool, stock_unknown: bool, terms: &Terms) -> Binding {
    let least = terms.pace.min(terms.cap).min(terms.stock).min(terms.line);
    if !open {
        Binding::Closed
    } else if terms.line == least {
        Binding::Line
    } else if stock_unknown {
        Binding::Unknown
    } else if terms.stock == least {
        Binding::Stock
    } else if terms.cap == least {
        Binding::Cap
    } else {
        Binding::Pace
    }
}

#[cfg(test)]
mod tests;
