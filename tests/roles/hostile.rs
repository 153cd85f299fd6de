//! Clients that cost a server something and want nothing from it: others hardly notice.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::QUEUE;
use crate::http::Client;
use crate::rig::{Rig, Visitor};

/// Idle connections and slow readers in every run of the tests, and in the measurement.
const FEW: (usize, usize) = (1_500, 40);
const MANY: (usize, usize) = (10_000, 400);
/// How much longer others' slowest hundredth may wait, in tenths, and below what nobody can tell on a machine that does other things.
const WORSE_TENTHS: u32 = 15;
const NOTHING: Duration = Duration::from_millis(1);
/// Rounds of each kind; the best one counts, so that whatever else the machine does is left out on both sides.
const ROUNDS: usize = 5;
const REQUESTS: usize = 600;
/// Between two requests of somebody who is measured, and two heads of a flood.
const PAUSE: Duration = Duration::from_millis(2);

fn connect(base: &str) -> TcpStream {
    let stream = TcpStream::connect(base.trim_start_matches("http://")).unwrap();
    stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    stream
}

/// Connections that have asked once and rest.
fn idle(base: &str, count: usize) -> Vec<TcpStream> {
    let one = |_| {
        let mut stream = connect(base);
        stream.write_all(b"GET /v1/sales/queue/line HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        stream
    };
    (0..count).map(one).collect()
}

/// Connections that ask for much and take nothing of it.
fn slow_readers(base: &str, count: usize) -> Vec<TcpStream> {
    let one = |_| {
        let mut stream = connect(base);
        for _ in 0..200 {
            if stream.write_all(b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n").is_err() {
                break;
            }
        }
        stream
    };
    (0..count).map(one).collect()
}

/// Heads that never end, one connection after the other, until told to stop.
fn flood(base: &str, stop: &AtomicBool, sent: &AtomicUsize) {
    let line = format!("x-{}: {}\r\n", "a".repeat(40), "b".repeat(200));
    while !stop.load(Relaxed) {
        let mut stream = connect(base);
        let begun = stream.write_all(b"GET /v1/sales/queue/line HTTP/1.1\r\nhost: x\r\n").is_ok();
        let whole = begun && (0..200).all(|_| stream.write_all(line.as_bytes()).is_ok());
        stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        // Refused, or cut off in the middle of its sending.
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "a head of 50 KB was taken, whole {whole}");
        sent.fetch_add(1, Relaxed);
        std::thread::park_timeout(PAUSE);
    }
}

/// The slowest hundredth of what somebody waits who only wants to know.
fn p99(base: &str, visitor: &Visitor, ticket: &str) -> Duration {
    let (mut http, mut waits) = (Client::default(), Vec::with_capacity(REQUESTS));
    let ticket = [("holdfast-ticket", ticket)];
    for n in 0..REQUESTS {
        let path = if n % 2 == 0 { "/v1/sales/queue/line" } else { "/v1/sales/queue/ticket" };
        let begin = Instant::now();
        let answer = visitor.call(&mut http, base, "GET", path, &ticket, "").unwrap();
        waits.push(begin.elapsed());
        assert_eq!(answer.status, 200, "{}", answer.body);
        std::thread::park_timeout(PAUSE);
    }
    waits.sort_unstable();
    waits[REQUESTS * 99 / 100]
}

fn others_hardly_notice((resting, slow): (usize, usize)) {
    let rig = Rig::start(1);
    rig.sell("ingress-0", QUEUE);
    let base = rig.public("ingress-0");
    let mut http = Client::default();
    let visitor = Visitor::new(&mut http, &base);
    let ticket = visitor.insist(&mut http, &base, "POST", "/v1/sales/queue/tickets", &[], "", &[201]).text("ticket");
    let best = || (0..ROUNDS).map(|_| p99(&base, &visitor, &ticket)).min().unwrap();
    let quiet = best();
    let rest = idle(&base, resting);
    let slow_ones = slow_readers(&base, slow);
    let (stop, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
    let crowded = std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| flood(&base, &stop, &sent));
        }
        let crowded = best();
        stop.store(true, Relaxed);
        crowded
    });
    let open: f64 = rig.metric("ingress-0", "holdfast_ingress_connections").values().sum();
    println!(
        "p99 of others: {quiet:?} alone, {crowded:?} beside {resting} idle connections, {slow} slow readers and {} heads that never end",
        sent.load(Relaxed)
    );
    assert!(open >= resting as f64, "only {open} connections were open");
    assert!(sent.load(Relaxed) > 20, "the flood was none");
    drop((rest, slow_ones));
    let bound = quiet.max(NOTHING) * WORSE_TENTHS / 10;
    assert!(crowded <= bound, "{crowded:?} instead of {quiet:?}");
}

#[test]
fn slow_readers_idle_connections_and_floods_of_headers_cost_others_hardly_anything() {
    others_hardly_notice(FEW);
}

/// `cargo test --test roles -- --ignored --nocapture ten_thousand` prints the figures.
#[test]
#[ignore = "a measurement: it opens 10,000 connections and wants the machine to itself"]
fn ten_thousand_idle_connections_cost_others_hardly_anything() {
    others_hardly_notice(MANY);
}
