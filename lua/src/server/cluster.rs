//! A real Redis Cluster in a temporary directory, for tests: three masters, three replicas, and what goes wrong with them.
//!
//! Its own calls block; use it from a runtime with more than one thread when something runs beside it.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use redis::{FromRedisValue, Value};

use super::process::{Guard, Server, other};
use crate::access::{Access, Address, Credentials, Target, Way};
use crate::client::{Redis, Settings};
use crate::cluster::table::{Answer, Table};
use crate::key::{SLOTS, slot_of_tag};

/// Masters; as many replicas follow them.
const MASTERS: usize = 3;
/// How long anything may take that the cluster does by itself: an election takes some four seconds, a loaded machine longer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Starts with other ports when one is taken.
const TRIES: u32 = 3;
/// One answer of one node about the cluster, where another's will do: a frozen one gives none.
const WORD: Duration = Duration::from_millis(500);
/// One answer of one node.
const ANSWER: Duration = Duration::from_secs(5);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Six redis-servers that are one cluster. Killed and removed with it.
#[derive(Debug)]
pub struct TestCluster {
    pub(super) nodes: Vec<Server>,
    pub(super) password: Option<String>,
    // Behind the nodes: dropped when nobody writes there any more.
    directory: tempfile::TempDir,
    _guard: Guard,
}

/// A line of CLUSTER NODES.
struct Line {
    id: String,
    port: u16,
    flags: Vec<String>,
    master: String,
    slots: Vec<String>,
}

impl TestCluster {
    /// Starts a cluster and waits until it serves all slots.
    ///
    /// # Errors
    /// redis-server is missing, or the nodes do not come together in time.
    pub fn start() -> io::Result<Self> {
        Self::start_with(&[])
    }

