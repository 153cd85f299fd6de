#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn file() -> (tempfile::TempDir, KeyFile) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    (folder, KeyFile::new(path))
}

fn put(file: &KeyFile, text: &str) {
    files::write_atomically(&file.path, text, 0o600).unwrap();
}

#[test]
fn created_keys_are_read_back_and_are_not_weak() {
    let (_folder, file) = file();
    let made = file.create("dev").unwrap();
    assert_eq!(file.load().unwrap(), made);
    assert!(made.weak().is_empty());
    assert_eq!(fs::metadata(&file.path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_file_others_may_read_is_refused_with_the_fix() {
    let (_folder, file) = file();
    file.create("dev").unwrap();
    fs::set_permissions(&file.path, fs::Permissions::from_mode(0o640)).unwrap();
    let error = file.load().unwrap_err().to_string();
    assert!(error.contains(&format!("chmod 600 {}", file.path.display())), "{error}");
}

#[test]
fn the_visitor_key_of_a_sale_is_made_once_and_edits_of_others_stay() {
    let (_folder, file) = file();
    file.create("dev").unwrap();
    let demo: SaleId = "demo".parse().unwrap();
    let first = file.with_visitor_key(&demo).unwrap();
    let edited = format!("# mine\n{}", fs::read_to_string(&file.path).unwrap());
    put(&file, edited.trim_end());
    let both = file.with_visitor_key(&"other".parse().unwrap()).unwrap();
    assert_eq!(both.visitor.get(&demo), first.visitor.get(&demo));
    assert_eq!(both.visitor.len(), 2);
    assert_eq!(file.with_visitor_key(&demo).unwrap(), both);
    assert!(fs::read_to_string(&file.path).unwrap().starts_with("# mine\n"));
}

#[test]
fn mistakes_name_the_place_and_never_show_a_secret() {
    let (_folder, file) = file();
    let secret = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    let operator = "[[operator]]\nname = \"a\"\nkey = \"hf-0123456789abcdef0123456789abcdef\"\n";
    let cases = [
        (format!("[[token]]\nid = 1\nsecret = \"{}\"\n{operator}", &secret[1..]), "token key 1 is not 64"),
        (format!("[[token]]\nid = 1\nsecret = \"{secret}\n{operator}"), "line 3"),
        (format!("[[token]]\nid = 1\nsercet = \"{secret}\"\n{operator}"), "line 3: unknown field `sercet`"),
        (format!("[[token]]\nid = 1\nsecret = \"{secret}\"\n"), "missing field `operator`"),
        (format!("operator = []\n[[token]]\nid = 1\nsecret = \"{secret}\"\n"), "at least one"),
        (
            format!("[[token]]\nid = 1\nsecret = \"{secret}\"\n[[token]]\nid = 1\nsecret = \"{secret}\"\n{operator}"),
            "two token keys",
        ),
        (
            format!("[[token]]\nid = 1\nsecret = \"{secret}\"\n[[operator]]\nname = \"a\"\nkey = \"short\"\n"),
            "32 or more",
        ),
    ];
    for (text, wanted) in cases {
        put(&file, &text);
        let error = file.load().unwrap_err().to_string();
        assert!(error.contains(wanted), "{error} should say {wanted}");
        assert!(!error.contains(&secret[1..20]), "{error} shows the secret");
    }
}

#[test]
fn made_up_keys_are_weak() {
    let (_folder, file) = file();
    put(
        &file,
        &format!(
            "[[token]]\nid = 1\nsecret = \"{}\"\n[[operator]]\nname = \"a\"\nkey = \"change-me-change-me-change-me-change-me\"\n",
            "00".repeat(32)
        ),
    );
    assert_eq!(file.load().unwrap().weak(), ["token key 1", "operator key \"a\""]);
}

#[test]
fn a_missing_file_says_how_to_make_one() {
    let (_folder, file) = file();
    assert!(file.load().unwrap_err().to_string().contains("holdfast keys create"));
}
