//! What can happen next: visitors, owners, faults, time.

use admission::fold::{LineFold, Standing};
use domain::Millis;
use domain::limits::PASS_SKEW_MS;

use crate::state::{
    BLOCK, CAP, Entry, Late, MOST, Owner, PACE, Redis, Rules, State, UNWATCHED, VISITORS, bit, numbers, pseudo, real,
    visitor,
};
use crate::{codes, lobby, moved};

pub type Moves = Vec<(String, State)>;

pub fn moves(state: &State, rules: Rules) -> Moves {
    let mut all = Vec::new();
    for i in 0..2 {
        match &state.owners[i] {
            Some(owner) => {
                let fold = state.fold(owner.head).expect("an owner folds what it has read");
                visitors(state, rules, i, owner, &fold, &mut all);
                lobby::moves(state, rules, i, owner, &fold, &mut all);
                codes::moves(state, rules, i, owner, &fold, &mut all);
                entries(state, rules, i, owner, fold, &mut all);
                publish(state, i, owner, &mut all);
                vouch(state, i, owner, &mut all);
            }
            None => take_over(state, rules, i, &mut all),
        }
    }
    faults(state, rules, &mut all);
    all.retain(|(_, next)| next != state);
    all
}

fn visitors(state: &State, rules: Rules, i: usize, owner: &Owner, fold: &LineFold, all: &mut Moves) {
    if !state.redis.loaded || state.redis.epoch != owner.fence {
        return;
    }
    let now = state.clock(i).not_before(fold.at());
    for v in 0..VISITORS {
        join(state, rules, i, owner, fold, v, all);
        let old = if rules.holder_checked { 0 } else { state.old[v] };
        for number in numbers(state.tickets[v] | old) {
            if rules.holder_checked && fold.moved().is_others(real(number), &visitor(v)) {
                continue;
            }
            match fold.standing(real(number), now) {
                Standing::Called => claim(state, rules, i, fold, v, number, all),
                Standing::Inside(life) => {
                    let mut next = state.clone();
                    answer(&mut next, number, life.expires.0);
                    next.passes[v] |= bit(number);
                    all.push((format!("owner {i} answers the pass of {number} again"), next));
                }
                Standing::Waiting | Standing::Ended | Standing::Unsure => {}
            }
        }
    }
}

/// The join script: a record that exists wins, unless its pass has ended; else the owner's next number.
fn join(state: &State, rules: Rules, i: usize, owner: &Owner, fold: &LineFold, v: usize, all: &mut Moves) {
    if state.joins[v] == 0 || !state.is_open(i) || fold.lobby().index_of(&visitor(v)).is_some() {
        return;
    }
    let known = state.redis.tickets[v];
    let spent = known > 0
        && (fold.standing(known.into(), fold.at()) == Standing::Ended
            || fold.moved().is_others(known.into(), &visitor(v)));
    let new = known == 0 || spent;
    if new && owner.next > owner.to {
        return;
    }
    let number = if new { owner.next } else { known };
    let mut next = state.clone();
    next.joins[v] -= 1;
    next.redis.tickets[v] = number;
    if new {
        next.owners[i].as_mut().unwrap().next += 1;
    }
    if state.budget.unknown_joins > 0 {
        for applied in [false, true] {
            let mut lost = next.clone();
            lost.budget.unknown_joins -= 1;
            if !applied {
                lost.redis.tickets[v] = known;
            }
            if new && !rules.skip_unknown {
                lost.owners[i].as_mut().unwrap().next -= 1;
            }
            all.push((format!("visitor {v} joins at owner {i}, the answer is lost, applied {applied}"), lost));
        }
    }
    next.tickets[v] |= bit(number);
    all.push((format!("visitor {v} joins at owner {i}: {number}"), next));
}

