//! The server with real sockets: slow, broken, idle and too many clients hurt nobody but themselves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::{Duration, Instant};

use common::{Client, World, eventually};
use ingress::{Limits, Settings};

const HEAD: &[u8] = b"POST /v1/visitors HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n";

fn limited(limits: Limits) -> Settings {
    Settings { server: limits, ..Settings::default() }
}

fn short() -> Limits {
    let ms = Duration::from_millis;
    Limits { first_byte: ms(150), head: ms(200), body: ms(250), idle: ms(300), ..Limits::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_wait_for_a_client_ends() {
    let world = World::bare(limited(short())).await;
    let begin = Instant::now();
    let silent = async {
        let mut client = Client::to(world.public).await;
        assert!(client.reply().await.is_none(), "no first byte: closed without a word");
    };
    let trickling = async {
        let mut client = Client::to(world.public).await;
        for byte in b"GET / HTTP/1.1\r\nx: " {
            if client.try_write(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let reply = client.reply().await.unwrap();
        assert_eq!((reply.refused(), reply.header("connection")), ((408, "too-slow".into()), Some("close")));
        assert!(client.ended().await);
    };
    let half_a_body = async {
        let mut client = Client::to(world.public).await;
        client.write(HEAD).await;
        client.write(b"{").await;
        let reply = client.reply().await.unwrap();
        assert_eq!(reply.refused(), (408, "too-slow".into()));
        assert!(client.ended().await);
    };
    let resting = async {
        let mut client = Client::to(world.public).await;
        assert_eq!(client.get("/", &[]).await.status, 200);
        assert!(client.ended().await, "rested too long");
    };
    tokio::join!(silent, trickling, half_a_body, resting);
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_used_is_not_closed_for_being_old() {
    let world = World::bare(limited(short())).await;
    let mut client = Client::to(world.public).await;
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(900) {
        assert_eq!(client.get("/", &[]).await.status, 200);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_http_is_refused_and_closed() {
    let world = World::bare(Settings::default()).await;
    let long = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(40_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(200));
    let path = format!("GET /{} HTTP/1.1\r\n\r\n", "y".repeat(70_000));
    /// What is sent, and the statuses and problems that come back.
    type Case<'a> = (&'a [u8], &'a [(u16, &'a str)]);
    let cases: [Case<'_>; 10] = [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", &[(400, "bad-request")]),
        (b"hello\r\n\r\n", &[(400, "bad-request")]),
        (b"GET / HTTP/9.9\r\n\r\n", &[(400, "bad-request")]),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[(400, "bad-request")]),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", &[(400, "bad-request")]),
        (b"POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", &[(400, "bad-request")]),
        (b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\n\r\n", &[(400, "bad-request")]),
        (long.as_bytes(), &[(431, "head-too-large")]),
        (many.as_bytes(), &[(431, "head-too-large")]),
        (path.as_bytes(), &[(414, "uri-too-long"), (431, "head-too-large")]),
    ];
    for (bytes, statuses) in cases {
        let mut client = Client::to(world.public).await;
        client.write(bytes).await;
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
        let reply = client.reply().await.unwrap_or_else(|| panic!("no answer to {shown}"));
        let (status, name) = reply.refused();
        assert!(statuses.contains(&(status, name.as_str())), "{shown}: {status} {name}");
        assert_eq!(reply.header("connection"), Some("close"), "{shown}");
        assert!(client.ended().await);
        let page = world.ask("GET", &format!("/problems/{name}"), &[], b"").await;
        assert_eq!(page.status, 200, "{name}");
    }
    let mut second = Client::to(world.public).await;
    second.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\nnonsense\r\n\r\n").await;
    assert_eq!(second.reply().await.unwrap().status, 200, "what came before is answered");
    assert_eq!(second.reply().await.unwrap().refused(), (400, "bad-request".into()));
    assert!(second.ended().await);
    for head in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        "POST /v1/visitors HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    ] {
        let mut client = Client::to(world.public).await;
        client.write(head.as_bytes()).await;
        assert_eq!(client.reply().await.unwrap().refused(), (400, "bad-request".into()), "{head}");
        assert!(client.ended().await);
    }
    let mut old = Client::to(world.public).await;
    old.write(b"GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(old.reply().await.unwrap().status, 200, "HTTP/1.0 knows no Host");
    for lengths in
        ["content-length: 4\r\ntransfer-encoding: chunked", "transfer-encoding: chunked\r\ncontent-length: 4"]
    {
        let mut smuggled = Client::to(world.public).await;
        smuggled.write(format!("POST /v1/visitors HTTP/1.1\r\nhost: x\r\n{lengths}\r\n\r\n0\r\n\r\n").as_bytes()).await;
        let reply = smuggled.reply().await.unwrap();
        assert_eq!(reply.header("connection"), Some("close"), "what follows two lengths is not trusted");
        assert!(smuggled.ended().await);
    }
    assert_eq!(world.ask("GET", "/", &[], b"").await.status, 200, "and nobody else has noticed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_behind_one_another_are_answered_in_their_order() {
    let world = World::bare(Settings::default()).await;
    let mut client = Client::to(world.public).await;
    let one = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    let all: String = (0..50).map(|n| if n % 2 == 0 { one("/v1/sales") } else { one("/nothing") }).collect();
    client.write(all.as_bytes()).await;
    client.write(HEAD).await;
    client.write(b"{}").await;
    for n in 0..50 {
        assert_eq!(client.reply().await.unwrap().status, if n % 2 == 0 { 200 } else { 404 });
    }
    assert_eq!(client.reply().await.unwrap().status, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_closes_its_side_or_goes_away_leaves_nothing_behind() {
    use tokio::io::AsyncWriteExt as _;
    let world = World::bare(limited(Limits { connections: 4, ..Limits::default() })).await;
    for round in 0..40 {
        let mut client = Client::to(world.public).await;
        match round % 4 {
            0 => client.write(b"GET / HT").await,
            1 => client.write(HEAD).await,
            2 => drop(client.stream.shutdown().await),
            _ => client.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await,
        }
        if round % 3 == 0 {
            // A reset instead of a proper end.
            socket2::SockRef::from(&client.stream).set_linger(Some(Duration::ZERO)).unwrap();
        }
        drop(client);
        eventually("there is room again", || async { Client::to(world.public).await.try_get("/").await == Some(200) })
            .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_beyond_the_bounds_are_told_to_come_back() {
    let world = World::bare(limited(Limits { connections: 3, ..Limits::default() })).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut client = Client::to(world.public).await;
        eventually("a place", || async { true }).await;
        assert_eq!(client.get("/", &[]).await.status, 200);
        open.push(client);
    }
    let mut fourth = Client::to(world.public).await;
    let turned = fourth.reply().await.unwrap();
    assert_eq!((turned.status, turned.header("retry-after")), (503, Some("1")));
    assert_eq!(Client::to(world.admin).await.get("/livez", &[]).await.status, 200, "operators have their own");
    assert_eq!(open[0].get("/", &[]).await.status, 200, "who is in stays in");
    open.pop();
    eventually("there is room again", || async { Client::to(world.public).await.try_get("/").await == Some(200) })
        .await;

    let world = World::bare(limited(Limits { connections_per_address: 2, ..Limits::default() })).await;
    let mut open = vec![Client::to(world.public).await, Client::to(world.public).await];
    for client in &mut open {
        eventually("counted", || async { true }).await;
        assert_eq!(client.get("/", &[]).await.status, 200);
    }
    assert_eq!(Client::to(world.public).await.reply().await.unwrap().status, 429);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_idle_and_dripping_connections_do_not_keep_others_waiting() {
    // Both ends of a connection are in this process: 10,000 of them need more files than a process may usually have.
    const CROWD: usize = 9_000;
    let world = World::bare(Settings::default()).await;
    let mut crowd = Vec::with_capacity(CROWD);
    for n in 0..CROWD {
        let stream = tokio::net::TcpStream::connect(world.public).await.unwrap();
        if n % 2 == 0 {
            stream.try_write(b"GET / HTTP/1.1\r\nx: ").unwrap();
        }
        crowd.push(stream);
    }
    let mut slowest = Duration::ZERO;
    for _ in 0..50 {
        let begin = Instant::now();
        assert_eq!(Client::to(world.public).await.get("/v1/sales", &[]).await.status, 200);
        slowest = slowest.max(begin.elapsed());
    }
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    for stream in crowd.iter().step_by(1_000) {
        stream.try_write(b"y").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_body_that_nobody_wants_still_gets_its_answer_read() {
    let world = World::bare(Settings::default()).await;
    for _ in 0..5 {
        let body = vec![b'x'; 1 << 20];
        let reply = Client::to(world.public).await.send("POST", "/nothing", &[], &body).await;
        assert_eq!((reply.status, reply.header("connection")), (404, Some("close")));
    }
    let mut client = Client::to(world.public).await;
    assert_eq!(client.send("POST", "/nothing", &[], b"{}").await.status, 404);
    assert_eq!(client.get("/", &[]).await.status, 200, "a small unread body does not cost the connection");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_finishes_what_is_under_way_and_closes_what_rests() {
    let mut world = World::bare(Settings::default()).await;
    let (mut resting, mut busy) = (Client::to(world.public).await, Client::to(world.public).await);
    assert_eq!(resting.get("/", &[]).await.status, 200);
    busy.write(b"POST /v1/visitors HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n").await;
    assert_eq!(busy.reply().await.unwrap().status, 100, "under way");
    world.stop.send(true).unwrap();
    assert!(resting.ended().await);
    eventually("nobody is accepted", || async { tokio::net::TcpStream::connect(world.public).await.is_err() }).await;
    busy.write(b"{}").await;
    let reply = busy.reply().await.unwrap();
    assert_eq!((reply.status, reply.header("connection")), (201, Some("close")));
    assert!(busy.ended().await);
    for server in world.servers.drain(..) {
        tokio::time::timeout(Duration::from_secs(5), server).await.unwrap().unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_lets_a_newcomer_ask_once() {
    let world = World::bare(Settings::default()).await;
    let (mut asks, mut silent) = (Client::to(world.public).await, Client::to(world.public).await);
    eventually("both are accepted", || async { Client::to(world.public).await.try_get("/").await == Some(200) }).await;
    world.stop.send(true).unwrap();
    eventually("nobody is accepted", || async { tokio::net::TcpStream::connect(world.public).await.is_err() }).await;
    assert_eq!(asks.get("/", &[]).await.status, 200);
    assert!(asks.ended().await && silent.ended().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_take_its_answers_is_cut_off() {
    let limits = Limits { connections: 1, write: Duration::from_millis(200), ..Limits::default() };
    let world = World::bare(limited(limits)).await;
    let mut greedy = Client::to(world.public).await;
    assert_eq!(greedy.get("/", &[]).await.status, 200);
    let many = "GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(2_000);
    // Its requests may not all be taken either: nobody reads what the server has no room to answer.
    let _ = tokio::time::timeout(Duration::from_millis(100), greedy.try_write(many.as_bytes())).await;
    eventually("its place is free", || async { Client::to(world.public).await.try_get("/").await == Some(200) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_does_not_wait_for_ever() {
    let drain = Duration::from_millis(200);
    let mut world = World::bare(limited(Limits { drain, ..Limits::default() })).await;
    let mut busy = Client::to(world.public).await;
    busy.write(b"POST /v1/visitors HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n").await;
    assert_eq!(busy.reply().await.unwrap().status, 100);
    world.stop.send(true).unwrap();
    for server in world.servers.drain(..) {
        tokio::time::timeout(Duration::from_secs(5), server).await.unwrap().unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_port_belongs_to_one_program() {
    let world = World::bare(Settings::default()).await;
    let second = std::net::TcpListener::bind(world.public);
    assert_eq!(second.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_threads_serve_one_listener() {
    let world = World::bare(Settings::default()).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let (listener, app, stop) = (listener.try_clone().unwrap(), world.app.clone(), world.stop.subscribe());
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(ingress::serve_public(listener, app, stop)).unwrap();
            })
        })
        .collect();
    drop(listener);
    for _ in 0..20 {
        assert_eq!(Client::to(address).await.get("/", &[]).await.status, 200);
    }
    world.stop.send(true).unwrap();
    for thread in threads {
        tokio::task::spawn_blocking(|| thread.join().unwrap()).await.unwrap();
    }
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_header_names_the_client_and_nobody_else_may_send_one() {
    let trusted = vec!["127.0.0.1".parse().unwrap()];
    let settings =
        Settings { proxy_protocol: true, trusted_proxies: trusted, visitors_per_minute: 1, ..Settings::default() };
    let world = World::bare_unasked(settings).await;
    let header = |last: u8| {
        let mut bytes = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c".to_vec();
        bytes.extend([192, 0, 2, last, 10, 0, 0, 1, 0, 1, 0, 2]);
        bytes
    };
    for (last, status) in [(1, 201), (1, 429), (2, 201)] {
        let mut client = Client::to(world.public).await;
        client.write(&header(last)).await;
        assert_eq!(client.send("POST", "/v1/visitors", &[], b"").await.status, status);
    }
    let mut plain = Client::to(world.public).await;
    plain.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(plain.reply().await.is_none(), "without a header it is closed");

    let settings = Settings { proxy_protocol: true, ..Settings::default() };
    let world = World::bare_unasked(settings).await;
    let mut client = Client::to(world.public).await;
    client.write(&header(1)).await;
    assert!(client.reply().await.is_none(), "from a stranger it is closed");
}
