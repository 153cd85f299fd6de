//! Fault credit: a failure of ours costs no visitor the place. Fault windows are recorded from evidence of the servers
//! alone; what they add to a pass or a hold is a pure function of windows and life, so every process comes to the same
//! deadline and nothing is issued anew.

use serde::{Deserialize, Serialize};

use crate::limits::{FAULT_KEEP_MS, FAULT_MIN_MS, MAX_FAULT_CREDIT_MS, MAX_FAULTS};
use crate::time::Millis;

/// The life of a pass or a hold as it was given. What faults add to it is not in it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Life {
    /// When it was given.
    pub given: Millis,
    /// When it ends.
    pub expires: Millis,
}

/// Times at which the front did not work, sorted and apart from each other.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Faults(Vec<(Millis, Millis)>);

impl Faults {
    /// Adds the window from `from` up to, not including, `to`; it grows together with those it touches.
    pub fn add(&mut self, from: Millis, to: Millis) {
        if from >= to {
            return;
        }
        let first = self.0.partition_point(|(_, end)| *end < from);
        let behind = self.0.partition_point(|(begin, _)| *begin <= to);
        let met = self.0.get(first..behind).unwrap_or_default();
        let from = met.first().map_or(from, |(begin, _)| from.min(*begin));
        let to = met.last().map_or(to, |(_, end)| to.max(*end));
        drop(self.0.splice(first..behind, [(from, to)]));
    }

    /// Adds a window that ended lately, within the bounds of what is remembered: windows that nothing alive can have met go, and of
    /// more than [`MAX_FAULTS`] the two nearest count as one, so that nobody's end ever moves forward.
    pub fn record(&mut self, from: Millis, to: Millis) {
        self.add(from, to);
        self.forget_before(Millis(to.0.saturating_sub(FAULT_KEEP_MS)));
        while self.0.len() > MAX_FAULTS {
            let between = self.0.windows(2).map(|pair| (pair[0].1, pair[1].0));
            let Some((end, begin)) = between.min_by_key(|(end, begin)| begin.since(*end)) else { return };
            self.add(end, begin);
        }
    }

    /// Forgets windows that ended before `before`: of no use once everything that lived then is over.
    pub fn forget_before(&mut self, before: Millis) {
        self.0.retain(|(_, to)| *to >= before);
    }

    /// When something that was given at `given` and was to end at `expires` really ends: later by the windows that lie in its
    /// life, by [`MAX_FAULT_CREDIT_MS`] at most. A window counts from its begin or from `given` to its end, also where it
    /// goes on beyond the life: who had ten seconds left when it began has ten seconds left when it is over.
    #[must_use]
    pub fn extended(&self, given: Millis, expires: Millis) -> Millis {
        let (mut credit, mut until) = (0_u64, expires);
        for (from, to) in self.0.iter().skip_while(|(_, to)| *to <= given) {
            if *from >= until || credit >= MAX_FAULT_CREDIT_MS {
                break;
            }
            credit = credit.saturating_add(to.since((*from).max(given))).min(MAX_FAULT_CREDIT_MS);
            until = expires.plus(credit);
        }
        until
    }

    /// The same of a [`Life`].
    #[must_use]
    pub fn end_of(&self, life: Life) -> Millis {
        self.extended(life.given, life.expires)
    }

    /// The windows, for publishing them.
    #[must_use]
    pub fn windows(&self) -> &[(Millis, Millis)] {
        &self.0
    }
}

impl FromIterator<(Millis, Millis)> for Faults {
    fn from_iter<T: IntoIterator<Item = (Millis, Millis)>>(windows: T) -> Self {
        let mut faults = Self::default();
        windows.into_iter().for_each(|(from, to)| faults.add(from, to));
        faults
    }
}

/// Whether something has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// It lives.
    No,
    /// It has, and no fault that becomes known later can change that.
    Yes,
    /// It has, unless a fault is under way that is not recorded yet.
    Unsure,
}

/// What a process knows of a sale's faults, as the owner of the sale's line published it.
///
/// Windows become known when they are over. What ends while one is under way must not be taken for over: the owner says with its
/// windows up to when they are complete, and whatever seems to have ended later waits until it says more, or for as long as
/// faults could extend it at most. So who ends something has seen every window that counts for it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct KnownFaults {
    /// The windows.
    pub faults: Faults,
    /// Every window that began before is among them. The default: nothing is known yet.
    pub to: Millis,
}

impl KnownFaults {
    /// Where nobody records faults: a sale without a waiting room. Everything ends when it was to end.
    #[must_use]
    pub const fn none() -> Self {
        Self { faults: Faults(Vec::new()), to: Millis(u64::MAX) }
    }

    /// Up to which moment it is certain at `now` what has ended: an end that lies behind it is not certain yet.
    #[must_use]
    pub fn certain(&self, now: Millis) -> Millis {
        now.min(self.to.max(Millis(now.0.saturating_sub(MAX_FAULT_CREDIT_MS))))
    }

    /// Whether what is known is as fresh at `now` as it is while there are no faults.
    #[must_use]
    pub const fn is_fresh(&self, now: Millis) -> bool {
        now.since(self.to) <= FAULT_MIN_MS
    }

    /// Whether something of this life has ended at `now`. While what is known is fresh, it is taken for all there is: faults
    /// shorter than that are not recorded.
    #[must_use]
    pub fn ended(&self, life: Life, now: Millis) -> Ended {
        let end = self.faults.end_of(life);
        if now < end {
            Ended::No
        } else if end <= self.certain(now) || self.is_fresh(now) {
            Ended::Yes
        } else {
            Ended::Unsure
        }
    }
}
