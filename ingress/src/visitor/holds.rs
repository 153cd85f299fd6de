//! Claiming units, looking at the claim, and giving it back.

use booker::{HoldAnswer, HoldRequest, HoldView, LookAnswer, PassRef, ReleaseAnswer};
use domain::limits::{HTTP_BODY_BYTES, MAX_HOLDS_PER_PASS, MAX_HOLDS_WITHOUT_PASS};
use domain::{HoldId, HoldState, ItemId, Lines, Phase, RefuseReason, SaleDoc, SaleId, VisitorHash};
use http::StatusCode;
use http::header::{HeaderName, HeaderValue};
use serde::Serialize;
use utoipa::ToSchema;

use super::tickets::location;
use super::{catalogue, identity, order, outcome};
use crate::app::SaleHandle;
use crate::call::Call;
use crate::problem::{Name, Problem};
use crate::reply::{self, Response};
use crate::schema;

/// How soon units in checkout may be asked for again, milliseconds.
const HELD_RETRY_MS: u64 = 5_000;
pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// A claim on units.
#[derive(Serialize, ToSchema)]
#[schema(as = Hold)]
pub(crate) struct HoldBody<'a> {
    /// Its id; the booking it becomes has the same.
    #[schema(value_type = String, format = "uuid")]
    hold_id: HoldId,
    /// The sale.
    #[schema(value_type = String)]
    sale: &'a SaleId,
    /// Where it stands.
    #[schema(value_type = schema::HoldState)]
    state: &'static str,
    /// What it claims; empty when that is not known.
    lines: Vec<LineBody<'a>>,
    /// The sum of its lines; absent when nothing is owed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Money>, nullable = false)]
    price: Option<domain::Money>,
    /// When it ends by itself; only while it is held. A failure of ours makes it later.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    expires_at: Option<String>,
    /// Milliseconds until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    expires_in_ms: Option<u64>,
    /// The booking, once there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid", nullable = false)]
    booking_id: Option<HoldId>,
    /// What to do, where the state does not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    advice: Option<&'static str>,
}

/// Units of one item.
#[derive(Serialize, ToSchema)]
#[schema(as = HoldLine)]
pub(crate) struct LineBody<'a> {
    /// The item's id.
    #[schema(value_type = String)]
    item: &'a ItemId,
    /// How many.
    quantity: u32,
}

pub(super) fn lines(lines: &Lines) -> Vec<LineBody<'_>> {
    lines.iter().map(|(item, quantity)| LineBody { item, quantity }).collect()
}

/// Hold units.
///
/// All lines or none. The hold's id is derived from visitor, sale and key: a repeat is answered with the hold as it is now.
/// Refusals come in this order: sale, visitor, key, body, sale closed, pass, stock and limits. Where the sale has a waiting
/// room, a pass is needed: 403 without a good one, 410 with one that has ended. A repeat needs neither an open sale nor a pass.
#[utoipa::path(
    post, path = "/v1/sales/{sale}/holds", tag = "booking", operation_id = "hold",
    params(
        ("sale" = String, Path, description = "The sale's id"),
        ("Idempotency-Key" = String, Header, min_length = 1, max_length = 128,
            description = "A new random one for each new hold"),
        ("Holdfast-Visitor" = Option<String>, Header, description = "Or cookie hf_visitor"),
        ("Holdfast-Pass" = Option<String>, Header, description = "Or cookie hf_pass"),
    ),
    request_body = order::Order,
    responses((status = 201, description = "The hold", body = HoldBody,
        headers(("Location" = String), ("Idempotency-Replayed" = Option<bool>))))
)]
pub(crate) async fn post(mut call: Call) -> Result<Response, Problem> {
    let sale = catalogue::sale(&call)?;
    let hash = sale.hash(&identity::visitor(&call)?);
    let doc = &sale.fold.doc;
    let id = HoldId::derive(sale.id(), hash.lane(doc.lanes), &hash, identity::key(&call)?);
    let lines = order::read(&call.json::<order::Order>(HTTP_BODY_BYTES).await?, doc)?;
    let lane = sale.lane_of(&hash).ok_or_else(|| outcome::lane(booker::LaneError::NoOwner))?;
    let pass = match may_hold(&call, &sale, &hash) {
        Ok(pass) => pass,
        Err(refusal) => return repeated(lane, doc, (id, hash), &lines, refusal).await,
    };
    let request = HoldRequest { id, visitor: hash, lines, pass };
    match lane.hold(request).await.map_err(outcome::lane)? {
        HoldAnswer::Hold { hold, replayed } => Ok(created(doc, &hold, replayed)),
        other => Err(refusal(&other, sale.line.is_some())),
    }
}

