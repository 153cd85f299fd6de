//! A small server that keeps the contract in memory, or breaks it in one planted way.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use domain::event::Event;
use domain::{
    Act, Actor, Fingerprint, HoldId, LaneEvent, LineEvent, Millis, RefuseReason, SaleDoc, SaleEvent, SaleId,
    VisitorHash,
};

/// What the server does besides, or wrongly. Counts: every n-th; 0 is never.
#[derive(Clone, Copy, Default)]
pub(crate) struct Faults {
    /// Sells without looking at the stock.
    pub(crate) oversell: bool,
    /// Confirms without keeping the booking.
    pub(crate) forget_every: u64,
    /// Answers 410 when a booked confirm is repeated.
    pub(crate) change_mind: bool,
    /// Gives every key the same booking.
    pub(crate) one_booking_for_all: bool,
    /// Gives every visitor the same number.
    pub(crate) one_number_for_all: bool,
    /// Gives passes to numbers that were never called, and shows a frontier of 0 afterwards.
    pub(crate) uncalled: bool,
    /// Gives all passes at one moment.
    pub(crate) no_meter: bool,
    /// Calls nobody before so many milliseconds have passed since the first poll; 0 calls at once.
    pub(crate) call_after_ms: u64,
    /// What polls are told to wait; 0 is 20 ms.
    pub(crate) poll_in_ms: u64,
    /// Answers a confirm 202 before it is decided.
    pub(crate) pending: bool,
    /// Never decides a confirm.
    pub(crate) never_decide: bool,
    /// Acts, then closes the connection without an answer.
    pub(crate) lose_answer_every: u64,
    /// Answers 503 without acting.
    pub(crate) busy_every: u64,
    /// Closes the connection behind the answer.
    pub(crate) close_every: u64,
    /// Confirms without an event in the feed.
    pub(crate) log_not_every: u64,
    /// Refuses to show the feed.
    pub(crate) no_feed: bool,
    /// The server's own audit finds something.
    pub(crate) audit_fails: bool,
    /// Refuses every n-th hold as a bad request, and as sold out.
    pub(crate) blame_every: u64,
    /// See `blame_every`.
    pub(crate) deny_every: u64,
    /// Says that the sale is closed to whoever wants a ticket.
    pub(crate) closed: bool,
    /// Says that nothing is left, and calls nobody.
    pub(crate) sold_out: bool,
    /// Sends bodies in chunks.
    pub(crate) chunked: bool,
}

#[derive(Default)]
struct State {
    faults: Faults,
    room: bool,
    units: u64,
    taken: u64,
    answers: u64,
    asked: u64,
    visitors: u64,
    numbers: u64,
    /// Lines of the event feed.
    feed: Vec<String>,
    granted: u64,
    /// The highest number that has a pass.
    called: u64,
    frontier: u64,
    polled: Option<Instant>,
    passes: u64,
    seq: u64,
    confirms: u64,
    holds: HashMap<HoldId, Hold>,
    tickets: HashMap<String, u64>,
    bookings: HashMap<String, Vec<HoldId>>,
    keys: HashSet<String>,
}

struct Hold {
    visitor: String,
    asked: u32,
    booked: Option<u64>,
}

