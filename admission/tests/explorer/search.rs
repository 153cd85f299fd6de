//! Breadth first, so that a counterexample is a shortest one.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher as _, RandomState};

use crate::check::{check, drain};
use crate::moves::moves;
use crate::state::{Rules, State};

/// One of so many states is drained.
const DRAINED: u64 = 8;

pub struct Found {
    pub states: usize,
    pub depth: usize,
    /// Every state that can be reached was looked at.
    pub complete: bool,
    /// What broke, and the moves that lead there.
    pub broken: Option<(String, Vec<String>)>,
}

pub fn explore(start: State, rules: Rules, most: usize) -> Found {
    let hasher = RandomState::new();
    let mut seen: HashMap<State, usize> = HashMap::new();
    let mut states: Vec<(State, usize, String, usize)> = vec![(start.clone(), 0, String::new(), 0)];
    seen.insert(start, 0);
    let (mut at, mut depth) = (0, 0);
    while at < states.len() {
        let (state, _, _, steps) = states[at].clone();
        depth = steps;
        let sampled = hasher.hash_one(&state).is_multiple_of(DRAINED);
        let verdict = check(&state).and_then(|()| if sampled { drain(&state) } else { Ok(()) });
        if let Err(why) = verdict {
            return Found { states: states.len(), depth, complete: false, broken: Some((why, trace(&states, at))) };
        }
        if states.len() < most {
            for (name, next) in moves(&state, rules) {
                if let Entry::Vacant(place) = seen.entry(next.clone()) {
                    place.insert(states.len());
                    states.push((next, at, name, steps + 1));
                }
            }
        }
        at += 1;
    }
    Found { states: states.len(), depth, complete: states.len() < most, broken: None }
}

/// Random walks from `start`: far deeper than the search gets, each state checked, each end drained.
pub fn walk(start: &State, rules: Rules, walks: u64, steps: usize) -> Result<usize, String> {
    let mut looked = 0;
    for walk in 0..walks {
        let (mut state, mut names) = (start.clone(), Vec::new());
        let mut random = walk.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        for _ in 0..steps {
            let mut next = moves(&state, rules);
            if next.is_empty() {
                break;
            }
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let (name, chosen) = next.swap_remove((random % next.len() as u64) as usize);
            names.push(name);
            state = chosen;
            looked += 1;
            check(&state).map_err(|why| format!("{why}\n{}", names.join("\n")))?;
        }
        drain(&state).map_err(|why| format!("{why}\n{}", names.join("\n")))?;
    }
    Ok(looked)
}

fn trace(states: &[(State, usize, String, usize)], mut at: usize) -> Vec<String> {
    let mut moves = Vec::new();
    while at != 0 {
        moves.push(states[at].2.clone());
        at = states[at].1;
    }
    moves.reverse();
    moves
}
