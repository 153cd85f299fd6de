//! Whether a webhook was sent by the provider, now, and for the first time.
//!
//! Signed is the time and the body under a secret that only both know; the time keeps an old message from being sent again later,
//! the ids of those that were taken keep it from being sent again at once. A webhook that was not handled is not remembered: the
//! provider sends it again, and it has to be taken then.

use std::collections::{BTreeSet, HashMap};

use domain::Millis;
use domain::limits::{MAX_WEBHOOK_BYTES, MAX_WEBHOOK_IDS, MAX_WEBHOOK_SIGNATURES, WEBHOOK_TOLERANCE_MS};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq as _};

/// Why a webhook is not believed. In this order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum Forged {
    /// Larger than any that the provider sends.
    #[error("the webhook has more than {MAX_WEBHOOK_BYTES} bytes")]
    Huge,
    /// The header is not one of the provider's.
    #[error("the webhook's signature cannot be read")]
    Unsigned,
    /// Altered, or signed by somebody else.
    #[error("the webhook was not signed with our secret")]
    Signature,
    /// Its time is too far from ours: sent again later, or one of the clocks is wrong.
    #[error("the webhook was signed too long ago, or in the future")]
    Time,
    /// Signed and in time, and still nothing that is known.
    #[error("the webhook cannot be read")]
    Unreadable,
}

fn mac(secret: &str, at: &str, body: &[u8]) -> Option<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(at.as_bytes());
    mac.update(b".");
    mac.update(body);
    Some(mac.finalize().into_bytes().into())
}

/// The header by which a provider signs a body: `t=SECONDS,v1=HEX`. For simulators and tests.
#[must_use]
pub fn sign(secret: &str, body: &[u8], at: Millis) -> String {
    let seconds = (at.0 / 1_000).to_string();
    let hex = domain::Digest(mac(secret, &seconds, body).unwrap_or_default());
    format!("t={seconds},v1={hex}")
}

/// Checks that a body was signed with one of these secrets (two, while one is replaced), about now.
///
/// # Errors
/// Why it is not believed.
pub fn verify(secrets: &[String], header: &str, body: &[u8], now: Millis) -> Result<(), Forged> {
    if body.len() > MAX_WEBHOOK_BYTES {
        return Err(Forged::Huge);
    }
    let (at, signatures) = read(header).ok_or(Forged::Unsigned)?;
    let mut right = Choice::from(0);
    // All of them, always: how long it takes tells nothing about how much of one is right.
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        let expected = mac(secret, at, body).ok_or(Forged::Signature)?;
        for signature in &signatures {
            right |= expected.ct_eq(signature);
        }
    }
    if !bool::from(right) {
        return Err(Forged::Signature);
    }
    let seconds: u64 = at.parse().map_err(|_| Forged::Unsigned)?;
    let at = Millis(seconds.checked_mul(1_000).ok_or(Forged::Time)?);
    let apart = now.since(at).max(at.since(now));
    if apart > WEBHOOK_TOLERANCE_MS { Err(Forged::Time) } else { Ok(()) }
}

/// Time and signatures of the version that is known; those of others are passed over, as the provider says one should.
fn read(header: &str) -> Option<(&str, Vec<[u8; 32]>)> {
    let fields = || header.split(',').filter_map(|field| field.trim().split_once('='));
    let mut times = fields().filter(|(name, _)| *name == "t").map(|(_, time)| time);
    let at = times.next().filter(|at| !at.is_empty() && at.len() <= 20 && at.bytes().all(|b| b.is_ascii_digit()))?;
    if times.next().is_some() {
        return None;
    }
    let known = fields().filter(|(name, _)| *name == "v1").take(MAX_WEBHOOK_SIGNATURES);
    let signatures: Vec<[u8; 32]> =
        known.filter_map(|(_, hex)| hex.parse().ok().map(|domain::Digest(is)| is)).collect();
    (!signatures.is_empty()).then_some((at, signatures))
}

/// The webhooks that were taken, for as long as they could be sent again.
#[derive(Clone, Default, Debug)]
pub struct Seen {
    ids: HashMap<String, Millis>,
    by_time: BTreeSet<(Millis, String)>,
}

/// What a webhook's id says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Before {
    /// It was not taken before: handle it, then say [`Seen::taken`].
    New,
    /// It was taken: answer as then, do nothing.
    Taken,
    /// So many are remembered that it has to come again later (503).
    Full,
}

impl Seen {
    /// Whether this webhook was taken before.
    pub fn look(&mut self, event: &str, now: Millis) -> Before {
        while let Some(first) =
            self.by_time.first().filter(|(at, _)| now.since(*at) > 2 * WEBHOOK_TOLERANCE_MS).cloned()
        {
            self.by_time.remove(&first);
            self.ids.remove(&first.1);
        }
        if self.ids.contains_key(event) {
            return Before::Taken;
        }
        if self.ids.len() >= MAX_WEBHOOK_IDS { Before::Full } else { Before::New }
    }

    /// It is handled: what it means stands in the log, or means nothing.
    pub fn taken(&mut self, event: &str, now: Millis) {
        if self.ids.insert(event.to_owned(), now).is_none() {
            self.by_time.insert((now, event.to_owned()));
        }
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}
