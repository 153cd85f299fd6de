//! What the page's forms do: each is the API's call of the same name, answered by a redirect to the page of its sale.

use std::sync::Arc;

use bytes::Bytes;
use domain::limits::{HTTP_BODY_BYTES, MOVE_CODE_MS, TICKET_TTL_MS};
use domain::{HoldId, SaleId};
use http::StatusCode;
use http::header::{CACHE_CONTROL, COOKIE, HeaderName, HeaderValue, LOCATION, SET_COOKIE};
use serde_json::{Value, json};

use super::told::{Answered, HOLD, Hold, MOVE, Refusal, ask, hold_of, look};
use super::words::LANGUAGES;
use crate::app::SaleHandle;
use crate::call::{Call, decoded};
use crate::edge::cookie;
use crate::problem::{Name, Problem};
use crate::reply::{self, Response};
use crate::visitor::{bookings, catalogue, holds, identity, moving, passes, proof, tickets};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The field in which the script, or an ALTCHA widget, puts the proof of work.
const PROOF_FIELD: &str = "altcha";
const PROOF: HeaderName = HeaderName::from_static(proof::PROOF_HEADER);
const VISITOR: HeaderName = HeaderName::from_static(identity::VISITOR_HEADER);
/// Where the API's cookies of a sale are sent, and where the page needs them too.
const API_PATH: &str = "; Path=/v1/sales/";
const PAGE_PATH: &str = "; Path=/sales/";
/// A ticket whose pass has ended is good for nothing any more.
const SPENT: [&str; 2] = [cookie::TICKET, cookie::PASS];

/// The fields of a form.
struct Form(Vec<(String, String)>);

impl Form {
    fn read(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let pairs = text.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        Self(pairs.map(|(name, value)| (decoded(name), decoded(value))).collect())
    }

    fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.trim())
    }

    /// What was chosen, as the API takes it; what is no number is left for it to refuse.
    fn lines(&self) -> Vec<Value> {
        let chosen = self.0.iter().filter_map(|(name, value)| Some((name.strip_prefix("q.")?, value.trim())));
        let chosen = chosen.filter(|(_, value)| value.bytes().any(|digit| digit != b'0'));
        chosen
            .map(|(item, value)| {
                let quantity = value.parse::<u64>().map_or_else(|_| Value::from(value), Value::from);
                json!({"item": item, "quantity": quantity})
            })
            .collect()
    }
}

/// The sale, whether the form is ours, and what it says: refused in this order.
async fn begin(call: &mut Call) -> Result<(Arc<SaleHandle>, Form), Problem> {
    let sale = catalogue::sale(call)?;
    identity::own_page(call)?;
    if let Some(kind) = call.content_type()?
        && !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
    {
        return Err(Problem::new(Name::WrongContentType, "application/x-www-form-urlencoded is taken here."));
    }
    let body = call.read(HTTP_BODY_BYTES).await?;
    Ok((sale, Form::read(&body)))
}

/// The way back to the page.
struct Back<'c> {
    call: &'c Call,
    handle: &'c SaleHandle,
    sale: &'c SaleId,
    query: Vec<String>,
    cookies: Vec<HeaderValue>,
    problem: Option<Name>,
}

impl<'c> Back<'c> {
    fn new(call: &'c Call, sale: &'c SaleHandle) -> Self {
        Self { call, handle: sale, sale: sale.id(), query: Vec::new(), cookies: Vec::new(), problem: None }
    }

    /// Takes over the answer's cookies, and what it refused.
    fn after(mut self, answered: &Answered) -> Self {
        for cookie in answered.headers.get_all(SET_COOKIE) {
            self.cookies.extend(of_page(cookie));
            self.cookies.push(cookie.clone());
        }
        self.problem = answered.problem;
        if let Some(refusal) = refusal(answered) {
            let ms = refusal.retry_in_ms.map(|ms| format!("in={}", ms.div_ceil(1_000)));
            self = self.told(word_of(refusal.name()));
            self.query.extend(ms);
        }
        self
    }

    fn told(mut self, word: &str) -> Self {
        self.query.retain(|part| !part.starts_with("said="));
        self.query.push(format!("said={word}"));
        self
    }

    fn with(mut self, part: String) -> Self {
        self.query.push(part);
        self
    }

    /// The hold that the page shows from now on.
    fn show(mut self, id: HoldId) -> Self {
        let cookie = identity::cookie(self.call, HOLD, &id.to_string(), Some(self.sale), TICKET_TTL_MS);
        self.cookies.extend(cookie.and_then(|cookie| of_page(&cookie)));
        self
    }

