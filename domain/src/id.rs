//! Names and derived ids.
//!
//! A [`HoldId`] is derived from who asks for what under which key, so a retry computes the same id and lands on the same
//! record without any table of keys (docs/ARCHITECTURE.md, "Ids").

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::limits::{MAX_LANES, MAX_NAME_BYTES};
use crate::lines::Lines;

/// Text that is not what the type asks for. The message says what would be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadId(pub &'static str);

const NAME_RULE: &str = "1 to 63 characters of a-z, 0-9 and '-', not starting or ending with '-'";

fn check_name(text: &str) -> Result<Arc<str>, BadId> {
    let ok = !text.is_empty()
        && text.len() <= MAX_NAME_BYTES
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-');
    if ok { Ok(Arc::from(text)) } else { Err(BadId(NAME_RULE)) }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        /// Equal, ordered and hashed like its text, so maps can be asked with text that was never checked.
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                check_name(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

name!(
    /// A sale's id: part of keys, logs and URLs. 1 to 63 characters of `a-z`, `0-9`, `-`.
    SaleId
);
name!(
    /// An item's id inside its sale. Same alphabet as [`SaleId`].
    ItemId
);

/// Who stands in line: 16 random bytes that only the visitor's signed cookie carries. Never stored or logged; see [`VisitorHash`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct VisitorId(pub [u8; 16]);

impl fmt::Debug for VisitorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VisitorId(..)")
    }
}

/// A visitor as stores and logs know them: HMAC-SHA256 of the visitor under the sale's own key, cut to 16 bytes.
/// Deleting that key anonymises an append-only log. Written as 22 characters of base64url.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VisitorHash(pub [u8; 16]);

impl VisitorHash {
    /// The hash of `visitor` in the sale whose key this is.
    #[must_use]
    pub fn derive(sale_key: &[u8; 32], visitor: &VisitorId) -> Self {
        let mut mac = keyed(sale_key);
        mac.update(&visitor.0);
        Self(first_bytes(&mac.finalize().into_bytes()))
    }

    /// The lane of this visitor in a sale of `lanes` lanes: a pure function, so limits and retries stay local to one lane.
    #[must_use]
    pub fn lane(&self, lanes: u16) -> u16 {
        let [a, b, c, d, ..] = self.0;
        let lane = (u64::from(u32::from_be_bytes([a, b, c, d])) * u64::from(lanes.max(1))) >> 32;
        u16::try_from(lane).unwrap_or(0)
    }

    /// Stands for lane `lane` where units that leave for it are claimed as a visitor's would be (R11). No visitor's hash is
    /// ever this one: they are cut from a keyed hash, and 14 of the bytes are fixed here.
    #[must_use]
    pub fn for_lane(lane: u16) -> Self {
        let mut bytes = [0; 16];
        let (name, number) = bytes.split_at_mut(LANE_MARK.len());
        name.copy_from_slice(LANE_MARK);
        number.copy_from_slice(&lane.to_be_bytes());
        Self(bytes)
    }

    /// The lane it stands for; `None` for every visitor.
    #[must_use]
    pub fn as_lane(&self) -> Option<u16> {
        let number = self.0.strip_prefix(LANE_MARK.as_slice())?;
        Some(u16::from_be_bytes(number.try_into().ok()?))
    }
}

/// What a claim for another lane has in place of a visitor, before the lane's number.
const LANE_MARK: &[u8; 14] = b"holdfast:lane:";

impl fmt::Display for VisitorHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 22];
        match URL_SAFE_NO_PAD.encode_slice(self.0, &mut text) {
            Ok(_) => f.write_str(std::str::from_utf8(&text).unwrap_or_default()),
            Err(_) => Err(fmt::Error),
        }
    }
}

impl fmt::Debug for VisitorHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for VisitorHash {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let mut bytes = [0; 18];
        match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
            Ok(16) => Ok(Self(first_bytes(&bytes))),
            _ => Err(BadId("22 characters of base64url")),
        }
    }
}

