//! The numbers an owner may give out: from its memory, out of blocks it has logged (H15).

use domain::limits::NUMBER_BLOCK;

/// Numbers of one owner. One join call is under way at a time; a number that was sent in a call that may have been
/// applied is never offered to another visitor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Numbers {
    next: u64,
    /// Logged under this owner's fence, so nobody else gives them out.
    to: u64,
    /// Offered in the call under way.
    offered: u64,
}

impl Numbers {
    /// A new owner of a log that says `numbers_to`: it starts behind, without a block.
    pub(crate) const fn behind(numbers_to: u64) -> Self {
        Self { next: numbers_to + 1, to: numbers_to, offered: 0 }
    }

    /// The highest number that may have been given to a visitor.
    pub(crate) const fn issued(&self) -> u64 {
        self.next - 1
    }

    /// How many can be offered.
    pub(crate) const fn left(&self) -> u64 {
        self.to + 1 - self.next
    }

    /// Offers up to `most`: the first one, and how many. The outcome is told by [`Numbers::used`] or [`Numbers::lost`].
    pub(crate) fn offer(&mut self, most: u64) -> (u64, u64) {
        debug_assert_eq!(self.offered, 0, "one call at a time");
        self.offered = most.min(self.left());
        (self.next, self.offered)
    }

    /// The call took `used` of the numbers offered, for sure; the others are offered again.
    pub(crate) fn used(&mut self, used: u64) {
        self.next += used.min(self.offered);
        self.offered = 0;
    }

    /// Nobody knows what the call did: its numbers may be somebody's.
    pub(crate) const fn lost(&mut self) {
        self.next += self.offered;
        self.offered = 0;
    }

    /// Where the next entry should move the numbers to, when it is time: before the first join, and when half of a block
    /// is left, so that joins go on while the ledger is away for a while.
    pub(crate) fn wanted(&self, joins_wait: bool) -> Option<u64> {
        let begun = self.left() > 0 || joins_wait;
        (begun && self.left() < NUMBER_BLOCK / 2).then_some(self.to + NUMBER_BLOCK)
    }

    /// The numbers up to `count` are the lobby's: they count as given out, though nobody knows yet which is whose.
    pub(crate) fn skip(&mut self, count: u64) {
        self.next = self.next.max(count + 1);
        self.to = self.to.max(count);
    }

    /// The log has them.
    pub(crate) fn logged(&mut self, numbers_to: u64) {
        self.to = self.to.max(numbers_to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers() -> Numbers {
        let mut numbers = Numbers::behind(500);
        assert_eq!((numbers.left(), numbers.wanted(false)), (0, None), "nobody joins: no block");
        assert_eq!(numbers.offer(3), (501, 0), "nothing is offered before it is logged");
        numbers.used(0);
        numbers.logged(numbers.wanted(true).unwrap_or(0));
        numbers
    }

    #[test]
    fn unused_numbers_of_a_definite_answer_are_offered_again() {
        let mut numbers = numbers();
        assert_eq!(numbers.offer(100), (501, 100));
        numbers.used(60);
        assert_eq!((numbers.offer(1), numbers.issued()), ((561, 1), 560));
    }

    #[test]
    fn numbers_of_an_unknown_call_are_never_offered_again() {
        let mut numbers = numbers();
        numbers.offer(100);
        numbers.lost();
        assert_eq!((numbers.offer(1), numbers.issued()), ((601, 1), 600));
    }

    #[test]
    fn a_block_ends_where_the_log_says_and_the_next_is_asked_for_early() {
        let mut numbers = numbers();
        numbers.offer(NUMBER_BLOCK / 2);
        numbers.used(NUMBER_BLOCK / 2);
        assert_eq!(numbers.wanted(false), None);
        numbers.offer(1);
        numbers.used(1);
        assert_eq!(numbers.wanted(false), Some(500 + 2 * NUMBER_BLOCK));
        assert_eq!(numbers.offer(NUMBER_BLOCK).1, NUMBER_BLOCK / 2 - 1, "no more than logged");
    }

    #[test]
    fn an_answer_that_claims_more_than_was_offered_takes_no_more() {
        let mut numbers = numbers();
        numbers.offer(2);
        numbers.used(9);
        assert_eq!(numbers.issued(), 502);
    }
}
