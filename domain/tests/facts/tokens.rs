use domain::fault::Life;
use domain::token::{BadKeyring, MAX_TOKEN_CHARS};
use domain::{Key, KeyId, Keyring, Millis, Receipt, SaleId, TokenError, VisitorHash, VisitorId};
use proptest::prelude::*;

const EXPIRES: Millis = Millis(1_800_000_000_000);
const BEFORE: Millis = Millis(1_799_999_999_999);
const LIFE: Life = Life { given: Millis(1_799_999_700_000), expires: EXPIRES };

fn key(id: u32) -> Key {
    Key { id: KeyId(id), secret: [u8::try_from(id).unwrap(); 32] }
}

fn ring(ids: &[u32]) -> Keyring {
    Keyring::new(ids.iter().map(|id| key(*id)).collect()).unwrap()
}

fn sale() -> SaleId {
    "summer-night".parse().unwrap()
}

const SOMEBODY: VisitorHash = VisitorHash([3; 16]);

/// Computed by a script of its own (Python's hmac): every process and every version must agree on it.
#[test]
fn a_ticket_has_its_golden_text() {
    let ring = Keyring::new(vec![Key { id: KeyId(5), secret: [7; 32] }]).unwrap();
    let visitor: VisitorHash = "GzsSfq_A-GS2IVTDOKfVJg".parse().unwrap();
    let text = ring.sign_ticket(&sale(), &visitor, 42, EXPIRES);
    assert_eq!(text, "AQIAAAAFsyjZvt6_Ae4bOxJ-r8D4ZLYhVMM4p9UmAAAAAAAAACoAAAGjGFxQAFRnk17zjgoL-VZuIp_BvOs");
    assert!(text.len() < MAX_TOKEN_CHARS);
    assert_eq!(ring.sign_pass(&sale(), &visitor, 42, LIFE).len(), MAX_TOKEN_CHARS);
}

#[test]
fn a_ring_without_keys_or_with_one_id_twice_is_refused() {
    assert_eq!(Keyring::new(vec![]).unwrap_err(), BadKeyring::Empty);
    assert_eq!(Keyring::new(vec![key(1), key(2), key(1)]).unwrap_err(), BadKeyring::Twice(KeyId(1)));
}

#[test]
fn after_a_rotation_the_new_key_signs_and_the_old_one_still_verifies_until_it_is_dropped() {
    let (before, after, dropped) = (ring(&[1]), ring(&[2, 1]), ring(&[2]));
    let old = before.sign_ticket(&sale(), &SOMEBODY, 9, EXPIRES);
    let new = after.sign_ticket(&sale(), &SOMEBODY, 9, EXPIRES);
    assert_ne!(old, new);
    assert_eq!(after.verify_ticket(&old, &sale(), &SOMEBODY, BEFORE).unwrap().number, 9);
    assert_eq!(after.verify_ticket(&new, &sale(), &SOMEBODY, BEFORE).unwrap().number, 9);
    assert_eq!(before.verify_ticket(&new, &sale(), &SOMEBODY, BEFORE), Err(TokenError::UnknownKey));
    assert_eq!(dropped.verify_ticket(&old, &sale(), &SOMEBODY, BEFORE), Err(TokenError::UnknownKey));
}

#[test]
fn another_key_of_the_same_id_does_not_verify() {
    let text = ring(&[1]).sign_visitor(&VisitorId([1; 16]), EXPIRES);
    let other = Keyring::new(vec![Key { id: KeyId(1), secret: [99; 32] }]).unwrap();
    assert_eq!(other.verify_visitor(&text, BEFORE), Err(TokenError::BadSignature));
}

