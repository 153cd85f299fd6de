//! Ticket numbers. Each class of a line counts by itself, and no two tickets of a sale share a number (I6): the class is part of it.
//!
//! Class 0 is everybody, and its numbers are what they always were; class n is the n-th class of the sale's document. The number in
//! its class is what visitors see; the whole number is what tokens, logs, lanes and Redis carry. All of it stays exact in a double.

use crate::limits::MAX_CLASSES;

/// Bits of the number in its class: a trillion times more than any line has.
const PLACE_BITS: u32 = 44;

/// A class of a line: 0 for everybody, n for the n-th class of the sale's document.
pub type Class = u8;

/// Everybody who has no other class.
pub const EVERYBODY: Class = 0;

/// The number of a place in a class. A place beyond any line counts as the last there is.
#[must_use]
pub const fn number(class: Class, place: u64) -> u64 {
    let most = (1 << PLACE_BITS) - 1;
    let place = if place > most { most } else { place };
    ((class as u64) << PLACE_BITS) | place
}

/// The class that a number belongs to. One that no line has is nobody's.
#[must_use]
pub const fn class_of(number: u64) -> Class {
    let class = number >> PLACE_BITS;
    if class > MAX_CLASSES as u64 { Class::MAX } else { class as Class }
}

/// The place in its class.
#[must_use]
pub const fn place_in(number: u64) -> u64 {
    number & ((1 << PLACE_BITS) - 1)
}

const _: () =
    assert!((MAX_CLASSES as u64 + 1) << PLACE_BITS < 1 << 53, "a number is exact in Redis' doubles and in JSON");
const _: () = assert!(MAX_CLASSES < Class::MAX as usize, "one value is left for numbers of nobody");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_everybody_is_what_it_was_before_there_were_classes() {
        for n in [1, 2, 1_000_000, 5_000_000_000] {
            assert_eq!((number(EVERYBODY, n), class_of(n), place_in(n)), (n, EVERYBODY, n));
        }
    }

    #[test]
    fn no_two_classes_share_a_number_and_all_are_exact_in_a_double() {
        let most = (1 << PLACE_BITS) - 1;
        for class in 0..=u8::try_from(MAX_CLASSES).unwrap_or(0) {
            for place in [1, 77, most] {
                let whole = number(class, place);
                assert_eq!((class_of(whole), place_in(whole)), (class, place));
                assert!(whole < 1 << 53);
            }
            assert!(number(class, u64::MAX) < number(class + 1, 1), "classes lie one behind the other");
        }
        assert_eq!(class_of(u64::MAX), Class::MAX, "nobody's");
    }
}
