//! What a visitor's check says of good files and of tampered ones.

use domain::{Key, KeyId, Keyring, Millis};

use super::*;

const COUNT: u32 = 100;
const INDEX: u32 = 37;

fn good() -> (Published, Held) {
    let (seed, tree) = (Seed([8; 32]), lobby(COUNT));
    let key = seed.order_key(&tree.root(), "beacon 12");
    let place = Shuffle::new(key, COUNT.into()).unwrap().finish().of(INDEX.into()).unwrap();
    let published = Published {
        version: 1,
        sale: sale(),
        commitment: seed.commitment(),
        public_value_named: Some("round 12 of the beacon".into()),
        count: COUNT.into(),
        root: tree.root(),
        public_value: Some("beacon 12".into()),
        seed: Digest(seed.0),
    };
    let held =
        Held { receipt: receipt(INDEX, INDEX), proof: tree.proof(INDEX.into()).unwrap(), number: Some(place.into()) };
    (published, held)
}

fn receipt(index: u32, whose: u32) -> String {
    let ring = Keyring::new(vec![Key { id: KeyId(1), secret: [1; 32] }]).unwrap();
    ring.sign_receipt(&sale(), &visitor(whose), index.into(), Millis(1_000))
}

fn failed(published: &Published, held: &Held, noted: &Noted) -> Vec<&'static str> {
    let checked = published.check(held, noted).unwrap();
    checked.checks.iter().filter(|check| !check.ok).map(|check| check.check).collect()
}

#[test]
fn an_honest_draw_passes_every_check() {
    let (published, held) = good();
    let noted = Noted { commitment: Some(published.commitment), root: Some(published.root) };
    let checked = published.check(&held, &noted).unwrap();
    assert!(checked.ok(), "{checked:?}");
    assert_eq!((checked.index, checked.count, u64::from(checked.place)), (37, 100, held.number.unwrap()));
    assert_eq!(checked.checks.len(), 6);
    let text = serde_json::to_string(&published).unwrap();
    assert_eq!(serde_json::from_str::<Published>(&text).unwrap(), published);
    let text = serde_json::to_string(&held).unwrap();
    assert_eq!(serde_json::from_str::<Held>(&text).unwrap(), held);
}

#[test]
fn each_thing_exchanged_fails_its_own_check() {
    let (published, held) = good();
    let none = Noted::default();
    let other = Digest([77; 32]);
    // Another seed than the one committed to: the place differs as well.
    assert!(failed(&Published { seed: other, ..published.clone() }, &held, &none).contains(&"commitment"));
    // Commitment and seed both exchanged: only a note finds it.
    let both = Published { seed: other, commitment: Seed(other.0).commitment(), ..published.clone() };
    let unnumbered = Held { number: None, ..held.clone() };
    assert_eq!(failed(&both, &unnumbered, &none), Vec::<&str>::new());
    let noted = Noted { commitment: Some(published.commitment), root: Some(published.root) };
    assert_eq!(failed(&both, &unnumbered, &noted), ["noted_commitment"]);
    let rooted = Published { root: other, ..published.clone() };
    assert_eq!(failed(&rooted, &unnumbered, &noted), ["receipt", "noted_root"]);
    // A receipt that was exchanged for another visitor's.
    assert_eq!(failed(&published, &Held { receipt: receipt(INDEX, 5), ..held.clone() }, &none), ["receipt"]);
    assert_eq!(failed(&published, &Held { proof: Vec::new(), ..held.clone() }, &none), ["receipt"]);
    // A number that is not the place drawn.
    assert_eq!(failed(&published, &Held { number: Some(0), ..held.clone() }, &none), ["number"]);
    // One more visitor drawn than the root stands for.
    assert!(failed(&Published { count: 101, ..published.clone() }, &held, &none).contains(&"receipt"));
    for (named, value) in [(Some("x"), None), (None, Some("x"))] {
        let bent = Published {
            public_value_named: named.map(Into::into),
            public_value: value.map(Into::into),
            ..published.clone()
        };
        assert!(failed(&bent, &held, &none).contains(&"public_value"));
    }
}

#[test]
fn files_that_cannot_be_checked_are_told_apart() {
    let (published, held) = good();
    let check = |published: Published, held: Held| published.check(&held, &Noted::default()).unwrap_err();
    assert_eq!(check(Published { version: 2, ..published.clone() }, held.clone()), BadDraw::Version(2));
    let many = Published { count: u64::MAX, ..published.clone() };
    assert_eq!(check(many, held.clone()), BadDraw::TooMany(TooMany(u64::MAX)));
    let empty = Published { public_value: Some(String::new()), ..published.clone() };
    assert_eq!(check(empty, held.clone()), BadDraw::PublicValue);
    let outside = Held { receipt: receipt(100, 100), ..held.clone() };
    assert_eq!(check(published.clone(), outside), BadDraw::NotInLobby { index: 100, count: 100 });
    let winter = Published { sale: "winter".parse().unwrap(), ..published.clone() };
    assert!(check(winter, held.clone()).to_string().contains("another sale"));
    for bad in ["", "AQUA", "not a receipt"] {
        assert!(
            check(published.clone(), Held { receipt: bad.into(), ..held.clone() }).to_string().contains("not a token")
        );
    }
    let ring = Keyring::new(vec![Key { id: KeyId(1), secret: [1; 32] }]).unwrap();
    let ticket = ring.sign_ticket(&sale(), &visitor(INDEX), 37, Millis(1_000));
    assert!(check(published, Held { receipt: ticket, ..held }).to_string().contains("another kind"));
}
