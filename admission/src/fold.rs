//! What a line's log makes of the line: the only state that decides who may enter.

mod bad;
mod bits;
pub mod classes;
mod moved;
mod pass;
mod turns;

use std::collections::{BTreeMap, BTreeSet};

use domain::fault::{Faults, Life};
use domain::limits::{MAX_FAULT_CREDIT_MS, PASS_SKEW_MS};
use domain::number::{Class, EVERYBODY, class_of, place_in};
use domain::{ClassCall, LineEvent, LobbyEvent, Millis};

use crate::habits::Habits;
use crate::lobby::Lobby;
use crate::meter::Meter;
use crate::step::{CLASSES, Gaps, PerClass};
pub use bad::BadLine;
use bits::Bits;
use classes::Classes;
pub use moved::Moved;
use pass::Pass;
use turns::Turns;

/// Where a number stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// In front of the frontier.
    Waiting,
    /// May enter: behind the frontier and never granted.
    Called,
    /// Has a pass of this life; what faults add to it is not in it.
    Inside(Life),
    /// Its pass has ended.
    Ended,
    /// Its pass has ended, unless a fault under way extends it. Said by an owner, which knows of one; never by the fold.
    Unsure,
}

/// How many passes may be granted: the smaller of both.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Room {
    /// By the exact windows of the pace.
    pub meter: u64,
    /// By the cap on passes alive.
    pub places: u64,
}

/// The fold of a line's log.
///
/// Memory: one bit per number (none for a leading run that all came in), about 170 bytes per pass alive, a range per step
/// within the grace period, the last minute's entries in two meters, and the last minutes' ends. A million numbers with 2,000 passes alive take
/// half a megabyte; a test measures it.
#[derive(Clone, Debug, Default)]
pub struct LineFold {
    seq: u64,
    at: Millis,
    numbers_to: u64,
    /// What `numbers_to` was before it last grew: numbers up to here were given out, or nearly so.
    numbers_before: u64,
    frontier: u64,
    pass_ttl_ms: u64,
    grace_ms: u64,
    gaps: Gaps,
    /// Numbers that were ever granted.
    used: Bits,
    /// Passes granted and not ended, by the log.
    active: BTreeMap<u64, Pass>,
    /// The same by their ends.
    by_end: BTreeSet<(Millis, u64)>,
    /// Failures of ours.
    faults: Faults,
    /// The latest end of a pass that was over when the log freed its place.
    freed_to: Millis,
    turns: Turns,
    /// The last people called were called to units that came back.
    calls_returns: bool,
    classes: Classes,
    passes: Meter,
    called: Meter,
    granted: u64,
    habits: Habits,
    lobby: Lobby,
    moved: Moved,
}

impl LineFold {
    /// An empty line whose turns are kept for `grace_ms`.
    #[must_use]
    pub fn new(grace_ms: u64) -> Self {
        Self { grace_ms, ..Self::default() }
    }

    /// Folds the next entry.
    ///
    /// # Errors
    /// [`BadLine`], and nothing is changed.
    pub fn apply(&mut self, seq: u64, entry: &LineEvent) -> Result<(), BadLine> {
        self.check(seq, entry)?;
        let called = self.gaps.people(self.frontier, entry.frontier);
        self.seq = seq;
        self.at = entry.at;
        if entry.numbers_to > self.numbers_to {
            self.numbers_before = self.numbers_to;
        }
        self.numbers_to = entry.numbers_to;
        if let Some(event) = &entry.lobby {
            self.lobby.apply(event);
        }
        if let Some((first, last)) = entry.gap {
            self.gaps.add(first, last);
        }
        if let Some(ttl) = entry.pass_ttl_ms {
            self.pass_ttl_ms = ttl;
        }
        if let Some((from, to)) = entry.fault {
            self.fault(from, to);
        }
        self.pass_on(entry.at);
        for number in &entry.ended {
            self.end(*number);
        }
        self.classes.redeem(&entry.redeemed);
        self.call(entry.frontier, called, entry.turn_ms);
        for call in &entry.classes {
            self.call_class(call, entry.turn_ms);
        }
        for number in &entry.granted {
            self.grant(*number);
        }
        for (number, to) in &entry.moved {
            self.moved.add(*number, *to);
        }
        self.passes.take(entry.at, u32::try_from(entry.granted.len()).unwrap_or(u32::MAX));
        Ok(())
    }

