//! The operator's hand on a sale that runs: pause, resume, pace, cap, joining. Every act is in the sale's log, with who and why,
//! before it is answered; every process follows within a tick.

use domain::Actor;
use domain::limits::{
    HTTP_BODY_BYTES, MAX_ACTIVE_PASSES, MAX_MESSAGE_CHARS, MAX_PACE_PER_MINUTE, MAX_RAMP_MS, MAX_WHY_CHARS, RAMP_MS,
};
use http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use super::key;
use super::sales::{id, refusal, shown};
use crate::call::Call;
use crate::problem::{Problem, bad};
use crate::reply::Response;

/// A pause.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pause {
    /// What visitors are told; may be called `reason`.
    #[serde(default, alias = "reason")]
    #[schema(max_length = 300)]
    message: String,
    /// Recorded with the act.
    #[serde(default)]
    #[schema(max_length = 500)]
    why: String,
}

/// The end of a pause.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Resume {
    /// Milliseconds in which the pace grows from a tenth to its full height; 0: at once.
    #[serde(default = "usual_ramp")]
    #[schema(maximum = 3_600_000, default = 30_000)]
    ramp_ms: u64,
    /// Recorded with the act.
    #[serde(default)]
    #[schema(max_length = 500)]
    why: String,
}

const fn usual_ramp() -> u64 {
    RAMP_MS
}

/// A new pace.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pace {
    /// Passes issued in any 60 s, at most.
    #[schema(minimum = 1, maximum = 6_000_000)]
    pace_per_minute: u64,
    /// Recorded with the act.
    #[serde(default)]
    #[schema(max_length = 500)]
    why: String,
}

/// A new cap.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cap {
    /// Passes alive at once, at most.
    #[schema(minimum = 1, maximum = 1_000_000)]
    active_passes: u64,
    /// Recorded with the act.
    #[serde(default)]
    #[schema(max_length = 500)]
    why: String,
}

/// Whether new visitors may join.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Joining {
    /// They may.
    open: bool,
    /// Recorded with the act.
    #[serde(default)]
    #[schema(max_length = 500)]
    why: String,
}

/// Whether everybody is let through.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LetThrough {
    /// They are.
    on: bool,
    /// Recorded with the act.
    #[serde(default)]
    #[schema(max_length = 500)]
    why: String,
}

/// Pause the sale.
///
/// Nobody is called, let in or given a new hold. Places, holds and confirms go on; visitors are told the message.
#[utoipa::path(post, path = "/admin/v1/sales/{sale}/pause", tag = "operator", operation_id = "adminPauseSale",
    params(("sale" = String, Path, description = "The sale's id")), request_body = Option<Pause>,
    responses((status = 200, description = "Paused", body = super::figures::SaleViewBody)))]
pub(crate) async fn pause(mut call: Call) -> Result<Response, Problem> {
    let actor = key::operator(&call, "")?;
    let asked: Pause = body_or_default(&mut call).await?;
    text("message", &asked.message, MAX_MESSAGE_CHARS)?;
    let actor = because(actor, asked.why)?;
    let acted = call.app.parts.registry.pause(&id(&call)?, asked.message, actor).await.map_err(refusal)?;
    Ok(shown(&call, acted.fold(), StatusCode::OK))
}

/// Go on after a pause.
#[utoipa::path(post, path = "/admin/v1/sales/{sale}/resume", tag = "operator", operation_id = "adminResumeSale",
    params(("sale" = String, Path, description = "The sale's id")), request_body = Option<Resume>,
    responses((status = 200, description = "Goes on", body = super::figures::SaleViewBody)))]
pub(crate) async fn resume(mut call: Call) -> Result<Response, Problem> {
    let actor = key::operator(&call, "")?;
    let asked: Resume = body_or_default(&mut call).await?;
    within("ramp_ms", asked.ramp_ms, 0, MAX_RAMP_MS)?;
    let actor = because(actor, asked.why)?;
    let acted = call.app.parts.registry.resume(&id(&call)?, asked.ramp_ms, actor).await.map_err(refusal)?;
    Ok(shown(&call, acted.fold(), StatusCode::OK))
}

/// Set the pace of the waiting room.
///
/// The document changes with it, and so does its revision.
#[utoipa::path(put, path = "/admin/v1/sales/{sale}/pace", tag = "operator", operation_id = "adminSetPace",
    params(("sale" = String, Path, description = "The sale's id")), request_body = Pace,
    responses((status = 200, description = "The pace is set", body = super::figures::SaleViewBody)))]
