//! Alerts driven for real: Debian's Prometheus with the shipped rules scrapes a running holdfast, the fault is made, the alert fires.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::http::{Answer, Client};
use crate::process::{beside, holdfast, run};
use crate::start;

/// How long one thing may take that is waited for: the longest is a frontier that stands still for 20 s, told 10 s later.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two questions to Prometheus, which looks once a second.
const ASK_EVERY: Duration = Duration::from_millis(250);

pub const TOOLS: [&str; 3] = ["prometheus", "promtool", "python3"];
const LINE: &str =
    "id = \"night\"\nadmission = { pace_per_minute = 6000, active_passes = 1 }\n[[items]]\nid = \"seat\"\nunits = 50\n";
const DESK: &str = "id = \"desk\"\nadmission = \"none\"\n[[items]]\nid = \"seat\"\nunits = 50\n";

/// A child that is ended with the test.
pub struct Started(pub Child);

impl Started {
    fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether the tool is there. Where CI=true says that nothing may be left out, it has to be.
pub fn has(tool: &str) -> bool {
    let found = Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{tool} is missing");
        eprintln!("left out: alerts on a running program ({tool} is missing)");
    }
    found
}

/// A Prometheus with the shipped rules that scrapes every second.
pub struct Prometheus {
    address: String,
    log: std::path::PathBuf,
    _child: Started,
}

impl Prometheus {
    pub fn start(folder: &Path, target: &str) -> Self {
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus/rules");
        let settings = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [ \"{}/*.rules.yml\" ]\n\
             scrape_configs: [ {{ job_name: holdfast, static_configs: [ {{ targets: [ \"{target}\" ] }} ] }} ]\n",
            rules.display()
        );
        let (file, log) = (folder.join("prometheus.yml"), folder.join("prometheus.log"));
        std::fs::write(&file, settings).unwrap();
        // It takes no port 0; the one that was free a moment ago is not given out again so soon.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("series").display()))
            .args(["--log.level=warn", &format!("--web.listen-address={address}")])
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Self { address: format!("http://{address}"), log, _child: Started(child) }
    }

    /// What the expression gives now; nothing while it does not answer yet.
    pub fn query(&self, expression: &str) -> String {
        let (_, found, _) = run(Command::new("promtool").args(["query", "instant", &self.address, expression]));
        found.trim().to_owned()
    }

    pub fn firing(&self) -> BTreeSet<String> {
        let found = self.query("ALERTS{alertstate=\"firing\"}");
        let names = found.split("alertname=\"").skip(1).filter_map(|rest| rest.split('"').next());
        names.map(str::to_owned).collect()
    }

    pub fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds() {
            assert!(
                Instant::now() < deadline,
                "{what}: not in time; firing {:?}; {}",
                self.firing(),
                start::tail(&self.log)
            );
            std::thread::park_timeout(ASK_EVERY);
        }
    }

    pub fn until_fires(&self, alert: &str) {
        let begun = Instant::now();
        self.until(alert, || self.firing().contains(alert));
        eprintln!("{alert} after {:.1} s", begun.elapsed().as_secs_f32());
    }
}