    pub(crate) fn check(&self, seq: u64, entry: &LineEvent) -> Result<(), BadLine> {
        let expected = self.seq + 1;
        if seq != expected {
            return Err(BadLine::OutOfOrder { expected, found: seq });
        }
        if entry.at < self.at || entry.numbers_to < self.numbers_to || entry.frontier < self.frontier {
            return Err(BadLine::Back(seq));
        }
        self.classes.check(&entry.redeemed, &entry.classes).map_err(|why| BadLine::Class(seq, why))?;
        let outside = |number: &u64| place_in(*number) > self.frontier_after(entry, class_of(*number));
        if entry.frontier > entry.numbers_to || entry.granted.iter().any(outside) {
            return Err(BadLine::NotCalled(seq));
        }
        let rising = entry.granted.windows(2).all(|pair| pair[0] < pair[1]);
        if !rising || entry.granted.iter().any(|number| place_in(*number) == 0 || self.used(*number)) {
            return Err(BadLine::Twice(seq));
        }
        if let Some(event) = &entry.lobby {
            self.lobby.check(event, self.numbers_to).map_err(|why| BadLine::Lobby(seq, why))?;
        }
        self.check_drawn(seq, entry)?;
        self.check_moved(seq, entry)?;
        if entry.fault.is_some_and(|(from, to)| from >= to || to > entry.at) {
            return Err(BadLine::Fault(seq));
        }
        if !entry.granted.is_empty() && entry.pass_ttl_ms.unwrap_or(self.pass_ttl_ms) == 0 {
            return Err(BadLine::NoTtl(seq));
        }
        Ok(())
    }

    /// Until a lobby has closed nobody has a number; its visitors have the first ones; until it is drawn nobody is called.
    fn check_drawn(&self, seq: u64, entry: &LineEvent) -> Result<(), BadLine> {
        let count = match &entry.lobby {
            Some(LobbyEvent::Came { receipts, .. }) => self.lobby.count() + receipts.len() as u64,
            _ => self.lobby.count(),
        };
        let closes = matches!(entry.lobby, Some(LobbyEvent::Closed { .. }));
        let draws = matches!(entry.lobby, Some(LobbyEvent::Drawn { .. }));
        let (closed, drawn) = (closes || self.lobby.closed().is_some(), draws || self.lobby.drawn().is_some());
        let numbers = if closed { entry.numbers_to >= count } else { entry.numbers_to == 0 };
        let fits = count == 0 || numbers && (drawn || entry.frontier == 0);
        if fits { Ok(()) } else { Err(BadLine::NotDrawn(seq)) }
    }

    /// Up to where a class is called once this entry counts.
    fn frontier_after(&self, entry: &LineEvent, class: Class) -> u64 {
        if class == EVERYBODY {
            return entry.frontier;
        }
        let call = entry.classes.iter().find(|call| call.class == class);
        call.map_or_else(|| self.classes.frontier(class), |call| call.frontier)
    }

    fn call_class(&mut self, call: &ClassCall, turn_ms: Option<u64>) {
        let at = self.at;
        let track = self.classes.track_mut(call.class);
        let people = call.frontier - track.frontier;
        if people == 0 {
            return;
        }
        track.turns.call(track.frontier, call.frontier, at, people, turn_ms);
        track.frontier = call.frontier;
        self.calls_returns = turn_ms.is_some();
        self.called.take(at, u32::try_from(people).unwrap_or(u32::MAX));
    }

    fn call(&mut self, frontier: u64, people: u64, turn_ms: Option<u64>) {
        if frontier == self.frontier {
            return;
        }
        if people > 0 {
            self.calls_returns = turn_ms.is_some();
        }
        self.turns.call(self.frontier, frontier, self.at, people, turn_ms);
        self.frontier = frontier;
        self.called.take(self.at, u32::try_from(people).unwrap_or(u32::MAX));
    }

