//! The lobby as the line's log tells it: who came before the sale opened, the root over them, the order in which they enter.
//!
//! Receipts are logged before anybody is told of one, so the log alone has everything that the draw needs: Redis knows nothing of
//! the lobby, and losing it costs nobody anything.

use std::collections::HashSet;
use std::sync::Arc;

use domain::limits::{MAX_LOBBY, MAX_RECEIPTS};
use domain::{Digest, LobbyEvent, SaleId, VisitorHash};

use crate::draw::{Peaks, Places, Seed, Shuffle, leaf};

/// Why an event cannot follow in this lobby.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadLobby {
    /// Nobody may come once numbers are given out, or the lobby has closed.
    #[error("a receipt was given out after the lobby had closed")]
    Late,
    /// Nobody at all, somebody for the second time, or more than there may be.
    #[error("an entry has no receipts, one visitor twice, or too many")]
    Receipts,
    /// The commitment stands in the first entry with receipts, and only there.
    #[error("the commitment is missing or given twice")]
    Commitment,
    /// Closed twice, without anybody in it, or with another count or root than that of its receipts.
    #[error("the lobby closes with other receipts than it has")]
    Closed,
    /// Drawn twice, before it has closed, or with another seed than the one that was committed to.
    #[error("the draw does not follow from commitment and receipts")]
    Drawn,
}

/// A draw that is in the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Drawn {
    /// The seed, revealed.
    pub seed: Digest,
    /// The public value, where one was named in advance.
    pub public_value: Option<String>,
}

/// The fold of a lobby.
///
/// Memory: 16 bytes per receipt, and at most 16 to find one's index; after the draw 4 more for the order.
#[derive(Clone, Debug, Default)]
pub struct Lobby {
    commitment: Option<Digest>,
    /// By index.
    receipts: Vec<VisitorHash>,
    /// Index + 1 of the visitor whose hash leads here, 0 for nobody. Twice as many as receipts, a power of two.
    slots: Vec<u32>,
    /// The root over the receipts hashed so far.
    peaks: Peaks,
    closed: Option<Digest>,
    drawn: Option<Drawn>,
    places: Option<Arc<Places>>,
}

impl Lobby {
    /// Whether this event may follow, in a line whose numbers go up to `numbers_to`. Root and seed are checked by
    /// [`Lobby::settle`]: that takes a moment in a large lobby.
    pub(crate) fn check(&self, event: &LobbyEvent, numbers_to: u64) -> Result<(), BadLobby> {
        match event {
            LobbyEvent::Came { .. } if self.closed.is_some() || numbers_to > 0 => Err(BadLobby::Late),
            LobbyEvent::Came { commitment, .. } if commitment.is_some() == self.commitment.is_some() => {
                Err(BadLobby::Commitment)
            }
            LobbyEvent::Came { receipts, .. } => {
                let all = self.receipts.len() + receipts.len();
                let sizes = (1..=MAX_RECEIPTS).contains(&receipts.len()) && all <= MAX_LOBBY as usize;
                let mut seen = HashSet::with_capacity(receipts.len());
                let new = receipts.iter().all(|visitor| seen.insert(visitor) && self.index_of(visitor).is_none());
                if sizes && new { Ok(()) } else { Err(BadLobby::Receipts) }
            }
            LobbyEvent::Closed { count, .. } => {
                let fits = self.closed.is_none() && *count == self.count() && *count > 0;
                if fits { Ok(()) } else { Err(BadLobby::Closed) }
            }
            LobbyEvent::Drawn { .. } => {
                if self.closed.is_some() && self.drawn.is_none() {
                    Ok(())
                } else {
                    Err(BadLobby::Drawn)
                }
            }
        }
    }

    /// Folds an event that [`Lobby::check`] let pass.
    pub(crate) fn apply(&mut self, event: &LobbyEvent) {
        match event {
            LobbyEvent::Came { commitment, receipts } => {
                self.commitment = self.commitment.or(*commitment);
                receipts.iter().for_each(|visitor| self.add(*visitor));
            }
            LobbyEvent::Closed { root, .. } => self.closed = Some(*root),
            LobbyEvent::Drawn { seed, public_value } => {
                self.drawn = Some(Drawn { seed: *seed, public_value: public_value.clone() });
            }
        }
    }

    fn add(&mut self, visitor: VisitorHash) {
        self.receipts.push(visitor);
        if self.receipts.len() * 2 > self.slots.len() {
            self.slots = vec![0; (self.receipts.len() * 4).next_power_of_two().max(64)];
            (0..self.receipts.len()).for_each(|index| self.put(index));
        } else {
            self.put(self.receipts.len() - 1);
        }
    }

