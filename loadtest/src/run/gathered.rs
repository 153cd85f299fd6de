//! Everything that one process, or several together, counted and saw; and its written form.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::HoldId;
use serde::{Deserialize, Serialize};

use super::Busy;
use crate::answer::PROBLEMS;
use crate::oracle::{Booked, Finding, Findings, History, Order, PassSeen};
use crate::sample::Rechecked;
use crate::scrape::Scraped;
use crate::series::{Band, Column, Series};
use crate::stats::{Kind, Stats, Tally, Timing, Window};

/// What the run was.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Head {
    /// Name of the load.
    pub(crate) journey: String,
    pub(crate) about: String,
    pub(crate) target: String,
    pub(crate) sale: String,
    pub(crate) item: String,
    pub(crate) quantity: u32,
    /// At once, at most.
    pub(crate) visitors: u32,
    pub(crate) arrivals: String,
    pub(crate) rate: Option<f64>,
    pub(crate) threads: u32,
    /// Whether anybody books.
    pub(crate) books: bool,
    pub(crate) part: Option<(u32, u32)>,
}

/// What was counted and seen, before it is judged.
pub(crate) struct Gathered {
    pub(crate) head: Head,
    pub(crate) stats: Stats,
    pub(crate) history: History,
    /// The span that was measured: the window, or less when the journeys were used up before.
    pub(crate) measured: Duration,
    /// What each thread did with its time.
    pub(crate) busy: Vec<Busy>,
    pub(crate) opened: u64,
    /// Starts that never found a visitor.
    pub(crate) never_started: u64,
    pub(crate) rechecked: Rechecked,
    /// Units there are, as far as that was known.
    pub(crate) units: Option<u64>,
    pub(crate) scraped: Scraped,
    /// Memory of the process (or all of them) at its highest, above what it had at the start.
    pub(crate) most_bytes: u64,
}

impl Gathered {
    /// Adds what another process of the same run gathered.
    pub(crate) fn add(&mut self, other: Self) {
        self.head.visitors = self.head.visitors.saturating_add(other.head.visitors);
        self.head.threads += other.head.threads;
        self.head.part = None;
        self.stats.add(other.stats);
        self.history.add(other.history);
        self.measured = self.measured.max(other.measured);
        self.busy.extend(other.busy);
        self.opened += other.opened;
        self.never_started += other.never_started;
        self.rechecked.add(other.rechecked);
        self.units = self.units.max(other.units);
        // All processes look at the same server: one of them says it all.
        if self.scraped.metrics.is_empty() {
            self.scraped = other.scraped;
        }
        self.most_bytes += other.most_bytes;
    }
}

type Pairs = Vec<(u64, u64)>;

#[derive(Serialize, Deserialize)]
struct RawTally {
    accepted: Pairs,
    refused: Pairs,
    problems: BTreeMap<String, u64>,
    pending: u64,
    sent: u64,
    lost: u64,
    strange: u64,
    unknown: u64,
}

#[derive(Serialize, Deserialize)]
struct RawColumn {
    arrivals: u64,
    bookings: u64,
    lost: u64,
    accepted: BTreeMap<String, u64>,
    problems: BTreeMap<String, u64>,
    bands: BTreeMap<String, Vec<(u16, u32)>>,
}

#[derive(Serialize, Deserialize)]
struct RawHistory {
    /// Id, and lane and seq where they were told.
    booked: Vec<(HoldId, Option<(u16, u64)>)>,
    gone: Vec<HoldId>,
    gone_early: Vec<HoldId>,
    sold_out: u64,
    tickets: Vec<u64>,
    passes: Vec<(u64, u64)>,
    units: BTreeMap<String, u64>,
    pace: Option<u64>,
    left_out: u64,
    /// Name and words of those that are told.
    told: Vec<(String, String)>,
    found: BTreeMap<String, u64>,
}

