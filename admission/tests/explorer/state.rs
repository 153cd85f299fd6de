//! The state of the model: small, and equal states compare equal.

use std::collections::BTreeMap;

use admission::draw::Seed;
use admission::fold::{BadLine, LineFold};
use domain::limits::PASS_SKEW_MS;
use domain::number::{EVERYBODY, class_of, number, place_in};
use domain::{ClassCall, CodeHash, Digest, LineEvent, LobbyEvent, Millis, Redeemed, SaleId, VisitorHash};

/// Visitors.
pub const VISITORS: usize = 3;
/// Real milliseconds of a tick.
pub const TICK_MS: u64 = 500;
/// Milliseconds a pass lives.
pub const TTL_MS: u64 = 1_000;
/// One pass a second, and one alive.
pub const PACE: u32 = 60;
/// See [`PACE`].
pub const CAP: u32 = 1;
/// Numbers of a block.
pub const BLOCK: u8 = 2;
/// Highest number that is given out.
pub const MOST: u8 = 6;
/// Places of the class; here they have the numbers behind [`MOST`].
pub const PLACES: u8 = 2;
/// The one code there is, and how many visitors may use it.
pub const CODE: CodeHash = CodeHash([7; 16]);
/// See [`CODE`].
pub const USES: u32 = 1;
/// Entries of the log.
pub const ENTRIES: usize = 7;
/// Entries of a log that begins with a lobby.
pub const LOBBY_ENTRIES: usize = 9;
/// How far the second owner's clock is ahead of the lane's and the first owner's; at most `PASS_SKEW_MS`.
pub const AHEAD_MS: u64 = 1_000;

/// What may still go wrong.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Budget {
    /// Take-overs; the owner before may go on.
    pub owners: u8,
    /// Copies of Redis that come back.
    pub rollbacks: u8,
    /// Times Redis is empty.
    pub losses: u8,
    /// Joins whose answer gets lost.
    pub unknown_joins: u8,
    /// Appends whose answer gets lost, or that land later.
    pub unknown_appends: u8,
    /// Places that move to another visitor.
    pub moves: u8,
    /// Ticks of real time.
    pub ticks: u8,
    /// Faults of ours that are recorded. None at the start: nobody watches for them.
    pub faults: u8,
}

impl Budget {
    /// What the first owner knows of faults.
    pub const fn known(&self) -> u64 {
        if self.faults > 0 { 0 } else { UNWATCHED }
    }
}

/// The rules; each can be removed.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// A place is free one skew after its pass expired.
    pub skew: bool,
    /// The meter is folded from the log.
    pub meter_rebuilt: bool,
    /// A new owner starts behind all numbers the log speaks of.
    pub new_block: bool,
    /// Numbers of an unknown join are skipped.
    pub skip_unknown: bool,
    /// A pass is answered after its entry is in the log.
    pub log_first: bool,
    /// The cap counts the passes of the log, not those the owner granted itself.
    pub cap_by_log: bool,
    /// A receipt is answered after its entry is in the log.
    pub receipt_log_first: bool,
    /// The lobby is closed by the log, not by a clock.
    pub closed_by_log: bool,
    /// Numbers are given out after the lobby has closed.
    pub close_before_numbers: bool,
    /// Nobody is called before the order is in the log.
    pub draw_before_calls: bool,
    /// A place by a code is answered after its entry is in the log.
    pub code_log_first: bool,
    /// How often a code was used is counted in the log, not by its owner.
    pub uses_by_log: bool,
    /// One meter counts the passes of all classes.
    pub one_meter: bool,
    /// Only whom a number was moved to may claim it.
    pub holder_checked: bool,
    /// Claims that came before a move was logged are dropped with it.
    pub late_claims_dropped: bool,
    /// A place is free when no fault that is recorded later can extend its pass.
    pub ends_wait_for_faults: bool,
    /// A new owner records no fault that began before the end of a pass whose place the log has given away.
    pub faults_behind_freed: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            skew: true,
            meter_rebuilt: true,
            new_block: true,
            skip_unknown: true,
            log_first: true,
            cap_by_log: true,
            receipt_log_first: true,
            closed_by_log: true,
            close_before_numbers: true,
            draw_before_calls: true,
            code_log_first: true,
            uses_by_log: true,
            one_meter: true,
            holder_checked: true,
            late_claims_dropped: true,
            ends_wait_for_faults: true,
            faults_behind_freed: true,
        }
    }
}

/// What an entry says of the lobby.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Hall {
    #[default]
    Nothing,
    /// This visitor comes.
    Came(u8),
    Closed,
    Drawn,
}

/// An entry of the log; numbers as bit masks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Entry {
    pub at: u64,
    pub to: u8,
    pub front: u8,
    pub granted: u16,
    pub ended: u16,
    pub gap: Option<(u8, u8)>,
    pub hall: Hall,
    /// Visitors who redeem the code.
    pub redeems: u8,
    /// Places of the class that may enter, up to; 0: nothing is said.
    pub class_front: u8,
    /// This number is this visitor's from now on.
    pub moved: Option<(u8, u8)>,
    /// A fault that is over.
    pub fault: Option<(u64, u64)>,
}

