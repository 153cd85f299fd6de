//! The lobby: visitors come, the sale opens by each owner's own clock, the lobby closes and is drawn.

use admission::fold::{LineFold, Standing};

use crate::moves::{Moves, append};
use crate::state::{Entry, Hall, Owner, Rules, State, VISITORS, bit, visitor};

pub fn moves(state: &State, rules: Rules, i: usize, owner: &Owner, fold: &LineFold, all: &mut Moves) {
    if state.opens_ms == 0 {
        return;
    }
    let lobby = fold.lobby();
    for v in 0..VISITORS {
        match lobby.index_of(&visitor(v)) {
            Some(index) => known(state, i, fold, v, index, all),
            None => come(state, rules, i, owner, fold, v, all),
        }
    }
    if state.is_open(i) && lobby.count() > 0 && state.log.len() < state.entries() {
        let hall = match (lobby.closed(), lobby.drawn()) {
            (None, _) => Hall::Closed,
            (Some(_), None) => Hall::Drawn,
            (Some(_), Some(_)) => return,
        };
        append(state, rules, i, owner, step(state, i, owner, fold, hall), all);
    }
}

/// The entry of a lobby: everything else stays as it is.
pub fn step(state: &State, i: usize, owner: &Owner, fold: &LineFold, hall: Hall) -> Entry {
    let to = if hall == Hall::Closed { fold.numbers_to().max(fold.lobby().count()) } else { fold.numbers_to() };
    Entry {
        at: state.clock(i).not_before(fold.at()).0,
        to: u8::try_from(to).unwrap(),
        front: u8::try_from(fold.frontier()).unwrap(),
        gap: owner.gap,
        hall,
        ..Entry::default()
    }
}

fn come(state: &State, rules: Rules, i: usize, owner: &Owner, fold: &LineFold, v: usize, all: &mut Moves) {
    let open = if rules.closed_by_log { fold.lobby().is_open(fold.numbers_to()) } else { true };
    // One of them stays outside, to come later.
    if state.is_open(i) || !open || v + 1 == VISITORS || state.log.len() >= state.entries() {
        return;
    }
    if !rules.receipt_log_first {
        let mut next = state.clone();
        next.receipts[v] = Some(u8::try_from(fold.lobby().count()).unwrap());
        all.push((format!("owner {i} answers visitor {v} a receipt that is not logged"), next));
    }
    append(state, rules, i, owner, step(state, i, owner, fold, Hall::Came(u8::try_from(v).unwrap())), all);
}

/// Who has a receipt is told so, and after the draw the number, which is recorded as a presented ticket is.
fn known(state: &State, i: usize, fold: &LineFold, v: usize, index: u64, all: &mut Moves) {
    let mut next = state.clone();
    next.receipts[v] = Some(u8::try_from(index).unwrap());
    if let Some(number) = fold.lobby().number_of(index)
        && state.is_open(i)
        && state.redis.loaded
        && state.redis.epoch == state.owners[i].map_or(0, |owner| owner.fence)
        && !matches!(fold.standing(number, fold.at()), Standing::Ended)
    {
        let number = u8::try_from(number).unwrap();
        let record = &mut next.redis.tickets[v];
        if *record == 0 || number < *record || fold.used((*record).into()) {
            *record = number;
        }
        next.tickets[v] |= bit(number);
    }
    all.push((format!("owner {i} tells visitor {v} what the log has"), next));
}

/// What an owner does when its entry is in the log.
pub fn appended(next: &mut State, i: usize, entry: Entry, fold: &LineFold) {
    match entry.hall {
        Hall::Came(v) => {
            let index = fold.lobby().index_of(&visitor(v.into())).unwrap();
            next.receipts[usize::from(v)] = Some(u8::try_from(index).unwrap());
        }
        Hall::Closed => {
            let count = u8::try_from(fold.lobby().count()).unwrap();
            let owner = next.owners[i].as_mut().unwrap();
            (owner.next, owner.to) = (owner.next.max(count + 1), owner.to.max(count));
        }
        Hall::Nothing | Hall::Drawn => {}
    }
}

/// Every receipt that was answered is in the log, at the index that was answered.
pub fn check(state: &State, fold: &LineFold) -> Result<(), String> {
    for (v, answered) in state.receipts.iter().enumerate() {
        let logged = fold.lobby().index_of(&visitor(v));
        if answered.is_some_and(|answered| logged != Some(answered.into())) {
            return Err(format!("L9: visitor {v} was given a receipt that the log has not"));
        }
    }
    Ok(())
}
