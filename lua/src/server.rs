//! A real redis-server in a temporary directory, for tests.

mod cluster;
mod faults;
mod process;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use self::process::{Guard, PID_FILE};
use crate::access::Target;
use crate::client::{Redis, Settings};
use crate::error::CallError;

pub use self::cluster::TestCluster;
pub use self::faults::Failover;

/// A redis-server on a unix socket in a directory of its own, with an append-only file. Killed and removed with it.
#[derive(Debug)]
pub struct TestRedis {
    directory: tempfile::TempDir,
    child: Option<Child>,
    _guard: Guard,
}

/// How long the server may take to answer after its start.
const START: Duration = Duration::from_secs(10);

impl TestRedis {
    /// Starts a server and waits until it answers.
    ///
    /// # Errors
    /// redis-server is missing, or does not answer in time.
    pub fn start() -> std::io::Result<Self> {
        let directory = tempfile::tempdir()?;
        let guard = Guard::of(directory.path())?;
        let mut server = Self { directory, child: None, _guard: guard };
        server.restart()?;
        Ok(server)
    }

    /// Its directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("redis.sock")
    }

    /// Where it listens.
    #[must_use]
    pub fn target(&self) -> Target {
        Target::Unix(self.socket())
    }

    /// A new handle with the program's own bounds.
    #[must_use]
    pub fn redis(&self) -> Redis {
        Redis::new(self.target(), Settings::default())
    }

    /// Process id of the server; 0 while it is dead.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Starts it again after [`TestRedis::kill`], on the data it left behind.
    ///
    /// # Errors
    /// As [`TestRedis::start`].
    pub fn restart(&mut self) -> std::io::Result<()> {
        self.kill()?;
        let _ = std::fs::remove_file(self.socket());
        let child = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "yes", "--appendfsync", "everysec"])
            .args(["--maxmemory-policy", "noeviction", "--enable-debug-command", "local"])
            .arg("--dir")
            .arg(self.directory.path())
            .arg("--unixsocket")
            .arg(self.socket())
            .arg("--pidfile")
            .arg(self.directory.path().join(PID_FILE))
            .arg("--logfile")
            .arg(self.directory.path().join("redis.log"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        self.child = Some(child);
        let begin = Instant::now();
        while !self.answers() {
            let exited = self.child.as_mut().map(Child::try_wait).transpose()?.flatten();
            if exited.is_some() || begin.elapsed() > START {
                let log = std::fs::read_to_string(self.directory.path().join("redis.log")).unwrap_or_default();
                return Err(std::io::Error::other(format!("redis-server does not answer: {log}")));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    fn answers(&self) -> bool {
        use std::io::{Read as _, Write as _};
        let Ok(mut stream) = std::os::unix::net::UnixStream::connect(self.socket()) else { return false };
        let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
        let mut answer = [0; 5];
        stream.write_all(b"PING\r\n").is_ok() && stream.read_exact(&mut answer).is_ok() && answer == *b"+PONG"
    }

    /// kill -9. Up to a second of writes may be lost, as in life.
    ///
    /// # Errors
    /// The system's.
    pub fn kill(&mut self) -> std::io::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Freezes the server: connections stay, nothing is answered.
    ///
    /// # Errors
    /// The system's.
    pub fn freeze(&self) -> std::io::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Ends [`TestRedis::freeze`].
    ///
    /// # Errors
    /// The system's.
    pub fn thaw(&self) -> std::io::Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> std::io::Result<()> {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| std::io::Error::other("redis-server is dead"))?;
        Ok(kill_process(pid, signal)?)
    }
}

impl Drop for TestRedis {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// Everything a server has, for playing a failover to an older copy: DUMP now, RESTORE later.
#[derive(Clone, Debug, Default)]
pub struct Snapshot(Vec<(Vec<u8>, Vec<u8>)>);

impl Snapshot {
    /// Copies every key. Time to live is not kept.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn take(redis: &Redis) -> Result<Self, CallError> {
        let keys: Vec<Vec<u8>> = read(redis.raw(&[b"KEYS", b"*"]).await?)?;
        let mut copy = Vec::with_capacity(keys.len());
        for key in keys {
            // A key that has gone meanwhile is not part of the copy.
            if let Some(value) = read::<Option<Vec<u8>>>(redis.raw(&[b"DUMP", &key]).await?)? {
                copy.push((key, value));
            }
        }
        Ok(Self(copy))
    }

    /// Puts the server back to this copy. Nothing else may write meanwhile.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn restore(&self, redis: &Redis) -> Result<(), CallError> {
        redis.raw(&[b"FLUSHALL"]).await?;
        for (key, value) in &self.0 {
            redis.raw(&[b"RESTORE", key, b"0", value]).await?;
        }
        Ok(())
    }
}

fn read<T: redis::FromRedisValue>(value: redis::Value) -> Result<T, CallError> {
    redis::from_redis_value(value).map_err(|error| CallError::broken(error.to_string()))
}
