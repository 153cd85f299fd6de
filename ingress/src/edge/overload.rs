//! Who goes first when there is too much: confirm before hold, hold before status, status before catalogue.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// How important a request is. The order is the order of going first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Class {
    /// Confirm and cancel: somebody's booking depends on it.
    Confirm,
    /// Joins, passes and holds.
    Hold,
    /// Where somebody stands.
    Status,
    /// What is on sale, and pages.
    Catalogue,
}

/// One count of requests under way, with a ceiling per class: a lower class meets its ceiling while there is still room for
/// the higher ones. Separate counts per class were rejected: they would let a flood of holds take nothing from status.
pub(crate) struct Load {
    under_way: AtomicUsize,
    most: usize,
}

/// A request under way; over on drop.
pub(crate) struct Turn(Arc<Load>);

impl Load {
    /// Room for `most` requests at once.
    pub(crate) const fn new(most: usize) -> Self {
        Self { under_way: AtomicUsize::new(0), most }
    }

    const fn ceiling(&self, class: Class) -> usize {
        match class {
            Class::Confirm => self.most,
            Class::Hold => self.most - self.most / 8,
            Class::Status => self.most / 2,
            Class::Catalogue => self.most / 4,
        }
    }

    /// Whether a request of this class that needs nobody else may be answered now.
    pub(crate) fn has_room(&self, class: Class) -> bool {
        self.under_way.load(Relaxed) < self.ceiling(class)
    }

    /// Room for a request that has to wait for somebody else.
    pub(crate) fn enter(self: &Arc<Self>, class: Class) -> Option<Turn> {
        if self.under_way.fetch_add(1, Relaxed) >= self.ceiling(class) {
            self.under_way.fetch_sub(1, Relaxed);
            return None;
        }
        Some(Turn(Arc::clone(self)))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn lower_classes_meet_their_ceiling_first() {
        let load = Arc::new(Load::new(16));
        let mut turns = Vec::new();
        let mut enter = |class, most: usize| {
            while let Some(turn) = load.enter(class) {
                turns.push(turn);
            }
            assert_eq!(turns.len(), most);
        };
        enter(Class::Catalogue, 4);
        enter(Class::Status, 8);
        enter(Class::Hold, 14);
        enter(Class::Confirm, 16);
        assert!(!load.has_room(Class::Confirm));
        turns.clear();
        assert!(load.has_room(Class::Catalogue));
    }
}
