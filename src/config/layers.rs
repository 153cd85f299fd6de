//! Where each value comes from: flag over environment over credential over file over shipped default.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use domain::table::{Mistake, nearest, parse_toml};
use toml::{Table, Value};

/// The shipped default, in full.
const DEFAULT: &str = include_str!("../default.toml");
/// Every setting's name in the environment begins like this.
const PREFIX: &str = "HOLDFAST_";
/// Where systemd puts what a unit loads with LoadCredential=.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";
/// What Kubernetes puts into the environment of every pod beside a service called `holdfast`; not meant for us.
const SERVICE_LINKS: [&str; 2] = ["HOLDFAST_SERVICE_", "HOLDFAST_PORT"];

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Default,
    /// What a command sets for itself, under everything that anybody says.
    Command(&'static str),
    File(PathBuf),
    /// A file of the directory that systemd gives to a service for its secrets.
    Credential(PathBuf),
    Environment(String),
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Command(name) => write!(f, "holdfast {name}"),
            Self::File(path) | Self::Credential(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => f.write_str(name),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// All layers put together.
pub(crate) struct Layers {
    /// Effective values, keys nobody knows included.
    pub(super) table: Table,
    /// Origin of each value, by dotted key.
    pub(super) origins: BTreeMap<String, Origin>,
    /// What could not even be put together.
    pub(super) mistakes: Vec<Mistake>,
}

/// What the command line says about settings.
#[derive(Debug, Default)]
pub(crate) struct Given {
    /// The command and what it sets for itself: setting and value.
    pub(crate) command: Option<(&'static str, &'static [(&'static str, &'static str)])>,
    /// The file of `--config`.
    pub(crate) file: Option<PathBuf>,
    /// Setting, flag and value.
    pub(crate) flags: Vec<(&'static str, &'static str, String)>,
}

impl Layers {
    /// Puts the layers together. `environment` is the process's.
    pub(crate) fn new(given: &Given, environment: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut mistakes = Vec::new();
        let table = parse_toml(DEFAULT).unwrap_or_else(|mistake| {
            mistakes.push(mistake);
            Table::new()
        });
        let mut layers = Self { table, origins: BTreeMap::new(), mistakes };
        let keys: Vec<String> = layers.leaves().into_iter().map(|(key, _)| key).collect();
        layers.origins = keys.iter().map(|key| (key.clone(), Origin::Default)).collect();
        if let Some((command, settings)) = given.command {
            for (key, text) in settings {
                layers.set_text(key, text, Origin::Command(command));
            }
        }
        if let Some(path) = &given.file {
            layers.add_file(path);
        }
        let mut variables = Vec::new();
        for (name, text) in environment {
            if name == CREDENTIALS {
                layers.add_credentials(Path::new(&text));
            } else if name.starts_with(PREFIX) {
                variables.push((name, text));
            }
        }
        for (name, text) in variables {
            layers.add_variable(&keys, name, &text);
        }
        for (key, flag, text) in &given.flags {
            layers.set_text(key, text, Origin::Flag(flag));
        }
        layers
    }

    /// Every value that is no table, by dotted key, in order.
    pub(super) fn leaves(&self) -> Vec<(String, Value)> {
        fn walk(table: &Table, path: &str, leaves: &mut Vec<(String, Value)>) {
            for (key, value) in table {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match value {
                    Value::Table(inner) => walk(inner, &path, leaves),
                    value => leaves.push((path, value.clone())),
                }
            }
        }
        let mut leaves = Vec::new();
        walk(&self.table, "", &mut leaves);
        leaves
    }

    fn add_file(&mut self, path: &Path) {
        let read = std::fs::read_to_string(path)
            .map_err(|error| Mistake::new("", "", error.to_string()))
            .and_then(|text| parse_toml(&text));
        match read {
            Ok(table) => {
                let origin = Origin::File(path.to_owned());
                for (key, value) in table {
                    // A table in place of a value, or a value in place of a table, stays for the reader to refuse.
                    match value {
                        Value::Table(section) if self.table.get(&key).is_some_and(Value::is_table) => {
                            for (inner, value) in section {
                                self.set(&format!("{key}.{inner}"), value, origin.clone());
                            }
                        }
                        value => {
                            self.origins.insert(key.clone(), origin.clone());
                            self.table.insert(key, value);
                        }
                    }
                }
            }
            Err(mistake) => {
                self.mistakes.push(Mistake { problem: format!("{}: {}", path.display(), mistake.problem), ..mistake })
            }
        }
    }

    /// Secrets from files of the settings' names. What else lies there is somebody else's.
    fn add_credentials(&mut self, directory: &Path) {
        for key in super::SECRET {
            let path = directory.join(key);
            match std::fs::read_to_string(&path) {
                Ok(text) => self.set_text(key, text.trim_end_matches(['\r', '\n']), Origin::Credential(path)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => self.mistakes.push(Mistake::new(key, "", format!("{}: {error}", path.display()))),
            }
        }
    }

    fn add_variable(&mut self, keys: &[String], name: String, text: &str) {
        if let Some(key) = keys.iter().find(|key| variable(key) == name) {
            self.set_text(key, text, Origin::Environment(name));
        } else if !SERVICE_LINKS.iter().any(|link| name.starts_with(link)) {
            let names: Vec<String> = keys.iter().map(|key| variable(key)).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let hint = nearest(&name, &names).map(|near| format!(", did you mean {near}?")).unwrap_or_default();
            self.mistakes.push(Mistake::new(name, "", format!("unknown variable{hint}")));
        }
    }

    /// Sets a value given as text, read as the kind of value the default has. What does not fit stays text and is refused later.
    fn set_text(&mut self, key: &str, text: &str, origin: Origin) {
        let value = match self.get(key) {
            Some(Value::Integer(_)) => text.parse().map(Value::Integer).ok(),
            Some(Value::Boolean(_)) => text.parse().map(Value::Boolean).ok(),
            Some(Value::Array(_)) => {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                Some(Value::Array(parts.map(|part| Value::String(part.to_owned())).collect()))
            }
            _ => None,
        };
        self.set(key, value.unwrap_or_else(|| Value::String(text.to_owned())), origin);
    }

    fn get(&self, key: &str) -> Option<&Value> {
        match key.split_once('.') {
            None => self.table.get(key),
            Some((section, key)) => self.table.get(section)?.get(key),
        }
    }

    fn set(&mut self, key: &str, value: Value, origin: Origin) {
        self.origins.insert(key.to_owned(), origin);
        match key.split_once('.') {
            None => drop(self.table.insert(key.to_owned(), value)),
            Some((section, key)) => {
                if let Some(Value::Table(section)) = self.table.get_mut(section) {
                    section.insert(key.to_owned(), value);
                }
            }
        }
    }
}

/// A setting's name in the environment.
pub(super) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_uppercase())
}
