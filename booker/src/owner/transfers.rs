//! Units come and go between lanes (R11).
//!
//! The lane that needs some asks; the lane that has them claims them in Redis from what is free, and commits `TransferOut`. Then
//! they are the other lane's, whatever dies: its owner reads that event from the log and commits `TransferIn` with the event's
//! place, which its fold knows from then on. An owner that was not told finds out by asking every lane after its claim, and one
//! after the other later.

use std::time::Duration;

use domain::event::{Event as _, WITHDRAWN};
use domain::limits::{FREE_LOOK_MS, GIVE_MS, MAX_CALLS_IN_FLIGHT, MAX_FETCH};
use domain::{HoldId, ItemId, LaneEvent, Lines, LogId, VisitorHash};
use ledger::Entry;
use lua::CallError;
use lua::lane::{Give, GiveItem, GiveReply, LaneStock};
use tokio::time::Instant;

use super::siblings::Neighbours;
use super::tenure::Phase;
use super::{LaneOwner, What, lane_error};
use crate::answer::{GiveAnswer, GiveRequest, LaneError};
use crate::committer::Offered;
use crate::convert;
use crate::decide::Intent;
use crate::lane::Reply;
use crate::transfer;

impl LaneOwner {
    /// Looks at what is free here, and for what other lanes gave, when it is time.
    pub(super) fn on_sibling_timers(&mut self, now: Instant) {
        let Some(neighbours) = &mut self.neighbours else { return };
        if neighbours.look_at().is_some_and(|at| at <= now) {
            neighbours.looking = true;
            let context = self.context.clone();
            self.start(async move { What::Free(lua::lane::stock(&context.redis, &context.keys).await) });
        }
        self.fetch(now);
    }

    /// What is free here against how fast it is held.
    pub(super) fn on_free(&mut self, result: Result<LaneStock, CallError>, now: Instant) {
        let Some(neighbours) = &mut self.neighbours else { return };
        neighbours.looking = false;
        let ms = now.duration_since(neighbours.looked).as_millis();
        neighbours.looked = now;
        let Ok(stock) = result else { return };
        let mut fill = Lines::none();
        for (item, flow) in &mut neighbours.flow {
            flow.look(u64::try_from(ms).unwrap_or(u64::MAX).max(FREE_LOOK_MS));
            let wanted = transfer::wanted(transfer::free(Some(&stock), item), flow.rate());
            if wanted > 0 {
                fill.add(item.clone(), u32::try_from(wanted).unwrap_or(u32::MAX));
            }
        }
        neighbours.fill = if neighbours.asked.is_some() { Lines::none() } else { fill };
    }

    /// Asks the lane that has most of what is wanted ahead of need, for at most half of it.
    pub(super) fn ask_ahead(&mut self) {
        let own = self.context.config.lane;
        let Some(neighbours) = &mut self.neighbours else { return };
        let fill = std::mem::replace(&mut neighbours.fill, Lines::none());
        let Some(seen) = neighbours.last.as_ref().filter(|_| !fill.is_empty()) else { return };
        let half = |lane: Option<&LaneStock>, (item, units): (&ItemId, u32)| {
            u64::from(units).min(transfer::free(lane, item) / 2)
        };
        let has = |lane: &Option<LaneStock>| fill.iter().map(|line| half(lane.as_ref(), line)).sum();
        let Some(lane) = transfer::richest(&seen.round, own, has) else { return };
        let stock = seen.round.get(usize::from(lane)).and_then(Option::as_ref);
        let part = |line: (&ItemId, u32)| (line.0.clone(), u32::try_from(half(stock, line)).unwrap_or(u32::MAX));
        let wanted: Lines = fill.iter().map(part).filter(|(_, units)| *units > 0).collect();
        self.ask_for(lane, wanted, false);
    }

    /// Asks another lane, one at a time.
    pub(super) fn ask_for(&mut self, lane: u16, wanted: Lines, urgent: bool) {
        let Phase::Serving(tenure) = &self.phase else { return };
        let (own, sale) = (self.context.config.lane, &self.context.config.sale);
        let Some(neighbours) = &mut self.neighbours else { return };
        let Some(sibling) = self.context.config.siblings.get(lane) else { return };
        if neighbours.asked.is_some() || wanted.is_empty() {
            return;
        }
        neighbours.asked = Some(lane);
        neighbours.asks += 1;
        // No two asks have one id: a fence has one owner, and an owner counts.
        let key = format!("{}:{}", tenure.committer.fence(), neighbours.asks);
        let id = HoldId::derive(sale, lane, &VisitorHash::for_lane(own), &key);
        let request = GiveRequest { id, to: own, wanted, urgent };
        self.start(async move {
            let asked = tokio::time::timeout(Duration::from_millis(GIVE_MS), sibling.give(request));
            What::Asked(lane, asked.await.unwrap_or(Err(LaneError::Unknown)))
        });
    }

