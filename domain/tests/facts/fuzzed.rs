//! The functions of the fuzz targets, driven by a seeded generator: libFuzzer needs another compiler and more time.

#[allow(unreachable_pub, reason = "a crate of its own for libFuzzer")]
#[path = "../../../fuzz/src/lib.rs"]
mod entries;

use rand::rngs::SmallRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};

const CASES: u64 = 5_000;

/// Says which bytes it was when a case fails.
struct Case<'a>(&'a str, u64, &'a [u8]);

impl Drop for Case<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "{}: seed {}, {} bytes: {:?} (HOLDFAST_FUZZ_SEED repeats it)",
                self.0,
                self.1,
                self.2.len(),
                self.2
            );
        }
    }
}

type Entry = fn(&[u8]);

fn drive(name: &str, entry: Entry) {
    let given = std::env::var("HOLDFAST_FUZZ_SEED").ok().and_then(|seed| seed.parse().ok());
    let first = given.unwrap_or_else(rand::random::<u64>);
    eprintln!("{name}: seeds from {first}");
    for seed in (0..if given.is_some() { 1 } else { CASES }).map(|n| first.wrapping_add(n)) {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut bytes = vec![0; rng.random_range(0..200)];
        rng.fill_bytes(&mut bytes);
        let case = Case(name, seed, &bytes);
        entry(case.2);
    }
}

#[test]
fn no_altered_or_foreign_token_is_taken_for_a_good_one() {
    let all: [(&str, Entry); 5] = [
        ("visitor", entries::visitor),
        ("ticket", entries::ticket),
        ("pass", entries::pass),
        ("mark", entries::mark),
        ("receipt", entries::receipt),
    ];
    for (name, entry) in all {
        entry(&[]);
        drive(name, entry);
    }
}

#[test]
fn no_altered_or_foreign_proof_of_work_buys_anything() {
    entries::proof(&[]);
    drive("proof", entries::proof);
}
