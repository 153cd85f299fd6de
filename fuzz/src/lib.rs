//! What the fuzz targets do with their bytes: one function per kind of token and one for the proof of work. libFuzzer drives them
//! (`cargo +nightly fuzz run ticket`), and `cargo test` does with bytes from a seeded generator (`domain/tests/facts/fuzzed.rs`).
//!
//! Each makes a good token from the first bytes, lets the rest alter its text or its circumstances, and checks what verifying says:
//! nothing but the text that was signed, shown in its own sale by its own visitor before its time is over, is ever taken.

use domain::fault::Life;
use domain::token::{ProofTerms, of_our_time};
use domain::{Challenge, Key, KeyId, Keyring, Millis, ProofError, SaleId, TokenError, VisitorHash, VisitorId};

/// Bytes that decide what is tried. Behind their end everything is zero.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn number(&mut self) -> u64 {
        (0..8).fold(0, |number, _| number << 8 | u64::from(self.byte()))
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }

    fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}

/// A name of the length and letters that the bytes choose.
fn sale(input: &mut Input<'_>) -> SaleId {
    let letters = (0..input.byte() % 12 + 1).map(|_| char::from(b'a' + input.byte() % 26)).collect::<String>();
    letters.parse().unwrap()
}

fn ring(ids: &[u32]) -> Keyring {
    Keyring::new(ids.iter().map(|id| Key { id: KeyId(*id), secret: [*id as u8; 32] }).collect()).unwrap()
}

/// The text with some of its bytes replaced, cut off, repeated or put in.
fn altered(text: &str, input: &mut Input<'_>) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..input.byte() % 4 + 1 {
        let (what, value) = (input.byte(), input.byte());
        let at = usize::from(input.byte()) % (bytes.len() + 1);
        match what % 6 {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, value),
            2 if at < bytes.len() => drop(bytes.remove(at)),
            3 if at < bytes.len() => bytes[at] ^= 1 << (value % 8),
            4 if at < bytes.len() => bytes[at] = value,
            _ => bytes.extend_from_slice(&bytes.clone()[at..]),
        }
    }
    bytes
}

/// What a place's token says: its number and its expiry.
type Said = Result<(u64, Millis), TokenError>;

/// How a place's token is signed and verified.
struct Kind {
    sign: fn(&Keyring, &SaleId, &VisitorHash, u64, Millis) -> String,
    verify: fn(&Keyring, &str, &SaleId, &VisitorHash, Millis) -> Said,
}

/// When a pass of this expiry was given here.
const fn given(expires: Millis) -> Millis {
    Millis(expires.0 / 2)
}

const TICKET: Kind = Kind {
    sign: Keyring::sign_ticket,
    verify: |ring, text, sale, who, now| ring.verify_ticket(text, sale, who, now).map(|it| (it.number, it.expires)),
};
const PASS: Kind = Kind {
    sign: |ring, sale, who, number, expires| ring.sign_pass(sale, who, number, Life { given: given(expires), expires }),
    verify: |ring, text, sale, who, now| {
        let pass = ring.verify_pass(text, sale, who, now)?;
        assert_eq!(pass.life.given, given(pass.life.expires));
        Ok((pass.number, pass.life.expires))
    },
};
const MARK: Kind = Kind {
    sign: Keyring::sign_booked,
    verify: |ring, text, sale, who, now| ring.verify_booked(text, sale, who, now).map(|it| (it.number, it.expires)),
};
const RECEIPT: Kind = Kind {
    sign: Keyring::sign_receipt,
    verify: |ring, text, sale, who, now| ring.verify_receipt(text, sale, who, now).map(|it| (it.index, it.expires)),
};
const PLACES: [Kind; 4] = [TICKET, PASS, MARK, RECEIPT];

/// Whether an error is one of a text that nobody signed.
fn is_forged(error: TokenError) -> bool {
    matches!(error, TokenError::Malformed | TokenError::UnknownKey | TokenError::BadSignature)
}

fn place(kind: &Kind, data: &[u8]) {
    let mut input = Input(data);
    let (ours, sale_of, who, number) = (ring(&[2, 1]), sale(&mut input), VisitorHash(input.bytes()), input.number());
    let (now, expires) = (Millis(input.number() >> 1), Millis(input.number()));
    let text = (kind.sign)(&ours, &sale_of, &who, number, expires);
    let good = if now >= expires { Err(TokenError::Expired) } else { Ok((number, expires)) };
    assert_eq!((kind.verify)(&ours, &text, &sale_of, &who, now), good);

    let (other_sale, other) = (sale(&mut input), VisitorHash(input.bytes()));
    if other_sale != sale_of {
        assert_eq!((kind.verify)(&ours, &text, &other_sale, &who, now), Err(TokenError::WrongSale));
    }
    if other != who {
        assert_eq!((kind.verify)(&ours, &text, &sale_of, &other, now), Err(TokenError::WrongVisitor));
    }
    let takers = PLACES.iter().filter(|taker| (taker.verify)(&ours, &text, &sale_of, &who, Millis(0)).is_ok());
    assert_eq!(takers.count(), usize::from(expires > Millis(0)), "one kind takes it, and only one");
    assert!(ours.verify_visitor(&text, Millis(0)).is_err());
    assert_eq!((kind.verify)(&ring(&[1]), &text, &sale_of, &who, now), Err(TokenError::UnknownKey), "an old ring");
    assert_eq!(of_our_time(expires, now, 1_000).is_err(), expires > now.plus(61_000));

    forged(&altered(&text, &mut input), &text, |text| (kind.verify)(&ours, text, &sale_of, &who, now).map(drop));
    forged(input.rest(), &text, |text| (kind.verify)(&ours, text, &sale_of, &who, now).map(drop));
}

