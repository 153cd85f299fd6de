#![allow(clippy::unwrap_used, clippy::panic)]

mod chance;
mod page;
mod published;

use std::time::Instant;

use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng as _, SeedableRng as _};
use domain::{SaleId, VisitorHash};
use proptest::prelude::*;

use super::*;

fn sale() -> SaleId {
    "summer-night".parse().unwrap()
}

/// A visitor's hash that differs per index.
fn visitor(index: u32) -> VisitorHash {
    let mut bytes = [0xA5; 16];
    bytes[..4].copy_from_slice(&index.to_be_bytes());
    VisitorHash(bytes)
}

/// A lobby of `count`.
fn lobby(count: u32) -> Tree {
    let mut tree = Tree::default();
    (0..count).for_each(|index| tree.push(lobby_leaf(index)));
    tree
}

fn lobby_leaf(index: u32) -> Digest {
    leaf(&sale(), index, &visitor(index))
}

fn order(key: u64, count: u64) -> Places {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&key.to_be_bytes());
    Shuffle::new(Seed(bytes).order_key(&Digest([1; 32]), ""), count).unwrap().finish()
}

/// The tree as the documentation describes it, level by level.
fn slow_root(mut level: Vec<Digest>) -> Digest {
    let count = level.len() as u64;
    let hash = |parts: &[&[u8]]| Digest(Sha256::digest(parts.concat()).into());
    while level.len() > 1 {
        level = level
            .chunks(2)
            .map(|pair| if let [left, right] = pair { hash(&[&[1], &left.0, &right.0]) } else { pair[0] })
            .collect();
    }
    let top = level.first().copied().unwrap_or(Digest([0; 32]));
    hash(&[&[2], &count.to_be_bytes(), &top.0])
}

#[test]
fn the_stream_is_chacha20_of_rfc_8439_from_block_zero_with_a_nonce_of_zeros() {
    // RFC 8439, appendix A.1, test vectors 1 and 2.
    let mut words = ChaCha20Rng::from_seed([0; 32]);
    let mut block = [0; 64];
    words.fill_bytes(&mut block);
    assert!(block.starts_with(&[0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90]));
    assert_eq!(words.next_u32(), u32::from_le_bytes([0x9f, 0x07, 0xe7, 0xbe]));
}

#[test]
fn every_visitor_gets_one_place_and_every_place_one_visitor() {
    for count in [0, 1, 2, 3, 1_000] {
        let places = order(7, count);
        let mut sorted = places.as_slice().to_vec();
        sorted.sort_unstable();
        assert!(sorted.into_iter().map(u64::from).eq(1..=count));
        assert_eq!((places.count(), places.of(count)), (count, None));
    }
}

#[test]
fn an_order_is_the_same_however_its_steps_were_cut() {
    let whole = order(9, 5_000);
    for most in [1, 7, 4_999] {
        let key = {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&9_u64.to_be_bytes());
            Seed(bytes).order_key(&Digest([1; 32]), "")
        };
        let mut shuffle = Shuffle::new(key, 5_000).unwrap();
        let mut steps = 1;
        while shuffle.step(most) {
            steps += 1;
        }
        assert_eq!(steps, 4_999_u32.div_ceil(most));
        assert!(!shuffle.step(most), "what is done stays done");
        assert_eq!(shuffle.finish(), whole);
    }
}

#[test]
fn seed_root_and_public_value_each_change_the_order() {
    let (seed, root) = (Seed([3; 32]), Digest([4; 32]));
    let key = seed.order_key(&root, "round 1");
    for other in [
        Seed([5; 32]).order_key(&root, "round 1"),
        seed.order_key(&Digest([5; 32]), "round 1"),
        seed.order_key(&root, "round 2"),
        seed.order_key(&root, ""),
    ] {
        assert_ne!(key, other);
        assert_ne!(Shuffle::new(key, 100).unwrap().finish(), Shuffle::new(other, 100).unwrap().finish());
    }
    assert!(!format!("{seed:?}").contains('3'), "a seed is not printed by accident");
}

#[test]
fn a_lobby_beyond_the_limit_is_refused() {
    let most = u64::from(domain::limits::MAX_LOBBY);
    assert_eq!(Shuffle::new([0; 32], most + 1).err(), Some(TooMany(most + 1)));
    assert_eq!(Shuffle::new([0; 32], u64::MAX).err(), Some(TooMany(u64::MAX)));
}

#[test]
fn a_million_visitors_take_four_bytes_each_and_are_drawn_in_short_steps() {
    let begin = Instant::now();
    let mut tree = Tree::default();
    let mut longest = 0;
    for chunk in 0..1_000_u32 {
        let step = Instant::now();
        (chunk * 1_000..(chunk + 1) * 1_000).for_each(|index| tree.push(lobby_leaf(index)));
        longest = longest.max(step.elapsed().as_micros());
    }
    let root = tree.root();
    let rooted = begin.elapsed();
    let mut shuffle = Shuffle::new(Seed([9; 32]).order_key(&root, ""), tree.count()).unwrap();
    while shuffle.step(1_000) {}
    let places = shuffle.finish();
    // Figures for whoever looks (--nocapture); a loaded machine must not fail the test.
    println!(
        "1,000,000 leaves and root {rooted:?} (longest 1,000: {longest} us), shuffle {:?}",
        begin.elapsed() - rooted
    );
    assert_eq!((places.count(), places.bytes()), (1_000_000, 4_000_000));
    let proof = tree.proof(999_999).unwrap();
    assert_eq!(root_from(&lobby_leaf(999_999), 999_999, 1_000_000, &proof), Ok(root));
    assert!(proof.len() <= 20);
}

