//! Opening and closing by hand, and what a sale has to show for itself.

use domain::Actor;
use domain::limits::{HTTP_BODY_BYTES, MAX_WHY_CHARS};
use domain::outcome::Outcome;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::key;
use super::sales::{id, may_sell, refusal, shown, unknown};
use crate::app::NoEvents;
use crate::call::Call;
use crate::problem::{Name, Problem, bad};
use crate::reply::{self, Response};

/// Why an operator does something.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Why {
    /// Recorded with the act.
    #[serde(default)]
    #[schema(max_length = 500)]
    why: String,
}

/// Open the sale now, whatever its document says.
#[utoipa::path(post, path = "/admin/v1/sales/{sale}/open", tag = "operator", operation_id = "adminOpenSale",
    params(("sale" = String, Path, description = "The sale's id")), request_body = Option<Why>,
    responses((status = 200, description = "Open", body = super::figures::SaleViewBody)))]
pub(crate) async fn open(mut call: Call) -> Result<Response, Problem> {
    let actor = actor(&mut call).await?;
    let id = id(&call)?;
    let known = call.app.parts.registry.get(&id);
    known.map_or(Ok(()), |fold| may_sell(&call, &fold.doc))?;
    let acted = call.app.parts.registry.open(&id, actor).await.map_err(refusal)?;
    Ok(shown(&call, acted.fold(), StatusCode::OK))
}

/// Close the sale now. Final.
#[utoipa::path(post, path = "/admin/v1/sales/{sale}/close", tag = "operator", operation_id = "adminCloseSale",
    params(("sale" = String, Path, description = "The sale's id")), request_body = Option<Why>,
    responses((status = 200, description = "Closed", body = super::figures::SaleViewBody)))]
pub(crate) async fn close(mut call: Call) -> Result<Response, Problem> {
    let actor = actor(&mut call).await?;
    let acted = call.app.parts.registry.close(&id(&call)?, actor).await.map_err(refusal)?;
    Ok(shown(&call, acted.fold(), StatusCode::OK))
}

/// Who acts, and why. The key is checked before the body is read.
async fn actor(call: &mut Call) -> Result<Actor, Problem> {
    let mut actor = key::operator(call, "")?;
    let bytes = call.read(HTTP_BODY_BYTES).await?;
    if !bytes.is_empty() {
        call.expect_json()?;
        actor.why = crate::call::parse::<Why>(&bytes)?.why;
    }
    if actor.why.chars().count() > MAX_WHY_CHARS || actor.why.chars().any(char::is_control) {
        return Err(bad("why", "", format!("must be at most {MAX_WHY_CHARS} characters without control characters")));
    }
    Ok(actor)
}

/// Prove the sale's invariants.
///
/// Reads ledger and store itself; the report says for each invariant whether it holds, with figures.
#[utoipa::path(get, path = "/admin/v1/sales/{sale}/audit", tag = "operator", operation_id = "adminAudit",
    params(("sale" = String, Path, description = "The sale's id")),
    responses((status = 200, description = "The report", body = Object)))]
pub(crate) async fn audit(call: Call) -> Result<Response, Problem> {
    key::operator(&call, "")?;
    let id = id(&call)?;
    call.app.parts.registry.get(&id).ok_or_else(unknown)?;
    let report = (call.app.parts.audit)(id).await.map_err(cannot)?;
    Ok(reply::json(StatusCode::OK, &report))
}

/// The sale's event feed.
///
/// One JSON object a line, oldest first. `from` is the position the last line of the answer before gave; absent: the start. Behind the end
/// there are no events yet.
#[utoipa::path(get, path = "/admin/v1/sales/{sale}/events", tag = "operator", operation_id = "adminEvents",
    params(
        ("sale" = String, Path, description = "The sale's id"),
        ("from" = Option<String>, Query, description = "Where to go on"),
    ),
    responses((status = 200, description = "Events", body = String, content_type = "application/x-ndjson")))]
pub(crate) async fn events(call: Call) -> Result<Response, Problem> {
    key::operator(&call, "")?;
    let id = id(&call)?;
    call.app.parts.registry.get(&id).ok_or_else(unknown)?;
    let from = call.query("from").unwrap_or_default();
    let lines = (call.app.parts.events)(id, from.clone()).await.map_err(|error| match error {
        NoEvents::BadPosition(why) => bad("from", &from, why),
        NoEvents::Unavailable(why) => cannot(why),
    })?;
    Ok(reply::body(StatusCode::OK, reply::NDJSON, lines))
}

fn cannot(why: String) -> Problem {
    Problem::new(Name::Unavailable, why).outcome(Outcome::Refused).retry_after(1_000)
}
