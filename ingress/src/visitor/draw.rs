//! The draw of the lobby, as everybody may check it: what is published, one's own receipt with its proof, all leaves.

use admission::LobbyView;
use admission::view::NoBook;
use bytes::Bytes;
use domain::limits::MAX_LEAVES_SHOWN;
use domain::{Digest, SaleId};
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderValue};
use serde::Serialize;
use utoipa::ToSchema;

use super::tickets::ticket_expires;
use super::{catalogue, identity, outcome};
use crate::app::SaleHandle;
use crate::call::Call;
use crate::problem::{self, Name, Problem};
use crate::rendered::Rendered;
use crate::reply::{self, Response};

/// A draw as far as it is published: all of it once the lobby is drawn, and then what `holdfast draw verify` reads.
#[derive(Serialize, ToSchema)]
#[schema(as = Draw)]
pub(crate) struct DrawBody<'a> {
    /// 1.
    version: u32,
    /// Whose draw.
    #[schema(value_type = String)]
    sale: &'a SaleId,
    /// SHA-256 of the seed, in hexadecimal digits; stands since the sale was created.
    #[schema(value_type = String)]
    commitment: Digest,
    /// Which public value was named in advance, in words; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    public_value_named: Option<&'a str>,
    /// Receipts; from the closing of the lobby on. Absent where nobody came early.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    count: Option<u64>,
    /// Root of the tree over the receipts; from the closing of the lobby on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    root: Option<Digest>,
    /// The public value that the order follows from, where one was named in advance.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    public_value: Option<&'a str>,
    /// The seed, revealed when the lobby is drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    seed: Option<Digest>,
}

/// What a visitor needs to check the own place.
#[derive(Serialize, ToSchema)]
#[schema(as = Receipt)]
pub(crate) struct ReceiptBody<'a> {
    /// The receipt's token.
    receipt: &'a str,
    /// The other node of each pair from the receipt's leaf up to the root.
    #[schema(value_type = Vec<String>)]
    proof: Vec<Digest>,
    /// The number that the draw gave to it; absent until the lobby is drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    number: Option<u64>,
}

/// A part of the leaves that the root stands for.
#[derive(Serialize, ToSchema)]
#[schema(as = Leaves)]
pub(crate) struct LeavesBody {
    /// Index of the first one here.
    from: u64,
    /// How many there are in all.
    count: u64,
    /// In order of their indices.
    #[schema(value_type = Vec<String>)]
    leaves: Vec<Digest>,
}

/// The draw of a sale's lobby.
///
/// The commitment stands there before anybody comes, count and root when the lobby has closed, the seed when it is drawn.
/// Note down each as it appears: what cannot be exchanged afterwards can be checked. `/draw` says how.
#[utoipa::path(
    get, path = "/v1/sales/{sale}/draw", tag = "line", operation_id = "getDraw",
    params(("sale" = String, Path, description = "The sale's id")),
    responses((status = 200, description = "What is published", body = DrawBody), (status = 304, description = "It has not changed"))
)]
pub(crate) fn get(call: &Call) -> Result<Response, Problem> {
    let sale = with_room(call)?;
    let shot = sale.view.load();
    let lobby = shot.lobby.as_ref().map(|LobbyView { shown, .. }| shown).filter(|shown| shown.root.is_some());
    let body = DrawBody {
        version: 1,
        sale: sale.id(),
        commitment: sale.commitment,
        public_value_named: sale.fold.doc.room().and_then(|room| Some(room.public_value.as_ref()?.named.as_str())),
        count: lobby.map(|shown| shown.count),
        root: lobby.and_then(|shown| shown.root),
        public_value: lobby.and_then(|shown| shown.public_value.as_deref()),
        seed: lobby.and_then(|shown| shown.seed),
    };
    let text = serde_json::to_vec(&body).unwrap_or_default();
    Ok(Rendered::new(Bytes::from(text.clone()), &text).answer(call))
}