/// The written form: `version` 1.
#[derive(Serialize, Deserialize)]
pub(crate) struct Raw {
    version: u32,
    head: Head,
    calls: BTreeMap<String, RawTally>,
    booked: u64,
    answers: u64,
    begun: u64,
    cut_off: u64,
    turned_away: u64,
    arrived: u64,
    walked_away: u64,
    most_on_way: u64,
    late: Pairs,
    lag: Pairs,
    lost: BTreeMap<String, u64>,
    told: Vec<String>,
    column_s: u64,
    columns: Vec<RawColumn>,
    history: RawHistory,
    measured_ms: u64,
    busy: Vec<Busy>,
    opened: u64,
    never_started: u64,
    rechecked: Rechecked,
    units: Option<u64>,
    scraped: Scraped,
    most_bytes: u64,
}

/// Version of [`Raw`] that is written and read.
const VERSION: u32 = 1;

fn named(counts: &[u64], name: impl Fn(usize) -> Option<&'static str>) -> BTreeMap<String, u64> {
    let counts = counts.iter().enumerate().filter(|(_, count)| **count > 0);
    counts.filter_map(|(n, count)| Some((name(n)?.to_owned(), *count))).collect()
}

fn problem_name(n: usize) -> Option<&'static str> {
    PROBLEMS.get(n).copied()
}

fn kind_name(n: usize) -> Option<&'static str> {
    Kind::ALL.get(n).map(|kind| kind.as_str())
}

fn numbered<const N: usize>(names: &BTreeMap<String, u64>, name: impl Fn(usize) -> Option<&'static str>) -> [u64; N] {
    std::array::from_fn(|n| name(n).and_then(|name| names.get(name)).copied().unwrap_or(0))
}

impl RawTally {
    fn of(tally: &Tally) -> Self {
        Self {
            accepted: tally.accepted.pairs(),
            refused: tally.refused.pairs(),
            problems: named(&tally.problems, problem_name),
            pending: tally.pending,
            sent: tally.sent,
            lost: tally.lost,
            strange: tally.strange,
            unknown: tally.unknown,
        }
    }

    fn tally(&self) -> Tally {
        Tally {
            accepted: Timing::of_pairs(&self.accepted),
            refused: Timing::of_pairs(&self.refused),
            problems: numbered(&self.problems, problem_name),
            pending: self.pending,
            sent: self.sent,
            lost: self.lost,
            strange: self.strange,
            unknown: self.unknown,
        }
    }
}

impl RawColumn {
    fn of(column: &Column) -> Self {
        let bands = column.bands.iter().enumerate();
        let bands = bands.filter_map(|(n, band)| Some((kind_name(n)?.to_owned(), band.as_ref()?.pairs())));
        Self {
            arrivals: column.arrivals,
            bookings: column.bookings,
            lost: column.lost,
            accepted: named(&column.accepted, kind_name),
            problems: named(&column.problems, problem_name),
            bands: bands.collect(),
        }
    }

    fn column(&self) -> Column {
        let band = |n| kind_name(n).and_then(|name| self.bands.get(name)).map(|pairs| Band::of_pairs(pairs));
        Column {
            arrivals: self.arrivals,
            bookings: self.bookings,
            lost: self.lost,
            accepted: numbered(&self.accepted, kind_name),
            problems: numbered(&self.problems, problem_name),
            bands: std::array::from_fn(band),
        }
    }
}

impl RawHistory {
    fn of(history: &History) -> Self {
        let told = history.found.told.iter().map(|finding| (finding.name().to_owned(), finding.to_string()));
        Self {
            booked: history.booked.iter().map(|booked| (booked.id, booked.at)).collect(),
            gone: history.gone.clone(),
            gone_early: history.gone_early.clone(),
            sold_out: history.sold_out,
            tickets: history.tickets.clone(),
            passes: history.passes.iter().map(|pass| (pass.number, pass.expires_ms)).collect(),
            units: history.units.clone(),
            pace: history.pace,
            left_out: history.left_out,
            told: told.collect(),
            found: history.found.counts.clone(),
        }
    }

