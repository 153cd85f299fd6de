//! What the world is made of: Redis, the log, calls on their way, owners, and what visitors were told.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock};

use booker::committer::{Asked, Committer, LoadStep};
use booker::decide::Intent;
use booker::fold::LaneFold;
use domain::{Fingerprint, HoldId, ItemId, LaneEvent, Lines, LogId, Millis, SaleId, VisitorHash};
use lua::lane::{LaneState, LoadBegin, LoadEnd, LoadReply, Settle, Undecided};
use lua::model::LaneModel;

pub(crate) const IDS: usize = 3;
/// The committer's clock; no rule depends on it.
pub(crate) const NOW: Millis = Millis(10);

/// Names, made once.
pub(crate) struct Names {
    pub(crate) item: ItemId,
    pub(crate) log: LogId,
    pub(crate) ids: [HoldId; IDS],
    pub(crate) own: [VisitorHash; IDS],
    /// One visitor with all ids, for limits.
    pub(crate) shared: [HoldId; IDS],
}

pub(crate) static NAMES: LazyLock<Names> = LazyLock::new(|| {
    let sale: SaleId = "m".parse().unwrap();
    let own: [VisitorHash; IDS] = std::array::from_fn(|n| VisitorHash([u8::try_from(n).unwrap() + 1; 16]));
    Names {
        item: "a".parse().unwrap(),
        log: LogId::lane(&sale, 0),
        ids: std::array::from_fn(|n| HoldId::derive(&sale, 0, &own[n], "k")),
        shared: std::array::from_fn(|n| HoldId::derive(&sale, 0, &own[0], &n.to_string())),
        own,
    }
});

/// The rules, each of which can be taken away.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) fence: bool,
    pub(crate) settle_guard: bool,
    pub(crate) resolutions: bool,
    pub(crate) reread: bool,
    pub(crate) gone_from_redis: bool,
    pub(crate) answer_early: bool,
    pub(crate) stock_origin: bool,
    pub(crate) load_guard: bool,
    pub(crate) heartbeat: bool,
    /// A look's and a reread's answers may come after anything else.
    pub(crate) stale_looks: bool,
    pub(crate) limit: Option<u32>,
    pub(crate) other_content: bool,
    pub(crate) same_visitor: bool,
    pub(crate) units: u64,
    /// Every visitor holds with a pass of their own.
    pub(crate) passes: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            fence: true,
            settle_guard: true,
            resolutions: true,
            reread: true,
            gone_from_redis: false,
            answer_early: false,
            stock_origin: true,
            load_guard: true,
            heartbeat: true,
            stale_looks: false,
            limit: None,
            other_content: false,
            same_visitor: false,
            units: 1,
            passes: false,
        }
    }
}

/// How often each thing may still happen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub(crate) struct Budget {
    pub(crate) hold: [u8; IDS],
    pub(crate) confirm: [u8; IDS],
    pub(crate) cancel: u8,
    pub(crate) expire: u8,
    pub(crate) purge: u8,
    pub(crate) rollback: u8,
    pub(crate) loss: u8,
    pub(crate) edit: u8,
    pub(crate) drop: u8,
    pub(crate) crash: u8,
    pub(crate) claim: u8,
    pub(crate) give_up: u8,
    pub(crate) publish: u8,
    pub(crate) pull: u8,
    pub(crate) unload: u8,
}

/// What a visitor did and was told about an id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub(crate) struct Seen {
    pub(crate) asked: bool,
    pub(crate) booked: bool,
    pub(crate) gone: bool,
    pub(crate) reused: bool,
    pub(crate) cancel_asked: bool,
    pub(crate) cancelled: bool,
}

/// An append on its way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Message {
    pub(crate) fence: u64,
    pub(crate) head: usize,
    pub(crate) events: Vec<LaneEvent>,
}

