//! The way of every request on either listener: route, room, handler, and what every answer carries.

use std::future::Future;
use std::sync::Arc;

use http::header::{ALLOW, CONNECTION, HOST, HeaderValue, TRANSFER_ENCODING};
use http::{Method, StatusCode, Version};
use hyper::body::Body as _;
use tokio::time::Instant;

use crate::app::App;
use crate::call::{Call, Content};
use crate::edge::overload::{Class, Load};
use crate::edge::trace::{TRACEPARENT, Trace, random};
use crate::metrics;
use crate::problem::{Name, Problem};
use crate::reply::{self, Response};
use crate::route::{Found, Route, Router};
use crate::server::answer::{Answer, Connection, Handler, Request};

/// The operations of one listener.
pub(crate) trait Api: Send + Sync + 'static {
    /// Names them.
    type Op: Copy + Send + Sync + 'static;

    /// Answers what memory alone can answer; `None` for an operation that has to wait for somebody.
    fn quick(op: Self::Op, call: &Call) -> Option<Result<Response, Problem>>;

    /// Answers the others.
    fn run(op: Self::Op, call: Call) -> impl Future<Output = Result<Response, Problem>> + Send;

    /// What a person is told instead of the problem that there is no room; nothing where programs ask.
    fn crowded(_op: Self::Op, _call: &Call) -> Option<Response> {
        None
    }

    /// Whether web pages may call it at all.
    const CORS: bool;
}

/// One listener's routes and counters.
pub(crate) struct Front<A: Api> {
    /// Counted for itself in each thread: threads that count one thing for every request slow each other down.
    app: Arc<App>,
    load: Arc<Load>,
    table: &'static [Route<A::Op>],
    router: Router,
    routes: Vec<metrics::Route>,
    unmatched: metrics::Route,
    problems: metrics::Problems,
}

/// An unread body longer than this is not worth reading for the sake of the connection.
const SMALL_BODY: u64 = 8_192;
const OVERLOADED_MS: u64 = 1_000;
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, DELETE, OPTIONS");

impl<A: Api> Front<A> {
    /// `load`: the room its requests share.
    pub(crate) fn new(app: App, table: &'static [Route<A::Op>], load: Arc<Load>) -> Self {
        Self {
            app: Arc::new(app),
            load,
            table,
            router: Router::new(table),
            routes: table.iter().map(|route| metrics::Route::new(route.label)).collect(),
            unmatched: metrics::Route::new("unmatched"),
            problems: metrics::Problems::new(),
        }
    }

    fn other(&self, found: &Found<'_, '_>, head: &http::request::Parts) -> Result<Response, Problem> {
        match found {
            Found::Resource(allow, true) => {
                let mut answer = reply::empty(StatusCode::NO_CONTENT);
                answer.headers_mut().insert(ALLOW, (*allow).clone());
                if A::CORS {
                    self.app.origins.preflight(&head.headers, allow, answer.headers_mut());
                }
                Ok(answer)
            }
            Found::Resource(allow, false) => {
                let detail = format!("{} is not among {}.", head.method, allow.to_str().unwrap_or_default());
                Err(Problem::new(Name::MethodNotAllowed, detail).allow((*allow).clone()))
            }
            // What the server as a whole can do.
            _ if head.method == Method::OPTIONS && head.uri.path() == "*" => {
                let mut answer = reply::empty(StatusCode::NO_CONTENT);
                answer.headers_mut().insert(ALLOW, METHODS);
                Ok(answer)
            }
            _ => Err(Problem::new(Name::NotFound, format!("Nothing is at {}.", shown(head.uri.path())))),
        }
    }
}

/// What hyper lets pass though it makes a request mean different things to different readers: RFC 9112, 3.2 and 6.1.
fn well_framed(head: &http::request::Parts) -> Result<(), Problem> {
    let mut hosts = head.headers.get_all(HOST).iter();
    let (first, second) = (hosts.next(), hosts.next());
    if second.is_some() || (first.is_none() && head.version == Version::HTTP_11) {
        return Err(Problem::new(Name::BadRequest, "A request names one Host.").close());
    }
    let mut codings = head.headers.get_all(TRANSFER_ENCODING).iter();
    let plain = match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(only), None) => only.as_bytes().eq_ignore_ascii_case(b"chunked"),
        _ => false,
    };
    if plain { Ok(()) } else { Err(Problem::new(Name::BadRequest, "Transfer-Encoding may be chunked only.").close()) }
}

