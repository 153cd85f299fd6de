//! Who asks, and what they bring along. Every token is verified before a queue or a store is touched.

use domain::token::{Pass, TokenError, of_our_time};
use domain::{Millis, SaleId, VisitorHash, VisitorId, limits};
use http::header::{HeaderValue, SET_COOKIE, WWW_AUTHENTICATE};

use crate::app::SaleHandle;
use crate::call::Call;
use crate::edge::cookie;
use crate::edge::rate::Quota;
use crate::metrics::{Check, Reason};
use crate::problem::{Name, Problem};
use crate::reply::Response;

pub(crate) const VISITOR_HEADER: &str = "holdfast-visitor";
pub(crate) const TICKET_HEADER: &str = "holdfast-ticket";
pub(crate) const PASS_HEADER: &str = "holdfast-pass";
pub(crate) const BOOKED_HEADER: &str = "holdfast-booked";

/// A token and how it came.
struct Carried<'c> {
    text: &'c str,
    by_cookie: bool,
}

/// The header goes before the cookie: who sends it means it. Sent twice it means two things: choosing one was rejected, for a
/// proxy before us may choose the other.
fn carried<'c>(call: &'c Call, header: &str, name: &str) -> Result<Option<Carried<'c>>, Problem> {
    let mut values = call.headers().get_all(header).iter();
    match (values.next(), values.next()) {
        (Some(_), Some(_)) => Err(crate::problem::bad(header, "sent twice", "send it once")),
        (Some(value), None) => Ok(Some(Carried { text: value.to_str().unwrap_or_default(), by_cookie: false })),
        (None, _) => Ok(cookie::get(call.headers(), name).map(|text| Carried { text, by_cookie: true })),
    }
}

fn unauthenticated(detail: &'static str) -> Problem {
    let scheme = HeaderValue::from_static("Holdfast-Visitor");
    Problem::new(Name::Unauthenticated, detail).header(WWW_AUTHENTICATE, scheme)
}

/// The visitor, as the cookie or the header says.
pub(crate) fn visitor(call: &Call) -> Result<VisitorId, Problem> {
    let none = "No visitor came with the request: send the cookie hf_visitor or the header Holdfast-Visitor.";
    let carried = carried(call, VISITOR_HEADER, cookie::VISITOR)?.ok_or_else(|| unauthenticated(none))?;
    let now = call.now();
    let verified = call.app.keyring.load().verify_visitor(carried.text, now);
    let timely = verified.and_then(|it| of_our_time(it.expires, now, limits::VISITOR_TTL_MS).map(|()| it));
    let verified = timely.map_err(|error| {
        call.app.refusals.count(Check::Visitor, error);
        unauthenticated(match error {
            TokenError::Expired => "The visitor's token has expired: POST /v1/visitors gives a new one.",
            _ => "The visitor's token is not one of ours, or was altered.",
        })
    })?;
    if carried.by_cookie {
        own_page(call)?;
    }
    Ok(verified.visitor)
}

/// Refuses what a foreign page makes a browser send.
pub(crate) fn own_page(call: &Call) -> Result<(), Problem> {
    if call.app.origins.may_act(call.method(), call.headers(), &call.client()) {
        return Ok(());
    }
    Err(Problem::new(Name::Forbidden, "The request comes from a web page of another origin, which is not allowed."))
}

/// The visitor there is, or a new one when nobody, or an outdated cookie, came. A header that is wrong is a mistake of its
/// sender, who would not learn the new visitor.
pub(crate) fn visitor_or_new(call: &Call) -> Result<(VisitorId, Option<Made>), Problem> {
    if call.headers().contains_key(VISITOR_HEADER) {
        return visitor(call).map(|visitor| (visitor, None));
    }
    match visitor(call) {
        Ok(visitor) => Ok((visitor, None)),
        Err(problem) if problem.name() == Name::Unauthenticated => make(call).map(|made| (made.visitor, Some(made))),
        Err(problem) => Err(problem),
    }
}