    fn grant(&mut self, number: u64) {
        let pass = Pass::new(self.at, self.pass_ttl_ms, &self.faults);
        let class = class_of(number);
        if class == EVERYBODY {
            self.used.insert(number);
        } else {
            let track = self.classes.track_mut(class);
            track.used.insert(place_in(number));
            track.turns.claimed(place_in(number));
        }
        self.active.insert(number, pass);
        self.by_end.insert((pass.ends(), number));
        self.granted += 1;
        // Nobody was counted for a ticket out of a gap.
        if class == EVERYBODY && !self.gaps.contains(number) {
            self.turns.claimed(number);
        }
    }

    fn end(&mut self, number: u64) {
        if let Some(pass) = self.active.remove(&number) {
            let ends = pass.ends();
            self.by_end.remove(&(ends, number));
            self.habits.ended(self.at, pass.given);
            if ends <= self.at {
                self.freed_to = self.freed_to.max(ends);
            }
        }
    }

    /// Lets go of turns that were kept long enough and not claimed.
    fn pass_on(&mut self, now: Millis) {
        while let Some(group) = self.turns.pass_on(now, self.grace_ms) {
            self.habits.matured(group.at, group.called, group.came);
        }
        for track in self.classes.tracks_mut() {
            while let Some(group) = track.turns.pass_on(now, self.grace_ms) {
                self.habits.matured(group.at, group.called, group.came);
            }
        }
        self.gaps.forget_before(self.turns.open_from(self.frontier));
    }

    /// Where `number` stands at `now`. An expired pass has ended for its visitor at once; its place is freed by the log.
    #[must_use]
    pub fn standing(&self, number: u64, now: Millis) -> Standing {
        match self.active.get(&number) {
            Some(pass) if now < pass.ends() => Standing::Inside(pass.life()),
            Some(_) => Standing::Ended,
            None if place_in(number) == 0 || place_in(number) > self.frontier_of(class_of(number)) => Standing::Waiting,
            None if self.used(number) => Standing::Ended,
            None => Standing::Called,
        }
    }

    /// Whether a pass was ever granted for `number`. Such a ticket is never restored and gives way to an unused one (H18).
    #[must_use]
    pub fn used(&self, number: u64) -> bool {
        if class_of(number) == EVERYBODY {
            number > 0 && self.used.contains(number)
        } else {
            place_in(number) > 0 && self.classes.used(number)
        }
    }

    /// Up to which place a class is called.
    #[must_use]
    pub fn frontier_of(&self, class: Class) -> u64 {
        if class == EVERYBODY { self.frontier } else { self.classes.frontier(class) }
    }

    /// People in front of a place in its class who are not called.
    #[must_use]
    pub fn ahead(&self, number: u64) -> u64 {
        match class_of(number) {
            EVERYBODY => self.gaps.people(self.frontier, number),
            class => place_in(number).saturating_sub(self.classes.frontier(class)),
        }
    }

    /// People who wait, by class, when numbers of everybody's line are given out up to `issued`.
    #[must_use]
    pub fn waiting(&self, issued: u64) -> PerClass<u64> {
        let mut waiting = [0; CLASSES];
        for (class, people) in (EVERYBODY..).zip(&mut waiting) {
            *people = match class {
                EVERYBODY => self.gaps.people(self.frontier, issued),
                class => self.classes.waiting(class),
            };
        }
        waiting
    }

    /// The classes: who has a place in one, and by which code.
    #[must_use]
    pub const fn classes(&self) -> &Classes {
        &self.classes
    }

