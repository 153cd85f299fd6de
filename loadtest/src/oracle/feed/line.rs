//! What the events of the line show: order, passes, pace and cap.

use std::collections::{BTreeMap, HashSet, VecDeque};

use domain::number::{Class, EVERYBODY, class_of, place_in};
use domain::{Act, ClassCall, LineEvent, Millis};

use super::super::History;
use super::FeedFinding;
use crate::limits::PACE_SETTLES_MS;

/// Rules that hold since then.
#[derive(Clone, Copy, Debug)]
struct Rules {
    since: Millis,
    /// Passes per minute.
    pace: u64,
    /// Passes alive at once.
    cap: u64,
    /// Everybody is called whom the stock can serve, whatever the pace.
    through: bool,
}

/// The line's log, folded event by event.
#[derive(Clone, Default, Debug)]
pub(crate) struct LineTruth {
    found: Vec<FeedFinding>,
    rules: Vec<Rules>,
    frontier: u64,
    /// Up to which place each class is called.
    classes: BTreeMap<Class, u64>,
    granted: HashSet<u64>,
    /// When how many passes were granted, and people called, in the order of the log.
    grants: Vec<(Millis, u64)>,
    calls: Vec<(Millis, u64)>,
    /// Numbers that nobody has: the frontier jumps them.
    gaps: Vec<(u64, u64)>,
    pass_ttl_ms: u64,
    /// Passes that are surely alive, by number and by the end of their time.
    alive: BTreeMap<u64, Millis>,
    ends: VecDeque<(Millis, u64)>,
    /// The most passes ever alive above the cap.
    over_cap: Option<(Millis, u64, u64)>,
}

impl LineTruth {
    /// An act of the operator's: the rules that it changes.
    pub(super) fn act(&mut self, since: Millis, act: Act) {
        let last = self.rules.last().copied();
        let rules = match (act, last) {
            (Act::Define { doc, .. }, _) => doc.room().map(|room| {
                if self.pass_ttl_ms == 0 {
                    self.pass_ttl_ms = room.pass_ttl_ms;
                }
                let (pace, cap) = (u64::from(room.pace_per_minute), u64::from(room.active_passes));
                Rules { since, pace, cap, through: last.is_some_and(|last| last.through) }
            }),
            (Act::Pace { per_minute }, Some(last)) => Some(Rules { since, pace: u64::from(per_minute), ..last }),
            (Act::Cap { active_passes }, Some(last)) => Some(Rules { since, cap: u64::from(active_passes), ..last }),
            (Act::LetThrough { on }, Some(last)) => Some(Rules { since, through: on, ..last }),
            _ => None,
        };
        self.rules.extend(rules);
    }

    /// An event of the line.
    pub(crate) fn event(&mut self, event: &LineEvent) {
        self.pass_ttl_ms = event.pass_ttl_ms.unwrap_or(self.pass_ttl_ms);
        self.gaps.extend(event.gap);
        if event.frontier < self.frontier {
            self.found.push(FeedFinding::FrontierBack { before: self.frontier, after: event.frontier });
        } else {
            let people = people(&self.gaps, self.frontier, event.frontier);
            if people > 0 {
                self.calls.push((event.at, people));
            }
        }
        self.frontier = self.frontier.max(event.frontier);
        event.classes.iter().for_each(|call| self.class_called(event.at, call));
        while let Some((_, number)) = self.ends.front().filter(|(end, _)| *end <= event.at).copied() {
            self.ends.pop_front();
            self.alive.remove(&number);
        }
        for number in &event.ended {
            self.alive.remove(number);
        }
        if !event.granted.is_empty() {
            self.grants.push((event.at, event.granted.len() as u64));
        }
        for number in &event.granted {
            self.grant(event.at, *number);
        }
        let alive = self.alive.len() as u64;
        if !event.granted.is_empty()
            && let Some(cap) = self.at(event.at, |rules| rules.cap)
            && alive > cap
            && self.over_cap.is_none_or(|(_, most, _)| alive > most)
        {
            self.over_cap = Some((event.at, alive, cap));
        }
    }

    /// A class is called by itself, at the pace of all together.
    fn class_called(&mut self, at: Millis, call: &ClassCall) {
        let before = self.classes.entry(call.class).or_default();
        if call.frontier < *before {
            self.found.push(FeedFinding::FrontierBack { before: *before, after: call.frontier });
        } else if call.frontier > *before {
            self.calls.push((at, call.frontier - *before));
            *before = call.frontier;
        }
    }

    fn grant(&mut self, at: Millis, number: u64) {
        let frontier = match class_of(number) {
            EVERYBODY => self.frontier,
            class => self.classes.get(&class).copied().unwrap_or(0),
        };
        if place_in(number) > frontier {
            self.found.push(FeedFinding::GrantedAhead { number: place_in(number), frontier });
        }
        if !self.granted.insert(number) {
            self.found.push(FeedFinding::GrantedTwice(number));
        }
        // Without a known time to live nothing is known to be alive later.
        let end = at.plus(self.pass_ttl_ms);
        self.alive.insert(number, end);
        self.ends.push_back((end, number));
    }

