//! `DATA/running.json`: what a running program says of itself, so that commands on the same data directory find it on whatever
//! port it took. Without secrets; those are in the keys file.

use std::fs;
use std::io;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::data::{self, Layout};
use crate::files;

const NAME: &str = "running.json";

/// Addresses of a running program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Running {
    pub(crate) process: u32,
    /// Absent where visitors are not served.
    pub(crate) public: Option<SocketAddr>,
    pub(crate) admin: SocketAddr,
    /// As settings write it.
    pub(crate) redis: String,
    /// Absent in what an older program wrote.
    #[serde(default)]
    pub(crate) build: Option<Build>,
}

/// Which program, and which scripts it runs in Redis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Build {
    pub(crate) version: String,
    pub(crate) scripts: String,
}

impl Build {
    /// This one.
    pub(crate) fn own() -> Self {
        Self { version: env!("CARGO_PKG_VERSION").to_owned(), scripts: lua::scripts_digest().to_owned() }
    }
}

impl Running {
    /// Writes it down; dropped, the file goes.
    pub(crate) fn write(&self, layout: &Layout) -> io::Result<Written> {
        let path = layout.path(NAME);
        let text = serde_json::to_string(self).map_err(io::Error::other)?;
        files::write_atomically(&path, &format!("{text}\n"), 0o600)?;
        Ok(Written(path))
    }

    /// What the program on this data directory said last; it may have been killed since: see [`data::in_use`].
    pub(crate) fn read(layout: &Layout) -> Option<Self> {
        serde_json::from_str(&fs::read_to_string(layout.path(NAME)).ok()?).ok()
    }
}

/// The file, for as long as the program runs.
#[derive(Debug)]
pub(crate) struct Written(std::path::PathBuf);

impl Drop for Written {
    fn drop(&mut self) {
        // One that stays tells of a program that is gone, as after a kill: readers try the address anyway.
        let _ = fs::remove_file(&self.0);
    }
}

/// What the program that runs on this data directory says. `None` when none runs: a port noted by one that was killed may be
/// somebody else's by now, and must not be shown the operator's key.
pub(crate) fn now(layout: &Layout) -> Option<Running> {
    if data::in_use(layout) { Running::read(layout) } else { None }
}
