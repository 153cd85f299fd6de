//! `docs/draw.md`: its test vectors are computed here, and its Python program recomputes them where there is a Python.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use super::*;

fn page() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/draw.md")).unwrap_or_default()
}

fn block<'a>(page: &'a str, language: &str) -> &'a str {
    let fence = format!("```{language}\n");
    let from = page.find(&fence).unwrap_or_else(|| panic!("docs/draw.md has no {language} block")) + fence.len();
    let to = page[from..].find("```").unwrap() + from;
    &page[from..to]
}

/// One line per vector: what goes in and what comes out, as `name value`.
fn vectors() -> String {
    let mut text = String::new();
    for (count, seed, public_value) in [(1_u32, 0_u8, ""), (7, 1, ""), (7, 1, "drand 4242"), (1_000, 2, "drand 4242")] {
        let (seed, tree) = (Seed([seed; 32]), lobby(count));
        let places = Shuffle::new(seed.order_key(&tree.root(), public_value), count.into()).unwrap().finish();
        let all = places.as_slice().iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let hash = Digest(Sha256::digest(&all).into());
        let index = count / 2;
        writeln!(text, "seed {}", Digest(seed.0)).unwrap();
        writeln!(text, "commitment {}", seed.commitment()).unwrap();
        writeln!(text, "count {count}").unwrap();
        writeln!(text, "public_value {public_value}").unwrap();
        writeln!(text, "leaf_{index} {}", lobby_leaf(index)).unwrap();
        writeln!(text, "root {}", tree.root()).unwrap();
        writeln!(text, "first_places {}", all.split(',').take(7).collect::<Vec<_>>().join(",")).unwrap();
        writeln!(text, "sha256_of_all_places {hash}\n").unwrap();
    }
    text
}

#[test]
fn the_vectors_of_the_page_are_what_the_program_draws() {
    let vectors = vectors();
    assert!(block(&page(), "vectors") == vectors, "docs/draw.md: the block of vectors must be:\n{vectors}");
}

#[test]
fn an_independent_program_in_another_language_comes_to_the_same_vectors() {
    let page = page();
    let python = Command::new("python3").arg("-").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut python) = python else {
        println!("left out: there is no python3 on this machine");
        return;
    };
    python.stdin.take().unwrap().write_all(block(&page, "python").as_bytes()).unwrap();
    let out = python.wait_with_output().unwrap();
    assert!(out.status.success());
    assert_eq!(String::from_utf8(out.stdout).unwrap().trim_end(), block(&page, "vectors").trim_end());
}
