//! Two redis-servers, one the other's replica, and what can be done to them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::process::{Signal, fill_disk, own_address, signal, survives_a_full_disk};
use crate::proxy::{Proxy, Way};
use crate::wait::within;

/// How long a server may take to answer, to load its file, or to copy its master.
const READY: Duration = Duration::from_secs(20);

/// An answer of Redis, as far as the rig needs it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Said {
    Text(String),
    Number(i64),
    List(Vec<Said>),
    Nothing,
}

impl Said {
    pub(crate) fn text(&self) -> &str {
        if let Self::Text(text) = self { text } else { "" }
    }
}

/// A connection that speaks just enough of the protocol. Every wait is bounded.
pub(crate) struct Talk(BufReader<TcpStream>);

impl Talk {
    pub(crate) fn open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_millis(200))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.set_write_timeout(Some(Duration::from_secs(1)))?;
        Ok(Self(BufReader::new(stream)))
    }

    pub(crate) fn say(&mut self, words: &[&str]) -> std::io::Result<Said> {
        let mut text = format!("*{}\r\n", words.len());
        for word in words {
            text.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        self.0.get_mut().write_all(text.as_bytes())?;
        self.hear()
    }

    fn hear(&mut self) -> std::io::Result<Said> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let line = line.trim_end();
        let odd = || std::io::Error::other("not an answer of Redis");
        let (kind, rest) = line.split_at_checked(1).ok_or_else(odd)?;
        let number = || rest.parse::<i64>().map_err(|_| odd());
        Ok(match kind {
            "+" => Said::Text(rest.to_owned()),
            "-" => return Err(std::io::Error::other(rest.to_owned())),
            ":" => Said::Number(number()?),
            "$" => match usize::try_from(number()?) {
                Ok(length) => {
                    let mut bytes = vec![0; length + 2];
                    self.0.read_exact(&mut bytes)?;
                    bytes.truncate(length);
                    Said::Text(String::from_utf8_lossy(&bytes).into_owned())
                }
                Err(_) => Said::Nothing,
            },
            "*" => Said::List((0..number()?).map(|_| self.hear()).collect::<Result<_, _>>()?),
            _ => return Err(odd()),
        })
    }
}

/// One server in a directory of its own, on a port that stays its own.
struct Server {
    folder: PathBuf,
    address: SocketAddr,
    child: Option<Child>,
}

impl Server {
    fn new(folder: PathBuf) -> Self {
        let address = own_address();
        let mut server = Self { folder, address, child: None };
        server.start(None);
        server
    }

    fn start(&mut self, master: Option<SocketAddr>) {
        std::fs::create_dir_all(&self.folder).unwrap();
        let mut command = survives_a_full_disk("redis-server");
        command
            .args(["--bind", &self.address.ip().to_string(), "--port", &self.address.port().to_string(), "--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction"])
            .args(["--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"])
            .args(["--logfile", "redis.log", "--dir"])
            .arg(&self.folder);
        if let Some(master) = master {
            command.args(["--replicaof", &master.ip().to_string(), &master.port().to_string()]);
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        self.child = Some(child);
        assert!(within(READY, || self.answers("PONG", &["PING"])), "redis-server does not answer: {}", self.log());
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("redis.log")).unwrap_or_default()
    }

    fn say(&self, words: &[&str]) -> std::io::Result<Said> {
        Talk::open(self.address)?.say(words)
    }

    fn answers(&self, wanted: &str, words: &[&str]) -> bool {
        self.say(words).is_ok_and(|said| said.text().contains(wanted))
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A master and its replica. Who is which changes with every failover.
pub(crate) struct Redis {
    master: Server,
    replica: Server,
    /// Between replica and master: silent, and the replica lags.
    link: Proxy,
}

impl Redis {
    pub(crate) fn start(folder: &Path) -> Self {
        let master = Server::new(folder.join("redis-a"));
        let replica = Server::new(folder.join("redis-b"));
        let link = Proxy::new();
        link.lead(master.address);
        let redis = Self { master, replica, link };
        redis.replica.say(&["REPLICAOF", "127.0.0.1", &redis.link.address.port().to_string()]).unwrap();
        redis.await_replica();
        redis
    }

    fn await_replica(&self) {
        let synced = || self.replica.answers("master_link_status:up", &["INFO", "replication"]);
        assert!(within(READY, synced), "the replica does not get a copy: {}", self.replica.log());
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.master.address
    }

    /// Says something to the master.
    pub(crate) fn say(&self, words: &[&str]) -> std::io::Result<Said> {
        self.master.say(words)
    }

    /// kill -9, and a start on what the file has.
    pub(crate) fn restart(&mut self) {
        self.master.kill();
        self.master.start(None);
    }

    /// A restart that is short of what was written during `loss`: the file is as it was before, as after a power failure.
    pub(crate) fn restart_short(&mut self, loss: Duration) {
        let (file, copy) = (self.master.folder.join("appendonlydir"), self.master.folder.join("older"));
        copy_folder(&file, &copy);
        std::thread::sleep(loss);
        self.master.kill();
        std::fs::remove_dir_all(&file).unwrap();
        std::fs::rename(&copy, &file).unwrap();
        self.master.start(None);
    }

    pub(crate) fn pause(&self) {
        signal(self.master.child.as_ref().unwrap().id(), Signal::STOP);
    }

    pub(crate) fn resume(&self) {
        signal(self.master.child.as_ref().unwrap().id(), Signal::CONT);
    }

    /// The master's disk is full, or has room again.
    pub(crate) fn fill_disk(&self, full: bool) {
        fill_disk(self.master.child.as_ref().unwrap().id(), full);
    }

    /// The replica, which lags by `lag`, becomes master; the old master dies and comes back as an empty replica.
    pub(crate) fn fail_over(&mut self, lag: Duration) {
        self.link.set(Way::Silent);
        std::thread::sleep(lag);
        self.master.kill();
        // What the link still holds must not reach it any more.
        self.link.set(Way::Cut);
        self.replica.say(&["REPLICAOF", "NO", "ONE"]).unwrap();
        std::mem::swap(&mut self.master, &mut self.replica);
        self.link.lead(self.master.address);
        self.link.set(Way::Open);
        std::fs::remove_dir_all(&self.replica.folder).unwrap();
        self.replica.start(Some(self.link.address));
        self.await_replica();
    }
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