/// A visitor that was just made.
pub(crate) struct Made {
    pub(crate) visitor: VisitorId,
    pub(crate) token: String,
    pub(crate) expires: Millis,
    quota: Quota,
    per_minute: u32,
}

/// Makes an anonymous visitor, if this client may have one more.
pub(crate) fn make(call: &Call) -> Result<Made, Problem> {
    // A foreign page could otherwise replace somebody's cookie, and with it the place in line.
    own_page(call)?;
    let (quota, per_minute) = call.app.new_visitor(call.client().address);
    if !quota.allowed {
        let detail = "This address has made as many visitors as one address may at once.";
        return Err(too_many(call, Check::Address, ("visitors", detail), &quota, per_minute));
    }
    let visitor = VisitorId(rand::random());
    let expires = call.now().plus(limits::VISITOR_TTL_MS);
    let token = call.app.keyring.load().sign_visitor(&visitor, expires);
    Ok(Made { visitor, token, expires, quota, per_minute })
}

/// Whether this visitor, and this client, may join once more now.
pub(crate) fn may_join(call: &Call, visitor: VisitorId) -> Result<(), Problem> {
    let (quota, per_minute) = call.app.new_join_of(visitor);
    if !quota.allowed {
        let detail = "This visitor has joined as often as one visitor may at once.";
        return Err(too_many(call, Check::Identity, ("visitor-joins", detail), &quota, per_minute));
    }
    let (quota, per_minute) = call.app.new_join(call.client().address);
    if !quota.allowed {
        let detail = "As many visitors have joined from this address as may at once.";
        return Err(too_many(call, Check::Address, ("joins", detail), &quota, per_minute));
    }
    Ok(())
}

fn too_many(
    call: &Call,
    check: Check,
    (name, detail): (&'static str, &'static str),
    quota: &Quota,
    per_minute: u32,
) -> Problem {
    call.app.refusals.count(check, if quota.shared { Reason::TableFull } else { Reason::TooMany });
    let problem = Problem::new(Name::TooManyRequests, detail).retry_after(quota.retry_ms);
    let headers = rate_headers(name, quota, per_minute).into_iter();
    headers.fold(problem, |problem, (name, value)| problem.header(name, value))
}

impl Made {
    /// The same for a request that made a visitor and is refused: it knows who asks the next time.
    pub(crate) fn refused(&self, call: &Call, problem: Problem) -> Problem {
        let problem = problem.with("visitor", self.token.clone().into());
        match cookie(call, cookie::VISITOR, &self.token, None, limits::VISITOR_TTL_MS) {
            Some(cookie) => problem.header(SET_COOKIE, cookie),
            None => problem,
        }
    }

    /// Gives the browser its cookie, and tells how many more there may be.
    pub(crate) fn tell(&self, call: &Call, answer: &mut Response) {
        set_cookie(call, answer, cookie::VISITOR, &self.token, None, limits::VISITOR_TTL_MS);
        answer.headers_mut().extend(rate_headers("visitors", &self.quota, self.per_minute));
    }
}

fn rate_headers(name: &str, quota: &Quota, per_minute: u32) -> Vec<(http::HeaderName, HeaderValue)> {
    if per_minute == 0 {
        return Vec::new();
    }
    let reset = quota.reset_ms.div_ceil(1_000);
    let fields = [
        ("ratelimit", format!("\"{name}\";r={};t={reset}", quota.remaining)),
        ("ratelimit-policy", format!("\"{name}\";q={per_minute};w=60")),
    ];
    let header = |(name, text): (&'static str, String)| {
        Some((http::HeaderName::from_static(name), HeaderValue::from_str(&text).ok()?))
    };
    fields.into_iter().filter_map(header).collect()
}

/// Sets one of our cookies.
pub(crate) fn set_cookie(
    call: &Call,
    answer: &mut Response,
    name: &str,
    value: &str,
    sale: Option<&SaleId>,
    lives_ms: u64,
) {
    if let Some(cookie) = cookie(call, name, value, sale, lives_ms) {
        answer.headers_mut().append(SET_COOKIE, cookie);
    }
}