/// Whether a new hold may be made: the pass to make it with, where the sale needs one.
fn may_hold(call: &Call, sale: &SaleHandle, visitor: &VisitorHash) -> Result<Option<PassRef>, Problem> {
    let now = call.now();
    let phase = sale.phase(now);
    outcome::open(phase, &sale.fold.doc, now)?;
    if phase == Phase::Paused {
        return Err(outcome::paused(&sale.fold));
    }
    if sale.line.is_none() {
        return Ok(None);
    }
    let pass = identity::pass(call, sale, visitor)?;
    Ok(Some(PassRef { number: pass.number, life: pass.life }))
}

/// The answer to a request that may make no new hold. It can be the repeat of one that made its hold and whose answer was
/// lost, so the record goes first; only what has none, or one that has ended, is refused.
async fn repeated(
    lane: &booker::Lane,
    doc: &SaleDoc,
    (id, visitor): (HoldId, VisitorHash),
    lines: &Lines,
    refusal: Problem,
) -> Result<Response, Problem> {
    let LookAnswer::Hold(hold) = lane.look(id, visitor).await.map_err(outcome::lane)? else { return Err(refusal) };
    if hold.state == HoldState::Released || hold.deadline.is_some_and(|at| at <= hold.now) {
        return Err(refusal);
    }
    // A record without lines is one whose request nobody knows any more.
    if !hold.lines.is_empty() && hold.lines != *lines {
        return Err(outcome::key_reused());
    }
    match hold.state {
        HoldState::Refused => Err(outcome::gone(hold.why.unwrap_or(RefuseReason::Gone))),
        _ => Ok(created(doc, &hold, true)),
    }
}

fn created(doc: &SaleDoc, hold: &HoldView, replayed: bool) -> Response {
    let mut answer = reply::json(StatusCode::CREATED, &body(doc, hold));
    location(&mut answer, &format!("/v1/holds/{}", hold.id));
    if replayed {
        answer.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    answer
}

fn refusal(answer: &HoldAnswer, has_room: bool) -> Problem {
    match answer {
        HoldAnswer::KeyReused => outcome::key_reused(),
        HoldAnswer::Gone(why) => outcome::gone(*why),
        HoldAnswer::SoldOut => outcome::refused(Name::SoldOut, "Fewer units are left than were asked for."),
        HoldAnswer::AllHeld => outcome::refused(
            Name::AllHeld,
            "The units that are left are in others' checkout or on their way; some may come back.",
        )
        .retry_after(HELD_RETRY_MS),
        HoldAnswer::Limit => {
            outcome::refused(Name::LimitReached, "The visitor would have more units than the sale allows one visitor.")
        }
        HoldAnswer::TooManyHolds => {
            let detail = if has_room {
                format!("At most {MAX_HOLDS_PER_PASS} holds may be made with one pass.")
            } else {
                format!("A visitor may have at most {MAX_HOLDS_WITHOUT_PASS} holds in this sale at once.")
            };
            Problem::new(Name::LimitReached, detail).outcome(domain::outcome::Outcome::Refused)
        }
        HoldAnswer::PassExpired | HoldAnswer::PassDone => outcome::pass_ended(),
        // The document has the item already, the lane takes its stock from the log in a moment.
        HoldAnswer::NoSuchItem | HoldAnswer::Hold { .. } => outcome::lane(booker::LaneError::NotLoaded),
    }
}

fn body<'a>(doc: &'a SaleDoc, hold: &'a HoldView) -> HoldBody<'a> {
    let deadline = hold.deadline.filter(|_| matches!(hold.state, HoldState::Held | HoldState::Paying));
    HoldBody {
        hold_id: hold.id,
        sale: &doc.id,
        state: hold.state.as_str(),
        lines: lines(&hold.lines),
        price: doc.price(&hold.lines).flatten(),
        expires_at: deadline.map(|at| at.to_string()),
        expires_in_ms: deadline.map(|at| at.since(hold.now)),
        booking_id: hold.booking.as_ref().map(|booking| booking.id),
        advice: None,
    }
}

/// The sale, visitor and lane that an id in the path belongs to.
pub(super) struct Home {
    pub(super) sale: std::sync::Arc<SaleHandle>,
    pub(super) visitor: VisitorHash,
    pub(super) id: HoldId,
}

impl Home {
    /// Sale before visitor, as everywhere.
    pub(super) fn of(call: &Call) -> Result<Self, Problem> {
        let id: HoldId = call.param().parse().map_err(|_| outcome::not_theirs())?;
        let sale = call.app.sales().home_of(&id).cloned().ok_or_else(outcome::not_theirs)?;
        let visitor = sale.hash(&identity::visitor(call)?);
        Ok(Self { sale, visitor, id })
    }

    pub(super) fn lane(&self) -> Result<&booker::Lane, Problem> {
        // A lane number that the sale does not have stands in no id of ours.
        self.sale.lanes.get(usize::from(self.id.lane())).ok_or_else(outcome::not_theirs)
    }
}

/// Look at a hold.
///
/// A hold that neither the store nor the ledger knows is `unknown` for the visitor whose it may be: confirming it has the
/// ledger decide. It is 404 for everybody else.
#[utoipa::path(
    get, path = "/v1/holds/{hold_id}", tag = "booking", operation_id = "getHold",
    params(
        ("hold_id" = String, Path, description = "The hold's id"),
        ("Holdfast-Visitor" = Option<String>, Header, description = "Or cookie hf_visitor"),
    ),
    responses((status = 200, description = "The hold", body = HoldBody))
)]
pub(crate) async fn get(call: Call) -> Result<Response, Problem> {
    let home = Home::of(&call)?;
    let doc = &home.sale.fold.doc;
    match home.lane()?.look(home.id, home.visitor).await.map_err(outcome::lane)? {
        LookAnswer::Hold(hold) => Ok(reply::json(StatusCode::OK, &body(doc, &hold))),
        LookAnswer::Unknown => Ok(reply::json(StatusCode::OK, &unknown(&doc.id, home.id))),
        LookAnswer::Foreign => Err(outcome::not_theirs()),
    }
}

