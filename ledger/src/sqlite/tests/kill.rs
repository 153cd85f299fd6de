//! A process that appends is killed, again and again: what it was told is there.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use futures_util::future::join_all;

use super::{Folder, log};
use crate::{Append, Ledger};

const ROUNDS: u64 = 8;
const LANES: u16 = 4;
/// Largest group of the child.
const GROUP: u64 = 20;
const FILE: &str = "HOLDFAST_TEST_LEDGER";

/// Not a test by itself: the process that [`acknowledged_events_survive_kill_9`] kills. Appends to several logs until it dies and prints each head it was told.
#[test]
#[ignore = "run by the test that kills it"]
fn child_that_appends() {
    let Some(file) = std::env::var_os(FILE) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let ledger = Ledger::sqlite(Path::new(&file)).unwrap();
        join_all((0..LANES).map(|lane| write(&ledger, lane))).await;
    });
}

async fn write(ledger: &Ledger, lane: u16) {
    let mut writer = ledger.claim(&log(lane), "child").await.unwrap();
    let mut size = u64::from(lane);
    loop {
        size = size % GROUP + 1;
        let events: Vec<String> = (1..=size).map(|n| event(lane, writer.head + n)).collect();
        match ledger.append(&writer, &events).await.unwrap() {
            Append::Appended(next) => writer = next,
            Append::Fenced(head) => panic!("{head:?}"),
        }
        println!("ack {lane} {}", writer.head);
    }
}

fn event(lane: u16, seq: u64) -> String {
    format!("{{\"v\":1,\"lane\":{lane},\"seq\":{seq},\"text\":\"{}\"}}", "x".repeat(100))
}

/// Killed when dropped, so that a failing test leaves nothing behind.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(file: &Path) -> (Process, mpsc::Receiver<(u16, u64)>) {
    let test = format!("{}::child_that_appends", module_path!().split_once("::").unwrap().1);
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &test, "--ignored", "--nocapture", "--test-threads=1"])
        .env(FILE, file)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (sender, acknowledged) = mpsc::channel();
    thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            // The harness prints the test's name without a line break before the first one.
            let Some((_, ack)) = line.split_once("ack ") else { continue };
            let mut numbers = ack.split(' ');
            let lane = numbers.next().unwrap().parse().unwrap();
            // The last line may be cut off by the kill.
            if let Some(Ok(head)) = numbers.next().map(str::parse) {
                let _ = sender.send((lane, head));
            }
        }
    });
    (Process(child), acknowledged)
}

#[tokio::test]
async fn acknowledged_events_survive_kill_9() {
    let folder = Folder::new();
    let mut heads: BTreeMap<u16, u64> = BTreeMap::new();
    for round in 0..ROUNDS {
        let (mut process, acknowledged) = start(&folder.file());
        // In every second round somebody reads meanwhile, so that the dead process was not the last to have the file open.
        let open = (round % 2 == 1).then(|| Ledger::sqlite(&folder.file()).unwrap());
        for _ in 0..50 + round * 37 {
            let (lane, head) = acknowledged.recv_timeout(Duration::from_secs(30)).expect("the child appends");
            heads.insert(lane, head);
        }
        process.0.kill().unwrap();
        process.0.wait().unwrap();
        // What it said before it died.
        heads.extend(acknowledged.iter());
        let ledger = open.unwrap_or_else(|| Ledger::sqlite(&folder.file()).unwrap());
        for lane in 0..LANES {
            let told = heads.get(&lane).copied().unwrap_or(0);
            let mut seq = 0;
            ledger
                .read_all(&log(lane), 0, |entry| {
                    seq += 1;
                    assert_eq!((entry.seq, entry.event), (seq, event(lane, seq)));
                })
                .await
                .unwrap();
            assert!(seq >= told, "round {round}, lane {lane}: {told} events were acknowledged, {seq} are there");
            assert!(seq <= told + GROUP, "round {round}, lane {lane}: at most one append was not yet acknowledged");
            let head = ledger.head(&log(lane)).await.unwrap();
            assert_eq!(head.head, seq);
            heads.insert(lane, seq);
        }
    }
    assert!(heads.values().sum::<u64>() > 1000, "{heads:?}");
}
