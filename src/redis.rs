//! The own redis-server of an appliance: started, watched, restarted when it dies or hangs, stopped with the program.
//!
//! It runs in a process group of its own, so that the terminal's Ctrl-C reaches only us and we stop it when nothing needs it
//! any more. Where `setpriv` exists (util-linux) it is told by the kernel when we die; where not, or when that was too late,
//! the next start finds the one left behind and replaces it ([`left`]).

mod ask;
mod left;
mod plan;

use std::fs;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use domain::limits::{REDIS_FROZEN_LOOKS, REDIS_LOOK_EVERY_MS};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use crate::failure::Failure;
pub(crate) use plan::Plan;

/// How long a redis-server may take until it answers: it reads its append-only file first, some 100 MB a second.
const READY_IN: Duration = Duration::from_secs(60);
/// Between two questions whether it answers yet.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long it may take to end after SIGTERM before it is killed: it writes out its append-only file.
const STOP_IN: Duration = Duration::from_secs(5);
/// Pause before a restart: first, and at most after several deaths in a row.
const RESTART_AFTER: Duration = Duration::from_millis(50);
const RESTART_AT_MOST: Duration = Duration::from_secs(2);
/// One that lived this long counts as healthy: the next death starts again from the short pause.
const HEALTHY_AFTER: Duration = Duration::from_secs(10);

/// A running redis-server that answers.
pub(crate) struct Server {
    plan: Plan,
    child: Child,
    since: Instant,
}

impl Server {
    /// Replaces one left behind, starts a new one and waits until it answers.
    ///
    /// # Errors
    /// Not installed, not startable, or one left behind that cannot be ended: one line each.
    pub(crate) async fn start(plan: Plan) -> Result<Self, Failure> {
        plan.write()?;
        left::replace(&plan).await?;
        let child = spawn(&plan)?;
        let mut server = Self { plan, child, since: Instant::now() };
        server.ready().await?;
        Ok(server)
    }

    async fn ready(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + READY_IN;
        while Instant::now() < deadline {
            if ask::answers(&self.plan.socket) {
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(self.plan.does_not_start(&format!("ended with {status}")));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let _ = self.child.start_kill();
        Err(self.plan.does_not_start(&format!("does not answer within {} s", READY_IN.as_secs())))
    }

    /// Keeps it running until `stop` says true (or its sender is gone), then ends it. Restarts are paced, without an end:
    /// what is lost with Redis comes back from the ledger.
    pub(crate) async fn watch_over(mut self, mut stop: watch::Receiver<bool>) {
        let mut pause = RESTART_AFTER;
        loop {
            let hangs = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                status = self.child.wait() => {
                    self.died(&status);
                    false
                }
                () = frozen(self.plan.socket.clone()) => true,
            };
            if hangs {
                self.replace().await;
            }
            if self.since.elapsed() > HEALTHY_AFTER {
                pause = RESTART_AFTER;
            }
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(RESTART_AT_MOST);
            match spawn(&self.plan) {
                Ok(child) => {
                    self.child = child;
                    self.since = Instant::now();
                }
                Err(failure) => tracing::error!("{failure}"),
            }
        }
        self.end().await;
    }

    fn died(&self, status: &std::io::Result<ExitStatus>) {
        let how = status.as_ref().map_or_else(ToString::to_string, ToString::to_string);
        tracing::error!(log = %self.plan.log.display(), "redis-server ended ({how}); starting it again");
    }

    /// Kills one that hangs: what it knew is in its append-only file, as after any death.
    async fn replace(&mut self) {
        tracing::error!(log = %self.plan.log.display(), "redis-server gives no answer any more; killing it and starting it again");
        if let Err(error) = self.child.kill().await {
            tracing::error!("redis-server cannot be killed: {error}");
        }
    }

    async fn end(mut self) {
        if let Some(pid) = self.child.id().and_then(pid) {
            let _ = kill_process(pid, Signal::TERM);
            if tokio::time::timeout(STOP_IN, self.child.wait()).await.is_err() {
                tracing::warn!("redis-server does not end; killing it");
                let _ = self.child.kill().await;
            }
        }
        for file in [&self.plan.socket, &self.plan.pid] {
            let _ = fs::remove_file(file);
        }
        // The private directory of a socket that had no room in the data directory; another one is never empty.
        if let Some(folder) = self.plan.socket.parent().filter(|folder| Some(*folder) != self.plan.conf.parent()) {
            let _ = fs::remove_dir(folder);
        }
    }
}

/// Ends when it has not answered several times in a row: stopped by somebody, or stuck in the kernel.
async fn frozen(socket: PathBuf) {
    let mut unanswered = 0;
    while unanswered < REDIS_FROZEN_LOOKS {
        tokio::time::sleep(Duration::from_millis(REDIS_LOOK_EVERY_MS)).await;
        let socket = socket.clone();
        let lives = tokio::task::spawn_blocking(move || ask::lives(&socket)).await.unwrap_or(true);
        unanswered = if lives { 0 } else { unanswered + 1 };
    }
}

fn pid(number: u32) -> Option<Pid> {
    i32::try_from(number).ok().and_then(Pid::from_raw)
}

fn spawn(plan: &Plan) -> Result<Child, Failure> {
    // The death signal belongs to the thread that starts the child: this runs on the main thread, which ends last.
    let mut command = match &plan.setpriv {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "TERM", "--"]).arg(&plan.program);
            command
        }
        None => Command::new(&plan.program),
    };
    command
        .arg(&plan.conf)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        // Whatever way a start is given up, nothing stays behind.
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| plan.does_not_start(&error.to_string()))
}

#[cfg(test)]
mod tests;
