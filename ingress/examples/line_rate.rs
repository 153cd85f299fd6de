//! What a poll of the line costs, against bare hyper with the same body in the same run.
//!
//! `cargo run --release -p ingress --example line_rate`. One server thread, one client thread, 64 kept connections, one
//! request at a time on each. Prints requests/s and the server thread's CPU time per request, which does not depend on the
//! client's share of the machine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use admission::view::{Band, ItemStock};
use admission::{LineView, Sales, Snapshot, clock};
use bytes::Bytes;
use domain::token::{Key, KeyId, Keyring};
use domain::{Act, Actor, Millis, SaleDoc, SaleEvent, SaleFold};
use http_body_util::Full;
use ingress::{App, Parts, SaleHandle, SaleMap, Settings};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;

const CONNECTIONS: usize = 64;
const SECONDS: u64 = 2;
const ROUNDS: usize = 5;

fn main() {
    let (app, _stop, _files) = app();
    let body = Bytes::from(ask(&serve_line(&app), "/v1/sales/night/line"));
    println!("body of {} bytes, {CONNECTIONS} connections, {ROUNDS} rounds of {SECONDS} s each, medians", body.len());
    // In turns, so that whatever else the machine does meets both.
    let (mut bare, mut line) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bare.push(measure(&serve_bare(&body), "/"));
        line.push(measure(&serve_line(&app), "/v1/sales/night/line"));
    }
    let (bare, line) = (median("bare hyper", &bare), median("GET line", &line));
    println!("ratio      {:>9.2} by requests/s, {:.2} by CPU", line.0 / bare.0, bare.1 / line.1);
}

fn median(name: &str, runs: &[(f64, f64)]) -> (f64, f64) {
    let middle = |mut all: Vec<f64>| {
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    let both = (middle(runs.iter().map(|run| run.0).collect()), middle(runs.iter().map(|run| run.1).collect()));
    println!("{name:<10} {:>9.0} requests/s   {:.2} us of server CPU per request", both.0, both.1);
    both
}

/// A server on a thread of its own.
struct Server {
    address: SocketAddr,
    /// The thread's CPU time in nanoseconds, as the kernel counts it.
    schedstat: String,
}

impl Server {
    fn start(name: &str, run: impl AsyncFnOnce(TcpListener) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new().name(name.to_owned());
        let serving = thread.spawn(move || {
            let me = std::fs::read_link("/proc/thread-self").unwrap();
            tell.send(format!("/proc/{}/schedstat", me.display())).unwrap();
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run(listener));
        });
        serving.unwrap();
        Self { address, schedstat: told.recv().unwrap() }
    }

    fn cpu(&self) -> Duration {
        let text = std::fs::read_to_string(&self.schedstat).unwrap();
        Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
    }
}

fn serve_line(app: &App) -> Server {
    let app = app.clone();
    Server::start("line", async move |listener| {
        let (_keep, stop) = watch::channel(false);
        ingress::serve_public(listener, app, stop).await.unwrap();
    })
}

fn serve_bare(body: &Bytes) -> Server {
    let body = body.clone();
    Server::start("bare", async move |listener| {
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let body = body.clone();
            let service = hyper::service::service_fn(move |_| {
                let mut answer = http::Response::new(Full::new(body.clone()));
                answer.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
                async move { Ok::<_, Infallible>(answer) }
            });
            let io = hyper_util::rt::TokioIo::new(stream);
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(io, service));
        }
    })
}

/// Requests per second, and the server's CPU microseconds per request.
fn measure(server: &Server, path: &str) -> (f64, f64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let done = Arc::new(AtomicU64::new(0));
    runtime.block_on(async {
        for _ in 0..CONNECTIONS {
            tokio::spawn(client(
                server.address,
                format!("GET {path} HTTP/1.1\r\nhost: bench\r\n\r\n"),
                Arc::clone(&done),
            ));
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        let (begin, cpu, before) = (Instant::now(), server.cpu(), done.load(Relaxed));
        tokio::time::sleep(Duration::from_secs(SECONDS)).await;
        let requests = (done.load(Relaxed) - before) as f64;
        let cpu = server.cpu() - cpu;
        (requests / begin.elapsed().as_secs_f64(), cpu.as_secs_f64() * 1e6 / requests)
    })
}

async fn client(address: SocketAddr, request: String, done: Arc<AtomicU64>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut bytes = vec![0; 4_096];
    loop {
        stream.write_all(request.as_bytes()).await.unwrap();
        // Answers are far smaller than the buffer and come in one piece.
        let read = stream.read(&mut bytes).await.unwrap();
        assert!(bytes[..read].starts_with(b"HTTP/1.1 200"));
        done.fetch_add(1, Relaxed);
    }
}

fn ask(server: &Server, path: &str) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(server.address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text.split("\r\n\r\n").nth(1).unwrap().to_owned()
}

/// An edge with one sale that nobody owns: a poll asks nobody.
fn app() -> (App, watch::Sender<bool>, tempfile::TempDir) {
    let files = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ledger = ledger::Ledger::sqlite(&files.path().join("ledger.db")).unwrap();
    let registry = runtime.block_on(Sales::start(ledger, "bench".into(), clock::system())).unwrap();
    let app = App::new(Parts {
        keyring: Keyring::new(vec![Key { id: KeyId(1), secret: [1; 32] }]).unwrap(),
        registry,
        operators: Vec::new(),
        metrics_text: Arc::new(String::new),
        checks: Vec::new(),
        may_sell: Arc::new(|_| Ok(())),
        audit: Arc::new(|_| Box::pin(async { Err(String::new()) })),
        events: Arc::new(|_, _| Box::pin(async { Err(ingress::NoEvents::Unavailable(String::new())) })),
        settings: Settings::default(),
        tls: None,
    });
    let doc = SaleDoc::from_toml(
        "id = \"night\"\nopens_at = \"2020-01-01T00:00:00Z\"\nadmission = { pace_per_minute = 6000, active_passes = 50 }\n\
         [[items]]\nid = \"floor\"\nunits = 100\n",
    )
    .unwrap();
    let view = LineView::new();
    let item = ItemStock { item: "floor".parse().unwrap(), units: 100, free: 90, live: 3, band: Band::Plenty };
    view.show(Snapshot {
        version: 1,
        frontier: 4_711,
        items: vec![item],
        as_of: Some(Millis(1)),
        ..Snapshot::default()
    });
    let act = Act::Define { stock: doc.units(), doc: Box::new(doc) };
    let event = SaleEvent { at: Millis(1), actor: Actor { by: "line_rate".to_owned(), why: String::new() }, act };
    let fold = SaleFold::begin(1, &event).unwrap();
    let sale = SaleHandle::new(Arc::new(fold), Vec::new(), None, view, [1; 32]);
    app.set_sales(SaleMap::from_iter([Arc::new(sale)]));
    let (stop, _) = watch::channel(false);
    (app, stop, files)
}
