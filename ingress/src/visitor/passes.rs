//! Exchanging a called ticket for the right to book, and giving it back.

use admission::{Claim, LineError};
use domain::VisitorHash;
use domain::fault::Life;
use domain::limits::{HTTP_BODY_BYTES, MAX_FAULT_CREDIT_MS};
use http::StatusCode;
use http::header::SET_COOKIE;
use serde::Serialize;
use utoipa::ToSchema;

use super::identity::{self, Place, set_cookie};
use super::tickets::{location, ticket_expires};
use super::{catalogue, outcome};
use crate::app::SaleHandle;
use crate::call::Call;
use crate::edge::cookie;
use crate::metrics::{Check, Reason};
use crate::problem::{Name, Problem};
use crate::reply::{self, Response};

/// The right to book.
#[derive(Serialize, ToSchema)]
#[schema(as = Pass)]
pub(crate) struct PassBody<'a> {
    /// The token: send it as header `Holdfast-Pass`.
    pass: &'a str,
    /// When it ends. A failure of ours makes it later: asking again tells.
    #[schema(value_type = String, format = DateTime)]
    expires_at: String,
    /// Milliseconds until then.
    expires_in_ms: u64,
}

/// Enter: exchange the ticket for a pass.
///
/// One ticket has one pass; asking again gives the same. 403 when no ticket of this visitor in this sale came along, 409
/// while it is not the ticket's turn, 410 once its pass has ended.
#[utoipa::path(
    post, path = "/v1/sales/{sale}/passes", tag = "line", operation_id = "claimPass",
    params(
        ("sale" = String, Path, description = "The sale's id"),
        ("Holdfast-Visitor" = Option<String>, Header, description = "Or cookie hf_visitor"),
        ("Holdfast-Ticket" = Option<String>, Header, description = "Or cookie hf_ticket"),
    ),
    responses(
        (status = 201, description = "The pass", body = PassBody, headers(("Location" = String))),
        (status = 200, description = "The pass there was", body = PassBody),
    )
)]
pub(crate) async fn claim(mut call: Call) -> Result<Response, Problem> {
    let sale = catalogue::sale(&call)?;
    let visitor = identity::visitor(&call)?;
    call.no_body(HTTP_BODY_BYTES).await?;
    let now = call.now();
    let doc = &sale.fold.doc;
    outcome::open(sale.phase(now), doc, now)?;
    let line = sale.line.as_ref().ok_or_else(no_room)?;
    let hash = sale.hash(&visitor);
    let Place::Number(number) = identity::place(&call, &sale, &hash)? else { return Err(outcome::drawing()) };
    let claimed = line.claim(hash, number).await.inspect_err(|error| {
        if *error == LineError::Moved {
            call.app.refusals.count(Check::Ticket, Reason::Moved);
        }
    });
    match claimed.map_err(|error| outcome::line(error, &sale.fold, now))? {
        Claim::Granted { number, given, expires, again } => {
            Ok(granted(&call, &sale, &hash, number, Life { given, expires }, again))
        }
        Claim::NotYet { retry_after_ms, why } => Err(outcome::not_yet(why, retry_after_ms)),
        Claim::Ended => Err(outcome::pass_ended()),
        Claim::Superseded(number) => Err(better(&call, &sale, &hash, number)),
    }
}

/// The visitor has a better place than this ticket says. Entering with that one at once was rejected: the better ticket
/// would then be used, and a repeat of the same request would enter with this one as well.
fn better(call: &Call, sale: &SaleHandle, visitor: &VisitorHash, number: u64) -> Problem {
    let expires = ticket_expires(sale, call.now());
    let ticket = call.app.keyring.load().sign_ticket(sale.id(), visitor, number, expires);
    let lives_ms = expires.since(call.now());
    let detail = "The visitor has a better place than this ticket says: POST tickets gives its ticket.";
    let problem = outcome::refused(Name::NotYourTurn, detail).retry_after(1_000);
    match identity::cookie(call, cookie::TICKET, &ticket, Some(sale.id()), lives_ms) {
        Some(cookie) => problem.header(SET_COOKIE, cookie),
        None => problem,
    }
}

/// The pass says what was given; when it really ends is told beside it. A browser keeps it as long as a fault of ours may extend it.
fn granted(call: &Call, sale: &SaleHandle, visitor: &VisitorHash, number: u64, life: Life, again: bool) -> Response {
    let ends = sale.view.faults().faults.end_of(life);
    let lives_ms = ends.since(call.now());
    let pass = call.app.keyring.load().sign_pass(sale.id(), visitor, number, life);
    let body = PassBody { pass: &pass, expires_at: ends.to_string(), expires_in_ms: lives_ms };
    let mut answer = reply::json(if again { StatusCode::OK } else { StatusCode::CREATED }, &body);
    if !again {
        // The pass itself cannot be read; the ticket says whether one is inside.
        location(&mut answer, &format!("/v1/sales/{}/ticket", sale.id()));
    }
    let kept_ms = life.expires.plus(MAX_FAULT_CREDIT_MS).since(call.now());
    set_cookie(call, &mut answer, cookie::PASS, &pass, Some(sale.id()), kept_ms);
    answer
}

/// Leave: give the pass back.
///
/// The place inside goes to the next in line. Holds stay until they end. Repeating it does no harm.
#[utoipa::path(
    delete, path = "/v1/sales/{sale}/pass", tag = "line", operation_id = "leave",
    params(
        ("sale" = String, Path, description = "The sale's id"),
        ("Holdfast-Visitor" = Option<String>, Header, description = "Or cookie hf_visitor"),
        ("Holdfast-Pass" = Option<String>, Header, description = "Or cookie hf_pass"),
    ),
    responses((status = 204, description = "The pass has ended"))
)]
pub(crate) async fn leave(call: Call) -> Result<Response, Problem> {
    let sale = catalogue::sale(&call)?;
    let visitor = identity::visitor(&call)?;
    let line = sale.line.as_ref().ok_or_else(no_room)?;
    let hash = sale.hash(&visitor);
    let pass = identity::pass(&call, &sale, &hash)?;
    let lane = sale.lane_of(&hash).ok_or_else(|| outcome::lane(booker::LaneError::NoOwner))?;
    // The lane first: once the place is given to the next, no hold may be made with this pass any more.
    lane.leave(hash, pass.number).await.map_err(outcome::lane)?;
    let unanswered = |error| outcome::line(error, &sale.fold, call.now());
    line.leave(hash, pass.number).await.map_err(unanswered)?;
    let mut answer = reply::empty(StatusCode::NO_CONTENT);
    set_cookie(&call, &mut answer, cookie::PASS, "", Some(sale.id()), 0);
    Ok(answer)
}

fn no_room() -> Problem {
    Problem::new(Name::NotFound, "This sale has no waiting room: POST holds needs no pass.")
}
