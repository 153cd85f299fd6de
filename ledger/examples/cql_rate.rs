//! What group commit gains on a CQL cluster, measured on the same node in the same run: bookings of one hot item, each client waiting for its own,
//! (a) one conditional insert per booking, (b) through one committer that appends what has piled up. And how long a log of 100,000 events takes to read.
//!
//! `cargo run --release -p ledger --example cql_rate HOST:PORT [SECONDS [USER PASSWORD]]` on a cluster for trying: it makes a keyspace `holdfast_rate` and drops it in
//! the end. `deploy/cassandra/cassandra.sh start DIR` starts one and prints HOST:PORT.

use std::error::Error;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use domain::LogId;
use domain::limits::MAX_APPEND_EVENTS;
use futures_util::future::join_all;
use ledger::cql::{Replication, Settings, migrate};
use ledger::{Append, Ledger, Writer};
use scylla::client::PoolSize;
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::policies::load_balancing::DefaultPolicy;
use scylla::policies::retry::FallthroughRetryPolicy;
use scylla::statement::{Consistency, SerialConsistency};
use tokio::sync::{mpsc, oneshot};

type Outcome<T> = Result<T, Box<dyn Error>>;

const KEYSPACE: &str = "holdfast_rate";
/// Clients that wait for a booking each: what a single conditional insert per booking does best with, and what a hot sale has.
const CLIENTS: [usize; 3] = [32, 128, 1_024];
/// A young JVM runs at a fifth of its later speed.
const WARM_UP: Duration = Duration::from_secs(20);
/// Events of the log that is read back.
const RECOVERED: u64 = 100_000;

fn event(n: u64) -> String {
    format!("{{\"v\":1,\"t\":\"booked\",\"id\":\"{n:032x}\",\"pad\":\"{}\"}}", "x".repeat(80))
}

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let point = arguments.next().ok_or("cql_rate HOST:PORT [SECONDS [USER PASSWORD]]")?;
    let time = Duration::from_secs(arguments.next().map_or(Ok(15), |seconds| seconds.parse())?);
    let (user, password) = (arguments.next().unwrap_or_default(), arguments.next().unwrap_or_default());
    let settings = Settings { user, password, ..Settings::new(vec![point], KEYSPACE) };
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        migrate(&settings, Some(Replication { factor: 1 })).await?;
        let session = Arc::new(connect(&settings).await?);
        let outcome = measure(&settings, &session, time).await;
        session.query_unpaged(format!("DROP KEYSPACE {KEYSPACE}"), ()).await?;
        outcome
    })
}

async fn connect(settings: &Settings) -> Outcome<Session> {
    let profile = ExecutionProfile::builder()
        .consistency(Consistency::LocalQuorum)
        .serial_consistency(Some(SerialConsistency::LocalSerial))
        .retry_policy(Arc::new(FallthroughRetryPolicy::new()))
        .load_balancing_policy(DefaultPolicy::builder().enable_shuffling_replicas(false).build())
        .request_timeout(Some(Duration::from_secs(10)))
        .build();
    let mut builder = SessionBuilder::new()
        .known_nodes(&settings.contact_points)
        .default_execution_profile_handle(profile.into_handle())
        .pool_size(PoolSize::PerHost(NonZeroUsize::MIN));
    if !settings.user.is_empty() {
        builder = builder.user(&settings.user, &settings.password);
    }
    Ok(builder.build().await?)
}

async fn measure(settings: &Settings, session: &Arc<Session>, time: Duration) -> Outcome<()> {
    session
        .query_unpaged(
            format!("CREATE TABLE {KEYSPACE}.bookings (item text, id bigint, event text, PRIMARY KEY (item, id))"),
            (),
        )
        .await?;
    let ledger = Ledger::cql(settings).await?;
    inserts(session, 32, WARM_UP).await?;
    groups(&ledger, 1_024, WARM_UP).await?;
    println!("bookings of one item, {} s each, after {} s of warming up each", time.as_secs(), WARM_UP.as_secs());
    println!("{:<34} {:>8} {:>12} {:>14} {:>9} {:>9}", "", "clients", "bookings/s", "events/round", "p50 ms", "p99 ms");
    let mut best: [(f64, f64); 2] = [(0.0, 0.0); 2];
    for clients in CLIENTS {
        let single = inserts(session, clients, time).await?;
        let grouped = groups(&ledger, clients, time).await?;
        for (index, (name, measured)) in
            [("a conditional insert per booking", single), ("group commit", grouped)].into_iter().enumerate()
        {
            let (rate, round) = measured.line(name, clients);
            if let Some(best) = best.get_mut(index).filter(|best| best.0 < rate) {
                *best = (rate, round);
            }
        }
    }
    let [(single, _), (grouped, round)] = best;
    println!("best against best: {single:.0} and {grouped:.0} bookings/s, one and {round:.0} events per round");
    recovery(&ledger).await
}

/// What a run came to.
struct Measured {
    rounds: u64,
    times: Vec<Duration>,
    elapsed: Duration,
}

