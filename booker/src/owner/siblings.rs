//! One of several lanes: what its owner keeps about the others (R11). A sale of one lane has none of this.
//!
//! [`super::dry`] is what becomes of holds that its own lane cannot serve, [`super::transfers`] how units come and go.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use domain::limits::{DRY_HOLD_MS, FETCH_EVERY_MS, FREE_LOOK_MS, ROUND_EVERY_LANE_MS, ROUND_EVERY_MS};
use domain::{ItemId, Lines};
use tokio::time::Instant;

use super::visitors::HoldWait;
use crate::metrics::TransferMetrics;
use crate::transfer::{Flow, Round};

/// A hold that its lane refused, while other lanes may have the units.
pub(super) struct Parked {
    pub(super) wait: HoldWait,
    /// When its lane first refused it: it waits `DRY_HOLD_MS` from then.
    pub(super) since: Instant,
    /// When it was parked: only rounds that begin later say anything about it.
    pub(super) at: Instant,
}

/// The last round, for the next one to be compared with.
pub(super) struct Seen {
    pub(super) began: Instant,
    pub(super) round: Round,
}

pub(super) struct Neighbours {
    pub(super) lanes: u16,
    pub(super) metrics: TransferMetrics,
    pub(super) parked: VecDeque<Parked>,
    /// A round is being read.
    pub(super) reading: bool,
    /// The next one may begin, when there is a need for it.
    pub(super) round_at: Instant,
    pub(super) last: Option<Seen>,
    /// Units wanted ahead of need.
    pub(super) fill: Lines,
    /// The lane that was asked, until what it gave is in the log.
    pub(super) asked: Option<u16>,
    /// Asks of this owner so far: part of their ids.
    pub(super) asks: u64,
    /// Units came in with this event or before: parked holds are tried again when Redis has it.
    pub(super) arrived: Option<u64>,
    pub(super) flow: BTreeMap<ItemId, Flow>,
    pub(super) looking: bool,
    pub(super) looked: Instant,
    pub(super) fetch: Fetch,
}

/// Looks for what other lanes have given and nobody told of: every other lane once after a claim, then one after the other.
#[derive(Default)]
pub(super) struct Fetch {
    /// Seq of each lane's log up to which everything given to this lane is known.
    pub(super) known: Vec<u64>,
    /// Lanes not asked yet since the claim.
    pub(super) first: VecDeque<u16>,
    pub(super) next: u16,
    pub(super) busy: bool,
    pub(super) at: Option<Instant>,
}

impl Neighbours {
    pub(super) fn new(lanes: u16, metrics: TransferMetrics, now: Instant) -> Self {
        Self {
            lanes,
            metrics,
            parked: VecDeque::new(),
            reading: false,
            round_at: now,
            last: None,
            fill: Lines::none(),
            asked: None,
            asks: 0,
            arrived: None,
            flow: BTreeMap::new(),
            looking: false,
            looked: now,
            fetch: Fetch::default(),
        }
    }

    /// A new claim: nothing that an earlier one waited for will come.
    pub(super) fn begin(&mut self, own: u16, now: Instant) {
        (self.reading, self.looking, self.arrived) = (false, false, None);
        (self.last, self.asked, self.asks, self.fill) = (None, None, 0, Lines::none());
        let known = vec![0; usize::from(self.lanes)];
        let first = (0..self.lanes).filter(|lane| *lane != own).collect();
        self.fetch = Fetch { known, first, next: own, busy: false, at: Some(now) };
    }

    pub(super) fn is_idle(&self) -> bool {
        self.parked.is_empty()
    }

    /// Units were held.
    pub(super) fn held(&mut self, lines: &Lines) {
        for (item, units) in lines.iter() {
            match self.flow.get_mut(item) {
                Some(flow) => flow.held(u64::from(units)),
                None => self.flow.entry(item.clone()).or_default().held(u64::from(units)),
            }
        }
    }

    pub(super) fn pause(&self) -> Duration {
        Duration::from_millis(ROUND_EVERY_MS + ROUND_EVERY_LANE_MS * u64::from(self.lanes))
    }

    pub(super) fn wants_round(&self) -> bool {
        !(self.reading || self.parked.is_empty() && self.fill.is_empty())
    }

    fn wants_look(&self) -> bool {
        !self.looking && self.flow.values().any(|flow| !flow.is_still())
    }

    pub(super) fn look_at(&self) -> Option<Instant> {
        self.wants_look().then(|| self.looked + Duration::from_millis(FREE_LOOK_MS))
    }

    /// When there is something to do although nothing comes.
    pub(super) fn wake(&self) -> Option<Instant> {
        let round = self.wants_round().then_some(self.round_at);
        let oldest = self.parked.front().map(|parked| parked.since + Duration::from_millis(DRY_HOLD_MS));
        let fetch = self.fetch.at.filter(|_| !self.fetch.busy);
        [round, oldest, self.look_at(), fetch].into_iter().flatten().min()
    }

    /// The lane to be asked next for what nobody told of.
    pub(super) fn next_fetch(&mut self, own: u16) -> u16 {
        if let Some(lane) = self.fetch.first.pop_front() {
            return lane;
        }
        let after = |lane: u16| if lane + 1 >= self.lanes { 0 } else { lane + 1 };
        let next = after(self.fetch.next);
        self.fetch.next = if next == own { after(next) } else { next };
        self.fetch.next
    }

    /// The lane was asked. One that had no answer right after the claim is asked again soon.
    pub(super) fn fetched(&mut self, lane: u16, answered: bool, now: Instant) {
        self.fetch.busy = false;
        let soon = Duration::from_millis(FREE_LOOK_MS);
        let pause = if !answered {
            if !self.fetch.first.contains(&lane) {
                self.fetch.first.push_back(lane);
            }
            soon
        } else if self.fetch.first.is_empty() {
            Duration::from_millis(FETCH_EVERY_MS)
        } else {
            Duration::ZERO
        };
        self.fetch.at = Some(now + pause);
    }
}
