//! What one process shows of a line: the same for everybody, replaced as a whole.

use std::sync::Arc;

use domain::fault::KnownFaults;
use domain::number::{Class, EVERYBODY, class_of, place_in};
use domain::{ItemId, Millis, Phase, SaleDoc, Standby};
use lua::lane::LaneStock;

use super::shown::{Shown, ShownClass, ShownLobby};
use super::stock::{Band, ItemStock};
use crate::draw::Places;
use crate::step::{Binding, CLASSES, Gaps, PerClass, Shares, Stock};

/// One process' picture of a sale's line and stock. Staleness only ever says "wait": the frontier was logged before
/// anybody learnt of it, and the line's owner decides.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Snapshot {
    /// Counts changes of what is shown; part of the document's `ETag`.
    pub version: u64,
    /// Tickets up to here may enter: the highest this process has ever seen (H17).
    pub frontier: u64,
    /// Highest number that may have been given out.
    pub issued: u64,
    /// Numbers nobody stands behind.
    pub gaps: Gaps,
    /// The sale's pace.
    pub pace_per_minute: u32,
    /// The classes in their order: the highest figures this process has ever seen.
    pub classes: Vec<ShownClass>,
    /// What each class gets of the pace while others wait.
    pub shares: Shares,
    /// Who waits on when everything is sold; `None`: nobody.
    pub standby: Option<Standby>,
    /// People called in the last minute.
    pub called: u64,
    /// Passes alive, and people called who have not claimed yet.
    pub inside: u64,
    /// What holds the frontier.
    pub binding: Binding,
    /// What is known of failures of ours.
    pub faults: Arc<KnownFaults>,
    /// When line and all lanes were last seen to work, each lane with an owner, by this process' clock; `None`: not yet.
    pub sound_at: Option<Millis>,
    /// Who came before the sale opened; `None`: nobody.
    pub lobby: Option<LobbyView>,
    /// Stock by item, in the document's order; empty until it was read once.
    pub items: Vec<ItemStock>,
    /// The last event applied in each lane when the stock was last read.
    pub settled: Vec<u64>,
    /// Free units of all items.
    pub free: u64,
    /// Units in checkout of all items.
    pub live: u64,
    /// The word for the sale as a whole: the best of its items; `None` until the stock was read once.
    pub band: Option<Band>,
    /// When the stock was last read.
    pub stock_as_of: Option<Millis>,
    /// How long the last look at Redis took, milliseconds.
    pub look_ms: u64,
    /// When Redis last answered for line and stock, by this process' clock; `None`: not yet.
    pub as_of: Option<Millis>,
}

/// The lobby as one process shows it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct LobbyView {
    /// What the owner published of it.
    pub shown: ShownLobby,
    /// The order, computed here from what is published: 4 bytes per visitor. `None` until it is drawn.
    pub places: Option<Arc<Places>>,
}

/// What a sale's line does, in one word for everybody.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LineState {
    /// Not open yet.
    Scheduled,
    /// Open.
    Open,
    /// Open, but certain that nothing is left.
    SoldOut,
    /// Stopped by the operator for the moment.
    Paused,
    /// Over.
    Closed,
}

impl LineState {
    /// The name in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Open => "open",
            Self::SoldOut => "sold_out",
            Self::Paused => "paused",
            Self::Closed => "closed",
        }
    }
}

/// What one look at Redis brought. `None`: not loaded, or no answer; what was known stays.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Looked {
    /// The line as its owner published it.
    pub line: Option<LineLooked>,
    /// The stock of every lane, when all of them answered. A part of the lanes is no stock: what is missing may be free.
    pub lanes: Option<Vec<LaneStock>>,
}

/// The line's part of a look.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct LineLooked {
    /// The published frontier.
    pub frontier: u64,
    /// The owner's words.
    pub shown: Shown,
    /// The order that follows from them, where it had to be computed.
    pub places: Option<Arc<Places>>,
}