/// The present script, then the owner's decision.
fn claim(state: &State, rules: Rules, i: usize, fold: &LineFold, v: usize, number: u8, all: &mut Moves) {
    let mut next = state.clone();
    let known = state.redis.tickets[v];
    if number > MOST {
        // The log knows whose place it is; Redis has no say.
        if !rules.holder_checked || fold.has_in_class(&visitor(v), real(number)) {
            let owner = next.owners[i].as_mut().unwrap();
            owner.claims |= bit(number);
            owner.by[v] |= bit(number);
        }
        all.push((format!("visitor {v} claims place {} of the class at owner {i}", number - MOST), next));
        return;
    }
    let gone = fold.moved().is_others(known.into(), &visitor(v));
    if known == 0 || number < known || fold.used(known.into()) || gone {
        next.redis.tickets[v] = number;
    }
    if next.redis.tickets[v] == number {
        let owner = next.owners[i].as_mut().unwrap();
        owner.claims |= bit(number);
        owner.by[v] |= bit(number);
        if !rules.log_first {
            let expires = state.clock(i).not_before(fold.at()).plus(fold.pass_ttl_ms());
            answer(&mut next, number, expires.0);
        }
    }
    all.push((format!("visitor {v} presents and claims {number} at owner {i}"), next));
}

fn answer(state: &mut State, number: u8, expires: u64) {
    if *state.answered.entry(number).or_insert(expires) != expires {
        state.broken = Some("L7: one ticket, two passes");
    }
}

/// What the owner may append now: with or without calling one more.
fn entries(state: &State, rules: Rules, i: usize, owner: &Owner, mut fold: LineFold, all: &mut Moves) {
    if state.log.len() >= state.entries() || !state.is_open(i) {
        return;
    }
    let lobby = fold.lobby();
    let (may_count, may_call) = (
        lobby.count() == 0 || lobby.closed().is_some() || !rules.close_before_numbers,
        lobby.is_over() || !rules.draw_before_calls,
    );
    let at = state.clock(i).not_before(fold.at());
    let due = if rules.skew { at } else { at.plus(PASS_SKEW_MS) };
    let known = if rules.ends_wait_for_faults { owner.known } else { UNWATCHED };
    let mut ended: u16 = fold.overdue(due, Millis(known), 64).map(|n| bit(pseudo(n))).sum();
    ended |= numbers(owner.ends).filter(|n| fold.is_active(real(*n))).map(bit).sum::<u16>();
    let granted = grants(state, rules, owner, &mut fold, ended, at);
    let to = if may_count && owner.next > owner.to && fold.numbers_to() < MOST.into() {
        (fold.numbers_to() + u64::from(BLOCK)).min(MOST.into())
    } else {
        fold.numbers_to()
    };
    let to = u8::try_from(to).unwrap();
    let front = u8::try_from(fold.frontier()).unwrap();
    let (called, _) = fold.gaps().advance(fold.frontier(), u64::from(owner.next - 1), 1);
    let called = if may_call { u8::try_from(called).unwrap() } else { front };
    let base = Entry { at: at.0, to, front, granted, ended, gap: owner.gap, redeems: owner.till, ..Entry::default() };
    moved::entries(state, rules, i, owner, &fold, base, all);
    let calls = [(front, 0), (called, 0), (front, codes::next_call(&fold))];
    for ((front, class_front), fault) in
        calls.into_iter().flat_map(|calls| faults_seen(state, i, owner).map(move |fault| (calls, fault)))
    {
        let entry = Entry { front, class_front, fault, ..base };
        let says = granted | ended != 0
            || fault.is_some()
            || entry.redeems | class_front != 0
            || u64::from(to) > fold.numbers_to()
            || u64::from(front) > fold.frontier()
            || owner.gap.is_some();
        if says {
            append(state, rules, i, owner, entry, all);
        }
    }
}

/// What has gone by since the owner last vouched for the front: nothing worth recording, or a fault.
fn faults_seen(state: &State, i: usize, owner: &Owner) -> impl Iterator<Item = Option<(u64, u64)>> {
    let now = state.clock(i).0;
    let fault = (state.budget.faults > 0 && owner.known < now).then_some(Some((owner.known, now)));
    std::iter::once(None).chain(fault)
}

