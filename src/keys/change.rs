//! What the program itself changes in the keys file: it completes an older one, changes keys in steps, and forgets the visitors of
//! a sale.
//!
//! Changes are made under a lock beside the file, so that two processes of one machine do not make two secrets where there has to be
//! one. Between machines nothing can be locked: there `holdfast keys complete` is run once, and the result is given to all.

use std::fmt::Write as _;
use std::fs::File;

use clap::ValueEnum;
use domain::visitor_key::Branch;
use domain::{Millis, SaleId};

use super::{KeyFile, Keys, Secret};
use crate::failure::Failure;

/// Beside the keys file; hidden, because it belongs to nobody.
const LOCK: &str = ".keys.lock";

/// What a file without keys of processes gets.
pub(super) fn fresh_process() -> String {
    format!(
        "# By which processes of this Holdfast know each other: the first is shown, all are accepted.\n[[process]]\nsecret = \"{}\"\n",
        Secret::random().text()
    )
}

/// A step of a change of token and process keys. Between two of them every process has to have read the file, so that no process
/// ever meets a key that it does not know.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Step {
    /// Make new keys, which all processes accept and none uses
    Add,
    /// Sign with the newest token key, and show the newest process key
    Use,
    /// Remove all others: what they signed is void
    Drop,
}

/// What a file without a secret for visitor keys gets.
pub(super) fn fresh_seed() -> String {
    format!(
        "# What the visitor key of each sale is computed from: stores and logs know visitors only as hashes under it. Changing it cuts\n\
         # everybody off from ticket and bookings. `holdfast keys forget SALE` replaces it by what makes every key but that sale's.\n{}",
        seed_text(&Branch::root(Secret::random().0))
    )
}

fn seed_text(branch: &Branch) -> String {
    format!("[[visitor_seed]]\nbranch = \"{}\"\nseed = \"{}\"\n", branch.path(), Secret(*branch.seed()).text())
}

impl Keys {
    /// Whether processes can share these keys: nothing is missing that each would have to make up for itself.
    pub(crate) fn is_complete(&self) -> bool {
        !self.process.is_empty() && !self.branches.is_empty()
    }
}

impl KeyFile {
    /// Adds what an older file lacks; one that is complete stays as it is.
    ///
    /// # Errors
    /// The file cannot be read, or not be written.
    pub(crate) fn complete(&self) -> Result<Keys, Failure> {
        let keys = self.load()?;
        if keys.is_complete() {
            return Ok(keys);
        }
        self.change(|text, keys| {
            let mut text = if text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") };
            if keys.process.is_empty() {
                text.push_str(&format!("\n{}", fresh_process()));
            }
            if keys.branches.is_empty() {
                text.push_str(&format!("\n{}", fresh_seed()));
            }
            text
        })
    }

    /// The keys that processes share: none of them makes its own.
    ///
    /// # Errors
    /// The file is missing, or lacks something; the fix says who makes it.
    pub(crate) fn shared(&self) -> Result<Keys, Failure> {
        if !self.exists() {
            let fix = "make one with holdfast keys create FILE, and name it to every process (the setting keys)";
            return Err(self.failure("is missing, and processes that work together share one", fix));
        }
        let keys = self.load()?;
        if keys.is_complete() {
            return Ok(keys);
        }
        let fix =
            format!("run holdfast keys complete {} once, and give the result to every process", self.path.display());
        Err(self.failure("lacks keys that processes share", fix))
    }

    /// Takes a step of a change of token and process keys. A step that has been taken changes nothing.
    ///
    /// # Errors
    /// The file cannot be read or written, or there is nothing to change to.
    pub(crate) fn rotate(&self, step: Step) -> Result<Keys, Failure> {
        let keys = self.shared()?;
        let (first, newest) = (keys.token.first().map(|key| key.id), keys.token.iter().map(|key| key.id).max());
        match step {
            Step::Add if first != newest => return Ok(keys),
            Step::Use if keys.token.len() < 2 => {
                return Err(self.failure("has no second token key to use", "run holdfast keys rotate add first"));
            }
            Step::Drop if first != newest => {
                return Err(self.failure("signs with an old key", "run holdfast keys rotate use first"));
            }
            _ => {}
        }
        self.change(|text, keys| match step {
            Step::Add => with_new(text, keys),
            Step::Use => with_newest_first(text, keys),
            Step::Drop => with_first_only(text, keys),
        })
    }

    /// Deletes the visitor key of a sale, for good: afterwards nothing in the file computes it.
    ///
    /// # Errors
    /// The file cannot be read, or not be written.
    pub(crate) fn forget(&self, sale: &SaleId) -> Result<Keys, Failure> {
        self.change(|text, keys| {
            let mut text = without_blocks(text, "[[visitor]]", |line| has(line, "sale", sale.as_str()));
            for branch in keys.branches.iter().filter(|branch| branch.covers(sale)) {
                let path = branch.path();
                text = without_blocks(&text, "[[visitor_seed]]", |line| has(line, "branch", &path));
                text.extend(branch.without(sale).iter().map(seed_text));
            }
            text
        })
    }

