//! The sockets of a process, and what other processes are told to call.

use std::io;
use std::net::{SocketAddr, TcpListener};

use crate::config::Config;
use crate::failure::{Failure, no_more_files, remedy};
use crate::roles::Roles;

/// Connections that may wait until they are accepted: a crowd that comes within some turns of the accepting threads.
pub(crate) const BACKLOG: i32 = 4_096;

/// Bound before anything is started, so that a taken address is told first; given away to the threads that listen, so that
/// nobody is left in a queue when they stop.
pub(crate) struct Listeners {
    pub(crate) public: Option<TcpListener>,
    pub(crate) admin: TcpListener,
    pub(crate) internal: Option<TcpListener>,
}

impl Listeners {
    /// Binds what these roles need.
    pub(crate) fn bind(config: &Config, roles: Roles) -> Result<Self, Failure> {
        let public = roles.ingress.then(|| bind(config.listen, "--listen")).transpose()?;
        let admin = bind(config.admin_listen, "--admin-listen")?;
        let internal = config.internal_listen.map(|address| bind(address, "internal_listen")).transpose()?;
        Ok(Self { public, admin, internal })
    }

    /// What others are told to call; whoever may own something has to be reachable.
    pub(crate) fn internal_address(&self, config: &Config, roles: Roles) -> Result<Option<String>, Failure> {
        let Some(listener) = &self.internal else {
            if !roles.stand_alone() && roles.owns() {
                let why = "must be set for a process that has the role admission or booker, but not all roles";
                return Err(Failure::usage("internal_listen", why, "such as 127.0.0.1:0 (HOLDFAST_INTERNAL_LISTEN)"));
            }
            return Ok(None);
        };
        let bound = address_of(listener)?;
        match &config.internal_address {
            Some(told) => Ok(Some(told.clone())),
            None if bound.ip().is_unspecified() => {
                let why = format!("{bound} is no address that others can call");
                Err(Failure::usage("internal_listen", why, "set internal_address to how this process is reached"))
            }
            None => Ok(Some(bound.to_string())),
        }
    }
}

fn bind(address: SocketAddr, flag: &str) -> Result<TcpListener, Failure> {
    let listener = TcpListener::bind(address).map_err(|error| not_bound(address, flag, &error))?;
    // The standard library asks for room for 128. Asked again, the system takes the larger number, up to its own limit.
    if let Err(error) = rustix::net::listen(&listener, BACKLOG) {
        tracing::warn!(%address, %error, "the queue of connections that wait stays short");
    }
    Ok(listener)
}

fn not_bound(address: SocketAddr, flag: &str, error: &io::Error) -> Failure {
    let (why, fix) = match error.kind() {
        io::ErrorKind::AddrInUse => (
            "another program listens there".to_owned(),
            format!("stop that one, or choose another with {flag} (port 0 takes a free one)"),
        ),
        io::ErrorKind::AddrNotAvailable => (
            "this machine has no such address".to_owned(),
            format!("give {flag} one it has, such as 127.0.0.1, or 0.0.0.0 for all of them"),
        ),
        io::ErrorKind::PermissionDenied => (
            format!("this user may not listen there ({error})"),
            format!("choose a port above 1023 with {flag}, or give the program CAP_NET_BIND_SERVICE"),
        ),
        _ if no_more_files(error) => (error.to_string(), remedy(error).to_owned()),
        _ => (error.to_string(), format!("choose another with {flag}")),
    };
    Failure::new(format!("address {address}"), why, fix)
}

/// The address it is bound to.
pub(crate) fn address_of(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    listener.local_addr().map_err(|error| Failure::new("listener", error, ""))
}
