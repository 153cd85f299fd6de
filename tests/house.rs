//! The house: which crate may use which, how long a file may be, and what must not stand in the repository.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// Arrows between the crates of the workspace. Everybody may use `domain`, the program everything.
const ARROWS: [(&str, &[&str]); 8] = [
    ("domain", &[]),
    ("lua", &["domain"]),
    ("ledger", &["domain"]),
    ("admission", &["domain", "lua", "ledger"]),
    ("booker", &["domain", "lua", "ledger"]),
    ("ingress", &["domain", "admission", "booker"]),
    ("loadtest", &["domain"]),
    ("holdfast", &["domain", "lua", "ledger", "admission", "booker", "ingress", "loadtest"]),
];

/// Tests of a crate may start the real servers that the crates below it own.
const ARROWS_OF_TESTS: [(&str, &[&str]); 1] = [("ingress", &["lua", "ledger"])];

/// What knows an external system belongs to one crate.
const OWNERS: [(&str, &str); 9] = [
    ("redis", "lua"),
    ("fred", "lua"),
    ("rusqlite", "ledger"),
    ("scylla", "ledger"),
    ("hyper", "ingress"),
    ("hyper-util", "ingress"),
    ("matchit", "ingress"),
    ("tokio-rustls", "ingress"),
    ("utoipa", "ingress"),
];

/// Lines of a source file, beyond which nobody holds it in the head.
const MAX_LINES: usize = 500;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn metadata() -> Metadata {
    MetadataCommand::new().current_dir(root()).no_deps().exec().unwrap()
}

/// Files of the repository: everything but what git keeps for itself and what is built or run here.
fn files() -> Vec<PathBuf> {
    fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !["target", ".git", "holdfast-data"].contains(&name.as_str()) {
                walk(&path, files);
            } else if path.is_file() && name != ".git" {
                files.push(path);
            }
        }
    }
    let mut files = Vec::new();
    walk(root(), &mut files);
    files.sort();
    files
}

fn texts() -> impl Iterator<Item = (PathBuf, String)> {
    files().into_iter().filter_map(|path| {
        let text = fs::read_to_string(&path).ok()?;
        Some((path.strip_prefix(root()).unwrap().to_owned(), text))
    })
}

#[test]
fn crates_use_each_other_only_along_the_arrows() {
    let arrows: BTreeMap<_, _> = ARROWS.into_iter().collect();
    let of_tests: BTreeMap<_, _> = ARROWS_OF_TESTS.into_iter().collect();
    let metadata = metadata();
    let members: BTreeSet<String> = metadata.packages.iter().map(|package| package.name.to_string()).collect();
    assert_eq!(members, arrows.keys().map(|name| (*name).to_owned()).collect());
    for package in &metadata.packages {
        let from = package.name.as_str();
        for dependency in package.dependencies.iter().filter(|dependency| members.contains(&dependency.name)) {
            let to = dependency.name.as_str();
            let in_tests = dependency.kind == DependencyKind::Development
                && (to == from || of_tests.get(from).is_some_and(|more| more.contains(&to)));
            assert!(arrows[from].contains(&to) || in_tests, "{from} -> {to} is no arrow of the house");
        }
    }
}

#[test]
fn each_external_system_is_known_to_one_crate() {
    let owners: BTreeMap<_, _> = OWNERS.into_iter().collect();
    for package in &metadata().packages {
        for dependency in &package.dependencies {
            if let Some(owner) = owners.get(dependency.name.as_str()) {
                assert_eq!(package.name.as_str(), *owner, "only {owner} may use {}", dependency.name);
            }
        }
    }
}

#[test]
fn bugs_can_be_planted_in_tests_only() {
    for package in &metadata().packages {
        let (name, planted) = (package.name.as_str(), "planted".to_owned());
        assert_eq!(package.features.contains_key(&planted), name == "domain", "{name} has a feature {planted}");
        for dependency in package.dependencies.iter().filter(|dependency| dependency.features.contains(&planted)) {
            assert_eq!(dependency.kind, DependencyKind::Development, "{name} plants bugs in what is used");
        }
    }
}

#[test]
fn every_external_crate_has_a_sentence_of_reason() {
    let manifest: toml::Table = fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let reasons = fs::read_to_string(root().join("docs/decisions/0002-dependencies.md")).unwrap();
    let crates = manifest["workspace"]["dependencies"].as_table().unwrap();
    let external = crates.iter().filter(|(_, how)| how.get("path").is_none());
    let missing: Vec<_> =
        external.map(|(name, _)| name).filter(|name| !reasons.contains(&format!("| `{name}` |"))).collect();
    assert!(missing.is_empty(), "docs/decisions/0002-dependencies.md has no line for {missing:?}");
}

#[test]
fn no_source_file_is_longer_than_one_can_hold_in_the_head() {
    let source = |path: &Path| path.extension().is_some_and(|end| end == "rs" || end == "lua");
    let long: Vec<_> = texts()
        .filter(|(path, text)| source(path) && text.lines().count() > MAX_LINES)
        .map(|(path, text)| (path, text.lines().count()))
        .collect();
    assert!(long.is_empty(), "more than {MAX_LINES} lines: {long:?}");
}

#[test]
fn nothing_in_the_repository_names_a_path_of_one_machine() {
    // Put together here, so that this file does not find itself.
    let places = ["work", "root", "farm", "home"].map(|folder| format!("/{folder}/"));
    let found: Vec<_> = texts()
        .filter(|(path, _)| path != Path::new("Cargo.lock"))
        .flat_map(|(path, text)| {
            let hits: Vec<_> =
                text.lines().filter(|line| places.iter().any(|place| names(line, place))).map(str::to_owned).collect();
            hits.into_iter().map(move |line| (path.clone(), line))
        })
        .collect();
    assert!(found.is_empty(), "{found:#?}");
}

/// Whether the line has the path as the beginning of an absolute one, not as the middle of a URL or of another path.
fn names(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|char| char.is_alphanumeric() || "._-}/".contains(char))
    })
}

#[test]
fn pages_that_are_made_of_the_program_are_what_it_makes() {
    for (command, page) in
        [("metrics-page", "metrics.md"), ("cli-page", "cli.md"), ("errors-page", "errors.md"), ("man", "holdfast.1")]
    {
        let out = Command::new(env!("CARGO_BIN_EXE_holdfast")).arg(command).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let kept = fs::read_to_string(root().join("docs").join(page)).unwrap_or_default();
        assert!(
            kept == String::from_utf8_lossy(&out.stdout),
            "docs/{page} is not current: cargo run -- {command} > docs/{page}"
        );
    }
}