    /// Ends cookies of the sale, for page and API.
    fn forget(mut self, names: &[&str]) -> Self {
        if names.contains(&cookie::TICKET)
            && let Some(last) = self.last()
        {
            self.cookies.extend(of_page(&last));
            self.cookies.push(last);
        }
        for name in names {
            if let Some(cookie) = identity::cookie(self.call, name, "", Some(self.sale), 0) {
                self.cookies.extend(of_page(&cookie));
                self.cookies.push(cookie);
            }
        }
        self
    }

    /// Keeps the number of a ticket that is used up, where the next place has to be paid for.
    fn last(&self) -> Option<HeaderValue> {
        self.handle.fold.doc.room()?.proof_of_work?;
        let visitor = identity::visitor(self.call).ok()?;
        let number = identity::last_number(self.call, self.handle, &self.handle.hash(&visitor));
        identity::cookie(self.call, cookie::LAST, &number.to_string(), Some(self.sale), TICKET_TTL_MS)
    }

    /// 303: whatever is reloaded afterwards repeats nothing.
    fn answer(self) -> Response {
        let query = if self.query.is_empty() { String::new() } else { format!("?{}", self.query.join("&")) };
        let to = HeaderValue::from_str(&format!("/sales/{}{query}", self.sale));
        let mut answer = reply::empty(StatusCode::SEE_OTHER);
        let headers = answer.headers_mut();
        headers.insert(LOCATION, to.unwrap_or(HeaderValue::from_static("/")));
        headers.insert(CACHE_CONTROL, reply::PRIVATE);
        for cookie in self.cookies {
            headers.append(SET_COOKIE, cookie);
        }
        if let Some(name) = self.problem {
            answer.extensions_mut().insert(name);
        }
        answer
    }
}

/// The same cookie for the page's address, where it is one of a sale.
pub(super) fn of_page(cookie: &HeaderValue) -> Option<HeaderValue> {
    let text = cookie.to_str().ok().filter(|text| text.contains(API_PATH))?;
    HeaderValue::from_str(&text.replace(API_PATH, PAGE_PATH)).ok()
}

fn refusal(answered: &Answered) -> Option<Refusal> {
    answered.problem?;
    answered.json()
}

/// What is said about a problem: that it will pass, its own words, or that it did not work.
fn word_of(problem: &str) -> &str {
    let english = LANGUAGES.first();
    match problem {
        "overloaded" | "unavailable" | "too-slow" => "unavailable",
        name if english.is_some_and(|words| words.has(&format!("said_{name}"))) => name,
        _ => "other",
    }
}

/// Join the line, or come into the lobby.
#[utoipa::path(post, path = "/sales/{sale}/join", tag = "pages", operation_id = "pageJoin",
    params(("sale" = String, Path, description = "The sale's id")),
    responses((status = 303, description = "Back to the page")))]
pub(crate) async fn join(mut call: Call) -> Result<Response, Problem> {
    let (sale, form) = begin(&mut call).await?;
    let body = match form.get("code") {
        "" => Bytes::new(),
        code => Bytes::from(json!({ "code": code }).to_string()),
    };
    let mut asked = ask(&call, "/v1/sales/", sale.id().as_str(), "/tickets", body);
    let proof = Some(form.get(PROOF_FIELD)).filter(|proof| !proof.is_empty());
    asked.head.headers.extend(proof.and_then(|proof| HeaderValue::from_str(proof).ok()).map(|proof| (PROOF, proof)));
    let answered = Answered::new(tickets::join(asked).await).await;
    let back = Back::new(&call, &sale).after(&answered);
    Ok(if answered.problem.is_none() { back.with("joined".to_owned()) } else { back }.answer())
}

/// Enter: the turn is exchanged for a pass.
#[utoipa::path(post, path = "/sales/{sale}/enter", tag = "pages", operation_id = "pageEnter",
    params(("sale" = String, Path, description = "The sale's id")),
    responses((status = 303, description = "Back to the page")))]
pub(crate) async fn enter(mut call: Call) -> Result<Response, Problem> {
    let (sale, _) = begin(&mut call).await?;
    let asked = ask(&call, "/v1/sales/", sale.id().as_str(), "/passes", Bytes::new());
    let answered = Answered::new(passes::claim(asked).await).await;
    let back = Back::new(&call, &sale).after(&answered);
    let over = matches!(answered.problem, Some(Name::PassExpired | Name::TicketMoved));
    Ok(if over { back.forget(&SPENT) } else { back }.answer())
}

/// Gets a code that moves the place to another device; the page shows it.
#[utoipa::path(post, path = "/sales/{sale}/offer", tag = "pages", operation_id = "pageOffer",
    params(("sale" = String, Path, description = "The sale's id")),
    responses((status = 303, description = "Back to the page")))]
