//! Which node is asked: a partition's replicas in the ring's order, the same for everybody, so that two writers of a log meet at one coordinator instead
//! of outbidding each other from two. The driver's own policy shuffles the coordinators of batches.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::limits::CQL_SUSPECT_MS;
use scylla::cluster::{ClusterState, Node, NodeRef};
use scylla::errors::{ExecutionError, RequestAttemptError};
use scylla::policies::load_balancing::{FallbackPlan, LoadBalancingPolicy, RoutingInfo};
use scylla::routing::Shard;

/// What all calls of a store know about the nodes.
#[derive(Debug)]
pub(super) struct Ring {
    /// Only nodes of this data centre coordinate: conditions at LOCAL_SERIAL hold within one.
    datacenter: Option<String>,
    /// Nodes that left a call without an answer, and until when they come last.
    suspects: Mutex<Vec<(u128, Instant)>>,
}

impl Ring {
    pub(super) fn new(datacenter: Option<String>) -> Arc<Self> {
        Arc::new(Self { datacenter, suspects: Mutex::default() })
    }

    /// Where conditions are decided, where there is a choice.
    pub(super) fn datacenter(&self) -> Option<&str> {
        self.datacenter.as_deref()
    }

    /// For one call.
    pub(super) fn turn(self: &Arc<Self>) -> Arc<Turn> {
        Arc::new(Turn { ring: Arc::clone(self), asked: Mutex::new(None) })
    }

    /// The nodes in the order in which they are to be asked: connected ones first, those that were silent just now last.
    fn plan<'a>(&self, request: &RoutingInfo<'_>, cluster: &'a ClusterState) -> Vec<(NodeRef<'a>, Option<Shard>)> {
        let replicas = match (request.token, request.table) {
            (Some(token), Some(table)) => cluster.get_token_endpoints(table.ks_name(), table.table_name(), token),
            _ => Vec::new(),
        };
        let known = |(node, shard): &(Arc<Node>, Shard)| {
            cluster.get_node_by_host_id(node.host_id).map(|node| (node, Some(*shard)))
        };
        let mut plan: Vec<_> = replicas.iter().filter_map(known).filter(|(node, _)| self.is_near(node)).collect();
        if plan.is_empty() {
            plan = cluster.get_nodes_info().iter().filter(|node| self.is_near(node)).map(|node| (node, None)).collect();
            plan.sort_by_key(|(node, _)| node.host_id);
        }
        let suspects = self.suspects();
        // Stable: the ring's order stays within each kind.
        plan.sort_by_key(|(node, _)| (!node.is_connected(), suspects.contains(&node.host_id.as_u128())));
        plan
    }

    fn is_near(&self, node: &Node) -> bool {
        self.datacenter.is_none() || node.datacenter == self.datacenter
    }

    fn suspects(&self) -> Vec<u128> {
        let now = Instant::now();
        let mut suspects = self.suspects.lock().unwrap_or_else(PoisonError::into_inner);
        suspects.retain(|(_, until)| *until > now);
        suspects.iter().map(|(node, _)| *node).collect()
    }

    fn suspect(&self, node: u128) {
        let until = Instant::now() + Duration::from_millis(CQL_SUSPECT_MS);
        let mut suspects = self.suspects.lock().unwrap_or_else(PoisonError::into_inner);
        suspects.retain(|(known, _)| *known != node);
        suspects.push((node, until));
    }
}

/// One call: remembers which node it asked last.
#[derive(Debug)]
pub(super) struct Turn {
    ring: Arc<Ring>,
    asked: Mutex<Option<u128>>,
}

impl Turn {
    fn note(&self, node: NodeRef<'_>) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(node.host_id.as_u128());
    }

    /// The call ended so: a node that did not answer is not asked first for a while, whatever the next call is, writes and serial reads alike.
    pub(super) fn ended(&self, error: &ExecutionError) {
        let silent = matches!(
            error,
            ExecutionError::RequestTimeout(_)
                | ExecutionError::LastAttemptError(RequestAttemptError::BrokenConnectionError(_))
        );
        let asked = *self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let (true, Some(node)) = (silent, asked) {
            self.ring.suspect(node);
        }
    }
}

impl LoadBalancingPolicy for Turn {
    fn pick<'a>(
        &'a self,
        request: &'a RoutingInfo<'_>,
        cluster: &'a ClusterState,
    ) -> Option<(NodeRef<'a>, Option<Shard>)> {
        let first = self.ring.plan(request, cluster).into_iter().next();
        if let Some((node, _)) = first {
            self.note(node);
        }
        first
    }

    fn fallback<'a>(&'a self, request: &'a RoutingInfo<'_>, cluster: &'a ClusterState) -> FallbackPlan<'a> {
        let rest = self.ring.plan(request, cluster).into_iter().skip(1);
        Box::new(rest.inspect(|(node, _)| self.note(node)))
    }

    fn name(&self) -> String {
        "ring order".to_owned()
    }
}