/// Your receipt with its proof.
///
/// Once the lobby has closed. Together with the draw it is all that `holdfast draw verify` needs.
#[utoipa::path(
    get, path = "/v1/sales/{sale}/draw/receipt", tag = "line", operation_id = "getReceipt",
    params(
        ("sale" = String, Path, description = "The sale's id"),
        ("Holdfast-Visitor" = Option<String>, Header, description = "Or cookie hf_visitor"),
        ("Holdfast-Ticket" = Option<String>, Header, description = "Or cookie hf_ticket; the receipt, where it is at hand"),
    ),
    responses((status = 200, description = "The receipt", body = ReceiptBody))
)]
pub(crate) async fn receipt(call: Call) -> Result<Response, Problem> {
    let sale = with_room(&call)?;
    let visitor = identity::visitor(&call)?;
    let hash = sale.hash(&visitor);
    let book = sale.view.book().await.map_err(|why| no_book(&why))?;
    let index = match identity::receipt_if_any(&call, &sale, &hash) {
        Some(index) => index,
        // After the draw a browser has a ticket instead: the line's owner knows who was in the lobby.
        None => {
            let line = sale.line.as_ref().ok_or_else(nobody)?;
            let unanswered = |error| match error {
                admission::LineError::NotOpen | admission::LineError::NotJoining => nobody(),
                error => outcome::line(error, &sale.fold, call.now()),
            };
            line.come(hash).await.map_err(unanswered)?.index
        }
    };
    let expires = ticket_expires(&sale, call.now());
    let token = call.app.keyring.load().sign_receipt(sale.id(), &hash, index, expires);
    let proof = book.proof(index).ok_or_else(nobody)?;
    let number = sale.view.load().number_of(index);
    Ok(reply::json(StatusCode::OK, &ReceiptBody { receipt: &token, proof, number }))
}

/// All leaves, part by part.
///
/// Once the lobby has closed. Whoever puts all of them under a tree comes to the root.
#[utoipa::path(
    get, path = "/v1/sales/{sale}/draw/leaves", tag = "line", operation_id = "getLeaves",
    params(
        ("sale" = String, Path, description = "The sale's id"),
        ("from" = Option<u64>, Query, description = "Index of the first one; 0 when absent"),
    ),
    responses((status = 200, description = "Up to 10,000 leaves", body = LeavesBody))
)]
pub(crate) async fn leaves(call: Call) -> Result<Response, Problem> {
    let sale = with_room(&call)?;
    let from = call.query("from").unwrap_or_else(|| "0".to_owned());
    let from: u64 = from.parse().map_err(|_| problem::bad("from", from, "must be an index, 0 or more"))?;
    let book = sale.view.book().await.map_err(|why| no_book(&why))?;
    let body = LeavesBody { from, count: book.count(), leaves: book.leaves(from, MAX_LEAVES_SHOWN) };
    let mut answer = reply::json(StatusCode::OK, &body);
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    Ok(answer)
}

fn with_room(call: &Call) -> Result<std::sync::Arc<SaleHandle>, Problem> {
    let sale = catalogue::sale(call)?;
    if sale.fold.doc.room().is_none() {
        return Err(Problem::new(Name::NotFound, "This sale has no waiting room, so nothing is drawn."));
    }
    Ok(sale)
}

fn nobody() -> Problem {
    Problem::new(Name::NotFound, "This visitor was not in the lobby before the sale opened.")
}

fn no_book(why: &NoBook) -> Problem {
    match why {
        NoBook::NotClosed => Problem::new(Name::NotFound, "The lobby has not closed yet, or nobody came early."),
        NoBook::Store(_) | NoBook::Damaged | NoBook::Stopping => {
            tracing::warn!("the receipts of a lobby cannot be read: {why}");
            Problem::new(Name::Unavailable, "The receipts cannot be read at the moment.").retry_after(5_000)
        }
    }
}