impl Snapshot {
    /// The picture after a look. The frontier and the numbers never go back, whatever Redis says (H17).
    #[must_use]
    pub fn after(&self, looked: &Looked, doc: &SaleDoc, now: Millis) -> Self {
        let mut next = self.clone();
        next.pace_per_minute = doc.room().map_or(0, |room| room.pace_per_minute);
        next.standby = doc.room().and_then(|room| room.standby);
        next.shares = doc.room().map_or(Shares::ONE_LINE, |room| Shares::of(&room.classes));
        if let Some(line) = &looked.line {
            next.see_line(line);
        }
        if let Some(lanes) = &looked.lanes {
            next.see_stock(lanes, doc);
            next.stock_as_of = Some(now);
        }
        let whole = looked.lanes.is_some() && (looked.line.is_some() || doc.room().is_none());
        if whole {
            next.as_of = Some(now);
            let owned = looked.lanes.iter().flatten().all(|lane| lane.owned);
            next.sound_at = if owned { Some(now) } else { self.sound_at };
        }
        if !self.shows_the_same(&next) {
            next.version += 1;
        }
        next
    }

    fn see_line(&mut self, line: &LineLooked) {
        self.frontier = self.frontier.max(line.frontier);
        self.issued = self.issued.max(line.shown.issued).max(self.frontier);
        if self.classes.len() < line.shown.classes.len() {
            self.classes.resize(line.shown.classes.len(), ShownClass::default());
        }
        for (known, shown) in self.classes.iter_mut().zip(&line.shown.classes) {
            known.frontier = known.frontier.max(shown.frontier);
            known.issued = known.issued.max(shown.issued).max(known.frontier);
        }
        self.called = line.shown.called;
        self.inside = line.shown.active.saturating_add(line.shown.unclaimed);
        self.binding = line.shown.binding;
        if self.gaps.ranges() != line.shown.gaps {
            self.gaps = line.shown.gaps.iter().copied().collect();
        }
        self.see_faults(&line.shown);
        self.see_lobby(line);
    }

    /// What is known to be complete up to a later time replaces what was known before; an older copy of Redis takes nothing back.
    /// Nobody records faults under an owner that does not say.
    fn see_faults(&mut self, shown: &Shown) {
        let nobody = KnownFaults::none();
        let known = match shown.faults_known_to {
            Some(to) if *self.faults == nobody || to > self.faults.to => {
                KnownFaults { faults: shown.faults.iter().copied().collect(), to }
            }
            None if *self.faults == KnownFaults::default() => nobody,
            _ => return,
        };
        self.faults = Arc::new(known);
    }

    /// What was published of a lobby stays: an older copy of Redis takes back neither its closing nor its draw.
    fn see_lobby(&mut self, line: &LineLooked) {
        let Some(shown) = &line.shown.lobby else { return };
        let stage = |shown: &ShownLobby| (shown.seed.is_some(), shown.root.is_some(), shown.count);
        let lobby = self.lobby.get_or_insert_default();
        if stage(shown) >= stage(&lobby.shown) && lobby.places.is_none() {
            lobby.shown = shown.clone();
            lobby.places = line.places.clone();
        }
    }

    /// Whether the lobby has closed and its order is not known yet.
    #[must_use]
    pub fn is_being_drawn(&self) -> bool {
        self.lobby.as_ref().is_some_and(|lobby| lobby.shown.root.is_some() && lobby.places.is_none())
    }

    /// The number that the draw gave to the receipt of this index; `None` while it is not drawn.
    #[must_use]
    pub fn number_of(&self, index: u64) -> Option<u64> {
        self.lobby.as_ref()?.places.as_ref()?.of(index).map(u64::from)
    }

    /// Up to which place a class is called.
    #[must_use]
    pub fn frontier_of(&self, class: Class) -> u64 {
        let class = usize::from(class).checked_sub(1).map(|at| self.classes.get(at));
        class.map_or(self.frontier, |class| class.map_or(0, |class| class.frontier))
    }

    /// People in front of a place who are not called; `None`: it is called itself.
    #[must_use]
    pub fn ahead(&self, number: u64) -> Option<u64> {
        let (class, place) = (class_of(number), place_in(number));
        let frontier = self.frontier_of(class);
        if place <= frontier {
            return None;
        }
        Some(if class == EVERYBODY { self.gaps.people(frontier, place - 1) } else { place - 1 - frontier })
    }

