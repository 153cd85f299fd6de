//! What clients saw, compared with what must always hold.
//!
//! The history is compact (one small entry per booking, ticket and pass) and bounded; what did not fit is counted and said.
//! Judging it is a pure function, and its tests plant each violation.

use std::collections::BTreeMap;

use domain::HoldId;

use crate::limits::{MAX_KEPT, STALE_SECONDS};

mod feed;
mod finding;

pub(crate) use feed::{FeedFinding, FeedTruth};
pub(crate) use finding::{Finding, Findings};

/// A booking as its 201 told it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Booked {
    pub(crate) id: HoldId,
    /// Lane and seq of the event, when the answer said so.
    pub(crate) at: Option<(u16, u64)>,
}

/// A pass as its 201 told it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct PassSeen {
    pub(crate) number: u64,
    /// Expiry by the server's clock, milliseconds: the moment it was granted plus a constant; 0 when it was not said.
    pub(crate) expires_ms: u64,
}

/// What the visitors of one thread saw.
#[derive(Default)]
pub(crate) struct History {
    pub(crate) booked: Vec<Booked>,
    pub(crate) gone: Vec<HoldId>,
    pub(crate) tickets: Vec<u64>,
    pub(crate) passes: Vec<PassSeen>,
    /// Of `gone`, those that were gone long before their deadline.
    pub(crate) gone_early: Vec<HoldId>,
    /// Holds refused as sold out.
    pub(crate) sold_out: u64,
    /// Units confirmed per item; all of them, also those of bookings that did not fit.
    pub(crate) units: BTreeMap<String, u64>,
    /// The highest pace that the line showed, passes per minute.
    pub(crate) pace: Option<u64>,
    /// Entries that did not fit.
    pub(crate) left_out: u64,
    /// What was found on the way.
    pub(crate) found: Findings,
    pub(crate) order: Order,
}

fn keep<T>(list: &mut Vec<T>, entry: T, left_out: &mut u64) {
    if list.len() < MAX_KEPT { list.push(entry) } else { *left_out += 1 }
}

impl History {
    pub(crate) fn find(&mut self, finding: Finding) {
        self.found.push(finding);
    }

    pub(crate) fn book(&mut self, booked: Booked, item: &str, units: u64) {
        keep(&mut self.booked, booked, &mut self.left_out);
        match self.units.get_mut(item) {
            Some(sum) => *sum += units,
            None => drop(self.units.insert(item.to_owned(), units)),
        }
    }

    pub(crate) fn gone(&mut self, id: HoldId) {
        keep(&mut self.gone, id, &mut self.left_out);
    }

    pub(crate) fn gone_early(&mut self, id: HoldId) {
        keep(&mut self.gone_early, id, &mut self.left_out);
    }

    pub(crate) fn ticket(&mut self, number: u64) {
        keep(&mut self.tickets, number, &mut self.left_out);
    }

    /// A pass that came `second` seconds after the start of the run.
    pub(crate) fn pass(&mut self, pass: PassSeen, second: usize) {
        keep(&mut self.passes, pass, &mut self.left_out);
        self.order.pass(second, pass.number);
    }

    /// The frontier as an answer showed it, whose request was sent `second` seconds after the start.
    pub(crate) fn frontier(&mut self, frontier: u64, second: usize) {
        if let Some(finding) = self.order.frontier(second, frontier) {
            self.find(finding);
        }
    }

    /// Adds what another thread saw.
    pub(crate) fn add(&mut self, mut other: Self) {
        self.booked.append(&mut other.booked);
        self.gone.append(&mut other.gone);
        self.gone_early.append(&mut other.gone_early);
        self.sold_out += other.sold_out;
        self.tickets.append(&mut other.tickets);
        self.passes.append(&mut other.passes);
        for (item, units) in other.units {
            *self.units.entry(item).or_default() += units;
        }
        self.pace = self.pace.max(other.pace);
        self.left_out += other.left_out;
        self.found.add(other.found);
    }
}

/// Numbers seen per second of the run. What a poll shows may be some seconds old (every process polls by itself and the
/// answer may be cached), so it is compared with what was certain that long before.
#[derive(Default)]
pub(crate) struct Order {
    passes: Vec<u64>,
    frontiers: Vec<u64>,
}

impl Order {
    fn raise(list: &mut Vec<u64>, second: usize, to: u64) {
        let last = list.last().copied().unwrap_or(0);
        if list.len() <= second {
            list.resize(second + 1, last);
        }
        for later in list.iter_mut().skip(second) {
            *later = to.max(*later);
        }
    }

    fn before(list: &[u64], second: usize) -> u64 {
        let until = second.checked_sub(STALE_SECONDS).map(|until| until.min(list.len().saturating_sub(1)));
        until.and_then(|until| list.get(until)).copied().unwrap_or(0)
    }

    fn pass(&mut self, second: usize, number: u64) {
        Self::raise(&mut self.passes, second, number);
    }