/// A path as a problem repeats it: never longer than a line.
fn shown(path: &str) -> &str {
    path.get(..100).unwrap_or(path)
}

impl<A: Api> Handler for Arc<Front<A>> {
    fn handle(&self, request: Request, from: &Arc<Connection>) -> Answer {
        let (head, body) = request.into_parts();
        let mut ending = Ending {
            route: None,
            started: Instant::now(),
            trace: Trace::of(&head.headers, random()),
            origin: if A::CORS { self.app.origins.of(&head.headers) } else { None },
            long_body: body.size_hint().upper().is_none_or(|most| most > SMALL_BODY),
        };
        let path = head.uri.path();
        if let Err(problem) = well_framed(&head) {
            return Answer::now(self.finish(ending, from, path, Err(problem)));
        }
        let (n, param) = match self.router.find(&head.method, path) {
            Found::Route(n, param) => (n, param),
            other => return Answer::now(self.finish(ending, from, path, self.other(&other, &head))),
        };
        let Some(route) = self.table.get(n) else {
            return Answer::now(self.finish(ending, from, path, Err(overloaded())));
        };
        ending.route = Some(n);
        let start = (param.as_ptr() as usize).saturating_sub(path.as_ptr() as usize);
        let param = if param.is_empty() { 0..0 } else { start..start + param.len() };
        if route.class == Class::Catalogue && !self.load.has_room(route.class) {
            return Answer::now(self.finish(ending, from, path, Err(overloaded())));
        }
        let call =
            Call { app: Arc::clone(&self.app), head, from: Arc::clone(from), body: Content::Coming(body), param };
        if let Some(result) = A::quick(route.op, &call) {
            return Answer::now(self.finish(ending, from, call.head.uri.path(), result));
        }
        let Some(turn) = self.load.enter(route.class) else {
            let result = A::crowded(route.op, &call).ok_or_else(overloaded);
            return Answer::now(self.finish(ending, from, call.head.uri.path(), result));
        };
        let (front, from, uri, op) = (Arc::clone(self), Arc::clone(from), call.head.uri.clone(), route.op);
        Answer::later(async move {
            let result = A::run(op, call).await;
            drop(turn);
            front.finish(ending, &from, uri.path(), result)
        })
    }
}

fn overloaded() -> Problem {
    Problem::new(Name::Overloaded, "More requests are under way than can be served well.").retry_after(OVERLOADED_MS)
}

/// What it takes to end a request, besides its connection and path.
struct Ending {
    route: Option<usize>,
    started: Instant,
    trace: Trace,
    origin: Option<HeaderValue>,
    long_body: bool,
}

impl<A: Api> Front<A> {
    /// Turns the outcome into the answer: the one place where problems become HTTP.
    fn finish(&self, ending: Ending, from: &Connection, path: &str, result: Result<Response, Problem>) -> Response {
        let mut answer = result.unwrap_or_else(|problem| {
            self.problems.answered(problem.name());
            problem.answer(&format!("{}#{}", shown(path), ending.trace.id()))
        });
        if let Some(name) = answer.extensions().get::<Name>() {
            // A page that tells people of a problem.
            self.problems.answered(*name);
        }
        let headers = answer.headers_mut();
        if let Some(trace) = ending.trace.header() {
            headers.insert(TRACEPARENT, trace);
        }
        if A::CORS {
            self.app.origins.mark(ending.origin, headers);
        }
        if ending.long_body && from.phase.body_unread() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let now = Instant::now();
        let metrics = ending.route.and_then(|n| self.routes.get(n)).unwrap_or(&self.unmatched);
        metrics.answered(answer.status(), now - ending.started);
        from.phase.answered(now);
        answer
    }
}