    /// Everything that must not be.
    pub(super) fn judge(&self, history: &History, complete: bool, found: &mut Vec<FeedFinding>) {
        found.extend(self.found.iter().cloned());
        if complete {
            let numbers = history.passes.iter().map(|pass| pass.number);
            found.extend(numbers.filter(|number| !self.granted.contains(number)).map(FeedFinding::NotGranted));
        }
        for (window_ms, per) in [(1_000, 60), (60_000, 1)] {
            if let Some((until, passes, allowed)) = self.fullest(&self.grants, window_ms, per) {
                found.push(FeedFinding::OverPace { until, window_ms, passes, allowed });
            }
            let called = self.fullest(&self.calls, window_ms, per);
            if let Some((until, called, allowed)) = called.filter(|(until, ..)| !self.let_through(*until, window_ms)) {
                found.push(FeedFinding::CalledOverPace { until, window_ms, called, allowed });
            }
        }
        found.extend(self.over_cap.map(|(at, alive, cap)| FeedFinding::OverCap { at, alive, cap }));
    }

    /// The window that is furthest above what the pace at its last event allows (rounded up from `pace / per`), as (end, how
    /// many, allowed). A window is half open, as the meter's.
    fn fullest(&self, times: &[(Millis, u64)], window_ms: u64, per: u64) -> Option<(Millis, u64, u64)> {
        let (mut first, mut sum) = (0, 0);
        let mut worst: Option<(u64, (Millis, u64, u64))> = None;
        for (at, more) in times {
            sum += more;
            while let Some((_, gone)) = times.get(first).filter(|(start, _)| at.since(*start) >= window_ms) {
                sum -= gone;
                first += 1;
            }
            let Some(allowed) = self.at(*at, |rules| rules.pace.div_ceil(per)) else { continue };
            let over = sum.saturating_sub(allowed);
            if over > worst.map_or(0, |(most, _)| most) {
                worst = Some((over, (*at, sum, allowed)));
            }
        }
        worst.map(|(_, worst)| worst)
    }

    /// Whether everybody was let through at any time in the window that ends then.
    fn let_through(&self, until: Millis, window_ms: u64) -> bool {
        let from = until.0.saturating_sub(window_ms + PACE_SETTLES_MS);
        let to = until.plus(PACE_SETTLES_MS);
        self.rules.iter().enumerate().any(|(n, rules)| {
            let ends = self.rules.get(n + 1).map(|next| next.since.0);
            rules.through && rules.since <= to && ends.is_none_or(|ends| ends >= from)
        })
    }

    /// The most that may have been allowed: by the last rules before, and by those that came just then.
    fn at(&self, at: Millis, of: impl Fn(&Rules) -> u64) -> Option<u64> {
        let (early, late) = (at.0.saturating_sub(PACE_SETTLES_MS), at.0.saturating_add(PACE_SETTLES_MS));
        let before = self.rules.iter().rfind(|rules| rules.since.0 <= early);
        let during = self.rules.iter().filter(|rules| early < rules.since.0 && rules.since.0 <= late);
        before.into_iter().chain(during).map(of).max()
    }
}

/// Numbers behind `from`, up to and with `to`, that somebody may have.
fn people(gaps: &[(u64, u64)], from: u64, to: u64) -> u64 {
    let jumped = gaps.iter().map(|(first, last)| (*last).min(to).saturating_sub((*first).max(from + 1) - 1));
    to.saturating_sub(from).saturating_sub(jumped.sum())
}

#[cfg(test)]
mod tests {
    use domain::number::number;

    use super::*;

    #[test]
    fn gaps_are_nobody() {
        assert_eq!(people(&[], 5, 9), 4);
        assert_eq!(people(&[(7, 8)], 5, 9), 2);
        assert_eq!(people(&[(1, 6), (9, 20)], 5, 9), 2);
        assert_eq!(people(&[(1, 4), (10, 20)], 5, 9), 4);
        assert_eq!(people(&[(6, 9)], 5, 9), 0);
    }

    #[test]
    fn a_class_is_judged_by_its_own_frontier() {
        let mut line = LineTruth::default();
        let entry = |class_front, places: &[u64]| LineEvent {
            at: Millis(1_000),
            numbers_to: 9,
            frontier: 1,
            granted: places.iter().map(|place| number(2, *place)).collect(),
            classes: vec![ClassCall { class: 2, frontier: class_front }],
            ..LineEvent::default()
        };
        line.event(&entry(2, &[1, 2]));
        assert!(line.found.is_empty() && line.calls == [(Millis(1_000), 1), (Millis(1_000), 2)], "{line:?}");
        line.event(&entry(2, &[3]));
        line.event(&entry(1, &[]));
        assert!(
            matches!(
                line.found[..],
                [
                    FeedFinding::GrantedAhead { number: 3, frontier: 2 },
                    FeedFinding::FrontierBack { before: 2, after: 1 }
                ]
            ),
            "{line:?}"
        );
    }
}
