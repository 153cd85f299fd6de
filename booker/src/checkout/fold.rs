//! What the log of a lane's checkouts comes to, and the entries of one append while it is put together.

use std::collections::{BTreeSet, HashMap};

use domain::checkout::Entry;
use domain::{CheckoutEvent, HoldId, Millis};

use super::state::Checkout;

/// A log that says what no writer may write. The lane stops: going on would move money on sand.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadCheckouts {
    /// An event is missing or came twice.
    #[error("event {expected} was expected and {got} came")]
    Gap {
        /// Seq that was to come.
        expected: u64,
        /// Seq that came.
        got: u64,
    },
    /// The entry may not follow those of its booking.
    #[error("event {seq} may not follow what {id} has")]
    NotNow {
        /// Seq of the event.
        seq: u64,
        /// The booking.
        id: HoldId,
    },
}

/// The fold of the checkouts beside one lane.
#[derive(Clone, Default, Debug)]
pub struct CheckoutFold {
    head: u64,
    last_at: Millis,
    checkouts: HashMap<HoldId, Checkout>,
    /// Those that are not over: all that the next owner has to look at.
    open: BTreeSet<HoldId>,
}

impl CheckoutFold {
    /// Applies the next event.
    ///
    /// # Errors
    /// [`BadCheckouts`] when the log contradicts itself. Nothing of the event is applied then.
    pub fn apply(&mut self, seq: u64, event: &CheckoutEvent) -> Result<(), BadCheckouts> {
        if seq != self.head + 1 {
            return Err(BadCheckouts::Gap { expected: self.head + 1, got: seq });
        }
        let next = after(self.checkouts.get(&event.id), event).ok_or(BadCheckouts::NotNow { seq, id: event.id })?;
        if next.is_over() {
            self.open.remove(&event.id);
        } else {
            self.open.insert(event.id);
        }
        self.checkouts.insert(event.id, next);
        self.head = seq;
        self.last_at = self.last_at.max(event.at);
        Ok(())
    }

    /// Seq of the last event applied; 0 when there was none.
    #[must_use]
    pub const fn head(&self) -> u64 {
        self.head
    }

    /// The latest time in the log: entries do not go back when a clock does.
    #[must_use]
    pub const fn last_at(&self) -> Millis {
        self.last_at
    }

    /// A booking's checkout.
    #[must_use]
    pub fn get(&self, id: &HoldId) -> Option<&Checkout> {
        self.checkouts.get(id)
    }

    /// Every checkout, in no order.
    pub fn all(&self) -> impl ExactSizeIterator<Item = (&HoldId, &Checkout)> {
        self.checkouts.iter()
    }

    /// Those that are not over, by id.
    pub fn open(&self) -> impl ExactSizeIterator<Item = &HoldId> {
        self.open.iter()
    }

    /// What an operator has to look at.
    pub fn dead_letters(&self) -> impl Iterator<Item = (&HoldId, &Checkout)> {
        let known = |id| Some((id, self.checkouts.get(id)?));
        self.open.iter().filter_map(known).filter(|(_, checkout)| !checkout.stuck().is_empty())
    }
}

fn after(before: Option<&Checkout>, event: &CheckoutEvent) -> Option<Checkout> {
    match (before, &event.entry) {
        (None, Entry::Begun { plan }) => Some(Checkout::begin(plan, event.at)),
        (None, _) => None,
        (Some(before), entry) => {
            let mut next = before.clone();
            next.apply(event.at, entry).ok().map(|()| next)
        }
    }
}

/// The entries of one append while it is put together, and what they change against the committed fold.
#[derive(Clone, Default, Debug)]
pub struct Group {
    events: Vec<CheckoutEvent>,
    changed: HashMap<HoldId, Checkout>,
}

impl Group {
    /// The entries so far, in order.
    #[must_use]
    pub fn events(&self) -> &[CheckoutEvent] {
        &self.events
    }

    /// The entries, in order.
    #[must_use]
    pub fn into_events(self) -> Vec<CheckoutEvent> {
        self.events
    }

    /// A booking's checkout as it will be when the group is appended.
    #[must_use]
    pub fn get<'a>(&'a self, fold: &'a CheckoutFold, id: &HoldId) -> Option<&'a Checkout> {
        self.changed.get(id).or_else(|| fold.get(id))
    }

    /// Takes an entry in; false, and nothing changed, when it may not follow what its booking has.
    pub fn push(&mut self, fold: &CheckoutFold, event: CheckoutEvent) -> bool {
        let Some(next) = after(self.get(fold, &event.id), &event) else { return false };
        self.changed.insert(event.id, next);
        self.events.push(event);
        true
    }
}
