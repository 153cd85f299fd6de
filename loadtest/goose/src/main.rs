//! The journey of a visitor of Holdfast as a goose load test: join the line, wait, enter, hold, confirm; and a crowd that only
//! watches.
//!
//! `SALE=demo ITEM=standing cargo run --release -- --host http://127.0.0.1:8080 --users 50 --hatch-rate 10 --run-time 30s`
//!
//! What goose cannot do, and `holdfast load` does: visitors who come at their own times, latency from the intended start, a
//! history that is compared with what must hold. See docs/LOAD.md.

use std::time::Duration;

use goose::goose::GooseResponse;
use goose::prelude::*;
use serde_json::{Value, json};

/// How often a visitor asks again whose answer was lost, or whose turn has not come.
const MOST_POLLS: u32 = 600;

/// What a visitor has in hand. Empty after a refusal: the rest of the journey is left out.
#[derive(Default)]
struct Visit {
    visitor: String,
    ticket: String,
    number: u64,
    pass: String,
    hold: String,
    /// Journeys so far: each hold has a key of its own.
    journeys: u64,
}

fn sale() -> String {
    std::env::var("SALE").unwrap_or_else(|_| "demo".to_owned())
}

fn item() -> String {
    std::env::var("ITEM").unwrap_or_else(|_| "standing".to_owned())
}

/// One request with everything the visitor has in hand. `key` makes it one that may be sent again.
async fn call(
    user: &mut GooseUser,
    method: GooseMethod,
    name: &str,
    path: &str,
    key: Option<String>,
    body: Option<Value>,
) -> Result<GooseResponse, Box<TransactionError>> {
    let mut request = user.get_request_builder(&method, path)?;
    if let Some(visit) = user.get_session_data::<Visit>() {
        let tokens =
            [("Holdfast-Visitor", &visit.visitor), ("Holdfast-Ticket", &visit.ticket), ("Holdfast-Pass", &visit.pass)];
        for (header, token) in tokens.into_iter().filter(|(_, token)| !token.is_empty()) {
            request = request.header(header, token);
        }
    }
    if let Some(key) = key {
        request = request.header("Idempotency-Key", key);
    }
    if let Some(body) = body {
        request = request.header("Content-Type", "application/json").body(body.to_string());
    }
    let request = GooseRequest::builder().name(name).set_request_builder(request).build();
    user.request(request).await
}

