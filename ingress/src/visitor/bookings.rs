//! Confirming a hold, the bookings there are, and undoing one.

use std::sync::Arc;

use booker::{Booking, CancelAnswer, ConfirmAnswer};
use domain::limits::{HTTP_BODY_BYTES, MAX_UNKNOWN_CONFIRMS_PER_PASS, POLL_CONFIRM_MS};
use domain::outcome::Outcome;
use domain::{HoldId, LogId, SaleId};
use futures_util::future::join_all;
use http::StatusCode;
use http::header::{HeaderValue, RETRY_AFTER};
use serde::Serialize;
use utoipa::ToSchema;

use super::holds::{Home, LineBody, REPLAYED, lines};
use super::identity::{BOOKED_HEADER, set_cookie};
use super::tickets::{location, ticket_expires};
use super::{identity, outcome};
use crate::app::SaleHandle;
use crate::call::Call;
use crate::edge::cookie;
use crate::metrics::Confirmed;
use crate::problem::{Name, Problem};
use crate::reply::{self, Response};

/// A booking, as the ledger has it.
#[derive(Serialize, ToSchema)]
#[schema(as = Booking)]
pub(crate) struct BookingBody<'a> {
    /// Its id, that of its hold.
    #[schema(value_type = String, format = "uuid")]
    booking_id: HoldId,
    /// `booked` or `cancelled`.
    state: &'static str,
    /// The sale.
    #[schema(value_type = String)]
    sale: &'a SaleId,
    /// What is booked.
    lines: Vec<LineBody<'a>>,
    /// The ledger's log that has it.
    #[schema(value_type = String)]
    log: &'a LogId,
    /// Where in the log.
    seq: u64,
    /// When it was booked.
    #[schema(value_type = String, format = DateTime)]
    booked_at: String,
    /// When it was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    cancelled_at: Option<String>,
}

/// The visitor's bookings.
#[derive(Serialize, ToSchema)]
#[schema(as = Bookings)]
pub(crate) struct BookingsBody<'a> {
    /// The newest first.
    bookings: Vec<BookingBody<'a>>,
}

/// Something that the ledger has not decided yet.
#[derive(Serialize, ToSchema)]
#[schema(as = Pending)]
pub(crate) struct PendingBody {
    /// `confirming` or `cancelling`.
    state: &'static str,
    /// When to send the same request again, milliseconds.
    poll_in_ms: u64,
}

fn body<'a>(sale: &'a SaleId, booking: &'a Booking) -> BookingBody<'a> {
    BookingBody {
        booking_id: booking.id,
        state: if booking.cancelled.is_some() { "cancelled" } else { "booked" },
        sale,
        lines: lines(&booking.lines),
        log: &booking.log,
        seq: booking.seq,
        booked_at: booking.at.to_string(),
        cancelled_at: booking.cancelled.map(|(_, at)| at.to_string()),
    }
}

/// Confirm a hold: book it.
///
/// 201 once the ledger has the booking, and then for ever. 202 when that takes longer: send the same request again until it
/// is 201 or 410. A confirm's identity is its hold, whatever its key. What was booked with a pass comes with a signed mark:
/// sent along with the ticket, it makes the ticket `done`.
#[utoipa::path(
    post, path = "/v1/holds/{hold_id}/confirm", tag = "booking", operation_id = "confirm",
    params(
        ("hold_id" = String, Path, description = "The hold's id"),
        ("Idempotency-Key" = String, Header, min_length = 1, max_length = 128,
            description = "Any; the hold's own will do"),
        ("Holdfast-Visitor" = Option<String>, Header, description = "Or cookie hf_visitor"),
    ),
    responses(
        (status = 201, description = "Booked", body = BookingBody,
            headers(("Location" = String), ("Idempotency-Replayed" = Option<bool>),
                ("Holdfast-Booked" = Option<String>, description = "Booked with a pass: the mark of it, also cookie hf_booked"))),
        (status = 202, description = "Not decided yet; Location is the hold", body = PendingBody,
            headers(("Location" = String), ("Retry-After" = u64))),
    )
)]
pub(crate) async fn confirm(call: Call) -> Result<Response, Problem> {
    let app = Arc::clone(&call.app);
    let answer = decided(call).await;
    app.confirms.answered(told(&answer));
    answer
}

