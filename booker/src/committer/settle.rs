//! Telling Redis what the log has: settles in order, replays, resolutions and covered cancels (R7, R8).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{Hash as _, Hasher};

use domain::{HoldId, ItemId, LaneEvent};

use super::Committer;
use super::load::Load;
use crate::fold::{ItemSum, LaneFold};

/// What Redis is known to have of the lane.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum View {
    /// Nobody looked since something went wrong.
    Unknown,
    /// Nothing, or an unfinished load.
    Empty,
    /// This committer is loading it.
    Loading(Load),
    /// Everything up to this seq.
    Loaded(u64),
    /// The sale is over and the keys are gone for good: nothing is settled any more.
    Unloaded,
}

/// One call of the settle script.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SettlePlan {
    /// The settled seq that Redis must have.
    pub expected: u64,
    /// The events behind it, in order; may be none.
    pub events: Vec<(u64, LaneEvent)>,
    /// Ids decided by an event up to the last one of these: a record still confirming takes the state the fold has.
    pub resolutions: Vec<HoldId>,
    /// Cancels that are done with.
    pub cancels: Vec<HoldId>,
}

/// What to do for Redis next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SettleStep {
    /// Nothing, or something is under way.
    Nothing,
    /// Read events behind this seq from the log and hand them to [`Committer::replay`].
    Read {
        /// Seq of the last event that is not wanted.
        after: u64,
        /// Events at most.
        most: usize,
    },
    /// Run the settle script and hand its answer to [`Committer::settle_answer`].
    Settle(SettlePlan),
}

/// What became of a settle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SettleAnswer {
    /// Redis has everything up to the plan's last event.
    Settled,
    /// Refused: Redis is at another seq.
    Behind {
        /// The one it is at.
        settled: u64,
    },
    /// Refused: Redis has nothing of the lane.
    NotLoaded,
    /// Not executed, or nobody knows: the same again is safe, because it names the seq it expects.
    Failed,
}

/// A settle under way.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Sent {
    to: u64,
    resolutions: Vec<HoldId>,
    cancels: Vec<HoldId>,
}

/// The committer's memory of what Redis still has to learn.
#[derive(Clone, Debug)]
pub(super) struct Settler {
    pub(super) view: View,
    /// Counts changes of `view` and settles: whether a look at Redis is older than what is known.
    pub(super) looks: u64,
    /// Events without a gap, up to `end`.
    buffer: VecDeque<(u64, LaneEvent)>,
    end: u64,
    /// Ids whose records may be confirming although an event decided them, with the seq of that event.
    resolutions: BTreeMap<HoldId, u64>,
    cancels: BTreeSet<HoldId>,
    sent: Option<Sent>,
    /// Sums as of the settled seq, while they are known: what Redis must show (R12).
    sums: Option<BTreeMap<ItemId, ItemSum>>,
}

impl Settler {
    pub(super) const fn new(head: u64) -> Self {
        Self {
            view: View::Unknown,
            looks: 0,
            buffer: VecDeque::new(),
            end: head,
            resolutions: BTreeMap::new(),
            cancels: BTreeSet::new(),
            sent: None,
            sums: None,
        }
    }

    /// Whether the fold must stay as it is, because Redis is (or is about to be) loaded from it.
    pub(super) const fn freezes_fold(&self) -> bool {
        matches!(self.view, View::Loading(_) | View::Empty)
    }

    pub(super) const fn is_settling(&self) -> bool {
        self.sent.is_some()
    }

    pub(super) fn resolve(&mut self, id: HoldId, seq: u64) {
        // An event that Redis does not have yet puts the record right by itself.
        if matches!(self.view, View::Loaded(settled) if seq > settled) || self.view == View::Unloaded {
            return;
        }
        self.resolutions.insert(id, seq);
    }

    pub(super) fn cancelled(&mut self, id: HoldId) {
        if self.view != View::Unloaded {
            self.cancels.insert(id);
        }
    }

