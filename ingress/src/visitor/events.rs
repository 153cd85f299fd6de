//! The ticket as server-sent events: for those near the front, on a bounded number of streams.
//!
//! A stream says where the ticket stands now, not what it missed: a slow reader gets the latest state when it has taken what went
//! before, and nothing piles up. It costs a look at memory every half second, and no store anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use domain::SaleId;
use domain::limits::{EVENT_EVERY_MS, EVENT_HEARTBEAT_MS};
use domain::sale::Phase;
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderName, HeaderValue};
use tokio::time::Instant;

use super::catalogue;
use super::tickets::{ShownTicket, StatusBody};
use crate::app::{App, SaleHandle};
use crate::call::Call;
use crate::metrics;
use crate::problem::{Name, Problem};
use crate::reply::{self, Response};
use crate::server::stream::{Say, Stream, Teller};

const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");
/// Proxies that collect answers would keep the events.
const UNBUFFERED: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// After a stream that broke, a client comes back in one to this many milliseconds more.
const BACK_MS: (u64, u64) = (1_000, 2_000);
/// The same when the program ends: all come back at once otherwise, to those that are left.
const BACK_FROM_DRAIN_MS: (u64, u64) = (1_000, 9_000);

/// Counts the streams that are open.
pub(crate) struct Streams {
    open: AtomicUsize,
    shown: metrics::Streams,
}

/// One of them; over on drop.
struct Open(Arc<Streams>);

impl Streams {
    pub(crate) fn new() -> Self {
        Self { open: AtomicUsize::new(0), shown: metrics::Streams::new() }
    }

    fn open(self: &Arc<Self>, most: usize) -> Option<Open> {
        if self.open.fetch_add(1, Relaxed) >= most {
            self.open.fetch_sub(1, Relaxed);
            return None;
        }
        self.shown.opened();
        Some(Open(Arc::clone(self)))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
        self.0.shown.closed();
    }
}

/// Follow the visitor's ticket.
///
/// Server-sent events named `ticket`, each with the document of GET ticket; for those near the front, and as many as there is
/// room for: others are told when to ask for the ticket instead. One named `line` says which state the line is in, at the beginning
/// and when it or its words have changed. With `Last-Event-ID` the ticket that is known already is not sent again. A comment comes
/// when nothing happens. The stream ends now and then; come back after `retry`.
#[utoipa::path(
    get, path = "/v1/sales/{sale}/ticket/events", tag = "line", operation_id = "followTicket",
    params(
        ("sale" = String, Path, description = "The sale's id"),
        ("Holdfast-Visitor" = Option<String>, Header, description = "Or cookie hf_visitor"),
        ("Holdfast-Ticket" = Option<String>, Header, description = "Or cookie hf_ticket"),
        ("Holdfast-Pass" = Option<String>, Header, description = "Or cookie hf_pass"),
        ("Holdfast-Booked" = Option<String>, Header, description = "Or cookie hf_booked"),
        ("Last-Event-ID" = Option<String>, Header, description = "The last event that came"),
    ),
    responses((status = 200, description = "Events", body = String, content_type = "text/event-stream"))
)]
pub(crate) fn get(call: &Call) -> Result<Response, Problem> {
    let sales = call.app.sales();
    let sale = sales.get(call.param()).ok_or_else(catalogue::unknown)?;
    let ticket = ShownTicket::of(call, sale)?;
    let settings = &call.app.parts.settings;
    let now = ticket.status(sale, call.now(), rand::random());
    // Nobody in the lobby is near anything.
    if now.ahead.is_none_or(|ahead| ahead > settings.event_stream_ahead) {
        let detail = "Events are for those near the front: ask for the ticket until then.";
        return Err(Problem::new(Name::NotYourTurn, detail).retry_after(now.poll_in_ms));
    }
    let room = if call.app.is_draining() { None } else { call.app.streams.open(settings.event_streams) };
    let Some(open) = room else {
        let detail = "As many visitors follow their tickets as may: ask for the ticket instead.";
        return Err(Problem::new(Name::Overloaded, detail).retry_after(now.poll_in_ms));
    };
    let known = call.headers().get(LAST_EVENT_ID).and_then(|id| u64::from_str_radix(id.to_str().ok()?, 16).ok());
    let life = settings.event_stream_life / 2;
    let events = Events {
        app: App::clone(&call.app),
        sale: sale.id().clone(),
        ticket,
        shown: known.map(|id| Shown { id, state: "" }),
        line: None,
        last: None,
        ends: Instant::now() + life + spread(life),
        heartbeat: Duration::from_millis(EVENT_HEARTBEAT_MS).min(settings.server.idle / 3),
        _open: open,
    };
    let mut answer = reply::stream(StatusCode::OK, EVENT_STREAM, Stream::new(events, Arc::clone(&call.from)));
    answer.headers_mut().insert(CACHE_CONTROL, reply::PRIVATE);
    answer.headers_mut().insert(UNBUFFERED.0, UNBUFFERED.1);
    Ok(answer)
}

