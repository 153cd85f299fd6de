//! Several processes on one file.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::LogId;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tempfile::TempDir;

use super::{Folder, log};
use crate::conformance::{Doubts, Factory};
use crate::{Append, Entry, Error, Head, Ledger, Limits, Sqlite, Store, Writer};

/// Two stores on one file, which take the calls by turns: what one decided, the other must know.
struct Pair {
    stores: [Sqlite; 2],
    turn: AtomicUsize,
}

impl Pair {
    fn next(&self) -> &Sqlite {
        &self.stores[self.turn.fetch_add(1, Ordering::Relaxed) % 2]
    }
}

impl Store for Pair {
    fn claim<'a>(&'a self, log: &'a LogId, owner: &'a str) -> BoxFuture<'a, Result<Writer, Error>> {
        self.next().claim(log, owner)
    }

    fn append<'a>(&'a self, writer: &'a Writer, events: &'a [String]) -> BoxFuture<'a, Result<Append, Error>> {
        self.next().append(writer, events)
    }

    fn read<'a>(&'a self, log: &'a LogId, after: u64, most: usize) -> BoxFuture<'a, Result<Vec<Entry>, Error>> {
        self.next().read(log, after, most)
    }

    fn head<'a>(&'a self, log: &'a LogId) -> BoxFuture<'a, Result<Head, Error>> {
        self.next().head(log)
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<LogId>, Error>> {
        self.next().list(prefix)
    }
}

struct Shared(TempDir);

impl Factory for Shared {
    fn open<'a>(&'a self, limits: Limits, doubts: &'a Doubts) -> BoxFuture<'a, Ledger> {
        async move {
            let file = self.0.path().join("ledger.db");
            let open = || Sqlite::open_with(&file, limits).expect("the store opens").with_doubts(doubts);
            Ledger::new(Arc::new(Pair { stores: [open(), open()], turn: AtomicUsize::new(0) }))
        }
        .boxed()
    }
}

crate::conformance_suite!(Shared(tempfile::tempdir().expect("a folder")));

const FILE: &str = "HOLDFAST_TEST_SHARED_LEDGER";
const NAME: &str = "HOLDFAST_TEST_NAME";
const PROCESSES: usize = 3;
const ROUNDS: usize = 60;

/// Not a test by itself: one of the processes of [`processes_that_share_a_file_lose_nothing_and_write_nothing_they_were_refused`]. Claims and appends, and prints what
/// it was told.
#[test]
#[ignore = "run by the test that starts several"]
fn child_that_shares() {
    let (Some(file), Ok(name)) = (std::env::var_os(FILE), std::env::var(NAME)) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let ledger = Ledger::new(Arc::new(
            Sqlite::open_with(Path::new(&file), Limits { segment_rows: 7, ..Limits::default() }).unwrap(),
        ));
        for round in 0..ROUNDS {
            // One log that all fight for, and one of its own.
            let own = name.parse().unwrap();
            for lane in [0, own] {
                let mut writer = ledger.claim(&log(lane), &name).await.unwrap();
                for part in 0..3 {
                    let event = format!("\"{name}/{round}/{part}\"");
                    match ledger.append(&writer, std::slice::from_ref(&event)).await.unwrap() {
                        Append::Appended(next) => {
                            writer = next;
                            println!("told {lane} {} {event}", writer.head);
                        }
                        Append::Fenced(_) => {
                            println!("told {lane} 0 {event}");
                            break;
                        }
                    }
                }
            }
        }
    });
    println!("told end");
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn processes_that_share_a_file_lose_nothing_and_write_nothing_they_were_refused() {
    let folder = Folder::new();
    let test = format!("{}::child_that_shares", module_path!().split_once("::").unwrap().1);
    // All open a file that is not there yet.
    let children: Vec<Process> = (1..=PROCESSES)
        .map(|n| {
            let child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", &test, "--ignored", "--nocapture", "--test-threads=1"])
                .env(FILE, folder.file())
                .env(NAME, n.to_string())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            Process(child)
        })
        .collect();
    let mut told: BTreeMap<(u16, String), u64> = BTreeMap::new();
    for mut child in children {
        let mut ended = false;
        for line in BufReader::new(child.0.stdout.take().unwrap()).lines().map_while(Result::ok) {
            // The harness prints the test's name without a line break before the first one.
            let Some((_, rest)) = line.split_once("told ") else { continue };
            if rest == "end" {
                ended = true;
                continue;
            }
            let mut parts = rest.splitn(3, ' ');
            let lane = parts.next().unwrap().parse().unwrap();
            let seq = parts.next().unwrap().parse().unwrap();
            told.insert((lane, parts.next().unwrap().to_owned()), seq);
        }
        assert!(ended && child.0.wait().unwrap().success(), "a process failed");
    }
    let ledger = Ledger::sqlite(&folder.file()).unwrap();
    let mut appended = 0;
    for lane in 0..=u16::try_from(PROCESSES).unwrap() {
        let mut found: BTreeMap<String, u64> = BTreeMap::new();
        ledger.read_all(&log(lane), 0, |entry| assert!(found.insert(entry.event, entry.seq).is_none())).await.unwrap();
        let of_lane = told.iter().filter(|((on, _), seq)| *on == lane && **seq != 0);
        let expected: BTreeMap<String, u64> = of_lane.map(|((_, event), seq)| (event.clone(), *seq)).collect();
        assert_eq!(found, expected, "lane {lane}");
        appended += found.len();
    }
    assert!(appended >= PROCESSES * ROUNDS * 3, "{appended}: each has its own lane to itself");
}
