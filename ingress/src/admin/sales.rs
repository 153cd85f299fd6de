//! Sales: listing, showing, creating, changing.

use admission::{Acted, SalesError};
use domain::limits::HTTP_ADMIN_BODY_BYTES;
use domain::outcome::Outcome;
use domain::sale::SaleFold;
use domain::table::Mistake;
use domain::{SaleDoc, SaleId};
use http::StatusCode;
use http::header::{CACHE_CONTROL, ETAG, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use serde::Serialize;
use utoipa::ToSchema;

use super::figures::{SaleViewBody, view};
use super::key;
use crate::call::Call;
use crate::problem::{Name, Problem, bad};
use crate::reply::{self, Response};

pub(super) const RETRY_MS: u64 = 1_000;

/// All sales, as their operator sees them.
#[derive(Serialize, ToSchema)]
#[schema(as = SaleViews)]
pub(crate) struct SaleViewsBody<'a> {
    /// In order of their ids.
    sales: Vec<SaleViewBody<'a>>,
}

/// All sales with their live figures.
#[utoipa::path(get, path = "/admin/v1/sales", tag = "operator", operation_id = "adminListSales",
    responses((status = 200, description = "All sales", body = SaleViewsBody)))]
pub(crate) fn list(call: &Call) -> Result<Response, Problem> {
    key::operator(call, "")?;
    let (folds, handles, now) = (call.app.parts.registry.list(), call.app.sales(), call.now());
    let sales = folds.values().map(|fold| view(fold, handles.get(fold.doc.id.as_str()).map(AsRef::as_ref), now));
    Ok(reply::json(StatusCode::OK, &SaleViewsBody { sales: sales.collect() }))
}

/// One sale with its live figures.
#[utoipa::path(get, path = "/admin/v1/sales/{sale}", tag = "operator", operation_id = "adminGetSale",
    params(("sale" = String, Path, description = "The sale's id")),
    responses((status = 200, description = "The sale; its ETag is the revision", body = SaleViewBody,
        headers(("ETag" = String)))))]
pub(crate) fn get(call: &Call) -> Result<Response, Problem> {
    key::operator(call, "")?;
    let fold = call.app.parts.registry.get(&id(call)?).ok_or_else(unknown)?;
    Ok(shown(call, &fold, StatusCode::OK))
}

/// Create or change a sale from its document.
///
/// The document as TOML (`application/toml`) or JSON. With `If-Match` only when the sale has that revision, with
/// `If-None-Match: *` only when there is no such sale. All mistakes are told together.
#[utoipa::path(put, path = "/admin/v1/sales/{sale}", tag = "operator", operation_id = "adminPutSale",
    params(
        ("sale" = String, Path, description = "The sale's id, the same as in the document"),
        ("If-Match" = Option<String>, Header, description = "The revision that is to be changed"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only when there is no such sale"),
    ),
    request_body(content((String = "application/toml"), (Object = "application/json"))),
    responses(
        (status = 201, description = "Created", body = SaleViewBody, headers(("ETag" = String), ("Location" = String))),
        (status = 200, description = "Changed, or the same already", body = SaleViewBody, headers(("ETag" = String))),
    ))]
pub(crate) async fn put(mut call: Call) -> Result<Response, Problem> {
    let actor = key::operator(&call, "")?;
    let id = id(&call)?;
    let if_match = precondition(&call)?;
    let kind = call.content_type()?;
    let toml = match kind {
        Some(kind) if kind.eq_ignore_ascii_case("application/toml") => true,
        Some(kind) if kind.eq_ignore_ascii_case("application/json") => false,
        other => {
            let detail = format!("{} came; application/toml and application/json are taken.", other.unwrap_or("none"));
            return Err(Problem::new(Name::WrongContentType, detail));
        }
    };
    let bytes = call.read(HTTP_ADMIN_BODY_BYTES).await?;
    let text = std::str::from_utf8(&bytes).map_err(|error| bad("body", error, "must be UTF-8"))?;
    let read = if toml { SaleDoc::from_toml(text) } else { SaleDoc::from_json(text) };
    let doc = read.map_err(mistakes)?;
    if doc.id != id {
        return Err(bad("id", &doc.id, format!("must be {id}, as in the path")));
    }
    may_sell(&call, &doc)?;
    let acted = call.app.parts.registry.apply(doc, if_match, actor).await.map_err(refusal)?;
    let status = if matches!(acted, Acted::Created(_)) { StatusCode::CREATED } else { StatusCode::OK };
    let mut answer = shown(&call, acted.fold(), status);
    if status == StatusCode::CREATED
        && let Ok(at) = HeaderValue::from_str(call.head.uri.path())
    {
        answer.headers_mut().insert(http::header::LOCATION, at);
    }
    Ok(answer)
}

