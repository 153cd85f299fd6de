//! What becomes of an intent: a pure function over the committed fold, the group so far, and the intent (R5).

use std::collections::{BTreeMap, HashMap, HashSet};

use domain::{Fingerprint, HoldId, HoldState, ItemId, LaneEvent, Lines, Millis, RefuseReason, VisitorHash};

use crate::fold::LaneFold;

/// Something the ledger has to decide.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Intent {
    /// A hold is to become a booking.
    Confirm {
        /// Hold and booking id.
        id: HoldId,
        /// Whose it is.
        visitor: VisitorHash,
        /// What its record holds; empty when Redis did not know the hold.
        lines: Lines,
        /// What the hold was asked for; absent when Redis did not know the hold.
        fp: Option<Fingerprint>,
        /// Number of the pass it was made with.
        pass: Option<u64>,
    },
    /// A booking is to be undone.
    Cancel {
        /// Booking id.
        id: HoldId,
    },
    /// Stock of the sale's log is to be added to the lane.
    Stock {
        /// `sale/{sale}:seq` of the act.
        from: String,
        /// The lane's share per item.
        lines: BTreeMap<ItemId, u64>,
    },
    /// Free units that a script has claimed for another lane are to leave.
    Give {
        /// The claim's id.
        id: HoldId,
        /// The lane that asked.
        to: u16,
        /// What its record holds.
        lines: Lines,
    },
    /// Units that another lane's log has given to this one are to come in.
    Receive {
        /// `lane/{sale}/{n}:seq` of the event that gave them.
        from: String,
        /// What it gave.
        lines: Lines,
    },
}

/// What an intent comes to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Decision {
    /// This event, when it is appended.
    Event(LaneEvent),
    /// The id was decided before, by the log or earlier in the group: Redis is told with the next settle, there is no event.
    Resolution(HoldId),
    /// Nothing to do.
    Nothing,
}

/// The events of one append while it is put together, and what they change against the committed fold.
#[derive(Clone, Default, Debug)]
pub struct Group {
    events: Vec<LaneEvent>,
    states: HashMap<HoldId, HoldState>,
    /// Units of an item that the group takes (positive) or gives.
    taken: HashMap<ItemId, i64>,
    /// Units of a visitor that the group adds (positive) or takes away.
    units: HashMap<VisitorHash, i64>,
    from: HashSet<String>,
    /// Passes that the group's bookings use.
    passes: HashSet<u64>,
}

impl Group {
    /// The events so far, in order.
    #[must_use]
    pub fn events(&self) -> &[LaneEvent] {
        &self.events
    }

    /// The events, in order.
    #[must_use]
    pub fn into_events(self) -> Vec<LaneEvent> {
        self.events
    }

    /// Whether there is no event.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Adds an event that [`decide`] made from this fold and this group.
    pub fn push(&mut self, fold: &LaneFold, event: LaneEvent) {
        match &event {
            LaneEvent::Booked { id, visitor, lines, pass, .. } => {
                self.passes.extend(*pass);
                self.states.insert(*id, HoldState::Sold);
                for (item, units) in lines.iter() {
                    *self.taken.entry(item.clone()).or_default() += i64::from(units);
                }
                *self.units.entry(*visitor).or_default() += signed(lines.units());
            }
            LaneEvent::Refused { id, .. } => {
                self.states.insert(*id, HoldState::Refused);
            }
            LaneEvent::Cancelled { id, .. } => {
                self.states.insert(*id, HoldState::Cancelled);
                if let Some((visitor, lines)) = self.booking(fold, *id) {
                    for (item, units) in lines.iter() {
                        *self.taken.entry(item.clone()).or_default() -= i64::from(units);
                    }
                    *self.units.entry(visitor).or_default() -= signed(lines.units());
                }
            }
            LaneEvent::Stock { from, lines, .. } => {
                self.from.insert(from.clone());
                for (item, units) in lines {
                    *self.taken.entry(item.clone()).or_default() -= signed(*units);
                }
            }
            LaneEvent::TransferOut { id, lines, .. } => {
                self.states.insert(*id, HoldState::Sold);
                for (item, units) in lines.iter() {
                    *self.taken.entry(item.clone()).or_default() += i64::from(units);
                }
            }
            LaneEvent::TransferIn { from, lines, .. } => {
                self.from.insert(from.clone());
                for (item, units) in lines.iter() {
                    *self.taken.entry(item.clone()).or_default() -= i64::from(units);
                }
            }
        }
        self.events.push(event);
    }

    /// The booking of `id` in the fold or, made by this very group, among its events.
    fn booking(&self, fold: &LaneFold, id: HoldId) -> Option<(VisitorHash, Lines)> {
        if let Some(decided) = fold.decided(&id).filter(|decided| decided.booked.is_some()) {
            return Some((decided.visitor, (*decided.lines).clone()));
        }
        self.events.iter().find_map(|event| match event {
            LaneEvent::Booked { id: booked, visitor, lines, .. } if *booked == id => Some((*visitor, lines.clone())),
            _ => None,
        })
    }

