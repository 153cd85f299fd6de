//! Limits and settings of the operating system that a night of visitors runs into.

use std::path::Path;

use lua::Target;
use rustix::process::{Resource, getrlimit};

use super::{Finding, Part, Severity, in_production};
use crate::config::Config;
use crate::listeners::BACKLOG;

/// Open files besides visitors' connections: stores, other processes, operators.
const OTHER_FILES: u64 = 512;
/// Memory that should be available before the first visitor comes.
const LEAST_MEMORY: u64 = 256 << 20;

/// What the system says; what cannot be read is `None`, and no finding.
#[derive(Default, Debug)]
struct Facts {
    open_files: Option<u64>,
    somaxconn: Option<u64>,
    overcommit: Option<u64>,
    huge_pages: Option<String>,
    available: Option<u64>,
    /// Somebody keeps the clock right, as far as that can be seen.
    clock_kept: Option<bool>,
}

impl Facts {
    /// Reads `/proc`, `/sys` and `/run` below this root.
    fn read(root: &Path) -> Self {
        let text = |path: &str| std::fs::read_to_string(root.join(path)).ok();
        let number = |path: &str| text(path)?.trim().parse().ok();
        // `MemAvailable:   123456 kB`
        let available = text("proc/meminfo").and_then(|memory| {
            let line = memory.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
            line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kib| kib << 10)
        });
        // In a container it is the host's business, of which nothing can be seen.
        let has_services = root.join("run/systemd/system").exists();
        let keepers =
            ["run/systemd/timesync/synchronized", "run/chrony", "run/chrony-helper", "run/ntpd.pid", "run/openntpd"];
        let clock_kept = has_services.then(|| keepers.iter().any(|path| root.join(path).exists()));
        Self {
            open_files: getrlimit(Resource::Nofile).maximum,
            somaxconn: number("proc/sys/net/core/somaxconn"),
            overcommit: number("proc/sys/vm/overcommit_memory"),
            huge_pages: text("sys/kernel/mm/transparent_hugepage/enabled"),
            available,
            clock_kept,
        }
    }
}

/// What is found about this machine.
pub(super) fn examine(config: &Config) -> Vec<Finding> {
    judge(&Facts::read(Path::new("/")), config)
}

fn judge(facts: &Facts, config: &Config) -> Vec<Finding> {
    let severity = in_production(config, Severity::Warning, Severity::Note);
    let mut found = Vec::new();
    let mut add = |what: &str, why: String, fix: &str| {
        found.push(Finding::new(Part::System, severity, what, why, fix));
    };
    let connections = config.http.server.connections as u64;
    let wanted = connections + OTHER_FILES;
    if let Some(limit) = facts.open_files.filter(|limit| *limit < wanted) {
        let why = format!(
            "{limit} may be open, and http.connections alone is {connections}: visitors beyond are turned away"
        );
        add(
            "open files",
            why,
            &format!("LimitNOFILE={wanted} in the unit (systemctl edit holdfast), or ulimit -n {wanted}"),
        );
    }
    if let Some(limit) = facts.somaxconn.filter(|limit| *limit < u64::from(BACKLOG.unsigned_abs())) {
        let why = format!(
            "{limit} connections may wait to be accepted: of a crowd that comes at once the others try again after a second"
        );
        add(
            "net.core.somaxconn",
            why,
            &format!("sysctl -w net.core.somaxconn={BACKLOG}, and in /etc/sysctl.d/holdfast.conf"),
        );
    }
    if let Some(bytes) = facts.available.filter(|bytes| *bytes < LEAST_MEMORY) {
        let why = format!("{} MiB are available: what comes next may be killed", bytes >> 20);
        add("memory", why, "free -m; end what is not needed, or take a larger machine");
    }
    if facts.clock_kept == Some(false) {
        let why = "nothing is seen that keeps it right: deadlines are told by it, and it must agree with Redis' and other processes'";
        add("clock", why.to_owned(), "timedatectl set-ntp true, or apt-get install chrony");
    }
    if redis_is_here(config) {
        if facts.overcommit == Some(0) {
            let why = "is 0: Redis cannot fork to rewrite its file when it uses half of the memory";
            add(
                "vm.overcommit_memory",
                why.to_owned(),
                "sysctl -w vm.overcommit_memory=1, and in /etc/sysctl.d/holdfast.conf",
            );
        }
        if facts.huge_pages.as_ref().is_some_and(|pages| pages.contains("[always]")) {
            let why = "is always: while Redis writes its file, each change copies a large page, and calls take long";
            let fix = "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled";
            add("transparent_hugepage", why.to_owned(), fix);
        }
    }
    found
}

/// Whether Redis runs on this machine: its settings count for it.
fn redis_is_here(config: &Config) -> bool {
    match config.redis.as_ref().map(|access| &access.target) {
        None | Some(Target::Unix(_)) => true,
        Some(Target::Tcp(host, _)) => is_loopback(host),
        Some(Target::Cluster(seeds)) => seeds.iter().any(|seed| is_loopback(&seed.host)),
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::{Given, Loaded};

    fn config(mode: &str) -> Config {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("h.toml");
        std::fs::write(&file, format!("mode = \"{mode}\"\nredis = \"127.0.0.1:6379\"\n")).unwrap();
        Loaded::new(&Given { file: Some(file), ..Given::default() }).config().unwrap()
    }

    fn said(facts: &Facts, mode: &str) -> Vec<(String, &'static str)> {
        judge(facts, &config(mode)).into_iter().map(|one| (one.what, one.severity.as_str())).collect()
    }

    #[test]
    fn what_is_too_small_is_found_and_what_cannot_be_read_is_not() {
        assert_eq!(said(&Facts::default(), "production"), []);
        let small = Facts {
            open_files: Some(1_024),
            somaxconn: Some(128),
            overcommit: Some(0),
            huge_pages: Some("[always] madvise never\n".to_owned()),
            available: Some(10 << 20),
            clock_kept: Some(false),
        };
        let all =
            ["open files", "net.core.somaxconn", "memory", "clock", "vm.overcommit_memory", "transparent_hugepage"];
        let expected = |severity| all.map(|what| (what.to_owned(), severity)).to_vec();
        assert_eq!(said(&small, "production"), expected("warning"));
        assert_eq!(said(&small, "dev"), expected("note"), "for trying it is well");
        let good = Facts {
            open_files: Some(1 << 20),
            somaxconn: Some(4_096),
            overcommit: Some(1),
            huge_pages: Some("always [madvise] never\n".to_owned()),
            available: Some(8 << 30),
            clock_kept: Some(true),
        };
        assert_eq!(said(&good, "production"), []);
    }

    #[test]
    fn the_system_is_read_as_it_writes_it() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        put("proc/sys/net/core/somaxconn", "4096\n");
        put("proc/sys/vm/overcommit_memory", "0\n");
        put("proc/meminfo", "MemTotal:        4000 kB\nMemAvailable:    2048 kB\n");
        put("run/systemd/system/x", "");
        let facts = Facts::read(root.path());
        assert_eq!((facts.somaxconn, facts.overcommit, facts.available), (Some(4_096), Some(0), Some(2 << 20)));
        assert_eq!((facts.huge_pages.clone(), facts.clock_kept), (None, Some(false)));
        put("run/systemd/timesync/synchronized", "");
        assert_eq!(Facts::read(root.path()).clock_kept, Some(true));
        assert_eq!(Facts::read(&root.path().join("nothing")).clock_kept, None);
    }
}