/// The number as the line knows it.
pub fn real(n: u8) -> u64 {
    if n <= MOST { n.into() } else { number(1, (n - MOST).into()) }
}

/// The other way round.
pub fn pseudo(number: u64) -> u8 {
    let place = u8::try_from(place_in(number)).unwrap();
    if class_of(number) == EVERYBODY { place } else { MOST + place }
}

/// What is known of faults where nobody watches for them.
pub const UNWATCHED: u64 = u64::MAX;

pub const fn bit(number: u8) -> u16 {
    1 << number
}

pub fn numbers(mask: u16) -> impl Iterator<Item = u8> {
    (1..=MOST + PLACES).filter(move |n| mask & bit(*n) != 0)
}

/// Decides the order.
pub const SEED: Seed = Seed([3; 32]);

pub fn sale() -> SaleId {
    "night".parse().unwrap()
}

pub fn visitor(who: usize) -> VisitorHash {
    VisitorHash([u8::try_from(who).unwrap(); 16])
}

impl Entry {
    /// The event as an owner with this fold writes it.
    pub fn event(&self, fold: &mut LineFold) -> LineEvent {
        let lobby = match self.hall {
            Hall::Nothing => None,
            Hall::Came(who) => Some(LobbyEvent::Came {
                commitment: fold.lobby().commitment().is_none().then(|| SEED.commitment()),
                receipts: vec![visitor(who.into())],
            }),
            Hall::Closed => {
                let root = fold.lobby_mut().root(&sale());
                Some(LobbyEvent::Closed { count: fold.lobby().count(), root })
            }
            Hall::Drawn => Some(LobbyEvent::Drawn { seed: Digest(SEED.0), public_value: None }),
        };
        LineEvent {
            at: Millis(self.at),
            numbers_to: self.to.into(),
            frontier: self.front.into(),
            granted: numbers(self.granted).map(real).collect(),
            ended: numbers(self.ended).map(real).collect(),
            gap: self.gap.map(|(first, last)| (first.into(), last.into())),
            pass_ttl_ms: Some(TTL_MS),
            turn_ms: None,
            redeemed: (0..VISITORS).filter(|v| self.redeems & (1 << v) != 0).map(redeemed).collect(),
            classes: (self.class_front > 0)
                .then_some(ClassCall { class: 1, frontier: self.class_front.into() })
                .into_iter()
                .collect(),
            lobby,
            moved: self.moved.map(|(number, to)| (real(number), visitor(to.into()))).into_iter().collect(),
            fault: self.fault.map(|(from, to)| (Millis(from), Millis(to))),
        }
    }
}

fn redeemed(v: usize) -> Redeemed {
    Redeemed { class: 1, visitor: visitor(v), code: CODE, uses: USES }
}

/// Redis: what the scripts keep.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Redis {
    pub loaded: bool,
    pub epoch: u8,
    pub settled: u8,
    pub issued: u8,
    pub tickets: [u8; VISITORS],
    /// Up to when the owner that published vouched for the front.
    pub known: u64,
}

/// An owner: what it has in memory. Its fold is that of the log up to `head`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Owner {
    pub fence: u8,
    pub head: u8,
    /// Head at the take-over.
    pub from: u8,
    pub next: u8,
    pub to: u8,
    pub gap: Option<(u8, u8)>,
    /// Claims decided, waiting for the entry.
    pub claims: u16,
    /// Whose they are.
    pub by: [u16; VISITORS],
    /// Passes said to have ended.
    pub ends: u16,
    /// Visitors whose code waits for the entry.
    pub till: u8,
    /// Uses of the code that this owner has logged itself.
    pub own: u8,
    /// Every fault that began before is in the log, milliseconds by its clock.
    pub known: u64,
}

impl Owner {
    /// One that took over just now and waits for nobody.
    pub const fn new(fence: u8, head: u8, next: u8, to: u8, known: u64) -> Self {
        Self {
            fence,
            head,
            from: head,
            next,
            to,
            gap: None,
            claims: 0,
            by: [0; VISITORS],
            ends: 0,
            till: 0,
            own: 0,
            known,
        }
    }
}

/// An append that nobody saw end.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Late {
    pub fence: u8,
    pub head: u8,
    pub entry: Entry,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct State {
    pub log: Vec<Entry>,
    pub fence: u8,
    pub owners: [Option<Owner>; 2],
    pub redis: Redis,
    pub copy: Option<Redis>,
    pub late: Option<Late>,
    /// See [`AHEAD_MS`].
    pub ahead_ms: u64,
    /// Ticks of real time: the lane's clock.
    pub now: u8,
    /// Signed tickets of each visitor.
    pub tickets: [u16; VISITORS],
    /// Tickets whose place the visitor has moved to another one.
    pub old: [u16; VISITORS],
    /// Passes that each visitor was answered.
    pub passes: [u16; VISITORS],
    /// Expiry that was answered, by number.
    pub answered: BTreeMap<u8, u64>,
    /// Passes marked ended in the lane.
    pub left: u16,
    pub joins: [u8; VISITORS],
    /// When the sale opens, milliseconds; 0: it is open.
    pub opens_ms: u64,
    /// Indices of receipts that visitors were answered.
    pub receipts: [Option<u8>; VISITORS],
    /// Visitors who have the code.
    pub wants: u8,
    /// Places by code that visitors were answered.
    pub told: [Option<u8>; VISITORS],
    pub budget: Budget,
    /// What a move found broken.
    pub broken: Option<&'static str>,
}

