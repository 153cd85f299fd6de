//! Classes: who of those who wait is called next.
//!
//! Stride scheduling. Each class has a clock that goes on by the inverse of its share with each call; the one whose clock is furthest
//! back is called next. So classes that wait are called in proportion to their shares, to within one call for each of them, whatever
//! happened before; a class in which nobody waits gives its share to the others and saves nothing up; and since everybody's share
//! is at least [`MIN_SHARE`](domain::limits::MIN_SHARE), nobody is bypassed without bound.
//!
//! A strict order of classes was rejected: one that never runs dry would keep everybody else waiting for ever.

use domain::limits::MAX_CLASSES;

/// Everybody, and the classes of the sale's document in their order.
pub const CLASSES: usize = MAX_CLASSES + 1;

/// One figure for each class.
pub type PerClass<T> = [T; CLASSES];

/// A clock goes on by this much over the share. Large, so that what the division leaves over is a call in many millions.
const STRIDE: u64 = 1 << 32;

/// Of 100 calls while all classes wait, how many go to each. A class without a share is not there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shares(pub PerClass<u32>);

impl Shares {
    /// No classes.
    pub const ONE_LINE: Self = {
        let mut shares = [0; CLASSES];
        shares[0] = 100;
        Self(shares)
    };

    /// What a sale's document says.
    #[must_use]
    pub fn of(classes: &[domain::LineClass]) -> Self {
        let mut shares = Self::ONE_LINE.0;
        for (share, class) in shares.iter_mut().skip(1).zip(classes) {
            *share = class.share;
        }
        let given: u32 = classes.iter().map(|class| class.share).sum();
        shares[0] = 100_u32.saturating_sub(given).max(1);
        Self(shares)
    }

    /// The part of the calls, of 1,000, that a class gets while it waits together with those in which `waiting` people do.
    #[must_use]
    pub fn permille(&self, class: usize, waiting: &PerClass<u64>) -> u64 {
        let one = |n: usize| u64::from(self.0.get(n).copied().unwrap_or(0));
        let all: u64 = (0..CLASSES).filter(|n| *n == class || waiting[*n] > 0).map(one).sum();
        (one(class) * 1_000).checked_div(all).unwrap_or(0)
    }
}

impl Default for Shares {
    fn default() -> Self {
        Self::ONE_LINE
    }
}

/// The classes' clocks, from step to step. They need not survive an owner: a fresh one is off by one call for each class at most.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Deal {
    clocks: PerClass<u64>,
    /// The clock of the class that was called last, as it was then.
    now: u64,
}

impl Deal {
    /// Calls up to `room` people of those who wait. Returns how many of each class, and the clocks afterwards.
    #[must_use]
    pub fn calls(mut self, room: u64, waiting: &PerClass<u64>, shares: &Shares) -> (PerClass<u64>, Self) {
        let mut called = [0; CLASSES];
        if let Some(only) = only(waiting, shares) {
            // However many they are: there is nothing to choose.
            self.idle(|class| class == only);
            called[only] = room.min(waiting[only]);
            self.run(only, called[only], shares);
            // The others did not wait while it was called.
            self.idle(|class| waiting[class] > called[class]);
            return (called, self);
        }
        for _ in 0..room {
            let Some(class) = self.next(|class| waiting[class] > called[class], shares) else { break };
            called[class] += 1;
        }
        self.idle(|class| waiting[class] > called[class]);
        (called, self)
    }

    /// The class whose turn it is among those that wait; its clock goes on.
    pub fn next(&mut self, waits: impl Fn(usize) -> bool, shares: &Shares) -> Option<usize> {
        self.idle(&waits);
        let due = (0..CLASSES).filter(|class| shares.0[*class] > 0 && waits(*class));
        // Among equals the first: everybody goes before a class.
        let class = due.min_by_key(|class| self.clocks[*class])?;
        self.run(class, 1, shares);
        Some(class)
    }

    /// The class is called so many times.
    fn run(&mut self, class: usize, calls: u64, shares: &Shares) {
        let stride = STRIDE / u64::from(shares.0[class].max(1));
        if calls > 0 {
            self.now = self.clocks[class] + stride * (calls - 1);
            self.clocks[class] = self.now + stride;
        }
    }

    /// Who does not wait saves nothing up.
    fn idle(&mut self, waits: impl Fn(usize) -> bool) {
        for (class, clock) in self.clocks.iter_mut().enumerate() {
            if !waits(class) {
                *clock = (*clock).max(self.now);
            }
        }
    }
}