/// One of our cookies; Secure unless the browser is on this very machine.
pub(crate) fn cookie(
    call: &Call,
    name: &str,
    value: &str,
    sale: Option<&SaleId>,
    lives_ms: u64,
) -> Option<HeaderValue> {
    let client = call.client();
    let secure = client.https || client.forwarded || !client.address.is_loopback();
    cookie::set(name, value, sale, lives_ms, secure)
}

/// What stands for a place: a ticket with its number, or a receipt of the lobby.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The ticket's number, or what the draw gave to the receipt.
    Number(u64),
    /// A receipt whose number is not drawn yet.
    Receipt(u64),
}

/// The place that claims need: this visitor's, in this sale.
pub(crate) fn place(call: &Call, sale: &SaleHandle, visitor: &VisitorHash) -> Result<Place, Problem> {
    let none = "No ticket came with the request: send the cookie hf_ticket or the header Holdfast-Ticket.";
    let carried = carried(call, TICKET_HEADER, cookie::TICKET)?.ok_or_else(|| Problem::new(Name::Forbidden, none))?;
    let place = opened(call, sale, visitor, carried.text).map_err(|error| not_theirs("ticket", error))?;
    Ok(match place {
        Place::Receipt(index) => sale.view.load().number_of(index).map_or(place, Place::Number),
        Place::Number(_) => place,
    })
}

/// What the token itself says.
fn opened(call: &Call, sale: &SaleHandle, visitor: &VisitorHash, text: &str) -> Result<Place, TokenError> {
    let (ring, now) = (call.app.keyring.load(), call.now());
    let place = match ring.verify_ticket(text, sale.id(), visitor, now) {
        Err(TokenError::WrongKind) => {
            let receipt = ring.verify_receipt(text, sale.id(), visitor, now);
            receipt.map(|receipt| (Place::Receipt(receipt.index), receipt.expires))
        }
        ticket => ticket.map(|ticket| (Place::Number(ticket.number), ticket.expires)),
    };
    let place = place.and_then(|(place, until)| of_our_time(until, now, limits::TICKET_MOST_MS).map(|()| place));
    place.inspect_err(|error| call.app.refusals.count(Check::Ticket, *error))
}

/// The place that came along, where it needs none: nothing that is no good is held against anybody.
fn place_if_any(call: &Call, sale: &SaleHandle, visitor: &VisitorHash) -> Option<Place> {
    let carried = carried(call, TICKET_HEADER, cookie::TICKET).ok()??;
    opened(call, sale, visitor, carried.text).ok()
}

/// Whether a good ticket or receipt of this visitor came along.
pub(crate) fn has_place(call: &Call, sale: &SaleHandle, visitor: &VisitorHash) -> bool {
    place_if_any(call, sale, visitor).is_some()
}

/// The number of the ticket, or of the drawn receipt, that came along, or of the one that the page forgot; 0 without one.
pub(crate) fn last_number(call: &Call, sale: &SaleHandle, visitor: &VisitorHash) -> u64 {
    match place_if_any(call, sale, visitor) {
        Some(Place::Number(number)) => number,
        Some(Place::Receipt(index)) => sale.view.load().number_of(index).unwrap_or(0),
        None => cookie::get(call.headers(), cookie::LAST).and_then(|number| number.parse().ok()).unwrap_or(0),
    }
}

/// The index of a receipt that came along where none is needed.
pub(crate) fn receipt_if_any(call: &Call, sale: &SaleHandle, visitor: &VisitorHash) -> Option<u64> {
    match place_if_any(call, sale, visitor) {
        Some(Place::Receipt(index)) => Some(index),
        _ => None,
    }
}