/// A text that is not the one that was signed is refused as such.
fn forged(bytes: &[u8], signed: &str, verify: impl Fn(&str) -> Result<(), TokenError>) {
    let text = String::from_utf8_lossy(bytes);
    if text != signed {
        let error = verify(&text).expect_err(&text);
        assert!(is_forged(error), "{error:?} of {text}");
    }
}

/// A visitor's token.
pub fn visitor(data: &[u8]) {
    let mut input = Input(data);
    let (ours, who, now, expires) =
        (ring(&[2, 1]), VisitorId(input.bytes()), Millis(input.number() >> 1), input.number());
    let text = ours.sign_visitor(&who, Millis(expires));
    let verified = ours.verify_visitor(&text, now).map(|it| (it.visitor.0, it.expires));
    assert_eq!(verified, if now.0 >= expires { Err(TokenError::Expired) } else { Ok((who.0, Millis(expires))) });
    let (sale, hash) = (sale(&mut input), VisitorHash(who.0));
    for kind in &PLACES {
        assert_eq!((kind.verify)(&ours, &text, &sale, &hash, now), Err(TokenError::WrongKind));
    }
    assert_eq!(ring(&[1]).verify_visitor(&text, now).map(drop), Err(TokenError::UnknownKey));
    forged(&altered(&text, &mut input), &text, |text| ours.verify_visitor(text, now).map(drop));
    forged(input.rest(), &text, |text| ours.verify_visitor(text, now).map(drop));
}

/// A ticket.
pub fn ticket(data: &[u8]) {
    place(&TICKET, data);
}

/// A pass.
pub fn pass(data: &[u8]) {
    place(&PASS, data);
}

/// The mark of a booking.
pub fn mark(data: &[u8]) {
    place(&MARK, data);
}

/// A receipt of the lobby.
pub fn receipt(data: &[u8]) {
    place(&RECEIPT, data);
}

/// A proof of work.
pub fn proof(data: &[u8]) {
    let mut input = Input(data);
    let (ours, sale_of, who, after) = (ring(&[2, 1]), sale(&mut input), VisitorHash(input.bytes()), input.number());
    let (nonce, most) = (input.number(), u32::from(input.byte()));
    let number = u32::from(input.byte()) % (most + 1);
    let now = Millis(input.number() >> 16);
    let expires = now.plus(u64::from(input.byte()) * 2_000);
    let terms = ProofTerms { sale: &sale_of, visitor: &who, after, expires };
    let challenge = ours.challenge(&terms, nonce, number, most);
    assert_eq!(challenge.solve(), Some(number));
    let text = challenge.solved_by(number);
    let verify = |text: &str| ours.verify_proof(text, &sale_of, &who, now).map(|it| (it.after, it.expires));
    let whole = Millis(expires.0 / 1_000 * 1_000);
    let late = now.plus(360_000);
    let good = match () {
        () if now >= whole => Err(ProofError::Expired),
        () if whole > late => Err(ProofError::Future),
        () => Ok((after, whole)),
    };
    assert_eq!(verify(&text), good);

    let (other_sale, other) = (sale(&mut input), VisitorHash(input.bytes()));
    let by = |sale: &SaleId, who: &VisitorHash| ours.verify_proof(&text, sale, who, now).map(drop);
    if other_sale != sale_of {
        assert_eq!(by(&other_sale, &who), Err(ProofError::WrongSale));
    }
    if other != who {
        assert_eq!(by(&sale_of, &other), Err(ProofError::WrongVisitor));
    }
    assert_eq!(ring(&[1]).verify_proof(&text, &sale_of, &who, now).map(drop), Err(ProofError::UnknownKey));
    let guess = number.wrapping_add(1 + input.byte() as u32);
    assert_eq!(verify(&challenge.solved_by(guess)), Err(ProofError::Unsolved));
    spliced(&challenge, number, &verify);

    // A token is no proof, and what is altered buys nothing else than what was paid for.
    let token = ours.sign_ticket(&sale_of, &who, after, expires);
    assert_eq!(verify(&token), Err(ProofError::Malformed));
    for bytes in [altered(&text, &mut input), input.rest().to_vec()] {
        if let Ok(bought) = verify(&String::from_utf8_lossy(&bytes)) {
            assert_eq!(Ok(bought), good, "{}", String::from_utf8_lossy(&bytes));
        }
    }
}

/// Digits that move between salt and number make another proof of the same hash, were it not for the salt's end.
fn spliced(challenge: &Challenge, number: u32, verify: &impl Fn(&str) -> Result<(u64, Millis), ProofError>) {
    let digits = number.to_string();
    for cut in 1..digits.len() {
        let (moved, left) = digits.split_at(cut);
        let other = Challenge { salt: format!("{}{moved}", challenge.salt), ..challenge.clone() };
        let left: u32 = left.parse().unwrap();
        assert!(verify(&other.solved_by(left)).is_err(), "{} and {left}", other.salt);
    }
}
