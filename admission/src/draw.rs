//! The draw: the order in which a lobby enters, random for everybody and checked by anybody (`docs/draw.md`).
//!
//! Before the sale is announced a [`Seed`] is drawn and its commitment published. Who comes early gets a receipt with an
//! index. At opening the root of a [`Tree`] over all receipts is published, then the seed; the order is a function of seed,
//! root and, where one was named in advance, a public value that nobody could know before. All of it is pure: randomness is
//! an argument, and the long parts run in steps, so that a draw stops nothing else.

mod book;
mod published;
mod receipt;
mod shuffle;
mod tree;

use std::fmt;

use domain::SaleId;
use sha2::{Digest as _, Sha256};

pub use book::Book;
pub use domain::{Digest, NotADigest};
pub use published::{BadDraw, Check, Checked, Held, Noted, Published};
pub use receipt::leaf;
pub use shuffle::{Places, Shuffle, TooMany};
pub use tree::{BadProof, Peaks, Tree, root_from};

/// The secret that decides the order once the lobby has closed. Shown to nobody before; never printed by `Debug`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seed(pub [u8; 32]);

impl Seed {
    /// The seed of a sale's draw, out of the key under which its visitors are hashed: every process of an installation computes
    /// the same one, nobody else can, and it is there before anybody comes.
    #[must_use]
    pub fn of(visitor_key: &[u8; 32], sale: &SaleId) -> Self {
        Self(domain::id::derived(visitor_key, "the seed of the draw of ", sale))
    }

    /// What is published when the sale is created: SHA-256 of the seed's 32 bytes.
    #[must_use]
    pub fn commitment(&self) -> Digest {
        Digest(Sha256::digest(self.0).into())
    }

    /// The key of the stream that orders the lobby: SHA-256 over the seed, the root, and the bytes of the public value
    /// (none when none was named). Seed and root have fixed lengths, so no two inputs look alike.
    #[must_use]
    pub fn order_key(&self, root: &Digest, public_value: &str) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(root.0);
        hash.update(public_value.as_bytes());
        hash.finalize().into()
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

#[cfg(test)]
mod tests;
