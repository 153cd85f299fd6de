//! The one document everybody polls: from memory, written once per change.

use std::sync::Arc;

use admission::Snapshot;
use bytes::Bytes;
use domain::number::Class;
use domain::sale::Phase;
use domain::{ItemId, LineClass, Millis};
use serde::Serialize;
use utoipa::ToSchema;

use super::{catalogue, outcome};
use crate::app::SaleHandle;
use crate::call::Call;
use crate::problem::Problem;
use crate::rendered::Rendered;
use crate::reply::Response;
use crate::schema;

/// How soon to look again while the sale is open, while it is paused, and otherwise, milliseconds.
const POLL_OPEN_MS: u64 = 2_000;
const POLL_PAUSED_MS: u64 = 5_000;
const POLL_QUIET_MS: u64 = 30_000;

/// The line, the same for everybody.
#[derive(Serialize, ToSchema)]
#[schema(as = Line)]
pub(crate) struct LineBody<'a> {
    /// The sale in one word.
    #[schema(value_type = schema::LineState)]
    state: &'static str,
    /// Tickets up to this number may enter. Never goes back.
    frontier: u64,
    /// Visitors let in per minute, at most; absent where the sale has no waiting room.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pace_per_minute: Option<u32>,
    /// Whether new visitors may join; absent where the sale has no waiting room.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    joining: Option<bool>,
    /// Classes that are entered by a code, each called by itself; absent where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    classes: Vec<ClassBody<'a>>,
    /// What is left, by item.
    items: Vec<StockBody<'a>>,
    /// When to ask again, milliseconds.
    poll_in_ms: u64,
    /// Words for everybody who waits; may be empty.
    message: String,
    /// Failures of ours: passes and holds that lived then end later by as much, two minutes at most. Absent: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    faults: Vec<FaultBody>,
    /// When line and stock were last read, to the second; absent: not yet since the server started.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    as_of: Option<String>,
}

/// A class of the line.
#[derive(Serialize, ToSchema)]
#[schema(as = LineClass)]
struct ClassBody<'a> {
    /// Its id.
    #[schema(value_type = String)]
    class: &'a ItemId,
    /// What people call it.
    title: &'a str,
    /// Of 100 people called while others wait as well, how many are of this class.
    share: u32,
    /// Places of this class up to here may enter. Never goes back.
    frontier: u64,
}

/// A failure of ours.
#[derive(Serialize, ToSchema)]
#[schema(as = Fault)]
struct FaultBody {
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    from: String,
    /// When it was over.
    #[schema(value_type = String, format = DateTime)]
    to: String,
}

/// What is left of one item.
#[derive(Serialize, ToSchema)]
#[schema(as = ItemStock)]
struct StockBody<'a> {
    /// The item's id.
    #[schema(value_type = String)]
    item: &'a ItemId,
    /// In one word.
    #[schema(value_type = schema::Stock)]
    stock: &'static str,
}

/// The document as it was last made, and from what.
pub(crate) struct Cached {
    from: From,
    rendered: Rendered,
}

#[derive(PartialEq, Eq)]
struct From {
    version: u64,
    second: Option<u64>,
    phase: Phase,
}

/// The line of a sale.
///
/// The same for everybody, cacheable for a second; a poll costs no store anything. Poll it every `poll_in_ms` and ask for
/// your own ticket when the frontier comes near.
#[utoipa::path(
    get, path = "/v1/sales/{sale}/line", tag = "line", operation_id = "getLine",
    params(("sale" = String, Path, description = "The sale's id")),
    responses((status = 200, description = "The line", body = LineBody), (status = 304, description = "It has not changed"))
)]
pub(crate) fn get(call: &Call) -> Result<Response, Problem> {
    let sales = call.app.sales();
    let sale = sales.get(call.param()).ok_or_else(catalogue::unknown)?;
    let phase = sale.phase(call.now());
    let shot = sale.view.load();
    let from = From { version: shot.version, second: shot.as_of.map(|at| at.0 / 1_000), phase };
    let cached = sale.document.load();
    if let Some(cached) = &*cached
        && cached.from == from
    {
        return Ok(cached.rendered.answer(call));
    }
    let rendered = render(sale, &shot, &from);
    let answer = rendered.answer(call);
    sale.document.store(Some(Arc::new(Cached { from, rendered })));
    Ok(answer)
}

