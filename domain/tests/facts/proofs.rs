use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::token::{MAX_PROOF_CHARS, Proof, ProofTerms};
use domain::{Challenge, Key, KeyId, Keyring, Millis, ProofError, SaleId, VisitorHash};

const NOW: Millis = Millis(1_800_000_000_000);
const EXPIRES: Millis = Millis(1_800_000_300_000);
const SOMEBODY: VisitorHash = VisitorHash([3; 16]);

fn ring() -> Keyring {
    Keyring::new(vec![Key { id: KeyId(5), secret: [7; 32] }]).unwrap()
}

fn sale() -> SaleId {
    "summer-night".parse().unwrap()
}

fn challenge() -> Challenge {
    let terms = ProofTerms { sale: &sale(), visitor: &SOMEBODY, after: 41, expires: EXPIRES };
    ring().challenge(&terms, 0xabcd, 1_234, 5_000)
}

fn verify(text: &str) -> Result<Proof, ProofError> {
    ring().verify_proof(text, &sale(), &SOMEBODY, NOW)
}

/// The solver's JSON with one value exchanged.
fn with(from: &str, to: &str) -> String {
    let json = String::from_utf8(STANDARD.decode(challenge().solved_by(1_234)).unwrap()).unwrap();
    assert!(json.contains(from), "{from} is not in {json}");
    STANDARD.encode(json.replace(from, to))
}

/// What every solver of ALTCHA computes, and what a script of its own (Python's hashlib and hmac) computes of it.
#[test]
fn a_challenge_has_its_golden_text() {
    let made = challenge();
    let salt =
        "000000000000abcd?expires=1800000300&for=join&sale=summer-night&visitor=AwMDAwMDAwMDAwMDAwMDAw&after=41&key=5&";
    assert_eq!((made.algorithm.as_str(), made.maxnumber, made.salt.as_str()), ("SHA-256", 5_000, salt));
    assert_eq!(made.challenge, "85d39f4c1962d355060f1fbd4046de8f9bbca84e7eafb0f2b1e54853dc0b6667");
    assert_eq!(made.signature, "6e070891cbfc94f3221ab4cf0e71c5574701c9bb3937f90ffd3c0537d626d92d");
    assert_eq!(made.solve(), Some(1_234));
    assert_eq!(Challenge { maxnumber: 1_233, ..made }.solve(), None);
}

#[test]
fn a_solution_buys_what_its_challenge_was_made_for() {
    let bought = Proof { after: 41, expires: EXPIRES };
    assert_eq!(verify(&challenge().solved_by(1_234)), Ok(bought));
    // What other solvers add, and how others write JSON.
    assert_eq!(verify(&with("}", ",\"took\":17.5,\"test\":{\"a\":[1]}}")), Ok(bought));
    assert_eq!(verify(&with("\"number\":", " \"number\" : ")), Ok(bought));
    assert_eq!(verify(&with("summer-night", "summer\\u002dnight")), Ok(bought));
}

#[test]
fn a_solution_of_something_else_is_refused() {
    let text = challenge().solved_by(1_234);
    let (winter, stranger) = ("winter".parse().unwrap(), VisitorHash([4; 16]));
    assert_eq!(ring().verify_proof(&text, &winter, &SOMEBODY, NOW), Err(ProofError::WrongSale));
    assert_eq!(ring().verify_proof(&text, &sale(), &stranger, NOW), Err(ProofError::WrongVisitor));
    assert_eq!(ring().verify_proof(&text, &sale(), &SOMEBODY, EXPIRES), Err(ProofError::Expired));
    let before = Millis(NOW.0 - 61_000);
    assert_eq!(ring().verify_proof(&text, &sale(), &SOMEBODY, before), Err(ProofError::Future));
    let rotated = Keyring::new(vec![Key { id: KeyId(6), secret: [7; 32] }]).unwrap();
    assert_eq!(rotated.verify_proof(&text, &sale(), &SOMEBODY, NOW), Err(ProofError::UnknownKey));
    let other = Keyring::new(vec![Key { id: KeyId(5), secret: [8; 32] }]).unwrap();
    assert_eq!(other.verify_proof(&text, &sale(), &SOMEBODY, NOW), Err(ProofError::BadSignature));
}

#[test]
fn an_altered_solution_is_refused() {
    assert_eq!(verify(&challenge().solved_by(1_233)), Err(ProofError::Unsolved));
    for (from, to) in [
        ("after=41", "after=0"),
        ("after=41", "after=42"),
        ("summer-night", "winter-night"),
        ("expires=1800000300", "expires=1900000300"),
        ("AwMDAwMDAwMDAwMDAwMDAw", "AwMDAwMDAwMDAwMDAwMDBA"),
        ("000000000000abcd", "000000000000abce"),
    ] {
        let error = verify(&with(from, to)).unwrap_err();
        assert!(matches!(error, ProofError::Unsolved | ProofError::Malformed), "{from} as {to}: {error:?}");
    }
    let (key, mine) = (challenge(), &challenge().signature[..8]);
    assert_eq!(verify(&with(mine, "00000000")), Err(ProofError::BadSignature));
    assert_eq!(verify(&with(&key.challenge[..8], "00000000")), Err(ProofError::BadSignature));
    assert_eq!(verify(&with("key=5", "key=4")), Err(ProofError::UnknownKey));
}

/// Moving digits from the number into the salt would give the same hash, and with it a later expiry or another place.
#[test]
fn digits_cannot_move_between_salt_and_number() {
    let spliced = with("&\",\"signature", "&1\",\"signature");
    assert_eq!(verify(&spliced), Err(ProofError::Malformed));
    let moved = with("1234", "234");
    assert_eq!(verify(&moved), Err(ProofError::Unsolved));
    for salt in ["key=5&1", "key=5", "key=5&&", "key=+5&", "after=41&key=5&key=5&"] {
        let text = with("key=5&", salt);
        assert_eq!(verify(&text), Err(ProofError::Malformed), "{salt}");
    }
}

#[test]
fn what_is_no_solution_is_refused_whatever_its_size() {
    let text = challenge().solved_by(1_234);
    let url_safe = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(STANDARD.decode(&text).unwrap());
    let nested = STANDARD.encode(format!("{{\"a\":{}", "[".repeat(700)));
    for bad in [
        "",
        "{}",
        "e30=",
        "bnVsbA==",
        &text[..text.len() - 4],
        &format!("{text}AAAA"),
        &format!(" {text}"),
        &"A".repeat(MAX_PROOF_CHARS),
        &"A".repeat(1 << 20),
        &nested,
        &url_safe,
        &with("SHA-256", "SHA-1"),
        &with("1234", "-1"),
        &with("1234", "1234.5"),
        &with("1234", "\"1234\""),
        &with("1234", "4294967296"),
        &with("\"number\":1234,", ""),
        &with("\"number\":1234", "\"number\":1234,\"number\":1234"),
    ] {
        assert_eq!(verify(bad), Err(ProofError::Malformed), "{bad:.200}");
    }
}
