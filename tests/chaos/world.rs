//! Everything of one run: stores, processes, sales, and the proxies between them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::history::{Glance, History, Tenure};
use crate::http::Client;
use crate::ledger::{Ledger, On};
use crate::process::{Process, Program};
use crate::redis::{Redis, Said, Talk};
use crate::visitors::Place;
use crate::wait::within;

/// Between two looks at Redis.
const GLANCE_EVERY: Duration = Duration::from_millis(10);

/// A sale of the run.
pub(crate) struct Sale {
    pub(crate) id: &'static str,
    pub(crate) lanes: u16,
    pub(crate) units: u64,
    pub(crate) document: String,
}

pub(crate) struct World {
    // Dropped in this order: processes before what they run on.
    pub(crate) processes: Vec<Process>,
    pub(crate) redis: Redis,
    pub(crate) ledger: Ledger,
    pub(crate) program: Program,
    _folder: tempfile::TempDir,
}

impl World {
    /// Starts stores and processes; `planted` names a bug of the program at `path`. None where the ledger cannot be had.
    pub(crate) fn start(path: PathBuf, processes: usize, on: On, planted: Option<&str>) -> Option<Self> {
        let folder = tempfile::Builder::new().prefix("hf").tempdir().unwrap();
        let ledger = Ledger::start(on, folder.path())?;
        let redis = Redis::start(folder.path());
        let at = |name: &str| folder.path().join(name).display().to_string();
        let mut settings = vec![
            ("HOLDFAST_LEDGER".to_owned(), ledger.setting()),
            ("HOLDFAST_KEYS".to_owned(), at("keys.toml")),
            ("HOLDFAST_EDGE_VISITORS_PER_MINUTE".to_owned(), "0".to_owned()),
            ("HOLDFAST_EDGE_JOINS_PER_MINUTE".to_owned(), "0".to_owned()),
            ("HOLDFAST_THREADS".to_owned(), "1".to_owned()),
        ];
        settings.extend(planted.map(|bug| ("PLANTED_BUG".to_owned(), bug.to_owned())));
        let program = Program { path, folder: folder.path().to_owned(), settings };
        // All processes have the same keys: by one visitors are hashed, by another they call each other.
        let keys = program.run(&["keys", "create", &at("keys.toml")]);
        assert!(keys.0 == 0, "{keys:?}");
        let processes =
            (0..processes).map(|n| Process::start(&program, &format!("p{n}"), redis.address(), &[])).collect();
        Some(Self { processes, redis, ledger, program, _folder: folder })
    }

    pub(crate) fn place(&self) -> Place {
        Place { doors: self.processes.iter().map(|process| process.visitors.address).collect() }
    }

    /// The process that owns a lane and has served it: it has the lease, writes the log and has loaded Redis. After a fault one may
    /// have the lease and another still write.
    pub(crate) fn owner(&self, sale: &str, lane: u16) -> (usize, Tenure) {
        let mut found = None;
        let settled = || {
            let lease = self.redis.say(&["GET", &lane_key(sale, lane, "lease")]);
            let Ok(holder) = lease.map(|lease| lease.text().to_owned()) else { return false };
            let (writer, tenure) = self.written(sale, lane);
            let pid = writer.split('@').next().and_then(|pid| pid.parse().ok());
            let process = self.processes.iter().position(|process| process.pid() == pid);
            found = process.filter(|_| holder == writer && tenure.epoch > 0).map(|process| (process, tenure));
            found.is_some()
        };
        assert!(within(Duration::from_secs(20), settled), "nobody owns lane {lane} of {sale}");
        found.unwrap()
    }

    /// Who writes a lane: the fence of its log, and the epoch under which Redis was loaded last.
    pub(crate) fn tenure(&self, sale: &str, lane: u16) -> Tenure {
        self.written(sale, lane).1
    }

    fn written(&self, sale: &str, lane: u16) -> (String, Tenure) {
        let log = format!("lane/{sale}/{lane}");
        let words = ["log", "list", &log, "--json"];
        let (mut out, mut said) = (String::new(), String::new());
        // A node that has just come back may keep a new session waiting for longer than the command does.
        let listed = || {
            let (code, told, err) = self.program.cli(&self.processes[0], &words);
            (out, said) = (told, err);
            code == 0
        };
        assert!(within(Duration::from_secs(30), listed), "{words:?}: {said}");
        let log: Value = serde_json::from_str(&out).unwrap();
        let epoch = self.redis.say(&["HGET", &lane_key(sale, lane, "lane"), "epoch"]);
        let epoch = epoch.ok().and_then(|epoch| epoch.text().parse().ok()).unwrap_or_default();
        (log["owner"].as_str().unwrap().to_owned(), Tenure { fence: log["fence"].as_u64().unwrap(), epoch })
    }

