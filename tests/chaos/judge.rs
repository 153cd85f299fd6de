//! Judges what visitors were told, and what Redis showed, by the ledger's logs.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde_json::Value;

use crate::history::{Glance, History, Told};

/// How long Redis may show stock that somebody edited.
const MENDED_IN: Duration = Duration::from_secs(5);

/// What one lane's log comes to.
#[derive(Default)]
struct Lane {
    /// Last outcome of each id, and the seq of its booking.
    outcomes: HashMap<String, (String, u64)>,
    /// Units allocated and not sold, after each event.
    left: Vec<i64>,
    sold: i64,
    /// Units that left for another lane and units that came, by the event that took them out.
    gone: BTreeMap<String, (String, i64)>,
    come: BTreeMap<String, i64>,
}

fn units(lines: &Value) -> i64 {
    lines.as_object().map_or(0, |lines| lines.values().filter_map(Value::as_i64).sum())
}

/// Folds a lane's log with rules of its own: I1 and I4 at every event.
fn fold(name: &str, events: &[Value], history: &History) -> Lane {
    let mut lane = Lane { left: vec![0], ..Lane::default() };
    let mut booked: HashMap<String, i64> = HashMap::new();
    let mut left = 0;
    for (place, event) in events.iter().enumerate() {
        let seq = event["seq"].as_u64().unwrap_or_default();
        if seq != place as u64 + 1 {
            history.lie(format!("{name} has a gap before {event}"));
        }
        let (id, kind) = (event["id"].as_str().unwrap_or_default(), event["t"].as_str().unwrap_or_default());
        let before = lane.outcomes.get(id).map(|(kind, _)| kind.as_str());
        match (kind, before) {
            ("stock", _) => left += units(&event["lines"]),
            ("transfer_in", _) => {
                left += units(&event["lines"]);
                let from = event["from"].as_str().unwrap_or_default().to_owned();
                if lane.come.insert(from, units(&event["lines"])).is_some() {
                    history.lie(format!("{name} took the same units twice: {event}"));
                }
            }
            ("transfer_out", None) => {
                left -= units(&event["lines"]);
                let to = name.rsplit_once('/').map_or("", |(sale, _)| sale);
                lane.gone.insert(format!("{name}:{seq}"), (format!("{to}/{}", event["to"]), units(&event["lines"])));
            }
            ("booked", None) => {
                left -= units(&event["lines"]);
                lane.sold += units(&event["lines"]);
                booked.insert(id.to_owned(), units(&event["lines"]));
            }
            ("refused", None) => {}
            ("cancelled", Some("booked")) => {
                left += booked[id];
                lane.sold -= booked[id];
            }
            _ => history.lie(format!("I4: {name}: {id} was {before:?}, then {event}")),
        }
        if left < 0 {
            history.lie(format!("I1: {name} has sold {} units more than there are at {event}", -left));
        }
        if !id.is_empty() {
            let seq = lane.outcomes.get(id).map_or(seq, |(_, booked)| *booked);
            lane.outcomes.insert(id.to_owned(), (kind.to_owned(), seq));
        }
        lane.left.push(left);
    }
    lane
}

/// I1, I3, I4, I5 of one sale: the history against the logs of its lanes.
pub(crate) fn sale(sale: &str, lanes: &BTreeMap<String, Vec<Value>>, all: u64, history: &History) {
    let lanes: BTreeMap<&str, Lane> =
        lanes.iter().map(|(log, events)| (log.as_str(), fold(log, events, history))).collect();
    let sold: i64 = lanes.values().map(|lane| lane.sold).sum();
    if sold != i64::try_from(all).unwrap() {
        let seen: Vec<Glance> = lasts(sale, history);
        history
            .lie(format!("I5: {sale}: everything was bought until sold out, {sold} of {all} units are sold; {seen:?}"));
    }
    transfers(&lanes, history);
    let outcome = |hold: &str| lanes.iter().find_map(|(log, lane)| lane.outcomes.get(hold).map(|found| (*log, found)));
    let purchases = history.purchases.lock().unwrap().clone();
    for purchase in purchases.iter().filter(|purchase| purchase.sale == sale) {
        let found = outcome(&purchase.hold);
        let good = match (&purchase.told, found) {
            (Told::Booked { log, seq }, Some((in_log, (kind, at)))) => {
                let kinds: &[&str] = if purchase.cancelled { &["cancelled"] } else { &["booked", "cancelled"] };
                log == in_log && seq == at && kinds.contains(&kind.as_str())
            }
            (Told::Booked { .. }, None) => false,
            (Told::Gone, found) => found.is_none_or(|(_, (kind, _))| kind != "booked"),
        };
        if !good {
            history.lie(format!("I3, I4: {purchase:?}, but the log has {found:?}"));
        }
    }
    for (_, hold) in history.released.lock().unwrap().iter().filter(|(of, _)| *of == sale) {
        if outcome(hold).is_some_and(|(_, (kind, _))| kind == "booked") {
            history.lie(format!("{hold} was released, never confirmed, and is booked"));
        }
    }
    glances(sale, &lanes, history);
}

