//! What clients saw, compared with what must always hold.
//!
//! The history is compact (one small entry per booking, ticket and pass) and bounded; what did not fit is counted and said.
//! Judging it is a pure function, and its tests plant each violation.

use std::collections::BTreeMap;
use std::fmt;

use domain::HoldId;

use crate::limits::{MAX_KEPT, MAX_TOLD_EACH, STALE_SECONDS};

mod feed;

pub(crate) use feed::{FeedFinding, FeedTruth};

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

/// Something that must not be.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Finding {
    /// I4: one id was answered booked and gone.
    BookedAndGone(HoldId),
    /// I4: requests of two keys were answered with one booking.
    OneBookingTwice(HoldId),
    /// I4: one key was answered with two ids.
    TwoIds(HoldId, HoldId),
    /// R1: one event of a log is two bookings.
    OneEventTwice(u16, u64),
    /// I1: more units were confirmed than there are.
    Oversold { item: String, booked: u64, units: u64 },
    /// I3: a confirmed booking is not among the visitor's bookings.
    Lost(HoldId),
    /// R1: a decided confirm was answered otherwise later.
    Changed { id: HoldId, before: &'static str, after: String },
    /// I8: a confirm came to no decision.
    Undecided(HoldId),
    /// I6: two visitors have one number.
    NumberTwice(u64),
    /// One pass per ticket: two passes were given for one number.
    PassTwice(u64),
    /// I6: a pass was given for a number that had not been called.
    NotCalled { number: u64, frontier: u64 },
    /// I6: the frontier went back.
    WentBack { before: u64, after: u64 },
    /// I7: more passes in a window than the pace allows.
    TooMany { window_ms: u64, passes: usize, allowed: u64 },
    /// What the event feed shows.
    Feed(FeedFinding),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BookedAndGone(id) => write!(f, "I4: {id} was answered both booked and gone"),
            Self::OneBookingTwice(id) => write!(f, "I4: {id} was given to requests of two keys"),
            Self::TwoIds(one, two) => write!(f, "I4: one key was answered {one} and {two}"),
            Self::OneEventTwice(lane, seq) => write!(f, "R1: event {seq} of lane {lane} is more than one booking"),
            Self::Oversold { item, booked, units } => {
                write!(f, "I1: {booked} units of {item} were confirmed, there are {units}")
            }
            Self::Lost(id) => write!(f, "I3: {id} was confirmed and is not among its visitor's bookings"),
            Self::Changed { id, before, after } => write!(f, "R1: {id} was {before} and later answered {after}"),
            Self::Undecided(id) => write!(f, "I8: the confirm of {id} came to no decision"),
            Self::NumberTwice(number) => write!(f, "I6: number {number} was given to two visitors"),
            Self::PassTwice(number) => write!(f, "number {number} got more than one pass"),
            Self::NotCalled { number, frontier } => {
                write!(f, "I6: number {number} got a pass and the frontier was at {frontier} afterwards")
            }
            Self::WentBack { before, after } => write!(f, "I6: the frontier went back from {before} to {after}"),
            Self::TooMany { window_ms, passes, allowed } => {
                write!(f, "I7: {passes} passes within {window_ms} ms, {allowed} are allowed")
            }
            Self::Feed(finding) => finding.fmt(f),
        }
    }
}

impl Finding {
    /// The name in the JSON report.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::BookedAndGone(_) => "booked-and-gone",
            Self::OneBookingTwice(_) => "one-booking-twice",
            Self::TwoIds(..) => "two-ids",
            Self::OneEventTwice(..) => "one-event-twice",
            Self::Oversold { .. } => "oversold",
            Self::Lost(_) => "lost",
            Self::Changed { .. } => "changed",
            Self::Undecided(_) => "undecided",
            Self::NumberTwice(_) => "number-twice",
            Self::PassTwice(_) => "pass-twice",
            Self::NotCalled { .. } => "not-called",
            Self::WentBack { .. } => "went-back",
            Self::TooMany { .. } => "too-many",
            Self::Feed(finding) => finding.name(),
        }
    }
}

/// What was found: all of it counted by name, the first few of each name told.
#[derive(Default, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Findings {
    pub(crate) told: Vec<Finding>,
    pub(crate) counts: BTreeMap<&'static str, u64>,
}

impl Findings {
    pub(crate) fn push(&mut self, finding: Finding) {
        let count = self.counts.entry(finding.name()).or_default();
        *count += 1;
        if *count <= MAX_TOLD_EACH {
            self.told.push(finding);
        }
    }

    fn add(&mut self, other: Self) {
        for (name, count) in other.counts {
            let before = self.counts.entry(name).or_default();
            let told = other.told.iter().filter(|finding| finding.name() == name);
            let room = usize::try_from(MAX_TOLD_EACH.saturating_sub(*before)).unwrap_or(0);
            self.told.extend(told.take(room).cloned());
            *before += count;
        }
    }
}

/// What the visitors of one thread saw.
#[derive(Default)]
pub(crate) struct History {
    pub(crate) booked: Vec<Booked>,
    pub(crate) gone: Vec<HoldId>,
    pub(crate) tickets: Vec<u64>,
    pub(crate) passes: Vec<PassSeen>,
    /// Units confirmed per item; all of them, also those of bookings that did not fit.
    pub(crate) units: BTreeMap<String, u64>,
    /// The highest pace that the line showed, passes per minute.
    pub(crate) pace: Option<u64>,
    /// Entries that did not fit.
    pub(crate) left_out: u64,
    /// What was found on the way.
    pub(crate) found: Findings,
    order: Order,
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
struct Order {
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
}

/// Compares a whole history with what must hold; what was found on the way comes first.
pub(crate) fn judge(mut history: History, known: &Known) -> Findings {
    let mut found = std::mem::take(&mut history.found);
    let mut find = |finding| found.push(finding);

    if let Some(feed) = &known.feed {
        feed.judge(&history).into_iter().map(Finding::Feed).for_each(&mut find);
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
