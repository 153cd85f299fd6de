//! A Redis Cluster as one handle sees it: a plain connection per master, and what becomes of a call that is refused.
//!
//! Sent again is only what a server refused unexecuted ([`Cure`]), within the one deadline of the call: to the node that
//! was named (MOVED, ASK), as text (NOSCRIPT), or after a pause to whoever has the slot then. While a slot refuses, one of
//! its calls tries at a time and the others wait for it, so that an outage is not answered by a storm. Nothing is sent
//! again after an error of the connection or a time-out: it may have been executed.

mod gate;
pub(crate) mod table;
pub(crate) mod topology;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use domain::limits::{MAX_REDIRECTIONS, REDIS_AGAIN_LEFT_MS};
use redis::Value;
use tokio::time::Instant;

use self::gate::{Gates, Turn};
use self::table::Table;
use self::topology::{Look, Origin, Topology};
use crate::access::{Address, Way};
use crate::call::Call;
use crate::client::Settings;
use crate::error::{CallError, Cure, Judgement};
use crate::metrics::{Metrics, Resent};
use crate::node::Node;

/// The nodes of one cluster, for one handle.
pub(crate) struct Cluster {
    origin: Origin,
    settings: Settings,
    topology: Arc<Topology>,
    view: ArcSwapOption<View>,
    nodes: Mutex<HashMap<Address, Arc<Node>>>,
    gates: Gates,
}

/// A table with this handle's nodes beside its owners.
struct View {
    table: Arc<Table>,
    nodes: Vec<Arc<Node>>,
}

/// Where a call goes next.
enum Next {
    /// To whoever has the slot.
    Owner,
    /// To the node that was named, behind ASKING or not.
    Named(Arc<Node>, bool),
}

impl Cluster {
    pub(crate) fn new(origin: Origin, settings: Settings) -> Self {
        let topology = Topology::of(&origin);
        let (view, nodes) = (ArcSwapOption::empty(), Mutex::new(HashMap::new()));
        Self { origin, settings, topology, view, nodes, gates: Gates::new() }
    }

    /// Runs a script; sent again as long as it was refused unexecuted and its time is not over.
    pub(crate) async fn run(&self, call: &Call, deadline: Instant, metrics: &Metrics) -> Result<Value, CallError> {
        let (mut next, mut text, mut redirections) = (Next::Owner, None, 0);
        let mut turn: Option<Turn> = None;
        loop {
            let (node, asking) = match std::mem::replace(&mut next, Next::Owner) {
                Next::Named(node, asking) => (node, asking),
                Next::Owner => {
                    if turn.is_none() {
                        turn = self.gates.pass(call.slot, deadline).await?;
                    }
                    (self.owner(call.slot, deadline).await?, false)
                }
            };
            let cmd = text.as_ref().unwrap_or_else(|| call.by_digest());
            let judged = match self.send(&node, cmd, asking, deadline, metrics).await {
                Ok(value) => {
                    if let Some(turn) = turn {
                        turn.succeeded();
                    }
                    return Ok(value);
                }
                Err(judged) => judged,
            };
            if deadline.saturating_duration_since(Instant::now()) < Duration::from_millis(REDIS_AGAIN_LEFT_MS) {
                return Err(judged.error);
            }
            next = match judged.cure {
                Cure::None => {
                    // An answer of the script is an answer; an error of the connection says nothing about the slot.
                    let answered = !matches!(judged.error, CallError::Unknown { .. } | CallError::NotExecuted { .. });
                    if let Some(turn) = turn.filter(|_| answered) {
                        turn.succeeded();
                    }
                    return Err(judged.error);
                }
                Cure::Text if text.is_some() => return Err(CallError::broken("a script sent as text is not known")),
                Cure::Text => {
                    metrics.unknown_script();
                    text = Some(call.by_text());
                    Next::Named(node, asking)
                }
                Cure::Moved(ref to) | Cure::Ask(ref to) if redirections < MAX_REDIRECTIONS => {
                    let asking = matches!(judged.cure, Cure::Ask(_));
                    redirections += 1;
                    metrics.resent(if asking { Resent::Ask } else { Resent::Moved });
                    if !asking {
                        self.topology.look_soon();
                    }
                    match self.named(to, &node) {
                        Some(node) => Next::Named(node, asking),
                        None => return Err(judged.error),
                    }
                }
                Cure::Wait | Cure::Moved(_) | Cure::Ask(_) => {
                    redirections = 0;
                    metrics.resent(Resent::Wait);
                    self.topology.look_soon();
                    turn = self.gates.refused(call.slot, turn, &judged.error, deadline).await?;
                    Next::Owner
                }
            };
        }
    }

