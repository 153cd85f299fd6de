//! Tells the owner of a line which passes have ended by a booking.
//!
//! An owner that dies may have been told and not have logged it: so the numbers are remembered, and told again to every next owner,
//! which drops those it knows. A number that is lost all the same frees its place when the pass expires.

use std::collections::BTreeSet;
use std::time::Duration;

use admission::remote::{Ends, encode_ends, ends_taken};
use domain::SaleId;
use domain::limits::{FORWARD_ANSWER_MS, HEARTBEAT_MS, MAX_FORWARD_ENDS, MAX_REMEMBERED_ENDS};
use ingress::internal::line_path;
use lua::LineKeys;
use tokio::time::{Instant, sleep_until};

use super::{Post, Whose};

/// Pause before what was not taken is told again.
const AGAIN_MS: u64 = 100;

/// What one process knows of passes that ended.
#[derive(Default)]
struct Known {
    all: BTreeSet<u64>,
    /// Not taken by the present owner.
    untold: BTreeSet<u64>,
    /// Who has taken the others.
    owner: String,
}

impl Known {
    fn add(&mut self, numbers: &[u64]) {
        self.all.extend(numbers);
        self.untold.extend(numbers);
        // The highest are those whose pass may still live.
        while self.all.len() > MAX_REMEMBERED_ENDS {
            if let Some(lowest) = self.all.pop_first() {
                self.untold.remove(&lowest);
            }
        }
    }

    /// What this owner has to be told now.
    fn next_for(&mut self, owner: &str) -> Vec<u64> {
        if self.owner != owner {
            owner.clone_into(&mut self.owner);
            self.untold.clone_from(&self.all);
        }
        self.untold.iter().take(MAX_FORWARD_ENDS).copied().collect()
    }

    fn taken(&mut self, numbers: &[u64]) {
        let told: BTreeSet<u64> = numbers.iter().copied().collect();
        self.untold.retain(|number| !told.contains(number));
    }
}

/// Tells, until there can be no more.
pub(crate) async fn tell_ends(post: Post, sale: SaleId, mut ends: Ends) {
    let (whose, path) = (Whose::Line(LineKeys::new(&sale)), line_path(&sale));
    let (mut known, mut next) = (Known::default(), Instant::now());
    loop {
        tokio::select! {
            numbers = ends.next() => match numbers {
                Some(numbers) => known.add(&numbers),
                None => return,
            },
            () = sleep_until(next), if !known.all.is_empty() => {}
        }
        if Instant::now() < next {
            continue;
        }
        let done = tell(&post, &whose, &path, &mut known).await;
        // Also when all is told: another owner may have come.
        next = Instant::now() + Duration::from_millis(if done { HEARTBEAT_MS } else { AGAIN_MS });
        if done && !known.untold.is_empty() {
            next = Instant::now();
        }
    }
}

/// One call to the owner there is; false when it did not take what it was told.
async fn tell(post: &Post, whose: &Whose, path: &str, known: &mut Known) -> bool {
    let Ok(Some(owner)) = post.owner(whose).await else { return false };
    let numbers = known.next_for(&owner);
    if numbers.is_empty() {
        return true;
    }
    let within = Duration::from_millis(FORWARD_ANSWER_MS);
    let taken = post.caller.call(&owner, path, encode_ends(&numbers), within).await.is_ok_and(|text| ends_taken(&text));
    if taken {
        known.taken(&numbers);
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_next_owner_is_told_all_that_is_remembered() {
        let mut known = Known::default();
        known.add(&[1, 2, 3]);
        assert_eq!(known.next_for("a"), [1, 2, 3]);
        known.taken(&[1, 2]);
        known.add(&[9]);
        assert_eq!(known.next_for("a"), [3, 9]);
        assert_eq!(known.next_for("b"), [1, 2, 3, 9]);
    }

    #[test]
    fn of_many_the_latest_are_remembered_and_told_in_parts() {
        let mut known = Known::default();
        let many: Vec<u64> = (1..=MAX_REMEMBERED_ENDS as u64 + 5).collect();
        known.add(&many);
        let first = known.next_for("a");
        assert_eq!((known.all.len(), first.len(), first.first()), (MAX_REMEMBERED_ENDS, MAX_FORWARD_ENDS, Some(&6)));
    }
}