/// Up to `most`.
fn spread(most: Duration) -> Duration {
    most.mul_f64(f64::from(rand::random::<u32>()) / f64::from(u32::MAX))
}

/// When the client is to come back, as the stream says it.
fn retry((least, more): (u64, u64)) -> String {
    let back = Duration::from_millis(least) + spread(Duration::from_millis(more));
    format!("retry: {}\n\n", back.as_millis())
}

/// The ticket that the client knows.
struct Shown {
    id: u64,
    state: &'static str,
}

/// The line as the client knows it: its state, and the operator's words.
type LineShown = (&'static str, Option<String>);

/// One stream.
struct Events {
    app: App,
    sale: SaleId,
    ticket: ShownTicket,
    shown: Option<Shown>,
    line: Option<LineShown>,
    /// When something was last sent.
    last: Option<Instant>,
    /// When it ends, so that streams do not stay with one process for ever.
    ends: Instant,
    heartbeat: Duration,
    _open: Open,
}

impl Teller for Events {
    fn say(&mut self, now: Instant) -> Say {
        if self.app.is_draining() {
            return Say::Last(Bytes::from(retry(BACK_FROM_DRAIN_MS)));
        }
        let sales = self.app.sales();
        let wall = Call::clock();
        let sale = sales.get(self.sale.as_str()).filter(|sale| sale.phase(wall) != Phase::Closed);
        let Some(sale) = sale.filter(|_| now < self.ends) else { return Say::Last(Bytes::new()) };
        let mut text = if self.last.is_none() { retry(BACK_MS) } else { String::new() };
        self.tell_line(sale, &mut text);
        self.tell_ticket(&self.ticket.status(sale, wall, rand::random()), now, &mut text);
        if text.is_empty() && self.last.is_some_and(|last| now - last >= self.heartbeat) {
            text.push_str(":\n\n");
        }
        if text.is_empty() {
            return Say::Nothing;
        }
        self.last = Some(now);
        Say::More(Bytes::from(text))
    }
}

impl Events {
    /// Names the line's state where it, or the operator's words, have changed.
    fn tell_line(&mut self, sale: &SaleHandle, text: &mut String) {
        let state = sale.view.load().state(sale.phase(Call::clock())).as_str();
        if self.line.as_ref().is_some_and(|(shown, words)| *shown == state && *words == sale.fold.paused) {
            return;
        }
        text.push_str(&format!("event: line\ndata: {{\"state\":\"{state}\"}}\n\n"));
        self.line = Some((state, sale.fold.paused.clone()));
    }

    /// A new state at once, other changes every now and then.
    fn tell_ticket(&mut self, status: &StatusBody, now: Instant, text: &mut String) {
        let id = status.id();
        let shown = self.shown.get_or_insert(Shown { id: 0, state: "" });
        if shown.id != id {
            let recent = self.last.is_some_and(|last| now - last < Duration::from_millis(EVENT_EVERY_MS));
            if shown.state == status.state && recent {
                return;
            }
            // Our own struct with text keys: writing it cannot fail.
            let data = serde_json::to_string(status).unwrap_or_default();
            text.push_str(&format!("id: {id:x}\nevent: ticket\ndata: {data}\n\n"));
        }
        *shown = Shown { id, state: status.state };
    }
}