    /// Reads, changes and writes the file, one process at a time.
    fn change(&self, change: impl FnOnce(&str, &Keys) -> String) -> Result<Keys, Failure> {
        let lock = File::create(self.path.with_file_name(LOCK)).and_then(|lock| lock.lock().map(|()| lock));
        let _lock = lock.map_err(|error| self.failure(&error, "make its directory writable for this user"))?;
        // Read again under the lock: whoever had it may have changed what was there.
        let text = self.text()?;
        let text = change(&text, &self.parse(&text)?);
        let keys = self.parse(&text)?;
        self.write(&text)?;
        Ok(keys)
    }
}

/// What stands behind the id of a token key that was made at this time: a comment, which every version of the program reads over.
const MADE: &str = "# made ";

fn token_text(id: u32, secret: &Secret, made: Option<Millis>) -> String {
    let made = made.map(|at| format!("  {MADE}{at}")).unwrap_or_default();
    format!("[[token]]\nid = {id}{made}\nsecret = \"{}\"\n", secret.text())
}

/// A token key made now.
pub(super) fn fresh_token(id: u32) -> String {
    token_text(id, &Secret::random(), Some((admission::clock::system())()))
}

/// When the token key of this id was made, as its comment says; ids of other tables are no numbers.
pub(super) fn made(text: &str, id: u32) -> Option<Millis> {
    let id = id.to_string();
    let line = text.lines().find(|line| has(line, "id", &id))?;
    let (_, at) = line.split_once(MADE)?;
    Millis::parse_rfc3339(at.trim()).ok()
}

fn process_text(secret: &Secret) -> String {
    format!("[[process]]\nsecret = \"{}\"\n", secret.text())
}

fn with_new(text: &str, keys: &Keys) -> String {
    let id = keys.token.iter().map(|key| key.id).max().unwrap_or(0).saturating_add(1);
    let mut text = text.trim_end().to_owned();
    // Writing to text cannot fail.
    let _ = write!(text, "\n\n{}\n{}", fresh_token(id), process_text(&Secret::random()));
    text
}

/// The keys that were added last come in front of all others of their kind.
fn with_newest_first(text: &str, keys: &Keys) -> String {
    let mut text = text.to_owned();
    if let Some(newest) = keys.token.iter().max_by_key(|key| key.id)
        && keys.token.first() != Some(newest)
    {
        let id = newest.id.to_string();
        text = before(
            &without_blocks(&text, "[[token]]", |line| has(line, "id", &id)),
            &token_text(newest.id, &newest.secret, newest.made),
        );
        if let Some(last) = keys.process.last() {
            let secret = last.text();
            let others = without_blocks(&text, "[[process]]", |line| has(line, "secret", &secret));
            text = before(&others, &process_text(last));
        }
    }
    text
}

fn with_first_only(text: &str, keys: &Keys) -> String {
    let tokens: Vec<String> = keys.token.iter().skip(1).map(|key| key.id.to_string()).collect();
    let secrets: Vec<String> = keys.process.iter().skip(1).map(Secret::text).collect();
    let text = without_blocks(text, "[[token]]", |line| tokens.iter().any(|id| has(line, "id", id)));
    without_blocks(&text, "[[process]]", |line| secrets.iter().any(|secret| has(line, "secret", secret)))
}

/// The text with this table in front of the first one of its kind; at the end where there is none.
fn before(text: &str, table: &str) -> String {
    let header = table.lines().next().unwrap_or_default();
    let mut lines: Vec<&str> = text.lines().collect();
    let at = lines.iter().position(|line| line.trim() == header).unwrap_or(lines.len());
    lines.insert(at, table);
    lines.join("\n") + "\n"
}

/// The text without the tables of this header that have such a line. A table goes to the next header, blank line or comment.
fn without_blocks(text: &str, header: &str, mut has: impl FnMut(&str) -> bool) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let (mut kept, mut n) = (Vec::new(), 0);
    while let Some(line) = lines.get(n) {
        let inside = |line: &&&str| {
            let line = line.trim_start();
            !line.is_empty() && !line.starts_with(['[', '#'])
        };
        let rest = lines.get(n + 1..).unwrap_or_default();
        let table: Vec<&str> = rest.iter().take_while(inside).copied().collect();
        if line.trim() == header && table.iter().any(|line| has(line)) {
            n += 1 + table.len();
        } else {
            kept.push(*line);
            n += 1;
        }
    }
    kept.join("\n") + "\n"
}

/// Whether the line gives this key this text.
fn has(line: &str, key: &str, text: &str) -> bool {
    line.split_once('=').is_some_and(|(name, value)| {
        let value = value.split('#').next().unwrap_or_default().trim();
        name.trim() == key && value.trim_matches(['"', '\'']) == text
    })
}