fn render(sale: &SaleHandle, shot: &Snapshot, from: &From) -> Rendered {
    let state = shot.state(from.phase);
    let mut body = LineBody {
        state: state.as_str(),
        frontier: shot.frontier,
        pace_per_minute: sale.fold.doc.room().map(|room| room.pace_per_minute),
        joining: sale.fold.doc.room().map(|_| sale.fold.joining),
        classes: classes(sale, shot),
        items: shot.items.iter().map(|item| StockBody { item: &item.item, stock: item.band.as_str() }).collect(),
        poll_in_ms: match from.phase {
            Phase::Open => POLL_OPEN_MS,
            Phase::Paused => POLL_PAUSED_MS,
            Phase::Scheduled | Phase::Closed => POLL_QUIET_MS,
        },
        message: message(sale, shot, from.phase),
        faults: faults(shot),
        as_of: None,
    };
    let lasting = serde_json::to_vec(&body).unwrap_or_default();
    body.as_of = from.second.map(|second| Millis(second * 1_000).to_string());
    Rendered::new(Bytes::from(serde_json::to_vec(&body).unwrap_or_default()), &lasting)
}

fn classes<'a>(sale: &'a SaleHandle, shot: &Snapshot) -> Vec<ClassBody<'a>> {
    let known = sale.fold.doc.room().map(|room| room.classes.as_slice()).unwrap_or_default();
    let one = |(number, class): (Class, &'a LineClass)| ClassBody {
        class: &class.id,
        title: class.title.as_deref().unwrap_or(class.id.as_str()),
        share: class.share,
        frontier: shot.frontier_of(number),
    };
    (1..).zip(known).map(one).collect()
}

fn faults(shot: &Snapshot) -> Vec<FaultBody> {
    let body = |(from, to): &(Millis, Millis)| FaultBody { from: from.to_string(), to: to.to_string() };
    shot.faults.faults.windows().iter().map(body).collect()
}

fn message(sale: &SaleHandle, shot: &Snapshot, phase: Phase) -> String {
    use admission::view::Band;
    if phase == Phase::Open && shot.is_being_drawn() {
        let named = sale.fold.doc.room().and_then(|room| room.public_value.as_ref()).map(|public| &public.named);
        let when =
            named.map_or_else(String::new, |named| format!(" It needs a value that everybody can look up: {named}."));
        return format!("The lobby is being drawn, the first are called then.{when}");
    }
    match (phase, shot.band) {
        (Phase::Scheduled, _) => match sale.fold.doc.opens_at {
            Some(at) => format!("The sale opens at {at}. Coming early gives no advantage."),
            None => "The sale has not opened yet.".to_owned(),
        },
        (Phase::Closed, _) => "The sale is over.".to_owned(),
        (Phase::Paused, band) if band != Some(Band::SoldOut) || sale.fold.paused.as_deref() != Some("") => {
            outcome::pause_message(&sale.fold)
        }
        (Phase::Open | Phase::Paused, Some(Band::SoldOut)) => match shot.standby {
            Some(standby) => format!(
                "Everything is sold. Units that come back go to the next in line; the first {} places are kept.",
                standby.places
            ),
            None => "Everything is sold.".to_owned(),
        },
        (_, Some(Band::Held)) => {
            let units = if shot.live == 1 { "1 unit".to_owned() } else { format!("{} units", shot.live) };
            format!("All units are in checkout. {units} may come back; places are kept.")
        }
        _ => String::new(),
    }
}