#[test]
fn a_token_is_good_only_for_its_kind_sale_and_visitor_and_only_before_its_expiry() {
    let ring = ring(&[1]);
    let (stranger, winter) = (VisitorHash([4; 16]), "winter".parse().unwrap());
    let ticket = ring.sign_ticket(&sale(), &SOMEBODY, 7, EXPIRES);
    let pass = ring.sign_pass(&sale(), &SOMEBODY, 7, LIFE);
    let visitor = ring.sign_visitor(&VisitorId([3; 16]), EXPIRES);

    assert_eq!(ring.verify_ticket(&pass, &sale(), &SOMEBODY, BEFORE), Err(TokenError::WrongKind));
    assert_eq!(ring.verify_pass(&ticket, &sale(), &SOMEBODY, BEFORE), Err(TokenError::WrongKind));
    assert_eq!(ring.verify_pass(&visitor, &sale(), &SOMEBODY, BEFORE), Err(TokenError::WrongKind));
    assert_eq!(ring.verify_visitor(&pass, BEFORE), Err(TokenError::WrongKind));
    assert_eq!(ring.verify_ticket(&ticket, &winter, &SOMEBODY, BEFORE), Err(TokenError::WrongSale));
    assert_eq!(ring.verify_ticket(&ticket, &sale(), &stranger, BEFORE), Err(TokenError::WrongVisitor));
    assert_eq!(ring.verify_ticket(&ticket, &sale(), &SOMEBODY, EXPIRES), Err(TokenError::Expired));
    assert_eq!(ring.verify_pass(&pass, &sale(), &SOMEBODY, EXPIRES), Err(TokenError::Expired));
    assert_eq!(ring.verify_visitor(&visitor, EXPIRES), Err(TokenError::Expired));
    let booked = ring.sign_booked(&sale(), &SOMEBODY, 7, EXPIRES);
    assert_eq!(ring.verify_booked(&booked, &sale(), &SOMEBODY, BEFORE).unwrap().number, 7);
    assert_eq!(ring.verify_booked(&booked, &sale(), &SOMEBODY, EXPIRES), Err(TokenError::Expired));
    assert_eq!(ring.verify_booked(&booked, &sale(), &stranger, BEFORE), Err(TokenError::WrongVisitor));
    assert_eq!(ring.verify_booked(&booked, &winter, &SOMEBODY, BEFORE), Err(TokenError::WrongSale));
    assert_eq!(ring.verify_booked(&pass, &sale(), &SOMEBODY, BEFORE), Err(TokenError::WrongKind));
    assert_eq!(ring.verify_pass(&booked, &sale(), &SOMEBODY, BEFORE), Err(TokenError::WrongKind));
    assert_eq!(ring.open_pass(&pass, &sale(), &SOMEBODY).unwrap().life, LIFE);
    assert_eq!(ring.open_pass(&pass, &sale(), &stranger), Err(TokenError::WrongVisitor));
}

/// Signed by the version before, with the golden key; it says when it ends and not when it was given.
#[test]
fn a_pass_of_the_version_before_is_read_and_no_fault_before_its_end_counts_for_it() {
    let ring = Keyring::new(vec![Key { id: KeyId(5), secret: [7; 32] }]).unwrap();
    let visitor: VisitorHash = "GzsSfq_A-GS2IVTDOKfVJg".parse().unwrap();
    let old = "AQMAAAAFsyjZvt6_Ae4bOxJ-r8D4ZLYhVMM4p9UmAAAAAAAAACoAAAGjGFxQAAfQCbGWpEZOYz8CpYR1M4M";
    let pass = ring.verify_pass(old, &sale(), &visitor, BEFORE).unwrap();
    assert_eq!((pass.number, pass.life), (42, Life { given: EXPIRES, expires: EXPIRES }));
}

#[test]
fn a_lobby_receipt_is_no_ticket_and_reads_without_a_key_for_its_own_sale_only() {
    let ring = ring(&[1]);
    let (stranger, winter) = (VisitorHash([4; 16]), "winter".parse().unwrap());
    let receipt = ring.sign_receipt(&sale(), &SOMEBODY, 7, EXPIRES);
    let read = Receipt { visitor: SOMEBODY, index: 7, expires: EXPIRES };
    assert_eq!(ring.verify_receipt(&receipt, &sale(), &SOMEBODY, BEFORE), Ok(read));
    assert_eq!(Receipt::read(&receipt, &sale()), Ok(read));
    assert_eq!(ring.verify_receipt(&receipt, &sale(), &SOMEBODY, EXPIRES), Err(TokenError::Expired));
    assert_eq!(ring.verify_receipt(&receipt, &sale(), &stranger, BEFORE), Err(TokenError::WrongVisitor));
    assert_eq!(ring.verify_receipt(&receipt, &winter, &SOMEBODY, BEFORE), Err(TokenError::WrongSale));
    assert_eq!(Receipt::read(&receipt, &winter), Err(TokenError::WrongSale));
    assert_eq!(ring.verify_ticket(&receipt, &sale(), &SOMEBODY, BEFORE), Err(TokenError::WrongKind));
    let ticket = ring.sign_ticket(&sale(), &SOMEBODY, 7, EXPIRES);
    assert_eq!(ring.verify_receipt(&ticket, &sale(), &SOMEBODY, BEFORE), Err(TokenError::WrongKind));
    assert_eq!(Receipt::read(&ticket, &sale()), Err(TokenError::WrongKind));
    for bad in ["", "AQUA", &receipt[1..], &format!("{receipt}A")] {
        assert_eq!(Receipt::read(bad, &sale()), Err(TokenError::Malformed), "{bad}");
    }
}

/// Swapping the kind of a signed token needs a new signature.
#[test]
fn a_ticket_rewritten_as_a_pass_is_refused() {
    let ring = ring(&[1]);
    let ticket = ring.sign_ticket(&sale(), &SOMEBODY, 7, EXPIRES);
    // "AQIA" is version 1, kind 2; "AQMA" is version 1, kind 3; "AQEA" is kind 1, of another length.
    let as_pass = ticket.replacen("AQIA", "AQMA", 1);
    let as_visitor = ticket.replacen("AQIA", "AQEA", 1);
    assert_ne!(as_pass, ticket);
    assert_eq!(ring.verify_pass(&as_pass, &sale(), &SOMEBODY, BEFORE), Err(TokenError::BadSignature));
    assert_eq!(ring.verify_visitor(&as_visitor, BEFORE), Err(TokenError::Malformed));
}

