//! The owner's desk: the fold of the log, what waits for the next entry, and what that entry says. No I/O, no clock.

mod calls;
mod hall;
mod moving;
mod redeem;
mod watch;

use std::collections::{BTreeMap, BTreeSet};

use domain::fault::Life;
use domain::limits::MAX_APPEND_EVENTS;
use domain::number::{Class, EVERYBODY, class_of, number};
use domain::{Code, LineEvent, LobbyEvent, Millis, Phase, VisitorHash};
use tokio::sync::oneshot;

use super::numbers::Numbers;
use super::rules::Rules;
use super::{Claim, LineError, NotYet};
use crate::fold::{BadLine, LineFold, Room, Standing};
use crate::pilot::{Look, Pilot};
use crate::step::{Deal, Decision, Health, PerClass, Shares, Stock};
pub(crate) use calls::{Calls, Written};
pub(crate) use hall::Hall;
use moving::{Moves, Moving};
pub(crate) use watch::Watch;

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
    /// What went wrong at the front.
    pub(crate) watch: Watch,
    pilot: Pilot,
    /// Codes that wait for the log.
    till: redeem::Till,
    /// Which class gets in next where more claim than may.
    gate: Deal,
    /// Who comes before the sale opens.
    pub(crate) hall: Hall,
    /// Who moves a place to another device.
    moves: Moves,
}

