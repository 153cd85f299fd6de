//! Signed tokens: who somebody is, which place in line they have, and the right to book.
//!
//! A token is HMAC-SHA256 over a fixed layout, in base64url without padding. There is exactly one text per content:
//! padding, other alphabets and stray bits are refused. The signature is checked before any field but the key's id is
//! looked at, in constant time, and verifying neither allocates nor waits.
//!
//! Layout, big endian: version (1), kind (1), key id (4), then
//! visitor: visitor (16), expiry (8); ticket, pass, booking mark and lobby receipt: sale (8 of SHA-256), visitor's hash (16),
//! number or index (8), expiry (8), and in a pass when it was given (8; absent in passes of an earlier version);
//! then 16 bytes of the HMAC over all before.

mod code;
mod lobby;
mod proof;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::fault::Life;
use crate::id::{SaleId, VisitorHash, VisitorId, first_bytes, keyed};
use crate::time::Millis;
pub use lobby::Receipt;
pub use proof::{Challenge, MAX_PROOF_CHARS, Proof, ProofError, ProofTerms};

const VERSION: u8 = 1;
const VISITOR: u8 = 1;
const TICKET: u8 = 2;
const PASS: u8 = 3;
const BOOKED: u8 = 4;
const LOBBY: u8 = 5;
/// Signed under this kind; its text is another one ([`code`]).
const CODE: u8 = 6;

const HEAD_BYTES: usize = 6;
const TAG_BYTES: usize = 16;
const VISITOR_BYTES: usize = HEAD_BYTES + 16 + 8;
const PLACE_BYTES: usize = HEAD_BYTES + 8 + 16 + 8 + 8;
/// Milliseconds by which the clock of the process that signed may be ahead of the one that looks.
pub const TOKEN_SKEW_MS: u64 = 60_000;
const PASS_BYTES: usize = PLACE_BYTES + 8;
/// Characters of the longest token: a pass.
pub const MAX_TOKEN_CHARS: usize = ((PASS_BYTES + TAG_BYTES) * 4).div_ceil(3);

/// Names a key; part of every token it signed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct KeyId(pub u32);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A signing key. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    /// Its name.
    pub id: KeyId,
    /// 32 random bytes.
    pub secret: [u8; 32],
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id)
    }
}

/// The keys that tokens are signed and verified with: the first signs, all verify.
#[derive(Clone)]
pub struct Keyring {
    /// HMAC states with the key already mixed in: a token costs two hash blocks instead of four.
    keys: Vec<(KeyId, Hmac<Sha256>)>,
}

/// Keys that make no ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKeyring {
    /// Nothing to sign with.
    #[error("there is no key to sign with: give at least one")]
    Empty,
    /// Two keys of one name: a token would not say which.
    #[error("key id {0} stands there twice: give every key its own id")]
    Twice(KeyId),
}

/// Why a token was refused, in the order of the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TokenError {
    /// Not a token: length, alphabet, stray bits, version or kind.
    #[error("not a token")]
    Malformed,
    /// Signed with a key this program does not have (any more).
    #[error("signed with an unknown key")]
    UnknownKey,
    /// Altered, or never signed.
    #[error("the signature does not fit")]
    BadSignature,
    /// A good token for something else.
    #[error("a token of another kind")]
    WrongKind,
    /// A good token of another sale.
    #[error("a token of another sale")]
    WrongSale,
    /// A good token of somebody else.
    #[error("a token of another visitor")]
    WrongVisitor,
    /// Was good until its expiry.
    #[error("the token has expired")]
    Expired,
    /// Good for longer than any such token is made for: this machine's clock is behind, or a key got about.
    #[error("a token of the future")]
    Future,
}

/// Refuses what is good for longer than `lives_ms` from now, with room for clocks that differ.
///
/// # Errors
/// [`TokenError::Future`].
pub fn of_our_time(expires: Millis, now: Millis, lives_ms: u64) -> Result<(), TokenError> {
    let most = now.plus(lives_ms).plus(TOKEN_SKEW_MS);
    if expires > most { Err(TokenError::Future) } else { Ok(()) }
}

/// A verified visitor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Visitor {
    /// Who it is.
    pub visitor: VisitorId,
    /// First moment at which the token is no longer good.
    pub expires: Millis,
}

/// A verified ticket: a place in the line of the sale it was verified for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ticket {
    /// Whose place it is.
    pub visitor: VisitorHash,
    /// The place.
    pub number: u64,
    /// First moment at which the token is no longer good.
    pub expires: Millis,
}

/// A verified pass: the right to book in the sale it was verified for, until it expires.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pass {
    /// Whose right it is.
    pub visitor: VisitorHash,
    /// The ticket it was given for; identifies the pass.
    pub number: u64,
    /// When it was given, and the first moment at which it no longer lets anybody book, unless faults extend it
    /// ([`crate::fault`]).
    pub life: Life,
}

/// A verified booking mark: the ticket's visitor has booked in the sale it was verified for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Booked {
    /// Who has booked.
    pub visitor: VisitorHash,
    /// The ticket whose pass it was booked with.
    pub number: u64,
    /// First moment at which the token is no longer good.
    pub expires: Millis,
}