/// Refuses what this installation would take no money for.
pub(super) fn may_sell(call: &Call, doc: &SaleDoc) -> Result<(), Problem> {
    (call.app.parts.may_sell)(doc).map_err(|mistake| mistakes(vec![mistake]).outcome(Outcome::Refused))
}

/// The revision that the change is for; 0: no such sale may exist.
pub(super) fn precondition(call: &Call) -> Result<Option<u64>, Problem> {
    if let Some(value) = call.headers().get(IF_NONE_MATCH) {
        return if value == "*" { Ok(Some(0)) } else { Err(bad("If-None-Match", "", "must be *")) };
    }
    let Some(value) = call.headers().get(IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    if text == "*" {
        // Any revision, but there must be one.
        let id = id(call)?;
        return match call.app.parts.registry.get(&id) {
            Some(fold) => Ok(Some(fold.revision)),
            None => Err(Problem::new(Name::PreconditionFailed, "There is no such sale.")),
        };
    }
    let number = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).and_then(|n| n.parse().ok());
    number.map(Some).ok_or_else(|| bad("If-Match", text, "must be the ETag of the sale, such as \"3\""))
}

pub(super) fn id(call: &Call) -> Result<SaleId, Problem> {
    let rule = |error: domain::id::BadId| bad("sale", call.param(), format!("must be {error}"));
    call.param().parse().map_err(rule)
}

pub(super) fn unknown() -> Problem {
    Problem::new(Name::NotFound, "There is no sale of this name.")
}

pub(super) fn shown(call: &Call, fold: &SaleFold, status: StatusCode) -> Response {
    let handles = call.app.sales();
    let handle = handles.get(fold.doc.id.as_str()).map(AsRef::as_ref);
    let mut answer = reply::json(status, &view(fold, handle, call.now()));
    if let Ok(etag) = HeaderValue::from_str(&format!("\"{}\"", fold.revision)) {
        answer.headers_mut().insert(ETAG, etag);
    }
    answer.headers_mut().insert(CACHE_CONTROL, reply::PRIVATE);
    answer
}

fn mistakes(errors: Vec<Mistake>) -> Problem {
    let more = errors.len().saturating_sub(1);
    let first = errors.first().map(ToString::to_string).unwrap_or_default();
    let detail = if more == 0 { first } else { format!("{first} (and {more} more)") };
    Problem::new(Name::BadRequest, detail).errors(errors)
}

/// An act that was not recorded, as a problem.
pub(super) fn refusal(error: SalesError) -> Problem {
    let text = error.to_string();
    match error {
        SalesError::NotFound => unknown(),
        SalesError::Conflict { .. } => Problem::new(Name::PreconditionFailed, text).outcome(Outcome::Refused),
        SalesError::Invalid(errors) => mistakes(errors).outcome(Outcome::Refused),
        SalesError::TagClash(_) => bad("id", "", text).outcome(Outcome::Refused),
        SalesError::Closed | SalesError::Over(_) => Problem::new(Name::SaleClosed, text).outcome(Outcome::Refused),
        SalesError::KeyReused => Problem::new(Name::KeyReused, text).outcome(Outcome::Refused),
        SalesError::NoRoom => bad("admission", "none", text).outcome(Outcome::Refused),
        SalesError::NoItem(_) => Problem::new(Name::NotFound, text).outcome(Outcome::Refused),
        SalesError::TooFewUnits(_) => Problem::new(Name::TooFewFree, text).outcome(Outcome::Refused),
        SalesError::TooManyUnits(_) => bad("units", "", text).outcome(Outcome::Refused),
        SalesError::Unknown(_) => Problem::new(Name::Unavailable, text).outcome(Outcome::Unknown).retry_after(RETRY_MS),
        SalesError::Overtaken
        | SalesError::Withdrawing
        | SalesError::Damaged(_)
        | SalesError::Encode(_)
        | SalesError::Store(_) => Problem::new(Name::Unavailable, text).outcome(Outcome::Refused).retry_after(RETRY_MS),
    }
}
