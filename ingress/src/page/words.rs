//! The words of the page in every language there is a message file for, and which one a visitor gets.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::LazyLock;

use http::HeaderMap;
use http::header::ACCEPT_LANGUAGE;

use crate::call::Call;
use crate::edge::cookie;

/// Tag and file of each language, English first. The build lists the folder.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/messages.rs"));
/// Remembers the choice made on the page.
pub(super) const COOKIE: &str = "hf_lang";

/// One language.
pub(crate) struct Words {
    /// Its tag: `en`, `ko`, `pt-br`.
    pub(super) tag: &'static str,
    by_key: BTreeMap<String, String>,
}

/// Every language, English first. A file that cannot be read gives no words; a test reads them all.
pub(crate) static LANGUAGES: LazyLock<Vec<Words>> = LazyLock::new(|| {
    FILES.iter().map(|&(tag, text)| Words { tag, by_key: toml::from_str(text).unwrap_or_default() }).collect()
});

static NONE: Words = Words { tag: "en", by_key: BTreeMap::new() };

impl Words {
    /// What is said under this key; the key itself where the file has none.
    pub(super) fn say<'w>(&'w self, key: &'w str) -> &'w str {
        self.by_key.get(key).map_or(key, String::as_str)
    }

    /// Whether the file has words for this key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.by_key.contains_key(key)
    }

    /// What is said under this key, with values for its placeholders.
    pub(super) fn fill(&self, key: &str, values: &[(&str, &dyn Display)]) -> String {
        values.iter().fold(self.say(key).to_owned(), |text, (name, value)| {
            text.replace(&format!("{{{name}}}"), &value.to_string())
        })
    }

    /// The language of a request: what was just chosen, what was chosen before, what the browser asks for, English.
    pub(super) fn of(call: &Call) -> &'static Self {
        let chosen = call.query("lang").and_then(|tag| of_tag(&tag));
        let before = || cookie::get(call.headers(), COOKIE).and_then(of_tag);
        chosen.or_else(before).or_else(|| asked(call.headers())).or_else(|| LANGUAGES.first()).unwrap_or(&NONE)
    }
}

/// The language of exactly this tag.
pub(super) fn of_tag(tag: &str) -> Option<&'static Words> {
    LANGUAGES.iter().find(|words| words.tag.eq_ignore_ascii_case(tag))
}

/// The best of `Accept-Language` (RFC 9110, 12.5.4); `ko-KR` is served by `ko`.
fn asked(headers: &HeaderMap) -> Option<&'static Words> {
    let list = headers.get(ACCEPT_LANGUAGE)?.to_str().ok()?;
    let mut best: Option<(f32, &'static Words)> = None;
    for range in list.split(',').take(32) {
        let (tag, parameters) = range.split_once(';').unwrap_or((range, ""));
        let weight = match parameters.trim().strip_prefix("q=") {
            Some(q) => q.trim().parse().unwrap_or(0.0),
            None => 1.0,
        };
        let tag = tag.trim();
        let first = tag.split('-').next().unwrap_or_default();
        let found = of_tag(tag).or_else(|| of_tag(first));
        if let Some(words) = found
            && weight > 0.0
            && best.is_none_or(|(most, _)| weight > most)
        {
            best = Some((weight, words));
        }
    }
    best.map(|(_, words)| words)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::collections::BTreeSet;

    use super::*;

    fn placeholders(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).map(|rest| rest.split('}').next().unwrap()).collect()
    }

    #[test]
    fn every_language_says_everything_with_the_same_placeholders() {
        assert_eq!(LANGUAGES[0].tag, "en");
        assert!(of_tag("ko").is_some());
        let english = &LANGUAGES[0].by_key;
        assert!(english.len() > 50);
        for (tag, text) in FILES {
            toml::from_str::<BTreeMap<String, String>>(text).unwrap_or_else(|error| panic!("{tag}: {error}"));
        }
        for words in LANGUAGES.iter() {
            assert!(["ltr", "rtl"].contains(&words.say("dir")), "{}", words.tag);
            let (ours, theirs): (Vec<_>, Vec<_>) = (english.keys().collect(), words.by_key.keys().collect());
            assert_eq!(ours, theirs, "{}", words.tag);
            for (key, text) in &words.by_key {
                assert!(!text.is_empty(), "{} {key}", words.tag);
                assert_eq!(placeholders(text), placeholders(&english[key]), "{} {key}", words.tag);
            }
        }
    }

    #[test]
    fn every_key_that_the_code_names_has_words() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/page");
        let mut named = 0;
        for file in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            // Not this file, which names what it looks for.
            let Some(text) = std::fs::read_to_string(&file).ok().filter(|_| !file.ends_with("words.rs")) else {
                continue;
            };
            for start in [".say(\"", ".fill(\"", "words.wait_"] {
                for rest in text.split(start).skip(1) {
                    let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || "_-".contains(*c)).collect();
                    let key = if start.ends_with('_') { format!("wait_{name}") } else { name };
                    assert!(LANGUAGES[0].has(&key), "{} names {key:?}", file.display());
                    named += 1;
                }
            }
        }
        assert!(named > 20, "{named}");
    }

    #[test]
    fn a_browser_gets_the_best_language_there_is() {
        let of = |list: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_LANGUAGE, list.parse().unwrap());
            asked(&headers).map(|words| words.tag)
        };
        assert_eq!(of("ko-KR,ko;q=0.9,en;q=0.8"), Some("ko"));
        assert_eq!(of("fr, en;q=0.3, ko;q=0.4"), Some("ko"));
        assert_eq!(of("en, ko"), Some("en"));
        assert_eq!(of("ko;q=0, EN-gb;q=0.1"), Some("en"));
        assert_eq!(of("fr, *;q=0.5"), None);
        assert_eq!(of(";;;,=,q=1,ko;q=x"), None);
    }
}
