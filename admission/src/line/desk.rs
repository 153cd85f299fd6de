//! The owner's desk: the fold of the log, what waits for the next entry, and what that entry says. No I/O, no clock.

use std::collections::{BTreeMap, BTreeSet};

use domain::limits::MAX_APPEND_EVENTS;
use domain::{LineEvent, Millis, Phase};
use tokio::sync::oneshot;

use super::numbers::Numbers;
use super::rules::Rules;
use super::{Claim, LineError, NotYet};
use crate::fold::{BadLine, LineFold, Room, Standing};
use crate::pilot::{Look, Pilot};
use crate::step::{Decision, Health, Stock};

/// Numbers granted, and numbers ended, by one entry at most.
const MAX_ENTRY: usize = MAX_APPEND_EVENTS;
/// Shortest and longest advice when to claim again, milliseconds.
const RETRY_MS: (u64, u64) = (100, 30_000);
/// Advice when the cap is full: places come back with bookings, which nobody can foretell.
const RETRY_CAP_MS: u64 = 1_000;

/// Where an answer goes.
pub(crate) type Answer<T> = oneshot::Sender<Result<T, LineError>>;

/// Gives an answer. Who asked may have gone; then nobody minds.
pub(crate) fn say<T>(answer: Answer<T>, what: Result<T, LineError>) {
    let _ = answer.send(what);
}

/// What one owner knows and has yet to write.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) fold: LineFold,
    pub(crate) numbers: Numbers,
    /// Numbers that the owner before may have left unused; goes into the first entry.
    gap: Option<(u64, u64)>,
    /// Claims whose ticket is the visitor's place, by number: the lowest gets in first.
    claims: BTreeMap<u64, Vec<Answer<Claim>>>,
    leaves: BTreeMap<u64, Vec<Answer<()>>>,
    /// Numbers said to have ended; those that are not alive are dropped when the entry is written.
    ended: BTreeSet<u64>,
    /// Answers that are owed for claims and leaves.
    owed: usize,
    pilot: Pilot,
}

/// An entry on its way to the log, and who waits for it. Nobody is answered before it is appended.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) event: LineEvent,
    claims: Vec<(u64, Vec<Answer<Claim>>)>,
    leaves: Vec<Answer<()>>,
    gap: bool,
}

/// What became of an append, as far as those who wait are concerned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NotAppended {
    /// Certainly not in the log.
    No,
    /// It may be in the log.
    Unknown,
    /// Another owner writes the log.
    Fenced,
}

impl Desk {
    /// The desk of a new owner, who starts behind all numbers the log speaks of. `issued` is the highest number that the
    /// owners before are known to have given out.
    pub(crate) fn new(fold: LineFold, issued: u64) -> Self {
        let gap = fold.gap_behind(issued);
        Self {
            numbers: Numbers::behind(fold.numbers_to()),
            fold,
            gap,
            claims: BTreeMap::new(),
            leaves: BTreeMap::new(),
            ended: BTreeSet::new(),
            owed: 0,
            pilot: Pilot::default(),
        }
    }

    /// Claims and leaves that wait for the next entry.
    pub(crate) const fn waiting(&self) -> usize {
        self.owed
    }

    /// What the fold alone can answer to a claim; `None`: the ticket has to be presented first.
    pub(crate) fn claim_now(&mut self, number: u64, rules: &Rules, now: Millis) -> Option<Result<Claim, LineError>> {
        match self.fold.standing(number, now.not_before(self.fold.at())) {
            Standing::Inside(expires) => Some(Ok(Claim::Granted { number, expires, again: true })),
            Standing::Ended => Some(Ok(Claim::Ended)),
            _ if rules.phase == Phase::Closed => Some(Err(LineError::Closed)),
            _ if rules.phase == Phase::Scheduled => Some(Err(LineError::NotOpen)),
            Standing::Waiting => {
                let ahead = self.fold.gaps().people(self.fold.frontier(), number);
                let pace = u64::from(rules.room.pace_per_minute.max(1));
                let retry_after_ms = (ahead.saturating_mul(60_000) / pace).clamp(RETRY_MS.0, RETRY_MS.1);
                Some(Ok(Claim::NotYet { retry_after_ms, why: NotYet::NotCalled }))
            }
            Standing::Called => None,
        }
    }

