//! Out of files. Alone in its program, because it lowers the program's own limit.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs::File;

use common::{Client, World};
use ingress::Settings;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpSocket;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_files_left_who_is_in_is_served_and_who_waits_is_served_later() {
    setrlimit(Resource::Nofile, Rlimit { current: Some(256), ..getrlimit(Resource::Nofile) }).unwrap();
    let world = World::bare(Settings::default()).await;
    let mut inside = Client::to(world.public).await;
    assert_eq!(inside.get("/", &[]).await.status, 200);
    let sockets: Vec<TcpSocket> = (0..5).map(|_| TcpSocket::new_v4().unwrap()).collect();
    let mut fill = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        fill.push(file);
    }
    let mut waiting = Vec::new();
    for socket in sockets {
        // The kernel finishes the handshake; nobody can accept.
        let mut client = Client::on(socket.connect(world.public).await.unwrap());
        client.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        waiting.push(client);
    }
    for _ in 0..20 {
        assert_eq!(inside.get("/v1/sales", &[]).await.status, 200);
    }
    drop(fill);
    for client in &mut waiting {
        assert_eq!(client.reply().await.unwrap().status, 200);
    }
}