/// A redis-server on a socket in the folder.
pub fn redis(folder: &Path) -> Started {
    let socket = folder.join("r.sock");
    let child = Command::new("redis-server")
        .args(["--port", "0", "--save", "", "--appendonly", "yes", "--dir"])
        .arg(folder)
        .arg("--unixsocket")
        .arg(&socket)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    crate::process::until("a socket", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
    Started(child)
}

/// One command to Redis, as somebody would who should not.
pub fn edit(folder: &Path, words: &[&str]) {
    let (code, _, err) = run(Command::new("redis-cli").arg("-s").arg(folder.join("r.sock")).args(words));
    assert_eq!(code, 0, "{err}");
}

/// Visitors of the program under test.
struct Visitors {
    public: String,
    client: Client,
}

impl Visitors {
    fn post(&mut self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.client.call(&self.public, "POST", path, headers, Some(body)).unwrap()
    }

    fn one(&mut self) -> String {
        self.post("/v1/visitors", &[], "{}").text("visitor")
    }

    fn books(&mut self) {
        assert_eq!(self.confirms(), 201);
    }

    /// A visitor holds two seats and confirms: how that is answered.
    fn confirms(&mut self) -> u16 {
        let (visitor, status, hold) = self.holds();
        assert_eq!(status, 201);
        let headers = [("holdfast-visitor", visitor.as_str()), ("idempotency-key", "k")];
        self.post(&format!("/v1/holds/{hold}/confirm"), &headers, "{}").status
    }

    /// A new visitor holds two seats: who, how that was answered, and the hold.
    fn holds(&mut self) -> (String, u16, String) {
        let visitor = self.one();
        let headers = [("holdfast-visitor", visitor.as_str()), ("idempotency-key", "k")];
        let held = self.post("/v1/sales/desk/holds", &headers, r#"{"lines":[{"item":"seat","quantity":2}]}"#);
        let hold = held.text("hold_id");
        (visitor, held.status, hold)
    }

    /// Joins the line; the first of them gets the only pass there is, and the others wait.
    fn joins(&mut self) -> (String, u16) {
        let visitor = self.one();
        let joined = self.post("/v1/sales/night/tickets", &[("holdfast-visitor", &visitor)], "{}");
        if joined.status != 201 {
            return (String::new(), joined.status);
        }
        let ticket = joined.text("ticket");
        (format!("{visitor} {ticket}"), joined.status)
    }

    fn claims(&mut self, who: &str) -> u16 {
        let (visitor, ticket) = who.split_once(' ').unwrap();
        self.post("/v1/sales/night/passes", &[("holdfast-visitor", visitor), ("holdfast-ticket", ticket)], "{}").status
    }
}

/// `serve` on the Redis of the folder, with both sales open.
fn serving(folder: &Path) -> (Started, Value) {
    let mut command = holdfast();
    command.args(["serve", "--json", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data"]);
    command.arg(folder.join("d")).env("HOLDFAST_REDIS", format!("unix:{}", folder.join("r.sock").display()));
    let (child, banner) = start::serving(command, &folder.join("holdfast.log"));
    let child = Started(child);
    for (sale, document) in [("night", LINE), ("desk", DESK)] {
        let file = folder.join(sale);
        std::fs::write(&file, document).unwrap();
        for words in [&["sale", "apply", file.to_str().unwrap()][..], &["sale", "open", sale]] {
            let (code, out, err) = beside(&folder.join("d"), words);
            assert_eq!(code, 0, "{out}{err}");
        }
    }
    (child, banner)
}

#[test]
fn alerts_fire_when_it_happens_and_not_before() {
    if !TOOLS.into_iter().all(has) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut redis = redis(folder);
    let (mut program, banner) = serving(folder);
    let admin = banner["admin"].as_str().unwrap().trim_start_matches("http://").to_owned();
    let prometheus = Prometheus::start(folder, &admin);
    let mut visitors = Visitors { public: banner["public"].as_str().unwrap().to_owned(), client: Client::default() };

    visitors.books();
    let first = visitors.joins().0;
    prometheus.until("a pass", || matches!(visitors.claims(&first), 200 | 201));
    for _ in 0..4 {
        assert_eq!(visitors.joins().1, 201);
    }
    prometheus.until("the armed set", || !prometheus.query("holdfast:armed").is_empty());
    visitors.books();
    prometheus.until("people who wait", || prometheus.query("holdfast_line_waiting_visitors > 2").contains("night"));
    assert_eq!(prometheus.firing(), BTreeSet::new(), "nothing has happened yet");
    no_panel_is_empty(&prometheus);

    // Somebody edits stock in Redis, then puts something else in a key's place, and then writes a figure that only a ledger which
    // lost data could explain.
    edit(folder, &["HINCRBY", "h1:{desk:0}:lane", "f:seat", "3"]);
    prometheus.until_fires("HoldfastRedisDiffers");
    edit(folder, &["DEL", "h1:{desk:0}:holds"]);
    edit(folder, &["SET", "h1:{desk:0}:holds", "not a hash"]);
    // The lane's calls fail until its owner has loaded it anew.
    prometheus.until("a lane that works again", || visitors.holds().1 == 201);
    prometheus.until_fires("HoldfastRedisDataBroken");
    edit(folder, &["HSET", "h1:{desk:0}:lane", "settled", "999"]);
    prometheus.until_fires("HoldfastLaneStopped");
    prometheus.until_fires("HoldfastAuditFails");
    let broken = prometheus.query("ALERTS{alertname=\"HoldfastAuditFails\"}");
    assert!(broken.contains("invariant=\"I3\"") && broken.contains("sale=\"desk\""), "{broken}");
    // The other lane is lost; the ledger still has it.
    edit(folder, &["UNLINK", "h1:{night:0}:lane"]);
    let emptied = "ALERTS{alertname=\"HoldfastRedisEmptied\",sale=\"night\",alertstate=\"firing\"}";
    prometheus.until("HoldfastRedisEmptied for the line's sale", || !prometheus.query(emptied).is_empty());

    redis.kill();
    for _ in 0..15 {
        assert_eq!(
            visitors
                .post("/v1/sales/night/tickets", &[("holdfast-visitor", first.split(' ').next().unwrap())], "{}")
                .status,
            503
        );
    }
    prometheus.until_fires("HoldfastSaleRedisAway");
    prometheus.until_fires("HoldfastSaleBudgetBurns");
    prometheus.until_fires("HoldfastSaleFrontierStuck");
    program.kill();
    prometheus.until_fires("HoldfastSaleDown");

    let never = ["HoldfastLedgerDamaged", "HoldfastLedgerFull", "HoldfastLedgerRefusedUnits", "HoldfastLineStopped"];
    let ever = prometheus.query("max_over_time(ALERTS{alertstate=\"firing\"}[5m])");
    for alert in never {
        assert!(!ever.contains(alert), "{alert} fired for something else");
    }
}

/// Somebody who has begun to write in the ledger's file, and does not end.
fn lock(folder: &Path) -> Started {
    let script = "import sqlite3, sys, time\n\
                  file = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
                  file.execute('BEGIN IMMEDIATE')\n\
                  print('locked', flush=True)\n\
                  time.sleep(600)\n";
    let mut command = Command::new("python3");
    command.args(["-c", script]).arg(folder.join("d/ledger.db")).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "locked\n");
    Started(child)
}

#[test]
fn a_ledger_that_takes_nothing_is_told() {
    if !TOOLS.into_iter().all(has) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let _redis = redis(folder);
    let (_program, banner) = serving(folder);
    let prometheus = Prometheus::start(folder, banner["admin"].as_str().unwrap().trim_start_matches("http://"));
    let mut visitors = Visitors { public: banner["public"].as_str().unwrap().to_owned(), client: Client::default() };
    visitors.books();
    prometheus.until("the armed set", || !prometheus.query("holdfast:armed").is_empty());

    let locked = lock(folder);
    let answers: Vec<u16> = (0..12).map(|_| visitors.confirms()).collect();
    assert!(answers.iter().all(|status| *status == 202), "{answers:?}");
    prometheus.until_fires("HoldfastSaleBudgetBurns");
    prometheus.until_fires("HoldfastSaleIntentsWait");
    prometheus.until_fires("HoldfastSaleIntentsStuck");
    prometheus.until_fires("HoldfastIntentsTooOld");
    let burning = prometheus.query("ALERTS{alertname=\"HoldfastSaleBudgetBurns\"}");
    assert!(burning.contains("certainty") && !burning.contains("_errors"), "{burning}");

    // It ends as soon as the ledger takes events again, and every visitor is answered.
    drop(locked);
    let quiet = |alert: &str| !prometheus.firing().contains(alert);
    prometheus.until("no confirm that waits", || quiet("HoldfastSaleIntentsWait"));
    prometheus.until("confirms that are decided", || quiet("HoldfastSaleIntentsStuck"));
    visitors.books();
}

/// Every expression of the dashboards has something to show on a server that has been used.
fn no_panel_is_empty(prometheus: &Prometheus) {
    let check = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/grafana/check");
    let (mut err, begun) = (String::new(), Instant::now());
    while begun.elapsed() < PATIENCE {
        let (code, _, talk) = run(Command::new(&check).arg(&prometheus.address));
        if code == 0 {
            return;
        }
        // Averages need some seconds of scrapes.
        err = talk;
        std::thread::park_timeout(ASK_EVERY);
    }
    panic!("{err}");
}
