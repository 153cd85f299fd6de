//! What went wrong at the front, as the line's owner sees it: from when to when visitors could not be served. Evidence of the servers
//! alone, so nobody can claim a failure. No I/O, no clock.

use domain::limits::{FAULT_KNOWN_STEP_MS, FAULT_MIN_MS, HEARTBEAT_MS, MAX_FAULT_CREDIT_MS};
use domain::{Millis, Phase, VisitorHash};

use super::super::rules::Rules;
use crate::fold::{LineFold, Standing};

/// Up to when the owner vouches for the front. What it has not seen in order for [`FAULT_MIN_MS`] was a fault: the owner before died,
/// or this one was stopped, or Redis, a lane or its owner was away. It is recorded when it is over; until then the owner
/// vouches for nothing, and nothing that seems to have ended since is taken for over.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Watch {
    /// Every fault that began before is in the log. `None`: nobody has looked yet, so nothing waits for it.
    known_to: Option<Millis>,
    /// When the front was last seen in order.
    sound_at: Option<Millis>,
}

impl Watch {
    /// The watch of a new owner of the line with this log. `published`: up to when the owner before vouched; absent: Redis has lost it,
    /// and a fault may have begun right behind the log's last entry. An older copy of Redis may say too little: what the log gave
    /// away stays given away.
    pub(crate) fn taken_over(published: Option<Option<Millis>>, fold: &LineFold, now: Millis) -> Self {
        let quiet = Millis(now.0.saturating_sub(MAX_FAULT_CREDIT_MS));
        let lost = || (fold.seq() > 0).then(|| fold.at().max(quiet));
        let known_to = published.unwrap_or_else(lost).map(|to| to.max(fold.freed_to()));
        Self { known_to, sound_at: None }
    }

    /// The front was in order at `at`.
    pub(crate) fn sound(&mut self, at: Millis, rules: &Rules) {
        self.sound_at = self.sound_at.max(Some(at));
        let fault = self.known_to.is_some_and(|known| at.since(known) >= least(rules)) && matters(rules);
        if !fault {
            self.known_to = self.known_to.max(Some(at));
        }
    }

    /// A fault that is over and not recorded yet, for an entry of this time.
    pub(super) fn fault(&self, rules: &Rules, at: Millis) -> Option<(Millis, Millis)> {
        let (from, to) = (self.known_to?, self.sound_at?.min(at));
        (matters(rules) && to.since(from) >= least(rules)).then_some((from, to))
    }

    /// The log has it.
    pub(super) fn recorded(&mut self, to: Millis) {
        self.known_to = self.known_to.max(Some(to));
    }

    /// Every fault that began before is in the log.
    pub(super) fn known_to(&self) -> Millis {
        self.known_to.unwrap_or(Millis(u64::MAX))
    }

    /// The same, to be published: in steps, so that a quiet line is not written anew with every step.
    pub(crate) fn published(&self) -> Option<Millis> {
        self.known_to.map(|at| Millis(at.0 - at.0 % FAULT_KNOWN_STEP_MS))
    }

    /// Whether a fault that is not recorded yet may extend what ends at `ends`.
    pub(super) fn is_unsure(&self, ends: Millis, now: Millis) -> bool {
        let known_to = self.known_to();
        ends > known_to && now.since(known_to) > FAULT_MIN_MS && now.since(ends) < MAX_FAULT_CREDIT_MS
    }
}

/// Where `number` stands at `now`, as far as this owner knows of faults.
pub(super) fn standing(fold: &LineFold, watch: &Watch, number: u64, now: Millis) -> Standing {
    match fold.standing(number, now) {
        Standing::Ended if fold.ends(number).is_some_and(|ends| watch.is_unsure(ends, now)) => Standing::Unsure,
        standing => standing,
    }
}

/// This visitor's place in a class, until it is known to have ended.
pub(super) fn class_place(fold: &LineFold, watch: &Watch, visitor: &VisitorHash, now: Millis) -> Option<u64> {
    fold.class_place_unless(visitor, |number| standing(fold, watch, number, now) == Standing::Ended)
}

/// Nobody has anything to lose before the opening and long after the close.
fn matters(rules: &Rules) -> bool {
    rules.phase != Phase::Scheduled && !rules.over
}

