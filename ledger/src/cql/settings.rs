//! Where the cluster is and how to get in.

use std::fmt;

use crate::Error;

/// Bytes of a keyspace's name: what every CQL database takes.
const MAX_KEYSPACE_BYTES: usize = 48;

/// A CQL cluster, and the keyspace in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// Some nodes, as HOST:PORT; the others are found through them.
    pub contact_points: Vec<String>,
    /// Lower-case letters, digits and underscores, beginning with a letter.
    pub keyspace: String,
    /// Empty: none is told.
    pub user: String,
    /// Never shown.
    pub password: String,
    /// The data centre that decides. May be empty where the keyspace has replicas in one only; otherwise every process must name the same one,
    /// because the conditions hold within a data centre.
    pub datacenter: String,
}

/// Replicas of a keyspace that is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Replication {
    /// Copies of everything, in the data centre of the settings or the one of the contact points.
    pub factor: u16,
}

impl Settings {
    /// A cluster that asks for no password.
    #[must_use]
    pub fn new(contact_points: Vec<String>, keyspace: &str) -> Self {
        let empty = String::new;
        Self { contact_points, keyspace: keyspace.to_owned(), user: empty(), password: empty(), datacenter: empty() }
    }

    /// Whether a keyspace may have this name.
    #[must_use]
    pub fn is_keyspace(name: &str) -> bool {
        name.len() <= MAX_KEYSPACE_BYTES
            && name.starts_with(|char: char| char.is_ascii_lowercase())
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    }

    /// The cluster as messages name it.
    pub(crate) fn at(&self) -> String {
        self.contact_points.join(",")
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        if Self::is_keyspace(&self.keyspace) && !self.contact_points.is_empty() {
            return Ok(());
        }
        Err(Error::unavailable(format!(
            "cql:{}/{} is no cluster and keyspace: write cql:HOST:PORT/KEYSPACE",
            self.at(),
            self.keyspace
        )))
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cql:{}/{}", self.at(), self.keyspace)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} as {:?}", self.user)
    }
}
