//! The baseline of `make bench`: what a good engineer would write without Holdfast, on PostgreSQL, behind the same HTTP calls, so that
//! the same load harness with the same oracle measures both.
//!
//! `postgres-baseline rows [CONNECTIONS]` commits every call by itself and locks the row of the hot item; `postgres-baseline groups`
//! commits what has piled up. Starts a PostgreSQL server of its own, prints one line of JSON with its address and the server's process, and
//! ends with its standard input.

mod http;
mod server;
mod store;

use std::time::Duration;

use axum::serve::ListenerExt as _;
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use tokio_postgres::{Client, Config, NoTls};

use http::App;
use server::{Failed, Server};
use store::{ITEM, Store};

const UNITS: i64 = 1_000_000_000;
/// Connections of the pool, each a process of the server: more lengthen the queue for the row's lock, fewer leave commits waiting.
const CONNECTIONS: usize = 16;

fn config(server: &Server) -> Config {
    let mut config = Config::new();
    config.host_path(server.socket()).user("bench").dbname("postgres");
    config
}

async fn connect(server: &Server) -> Result<Client, Failed> {
    let until = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        match config(server).connect(NoTls).await {
            Ok((client, connection)) => {
                tokio::spawn(connection);
                return Ok(client);
            }
            Err(error) if tokio::time::Instant::now() > until => return Err(error.into()),
            // It listens a moment before it takes sessions.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Gives back what is overdue, now and then.
async fn reap(client: Client) {
    loop {
        tokio::time::sleep(Duration::from_secs(60)).await;
        if let Err(error) = client.execute("SELECT reap()", &[]).await {
            eprintln!("reap: {error}");
            return;
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let mut words = std::env::args().skip(1);
    let way = words.next().unwrap_or_default();
    let connections = words.next().map_or(Ok(CONNECTIONS), |count| count.parse())?;
    let server = Server::start()?;
    let first = connect(&server).await?;
    first.batch_execute(include_str!("schema.sql")).await?;
    first.execute("INSERT INTO items VALUES ($1, $2)", &[&ITEM, &UNITS]).await?;
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = Manager::from_config(config(&server), NoTls, recycling);
    let pool = Pool::builder(manager).max_size(connections).runtime(Runtime::Tokio1).build()?;
    let store = match way.as_str() {
        "rows" => Store::Rows(pool.clone()),
        "groups" => Store::groups(connect(&server).await?, connect(&server).await?).await?,
        _ => return Err("usage: postgres-baseline rows [CONNECTIONS] | groups".into()),
    };
    tokio::spawn(reap(first));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{{\"address\":\"http://{}\",\"postgres\":{}}}", listener.local_addr()?, server.pid());
    // Small answers must not wait for the other side's delayed acknowledgement.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    let serving = axum::serve(listener, http::router(App { store, pool }));
    tokio::select! {
        served = serving.into_future() => served?,
        () = input_ends() => {}
        signal = tokio::signal::ctrl_c() => signal?,
    }
    Ok(())
}

/// Whoever started this has gone, or closed the pipe.
async fn input_ends() {
    let (ended, end) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = ended.send(());
    });
    let _ = end.await;
}
