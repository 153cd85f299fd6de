//! Two lanes of one sale: their logs, their Redis, their owners, appends on their way, and somebody who asks whether it is sold
//! out.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock};

use booker::committer::{Bounds, Committer};
use booker::decide::Intent;
use booker::fold::LaneFold;
use booker::transfer::Round;
use domain::event::{Event as _, WITHDRAWN};
use domain::{Fingerprint, HoldId, ItemId, LaneEvent, Lines, LogId, Millis, SaleId, VisitorHash};
use lua::lane::{LaneState, LaneStock};
use lua::model::LaneModel;

pub(crate) const NOW: Millis = Millis(10);
pub(crate) const LANES: usize = 2;

pub(crate) struct Names {
    pub(crate) sale: SaleId,
    pub(crate) item: ItemId,
    pub(crate) one: Lines,
    pub(crate) fp: Fingerprint,
}

pub(crate) static NAMES: LazyLock<Names> = LazyLock::new(|| {
    let item: ItemId = "a".parse().unwrap();
    let one: Lines = [(item.clone(), 1)].into_iter().collect();
    Names { sale: "m".parse().unwrap(), fp: Fingerprint::of(&one), item, one }
});

/// The rules, each of which can be taken away.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Units that leave are claimed in Redis first.
    pub(crate) claims: bool,
    /// A `TransferIn` carries its origin, and a known one is dropped.
    pub(crate) origin: bool,
    /// "Sold out" needs two equal rounds, and as much received as given.
    pub(crate) two_rounds: bool,
    /// An owner looks for what was given to it while nobody told.
    pub(crate) fetch: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self { claims: true, origin: true, two_rounds: true, fetch: true }
    }
}

/// How often each thing may still happen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub(crate) struct Budget {
    pub(crate) hold: [u8; LANES],
    pub(crate) expire: u8,
    /// Units that lane n asks the other one for.
    pub(crate) ask: [u8; LANES],
    /// Withdrawals of a unit.
    pub(crate) withdraw: u8,
    pub(crate) crash: u8,
    pub(crate) claim: u8,
    pub(crate) loss: u8,
    pub(crate) rollback: u8,
    /// Appends whose answer is not waited for.
    pub(crate) give_up: u8,
    /// Questions whether it is sold out.
    pub(crate) question: u8,
}

/// An append on its way.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Message {
    pub(crate) fence: u64,
    pub(crate) head: u64,
    pub(crate) events: Arc<Vec<LaneEvent>>,
}

#[derive(Clone)]
pub(crate) struct Owner {
    pub(crate) committer: Arc<Committer>,
    /// Its append under way.
    pub(crate) append: Option<Message>,
}

#[derive(Clone)]
pub(crate) struct Lane {
    pub(crate) log: Arc<Vec<LaneEvent>>,
    pub(crate) fold: Arc<LaneFold>,
    pub(crate) fence: u64,
    pub(crate) redis: Arc<LaneModel>,
    pub(crate) copy: Option<Arc<LaneModel>>,
    pub(crate) owner: Option<Owner>,
    /// Appends that nobody waits for any more; each may be applied yet.
    pub(crate) net: Vec<Message>,
    pub(crate) broken: Option<String>,
}

/// Somebody who asks whether a unit can be had in lane 0.
#[derive(Clone, Default)]
pub(crate) struct Question {
    pub(crate) open: bool,
    /// Since it was asked there was always a unit that nobody had.
    pub(crate) always: bool,
    pub(crate) before: Option<Round>,
    pub(crate) round: Round,
    pub(crate) told: bool,
}

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) rules: Rules,
    pub(crate) lanes: [Lane; LANES],
    pub(crate) left: Budget,
    pub(crate) question: Question,
    /// Something happened after which a late refusal is allowed.
    pub(crate) faulted: bool,
    /// Tells pulls apart where the origin is taken away.
    pub(crate) pulls: u8,
    pub(crate) units: u32,
}

pub(crate) fn id(lane: usize, n: u8) -> HoldId {
    HoldId::derive(&NAMES.sale, number(lane), &visitor(lane, n), "k")
}

pub(crate) fn visitor(lane: usize, n: u8) -> VisitorHash {
    VisitorHash([u8::try_from(lane).unwrap() * 8 + n + 1; 16])
}

pub(crate) fn number(lane: usize) -> u16 {
    u16::try_from(lane).unwrap()
}

impl Lane {
    fn new(units: u64) -> Self {
        let stock = LaneEvent::Stock { from: "sale/m:1".into(), lines: [(NAMES.item.clone(), units)].into(), at: NOW };
        let mut fold = LaneFold::default();
        fold.apply(1, &stock).unwrap();
        let (log, redis) = (Arc::new(vec![stock]), Arc::default());
        Self { log, fold: Arc::new(fold), fence: 0, redis, copy: None, owner: None, net: vec![], broken: None }
    }

    pub(crate) fn redis_mut(&mut self) -> &mut LaneModel {
        Arc::make_mut(&mut self.redis)
    }

    pub(crate) fn committer(&mut self) -> Option<&mut Committer> {
        self.owner.as_mut().map(|owner| Arc::make_mut(&mut owner.committer))
    }

    /// A claim: a new owner that has folded the log.
    pub(crate) fn claim(&mut self) {
        self.fence += 1;
        if let Some(append) = self.owner.take().and_then(|owner| owner.append) {
            self.net.push(append);
        }
        let bounds = Bounds { append_events: 2, load_chunk: 8, ..Bounds::default() };
        let committer = Arc::new(Committer::new(self.fence, (*self.fold).clone(), bounds));
        self.owner = Some(Owner { committer, append: None });
    }