    pub(super) fn on_asked(&mut self, lane: u16, answer: Result<GiveAnswer, LaneError>, now: Instant) {
        let Some(neighbours) = &mut self.neighbours else { return };
        neighbours.metrics.asked(&answer);
        match answer {
            Ok(GiveAnswer::Given { seq }) => return self.pull_units(lane, seq),
            Ok(GiveAnswer::Nothing) => {}
            Err(LaneError::Unknown) => {
                // It may have given all the same.
                neighbours.fetch.first.push_front(lane);
                neighbours.fetch.at = Some(now);
            }
            Err(_) => {}
        }
        neighbours.asked = None;
    }

    /// Reads what was given where it is true: in the giving lane's log.
    fn pull_units(&mut self, lane: u16, seq: u64) {
        let (context, log) = (self.context.clone(), LogId::lane(&self.context.config.sale, lane));
        self.start(async move { What::Units(lane, context.ledger.read(&log, seq.saturating_sub(1), 1).await) });
    }

    pub(super) fn on_units(&mut self, lane: u16, result: Result<Vec<Entry>, ledger::Error>) {
        let intent = result.ok().and_then(|entries| self.given_here(lane, entries.first()?));
        let queued = match (intent, &mut self.phase) {
            (Some(intent), Phase::Serving(tenure)) => {
                matches!(tenure.offer(intent), Offered::Queued | Offered::Twin)
            }
            _ => false,
        };
        let Some(neighbours) = &mut self.neighbours else { return };
        if !queued && neighbours.asked == Some(lane) {
            // Not readable yet, or too much to do: asked what it has given, that lane names it again.
            neighbours.asked = None;
            neighbours.fetch.first.push_front(lane);
        }
    }

    /// What an event of another lane's log gives to this one.
    fn given_here(&self, lane: u16, entry: &Entry) -> Option<Intent> {
        let own = self.context.config.lane;
        match LaneEvent::decode(&entry.event) {
            Ok(LaneEvent::TransferOut { to, lines, .. }) if to == own => {
                let from = self.place(lane, entry.seq);
                let known = self.fold().is_some_and(|fold| fold.has_stock_from(&from));
                (!known).then_some(Intent::Receive { from, lines })
            }
            Ok(_) => None,
            Err(error) => {
                tracing::error!(log = %LogId::lane(&self.context.config.sale, lane), seq = entry.seq, %error, "another lane's log cannot be read: its units stay out");
                None
            }
        }
    }

    fn place(&self, lane: u16, seq: u64) -> String {
        format!("{}:{seq}", LogId::lane(&self.context.config.sale, lane))
    }

    /// The ledger has other lanes' units: the next settle brings them.
    pub(super) fn on_received(&mut self, lines: &Lines) {
        let Some(head) = self.fold().map(|fold| fold.head()) else { return };
        let Some(neighbours) = &mut self.neighbours else { return };
        (neighbours.asked, neighbours.arrived) = (None, Some(head));
        neighbours.metrics.units_in.increment(lines.units());
    }

    /// Asks another lane what it has given to this one.
    fn fetch(&mut self, now: Instant) {
        let own = self.context.config.lane;
        let Some(neighbours) = &mut self.neighbours else { return };
        if neighbours.fetch.busy || neighbours.fetch.at.is_none_or(|at| at > now) {
            return;
        }
        let lane = neighbours.next_fetch(own);
        neighbours.fetch.busy = true;
        let after = neighbours.fetch.known.get(usize::from(lane)).copied().unwrap_or(0);
        let sibling = self.context.config.siblings.get(lane);
        self.start(async move {
            let Some(sibling) = sibling else { return What::Fetched(lane, Err(LaneError::NoOwner)) };
            let asked = tokio::time::timeout(Duration::from_millis(GIVE_MS), sibling.given(own, after));
            What::Fetched(lane, asked.await.unwrap_or(Err(LaneError::Unknown)))
        });
    }

