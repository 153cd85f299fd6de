//! Threads with a runtime each. Work of one kind shares a thread and never waits for another thread's locks.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::failure::Failure;
use crate::stores;

/// Between two looks whether a thread has ended.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A thread that runs what is spawned on its handle, until it is ended.
pub(crate) struct Worker {
    name: String,
    handle: Handle,
    end: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Worker {
    /// Starts a thread of this name.
    pub(crate) fn start(name: &str) -> Result<Self, Failure> {
        let runtime = stores::runtime()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                // A sender that is gone ends the thread as well.
                let _ = runtime.block_on(ended);
            })
            .map_err(|error| Failure::new("thread", error, "raise the limit of processes (ulimit -u)"))?;
        Ok(Self { name: name.to_owned(), handle, end, thread })
    }

    /// Its name and where to spawn, for whoever looks whether it still takes its turns.
    pub(crate) fn named(&self) -> (String, Handle) {
        (self.name.clone(), self.handle.clone())
    }

    /// Where to spawn.
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Ends the thread; what it still runs is dropped. Waits for it, but not longer than `within`: a thread that hangs must not
    /// keep the program from ending.
    pub(crate) fn end(self, within: Duration) {
        let _ = self.end.send(());
        let deadline = Instant::now() + within;
        while !self.thread.is_finished() && Instant::now() < deadline {
            std::thread::sleep(LOOK_EVERY);
        }
        if self.thread.is_finished() {
            // Only a panic makes this fail, and that has ended the process.
            let _ = self.thread.join();
        }
    }
}