    pub(super) fn push(&mut self, seq: u64, event: LaneEvent, most: usize) {
        if self.end + 1 == seq && self.buffer.len() < most && self.view != View::Unloaded {
            self.buffer.push_back((seq, event));
            self.end = seq;
        }
    }

    /// What Redis has changed, or is seen to be other than it was known to be.
    pub(super) fn see(&mut self, view: View) {
        if self.view != view {
            self.looks += 1;
            self.sums = None;
            self.view = view;
        }
    }

    /// Redis has exactly what the fold has.
    pub(super) fn sums_from(&mut self, fold: &LaneFold) {
        if self.sums.is_none() {
            self.sums = Some(fold.items().clone());
        }
    }

    /// Events behind `settled` are what the buffer starts with, or it is empty and ends at `settled`.
    fn trim(&mut self, settled: u64) {
        while self.buffer.front().is_some_and(|(seq, _)| *seq <= settled) {
            self.buffer.pop_front();
        }
        if self.buffer.front().is_none_or(|(seq, _)| *seq != settled + 1) {
            self.buffer.clear();
            self.end = settled;
        }
    }
}

impl Committer {
    /// What Redis has to be told next. Nothing while a settle is under way: they go strictly in order.
    pub fn next_settle(&mut self) -> SettleStep {
        let (head, most) = (self.fold.head(), self.bounds.settle);
        let s = &mut self.settler;
        let View::Loaded(settled) = s.view else { return SettleStep::Nothing };
        if s.sent.is_some() {
            return SettleStep::Nothing;
        }
        s.trim(settled);
        if s.buffer.is_empty() && settled < head {
            return SettleStep::Read { after: settled, most };
        }
        let events: Vec<_> = s.buffer.iter().take(most).cloned().collect();
        let to = events.last().map_or(settled, |(seq, _)| *seq);
        // The state that a resolution carries is the fold's, so it may go only once Redis has the event that made it so.
        let resolutions: Vec<_> =
            s.resolutions.iter().filter(|(_, seq)| **seq <= to).map(|(id, _)| *id).take(most).collect();
        let cancels: Vec<_> = s.cancels.iter().take(most).copied().collect();
        if events.is_empty() && resolutions.is_empty() && cancels.is_empty() {
            return SettleStep::Nothing;
        }
        for id in &resolutions {
            s.resolutions.remove(id);
        }
        for id in &cancels {
            s.cancels.remove(id);
        }
        s.sent = Some(Sent { to, resolutions: resolutions.clone(), cancels: cancels.clone() });
        s.looks += 1;
        SettleStep::Settle(SettlePlan { expected: settled, events, resolutions, cancels })
    }

    /// Events that [`SettleStep::Read`] asked for. What does not continue the buffer, or is behind the fold, is left out.
    pub fn replay(&mut self, events: impl IntoIterator<Item = (u64, LaneEvent)>) {
        for (seq, event) in events {
            if seq <= self.fold.head() {
                self.settler.push(seq, event, self.bounds.unsettled);
            }
        }
    }

    /// What became of the settle under way.
    pub fn settle_answer(&mut self, answer: SettleAnswer) {
        let Some(sent) = self.settler.sent.take() else { return };
        self.settler.looks += 1;
        if answer == SettleAnswer::Settled {
            self.settled_to(sent.to);
            return;
        }
        for id in sent.resolutions {
            let seq = self.fold.decided(&id).map_or(0, |decided| decided.seq);
            self.settler.resolutions.insert(id, seq);
        }
        self.settler.cancels.extend(sent.cancels);
        match answer {
            SettleAnswer::Settled | SettleAnswer::Failed => {}
            // A seq that the fold does not have is judged by the next look, which asks the log as well (R9).
            SettleAnswer::Behind { settled } if settled > self.fold.head() => self.settler.see(View::Unknown),
            SettleAnswer::Behind { settled } => self.settler.see(View::Loaded(settled)),
            SettleAnswer::NotLoaded => self.settler.see(View::Empty),
        }
    }

