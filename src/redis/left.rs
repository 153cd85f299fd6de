//! A redis-server left behind by a program that was killed: found, proven to be ours, and ended, before a new one starts.
//!
//! Two of them on one directory would both write the same append-only file. It is replaced and not adopted: a child of ours
//! is the only kind we notice dying, and its configuration is the one this version writes.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{LOOK_EVERY, Plan, STOP_IN, ask, pid};
use crate::failure::Failure;

/// How long a killed process may take to be gone.
const GONE_IN: Duration = Duration::from_secs(2);

/// Ends the one left behind, if there is one. When this returns nobody writes to the plan's directory.
pub(super) async fn replace(plan: &Plan) -> Result<(), Failure> {
    let Some(pid) = find(plan)? else { return Ok(()) };
    tracing::info!(pid = pid.as_raw_nonzero().get(), "ending the redis-server left behind by an earlier run");
    ask::shut_down(&plan.socket);
    for (signal, patience) in [(None, STOP_IN), (Some(Signal::KILL), GONE_IN)] {
        if let Some(signal) = signal
            && is_ours(plan, pid)
        {
            let _ = kill_process(pid, signal);
        }
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if !is_ours(plan, pid) {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
    let number = pid.as_raw_nonzero();
    Err(Failure::new(
        "redis-server",
        format!("process {number} of an earlier run does not end"),
        format!("kill -9 {number}"),
    ))
}

/// By its pid file, or by the socket it answers on.
fn find(plan: &Plan) -> Result<Option<Pid>, Failure> {
    let noted = fs::read_to_string(&plan.pid).ok().and_then(|text| text.trim().parse().ok()).and_then(pid);
    if let Some(pid) = noted.filter(|pid| is_ours(plan, *pid)) {
        return Ok(Some(pid));
    }
    let Ok(dir) = ask::dir(&plan.socket) else { return Ok(None) };
    if dir.as_bytes() != plan.dir.as_os_str().as_bytes() {
        return Err(Failure::new(
            format!("socket {}", plan.socket.display()),
            format!("a redis-server with directory {dir} answers on it"),
            "stop that one",
        ));
    }
    Ok(ask::process_id(&plan.socket).ok().and_then(pid).filter(|pid| is_ours(plan, *pid)))
}

/// Whether the process is a living one started with our configuration: ids are used again, so a number alone proves nothing.
/// An ended process that nobody has waited for shows no command line.
fn is_ours(plan: &Plan, pid: Pid) -> bool {
    let cmdline = fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
    cmdline.split(|byte| *byte == 0).any(|argument| argument == plan.conf.as_os_str().as_bytes())
}
