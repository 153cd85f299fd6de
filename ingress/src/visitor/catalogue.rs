//! What is on sale. Made once per second and sale at most, and only when somebody asks.

use std::sync::Arc;

use bytes::Bytes;
use domain::sale::Phase;
use domain::{Admission, Item, ItemId, Millis, SaleId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::SaleHandle;
use crate::call::Call;
use crate::problem::{Name, Problem};
use crate::rendered::Rendered;
use crate::reply::Response;
use crate::schema;

/// All sales.
#[derive(ToSchema)]
#[schema(as = Sales)]
#[allow(dead_code, reason = "the answer is put together from its sales' documents")]
pub(crate) struct SalesBody {
    /// In order of their ids.
    sales: Vec<SaleBody<'static>>,
}

/// One sale, as visitors see it.
#[derive(Serialize, ToSchema)]
#[schema(as = Sale)]
pub(crate) struct SaleBody<'a> {
    /// Its id, part of every address.
    #[schema(value_type = String)]
    id: &'a SaleId,
    /// What people call it.
    title: &'a str,
    /// Whether anything can be booked.
    #[schema(value_type = schema::SaleState)]
    state: &'static str,
    /// When it opens by itself; absent: when its operator says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    opens_at: Option<String>,
    /// Milliseconds until then, in whole seconds; only before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    opens_in_ms: Option<u64>,
    /// When it closes by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    closes_at: Option<String>,
    /// Milliseconds until then, in whole seconds; only before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    closes_in_ms: Option<u64>,
    /// Whether a hold needs a pass from the line.
    waiting_room: bool,
    /// Whether joining needs a proof of work (`GET .../challenge`).
    proof_of_work: bool,
    /// What the seed of the lobby's draw hashes to (`/draw`); only with a waiting room.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    draw_commitment: Option<String>,
    /// Milliseconds a hold lives.
    hold_ttl_ms: u64,
    /// What one visitor may have.
    limits: LimitsBody,
    /// What is sold.
    items: Vec<ItemBody<'a>>,
}

/// What one visitor may have in a sale.
#[derive(Serialize, ToSchema)]
#[schema(as = Limits)]
struct LimitsBody {
    /// Units held and booked together; absent: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    units_per_visitor: Option<u32>,
    /// Units in one line of a hold.
    quantity_per_line: u32,
    /// Lines in one hold.
    lines_per_hold: usize,
}

/// One sellable kind.
#[derive(Serialize, ToSchema)]
#[schema(as = Item)]
struct ItemBody<'a> {
    /// Its id inside the sale.
    #[schema(value_type = String)]
    id: &'a ItemId,
    /// What people call it.
    title: &'a str,
    /// What a unit costs; absent: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Money>, nullable = false)]
    price: Option<domain::Money>,
}

/// A sale's document as it was last made.
pub(crate) struct Cached {
    second: u64,
    phase: Phase,
    rendered: Rendered,
}

/// What is on sale.
#[utoipa::path(
    get, path = "/v1/sales", tag = "sales", operation_id = "listSales",
    responses((status = 200, description = "All sales", body = SalesBody), (status = 304, description = "Nothing has changed"))
)]
pub(crate) fn list(call: &Call) -> Response {
    let now = call.now();
    let (mut body, mut lasting) = (b"{\"sales\":[".to_vec(), Vec::new());
    for (n, sale) in call.app.sales().iter().enumerate() {
        let cached = current(sale, now);
        if n > 0 {
            body.push(b',');
        }
        body.extend_from_slice(&cached.rendered.body);
        lasting.extend_from_slice(cached.rendered.etag().as_bytes());
    }
    body.extend_from_slice(b"]}");
    Rendered::new(Bytes::from(body), &lasting).answer(call)
}

/// One sale.
#[utoipa::path(
    get, path = "/v1/sales/{sale}", tag = "sales", operation_id = "getSale",
    params(("sale" = String, Path, description = "The sale's id")),
    responses((status = 200, description = "The sale", body = SaleBody), (status = 304, description = "It has not changed"))
)]
pub(crate) fn show(call: &Call) -> Result<Response, Problem> {
    let sale = sale(call)?;
    Ok(current(&sale, call.now()).rendered.answer(call))
}

/// The sale that the path names.
pub(crate) fn sale(call: &Call) -> Result<Arc<SaleHandle>, Problem> {
    call.app.sales().get(call.param()).cloned().ok_or_else(unknown)
}

/// The path names no sale.
pub(crate) fn unknown() -> Problem {
    Problem::new(Name::NotFound, "There is no sale of this name; GET /v1/sales lists them.")
}

fn current(sale: &SaleHandle, now: Millis) -> Arc<Cached> {
    let (second, phase) = (now.0 / 1_000, sale.phase(now));
    if let Some(cached) = &*sale.catalogue.load()
        && (cached.second, cached.phase) == (second, phase)
    {
        return Arc::clone(cached);
    }
    let cached = Arc::new(Cached { second, phase, rendered: render(sale, Millis(second * 1_000), phase) });
    sale.catalogue.store(Some(Arc::clone(&cached)));
    cached
}

fn render(sale: &SaleHandle, now: Millis, phase: Phase) -> Rendered {
    let doc = &sale.fold.doc;
    let ahead = |at: Option<Millis>| at.map(|at| at.since(now)).filter(|ms| *ms > 0);
    let mut body = SaleBody {
        id: &doc.id,
        title: doc.title.as_deref().unwrap_or(doc.id.as_str()),
        state: phase.as_str(),
        opens_at: doc.opens_at.map(|at| at.to_string()),
        opens_in_ms: None,
        closes_at: doc.closes_at.map(|at| at.to_string()),
        closes_in_ms: None,
        draw_commitment: doc.room().map(|_| sale.commitment.to_string()),
        proof_of_work: doc.room().is_some_and(|room| room.proof_of_work.is_some()),
        waiting_room: !matches!(doc.admission, Admission::None),
        hold_ttl_ms: doc.hold.ttl_ms,
        limits: LimitsBody {
            units_per_visitor: doc.units_per_visitor,
            quantity_per_line: domain::limits::MAX_QUANTITY,
            lines_per_hold: domain::limits::MAX_LINES,
        },
        items: doc.items.iter().map(item).collect(),
    };
    let lasting = serde_json::to_vec(&body).unwrap_or_default();
    if phase == Phase::Scheduled {
        body.opens_in_ms = ahead(doc.opens_at);
    }
    if phase != Phase::Closed {
        body.closes_in_ms = ahead(doc.closes_at);
    }
    Rendered::new(Bytes::from(serde_json::to_vec(&body).unwrap_or_default()), &lasting)
}

fn item(item: &Item) -> ItemBody<'_> {
    ItemBody {
        id: &item.id,
        title: item.title.as_deref().unwrap_or(item.id.as_str()),
        price: item.price.as_ref().map(|price| price.regular),
    }
}