/// An entry on its way to the log, and who waits for it. Nobody is answered before it is appended.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) event: LineEvent,
    claims: Vec<(u64, Vec<Answer<Claim>>)>,
    leaves: Vec<Answer<()>>,
    redeemed: Vec<redeem::Redeeming>,
    gap: bool,
    lobby: Option<hall::Step>,
    moving: Vec<Moving>,
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
    /// owners before are known to have given out, `watch` says up to when they vouched for the front.
    pub(crate) fn new(fold: LineFold, issued: u64, hall: Hall, watch: Watch) -> Self {
        let gap = fold.gap_behind(issued);
        Self {
            numbers: Numbers::behind(fold.numbers_to()),
            fold,
            gap,
            claims: BTreeMap::new(),
            leaves: BTreeMap::new(),
            ended: BTreeSet::new(),
            owed: 0,
            watch,
            pilot: Pilot::default(),
            till: redeem::Till::default(),
            gate: Deal::default(),
            hall,
            moves: Moves::default(),
        }
    }

    /// Claims, leaves and receipts that wait for the next entry.
    pub(crate) fn waiting(&self) -> usize {
        self.owed + self.moves.waiting()
    }

    /// What the fold alone can answer to a claim; `None`: the ticket has to be presented first.
    pub(crate) fn claim_now(&mut self, number: u64, rules: &Rules, now: Millis) -> Option<Result<Claim, LineError>> {
        match self.standing(number, now.not_before(self.fold.at())) {
            Standing::Inside(Life { given, expires }) => {
                Some(Ok(Claim::Granted { number, given, expires, again: true }))
            }
            Standing::Ended => Some(Ok(Claim::Ended)),
            Standing::Unsure => Some(Err(LineError::Unavailable)),
            _ if rules.phase == Phase::Closed => Some(Err(LineError::Closed)),
            _ if rules.phase == Phase::Scheduled => Some(Err(LineError::NotOpen)),
            _ if rules.phase == Phase::Paused => Some(Err(LineError::Paused)),
            Standing::Waiting => {
                let (ahead, class) = (self.fold.ahead(number), usize::from(class_of(number)));
                let waiting = self.fold.waiting(self.numbers.issued());
                let pace = u64::from(rules.room.pace_per_minute.max(1));
                let part = (pace * rules.settings.shares.permille(class, &waiting)).max(1);
                let retry_after_ms = (ahead.saturating_mul(60_000_000) / part).clamp(RETRY_MS.0, RETRY_MS.1);
                Some(Ok(Claim::NotYet { retry_after_ms, why: NotYet::NotCalled }))
            }
            Standing::Called => None,
        }
    }

    /// Where `number` stands at `now`, as far as this owner knows of faults: nobody is sent back for one that it has not recorded.
    pub(crate) fn standing(&self, number: u64, now: Millis) -> Standing {
        watch::standing(&self.fold, &self.watch, number, now)
    }

    /// A visitor comes before the sale opens.
    pub(crate) fn come(&mut self, visitor: VisitorHash, answer: Answer<super::Came>) {
        self.owed += usize::from(self.hall.come(&self.fold, visitor, answer));
    }

    /// A visitor redeems a code.
    pub(crate) fn redeem(&mut self, visitor: VisitorHash, code: Code, answer: Answer<super::Joined>, now: Millis) {
        self.owed += usize::from(self.till.redeem((&self.fold, &self.watch), visitor, code, answer, now));
    }

    /// The place in a class that goes before `number`: the one that this visitor has by a code or by a move, until its pass has ended. A
    /// pass of another number that is alive is not taken away.
    pub(crate) fn class_place(&self, visitor: &VisitorHash, number: Option<u64>, now: Millis) -> Option<u64> {
        let place = watch::class_place(&self.fold, &self.watch, visitor, now.not_before(self.fold.at()))?;
        let inside = number.is_some_and(|number| number != place && self.fold.is_active(number));
        (!inside).then_some(place)
    }

    /// The number that the draw gave to this visitor; an error while it is not drawn; `None` for who was not in the lobby.
    pub(crate) fn drawn_number(&self, visitor: &VisitorHash) -> Result<Option<u64>, LineError> {
        let lobby = self.fold.lobby();
        let Some(index) = lobby.index_of(visitor) else { return Ok(None) };
        lobby.number_of(index).map(Some).ok_or(LineError::Drawing)
    }

    /// Whether a number that this visitor presents can be theirs: those of the lobby are the draw's to give, those of classes the log's,
    /// and those that were moved are whose they were moved to.
    pub(crate) fn may_have(&self, visitor: &VisitorHash, number: u64) -> bool {
        if class_of(number) != EVERYBODY {
            return self.fold.has_in_class(visitor, number);
        }
        if self.fold.moved().is_others(number, visitor) {
            return false;
        }
        if self.fold.moved().is_theirs(number, visitor) {
            return true;
        }
        let count = self.fold.lobby().count();
        count == 0 || number > count || self.drawn_number(visitor) == Ok(Some(number))
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
        let drawn = self.fold.lobby().is_over() && !self.hall.is_waited_for();
        let (open, issued, resumed) = (rules.phase == Phase::Open && drawn, self.numbers.issued(), rules.resumed);
        let look = Look { now, open, issued, stock, health, resumed, let_through: rules.let_through };
        self.pilot.step(&mut self.fold, &look, &rules.settings)
    }

    /// Writes the next entry, if there is anything to say: one group takes all that has piled up, without waiting for more.
    /// Claims for which there is no room are answered here; they changed nothing.
    pub(crate) fn draft(&mut self, rules: &Rules, calls: Calls, joins_wait: bool, now: Millis) -> Option<Draft> {
        let at = now.not_before(self.fold.at());
        let (ended, leaves) = self.take_ended(at);
        let claims = self.take_claims(rules, ended.len() as u64, at);
        let granted: Vec<u64> = claims.iter().map(|(number, _)| *number).collect();
        let moving = self.moves.take(&self.fold, &granted, at);
        let redeemed = self.till.take((&self.fold, &self.watch), rules, at, &mut self.owed);
        let lobby = self.hall.step(&mut self.fold, rules, &mut self.owed);
        let numbers_to = self.numbers_to(rules, lobby.as_ref(), joins_wait);
        let event = LineEvent {
            at,
            numbers_to,
            frontier: calls.frontier.max(self.fold.frontier()),
            granted,
            ended,
            gap: self.gap,
            pass_ttl_ms: (rules.room.pass_ttl_ms != self.fold.pass_ttl_ms()).then_some(rules.room.pass_ttl_ms),
            turn_ms: self.turn_ms(rules, &calls),
            redeemed: redeemed.iter().map(redeem::Redeeming::event).collect(),
            classes: self.class_calls(&calls),
            lobby: lobby.as_ref().map(|step| step.event.clone()),
            moved: moving::event(&moving),
            fault: self.watch.fault(rules, at),
        };
        let numbers = event.numbers_to > self.fold.numbers_to();
        let moves = event.frontier > self.fold.frontier() || numbers || event.gap.is_some() || event.lobby.is_some();
        let people = event.granted.len() + event.ended.len() + event.redeemed.len() + event.classes.len();
        if !moves && people + event.moved.len() == 0 && event.fault.is_none() {
            return None;
        }
        Some(Draft { gap: event.gap.is_some(), event, claims, leaves, redeemed, lobby, moving })
    }

    /// Up to which number the next entry goes: the lobby's when it closes, then blocks for those who join.
    fn numbers_to(&self, rules: &Rules, lobby: Option<&hall::Step>, joins_wait: bool) -> u64 {
        let now = self.fold.numbers_to();
        match lobby.map(|step| &step.event) {
            Some(LobbyEvent::Closed { count, .. }) => now.max(*count),
            Some(LobbyEvent::Came { .. }) => now,
            _ if !rules.is_on() || self.fold.lobby().count() > 0 && self.fold.lobby().closed().is_none() => now,
            _ => self.numbers.wanted(joins_wait).unwrap_or(now),
        }
    }

    /// Passes alive that are said to have ended, or are overdue. Leaves of passes that are not alive are answered at once.
    fn take_ended(&mut self, at: Millis) -> (Vec<u64>, Vec<Answer<()>>) {
        let mut ended: BTreeSet<u64> = self.fold.overdue(at, self.watch.known_to(), MAX_ENTRY).collect();
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

    /// Claims that the meter and the cap have room for: classes by their shares, in each the lowest number first. `freed` places end
    /// with the same entry.
    fn take_claims(&mut self, rules: &Rules, freed: u64, at: Millis) -> Vec<(u64, Vec<Answer<Claim>>)> {
        let pace = rules.room.pace_per_minute;
        let Room { meter, places } = self.fold.room(pace, rules.room.active_passes, freed, at);
        let (most, mut taken) = (meter.min(places).min(MAX_ENTRY as u64), BTreeMap::new());
        while (taken.len() as u64) < most
            && let Some((number, gate)) = self.next_claim(&rules.settings.shares)
        {
            if let Some(answers) = self.answered_now(number, rules, at) {
                self.gate = gate;
                taken.insert(number, answers);
            }
        }
        let taken: Vec<_> = taken.into_iter().collect();
        if taken.len() >= MAX_ENTRY {
            return taken;
        }
        let no = if most >= places { self.no_place() } else { self.no_pace(pace, most, at) };
        while let Some(number) = self.claims.keys().next().copied() {
            let refused = self.answered_now(number, rules, at).unwrap_or_default();
            refused.into_iter().for_each(|to| say(to, Ok(no)));
        }
        taken
    }

    /// The claim whose turn it is, and the gate once it is through.
    fn next_claim(&self, shares: &Shares) -> Option<(u64, Deal)> {
        let first =
            |class: Class| self.claims.range(number(class, 0)..number(class + 1, 0)).next().map(|(number, _)| *number);
        let mut gate = self.gate;
        let classes: PerClass<Option<u64>> =
            std::array::from_fn(|class| first(u8::try_from(class).unwrap_or(EVERYBODY)));
        match gate.next(|class| classes[class].is_some(), shares) {
            Some(class) => classes[class].map(|number| (number, gate)),
            // Of a class that the sale has not got.
            None => self.claims.keys().next().map(|number| (*number, self.gate)),
        }
    }

    /// Takes a claim out; `None`: the fold had the answer.
    fn answered_now(&mut self, number: u64, rules: &Rules, at: Millis) -> Option<Vec<Answer<Claim>>> {
        let answers = self.claims.remove(&number)?;
        self.owed -= answers.len();
        match self.claim_now(number, rules, at) {
            Some(answer) => {
                answers.into_iter().for_each(|to| say(to, answer));
                None
            }
            None => Some(answers),
        }
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

    /// The log has the entry as its next one: folds it and answers those who waited. Returns what it did, for the counters.
    ///
    /// # Errors
    /// [`BadLine`] when the fold refuses it; nobody is answered.
    pub(crate) fn appended(&mut self, draft: Draft) -> Result<Written, BadLine> {
        let mut written = self.written(&draft.event);
        self.fold.apply(self.fold.seq() + 1, &draft.event)?;
        if let Some(LobbyEvent::Closed { count, .. }) = draft.event.lobby {
            self.numbers.skip(count);
        }
        self.numbers.logged(draft.event.numbers_to);
        if let Some((_, to)) = draft.event.fault {
            self.watch.recorded(to);
        }
        if let Some(step) = draft.lobby {
            self.hall.appended(&mut self.fold, step);
        }
        if draft.gap {
            self.gap = None;
        }
        let (given, expires) = (draft.event.at, draft.event.at.plus(self.fold.pass_ttl_ms()));
        for (number, answers) in draft.claims {
            for (n, answer) in answers.into_iter().enumerate() {
                say(answer, Ok(Claim::Granted { number, given, expires, again: n > 0 }));
            }
        }
        draft.leaves.into_iter().for_each(|answer| say(answer, Ok(())));
        draft.redeemed.into_iter().for_each(|one| one.appended(&self.fold));
        self.drop_late_claims(&draft.event.moved);
        draft.moving.into_iter().for_each(Moving::done);
        written.bypasses = self.fold.waiting(self.numbers.issued())[0] > 0;
        Ok(written)
    }

    /// The entry is not in the log as far as known. Nobody is told that anything happened; ends are written again.
    pub(crate) fn not_appended(&mut self, draft: Draft, why: NotAppended) {
        let error = match why {
            NotAppended::No => LineError::Unavailable,
            NotAppended::Unknown => LineError::Unknown,
            NotAppended::Fenced => LineError::NoOwner,
        };
        self.ended.extend(draft.event.ended);
        self.moves.not_moved(draft.moving, error);
        draft.claims.into_iter().flat_map(|(_, answers)| answers).for_each(|answer| say(answer, Err(error)));
        draft.leaves.into_iter().for_each(|answer| say(answer, Err(error)));
        draft.redeemed.into_iter().for_each(|one| one.refuse(error));
        let coming = draft.lobby.into_iter().flat_map(|step| step.coming);
        coming.flat_map(|(_, answers)| answers).for_each(|answer| say(answer, Err(error)));
    }

    /// Answers everybody who waits; the owner stops. Returns the ends that are not logged, for the next owner of this
    /// process.
    pub(crate) fn close(&mut self, error: LineError) -> BTreeSet<u64> {
        self.owed = 0;
        let claims = std::mem::take(&mut self.claims);
        claims.into_values().flatten().for_each(|answer| say(answer, Err(error)));
        self.hall.close(error);
        self.till.close(error);
        self.moves.close(error);
        let leaves = std::mem::take(&mut self.leaves);
        leaves.into_values().flatten().for_each(|answer| say(answer, Err(error)));
        std::mem::take(&mut self.ended)
    }
}

#[cfg(test)]
mod tests;
