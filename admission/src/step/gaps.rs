//! Numbers that nobody stands behind: left over when a line changed its owner.

/// Ranges of numbers that the frontier jumps at no cost: nobody is called, nobody fails to show up. A ticket with such a
/// number, should there be one, is as good as any other.
///
/// Sorted, apart from each other, one range of 16 bytes per change of owner; those far behind the frontier are let go.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Gaps(Vec<(u64, u64)>);

impl Gaps {
    /// Adds the numbers `first..=last`. Ranges come in rising order, as owners follow each other.
    pub fn add(&mut self, first: u64, last: u64) {
        let first = self.0.last().map_or(first.max(1), |(_, end)| first.max(end + 1));
        if first > last {
            return;
        }
        match self.0.last_mut() {
            Some((_, end)) if *end + 1 == first => *end = last,
            _ => self.0.push((first, last)),
        }
    }

    /// Forgets what lies wholly before `number`.
    pub fn forget_before(&mut self, number: u64) {
        let keep = self.0.partition_point(|(_, last)| *last < number);
        self.0.drain(..keep);
    }

    /// Whether nobody stands behind `number`.
    #[must_use]
    pub fn contains(&self, number: u64) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= number);
        after > 0 && self.0.get(after - 1).is_some_and(|(_, last)| number <= *last)
    }

    /// People behind the numbers after `after` up to `to`.
    #[must_use]
    pub fn people(&self, after: u64, to: u64) -> u64 {
        let empty: u64 = self.0.iter().map(|(first, last)| overlap(*first, *last, after, to)).sum();
        to.saturating_sub(after).saturating_sub(empty)
    }

    /// Moves on from `frontier` by at most `room` people, not beyond `to`; gaps that are met are jumped. Returns the new
    /// frontier and how many people that calls. Without room for anybody nothing moves.
    #[must_use]
    pub fn advance(&self, frontier: u64, to: u64, room: u64) -> (u64, u64) {
        let (mut at, mut called) = (frontier, 0);
        if room == 0 {
            return (at, called);
        }
        for (first, last) in &self.0 {
            if *last <= at {
                continue;
            }
            let before = (first - 1).clamp(at, to.max(at)) - at;
            let taken = before.min(room - called);
            at += taken;
            called += taken;
            if at + 1 < *first || *last > to {
                return (at, called);
            }
            at = *last;
        }
        let taken = to.saturating_sub(at).min(room - called);
        (at + taken, called + taken)
    }

    /// The ranges, for showing them.
    #[must_use]
    pub fn ranges(&self) -> &[(u64, u64)] {
        &self.0
    }
}

impl FromIterator<(u64, u64)> for Gaps {
    /// Ranges in rising order.
    fn from_iter<T: IntoIterator<Item = (u64, u64)>>(ranges: T) -> Self {
        let mut gaps = Self::default();
        for (first, last) in ranges {
            gaps.add(first, last);
        }
        gaps
    }
}

/// Numbers of `first..=last` that lie in `after + 1..=to`.
fn overlap(first: u64, last: u64, after: u64, to: u64) -> u64 {
    let (first, last) = (first.max(after + 1), last.min(to));
    if first > last { 0 } else { last - first + 1 }
}
