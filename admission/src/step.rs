//! One step of admission: from what was observed to how far the frontier moves. Pure: the line's owner observes, calls
//! [`step`] every 100 ms, logs the new frontier and only then shows it.
//!
//! Every term answers one question in people: how many more may be called now? The smallest one binds and is exported, so
//! that an operator sees what holds the line. A term that cannot be known says zero (unknown means down).
//!
//! Classes share what the terms allow: how many are called together is one decision, who of them is the other ([`Deal`]).

mod cap;
mod deal;
mod flow;
mod gaps;
mod health;
mod pace;
mod stock;
mod terms;

use domain::Millis;

pub use cap::promised;
pub use deal::{CLASSES, Deal, PerClass, Shares};
pub use flow::Flow;
pub use gaps::Gaps;
pub use health::{Answered, Health};
pub use pace::{Tokens, ramped};
pub use stock::{Stock, Takes};
pub use terms::{Binding, Terms};

use cap::{cap_term, clamped};
use flow::Inflow;
use health::health_term;
use pace::pace_term;
use stock::stock_term;

/// The operator's settings that bound a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Calls in any 60 s, at most; a sixtieth of it, rounded up, in any second.
    pub pace_per_minute: u32,
    /// Passes alive at once, at most.
    pub active_passes: u32,
    /// Units one visitor may have; absent: no limit.
    pub units_per_visitor: Option<u32>,
    /// What each class gets of the calls while others wait.
    pub shares: Shares,
}

impl Settings {
    /// What a sale's document says.
    #[must_use]
    pub fn of(room: &domain::Room, units_per_visitor: Option<u32>) -> Self {
        Self {
            pace_per_minute: room.pace_per_minute,
            active_passes: room.active_passes,
            units_per_visitor,
            shares: Shares::of(&room.classes),
        }
    }
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
    /// People who wait, by class; everybody's are counted from the numbers.
    pub waiting: PerClass<u64>,
    /// Whose turn it is, as the step before left it.
    pub deal: Deal,
    /// Passes granted and not ended, by the log.
    pub active: u64,
    /// Called within the grace period and not claimed yet.
    pub unclaimed: u64,
    /// Calls that the exact windows over the log still allow.
    pub calls_room: u32,
    /// The accumulator of the pace as the step before left it.
    pub tokens: Tokens,
    /// The accumulator of the flow as the step before left it.
    pub flow: Flow,
    /// Passes that ended and turns that passed on, ever.
    pub freed: u64,
    /// Milliseconds from pass to end, measured.
    pub stay_ms: u64,
    /// Of 1,000 people called, how many come, measured.
    pub show_permille: u64,
    /// What people do with units, measured.
    pub takes: Takes,
    /// `None`: Redis did not say lately.
    pub stock: Option<Stock>,
    /// How the stores do, of 1,000.
    pub health_permille: u64,
    /// The operator lets everybody through.
    pub let_through: bool,
}

/// What to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Decision {
    /// The new frontier: the old one or a later one (I6).
    pub frontier: u64,
    /// People this calls, of all classes; gaps cost nothing.
    pub called: u32,
    /// The same by class.
    pub calls: PerClass<u64>,
    /// Whose turn it is next.
    pub deal: Deal,
    /// The term that kept it from being more.
    pub binding: Binding,
    /// Every term, for the gauges.
    pub terms: Terms,
    /// The accumulator of the pace, for the next step.
    pub tokens: Tokens,
    /// The accumulator of the flow, for the next step.
    pub flow: Flow,
}

/// Decides how far the frontier moves now.
#[must_use]
pub fn step(seen: &Observation<'_>, settings: &Settings) -> Decision {
    let taken = seen.active + promised(seen.unclaimed, seen.show_permille);
    let cap = cap_term(settings.active_passes, taken);
    let tokens = seen.tokens.filled(settings.pace_per_minute, seen.now);
    let flow = seen.flow.filled(&Inflow {
        now: seen.now,
        missing: cap,
        target: u64::from(settings.active_passes),
        stay_ms: seen.stay_ms,
        ended: seen.freed,
        show_permille: clamped(seen.show_permille),
        pace: settings.pace_per_minute,
    });
    // Everybody who was called may still come and take: what is short is not overbooked.
    let inside = seen.active + seen.unclaimed;
    let stock = stock_term(seen.stock, inside, seen.active, settings.units_per_visitor, &seen.takes);
    let mut waiting = seen.waiting;
    waiting[0] = seen.gaps.people(seen.frontier, seen.issued);
    let terms = Terms {
        pace: pace_term(tokens, seen.calls_room),
        flow: flow.calls(),
        cap,
        health: health_term(settings.active_passes, seen.health_permille, taken),
        stock: stock.unwrap_or(0),
        line: waiting.iter().sum(),
    };
    let terms = if seen.let_through { terms.let_through(seen.health_permille) } else { terms };
    let room = if seen.open { terms.room() } else { 0 };
    let (calls, deal) = seen.deal.calls(room, &waiting, &settings.shares);
    // Where nobody of everybody's line waits, a gap in front is jumped all the same.
    let own = if waiting[0] == 0 { room } else { calls[0] };
    let (frontier, _) = seen.gaps.advance(seen.frontier, seen.issued, own);
    let called = u32::try_from(calls.iter().sum::<u64>()).unwrap_or(u32::MAX);
    let binding = terms.binding(seen.open, stock.is_none());
    Decision { frontier, called, calls, deal, binding, terms, tokens: tokens.spend(called), flow: flow.spend(called) }
}

#[cfg(test)]
mod tests;
