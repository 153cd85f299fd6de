//! Nodes that die and freeze under a writer.

use std::future::Future;
use std::time::{Duration, Instant};

use domain::LogId;
use domain::limits::{APPEND_MS, CQL_KEEPALIVE_MS, LEDGER_READ_MS};
use tokio::sync::Mutex;

use super::{all, fresh_log};
use crate::cassandra::Own;
use crate::cql::Cql;
use crate::{Append, Applied, Error, Ledger, Store as _, Writer};

/// One test with nodes of its own at a time: four of them on a small machine answer nobody in time.
static TURN: Mutex<()> = Mutex::const_new(());

/// What may happen in one test before it fails.
const PATIENCE: Duration = Duration::from_secs(240);

/// Appends numbers until it has been told of `until` of them, claiming anew after every doubt, as a committer does.
struct Client {
    store: Cql,
    log: LogId,
    writer: Option<Writer>,
    /// Told to be in the log, by number.
    told: Vec<(u64, String)>,
    next: u64,
    longest: Duration,
}

impl Client {
    fn new(store: Cql) -> Self {
        Self { store, log: fresh_log(), writer: None, told: Vec::new(), next: 0, longest: Duration::ZERO }
    }

    async fn step(&mut self) -> Result<(), Error> {
        let writer = match self.writer.take() {
            Some(writer) => writer,
            None => self.store.claim(&self.log, "client").await?,
        };
        self.next += 1;
        let event = self.next.to_string();
        let since = Instant::now();
        let outcome = self.store.append(&writer, std::slice::from_ref(&event)).await;
        self.longest = self.longest.max(since.elapsed());
        match outcome {
            Ok(Append::Appended(next)) => {
                self.told.push((next.head, event));
                self.writer = Some(next);
                Ok(())
            }
            Ok(Append::Fenced(_)) => Ok(()),
            Err(error) => {
                // Certainly not in the log: the same writer may go on.
                self.writer = (error.applied() == Applied::No).then_some(writer);
                Err(error)
            }
        }
    }

    async fn until_told(&mut self, count: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.told.len() < count {
            assert!(Instant::now() < deadline, "{} of {count} were acknowledged", self.told.len());
            if self.step().await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// Everything it was told of is where it was told, and nothing is there that it never sent, or twice.
    async fn agrees(&self) {
        let ledger = Ledger::cql(&self.store.inner.settings).await.unwrap();
        let events = all(&ledger, &self.log).await;
        for (seq, event) in &self.told {
            let at = usize::try_from(*seq).unwrap() - 1;
            assert_eq!(events.get(at), Some(event), "acknowledged as number {seq}");
        }
        let mut numbers: Vec<u64> = events.iter().map(|event| event.parse().unwrap()).collect();
        assert!(numbers.iter().all(|number| (1..=self.next).contains(number)));
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), events.len(), "none is there twice");
    }
}

async fn bounded<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("bounded in time")
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9_of_the_only_node() {
    let _turn = TURN.lock().await;
    let Some(node) = Own::start(1) else { return };
    let mut client = Client::new(Cql::open(&node.settings()).await.unwrap());
    for round in 1..=2 {
        client.until_told(round * 40).await;
        // In the middle of an append: it is under way when the node dies.
        let (killed, _) = tokio::join!(async { node.kill(1) }, client.step());
        let () = killed;
        let since = Instant::now();
        client.step().await.expect_err("nobody is there");
        assert!(since.elapsed() < Duration::from_millis(APPEND_MS + 1_000));
        client.store.check().expect_err("its health is known without asking");
        node.restart(1);
        client.until_told(round * 40 + 20).await;
        bounded(async {
            while client.store.check().is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        client.agrees().await;
    }
}

#[tokio::test]
async fn one_of_three_nodes_may_freeze_or_die_and_appends_go_on() {
    let _turn = TURN.lock().await;
    let Some(nodes) = Own::start(3) else { return };
    let mut client = Client::new(Cql::open(&nodes.settings()).await.unwrap());
    client.until_told(20).await;
    // One of them is the first replica, whom all appends go through.
    for n in 1..=3 {
        nodes.freeze(n);
        client.longest = Duration::ZERO;
        let told = client.told.len();
        client.until_told(told + 20).await;
        let ledger = Ledger::cql(&client.store.inner.settings);
        let since = Instant::now();
        // Opening may meet the frozen one as well; an open store reads on.
        drop(tokio::time::timeout(Duration::from_secs(1), ledger).await);
        let head = client.store.head(&client.log).await.unwrap().head;
        assert!(head >= told as u64 + 20 && since.elapsed() < Duration::from_millis(LEDGER_READ_MS + 1_000));
        let bound = Duration::from_millis(APPEND_MS);
        assert!(client.longest <= bound, "an append waited {:?} for node {n}", client.longest);
        nodes.thaw(n);
        client.until_told(told + 30).await;
    }
    nodes.kill(2);
    let told = client.told.len();
    client.until_told(told + 20).await;
    nodes.restart(2);
    // Longer than connections of a frozen node live: all are back.
    let back = Instant::now() + Duration::from_millis(CQL_KEEPALIVE_MS.0 + CQL_KEEPALIVE_MS.1);
    while Instant::now() < back {
        let told = client.told.len();
        client.until_told(told + 5).await;
    }
    client.agrees().await;
}
