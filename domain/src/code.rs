//! Access codes: what lets a visitor into a class of a line. A code is listed in the sale's document, or signed by the installation.
//!
//! How often a code was used is decided by the line's log alone; here is only which code somebody means, and whether it is one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::id::{BadId, SaleId, first_bytes};
use crate::number::Class;

/// Characters of a listed code without its dashes: long enough not to be guessed by trying, shorter than a signed one.
const LISTED: std::ops::RangeInclusive<usize> = 8..=31;

/// A listed code: letters A to Z and digits, in upper case and without dashes. Secret as a password is: shown to operators only.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ListedCode(String);

impl ListedCode {
    /// The code as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ListedCode {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let plain = plain(text).filter(|plain| LISTED.contains(&plain.len()));
        plain.map(Self).ok_or(BadId("8 to 31 letters A to Z and digits, dashes between them as you like"))
    }
}

impl fmt::Debug for ListedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ListedCode(..)")
    }
}

/// A code without what people add to it: dashes, spaces, small letters. `None` where something is no letter and no digit.
#[must_use]
pub fn plain(text: &str) -> Option<String> {
    let kept = text.chars().filter(|c| !matches!(c, '-' | ' ')).map(|c| c.to_ascii_uppercase());
    let plain: String = kept.take(crate::limits::MAX_CODE_CHARS + 1).collect();
    let good = plain.len() <= crate::limits::MAX_CODE_CHARS && plain.chars().all(|c| c.is_ascii_alphanumeric());
    good.then_some(plain)
}

/// A code as the line's log knows it: who reads the log cannot use it. Written as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CodeHash(pub [u8; 16]);

impl CodeHash {
    /// The hash of a code of this sale, [`plain`].
    #[must_use]
    pub fn of(sale: &SaleId, plain: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"holdfast code\0");
        hash.update(sale.as_str());
        hash.update([0]);
        hash.update(plain);
        Self(first_bytes(&hash.finalize()))
    }
}

impl fmt::Display for CodeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for CodeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for CodeHash {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let bad = BadId("32 hexadecimal digits");
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase()) {
            return Err(bad);
        }
        u128::from_str_radix(text, 16).map(|n| Self(n.to_be_bytes())).map_err(|_| bad)
    }
}

impl Serialize for CodeHash {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CodeHash {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A code that was found good: which one, what it lets into, and how often it may be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Code {
    /// Which code.
    pub code: CodeHash,
    /// The class it lets into.
    pub class: Class,
    /// How many visitors may use it.
    pub uses: u32,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_code_is_the_same_however_it_is_typed() {
        assert_eq!(plain("fan-club 2027"), Some("FANCLUB2027".to_owned()));
        assert_eq!("Fan-Club-2027".parse::<ListedCode>().unwrap().as_str(), "FANCLUB2027");
        for bad in ["SHORT", "WITH_UNDERSCORE", "ÜBERLANG2027", "", "X".repeat(32).as_str()] {
            assert!(bad.parse::<ListedCode>().is_err(), "{bad}");
        }
        assert_eq!(plain(&"A".repeat(10_000)), None);
    }

    #[test]
    fn a_hash_reads_back_and_is_another_one_in_another_sale() {
        let hash = |sale: &str| CodeHash::of(&sale.parse().unwrap(), "FANCLUB2027");
        assert_ne!(hash("night"), hash("day"));
        let text = serde_json::to_string(&hash("night")).unwrap();
        assert_eq!(serde_json::from_str::<CodeHash>(&text).unwrap(), hash("night"));
        assert!(serde_json::from_str::<CodeHash>("\"FANCLUB2027\"").is_err());
        assert!(!format!("{:?}", "FANCLUB2027".parse::<ListedCode>().unwrap()).contains("FAN"), "never printed");
    }
}
