//! Codes that move a place to another device, in everybody's line or in a class. They live in the owner's memory alone: an owner that goes down takes them along, and
//! whoever wanted to move asks for another one. What a code did stands in the log.

use std::collections::{HashMap, VecDeque};

use domain::limits::{MAX_MOVE_CODES, MAX_MOVES, MOVE_CODE_MS};
use domain::{Millis, VisitorHash};

use super::{Answer, Desk, LineError, say};
use crate::fold::{LineFold, Standing};

/// Moves that one entry brings at most.
const MAX_ENTRY: usize = 256;

/// A code that was given out.
#[derive(Debug)]
struct Code {
    number: u64,
    from: VisitorHash,
    /// Who used it. Nobody else can any more.
    to: Option<VisitorHash>,
}

/// A move that waits for the log.
#[derive(Debug)]
pub(crate) struct Moving {
    pub(crate) number: u64,
    pub(crate) to: VisitorHash,
    code: u64,
    answer: Answer<u64>,
}

/// The codes of one owner.
#[derive(Debug, Default)]
pub(crate) struct Moves {
    codes: HashMap<u64, Code>,
    /// The code of a number: a new one takes the place of the one before.
    of_number: HashMap<u64, u64>,
    by_time: VecDeque<(Millis, u64)>,
    waiting: Vec<Moving>,
}

impl Moves {
    /// Answers that are owed.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Lets `code` move the place of `from`; the code before is good for nothing any more.
    pub(crate) fn offer(
        &mut self,
        number: u64,
        from: VisitorHash,
        code: u64,
        now: Millis,
    ) -> Result<Millis, LineError> {
        self.forget(now);
        if self.by_time.len() >= MAX_MOVE_CODES || self.codes.contains_key(&code) {
            return Err(LineError::Busy);
        }
        if let Some(before) = self.of_number.insert(number, code) {
            // One that was used goes on answering its user.
            if self.codes.get(&before).is_some_and(|before| before.to.is_none()) {
                self.codes.remove(&before);
            }
        }
        let expires = now.plus(MOVE_CODE_MS);
        self.codes.insert(code, Code { number, from, to: None });
        self.by_time.push_back((expires, code));
        Ok(expires)
    }

    /// Somebody shows a code: the first one has it. Answered when the move is in the log.
    pub(crate) fn move_to(&mut self, fold: &LineFold, code: u64, to: VisitorHash, now: Millis, answer: Answer<u64>) {
        self.forget(now);
        let at = now.not_before(fold.at());
        let Some(known) = self.codes.get_mut(&code) else { return say(answer, Err(LineError::NoMove)) };
        let number = known.number;
        if known.from == to && known.to.is_none() {
            // One's own place: nothing has to be moved, and the code stays good.
            return say(answer, Ok(number));
        }
        if known.to.is_some_and(|user| user != to) {
            return say(answer, Err(LineError::NoMove));
        }
        if known.to.is_some() && fold.moved().is_theirs(number, &to) {
            return say(answer, Ok(number));
        }
        let used = !matches!(fold.standing(number, at), Standing::Waiting | Standing::Called);
        if used || fold.moved().is_others(number, &known.from) {
            return say(answer, Err(LineError::NoMove));
        }
        if fold.moved().count() >= MAX_MOVES {
            return say(answer, Err(LineError::Busy));
        }
        known.to = Some(to);
        self.waiting.push(Moving { number, to, code, answer });
    }

    /// What the next entry moves; `granted` are the numbers that get their pass with it.
    pub(crate) fn take(&mut self, fold: &LineFold, granted: &[u64], at: Millis) -> Vec<Moving> {
        let count = self.waiting.len().min(MAX_ENTRY);
        let mut taken: Vec<Moving> = Vec::new();
        for moving in self.waiting.drain(..count) {
            let free = matches!(fold.standing(moving.number, at), Standing::Waiting | Standing::Called);
            if !free || granted.contains(&moving.number) {
                say(moving.answer, Err(LineError::NoMove));
            } else if fold.moved().is_theirs(moving.number, &moving.to) {
                say(moving.answer, Ok(moving.number));
            } else if taken.iter().any(|other| other.number == moving.number && other.to != moving.to) {
                // A code that was asked for while the one before was being used.
                say(moving.answer, Err(LineError::NoMove));
            } else {
                taken.push(moving);
            }
        }
        taken.sort_by_key(|moving| moving.number);
        taken
    }

    /// The entry is not in the log: whoever showed the code may show it again.
    pub(crate) fn not_moved(&mut self, moving: Vec<Moving>, error: LineError) {
        for Moving { code, answer, .. } in moving {
            if error == LineError::Unavailable
                && let Some(known) = self.codes.get_mut(&code)
            {
                known.to = None;
            }
            say(answer, Err(error));
        }
    }

    /// Answers everybody who waits.
    pub(crate) fn close(&mut self, error: LineError) {
        self.waiting.drain(..).for_each(|moving| say(moving.answer, Err(error)));
    }

    fn forget(&mut self, now: Millis) {
        while let Some((_, code)) = self.by_time.front().copied().filter(|(expires, _)| *expires <= now) {
            self.by_time.pop_front();
            if let Some(Code { number, .. }) = self.codes.remove(&code)
                && self.of_number.get(&number) == Some(&code)
            {
                self.of_number.remove(&number);
            }
        }
    }
}

impl Moving {
    /// The log has it.
    pub(crate) fn done(self) {
        say(self.answer, Ok(self.number));
    }
}

/// What an entry says of these moves: each number once, in order.
pub(super) fn event(moving: &[Moving]) -> Vec<(u64, VisitorHash)> {
    let mut moved: Vec<(u64, VisitorHash)> = moving.iter().map(|moving| (moving.number, moving.to)).collect();
    moved.dedup();
    moved
}

impl Desk {
    /// Lets a code move this place, which is its visitor's.
    pub(crate) fn offer(
        &mut self,
        visitor: VisitorHash,
        number: u64,
        code: u64,
        now: Millis,
    ) -> Result<Millis, LineError> {
        match self.fold.standing(number, now.not_before(self.fold.at())) {
            Standing::Waiting | Standing::Called => self.moves.offer(number, visitor, code, now),
            Standing::Inside(_) | Standing::Ended | Standing::Unsure => Err(LineError::NoMove),
        }
    }

    /// Somebody shows a code; the move is decided with the next entry.
    pub(crate) fn move_to(&mut self, visitor: VisitorHash, code: u64, now: Millis, answer: Answer<u64>) {
        self.moves.move_to(&self.fold, code, visitor, now, answer);
    }

    /// Whoever claimed with the ticket of before came while the move was being logged.
    pub(super) fn drop_late_claims(&mut self, moved: &[(u64, VisitorHash)]) {
        for (number, _) in moved {
            let late = self.claims.remove(number).unwrap_or_default();
            self.owed -= late.len();
            late.into_iter().for_each(|answer| say(answer, Err(LineError::Moved)));
        }
    }
}
