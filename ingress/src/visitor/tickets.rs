//! Joining a line, and where one stands in it.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use admission::view::{Place as InLine, PlaceState, Wait, lobby_poll_ms};
use admission::{Came, Fee, Joined, Line, LineError};
use domain::fault::{Ended, Life};
use domain::limits::{HTTP_BODY_BYTES, TICKET_MOST_MS, TICKET_SLACK_MS, TICKET_TTL_MS};
use domain::number::{class_of, place_in};
use domain::sale::Phase;
use domain::{Millis, VisitorHash, VisitorId};
use http::StatusCode;
use http::header::{HeaderValue, LOCATION};
use serde::Serialize;
use utoipa::ToSchema;

use super::codes::{self, JoinBody};
use super::identity::{self, Place, set_cookie};
use super::{catalogue, outcome, proof};
use crate::app::SaleHandle;
use crate::call::Call;
use crate::edge::cookie;
use crate::problem::{Name, Problem};
use crate::reply::{self, Response};
use crate::schema;

/// Milliseconds until somebody who has a pass asks again: the pass itself says when it ends.
const POLL_INSIDE_MS: u64 = 10_000;

/// A new anonymous visitor.
#[derive(Serialize, ToSchema)]
#[schema(as = Visitor)]
pub(crate) struct VisitorBody<'a> {
    /// The token: send it as header `Holdfast-Visitor`.
    visitor: &'a str,
    /// When it is no longer good.
    #[schema(value_type = String, format = DateTime)]
    expires_at: String,
    /// Milliseconds until then.
    expires_in_ms: u64,
}

/// A place in line, or in the lobby before the sale opens.
#[derive(Serialize, ToSchema)]
#[schema(as = Joined)]
pub(crate) struct JoinedBody<'a> {
    /// The token: send it as header `Holdfast-Ticket`.
    ticket: &'a str,
    /// The visitor's token, new when none came along.
    visitor: &'a str,
    #[serde(flatten)]
    status: StatusBody,
}

/// Where a ticket stands.
#[derive(Serialize, ToSchema)]
#[schema(as = Ticket)]
pub(crate) struct StatusBody {
    /// The place. No two tickets of a class share one. Absent in the lobby: the draw gives it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    number: Option<u64>,
    /// The class that the place is in, by a code; absent: everybody's line.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    class: Option<String>,
    /// The receipt's index in the lobby. It says nothing about the place: coming early gives no advantage.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    index: Option<u64>,
    /// What it may do.
    #[schema(value_type = schema::TicketState)]
    pub(super) state: &'static str,
    /// Why it is `released`; only then.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Released>, nullable = false)]
    reason: Option<&'static str>,
    /// People ahead who have not been called; absent in the lobby.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) ahead: Option<u64>,
    /// The expected wait; absent while nothing moves.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    wait_ms: Option<WaitBody>,
    /// Whether something will be left; absent in the lobby.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Chance>, nullable = false)]
    chance: Option<&'static str>,
    /// Milliseconds until the sale opens by itself; only in the lobby.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    opens_in_ms: Option<u64>,
    /// When to ask again, milliseconds.
    pub(super) poll_in_ms: u64,
}

impl StatusBody {
    /// Names what the visitor is told, apart from when to ask again: the same in every process.
    pub(super) fn id(&self) -> u64 {
        let mut hash = DefaultHasher::new();
        (self.number, &self.class, self.index, self.state, self.reason, self.ahead, self.chance).hash(&mut hash);
        self.wait_ms.as_ref().map(|wait| (wait.p50, wait.p90)).hash(&mut hash);
        hash.finish()
    }
}

/// An expected wait, milliseconds.
#[derive(Serialize, ToSchema)]
#[schema(as = Wait)]
struct WaitBody {
    /// Half of all waits are shorter.
    p50: u64,
    /// Nine of ten are.
    p90: u64,
}

