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

/// A file of the time when each sale's key was made by itself, with somebody's comments.
fn old_file() -> (tempfile::TempDir, KeyFile) {
    let (folder, file) = file();
    let random = || Secret::random().text();
    let text = format!(
        "# mine\n[[token]]\nid = 1\nsecret = \"{}\"\n[[operator]]\nname = \"a\"\nkey = \"hf-{}\"\n\n[[visitor]]\nsale = \"demo\"\nkey = \"{}\"\n# also mine\n[[visitor]]\nkey = \"{}\"\nsale = \"other\"",
        random(),
        random(),
        random(),
        random(),
    );
    put(&file, &text);
    (folder, file)
}

fn sale(name: &str) -> SaleId {
    name.parse().unwrap()
}

#[test]
fn an_older_file_is_completed_once_and_keeps_its_keys_and_comments() {
    let (_folder, file) = old_file();
    let old = file.load().unwrap();
    assert!(!old.is_complete());
    let keys = file.complete().unwrap();
    assert!(keys.is_complete());
    assert_eq!((&keys.visitor, &keys.token), (&old.visitor, &old.token));
    assert_eq!(keys.visitor_key(&sale("demo")), Some(old.visitor[&sale("demo")].0));
    assert!(keys.visitor_key(&sale("third")).is_some());
    assert_eq!(file.complete().unwrap(), keys, "nothing is made twice");
    let text = fs::read_to_string(&file.path).unwrap();
    assert!(text.starts_with("# mine\n") && text.contains("# also mine\n"));
}

#[test]
fn processes_that_complete_a_file_at_once_get_the_same_keys() {
    let (_folder, file) = old_file();
    let all: Vec<Keys> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| file.complete().unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(all.iter().all(|keys| *keys == all[0]));
}

#[test]
fn a_forgotten_sale_has_no_key_and_others_keep_theirs() {
    let (_folder, file) = old_file();
    let before = file.complete().unwrap();
    for name in ["other", "third"] {
        let now = file.forget(&sale(name)).unwrap();
        assert_eq!(file.load().unwrap(), now);
        assert_eq!(now.visitor_key(&sale(name)), None);
        for kept in ["demo", "fourth"] {
            assert_eq!(now.visitor_key(&sale(kept)), before.visitor_key(&sale(kept)));
        }
        assert!(now.is_complete());
    }
    assert_eq!(file.complete().unwrap().visitor_key(&sale("third")), None, "it is not made anew");
    let text = fs::read_to_string(&file.path).unwrap();
    assert!(text.starts_with("# mine\n") && text.contains("# also mine\n"), "{text}");
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
fn keys_change_in_steps_and_no_step_takes_a_key_away_that_somebody_uses() {
    let (_folder, file) = file();
    let old = file.create("a").unwrap();
    assert!(file.rotate(Step::Use).unwrap_err().to_string().contains("keys rotate add"));
    let added = file.rotate(Step::Add).unwrap();
    assert_eq!((added.token.len(), added.process.len()), (2, 2));
    assert_eq!(
        (&added.token[..1], &added.process[..1]),
        (&old.token[..], &old.process[..]),
        "nobody uses the new ones"
    );
    assert_eq!(file.rotate(Step::Add).unwrap(), added, "one change at a time");
    assert!(file.rotate(Step::Drop).unwrap_err().to_string().contains("keys rotate use"));
    let used = file.rotate(Step::Use).unwrap();
    assert_eq!(used.token, [added.token[1].clone(), added.token[0].clone()]);
    assert_eq!(used.process, [added.process[1], added.process[0]]);
    assert_eq!(file.rotate(Step::Use).unwrap(), used);
    let dropped = file.rotate(Step::Drop).unwrap();
    assert_eq!((dropped.token, dropped.process), (vec![added.token[1].clone()], vec![added.process[1]]));
    assert_eq!((dropped.branches, dropped.operator), (old.branches, old.operator));
    assert_eq!(file.rotate(Step::Add).unwrap().token[1].id, 3, "no id is used twice");
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

#[test]
fn a_key_knows_when_it_was_made_through_every_step_of_a_change() {
    let (_folder, file) = file();
    let before = (admission::clock::system())();
    let first = file.create("dev").unwrap();
    let made = first.token[0].made.unwrap();
    assert!(made >= before && file.signs_since(&first) == Some(made));
    let added = file.rotate(Step::Add).unwrap();
    let newest = added.token[1].made.unwrap();
    assert_eq!((added.token[0].made, newest >= made), (Some(made), true));
    assert_eq!(file.signs_since(&added), Some(made), "the old one signs");
    let used = file.rotate(Step::Use).unwrap();
    assert_eq!((file.signs_since(&used), used.token[1].made), (Some(newest), Some(made)));
    assert_eq!(file.rotate(Step::Drop).unwrap().token[0].made, Some(newest));
}

#[test]
fn a_key_that_does_not_know_it_is_as_old_as_its_file() {
    let (_folder, file) = old_file();
    let keys = file.load().unwrap();
    assert_eq!(keys.token[0].made, None);
    let changed = fs::metadata(&file.path).unwrap().modified().unwrap();
    let since = changed.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    assert_eq!(file.signs_since(&keys), Some(domain::Millis(u64::try_from(since).unwrap())));
}
