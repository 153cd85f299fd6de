//! The keys under which visitors are hashed, one per sale, out of one secret that all processes share.
//!
//! Every process computes a sale's key by itself, so none has to be told of a new sale, and two cannot disagree. And yet one
//! sale's key can be destroyed for good while the others stay: the secret is the root of a binary tree of seeds, each seed makes
//! its two children by HMAC, and a sale's key is the leaf at its tag. To forget a sale, the seeds above its leaf are replaced by
//! the seeds beside its path: from those every other leaf can still be computed, and this one cannot (HMAC has no way up).

use hmac::Mac as _;

use crate::SaleId;
use crate::id::{first_bytes, keyed, sale_tag};

/// Bits of a sale's tag: the depth of the tree.
const DEPTH: u8 = 24;

/// The seed of a part of the tree: of all sales whose tag begins with `bits`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Branch {
    bits: u32,
    len: u8,
    seed: [u8; 32],
}

impl std::fmt::Debug for Branch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Branch({:?}, ..)", self.path())
    }
}

impl Branch {
    /// The whole tree.
    #[must_use]
    pub const fn root(seed: [u8; 32]) -> Self {
        Self { bits: 0, len: 0, seed }
    }

    /// A part of the tree by its path, at most 24 digits of 0 and 1; empty: the root.
    #[must_use]
    pub fn at(path: &str, seed: [u8; 32]) -> Option<Self> {
        let len = u8::try_from(path.len()).ok().filter(|len| *len <= DEPTH)?;
        let bits = if path.is_empty() { 0 } else { u32::from_str_radix(path, 2).ok()? };
        path.bytes().all(|digit| matches!(digit, b'0' | b'1')).then_some(Self { bits, len, seed })
    }

    /// The path that [`Branch::at`] reads.
    #[must_use]
    pub fn path(&self) -> String {
        (0..self.len).rev().map(|n| if self.bits >> n & 1 == 1 { '1' } else { '0' }).collect()
    }

    /// The seed.
    #[must_use]
    pub const fn seed(&self) -> &[u8; 32] {
        &self.seed
    }

    /// Whether it is of this sale, and of others.
    #[must_use]
    pub fn covers(&self, sale: &SaleId) -> bool {
        self.len == 0 || sale_tag(sale) >> (DEPTH - self.len) == self.bits
    }

    fn child(&self, bit: u32) -> Self {
        let mut mac = keyed(&self.seed);
        mac.update(if bit == 0 { b"visitor key 0" } else { b"visitor key 1" });
        Self { bits: self.bits << 1 | bit, len: self.len + 1, seed: first_bytes(&mac.finalize().into_bytes()) }
    }

    /// The key of a sale that this branch covers; `None` for another one.
    #[must_use]
    pub fn key(&self, sale: &SaleId) -> Option<[u8; 32]> {
        if !self.covers(sale) {
            return None;
        }
        let (mut seed, tag) = (*self, sale_tag(sale));
        while seed.len < DEPTH {
            seed = seed.child(tag >> (DEPTH - seed.len - 1) & 1);
        }
        let mut mac = keyed(&seed.seed);
        mac.update(sale.as_str().as_bytes());
        Some(first_bytes(&mac.finalize().into_bytes()))
    }

    /// What has to be kept instead of this branch so that the sale's key can never be computed again, and every other one can.
    /// Nothing is left of a branch that is the sale's own leaf.
    #[must_use]
    pub fn without(&self, sale: &SaleId) -> Vec<Self> {
        if !self.covers(sale) {
            return vec![*self];
        }
        let (mut seed, tag, mut kept) = (*self, sale_tag(sale), Vec::new());
        while seed.len < DEPTH {
            let bit = tag >> (DEPTH - seed.len - 1) & 1;
            kept.push(seed.child(1 - bit));
            seed = seed.child(bit);
        }
        kept
    }
}

/// The key of the sale out of these branches; `None`: it was forgotten.
#[must_use]
pub fn key_of(branches: &[Branch], sale: &SaleId) -> Option<[u8; 32]> {
    branches.iter().find_map(|branch| branch.key(sale))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn sale(n: u32) -> SaleId {
        format!("night-{n}").parse().unwrap()
    }

    #[test]
    fn every_sale_has_a_key_of_its_own_and_every_process_the_same() {
        let keys: std::collections::BTreeSet<_> =
            (0..200).map(|n| Branch::root([7; 32]).key(&sale(n)).unwrap()).collect();
        assert_eq!(keys.len(), 200);
        assert!(keys.contains(&Branch::root([7; 32]).key(&sale(3)).unwrap()));
        assert!(!keys.contains(&Branch::root([8; 32]).key(&sale(3)).unwrap()));
    }

    #[test]
    fn a_forgotten_sale_has_no_key_any_more_and_every_other_one_keeps_its_own() {
        let mut branches = vec![Branch::root([7; 32])];
        let before: Vec<_> = (0..50).map(|n| key_of(&branches, &sale(n))).collect();
        for n in [3, 9, 3, 31] {
            branches = branches.iter().flat_map(|branch| branch.without(&sale(n))).collect();
        }
        assert!(branches.len() <= 3 * usize::from(DEPTH));
        for n in 0..50 {
            let now = key_of(&branches, &sale(n));
            assert_eq!(now, if [3, 9, 31].contains(&n) { None } else { before[n as usize] }, "sale {n}");
        }
    }

    #[test]
    fn what_is_kept_has_none_of_the_seeds_above_the_forgotten_leaf() {
        let (root, gone) = (Branch::root([7; 32]), sale(1));
        let kept = root.without(&gone);
        assert!(kept.iter().all(|branch| !branch.covers(&gone)));
        let covered: f64 = kept.iter().map(|branch| 0.5f64.powi(i32::from(branch.len))).sum();
        assert!((covered - (1.0 - 0.5f64.powi(24))).abs() < 1e-12, "everything but one leaf: {covered}");
    }

    #[test]
    fn a_branch_is_read_back_from_its_path() {
        for path in ["", "0", "1011", &"01".repeat(12)] {
            assert_eq!(Branch::at(path, [1; 32]).unwrap().path(), path);
        }
        for wrong in ["2", "+1", &"0".repeat(25)] {
            assert_eq!(Branch::at(wrong, [1; 32]), None);
        }
    }
}