/// The owner has seen the front in order all the time: from now on no fault is recorded that began before.
fn vouch(state: &State, i: usize, owner: &Owner, all: &mut Moves) {
    let mut next = state.clone();
    next.owners[i].as_mut().unwrap().known = owner.known.max(state.clock(i).0);
    all.push((format!("owner {i} vouches for the front"), next));
}

fn grants(state: &State, rules: Rules, owner: &Owner, fold: &mut LineFold, ended: u16, at: Millis) -> u16 {
    let mut room = fold.room(PACE, CAP, u64::from(ended.count_ones()), at);
    if !rules.meter_rebuilt {
        // Only what this owner has granted itself since it took over.
        let mut meter = admission::meter::Meter::default();
        for entry in &state.log[owner.from.into()..owner.head.into()] {
            meter.take(Millis(entry.at), entry.granted.count_ones());
        }
        room.meter = u64::from(meter.room(PACE, at));
    }
    if !rules.cap_by_log {
        let own = &state.log[owner.from.into()..owner.head.into()];
        let alive: u32 = own.iter().map(|e| (e.granted & !ended).count_ones()).sum();
        room.places = u64::from(CAP.saturating_sub(alive));
    }
    let mut granted = 0_u16;
    for number in numbers(owner.claims) {
        let called = fold.standing(real(number), at) == Standing::Called;
        let of_class = |n: u8| n > MOST;
        let same = numbers(granted).filter(|n| rules.one_meter || of_class(*n) == of_class(number)).count();
        if called && (same as u64) < room.meter.min(room.places) {
            granted |= bit(number);
        }
    }
    granted
}

/// The ledger: all or nothing, only while fence and head are the writer's. The answer may get lost, or the append land later.
pub fn append(state: &State, rules: Rules, i: usize, owner: &Owner, entry: Entry, all: &mut Moves) {
    let fits = state.fence == owner.fence && state.log.len() == usize::from(owner.head);
    let name = format!("owner {i} appends {entry:?}");
    let mut next = state.clone();
    next.budget.faults -= u8::from(entry.fault.is_some());
    if fits {
        next.log.push(entry);
        appended(&mut next, rules, i, entry);
    } else {
        next.owners[i] = None;
    }
    all.push((format!("{name}, fits {fits}"), next));
    if state.budget.unknown_appends == 0 {
        return;
    }
    for applied in [true, false] {
        let mut next = state.clone();
        next.budget.unknown_appends -= 1;
        next.budget.faults -= u8::from(entry.fault.is_some());
        match applied {
            true if fits => next.log.push(entry),
            true => continue,
            false => next.late = Some(Late { fence: owner.fence, head: owner.head, entry }),
        }
        // Nobody is answered; those who claimed or redeemed ask again.
        let owner = next.owners[i].as_mut().unwrap();
        (owner.claims, owner.by, owner.till) = (0, [0; VISITORS], 0);
        all.push((format!("{name}, nobody sees it end, applied {applied}"), next));
    }
}

fn appended(next: &mut State, rules: Rules, i: usize, entry: Entry) {
    let kept = entry.moved.filter(|_| !rules.late_claims_dropped).map_or(0, |(number, _)| bit(number));
    let owner = next.owners[i].as_mut().unwrap();
    owner.head += 1;
    owner.to = if entry.to > owner.to { entry.to } else { owner.to };
    owner.gap = None;
    if let Some((_, to)) = entry.fault {
        owner.known = to;
    }
    let by = owner.by;
    owner.claims &= kept;
    owner.by = by.map(|mine| mine & kept);
    owner.ends = 0;
    owner.till = 0;
    let fold = next.fold(u8::try_from(next.log.len()).unwrap());
    let Ok(fold) = fold else { return };
    lobby::appended(next, i, entry, &fold);
    codes::appended(next, i, entry, &fold);
    if let Some(moved) = entry.moved {
        moved::appended(next, moved);
    }
    for number in numbers(entry.granted) {
        answer(next, number, entry.at + fold.pass_ttl_ms());
        for (passes, mine) in next.passes.iter_mut().zip(by) {
            *passes |= mine & bit(number);
        }
    }
}

