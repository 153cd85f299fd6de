//! Which ledger: a file of this machine, or a keyspace of a cluster.

use std::fmt;
use std::path::PathBuf;

use domain::table::Reader;
use ledger::cql::Settings;

use super::read::optional;

/// Characters of a setting.
const MAX_TEXT: usize = 4_096;
/// Contact points that can be named; the other nodes are found through them.
const MAX_POINTS: usize = 64;
/// Copies of everything: more only cost.
const MAX_REPLICAS: u16 = 9;

/// Where the ledger is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LedgerAt {
    /// An SQLite file.
    File(PathBuf),
    /// A CQL cluster.
    Cql(Box<Cql>),
}

/// A CQL cluster, and what `ledger migrate` makes there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cql {
    pub(crate) settings: Settings,
    /// Copies of everything, of a keyspace that is made.
    pub(crate) replicas: u16,
}

impl LedgerAt {
    /// Whether there may be something in it that belongs to keys somebody has: a cluster outlives every machine's data directory.
    pub(crate) fn exists(&self) -> bool {
        match self {
            Self::File(path) => path.exists(),
            Self::Cql(_) => true,
        }
    }
}

impl fmt::Display for LedgerAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "sqlite:{}", path.display()),
            Self::Cql(cql) => cql.settings.fmt(f),
        }
    }
}

/// What the table `cql` says.
pub(super) struct Access {
    user: String,
    pub(super) password: String,
    datacenter: String,
    replicas: u16,
}

pub(super) fn access(reader: &mut Reader<'_>) -> Option<Access> {
    let (user, datacenter) = (optional(reader, "user"), optional(reader, "datacenter"));
    let password = secret(reader, "password");
    let replicas = reader.number_u16("replicas", 1..=MAX_REPLICAS);
    Some(Access {
        user: user?.unwrap_or_default(),
        password: password?,
        datacenter: datacenter?.unwrap_or_default(),
        replicas: replicas?,
    })
}

/// A text that is in no message.
fn secret(reader: &mut Reader<'_>, key: &'static str) -> Option<String> {
    let text = reader.take(key)?.as_str().filter(|text| text.len() <= MAX_TEXT);
    if text.is_none() {
        reader.wrong(key, "", "must be text");
    }
    text.map(str::to_owned)
}

/// The setting `ledger` as it stands, before [`Access`] is known.
pub(super) enum Said {
    File(PathBuf),
    Cql { points: Vec<String>, keyspace: String },
}

impl Said {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text("ledger", MAX_TEXT)?;
        let said = match text.split_once(':') {
            Some(("sqlite", path)) if !path.is_empty() => Some(Self::File(PathBuf::from(path))),
            Some(("cql", rest)) => cluster(rest),
            _ => None,
        };
        if said.is_none() {
            let problem = "must be sqlite:PATH, or cql:HOST:PORT,HOST:PORT/KEYSPACE with a keyspace of lower-case letters, digits and _";
            reader.wrong("ledger", format!("{text:?}"), problem);
        }
        said
    }

    pub(super) fn with(self, access: Access) -> LedgerAt {
        match self {
            Self::File(path) => LedgerAt::File(path),
            Self::Cql { points, keyspace } => {
                let Access { user, password, datacenter, replicas } = access;
                let settings = Settings { user, password, datacenter, ..Settings::new(points, &keyspace) };
                LedgerAt::Cql(Box::new(Cql { settings, replicas }))
            }
        }
    }
}

fn cluster(text: &str) -> Option<Said> {
    let (points, keyspace) = text.split_once('/')?;
    let points: Vec<String> = points.split(',').map(|point| point.trim().to_owned()).collect();
    let is_point = |point: &String| {
        point.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty() && !host.contains('@') && port.parse::<u16>().is_ok_and(|port| port != 0)
        })
    };
    let good = points.len() <= MAX_POINTS && points.iter().all(is_point) && Settings::is_keyspace(keyspace);
    good.then(|| Said::Cql { points, keyspace: keyspace.to_owned() })
}