pub(crate) struct Fake {
    pub(crate) url: String,
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    stop: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl Fake {
    pub(crate) fn start(units: u64, room: bool, faults: Faults) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State { faults, room, units, ..State::default() }));
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, stopped) = (Arc::clone(&state), Arc::clone(&stop));
        let acceptor = thread::spawn(move || {
            let mut threads = Vec::new();
            for stream in listener.incoming().map_while(Result::ok) {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let (shared, stopped) = (Arc::clone(&shared), Arc::clone(&stopped));
                threads.push(thread::spawn(move || serve(stream, &shared, &stopped)));
            }
            for thread in threads {
                thread.join().unwrap();
            }
        });
        Self { url: format!("http://{address}"), address, state, stop, acceptor: Some(acceptor) }
    }

    /// Bookings that the server keeps.
    pub(crate) fn booked(&self) -> u64 {
        self.state.lock().unwrap().bookings.values().map(|list| list.len() as u64).sum()
    }

    /// Tickets that were given out.
    pub(crate) fn tickets(&self) -> u64 {
        self.state.lock().unwrap().numbers
    }

    /// How many different Idempotency-Keys came with holds.
    pub(crate) fn keys(&self) -> usize {
        self.state.lock().unwrap().keys.len()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(self.address));
        self.acceptor.take().unwrap().join().unwrap();
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>, stop: &AtomicBool) {
    stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut buffer, mut chunk) = (Vec::new(), [0; 4096]);
    while !stop.load(Ordering::Relaxed) {
        match stream.read(&mut chunk) {
            Ok(0) => return,
            Ok(n) => buffer.extend_from_slice(&chunk[..n]),
            Err(_) => continue,
        }
        while let Some((request, used)) = parse(&buffer) {
            buffer.drain(..used);
            let mut state = state.lock().unwrap();
            state.answers += 1;
            let (faults, n) = (state.faults, state.answers);
            let every = |of: u64| of > 0 && n.is_multiple_of(of);
            let answer = if every(faults.busy_every) { problem(503, "unavailable") } else { state.answer(&request) };
            drop(state);
            if every(faults.lose_answer_every) {
                return;
            }
            if stream.write_all(&encode(&answer, faults.chunked, every(faults.close_every))).is_err() {
                return;
            }
            if every(faults.close_every) {
                return;
            }
        }
    }
}

struct Request {
    method: String,
    path: String,
    headers: HashMap<String, String>,
}

fn parse(buffer: &[u8]) -> Option<(Request, usize)> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(head) = request.parse(buffer).unwrap() else { return None };
    let (method, path) = (request.method.unwrap().to_owned(), request.path.unwrap().to_owned());
    let pairs = request.headers.iter().map(|h| (h.name.to_lowercase(), String::from_utf8(h.value.to_vec()).unwrap()));
    let headers: HashMap<String, String> = pairs.collect();
    let length: usize = headers.get("content-length").map_or(0, |text| text.parse().unwrap());
    (buffer.len() >= head + length).then_some((Request { method, path, headers }, head + length))
}

fn encode((status, body): &(u16, String), chunked: bool, close: bool) -> Vec<u8> {
    let close = if close { "Connection: close\r\n" } else { "" };
    let rest = if *status == 204 {
        "\r\n".to_owned()
    } else if chunked {
        let (front, back) = body.split_at(body.len() / 2);
        let chunk =
            |part: &str| if part.is_empty() { String::new() } else { format!("{:x}\r\n{part}\r\n", part.len()) };
        format!("Transfer-Encoding: chunked\r\n\r\n{}{}0\r\n\r\n", chunk(front), chunk(back))
    } else {
        format!("Content-Length: {}\r\n\r\n{body}", body.len())
    };
    format!("HTTP/1.1 {status} X\r\nRetry-After: 0\r\n{close}{rest}").into_bytes()
}