/// Make an anonymous visitor.
///
/// For apps, which keep the token and send it as header; browsers get a cookie by themselves. Limited per client address.
#[utoipa::path(
    post, path = "/v1/visitors", tag = "line", operation_id = "makeVisitor",
    responses((status = 201, description = "A new visitor", body = VisitorBody,
        headers(("RateLimit" = String, description = "What is left for this address"))))
)]
pub(crate) async fn visitor(mut call: Call) -> Result<Response, Problem> {
    call.no_body(HTTP_BODY_BYTES).await?;
    let made = identity::make(&call)?;
    let body = VisitorBody {
        visitor: &made.token,
        expires_at: made.expires.to_string(),
        expires_in_ms: made.expires.since(call.now()),
    };
    let mut answer = reply::json(StatusCode::CREATED, &body);
    made.tell(&call, &mut answer);
    Ok(answer)
}

/// Join the line.
///
/// Before the sale opens this gives a receipt of the lobby, in state `lobby`: at opening the lobby is put in a random order that
/// everybody can check (`/draw`), and the receipt is the ticket of the place it was given.
///
/// The same visitor gets the same ticket, however often it is asked for. Without a visitor a new one is made (limited per
/// client address). A ticket that is presented restores its place if the store lost it.
///
/// Where the sale says `proof_of_work`, a new place needs one: 403 `proof-needed` comes with a challenge. A ticket or receipt that is
/// presented stands for the place there is without any.
///
/// With an access code the place is in the class that the code lets into: a line of its own, called by its share. A visitor gets one place
/// by a code; who has it uses nothing by sending a code again, and gets it without one.
#[utoipa::path(
    post, path = "/v1/sales/{sale}/tickets", tag = "line", operation_id = "joinLine",
    params(
        ("sale" = String, Path, description = "The sale's id"),
        ("Holdfast-Visitor" = Option<String>, Header, description = "Or cookie hf_visitor; made when absent"),
        ("Holdfast-Ticket" = Option<String>, Header, description = "Or cookie hf_ticket; an earlier ticket"),
        ("Holdfast-Proof" = Option<String>, Header, description = "The solution of a challenge, where the sale asks for one"),
    ), request_body = Option<JoinBody>,
    responses(
        (status = 201, description = "A new place", body = JoinedBody, headers(("Location" = String))),
        (status = 200, description = "The place there was", body = JoinedBody),
    )
)]
pub(crate) async fn join(mut call: Call) -> Result<Response, Problem> {
    let sale = catalogue::sale(&call)?;
    let (visitor, made) = identity::visitor_or_new(&call)?;
    let form: JoinBody = call.json_if_any(HTTP_BODY_BYTES).await?;
    let now = call.now();
    let doc = &sale.fold.doc;
    let phase = sale.phase(now);
    if phase == Phase::Closed || sale.line.is_none() {
        outcome::open(phase, doc, now)?;
    }
    let Some(line) = &sale.line else {
        return Err(Problem::new(Name::NotFound, "This sale has no waiting room: POST holds needs no ticket."));
    };
    let hash = sale.hash(&visitor);
    let presented = if made.is_some() { None } else { identity::presented(&call, &sale, &hash)? };
    let code = form.code.as_deref().map(|text| codes::good(&call, &sale, text)).transpose()?;
    // A code is paid for: there are only so many, and guessing one is bounded by itself.
    let fee = if code.is_some() { Ok(Fee::Free) } else { proof::fee(&call, &sale, &hash) };
    let may = fee.and_then(|fee| identity::may_join(&call, visitor).map(|()| fee));
    let fee = may.map_err(|problem| match &made {
        Some(made) => made.refused(&call, problem),
        None => problem,
    })?;
    let placed = match code {
        Some(code) => line.redeem(hash, code).await.map(Placed::Number),
        None => placed(line, phase, hash, (presented, fee)).await,
    };
    let placed = placed.map_err(|error| match error {
        LineError::Unpaid(after) => proof::spent(&call, &sale, &hash, after),
        error => outcome::line(error, &sale.fold, now),
    })?;

    let expires = ticket_expires(&sale, now);
    let keyring = call.app.keyring.load();
    let (new, ticket, status) = match placed {
        Placed::Number(Joined { number, new }) => {
            let ticket = keyring.sign_ticket(sale.id(), &hash, number, expires);
            (new, ticket, status(&sale, &sale.view.place(number, rand::random()), number))
        }
        Placed::Receipt(Came { index, new }) => {
            (new, keyring.sign_receipt(sale.id(), &hash, index, expires), in_lobby(&sale, index, now))
        }
    };
    let token = match &made {
        Some(made) => made.token.clone(),
        None => keyring.sign_visitor(&visitor, now.plus(domain::limits::VISITOR_TTL_MS)),
    };
    let code = if new { StatusCode::CREATED } else { StatusCode::OK };
    let mut answer = reply::json(code, &JoinedBody { ticket: &ticket, visitor: &token, status });
    if new {
        location(&mut answer, &format!("/v1/sales/{}/ticket", sale.id()));
    }
    set_cookie(&call, &mut answer, cookie::TICKET, &ticket, Some(sale.id()), expires.since(now));
    if let Some(made) = made {
        made.tell(&call, &mut answer);
    }
    Ok(answer)
}

