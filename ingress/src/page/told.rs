//! What the page shows comes from the API, asked in this process: the same calls with the same checks, answers and problems
//! as for everybody else. Nothing about a sale, a place or a hold is decided here.

use bytes::Bytes;
use domain::HoldId;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, IF_NONE_MATCH};
use http::{HeaderMap, StatusCode, Uri};
use http_body_util::BodyExt as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::call::{Call, Content};
use crate::edge::cookie;
use crate::problem::{Name, Problem};
use crate::reply::Response;
use crate::visitor::{catalogue, holds, identity, line, tickets};

/// Names the hold that the page shows; sent back only to the page of its sale.
pub(super) const HOLD: &str = "hf_hold";

/// Carries the code that moves the place to another device, for the page to show.
pub(super) const MOVE: &str = "hf_move";

/// `GET /v1/sales/{sale}`.
#[derive(Deserialize)]
pub(super) struct Sale {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) opens_at: Option<String>,
    pub(super) opens_in_ms: Option<u64>,
    pub(super) closes_at: Option<String>,
    pub(super) waiting_room: bool,
    /// Joining needs a proof of work.
    #[serde(default)]
    pub(super) proof_of_work: bool,
    /// There where the sale has a lobby before it opens.
    pub(super) draw_commitment: Option<String>,
    pub(super) limits: Limits,
    pub(super) items: Vec<Item>,
}

#[derive(Deserialize)]
pub(super) struct Limits {
    pub(super) units_per_visitor: Option<u32>,
    pub(super) quantity_per_line: u32,
}

#[derive(Deserialize)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) price: Option<Price>,
}

#[derive(Deserialize)]
pub(super) struct Price {
    pub(super) amount: String,
    pub(super) currency: String,
}

/// `GET /v1/sales/{sale}/line`.
#[derive(Deserialize, Default)]
pub(super) struct Line {
    pub(super) state: String,
    /// Classes that are entered by a code: there is something to type a code into.
    #[serde(default)]
    pub(super) classes: Vec<serde::de::IgnoredAny>,
    pub(super) items: Vec<Stock>,
    pub(super) poll_in_ms: u64,
    pub(super) message: String,
    /// Absent where there is no waiting room.
    pub(super) joining: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct Stock {
    pub(super) item: String,
    pub(super) stock: String,
}

/// `GET /v1/sales/{sale}/ticket`.
#[derive(Deserialize)]
pub(super) struct Ticket {
    pub(super) state: String,
    pub(super) number: Option<u64>,
    pub(super) ahead: Option<u64>,
    pub(super) wait_ms: Option<Wait>,
    pub(super) chance: Option<String>,
    pub(super) poll_in_ms: u64,
}

#[derive(Deserialize)]
pub(super) struct Wait {
    pub(super) p50: u64,
    pub(super) p90: u64,
}

/// `GET /v1/holds/{hold_id}`.
#[derive(Deserialize)]
pub(super) struct Hold {
    pub(super) hold_id: String,
    pub(super) state: String,
    pub(super) lines: Vec<Held>,
    pub(super) price: Option<Price>,
    pub(super) expires_in_ms: Option<u64>,
}

#[derive(Deserialize)]
pub(super) struct Held {
    pub(super) item: String,
    pub(super) quantity: u32,
}

/// A problem.
#[derive(Deserialize)]
pub(super) struct Refusal {
    #[serde(rename = "type")]
    kind: String,
    pub(super) outcome: Option<String>,
    pub(super) retry_in_ms: Option<u64>,
}

impl Refusal {
    /// Its name.
    pub(super) fn name(&self) -> &str {
        self.kind.rsplit('/').next().unwrap_or_default()
    }
}

/// An answer of the API.
pub(super) struct Answered {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// The problem it counts as.
    pub(super) problem: Option<Name>,
    body: Bytes,
}

impl Answered {
    pub(super) async fn new(result: Result<Response, Problem>) -> Self {
        let problem = result.as_ref().err().map(Problem::name);
        let (head, body) = result.unwrap_or_else(|problem| problem.answer("")).into_parts();
        // The body is in memory already.
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        Self { status: head.status, headers: head.headers, problem, body }
    }

    pub(super) fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }

    fn good<T: DeserializeOwned>(&self) -> Option<T> {
        if self.status.is_success() { self.json() } else { None }
    }
}

/// The same visitor's request to another address, with a body of its own. What the browser said about the page's form or the
/// page's own version is left out.
pub(super) fn ask(call: &Call, before: &str, param: &str, after: &str, body: Bytes) -> Call {
    let mut head = call.head.clone();
    for name in [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING, IF_NONE_MATCH] {
        head.headers.remove(name);
    }
    // Both are ids of ours, which need no escapes; an address that cannot be is nobody's.
    head.uri = format!("{before}{param}{after}").parse().unwrap_or_else(|_| Uri::from_static("/"));
    let param = before.len()..before.len() + param.len();
    Call { app: call.app.clone(), head, from: call.from.clone(), body: Content::Here(body), param }
}

/// Everything the page of a sale shows.
pub(super) struct Told {
    pub(super) sale: Sale,
    pub(super) line: Line,
    pub(super) ticket: Option<Ticket>,
    pub(super) hold: Option<Hold>,
    /// The hold cannot be looked at now: what the visitor has is not known.
    pub(super) hold_away: bool,
    /// Milliseconds until the pass ends.
    pub(super) pass_ms: Option<u64>,
    /// The operator's own words during a pause; the document has words for it in one language when there are none.
    pub(super) pause_words: Option<String>,
}

impl Told {
    /// Asks for all of it.
    ///
    /// # Errors
    /// There is no such sale.
    pub(super) async fn gather(call: &Call) -> Result<Self, Problem> {
        let handle = catalogue::sale(call)?;
        let id = handle.id().as_str();
        let of_sale = |after| ask(call, "/v1/sales/", id, after, Bytes::new());
        let missing = || Problem::new(Name::Unavailable, "The sale's documents cannot be read.");
        let sale = Answered::new(catalogue::show(&of_sale(""))).await.good().ok_or_else(missing)?;
        let line = Answered::new(line::get(&of_sale("/line"))).await.good().unwrap_or_default();
        let pause_words = handle.fold.paused.clone().filter(|words| !words.is_empty());
        let mut told = Self { sale, line, ticket: None, hold: None, hold_away: false, pass_ms: None, pause_words };
        let Ok(visitor) = identity::visitor(call) else { return Ok(told) };
        if cookie::get(call.headers(), cookie::TICKET).is_some() {
            told.ticket = Answered::new(tickets::get(&of_sale("/ticket"))).await.good();
            let pass = identity::pass_if_any(call, &handle, &handle.hash(&visitor));
            told.pass_ms = pass.map(|pass| handle.view.faults().faults.end_of(pass.life).since(call.now()));
        }
        if let Some(id) = hold_of(call) {
            let answer = look(call, id).await;
            told.hold = answer.good();
            told.hold_away = answer.status.is_server_error();
        }
        Ok(told)
    }
}

/// The hold that the page was showing.
pub(super) fn hold_of(call: &Call) -> Option<HoldId> {
    cookie::get(call.headers(), HOLD)?.parse().ok()
}

/// Looks at a hold.
pub(super) async fn look(call: &Call, id: HoldId) -> Answered {
    Answered::new(holds::get(ask(call, "/v1/holds/", &id.to_string(), "", Bytes::new())).await).await
}

impl Hold {
    /// Whether it stands between the visitor and another one.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.state.as_str(), "held" | "paying" | "confirming")
    }
}
