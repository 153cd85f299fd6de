//! The release binary as a process, and what it cost.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output};

use serde_json::Value;

use crate::start;

/// Clock ticks a second in /proc: fixed on Linux for every program.
const TICKS: f64 = 100.0;

/// A built program, beside this example.
pub(crate) fn binary(name: &str) -> PathBuf {
    let me = std::env::current_exe().expect("own path");
    me.parent().and_then(|examples| examples.parent()).expect("target/release").join(name)
}

pub(crate) struct Appliance {
    dir: tempfile::TempDir,
    program: Child,
    banner: Value,
}

/// CPU seconds of everybody during a run.
#[derive(Default, Clone, Copy)]
pub(crate) struct Spent {
    program: f64,
    redis: f64,
    client: f64,
}

/// The same per thing that was done, in microseconds.
#[derive(Default, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) program_us: f64,
    pub(crate) redis_us: f64,
    pub(crate) client_us: f64,
}

impl Spent {
    pub(crate) fn all(self) -> f64 {
        self.program + self.redis + self.client
    }

    pub(crate) fn redis(self) -> f64 {
        self.redis
    }

    pub(crate) fn per(self, things: f64) -> Cost {
        let us = |seconds: f64| seconds * 1e6 / things;
        Cost { program_us: us(self.program), redis_us: us(self.redis), client_us: us(self.client) }
    }
}

/// Sums of the program's histograms.
#[derive(Default, Clone, Copy)]
pub(crate) struct Counters {
    hold_calls: (f64, f64),
    appends: (f64, f64),
}

impl Counters {
    /// Requests per hold call and events per append between two looks.
    pub(crate) fn groups_since(self, before: &Self) -> (f64, f64) {
        let mean = |now: (f64, f64), then: (f64, f64)| (now.0 - then.0) / (now.1 - then.1).max(1.0);
        (mean(self.hold_calls, before.hold_calls), mean(self.appends, before.appends))
    }
}

