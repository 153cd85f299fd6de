//! HTTP: server, routes, handlers and tokens at the edge.
//!
//! [`App`] is what the handlers work with. Each ingress thread runs [`serve_public`], one thread runs [`serve_admin`].

mod admin;
mod app;
mod call;
mod edge;
mod front;
pub mod internal;
pub mod metrics;
mod openapi;
mod page;
mod problem;
mod rendered;
mod reply;
mod route;
mod schema;
mod server;
mod settings;
mod visitor;

use std::io;
use std::net::TcpListener;
use std::sync::Arc;

use tokio::sync::watch;

pub use admin::stock::finish as finish_withdrawal;
pub use app::{App, Audit, Check, Events, MaySell, MetricsText, NoEvents, OperatorKey, Parts, SaleHandle, SaleMap};
pub use edge::address::{Network, NotANetwork};
use edge::overload::Load;
pub use page::waiting_page;
pub use problem::problems_page;
pub use server::tls::{BadTls, Tls, Validity};
pub use settings::{Limits, Settings};

/// Serves visitors on a clone of `listener` until `stop` says true (or its sender is gone); then accepts nothing more, lets
/// requests under way finish within `Settings::server.drain`, and returns. Each ingress thread runs one, on a
/// current-thread runtime with time and I/O enabled.
///
/// # Errors
/// Only when the listener cannot be used at all.
pub async fn serve_public(listener: TcpListener, app: App, stop: watch::Receiver<bool>) -> io::Result<()> {
    let front = Arc::new(front::Front::<visitor::Visitors>::new(app.clone(), visitor::ROUTES, Arc::clone(&app.load)));
    let settings = &app.parts.settings;
    let counters = metrics::Listener::new("public");
    let mut server = server::Server::new(front, settings.server.clone(), Arc::clone(&app.public_slots), counters);
    server.proxies = settings.proxy_protocol.then(|| settings.trusted_proxies.clone());
    server.tls = app.parts.tls.clone();
    server.serve(listener, stop).await
}

/// Serves operators (`/admin/v1`), `/livez`, `/readyz` and `/metrics`, like [`serve_public`]. It has its own connections and
/// room for requests, so that a crowd at the front does not keep operators out.
///
/// # Errors
/// Only when the listener cannot be used at all.
pub async fn serve_admin(listener: TcpListener, app: App, stop: watch::Receiver<bool>) -> io::Result<()> {
    let load = Arc::new(Load::new(domain::limits::HTTP_ADMIN_IN_FLIGHT));
    let front = Arc::new(front::Front::<admin::Operators>::new(app.clone(), admin::ROUTES, load));
    let limits = Limits { connections_per_address: 0, ..app.parts.settings.server.clone() };
    let counters = metrics::Listener::new("admin");
    server::Server::new(front, limits, Arc::clone(&app.admin_slots), counters).serve(listener, stop).await
}

/// Serves other processes: groups of requests for the lanes and lines that this process owns, like [`serve_public`]. Nobody gets
/// in before [`App::set_process_keys`] has said who may.
///
/// # Errors
/// Only when the listener cannot be used at all.
pub async fn serve_internal(listener: TcpListener, app: App, stop: watch::Receiver<bool>) -> io::Result<()> {
    let load = Arc::new(Load::new(domain::limits::MAX_SERVED_CALLS));
    let front = Arc::new(front::Front::<internal::Others>::new(app.clone(), internal::ROUTES, load));
    let limits = Limits { connections_per_address: 0, ..app.parts.settings.server.clone() };
    let counters = metrics::Listener::new("internal");
    server::Server::new(front, limits, Arc::default(), counters).serve(listener, stop).await
}