/// The answer to who took over the place of this number.
pub(super) fn of_place(
    call: &Call,
    sale: &SaleHandle,
    (visitor, made): (VisitorId, Option<identity::Made>),
    number: u64,
) -> Response {
    let (now, hash, keyring) = (call.now(), sale.hash(&visitor), call.app.keyring.load());
    let expires = ticket_expires(sale, now);
    let ticket = keyring.sign_ticket(sale.id(), &hash, number, expires);
    let token = match &made {
        Some(made) => made.token.clone(),
        None => keyring.sign_visitor(&visitor, now.plus(domain::limits::VISITOR_TTL_MS)),
    };
    let status = status(sale, &sale.view.place(number, rand::random()), number);
    let mut answer = reply::json(StatusCode::OK, &JoinedBody { ticket: &ticket, visitor: &token, status });
    set_cookie(call, &mut answer, cookie::TICKET, &ticket, Some(sale.id()), expires.since(now));
    if let Some(made) = made {
        made.tell(call, &mut answer);
    }
    answer
}

/// What a join came to.
enum Placed {
    Number(Joined),
    Receipt(Came),
}

/// A place in line, or one in the lobby before the sale opens. Where this process' clock and that of the line's owner disagree about
/// the opening, the owner's counts.
async fn placed(
    line: &Line,
    phase: Phase,
    hash: VisitorHash,
    (presented, fee): (Option<u64>, Fee),
) -> Result<Placed, LineError> {
    if phase == Phase::Scheduled {
        match line.come(hash).await {
            Err(LineError::NotOpen) => line.join_for(hash, presented, fee).await.map(Placed::Number),
            came => came.map(Placed::Receipt),
        }
    } else {
        match line.join_for(hash, presented, fee).await {
            Err(LineError::NotOpen | LineError::Drawing) => line.come(hash).await.map(Placed::Receipt),
            joined => joined.map(Placed::Number),
        }
    }
}

/// Where the visitor's ticket stands.
///
/// Computed from the ticket and the line's document, without asking a store. Send the pass along to be told `inside`, or
/// `released` once it has expired, and the mark that confirm gave to be told `done`.
#[utoipa::path(
    get, path = "/v1/sales/{sale}/ticket", tag = "line", operation_id = "getTicket",
    params(
        ("sale" = String, Path, description = "The sale's id"),
        ("Holdfast-Visitor" = Option<String>, Header, description = "Or cookie hf_visitor"),
        ("Holdfast-Ticket" = Option<String>, Header, description = "Or cookie hf_ticket"),
        ("Holdfast-Pass" = Option<String>, Header, description = "Or cookie hf_pass"),
        ("Holdfast-Booked" = Option<String>, Header, description = "Or cookie hf_booked"),
    ),
    responses((status = 200, description = "The ticket", body = StatusBody))
)]
pub(crate) fn get(call: &Call) -> Result<Response, Problem> {
    let sales = call.app.sales();
    let sale = sales.get(call.param()).ok_or_else(catalogue::unknown)?;
    let shown = ShownTicket::of(call, sale)?;
    Ok(reply::json(StatusCode::OK, &shown.status(sale, call.now(), rand::random())))
}

