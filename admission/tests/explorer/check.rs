//! What must hold in every state, and what a fair schedule must reach from it.

use admission::fold::Standing;
use admission::meter::{MINUTE_MS, SECOND_MS, per_second};
use domain::Millis;
use domain::fault::Faults;
use domain::limits::PASS_SKEW_MS;

use crate::lobby::step;
use crate::moves::take;
use crate::state::{
    CAP, Entry, Hall, MOST, Owner, PACE, Rules, State, TICK_MS, TTL_MS, VISITORS, bit, numbers, pseudo, real,
};

pub fn check(state: &State) -> Result<(), String> {
    if let Some(why) = state.broken {
        return Err(why.into());
    }
    let head = u8::try_from(state.log.len()).unwrap();
    // The fold refuses: a frontier that goes back, a pass beyond it, a number granted twice, time that goes back.
    let fold = state.fold(head).map_err(|why| format!("L2, L4, L7: {why}"))?;
    crate::lobby::check(state, &fold)?;
    crate::codes::check(state, &fold)?;
    crate::moved::check(state)?;
    for a in 0..VISITORS {
        if (0..a).any(|b| state.tickets[a] & state.tickets[b] != 0) {
            return Err("L1: two visitors hold one number".into());
        }
    }
    meter(state)?;
    let logged = |number| state.log.iter().find(|e| e.granted & bit(number) != 0).map(|e| e.at + TTL_MS);
    for (number, expires) in &state.answered {
        if logged(*number).is_none_or(|end| end != *expires) {
            return Err(format!("I3: the answered pass of {number} is not in the log"));
        }
    }
    // With every fault that was ever recorded, also those recorded after the place was given away.
    let faults: Faults =
        state.log.iter().filter_map(|e| e.fault).map(|(from, to)| (Millis(from), Millis(to))).collect();
    let ends = |number| logged(number).map(|end| faults.extended(Millis(end - TTL_MS), Millis(end)));
    let alive = (1..=crate::state::MOST + crate::state::PLACES)
        .filter(|n| state.left & bit(*n) == 0 && ends(*n).is_some_and(|end| state.real_ms() < end.0))
        .count();
    if alive > CAP as usize {
        return Err(format!("L6: {alive} passes really alive, the cap is {CAP}"));
    }
    Ok(())
}

/// Every window that ends with an entry, counted anew.
fn meter(state: &State) -> Result<(), String> {
    for (n, last) in state.log.iter().enumerate() {
        for (window, most) in [(SECOND_MS, per_second(PACE)), (MINUTE_MS, PACE)] {
            let within =
                state.log[..=n].iter().filter(|e| last.at - e.at < window).map(|e| e.granted.count_ones()).sum::<u32>();
            if within > most {
                return Err(format!("I7: {within} passes within {window} ms"));
            }
        }
    }
    Ok(())
}

/// Closes and draws the lobby as far as that is not done. The first entry carries the gap.
fn draw(state: &mut State, mut gap: Option<(u8, u8)>) -> Result<bool, String> {
    let mut wrote = false;
    loop {
        let fold = state.fold(u8::try_from(state.log.len()).unwrap()).map_err(|why| why.to_string())?;
        let lobby = fold.lobby();
        let hall = match (lobby.count(), lobby.closed(), lobby.drawn()) {
            (0, ..) | (_, Some(_), Some(_)) => return Ok(wrote),
            (_, None, _) => Hall::Closed,
            (_, Some(_), None) => Hall::Drawn,
        };
        let owner = Owner { gap: gap.take(), ..state.owners[0].unwrap() };
        let entry = step(state, 0, &owner, &fold, hall);
        state.log.push(entry);
        wrote = true;
    }
}

/// L8: from any state a new owner, without further faults, gives every unused ticket its pass, lowest first.
pub fn drain(from: &State) -> Result<(), String> {
    let mut state = from.clone();
    (state.late, state.owners) = (None, [None, None]);
    // Whatever clock the owner has, log time goes on: everything granted so far expires.
    take(&mut state, Rules::default(), 0);
    let owner = state.owners[0].unwrap();
    let faults: u64 = state.log.iter().filter_map(|e| e.fault).map(|(from, to)| to - from).sum();
    state.now += u8::try_from((TTL_MS + faults + PASS_SKEW_MS + SECOND_MS) / TICK_MS + 2).unwrap();
    let mut gap = owner.gap;
    let drawn = draw(&mut state, gap).map_err(|why| format!("L8: {why}"))?;
    gap = gap.filter(|_| !drawn);
    let mut waiting: u16 = state.tickets.iter().fold(0, |all, mine| all | mine);
    let fold = state.fold(u8::try_from(state.log.len()).unwrap()).map_err(|why| format!("L8: {why}"))?;
    let lobby = fold.lobby();
    waiting |=
        (0..lobby.count()).filter_map(|n| lobby.number_of(n)).map(|n| bit(u8::try_from(n).unwrap())).sum::<u16>();
    for number in numbers(waiting) {
        let mut fold = state.fold(u8::try_from(state.log.len()).unwrap()).map_err(|why| format!("L8: {why}"))?;
        if fold.used(real(number)) {
            continue;
        }
        state.now += u8::try_from((TTL_MS + PASS_SKEW_MS) / TICK_MS).unwrap() + 2;
        let at = state.clock(0).not_before(fold.at());
        let ended: u16 = fold.overdue(at, at, 64).map(|n| bit(pseudo(n))).sum();
        let to = u8::try_from(fold.numbers_to()).unwrap();
        let mut gaps = fold.gaps().clone();
        if let Some((first, last)) = gap {
            gaps.add(first.into(), last.into());
        }
        let (mut front, called) = (fold.frontier(), u8::try_from(fold.classes().frontier(1)).unwrap());
        for _ in 0..=to {
            if number <= MOST && front < u64::from(number) {
                front = gaps.advance(front, to.into(), 1).0;
            }
        }
        let entry = Entry {
            at: at.0,
            to,
            front: u8::try_from(front).unwrap(),
            granted: bit(number),
            ended,
            gap: gap.take(),
            class_front: if number > MOST { called.max(number - MOST) } else { 0 },
            ..Entry::default()
        };
        let room = fold.room(PACE, CAP, u64::from(ended.count_ones()), at);
        if fold.standing(real(number), at) == Standing::Ended || room.meter == 0 || room.places == 0 {
            return Err(format!("L8: ticket {number} never gets in: {room:?}"));
        }
        state.log.push(entry);
        check(&State { answered: Default::default(), ..state.clone() })
            .map_err(|why| format!("{why} [while draining to {number}]"))?;
    }
    Ok(())
}
