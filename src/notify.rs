//! What systemd is told over the socket it names: that the program serves, that it ends, and that its threads still turn
//! (sd_notify(3), `Type=notify`, `WatchdogSec=`). Without such a socket nothing is said.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::runtime::Handle;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Signs of life within the time that systemd waits for one: two may be missing.
const SIGNS: u32 = 3;

/// The way to systemd, if there is one.
pub(crate) struct Notify {
    socket: Option<UnixDatagram>,
    /// How long systemd waits for a sign of life before it kills the program.
    watchdog: Option<Duration>,
}

impl Notify {
    /// As the environment of this process says.
    pub(crate) fn of_process() -> Self {
        let variable = |name: &str| std::env::var(name).ok();
        Self::new(variable, std::process::id())
    }

    fn new(variable: impl Fn(&str) -> Option<String>, process: u32) -> Self {
        let socket = variable("NOTIFY_SOCKET").and_then(|name| match connect(&name) {
            Ok(socket) => Some(socket),
            Err(error) => {
                tracing::warn!(socket = name, %error, "systemd cannot be told that the program serves");
                None
            }
        });
        // A variable that was meant for the process that started this one says nothing to it.
        let ours = variable("WATCHDOG_PID").is_none_or(|pid| pid.parse() == Ok(process));
        let micros = variable("WATCHDOG_USEC").and_then(|text| text.parse().ok()).filter(|micros| *micros > 0 && ours);
        Self { socket, watchdog: micros.map(Duration::from_micros) }
    }

    /// The program serves.
    pub(crate) fn ready(&self) {
        self.say("READY=1\nSTATUS=serving");
    }

    /// The program ends: what is under way is finished.
    pub(crate) fn stopping(&self) {
        self.say("STOPPING=1\nSTATUS=finishing what is under way");
    }

    /// Nobody who does not listen may keep the program from going on.
    fn say(&self, text: &str) {
        if let Some(socket) = &self.socket
            && let Err(error) = socket.send(text.as_bytes())
        {
            tracing::warn!(%error, text, "systemd was not told");
        }
    }

    /// Gives a sign of life as often as systemd wants one, as long as every one of these threads takes its turn. For ever.
    pub(crate) async fn live(&self, threads: &[(String, Handle)]) {
        let Some(within) = self.watchdog.filter(|_| self.socket.is_some()) else { return std::future::pending().await };
        let every = within / SIGNS;
        let mut tick = interval(every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            match stuck(threads, every).await.as_slice() {
                [] => self.say("WATCHDOG=1"),
                stuck => {
                    tracing::error!(threads = stuck.join(", "), "threads take no turn: systemd gets no sign of life")
                }
            }
        }
    }
}

/// A path, or `@` and the name of an abstract socket.
fn connect(name: &str) -> std::io::Result<UnixDatagram> {
    let address = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect_addr(&address)?;
    Ok(socket)
}

/// Those that do not run a task that was given to them within this time.
async fn stuck(threads: &[(String, Handle)], within: Duration) -> Vec<String> {
    let turns = threads.iter().map(|(name, handle)| async {
        let turn = handle.spawn(async {});
        timeout(within, turn).await.is_err().then(|| name.clone())
    });
    join_all(turns).await.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::mpsc;

    use super::*;
    use crate::threads::Worker;

    fn notify(variables: &[(&str, &str)]) -> Notify {
        let find =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Notify::new(find, 7)
    }

    /// A socket as systemd makes one, and its name.
    fn systemd(folder: &std::path::Path) -> (UnixDatagram, String) {
        let path = folder.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        (socket, path.to_str().unwrap().to_owned())
    }

    fn hear(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 256];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    #[test]
    fn systemd_is_told_over_a_path_or_an_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let (socket, name) = systemd(folder.path());
        let to = notify(&[("NOTIFY_SOCKET", &name)]);
        to.ready();
        to.stopping();
        assert!(hear(&socket).starts_with("READY=1\n") && hear(&socket).starts_with("STOPPING=1\n"));
        let name = format!("holdfast-notify-{}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        notify(&[("NOTIFY_SOCKET", &format!("@{name}"))]).ready();
        assert!(hear(&socket).starts_with("READY=1"));
    }

    #[test]
    fn without_a_socket_or_with_a_dead_one_nothing_happens() {
        let folder = tempfile::tempdir().unwrap();
        notify(&[]).ready();
        let (socket, name) = systemd(folder.path());
        let to = notify(&[("NOTIFY_SOCKET", &name)]);
        drop(socket);
        to.ready();
        assert!(notify(&[("NOTIFY_SOCKET", "/nowhere/at/all")]).socket.is_none());
    }

    #[test]
    fn a_watchdog_of_another_process_is_none() {
        let usec = ("WATCHDOG_USEC", "3000000");
        assert_eq!(notify(&[usec]).watchdog, Some(Duration::from_secs(3)));
        assert_eq!(notify(&[usec, ("WATCHDOG_PID", "7")]).watchdog, Some(Duration::from_secs(3)));
        assert_eq!(notify(&[usec, ("WATCHDOG_PID", "8")]).watchdog, None);
        assert_eq!(notify(&[("WATCHDOG_USEC", "0")]).watchdog, None);
    }

    #[tokio::test]
    async fn signs_of_life_stop_with_a_thread_that_hangs_and_come_again_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let (socket, name) = systemd(folder.path());
        socket.set_nonblocking(true).unwrap();
        let to = notify(&[("NOTIFY_SOCKET", &name), ("WATCHDOG_USEC", "300000")]);
        let (worker, other) = (Worker::start("hangs").unwrap(), Worker::start("turns").unwrap());
        let threads = [("hangs".to_owned(), worker.handle().clone()), ("turns".to_owned(), other.handle().clone())];
        let quick = Duration::from_secs(10);
        assert_eq!(stuck(&threads, quick).await, Vec::<String>::new());

        let (go_on, wait) = mpsc::channel::<()>();
        let (begun, begins) = mpsc::channel::<()>();
        worker.handle().spawn(async move {
            begun.send(()).unwrap();
            // The whole thread stands still, as in a call that never comes back.
            let _ = wait.recv();
        });
        begins.recv().unwrap();
        assert_eq!(stuck(&threads, Duration::from_millis(50)).await, ["hangs"]);
        // A whole time of the watchdog, and more: not one sign.
        assert!(timeout(Duration::from_millis(700), to.live(&threads)).await.is_err());
        assert!(socket.recv(&mut [0; 16]).is_err(), "a sign of life from a thread that hangs");

        go_on.send(()).unwrap();
        let heard = async {
            while socket.recv(&mut [0; 16]).is_err() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            () = to.live(&threads) => {}
            done = timeout(quick, heard) => done.unwrap(),
        }
        worker.end(quick);
        other.end(quick);
    }
}
