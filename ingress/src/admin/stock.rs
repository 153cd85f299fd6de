//! Adding units to a sale that runs, and taking units that nobody has out of it.

use std::sync::Arc;
use std::time::Duration;

use admission::{Sales, StockChange};
use booker::LaneError;
use domain::id::BadId;
use domain::limits::{HTTP_BODY_BYTES, MAX_UNITS, WITHDRAW_PATIENCE_MS};
use domain::outcome::Outcome;
use domain::sale::{SaleFold, Withdrawal};
use domain::{Actor, ItemId, Millis, SaleId};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::hand::because;
use super::key;
use super::sales::{RETRY_MS, id, precondition, refusal, shown, unknown};
use crate::app::{App, SaleHandle};
use crate::call::Call;
use crate::problem::{Name, Problem, bad};
use crate::reply::Response;
use crate::visitor::identity::key as idempotency_key;

/// How old the figures may be that a withdrawal is judged by, milliseconds: they are read each second at least.
const FIGURES_GOOD_FOR_MS: u64 = 3_000;

/// More units, or fewer.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    /// Units that are added; below zero: withdrawn.
    #[schema(minimum = -100_000_000, maximum = 100_000_000)]
    units: i64,
    /// Recorded with the act.
    #[serde(default)]
    #[schema(max_length = 500)]
    why: String,
}

/// Add units to an item, or withdraw some.
///
/// Only units that nobody has can be withdrawn: 409 says how many those are. Should others be faster after that was looked at,
/// fewer leave, and `withdrawals` says how many. 202 while not all lanes have said; the same request again says how it stands.
/// The document changes with it, and so does its revision. A repeat under the same key changes nothing more.
#[utoipa::path(post, path = "/admin/v1/sales/{sale}/items/{item}/stock", tag = "operator", operation_id = "adminAddStock",
    params(
        ("sale" = String, Path, description = "The sale's id"),
        ("item" = String, Path, description = "The item's id"),
        ("Idempotency-Key" = String, Header, min_length = 1, max_length = 128, description = "A new random one for each new change"),
        ("If-Match" = Option<String>, Header, description = "The revision that is to be changed"),
    ), request_body = Change,
    responses(
        (status = 200, description = "The units are added, or have left", body = super::figures::SaleViewBody),
        (status = 202, description = "The units are leaving", body = super::figures::SaleViewBody),
    ))]
pub(crate) async fn change(mut call: Call) -> Result<Response, Problem> {
    let actor = key::operator(&call, "")?;
    let key = idempotency_key(&call)?.to_owned();
    let if_match = precondition(&call)?;
    let asked: Change = call.json(HTTP_BODY_BYTES).await?;
    let actor = because(actor, asked.why)?;
    let units = asked.units.unsigned_abs();
    if !(1..=MAX_UNITS).contains(&units) {
        return Err(bad("units", asked.units, format!("must be 1 to {MAX_UNITS}, or below zero to withdraw as many")));
    }
    // .../items/{item}/stock
    let named = call.head.uri.path().rsplit('/').nth(1).unwrap_or_default();
    let item: ItemId = named.parse().map_err(|error: BadId| bad("item", named, format!("must be {error}")))?;
    let (sale, app) = (id(&call)?, Arc::clone(&call.app));
    let change = StockChange { item: &item, units, key: &key, if_match };
    if asked.units < 0 {
        let (fold, under_way) = withdraw(&app, &sale, &change, call.now(), actor).await?;
        return Ok(shown(&call, &fold, if under_way { StatusCode::ACCEPTED } else { StatusCode::OK }));
    }
    let acted = app.parts.registry.add_stock(&sale, &change, actor).await.map_err(refusal)?;
    Ok(shown(&call, acted.fold(), StatusCode::OK))
}

/// The sale afterwards, and whether the units are leaving still.
async fn withdraw(
    app: &App,
    id: &SaleId,
    less: &StockChange<'_>,
    now: Millis,
    actor: Actor,
) -> Result<(Arc<SaleFold>, bool), Problem> {
    let (registry, key) = (&app.parts.registry, less.key);
    let handle = app.sales().get(id.as_str()).cloned().ok_or_else(unknown)?;
    if !handle.fold.withdrawals.iter().any(|act| act.key == key) {
        free(&handle, less.item, less.units, now)?;
    }
    let acted = registry.withdraw(id, less, actor).await.map_err(refusal)?;
    let open = acted.fold().withdrawing().filter(|open| open.key == key).cloned();
    if let Some(open) = open {
        let patience = Duration::from_millis(WITHDRAW_PATIENCE_MS);
        // What is not done in time goes on, here or in another process.
        let _ = tokio::time::timeout(patience, finish(registry, &handle, &open)).await;
    }
    let fold = registry.get(id).ok_or_else(unknown)?;
    let under_way = fold.withdrawing().is_some_and(|open| open.key == key);
    Ok((fold, under_way))
}

/// Refuses what is certain to come to less, before anything is recorded.
fn free(handle: &SaleHandle, item: &ItemId, units: u64, now: Millis) -> Result<(), Problem> {
    let shot = handle.view.load();
    let fresh = shot.stock_as_of.is_some_and(|at| now.since(at) <= FIGURES_GOOD_FOR_MS);
    let seen = shot.items.iter().find(|seen| seen.item == *item).filter(|_| fresh);
    let Some(seen) = seen else {
        // The registry knows better whether there is such an item.
        return match handle.fold.doc.item(item) {
            None => Ok(()),
            Some(_) => Err(Problem::new(Name::Unavailable, "It is not known at the moment how many units are free.")
                .outcome(Outcome::Refused)
                .retry_after(RETRY_MS)),
        };
    };
    if units > seen.free {
        let detail = format!(
            "{} of {} units are free and could be withdrawn; {} are held, the others are sold.",
            seen.free, seen.units, seen.live
        );
        return Err(Problem::new(Name::TooFewFree, detail).outcome(Outcome::Refused));
    }
    Ok(())
}

/// Asks the lanes for the units of a withdrawal and records what they said. Anybody may do it, at any time and more than once.
///
/// # Errors
/// [`LaneError`] when a lane has not answered, or the outcome could not be recorded: do it again.
pub async fn finish(registry: &Sales, handle: &SaleHandle, open: &Withdrawal) -> Result<u64, LaneError> {
    let id = handle.id();
    let left = booker::withdraw(&handle.lanes, id, open.seq, &open.item, open.units).await?;
    registry.withdrawn(id, open.seq, left).await.map_err(|error| {
        tracing::warn!(sale = %id, "{left} units were withdrawn, and that is not recorded yet: {error}");
        LaneError::Unknown
    })?;
    Ok(left)
}
