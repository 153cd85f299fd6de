//! One visitor of a sale.

use serde_json::{Value, json};

use super::{Reply, World};

/// A visitor with the tokens it was given.
#[derive(Clone, Default, Debug)]
pub struct Visitor {
    pub token: String,
    pub ticket: String,
    pub pass: String,
    pub booked: String,
    /// The proof of work that is sent along.
    pub proof: String,
}

impl Visitor {
    /// A new anonymous one.
    pub async fn new(world: &World) -> Self {
        let reply = world.ask("POST", "/v1/visitors", &[], b"").await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        Self { token: text(&reply.json()["visitor"]), ..Self::default() }
    }

    fn headers(&self) -> Vec<(&str, &str)> {
        let all = [
            ("holdfast-visitor", &self.token),
            ("holdfast-ticket", &self.ticket),
            ("holdfast-pass", &self.pass),
            ("holdfast-booked", &self.booked),
            ("holdfast-proof", &self.proof),
        ];
        all.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| (name, value.as_str())).collect()
    }

    pub async fn get(&self, world: &World, path: &str) -> Reply {
        world.ask("GET", path, &self.headers(), b"").await
    }

    pub async fn delete(&self, world: &World, path: &str) -> Reply {
        world.ask("DELETE", path, &self.headers(), b"").await
    }

    pub async fn post(&self, world: &World, path: &str, key: &str, body: &[u8]) -> Reply {
        let mut headers = self.headers();
        if !key.is_empty() {
            headers.push(("idempotency-key", key));
        }
        if !body.is_empty() {
            headers.push(("content-type", "application/json"));
        }
        world.ask("POST", path, &headers, body).await
    }

    /// Joins and keeps the ticket.
    pub async fn join(&mut self, world: &World, sale: &str) -> Reply {
        let reply = self.post(world, &format!("/v1/sales/{sale}/tickets"), "", b"").await;
        if reply.status < 300 {
            self.ticket = text(&reply.json()["ticket"]);
        }
        reply
    }

    /// Claims and keeps the pass.
    pub async fn claim(&mut self, world: &World, sale: &str) -> Reply {
        let reply = self.post(world, &format!("/v1/sales/{sale}/passes"), "", b"").await;
        if reply.status < 300 {
            self.pass = text(&reply.json()["pass"]);
        }
        reply
    }

    pub async fn hold(&self, world: &World, sale: &str, key: &str, lines: &[(&str, u32)]) -> Reply {
        let lines: Vec<Value> = lines.iter().map(|(item, n)| json!({"item": item, "quantity": n})).collect();
        let body = json!({"lines": lines}).to_string();
        self.post(world, &format!("/v1/sales/{sale}/holds"), key, body.as_bytes()).await
    }

    /// Confirms until the ledger has decided.
    pub async fn confirm(&self, world: &World, hold: &str) -> Reply {
        loop {
            let reply = self.post(world, &format!("/v1/holds/{hold}/confirm"), "c", b"{}").await;
            if reply.status != 202 {
                return reply;
            }
        }
    }
}

/// The text of a JSON string.
#[track_caller]
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("text: {value}")).to_owned()
}