impl Keyring {
    /// A ring whose first key signs.
    ///
    /// # Errors
    /// No key, or two of one id.
    #[allow(clippy::needless_pass_by_value, reason = "the secrets move in and are not left lying about")]
    pub fn new(keys: Vec<Key>) -> Result<Self, BadKeyring> {
        if keys.is_empty() {
            return Err(BadKeyring::Empty);
        }
        for (n, key) in keys.iter().enumerate() {
            if keys.iter().take(n).any(|earlier| earlier.id == key.id) {
                return Err(BadKeyring::Twice(key.id));
            }
        }
        Ok(Self { keys: keys.iter().map(|key| (key.id, keyed(&key.secret))).collect() })
    }

    /// The keys by name, the signing one first.
    pub fn key_ids(&self) -> impl Iterator<Item = KeyId> {
        self.keys.iter().map(|(id, _)| *id)
    }

    /// A visitor's token (cookie `hf_visitor`, header `Holdfast-Visitor`).
    #[must_use]
    pub fn sign_visitor(&self, visitor: &VisitorId, expires: Millis) -> String {
        let mut body = [0; VISITOR_BYTES];
        let mut at = Writer::new(&mut body, VISITOR);
        at.put(&visitor.0).put(&expires.0.to_be_bytes());
        self.seal(&mut body)
    }

    /// A ticket's token (header `Holdfast-Ticket`).
    #[must_use]
    pub fn sign_ticket(&self, sale: &SaleId, visitor: &VisitorHash, number: u64, expires: Millis) -> String {
        self.sign_place(TICKET, sale, visitor, number, expires)
    }

    /// A pass's token (header `Holdfast-Pass`).
    #[must_use]
    pub fn sign_pass(&self, sale: &SaleId, visitor: &VisitorHash, number: u64, life: Life) -> String {
        let mut body = [0; PASS_BYTES];
        let mut at = Writer::new(&mut body, PASS);
        at.put(&sale_bytes(sale)).put(&visitor.0).put(&number.to_be_bytes());
        at.put(&life.expires.0.to_be_bytes()).put(&life.given.0.to_be_bytes());
        self.seal(&mut body)
    }

    /// A booking mark's token (header `Holdfast-Booked`).
    #[must_use]
    pub fn sign_booked(&self, sale: &SaleId, visitor: &VisitorHash, number: u64, expires: Millis) -> String {
        self.sign_place(BOOKED, sale, visitor, number, expires)
    }

    /// Who this token says somebody is.
    ///
    /// # Errors
    /// [`TokenError`], in the order of its variants.
    pub fn verify_visitor(&self, text: &str, now: Millis) -> Result<Visitor, TokenError> {
        let token = self.open(text, VISITOR)?;
        let visitor = VisitorId(token.field(0));
        let expires = Millis(u64::from_be_bytes(token.field(16)));
        if now >= expires { Err(TokenError::Expired) } else { Ok(Visitor { visitor, expires }) }
    }

    /// The place in this sale's line that this token gives to this visitor.
    ///
    /// # Errors
    /// [`TokenError`], in the order of its variants.
    pub fn verify_ticket(
        &self,
        text: &str,
        sale: &SaleId,
        visitor: &VisitorHash,
        now: Millis,
    ) -> Result<Ticket, TokenError> {
        let (number, expires) = self.open_place(TICKET, text, sale, visitor)?;
        if now >= expires { Err(TokenError::Expired) } else { Ok(Ticket { visitor: *visitor, number, expires }) }
    }

    /// The right to book in this sale that this token gives to this visitor.
    ///
    /// # Errors
    /// [`TokenError`], in the order of its variants.
    pub fn verify_pass(
        &self,
        text: &str,
        sale: &SaleId,
        visitor: &VisitorHash,
        now: Millis,
    ) -> Result<Pass, TokenError> {
        let pass = self.open_pass(text, sale, visitor)?;
        if now >= pass.life.expires { Err(TokenError::Expired) } else { Ok(pass) }
    }

    /// Like [`Keyring::verify_pass`], but an expired pass is returned as well: a repeated hold is answered from its
    /// record whenever it comes, and the lane's clock decides whether a new one may still be made.
    ///
    /// # Errors
    /// [`TokenError`] without `Expired`.
    pub fn open_pass(&self, text: &str, sale: &SaleId, visitor: &VisitorHash) -> Result<Pass, TokenError> {
        let (token, number, expires) = self.opened_place(PASS, text, sale, visitor)?;
        // One of an earlier version does not say: no fault counts that was over before it was to end.
        let given =
            if token.len > PLACE_BYTES + TAG_BYTES { Millis(u64::from_be_bytes(token.field(40))) } else { expires };
        Ok(Pass { visitor: *visitor, number, life: Life { given, expires } })
    }