    fn put(&mut self, index: usize) {
        let Some(visitor) = self.receipts.get(index) else { return };
        let mut at = start(visitor);
        let mask = self.slots.len() - 1;
        while let Some(slot) = self.slots.get_mut(at & mask) {
            if *slot == 0 {
                *slot = u32::try_from(index + 1).unwrap_or(u32::MAX);
                return;
            }
            at = at.wrapping_add(1);
        }
    }

    /// The index of this visitor's receipt.
    #[must_use]
    pub fn index_of(&self, visitor: &VisitorHash) -> Option<u64> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = start(visitor);
        loop {
            let index = self.slots.get(at & mask)?.checked_sub(1)?;
            if self.receipts.get(index as usize) == Some(visitor) {
                return Some(index.into());
            }
            at = at.wrapping_add(1);
        }
    }

    /// Hashes the receipts that came since, and returns the root over all of them.
    pub fn root(&mut self, sale: &SaleId) -> Digest {
        let from = usize::try_from(self.peaks.count()).unwrap_or(usize::MAX);
        for (index, visitor) in self.receipts.iter().enumerate().skip(from) {
            self.peaks.push(leaf(sale, u32::try_from(index).unwrap_or(u32::MAX), visitor));
        }
        self.peaks.root()
    }

    /// Completes a fold of the log: hashes what came, checks root and seed, computes the order. In a lobby of a million it takes a
    /// second, so not on a thread that serves.
    ///
    /// # Errors
    /// [`BadLobby`]: the log is damaged, or was written by another program.
    pub fn settle(&mut self, sale: &SaleId) -> Result<(), BadLobby> {
        let root = self.root(sale);
        if self.closed.is_some_and(|closed| closed != root) {
            return Err(BadLobby::Closed);
        }
        let Some(drawn) = &self.drawn else { return Ok(()) };
        let seed = Seed(drawn.seed.0);
        if self.commitment != Some(seed.commitment()) {
            return Err(BadLobby::Drawn);
        }
        let order = Order { seed, root, count: self.count(), public_value: drawn.public_value.clone() };
        self.places = Some(Arc::new(order.draw()));
        Ok(())
    }

    /// Says which order the draw that is in the log leads to.
    pub(crate) fn set_places(&mut self, places: Arc<Places>) {
        self.places = Some(places);
    }

    /// What the order follows from, once the lobby has closed.
    #[must_use]
    pub fn order(&self, seed: Seed, public_value: Option<String>) -> Option<Order> {
        Some(Order { seed, root: self.closed?, count: self.count(), public_value })
    }

    /// The number that the draw gave to the receipt of this index.
    #[must_use]
    pub fn number_of(&self, index: u64) -> Option<u64> {
        self.places.as_ref()?.of(index).map(u64::from)
    }

    /// Whether visitors may come, in a line whose numbers go up to `numbers_to`.
    #[must_use]
    pub const fn is_open(&self, numbers_to: u64) -> bool {
        self.closed.is_none() && numbers_to == 0
    }

    /// Whether nobody waits for a draw: it is over, or nobody came.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.receipts.is_empty() || self.drawn.is_some() && self.places.is_some()
    }

    /// Receipts.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.receipts.len() as u64
    }

    /// All receipts, by index.
    #[must_use]
    pub fn receipts(&self) -> &[VisitorHash] {
        &self.receipts
    }

    /// What the seed hashes to; `None` before anybody came.
    #[must_use]
    pub const fn commitment(&self) -> Option<&Digest> {
        self.commitment.as_ref()
    }

    /// The root, once it has closed.
    #[must_use]
    pub const fn closed(&self) -> Option<&Digest> {
        self.closed.as_ref()
    }

    /// The draw, once it is in the log.
    #[must_use]
    pub const fn drawn(&self) -> Option<&Drawn> {
        self.drawn.as_ref()
    }

    /// Bytes of memory it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.receipts.capacity() * size_of::<VisitorHash>()
            + self.slots.capacity() * size_of::<u32>()
            + self.places.as_ref().map_or(0, |places| places.bytes())
    }
}

/// Everything that an order follows from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// The seed.
    pub seed: Seed,
    /// Root over the receipts.
    pub root: Digest,
    /// How many.
    pub count: u64,
    /// The public value, where one was named in advance.
    pub public_value: Option<String>,
}

impl Order {
    /// Draws. A million takes some 20 ms.
    #[must_use]
    pub fn draw(&self) -> Places {
        let key = self.seed.order_key(&self.root, self.public_value.as_deref().unwrap_or_default());
        // A lobby is never larger than a draw may be: the fold refuses it.
        Shuffle::new(key, self.count).map(Shuffle::finish).unwrap_or_default()
    }
}

/// Where to begin looking for a visitor. The hash is a keyed one: its bytes are as good as random.
fn start(visitor: &VisitorHash) -> usize {
    let [a, b, c, d, ..] = visitor.0;
    u32::from_le_bytes([a, b, c, d]) as usize
}

#[cfg(test)]
mod tests;
