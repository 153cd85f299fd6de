//! What one visitor has.

use std::collections::BTreeMap;

use super::{CouponUse, Entry, Key, Lot, sum};
use crate::id::HoldId;
use crate::limits::{MAX_POINT_LOTS, POINTS_REMEMBER_MS};
use crate::time::Millis;

/// The points of one visitor, and what is remembered so that nothing is done twice.
#[derive(Clone, PartialEq, Eq, Hash, Default, Debug)]
pub struct Account {
    /// Soonest end first, those without an end last; no two with the same end, none empty.
    lots: Vec<Lot>,
    owed: u64,
    coupons: Vec<(CouponUse, HoldId)>,
    known: BTreeMap<Key, Known>,
}

/// An entry that is remembered.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Known {
    pub(super) at: Millis,
    /// What it changed, to tell a repeat from another request under the same id.
    pub(super) amount: i128,
    /// What a use took and no refund gave back yet.
    pub(super) left: Vec<Lot>,
}

/// An entry that does not fit the account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct DoesNotFit;

/// Sorts points without an end behind all others.
fn end(until: Option<Millis>) -> Millis {
    until.unwrap_or(Millis(u64::MAX))
}

impl Account {
    /// Points that can be used at this moment.
    #[must_use]
    pub fn balance(&self, at: Millis) -> u64 {
        self.lots.iter().filter(|lot| end(lot.until) > at).map(|lot| lot.points).sum()
    }

    /// Points that a refund could not take back, to be paid by what is earned next.
    #[must_use]
    pub const fn owed(&self) -> u64 {
        self.owed
    }

    /// What there is by its end, soonest first.
    #[must_use]
    pub fn lots(&self) -> &[Lot] {
        &self.lots
    }

    /// The booking that uses a coupon.
    #[must_use]
    pub fn coupon(&self, id: HoldId) -> Option<HoldId> {
        self.coupons.iter().find(|(used, _)| used.id == id).map(|(_, booking)| *booking)
    }

    /// Points whose time is over at this moment.
    #[must_use]
    pub fn overdue(&self, at: Millis) -> u64 {
        self.lots.iter().filter(|lot| end(lot.until) <= at).map(|lot| lot.points).sum()
    }