/// An event in the log, the fence it was written under, and what the log comes to with it.
#[derive(Clone, Debug)]
pub(crate) struct Logged {
    pub(crate) event: LaneEvent,
    pub(crate) fence: u64,
    fold: Result<Arc<LaneFold>, String>,
    key: u64,
}

/// An owner, with the calls it waits for.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    pub(crate) committer: Committer,
    pub(crate) append: Option<Arc<Message>>,
    pub(crate) settle: Option<Arc<Settle>>,
    pub(crate) load: Option<LoadStep>,
    pub(crate) look: Option<(Asked, LaneState)>,
    pub(crate) reread: Option<Vec<Undecided>>,
}

#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) rules: Rules,
    pub(crate) redis: Arc<LaneModel>,
    /// An earlier Redis, and whether it was edited.
    pub(crate) copy: Option<(Arc<LaneModel>, bool)>,
    /// Free was edited and not mended yet.
    pub(crate) edited: bool,
    pub(crate) log: Arc<Vec<Arc<Logged>>>,
    pub(crate) fence: u64,
    /// Acts in the sale's log.
    pub(crate) published: u64,
    pub(crate) net: Vec<Arc<Message>>,
    pub(crate) late: Option<Arc<Settle>>,
    pub(crate) owners: [Option<Arc<Owner>>; 2],
    pub(crate) left: Budget,
    pub(crate) seen: [Seen; IDS],
}

impl World {
    /// A lane with its first owner, stocked, loaded, at rest.
    pub(crate) fn new(rules: Rules, left: Budget) -> Self {
        let mut world = Self {
            rules,
            redis: Arc::default(),
            copy: None,
            edited: false,
            log: Arc::default(),
            fence: 0,
            published: 1,
            net: vec![],
            late: None,
            owners: [None, None],
            left,
            seen: [Seen::default(); IDS],
        };
        world.claim(0);
        let event = match world.stock_intent(1, 0) {
            Intent::Stock { from, lines } => LaneEvent::Stock { from, lines, at: NOW },
            _ => unreachable!(),
        };
        world.log_event(event, 1);
        world.claim(0);
        let begin = LoadBegin {
            epoch: world.fence,
            head: 1,
            free: [(NAMES.item.clone(), i64::try_from(rules.units).unwrap())].into_iter().collect(),
            moved: [].into(),
        };
        let redis = world.redis_mut();
        assert_eq!(redis.load_begin(&begin), LoadReply::Done);
        assert_eq!(redis.load_end(&LoadEnd { epoch: 2, head: 1, n: 0 }), LoadReply::Done);
        world.look(0);
        world
    }

    pub(crate) fn redis_mut(&mut self) -> &mut LaneModel {
        Arc::make_mut(&mut self.redis)
    }

    pub(crate) fn owner_mut(&mut self, n: usize) -> Option<&mut Owner> {
        self.owners[n].as_mut().map(Arc::make_mut)
    }

    pub(crate) fn id(&self, n: usize) -> HoldId {
        if self.rules.same_visitor { NAMES.shared[n] } else { NAMES.ids[n] }
    }

    pub(crate) fn visitor(&self, n: usize) -> VisitorHash {
        if self.rules.same_visitor { NAMES.own[0] } else { NAMES.own[n] }
    }

    /// The visitor's pass; one never ends by time here.
    pub(crate) fn pass(&self, n: usize) -> Option<u64> {
        self.rules.passes.then_some(if self.rules.same_visitor { 1 } else { n as u64 + 1 })
    }

    pub(crate) fn number(&self, id: &HoldId) -> usize {
        (0..IDS).find(|n| self.id(*n) == *id).unwrap()
    }

    pub(crate) fn lines(units: u32) -> (Lines, Fingerprint) {
        let lines: Lines = [(NAMES.item.clone(), units)].into_iter().collect();
        let fp = Fingerprint::of(&lines);
        (lines, fp)
    }

