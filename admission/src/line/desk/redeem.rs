//! Codes on their way into the log. Whether a code may be used once more is decided over the fold of the log and what goes into the
//! same entry; nobody is answered before that entry is there (I6). So a code that a dead owner had decided and not logged was not used, and
//! one that is logged is used, whoever owns the line next.

use std::collections::{HashMap, HashSet};

use domain::code::{Code, CodeHash};
use domain::limits::{MAX_CLASSES, MAX_REDEEMED, MAX_REDEEMED_ENTRY};
use domain::number::Class;
use domain::{Millis, Redeemed, VisitorHash};

use super::super::Joined;
use super::super::rules::Rules;
use super::{Answer, LineError, Watch, say, watch};
use crate::fold::LineFold;

/// A visitor who redeems a code, and who waits for the place: one, or several tabs.
#[derive(Debug)]
pub(crate) struct Redeeming {
    visitor: VisitorHash,
    code: Code,
    answers: Vec<Answer<Joined>>,
}

impl Redeeming {
    pub(crate) const fn event(&self) -> Redeemed {
        Redeemed { class: self.code.class, visitor: self.visitor, code: self.code.code, uses: self.code.uses }
    }

    /// The log has it.
    pub(crate) fn appended(self, fold: &LineFold) {
        let number = fold.classes().number_of(&self.visitor);
        for (n, answer) in self.answers.into_iter().enumerate() {
            say(answer, number.map(|number| Joined { number, new: n == 0 }).ok_or(LineError::Unavailable));
        }
    }

    pub(crate) fn refuse(self, error: LineError) {
        self.answers.into_iter().for_each(|answer| say(answer, Err(error)));
    }
}

/// Codes that wait for the next entry, in order of arrival. The owner takes no more requests than its queue may hold.
#[derive(Debug, Default)]
pub(crate) struct Till(Vec<Redeeming>);

impl Till {
    /// A code that ingress has found good. Answered from the log where the visitor has a place by code, else by the next entry. Returns
    /// whether an answer is owed.
    pub(crate) fn redeem(
        &mut self,
        (fold, watch): (&LineFold, &Watch),
        visitor: VisitorHash,
        code: Code,
        answer: Answer<Joined>,
        now: Millis,
    ) -> bool {
        if let Some(known) = known(fold, watch, &visitor, now) {
            say(answer, known);
            return false;
        }
        self.0.push(Redeeming { visitor, code, answers: vec![answer] });
        true
    }

    /// What goes into the next entry: first come, first served. Those who cannot be are answered here. `owed` loses every answer that
    /// is taken out.
    pub(crate) fn take(
        &mut self,
        (fold, watch): (&LineFold, &Watch),
        rules: &Rules,
        at: Millis,
        owed: &mut usize,
    ) -> Vec<Redeeming> {
        let (mut taken, mut count): (Vec<Redeeming>, Count) = (Vec::new(), Count::default());
        let mut later = Vec::new();
        for mut one in std::mem::take(&mut self.0) {
            if taken.len() >= MAX_REDEEMED_ENTRY {
                later.push(one);
                continue;
            }
            *owed -= one.answers.len();
            if let Some(known) = known(fold, watch, &one.visitor, at) {
                one.answers.into_iter().for_each(|answer| say(answer, known));
            } else if count.visitors.contains(&one.visitor) {
                // The same person in another tab, a moment ago.
                if let Some(first) = taken.iter_mut().find(|first| first.visitor == one.visitor) {
                    first.answers.append(&mut one.answers);
                }
            } else {
                match count.add(fold, rules, &one) {
                    Ok(()) => taken.push(one),
                    Err(error) => one.refuse(error),
                }
            }
        }
        self.0 = later;
        taken
    }

    pub(crate) fn close(&mut self, error: LineError) {
        self.0.drain(..).for_each(|one| one.refuse(error));
    }
}

/// The place in a class that this visitor has. One by a code that was used, or moved to somebody else, is used: a class is entered once.
fn known(fold: &LineFold, watch: &Watch, visitor: &VisitorHash, now: Millis) -> Option<Result<Joined, LineError>> {
    let place = watch::class_place(fold, watch, visitor, now.not_before(fold.at()));
    let used = || fold.classes().number_of(visitor).map(|_| Err(LineError::CodeUsed));
    place.map(|number| Ok(Joined { number, new: false })).or_else(used)
}

/// What one entry has so far.
#[derive(Default)]
struct Count {
    visitors: HashSet<VisitorHash>,
    codes: HashMap<CodeHash, u32>,
    classes: [u64; MAX_CLASSES + 1],
}

impl Count {
    fn add(&mut self, fold: &LineFold, rules: &Rules, one: &Redeeming) -> Result<(), LineError> {
        let (code, classes) = (one.code, fold.classes());
        let uses = self.codes.entry(code.code).or_insert_with(|| classes.uses_of(&code.code));
        if *uses >= code.uses {
            return Err(LineError::CodeUsed);
        }
        let more = self.classes.get_mut(usize::from(code.class)).ok_or(LineError::ClassFull)?;
        let full = classes.redeemed() + self.visitors.len() >= MAX_REDEEMED;
        if full || classes.issued(code.class) + *more >= places(rules, code.class) {
            return Err(LineError::ClassFull);
        }
        (*uses, *more) = (*uses + 1, *more + 1);
        self.visitors.insert(one.visitor);
        Ok(())
    }
}

/// How many visitors may get a place in a class. One that the sale has not got takes nobody.
fn places(rules: &Rules, class: Class) -> u64 {
    let class = usize::from(class).checked_sub(1).and_then(|at| rules.room.classes.get(at));
    class.map_or(0, |class| class.places.into())
}