    /// The same with settings of redis.conf, for all nodes.
    ///
    /// # Errors
    /// As [`TestCluster::start`].
    pub fn start_with(settings: &[(&str, &str)]) -> io::Result<Self> {
        // A port that was free a moment ago may be another test's by now: then once more, with others.
        let mut tries = TRIES;
        loop {
            tries -= 1;
            match Self::try_with(settings) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries > 0 => {}
                result => return result,
            }
        }
    }

    fn try_with(settings: &[(&str, &str)]) -> io::Result<Self> {
        let directory = tempfile::tempdir()?;
        let guard = Guard::of(directory.path())?;
        let nodes = (0..2 * MASTERS).map(|n| Server::new(directory.path().join(n.to_string()), settings));
        let password = settings.iter().find(|(name, _)| *name == "requirepass").map(|(_, word)| (*word).to_owned());
        let mut cluster = Self { nodes: nodes.collect::<io::Result<_>>()?, password, directory, _guard: guard };
        (0..cluster.nodes.len()).try_for_each(|n| cluster.node_mut(n)?.start())?;
        (0..cluster.nodes.len()).try_for_each(|n| cluster.until_it_answers(n))?;
        cluster.form()?;
        cluster.settled()?;
        Ok(cluster)
    }

    fn form(&self) -> io::Result<()> {
        let size = usize::from(SLOTS);
        for n in 0..MASTERS {
            let (first, last) = (n * size / MASTERS, (n + 1) * size / MASTERS - 1);
            self.ask::<Value>(n, &["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()])?;
            self.ask::<Value>(n, &["CLUSTER", "SET-CONFIG-EPOCH", &(n + 1).to_string()])?;
        }
        // Everybody meets everybody: gossip alone would take seconds.
        for n in 0..self.nodes.len() {
            for met in self.nodes.iter().skip(n + 1) {
                let (port, bus) = (met.port.to_string(), met.bus.to_string());
                self.ask::<Value>(n, &["CLUSTER", "MEET", "127.0.0.1", &port, &bus])?;
            }
        }
        self.until("all know each other", || {
            (0..self.nodes.len()).all(|n| {
                let known = self.lines(n).unwrap_or_default();
                known.len() == self.nodes.len() && known.iter().all(|line| !line.flags.iter().any(|f| f == "handshake"))
            })
        })?;
        for n in 0..MASTERS {
            let id: String = self.ask(n, &["CLUSTER", "MYID"])?;
            self.ask::<Value>(n + MASTERS, &["CLUSTER", "REPLICATE", &id])?;
        }
        Ok(())
    }

    /// Waits until every node that runs says that the cluster is well, every replica follows its master, and all agree on who
    /// has which slot.
    ///
    /// # Errors
    /// Not in time.
    pub fn settled(&self) -> io::Result<()> {
        let running = || (0..self.nodes.len()).filter(|n| self.nodes.get(*n).is_some_and(|node| node.child.is_some()));
        let well = |n: usize| {
            let info = self.ask::<String>(n, &["CLUSTER", "INFO"]).unwrap_or_default();
            let replication = self.ask::<String>(n, &["INFO", "replication"]).unwrap_or_default();
            info.contains("cluster_state:ok")
                && info.contains("cluster_slots_ok:16384")
                && (replication.contains("role:master") || replication.contains("master_link_status:up"))
        };
        let view = |n: usize| {
            let mut lines = self.lines(n).ok()?;
            lines.sort_by(|one, other| one.id.cmp(&other.id));
            let failed = lines.iter().filter(|line| line.flags.iter().any(|flag| flag.starts_with("fail"))).count();
            let replicas = lines.iter().filter(|line| line.flags.iter().any(|flag| flag == "slave")).count();
            let seen: Vec<_> = lines.into_iter().map(|line| (line.id, line.master, line.slots)).collect();
            (failed == self.nodes.len() - running().count() && replicas >= MASTERS - failed).then_some(seen)
        };
        self.until("the cluster is well", || {
            let first = running().next().and_then(view);
            first.is_some() && running().all(|n| well(n) && view(n) == first)
        })
    }

    pub(super) fn until(&self, what: &str, holds: impl Fn() -> bool) -> io::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !holds() {
            if Instant::now() > deadline {
                let logs: String = self.nodes.iter().map(|node| format!("--- {}\n{}", node.port, node.log())).collect();
                return Err(other(format!("not in time: {what}\n{logs}")));
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// Waits until a node that was started answers.
    pub(super) fn until_it_answers(&mut self, n: usize) -> io::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !self.answers(n) {
            let node = self.node_mut(n)?;
            let (ended, late) = (node.has_ended(), Instant::now() > deadline);
            let log = if ended || late { node.log() } else { String::new() };
            if ended && log.contains("Address already in use") {
                return Err(io::Error::new(io::ErrorKind::AddrInUse, log));
            }
            if ended || late {
                return Err(other(format!("a node does not answer\n{log}")));
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    pub(super) fn node_mut(&mut self, n: usize) -> io::Result<&mut Server> {
        self.nodes.get_mut(n).ok_or_else(|| other("no such node"))
    }

    pub(super) fn node(&self, n: usize) -> io::Result<&Server> {
        self.nodes.get(n).ok_or_else(|| other("no such node"))
    }

    pub(super) fn connection(&self, n: usize) -> io::Result<redis::Connection> {
        self.connection_within(n, ANSWER)
    }

    fn connection_within(&self, n: usize, within: Duration) -> io::Result<redis::Connection> {
        let credentials = self.credentials();
        let way = Way::to(&self.address(n)?, credentials.as_ref());
        let connection = way.client().and_then(|client| client.get_connection_with_timeout(within));
        let connection = connection.map_err(|error| other(error.to_string()))?;
        connection.set_read_timeout(Some(within)).map_err(|error| other(error.to_string()))?;
        Ok(connection)
    }

    pub(super) fn answers(&self, n: usize) -> bool {
        self.ask::<String>(n, &["PING"]).is_ok()
    }

    /// Any command on a node.
    ///
    /// # Errors
    /// The server's word, or that it cannot be reached.
    pub fn ask<T: FromRedisValue>(&self, n: usize, words: &[&str]) -> io::Result<T> {
        query(&mut self.connection(n)?, words)
    }

    fn lines(&self, n: usize) -> io::Result<Vec<Line>> {
        let text: String = self.ask(n, &["CLUSTER", "NODES"])?;
        let line = |line: &str| {
            let words: Vec<&str> = line.split(' ').collect();
            let port = words.get(1)?.split(['@', ',']).next()?.rsplit_once(':')?.1.parse().ok()?;
            let texts = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
            Some(Line {
                id: (*words.first()?).to_owned(),
                port,
                // Whoever is asked says so of itself only.
                flags: words.get(2)?.split(',').filter(|flag| *flag != "myself").map(str::to_owned).collect(),
                master: (*words.get(3)?).to_owned(),
                slots: texts(words.get(8..)?),
            })
        };
        Ok(text.lines().filter_map(line).collect())
    }

    fn number_of(&self, port: u16) -> io::Result<usize> {
        self.nodes.iter().position(|node| node.port == port).ok_or_else(|| other("no such node"))
    }

    /// The master of a slot, by what all nodes say together, alive or dead.
    ///
    /// # Errors
    /// Nobody knows one.
    pub fn master_of(&self, slot: u16) -> io::Result<usize> {
        let answer = |n: usize| {
            let text = query(&mut self.connection_within(n, WORD).ok()?, &["CLUSTER", "NODES"]).ok()?;
            Some(Answer { from: self.address(n).ok()?, text })
        };
        let table = Table::empty().learn(&(0..self.nodes.len()).filter_map(answer).collect::<Vec<_>>());
        let owner = table.owner(slot).and_then(|owner| table.owners().nth(owner));
        self.number_of(owner.ok_or_else(|| other("the slot has no master"))?.port)
    }

    /// The slot of a key, or of everything with its hash tag.
    #[must_use]
    pub fn slot_of(key: &str) -> u16 {
        let tag = key.split_once('{').and_then(|(_, behind)| behind.split_once('}')).map(|(tag, _)| tag);
        slot_of_tag(tag.filter(|tag| !tag.is_empty()).unwrap_or(key))
    }

    /// A replica of a master.
    ///
    /// # Errors
    /// It has none.
    pub fn replica_of(&self, master: usize) -> io::Result<usize> {
        let lines = self.lines(master)?;
        let id: String = self.ask(master, &["CLUSTER", "MYID"])?;
        let replica = lines.into_iter().find(|line| line.master == id);
        self.number_of(replica.ok_or_else(|| other("no replica"))?.port)
    }

    /// How many nodes there are.
    #[must_use]
    pub fn size(&self) -> usize {
        self.nodes.len()
    }

    /// A port that nobody listens on, for a server of a test's own.
    ///
    /// # Errors
    /// There is none.
    pub fn free_port(&self) -> io::Result<u16> {
        super::process::free_port()
    }

    /// Its directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Where a node listens.
    ///
    /// # Errors
    /// There is no such node.
    pub fn address(&self, n: usize) -> io::Result<Address> {
        Ok(Address { host: "127.0.0.1".to_owned(), port: self.node(n)?.port })
    }

    fn credentials(&self) -> Option<Credentials> {
        self.password.clone().map(|password| Credentials { user: String::new(), password })
    }

    /// Where the cluster is, by all its nodes.
    #[must_use]
    pub fn access(&self) -> Access {
        let seed = |node: &Server| Address { host: "127.0.0.1".to_owned(), port: node.port };
        Access { target: Target::Cluster(self.nodes.iter().map(seed).collect()), credentials: self.credentials() }
    }

    /// A new handle with the program's own bounds.
    #[must_use]
    pub fn redis(&self) -> Redis {
        Redis::new(self.access(), Settings::default())
    }
}

pub(super) fn query<T: FromRedisValue>(connection: &mut redis::Connection, words: &[&str]) -> io::Result<T> {
    let mut cmd = redis::Cmd::new();
    for word in words {
        cmd.arg(*word);
    }
    cmd.query(connection).map_err(|error| other(format!("{}: {error}", words.join(" "))))
}
