//! One server's own word.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, cmd};

/// Settings that INFO does not tell.
const SETTINGS: [&str; 2] = ["appendfsync", "cluster-require-full-coverage"];

/// What one server says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Server {
    /// Where it is, as messages name it.
    pub name: String,
    /// It takes writes; a replica does not.
    pub master: bool,
    /// Its version.
    pub version: String,
    /// It is part of a cluster.
    pub clustered: bool,
    /// It still reads its files.
    pub loading: bool,
    /// Replicas that follow it and have caught up.
    pub replicas: usize,
    /// Whether it follows its master, of a replica.
    pub follows: bool,
    /// It keeps an append-only file.
    pub keeps_file: bool,
    /// It could write that file the last time it tried.
    pub file_written: bool,
    /// Its `maxmemory-policy`.
    pub eviction: String,
    /// Bytes it uses.
    pub memory: u64,
    /// Bytes it may use; 0: no bound.
    pub most_memory: u64,
    /// Milliseconds that its clock is ahead of this machine's (below 0: behind), as far as that is sure: 0 when it may be
    /// explained by the time the question took.
    pub ahead_ms: i64,
    settings: BTreeMap<String, String>,
    /// Why settings could not be asked for.
    pub settings_refused: Option<String>,
}

impl Server {
    /// The value of `appendfsync` or `cluster-require-full-coverage`, where it could be asked for.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }

    pub(super) async fn ask(name: &str, connection: &mut MultiplexedConnection) -> RedisResult<Self> {
        let info: String = cmd("INFO").query_async(connection).await?;
        let mut server = Self::read(name, &info);
        let before = now_ms();
        let (seconds, micros): (i64, i64) = cmd("TIME").query_async(connection).await?;
        server.ahead_ms = ahead(before, seconds * 1_000 + micros / 1_000, now_ms());
        match cmd("CONFIG").arg("GET").arg(&SETTINGS).query_async(connection).await {
            Ok(settings) => server.settings = settings,
            // Not every user may ask, and some services hide it: that is a fact as well.
            Err(error) if error.code().is_some() => server.settings_refused = Some(error.to_string()),
            Err(error) => return Err(error),
        }
        Ok(server)
    }

    /// What INFO tells: lines of `name:value`.
    fn read(name: &str, info: &str) -> Self {
        let lines = || info.lines().filter_map(|line| line.trim_end().split_once(':'));
        let value = |name: &str| lines().find_map(|(key, value)| (key == name).then_some(value)).unwrap_or_default();
        // `slave0:ip=10.0.0.7,port=6379,state=online,offset=1,lag=0`
        let online = |(key, value): &(&str, &str)| {
            key.strip_prefix("slave").is_some_and(|number| number.parse::<u32>().is_ok())
                && value.split(',').any(|word| word == "state=online")
        };
        Self {
            name: name.to_owned(),
            master: value("role") == "master",
            version: value("redis_version").to_owned(),
            clustered: value("cluster_enabled") == "1",
            loading: value("loading") == "1",
            replicas: lines().filter(online).count(),
            follows: value("master_link_status") == "up",
            keeps_file: value("aof_enabled") == "1",
            file_written: value("aof_last_write_status") != "err",
            eviction: value("maxmemory_policy").to_owned(),
            memory: value("used_memory").parse().unwrap_or(0),
            most_memory: value("maxmemory").parse().unwrap_or(0),
            ..Self::default()
        }
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// How far a clock is ahead that was read between two moments of ours.
fn ahead(before: i64, theirs: i64, after: i64) -> i64 {
    if theirs < before { theirs - before } else { (theirs - after).max(0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_tells_its_replicas_that_have_caught_up() {
        let info = "# Replication\r\nrole:master\r\nconnected_slaves:3\r\nslave0:ip=a,port=1,state=online,offset=5,lag=0\r\n\
            slave1:ip=b,port=1,state=wait_bgsave,offset=0,lag=0\r\nslave2:ip=c,port=1,state=online,offset=5,lag=1\r\n\
            slave_repl_offset:7,state=online\r\n";
        let server = Server::read("a:1", info);
        assert!(server.master && !server.follows);
        assert_eq!(server.replicas, 2);
    }

    #[test]
    fn a_replica_tells_whether_it_follows() {
        for (word, follows) in [("up", true), ("down", false)] {
            let server = Server::read("a:1", &format!("role:slave\nmaster_link_status:{word}\nloading:0\n"));
            assert_eq!((server.master, server.follows, server.loading), (false, follows, false));
        }
    }

    #[test]
    fn what_is_kept_and_thrown_away_is_read_from_info() {
        let info = "redis_version:7.0.15\ncluster_enabled:1\nloading:1\naof_enabled:1\naof_last_write_status:err\n\
            used_memory:80\nmaxmemory:100\nmaxmemory_policy:allkeys-lru\n";
        let server = Server::read("a:1", info);
        assert_eq!((server.version.as_str(), server.eviction.as_str()), ("7.0.15", "allkeys-lru"));
        assert!(server.clustered && server.loading && server.keeps_file && !server.file_written);
        assert_eq!((server.memory, server.most_memory), (80, 100));
        let silent = Server::read("a:1", "");
        assert!(!silent.keeps_file && silent.file_written && silent.most_memory == 0);
    }

    #[test]
    fn a_clock_is_ahead_or_behind_only_by_what_the_question_does_not_explain() {
        assert_eq!(ahead(100, 105, 110), 0);
        assert_eq!(ahead(100, 130, 110), 20);
        assert_eq!(ahead(100, 90, 110), -10);
        // Our own clock was set back meanwhile.
        assert_eq!(ahead(100, 95, 90), -5);
    }
}