    /// Whether nothing would be lost by forgetting it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lots.is_empty() && self.owed == 0 && self.coupons.is_empty() && self.known.is_empty()
    }

    /// Entries that are remembered.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.known.len()
    }

    pub(super) fn known(&self, key: &Key) -> Option<&Known> {
        self.known.get(key)
    }

    /// Forgets what happened too long ago to be asked for again.
    pub fn forget(&mut self, now: Millis) {
        let old = |at: Millis| now.since(at) > POINTS_REMEMBER_MS;
        self.known.retain(|_, known| !old(known.at));
        self.coupons.retain(|(used, _)| !old(end(used.until)));
    }

    /// The lots that so many points would be taken from at this moment; `None` when there are not enough.
    pub(super) fn pick(&self, at: Millis, points: u64) -> Option<Vec<Lot>> {
        let mut left = points;
        let mut from = Vec::new();
        for lot in self.lots.iter().filter(|lot| end(lot.until) > at) {
            if left == 0 {
                break;
            }
            let points = lot.points.min(left);
            left -= points;
            from.push(Lot { points, ..*lot });
        }
        (left == 0).then_some(from)
    }

    fn take(&mut self, at: Millis, points: u64) -> Result<Vec<Lot>, DoesNotFit> {
        let from = self.pick(at, points).ok_or(DoesNotFit)?;
        for taken in &from {
            for lot in self.lots.iter_mut().filter(|lot| lot.until == taken.until) {
                lot.points -= taken.points;
            }
        }
        self.lots.retain(|lot| lot.points > 0);
        Ok(from)
    }

    fn add(&mut self, lot: Lot) {
        if lot.points == 0 {
            return;
        }
        match self.lots.binary_search_by_key(&end(lot.until), |lot| end(lot.until)) {
            Ok(there) => {
                if let Some(same) = self.lots.get_mut(there) {
                    same.points += lot.points;
                }
            }
            Err(place) => self.lots.insert(place, lot),
        }
        if self.lots.len() > MAX_POINT_LOTS {
            self.merge();
        }
    }

    /// The two ends that are nearest become the later one: never to the visitor's loss.
    fn merge(&mut self) {
        let gap = |n: usize| match self.lots.get(n..n + 2) {
            Some([a, b]) => end(b.until).since(end(a.until)),
            _ => u64::MAX,
        };
        let nearest = (0..self.lots.len().saturating_sub(1)).min_by_key(|n| gap(*n)).unwrap_or(0);
        let sooner = self.lots.remove(nearest);
        if let Some(later) = self.lots.get_mut(nearest) {
            later.points += sooner.points;
        }
    }

    /// What comes back of a use when `points` of it do: those that end last first, so that as much as can be is of use still.
    /// With what they had, or lasting until `at_least`.
    pub(super) fn back(&self, booking: HoldId, points: u64, at_least: Option<Millis>) -> Option<Vec<Lot>> {
        let mut left = points;
        let mut back = Vec::new();
        for lot in self.known(&Key::Use(booking))?.left.iter().rev() {
            let points = lot.points.min(left);
            left -= points;
            let until = lot.until.map(|until| at_least.map_or(until, |least| until.max(least)));
            if points > 0 {
                back.push(Lot { points, until });
            }
        }
        (left == 0).then_some(back)
    }

    /// Applies an entry. Nothing is changed when it does not fit.
    pub(super) fn apply(&mut self, at: Millis, entry: &Entry) -> Result<(), DoesNotFit> {
        let mut next = self.clone();
        // Here and not only where memory is short: what a writer takes for new has to be new for every reader.
        next.forget(at);
        let key = entry.key();
        if key.as_ref().is_some_and(|key| next.known.contains_key(key)) {
            return Err(DoesNotFit);
        }
        let known = next.change(at, entry)?;
        if let Some(key) = key {
            next.known.insert(key, known);
        }
        *self = next;
        Ok(())
    }

    fn change(&mut self, at: Millis, entry: &Entry) -> Result<Known, DoesNotFit> {
        let known = |amount: u64| Known { at, amount: i128::from(amount), left: Vec::new() };
        Ok(match entry {
            Entry::Charged { lot, .. } => {
                self.add(*lot);
                known(lot.points)
            }
            Entry::Used { booking, from, coupons } => {
                if self.known.contains_key(&Key::Return(*booking, 0)) || self.take(at, sum(from))? != *from {
                    return Err(DoesNotFit);
                }
                for used in coupons {
                    if self.coupon(used.id).is_some() {
                        return Err(DoesNotFit);
                    }
                    self.coupons.push((*used, *booking));
                }
                Known { left: from.clone(), ..known(sum(from)) }
            }
            Entry::Returned { booking, part: _, lots, coupons, taken, owed } => {
                self.give_back(*booking, lots)?;
                self.coupons.retain(|(used, by)| by != booking || !coupons.contains(&used.id));
                self.take(at, *taken)?;
                self.owed += owed;
                Known { amount: i128::from(sum(lots)) - i128::from(taken + owed), ..known(0) }
            }
            Entry::Earned { lot, paid, .. } => {
                self.owed = self.owed.checked_sub(*paid).ok_or(DoesNotFit)?;
                self.add(*lot);
                known(lot.points + paid)
            }
            Entry::Expired { points } => {
                if self.overdue(at) != *points {
                    return Err(DoesNotFit);
                }
                self.lots.retain(|lot| end(lot.until) > at);
                known(*points)
            }
            Entry::Corrected { points, .. } => {
                match u64::try_from(*points) {
                    Ok(more) => self.add(Lot { points: more, until: None }),
                    Err(_) => drop(self.take(at, points.unsigned_abs())?),
                }
                Known { amount: i128::from(*points), ..known(0) }
            }
        })
    }

    fn give_back(&mut self, booking: HoldId, lots: &[Lot]) -> Result<(), DoesNotFit> {
        if let Some(used) = self.known.get_mut(&Key::Use(booking)) {
            let mut left = sum(lots);
            for lot in used.left.iter_mut().rev() {
                let points = lot.points.min(left);
                (lot.points, left) = (lot.points - points, left - points);
            }
            used.left.retain(|lot| lot.points > 0);
            if left > 0 {
                return Err(DoesNotFit);
            }
        }
        lots.iter().for_each(|lot| self.add(*lot));
        Ok(())
    }

    /// Coupons that a booking uses.
    pub(super) fn coupons_of(&self, booking: HoldId) -> Vec<HoldId> {
        self.coupons.iter().filter(|(_, by)| *by == booking).map(|(used, _)| used.id).collect()
    }
}
