//! Proof of work in the ALTCHA format (the one with `salt`, `challenge` and `number`, which every ALTCHA widget and solver takes).
//!
//! The server draws a number, shows the hash of salt and number, and signs it; finding the number again costs hashes, checking it
//! costs one and an HMAC. Nothing is kept. What a solution is good for stands in the salt, and so under the signature: one sale, one
//! visitor, and the one place after the number that visitor had. Whoever else shows it is refused, and so is a second place.
//!
//! The salt ends with `&` and a number is digits only, so no digit can move from one to the other.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{KeyId, Keyring, TOKEN_SKEW_MS};
use crate::digest::Digest;
use crate::id::{SaleId, VisitorHash};
use crate::limits::PROOF_TTL_MS;
use crate::time::Millis;

/// Characters of the longest solution that is looked at: base64 of some 500 bytes of JSON, with room for what solvers add.
pub const MAX_PROOF_CHARS: usize = 1_024;
const MAX_PROOF_BYTES: usize = MAX_PROOF_CHARS / 4 * 3;
const ALGORITHM: &str = "SHA-256";
/// What is signed begins with this. A token begins with its version, so that neither can be taken for the other.
const DOMAIN: &[u8] = b"altcha:";

/// What a solution will be good for.
#[derive(Clone, Copy, Debug)]
pub struct ProofTerms<'a> {
    /// The sale whose line it lets into.
    pub sale: &'a SaleId,
    /// Who may use it.
    pub visitor: &'a VisitorHash,
    /// It buys the place after this number of the visitor; 0: the first one.
    pub after: u64,
    /// Until when; seconds count.
    pub expires: Millis,
}

/// A challenge as a client gets it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Challenge {
    /// Always `SHA-256`.
    pub algorithm: String,
    /// Hexadecimal SHA-256 of salt and number.
    pub challenge: String,
    /// The number is at most this: the price.
    pub maxnumber: u32,
    /// Random, then what the solution is good for.
    pub salt: String,
    /// Sent back as it is.
    pub signature: String,
}

/// A solution that is right.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Proof {
    /// It buys the place after this number of its visitor; 0: the first one.
    pub after: u64,
    /// First moment at which it is no longer good.
    pub expires: Millis,
}

/// Why a solution was refused, in the order of the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ProofError {
    /// No solution: length, alphabet, JSON, algorithm or salt.
    #[error("not a solution")]
    Malformed,
    /// The challenge was signed with a key this program does not have (any more).
    #[error("a challenge signed with an unknown key")]
    UnknownKey,
    /// The challenge is none of ours, or was altered.
    #[error("the challenge's signature does not fit")]
    BadSignature,
    /// The number is not the one that was asked for, or the salt was altered.
    #[error("not the number that was asked for")]
    Unsolved,
    /// A good solution for another sale.
    #[error("a solution for another sale")]
    WrongSale,
    /// A good solution of somebody else.
    #[error("a solution of another visitor")]
    WrongVisitor,
    /// Was good until its expiry.
    #[error("the challenge has expired")]
    Expired,
    /// Good for longer than any challenge is made for: this machine's clock is behind, or a key got about.
    #[error("a challenge of the future")]
    Future,
}

/// The payload that solvers send, base64 of JSON. Fields that are not checked (`took`) are left alone.
#[derive(Serialize, Deserialize)]
struct Solved<'a> {
    #[serde(borrow)]
    algorithm: Cow<'a, str>,
    #[serde(borrow)]
    challenge: Cow<'a, str>,
    number: u32,
    #[serde(borrow)]
    salt: Cow<'a, str>,
    #[serde(borrow)]
    signature: Cow<'a, str>,
}

impl Keyring {
    /// A challenge for these terms whose number is `number` of at most `most`. `nonce` and `number` are random: the caller's.
    #[must_use]
    pub fn challenge(&self, terms: &ProofTerms<'_>, nonce: u64, number: u32, most: u32) -> Challenge {
        // A ring is never empty; the fallback signs nothing that could be verified.
        let (key, mac) = self.keys.first().map_or((0, None), |(id, mac)| (id.0, Some(mac)));
        let ProofTerms { sale, visitor, after, expires } = terms;
        let expires = expires.0 / 1_000;
        let salt =
            format!("{nonce:016x}?expires={expires}&for=join&sale={sale}&visitor={visitor}&after={after}&key={key}&");
        let challenge = hash(salt.as_bytes(), number.min(most));
        let signature = mac.map_or_else(String::new, |mac| signature(mac, &challenge).to_string());
        Challenge {
            algorithm: ALGORITHM.to_owned(),
            challenge: challenge.to_string(),
            maxnumber: most,
            salt,
            signature,
        }
    }

