//! The committer of a lane as a state machine without I/O (R4, R5, R7, R8, R9).
//!
//! It is told what happened and says what to do next; its owner executes. So the model checker runs this very code
//! (`booker/tests/protocol_model.rs`). One append and one settle may be under way at the same time: the settle of a group
//! runs while the next group is appended. Settles go strictly in order.

mod load;
mod settle;
mod watch;

use std::collections::{HashSet, VecDeque};

use domain::event::Event as _;
use domain::{HoldId, LaneEvent, Millis};

use crate::decide::{Decision, Group, Intent, decide};
use crate::fold::{BadLog, LaneFold};

pub use load::{LoadAnswer, LoadStep};
pub use settle::{SettleAnswer, SettlePlan, SettleStep};
pub use watch::{Asked, Verdict};

/// Bounds of what the committer does at once (I9). `Bounds::default()` are the program's; smaller ones are for the model checker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Intents kept in memory. More stay in Redis' set and are read again.
    pub intents: usize,
    /// Events of one append.
    pub append_events: usize,
    /// Bytes of one append.
    pub append_bytes: usize,
    /// Events, resolutions and cancels of one settle, each.
    pub settle: usize,
    /// Events kept for the next settles. More are read from the log again.
    pub unsettled: usize,
    /// Records of one chunk of a load.
    pub load_chunk: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        use domain::limits;
        Self {
            intents: 2 * limits::MAX_CONFIRMING,
            append_events: limits::MAX_APPEND_EVENTS,
            // With a byte for what a store puts between two events.
            append_bytes: limits::MAX_APPEND_BYTES - limits::MAX_APPEND_EVENTS,
            settle: limits::MAX_SETTLE_EVENTS,
            unsettled: 16 * limits::MAX_APPEND_EVENTS,
            load_chunk: limits::MAX_LOAD_CHUNK,
        }
    }
}

/// What became of an intent that was offered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Offered {
    /// It will be decided.
    Queued,
    /// The same one is waiting or being appended.
    Twin,
    /// The committed fold knows the id: answer from there.
    Decided,
    /// There are too many. Redis keeps it in its set.
    Full,
}

/// What makes two intents the same.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Key {
    Confirm(HoldId),
    Cancel(HoldId),
    Stock(String),
}

impl Key {
    fn of(intent: &Intent) -> Self {
        match intent {
            Intent::Confirm { id, .. } => Self::Confirm(*id),
            Intent::Cancel { id } => Self::Cancel(*id),
            // One id has one claim, whoever made it.
            Intent::Give { id, .. } => Self::Confirm(*id),
            Intent::Stock { from, .. } | Intent::Receive { from, .. } => Self::Stock(from.clone()),
        }
    }
}

/// A group on its way to the log.
#[derive(Clone, Debug)]
struct Flight {
    events: Vec<LaneEvent>,
    /// Every intent whose outcome depends on the append, in order: twins of the group's own ids as well.
    intents: Vec<Intent>,
}

/// A group to be appended, and what needs no append.
#[derive(Clone, Debug, Default)]
pub struct Formed {
    /// The events as texts; empty: there is nothing to append.
    pub texts: Vec<String>,
    /// Intents that the committed fold has decided: answer them now.
    pub told: Vec<Intent>,
}

/// See the module's text.
#[derive(Clone, Debug)]
pub struct Committer {
    bounds: Bounds,
    fence: u64,
    fold: LaneFold,
    queue: VecDeque<Intent>,
    /// Keys of everything in the queue or in the flight.
    known: HashSet<Key>,
    flight: Option<Flight>,
    /// Appends begun: whether the log was touched between a question and its answer.
    appends: u64,
    settler: settle::Settler,
}

impl Committer {
    /// The committed fold, from a committer that is done.
    #[must_use]
    pub fn into_fold(self) -> LaneFold {
        self.fold
    }

    /// The committer that claimed the log under `fence` and folded it to its head.
    #[must_use]
    pub fn new(fence: u64, fold: LaneFold, bounds: Bounds) -> Self {
        let settler = settle::Settler::new(fold.head());
        Self { bounds, fence, fold, queue: VecDeque::new(), known: HashSet::new(), flight: None, appends: 0, settler }
    }

    /// The committed fold. Every answer comes from here (R2).
    #[must_use]
    pub const fn fold(&self) -> &LaneFold {
        &self.fold
    }

    /// The fence the log was claimed under.
    #[must_use]
    pub const fn fence(&self) -> u64 {
        self.fence
    }

