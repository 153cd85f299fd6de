//! The calls of a booking as the product answers them, as far as a run without waiting room makes them.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Json, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use deadpool_postgres::Pool;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::store::{Hold, HoldCall, ITEM, Store};

/// What all calls share.
pub(crate) struct App {
    pub(crate) store: Store,
    /// For what is asked rarely.
    pub(crate) pool: Pool,
}

type Shared = State<Arc<App>>;

pub(crate) fn router(app: App) -> Router {
    Router::new()
        .route("/v1/sales/{sale}", get(sale))
        .route("/v1/visitors", post(visitor))
        .route("/v1/sales/{sale}/holds", post(hold))
        .route("/v1/holds/{id}/confirm", post(confirm))
        .route("/v1/bookings", get(bookings))
        .with_state(Arc::new(app))
}

async fn sale(Path(sale): Path<String>) -> Json<Value> {
    Json(json!({"id": sale, "state": "open", "waiting_room": false, "items": [{"id": ITEM}]}))
}

/// Nothing is signed: to that extent the comparison is in favour of this program.
async fn visitor() -> Response {
    let visitor = Uuid::from_u64_pair(seed(), seed()).simple().to_string();
    (StatusCode::CREATED, Json(json!({"visitor": visitor}))).into_response()
}

fn seed() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(0)
}

#[derive(Deserialize)]
struct Lines {
    lines: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    item: String,
    quantity: u32,
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

fn problem(status: StatusCode, name: &str) -> Response {
    (status, Json(json!({"type": format!("/problems/{name}"), "status": status.as_u16()}))).into_response()
}

/// The same key of the same visitor is the same hold.
fn id_of(visitor: &str, key: &str) -> Uuid {
    let digest = Sha256::new().chain_update(visitor).chain_update([0]).chain_update(key).finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Uuid::new_v8(bytes)
}

async fn hold(State(app): Shared, headers: HeaderMap, Json(body): Json<Lines>) -> Response {
    let (Some(visitor), Some(key)) = (header(&headers, "holdfast-visitor"), header(&headers, "idempotency-key")) else {
        return problem(StatusCode::BAD_REQUEST, "key-missing");
    };
    let [line] = &body.lines[..] else { return problem(StatusCode::BAD_REQUEST, "bad-request") };
    if line.item != ITEM {
        return problem(StatusCode::NOT_FOUND, "not-found");
    }
    let id = id_of(visitor, key);
    let call = HoldCall { id, visitor: visitor.to_owned(), quantity: i64::from(line.quantity) };
    match app.store.hold(call).await {
        Ok(Hold::Held) => (StatusCode::CREATED, Json(json!({"hold_id": id, "state": "held"}))).into_response(),
        Ok(Hold::SoldOut) => problem(StatusCode::CONFLICT, "sold-out"),
        Ok(Hold::LimitReached) => problem(StatusCode::CONFLICT, "limit-reached"),
        Err(error) => failed(&*error),
    }
}

async fn confirm(State(app): Shared, Path(id): Path<Uuid>, headers: HeaderMap) -> Response {
    let Some(visitor) = header(&headers, "holdfast-visitor") else {
        return problem(StatusCode::UNAUTHORIZED, "unauthenticated");
    };
    match app.store.confirm(id, visitor.to_owned()).await {
        Ok(Some(seq)) => {
            let booking = json!({"booking_id": id, "state": "booked", "log": "lane/postgres/0", "seq": seq});
            (StatusCode::CREATED, Json(booking)).into_response()
        }
        Ok(None) => problem(StatusCode::GONE, "hold-gone"),
        Err(error) => failed(&*error),
    }
}

async fn bookings(State(app): Shared, headers: HeaderMap) -> Response {
    let visitor = header(&headers, "holdfast-visitor").unwrap_or_default().to_owned();
    let read = async {
        let client = app.pool.get().await?;
        let statement = "SELECT id, seq FROM holds WHERE visitor = $1 AND state = 'b'";
        Ok::<_, crate::server::Failed>(client.query(statement, &[&visitor]).await?)
    };
    match read.await {
        Ok(rows) => {
            let all: Vec<Value> = rows
                .iter()
                .map(|row| json!({"booking_id": row.get::<_, Uuid>(0), "seq": row.get::<_, i64>(1)}))
                .collect();
            Json(json!({"bookings": all})).into_response()
        }
        Err(error) => failed(&*error),
    }
}

fn failed(error: &(dyn std::error::Error + Send + Sync)) -> Response {
    eprintln!("{error}");
    problem(StatusCode::SERVICE_UNAVAILABLE, "unavailable")
}