/// Milliseconds from which on it is a fault: while the sale is not open the front is looked at less often.
fn least(rules: &Rules) -> u64 {
    if rules.is_on() { FAULT_MIN_MS } else { FAULT_MIN_MS + HEARTBEAT_MS }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use domain::LineEvent;

    use super::super::tests::rules;
    use super::*;

    const START: Millis = Millis(1_000_000);

    fn at(ms: u64) -> Millis {
        START.plus(ms)
    }

    /// Seen in order every 100 ms between both times.
    fn look(watch: &mut Watch, from: u64, to: u64) {
        (from..=to).step_by(100).for_each(|ms| watch.sound(at(ms), &rules(600, 10)));
    }

    #[test]
    fn a_front_that_is_in_order_has_no_faults_and_is_vouched_for_in_steps() {
        let mut watch = Watch::default();
        look(&mut watch, 0, 60_000);
        assert_eq!(watch.fault(&rules(600, 10), at(60_050)), None);
        assert_eq!((watch.known_to(), watch.published()), (at(60_000), Some(at(60_000))));
        look(&mut watch, 60_100, 60_400);
        assert_eq!(watch.published(), Some(at(60_000)));
        assert!(!watch.is_unsure(at(60_420), at(60_450)), "what ended a moment ago has ended");
    }

    #[test]
    fn what_is_not_seen_in_order_is_a_fault_from_the_last_good_look_to_the_next() {
        let mut watch = Watch::default();
        look(&mut watch, 0, 1_000);
        assert!(watch.is_unsure(at(5_000), at(6_000)), "nobody is sent back meanwhile");
        assert_eq!(watch.fault(&rules(600, 10), at(9_000)), None, "it is recorded when it is over");
        look(&mut watch, 9_000, 9_300);
        assert_eq!(watch.known_to(), at(1_000), "nothing is vouched for before it is in the log");
        assert_eq!(watch.fault(&rules(600, 10), at(9_310)), Some((at(1_000), at(9_300))));
        watch.recorded(at(9_300));
        look(&mut watch, 9_400, 10_000);
        assert_eq!((watch.fault(&rules(600, 10), at(10_000)), watch.known_to()), (None, at(10_000)));
    }

    #[test]
    fn a_hiccup_is_no_fault() {
        let mut watch = Watch::default();
        look(&mut watch, 0, 0);
        look(&mut watch, FAULT_MIN_MS - 1, FAULT_MIN_MS - 1);
        assert_eq!(watch.fault(&rules(600, 10), at(FAULT_MIN_MS)), None);
    }

    #[test]
    fn before_the_opening_and_long_after_the_close_nothing_is_recorded() {
        for (phase, over) in [(Phase::Scheduled, false), (Phase::Closed, true)] {
            let rules = Rules { phase, over, ..rules(600, 10) };
            let mut watch = Watch::default();
            watch.sound(at(0), &rules);
            watch.sound(at(60_000), &rules);
            assert_eq!((watch.fault(&rules, at(60_000)), watch.known_to()), (None, at(60_000)));
        }
    }

    #[test]
    fn a_new_owner_goes_on_where_the_one_before_vouched() {
        let rules = rules(600, 10);
        let fold = |log_ends: u64| {
            let mut fold = LineFold::new(5_000);
            let first =
                LineEvent { at: START, numbers_to: 9, frontier: 9, pass_ttl_ms: Some(100), ..LineEvent::default() };
            fold.apply(1, &LineEvent { granted: vec![1], ..first.clone() }).unwrap();
            fold.apply(2, &LineEvent { at: at(log_ends), ended: vec![1], ..first }).unwrap();
            fold
        };
        let mut watch = Watch::taken_over(Some(Some(at(500))), &fold(1_200), at(2_500));
        watch.sound(at(2_500), &rules);
        assert_eq!(watch.fault(&rules, at(2_600)), Some((at(500), at(2_500))));
        let older_copy = Watch::taken_over(Some(Some(at(0))), &fold(1_200), at(2_500));
        assert_eq!(older_copy.known_to(), at(100), "the place of that pass may be another's");
        let mut lost = Watch::taken_over(None, &fold(1_900), at(4_000));
        lost.sound(at(4_000), &rules);
        assert_eq!(
            lost.fault(&rules, at(4_100)),
            Some((at(1_900), at(4_000))),
            "Redis has lost it: since the last entry"
        );
        let later = at(900_000);
        let quiet = Watch::taken_over(None, &fold(1_900), later);
        assert_eq!(quiet.known_to(), Millis(later.0 - MAX_FAULT_CREDIT_MS), "of a quiet line no longer than counts");
        assert_eq!(Watch::taken_over(None, &LineFold::new(5_000), at(0)).published(), None, "a new line");
        assert_eq!(
            Watch::taken_over(Some(None), &fold(1_200), at(9)).published(),
            None,
            "an owner of an earlier version"
        );
    }
}