#[test]
fn a_leaf_is_no_node_and_no_other_receipt() {
    let ours = leaf(&sale(), 7, &visitor(7));
    assert_ne!(ours, leaf(&sale(), 8, &visitor(7)));
    assert_ne!(ours, leaf(&sale(), 7, &visitor(8)));
    assert_ne!(ours, leaf(&"summer-nigh".parse().unwrap(), 7, &visitor(7)));
    // The two leaves below a root, offered as if they were one leaf's bytes, lead elsewhere: the first byte differs.
    let (left, right) = (lobby_leaf(0), lobby_leaf(1));
    let forged = Digest(Sha256::digest([&[0][..], &left.0, &right.0].concat()).into());
    assert_ne!(root_from(&forged, 0, 1, &[]).unwrap(), lobby(2).root());
}

#[test]
fn a_root_stands_for_one_count_only() {
    // Two counts whose proofs for leaf 0 have the same shape.
    let (tree, proof) = (lobby(5), lobby(5).proof(0).unwrap());
    assert_eq!(proof.len(), lobby(6).proof(0).unwrap().len());
    assert_eq!(root_from(&lobby_leaf(0), 0, 5, &proof), Ok(tree.root()));
    assert_ne!(root_from(&lobby_leaf(0), 0, 6, &proof), Ok(tree.root()));
}

#[test]
fn a_proof_of_the_wrong_length_is_told() {
    let proof = lobby(5).proof(4).unwrap();
    assert_eq!(proof.len(), 1, "an odd last leaf goes up as it is");
    assert_eq!(root_from(&lobby_leaf(4), 4, 5, &[]), Err(BadProof::Length { expected: 1, found: 0 }));
    let long = [proof[0], proof[0]];
    assert_eq!(root_from(&lobby_leaf(4), 4, 5, &long), Err(BadProof::Length { expected: 1, found: 2 }));
    assert_eq!(root_from(&lobby_leaf(5), 5, 5, &proof), Err(BadProof::NoSuchLeaf { index: 5, count: 5 }));
    assert_eq!(Tree::default().root(), slow_root(Vec::new()));
    assert_eq!((Tree::default().proof(0), lobby(5).proof(5)), (None, None));
}

#[test]
fn a_book_has_the_root_and_the_proofs_of_the_tree() {
    for count in [0_u32, 1, 2, 1_023, 1_024, 1_025, 2_048, 3_071, 5_000] {
        let (tree, book) = (lobby(count), Book::new(sale(), (0..count).map(visitor).collect()));
        assert_eq!((book.root(), book.count()), (tree.root(), tree.count()), "{count}");
        for index in [0, 1, count / 2, count.saturating_sub(1), count].map(u64::from) {
            assert_eq!(book.proof(index), tree.proof(index), "{index} of {count}");
        }
        let all: Vec<Digest> = (0..count).map(lobby_leaf).collect();
        assert_eq!(book.leaves(0, usize::MAX), all);
        assert_eq!(book.leaves(3, 2), all.iter().skip(3).take(2).copied().collect::<Vec<_>>());
        assert!(book.leaves(count.into(), 9).is_empty() && book.leaves(u64::MAX, 9).is_empty());
    }
}

#[test]
fn the_seed_of_a_sale_follows_from_its_visitor_key_and_from_nothing_else() {
    let seed = Seed::of(&[7; 32], &sale());
    assert_eq!(seed, Seed::of(&[7; 32], &sale()));
    assert_ne!(seed, Seed::of(&[8; 32], &sale()));
    assert_ne!(seed, Seed::of(&[7; 32], &"winter".parse().unwrap()));
}

#[test]
fn a_digest_is_read_back_and_anything_else_is_none() {
    let digest = Digest(std::array::from_fn(|n| u8::try_from(n * 7).unwrap()));
    assert_eq!(digest.to_string().parse(), Ok(digest));
    let upper = digest.to_string().to_uppercase();
    assert_eq!(upper.parse(), Ok(digest));
    for bad in ["", "00", &"g".repeat(64), &"0".repeat(63), &"ä".repeat(32), &format!("+{}", "0".repeat(63))] {
        assert_eq!(bad.parse::<Digest>(), Err(NotADigest), "{bad}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_leaf_of_every_lobby_has_a_proof_and_no_other_leaf_fits_it(count in 1_u32..200, pick in 0_u32..200, bit in 0_usize..256) {
        let (tree, index) = (lobby(count), pick % count);
        let mut peaks = Peaks::default();
        (0..count).for_each(|index| peaks.push(lobby_leaf(index)));
        prop_assert_eq!((peaks.root(), peaks.count()), (tree.root(), tree.count()));
        prop_assert_eq!(tree.root(), slow_root((0..count).map(lobby_leaf).collect()));
        let proof = tree.proof(u64::from(index)).unwrap();
        prop_assert_eq!(root_from(&lobby_leaf(index), index.into(), count.into(), &proof), Ok(tree.root()));
        let other = leaf(&sale(), index, &visitor(index + 1));
        prop_assert_ne!(root_from(&other, index.into(), count.into(), &proof), Ok(tree.root()));
        for at in 0..proof.len() {
            let mut forged = proof.clone();
            forged[at].0[bit / 8] ^= 1 << (bit % 8);
            prop_assert_ne!(root_from(&lobby_leaf(index), index.into(), count.into(), &forged), Ok(tree.root()));
        }
    }
}