    /// Up to `most` numbers whose pass expired [`PASS_SKEW_MS`] ago or earlier and still takes a place, oldest first. Faults are known
    /// up to `known_to`: a pass that ended later may be extended yet.
    pub fn overdue(&self, now: Millis, known_to: Millis, most: usize) -> impl Iterator<Item = u64> + '_ {
        let before = |ms: u64| Millis(now.0.saturating_sub(ms));
        let by = before(PASS_SKEW_MS).min(known_to.max(before(MAX_FAULT_CREDIT_MS)));
        let due = move |(ends, _): &&(Millis, u64)| *ends <= by;
        self.by_end.iter().take_while(due).take(most).map(|(_, number)| *number)
    }

    /// When the next pass frees its place if nobody books or leaves before.
    #[must_use]
    pub fn next_place_at(&self) -> Option<Millis> {
        self.by_end.first().map(|(ends, _)| ends.plus(PASS_SKEW_MS))
    }

    /// The highest number that a new owner knows to be given out, from what the owner before `published` a moment ago.
    /// Without it (Redis was lost as well) only the last block is in doubt.
    #[must_use]
    pub fn issued(&self, published: Option<u64>) -> u64 {
        let lobby = if self.lobby.closed().is_some() { self.lobby.count() } else { 0 };
        published.unwrap_or(0).max(self.numbers_before).max(lobby).min(self.numbers_to)
    }

    /// The numbers behind which a new owner starts and which nobody may stand behind: after the highest one that is known
    /// to be given out. `None` when there are none, or the log has them as a gap already.
    #[must_use]
    pub fn gap_behind(&self, issued: u64) -> Option<(u64, u64)> {
        let first = issued.max(self.frontier) + 1;
        let known = self.gaps.ranges().last().is_some_and(|(_, last)| *last >= self.numbers_to);
        (first <= self.numbers_to && !known).then_some((first, self.numbers_to))
    }

    /// How many claims an entry at `at` may grant when `freed` passes end with the same entry (I7).
    pub fn room(&mut self, pace_per_minute: u32, active_passes: u32, freed: u64, at: Millis) -> Room {
        let taken = self.active().saturating_sub(freed);
        Room {
            meter: u64::from(self.passes.room(pace_per_minute, at)),
            places: u64::from(active_passes).saturating_sub(taken),
        }
    }

    /// Whether the log says that the pass of `number` is alive.
    #[must_use]
    pub fn is_active(&self, number: u64) -> bool {
        self.active.contains_key(&number)
    }

    /// Passes granted and not ended (I7): an end counts when it is in the log.
    #[must_use]
    pub fn active(&self) -> u64 {
        self.active.len() as u64
    }

    /// People called within the grace period who have not claimed yet.
    pub fn unclaimed(&mut self, now: Millis) -> u64 {
        self.pass_on(now);
        let classes: u64 = self.classes.tracks_mut().map(|track| track.turns.unclaimed()).sum();
        self.turns.unclaimed() + classes
    }

    /// Whether the last people called were called to units that came back.
    #[must_use]
    pub const fn calls_returns(&self) -> bool {
        self.calls_returns
    }

    /// Keeps turns for `grace_ms` from now on.
    pub fn keep_turns_for(&mut self, grace_ms: u64) {
        self.grace_ms = grace_ms;
    }

    /// The meter of passes granted.
    pub const fn passes(&mut self) -> &mut Meter {
        &mut self.passes
    }

    /// The meter of people called.
    pub const fn called(&mut self) -> &mut Meter {
        &mut self.called
    }

    /// What people do with their turns.
    #[must_use]
    pub const fn habits(&self) -> &Habits {
        &self.habits
    }

    /// Who came before the sale opened.
    #[must_use]
    pub const fn lobby(&self) -> &Lobby {
        &self.lobby
    }

    /// The same, to be completed.
    pub const fn lobby_mut(&mut self) -> &mut Lobby {
        &mut self.lobby
    }

    /// Sequence number of the last entry.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// Time of the last entry.
    #[must_use]
    pub const fn at(&self) -> Millis {
        self.at
    }

    /// Numbers up to here may have been given out.
    #[must_use]
    pub const fn numbers_to(&self) -> u64 {
        self.numbers_to
    }

    /// Tickets up to here may enter.
    #[must_use]
    pub const fn frontier(&self) -> u64 {
        self.frontier
    }

    /// How long passes granted now live; zero before the first owner has said.
    #[must_use]
    pub const fn pass_ttl_ms(&self) -> u64 {
        self.pass_ttl_ms
    }

    /// Numbers that nobody stands behind, as far as they still matter.
    #[must_use]
    pub const fn gaps(&self) -> &Gaps {
        &self.gaps
    }

    /// Passes ever granted.
    #[must_use]
    pub const fn granted(&self) -> u64 {
        self.granted
    }

    /// Bytes of memory it takes, roughly: the nodes of its trees are counted as full.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let trees = self.active.len() * 2 * size_of::<(u64, Pass)>() * 2;
        self.used.bytes()
            + trees
            + self.turns.bytes()
            + self.passes.bytes()
            + self.called.bytes()
            + self.habits.bytes()
            + self.lobby.bytes()
            + self.classes.bytes()
            + self.moved.bytes()
    }
}

#[cfg(test)]
mod tests;
