//! What goes wrong in a test's cluster, and what an operator does to it.

use std::io;

use redis::Value;
use rustix::process::{Pid, Signal, kill_process};

use super::cluster::{TestCluster, query};
use super::process::other;

/// How a replica takes over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failover {
    /// Asks its master to wait until it has everything.
    Agreed,
    /// Asks nobody: for one that lags behind, or whose master is dead.
    TakeOver,
}

impl TestCluster {
    /// kill -9. Up to a second of writes may be lost, as in life.
    ///
    /// # Errors
    /// The system's.
    pub fn kill(&mut self, n: usize) -> io::Result<()> {
        self.node_mut(n)?.kill()
    }

    /// Starts a killed node on the data it left behind, and waits until it answers.
    ///
    /// # Errors
    /// It does not.
    pub fn restart(&mut self, n: usize) -> io::Result<()> {
        self.node_mut(n)?.start()?;
        self.until_it_answers(n)
    }

    /// Forgets the data of a killed node, not who it is.
    ///
    /// # Errors
    /// The system's.
    pub fn wipe(&self, n: usize) -> io::Result<()> {
        std::fs::remove_dir_all(self.node(n)?.directory.join("appendonlydir"))
    }

    /// Freezes a node: connections stay, nothing is answered.
    ///
    /// # Errors
    /// The system's.
    pub fn freeze(&self, n: usize) -> io::Result<()> {
        self.signal(n, Signal::STOP)
    }

    /// Ends [`TestCluster::freeze`].
    ///
    /// # Errors
    /// The system's.
    pub fn thaw(&self, n: usize) -> io::Result<()> {
        self.signal(n, Signal::CONT)
    }

    fn signal(&self, n: usize, signal: Signal) -> io::Result<()> {
        let child = self.node(n)?.child.as_ref().ok_or_else(|| other("the node is dead"))?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        Ok(kill_process(pid.ok_or_else(|| other("the node is dead"))?, signal)?)
    }

    /// A replica takes over; returns when it is a master. Not the same one twice within ten seconds: Redis 7.0 then takes the
    /// votes of its first election for those of the second, becomes a master of an old epoch, and is deposed at once.
    ///
    /// # Errors
    /// It refuses, or does not become one in time.
    pub fn failover(&self, replica: usize, how: Failover) -> io::Result<()> {
        let words: &[&str] = match how {
            Failover::Agreed => &["CLUSTER", "FAILOVER"],
            Failover::TakeOver => &["CLUSTER", "FAILOVER", "TAKEOVER"],
        };
        self.ask::<Value>(replica, words)?;
        self.until("the replica is a master", || {
            self.ask::<String>(replica, &["INFO", "replication"]).is_ok_and(|info| info.contains("role:master"))
        })
    }

    /// Waits until another than this node is the master of a slot.
    ///
    /// # Errors
    /// Nobody is elected in time.
    pub fn elected(&self, slot: u16, instead_of: usize) -> io::Result<usize> {
        self.until("another is elected", || self.master_of(slot).is_ok_and(|master| master != instead_of))?;
        self.master_of(slot)
    }

    /// Cuts a replica off its master; it keeps what it has and learns nothing new: one that lags behind.
    ///
    /// # Errors
    /// It stays connected.
    pub fn cut_off(&self, replica: usize) -> io::Result<()> {
        // A password that its master does not know.
        self.ask::<Value>(replica, &["CONFIG", "SET", "masterauth", "nobody-knows-this"])?;
        self.until("the replica is cut off", || {
            let _ = self.ask::<Value>(replica, &["CLIENT", "KILL", "TYPE", "master"]);
            let down = |info: String| info.contains("master_link_status:down");
            self.ask::<String>(replica, &["INFO", "replication"]).is_ok_and(down)
        })
    }

    /// Ends [`TestCluster::cut_off`] of a node, whatever it has become.
    ///
    /// # Errors
    /// It does not answer.
    pub fn reconnect(&self, replica: usize) -> io::Result<()> {
        let word = self.password.as_deref().unwrap_or("");
        self.ask::<Value>(replica, &["CONFIG", "SET", "masterauth", word]).map(drop)
    }

    /// Opens a slot between its master and another: from now on its keys may be on either side (ASK, TRYAGAIN).
    ///
    /// # Errors
    /// A node's refusal.
    pub fn begin_move(&self, slot: u16, to: usize) -> io::Result<()> {
        let from = self.master_of(slot)?;
        let (giver, taker): (String, String) =
            (self.ask(from, &["CLUSTER", "MYID"])?, self.ask(to, &["CLUSTER", "MYID"])?);
        let slot = slot.to_string();
        self.ask::<Value>(to, &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &giver])?;
        self.ask::<Value>(from, &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &taker]).map(drop)
    }

    /// Moves up to `most` keys of an open slot; how many were moved.
    ///
    /// # Errors
    /// A node's refusal.
    pub fn move_keys(&self, slot: u16, to: usize, most: usize) -> io::Result<usize> {
        let mut from = self.connection(self.master_of(slot)?)?;
        let words = ["CLUSTER", "GETKEYSINSLOT", &slot.to_string(), &most.to_string()];
        let keys: Vec<String> = query(&mut from, &words)?;
        let port = self.node(to)?.port.to_string();
        for key in &keys {
            let mut words = vec!["MIGRATE", "127.0.0.1", &port, key, "0", "5000"];
            if let Some(word) = &self.password {
                words.extend(["AUTH", word]);
            }
            query::<Value>(&mut from, &words)?;
        }
        Ok(keys.len())
    }

    /// Gives an open slot to its new master, and tells everybody.
    ///
    /// # Errors
    /// A node's refusal.
    pub fn end_move(&self, slot: u16, to: usize) -> io::Result<()> {
        let from = self.master_of(slot)?;
        let (id, slot) = (self.ask::<String>(to, &["CLUSTER", "MYID"])?, slot.to_string());
        for n in [to, from] {
            self.ask::<Value>(n, &["CLUSTER", "SETSLOT", &slot, "NODE", &id])?;
        }
        Ok(())
    }

    /// Moves a slot with all its keys, as a reshard does.
    ///
    /// # Errors
    /// A node's refusal.
    pub fn move_slot(&self, slot: u16, to: usize) -> io::Result<()> {
        self.begin_move(slot, to)?;
        while self.move_keys(slot, to, 10)? > 0 {}
        self.end_move(slot, to)
    }
}
