//! How lanes and lines are spread over the processes that may own them.
//!
//! A hint, not a right: who owns what is decided by leases and fences. Processes that count themselves differently for a moment
//! move something that need not have moved, and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// What one process knows of itself and the others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Census {
    /// Processes alive that may own things of this kind, this one among them.
    pub members: u32,
    /// Things there are.
    pub things: u32,
    /// Things this process owns.
    pub mine: u32,
}

impl Census {
    /// What each process should own at most: rounded up, so that nothing is left over and nobody gives back for ever.
    #[must_use]
    pub const fn share(self) -> u32 {
        self.things.div_ceil(if self.members == 0 { 1 } else { self.members })
    }

    /// Whether a free thing is taken at once. A process that has its share leaves others a moment, and takes it if nobody did.
    #[must_use]
    pub const fn takes_at_once(self) -> bool {
        self.mine < self.share()
    }

    /// How many things have to go so that others get their share.
    #[must_use]
    pub const fn surplus(self) -> u32 {
        self.mine.saturating_sub(self.share())
    }
}

/// The census of one kind of things as it changes, shared by their owners of one process.
#[derive(Debug, Default)]
pub struct Spread {
    members: AtomicU32,
    things: AtomicU32,
    mine: AtomicU32,
    giving: AtomicU32,
}

impl Spread {
    /// Nothing is known yet: everything that is free is taken.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Says how many processes there are.
    pub fn set_members(&self, members: usize) {
        self.members.store(u32::try_from(members).unwrap_or(u32::MAX), Relaxed);
    }

    /// Says that there is one thing more.
    pub fn add_thing(&self) {
        self.things.fetch_add(1, Relaxed);
    }

    /// What is known now.
    #[must_use]
    pub fn census(&self) -> Census {
        let read = |count: &AtomicU32| count.load(Relaxed);
        Census { members: read(&self.members), things: read(&self.things), mine: read(&self.mine) }
    }

    /// This process owns one more, until the answer is dropped.
    #[must_use]
    pub fn own(self: &Arc<Self>) -> Owned {
        self.mine.fetch_add(1, Relaxed);
        Owned { spread: Arc::clone(self), giving: false }
    }
}

/// One thing that this process owns.
#[derive(Debug)]
pub struct Owned {
    spread: Arc<Spread>,
    giving: bool,
}

impl Owned {
    /// Whether this one has to go, so that another process gets its share. One goes at a time.
    pub fn has_to_go(&mut self) -> bool {
        if !self.giving && self.spread.census().surplus() > 0 {
            self.giving = self.spread.giving.compare_exchange(0, 1, Relaxed, Relaxed).is_ok();
        }
        self.giving
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.spread.mine.fetch_sub(1, Relaxed);
        if self.giving {
            self.spread.giving.store(0, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn census(members: u32, things: u32, mine: u32) -> Census {
        Census { members, things, mine }
    }

    #[test]
    fn shares_hold_everything_and_differ_by_what_cannot_be_divided() {
        for (members, things, share) in [(1, 7, 7), (2, 7, 4), (3, 7, 3), (7, 7, 1), (9, 7, 1), (0, 7, 7), (3, 0, 0)] {
            assert_eq!(census(members, things, 0).share(), share, "{things} over {members}");
        }
    }

    #[test]
    fn whoever_has_its_share_waits_and_whoever_has_more_gives_back() {
        assert!(census(2, 4, 1).takes_at_once());
        assert!(!census(2, 4, 2).takes_at_once());
        assert_eq!((census(2, 4, 2).surplus(), census(2, 4, 4).surplus(), census(1, 4, 4).surplus()), (0, 2, 0));
    }

    #[test]
    fn giving_back_one_at_a_time_ends_with_equal_shares_whoever_comes() {
        for (members, things) in [(2, 1), (2, 5), (3, 8), (4, 3)] {
            let mut owned = vec![things];
            owned.resize(members as usize, 0);
            let mut moves = 0;
            while let Some(giver) = owned.iter().position(|mine| census(members, things, *mine).surplus() > 0) {
                owned[giver] -= 1;
                let taker = owned.iter().position(|mine| census(members, things, *mine).takes_at_once());
                assert!(taker.is_some_and(|taker| taker != giver), "somebody has room for what is given back");
                owned[taker.unwrap_or_default()] += 1;
                moves += 1;
                assert!(moves <= things, "nothing goes round in circles");
            }
            assert_eq!(owned.iter().sum::<u32>(), things);
            assert!(owned.iter().all(|mine| *mine <= things.div_ceil(members)));
        }
    }

    #[test]
    fn one_thing_goes_at_a_time_and_the_next_when_it_has_gone() {
        let spread = Spread::new();
        (0..4).for_each(|_| spread.add_thing());
        let mut owned: Vec<Owned> = (0..4).map(|_| spread.own()).collect();
        assert!(!owned[0].has_to_go(), "alone, nothing has to go");
        spread.set_members(2);
        assert!(owned[0].has_to_go() && owned[0].has_to_go() && !owned[1].has_to_go());
        owned.remove(0);
        assert!(owned[0].has_to_go());
        owned.remove(0);
        assert!(!owned[0].has_to_go(), "two of four are its share");
        assert_eq!(spread.census(), census(2, 4, 2));
    }
}
