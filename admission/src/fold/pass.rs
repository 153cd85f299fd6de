//! A pass alive, and what faults add to it.

use domain::Millis;
use domain::fault::{Faults, Life};

use super::LineFold;

/// A pass alive, in 16 bytes: the owner of a large line keeps a million of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pass {
    pub(super) given: Millis,
    lives_ms: u32,
    /// What the faults recorded so far add to it.
    credit_ms: u32,
}

impl Pass {
    pub(super) fn new(given: Millis, ttl_ms: u64, faults: &Faults) -> Self {
        // A sale's passes live a day at most.
        let lives_ms = u32::try_from(ttl_ms).unwrap_or(u32::MAX);
        let mut pass = Self { given, lives_ms, credit_ms: 0 };
        pass.extend(faults);
        pass
    }

    pub(super) fn life(&self) -> Life {
        Life { given: self.given, expires: self.given.plus(self.lives_ms.into()) }
    }

    pub(super) fn ends(&self) -> Millis {
        self.life().expires.plus(self.credit_ms.into())
    }

    pub(super) fn extend(&mut self, faults: &Faults) {
        let life = self.life();
        self.credit_ms = u32::try_from(faults.end_of(life).since(life.expires)).unwrap_or(u32::MAX);
    }
}

impl LineFold {
    /// Faults are rare: all passes alive get their new end at once, so that everything else finds it as it is.
    pub(super) fn fault(&mut self, from: Millis, to: Millis) {
        self.faults.record(from, to);
        for pass in self.active.values_mut() {
            pass.extend(&self.faults);
        }
        self.by_end = self.active.iter().map(|(number, pass)| (pass.ends(), *number)).collect();
    }

    /// When the pass of `number` ends by the faults recorded so far, while the log says that it lives.
    #[must_use]
    pub fn ends(&self, number: u64) -> Option<Millis> {
        self.active.get(&number).map(Pass::ends)
    }

    /// Failures of ours, as far as they are recorded.
    #[must_use]
    pub const fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Places of passes that ended up to here may have been given to others: no fault that is recorded from now on may begin
    /// before, or two would have one place.
    #[must_use]
    pub const fn freed_to(&self) -> Millis {
        self.freed_to
    }
}