impl Appliance {
    pub(crate) fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("hf").tempdir().expect("a temporary directory");
        let command = start::dev(Command::new(binary("holdfast")), &dir.path().join("data"));
        let (program, banner) = start::serving(command, &dir.path().join("log"));
        end_with(program.id());
        Self { dir, program, banner }
    }

    fn said(&self, field: &str) -> &str {
        self.banner[field].as_str().expect("a field of the banner")
    }

    fn cli(&self, words: &[&str]) -> Output {
        Command::new(binary("holdfast"))
            .args(words)
            .arg("--data")
            .arg(self.dir.path().join("data"))
            .env("HOLDFAST_ADMIN_LISTEN", self.said("admin").trim_start_matches("http://"))
            .output()
            .expect("the release binary runs")
    }

    pub(crate) fn sell(&self, document: &str) {
        let file = self.dir.path().join("sale.toml");
        std::fs::write(&file, document).expect("a sale document");
        let id = document.split('"').nth(1).expect("an id");
        for words in [vec!["sale", "apply", file.to_str().expect("UTF-8")], vec!["sale", "open", id]] {
            let out = self.cli(&words);
            assert!(out.status.success(), "{words:?}: {}", String::from_utf8_lossy(&out.stderr));
        }
    }

    pub(crate) fn audit(&self, sale: &str) {
        let out = self.cli(&["audit", sale]);
        assert!(out.status.success(), "audit of {sale}: {}", String::from_utf8_lossy(&out.stdout));
    }

    /// One run of the load harness; it panics when the oracle found something.
    pub(crate) fn load(&self, journey: &str, sale: &str, visitors: u32, seconds: u64, more: &[&str]) -> (Value, Spent) {
        let before = self.cpu();
        let seconds = format!("{seconds}s");
        let visitors = visitors.to_string();
        let mut words = vec!["load", journey, "--json", "--target", self.said("public"), "--sale", sale];
        words.extend(["--visitors", &visitors, "--duration", &seconds]);
        words.extend(more);
        let report = judged(&self.cli(&words));
        let after = self.cpu();
        let spent = Spent {
            program: after.program - before.program,
            redis: after.redis - before.redis,
            client: after.client - before.client,
        };
        (report, spent)
    }

    fn cpu(&self) -> Spent {
        Spent {
            program: cpu_of(&self.program.id().to_string(), 13),
            redis: cpu_of(&self.redis_pid(), 13),
            client: cpu_of("self", 15),
        }
    }

    /// CPU seconds of the program's threads of this name so far.
    pub(crate) fn thread_seconds(&self, name: &str) -> f64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.program.id())).expect("the program's threads");
        let of = |task: std::io::Result<std::fs::DirEntry>| {
            let path = task.ok()?.path();
            let comm = std::fs::read_to_string(path.join("comm")).ok()?;
            (comm.trim() == name).then(|| cpu_in(&path.join("stat"), 13))
        };
        tasks.filter_map(of).sum()
    }

    /// Memory of the program.
    pub(crate) fn resident_mib(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.program.id())).expect("the program");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
        line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number of kB") / 1024.0
    }

    fn redis(&self, words: &[&str]) -> String {
        let socket = self.said("redis").trim_start_matches("unix:");
        let out = Command::new("redis-cli").args(["-s", socket]).args(words).output().expect("redis-cli");
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    fn redis_field(&self, section: &str, field: &str) -> String {
        let info = self.redis(&["INFO", section]);
        info.lines().find_map(|line| line.strip_prefix(field)).expect("a field of INFO").trim().to_owned()
    }

    fn redis_pid(&self) -> String {
        self.redis_field("server", "process_id:")
    }

    pub(crate) fn redis_calls(&self) -> f64 {
        self.redis_field("stats", "total_commands_processed:").parse().expect("a number")
    }

    pub(crate) fn bytes_of(&self, key: &str) -> f64 {
        self.redis(&["MEMORY", "USAGE", key, "SAMPLES", "0"]).trim().parse().expect("a number of bytes")
    }

    pub(crate) fn counters(&self) -> Counters {
        let text = get(self.said("admin"), "/metrics");
        let sum = |name: &str, label: &str| -> (f64, f64) {
            let of = |suffix: &str| -> f64 {
                let lines =
                    text.lines().filter(|line| line.starts_with(&format!("{name}_{suffix}")) && line.contains(label));
                lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
            };
            (of("sum"), of("count"))
        };
        Counters {
            hold_calls: sum("holdfast_redis_group_requests", "script=\"hold\""),
            appends: sum("holdfast_booker_commit_group_events", ""),
        }
    }

    /// redis-benchmark with the hold script that the program has loaded: every call another visitor's hold of one unit.
    pub(crate) fn redis_benchmark(&self, sale: &str, calls: u64) -> f64 {
        let socket = self.said("redis").trim_start_matches("unix:");
        let key = |name: &str| format!("h1:{{{sale}:0}}:{name}");
        let keys = [key("lane"), key("holds"), key("due"), key("visitors")];
        let out = Command::new("redis-benchmark")
            .args(["-s", socket, "-c", "50", "-r", "100000000", "-n", &calls.to_string(), "--csv", "EVALSHA"])
            .args([lua::lane::hold_digest(), "4"])
            .args(keys)
            .args([
                "300000",
                "",
                "64",
                "3600000",
                "20",
                "bnch__rand_int__",
                "bnch__rand_int__",
                "benchfpr",
                "seat=1",
                "",
            ])
            .output()
            .expect("redis-benchmark comes with redis-server");
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let rate = text.lines().last().and_then(|line| line.rsplit("\",\"").nth(6)?.parse().ok());
        rate.unwrap_or_else(|| panic!("redis-benchmark said: {text}{}", String::from_utf8_lossy(&out.stderr)))
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.program.id().to_string()).status();
        let _ = self.program.wait();
    }
}

/// The report of a load run that the oracle found nothing wrong with.
pub(crate) fn judged(out: &Output) -> Value {
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stdout));
    serde_json::from_slice(&out.stdout).expect("a report in JSON")
}

/// Requests/s of a bare hyper server, of the line document beside it, and the ratio: `ingress/examples/line_rate.rs`.
pub(crate) fn bare_hyper() -> (f64, f64, f64) {
    let out = Command::new(binary("examples/line_rate")).output().expect("the example is built: make bench does it");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let first = |name: &str| -> f64 {
        let line = text.lines().find(|line| line.starts_with(name));
        let word = line.and_then(|line| line[name.len()..].split_whitespace().next()?.parse().ok());
        word.unwrap_or_else(|| panic!("line_rate said: {text}{}", String::from_utf8_lossy(&out.stderr)))
    };
    (first("bare hyper"), first("GET line"), first("ratio"))
}

/// A release build aborts on a panic, without dropping anything: the program has to be ended before.
fn end_with(program: u32) {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |why| {
        let _ = Command::new("kill").arg(program.to_string()).status();
        tell(why);
    }));
}

/// User and system seconds of a process: fields 14 and 15 of /proc/PID/stat, or 16 and 17 for ended children.
fn cpu_of(pid: &str, field: usize) -> f64 {
    cpu_in(&PathBuf::from(format!("/proc/{pid}/stat")), field)
}

fn cpu_in(stat: &std::path::Path, field: usize) -> f64 {
    let stat = std::fs::read_to_string(stat).expect("the process lives");
    let fields: Vec<&str> = stat.rsplit(") ").next().expect("fields").split(' ').collect();
    let at = |i: usize| -> f64 { fields[i - 2].parse().expect("ticks") };
    (at(field) + at(field + 1)) / TICKS
}

fn get(base: &str, path: &str) -> String {
    let host = base.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).expect("the admin listener");
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    text
}