#[test]
fn other_spellings_of_the_same_bytes_are_refused() {
    let ring = ring(&[1]);
    let verify = |text: &str| ring.verify_ticket(text, &sale(), &SOMEBODY, BEFORE).map(|ticket| ticket.number);
    // All bits set where the alphabets differ.
    let (number, text) = (0..)
        .map(|number| (number, ring.sign_ticket(&sale(), &SOMEBODY, number, EXPIRES)))
        .find(|(_, text)| text.contains('-') && text.contains('_'))
        .unwrap();
    assert_eq!(verify(&text), Ok(number));
    for other in [
        text.replace('-', "+").replace('_', "/"),
        format!("{text}="),
        format!(" {text}"),
        format!("{text}\n"),
        format!("{text}A"),
        format!("{text}AA"),
        format!("{text}AAAA"),
        format!("{text}{text}"),
    ] {
        assert_eq!(verify(&other), Err(TokenError::Malformed), "{other}");
    }
    // 62 bytes leave 4 unused bits in the last character: setting one is another text of the same bytes.
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let place = alphabet.find(text.chars().last().unwrap()).unwrap();
    for stray in 1..4 {
        let (head, _) = text.split_at(text.len() - 1);
        let spelled = format!("{head}{}", alphabet.chars().nth(place + stray).unwrap());
        assert_eq!(verify(&spelled), Err(TokenError::Malformed));
    }
    assert_eq!(verify(""), Err(TokenError::Malformed));
    assert_eq!(verify("ä"), Err(TokenError::Malformed));
    assert_eq!(verify(&"A".repeat(100_000)), Err(TokenError::Malformed));
}

#[test]
fn keys_and_rings_print_their_ids_only() {
    assert_eq!(format!("{:?} {:?}", key(65), ring(&[65, 66])), "Key(65) [KeyId(65), KeyId(66)]");
}

proptest! {
    #[test]
    fn what_was_signed_is_verified(visitor: [u8; 16], number: u64, expires in 1_u64.., given: u64, sale in "[a-z0-9]{1,63}") {
        let (ring, sale, hash) = (ring(&[3]), sale.parse().unwrap(), VisitorHash(visitor));
        let life = Life { given: Millis(given), expires: Millis(expires) };
        let (expires, now) = (Millis(expires), Millis(expires - 1));
        let ticket = ring.verify_ticket(&ring.sign_ticket(&sale, &hash, number, expires), &sale, &hash, now).unwrap();
        prop_assert_eq!((ticket.visitor, ticket.number, ticket.expires), (hash, number, expires));
        let pass = ring.verify_pass(&ring.sign_pass(&sale, &hash, number, life), &sale, &hash, now).unwrap();
        prop_assert_eq!((pass.visitor, pass.number, pass.life), (hash, number, life));
        let who = ring.verify_visitor(&ring.sign_visitor(&VisitorId(visitor), expires), now).unwrap();
        prop_assert_eq!((who.visitor, who.expires), (VisitorId(visitor), expires));
    }

    #[test]
    fn a_token_altered_anywhere_is_refused(kind in 0..3, number: u64, place: proptest::sample::Index, to: proptest::sample::Index) {
        let ring = ring(&[1, 2]);
        let text = match kind {
            0 => ring.sign_visitor(&VisitorId([3; 16]), EXPIRES),
            1 => ring.sign_ticket(&sale(), &SOMEBODY, number, EXPIRES),
            _ => ring.sign_pass(&sale(), &SOMEBODY, number, LIFE),
        };
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/ .";
        let mut bytes = text.clone().into_bytes();
        bytes[place.index(text.len())] = alphabet[to.index(alphabet.len())];
        let altered = String::from_utf8(bytes).unwrap();
        prop_assume!(altered != text);
        let error = match kind {
            0 => ring.verify_visitor(&altered, BEFORE).unwrap_err(),
            1 => ring.verify_ticket(&altered, &sale(), &SOMEBODY, BEFORE).unwrap_err(),
            _ => ring.verify_pass(&altered, &sale(), &SOMEBODY, BEFORE).unwrap_err(),
        };
        prop_assert!(matches!(error, TokenError::Malformed | TokenError::UnknownKey | TokenError::BadSignature), "{error:?}");
    }

    #[test]
    fn a_token_cut_anywhere_is_refused(keep: proptest::sample::Index) {
        let ring = ring(&[1]);
        let text = ring.sign_pass(&sale(), &SOMEBODY, 1, LIFE);
        let cut = &text[..keep.index(text.len())];
        prop_assert_eq!(ring.verify_pass(cut, &sale(), &SOMEBODY, BEFORE), Err(TokenError::Malformed));
    }

    #[test]
    fn arbitrary_text_is_no_token(text in ".{0,120}") {
        prop_assert!(ring(&[1]).verify_ticket(&text, &sale(), &SOMEBODY, BEFORE).is_err());
    }
}