    fn state(&self, fold: &LaneFold, id: &HoldId) -> Option<HoldState> {
        self.states.get(id).copied().or_else(|| fold.decided(id).map(|decided| decided.state))
    }

    fn has_booked(&self, fold: &LaneFold, pass: u64) -> bool {
        self.passes.contains(&pass) || fold.has_booked(pass)
    }

    fn left(&self, fold: &LaneFold, item: &ItemId) -> i64 {
        signed(fold.item(item).left()) - self.taken.get(item).copied().unwrap_or(0)
    }

    fn units_of(&self, fold: &LaneFold, visitor: &VisitorHash) -> i64 {
        let committed = fold.visitor(visitor).map_or(0, |sum| sum.units);
        signed(committed) + self.units.get(visitor).copied().unwrap_or(0)
    }
}

/// Decides one intent. `limit` is the units one visitor may have, `now` the committer's clock; the event's time never goes
/// back behind the log's.
///
/// Refusals in this order: the hold is gone, its pass was used, there are not enough units, the visitor would have too many.
/// The pass before the stock: a visitor who has booked is told so, not that there is nothing left.
#[must_use]
pub fn decide(fold: &LaneFold, group: &Group, intent: &Intent, limit: Option<u32>, now: Millis) -> Decision {
    let at = now.not_before(fold.last_at());
    match intent {
        Intent::Confirm { id, visitor, lines, fp, pass } => {
            if group.state(fold, id).is_some() {
                return Decision::Resolution(*id);
            }
            let (id, visitor) = (*id, *visitor);
            let refused = |why| Decision::Event(LaneEvent::Refused { id, visitor, why, at });
            let Some(fp) = fp.filter(|_| lines.units() > 0) else {
                return refused(RefuseReason::Gone);
            };
            if pass.is_some_and(|pass| group.has_booked(fold, pass)) {
                return refused(RefuseReason::PassUsed);
            }
            if lines.iter().any(|(item, units)| group.left(fold, item) < i64::from(units)) && checks_allocation() {
                return refused(RefuseReason::SoldOut);
            }
            if limit.is_some_and(|most| group.units_of(fold, &visitor) + signed(lines.units()) > i64::from(most)) {
                return refused(RefuseReason::Limit);
            }
            Decision::Event(LaneEvent::Booked { id, visitor, lines: lines.clone(), fp, pass: *pass, at })
        }
        Intent::Cancel { id } => match group.state(fold, id) {
            // Units given to another lane are no booking, and do not come back this way.
            Some(HoldState::Sold) if group.booking(fold, *id).is_some() => {
                Decision::Event(LaneEvent::Cancelled { id: *id, at })
            }
            // A record that is confirming although its id was decided takes the decided state, whoever asked.
            Some(_) => Decision::Resolution(*id),
            None => Decision::Nothing,
        },
        Intent::Stock { from, lines } => {
            if fold.has_stock_from(from) || group.from.contains(from) {
                return Decision::Nothing;
            }
            Decision::Event(LaneEvent::Stock { from: from.clone(), lines: lines.clone(), at })
        }
        Intent::Give { id, to, lines } => give(fold, group, (*id, *to), lines, at),
        Intent::Receive { from, lines } => {
            if fold.has_stock_from(from) || group.from.contains(from) {
                return Decision::Nothing;
            }
            Decision::Event(LaneEvent::TransferIn { from: from.clone(), lines: lines.clone(), at })
        }
    }
}

/// A claim for another lane: its first event decides it for ever, as with a visitor's.
fn give(fold: &LaneFold, group: &Group, (id, to): (HoldId, u16), lines: &Lines, at: Millis) -> Decision {
    if group.state(fold, &id).is_some() {
        return Decision::Resolution(id);
    }
    let visitor = VisitorHash::for_lane(to);
    let refused = |why| Decision::Event(LaneEvent::Refused { id, visitor, why, at });
    if lines.units() == 0 {
        return refused(RefuseReason::Gone);
    }
    if lines.iter().any(|(item, units)| group.left(fold, item) < i64::from(units)) {
        return refused(RefuseReason::SoldOut);
    }
    Decision::Event(LaneEvent::TransferOut { id, to, lines: lines.clone(), at })
}

/// Whether the allocation is checked: it is, but where a planted bug leaves it out.
pub(crate) fn checks_allocation() -> bool {
    !domain::planted::is(domain::planted::Bug::NoAllocationCheck)
}

/// Units as a signed number. All units of a sale are far below 2^53 (`domain::limits`).
fn signed(units: u64) -> i64 {
    i64::try_from(units).unwrap_or(i64::MAX)
}
