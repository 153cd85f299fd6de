//! What verifying a token costs: `cargo run --release -p domain --example token_cost`.
#![allow(clippy::expect_used, reason = "an example run by hand")]

use std::hint::black_box;
use std::time::Instant;

use domain::fault::Life;
use domain::token::ProofTerms;
use domain::{Key, KeyId, Keyring, Millis, SaleId, VisitorHash, VisitorId};

fn main() {
    let ring = Keyring::new(vec![Key { id: KeyId(1), secret: [7; 32] }]).expect("one key is a ring");
    let sale: SaleId = "summer-night".parse().expect("a name");
    let (visitor, expires, now) = (VisitorHash([3; 16]), Millis(1_800_000_000_000), Millis(1_700_000_000_000));
    let id = ring.sign_visitor(&VisitorId([3; 16]), expires);
    let life = Life { given: now, expires };
    let pass = ring.sign_pass(&sale, &visitor, 42, life);

    measure("sign_pass", || ring.sign_pass(&sale, &visitor, black_box(42), life).len() == pass.len());
    measure("verify_visitor", || ring.verify_visitor(black_box(&id), now).is_ok());
    measure("verify_pass", || ring.verify_pass(black_box(&pass), &sale, &visitor, now).is_ok());
    let at = Millis(1_700_000_100_000);
    let terms = ProofTerms { sale: &sale, visitor: &visitor, after: 0, expires: at };
    let challenge = ring.challenge(&terms, 7, 499_999, 500_000);
    let (right, wrong) = (challenge.solved_by(499_999), challenge.solved_by(7));
    let garbage = "A".repeat(1_024);
    measure("challenge", || ring.challenge(&terms, black_box(7), 499_999, 500_000).maxnumber > 0);
    measure("verify_proof, right", || ring.verify_proof(black_box(&right), &sale, &visitor, now).is_ok());
    measure("verify_proof, wrong number", || ring.verify_proof(black_box(&wrong), &sale, &visitor, now).is_err());
    measure("verify_proof, garbage", || ring.verify_proof(black_box(&garbage), &sale, &visitor, now).is_err());
    let begin = Instant::now();
    let found = challenge.solve();
    println!("solve: {:.0} ns a hash, found {found:?}", begin.elapsed().as_secs_f64() * 1e9 / 500_000.0);
    measure("VisitorHash::derive", || VisitorHash::derive(black_box(&[7; 32]), &VisitorId([3; 16])) != visitor);
}

fn measure(what: &str, work: impl Fn() -> bool) {
    const RUNS: u32 = 1_000_000;
    let start = Instant::now();
    let good = (0..RUNS).filter(|_| work()).count();
    println!("{what}: {:.0} ns ({good} of {RUNS} good)", start.elapsed().as_secs_f64() * 1e9 / f64::from(RUNS));
}
