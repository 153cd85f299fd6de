//! What is counted and timed, per thread, added up at the end.

mod kind;
mod timing;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

pub(crate) use kind::Kind;
pub(crate) use timing::{Percentiles, Timing};

use crate::answer::{PROBLEMS, Problem};
use crate::http::Lost;
use crate::limits::MAX_TOLD;
use crate::progress::Progress;
use crate::series::Series;

/// What became of the calls of one kind.
#[derive(Clone)]
pub(crate) struct Tally {
    /// From the intended start to the answer asked for.
    pub(crate) accepted: Timing,
    /// From the intended start to a refusal.
    pub(crate) refused: Timing,
    /// Answers by problem, in the order of [`PROBLEMS`]; a call that was put off and sent again is counted each time.
    pub(crate) problems: [u64; PROBLEMS.len()],
    /// Answers 202: not decided yet.
    pub(crate) pending: u64,
    /// Requests sent, each time.
    pub(crate) sent: u64,
    /// Requests whose answer was lost, each time; not those that were lost on purpose.
    pub(crate) lost: u64,
    /// Answers that the contract does not have.
    pub(crate) strange: u64,
    /// Calls given up without an outcome.
    pub(crate) unknown: u64,
}

impl Tally {
    pub(crate) fn new() -> Self {
        let (accepted, refused) = (Timing::new(), Timing::new());
        Self { accepted, refused, problems: [0; PROBLEMS.len()], pending: 0, sent: 0, lost: 0, strange: 0, unknown: 0 }
    }

    fn add(&mut self, other: &Self) {
        self.accepted.add(&other.accepted);
        self.refused.add(&other.refused);
        for (sum, more) in self.problems.iter_mut().zip(other.problems) {
            *sum += more;
        }
        self.pending += other.pending;
        self.sent += other.sent;
        self.lost += other.lost;
        self.strange += other.strange;
        self.unknown += other.unknown;
    }

    /// Whether anything of this kind happened.
    pub(crate) fn is_empty(&self) -> bool {
        let others = self.pending + self.lost + self.strange + self.unknown + self.problems.iter().sum::<u64>();
        self.accepted.count() + self.refused.count() + others == 0
    }
}

/// The span that is measured. Calls count when they were *meant* to start inside, however late they end: leaving out slow
/// ones at the end would make the server look better than it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) from: Instant,
    pub(crate) to: Instant,
}

impl Window {
    fn holds(&self, at: Instant) -> bool {
        self.from <= at && at < self.to
    }
}

/// Everything one thread counted.
#[derive(Clone)]
pub(crate) struct Stats {
    pub(crate) window: Window,
    tallies: Vec<Tally>,
    /// Bookings whose 201 came inside the window.
    pub(crate) booked: u64,
    /// Answers that came inside the window.
    pub(crate) answers: u64,
    /// Journeys that were begun inside the window, and those cut off by the end of the run.
    pub(crate) begun: u64,
    /// See [`Stats::begun`].
    pub(crate) cut_off: u64,
    /// Visitors who stopped travelling because the sale is over: closed, or nothing is left that could come back.
    pub(crate) turned_away: u64,
    /// Journeys that came to what they were made for, inside the window or not.
    pub(crate) arrived: u64,
    /// Visitors who went away by themselves, as their scenario says.
    pub(crate) walked_away: u64,
    /// Visitors on their way, now and at most; those of several threads or processes as if all had been at the same moment.
    on_way: u64,
    pub(crate) most_on_way: u64,
    /// How much later than intended journeys began.
    pub(crate) late: Timing,
    /// How much later than asked for the thread was woken: the client's own lateness.
    pub(crate) lag: Timing,
    /// What happened when.
    pub(crate) series: Series,
    progress: Arc<Progress>,
    /// Lost answers by reason.
    pub(crate) lost: BTreeMap<String, u64>,
    /// The first strange answers, in words.
    pub(crate) told: Vec<String>,
}

impl Stats {
    pub(crate) fn new(window: Window, series: Series, progress: Arc<Progress>) -> Self {
        Self {
            window,
            series,
            progress,
            walked_away: 0,
            on_way: 0,
            most_on_way: 0,
            lag: Timing::new(),
            tallies: Kind::ALL.iter().map(|_| Tally::new()).collect(),
            booked: 0,
            answers: 0,
            begun: 0,
            cut_off: 0,
            turned_away: 0,
            arrived: 0,
            late: Timing::new(),
            lost: BTreeMap::new(),
            told: Vec::new(),
        }
    }

    pub(crate) fn set_tally(&mut self, kind: Kind, tally: Tally) {
        if let Some(place) = self.tallies.get_mut(kind as usize) {
            *place = tally;
        }
    }