/// How the answer is counted.
fn told(answer: &Result<Response, Problem>) -> Confirmed {
    match answer {
        Ok(answer) if answer.status() == StatusCode::ACCEPTED => Confirmed::Pending,
        Ok(answer) if answer.headers().contains_key(REPLAYED) => Confirmed::Again,
        Ok(_) => Confirmed::Booked,
        Err(problem) => match problem.name() {
            Name::HoldGone | Name::SoldOut | Name::LimitReached | Name::PassExpired | Name::KeyReused => {
                Confirmed::Refused
            }
            name if name.kind().status.is_server_error() => Confirmed::Unavailable,
            _ => Confirmed::NotTaken,
        },
    }
}

async fn decided(mut call: Call) -> Result<Response, Problem> {
    let home = Home::of(&call)?;
    identity::key(&call)?;
    call.no_body(HTTP_BODY_BYTES).await?;
    let pass = identity::pass_if_any(&call, &home.sale, &home.visitor).map(|pass| pass.number);
    let patience = call.app.parts.settings.confirm_patience;
    let asked = home.lane()?.confirm(home.id, home.visitor, pass, patience).await;
    match asked.map_err(outcome::lane)? {
        ConfirmAnswer::Booked { booking, replayed } => {
            let mut answer = reply::json(StatusCode::CREATED, &body(home.sale.id(), &booking));
            location(&mut answer, &format!("/v1/bookings/{}", home.id));
            mark_replayed(&mut answer, replayed);
            if let Some(number) = booking.pass {
                mark(&call, &mut answer, &home, number);
            }
            Ok(answer)
        }
        ConfirmAnswer::Confirming => Ok(pending("confirming", &format!("/v1/holds/{}", home.id))),
        ConfirmAnswer::Refused(why) => Err(outcome::gone(why)),
        ConfirmAnswer::Cancelled(_) => {
            Err(outcome::refused(Name::HoldGone, "The hold was booked, and the booking has been cancelled since."))
        }
        ConfirmAnswer::KeyReused => Err(outcome::key_reused()),
        ConfirmAnswer::TooMany => {
            let detail = format!(
                "At most {MAX_UNKNOWN_CONFIRMS_PER_PASS} holds that nobody knows any more may be confirmed with one pass."
            );
            Err(Problem::new(Name::TooManyRequests, detail).outcome(Outcome::Refused).retry_after(POLL_CONFIRM_MS))
        }
        ConfirmAnswer::Foreign => Err(outcome::not_theirs()),
    }
}

/// Gives the signed mark that this ticket's journey has ended with a booking.
fn mark(call: &Call, answer: &mut Response, home: &Home, number: u64) {
    let (sale, now) = (&home.sale, call.now());
    let expires = ticket_expires(sale, now);
    let token = call.app.keyring.load().sign_booked(sale.id(), &home.visitor, number, expires);
    if let Ok(value) = HeaderValue::from_str(&token) {
        answer.headers_mut().insert(BOOKED_HEADER, value);
    }
    set_cookie(call, answer, cookie::BOOKED, &token, Some(sale.id()), expires.since(now));
}

/// What was decided before the request came was decided by another one.
fn mark_replayed(answer: &mut Response, replayed: bool) {
    if replayed {
        answer.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
}

fn pending(state: &'static str, at: &str) -> Response {
    let mut answer = reply::json(StatusCode::ACCEPTED, &PendingBody { state, poll_in_ms: POLL_CONFIRM_MS });
    location(&mut answer, at);
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(POLL_CONFIRM_MS.div_ceil(1_000)));
    answer
}