    fn history(self) -> History {
        let told = self.told.into_iter().map(|(name, what)| Finding::OfPart { name, what });
        History {
            booked: self.booked.into_iter().map(|(id, at)| Booked { id, at }).collect(),
            gone: self.gone,
            gone_early: self.gone_early,
            sold_out: self.sold_out,
            tickets: self.tickets,
            passes: self.passes.into_iter().map(|(number, expires_ms)| PassSeen { number, expires_ms }).collect(),
            units: self.units,
            pace: self.pace,
            left_out: self.left_out,
            found: Findings { told: told.collect(), counts: self.found },
            // Judged on the way, by the process that saw it.
            order: Order::default(),
        }
    }
}

impl Raw {
    pub(crate) fn of(gathered: &Gathered) -> Self {
        let stats = &gathered.stats;
        let calls = Kind::ALL.into_iter().filter_map(|kind| Some((kind, stats.tally(kind)?)));
        let calls = calls.filter(|(_, tally)| !tally.is_empty());
        Self {
            version: VERSION,
            head: gathered.head.clone(),
            calls: calls.map(|(kind, tally)| (kind.as_str().to_owned(), RawTally::of(tally))).collect(),
            booked: stats.booked,
            answers: stats.answers,
            begun: stats.begun,
            cut_off: stats.cut_off,
            turned_away: stats.turned_away,
            arrived: stats.arrived,
            walked_away: stats.walked_away,
            most_on_way: stats.most_on_way,
            late: stats.late.pairs(),
            lag: stats.lag.pairs(),
            lost: stats.lost.iter().map(|(why, count)| ((*why).to_owned(), *count)).collect(),
            told: stats.told.clone(),
            column_s: stats.series.width.as_secs(),
            columns: stats.series.columns.iter().map(RawColumn::of).collect(),
            history: RawHistory::of(&gathered.history),
            measured_ms: u64::try_from(gathered.measured.as_millis()).unwrap_or(u64::MAX),
            busy: gathered.busy.clone(),
            opened: gathered.opened,
            never_started: gathered.never_started,
            rechecked: gathered.rechecked,
            units: gathered.units,
            scraped: gathered.scraped.clone(),
            most_bytes: gathered.most_bytes,
        }
    }

    /// Seconds of a column: parts of one run have the same.
    pub(crate) fn column_s(&self) -> u64 {
        self.column_s
    }

    pub(crate) fn head(&self) -> &Head {
        &self.head
    }

    pub(crate) fn is_readable(&self) -> bool {
        self.version == VERSION
    }

    pub(crate) fn gathered(self) -> Gathered {
        // Moments of another process have no meaning here: only what was counted is left.
        let from = Instant::now();
        let mut series = Series::new(from, Duration::ZERO);
        series.width = Duration::from_secs(self.column_s.max(1));
        series.columns = self.columns.iter().map(RawColumn::column).collect();
        let mut stats = Stats::new(Window { from, to: from }, series, Arc::default());
        for kind in Kind::ALL {
            if let Some(tally) = self.calls.get(kind.as_str()) {
                stats.set_tally(kind, tally.tally());
            }
        }
        stats.booked = self.booked;
        stats.answers = self.answers;
        stats.begun = self.begun;
        stats.cut_off = self.cut_off;
        stats.turned_away = self.turned_away;
        stats.arrived = self.arrived;
        stats.walked_away = self.walked_away;
        stats.most_on_way = self.most_on_way;
        stats.late = Timing::of_pairs(&self.late);
        stats.lag = Timing::of_pairs(&self.lag);
        stats.lost = self.lost;
        stats.told = self.told;
        Gathered {
            head: self.head,
            stats,
            history: self.history.history(),
            measured: Duration::from_millis(self.measured_ms),
            busy: self.busy,
            opened: self.opened,
            never_started: self.never_started,
            rechecked: self.rechecked,
            units: self.units,
            scraped: self.scraped,
            most_bytes: self.most_bytes,
        }
    }
}
