//! Removes what is secret from a text: what is known by its value, everything else by its form.

use crate::failure::Failure;

/// What stands in its place.
const GONE: &str = "(removed)";
/// A secret shorter than this would be found in words that have nothing to do with it, and is no secret worth the name.
const LEAST: usize = 6;
/// Letters and digits in a row from which on something is a key or a token, if enough of them are digits.
const LONG: usize = 40;
const DIGITS: usize = 6;
/// What stands in front of a value that is nobody's business, in any case of letters.
const NAMES: [&str; 8] =
    ["password", "passwd", "requirepass", "masterauth", "secret", "bearer", "authorization", "api_key"];

/// Knows what is secret here.
pub(super) struct Redactor(Vec<String>);

impl Redactor {
    /// One that knows these values. Longer ones are removed first, so that nothing of them stays.
    pub(super) fn new(mut secrets: Vec<String>) -> Self {
        secrets.retain(|secret| secret.len() >= LEAST);
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self(secrets)
    }

    /// The text without what is secret.
    ///
    /// # Errors
    /// Something is left: a mistake of this program, and nothing to be sent anywhere.
    pub(super) fn clean(&self, text: &str) -> Result<String, Failure> {
        let mut text = text.to_owned();
        for secret in &self.0 {
            text = text.replace(secret.as_str(), GONE);
        }
        let mut clean = String::with_capacity(text.len());
        let mut in_key = false;
        for line in text.lines() {
            // A PEM block goes from its first line to its last.
            in_key |= line.contains("-----BEGIN") && line.contains("KEY");
            clean.push_str(&if in_key { GONE.to_owned() } else { without_tokens(&without_values(line)) });
            clean.push('\n');
            in_key &= !line.contains("-----END");
        }
        if self.0.iter().any(|secret| clean.contains(secret.as_str())) {
            return Err(Failure::new("support bundle", "a secret would be in it", "report this: it is a defect"));
        }
        Ok(clean)
    }
}

/// The line without what follows a name of [`NAMES`] and a sign of assignment.
fn without_values(line: &str) -> String {
    let lower = line.to_ascii_lowercase();
    let (mut kept, mut from) = (String::new(), 0);
    let next = |from: usize| {
        let found = NAMES.iter().filter_map(|name| Some((lower.get(from..)?.find(name)? + from, *name)));
        found.min()
    };
    while let Some((at, name)) = next(from) {
        let behind = at + name.len();
        kept.push_str(line.get(from..behind).unwrap_or_default());
        from = behind;
        let rest = line.get(behind..).unwrap_or_default();
        if let Some((skipped, length)) = value_behind(name, rest) {
            kept.push_str(rest.get(..skipped).unwrap_or_default());
            kept.push_str(GONE);
            from += skipped + length;
        }
    }
    kept.push_str(line.get(from..).unwrap_or_default());
    kept
}

/// Where a value begins behind its name, and its length: `password = "x"`, `"password": "x"`, `PASSWORD=x`, `requirepass x`,
/// `Authorization: Bearer x`. `None`: there is none, or it says itself that it is not shown.
fn value_behind(name: &str, rest: &str) -> Option<(usize, usize)> {
    let after = rest.trim_start_matches(['"', '\'']).trim_start();
    let spaced = matches!(name, "requirepass" | "masterauth" | "bearer") && rest.starts_with(' ');
    let after = match after.strip_prefix(['=', ':']) {
        Some(after) => after.trim_start(),
        None if spaced => after,
        None => return None,
    };
    let (value, end) = match after.chars().next()? {
        quote @ ('"' | '\'') => {
            let inside = after.strip_prefix(quote)?;
            (inside, inside.find(quote))
        }
        _ if name == "authorization" => (after, after.find(['"', '\''])),
        _ => (after, after.find(|char: char| char.is_whitespace() || ",;}\"'".contains(char))),
    };
    let length = end.unwrap_or(value.len());
    (length > 0 && !value.starts_with('(')).then(|| (rest.len() - value.len(), length))
}

/// The line without what looks like a key or a token.
fn without_tokens(line: &str) -> String {
    let is_part = |char: char| char.is_ascii_alphanumeric() || "_-+".contains(char);
    let mut clean = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(start) = rest.find(is_part) {
        let (before, from) = rest.split_at(start);
        let (word, behind) = from.split_at(from.find(|char| !is_part(char)).unwrap_or(from.len()));
        clean.push_str(before);
        let digits = word.bytes().filter(u8::is_ascii_digit).count();
        clean.push_str(if word.len() >= LONG && digits >= DIGITS { GONE } else { word });
        rest = behind;
    }
    clean.push_str(rest);
    clean
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn clean(text: &str) -> String {
        Redactor::new(vec!["hunter22".to_owned(), "hunter22-and-more".to_owned(), "abc".to_owned()])
            .clean(text)
            .unwrap()
    }

    #[test]
    fn what_is_known_is_removed_wherever_it_stands() {
        assert_eq!(clean("a hunter22 b\nxhunter22y hunter22-and-more\n"), "a (removed) b\nx(removed)y (removed)\n");
        assert_eq!(clean("abc stays: it is a word"), "abc stays: it is a word\n");
    }

    #[test]
    fn what_follows_a_telling_name_is_removed() {
        for (line, wanted) in [
            ("requirepass s3cret", "requirepass (removed)"),
            ("redis_password = \"x y\" # env", "redis_password = \"(removed)\" # env"),
            ("{\"password\":\"x\",\"a\":1}", "{\"password\":\"(removed)\",\"a\":1}"),
            ("Authorization: Bearer xyz", "Authorization: (removed)"),
            ("HOLDFAST_CQL_PASSWORD=x", "HOLDFAST_CQL_PASSWORD=(removed)"),
            ("cql.password = \"(set, not shown)\"", "cql.password = \"(set, not shown)\""),
            ("redis_password = \"\"  # default", "redis_password = \"\"  # default"),
            (
                "correct redis_user and redis_password and start again",
                "correct redis_user and redis_password and start again",
            ),
        ] {
            assert_eq!(clean(line), format!("{wanted}\n"));
        }
    }

    #[test]
    fn what_looks_like_a_key_is_removed_and_names_stay() {
        let hex = "0123456789abcdef".repeat(4);
        assert_eq!(clean(&format!("key hf-{hex}.")), "key (removed).\n");
        assert_eq!(clean(&format!("x={hex}")), "x=(removed)\n");
        for stays in [
            "holdfast_booker_reconciler_difference_units{sale=\"s\"} 0",
            "lane/night/0 01890a5d-ac96-774b-bcce-b302099a8057",
            "/var/lib/holdfast/redis/appendonlydir/appendonly.aof.1.incr.aof",
        ] {
            assert_eq!(clean(stays), format!("{stays}\n"));
        }
        let pem = "a\n-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----\nb";
        assert_eq!(clean(pem), "a\n(removed)\n(removed)\n(removed)\nb\n");
    }
}
