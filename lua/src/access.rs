//! Where servers are, and who we are to them.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use domain::limits::MAX_REDIS_SEEDS;
use redis::io::tcp::TcpSettings;
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, RedisConnectionInfo};

/// What a cluster's addresses begin with.
const CLUSTER: &str = "cluster:";

/// Host and port of one server.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Address {
    /// Name or number, an IPv6 number without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl FromStr for Address {
    type Err = BadTarget;
    fn from_str(text: &str) -> Result<Self, BadTarget> {
        let (host, port) = text.rsplit_once(':').ok_or(BadTarget)?;
        let plain = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if plain.is_empty() || plain.contains(['/', '@', ',']) {
            return Err(BadTarget);
        }
        Ok(Self { host: plain.to_owned(), port: port.parse().map_err(|_| BadTarget)? })
    }
}

/// Where Redis listens.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Target {
    /// One server on a unix socket.
    Unix(PathBuf),
    /// One server on a host and port.
    Tcp(String, u16),
    /// A Redis Cluster, found by asking any of these nodes.
    Cluster(Vec<Address>),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(host, port) => Address { host: host.clone(), port: *port }.fmt(f),
            Self::Cluster(seeds) => {
                f.write_str(CLUSTER)?;
                seeds.iter().enumerate().try_for_each(|(n, seed)| {
                    f.write_str(if n == 0 { "" } else { "," })?;
                    seed.fmt(f)
                })
            }
        }
    }
}

/// Text that names no server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unix:PATH, HOST:PORT or cluster:HOST:PORT,HOST:PORT")]
pub struct BadTarget;

impl FromStr for Target {
    type Err = BadTarget;
    fn from_str(text: &str) -> Result<Self, BadTarget> {
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() { Err(BadTarget) } else { Ok(Self::Unix(PathBuf::from(path))) };
        }
        if let Some(seeds) = text.strip_prefix(CLUSTER) {
            let seeds = seeds.split(',').map(|seed| seed.trim().parse()).collect::<Result<Vec<Address>, _>>()?;
            return if seeds.len() > MAX_REDIS_SEEDS { Err(BadTarget) } else { Ok(Self::Cluster(seeds)) };
        }
        let Address { host, port } = text.parse()?;
        Ok(Self::Tcp(host, port))
    }
}

/// User and password. Never shown.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Credentials {
    /// Empty: the server's default user.
    pub user: String,
    /// Its password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(not shown)")
    }
}

/// Where Redis is and who we are to it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Access {
    /// Where.
    pub target: Target,
    /// Who; the same on every node of a cluster.
    pub credentials: Option<Credentials>,
}

impl From<Target> for Access {
    fn from(target: Target) -> Self {
        Self { target, credentials: None }
    }
}

impl From<&Target> for Access {
    fn from(target: &Target) -> Self {
        target.clone().into()
    }
}

impl From<&Access> for Access {
    fn from(access: &Access) -> Self {
        access.clone()
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.target.fmt(f)
    }
}

/// How one server is reached: what a connection needs to be opened.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    /// For messages.
    pub(crate) name: String,
    address: ConnectionAddr,
    credentials: Option<Credentials>,
}

impl Way {
    /// To the one server of a target, or the seeds of a cluster.
    pub(crate) fn of(access: &Access) -> Result<Self, Vec<Address>> {
        let address = match &access.target {
            Target::Unix(path) => ConnectionAddr::Unix(path.clone()),
            Target::Tcp(host, port) => ConnectionAddr::Tcp(host.clone(), *port),
            Target::Cluster(seeds) => return Err(seeds.clone()),
        };
        Ok(Self { name: access.target.to_string(), address, credentials: access.credentials.clone() })
    }

    pub(crate) fn to(address: &Address, credentials: Option<&Credentials>) -> Self {
        let tcp = ConnectionAddr::Tcp(address.host.clone(), address.port);
        Self { name: address.to_string(), address: tcp, credentials: credentials.cloned() }
    }

    pub(crate) fn client(&self) -> redis::RedisResult<redis::Client> {
        let mut settings = RedisConnectionInfo::default();
        if let Some(Credentials { user, password }) = &self.credentials {
            settings = settings.set_password(password);
            if !user.is_empty() {
                settings = settings.set_username(user);
            }
        }
        // A call waits for its answer: nothing is gained by keeping a small one back.
        let tcp = TcpSettings::default().set_nodelay(true);
        let info: ConnectionInfo = self.address.clone().into_connection_info()?;
        redis::Client::open(info.set_tcp_settings(tcp).set_redis_settings(settings))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn targets_are_read_as_they_are_written() {
        for text in ["unix:/run/redis.sock", "cache:6379", "[::1]:7000", "cluster:a:1,b:2,[fe80::1]:3", "cluster:a:1"] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
        let spaced: Target = "cluster:a:1, b:2".parse().unwrap();
        assert_eq!(spaced.to_string(), "cluster:a:1,b:2");
    }

    #[test]
    fn what_names_no_server_is_refused() {
        for text in
            ["", "unix:", "cache", "cache:", ":6379", "cluster:", "cluster:a", "cluster:a:1,", "u:p@h:1", "a:99999"]
        {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
        let many = vec!["a:1"; MAX_REDIS_SEEDS + 1].join(",");
        assert!(format!("cluster:{many}").parse::<Target>().is_err());
    }

    #[test]
    fn a_password_stands_in_no_message() {
        let credentials = Credentials { user: "clerk".into(), password: "secret".into() };
        let access = Access { target: "a:1".parse().unwrap(), credentials: Some(credentials) };
        assert!(!format!("{access:?} {access}").contains("secret"));
        let way = Way::of(&access).unwrap();
        assert!(!format!("{way:?}").contains("secret"));
    }
}
