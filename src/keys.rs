//! `keys.toml`: token keys, operator keys, the keys of the processes among each other, and the secret that visitor keys are made
//! of. Mode 0600, made at first start, reloaded on SIGHUP; all processes of an installation have the same content.
//!
//! The program appends what an older file lacks, and otherwise leaves it alone, so comments and order of whoever edits it by hand
//! stay as they are.

mod change;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use domain::visitor_key::{Branch, key_of};
use domain::{Millis, SaleId};
use serde::Deserialize;

use crate::failure::{Failure, remedy};
use crate::files;
pub(crate) use change::Step;

/// Characters an operator key has at least: 128 bits even when it is written in hexadecimal.
const MIN_OPERATOR_KEY: usize = 32;

/// 32 random bytes, written as 64 hexadecimal digits. Never shown by Debug.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Secret(pub(crate) [u8; 32]);

impl Secret {
    fn random() -> Self {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes);
        Self(bytes)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    fn text(&self) -> String {
        self.0.iter().fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// A key somebody made up: too few different bytes to be random.
    fn is_weak(&self) -> bool {
        self.0.iter().collect::<BTreeSet<_>>().len() < 16
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A key that signs visitors', tickets' and passes' tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TokenKey {
    pub(crate) id: u32,
    pub(crate) secret: Secret,
    /// When it was made, where the file says so.
    pub(crate) made: Option<Millis>,
}

/// A key that may act on sales; acts are recorded under its name.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct OperatorKey {
    pub(crate) name: String,
    pub(crate) key: String,
}

impl fmt::Debug for OperatorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OperatorKey({}, ..)", self.name)
    }
}

/// What the file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keys {
    /// The first signs, all verify. Never empty.
    pub(crate) token: Vec<TokenKey>,
    /// Never empty.
    pub(crate) operator: Vec<OperatorKey>,
    /// By which processes know each other: the first is shown, all are accepted. Empty in a file of one process.
    pub(crate) process: Vec<Secret>,
    /// Keys under which visitors of single sales are hashed before anything is stored: those of older files, and those that an
    /// operator has put there. They count more than computed ones.
    pub(crate) visitor: BTreeMap<SaleId, Secret>,
    /// What the visitor keys of all other sales are computed from.
    pub(crate) branches: Vec<Branch>,
}

impl Keys {
    /// The key under which the visitors of a sale are hashed; `None`: it was deleted, for good.
    pub(crate) fn visitor_key(&self, sale: &SaleId) -> Option<[u8; 32]> {
        self.visitor.get(sale).map(|key| key.0).or_else(|| key_of(&self.branches, sale))
    }