pub(crate) async fn offer(mut call: Call) -> Result<Response, Problem> {
    let (sale, _) = begin(&mut call).await?;
    let asked = ask(&call, "/v1/sales/", sale.id().as_str(), "/ticket/code", Bytes::new());
    let answered = Answered::new(moving::offer(asked).await).await;
    let mut back = Back::new(&call, &sale).after(&answered);
    if answered.problem == Some(Name::TicketMoved) {
        back = back.forget(&SPENT);
    }
    if let Some(code) = answered.json::<Value>().and_then(|body| Some(body["code"].as_str()?.to_owned())) {
        let cookie = identity::cookie(&call, MOVE, &code, Some(sale.id()), MOVE_CODE_MS);
        back.cookies.extend(cookie.and_then(|cookie| of_page(&cookie)));
    }
    Ok(back.answer())
}

/// Takes over the place that another device gave a code for.
#[utoipa::path(post, path = "/sales/{sale}/take", tag = "pages", operation_id = "pageTake",
    params(("sale" = String, Path, description = "The sale's id")),
    responses((status = 303, description = "Back to the page")))]
pub(crate) async fn take(mut call: Call) -> Result<Response, Problem> {
    let (sale, form) = begin(&mut call).await?;
    let body = json!({ "code": form.get("code") }).to_string();
    let asked = ask(&call, "/v1/sales/", sale.id().as_str(), "/ticket/move", Bytes::from(body));
    let answered = Answered::new(moving::take(asked).await).await;
    let back = Back::new(&call, &sale).after(&answered);
    Ok(match answered.problem {
        None => back.with("joined".to_owned()),
        Some(Name::BadRequest) => back.told("code-gone"),
        Some(_) => back,
    }
    .answer())
}

/// Leave: the pass is given back.
#[utoipa::path(post, path = "/sales/{sale}/leave", tag = "pages", operation_id = "pageLeave",
    params(("sale" = String, Path, description = "The sale's id")),
    responses((status = 303, description = "Back to the page")))]
pub(crate) async fn leave(mut call: Call) -> Result<Response, Problem> {
    let (sale, _) = begin(&mut call).await?;
    let asked = ask(&call, "/v1/sales/", sale.id().as_str(), "/pass", Bytes::new());
    let answered = Answered::new(passes::leave(asked).await).await;
    let back = Back::new(&call, &sale).after(&answered);
    Ok(if answered.problem.is_none() { back.forget(&[cookie::TICKET]).told("left") } else { back }.answer())
}

/// Hold what was chosen. The form carries its key, so it holds once however often it is sent.
#[utoipa::path(post, path = "/sales/{sale}/hold", tag = "pages", operation_id = "pageHold",
    params(("sale" = String, Path, description = "The sale's id")),
    responses((status = 303, description = "Back to the page")))]
pub(crate) async fn hold(mut call: Call) -> Result<Response, Problem> {
    let (sale, form) = begin(&mut call).await?;
    if let Some(id) = hold_of(&call)
        && look(&call, id).await.json::<Hold>().is_some_and(|hold| hold.is_live())
    {
        // A second tab, or the same form again: what there is already is shown.
        return Ok(Back::new(&call, &sale).answer());
    }
    let lines = form.lines();
    if lines.is_empty() {
        return Ok(Back::new(&call, &sale).told("nothing").answer());
    }
    let made = new_visitor(&mut call).await;
    let body = json!({ "lines": lines }).to_string();
    let mut asked = ask(&call, "/v1/sales/", sale.id().as_str(), "/holds", Bytes::from(body));
    asked.head.headers.extend(HeaderValue::from_str(form.get("key")).ok().map(|key| (KEY, key)));
    let answered = Answered::new(holds::post(asked).await).await;
    let mut back = Back::new(&call, &sale);
    if let Some(made) = &made {
        back = back.after(made);
    }
    if made.is_none_or(|made| made.problem.is_none()) {
        back = back.after(&answered);
    }
    if let Some(id) = answered.json::<Hold>().and_then(|hold| hold.hold_id.parse().ok()) {
        return Ok(back.show(id).answer());
    }
    match answered.problem {
        Some(Name::BadRequest) => back = back.told("nothing"),
        Some(Name::PassExpired) => back = back.forget(&SPENT),
        _ => {}
    }
    let unknown = refusal(&answered).and_then(|refusal| refusal.outcome).is_some_and(|outcome| outcome == "unknown");
    if unknown {
        // It may have been held: the page looks, and the next attempt is the same one.
        let key = form.get("key");
        if let Ok(visitor) = identity::visitor(&call) {
            let hash = sale.hash(&visitor);
            back = back.show(HoldId::derive(sale.id(), hash.lane(sale.fold.doc.lanes), &hash, key));
        }
        if key.bytes().all(|b| b.is_ascii_hexdigit()) {
            back = back.with(format!("key={key}"));
        }
    }
    Ok(back.answer())
}

