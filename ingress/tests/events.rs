//! Tickets followed as server-sent events, over real connections.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::{Duration, Instant};

use common::visitor::Visitor;
use common::{ROOM, World, eventually};
use ingress::{Limits, Settings};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

/// One stream as a browser reads it.
struct Events {
    stream: TcpStream,
    head: String,
    text: String,
}

impl Events {
    /// Asks, and reads the head of the answer.
    async fn follow(world: &World, visitor: &Visitor, more: &[(&str, &str)]) -> Self {
        let mut stream = TcpStream::connect(world.public).await.unwrap();
        let mut request = "GET /v1/sales/room/ticket/events HTTP/1.1\r\nhost: test.example\r\n".to_owned();
        let tokens = [("holdfast-visitor", visitor.token.as_str()), ("holdfast-ticket", visitor.ticket.as_str())];
        for (name, value) in tokens.iter().chain(more) {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut events = Self { stream, head: String::new(), text: String::new() };
        while !events.text.contains("\r\n\r\n") {
            assert!(events.more().await, "{}", events.text);
        }
        let (head, rest) = events.text.split_once("\r\n\r\n").unwrap();
        (events.head, events.text) = (head.to_ascii_lowercase(), rest.to_owned());
        events
    }

    fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// False at the end.
    async fn more(&mut self) -> bool {
        let mut bytes = [0; 4_096];
        let read = timeout(PATIENCE, self.stream.read(&mut bytes)).await.expect("something comes").unwrap();
        self.text.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
        read > 0 && !self.text.ends_with("0\r\n\r\n")
    }

    /// Reads until the text has this.
    async fn until(&mut self, wanted: &str) {
        while !self.text.contains(wanted) {
            assert!(self.more().await, "{wanted}: {}", self.text);
        }
    }

    /// Every ticket that was told so far, in order, with its id.
    fn told(&self) -> Vec<(String, Value)> {
        let (mut told, mut id) = (Vec::new(), String::new());
        for block in self.text.split("\n\n").filter(|block| block.contains("event: ticket\n")) {
            for line in block.lines() {
                if let Some(text) = line.strip_prefix("id: ") {
                    id = text.to_owned();
                } else if let Some(text) = line.strip_prefix("data: ") {
                    told.push((id.clone(), serde_json::from_str(text).unwrap()));
                }
            }
        }
        told
    }

    /// Every state of the line that was told so far, in order.
    fn lines(&self) -> Vec<&str> {
        self.text
            .split("event: line\ndata: {\"state\":\"")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap())
            .collect()
    }

    fn retry_ms(&self) -> u64 {
        let text = self.text.lines().rev().find_map(|line| line.strip_prefix("retry: "));
        text.expect("when to come back").parse().unwrap()
    }
}

async fn joined(world: &World) -> Visitor {
    let mut visitor = Visitor::new(world).await;
    assert!(visitor.join(world, "room").await.status < 300);
    visitor
}

