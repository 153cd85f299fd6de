//! Units between the lanes of a sale: when a lane asks another one, which one, and when a sale is sold out (R11). Pure.

use domain::limits::{FILL_MS, LOW_WATER_MS};
use domain::{ItemId, Lines};
use lua::lane::{ItemStock, LaneStock};

/// What every lane of a sale showed, in order of their numbers, each at some moment of the round. `None`: it is not loaded, or
/// did not answer.
pub type Round = Vec<Option<LaneStock>>;

/// What a round means for a hold that its own lane could not serve.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Its lane has the units by now.
    Here,
    /// That lane has the most of what is missing, and all lanes together have enough.
    Ask(u16),
    /// What is missing is in checkout, on its way between lanes, or in a lane that did not answer.
    Held,
    /// All lanes together have fewer units than were asked for, and none is on its way. Sold out, when another round that
    /// begins after this one is [`same`].
    Gone,
}

fn stock<'a>(lane: &'a LaneStock, item: &ItemId) -> Option<&'a ItemStock> {
    let at = lane.items.binary_search_by(|(id, _)| id.cmp(item)).ok()?;
    lane.items.get(at).map(|(_, stock)| stock)
}

/// Units that can be held in a lane now.
#[must_use]
pub fn free(lane: Option<&LaneStock>, item: &ItemId) -> u64 {
    let free = lane.and_then(|lane| stock(lane, item)).map_or(0, |stock| stock.free);
    u64::try_from(free).unwrap_or(0)
}

/// Judges one hold of lane `own`. A line that nobody can serve decides before one that somebody can.
#[must_use]
pub fn judge(round: &Round, own: u16, lines: &Lines) -> Verdict {
    let here = round.get(usize::from(own)).and_then(Option::as_ref);
    if here.is_some() && lines.iter().all(|(item, units)| free(here, item) >= u64::from(units)) {
        return Verdict::Here;
    }
    let short = |(item, units): &(&ItemId, u32)| {
        round.iter().map(|lane| free(lane.as_ref(), item)).sum::<u64>() < u64::from(*units)
    };
    let mut short = lines.iter().filter(short).peekable();
    if short.peek().is_some() {
        let gone = short.any(|(item, units)| left(round, item).is_some_and(|left| left < i64::from(units)));
        return if gone { Verdict::Gone } else { Verdict::Held };
    }
    let has = |lane: &Option<LaneStock>| {
        let missing = lines.iter().filter(|(item, units)| free(here, item) < u64::from(*units));
        missing.map(|(item, _)| free(lane.as_ref(), item)).sum::<u64>()
    };
    richest(round, own, has).map_or(Verdict::Held, Verdict::Ask)
}

/// Units of an item that the lanes together can still sell; `None` when a lane is not known, or units are on their way: then
/// there may be more than was seen. In every lane free and live units are what is allocated and not sold, so while no lane's
/// settled seq changes this does not either.
fn left(round: &Round, item: &ItemId) -> Option<i64> {
    let (mut left, mut given, mut received) = (0, 0, 0);
    for lane in round {
        let stock = stock(lane.as_ref()?, item)?;
        left += stock.free + stock.live;
        given += stock.moved.given;
        received += stock.moved.received;
    }
    (given == received).then_some(left)
}

/// Whether nothing happened in any lane between two rounds: then there was a moment, between them, at which all lanes were as
/// they showed.
#[must_use]
pub fn same(one: &Round, other: &Round) -> bool {
    let settled = |lane: &Option<LaneStock>| lane.as_ref().map(|lane| lane.settled);
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| settled(a).is_some() && settled(a) == settled(b))
}

/// The lane other than `own` that has most of something; `None` when none has any.
#[must_use]
pub fn richest(round: &Round, own: u16, has: impl Fn(&Option<LaneStock>) -> u64) -> Option<u16> {
    let others = (0..).zip(round).filter(|(lane, _)| *lane != own);
    let most = others.map(|(lane, stock)| (has(stock), lane)).max_by_key(|(units, lane)| (*units, u16::MAX - lane));
    most.filter(|(units, _)| *units > 0).map(|(_, lane)| lane)
}

/// Units that a lane with `free` units, held at `rate` units a second, asks for ahead of need: none above its low-water mark.
#[must_use]
pub fn wanted(free: u64, rate: u64) -> u64 {
    let mark = rate.saturating_mul(LOW_WATER_MS) / 1_000;
    if rate == 0 || free > mark { 0 } else { (rate.saturating_mul(FILL_MS) / 1_000).max(1).saturating_sub(free) }
}

/// Free units that a lane held at `rate` units a second keeps when another one asks: what it would soon ask for itself, but
/// nothing while a visitor waits over there.
#[must_use]
pub const fn kept(rate: u64, urgent: bool) -> u64 {
    if urgent { 0 } else { rate.saturating_mul(FILL_MS) / 1_000 }
}

/// How fast units of an item are held, smoothed over a few looks.
#[derive(Clone, Copy, Default, Debug)]
pub struct Flow {
    units: u64,
    rate: u64,
}

impl Flow {
    /// Units were held.
    pub const fn held(&mut self, units: u64) {
        self.units = self.units.saturating_add(units);
    }

    /// A look, `ms` after the one before. Rounds up, so that a trickle counts.
    pub const fn look(&mut self, ms: u64) {
        let ms = if ms == 0 { 1 } else { ms };
        let now = self.units.saturating_mul(1_000).div_ceil(ms);
        self.rate = if now >= self.rate { now } else { self.rate.midpoint(now) };
        self.units = 0;
    }

    /// Units a second.
    #[must_use]
    pub const fn rate(self) -> u64 {
        self.rate
    }

    /// Whether nothing was held for so long that nobody needs to look.
    #[must_use]
    pub const fn is_still(self) -> bool {
        self.units == 0 && self.rate == 0
    }
}

#[cfg(test)]
#[path = "transfer_test.rs"]
mod tests;