    pub(super) fn on_fetched(&mut self, lane: u16, answer: Result<Vec<u64>, LaneError>, now: Instant) {
        let known = |seq: &u64| self.fold().is_none_or(|fold| fold.has_stock_from(&self.place(lane, *seq)));
        let unknown = answer.iter().flatten().copied().filter(|seq| !known(seq)).take(MAX_CALLS_IN_FLIGHT);
        let unknown: Vec<u64> = unknown.collect();
        let Some(neighbours) = &mut self.neighbours else { return };
        let Ok(seqs) = answer else { return neighbours.fetched(lane, false, now) };
        if let Some(known) = neighbours.fetch.known.get_mut(usize::from(lane)) {
            let last = seqs.iter().copied().take_while(|seq| unknown.first().is_none_or(|first| seq < first)).last();
            *known = last.unwrap_or(*known);
        }
        // With something new the lane is asked again soon: then it is known, and the next one's turn.
        neighbours.fetched(lane, unknown.is_empty(), now);
        for seq in unknown {
            self.pull_units(lane, seq);
        }
    }

    pub(super) fn answer_given(&self, to: u16, after: u64, reply: Reply<Result<Vec<u64>, LaneError>>) {
        let seqs = self.fold().map(|fold| fold.given_to(to, after).take(MAX_FETCH).collect());
        let _ = reply.send(seqs.ok_or(LaneError::NoOwner));
    }

    /// Another lane asks this one.
    pub(super) fn accept_give(&mut self, request: GiveRequest, reply: Reply<Result<GiveAnswer, LaneError>>) {
        let GiveRequest { id, to, wanted, urgent } = request;
        let unloaded = self.is_unloaded();
        let other = |all: &Neighbours| to < all.lanes && to != self.context.config.lane;
        if to != WITHDRAWN && !self.neighbours.as_deref().is_some_and(other) {
            let _ = reply.send(Ok(GiveAnswer::Nothing));
            return;
        }
        let waiting = self.giving.entry(id).or_default();
        waiting.push(reply);
        if waiting.len() > 1 {
            return;
        }
        if unloaded || self.fold().is_some_and(|fold| fold.decided(&id).is_some()) {
            return self.answer_give(id, Ok(GiveAnswer::Nothing));
        }
        let keep = |item: &ItemId| {
            let rate = self.neighbours.as_ref().and_then(|all| all.flow.get(item)).map_or(0, |flow| flow.rate());
            transfer::kept(rate, urgent)
        };
        let item = |(item, wanted): (&ItemId, u32)| GiveItem { item: item.clone(), wanted, keep: keep(item) };
        let give = Give { id, to, items: wanted.iter().map(item).collect() };
        let context = self.context.clone();
        self.start(async move { What::Gave(id, to, lua::lane::give(&context.redis, &context.keys, &give).await) });
    }

    pub(super) fn on_gave(&mut self, id: HoldId, to: u16, result: Result<GiveReply, CallError>) {
        match result {
            Ok(GiveReply::Record(record)) => match convert::intent(id, &record) {
                Some(intent) => self.offer(intent),
                // Decided by an event that this fold does not have: somebody else writes the log. The next look finds out.
                None => self.answer_give(id, Err(LaneError::Unknown)),
            },
            // A withdrawal is decided once and for ever, also when it came to nothing: whoever asks again is told the same.
            Ok(GiveReply::Nothing) if to == WITHDRAWN => self.offer(Intent::Give { id, to, lines: Lines::none() }),
            Ok(GiveReply::Full) => self.answer_give(id, Err(LaneError::Busy)),
            Ok(GiveReply::Nothing | GiveReply::Foreign) => self.answer_give(id, Ok(GiveAnswer::Nothing)),
            Err(error) => {
                let error = lane_error(&error);
                self.look_soon(error);
                self.answer_give(id, Err(error));
            }
        }
    }

    /// Answers everybody who waits for a claim: from the fold where that knows it, with `otherwise` else.
    pub(super) fn answer_give(&mut self, id: HoldId, otherwise: Result<GiveAnswer, LaneError>) {
        let decided = self.fold().and_then(|fold| fold.decided(&id)).map(|decided| match decided.why {
            Some(_) => (GiveAnswer::Nothing, 0),
            // What an operator withdraws goes to no other lane.
            None if decided.visitor.as_lane() == Some(WITHDRAWN) => (GiveAnswer::Given { seq: decided.seq }, 0),
            None => (GiveAnswer::Given { seq: decided.seq }, decided.lines.units()),
        });
        let answer = decided.map_or(otherwise, |(answer, _)| Ok(answer));
        let waiting = self.giving.remove(&id).unwrap_or_default();
        if let (Some(neighbours), Some((_, units)), false) = (&self.neighbours, decided, waiting.is_empty()) {
            neighbours.metrics.units_out.increment(units);
        }
        for reply in waiting {
            let _ = reply.send(answer);
        }
    }
}