/// What a request asked for, cut to 8 bytes: the same key with another fingerprint is another request (422 `key-reused`).
/// Written as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 8]);

impl Fingerprint {
    /// The fingerprint of a hold's lines: equal for equal lines, in whatever order the request named them.
    #[must_use]
    pub fn of(lines: &Lines) -> Self {
        let mut hash = Sha256::new();
        for (item, units) in lines.iter() {
            prefixed(&mut hash, item.as_str().as_bytes());
            hash.update(units.to_be_bytes());
        }
        Self(first_bytes(&hash.finalize()))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Fingerprint {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let bad = BadId("16 hexadecimal digits");
        if text.len() != 16 || !text.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase()) {
            return Err(bad);
        }
        u64::from_str_radix(text, 16).map(|n| Self(n.to_be_bytes())).map_err(|_| bad)
    }
}

/// The id of a hold, and of the booking it becomes: a UUIDv8 with 24 bits of the sale, 10 bits of lane, 24 bits of the visitor
/// and 64 bits over (sale, visitor, Idempotency-Key). The id alone tells where to look, and whether it can be a given visitor's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HoldId(Uuid);

impl HoldId {
    /// The id that this visitor's request under this key has, computed the same way by every process and every retry.
    #[must_use]
    pub fn derive(sale: &SaleId, lane: u16, visitor: &VisitorHash, key: &str) -> Self {
        let mut hash = Sha256::new();
        prefixed(&mut hash, sale.as_str().as_bytes());
        prefixed(&mut hash, &visitor.0);
        prefixed(&mut hash, key.as_bytes());
        let key_bits = u64::from_be_bytes(first_bytes(&hash.finalize()));
        let free = u128::from(sale_tag(sale)) << 98
            | u128::from(lane & (MAX_LANES - 1)) << 88
            | u128::from(visitor_tag(visitor)) << 64
            | u128::from(key_bits);
        // 122 free bits around the version (4 bits at 76) and the variant (2 bits at 62) of RFC 9562.
        let high = free >> 74 << 80;
        let middle = (free >> 62 & 0xfff) << 64;
        let low = free & 0x3fff_ffff_ffff_ffff;
        Self(Uuid::from_u128(high | 0x8 << 76 | middle | 0b10 << 62 | low))
    }

    fn free_bits(self) -> u128 {
        let bits = self.0.as_u128();
        bits >> 80 << 74 | (bits >> 64 & 0xfff) << 62 | bits & 0x3fff_ffff_ffff_ffff
    }

    /// 24 bits of SHA-256 over the sale id; compare with [`sale_tag`].
    #[must_use]
    pub fn sale_tag(self) -> u32 {
        (self.free_bits() >> 98) as u32
    }

    /// The lane whose log decides this id.
    #[must_use]
    pub fn lane(self) -> u16 {
        (self.free_bits() >> 88) as u16 & (MAX_LANES - 1)
    }

    /// Whether the id can be this visitor's: always true for its owner, true for a stranger once in 16 million.
    /// Used only where no record or event says who the owner is.
    #[must_use]
    pub fn may_belong_to(self, visitor: &VisitorHash) -> bool {
        (self.free_bits() >> 64) as u32 & 0xff_ffff == visitor_tag(visitor)
    }

    /// The 16 bytes, for stores.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// Reads the 16 bytes back.
    ///
    /// # Errors
    /// Bytes that are no UUIDv8.
    pub fn from_bytes(bytes: [u8; 16]) -> Result<Self, BadId> {
        let id = Uuid::from_bytes(bytes);
        let valid = id.get_version_num() == 8 && id.get_variant() == uuid::Variant::RFC4122;
        if valid { Ok(Self(id)) } else { Err(BadId("16 bytes of a UUIDv8")) }
    }
}

/// 24 bits of SHA-256 over the sale's id. `sale apply` refuses a sale whose tag another one has.
#[must_use]
pub fn sale_tag(sale: &SaleId) -> u32 {
    let [a, b, c]: [u8; 3] = first_bytes(&Sha256::digest(sale.as_str()));
    u32::from_be_bytes([0, a, b, c])
}

