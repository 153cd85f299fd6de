//! What is published of a draw, what a visitor has, and whether the two agree.

use domain::limits::MAX_PUBLIC_VALUE_BYTES;
use domain::{Receipt, SaleId, TokenError};
use serde::{Deserialize, Serialize};

use super::{BadProof, Digest, Seed, Shuffle, TooMany, leaf, root_from};

/// The version of [`Published`] that this program reads and writes.
const VERSION: u32 = 1;

/// A draw as everybody gets it, once the seed is revealed. Commitment and the name of the public value stand since the
/// sale was created, count and root since the lobby closed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// 1.
    pub version: u32,
    /// Whose draw.
    pub sale: SaleId,
    /// SHA-256 of the seed.
    pub commitment: Digest,
    /// Which public value was named in advance, in words; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_value_named: Option<String>,
    /// Receipts in the lobby.
    pub count: u64,
    /// Root of the tree over them.
    pub root: Digest,
    /// The public value as text, once it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_value: Option<String>,
    /// The seed, revealed.
    pub seed: Digest,
}

/// What a visitor has: the receipt, the proof that it was drawn, and the number that the line gave for it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// The receipt's token, as it was given before the opening.
    pub receipt: String,
    /// The other node of each pair from the receipt's leaf up to the root.
    pub proof: Vec<Digest>,
    /// The number of the visitor's ticket, to compare; absent: it is only computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
}

/// What a careful visitor noted down when it was published, so that it cannot have been exchanged since.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Noted {
    /// The commitment.
    pub commitment: Option<Digest>,
    /// The root.
    pub root: Option<Digest>,
}

/// One check and how it ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Check {
    /// What was checked, one word for tools.
    pub check: &'static str,
    /// Whether it holds.
    pub ok: bool,
    /// What was found, for people.
    pub found: String,
}

/// What checking came to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Checked {
    /// The receipt's index.
    pub index: u64,
    /// How many were drawn.
    pub count: u64,
    /// The place that the draw gives to the receipt, from 1 on.
    pub place: u32,
    /// Every check.
    pub checks: Vec<Check>,
}

impl Checked {
    /// Whether all of them hold.
    #[must_use]
    pub fn ok(&self) -> bool {
        self.checks.iter().all(|check| check.ok)
    }
}

/// Files that cannot be checked at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadDraw {
    /// Written by another program.
    #[error("the draw has version {0}; this program knows version {VERSION}")]
    Version(u32),
    /// More than a lobby may have.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// A public value of no length, or too long.
    #[error("public_value must have 1 to {MAX_PUBLIC_VALUE_BYTES} bytes")]
    PublicValue,
    /// The receipt is none, or of another sale.
    #[error("the receipt is {0}")]
    Receipt(TokenError),
    /// The receipt's index is not in the lobby.
    #[error("the receipt has index {index}, but the draw says that there are {count} receipts, from 0 on")]
    NotInLobby {
        /// The index.
        index: u64,
        /// Receipts by the draw.
        count: u64,
    },
}

impl Published {
    /// Checks the draw and a visitor's place in it. A lobby of a million takes some 20 ms.
    ///
    /// # Errors
    /// [`BadDraw`]: there is nothing to check. A check that fails is no error, it is in the answer.
    pub fn check(&self, held: &Held, noted: &Noted) -> Result<Checked, BadDraw> {
        if self.version != VERSION {
            return Err(BadDraw::Version(self.version));
        }
        if self.public_value.as_ref().is_some_and(|value| !(1..=MAX_PUBLIC_VALUE_BYTES).contains(&value.len())) {
            return Err(BadDraw::PublicValue);
        }
        let receipt = Receipt::read(&held.receipt, &self.sale).map_err(BadDraw::Receipt)?;
        let outside = BadDraw::NotInLobby { index: receipt.index, count: self.count };
        let seed = Seed(self.seed.0);
        let key = seed.order_key(&self.root, self.public_value.as_deref().unwrap_or_default());
        let shuffle = Shuffle::new(key, self.count)?;
        if receipt.index >= self.count {
            return Err(outside);
        }
        let place = shuffle.finish().of(receipt.index).ok_or(outside)?;
        let mut checks =
            vec![self.check_commitment(&seed), self.check_public_value(), self.check_receipt(&receipt, held)];
        checks.extend(noted.commitment.map(|noted| same("noted_commitment", "commitment", &noted, &self.commitment)));
        checks.extend(noted.root.map(|noted| same("noted_root", "root", &noted, &self.root)));
        checks.extend(held.number.map(|number| check_number(number, place)));
        Ok(Checked { index: receipt.index, count: self.count, place, checks })
    }

    fn check_commitment(&self, seed: &Seed) -> Check {
        let commitment = seed.commitment();
        let ok = commitment == self.commitment;
        let found = if ok {
            format!("the seed is the one that was committed to: {commitment}")
        } else {
            format!("the seed hashes to {commitment}, the commitment is {}", self.commitment)
        };
        Check { check: "commitment", ok, found }
    }

    fn check_public_value(&self) -> Check {
        let (ok, found) = match (&self.public_value_named, &self.public_value) {
            (None, None) => (true, "none was named in advance and none is used".to_owned()),
            (Some(name), Some(value)) => (true, format!("{name:?} was named in advance; compare its value: {value}")),
            (Some(name), None) => (false, format!("{name:?} was named in advance, but its value is missing")),
            (None, Some(value)) => (false, format!("{value:?} is used, but none was named in advance")),
        };
        Check { check: "public_value", ok, found }
    }

    fn check_receipt(&self, receipt: &Receipt, held: &Held) -> Check {
        let index = u32::try_from(receipt.index).unwrap_or(u32::MAX);
        let leaf = leaf(&self.sale, index, &receipt.visitor);
        let (ok, found) = match root_from(&leaf, receipt.index, self.count, &held.proof) {
            Ok(root) if root == self.root => (true, format!("receipt {index} is under the root {root}")),
            Ok(root) => (false, format!("receipt {index} and its proof lead to {root}, the root is {}", self.root)),
            Err(error @ (BadProof::NoSuchLeaf { .. } | BadProof::Length { .. })) => {
                (false, format!("the proof of receipt {index} {error}"))
            }
        };
        Check { check: "receipt", ok, found }
    }
}

fn same(check: &'static str, what: &str, noted: &Digest, published: &Digest) -> Check {
    let ok = noted == published;
    let found = if ok {
        format!("the {what} is the one noted down")
    } else {
        format!("the {what} noted down is {noted}, the draw says {published}")
    };
    Check { check, ok, found }
}

fn check_number(number: u64, place: u32) -> Check {
    let ok = number == u64::from(place);
    let found = if ok {
        format!("the ticket's number is the place drawn: {number}")
    } else {
        format!("the ticket's number is {number}, the place drawn is {place}")
    };
    Check { check: "number", ok, found }
}