/// Status and body of an answer. A refusal of the contract (4xx with a problem) is no failure of the server.
async fn read(user: &mut GooseUser, mut answer: GooseResponse) -> Result<(u16, Value), Box<TransactionError>> {
    let Ok(response) = answer.response else { return Ok((0, Value::Null)) };
    let status = response.status().as_u16();
    let text = response.text().await.unwrap_or_default();
    if (400..500).contains(&status) && text.contains("/problems/") {
        user.set_success(&mut answer.request)?;
    }
    Ok((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
}

fn text(body: &Value, field: &str) -> String {
    body[field].as_str().unwrap_or_default().to_owned()
}

/// A new visitor gets a ticket.
async fn join(user: &mut GooseUser) -> TransactionResult {
    let journeys = user.get_session_data::<Visit>().map_or(0, |visit| visit.journeys + 1);
    user.set_session_data(Visit { journeys, ..Visit::default() });
    let answer = call(user, GooseMethod::Post, "visitor", "/v1/visitors", None, None).await?;
    let (_, body) = read(user, answer).await?;
    user.set_session_data(Visit { visitor: text(&body, "visitor"), journeys, ..Visit::default() });
    let answer = call(user, GooseMethod::Post, "ticket", &format!("/v1/sales/{}/tickets", sale()), None, None).await?;
    let (_, body) = read(user, answer).await?;
    let visit = user.get_session_data_unchecked_mut::<Visit>();
    (visit.ticket, visit.number) = (text(&body, "ticket"), body["number"].as_u64().unwrap_or(0));
    Ok(())
}

/// Polls as often as the server says until the ticket is called, and exchanges it for a pass.
async fn enter(user: &mut GooseUser) -> TransactionResult {
    let (sale, number) = (sale(), user.get_session_data_unchecked::<Visit>().number);
    if user.get_session_data_unchecked::<Visit>().ticket.is_empty() {
        return Ok(());
    }
    for _ in 0..MOST_POLLS {
        let answer = call(user, GooseMethod::Get, "line", &format!("/v1/sales/{sale}/line"), None, None).await?;
        let (_, line) = read(user, answer).await?;
        if line["frontier"].as_u64().unwrap_or(0) >= number {
            let path = format!("/v1/sales/{sale}/passes");
            let answer = call(user, GooseMethod::Post, "pass", &path, None, None).await?;
            let (status, body) = read(user, answer).await?;
            if status == 200 || status == 201 {
                user.get_session_data_unchecked_mut::<Visit>().pass = text(&body, "pass");
                return Ok(());
            }
            if status != 409 {
                return Ok(());
            }
        }
        if matches!(line["state"].as_str(), Some("closed" | "sold_out")) {
            return Ok(());
        }
        let pause = line["poll_in_ms"].as_u64().unwrap_or(1_000).clamp(20, 10_000);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    Ok(())
}

/// A key that belongs to this visitor's journey alone: the visitor is part of what the server makes of it.
fn key(visit: &Visit, of: &str) -> Option<String> {
    Some(format!("goose-{}-{of}", visit.journeys))
}

async fn hold(user: &mut GooseUser) -> TransactionResult {
    let visit = user.get_session_data_unchecked::<Visit>();
    if visit.pass.is_empty() {
        return Ok(());
    }
    let (key, path) = (key(visit, "hold"), format!("/v1/sales/{}/holds", sale()));
    let lines = json!({ "lines": [{ "item": item(), "quantity": 1 }] });
    let answer = call(user, GooseMethod::Post, "hold", &path, key, Some(lines)).await?;
    let (_, body) = read(user, answer).await?;
    user.get_session_data_unchecked_mut::<Visit>().hold = text(&body, "hold_id");
    Ok(())
}

/// Confirms until it is decided: 202 means ask again, under the same key.
async fn confirm(user: &mut GooseUser) -> TransactionResult {
    let visit = user.get_session_data_unchecked::<Visit>();
    if visit.hold.is_empty() {
        return Ok(());
    }
    let (key, path) = (key(visit, "confirm"), format!("/v1/holds/{}/confirm", visit.hold));
    for _ in 0..MOST_POLLS {
        let answer = call(user, GooseMethod::Post, "confirm", &path, key.clone(), Some(json!({}))).await?;
        let (status, body) = read(user, answer).await?;
        if !matches!(status, 0 | 202 | 429 | 503) {
            return Ok(());
        }
        let pause = body["poll_in_ms"].as_u64().unwrap_or(200).clamp(20, 10_000);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    Ok(())
}

/// Reads the line's document.
async fn watch(user: &mut GooseUser) -> TransactionResult {
    let answer = call(user, GooseMethod::Get, "line", &format!("/v1/sales/{}/line", sale()), None, None).await?;
    read(user, answer).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), GooseError> {
    GooseAttack::initialize()?
        .register_scenario(
            scenario!("Buyer")
                .set_weight(4)?
                .set_wait_time(Duration::from_millis(100), Duration::from_millis(500))?
                .register_transaction(transaction!(join).set_name("join").set_sequence(1))
                .register_transaction(transaction!(enter).set_name("enter").set_sequence(2))
                .register_transaction(transaction!(hold).set_name("hold").set_sequence(3))
                .register_transaction(transaction!(confirm).set_name("confirm").set_sequence(4)),
        )
        .register_scenario(
            scenario!("Watcher")
                .set_weight(1)?
                .set_wait_time(Duration::from_secs(1), Duration::from_secs(3))?
                .register_transaction(transaction!(watch).set_name("watch")),
        )
        .execute()
        .await?;
    Ok(())
}