    /// Stock of act `n`: one unit each, but the first, which has the sale's first units. `pull` tells pulls apart where the
    /// origin is taken away.
    pub(crate) fn stock_intent(&self, n: u64, pull: u8) -> Intent {
        let units = if n == 1 { self.rules.units } else { 1 };
        let from = if self.rules.stock_origin { format!("sale/m:{n}") } else { format!("{n}:{pull}") };
        Intent::Stock { from, lines: [(NAMES.item.clone(), units)].into_iter().collect() }
    }

    /// Writes an event.
    pub(crate) fn log_event(&mut self, event: LaneEvent, fence: u64) {
        let seq = self.log.len() as u64 + 1;
        let fold = self.fold(self.log.len()).and_then(|fold| {
            let mut fold = LaneFold::clone(&fold);
            fold.apply(seq, &event).map_err(|error| error.to_string())?;
            Ok(Arc::new(fold))
        });
        let mut hasher = DefaultHasher::new();
        (format!("{event:?}"), fence).hash(&mut hasher);
        Arc::make_mut(&mut self.log).push(Arc::new(Logged { event, fence, fold, key: hasher.finish() }));
    }

    /// The fold of the first `head` events.
    ///
    /// # Errors
    /// What the log breaks.
    pub(crate) fn fold(&self, head: usize) -> Result<Arc<LaneFold>, String> {
        match head.checked_sub(1) {
            None => Ok(Arc::default()),
            Some(last) => self.log[last].fold.clone(),
        }
    }

    /// Tells states apart. Among the few hundred thousand of a run two have the same one with a chance of one in 10^8.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash_into(&mut hasher);
        hasher.finish()
    }

    fn hash_into(&self, hasher: &mut impl Hasher) {
        let copy = self.copy.as_ref().map(|(copy, edited)| (&**copy, edited));
        (&*self.redis, copy, self.edited, self.fence, self.published).hash(hasher);
        for logged in self.log.iter() {
            logged.key.hash(hasher);
        }
        for message in &self.net {
            hash_message(message, hasher);
        }
        hash_settle(self.late.as_deref(), hasher);
        (self.left, self.seen).hash(hasher);
        for owner in &self.owners {
            let Some(owner) = owner else {
                0u8.hash(hasher);
                continue;
            };
            owner.committer.hash_state(hasher);
            owner.append.is_some().hash(hasher);
            if let Some(message) = &owner.append {
                hash_message(message, hasher);
            }
            hash_settle(owner.settle.as_deref(), hasher);
            owner.load.hash(hasher);
            for undecided in owner.reread.iter().flatten() {
                match undecided {
                    Undecided::Confirm(id, record) => (id, record).hash(hasher),
                    Undecided::Cancel(id) => id.hash(hasher),
                }
            }
            owner.reread.is_some().hash(hasher);
            if let Some((asked, state)) = &owner.look {
                owner.committer.hash_asked(asked, hasher);
                state.hash(hasher);
            }
        }
    }
}

fn hash_message(message: &Message, hasher: &mut impl Hasher) {
    (message.fence, message.head, message.events.len()).hash(hasher);
    for event in &message.events {
        match event {
            LaneEvent::Booked { id, lines, .. } => (0, Some(id), lines.units()).hash(hasher),
            LaneEvent::Refused { id, why, .. } => (1, Some(id), *why as u64).hash(hasher),
            LaneEvent::Cancelled { id, .. } => (2, Some(id), 0).hash(hasher),
            LaneEvent::Stock { from, .. } | LaneEvent::TransferIn { from, .. } => (3, from).hash(hasher),
            LaneEvent::TransferOut { id, lines, .. } => (4, Some(id), lines.units()).hash(hasher),
        }
    }
}

fn hash_settle(settle: Option<&Settle>, hasher: &mut impl Hasher) {
    settle.map(|s| (s.expected, s.events.len(), &s.resolutions, &s.cancels)).hash(hasher);
}
