//! Every script's header says what its body does and what the Rust call sends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use super::{IDS, Id, own_text};

/// A header taken apart.
struct Header {
    purpose: String,
    guarantee: bool,
    keys: Vec<usize>,
    /// Numbers in `[n]` and `[n..]`.
    args: Vec<usize>,
    /// Where the repeated part begins, and the figures before "per" in its text.
    repeated: Option<(usize, Vec<usize>)>,
    replies: String,
}

fn parse(id: Id) -> Header {
    let mut header = Header {
        purpose: String::new(),
        guarantee: false,
        keys: vec![],
        args: vec![],
        repeated: None,
        replies: String::new(),
    };
    let mut section = "";
    for line in own_text(id).lines().map_while(|line| line.strip_prefix("--")) {
        let line = line.strip_prefix(' ').unwrap_or(line);
        match line {
            "KEYS" | "ARGV" | "Replies" => section = line,
            _ if header.purpose.is_empty() => header.purpose = line.to_owned(),
            _ if line.starts_with("Guarantee: ") => header.guarantee = true,
            _ => read_line(&mut header, section, line),
        }
    }
    header
}

fn read_line(header: &mut Header, section: &str, line: &str) {
    let numbered = line.strip_prefix("  [").and_then(|rest| rest.split_once(']'));
    match (section, numbered) {
        ("KEYS", Some((n, _))) => header.keys.push(n.parse().unwrap()),
        ("ARGV", Some((n, text))) => match n.strip_suffix("..") {
            Some(n) => {
                let words: Vec<&str> = text.split_whitespace().collect();
                let figures = words.windows(2).filter(|pair| pair[1] == "per").map(|pair| pair[0].parse().unwrap());
                header.repeated = Some((n.parse().unwrap(), figures.collect()));
            }
            None => header.args.push(n.parse().unwrap()),
        },
        ("Replies", _) => {
            header.replies.push_str(line);
            header.replies.push('\n');
        }
        _ => {}
    }
}

/// Whole numbers that follow `what` in the body.
fn indices(body: &str, what: &str) -> BTreeSet<usize> {
    body.match_indices(what)
        .filter_map(|(at, _)| {
            let rest = &body[at + what.len()..];
            rest[..rest.find(']')?].parse().ok()
        })
        .collect()
}

fn body(id: Id) -> String {
    own_text(id).lines().filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join("\n")
}

/// Constants of a line such as `local A, B = 0, 1`.
fn constants(body: &str) -> Vec<(String, usize)> {
    let mut all = vec![];
    for line in body.lines() {
        let Some((names, values)) = line.strip_prefix("local ").and_then(|rest| rest.split_once(" = ")) else {
            continue;
        };
        let names: Vec<&str> = names.split(", ").collect();
        if names.iter().any(|name| name.chars().any(|c| !c.is_ascii_uppercase() && c != '_')) {
            continue;
        }
        let values: Vec<Option<usize>> = values.split(", ").map(|value| value.parse().ok()).collect();
        if names.len() == values.len() {
            all.extend(names.iter().zip(values).filter_map(|(name, value)| Some(((*name).to_owned(), value?))));
        }
    }
    all
}

#[test]
fn every_header_has_its_parts() {
    for id in IDS {
        let (header, name) = (parse(id), id.script().name);
        assert!(header.purpose.starts_with(&format!("{name}: ")), "{name}: {}", header.purpose);
        assert!(header.guarantee, "{name} guarantees nothing");
        assert!(!header.replies.is_empty(), "{name} has no replies");
    }
}

#[test]
fn every_header_lists_the_keys_that_the_body_uses_and_the_call_sends() {
    for id in IDS {
        let (header, name, keys) = (parse(id), id.script().name, id.script().keys);
        assert_eq!(header.keys, (1..=keys).collect::<Vec<_>>(), "{name}");
        assert_eq!(indices(&body(id), "KEYS["), (1..=keys).collect(), "{name}");
    }
}

#[test]
fn every_header_lists_the_arguments_that_the_body_uses() {
    for id in IDS {
        let (header, name, body) = (parse(id), id.script().name, body(id));
        let fixed = header.args.len();
        assert_eq!(header.args, (1..=fixed).collect::<Vec<_>>(), "{name}");
        let used = indices(&body, "ARGV[");
        assert_eq!(used, (1..=fixed).collect(), "{name}");
        let constants = constants(&body);
        let value = |wanted: &str| constants.iter().find(|(name, _)| name == wanted).map(|(_, value)| *value);
        match header.repeated {
            Some((from, figures)) => {
                assert_eq!(from, fixed + 1, "{name}");
                assert_eq!(value("FIXED"), Some(fixed), "{name}");
                assert!(value("EACH").is_none_or(|each| figures.contains(&each)), "{name}");
                assert!(!figures.is_empty(), "{name}");
            }
            None => assert_eq!(value("FIXED"), None, "{name}"),
        }
    }
}

#[test]
fn every_header_lists_the_replies_that_the_body_gives() {
    for id in IDS {
        let (header, name, body) = (parse(id), id.script().name, body(id));
        let not_loaded = body.contains("not_loaded()") || body.contains("'NOTLOADED ");
        assert_eq!(header.replies.contains("NOTLOADED"), not_loaded, "{name}");
        for (constant, value) in constants(&body) {
            if !["FIXED", "EACH"].contains(&constant.as_str()) {
                assert!(header.replies.contains(&format!("{value} {constant}")), "{name}: {value} {constant}");
                assert!(body.matches(constant.as_str()).count() > 1, "{name} never answers {constant}");
            }
        }
        for code in body.match_indices("error_reply('").map(|(at, text)| &body[at + text.len()..]) {
            let code = code.split([' ', '\'']).next().unwrap();
            assert!(code == "ERR" || code == "NOTLOADED", "{name} answers {code}");
        }
    }
}

#[test]
fn what_rust_reads_from_hold_confirm_and_give_is_what_the_scripts_answer() {
    let hold = constants(&body(Id::Hold));
    for (value, name, _) in &crate::lane::hold_refusals() {
        assert!(hold.contains(&((*name).to_owned(), usize::try_from(*value).unwrap())), "{name}");
    }
    let give = constants(&body(Id::Give));
    for (value, name, _) in &crate::lane::give_refusals() {
        assert!(give.contains(&((*name).to_owned(), usize::try_from(*value).unwrap())), "{name}");
    }
    let confirm = constants(&body(Id::Confirm));
    for (value, name, _) in &crate::lane::confirm_refusals() {
        assert!(confirm.contains(&((*name).to_owned(), usize::try_from(*value).unwrap())), "{name}");
    }
}