/// Where there is no waiting room nobody has made a visitor of this browser yet.
async fn new_visitor(call: &mut Call) -> Option<Answered> {
    let nobody = identity::visitor(call).is_err_and(|problem| problem.name() == Name::Unauthenticated);
    if !nobody || call.headers().contains_key(VISITOR) {
        return None;
    }
    let made = Answered::new(tickets::visitor(ask(call, "/v1/visitors", "", "", Bytes::new())).await).await;
    let token = made.json::<Value>().and_then(|body| HeaderValue::from_str(body["visitor"].as_str()?).ok());
    if let Some(token) = token {
        // Beside a cookie that is outdated; the header goes before it.
        call.head.headers.remove(COOKIE);
        call.head.headers.insert(VISITOR, token);
    }
    Some(made)
}

/// The hold that a form names, asked for as the API's call.
fn of_hold(call: &Call, form: &Form, after: &str) -> Option<(HoldId, Call)> {
    let id: HoldId = form.get("hold").parse().ok()?;
    let mut asked = ask(call, "/v1/holds/", &id.to_string(), after, Bytes::new());
    // A confirm's identity is its hold.
    asked.head.headers.extend(HeaderValue::from_str(&id.to_string()).ok().map(|key| (KEY, key)));
    Some((id, asked))
}

/// Book what is held.
#[utoipa::path(post, path = "/sales/{sale}/confirm", tag = "pages", operation_id = "pageConfirm",
    params(("sale" = String, Path, description = "The sale's id")),
    responses((status = 303, description = "Back to the page")))]
pub(crate) async fn confirm(mut call: Call) -> Result<Response, Problem> {
    let (sale, form) = begin(&mut call).await?;
    let Some((id, asked)) = of_hold(&call, &form, "/confirm") else {
        return Ok(Back::new(&call, &sale).told("other").answer());
    };
    let answered = Answered::new(bookings::confirm(asked).await).await;
    let back = Back::new(&call, &sale).after(&answered);
    Ok(match answered.problem {
        None => back.show(id),
        Some(Name::HoldGone | Name::NotFound) => back.forget(&[HOLD]),
        Some(_) => back,
    }
    .answer())
}

/// Give back what is held.
#[utoipa::path(post, path = "/sales/{sale}/release", tag = "pages", operation_id = "pageRelease",
    params(("sale" = String, Path, description = "The sale's id")),
    responses((status = 303, description = "Back to the page")))]
pub(crate) async fn release(mut call: Call) -> Result<Response, Problem> {
    let (sale, form) = begin(&mut call).await?;
    let Some((_, asked)) = of_hold(&call, &form, "") else {
        return Ok(Back::new(&call, &sale).told("other").answer());
    };
    let answered = Answered::new(holds::delete(asked).await).await;
    let back = Back::new(&call, &sale).after(&answered);
    Ok(match answered.problem {
        None | Some(Name::NotFound) => back.forget(&[HOLD]),
        Some(_) => back,
    }
    .answer())
}

/// Begin anew: the page forgets what it showed. Bookings stay.
#[utoipa::path(post, path = "/sales/{sale}/again", tag = "pages", operation_id = "pageAgain",
    params(("sale" = String, Path, description = "The sale's id")),
    responses((status = 303, description = "Back to the page")))]
pub(crate) async fn again(mut call: Call) -> Result<Response, Problem> {
    let (sale, _) = begin(&mut call).await?;
    let names = [HOLD, cookie::BOOKED, cookie::TICKET, cookie::PASS];
    Ok(Back::new(&call, &sale).forget(&names).answer())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_form_becomes_the_lines_of_a_hold() {
        let form = Form::read(b"key=k+1&q.floor=2&q.balcony=0&q.bar=&q.x=-1&other=7");
        assert_eq!(form.get("key"), "k 1");
        assert_eq!(
            Value::from(form.lines()),
            json!([{"item": "floor", "quantity": 2}, {"item": "x", "quantity": "-1"}])
        );
        assert!(Form::read(b"").lines().is_empty());
    }

    #[test]
    fn cookies_of_a_sale_are_set_for_its_page_too() {
        let theirs = HeaderValue::from_static("hf_pass=p; Path=/v1/sales/demo; Max-Age=1; HttpOnly; SameSite=Lax");
        let ours = of_page(&theirs).unwrap();
        assert_eq!(ours, "hf_pass=p; Path=/sales/demo; Max-Age=1; HttpOnly; SameSite=Lax");
        assert_eq!(of_page(&HeaderValue::from_static("hf_visitor=v; Path=/; HttpOnly")), None);
    }

    #[test]
    fn problems_have_words_for_people() {
        assert_eq!(word_of("sold-out"), "sold-out");
        assert_eq!(word_of("overloaded"), "unavailable");
        assert_eq!(word_of("head-too-large\"><b>"), "other");
    }
}
