//! All receipts of a lobby that has closed, for whoever asks for the proof of one or for the list of all.

use domain::{SaleId, VisitorHash};

use super::tree::finish;
use super::{Digest, Tree, leaf};

/// Receipts of one block: its nodes are computed anew for a proof, so that memory is little more than the receipts.
const BLOCK: usize = 1_024;

/// The receipts of a lobby, with the upper part of their tree. Memory: 16 bytes per receipt and 64 per block of them.
///
/// Blocks have a power of two of leaves, so a block's top is a node of the whole tree, and a proof is the proof within the
/// block followed by that of the block.
pub struct Book {
    sale: SaleId,
    receipts: Vec<VisitorHash>,
    blocks: Tree,
}

impl Book {
    /// The book of these receipts, in order of their indices. Hashes each twice: a second for two millions, so not on a thread that
    /// serves.
    #[must_use]
    pub fn new(sale: SaleId, receipts: Vec<VisitorHash>) -> Self {
        let mut book = Self { sale, receipts, blocks: Tree::default() };
        for block in 0..book.receipts.len().div_ceil(BLOCK) {
            let top = book.block(block).top();
            book.blocks.push(top);
        }
        book
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.receipts.len() as u64
    }

    /// The root over all of them.
    #[must_use]
    pub fn root(&self) -> Digest {
        finish(self.count(), &self.blocks.top())
    }

    /// The hashes from the receipt `index` up to the root, as [`Tree::proof`]. `None`: there is no such receipt.
    #[must_use]
    pub fn proof(&self, index: u64) -> Option<Vec<Digest>> {
        let index = usize::try_from(index).ok().filter(|index| *index < self.receipts.len())?;
        let mut proof = self.block(index / BLOCK).proof((index % BLOCK) as u64)?;
        proof.extend(self.blocks.proof((index / BLOCK) as u64)?);
        Some(proof)
    }

    /// Up to `most` leaves from the index `from` on.
    #[must_use]
    pub fn leaves(&self, from: u64, most: usize) -> Vec<Digest> {
        let from = usize::try_from(from).unwrap_or(usize::MAX).min(self.receipts.len());
        (from..self.receipts.len()).take(most).filter_map(|index| self.leaf(index)).collect()
    }

    fn leaf(&self, index: usize) -> Option<Digest> {
        Some(leaf(&self.sale, u32::try_from(index).ok()?, self.receipts.get(index)?))
    }

    fn block(&self, block: usize) -> Tree {
        let mut tree = Tree::default();
        let from = block * BLOCK;
        (from..self.receipts.len().min(from + BLOCK))
            .filter_map(|index| self.leaf(index))
            .for_each(|leaf| tree.push(leaf));
        tree
    }
}
