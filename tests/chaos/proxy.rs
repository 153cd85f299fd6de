//! A TCP proxy that can be told to misbehave: between the program and its stores, between processes, and in front of ingress.
//!
//! Blocking threads, two per connection: nothing here shares a runtime with what is tested.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// What happens to the bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// Nothing special.
    Open,
    /// Each piece waits that long, in both directions.
    Slow(Duration),
    /// Connections are closed, new ones as well.
    Cut,
    /// No byte, no close. What was under way arrives when the way opens again, as it does in a network that heals.
    Silent,
    /// Requests arrive and are carried out; the connection is closed in place of each answer.
    Deaf,
    /// Bytes a second, in both directions.
    Narrow(usize),
}

/// Bytes moved at once.
const PIECE: usize = 16 << 10;
/// How long a connection to the target may take to open.
const CONNECT: Duration = Duration::from_secs(1);

struct Shared {
    way: Mutex<Way>,
    changed: Condvar,
    target: Mutex<Option<SocketAddr>>,
    streams: Mutex<Vec<(TcpStream, TcpStream)>>,
    ended: AtomicBool,
}

/// Listens until it is dropped.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

impl Proxy {
    /// On a free port of the loopback address; leads nowhere until [`Proxy::lead`].
    pub(crate) fn new() -> Self {
        Self::on("127.0.0.1:0".parse().unwrap())
    }

    /// On this address.
    pub(crate) fn on(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            way: Mutex::new(Way::Open),
            changed: Condvar::new(),
            target: Mutex::new(None),
            streams: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let accepting = shared.clone();
        std::thread::spawn(move || accepting.accept(&listener));
        Self { address, shared }
    }

    /// New connections lead there. Those that lead elsewhere are closed.
    pub(crate) fn lead(&self, target: SocketAddr) {
        let before = self.shared.target.lock().unwrap().replace(target);
        if before.is_some_and(|before| before != target) {
            self.shared.close_all();
        }
    }

    pub(crate) fn set(&self, way: Way) {
        *self.shared.way.lock().unwrap() = way;
        self.shared.changed.notify_all();
        if way == Way::Cut {
            self.shared.close_all();
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        self.set(Way::Cut);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect_timeout(&self.address, CONNECT);
    }
}

impl Shared {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming() {
            if self.ended.load(Ordering::Relaxed) {
                return;
            }
            let Ok(client) = client else { continue };
            let shared = self.clone();
            std::thread::spawn(move || shared.serve(&client));
        }
    }

    fn serve(&self, client: &TcpStream) {
        // A silent network does not answer a connection request either; to its sender that is the same as a server that
        // accepts and says nothing.
        if self.wait_while_silent() == Way::Cut {
            return;
        }
        let Some(target) = *self.target.lock().unwrap() else { return };
        let Ok(server) = TcpStream::connect_timeout(&target, CONNECT) else { return };
        let (Ok(()), Ok(())) = (client.set_nodelay(true), server.set_nodelay(true)) else { return };
        let copies = || Some((client.try_clone().ok()?, server.try_clone().ok()?));
        let (Some(known), Some((from_server, to_client))) = (copies(), copies().map(|(c, s)| (s, c))) else { return };
        {
            let mut streams = self.streams.lock().unwrap();
            streams.retain(|(client, _)| client.peer_addr().is_ok());
            streams.push(known);
        }
        std::thread::scope(|scope| {
            scope.spawn(|| self.pump(&from_server, &to_client, true));
            self.pump(client, &server, false);
        });
    }

    /// Moves bytes one way until one side closes or the way is cut; then both are closed.
    fn pump(&self, mut from: &TcpStream, mut to: &TcpStream, answers: bool) {
        let mut piece = vec![0; PIECE];
        while let Ok(got @ 1..) = from.read(&mut piece) {
            let way = self.wait_while_silent();
            match way {
                Way::Cut => break,
                Way::Deaf if answers => break,
                Way::Slow(time) => std::thread::sleep(time),
                Way::Narrow(rate) => std::thread::sleep(
                    Duration::from_secs(1) * u32::try_from(got).unwrap() / u32::try_from(rate).unwrap(),
                ),
                Way::Open | Way::Deaf | Way::Silent => {}
            }
            if to.write_all(&piece[..got]).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }

    fn wait_while_silent(&self) -> Way {
        let way = self.way.lock().unwrap();
        *self.changed.wait_while(way, |way| *way == Way::Silent).unwrap()
    }

    fn close_all(&self) {
        for (client, server) in self.streams.lock().unwrap().drain(..) {
            let _ = client.shutdown(Shutdown::Both);
            let _ = server.shutdown(Shutdown::Both);
        }
    }
}