    fn settled_to(&mut self, to: u64) {
        let s = &mut self.settler;
        let mut sums = s.sums.take();
        while s.buffer.front().is_some_and(|(seq, _)| *seq <= to) {
            if let (Some((_, event)), Some(sums)) = (s.buffer.pop_front(), &mut sums) {
                add(sums, &self.fold, &event);
            }
        }
        s.view = View::Loaded(to);
        s.sums = sums;
        if to == self.fold.head() {
            s.sums_from(&self.fold);
        }
    }

    /// Seq of the last event that Redis has, while that is known.
    #[must_use]
    pub const fn settled(&self) -> Option<u64> {
        match self.settler.view {
            View::Loaded(settled) => Some(settled),
            _ => None,
        }
    }

    /// What free + live of every item must be in Redis as of [`Committer::settled`] (R12), while that is known.
    #[must_use]
    pub const fn settled_sums(&self) -> Option<&BTreeMap<ItemId, ItemSum>> {
        self.settler.sums.as_ref()
    }

    /// Whether a settle is under way.
    #[must_use]
    pub const fn is_settling(&self) -> bool {
        self.settler.is_settling()
    }

    /// The lane's keys were removed for good: from now on the fold alone answers.
    pub fn unloaded(&mut self) {
        self.settler = Settler { looks: self.settler.looks + 1, ..Settler::new(self.fold.head()) };
        self.settler.view = View::Unloaded;
    }

    /// Whether [`Committer::unloaded`] was said.
    #[must_use]
    pub fn is_unloaded(&self) -> bool {
        self.settler.view == View::Unloaded
    }

    /// Hashes everything that shapes the next steps, but for counters that only grow. For the model checker, which has to tell
    /// states apart; the fold stands for itself by its head.
    #[doc(hidden)]
    pub fn hash_state(&self, hasher: &mut impl Hasher) {
        let s = &self.settler;
        let sent = s.sent.as_ref().map(|sent| (sent.to, &sent.resolutions, &sent.cancels));
        let buffer = (s.buffer.front().map(|(seq, _)| *seq), s.end, s.sums.is_some());
        (&s.view, buffer, &s.resolutions, &s.cancels, sent).hash(hasher);
        let flight = self.flight.as_ref().map(|flight| (flight.events.len(), &flight.intents));
        (self.fence, self.fold.head(), &self.queue, flight).hash(hasher);
    }
}

/// What an event changes in the sums.
fn add(sums: &mut BTreeMap<ItemId, ItemSum>, fold: &LaneFold, event: &LaneEvent) {
    match event {
        LaneEvent::Booked { lines, .. } => {
            for (item, units) in lines.iter() {
                sums.entry(item.clone()).or_default().sold += u64::from(units);
            }
        }
        LaneEvent::Cancelled { id, .. } => {
            for (item, units) in fold.decided(id).iter().flat_map(|decided| decided.lines.iter()) {
                let sum = sums.entry(item.clone()).or_default();
                sum.sold = sum.sold.saturating_sub(u64::from(units));
            }
        }
        LaneEvent::Stock { lines, .. } => {
            for (item, units) in lines {
                sums.entry(item.clone()).or_default().allocated += units;
            }
        }
        LaneEvent::TransferOut { lines, .. } => {
            for (item, units) in lines.iter() {
                let sum = sums.entry(item.clone()).or_default();
                sum.allocated = sum.allocated.saturating_sub(u64::from(units));
            }
        }
        LaneEvent::TransferIn { lines, .. } => {
            for (item, units) in lines.iter() {
                sums.entry(item.clone()).or_default().allocated += u64::from(units);
            }
        }
        LaneEvent::Refused { .. } => {}
    }
}
