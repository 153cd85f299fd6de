//! What `dev` and `serve` say when they serve: for people on stderr, or as one line of JSON on stdout.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::json;

use crate::failure::Failure;
use crate::out;

/// What is told.
pub(crate) struct Banner<'a> {
    /// Absent where visitors are not served.
    pub(crate) public: Option<SocketAddr>,
    /// Where other processes reach this one.
    pub(crate) internal: Option<&'a str>,
    pub(crate) roles: Vec<&'static str>,
    /// Whether visitors' connections are encrypted.
    pub(crate) tls: bool,
    pub(crate) admin: SocketAddr,
    pub(crate) operator_key: &'a str,
    pub(crate) keys: &'a Path,
    pub(crate) data: &'a Path,
    pub(crate) redis: &'a str,
    /// As in the settings, with an absolute path.
    pub(crate) ledger: &'a str,
    pub(crate) sales: Vec<String>,
    /// Whether the shipped demo sales are among them.
    pub(crate) demo: bool,
}

impl Banner<'_> {
    /// Says it. With `as_json` the line is part of the contract (`docs/API.md`).
    pub(crate) fn show(&self, as_json: bool) -> Result<(), Failure> {
        let planted = crate::planted::shout();
        if as_json {
            let mut line = json!({
                "ready": true,
                "public": self.public_url(),
                "admin": format!("http://{}", self.admin),
                "operator_key": self.operator_key,
                "data": self.data,
                "redis": self.redis,
                "ledger": self.ledger,
                "sales": self.sales,
                "roles": self.roles,
                "internal": self.internal,
            });
            if let (Some(bug), Some(fields)) = (planted, line.as_object_mut()) {
                fields.insert("planted".to_owned(), bug.into());
            }
            return out::line(line);
        }
        out::say(self.text());
        Ok(())
    }

    fn public_url(&self) -> Option<String> {
        Some(format!("{}://{}", if self.tls { "https" } else { "http" }, self.public?))
    }

    fn text(&self) -> String {
        let (public, admin) = (self.public_url(), self.admin);
        let visitors = public.as_ref().map_or_else(
            || format!("  roles       {}\n", self.roles.join(", ")),
            |public| format!("  visitors    {public}/v1/sales\n  API         {public}/openapi.json\n"),
        );
        let mut text = format!(
            "\nholdfast {} is serving\n\n{visitors}\
             \x20 operators   http://{admin}/admin/v1  (key in {})\n\
             \x20 metrics     http://{admin}/metrics\n\
             \x20 data        {}\n\
             \x20 ledger      {}  (the truth; the rest can be rebuilt)\n\
             \x20 sales       {}\n",
            env!("CARGO_PKG_VERSION"),
            self.keys.display(),
            self.data.display(),
            self.ledger,
            if self.sales.is_empty() { "none: holdfast sale apply FILE".to_owned() } else { self.sales.join(", ") },
        );
        if let Some(public) = public.filter(|_| self.demo) {
            text.push_str("\nBook a ticket: join the line, get a pass when called, hold, confirm. Paste this:\n\n");
            text.push_str(&journey(&public));
        }
        text.push_str("\nCtrl-C ends it; started again on the same directory it goes on from where it was.\n");
        text
    }
}

/// Shell commands that book one unit of the demo sale. A test runs them.
pub(crate) fn journey(public: &str) -> String {
    format!(
        r#"H={public}; J=$(mktemp)
curl -sS -b $J -c $J -X POST $H/v1/sales/demo/tickets; echo
until curl -sSf -b $J -c $J -X POST $H/v1/sales/demo/passes; do sleep 0.2; done; echo
HOLD=$(curl -sS -b $J -X POST $H/v1/sales/demo/holds -H "Idempotency-Key: $RANDOM-$RANDOM" -H 'Content-Type: application/json' \
  -d '{{"lines": [{{"item": "standing", "quantity": 1}}]}}' | sed 's/.*"hold_id": *"\([^"]*\)".*/\1/')
curl -sS -b $J -X POST $H/v1/holds/$HOLD/confirm -H "Idempotency-Key: $HOLD" -H 'Content-Type: application/json' -d '{{}}'; echo
rm -f $J
"#
    )
}