    /// The keys of processes as they are shown and compared.
    pub(crate) fn process_texts(&self) -> Vec<String> {
        self.process.iter().map(Secret::text).collect()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileForm {
    token: Vec<TokenForm>,
    operator: Vec<OperatorForm>,
    #[serde(default)]
    process: Vec<ProcessForm>,
    #[serde(default)]
    visitor: Vec<VisitorForm>,
    #[serde(default)]
    visitor_seed: Vec<SeedForm>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProcessForm {
    secret: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SeedForm {
    branch: String,
    seed: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenForm {
    id: u32,
    secret: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OperatorForm {
    name: String,
    key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VisitorForm {
    sale: SaleId,
    key: String,
}

/// The file and where it is.
#[derive(Clone, Debug)]
pub(crate) struct KeyFile {
    path: PathBuf,
}

impl KeyFile {
    /// The file at this path, which need not exist.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Whether it is there.
    pub(crate) fn exists(&self) -> bool {
        self.path.exists()
    }

    /// Makes a file of fresh random keys, with one operator key of this name.
    pub(crate) fn create(&self, operator: &str) -> Result<Keys, Failure> {
        let text = format!(
            "# Keys of this Holdfast. Whoever reads this file can act as an operator and as any visitor: keep it 0600 and backed up,\n\
             # and give every process the same. After an edit send SIGHUP. Of the token keys the first signs and all verify; drop an\n\
             # old one only after the sales it signed for have closed.\n\
             {}\n\
             [[operator]]\nname = \"{operator}\"\nkey = \"hf-{}\"\n\n{}\n{}",
            change::fresh_token(1),
            Secret::random().text(),
            change::fresh_process(),
            change::fresh_seed(),
        );
        let keys = self.parse(&text)?;
        self.write(&text)?;
        Ok(keys)
    }

    /// Reads and checks the file.
    ///
    /// # Errors
    /// Missing, readable by others, or wrong: one line with the key at fault and never the key itself.
    pub(crate) fn load(&self) -> Result<Keys, Failure> {
        self.parse(&self.text()?)
    }

    fn text(&self) -> Result<String, Failure> {
        let open = files::open_to_others(&self.path).map_err(|error| self.failure(&error, self.advice(&error)))?;
        if open {
            return Err(self.failure("others may read it", format!("chmod 600 {}", self.path.display())));
        }
        std::fs::read_to_string(&self.path).map_err(|error| self.failure(&error, self.advice(&error)))
    }

    fn advice(&self, error: &io::Error) -> String {
        match error.kind() {
            io::ErrorKind::NotFound => {
                format!("put it back from a backup, or make one with holdfast keys create {}", self.path.display())
            }
            io::ErrorKind::PermissionDenied => "run as its owner".to_owned(),
            io::ErrorKind::InvalidData => "put it back from a backup".to_owned(),
            _ => remedy(error).to_owned(),
        }
    }

    fn write(&self, text: &str) -> Result<(), Failure> {
        files::write_atomically(&self.path, text, 0o600).map_err(|error| self.failure(&error, remedy(&error)))
    }

    fn failure(&self, why: impl fmt::Display, fix: impl Into<String>) -> Failure {
        Failure::new(format!("keys file {}", self.path.display()), why, fix)
    }

    fn parse(&self, text: &str) -> Result<Keys, Failure> {
        // The parser's own message quotes the line at fault, which would show a secret: only its reason and the line's number.
        let form: FileForm = toml::from_str(text).map_err(|error| {
            let line =
                error.span().map_or(1, |span| text.get(..span.start).unwrap_or_default().matches('\n').count() + 1);
            self.failure(format!("line {line}: {}", error.message().trim()), "correct that line")
        })?;
        let mut keys = check(form).map_err(|problem| self.failure(problem, "correct it"))?;
        for key in &mut keys.token {
            key.made = change::made(text, key.id);
        }
        Ok(keys)
    }

    /// When the key that signs was made; where the file does not say so, when it was changed last.
    pub(crate) fn signs_since(&self, keys: &Keys) -> Option<Millis> {
        let noted = keys.token.first().and_then(|key| key.made);
        noted.or_else(|| {
            let changed = std::fs::metadata(&self.path).and_then(|meta| meta.modified()).ok()?;
            let since = changed.duration_since(std::time::UNIX_EPOCH).ok()?;
            Some(Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)))
        })
    }
}

fn check(form: FileForm) -> Result<Keys, String> {
    let mut token = Vec::new();
    for key in form.token {
        let secret =
            Secret::parse(&key.secret).ok_or(format!("secret of token key {} is not 64 hexadecimal digits", key.id))?;
        if token.iter().any(|known: &TokenKey| known.id == key.id) {
            return Err(format!("two token keys have id {}", key.id));
        }
        token.push(TokenKey { id: key.id, secret, made: None });
    }
    let mut operator: Vec<OperatorKey> = Vec::new();
    for OperatorForm { name, key } in form.operator {
        if key.len() < MIN_OPERATOR_KEY || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!(
                "key of operator {name:?} is not {MIN_OPERATOR_KEY} or more printable characters without spaces"
            ));
        }
        if name.is_empty() || operator.iter().any(|known| known.name == name || known.key == key) {
            return Err(format!("operator {name:?} has no name, or a name or key that another one has"));
        }
        operator.push(OperatorKey { name, key });
    }
    let mut visitor = BTreeMap::new();
    for VisitorForm { sale, key } in form.visitor {
        let key = Secret::parse(&key).ok_or(format!("visitor key of sale {sale} is not 64 hexadecimal digits"))?;
        if visitor.insert(sale.clone(), key).is_some() {
            return Err(format!("two visitor keys for sale {sale}"));
        }
    }
    let process = form.process.iter().map(|key| Secret::parse(&key.secret)).collect::<Option<Vec<_>>>();
    let process = process.ok_or("the secret of a [[process]] is not 64 hexadecimal digits")?;
    let branch = |form: &SeedForm| Branch::at(&form.branch, Secret::parse(&form.seed)?.0);
    let branches = form.visitor_seed.iter().map(branch).collect::<Option<Vec<_>>>();
    let branches =
        branches.ok_or("a [[visitor_seed]] has no branch of 0 and 1, or no seed of 64 hexadecimal digits")?;
    if token.is_empty() || operator.is_empty() {
        return Err("needs at least one [[token]] and one [[operator]]".to_owned());
    }
    Ok(Keys { token, operator, process, visitor, branches })
}

impl Keys {
    /// Everything in it that is nobody's business, as it is written.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let hex = |secret: &Secret| secret.text();
        let tokens = self.token.iter().map(|key| hex(&key.secret));
        let operators = self.operator.iter().map(|key| key.key.clone());
        let seeds = self.branches.iter().map(|branch| Secret(*branch.seed()).text());
        tokens
            .chain(operators)
            .chain(self.process.iter().map(hex))
            .chain(self.visitor.values().map(hex))
            .chain(seeds)
            .collect()
    }

    /// Keys nobody should use where it counts: made up or shown in an example. Each as a phrase.
    pub(crate) fn weak(&self) -> Vec<String> {
        let tokens = self.token.iter().filter(|key| key.secret.is_weak()).map(|key| format!("token key {}", key.id));
        let visitors =
            self.visitor.iter().filter(|(_, key)| key.is_weak()).map(|(sale, _)| format!("visitor key of sale {sale}"));
        let operators = self.operator.iter().filter(|key| {
            let different: BTreeSet<u8> = key.key.bytes().collect();
            different.len() < 10 || key.key.contains("change") || key.key.contains("example")
        });
        let processes = self.process.iter().filter(|key| key.is_weak()).map(|_| "a process key".to_owned());
        let seeds = self.branches.iter().filter(|branch| Secret(*branch.seed()).is_weak());
        let seeds = seeds.map(|branch| format!("visitor seed {:?}", branch.path()));
        tokens
            .chain(visitors)
            .chain(processes)
            .chain(seeds)
            .chain(operators.map(|key| format!("operator key {:?}", key.name)))
            .collect()
    }
}

#[cfg(test)]
mod tests;