/// The ticket a join may present. An expired one is as none: joining gives a new one. A cookie that is no good is not held
/// against a browser either. Of a receipt the line's owner knows more than it says.
pub(crate) fn presented(call: &Call, sale: &SaleHandle, visitor: &VisitorHash) -> Result<Option<u64>, Problem> {
    let Some(carried) = carried(call, TICKET_HEADER, cookie::TICKET)? else { return Ok(None) };
    match opened(call, sale, visitor, carried.text) {
        Ok(Place::Number(number)) => Ok(Some(number)),
        Ok(Place::Receipt(_)) | Err(TokenError::Expired) => Ok(None),
        Err(_) if carried.by_cookie => Ok(None),
        Err(error) => Err(not_theirs("ticket", error)),
    }
}

/// The pass that a hold needs, expired or not: a repeated hold is answered from its record, and the lane's clock decides
/// about a new one.
pub(crate) fn pass(call: &Call, sale: &SaleHandle, visitor: &VisitorHash) -> Result<Pass, Problem> {
    let none = "No pass came with the request: send the cookie hf_pass or the header Holdfast-Pass.";
    let carried = carried(call, PASS_HEADER, cookie::PASS)?.ok_or_else(|| Problem::new(Name::Forbidden, none))?;
    let opened = call.app.keyring.load().open_pass(carried.text, sale.id(), visitor);
    let most = limits::MAX_TTL_MS + limits::MAX_FAULT_CREDIT_MS;
    let timely = opened.and_then(|pass| of_our_time(pass.life.expires, call.now(), most).map(|()| pass));
    timely.map_err(|error| {
        call.app.refusals.count(Check::Pass, error);
        not_theirs("pass", error)
    })
}

/// A pass that came along where none is needed.
pub(crate) fn pass_if_any(call: &Call, sale: &SaleHandle, visitor: &VisitorHash) -> Option<Pass> {
    pass(call, sale, visitor).ok()
}

/// The ticket whose booking a mark that came along proves; a mark that is no good proves nothing.
pub(crate) fn booked_if_any(call: &Call, sale: &SaleHandle, visitor: &VisitorHash) -> Option<u64> {
    let carried = carried(call, BOOKED_HEADER, cookie::BOOKED).ok()??;
    let verified = call.app.keyring.load().verify_booked(carried.text, sale.id(), visitor, call.now());
    let timely = verified.and_then(|it| of_our_time(it.expires, call.now(), limits::TICKET_MOST_MS).map(|()| it));
    let counted = timely.inspect_err(|error| call.app.refusals.count(Check::Mark, *error));
    counted.ok().map(|booked| booked.number)
}

fn not_theirs(what: &'static str, error: TokenError) -> Problem {
    let detail = match error {
        TokenError::Malformed | TokenError::UnknownKey | TokenError::BadSignature => {
            format!("The {what} is not one of ours, or was altered.")
        }
        TokenError::WrongKind => format!("The token is good, but no {what}."),
        TokenError::WrongSale => format!("The {what} is for another sale."),
        TokenError::WrongVisitor => format!("The {what} is another visitor's."),
        TokenError::Expired => format!("The {what} has expired."),
        TokenError::Future => format!("The {what} is good for longer than any {what} is made for."),
    };
    Problem::new(Name::Forbidden, detail)
}

/// The `Idempotency-Key` of a request that needs one.
pub(crate) fn key(call: &Call) -> Result<&str, Problem> {
    let mut values = call.headers().get_all("idempotency-key").iter();
    let missing = || Problem::new(Name::KeyMissing, "Send an Idempotency-Key: a new random one for each new thing.");
    let value = values.next().filter(|value| !value.is_empty()).ok_or_else(missing)?;
    let rule = format!("must be 1 to {} visible ASCII characters, sent once", limits::MAX_KEY_BYTES);
    let bad = |shown: &str| crate::problem::bad("Idempotency-Key", shown, rule.clone());
    if values.next().is_some() {
        return Err(bad("sent twice"));
    }
    let text = std::str::from_utf8(value.as_bytes()).map_err(|_| bad("not ASCII"))?;
    let good = text.len() <= limits::MAX_KEY_BYTES && text.bytes().all(|b| b.is_ascii_graphic());
    if good { Ok(text) } else { Err(bad(text)) }
}
