//! A receipt's canonical leaf: what of a receipt the root stands for.

use domain::{SaleId, VisitorHash};
use sha2::{Digest as _, Sha256};

use super::Digest;

/// First byte of a leaf: no leaf can be taken for an inner node or a root.
const LEAF: u8 = 0x00;

/// The leaf of the receipt `index`: SHA-256 over `0x00`, the length of the sale's id (1 byte), the id, the index (4 bytes,
/// big endian) and the visitor's hash (16 bytes).
///
/// Signature and expiry are left out: a receipt that is signed anew under another key is the same receipt. The visitor's
/// hash is a keyed one that only its visitor and the server know, so a leaf tells nobody else who it is.
#[must_use]
pub fn leaf(sale: &SaleId, index: u32, visitor: &VisitorHash) -> Digest {
    const { assert!(domain::limits::MAX_NAME_BYTES <= u8::MAX as usize, "an id's length is one byte") };
    let name = sale.as_str().as_bytes();
    let mut hash = Sha256::new();
    hash.update([LEAF, u8::try_from(name.len()).unwrap_or(u8::MAX)]);
    hash.update(name);
    hash.update(index.to_be_bytes());
    hash.update(visitor.0);
    Digest(hash.finalize().into())
}