/// The visitor's bookings in all sales.
///
/// From the ledger's owners: every booking this visitor was answered 201 for is among them.
#[utoipa::path(
    get, path = "/v1/bookings", tag = "booking", operation_id = "listBookings",
    params(("Holdfast-Visitor" = Option<String>, Header, description = "Or cookie hf_visitor")),
    responses((status = 200, description = "All of them", body = BookingsBody))
)]
pub(crate) async fn list(call: Call) -> Result<Response, Problem> {
    let visitor = identity::visitor(&call)?;
    let sales: Vec<Arc<SaleHandle>> = call.app.sales().iter().cloned().collect();
    let asked = sales.iter().map(async |sale| {
        let hash = sale.hash(&visitor);
        let lane = sale.lane_of(&hash).ok_or(booker::LaneError::NoOwner)?;
        lane.bookings(hash).await
    });
    let mut found = Vec::new();
    for (sale, bookings) in sales.iter().zip(join_all(asked).await) {
        found.extend(bookings.map_err(outcome::lane)?.into_iter().map(|booking| (sale.id(), booking)));
    }
    found.sort_by_key(|(_, booking)| std::cmp::Reverse((booking.at, booking.id)));
    let bookings = found.iter().map(|(sale, booking)| body(sale, booking)).collect();
    Ok(reply::json(StatusCode::OK, &BookingsBody { bookings }))
}

/// One booking of the visitor.
#[utoipa::path(
    get, path = "/v1/bookings/{booking_id}", tag = "booking", operation_id = "getBooking",
    params(
        ("booking_id" = String, Path, description = "The booking's id"),
        ("Holdfast-Visitor" = Option<String>, Header, description = "Or cookie hf_visitor"),
    ),
    responses((status = 200, description = "The booking", body = BookingBody))
)]
pub(crate) async fn get(call: Call) -> Result<Response, Problem> {
    let home = Home::of(&call)?;
    let found = home.lane()?.booking(home.id, home.visitor).await.map_err(outcome::lane)?;
    let booking = found.ok_or_else(outcome::not_theirs)?;
    Ok(reply::json(StatusCode::OK, &body(home.sale.id(), &booking)))
}

/// Cancel a booking.
///
/// Its units are free again. 200 once the ledger has the cancellation, 202 when that takes longer: send the same again.
#[utoipa::path(
    post, path = "/v1/bookings/{booking_id}/cancel", tag = "booking", operation_id = "cancelBooking",
    params(
        ("booking_id" = String, Path, description = "The booking's id"),
        ("Idempotency-Key" = String, Header, min_length = 1, max_length = 128, description = "Any"),
        ("Holdfast-Visitor" = Option<String>, Header, description = "Or cookie hf_visitor"),
    ),
    responses(
        (status = 200, description = "Cancelled", body = BookingBody, headers(("Idempotency-Replayed" = Option<bool>))),
        (status = 202, description = "Not decided yet", body = PendingBody,
            headers(("Location" = String), ("Retry-After" = u64))),
    )
)]
pub(crate) async fn cancel(mut call: Call) -> Result<Response, Problem> {
    let home = Home::of(&call)?;
    identity::key(&call)?;
    call.no_body(HTTP_BODY_BYTES).await?;
    let patience = call.app.parts.settings.confirm_patience;
    match home.lane()?.cancel(home.id, home.visitor, patience).await.map_err(outcome::lane)? {
        CancelAnswer::Cancelled { booking, replayed } => {
            let mut answer = reply::json(StatusCode::OK, &body(home.sale.id(), &booking));
            mark_replayed(&mut answer, replayed);
            Ok(answer)
        }
        CancelAnswer::Cancelling => Ok(pending("cancelling", &format!("/v1/bookings/{}", home.id))),
        CancelAnswer::NotBooked | CancelAnswer::Foreign => Err(outcome::not_theirs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_to_a_confirm_is_counted_for_what_it_is() {
        let ok = |status| Ok(reply::empty(status));
        let mut again = reply::empty(StatusCode::CREATED);
        mark_replayed(&mut again, true);
        assert_eq!(told(&ok(StatusCode::CREATED)), Confirmed::Booked);
        assert_eq!(told(&Ok(again)), Confirmed::Again);
        assert_eq!(told(&Ok(pending("confirming", "/v1/holds/1"))), Confirmed::Pending);
        assert_eq!(told(&Err(outcome::gone(domain::RefuseReason::SoldOut))), Confirmed::Refused);
        assert_eq!(told(&Err(outcome::key_reused())), Confirmed::Refused);
        assert_eq!(told(&Err(outcome::not_theirs())), Confirmed::NotTaken);
        for error in [booker::LaneError::Unknown, booker::LaneError::Busy, booker::LaneError::NoOwner] {
            assert_eq!(told(&Err(outcome::lane(error))), Confirmed::Unavailable);
        }
    }
}