impl State {
    pub fn start(budget: Budget) -> Self {
        let first = Entry { at: 0, to: BLOCK, ..Entry::default() };
        let known = budget.known();
        let owner = Owner::new(1, 1, 1, BLOCK, known);
        Self {
            log: vec![first],
            fence: 1,
            owners: [Some(owner), None],
            redis: Redis { loaded: true, epoch: 1, settled: 1, issued: 0, tickets: [0; VISITORS], known },
            copy: None,
            late: None,
            ahead_ms: AHEAD_MS,
            now: 0,
            tickets: [0; VISITORS],
            old: [0; VISITORS],
            passes: [0; VISITORS],
            answered: BTreeMap::new(),
            left: 0,
            joins: [2, 1, 1],
            opens_ms: 0,
            receipts: [None; VISITORS],
            wants: 0,
            told: [None; VISITORS],
            budget,
            broken: None,
        }
    }

    /// A sale that opens with the first tick, by the first owner's clock; the lobby is empty.
    pub fn lobby(budget: Budget) -> Self {
        let mut state = Self::start(budget);
        state.log = vec![Entry { at: 0, ..Entry::default() }];
        let owner = Owner::new(1, 1, 1, 0, budget.known());
        state.owners = [Some(owner), None];
        // The second owner's clock is behind: it takes the sale for closed a little longer.
        (state.opens_ms, state.ahead_ms, state.joins) = (TICK_MS, 0, [1, 1, 1]);
        state
    }

    /// Whether the sale is open by the clock of owner `i`. In a lobby the second one is a tick behind.
    pub fn is_open(&self, i: usize) -> bool {
        let behind = if i == 1 { TICK_MS } else { 0 };
        self.opens_ms == 0 || self.clock(i).0 >= self.opens_ms + behind
    }

    /// Entries that the log may have.
    pub const fn entries(&self) -> usize {
        if self.opens_ms == 0 { ENTRIES } else { LOBBY_ENTRIES }
    }

    /// Everybody has joined and two are called: what is left is claims, owners and time.
    pub fn warm(budget: Budget) -> Self {
        let mut state = Self::start(budget);
        let known = budget.known();
        state.log.push(Entry { at: 0, to: 2 * BLOCK, front: 2, ..Entry::default() });
        state.owners[0] = Some(Owner { from: 1, ..Owner::new(1, 2, 4, 2 * BLOCK, known) });
        state.redis = Redis { loaded: true, epoch: 1, settled: 2, issued: 3, tickets: [1, 2, 3], known };
        state.tickets = [bit(1), bit(2), bit(3)];
        state.joins = [0; VISITORS];
        state
    }

    /// Everybody is in line, and two of them have a code for one.
    pub fn codes(budget: Budget) -> Self {
        Self { wants: 0b110, ..Self::warm(budget) }
    }

    /// The first one's pass has ended and its place is the second one's; both owners have died, and Redis is as it was before.
    pub fn freed(budget: Budget) -> Self {
        let mut state = Self::warm(budget);
        let entry = Entry { to: 2 * BLOCK, front: 2, ..Entry::default() };
        state.log.push(Entry { granted: bit(1), ..entry });
        let at = TTL_MS + PASS_SKEW_MS;
        state.log.push(Entry { at, granted: bit(2), ended: bit(1), ..entry });
        state.now = u8::try_from(at / TICK_MS).unwrap();
        (state.owners, state.redis.settled) = ([None, None], 3);
        state.answered = BTreeMap::from([(1, TTL_MS), (2, at + TTL_MS)]);
        state
    }

    /// The real fold of the log's first `head` entries.
    pub fn fold(&self, head: u8) -> Result<LineFold, BadLine> {
        let mut fold = LineFold::new(0);
        for (n, entry) in self.log.iter().take(head.into()).enumerate() {
            let event = entry.event(&mut fold);
            fold.apply(n as u64 + 1, &event)?;
        }
        if fold.lobby().count() > 0 {
            let last = u64::from(head);
            fold.lobby_mut().settle(&sale()).map_err(|why| BadLine::Lobby(last, why))?;
        }
        Ok(fold)
    }

    /// The lane's clock.
    pub fn real_ms(&self) -> u64 {
        u64::from(self.now) * TICK_MS
    }

    /// The clock of owner `i`.
    pub fn clock(&self, i: usize) -> Millis {
        Millis(self.real_ms() + if i == 1 { self.ahead_ms } else { 0 })
    }
}