/// What Redis showed last of each lane.
fn lasts(sale: &str, history: &History) -> Vec<Glance> {
    let glances = history.glances.lock().unwrap();
    let last: BTreeMap<u16, &Glance> =
        glances.iter().filter(|(_, glance)| glance.sale == sale).map(|(_, glance)| (glance.lane, glance)).collect();
    last.into_values().cloned().collect()
}

/// R11: what left one lane came to the lane it was meant for, once. All of it has, once everything is sold.
fn transfers(lanes: &BTreeMap<&str, Lane>, history: &History) {
    let gone: BTreeMap<&String, &(String, i64)> = lanes.values().flat_map(|lane| &lane.gone).collect();
    let come: BTreeMap<&String, (&str, i64)> =
        lanes.iter().flat_map(|(name, lane)| lane.come.iter().map(|(from, units)| (from, (*name, *units)))).collect();
    for (from, (to, units)) in &gone {
        if come.get(from) != Some(&(to.as_str(), *units)) {
            history.lie(format!("R11: {units} units went to {to} with {from}, there came {:?}", come.get(from)));
        }
    }
    if let Some((from, came)) = come.iter().find(|(from, _)| !gone.contains_key(*from)) {
        history.lie(format!("R11: units came with {from}, which no lane gave: {came:?}"));
    }
}

/// I2 from outside, at every moment Redis was looked at: what is free or claimed is what the log has not sold by then.
fn glances(sale: &str, lanes: &BTreeMap<&str, Lane>, history: &History) {
    let edits = history.edits.lock().unwrap().clone();
    for (at, glance) in history.glances.lock().unwrap().iter().filter(|(_, glance)| glance.sale == sale) {
        if edits.iter().any(|edit| at >= edit && at.duration_since(*edit) < MENDED_IN) {
            continue;
        }
        let Glance { lane, settled, free, live, .. } = glance;
        let Some(lane) = lanes.get(format!("lane/{sale}/{lane}").as_str()) else { continue };
        match lane.left.get(usize::try_from(*settled).unwrap()) {
            Some(left) if *left == free + live => {}
            Some(left) => history.lie(format!("I2: {glance:?}, but the log had {left} units left by then")),
            None => history.lie(format!("{glance:?}: Redis is ahead of the log")),
        }
    }
}

/// The rules of the line that is judged.
#[derive(Clone, Copy)]
pub(crate) struct Room {
    pub(crate) pace: u64,
    pub(crate) cap: usize,
    pub(crate) pass_ttl_ms: u64,
}

/// I6 and I7 from the line's log: order, one pass per number, every window within the pace, the cap never exceeded.
pub(crate) fn line(events: &[Value], room: Room, history: &History) {
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    let list =
        |event: &Value, field: &str| event[field].as_array().into_iter().flatten().map(number).collect::<Vec<_>>();
    let (mut frontier, mut at) = (0, 0);
    let mut granted: BTreeMap<u64, u64> = BTreeMap::new();
    let mut alive: BTreeMap<u64, u64> = BTreeMap::new();
    let (mut times, mut calls): (Vec<u64>, Vec<u64>) = (vec![], vec![]);
    let mut gaps: Vec<(u64, u64)> = vec![];
    for event in events {
        let (now, to) = (number(&event["at"]), number(&event["frontier"]));
        if to < frontier || now < at {
            history.lie(format!("I6: frontier or time went back at {event}"));
        }
        if to > number(&event["numbers_to"]) {
            history.lie(format!("I6: numbers were called that nobody can have at {event}"));
        }
        if let [first, last] = list(event, "gap")[..] {
            gaps.push((first, last));
        }
        let people = (frontier + 1..=to).filter(|n| !gaps.iter().any(|(first, last)| (first..=last).contains(&n)));
        calls.extend(people.map(|_| now));
        (frontier, at) = (to, now);
        alive.retain(|_, since| *since + room.pass_ttl_ms > now);
        for ended in list(event, "ended") {
            alive.remove(&ended);
        }
        for number in list(event, "granted") {
            if number > frontier {
                history.lie(format!("I6: {number} entered before it was called at {event}"));
            }
            if granted.insert(number, now).is_some() {
                history.lie(format!("I7: {number} got a second pass at {event}"));
            }
            alive.insert(number, now);
            times.push(now);
        }
        if alive.len() > room.cap {
            history.lie(format!("I7: {} passes alive, the cap is {}", alive.len(), room.cap));
        }
    }
    for (what, times) in [("passes", &times), ("calls", &calls)] {
        for (window, most) in [(1_000, room.pace.div_ceil(60)), (60_000, room.pace)] {
            let mut first = 0;
            for (last, time) in times.iter().enumerate() {
                while times[first] + window <= *time {
                    first += 1;
                }
                if (last - first + 1) as u64 > most {
                    history.lie(format!("I7: more than {most} {what} within {window} ms before {time}"));
                    break;
                }
            }
        }
    }
    entered_in_turn(&granted, history);
}

/// Whoever was told a number had it alone; a pass belongs to a number that was told, or whose answer was lost.
fn entered_in_turn(granted: &BTreeMap<u64, u64>, history: &History) {
    let numbers = history.numbers.lock().unwrap();
    let known = granted.keys().filter(|number| numbers.contains_key(number)).count();
    if known * 2 < granted.len() {
        history.lie(format!(
            "{} of {} passes went to numbers that nobody was told",
            granted.len() - known,
            granted.len()
        ));
    }
}
