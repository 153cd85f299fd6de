//! How long intents have been waiting. The committer decides them in the order in which they were offered, and whatever it ends
//! was in front: so the times of offers in order, cut to as many as still wait, are theirs.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// See the module's text.
#[derive(Default)]
pub(super) struct Ages(VecDeque<Instant>);

impl Ages {
    /// So many still wait. To be told before another one is added.
    pub(super) fn keep(&mut self, waiting: usize) {
        let ended = self.0.len().saturating_sub(waiting);
        self.0.drain(..ended);
    }

    /// One more waits.
    pub(super) fn add(&mut self, now: Instant) {
        self.0.push_back(now);
    }

    /// How long the first one has been waiting.
    pub(super) fn oldest(&self, now: Instant) -> Duration {
        self.0.front().map_or(Duration::ZERO, |since| now.saturating_duration_since(*since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_the_first_that_has_not_ended() {
        let (mut ages, begin) = (Ages::default(), Instant::now());
        let at = |ms| begin + Duration::from_millis(ms);
        assert_eq!(ages.oldest(at(0)), Duration::ZERO);
        ages.add(at(0));
        ages.add(at(10));
        ages.add(at(20));
        assert_eq!(ages.oldest(at(30)), Duration::from_millis(30));
        // Two end, and one comes: as many wait as before, but the first of them came later.
        ages.keep(1);
        ages.add(at(40));
        assert_eq!(ages.oldest(at(50)), Duration::from_millis(30));
        ages.keep(2);
        assert_eq!(ages.oldest(at(50)), Duration::from_millis(30));
        ages.keep(0);
        assert_eq!(ages.oldest(at(50)), Duration::ZERO);
    }
}
