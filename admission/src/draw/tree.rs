//! A Merkle tree over the leaves of a lobby: one root for all, a short proof for each.

use sha2::{Digest as _, Sha256};

use super::Digest;

/// First byte of an inner node.
const NODE: u8 = 0x01;
/// First byte of the root.
const ROOT: u8 = 0x02;

/// The tree, built leaf by leaf: each costs a hash of its own and one inner node on average, so a caller can stop and go on
/// after any of them.
///
/// A level's nodes are paired from the left; an odd last one goes up as it is (the shape of RFC 6962). The root is
/// SHA-256 over `0x02`, the number of leaves (8 bytes, big endian) and the top node: a root stands for one count only. The
/// top of no leaves is 32 zero bytes.
///
/// Memory: 64 bytes per leaf.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// Whole pairs only: `levels[0]` has every leaf, `levels[n + 1]` a node per pair of `levels[n]`.
    levels: Vec<Vec<Digest>>,
}

/// A proof that cannot be one for this place in this count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadProof {
    /// No leaf has this index.
    #[error("index {index} is not below the count {count}")]
    NoSuchLeaf {
        /// The index.
        index: u64,
        /// How many leaves there are.
        count: u64,
    },
    /// Too few or too many hashes.
    #[error("has {found} hashes where {expected} belong")]
    Length {
        /// How many the place needs.
        expected: usize,
        /// How many there are.
        found: usize,
    },
}

impl Tree {
    /// Adds the leaf of the next index.
    pub fn push(&mut self, leaf: Digest) {
        let mut node = leaf;
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let Some(nodes) = self.levels.get_mut(level) else { return };
            nodes.push(node);
            match nodes.as_slice() {
                [.., left, right] if nodes.len().is_multiple_of(2) => node = inner(left, right),
                _ => return,
            }
        }
    }

    /// Leaves so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.levels.first().map_or(0, Vec::len) as u64
    }

    /// The root over all leaves.
    #[must_use]
    pub fn root(&self) -> Digest {
        finish(self.count(), &self.top())
    }

    /// The node above all leaves; 32 zero bytes where there are none.
    pub(super) fn top(&self) -> Digest {
        self.right_edge().last().copied().flatten().unwrap_or(Digest([0; 32]))
    }

    /// The hashes from the leaf `index` up to the root: the other one of each pair on the way. `None`: there is no such leaf.
    #[must_use]
    pub fn proof(&self, index: u64) -> Option<Vec<Digest>> {
        if index >= self.count() {
            return None;
        }
        let edge = self.right_edge();
        let (mut at, mut width, mut proof) = (index, self.count(), Vec::new());
        for level in 0.. {
            if width == 1 {
                return Some(proof);
            }
            let other = at ^ 1;
            if other < width {
                let whole = self.levels.get(level).and_then(|nodes| nodes.get(usize::try_from(other).ok()?));
                proof.push(*whole.or(edge.get(level)?.as_ref())?);
            }
            (at, width) = (at / 2, width.div_ceil(2));
        }
        None
    }

    /// The last node of each level, up to the top: where the count is no power of two it may have fewer leaves below it
    /// than the others, and stands in no level.
    fn right_edge(&self) -> Vec<Option<Digest>> {
        let (mut width, mut carried, mut edge) = (self.count(), None, Vec::new());
        for level in 0.. {
            let nodes = self.levels.get(level).map_or(&[][..], Vec::as_slice);
            let last = carried.or(nodes.last().copied());
            edge.push(last);
            if width <= 1 {
                break;
            }
            carried = match (width.is_multiple_of(2), carried, nodes.last()) {
                (true, Some(right), Some(left)) => Some(inner(left, &right)),
                (true, ..) => None,
                (false, ..) => last,
            };
            width = width.div_ceil(2);
        }
        edge
    }
}

/// The same root without the tree: one node per power of two. For whoever needs the root and no proofs.
#[derive(Clone, Debug, Default)]
pub struct Peaks {
    /// The finished tree of 2^level leaves at each level, where the count has that bit.
    levels: Vec<Option<Digest>>,
    count: u64,
}

impl Peaks {
    /// Adds the leaf of the next index.
    pub fn push(&mut self, leaf: Digest) {
        self.count += 1;
        let mut node = leaf;
        for level in &mut self.levels {
            match level.take() {
                Some(left) => node = inner(&left, &node),
                None => {
                    *level = Some(node);
                    return;
                }
            }
        }
        self.levels.push(Some(node));
    }

    /// Leaves so far.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The root over all leaves.
    #[must_use]
    pub fn root(&self) -> Digest {
        let mut top = None;
        for peak in self.levels.iter().flatten() {
            top = Some(top.map_or(*peak, |right| inner(peak, &right)));
        }
        finish(self.count, &top.unwrap_or(Digest([0; 32])))
    }
}

/// The root that a leaf at `index` of `count` and its proof lead to. Whether it is the published one is for the caller to see.
///
/// # Errors
/// [`BadProof`]: the proof does not fit the place.
pub fn root_from(leaf: &Digest, index: u64, count: u64, proof: &[Digest]) -> Result<Digest, BadProof> {
    if index >= count {
        return Err(BadProof::NoSuchLeaf { index, count });
    }
    let length = BadProof::Length { expected: proof_length(index, count), found: proof.len() };
    let (mut node, mut at, mut width, mut others) = (*leaf, index, count, proof.iter());
    while width > 1 {
        if at ^ 1 < width {
            let other = others.next().ok_or(length)?;
            node = if at.is_multiple_of(2) { inner(&node, other) } else { inner(other, &node) };
        }
        (at, width) = (at / 2, width.div_ceil(2));
    }
    if others.next().is_some() { Err(length) } else { Ok(finish(count, &node)) }
}

fn proof_length(index: u64, count: u64) -> usize {
    let (mut at, mut width, mut length) = (index, count, 0);
    while width > 1 {
        length += usize::from(at ^ 1 < width);
        (at, width) = (at / 2, width.div_ceil(2));
    }
    length
}

fn inner(left: &Digest, right: &Digest) -> Digest {
    let mut bytes = [NODE; 65];
    bytes[1..33].copy_from_slice(&left.0);
    bytes[33..].copy_from_slice(&right.0);
    Digest(Sha256::digest(bytes).into())
}

pub(super) fn finish(count: u64, top: &Digest) -> Digest {
    let mut hash = Sha256::new();
    hash.update([ROOT]);
    hash.update(count.to_be_bytes());
    hash.update(top.0);
    Digest(hash.finalize().into())
}
