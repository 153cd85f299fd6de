//! How much load one core of the client makes: journeys against a server of this process that thinks of nothing (and keeps
//! nothing, so that the oracle has a lot to say about `book`).
//! `cargo run --release -p loadtest --example client_speed -- [poll|book] [visitors]`
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "an example run by hand")]

use std::fmt::Write as _;
use std::time::Duration;

use loadtest::{Args, run};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

fn main() {
    let mut words = std::env::args().skip(1);
    let journey = words.next().unwrap_or_else(|| "poll".to_owned()).parse().expect("poll or book");
    let visitors = words.next().map_or(64, |text| text.parse().expect("a number of visitors"));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("a socket of one's own");
    let target = format!("http://{}", listener.local_addr().expect("a bound port"));
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).expect("a listener");
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream));
            }
        });
    });
    let args = Args { target, journey, visitors, duration: Duration::from_secs(5), ..Args::default() };
    std::process::exit(run(&args).into());
}

async fn serve(mut stream: TcpStream) {
    stream.set_nodelay(true).expect("a socket");
    let (mut request, mut answer) = (vec![0; 4096], String::new());
    // Unlike any other connection's: the first of its ids comes from its address in memory and the clock.
    let mut id = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |span| span.as_nanos()) << 32;
    while let Ok(1..) = stream.read(&mut request).await {
        answer.clear();
        let body = match &request[..14] {
            b"POST /v1/visit" => r#"{"visitor":"AQEAAAABAwMDAwMDAwMDAwMDAwMDAwAAAaMYXFAAUc6wUGqvEjWKTkXLBW5qbQ"}"#.to_owned(),
            b"POST /v1/sales" => {
                id += 1;
                format!(r#"{{"hold_id":"{}","state":"held","expires_in_ms":300000}}"#, uuid(id))
            }
            b"POST /v1/holds" => {
                let id = std::str::from_utf8(&request[15..51]).unwrap_or_default();
                format!(r#"{{"booking_id":"{id}","state":"booked","sale":"demo","lines":[{{"item":"x","quantity":1}}]}}"#)
            }
            _ => r#"{"state":"open","frontier":7,"pace_per_minute":6000,"items":[{"id":"x","stock":"plenty"}],"poll_in_ms":1000}"#.to_owned(),
        };
        let status = if request.starts_with(b"POST") { "201 Created" } else { "200 OK" };
        let _ = write!(
            answer,
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn uuid(n: u128) -> String {
    let hex = format!("{n:032x}");
    format!("{}-{}-8{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}