    /// Every process speaks to the master there is now.
    pub(crate) fn lead_to_redis(&self) {
        for process in &self.processes {
            process.to_redis.lead(self.redis.address());
        }
    }

    /// Applies a sale document, opens it, and waits until it is served at every door: each process learns of it by itself.
    pub(crate) fn sell(&self, sale: &Sale) {
        let file = self.program.folder.join("sale.toml");
        std::fs::write(&file, &sale.document).unwrap();
        for words in [vec!["sale", "apply", file.to_str().unwrap()], vec!["sale", "open", sale.id]] {
            let (code, out, err) = self.program.cli(&self.processes[0], &words);
            assert!(code == 0, "{words:?} ended with {code}: {out}{err}");
        }
        for door in self.place().doors {
            let path = format!("/v1/sales/{}", sale.id);
            let known = || {
                let answer = Client::default().call(&format!("http://{door}"), "GET", &path, &[], None);
                answer.is_ok_and(|answer| answer.status == 200 && answer.body["state"] == "open")
            };
            assert!(within(Duration::from_secs(20), known), "{} is not known at {door}", sale.id);
        }
    }

    /// The events of a log, each with its `seq`.
    pub(crate) fn log(&self, log: &str) -> Vec<Value> {
        let (code, out, err) = self.program.cli(&self.processes[0], &["log", "read", log, "--json"]);
        assert!(code == 0, "log read {log} ended with {code}: {err}");
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub(crate) fn lane_logs(&self, sale: &Sale) -> BTreeMap<String, Vec<Value>> {
        (0..sale.lanes)
            .map(|lane| format!("lane/{}/{lane}", sale.id))
            .map(|log| (log.clone(), self.log(&log)))
            .collect()
    }

    /// The program's own proof from the stores.
    pub(crate) fn audit(&self, sale: &Sale, history: &History) {
        let (code, out, err) = self.program.cli(&self.processes[0], &["audit", sale.id]);
        if code != 0 {
            history.lie(format!("audit of {} ended with {code}:\n{out}{err}", sale.id));
        }
    }

    /// What every process logged last.
    pub(crate) fn said(&self) -> String {
        self.processes.iter().map(|process| format!("--- {}\n{}\n", process.name, process.said())).collect()
    }
}

/// The keys of a lane, as Redis has them.
pub(crate) fn lane_key(sale: &str, lane: u16, part: &str) -> String {
    format!("h1:{{{sale}:{lane}}}:{part}")
}

/// Looks at the lanes all the time, past all proxies, and notes each state it sees.
pub(crate) fn watch(
    history: &History,
    sales: &[Sale],
    redis: &std::sync::RwLock<std::net::SocketAddr>,
    done: &std::sync::atomic::AtomicBool,
) {
    let mut last: BTreeMap<(&str, u16), Glance> = BTreeMap::new();
    let mut talk: Option<(std::net::SocketAddr, Talk)> = None;
    while !done.load(Ordering::Relaxed) {
        std::thread::park_timeout(GLANCE_EVERY);
        let address = *redis.read().unwrap();
        if talk.as_ref().is_none_or(|(to, _)| *to != address) {
            talk = Talk::open(address).ok().map(|talk| (address, talk));
        }
        let Some((_, open)) = &mut talk else { continue };
        for (sale, lane) in sales.iter().flat_map(|sale| (0..sale.lanes).map(move |lane| (sale.id, lane))) {
            match open.say(&["HGETALL", &lane_key(sale, lane, "lane")]) {
                Ok(said) => {
                    let Some(glance) = glance(sale, lane, &said) else { continue };
                    if last.get(&(sale, lane)) != Some(&glance) {
                        last.insert((sale, lane), glance.clone());
                        history.glances.lock().unwrap().push((Instant::now(), glance));
                    }
                }
                Err(_) => {
                    talk = None;
                    break;
                }
            }
        }
    }
}

/// A loaded lane; nothing otherwise.
fn glance(sale: &'static str, lane: u16, said: &Said) -> Option<Glance> {
    let Said::List(fields) = said else { return None };
    let (mut loaded, mut settled, mut free, mut live) = (false, None, 0, 0);
    for pair in fields.chunks_exact(2) {
        let (name, value) = (pair[0].text(), pair[1].text());
        let number = || value.parse::<i64>().unwrap_or_default();
        match name.split_at_checked(2) {
            Some(("f:", _)) => free += number(),
            Some(("l:", _)) => live += number(),
            _ if name == "loaded" => loaded = value == "1",
            _ if name == "settled" => settled = value.parse().ok(),
            _ => {}
        }
    }
    loaded.then_some(Glance { sale, lane, settled: settled?, free, live })
}

/// Waits until visitors book again.
pub(crate) fn service(history: &History, patience: Duration) -> bool {
    let before = history.booked();
    within(patience, || history.booked() > before + 3)
}