impl Measured {
    /// Prints it; answers bookings per second and events per round.
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    fn line(mut self, name: &str, clients: usize) -> (f64, f64) {
        self.times.sort_unstable();
        let count = self.times.len() as f64;
        let at = |share: usize| {
            self.times
                .get(self.times.len().saturating_sub(1) * share / 100)
                .map_or(0.0, |time| time.as_secs_f64() * 1e3)
        };
        let (rate, round) = (count / self.elapsed.as_secs_f64(), count / self.rounds.max(1) as f64);
        println!("{name:<34} {clients:>8} {rate:>12.0} {round:>14.1} {:>9.1} {:>9.1}", at(50), at(99));
        (rate, round)
    }
}

/// One conditional insert per booking, all on the hot item's partition.
async fn inserts(session: &Arc<Session>, clients: usize, time: Duration) -> Outcome<Measured> {
    let insert = format!("INSERT INTO {KEYSPACE}.bookings (item, id, event) VALUES (?, ?, ?) IF NOT EXISTS");
    let insert = session.prepare(insert).await?;
    let item = format!("hot-{:x}", rand::random::<u64>());
    let next = AtomicU64::new(0);
    let (since, until) = (Instant::now(), Instant::now() + time);
    let client = || async {
        let mut times = Vec::new();
        while Instant::now() < until {
            let n = next.fetch_add(1, Ordering::Relaxed);
            let began = Instant::now();
            let id = i64::try_from(n).unwrap_or(i64::MAX);
            // Time-outs under contention are no bookings.
            if session.execute_unpaged(&insert, (&item, id, event(n))).await.is_ok() {
                times.push(began.elapsed());
            }
        }
        times
    };
    let times = join_all((0..clients).map(|_| client())).await.concat();
    Ok(Measured { rounds: times.len() as u64, times, elapsed: since.elapsed() })
}

/// A booking on its way to the committer, and where its client waits.
type Intent = (String, oneshot::Sender<()>);

/// Clients that wait, and one committer that appends all that has piled up.
async fn groups(ledger: &Ledger, clients: usize, time: Duration) -> Outcome<Measured> {
    let log = LogId::lane(&format!("rate-{:x}", rand::random::<u64>()).parse()?, 0);
    let writer = ledger.claim(&log, "cql_rate").await?;
    let (intents, queue) = mpsc::channel::<Intent>(clients.max(1));
    let next = AtomicU64::new(0);
    let (since, until) = (Instant::now(), Instant::now() + time);
    let client = |intents: mpsc::Sender<Intent>| {
        let next = &next;
        async move {
            let mut times = Vec::new();
            while Instant::now() < until {
                let (answer, booked) = oneshot::channel();
                let began = Instant::now();
                let intent = (event(next.fetch_add(1, Ordering::Relaxed)), answer);
                if intents.send(intent).await.is_err() || booked.await.is_err() {
                    break;
                }
                times.push(began.elapsed());
            }
            times
        }
    };
    let all: Vec<_> = (0..clients).map(|_| client(intents.clone())).collect();
    drop(intents);
    let (times, rounds) = tokio::join!(join_all(all), commit(ledger, writer, queue));
    Ok(Measured { rounds: rounds?, times: times.concat(), elapsed: since.elapsed() })
}

/// Appends until every client has gone; answers the number of appends.
async fn commit(ledger: &Ledger, mut writer: Writer, mut queue: mpsc::Receiver<Intent>) -> Outcome<u64> {
    let mut rounds = 0;
    let mut group = Vec::new();
    while queue.recv_many(&mut group, MAX_APPEND_EVENTS).await > 0 {
        let (events, answers): (Vec<String>, Vec<_>) = group.drain(..).unzip();
        match ledger.append(&writer, &events).await? {
            Append::Appended(next) => writer = next,
            Append::Fenced(head) => return Err(format!("somebody else writes: {head:?}").into()),
        }
        rounds += 1;
        for answer in answers {
            let _ = answer.send(());
        }
    }
    Ok(rounds)
}

/// Fills a log with groups of 64 and reads it back, on this cluster and in a file.
async fn recovery(cluster: &Ledger) -> Outcome<()> {
    let file = std::env::temp_dir().join(format!("cql-rate-{}.db", std::process::id()));
    let sqlite = Ledger::sqlite(&file)?;
    for (name, ledger) in [("SQLite", &sqlite), ("this cluster", cluster)] {
        let log = LogId::lane(&format!("back-{:x}", rand::random::<u64>()).parse()?, 0);
        let mut writer = ledger.claim(&log, "cql_rate").await?;
        while writer.head < RECOVERED {
            let events: Vec<String> = (0..64).map(|n| event(writer.head + n)).collect();
            match ledger.append(&writer, &events).await? {
                Append::Appended(next) => writer = next,
                Append::Fenced(head) => return Err(format!("somebody else writes: {head:?}").into()),
            }
        }
        let mut times = Vec::new();
        for _ in 0..3 {
            let (since, mut bytes) = (Instant::now(), 0);
            ledger.read_all(&log, 0, |entry| bytes += entry.event.len()).await?;
            times.push(format!("{:.2} s", since.elapsed().as_secs_f64()));
        }
        println!("a log of {} events in groups of 64, read back from {name}: {}", writer.head, times.join(", "));
    }
    drop(sqlite);
    // Closing has removed what SQLite keeps beside it.
    Ok(std::fs::remove_file(&file)?)
}