fn event<E: Event>(log: &str, seq: u64, event: &E) -> String {
    format!(r#"{{"log":"{log}","seq":{seq},"event":{}}}"#, event.encode().unwrap())
}

fn problem(status: u16, name: &str) -> (u16, String) {
    (status, format!(r#"{{"type":"http://x/problems/{name}","title":"a \"title\"","status":{status}}}"#))
}

impl State {
    fn answer(&mut self, request: &Request) -> (u16, String) {
        let visitor = request.headers.get("holdfast-visitor").cloned().unwrap_or_default();
        let key = request.headers.get("idempotency-key").cloned();
        let parts: Vec<&str> = request.path.trim_start_matches("/v1/").split('/').collect();
        match (request.method.as_str(), parts.as_slice()) {
            ("GET", ["sales", "demo"]) => {
                let (units, room) = (self.units, self.room);
                (
                    200,
                    format!(
                        r#"{{"id":"demo","waiting_room":{room},"limits":{{}},"items":[{{"id":"standing","units":{units}}}]}}"#
                    ),
                )
            }
            ("GET", ["", "admin", "v1", "sales", "demo"]) => {
                (200, format!(r#"{{"doc":{{"items":[{{"id":"standing","units":{}}}]}}}}"#, self.units))
            }
            ("GET", ["", "admin", "v1", "sales", "demo", "audit"]) => {
                let passed = !self.faults.audit_fails;
                let check = format!(r#"{{"invariant":"I2","passed":{passed},"findings":["3 units are missing"]}}"#);
                (200, format!(r#"{{"checks":[{check}],"left_out":[]}}"#))
            }
            ("GET", ["", "metrics"]) => (200, format!("holdfast_line_frontier_number {}\n", self.frontier)),
            ("GET", ["", "admin", "v1", "sales", "demo", rest]) => self.events(rest, &request.headers),
            ("POST", ["visitors"]) => {
                self.visitors += 1;
                (201, format!(r#"{{"visitor":"v{}"}}"#, self.visitors))
            }
            ("POST", ["sales", "demo", "tickets"]) => self.join(visitor),
            ("GET", ["sales", "demo", "line"]) => self.line(),
            ("GET", ["sales", "demo", "ticket"]) => (200, r#"{"state":"waiting","poll_in_ms":20}"#.to_owned()),
            ("POST", ["sales", "demo", "passes"]) => self.pass(request.headers.get("holdfast-ticket").unwrap()),
            ("DELETE", ["sales", "demo", "pass"]) => (204, String::new()),
            ("POST", ["sales", "demo", "holds"]) => self.hold(visitor, &key.unwrap()),
            ("DELETE", ["holds", id]) => {
                let gone = self.holds.remove(&id.parse().unwrap());
                self.taken -= u64::from(gone.is_some());
                (204, String::new())
            }
            ("POST", ["holds", id, "confirm"]) => self.confirm(id.parse().unwrap()),
            ("GET", ["bookings"]) => {
                let mine = self.bookings.get(&visitor).into_iter().flatten();
                let list: Vec<String> = mine.map(|id| format!(r#"{{"booking_id":"{id}"}}"#)).collect();
                (200, format!(r#"{{"bookings":[{}]}}"#, list.join(",")))
            }
            _ => problem(404, "not-found"),
        }
    }

    /// Three events a page, so that a run has many of them.
    fn events(&self, rest: &str, headers: &HashMap<String, String>) -> (u16, String) {
        if self.faults.no_feed || headers.get("authorization").is_none_or(|key| key != "Bearer secret") {
            return problem(403, "forbidden");
        }
        let from: usize = rest.strip_prefix("events?from=").unwrap().parse().unwrap_or(0);
        let doc = SaleDoc::from_toml(&format!(
            "id = \"demo\"\nadmission = {{ pace_per_minute = 6000, active_passes = 9000 }}\nitems = [{{ id = \"standing\", units = {} }}]",
            self.units
        ));
        let units = BTreeMap::from([("standing".parse().unwrap(), self.units)]);
        let act = Act::Define { doc: Box::new(doc.unwrap()), stock: units.clone() };
        let define = SaleEvent { at: Millis(0), actor: Actor { by: "x".to_owned(), why: String::new() }, act };
        let stock = LaneEvent::Stock { from: "sale/demo:1".to_owned(), lines: units, at: Millis(0) };
        let first = [event("sale/demo", 1, &define), event("lane/demo/0", 1, &stock)];
        let page: Vec<&String> = first.iter().chain(&self.feed).skip(from).take(3).collect();
        let lines: String = page.iter().map(|line| format!("{line}\n")).collect();
        (200, format!("{lines}{{\"next\":\"{}\"}}\n", from + page.len()))
    }

    fn log_booking(&mut self, id: HoldId, seq: u64) {
        if self.faults.log_not_every > 0 && seq.is_multiple_of(self.faults.log_not_every) {
            // Something stands there, but not this booking.
            let at = Millis(0);
            let other = LaneEvent::Refused { id, visitor: VisitorHash([0; 16]), why: RefuseReason::Gone, at };
            return self.feed.push(event("lane/demo/0", seq + 1, &other));
        }
        let lines = [("standing".parse().unwrap(), 1)].into_iter().collect();
        let (visitor, fp) = (VisitorHash([0; 16]), Fingerprint([0; 8]));
        let booked = LaneEvent::Booked { id, visitor, lines, fp, pass: None, at: Millis(0) };
        self.feed.push(event("lane/demo/0", seq + 1, &booked));
    }

    fn join(&mut self, visitor: String) -> (u16, String) {
        if self.faults.closed {
            return problem(410, "sale-closed");
        }
        self.numbers += u64::from(!self.tickets.contains_key(&visitor));
        let number = *self.tickets.entry(visitor).or_insert(self.numbers);
        let number = if self.faults.one_number_for_all { 1 } else { number };
        (201, format!(r#"{{"ticket":"t{number}","number":{number},"state":"waiting"}}"#))
    }

    fn line(&mut self) -> (u16, String) {
        let polled = *self.polled.get_or_insert_with(Instant::now);
        if !self.faults.sold_out && polled.elapsed() >= Duration::from_millis(self.faults.call_after_ms) {
            self.frontier = self.numbers;
        }
        let state = if self.faults.sold_out { "sold_out" } else { "open" };
        let poll = if self.faults.poll_in_ms == 0 { 20 } else { self.faults.poll_in_ms };
        // Shown truly while somebody may be waiting, and as 0 once passes are out: the planted fault.
        let shown = if self.faults.uncalled && self.passes > 0 { 0 } else { self.frontier };
        (200, format!(r#"{{"state":"{state}","frontier":{shown},"pace_per_minute":6000,"poll_in_ms":{poll}}}"#))
    }

    fn pass(&mut self, ticket: &str) -> (u16, String) {
        self.passes += 1;
        let at = 1_800_000_000_000 + if self.faults.no_meter { 0 } else { self.passes * 12 };
        let number = ticket.trim_start_matches('t').parse().unwrap();
        self.called = self.called.max(number);
        let (granted, numbers_to, frontier) = (vec![number], self.numbers, self.called);
        let line = LineEvent { at: Millis(at), numbers_to, frontier, granted, ..LineEvent::default() };
        self.granted += 1;
        self.feed.push(event("line/demo", self.granted, &line));
        (201, format!(r#"{{"pass":"p{}","expires_at":"{}"}}"#, self.passes, Millis(at)))
    }

    fn hold(&mut self, visitor: String, key: &str) -> (u16, String) {
        let sale: SaleId = "demo".parse().unwrap();
        let mut hash = [0; 16];
        hash.iter_mut().zip(visitor.bytes()).for_each(|(to, from)| *to = from);
        let key_used = if self.faults.one_booking_for_all { "one" } else { key };
        let hash = if self.faults.one_booking_for_all { VisitorHash([0; 16]) } else { VisitorHash(hash) };
        let id = HoldId::derive(&sale, 0, &hash, key_used);
        self.keys.insert(key.to_owned());
        self.asked += 1;
        let every = |of: u64| of > 0 && self.asked.is_multiple_of(of);
        if every(self.faults.blame_every) {
            return problem(400, "bad-request");
        }
        if every(self.faults.deny_every) {
            return problem(409, "sold-out");
        }
        if !self.holds.contains_key(&id) {
            if self.taken >= self.units && !self.faults.oversell {
                return problem(409, "sold-out");
            }
            self.taken += 1;
            self.holds.insert(id, Hold { visitor, asked: 0, booked: None });
        }
        (201, format!(r#"{{"hold_id":"{id}","state":"held"}}"#))
    }

    fn confirm(&mut self, id: HoldId) -> (u16, String) {
        let (faults, mut logged) = (self.faults, false);
        let Some(hold) = self.holds.get_mut(&id) else { return problem(410, "hold-gone") };
        hold.asked += 1;
        if faults.never_decide || (faults.pending && hold.asked == 1) {
            return (202, r#"{"state":"confirming","poll_in_ms":1}"#.to_owned());
        }
        if hold.booked.is_some() && faults.change_mind {
            return problem(410, "hold-gone");
        }
        if hold.booked.is_none() {
            self.seq += 1;
            hold.booked = Some(self.seq);
            self.confirms += 1;
            logged = true;
            if faults.forget_every == 0 || !self.confirms.is_multiple_of(faults.forget_every) {
                self.bookings.entry(hold.visitor.clone()).or_default().push(id);
            }
        }
        let seq = hold.booked.unwrap();
        if logged {
            self.log_booking(id, seq);
        }
        // The lane's first event is its stock.
        let seq = seq + 1;
        (
            201,
            format!(
                r#"{{"booking_id":"{id}","state":"booked","sale":"demo","lines":[],"log":"lane/demo/0","seq":{seq}}}"#
            ),
        )
    }
}