/// The class in which everybody waits who does.
fn only(waiting: &PerClass<u64>, shares: &Shares) -> Option<usize> {
    let mut there = (0..CLASSES).filter(|class| shares.0[*class] > 0 && waiting[*class] > 0);
    there.next().filter(|_| there.next().is_none())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shares() -> impl Strategy<Value = Shares> {
        prop::collection::vec(1_u32..=11, 0..=MAX_CLASSES).prop_map(|given| {
            let mut shares = [0; CLASSES];
            shares[1..=given.len()].copy_from_slice(&given);
            shares[0] = 100 - given.iter().sum::<u32>();
            Shares(shares)
        })
    }

    /// For every class that waits all the time: called as its share among those that wait says, to within one call per class.
    fn fair(called: &PerClass<u64>, waits: impl Fn(usize) -> bool, shares: &Shares) -> Result<(), TestCaseError> {
        let there = || (0..CLASSES).filter(|class| shares.0[*class] > 0 && waits(*class));
        let all: u64 = there().map(|class| called[class]).sum();
        let of: u64 = there().map(|class| u64::from(shares.0[class])).sum();
        for class in there() {
            let (is, should) = (called[class] * of, all * u64::from(shares.0[class]));
            prop_assert!(is.abs_diff(should) <= CLASSES as u64 * of, "class {class}: {called:?} by {shares:?}");
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn classes_that_wait_are_called_by_their_shares(shares in shares(), rooms in prop::collection::vec(0_u64..40, 1..120)) {
            let (mut deal, mut sum) = (Deal::default(), [0; CLASSES]);
            for room in rooms {
                let (called, after) = deal.calls(room, &[u64::MAX; CLASSES], &shares);
                prop_assert_eq!(called.iter().sum::<u64>(), room, "no call is left over");
                sum.iter_mut().zip(called).for_each(|(sum, called)| *sum += called);
                deal = after;
                fair(&sum, |_| true, &shares)?;
            }
        }

        /// Whatever happened before: an empty class gives its share away, and has saved nothing up when somebody comes.
        #[test]
        fn a_class_that_comes_back_is_as_good_as_one_that_begins(
            shares in shares(), before in prop::collection::vec((0_u64..60, prop::array::uniform9(0_u64..9)), 0..60),
            empty in 0..CLASSES, room in 1_u64..400,
        ) {
            let mut deal = Deal::default();
            for (room, waiting) in before {
                let (called, after) = deal.calls(room, &waiting, &shares);
                let there: u64 = (0..CLASSES).filter(|class| shares.0[*class] > 0).map(|class| waiting[class]).sum();
                prop_assert_eq!(called.iter().sum::<u64>(), room.min(there), "nobody waits while there is room");
                prop_assert!(called.iter().zip(waiting).all(|(called, waiting)| *called <= waiting));
                deal = after;
            }
            let mut waiting = [u64::MAX; CLASSES];
            waiting[empty] = 0;
            let (called, deal) = deal.calls(room, &waiting, &shares);
            fair(&called, |class| class != empty, &shares)?;
            let (called, _) = deal.calls(room, &[u64::MAX; CLASSES], &shares);
            fair(&called, |_| true, &shares)?;
        }

        /// Never an unbounded bypass: however many others come, somebody of everybody's line is called soon.
        #[test]
        fn nobody_starves(shares in shares(), room in 0_u64..50) {
            let mut deal = Deal::default();
            for _ in 0..20 {
                deal = deal.calls(room, &[u64::MAX; CLASSES], &shares).1;
            }
            let gap = 100_u64.div_ceil(u64::from(shares.0[0])) + CLASSES as u64;
            let (called, _) = deal.calls(gap, &[u64::MAX; CLASSES], &shares);
            prop_assert!(called[0] >= 1, "{called:?} by {shares:?}");
        }
    }

    #[test]
    fn one_line_is_called_in_order_and_nothing_else_is() {
        let mut waiting = [0; CLASSES];
        waiting[0] = 7;
        let (called, deal) = Deal::default().calls(1_000_000_000, &waiting, &Shares::ONE_LINE);
        assert_eq!((called[0], called.iter().sum::<u64>()), (7, 7));
        assert_eq!(deal.calls(3, &[9; CLASSES], &Shares::ONE_LINE).0.iter().sum::<u64>(), 3);
    }

    #[test]
    fn a_share_grows_when_others_do_not_wait() {
        let mut shares = Shares::ONE_LINE;
        (shares.0[0], shares.0[1], shares.0[2]) = (50, 30, 20);
        let mut waiting = [0; CLASSES];
        assert_eq!(shares.permille(1, &waiting), 1_000);
        waiting[0] = 5;
        assert_eq!((shares.permille(1, &waiting), shares.permille(0, &waiting)), (375, 1_000));
        waiting[2] = 1;
        assert_eq!(shares.permille(1, &waiting), 300);
    }
}
