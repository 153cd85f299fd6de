//! Places that were moved to another visitor: whose they are now.

use std::collections::{BTreeMap, HashMap};

use domain::number::{EVERYBODY, class_of, place_in};
use domain::{LineEvent, Millis, VisitorHash};

use super::{BadLine, LineFold, Standing};

/// Who has the numbers that were moved; every other number is its first visitor's: of a class, whose code gave it.
///
/// Memory: about a hundred bytes per number that was ever moved.
#[derive(Clone, Debug, Default)]
pub struct Moved {
    holders: BTreeMap<u64, VisitorHash>,
    /// The latest of everybody's line, and the latest of a class, by visitor.
    latest: HashMap<VisitorHash, u64>,
    latest_in_class: HashMap<VisitorHash, u64>,
}

impl Moved {
    /// `number` is `to`'s from now on.
    pub(crate) fn add(&mut self, number: u64, to: VisitorHash) {
        self.holders.insert(number, to);
        let latest = if class_of(number) == EVERYBODY { &mut self.latest } else { &mut self.latest_in_class };
        latest.insert(to, number);
    }

    /// Whether this number was moved to somebody else than this visitor.
    #[must_use]
    pub fn is_others(&self, number: u64, visitor: &VisitorHash) -> bool {
        self.holders.get(&number).is_some_and(|holder| holder != visitor)
    }

    /// Whether this number was moved, and to this visitor.
    #[must_use]
    pub fn is_theirs(&self, number: u64, visitor: &VisitorHash) -> bool {
        self.holders.get(&number) == Some(visitor)
    }

    /// The number of everybody's line that was last moved to this visitor, while it is theirs.
    #[must_use]
    pub fn of(&self, visitor: &VisitorHash) -> Option<u64> {
        self.latest.get(visitor).copied().filter(|number| self.is_theirs(*number, visitor))
    }

    /// The same for a number of a class.
    #[must_use]
    pub fn in_class_of(&self, visitor: &VisitorHash) -> Option<u64> {
        self.latest_in_class.get(visitor).copied().filter(|number| self.is_theirs(*number, visitor))
    }

    /// Numbers that were ever moved.
    #[must_use]
    pub fn count(&self) -> usize {
        self.holders.len()
    }

    /// Bytes of memory, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.holders.len() * 2 * size_of::<(u64, VisitorHash)>() * 2
    }
}

impl LineFold {
    /// Only a place that somebody may have, and has not used, can become another visitor's; of everybody's line none before the lobby
    /// is drawn.
    pub(super) fn check_moved(&self, seq: u64, entry: &LineEvent) -> Result<(), BadLine> {
        let rising = entry.moved.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let drawn = self.lobby.count() == 0 || self.lobby.drawn().is_some();
        let had = |number: u64| match class_of(number) {
            EVERYBODY => drawn && (1..=self.numbers_to).contains(&number),
            class => (1..=self.classes.issued(class)).contains(&place_in(number)),
        };
        let free = |number: u64| had(number) && !self.used(number) && !entry.granted.contains(&number);
        let fits = rising && entry.moved.iter().all(|(number, _)| free(*number));
        if fits { Ok(()) } else { Err(BadLine::Moved(seq)) }
    }

    /// Whose the numbers are that were moved.
    #[must_use]
    pub const fn moved(&self) -> &Moved {
        &self.moved
    }

    /// Whether this number of a class is this visitor's: by a code, or moved to them.
    #[must_use]
    pub fn has_in_class(&self, visitor: &VisitorHash, number: u64) -> bool {
        let by_code = self.classes.number_of(visitor) == Some(number) && !self.moved.is_others(number, visitor);
        by_code || self.moved.is_theirs(number, visitor)
    }

    /// This visitor's place in a class that has not ended: the one they got by a code and did not move away, or one that was moved to
    /// them. Of two the one they are inside with, else the lower number.
    #[must_use]
    pub fn class_place(&self, visitor: &VisitorHash, now: Millis) -> Option<u64> {
        self.class_place_unless(visitor, |number| self.standing(number, now) == Standing::Ended)
    }

    /// The same, where who asks says which places have ended.
    pub(crate) fn class_place_unless(&self, visitor: &VisitorHash, ended: impl Fn(u64) -> bool) -> Option<u64> {
        let all = [self.classes.number_of(visitor), self.moved.in_class_of(visitor)];
        let theirs = all.into_iter().flatten().filter(|number| self.has_in_class(visitor, *number));
        theirs.filter(|number| !ended(*number)).min_by_key(|number| (!self.is_active(*number), *number))
    }
}
