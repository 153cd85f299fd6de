//! The page: what a visitor sees in a browser, from the line to the booking. Made by the server, works without a script.
//!
//! It is the API's first client, in the same process: a form becomes the API's call ([`acts`]), what is shown comes from its
//! documents ([`told`]), which of its faces the page shows is a pure function of them ([`state`]). Every form is answered by a
//! redirect to the one address of its sale, so that refreshing and going back repeat nothing.

mod acts;
mod assets;
mod export;
mod html;
mod layout;
mod pieces;
mod state;
mod told;
mod view;
mod words;

use domain::SaleId;
use domain::sale::Phase;
use http::StatusCode;
use http::header::{RETRY_AFTER, SET_COOKIE};

use crate::call::Call;
use crate::edge::cookie;
use crate::problem::{Name, Problem};
use crate::reply::Response;
use crate::visitor::identity;
use html::{Html, html};
use layout::Page;
use state::View;
use told::Told;
use view::Shown;
use words::Words;

pub(crate) use acts::*;
pub(crate) use assets::*;
pub use export::waiting_page;

/// Milliseconds the choice of a language is remembered: a year.
const LANGUAGE_TTL_MS: u64 = 365 * 24 * 3_600_000;
/// Longest time until a turn is claimed again by itself, seconds.
const AGAIN_MOST_S: u64 = 60;
/// A page that could not be made is asked for again after this time, and up to as long again, milliseconds.
const BUSY_MS: u64 = 5_000;

/// The sales, and where the API is described.
#[utoipa::path(get, path = "/", tag = "pages", operation_id = "home",
    responses((status = 200, description = "A page", body = String, content_type = "text/html")))]
pub(crate) fn home(call: &Call) -> Response {
    let (words, now, mut main) = (Words::of(call), call.now(), Html::default());
    html!(main, "<main><h1>Holdfast</h1><h2 tabindex=-1>" (words.say("sales")) "</h2>");
    let sales = call.app.sales();
    if sales.iter().next().is_none() {
        html!(main, "<p>" (words.say("no_sales")) "</p>");
    }
    html!(main, "<ul class=card>");
    for sale in sales.iter() {
        let (doc, phase) = (&sale.fold.doc, sale.phase(now));
        let title = doc.title.as_deref().unwrap_or(doc.id.as_str());
        let state = format!("state_{}", sale.view.load().state(phase).as_str());
        html!(main, "<li class=row><a href=\"/sales/" (doc.id) "\"><bdi>" (title) "</bdi></a><span class=soft>" (words.say(&state)));
        if let Some(at) = doc.opens_at.filter(|_| phase == Phase::Scheduled) {
            html!(main, " · " (words.say("opens")) " ");
            pieces::time(&mut main, &at.to_string());
        }
        html!(main, "</span></li>");
    }
    html!(main, "</ul><p class=soft>API: <a href=\"/openapi.json\">/openapi.json</a> <a href=\"/v1/sales\">/v1/sales</a> "
        "<a href=\"/problems\">/problems</a> <a href=\"/draw\">/draw</a></p></main>");
    let page = Page { words, title: "Holdfast".to_owned(), refresh: None, main };
    let mut answer = page.answer(StatusCode::OK);
    remember(call, words, &mut answer);
    answer
}

/// The page of a sale: the line, the turn, choosing, the hold, the booking.
#[utoipa::path(get, path = "/sales/{sale}", tag = "pages", operation_id = "salePage",
    params(("sale" = String, Path, description = "The sale's id")),
    responses(
        (status = 200, description = "A page", body = String, content_type = "text/html"),
        (status = 404, description = "A page that says that there is no such sale", body = String, content_type = "text/html"),
        (status = 503, description = "A page that tries again by itself", body = String, content_type = "text/html"),
    ))]
