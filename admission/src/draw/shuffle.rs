//! The order itself: a Fisher-Yates shuffle from a ChaCha20 stream, in steps.

use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng as _, SeedableRng as _};
use domain::limits::MAX_LOBBY;

/// Exchanges of one step where nobody says how many.
const EXCHANGES_PER_STEP: u32 = 50_000;

/// A lobby beyond [`MAX_LOBBY`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a lobby of {0} is larger than the {MAX_LOBBY} that a draw is made for")]
pub struct TooMany(pub u64);

/// A shuffle on its way. Run [`Shuffle::step`] until it says that nothing is left; whoever runs it can do other things in
/// between, and the order is the same however it was cut.
///
/// `places[i]` begins as `i + 1`. For `i` from `count - 1` down to 1 it is exchanged with `places[j]`, `j` uniform in
/// `0..=i`. Memory: 4 bytes per visitor.
pub struct Shuffle {
    places: Vec<u32>,
    words: ChaCha20Rng,
    /// Indices from here on have their place.
    left: u32,
}

impl Shuffle {
    /// A shuffle of `count` visitors under the key of the order.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn new(key: [u8; 32], count: u64) -> Result<Self, TooMany> {
        let count = u32::try_from(count).ok().filter(|count| *count <= MAX_LOBBY).ok_or(TooMany(count))?;
        Ok(Self { places: (1..=count).collect(), words: ChaCha20Rng::from_seed(key), left: count })
    }

    /// Makes up to `most` exchanges. True while some are left.
    pub fn step(&mut self, most: u32) -> bool {
        for _ in 0..most {
            if self.left <= 1 {
                return false;
            }
            let last = self.left - 1;
            let other = uniform(&mut self.words, self.left);
            self.places.swap(last as usize, other as usize);
            self.left = last;
        }
        self.left > 1
    }

    /// Makes the exchanges that are left, and gives everybody's place.
    #[must_use]
    pub fn finish(mut self) -> Places {
        while self.step(EXCHANGES_PER_STEP) {}
        Places(self.places)
    }
}

/// A number below `bound`, each as likely as any other: the next 32-bit word of the stream that is below the largest
/// multiple of `bound` within 2^32, modulo `bound`. Words at or above it are skipped; fewer than half of all are.
fn uniform(words: &mut ChaCha20Rng, bound: u32) -> u32 {
    let range = 1_u64 << 32;
    let fair = range - range % u64::from(bound);
    loop {
        let word = words.next_u32();
        if u64::from(word) < fair {
            return word % bound;
        }
    }
}

/// Everybody's place after the draw.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Places(Vec<u32>);

impl Places {
    /// The place of the receipt `index`, from 1 on; `None`: the lobby had no such receipt.
    #[must_use]
    pub fn of(&self, index: u64) -> Option<u32> {
        self.0.get(usize::try_from(index).ok()?).copied()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len() as u64
    }

    /// All places, by index.
    #[must_use]
    pub fn as_slice(&self) -> &[u32] {
        &self.0
    }

    /// Bytes of memory it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<u32>()
    }
}
