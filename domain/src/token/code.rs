//! Signed access codes: good without being stored anywhere, because the installation signed them. Written so that people can type them:
//! 32 letters and digits in groups of four, without I, L, O and U.

use hmac::Hmac;
use sha2::Sha256;

use super::{CODE, Keyring, VERSION, sale_bytes, tag};
use crate::code::{Code, CodeHash, plain};
use crate::id::{SaleId, first_bytes};
use crate::number::Class;

/// Class, uses and serial number.
const BODY_BYTES: usize = 1 + 2 + 7;
/// Of the signature, as many bytes as nobody can guess by trying.
const TAG_BYTES: usize = 10;
/// Characters without dashes: five bits each.
const CHARS: usize = (BODY_BYTES + TAG_BYTES) * 8 / 5;
/// The letters and digits that nobody takes for each other.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl Keyring {
    /// A code for `uses` visitors; `serial` is random and makes it another code than every other.
    #[must_use]
    pub fn sign_code(&self, sale: &SaleId, class: Class, uses: u16, serial: [u8; 7]) -> String {
        let mut body = [0; BODY_BYTES];
        body[0] = class;
        body[1..3].copy_from_slice(&uses.to_be_bytes());
        body[3..].copy_from_slice(&serial);
        let Some((_, mac)) = self.keys.first() else { return String::new() };
        let mut bytes = [0; BODY_BYTES + TAG_BYTES];
        let (head, signature) = bytes.split_at_mut(BODY_BYTES);
        head.copy_from_slice(&body);
        signature.copy_from_slice(&signed(mac, sale, &body));
        grouped(&bytes)
    }

    /// What this code lets into in this sale. The text names no key: a code has to be short, so every key is tried.
    #[must_use]
    pub fn verify_code(&self, sale: &SaleId, text: &str) -> Option<Code> {
        use subtle::ConstantTimeEq as _;
        let plain = canonical(&plain(text)?);
        let bytes = read(&plain)?;
        let (body, signature) = bytes.split_at(BODY_BYTES);
        let good = self.keys.iter().any(|(_, mac)| bool::from(signed(mac, sale, body).as_slice().ct_eq(signature)));
        let uses = u16::from_be_bytes(first_bytes(body.get(1..)?));
        good.then(|| Code { code: CodeHash::of(sale, &plain), class: bytes[0], uses: uses.into() })
    }
}

/// The signature over a code's body. The head says what is signed, so that no other token's signature fits.
fn signed(mac: &Hmac<Sha256>, sale: &SaleId, body: &[u8]) -> [u8; TAG_BYTES] {
    let mut whole = Vec::with_capacity(2 + 8 + BODY_BYTES);
    whole.extend_from_slice(&[VERSION, CODE]);
    whole.extend_from_slice(&sale_bytes(sale));
    whole.extend_from_slice(body);
    first_bytes(&tag(mac, &whole))
}

fn grouped(bytes: &[u8; BODY_BYTES + TAG_BYTES]) -> String {
    let mut text = String::with_capacity(CHARS + CHARS / 4);
    for n in 0..CHARS {
        if n > 0 && n % 4 == 0 {
            text.push('-');
        }
        text.push(char::from(ALPHABET[usize::from(five(bytes, n))]));
    }
    text
}

/// The n-th five bits.
fn five(bytes: &[u8], n: usize) -> u8 {
    let (at, shift) = (n * 5 / 8, n * 5 % 8);
    let pair = u16::from_be_bytes([bytes.get(at).copied().unwrap_or(0), bytes.get(at + 1).copied().unwrap_or(0)]);
    u8::try_from(pair >> (11 - shift) & 31).unwrap_or(0)
}

/// What people type for letters that are left out.
fn canonical(plain: &str) -> String {
    let meant = |c| match c {
        'O' => '0',
        'I' | 'L' => '1',
        c => c,
    };
    plain.chars().map(meant).collect()
}

fn read(plain: &str) -> Option<[u8; BODY_BYTES + TAG_BYTES]> {
    if plain.len() != CHARS {
        return None;
    }
    let mut bytes = [0; BODY_BYTES + TAG_BYTES];
    for (n, c) in plain.bytes().enumerate() {
        let bits = u8::try_from(ALPHABET.iter().position(|known| *known == c)?).ok()?;
        let (at, shift) = (n * 5 / 8, n * 5 % 8);
        let pair = u16::from(bits) << (11 - shift);
        let [high, low] = pair.to_be_bytes();
        *bytes.get_mut(at)? |= high;
        if let Some(next) = bytes.get_mut(at + 1) {
            *next |= low;
        }
    }
    Some(bytes)
}

const _: () = assert!(CHARS * 5 == (BODY_BYTES + TAG_BYTES) * 8, "no stray bits: one code has one text");

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::super::{Key, KeyId};
    use super::*;

    fn ring(ids: &[u32]) -> Keyring {
        let key = |id: &u32| Key { id: KeyId(*id), secret: [u8::try_from(*id).unwrap(); 32] };
        Keyring::new(ids.iter().map(key).collect()).unwrap()
    }

    fn sale(name: &str) -> SaleId {
        name.parse().unwrap()
    }

    proptest! {
        #[test]
        fn a_code_reads_back_however_it_is_typed(class in 1_u8..8, uses in 1_u16.., serial: [u8; 7]) {
            let (ring, sale) = (ring(&[1]), sale("night"));
            let text = ring.sign_code(&sale, class, uses, serial);
            prop_assert_eq!(text.len(), 39);
            let code = ring.verify_code(&sale, &text).unwrap();
            prop_assert_eq!((code.class, code.uses), (class, u32::from(uses)));
            let typed = text.to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l");
            prop_assert_eq!(ring.verify_code(&sale, &typed), Some(code), "{}", typed);
        }

        #[test]
        fn a_changed_letter_another_sale_and_another_key_are_refused(serial: [u8; 7], at in 0_usize..32, by in 1_usize..32) {
            let (one, sale) = (ring(&[1]), sale("night"));
            let text = one.sign_code(&sale, 1, 3, serial);
            let mut plain: Vec<u8> = text.bytes().filter(|b| *b != b'-').collect();
            let letter = ALPHABET.iter().position(|b| *b == plain[at]).unwrap();
            plain[at] = ALPHABET[(letter + by) % 32];
            prop_assert_eq!(one.verify_code(&sale, std::str::from_utf8(&plain).unwrap()), None);
            prop_assert_eq!(one.verify_code(&"day".parse().unwrap(), &text), None);
            prop_assert_eq!(ring(&[2]).verify_code(&sale, &text), None);
            prop_assert!(ring(&[2, 1]).verify_code(&sale, &text).is_some(), "every key of the ring is tried");
        }

        #[test]
        fn nothing_that_people_send_is_a_code_by_itself(text in ".{0,60}") {
            prop_assert_eq!(ring(&[1]).verify_code(&sale("night"), &text), None);
        }
    }

    #[test]
    fn no_other_token_is_a_code() {
        let (ring, sale) = (ring(&[1]), sale("night"));
        let ticket = ring.sign_ticket(&sale, &crate::VisitorHash([7; 16]), 1, crate::Millis(u64::MAX));
        assert_eq!(ring.verify_code(&sale, &ticket), None);
        assert_eq!(ring.verify_code(&sale, &ring.sign_code(&sale, 1, 1, [0; 7])[..38]), None);
    }
}
