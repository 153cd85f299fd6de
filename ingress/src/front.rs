//! The way of every request on either listener: route, room, handler, and what every answer carries.

use std::future::Future;
use std::sync::Arc;

use http::header::{ALLOW, CONNECTION, HeaderValue};
use http::{StatusCode, Uri};
use hyper::body::Body as _;
use tokio::time::Instant;

use crate::app::App;
use crate::call::Call;
use crate::edge::cors::Origins;
use crate::edge::overload::Class;
use crate::edge::trace::{TRACEPARENT, Trace};
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

    /// Whether web pages may call it at all.
    const CORS: bool;
}

/// One listener's routes and counters.
pub(crate) struct Front<A: Api> {
    app: App,
    table: &'static [Route<A::Op>],
    router: Router,
    routes: Vec<metrics::Route>,
    unmatched: metrics::Route,
    problems: metrics::Problems,
}

/// An unread body longer than this is not worth reading for the sake of the connection.
const SMALL_BODY: u64 = 8_192;
const OVERLOADED_MS: u64 = 1_000;

impl<A: Api> Front<A> {
    pub(crate) fn new(app: App, table: &'static [Route<A::Op>]) -> Self {
        Self {
            app,
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
            _ => Err(Problem::new(Name::NotFound, format!("Nothing is at {}.", shown(head.uri.path())))),
        }
    }
}

/// A path as a problem repeats it: never longer than a line.
fn shown(path: &str) -> &str {
    path.get(..100).unwrap_or(path)
}

impl<A: Api> Handler for Arc<Front<A>> {
    fn handle(&self, request: Request, from: &Arc<Connection>) -> Answer {
        let started = Instant::now();
        let (head, body) = request.into_parts();
        let mut ending = Ending {
            front: Arc::clone(self),
            route: None,
            started,
            trace: Trace::of(&head.headers, rand::random()),
            origin: if A::CORS { self.app.origins.of(&head.headers) } else { None },
            uri: head.uri.clone(),
            from: Arc::clone(from),
            long_body: body.size_hint().upper().is_none_or(|most| most > SMALL_BODY),
        };
        let path = head.uri.path();
        let (n, param) = match self.router.find(&head.method, path) {
            Found::Route(n, param) => (n, param),
            other => return Answer::now(ending.finish(self.other(&other, &head))),
        };
        let Some(route) = self.table.get(n) else { return Answer::now(ending.finish(Err(overloaded()))) };
        ending.route = Some(n);
        let start = (param.as_ptr() as usize).saturating_sub(path.as_ptr() as usize);
        let param = if param.is_empty() { 0..0 } else { start..start + param.len() };
        let call = Call { app: self.app.clone(), head, from: Arc::clone(from), body, param };
        if route.class == Class::Catalogue && !self.app.load.has_room(route.class) {
            return Answer::now(ending.finish(Err(overloaded())));
        }
        if let Some(result) = A::quick(route.op, &call) {
            return Answer::now(ending.finish(result));
        }
        let Some(turn) = self.app.load.enter(route.class) else {
            return Answer::now(ending.finish(Err(overloaded())));
        };
        let op = route.op;
        Answer::later(async move {
            let result = A::run(op, call).await;
            drop(turn);
            ending.finish(result)
        })
    }
}

fn overloaded() -> Problem {
    Problem::new(Name::Overloaded, "More requests are under way than can be served well.").retry_after(OVERLOADED_MS)
}

/// What it takes to end a request, kept apart from what its handler gets.
struct Ending<A: Api> {
    front: Arc<Front<A>>,
    route: Option<usize>,
    started: Instant,
    trace: Trace,
    origin: Option<HeaderValue>,
    uri: Uri,
    from: Arc<Connection>,
    long_body: bool,
}

impl<A: Api> Ending<A> {
    /// Turns the outcome into the answer: the one place where problems become HTTP.
    fn finish(self, result: Result<Response, Problem>) -> Response {
        let front = &*self.front;
        let mut answer = result.unwrap_or_else(|problem| {
            front.problems.answered(problem.name());
            problem.answer(&format!("{}#{}", shown(self.uri.path()), self.trace.id()))
        });
        let headers = answer.headers_mut();
        if let Some(trace) = self.trace.header() {
            headers.insert(TRACEPARENT, trace);
        }
        if A::CORS {
            Origins::mark(&front.app.origins, self.origin, headers);
        }
        if self.long_body && self.from.phase.body_unread() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let metrics = self.route.and_then(|n| front.routes.get(n)).unwrap_or(&front.unmatched);
        metrics.answered(answer.status(), self.started.elapsed());
        answer
    }
}
