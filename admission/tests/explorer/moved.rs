//! Places that move from one visitor to another.

use admission::fold::{LineFold, Standing};

use crate::moves::{Moves, append};
use crate::state::{Entry, Owner, Rules, State, VISITORS, bit, numbers, real, visitor};

/// Every place that is not used may become every other visitor's with the owner's next entry.
pub fn entries(state: &State, rules: Rules, i: usize, owner: &Owner, fold: &LineFold, base: Entry, all: &mut Moves) {
    if state.budget.moves == 0 {
        return;
    }
    for v in 0..VISITORS {
        for number in numbers(state.tickets[v] & !base.granted) {
            let free = matches!(fold.standing(real(number), fold.at()), Standing::Waiting | Standing::Called);
            if !free || fold.moved().is_others(real(number), &visitor(v)) {
                continue;
            }
            for to in (0..VISITORS).filter(|to| *to != v) {
                let mut from = state.clone();
                from.budget.moves -= 1;
                let to = u8::try_from(to).unwrap();
                append(&from, rules, i, owner, Entry { moved: Some((number, to)), ..base }, all);
            }
        }
    }
}

/// The visitors learn of it: one has the place, the other an old ticket.
pub fn appended(state: &mut State, (number, to): (u8, u8)) {
    for v in 0..VISITORS {
        if state.tickets[v] & bit(number) != 0 && v != usize::from(to) {
            state.tickets[v] &= !bit(number);
            state.old[v] |= bit(number);
        }
    }
    state.tickets[usize::from(to)] |= bit(number);
    state.old[usize::from(to)] &= !bit(number);
}

/// L11: a pass is in one hand.
pub fn check(state: &State) -> Result<(), String> {
    for a in 0..VISITORS {
        if (0..a).any(|b| state.passes[a] & state.passes[b] != 0) {
            return Err("L11: two visitors have the pass of one number".into());
        }
    }
    Ok(())
}