    /// Intents that wait or are being appended.
    #[must_use]
    pub fn undecided(&self) -> usize {
        self.queue.len() + self.flight.as_ref().map_or(0, |flight| flight.intents.len())
    }

    /// Whether a group is being appended.
    #[must_use]
    pub const fn is_appending(&self) -> bool {
        self.flight.is_some()
    }

    /// The intents in the order in which they will be decided: first those under way.
    pub fn intents(&self) -> impl Iterator<Item = &Intent> {
        self.flight.iter().flat_map(|flight| &flight.intents).chain(&self.queue)
    }

    /// Remembers an intent: from the answer of a script this owner ran, or read from Redis' set (R7). At least once, any order.
    pub fn offer(&mut self, intent: Intent) -> Offered {
        if let Intent::Confirm { id, .. } | Intent::Give { id, .. } = &intent
            && let Some(seq) = self.fold.decided(id).map(|decided| decided.seq)
        {
            self.settler.resolve(*id, seq);
            return Offered::Decided;
        }
        if self.known.contains(&Key::of(&intent)) {
            return Offered::Twin;
        }
        if self.queue.len() >= self.bounds.intents {
            return Offered::Full;
        }
        self.known.insert(Key::of(&intent));
        self.queue.push_back(intent);
        Offered::Queued
    }

    /// Decides what waits and makes it one group, unless one is under way or Redis is being loaded from the fold as it is.
    /// After this either [`Committer::appended`] or [`Committer::not_appended`] is called, when there are texts.
    pub fn form_group(&mut self, limit: Option<u32>, now: Millis) -> Formed {
        let mut formed = Formed::default();
        if self.flight.is_some() || self.settler.freezes_fold() {
            return formed;
        }
        let (mut group, mut intents, mut bytes) = (Group::default(), vec![], 0);
        while let Some(intent) = self.queue.pop_front() {
            match decide(&self.fold, &group, &intent, limit, now) {
                Decision::Event(event) => {
                    // Cannot fail for any event (see `Event::encode`); an intent lost here would be read from the set again.
                    let Ok(text) = event.encode() else { continue };
                    let full = group.events().len() >= self.bounds.append_events
                        || (bytes + text.len() > self.bounds.append_bytes && !group.is_empty());
                    if full {
                        self.queue.push_front(intent);
                        break;
                    }
                    bytes += text.len();
                    formed.texts.push(text);
                    group.push(&self.fold, event);
                    intents.push(intent);
                }
                // Known to the committed fold, or made by this group: a twin's answer waits for the append like the first one's.
                Decision::Resolution(id) if self.fold.decided(&id).is_none() => intents.push(intent),
                Decision::Resolution(_) | Decision::Nothing if group.is_empty() => formed.told.push(self.done(intent)),
                Decision::Resolution(_) | Decision::Nothing => intents.push(intent),
            }
        }
        if !group.is_empty() {
            self.appends += 1;
            self.flight = Some(Flight { events: group.into_events(), intents });
        }
        formed
    }

    /// The group is in the log. Answers the intents that are decided by it.
    ///
    /// # Errors
    /// [`BadLog`] when the group contradicts the fold: a bug, the lane stops.
    pub fn appended(&mut self) -> Result<Vec<Intent>, BadLog> {
        let Some(flight) = self.flight.take() else { return Ok(vec![]) };
        for event in flight.events {
            let seq = self.fold.head() + 1;
            self.fold.apply(seq, &event)?;
            self.settler.push(seq, event, self.bounds.unsettled);
        }
        Ok(flight.intents.into_iter().map(|intent| self.done(intent)).collect())
    }

    /// The group was not appended, or nobody knows (R4): its intents are decided anew, before those that came later. Nothing was
    /// answered. A group that is in the log all the same moves the head, and the next append is refused as fenced.
    pub fn not_appended(&mut self) {
        if let Some(flight) = self.flight.take() {
            for intent in flight.intents.into_iter().rev() {
                self.queue.push_front(intent);
            }
        }
    }

    /// The intent needs no further append: what Redis must be told goes with a settle.
    fn done(&mut self, intent: Intent) -> Intent {
        self.known.remove(&Key::of(&intent));
        match &intent {
            Intent::Confirm { id, .. } | Intent::Give { id, .. } => {
                if let Some(decided) = self.fold.decided(id) {
                    self.settler.resolve(*id, decided.seq);
                }
            }
            Intent::Cancel { id } => {
                self.settler.cancelled(*id);
                if let Some(decided) = self.fold.decided(id) {
                    self.settler.resolve(*id, decided.seq);
                }
            }
            Intent::Stock { .. } | Intent::Receive { .. } => {}
        }
        intent
    }
}