    /// Sends once. What could not be sent, and what may have been executed, is final here.
    async fn send(
        &self,
        node: &Arc<Node>,
        cmd: &redis::Cmd,
        asking: bool,
        deadline: Instant,
        metrics: &Metrics,
    ) -> Result<Value, Judgement> {
        let result = match node.connection(deadline, metrics).await {
            Ok(connection) if asking => node.once_asking(&connection, cmd, deadline).await,
            Ok(connection) => node.once(&connection, cmd, deadline).await,
            Err(error) => {
                self.topology.look_soon();
                Err(Judgement::last(error))
            }
        };
        if let Err(Judgement { error: CallError::Unknown { .. }, .. }) = &result {
            self.topology.look_soon();
        }
        result
    }

    /// The node that has a slot, by the table.
    async fn owner(&self, slot: u16, deadline: Instant) -> Result<Arc<Node>, CallError> {
        if let Some(node) = self.known(slot) {
            return Ok(node);
        }
        // The first call of a process comes before the first look; any later one is answered at once.
        match self.topology.looked(deadline).await {
            Look::Answered => {}
            Look::None => return Err(CallError::not_executed("no node of the cluster has answered yet")),
            Look::Failed(why) => {
                return Err(CallError::not_executed(format!("no node of the cluster answers ({why})")));
            }
        }
        self.known(slot).ok_or_else(|| {
            self.topology.look_soon();
            CallError::not_executed(format!("no master of the cluster has slot {slot}"))
        })
    }

    fn known(&self, slot: u16) -> Option<Arc<Node>> {
        let table = self.topology.table();
        let view = self.view.load();
        match view.as_ref().filter(|view| Arc::ptr_eq(&view.table, &table)) {
            Some(view) => view.nodes.get(table.owner(slot)?).cloned(),
            None => {
                let nodes = self.take_over(&table);
                nodes.get(table.owner(slot)?).cloned()
            }
        }
    }

    /// This handle's nodes of a new table. Connections to nodes without slots are let go: a master that was frozen while
    /// another was elected.
    fn take_over(&self, table: &Arc<Table>) -> Vec<Arc<Node>> {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let owners: Vec<_> = table.owners().map(|address| self.node(&mut nodes, address)).collect();
        nodes.retain(|address, _| table.owners().any(|owner| owner == address));
        self.view.store(Some(Arc::new(View { table: Arc::clone(table), nodes: owners.clone() })));
        owners
    }

    fn node(&self, nodes: &mut HashMap<Address, Arc<Node>>, address: &Address) -> Arc<Node> {
        let new = || {
            let way = Way::to(address, self.origin.credentials.as_ref());
            Arc::new(Node::new(way, self.settings.connect, self.settings.pace))
        };
        Arc::clone(nodes.entry(address.clone()).or_insert_with(new))
    }

    /// The node that a redirection names. Without a host it is a port of the one that answered.
    fn named(&self, text: &str, from: &Node) -> Option<Arc<Node>> {
        let (host, port) = text.rsplit_once(':')?;
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let host = match host {
            "" => nodes.iter().find(|(_, node)| std::ptr::eq(node.as_ref(), from))?.0.host.clone(),
            host => host.to_owned(),
        };
        let address = Address { host, port: port.parse().ok()? };
        Some(self.node(&mut nodes, &address))
    }

    /// Runs a command that any node can answer, on a master that is up. Sent once.
    pub(crate) async fn anywhere(
        &self,
        cmd: &redis::Cmd,
        deadline: Instant,
        metrics: &Metrics,
    ) -> Result<Value, CallError> {
        let first = match self.topology.looked(deadline).await {
            Look::Failed(why) => {
                return Err(CallError::not_executed(format!("no node of the cluster answers ({why})")));
            }
            _ => {
                let table = self.topology.table();
                table.owners().find(|address| table.is_up(address)).cloned()
            }
        };
        let first = first.ok_or_else(|| CallError::not_executed("no master of the cluster is up"))?;
        let node = self.node(&mut self.nodes.lock().unwrap_or_else(PoisonError::into_inner), &first);
        self.send(&node, cmd, false, deadline, metrics).await.map_err(|judged| judged.error)
    }
}

#[cfg(test)]
#[path = "faults_test.rs"]
mod tests;