pub(crate) async fn pace(mut call: Call) -> Result<Response, Problem> {
    let actor = key::operator(&call, "")?;
    let asked: Pace = call.json(HTTP_BODY_BYTES).await?;
    let pace = within("pace_per_minute", asked.pace_per_minute, 1, u64::from(MAX_PACE_PER_MINUTE))?;
    let actor = because(actor, asked.why)?;
    let pace = u32::try_from(pace).unwrap_or(MAX_PACE_PER_MINUTE);
    let acted = call.app.parts.registry.pace(&id(&call)?, pace, actor).await.map_err(refusal)?;
    Ok(shown(&call, acted.fold(), StatusCode::OK))
}

/// Set how many passes may be alive at once.
///
/// The document changes with it, and so does its revision. Passes there are stay.
#[utoipa::path(put, path = "/admin/v1/sales/{sale}/cap", tag = "operator", operation_id = "adminSetCap",
    params(("sale" = String, Path, description = "The sale's id")), request_body = Cap,
    responses((status = 200, description = "The cap is set", body = super::figures::SaleViewBody)))]
pub(crate) async fn cap(mut call: Call) -> Result<Response, Problem> {
    let actor = key::operator(&call, "")?;
    let asked: Cap = call.json(HTTP_BODY_BYTES).await?;
    let cap = within("active_passes", asked.active_passes, 1, u64::from(MAX_ACTIVE_PASSES))?;
    let actor = because(actor, asked.why)?;
    let cap = u32::try_from(cap).unwrap_or(MAX_ACTIVE_PASSES);
    let acted = call.app.parts.registry.cap(&id(&call)?, cap, actor).await.map_err(refusal)?;
    Ok(shown(&call, acted.fold(), StatusCode::OK))
}

/// Stop joining, or go on with it.
///
/// While it is stopped nobody new gets a place in line; who has one keeps it and is called in turn.
#[utoipa::path(put, path = "/admin/v1/sales/{sale}/joining", tag = "operator", operation_id = "adminSetJoining",
    params(("sale" = String, Path, description = "The sale's id")), request_body = Joining,
    responses((status = 200, description = "It is so", body = super::figures::SaleViewBody)))]
pub(crate) async fn joining(mut call: Call) -> Result<Response, Problem> {
    let actor = key::operator(&call, "")?;
    let asked: Joining = call.json(HTTP_BODY_BYTES).await?;
    let actor = because(actor, asked.why)?;
    let acted = call.app.parts.registry.joining(&id(&call)?, asked.open, actor).await.map_err(refusal)?;
    Ok(shown(&call, acted.fold(), StatusCode::OK))
}

/// Let everyone through, or no longer.
///
/// Everybody whom the stock can serve is called at once, and so is who joins later. Passes are issued within pace and cap as
/// always: raise those where they are in the way.
#[utoipa::path(put, path = "/admin/v1/sales/{sale}/let-through", tag = "operator", operation_id = "adminLetThrough",
    params(("sale" = String, Path, description = "The sale's id")), request_body = LetThrough,
    responses((status = 200, description = "It is so", body = super::figures::SaleViewBody)))]
pub(crate) async fn let_through(mut call: Call) -> Result<Response, Problem> {
    let actor = key::operator(&call, "")?;
    let asked: LetThrough = call.json(HTTP_BODY_BYTES).await?;
    let actor = because(actor, asked.why)?;
    let acted = call.app.parts.registry.let_through(&id(&call)?, asked.on, actor).await.map_err(refusal)?;
    Ok(shown(&call, acted.fold(), StatusCode::OK))
}

/// No body is as good as an empty object.
async fn body_or_default<T: DeserializeOwned>(call: &mut Call) -> Result<T, Problem> {
    let bytes = call.read(HTTP_BODY_BYTES).await?;
    if bytes.is_empty() {
        return crate::call::parse(b"{}");
    }
    call.expect_json()?;
    crate::call::parse(&bytes)
}

pub(super) fn because(mut actor: Actor, why: String) -> Result<Actor, Problem> {
    text("why", &why, MAX_WHY_CHARS)?;
    actor.why = why;
    Ok(actor)
}

fn text(key: &'static str, text: &str, most: usize) -> Result<(), Problem> {
    if text.chars().count() > most || text.chars().any(char::is_control) {
        return Err(bad(key, "", format!("must be at most {most} characters without control characters")));
    }
    Ok(())
}

pub(super) fn within(key: &'static str, value: u64, least: u64, most: u64) -> Result<u64, Problem> {
    if value < least || value > most {
        return Err(bad(key, value, format!("must be {least} to {most}")));
    }
    Ok(value)
}