fn visitor_tag(visitor: &VisitorHash) -> u32 {
    let [a, b, c]: [u8; 3] = first_bytes(&Sha256::digest(visitor.0));
    u32::from_be_bytes([0, a, b, c])
}

impl fmt::Display for HoldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl fmt::Debug for HoldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for HoldId {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let bad = BadId("a UUIDv8 in lower case with hyphens");
        if text.len() != 36 || text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(bad);
        }
        let id = Uuid::try_parse(text).map_err(|_| bad.clone())?;
        Self::from_bytes(id.into_bytes()).map_err(|_| bad)
    }
}

macro_rules! as_text {
    ($($name:ident),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
as_text!(VisitorHash, Fingerprint, HoldId, LogId);

/// The name of a log in the ledger: `sale/{sale}`, `line/{sale}`, `lane/{sale}/{n}`, `checkout/{sale}/{n}` or `points/{n}`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId(Arc<str>);

impl LogId {
    /// A sale's definition and the operator's acts.
    #[must_use]
    pub fn sale(sale: &SaleId) -> Self {
        Self(format!("sale/{sale}").into())
    }

    /// A sale's waiting line.
    #[must_use]
    pub fn line(sale: &SaleId) -> Self {
        Self(format!("line/{sale}").into())
    }

    /// One lane of a sale.
    #[must_use]
    pub fn lane(sale: &SaleId, lane: u16) -> Self {
        Self(format!("lane/{sale}/{lane}").into())
    }

    /// The checkouts beside one lane of a sale.
    #[must_use]
    pub fn checkout(sale: &SaleId, lane: u16) -> Self {
        Self(format!("checkout/{sale}/{lane}").into())
    }

    /// The points of one part of all visitors.
    #[must_use]
    pub fn points(part: u16) -> Self {
        Self(format!("points/{part}").into())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LogId {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let bad = || BadId("sale/SALE, line/SALE, lane/SALE/NUMBER, checkout/SALE/NUMBER or points/NUMBER");
        let number = |text: &str| {
            let n: u16 = text.parse().ok()?;
            (n < MAX_LANES && n.to_string() == text).then_some(n)
        };
        let parts: Vec<&str> = text.split('/').take(4).collect();
        let sale = |sale: &str| sale.parse::<SaleId>().ok();
        let log = match parts.as_slice() {
            ["sale", name] => sale(name).map(|sale| Self::sale(&sale)),
            ["line", name] => sale(name).map(|sale| Self::line(&sale)),
            ["lane", name, n] => sale(name).zip(number(n)).map(|(sale, n)| Self::lane(&sale, n)),
            ["checkout", name, n] => sale(name).zip(number(n)).map(|(sale, n)| Self::checkout(&sale, n)),
            ["points", n] => number(n).map(Self::points),
            _ => None,
        };
        log.ok_or_else(bad)
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A secret for `purpose` in a sale, out of the key under which its visitors are hashed. No visitor has a purpose's hash: a
/// purpose is longer than a visitor's 16 bytes.
#[must_use]
pub fn derived(sale_key: &[u8; 32], purpose: &'static str, sale: &SaleId) -> [u8; 32] {
    debug_assert!(purpose.len() > 16, "longer than a visitor");
    let mut mac = keyed(sale_key);
    mac.update(purpose.as_bytes());
    mac.update(sale.as_str().as_bytes());
    first_bytes(&mac.finalize().into_bytes())
}

/// The HMAC-SHA256 state for a key of 32 bytes. RFC 2104 pads a short key with zeros to the hash's block of 64.
pub(crate) fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    let mut block = [0; 64];
    block[..32].copy_from_slice(key);
    Hmac::new(&block.into())
}

fn prefixed(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_be_bytes());
    hash.update(bytes);
}

/// The first `N` bytes; callers hand in at least that many.
pub(crate) fn first_bytes<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    for (to, from) in out.iter_mut().zip(bytes) {
        *to = *from;
    }
    out
}