    /// The store takes an append, or refuses it.
    pub(crate) fn store(&mut self, message: &Message) -> bool {
        if message.fence != self.fence || message.head != self.log.len() as u64 {
            return false;
        }
        for event in message.events.iter() {
            Arc::make_mut(&mut self.log).push(event.clone());
            let applied = Arc::make_mut(&mut self.fold).apply(self.log.len() as u64, event);
            self.broken = self.broken.take().or(applied.err().map(|error| error.to_string()));
        }
        true
    }

    /// What a round sees.
    pub(crate) fn look(&self) -> Option<LaneStock> {
        let LaneState::Loaded { settled, .. } = self.redis.state else { return None };
        let items = self.redis.items.iter().map(|(item, stock)| (item.clone(), *stock)).collect();
        Some(LaneStock { now: NOW, settled, owned: true, items })
    }
}

impl World {
    pub(crate) fn new(rules: Rules, units: u32, left: Budget) -> Self {
        let lanes = [Lane::new(u64::from(units)), Lane::new(0)];
        let question = Question::default();
        let mut world = Self { rules, lanes, left, question, faulted: false, pulls: 0, units };
        for lane in 0..LANES {
            world.lanes[lane].claim();
            world.look(lane);
            world.settle(lane);
        }
        world
    }

    /// The origin that lane `to` writes for event `seq` of the other lane.
    pub(crate) fn origin(&self, to: usize, seq: u64) -> String {
        let place = format!("{}:{seq}", LogId::lane(&NAMES.sale, number(1 - to)));
        if self.rules.origin { place } else { format!("{place}#{}", self.pulls) }
    }

    /// Units that one lane's log gave and the other's has not received.
    pub(crate) fn on_their_way(&self) -> u64 {
        let moved = |lane: &Lane| lane.fold.moved().get(&NAMES.item).copied().unwrap_or_default();
        let (given, received) = (|n: usize| moved(&self.lanes[n]).given, |n: usize| moved(&self.lanes[n]).received);
        (given(0) + given(1)).saturating_sub(received(0) + received(1))
    }

    /// Units that an operator withdrew, by the lanes' logs.
    pub(crate) fn withdrawn(&self) -> u64 {
        let gone = |event: &LaneEvent| match event {
            LaneEvent::TransferOut { to: WITHDRAWN, lines, .. } => lines.units(),
            _ => 0,
        };
        self.lanes.iter().flat_map(|lane| lane.log.iter().map(gone)).sum()
    }

    /// Units that nobody has: free somewhere, or between the lanes.
    pub(crate) fn really_free(&self) -> bool {
        let free = |lane: &Lane| lane.redis.items.get(&NAMES.item).is_some_and(|stock| stock.free > 0);
        let claimed = |lane: &Lane| {
            let other = |record: &lua::lane::Record| record.visitor.as_lane().is_some_and(|lane| lane != WITHDRAWN);
            let live = |record: &lua::lane::Record| record.state.is_live() && other(record);
            lane.redis.holds.values().any(live)
        };
        self.on_their_way() > 0 || self.lanes.iter().any(|lane| free(lane) || claimed(lane) || self.coming_in(lane))
    }

    /// Units that the lane's log has received and its Redis does not show yet.
    fn coming_in(&self, lane: &Lane) -> bool {
        let LaneState::Loaded { settled, .. } = lane.redis.state else { return true };
        let later = lane.log.iter().skip(usize::try_from(settled).unwrap());
        later.into_iter().any(|event| matches!(event, LaneEvent::TransferIn { .. }))
    }

    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for lane in &self.lanes {
            (lane.fence, &*lane.redis, lane.copy.as_deref()).hash(&mut hasher);
            for event in lane.log.iter() {
                hash_event(event, &mut hasher);
            }
            for message in &lane.net {
                hash_message(message, &mut hasher);
            }
            lane.net.len().hash(&mut hasher);
            if let Some(owner) = &lane.owner {
                owner.committer.hash_state(&mut hasher);
                owner.append.iter().for_each(|message| hash_message(message, &mut hasher));
            }
            lane.owner.is_some().hash(&mut hasher);
        }
        let question = &self.question;
        let settled =
            |round: &Round| round.iter().map(|lane| lane.as_ref().map(|lane| lane.settled)).collect::<Vec<_>>();
        (question.open, question.always, question.told, question.before.as_ref().map(settled)).hash(&mut hasher);
        for lane in question.round.iter().chain(question.before.iter().flatten()).flatten() {
            (lane.settled, &lane.items).hash(&mut hasher);
        }
        (question.round.len(), self.left, self.faulted, self.pulls).hash(&mut hasher);
        hasher.finish()
    }
}

fn hash_event(event: &LaneEvent, hasher: &mut impl Hasher) {
    event.encode().unwrap().hash(hasher);
}

fn hash_message(message: &Message, hasher: &mut impl Hasher) {
    (message.fence, message.head).hash(hasher);
    message.events.iter().for_each(|event| hash_event(event, hasher));
}

/// An intent as the program's own conversion reads it from a record.
pub(crate) fn intent_of(id: HoldId, record: &lua::lane::Record) -> Option<Intent> {
    booker::convert::intent(id, record)
}
