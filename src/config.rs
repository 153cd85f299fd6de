//! Settings: read from all layers, checked together, shown with where they come from.

mod layers;
mod ledger;
mod read;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use domain::table::Mistake;
use lua::Access;
use toml::Value;

use crate::data::Layout;
use crate::failure::Failure;
pub(crate) use layers::Given;
use layers::{Layers, Origin};
pub(crate) use ledger::LedgerAt;

/// Settings whose value is never shown.
const SECRET: [&str; 3] = ["operator_key", "cql.password", "redis_password"];
/// What is shown instead.
const MASK: &str = "(set, not shown)";

/// Whether unsafe settings are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Dev,
    Production,
}

/// How the log is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogSettings {
    /// A level, or directives per crate.
    pub(crate) level: String,
    /// For machines instead of people.
    pub(crate) json: bool,
}

/// Every setting, checked.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) mode: Mode,
    pub(crate) data: PathBuf,
    pub(crate) listen: SocketAddr,
    pub(crate) admin_listen: SocketAddr,
    /// Whether somebody said where the admin listener is, so that a running program's own word counts for less.
    pub(crate) admin_listen_given: bool,
    /// Where other processes reach the owners of this one; absent: they do not.
    pub(crate) internal_listen: Option<SocketAddr>,
    /// The address that others are told instead, such as a host's name.
    pub(crate) internal_address: Option<String>,
    pub(crate) threads: usize,
    pub(crate) redis: Option<Access>,
    pub(crate) redis_server: String,
    /// How long a start waits for its stores.
    pub(crate) start_wait: Duration,
    ledger: LedgerAt,
    /// Also where the ledger is a file: it is secret all the same.
    cql_password: String,
    keys: PathBuf,
    pub(crate) operator_key: Option<String>,
    pub(crate) log: LogSettings,
    pub(crate) http: ingress::Settings,
    /// Certificate chain and key of the encrypted listener.
    pub(crate) tls: Option<(PathBuf, PathBuf)>,
}

/// A value as it is shown: key, value as TOML, where it comes from.
pub(crate) struct Shown {
    pub(crate) key: String,
    pub(crate) value: Value,
    pub(crate) origin: String,
}

/// What the layers make, right or wrong.
pub(crate) struct Loaded {
    layers: Layers,
    config: Option<Config>,
    mistakes: Vec<Mistake>,
}

impl Loaded {
    /// Reads all layers with the process's environment.
    pub(crate) fn new(given: &Given) -> Self {
        // A name or value that is no text cannot be one of ours.
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self::with(given, std::env::vars_os().filter_map(text))
    }

    fn with(given: &Given, environment: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut layers = Layers::new(given, environment);
        let mut mistakes = std::mem::take(&mut layers.mistakes);
        let config = read::read(&layers, &mut mistakes);
        Self { layers, config, mistakes }
    }

    /// Each mistake with the place it comes from: `listen = "x" (HOLDFAST_LISTEN): must be ...`.
    pub(crate) fn mistakes(&self) -> Vec<String> {
        self.mistakes.iter().map(|mistake| self.describe(mistake)).collect()
    }

    fn describe(&self, mistake: &Mistake) -> String {
        let key = mistake.key.split('[').next().unwrap_or_default();
        let origin = match self.layers.origins.get(key) {
            Some(Origin::Default | Origin::Command(_)) | None => return mistake.to_string(),
            Some(origin) => origin,
        };
        let value = match mistake.value.as_str() {
            "" => String::new(),
            _ if SECRET.contains(&key) => format!(" = {MASK}"),
            value => format!(" = {value}"),
        };
        format!("{}{value} (from {origin}): {}", mistake.key, mistake.problem)
    }

    /// The configuration, or all mistakes at once.
    pub(crate) fn config(self) -> Result<Config, Failure> {
        match (self.mistakes(), self.config) {
            (mistakes, Some(config)) if mistakes.is_empty() => Ok(config),
            (mistakes, _) => {
                let why = match mistakes.len() {
                    1 => "1 mistake".to_owned(),
                    many => format!("{many} mistakes"),
                };
                Err(Failure::usage("configuration", why, "correct it, and try it with holdfast check-config")
                    .with_lines(mistakes))
            }
        }
    }

    /// Every value that counts, secrets masked.
    pub(crate) fn shown(&self) -> Vec<Shown> {
        let masked = |key: &str, value: Value| match value.as_str() {
            Some(text) if SECRET.contains(&key) && !text.is_empty() => Value::String(MASK.to_owned()),
            _ => value,
        };
        let leaves = self.layers.leaves().into_iter();
        leaves
            .map(|(key, value)| {
                let origin = self.layers.origins.get(&key).map_or_else(String::new, ToString::to_string);
                Shown { value: masked(&key, value), key, origin }
            })
            .collect()
    }
}

impl Config {
    /// Where things are in the data directory.
    pub(crate) fn layout(&self) -> Layout {
        Layout::new(&self.data)
    }

    /// Where the ledger is; a file's path is absolute.
    pub(crate) fn ledger(&self) -> LedgerAt {
        match &self.ledger {
            LedgerAt::File(path) => LedgerAt::File(self.layout().path(path)),
            cql @ LedgerAt::Cql(_) => cql.clone(),
        }
    }

    /// Everything in it that is nobody's business.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let redis =
            self.redis.as_ref().and_then(|access| access.credentials.as_ref()).map(|said| said.password.clone());
        let cql = Some(self.cql_password.clone()).filter(|password| !password.is_empty());
        [self.operator_key.clone(), redis, cql].into_iter().flatten().collect()
    }

    /// The keys file.
    pub(crate) fn keys(&self) -> PathBuf {
        self.layout().path(&self.keys)
    }

    /// Threads that speak HTTP with visitors, at least one.
    pub(crate) fn ingress_threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }
}

#[cfg(test)]
mod tests;