/// A ticket that its visitor shows, and what came along with it.
#[derive(Clone, Copy)]
pub(super) struct ShownTicket {
    place: Place,
    /// The life of its own pass, where that came along.
    pass: Option<Life>,
    /// The mark of its own booking came along.
    booked: bool,
}

impl ShownTicket {
    /// Sale before visitor, visitor before ticket, as everywhere.
    pub(super) fn of(call: &Call, sale: &SaleHandle) -> Result<Self, Problem> {
        let visitor = identity::visitor(call)?;
        outcome::not_over(&sale.fold, call.now())?;
        let hash = sale.hash(&visitor);
        let place = identity::place(call, sale, &hash)?;
        let Place::Number(number) = place else { return Ok(Self { place, pass: None, booked: false }) };
        let pass = identity::pass_if_any(call, sale, &hash).filter(|pass| pass.number == number);
        let booked = identity::booked_if_any(call, sale, &hash) == Some(number);
        Ok(Self { place, pass: pass.map(|pass| pass.life), booked })
    }

    /// Where it stands. A booking's mark says more than a pass, and that more than the line.
    pub(super) fn status(&self, sale: &SaleHandle, now: Millis, jitter: u32) -> StatusBody {
        let number = match self.place {
            Place::Number(number) => number,
            Place::Receipt(index) => return in_lobby(sale, index, now),
        };
        let mut body = status(sale, &sale.view.place(number, jitter), number);
        let inside = match self.pass {
            _ if self.booked => Some("done"),
            // While a fault may extend it nobody is told that it is over.
            Some(life) => match sale.view.load().faults.ended(life, now) {
                Ended::Yes => Some("released"),
                Ended::No | Ended::Unsure => Some("inside"),
            },
            None => None,
        };
        if let Some(state) = inside {
            body.state = state;
            body.reason = (state == "released").then_some("pass_ended");
            body.poll_in_ms = POLL_INSIDE_MS;
        }
        body
    }
}

fn status(sale: &SaleHandle, place: &InLine, number: u64) -> StatusBody {
    StatusBody {
        number: Some(place_in(number)),
        class: sale.fold.doc.class(class_of(number)).map(|class| class.id.to_string()),
        index: None,
        state: place.state.as_str(),
        reason: (place.state == PlaceState::Released).then_some("sold_out"),
        ahead: Some(place.ahead),
        wait_ms: place.wait.map(|Wait { p50_ms, p90_ms }| WaitBody { p50: p50_ms, p90: p90_ms }),
        chance: Some(place.chance.as_str()),
        opens_in_ms: None,
        poll_in_ms: place.poll_in_ms,
    }
}

/// In the lobby, until the draw is known here.
fn in_lobby(sale: &SaleHandle, index: u64, now: Millis) -> StatusBody {
    let before = sale.phase(now) == Phase::Scheduled;
    let opens_in_ms = sale.fold.doc.opens_at.filter(|_| before).map(|at| at.since(now));
    StatusBody {
        number: None,
        class: None,
        index: Some(index),
        state: "lobby",
        reason: None,
        ahead: None,
        wait_ms: None,
        chance: None,
        opens_in_ms,
        poll_in_ms: lobby_poll_ms(before, opens_in_ms, rand::random()),
    }
}

/// A ticket is good as long as its sale can be, also when that is extended later.
pub(super) fn ticket_expires(sale: &SaleHandle, now: Millis) -> Millis {
    let closes = sale.fold.doc.closes_at.map(|at| at.max(now).plus(TICKET_SLACK_MS));
    closes.unwrap_or(now.plus(TICKET_TTL_MS)).min(now.plus(TICKET_MOST_MS))
}

/// Says where the new thing is.
pub(super) fn location(answer: &mut Response, path: &str) {
    if let Ok(value) = HeaderValue::from_str(path) {
        answer.headers_mut().insert(LOCATION, value);
    }
}