    fn frontier(&mut self, second: usize, frontier: u64) -> Option<Finding> {
        let (before, number) = (Self::before(&self.frontiers, second), Self::before(&self.passes, second));
        Self::raise(&mut self.frontiers, second, frontier);
        if frontier < before {
            Some(Finding::WentBack { before, after: frontier })
        } else if frontier < number {
            Some(Finding::NotCalled { number, frontier })
        } else {
            None
        }
    }
}

/// What the server said about the sale.
#[derive(Default, Clone, Debug)]
pub(crate) struct Known {
    /// Units per item.
    pub(crate) units: BTreeMap<String, u64>,
    /// The frontier some time after the last pass.
    pub(crate) last_frontier: Option<u64>,
    /// The event feed after the run, as far as it could be read.
    pub(crate) feed: Option<FeedTruth>,
    /// The item that was held, and units of each hold.
    pub(crate) wanted: Option<(String, u64)>,
    /// What the server's own audit says does not hold, as (invariant, what).
    pub(crate) audit: Vec<(String, String)>,
}

/// Compares a whole history with what must hold; what was found on the way comes first.
pub(crate) fn judge(mut history: History, known: &Known) -> Findings {
    let mut found = std::mem::take(&mut history.found);
    let mut find = |finding| found.push(finding);

    if let Some(feed) = &known.feed {
        feed.judge(&history).into_iter().map(Finding::Feed).for_each(&mut find);
        refusals(&history, feed, known).for_each(&mut find);
    }
    for (invariant, what) in &known.audit {
        find(Finding::Audit { invariant: invariant.clone(), what: what.clone() });
    }
    history.booked.sort_unstable();
    twice(history.booked.iter().map(|booked| booked.id)).for_each(|id| find(Finding::OneBookingTwice(id)));
    for id in &history.gone {
        if history.booked.binary_search_by_key(id, |booked| booked.id).is_ok() {
            find(Finding::BookedAndGone(*id));
        }
    }
    let mut events: Vec<_> = history.booked.iter().filter_map(|booked| booked.at).collect();
    events.sort_unstable();
    twice(events.into_iter()).for_each(|(lane, seq)| find(Finding::OneEventTwice(lane, seq)));

    for (item, booked) in &history.units {
        if let Some(units) = known.units.get(item)
            && booked > units
        {
            find(Finding::Oversold { item: item.clone(), booked: *booked, units: *units });
        }
    }

    history.tickets.sort_unstable();
    twice(history.tickets.iter().copied()).for_each(|number| find(Finding::NumberTwice(number)));
    history.passes.sort_unstable();
    twice(history.passes.iter().map(|pass| pass.number)).for_each(|number| find(Finding::PassTwice(number)));
    if let (Some(frontier), Some(last)) = (known.last_frontier, history.passes.last())
        && last.number > frontier
    {
        find(Finding::NotCalled { number: last.number, frontier });
    }
    if let Some(pace) = history.pace {
        let mut granted: Vec<u64> = history.passes.iter().map(|pass| pass.expires_ms).filter(|ms| *ms > 0).collect();
        granted.sort_unstable();
        too_many(&granted, 1_000, pace.div_ceil(60)).into_iter().for_each(&mut find);
        too_many(&granted, 60_000, pace).into_iter().for_each(&mut find);
    }
    found
}

/// Refusals that the whole feed does not bear out.
fn refusals(history: &History, feed: &FeedTruth, known: &Known) -> impl Iterator<Item = Finding> {
    let complete = feed.complete;
    let early = history.gone_early.iter().filter(move |id| complete && !feed.says_why(id));
    let early = early.map(|id| Finding::GoneEarly(*id));
    let free = known.wanted.as_ref().filter(|_| complete && history.sold_out > 0).and_then(|(item, quantity)| {
        // A hold takes its units from one lane: each may keep what is too little for another one.
        let (free, lanes) = feed.left(item);
        let enough = free > lanes * quantity.saturating_sub(1);
        enough.then(|| Finding::SoldOutButFree { item: item.clone(), free, refused: history.sold_out })
    });
    early.chain(free)
}

/// Entries of a sorted list that stand there more than once, each once.
fn twice<T: PartialEq + Copy>(sorted: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
    let (mut last, mut told) = (None, false);
    sorted.filter(move |entry| {
        let again = last == Some(*entry);
        let tell = again && !told;
        told = again;
        last = Some(*entry);
        tell
    })
}

/// The fullest window, when it holds more than allowed. Times are sorted, all later by the same constant than the grants.
fn too_many(granted: &[u64], window_ms: u64, allowed: u64) -> Option<Finding> {
    let (mut first, mut most) = (0, 0);
    for (n, at) in granted.iter().enumerate() {
        while granted.get(first).is_some_and(|start| at - start >= window_ms) {
            first += 1;
        }
        most = most.max(n + 1 - first);
    }
    (most as u64 > allowed).then_some(Finding::TooMany { window_ms, passes: most, allowed })
}

#[cfg(test)]
#[path = "oracle/tests.rs"]
mod tests;
