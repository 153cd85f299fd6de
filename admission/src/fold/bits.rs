//! A set of ticket numbers at one bit each.

use std::collections::VecDeque;

/// Numbers from 1 on, each in or out, for ever. One bit per number up to the highest one; a leading run of full words is
/// dropped, so a line whose people all came in costs nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Bits {
    /// Words of 64 numbers at the front that are full and no longer stored.
    full: u64,
    words: VecDeque<u64>,
}

impl Bits {
    pub(crate) fn contains(&self, number: u64) -> bool {
        let (word, bit) = place(number);
        match word.checked_sub(self.full) {
            None => true,
            Some(at) => index(at).and_then(|at| self.words.get(at)).is_some_and(|word| word & bit != 0),
        }
    }

    /// Adds a number; false when it was there before.
    pub(crate) fn insert(&mut self, number: u64) -> bool {
        let (word, bit) = place(number);
        let Some(at) = word.checked_sub(self.full).and_then(index) else { return false };
        if at >= self.words.len() {
            self.words.resize(at + 1, 0);
        }
        let Some(word) = self.words.get_mut(at) else { return false };
        let new = *word & bit == 0;
        *word |= bit;
        while self.words.front() == Some(&u64::MAX) {
            self.words.pop_front();
            self.full += 1;
        }
        new
    }

    /// Bytes of memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.words.capacity() * size_of::<u64>()
    }
}

/// Word and bit of a number. Number 0 is nobody's and shares a place that is never asked for.
const fn place(number: u64) -> (u64, u64) {
    let at = number.wrapping_sub(1);
    (at / 64, 1 << (at % 64))
}

fn index(at: u64) -> Option<usize> {
    usize::try_from(at).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_in_once_and_for_ever() {
        let mut bits = Bits::default();
        for number in [5, 1, 64, 65, 1_000] {
            assert!(bits.insert(number), "{number}");
            assert!(!bits.insert(number), "{number}");
        }
        let all: Vec<u64> = (1..2_000).filter(|n| bits.contains(*n)).collect();
        assert_eq!(all, [1, 5, 64, 65, 1_000]);
    }

    #[test]
    fn a_full_front_costs_nothing_and_is_still_in() {
        let mut bits = Bits::default();
        for number in 1..=100_000 {
            assert!(bits.insert(number));
        }
        assert!(bits.words.len() <= 1);
        assert!(bits.contains(1) && bits.contains(99_999) && !bits.contains(100_001));
        assert!(!bits.insert(77));
    }
}