    /// What this solution buys for this visitor in this sale. Costs two hashes over some 150 bytes, whatever is sent.
    ///
    /// # Errors
    /// [`ProofError`], in the order of its variants.
    pub fn verify_proof(
        &self,
        text: &str,
        sale: &SaleId,
        visitor: &VisitorHash,
        now: Millis,
    ) -> Result<Proof, ProofError> {
        if text.len() > MAX_PROOF_CHARS {
            return Err(ProofError::Malformed);
        }
        let mut bytes = [0; MAX_PROOF_BYTES];
        let len = STANDARD.decode_slice(text, &mut bytes).map_err(|_| ProofError::Malformed)?;
        let json = bytes.get(..len).unwrap_or_default();
        let solved: Solved<'_> = serde_json::from_slice(json).map_err(|_| ProofError::Malformed)?;
        let salt = Salt::read(&solved.salt).filter(|_| solved.algorithm == ALGORITHM).ok_or(ProofError::Malformed)?;
        let digest = |text: &str| text.parse::<Digest>().map_err(|_| ProofError::Malformed);
        let (challenge, signed) = (digest(&solved.challenge)?, digest(&solved.signature)?);
        let (_, mac) = self.keys.iter().find(|(known, _)| *known == salt.key).ok_or(ProofError::UnknownKey)?;
        if !bool::from(signature(mac, &challenge).0.ct_eq(&signed.0)) {
            return Err(ProofError::BadSignature);
        }
        if hash(solved.salt.as_bytes(), solved.number) != challenge {
            return Err(ProofError::Unsolved);
        }
        // From here on the salt is what was signed.
        if salt.sale != sale.as_str() {
            return Err(ProofError::WrongSale);
        }
        if salt.visitor != *visitor {
            return Err(ProofError::WrongVisitor);
        }
        if now >= salt.expires {
            return Err(ProofError::Expired);
        }
        if salt.expires > now.plus(PROOF_TTL_MS + TOKEN_SKEW_MS) {
            return Err(ProofError::Future);
        }
        Ok(Proof { after: salt.after, expires: salt.expires })
    }
}

impl Challenge {
    /// Looks for the number; `None` when there is none. Takes up to `maxnumber` hashes: for clients and tests.
    #[must_use]
    pub fn solve(&self) -> Option<u32> {
        let wanted: Digest = self.challenge.parse().ok()?;
        let begun = Sha256::new_with_prefix(&self.salt);
        (0..=self.maxnumber).find(|number| {
            let mut hash = begun.clone();
            hash.update(number.to_string());
            hash.finalize()[..] == wanted.0
        })
    }

    /// The payload that says so: what clients send.
    #[must_use]
    pub fn solved_by(&self, number: u32) -> String {
        let solved = Solved {
            algorithm: Cow::Borrowed(&self.algorithm),
            challenge: Cow::Borrowed(&self.challenge),
            number,
            salt: Cow::Borrowed(&self.salt),
            signature: Cow::Borrowed(&self.signature),
        };
        // Texts and a number: writing them cannot fail.
        STANDARD.encode(serde_json::to_vec(&solved).unwrap_or_default())
    }
}

/// What a salt says.
struct Salt<'a> {
    expires: Millis,
    sale: &'a str,
    visitor: VisitorHash,
    after: u64,
    key: KeyId,
}

impl<'a> Salt<'a> {
    /// Reads a salt of exactly our form.
    fn read(text: &'a str) -> Option<Self> {
        let (nonce, rest) = text.split_once("?expires=")?;
        let (expires, rest) = rest.split_once("&for=join&sale=")?;
        let (sale, rest) = rest.split_once("&visitor=")?;
        let (visitor, rest) = rest.split_once("&after=")?;
        let (after, rest) = rest.split_once("&key=")?;
        let key = number(rest.strip_suffix('&')?)?;
        if nonce.len() != 16 || !nonce.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        Some(Self {
            expires: Millis(number(expires)?.checked_mul(1_000)?),
            sale,
            visitor: visitor.parse().ok()?,
            after: number(after)?,
            key: KeyId(u32::try_from(key).ok()?),
        })
    }
}

/// Digits without a sign; [`str::parse`] would take one.
fn number(text: &str) -> Option<u64> {
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn hash(salt: &[u8], number: u32) -> Digest {
    let mut hash = Sha256::new_with_prefix(salt);
    hash.update(number.to_string());
    Digest(hash.finalize().into())
}

fn signature(mac: &Hmac<Sha256>, challenge: &Digest) -> Digest {
    let mut mac = mac.clone();
    mac.update(DOMAIN);
    mac.update(&challenge.0);
    Digest(mac.finalize().into_bytes().into())
}
