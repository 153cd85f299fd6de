//! What a log of points comes to, and the entries of one append while it is put together.

use std::collections::HashMap;

use super::{Account, Entry, PointsEvent, Refused, Request, decide};
use crate::id::VisitorHash;
use crate::time::Millis;

/// A log of points that says what no writer may write.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadPoints {
    /// An event is missing or came twice.
    #[error("event {expected} was expected and {got} came")]
    Gap {
        /// Seq that was to come.
        expected: u64,
        /// Seq that came.
        got: u64,
    },
    /// It takes what is not there, or does a second time what was done.
    #[error("event {0} does not fit what the visitor has")]
    DoesNotFit(u64),
}

/// The fold of one log of points.
#[derive(Clone, Default, Debug)]
pub struct PointsFold {
    head: u64,
    last_at: Millis,
    accounts: HashMap<VisitorHash, Account>,
}

impl PointsFold {
    /// Applies the next event.
    ///
    /// # Errors
    /// [`BadPoints`] when the log contradicts itself. Nothing of the event is applied then.
    pub fn apply(&mut self, seq: u64, event: &PointsEvent) -> Result<(), BadPoints> {
        if seq != self.head + 1 {
            return Err(BadPoints::Gap { expected: self.head + 1, got: seq });
        }
        let account = self.accounts.entry(event.visitor).or_default();
        account.apply(event.at, &event.entry).map_err(|_| BadPoints::DoesNotFit(seq))?;
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

    /// What a visitor has.
    #[must_use]
    pub fn account(&self, visitor: &VisitorHash) -> Option<&Account> {
        self.accounts.get(visitor)
    }

    /// How many visitors there are in memory.
    #[must_use]
    pub fn len(&self) -> usize {
        self.accounts.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    /// Forgets what nobody can ask for any more, and visitors of whom nothing is left. Changes no balance, so every writer may
    /// do it when it likes.
    pub fn forget(&mut self, now: Millis) {
        let now = now.not_before(self.last_at);
        self.accounts.retain(|_, account| {
            account.forget(now);
            !account.is_empty()
        });
    }

    /// Visitors with points whose time is over, at most so many.
    #[must_use]
    pub fn overdue(&self, now: Millis, most: usize) -> Vec<VisitorHash> {
        let over = self.accounts.iter().filter(|(_, account)| account.overdue(now) > 0);
        over.map(|(visitor, _)| *visitor).take(most).collect()
    }
}

/// The events of one append while it is put together, and what they change against the committed fold.
#[derive(Clone, Default, Debug)]
pub struct Group {
    events: Vec<PointsEvent>,
    changed: HashMap<VisitorHash, Account>,
}

impl Group {
    /// The events so far, in order.
    #[must_use]
    pub fn events(&self) -> &[PointsEvent] {
        &self.events
    }

    fn account(&self, fold: &PointsFold, visitor: &VisitorHash) -> Account {
        self.changed.get(visitor).or_else(|| fold.account(visitor)).cloned().unwrap_or_default()
    }

    /// Decides a request over fold and group and takes its event in; true when there is one. An answer, also that it was done
    /// before, waits until the group is appended: what did it may stand in this very group.
    ///
    /// # Errors
    /// Why nothing changes.
    pub fn ask(
        &mut self,
        fold: &PointsFold,
        visitor: VisitorHash,
        request: &Request,
        asked: Millis,
        now: Millis,
    ) -> Result<bool, Refused> {
        let at = now.not_before(fold.last_at());
        let mut account = self.account(fold, &visitor);
        account.forget(at);
        let Some(entry) = decide(&account, request, asked, at)? else { return Ok(false) };
        self.enter(visitor, account, at, entry);
        Ok(true)
    }

    /// Ends what a visitor has of points whose time is over; true when there was something.
    pub fn expire(&mut self, fold: &PointsFold, visitor: VisitorHash, now: Millis) -> bool {
        let at = now.not_before(fold.last_at());
        let account = self.account(fold, &visitor);
        let points = account.overdue(at);
        if points > 0 {
            self.enter(visitor, account, at, Entry::Expired { points });
        }
        points > 0
    }

    fn enter(&mut self, visitor: VisitorHash, mut account: Account, at: Millis, entry: Entry) {
        // An entry made from this account fits it; one that did not would only be left out here and refused by the fold.
        if account.apply(at, &entry).is_ok() {
            self.changed.insert(visitor, account);
            self.events.push(PointsEvent { visitor, at, entry });
        }
    }
}