async fn act(world: &World, path: &str, body: &Value) {
    let json = ("content-type", "application/json");
    let method = if path.ends_with("cap") { "PUT" } else { "POST" };
    let path = format!("/admin/v1/sales/room/{path}");
    let done = world.operate(method, &path, &[json], body.to_string().as_bytes()).await;
    assert_eq!(done.status, 200, "{}", done.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visitor_who_follows_is_told_of_the_turn_and_nothing_twice() {
    let world = World::with(&[ROOM], Settings::default()).await;
    act(&world, "pause", &json!({})).await;
    let visitor = joined(&world).await;
    let mut events = Events::follow(&world, &visitor, &[]).await;
    assert_eq!(events.status(), 200, "{}", events.head);
    assert!(events.head.contains("content-type: text/event-stream"), "{}", events.head);
    assert!(events.head.contains("cache-control: no-store"), "{}", events.head);
    events.until("event: ticket").await;
    events.until("}\n\n\r\n").await;
    assert!((1_000..=3_000).contains(&events.retry_ms()));
    assert_eq!(events.told().last().unwrap().1["state"], "waiting");
    act(&world, "resume", &json!({"ramp_ms": 0})).await;
    events.until(r#""state":"called""#).await;
    assert_eq!(events.lines(), ["paused", "open"]);
    let told = events.told();
    assert!(told.windows(2).all(|pair| pair[0].0 != pair[1].0), "{told:?}");
    let polled = visitor.get(&world, "/v1/sales/room/ticket").await.json();
    let (id, last) = told.last().unwrap();
    assert_eq!((&last["number"], &last["state"]), (&polled["number"], &polled["state"]));

    // Who comes back with what is known is told of changes only; who comes with another id of the present state.
    let mut again = Events::follow(&world, &visitor, &[("last-event-id", id)]).await;
    let mut other = Events::follow(&world, &visitor, &[("last-event-id", "77")]).await;
    other.until("event: ticket").await;
    other.until("}\n\n\r\n").await;
    assert_eq!(other.told()[0].0, *id);
    again.until("retry: ").await;
    act(&world, "close", &json!({})).await;
    while again.more().await {}
    assert_eq!(again.told(), [], "{}", again.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_with_nothing_to_say_says_so_and_is_not_cut_for_it() {
    let limits = Limits { idle: Duration::from_millis(1_800), ..Limits::default() };
    let world = World::with(&[ROOM], Settings { server: limits, ..Settings::default() }).await;
    let visitor = joined(&world).await;
    let mut events = Events::follow(&world, &visitor, &[]).await;
    events.until("data: ").await;
    let begin = Instant::now();
    while events.text.matches(":\n\n").count() < 6 {
        assert!(events.more().await, "{}", events.text);
    }
    assert!(begin.elapsed() > Duration::from_millis(3_000), "longer than a connection may rest");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_does_not_last_for_ever_also_when_nobody_reads_it() {
    let life = Duration::from_millis(1_500);
    let settings = Settings { event_stream_life: life, event_streams: 2, ..Settings::default() };
    let world = World::with(&[ROOM], settings).await;
    let visitor = joined(&world).await;
    let asleep = Events::follow(&world, &visitor, &[]).await;
    let begin = Instant::now();
    let mut awake = Events::follow(&world, &visitor, &[]).await;
    while awake.more().await {}
    assert!(begin.elapsed() >= life / 2, "{:?}", begin.elapsed());
    assert!((1_000..=3_000).contains(&awake.retry_ms()), "and when to come back was said at its beginning");
    eventually("there is room for two", || async {
        let two = tokio::join!(Events::follow(&world, &visitor, &[]), Events::follow(&world, &visitor, &[]));
        (two.0.status(), two.1.status()) == (200, 200)
    })
    .await;
    drop(asleep);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_are_bounded_and_one_that_ends_makes_room() {
    let world = World::with(&[ROOM], Settings { event_streams: 2, ..Settings::default() }).await;
    let visitor = joined(&world).await;
    let first = Events::follow(&world, &visitor, &[]).await;
    let mut second = Events::follow(&world, &visitor, &[]).await;
    let third = Events::follow(&world, &visitor, &[]).await;
    assert_eq!(third.status(), 503, "{}", third.head);
    assert!(third.head.contains("retry-after: ") && third.text.contains("/problems/overloaded"), "{}", third.text);
    assert_eq!(visitor.get(&world, "/v1/sales/room/ticket").await.status, 200, "and the ticket itself is told");
    drop(first);
    eventually("there is room again", || async { Events::follow(&world, &visitor, &[]).await.status() == 200 }).await;
    second.until("data: ").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_far_behind_and_strangers_are_not_followed() {
    let world = World::with(&[ROOM], Settings { event_stream_ahead: 1, ..Settings::default() }).await;
    act(&world, "pause", &json!({})).await;
    let mut last = joined(&world).await;
    assert_eq!(Events::follow(&world, &last, &[]).await.status(), 200, "the first in line");
    for _ in 0..2 {
        last = joined(&world).await;
    }
    let far = Events::follow(&world, &last, &[]).await;
    assert_eq!(far.status(), 409, "{}", far.head);
    assert!(far.head.contains("retry-after: ") && far.text.contains("/problems/not-your-turn"), "{}", far.text);
    let nobody = Events::follow(&world, &Visitor::new(&world).await, &[]).await;
    assert_eq!(nobody.status(), 403, "{}", nobody.head);
    let stranger = Visitor { ticket: last.ticket.clone(), ..Visitor::new(&world).await };
    assert_eq!(Events::follow(&world, &stranger, &[]).await.status(), 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_program_ends_streams_end_and_clients_come_back_at_different_times() {
    let world = World::with(&[ROOM], Settings::default()).await;
    let visitor = joined(&world).await;
    let mut all = Vec::new();
    for _ in 0..8 {
        let mut events = Events::follow(&world, &visitor, &[]).await;
        events.until("data: ").await;
        all.push(events);
    }
    world.app.drain();
    let begin = Instant::now();
    let mut back = Vec::new();
    for events in &mut all {
        while events.more().await {}
        back.push(events.retry_ms());
    }
    assert!(begin.elapsed() < Duration::from_secs(5), "they end at once");
    assert!(back.iter().all(|ms| (1_000..=10_000).contains(ms)), "{back:?}");
    assert!(back.iter().max().unwrap() - back.iter().min().unwrap() > 500, "{back:?}");
    let late = Events::follow(&world, &visitor, &[]).await;
    assert_eq!(late.status(), 503, "no new one begins: {}", late.head);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_who_never_read_hold_nobody_up() {
    let world = World::with(&[ROOM], Settings::default()).await;
    let visitor = joined(&world).await;
    let mut asleep = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(world.public).await.unwrap();
        let (token, ticket) = (&visitor.token, &visitor.ticket);
        let request = format!(
            "GET /v1/sales/room/ticket/events HTTP/1.1\r\nhost: x\r\nholdfast-visitor: {token}\r\nholdfast-ticket: {ticket}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        asleep.push(stream);
    }
    let mut reader = Events::follow(&world, &visitor, &[]).await;
    for n in 0..3 {
        act(&world, "pause", &json!({"message": n.to_string()})).await;
        act(&world, "resume", &json!({"ramp_ms": 0})).await;
        let begin = Instant::now();
        assert_eq!(visitor.get(&world, "/v1/sales/room/ticket").await.status, 200);
        assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    }
    reader.until("data: ").await;
    // What a reader missed is not kept: the first bytes it reads are the head and one event.
    let mut bytes = vec![0; 65_536];
    let read = timeout(PATIENCE, asleep[0].read(&mut bytes)).await.unwrap().unwrap();
    assert!(read < 4_096, "{read}");
}