    pub(crate) fn tally(&self, kind: Kind) -> Option<&Tally> {
        self.tallies.get(kind as usize)
    }

    /// Changes the tally of a kind, when `from` lies in the window.
    fn count(&mut self, kind: Kind, from: Instant, change: impl FnOnce(&mut Tally)) {
        if self.window.holds(from)
            && let Some(tally) = self.tallies.get_mut(kind as usize)
        {
            change(tally);
        }
    }

    pub(crate) fn begin(&mut self, intended: Instant, now: Instant) {
        self.series.arrival(intended);
        self.progress.began();
        self.on_way += 1;
        self.most_on_way = self.most_on_way.max(self.on_way);
        if self.window.holds(intended) {
            self.begun += 1;
            self.late.record(now.saturating_duration_since(intended));
        }
    }

    /// A journey is over, one way or another.
    pub(crate) fn ended(&mut self) {
        self.progress.ended();
        self.on_way = self.on_way.saturating_sub(1);
    }

    /// A request is sent.
    pub(crate) fn sends(&mut self, kind: Kind, from: Instant) {
        self.count(kind, from, |tally| tally.sent += 1);
    }

    pub(crate) fn answered(&mut self, now: Instant) {
        self.progress.answered();
        self.answers += u64::from(self.window.holds(now));
    }

    pub(crate) fn accepted(&mut self, kind: Kind, from: Instant, now: Instant) {
        self.series.accepted(kind, now, now.saturating_duration_since(from));
        self.count(kind, from, |tally| tally.accepted.record(now.saturating_duration_since(from)));
    }

    pub(crate) fn refused(&mut self, kind: Kind, from: Instant, now: Instant) {
        self.count(kind, from, |tally| tally.refused.record(now.saturating_duration_since(from)));
    }

    pub(crate) fn problem(&mut self, kind: Kind, from: Instant, problem: Problem) {
        self.series.problem(problem);
        self.progress.refused();
        self.count(kind, from, |tally| tally.problems.iter_mut().skip(problem.0).take(1).for_each(|count| *count += 1));
    }

    pub(crate) fn pending(&mut self, kind: Kind, from: Instant) {
        self.count(kind, from, |tally| tally.pending += 1);
    }

    pub(crate) fn lost(&mut self, kind: Kind, from: Instant, why: &Lost) {
        if !matches!(why, Lost::OnPurpose) {
            self.count(kind, from, |tally| tally.lost += 1);
            self.series.lost();
            self.progress.lost();
        }
        let why = match why {
            Lost::Refused(_) => "no connection",
            Lost::Closed => "closed",
            Lost::Broken(_) => "broken",
            Lost::TimedOut => "timed out",
            Lost::Bad(_) => "not HTTP",
            Lost::OnPurpose => "on purpose",
        };
        match self.lost.get_mut(why) {
            Some(count) => *count += 1,
            None => drop(self.lost.insert(why.to_owned(), 1)),
        }
    }

    pub(crate) fn unknown(&mut self, kind: Kind, from: Instant) {
        self.count(kind, from, |tally| tally.unknown += 1);
    }

    /// Notes an answer that the contract does not have; always counted, window or not.
    pub(crate) fn strange(&mut self, kind: Kind, status: u16, body: &[u8]) {
        if let Some(tally) = self.tallies.get_mut(kind as usize) {
            tally.strange += 1;
        }
        if self.told.len() < MAX_TOLD {
            let start = String::from_utf8_lossy(body.get(..body.len().min(300)).unwrap_or_default()).into_owned();
            self.told.push(format!("{} was answered {status} {start}", kind.as_str()));
        }
    }

    pub(crate) fn booking(&mut self, now: Instant) {
        self.series.booking(now);
        self.progress.booked();
        self.booked += u64::from(self.window.holds(now));
    }

    /// Adds what another thread counted in the same window.
    pub(crate) fn add(&mut self, other: Self) {
        for (sum, more) in self.tallies.iter_mut().zip(&other.tallies) {
            sum.add(more);
        }
        self.booked += other.booked;
        self.answers += other.answers;
        self.begun += other.begun;
        self.cut_off += other.cut_off;
        self.turned_away += other.turned_away;
        self.arrived += other.arrived;
        self.walked_away += other.walked_away;
        self.most_on_way += other.most_on_way;
        self.lag.add(&other.lag);
        self.series.add(&other.series);
        self.late.add(&other.late);
        for (why, count) in other.lost {
            *self.lost.entry(why).or_default() += count;
        }
        let room = MAX_TOLD.saturating_sub(self.told.len());
        self.told.extend(other.told.into_iter().take(room));
    }
}

#[cfg(test)]
mod tests;