    /// The part of the calls, of 1,000, that goes to a class while those wait who do.
    #[must_use]
    pub fn share_permille(&self, class: Class) -> u64 {
        let mut waiting: PerClass<u64> = [0; CLASSES];
        waiting[0] = self.issued.saturating_sub(self.frontier);
        for (waiting, class) in waiting.iter_mut().skip(1).zip(&self.classes) {
            *waiting = class.issued - class.frontier;
        }
        self.shares.permille(class.into(), &waiting)
    }

    fn see_stock(&mut self, lanes: &[LaneStock], doc: &SaleDoc) {
        let settled: Vec<u64> = lanes.iter().map(|lane| lane.settled).collect();
        // Looks follow each other, so that two equal ones tell that all lanes were so at one moment between them (R11).
        let still = lanes.len() < 2 || self.settled == settled;
        self.items.clear();
        (self.free, self.live) = (0, 0);
        for item in &doc.items {
            let sum = Sum::over(lanes, &item.id);
            self.free += sum.free;
            self.live += sum.live;
            let band = match Band::of(sum.free, sum.live, item.units) {
                Band::SoldOut if lanes.len() > 1 && !(still && sum.is_whole()) => Band::Held,
                band => band,
            };
            self.items.push(ItemStock {
                item: item.id.clone(),
                units: item.units,
                free: sum.free,
                live: sum.live,
                band,
            });
        }
        self.settled = settled;
        self.band = self.items.iter().map(|item| item.band).min();
    }

    /// The stock for the step, unless it was read longer than `most_ms` ago.
    #[must_use]
    pub fn stock(&self, now: Millis, most_ms: u64) -> Option<Stock> {
        let (free, held) = (self.free, self.live);
        let units: u64 = self.items.iter().map(|item| item.units).sum();
        let sold = units.saturating_sub(free).saturating_sub(held);
        self.stock_as_of.filter(|at| now.since(*at) <= most_ms).map(|_| Stock { free, held, sold })
    }

    /// The line in one word.
    #[must_use]
    pub fn state(&self, phase: Phase) -> LineState {
        match (phase, self.band) {
            (Phase::Scheduled, _) => LineState::Scheduled,
            (Phase::Closed, _) => LineState::Closed,
            (Phase::Open | Phase::Paused, Some(Band::SoldOut)) => LineState::SoldOut,
            (Phase::Paused, _) => LineState::Paused,
            (Phase::Open, _) => LineState::Open,
        }
    }

    fn shows_the_same(&self, other: &Self) -> bool {
        let line =
            |shot: &Self| (shot.frontier, shot.pace_per_minute, shot.standby, shot.shares, shot.is_being_drawn());
        let classes = |shot: &Self| shot.classes.iter().map(|class| class.frontier).collect::<Vec<_>>();
        line(self) == line(other)
            && classes(self) == classes(other)
            && self.faults.faults == other.faults.faults
            && self.items.iter().map(|item| item.band).eq(other.items.iter().map(|item| item.band))
    }
}

/// One item over all lanes.
#[derive(Default)]
struct Sum {
    free: u64,
    live: u64,
    given: u64,
    received: u64,
    /// Lanes that do not know the item yet: its stock is on the way there.
    missing: usize,
}

impl Sum {
    fn over(lanes: &[LaneStock], item: &ItemId) -> Self {
        let mut sum = Self::default();
        for lane in lanes {
            let at = lane.items.binary_search_by(|(id, _)| id.cmp(item)).ok();
            let Some((_, stock)) = at.and_then(|at| lane.items.get(at)) else {
                sum.missing += 1;
                continue;
            };
            sum.free += u64::try_from(stock.free).unwrap_or(0);
            sum.live += u64::try_from(stock.live).unwrap_or(0);
            sum.given += stock.moved.given;
            sum.received += stock.moved.received;
        }
        sum
    }

    /// Nothing is on its way, between lanes or into one.
    const fn is_whole(&self) -> bool {
        self.missing == 0 && self.given == self.received
    }
}

#[cfg(test)]
mod tests;
