//! `holdfast draw verify` as a visitor meets it: two files, a place, a line per check.

use std::path::{Path, PathBuf};

use admission::draw::{Digest, Held, Published, Seed, Shuffle, Tree, leaf};
use domain::{Key, KeyId, Keyring, Millis, SaleId, VisitorHash};
use serde_json::Value;

use crate::process::{holdfast, refused, run};

struct Files {
    folder: tempfile::TempDir,
    published: Published,
    held: Held,
    place: u32,
}

/// A lobby of 1,000, and what visitor 250 has of it.
fn files() -> Files {
    let sale: SaleId = "summer-night".parse().unwrap();
    let hash = |index: u32| VisitorHash(std::array::from_fn(|n| index.to_be_bytes()[n % 4]));
    let mut tree = Tree::default();
    (0..1_000).for_each(|index| tree.push(leaf(&sale, index, &hash(index))));
    let seed = Seed([5; 32]);
    let place = Shuffle::new(seed.order_key(&tree.root(), ""), 1_000).unwrap().finish().of(250).unwrap();
    let ring = Keyring::new(vec![Key { id: KeyId(1), secret: [1; 32] }]).unwrap();
    let held = Held {
        receipt: ring.sign_receipt(&sale, &hash(250), 250, Millis(1_000)),
        proof: tree.proof(250).unwrap(),
        number: Some(place.into()),
    };
    let published = Published {
        version: 1,
        sale,
        commitment: seed.commitment(),
        public_value_named: None,
        count: 1_000,
        root: tree.root(),
        public_value: None,
        seed: Digest(seed.0),
    };
    Files { folder: tempfile::tempdir().unwrap(), published, held, place }
}

impl Files {
    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn draw(&self) -> PathBuf {
        self.write("draw.json", serde_json::to_string(&self.published).unwrap())
    }

    fn receipt(&self) -> PathBuf {
        self.write("receipt.json", serde_json::to_string(&self.held).unwrap())
    }
}

fn verify(draw: &Path, receipt: &Path, flags: &[&str]) -> (i32, String, String) {
    run(holdfast().args(["draw", "verify"]).arg(draw).arg(receipt).args(flags))
}

#[test]
fn an_honest_draw_is_confirmed_with_the_place_and_a_line_per_check() {
    let files = files();
    let (commitment, root) = (files.published.commitment.to_string(), files.published.root.to_string());
    let flags = ["--commitment", &commitment, "--root", &root];
    let (code, out, err) = verify(&files.draw(), &files.receipt(), &flags);
    assert_eq!((code, err.as_str()), (0, ""));
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines[0], format!("place {} of 1000", files.place));
    assert!(lines.len() == 7 && lines[1..].iter().all(|line| line.starts_with("ok     ")), "{out}");
    let (code, out, _) = verify(&files.draw(), &files.receipt(), &["--json"]);
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &told["ok"], &told["place"]), (0, &true.into(), &files.place.into()));
    assert_eq!(told["checks"].as_array().unwrap().len(), 4);
}

#[test]
fn a_check_that_fails_is_named_and_ends_with_three() {
    let mut files = files();
    files.published.seed = Digest([6; 32]);
    let (code, out, _) = verify(&files.draw(), &files.receipt(), &[]);
    assert!(code == 3 && out.contains("FAILED commitment: the seed hashes to"), "{out}");
    let (code, out, _) = verify(&files.draw(), &files.receipt(), &["--json"]);
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &told["ok"]), (3, &false.into()));
}

#[test]
fn every_damaged_file_is_told_by_name_with_what_is_wrong() {
    let files = files();
    let (draw, receipt) = (files.draw(), files.receipt());
    let text = std::fs::read_to_string(&draw).unwrap();
    let missing = files.folder.path().join("none.json");
    refused(verify(&missing, &receipt, &[]), 1, &["none.json", "No such file"]);
    for (damaged, says) in [
        (text[..text.len() / 2].to_owned(), "EOF"),
        (String::new(), "EOF"),
        (text.replace("\"root\"", "\"rout\""), "unknown field `rout`"),
        (text.replace("\"count\":1000", "\"count\":-1"), "invalid value"),
        (text.replace("\"seed\":\"05", "\"seed\":\"0x"), "must be 64 hexadecimal digits"),
        (text.replace("\"version\":1", "\"version\":9"), "version 9"),
        (text.replace("summer-night", "winter"), "another sale"),
        (text.replace("\"count\":1000", "\"count\":99999999"), "larger than"),
        (text.replace("\"count\":1000", "\"count\":250"), "index 250"),
        (" ".repeat(70_000), "more than"),
    ] {
        refused(verify(&files.write("bad.json", damaged), &receipt, &[]), 1, &["bad.json", says]);
    }
    refused(verify(&files.write("bad.json", [0xFF, 0xFE]), &receipt, &[]), 1, &["bad.json", "UTF-8"]);
    let cut = std::fs::read_to_string(&receipt).unwrap().replacen(&files.held.receipt, &files.held.receipt[1..], 1);
    refused(verify(&draw, &files.write("mine.json", cut), &[]), 1, &["mine.json", "not a token"]);
    let (code, _, err) = verify(&draw, &receipt, &["--root", "abc"]);
    assert!(code == 2 && err.contains("64 hexadecimal digits"), "{err}");
}