fn unknown(sale: &SaleId, hold_id: HoldId) -> HoldBody<'_> {
    HoldBody {
        hold_id,
        sale,
        state: "unknown",
        lines: Vec::new(),
        price: None,
        expires_at: None,
        expires_in_ms: None,
        booking_id: None,
        advice: Some("Confirm it: the ledger decides. Or hold again."),
    }
}

/// Give a hold's units back.
///
/// 204, also when repeated: released, unless a confirm of your own already under way wins. 409 once it is known that one has.
#[utoipa::path(
    delete, path = "/v1/holds/{hold_id}", tag = "booking", operation_id = "releaseHold",
    params(
        ("hold_id" = String, Path, description = "The hold's id"),
        ("Holdfast-Visitor" = Option<String>, Header, description = "Or cookie hf_visitor"),
    ),
    responses((status = 204, description = "Released"))
)]
pub(crate) async fn delete(call: Call) -> Result<Response, Problem> {
    let home = Home::of(&call)?;
    match home.lane()?.release(home.id, home.visitor).await.map_err(outcome::lane)? {
        ReleaseAnswer::Foreign => Err(outcome::not_theirs()),
        ReleaseAnswer::TooLate(state @ (HoldState::Confirming | HoldState::Sold)) => {
            let detail = match state {
                HoldState::Sold => "The hold is booked: cancel the booking instead.",
                _ => "The hold is being confirmed.",
            };
            Err(outcome::refused(Name::HoldDecided, detail))
        }
        // What was refused or cancelled holds nothing.
        ReleaseAnswer::Released | ReleaseAnswer::TooLate(_) => Ok(reply::empty(StatusCode::NO_CONTENT)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn who_needs_no_pass_is_not_told_of_one() {
        let said = |has_room| format!("{:?}", refusal(&HoldAnswer::TooManyHolds, has_room));
        assert!(said(true).contains("20 holds may be made with one pass"), "{}", said(true));
        assert!(said(false).contains("at most 1000 holds") && !said(false).contains("pass"), "{}", said(false));
    }
}