    /// A claim whose ticket is the visitor's place; decided with the next entry.
    pub(crate) fn claim(&mut self, number: u64, answer: Answer<Claim>) {
        self.owed += 1;
        self.claims.entry(number).or_default().push(answer);
    }

    /// A pass its visitor gives up; answered when the log has it.
    pub(crate) fn leave(&mut self, number: u64, answer: Answer<()>) {
        self.owed += 1;
        self.ended.insert(number);
        self.leaves.entry(number).or_default().push(answer);
    }

    /// A pass that ended by a booking. One that is not alive is none of this desk's: a booking follows the entry that
    /// granted its pass.
    pub(crate) fn ended(&mut self, number: u64) {
        if self.fold.is_active(number) {
            self.ended.insert(number);
        }
    }

    /// Runs a step on what is known now.
    pub(crate) fn step(&mut self, rules: &Rules, stock: Option<Stock>, health: Health, now: Millis) -> Decision {
        let look =
            Look { now, open: rules.phase == Phase::Open, issued: self.numbers.issued(), stock, health, resumed: None };
        self.pilot.step(&mut self.fold, &look, &rules.settings)
    }

    /// Writes the next entry, if there is anything to say: one group takes all that has piled up, without waiting for more.
    /// Claims for which there is no room are answered here; they changed nothing.
    pub(crate) fn draft(&mut self, rules: &Rules, frontier: u64, joins_wait: bool, now: Millis) -> Option<Draft> {
        let at = now.not_before(self.fold.at());
        let (ended, leaves) = self.take_ended(at);
        let claims = self.take_claims(rules, ended.len() as u64, at);
        let wanted = if rules.phase == Phase::Open { self.numbers.wanted(joins_wait) } else { None };
        let event = LineEvent {
            at,
            numbers_to: wanted.unwrap_or(self.fold.numbers_to()),
            frontier: frontier.max(self.fold.frontier()),
            granted: claims.iter().map(|(number, _)| *number).collect(),
            ended,
            gap: self.gap,
            pass_ttl_ms: (rules.room.pass_ttl_ms != self.fold.pass_ttl_ms()).then_some(rules.room.pass_ttl_ms),
        };
        let moves = event.frontier > self.fold.frontier() || wanted.is_some() || event.gap.is_some();
        if !moves && event.granted.is_empty() && event.ended.is_empty() {
            return None;
        }
        Some(Draft { gap: event.gap.is_some(), event, claims, leaves })
    }

    /// Passes alive that are said to have ended, or are overdue. Leaves of passes that are not alive are answered at once.
    fn take_ended(&mut self, at: Millis) -> (Vec<u64>, Vec<Answer<()>>) {
        let mut ended: BTreeSet<u64> = self.fold.overdue(at, MAX_ENTRY).collect();
        let mut leaves = Vec::new();
        while let Some(number) = self.ended.first().copied() {
            if ended.len() >= MAX_ENTRY && !ended.contains(&number) {
                break;
            }
            self.ended.remove(&number);
            let answers = self.leaves.remove(&number).unwrap_or_default();
            self.owed -= answers.len();
            if self.fold.is_active(number) {
                ended.insert(number);
                leaves.extend(answers);
            } else {
                answers.into_iter().for_each(|answer| say(answer, Ok(())));
            }
        }
        (ended.into_iter().collect(), leaves)
    }

