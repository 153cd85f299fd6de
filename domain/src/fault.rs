//! Fault credit: a failure of ours costs no visitor the place. Fault windows are recorded from evidence of the servers
//! alone; what they add to a pass or a hold is a pure function of windows and life, so every process comes to the same
//! deadline and nothing is issued anew.

use crate::limits::MAX_FAULT_CREDIT_MS;
use crate::time::Millis;

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