/// Publish, or load where Redis is empty or another's: `lua`'s rules.
fn publish(state: &State, i: usize, owner: &Owner, all: &mut Moves) {
    let mut next = state.clone();
    let redis = &mut next.redis;
    if redis.loaded && (redis.epoch > owner.fence || redis.settled > owner.head) {
        return;
    }
    *redis = Redis {
        loaded: true,
        epoch: owner.fence,
        settled: owner.head,
        issued: owner.next - 1,
        tickets: redis.tickets,
        known: owner.known,
    };
    all.push((format!("owner {i} publishes"), next));
}

fn take_over(state: &State, rules: Rules, i: usize, all: &mut Moves) {
    if state.budget.owners == 0 {
        return;
    }
    let mut next = state.clone();
    next.budget.owners -= 1;
    take(&mut next, rules, i);
    all.push((format!("owner {i} takes over"), next));
}

/// Claims the log and folds it, as an owner does.
pub fn take(next: &mut State, rules: Rules, i: usize) {
    next.fence += 1;
    let head = u8::try_from(next.log.len()).unwrap();
    let Ok(fold) = next.fold(head) else { return };
    let published = next.redis.loaded.then(|| next.redis.issued.into());
    let issued = fold.issued(published);
    let to = u8::try_from(fold.numbers_to()).unwrap();
    let gap = fold.gap_behind(issued).map(|(a, b)| (u8::try_from(a).unwrap(), u8::try_from(b).unwrap()));
    let (first, gap) = if rules.new_block { (to + 1, gap) } else { (u8::try_from(issued).unwrap() + 1, None) };
    let watched = next.redis.known != UNWATCHED;
    // Redis is lost: since the last entry.
    let known = if next.redis.loaded { next.redis.known } else { fold.at().0 };
    let known = if rules.faults_behind_freed { known.max(fold.freed_to().0) } else { known };
    let known = if watched { known } else { UNWATCHED };
    next.owners[i] = Some(Owner { gap, ..Owner::new(next.fence, head, first, to, known) });
}

fn faults(state: &State, _rules: Rules, all: &mut Moves) {
    let mut put = |name: &str, change: &dyn Fn(&mut State)| {
        let mut next = state.clone();
        change(&mut next);
        all.push((name.to_owned(), next));
    };
    if state.budget.ticks > 0 {
        put("half a second goes by", &|s| {
            s.budget.ticks -= 1;
            s.now += 1;
        });
    }
    for number in numbers(state.log.iter().map(|e| e.granted).fold(0, |a, b| a | b) & !state.left) {
        if state.answered.contains_key(&number) {
            put(&format!("the visitor with pass {number} leaves"), &|s| {
                s.left |= bit(number);
                for owner in s.owners.iter_mut().flatten() {
                    owner.ends |= bit(number);
                }
            });
        }
    }
    if state.budget.rollbacks > 0 {
        if state.copy.is_none() && state.redis.loaded {
            put("a copy of Redis is taken", &|s| s.copy = Some(s.redis));
        }
        if let Some(copy) = state.copy {
            put("Redis goes back to the copy", &|s| {
                s.budget.rollbacks -= 1;
                s.redis = copy;
                s.copy = None;
            });
        }
    }
    if state.budget.losses > 0 {
        put("Redis is lost", &|s| {
            s.budget.losses -= 1;
            let known = if s.redis.known == UNWATCHED { UNWATCHED } else { 0 };
            s.redis = Redis { known, ..Redis::default() };
        });
    }
    if let Some(late) = state.late {
        put("the late append lands", &|s| {
            s.late = None;
            if s.fence == late.fence && s.log.len() == usize::from(late.head) {
                s.log.push(late.entry);
            }
        });
    }
}
