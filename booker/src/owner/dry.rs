//! Holds that a dry lane cannot serve: they wait for another lane's units, and are told "sold out" only when two equal rounds
//! over all lanes say so (R11). Bounded: after `DRY_HOLD_MS` a hold is answered `all-held`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::Lines;
use domain::limits::{DRY_HOLD_MS, MAX_CALLS_IN_FLIGHT};
use futures_util::stream::{self, StreamExt as _};
use lua::CallError;
use lua::LaneKeys;
use lua::lane::LaneStock;
use tokio::time::Instant;

use super::siblings::{Parked, Seen};
use super::tenure::Phase;
use super::visitors::HoldWait;
use super::{Context, LaneOwner, What};
use crate::answer::{HoldAnswer, LaneError};
use crate::transfer::{self, Round, Verdict};

/// Lanes read at once by one round.
const READ_AT_ONCE: usize = 8 * MAX_CALLS_IN_FLIGHT;

impl LaneOwner {
    /// The hold waits for other lanes' units, unless the sale has one lane, or it has waited long enough: then it comes back.
    pub(super) fn park(&mut self, wait: HoldWait, now: Instant) -> Option<HoldWait> {
        let Some(neighbours) = &mut self.neighbours else { return Some(wait) };
        let since = wait.dry.unwrap_or(now);
        if !matches!(self.phase, Phase::Serving(_)) || now.duration_since(since) >= Duration::from_millis(DRY_HOLD_MS) {
            return Some(wait);
        }
        if wait.dry.is_none() {
            neighbours.metrics.dry_holds.increment(1);
        }
        let parked = Parked { wait: HoldWait { dry: Some(since), ..wait }, since, at: now };
        // In order of `since`, which is the order of arrival for all that come for the first time.
        let place = neighbours.parked.partition_point(|other| other.since <= since);
        neighbours.parked.insert(place, parked);
        None
    }

    /// Ends what has waited for long enough, and begins a round when somebody needs one.
    pub(super) fn pump_dry(&mut self, now: Instant) {
        let Some(neighbours) = &mut self.neighbours else { return };
        let mut over = vec![];
        while neighbours
            .parked
            .front()
            .is_some_and(|parked| now.duration_since(parked.since).as_millis() >= u128::from(DRY_HOLD_MS))
        {
            over.extend(neighbours.parked.pop_front());
        }
        let begins = neighbours.wants_round() && neighbours.round_at <= now;
        for parked in over {
            self.reply_hold(parked.wait.reply, Ok(HoldAnswer::AllHeld));
        }
        if begins && matches!(self.phase, Phase::Serving(_)) {
            self.start_round(now);
        }
    }

    fn start_round(&mut self, now: Instant) {
        let Some(neighbours) = &mut self.neighbours else { return };
        neighbours.reading = true;
        neighbours.round_at = now + neighbours.pause();
        let (context, lanes) = (self.context.clone(), neighbours.lanes);
        self.start(async move {
            let reads: Vec<_> = (0..lanes).map(|lane| read(context.clone(), lane)).collect();
            What::Round(now, stream::iter(reads).buffered(READ_AT_ONCE).map(Result::ok).collect().await)
        });
    }

    pub(super) fn on_round(&mut self, began: Instant, round: Round, now: Instant) {
        let own = self.context.config.lane;
        let Some(neighbours) = &mut self.neighbours else { return };
        neighbours.reading = false;
        let before = neighbours.last.take();
        let equal = before.as_ref().is_some_and(|before| transfer::same(&before.round, &round));
        let mut known: HashMap<Lines, Verdict> = HashMap::new();
        let (mut stays, mut served, mut answers) = (Vec::new(), Vec::new(), Vec::new());
        let (mut again, mut asks): (bool, Option<(u16, Lines)>) = (false, None);
        for parked in std::mem::take(&mut neighbours.parked) {
            if parked.at > began {
                stays.push(parked);
                continue;
            }
            let lines = &parked.wait.request.lines;
            let verdict = match known.get(lines) {
                Some(verdict) => *verdict,
                None => *known.entry(lines.clone()).or_insert(transfer::judge(&round, own, lines)),
            };
            match verdict {
                Verdict::Here => served.push(parked.wait),
                Verdict::Held => answers.push((parked.wait, HoldAnswer::AllHeld)),
                // The first of the two rounds has to be as new as the question, too.
                Verdict::Gone if equal && before.as_ref().is_some_and(|before| parked.at <= before.began) => {
                    answers.push((parked.wait, HoldAnswer::SoldOut));
                }
                Verdict::Gone => {
                    again = true;
                    stays.push(parked);
                }
                Verdict::Ask(lane) => {
                    let (asked, wanted) = asks.get_or_insert_with(|| (lane, Lines::none()));
                    if *asked == lane {
                        add(wanted, &round, own, lines);
                    }
                    stays.push(parked);
                }
            }
        }
        neighbours.parked = stays.into();
        neighbours.last = Some(Seen { began, round });
        if again {
            neighbours.round_at = now;
        }
        self.retry_holds(served);
        for (wait, answer) in answers {
            self.reply_hold(wait.reply, Ok(answer));
        }
        match asks {
            Some((lane, wanted)) => self.ask_for(lane, wanted, true),
            None => self.ask_ahead(),
        }
    }

    /// Other lanes' units have come: everybody who waits for some is tried again, in order of arrival.
    pub(super) fn retry_parked(&mut self, settled: u64) {
        let Some(neighbours) = &mut self.neighbours else { return };
        if neighbours.arrived.take_if(|seq| *seq <= settled).is_some() {
            let waits = std::mem::take(&mut neighbours.parked).into_iter().map(|parked| parked.wait).collect();
            self.retry_holds(waits);
        }
    }

    /// This owner is none any more.
    pub(super) fn abandon_parked(&mut self, error: LaneError) {
        for reply in std::mem::take(&mut self.giving).into_values().flatten() {
            let _ = reply.send(Err(LaneError::Unknown));
        }
        let Some(neighbours) = &mut self.neighbours else { return };
        for parked in std::mem::take(&mut neighbours.parked) {
            self.reply_hold(parked.wait.reply, Err(error));
        }
    }
}

async fn read(context: Arc<Context>, lane: u16) -> Result<LaneStock, CallError> {
    if lane == context.config.lane {
        return lua::lane::stock(&context.redis, &context.keys).await;
    }
    lua::lane::stock(&context.redis, &LaneKeys::new(&context.config.sale, lane)).await
}

/// Adds what is missing here for `lines`.
fn add(wanted: &mut Lines, round: &Round, own: u16, lines: &Lines) {
    let here = round.get(usize::from(own)).and_then(Option::as_ref);
    let known: HashMap<_, _> = wanted.iter().map(|(item, units)| (item.clone(), units)).collect();
    let mut sums = known.clone();
    for (item, units) in lines.iter() {
        let (before, free) = (known.get(item).copied().unwrap_or(0), transfer::free(here, item));
        // What is free here serves the first of them.
        let free = if before == 0 { u32::try_from(free).unwrap_or(u32::MAX) } else { 0 };
        let missing = units.saturating_sub(free);
        if missing > 0 {
            sums.insert(item.clone(), before.saturating_add(missing));
        }
    }
    *wanted = sums.into_iter().collect();
}
