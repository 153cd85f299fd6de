//! The ledger of a run, and what can be done to it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ::ledger::cassandra::Own;
use ::ledger::conformance::WriteLock;

/// A ledger that is slow takes something for that long, between times in which it does not.
const GASP: Duration = Duration::from_millis(15);
const CHOKE: Duration = Duration::from_millis(250);

/// Where a run keeps its ledger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum On {
    /// The embedded one: a file of all processes.
    File,
    /// Apache Cassandra, so many nodes (one or three) of the run's own.
    Cassandra(u16),
}

pub(crate) enum Ledger {
    File(PathBuf),
    Cassandra(Own, u16),
}

/// Takes nothing until it is dropped.
pub(crate) enum Away<'a> {
    File(#[allow(dead_code, reason = "held")] WriteLock),
    Cassandra(&'a Own, u16),
}

impl Drop for Away<'_> {
    fn drop(&mut self) {
        if let Self::Cassandra(own, nodes) = self {
            (1..=*nodes).for_each(|node| own.thaw(node));
        }
    }
}

impl Ledger {
    /// None where this machine has no Cassandra.
    pub(crate) fn start(on: On, folder: &Path) -> Option<Self> {
        Some(match on {
            On::File => Self::File(folder.join("ledger.db")),
            On::Cassandra(nodes) => Self::Cassandra(Own::start(nodes)?, nodes),
        })
    }

    /// The setting `ledger`.
    pub(crate) fn setting(&self) -> String {
        match self {
            Self::File(file) => format!("sqlite:{}", file.display()),
            Self::Cassandra(own, _) => {
                let settings = own.settings();
                format!("cql:{}/{}", settings.contact_points.join(","), settings.keyspace)
            }
        }
    }

    /// Takes the ledger away from everybody.
    pub(crate) fn away(&self) -> Away<'_> {
        match self {
            Self::File(file) => Away::File(WriteLock::take(file)),
            Self::Cassandra(own, nodes) => {
                (1..=*nodes).for_each(|node| own.freeze(node));
                Away::Cassandra(own, *nodes)
            }
        }
    }

    /// Does something while no process is writing. Who is paused in the middle of a write to a file keeps everybody from writing.
    pub(crate) fn in_nobodys_hands(&self, what: impl FnOnce()) {
        let _lock = if let Self::File(file) = self { Some(WriteLock::take(file)) } else { None };
        what();
    }

    /// Takes it away for moments, so that a group is waiting at the end of each.
    pub(crate) fn gasps(&self, lasts: Duration) {
        let end = Instant::now() + lasts;
        while Instant::now() < end {
            let away = self.away();
            std::thread::sleep(CHOKE);
            drop(away);
            std::thread::sleep(GASP);
        }
    }

    /// Takes it away for as long as the next group needs to wait for it; shorter than any group waits.
    pub(crate) fn away_under_an_append(&self) -> Away<'_> {
        let away = self.away();
        std::thread::sleep(CHOKE);
        away
    }

    /// kill -9 of one node, which is started again.
    pub(crate) fn kill_node(&self, n: u64, lasts: Duration) {
        let (own, node) = self.node(n);
        own.kill(node);
        std::thread::sleep(lasts);
        own.restart(node);
    }

    /// SIGSTOP of one node, SIGCONT later.
    pub(crate) fn pause_node(&self, n: u64, lasts: Duration) {
        let (own, node) = self.node(n);
        own.freeze(node);
        std::thread::sleep(lasts);
        own.thaw(node);
    }

    fn node(&self, n: u64) -> (&Own, u16) {
        let Self::Cassandra(own, nodes) = self else { panic!("the embedded ledger has no nodes") };
        (own, u16::try_from(n % u64::from(*nodes)).unwrap() + 1)
    }
}