pub(crate) async fn sale(call: Call) -> Result<Response, Problem> {
    let words = Words::of(&call);
    let told = match Told::gather(&call).await {
        Ok(told) => told,
        Err(problem) if problem.name() == Name::NotFound => return Ok(missing(words)),
        Err(problem) => return Ok(busy(words, problem.name())),
    };
    let view = View::of(&told);
    let over = told.hold.as_ref().is_some_and(|hold| matches!(hold.state.as_str(), "released" | "refused"));
    let shown = Shown {
        words,
        told: &told,
        view,
        said: said(&call, words, over),
        key: key(&call),
        code: cookie::get(call.headers(), told::MOVE).filter(|code| code.len() <= 16).map(str::to_owned),
        again_ms: call.query("in").and_then(|s| s.parse::<u64>().ok()).unwrap_or(0).min(AGAIN_MOST_S) * 1_000,
        near: call.app.parts.settings.event_stream_ahead,
        jitter: rand::random(),
        now: call.now(),
    };
    let mut answer = shown.page().answer(StatusCode::OK);
    if over && let Ok(id) = told.sale.id.parse::<SaleId>() {
        // It is said once.
        let gone = identity::cookie(&call, told::HOLD, "", Some(&id), 0).and_then(|cookie| acts::of_page(&cookie));
        answer.headers_mut().extend(gone.map(|cookie| (SET_COOKIE, cookie)));
    }
    remember(&call, words, &mut answer);
    Ok(answer)
}

/// What is said about the last thing the visitor did: the redirect that answered it names it.
fn said(call: &Call, words: &Words, over: bool) -> Option<String> {
    let asked = call.query("said").map(|name| format!("said_{name}")).filter(|key| words.has(key));
    let refused = call.query("joined").is_some() && cookie::get(call.headers(), cookie::TICKET).is_none();
    let cookies = refused.then(|| "need_cookies".to_owned());
    asked.or(cookies).or_else(|| over.then(|| "said_hold-over".to_owned()))
}

/// The key of the next hold: a new one, or that of an attempt whose outcome is not known.
fn key(call: &Call) -> String {
    let before = call.query("key").filter(|key| key.len() == 32 && key.bytes().all(|b| b.is_ascii_hexdigit()));
    before.unwrap_or_else(|| format!("{:032x}", rand::random::<u128>()))
}

/// Keeps a language that was just chosen.
fn remember(call: &Call, words: &Words, answer: &mut Response) {
    if call.query("lang").and_then(|tag| words::of_tag(&tag)).is_some() {
        let cookie = identity::cookie(call, words::COOKIE, words.tag, None, LANGUAGE_TTL_MS);
        answer.headers_mut().extend(cookie.map(|cookie| (SET_COOKIE, cookie)));
    }
}

fn missing(words: &'static Words) -> Response {
    let (title, mut main) = (words.say("h_missing"), Html::default());
    html!(main, "<main><h1>Holdfast</h1><h2 tabindex=-1>" (title) "</h2><p><a href=\"/\">" (words.say("to_sales"))
        "</a></p></main>");
    let mut answer = Page { words, title: title.to_owned(), refresh: None, main }.answer(StatusCode::NOT_FOUND);
    answer.extensions_mut().insert(Name::NotFound);
    answer
}

/// What a person is told instead of a problem when there is no room for the request.
pub(crate) fn crowded(call: &Call) -> Response {
    busy(Words::of(call), Name::Overloaded)
}

fn busy(words: &'static Words, name: Name) -> Response {
    let (title, mut main) = (words.say("h_busy"), Html::default());
    let ms = BUSY_MS + u64::from(rand::random::<u32>()) * BUSY_MS / u64::from(u32::MAX);
    html!(main, "<main data-view=busy data-watch=page data-poll=\"" (ms) "\"><h1>Holdfast</h1><h2 tabindex=-1>" (title)
        "</h2><div class=pulse></div><p>" (words.say("busy_hint")) "</p></main>");
    let seconds = ms.div_ceil(1_000);
    let page = Page { words, title: title.to_owned(), refresh: Some(seconds), main };
    let mut answer = page.answer(StatusCode::SERVICE_UNAVAILABLE);
    answer.headers_mut().insert(RETRY_AFTER, seconds.into());
    answer.extensions_mut().insert(name);
    answer
}