    /// The booking in this sale that this token marks for this visitor.
    ///
    /// # Errors
    /// [`TokenError`], in the order of its variants.
    pub fn verify_booked(
        &self,
        text: &str,
        sale: &SaleId,
        visitor: &VisitorHash,
        now: Millis,
    ) -> Result<Booked, TokenError> {
        let (number, expires) = self.open_place(BOOKED, text, sale, visitor)?;
        if now >= expires { Err(TokenError::Expired) } else { Ok(Booked { visitor: *visitor, number, expires }) }
    }

    fn sign_place(&self, kind: u8, sale: &SaleId, visitor: &VisitorHash, number: u64, expires: Millis) -> String {
        let mut body = [0; PLACE_BYTES];
        let mut at = Writer::new(&mut body, kind);
        at.put(&sale_bytes(sale)).put(&visitor.0).put(&number.to_be_bytes()).put(&expires.0.to_be_bytes());
        self.seal(&mut body)
    }

    fn open_place(
        &self,
        kind: u8,
        text: &str,
        sale: &SaleId,
        visitor: &VisitorHash,
    ) -> Result<(u64, Millis), TokenError> {
        self.opened_place(kind, text, sale, visitor).map(|(_, number, expires)| (number, expires))
    }

    fn opened_place(
        &self,
        kind: u8,
        text: &str,
        sale: &SaleId,
        visitor: &VisitorHash,
    ) -> Result<(Opened, u64, Millis), TokenError> {
        let token = self.open(text, kind)?;
        if token.field::<8>(0) != sale_bytes(sale) {
            return Err(TokenError::WrongSale);
        }
        if token.field::<16>(8) != visitor.0 {
            return Err(TokenError::WrongVisitor);
        }
        let (number, expires) = (u64::from_be_bytes(token.field(24)), Millis(u64::from_be_bytes(token.field(32))));
        Ok((token, number, expires))
    }

    /// Writes the signing key's id into the head, signs, encodes.
    fn seal(&self, body: &mut [u8]) -> String {
        // A ring is never empty; the fallback signs nothing that could be verified.
        let Some((id, mac)) = self.keys.first() else { return String::new() };
        if let Some(place) = body.get_mut(2..HEAD_BYTES) {
            place.copy_from_slice(&id.0.to_be_bytes());
        }
        let mut bytes = Vec::with_capacity(body.len() + TAG_BYTES);
        bytes.extend_from_slice(body);
        bytes.extend_from_slice(&tag(mac, body));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Decodes and checks the signature, then the kind.
    fn open(&self, text: &str, kind: u8) -> Result<Opened, TokenError> {
        // The decoder wants room for whole groups of four characters.
        let mut bytes = [0; MAX_TOKEN_CHARS.div_ceil(4) * 3];
        let len = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).map_err(|_| TokenError::Malformed)?;
        let expected = match (bytes[0], bytes[1]) {
            (VERSION, VISITOR) => VISITOR_BYTES,
            (VERSION, PASS) if len == PASS_BYTES + TAG_BYTES => PASS_BYTES,
            (VERSION, TICKET | PASS | BOOKED | LOBBY) => PLACE_BYTES,
            _ => return Err(TokenError::Malformed),
        };
        if len != expected + TAG_BYTES {
            return Err(TokenError::Malformed);
        }
        let (body, signature) = bytes.split_at(expected);
        let id = KeyId(u32::from_be_bytes(first_bytes(&body[2..])));
        let (_, mac) = self.keys.iter().find(|(known, _)| *known == id).ok_or(TokenError::UnknownKey)?;
        if !bool::from(tag(mac, body).ct_eq(&signature[..TAG_BYTES])) {
            return Err(TokenError::BadSignature);
        }
        if bytes[1] == kind { Ok(Opened { bytes, len }) } else { Err(TokenError::WrongKind) }
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.key_ids()).finish()
    }
}

/// A token whose signature was right.
struct Opened {
    bytes: [u8; MAX_TOKEN_CHARS.div_ceil(4) * 3],
    /// Bytes that came, signature included.
    len: usize,
}

impl Opened {
    /// `N` bytes at this distance behind the head.
    fn field<const N: usize>(&self, at: usize) -> [u8; N] {
        first_bytes(self.bytes.get(HEAD_BYTES + at..).unwrap_or_default())
    }
}

/// Fills a body from front to end.
struct Writer<'a> {
    rest: &'a mut [u8],
}

impl<'a> Writer<'a> {
    fn new(body: &'a mut [u8], kind: u8) -> Self {
        let mut writer = Self { rest: body };
        writer.put(&[VERSION, kind, 0, 0, 0, 0]);
        writer
    }

    fn put(&mut self, bytes: &[u8]) -> &mut Self {
        if let Some((to, rest)) = std::mem::take(&mut self.rest).split_at_mut_checked(bytes.len()) {
            to.copy_from_slice(bytes);
            self.rest = rest;
        }
        self
    }
}

fn tag(mac: &Hmac<Sha256>, body: &[u8]) -> [u8; TAG_BYTES] {
    let mut mac = mac.clone();
    mac.update(body);
    first_bytes(&mac.finalize().into_bytes())
}

fn sale_bytes(sale: &SaleId) -> [u8; 8] {
    first_bytes(&Sha256::digest(sale.as_str()))
}