    /// Claims that the meter and the cap have room for, lowest number first; `freed` places end with the same entry.
    fn take_claims(&mut self, rules: &Rules, freed: u64, at: Millis) -> Vec<(u64, Vec<Answer<Claim>>)> {
        let pace = rules.room.pace_per_minute;
        let Room { meter, places } = self.fold.room(pace, rules.room.active_passes, freed, at);
        let mut taken = Vec::new();
        while let Some((number, answers)) = self.claims.pop_first() {
            self.owed -= answers.len();
            if let Some(answer) = self.claim_now(number, rules, at) {
                answers.into_iter().for_each(|to| say(to, answer));
                continue;
            }
            let so_far = taken.len() as u64;
            if so_far >= MAX_ENTRY as u64 {
                self.owed += answers.len();
                self.claims.insert(number, answers);
                break;
            }
            if so_far < meter.min(places) {
                taken.push((number, answers));
                continue;
            }
            let no = if so_far >= places { self.no_place() } else { self.no_pace(pace, so_far, at) };
            answers.into_iter().for_each(|to| say(to, Ok(no)));
        }
        taken
    }

    fn no_place(&self) -> Claim {
        Claim::NotYet { retry_after_ms: RETRY_CAP_MS, why: NotYet::CapFull }
    }

    fn no_pace(&mut self, pace: u32, taking: u64, at: Millis) -> Claim {
        let next = if taking > 0 { None } else { self.fold.passes().next_room_at(pace, at) };
        // The windows after this entry are known only once it is written; a second is right for most.
        let ms = next.map_or(RETRY_CAP_MS, |next| next.since(at)).clamp(RETRY_MS.0, RETRY_MS.1);
        Claim::NotYet { retry_after_ms: ms, why: NotYet::MeterFull }
    }

    /// Whether the fold will take this entry. Checked before it is written: a log that its own fold refuses is lost.
    pub(crate) fn check(&self, draft: &Draft) -> Result<(), BadLine> {
        self.fold.check(self.fold.seq() + 1, &draft.event)
    }

    /// The log has the entry as its next one: folds it and answers those who waited. Returns how many passes it granted.
    ///
    /// # Errors
    /// [`BadLine`] when the fold refuses it; nobody is answered.
    pub(crate) fn appended(&mut self, draft: Draft) -> Result<usize, BadLine> {
        self.fold.apply(self.fold.seq() + 1, &draft.event)?;
        self.numbers.logged(draft.event.numbers_to);
        if draft.gap {
            self.gap = None;
        }
        let expires = draft.event.at.plus(self.fold.pass_ttl_ms());
        for (number, answers) in draft.claims {
            for (n, answer) in answers.into_iter().enumerate() {
                say(answer, Ok(Claim::Granted { number, expires, again: n > 0 }));
            }
        }
        draft.leaves.into_iter().for_each(|answer| say(answer, Ok(())));
        Ok(draft.event.granted.len())
    }

    /// The entry is not in the log as far as known. Nobody is told that anything happened; ends are written again.
    pub(crate) fn not_appended(&mut self, draft: Draft, why: NotAppended) {
        let error = match why {
            NotAppended::No => LineError::Unavailable,
            NotAppended::Unknown => LineError::Unknown,
            NotAppended::Fenced => LineError::NoOwner,
        };
        self.ended.extend(draft.event.ended);
        draft.claims.into_iter().flat_map(|(_, answers)| answers).for_each(|answer| say(answer, Err(error)));
        draft.leaves.into_iter().for_each(|answer| say(answer, Err(error)));
    }

    /// Answers everybody who waits; the owner stops. Returns the ends that are not logged, for the next owner of this
    /// process.
    pub(crate) fn close(&mut self, error: LineError) -> BTreeSet<u64> {
        self.owed = 0;
        let claims = std::mem::take(&mut self.claims);
        claims.into_values().flatten().for_each(|answer| say(answer, Err(error)));
        let leaves = std::mem::take(&mut self.leaves);
        leaves.into_values().flatten().for_each(|answer| say(answer, Err(error)));
        std::mem::take(&mut self.ended)
    }
}

#[cfg(test)]
mod tests;
