//! Codes: visitors redeem one that may be used once; the class it lets into is called by itself and shares the meter.

use admission::fold::LineFold;
use domain::number::place_in;

use crate::moved;
use crate::moves::Moves;
use crate::state::{CODE, Entry, Owner, Rules, State, USES, VISITORS, bit, pseudo, visitor};

pub fn moves(state: &State, rules: Rules, i: usize, owner: &Owner, fold: &LineFold, all: &mut Moves) {
    for v in (0..VISITORS).filter(|v| state.wants & (1 << v) != 0) {
        let mut next = state.clone();
        if let Some(number) = fold.class_place(&visitor(v), fold.at()) {
            tell(&mut next, fold, v, number);
            all.push((format!("owner {i} tells visitor {v} the place that the log has"), next));
            continue;
        }
        // A place that was used, or moved away, was the visitor's one.
        if fold.classes().number_of(&visitor(v)).is_some() {
            continue;
        }
        let used = if rules.uses_by_log { fold.classes().uses_of(&CODE) } else { owner.own.into() };
        let waits = owner.till.count_ones();
        if used + waits >= USES || owner.till & (1 << v) != 0 {
            continue;
        }
        next.owners[i].as_mut().unwrap().till |= 1 << v;
        if !rules.code_log_first {
            next.told[v] = Some(u8::try_from(fold.classes().issued(1)).unwrap() + 1);
        }
        all.push((format!("visitor {v} redeems the code at owner {i}"), next));
    }
}

fn tell(state: &mut State, fold: &LineFold, v: usize, number: u64) {
    if fold.classes().number_of(&visitor(v)) == Some(number) {
        state.told[v] = Some(u8::try_from(place_in(number)).unwrap());
    }
    // An owner that was replaced may not know that the place has moved on.
    if state.old[v] & bit(pseudo(number)) != 0 {
        return;
    }
    match fold.moved().is_theirs(number, &visitor(v)) {
        true => moved::appended(state, (pseudo(number), u8::try_from(v).unwrap())),
        false => state.tickets[v] |= bit(pseudo(number)),
    }
}

/// Up to where the class would be called with one more; 0: nobody waits in it.
pub fn next_call(fold: &LineFold) -> u8 {
    let frontier = fold.classes().frontier(1);
    if frontier < fold.classes().issued(1) { u8::try_from(frontier + 1).unwrap() } else { 0 }
}

/// What an owner does when its entry is in the log.
pub fn appended(next: &mut State, i: usize, entry: Entry, fold: &LineFold) {
    let owner = next.owners[i].as_mut().unwrap();
    owner.own += u8::try_from(entry.redeems.count_ones()).unwrap();
    for v in (0..VISITORS).filter(|v| entry.redeems & (1 << v) != 0) {
        if let Some(number) = fold.classes().number_of(&visitor(v)) {
            tell(next, fold, v, number);
        }
    }
}

/// Every place that was told is in the log, and the code was used by no more visitors than may.
pub fn check(state: &State, fold: &LineFold) -> Result<(), String> {
    for (v, told) in state.told.iter().enumerate() {
        let logged = fold.classes().number_of(&visitor(v)).map(place_in);
        if told.is_some_and(|place| logged != Some(place.into())) {
            return Err(format!("L10: visitor {v} was given a place by a code that the log has not"));
        }
    }
    let used = state.told.iter().flatten().count();
    if used as u64 > u64::from(USES) {
        return Err(format!("L10: {used} visitors used a code that {USES} may use"));
    }
    Ok(())
}
