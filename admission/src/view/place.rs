//! A visitor's own view of the line: a pure function of the ticket's number and what everybody is shown.
//! Called once per poll, so it allocates nothing.

use domain::number::{Class, class_of};

use super::Snapshot;
use super::stock::Band;
use crate::step::Binding;

/// Shortest time between two polls, milliseconds: at the front a step is worth seeing soon.
pub const POLL_NEAR_MS: u64 = 1_000;
/// Longest time between two polls, milliseconds: what is said must not be older than half a minute.
pub const POLL_FAR_MS: u64 = 30_000;
/// Who waits in the lobby asks again within this time after the opening, milliseconds: a million people at once are too many.
const LOBBY_SPREAD_MS: u64 = 5_000;
/// A poll comes this often within the expected wait.
const POLLS_PER_WAIT: u64 = 10;
/// The longest wait that is told, milliseconds: a day. Beyond it a figure is no information.
const WAIT_MOST_MS: u64 = 24 * 3_600_000;

/// Where a ticket stands, as its visitor is told. `inside` and `done` need a pass or a booking mark and are not decided here.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PlaceState {
    /// In line.
    Waiting,
    /// May enter now.
    Called,
    /// Every unit is in checkout or sold, and the place is kept: units that come back go to the next in line.
    Standby,
    /// Nothing is left, and what might come back goes to others.
    Released,
}

impl PlaceState {
    /// The name in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Called => "called",
            Self::Standby => "standby",
            Self::Released => "released",
        }
    }
}

/// The chance that something is left when the turn comes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Chance {
    /// Everybody ahead and inside could take a free unit, and one would be left.
    Good,
    /// One would be left if some of the units in checkout came back, or some people ahead took none.
    Fair,
    /// More people are ahead than units are left.
    Low,
    /// Nothing is left.
    None,
}

impl Chance {
    /// The name in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Fair => "fair",
            Self::Low => "low",
            Self::None => "none",
        }
    }
}

/// The expected wait. Half of all waits end before `p50_ms`, nine of ten before `p90_ms`, if the line goes on as it does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wait {
    /// Milliseconds.
    pub p50_ms: u64,
    /// Milliseconds.
    pub p90_ms: u64,
}

/// What a visitor is told about the place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Where the ticket stands.
    pub state: PlaceState,
    /// People ahead who are not called yet.
    pub ahead: u64,
    /// `None` while nothing moves, so that no figure would be honest.
    pub wait: Option<Wait>,
    /// The chance that something is left.
    pub chance: Chance,
    /// When to ask again, milliseconds.
    pub poll_in_ms: u64,
}

/// The view of ticket `number`. `jitter` is any random number: it spreads the polls by a fifth to either side.
#[must_use]
pub fn place(number: u64, line: &Snapshot, jitter: u32) -> Place {
    let (called, ahead) = (line.ahead(number).is_none(), line.ahead(number).unwrap_or(0));
    let wait = if called { Some(Wait { p50_ms: 0, p90_ms: 0 }) } else { wait(ahead, line, class_of(number)) };
    let state = match line.band {
        Some(Band::SoldOut) if line.standby.is_some_and(|standby| ahead < standby.places.into()) => PlaceState::Standby,
        Some(Band::SoldOut) => PlaceState::Released,
        _ if called => PlaceState::Called,
        Some(Band::Held) => PlaceState::Standby,
        _ => PlaceState::Waiting,
    };
    let soon = match (state, wait) {
        (PlaceState::Released, _) => POLL_FAR_MS,
        (PlaceState::Standby, _) if line.standby.is_some() => on_standby(ahead, line),
        (_, Some(wait)) => (wait.p50_ms / POLLS_PER_WAIT).clamp(POLL_NEAR_MS, POLL_FAR_MS),
        (_, None) => spread_by_distance(ahead),
    };
    Place { state, ahead, wait, chance: chance(state, ahead, line), poll_in_ms: jittered(soon, jitter) }
}

/// Units come back one by one or many at once, so the wait says little. Who has a place that is kept asks twice within a turn:
/// one that is not noticed passes on.
fn on_standby(ahead: u64, line: &Snapshot) -> u64 {
    let spread = spread_by_distance(ahead);
    match line.standby.filter(|standby| ahead < standby.places.into()) {
        Some(standby) => spread.min(standby.claim_ms / 2).max(POLL_NEAR_MS),
        None => spread,
    }
}

/// When who waits in the lobby asks again: around half a minute, and soon after the opening, spread over the seconds in which the
/// order is drawn and the first are called. While it is drawn, each second.
#[must_use]
pub fn lobby_poll_ms(before_opening: bool, opens_in_ms: Option<u64>, jitter: u32) -> u64 {
    match opens_in_ms.filter(|_| before_opening) {
        Some(ms) if ms < POLL_FAR_MS => ms + LOBBY_SPREAD_MS / 10 + spread(LOBBY_SPREAD_MS, jitter),
        _ if before_opening => jittered(POLL_FAR_MS, jitter),
        _ => jittered(POLL_NEAR_MS, jitter),
    }
}

fn spread(ms: u64, jitter: u32) -> u64 {
    ms * u64::from(jitter) / u64::from(u32::MAX)
}

/// `ms` moved by up to a fifth to either side, so that visitors who came together do not ask together for ever.
#[must_use]
pub fn jittered(ms: u64, jitter: u32) -> u64 {
    ms - ms / 5 + (2 * (ms / 5) * u64::from(jitter)) / u64::from(u32::MAX)
}

/// From what the line did in the last minute. While the pace alone holds it, or nobody else waits, it moves at the pace;
/// while something else holds it, it moves as it did. Nine of ten waits end before the line has moved at two thirds of
/// that: places are given back unevenly, and the turns of people who do not come pass on only after the grace period.
///
/// A class moves at its share of that while others wait.
fn wait(ahead: u64, line: &Snapshot, class: Class) -> Option<Wait> {
    let pace = u64::from(line.pace_per_minute);
    let speed = match line.binding {
        Binding::Pace | Binding::Line => pace,
        Binding::Cap | Binding::Flow | Binding::Health | Binding::Stock => line.called.min(pace),
        Binding::Closed | Binding::Unknown => 0,
    };
    // In thousandths: a small share of a slow line is slow, and no standstill.
    let speed = speed.saturating_mul(line.share_permille(class));
    if speed == 0 {
        return None;
    }
    let people = ahead.saturating_add(1).saturating_mul(180_000_000);
    let ms = |speed_thirds: u64| (people / speed_thirds).min(WAIT_MOST_MS);
    Some(Wait { p50_ms: ms(speed * 3), p90_ms: ms(speed * 2) })
}

fn chance(state: PlaceState, ahead: u64, line: &Snapshot) -> Chance {
    let before = ahead.saturating_add(line.inside);
    if line.free == 0 && line.live == 0 {
        // Low also while the stock was never read: nothing is promised.
        if line.band.is_some() && state != PlaceState::Standby { Chance::None } else { Chance::Low }
    } else if before < line.free {
        Chance::Good
    } else if ahead < line.free.saturating_add(line.live) {
        Chance::Fair
    } else {
        Chance::Low
    }
}

/// While nothing moves: near people ask every few seconds, far ones rarely.
const fn spread_by_distance(ahead: u64) -> u64 {
    let ms = POLL_NEAR_MS.saturating_add(ahead.saturating_mul(20));
    if ms > POLL_FAR_MS { POLL_FAR_MS } else { ms }
}

#[cfg(test)]
mod tests;
