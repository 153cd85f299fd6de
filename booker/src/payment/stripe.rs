//! Stripe: PaymentIntents with manual capture. A payment is made without its customer, who then pays in the browser with the client
//! secret; card data never comes here.
//!
//! Stripe remembers the answer under an Idempotency-Key for a day, that of a failure too. So making a payment and refunding keep
//! their key whatever is answered; capturing and cancelling are guarded by the payment's own state, and take a new key for each
//! try, or a failure would be answered for a day.

use std::fmt;

use domain::limits::{MAX_PAYMENT_ANSWER_BYTES, MAX_PAYMENT_BYTES, MAX_REFUNDS_LISTED};
use domain::{HoldId, Millis, Money, Step};
use serde::Deserialize;

use super::form::{Form, encode};
use super::stripe_money::{from_stripe, to_stripe};
use super::webhook::{Forged, verify};
use super::{Call, Method, Notice, Provider, Request, Said};
use crate::checkout::Report;

/// The version of Stripe's API that is spoken here, whatever the account's default is.
const VERSION: &str = "2024-06-20";

/// An account at Stripe.
#[derive(Clone)]
pub struct Stripe {
    /// The secret key of the account.
    pub key: String,
    /// Secrets that webhooks are signed with: the present one, and while it is replaced the one before.
    pub webhook_secrets: Vec<String>,
}

impl fmt::Debug for Stripe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stripe(..)")
    }
}

/// A PaymentIntent, as much of it as matters.
#[derive(Deserialize)]
struct Intent {
    id: String,
    status: String,
    currency: String,
    #[serde(default)]
    amount_capturable: i64,
    #[serde(default)]
    amount_received: i64,
    #[serde(default)]
    client_secret: Option<String>,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Refund {
    status: Option<String>,
    amount: i64,
    currency: String,
    #[serde(default)]
    payment_intent: Option<String>,
    #[serde(default)]
    failure_reason: Option<String>,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Deserialize)]
struct List {
    data: Vec<Refund>,
    #[serde(default)]
    has_more: bool,
}

#[derive(Deserialize, Default)]
struct Metadata {
    #[serde(default)]
    booking: Option<String>,
    #[serde(default)]
    step: Option<String>,
}

impl Metadata {
    fn booking(&self) -> Option<HoldId> {
        self.booking.as_deref()?.parse().ok()
    }

    fn refund(&self) -> Option<Step> {
        self.step.as_deref()?.parse().ok().filter(|step| matches!(step, Step::Refund(_)))
    }
}

#[derive(Deserialize)]
struct Failure {
    error: Failed,
}

#[derive(Deserialize)]
struct Failed {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    payment_intent: Option<Intent>,
}

impl Failed {
    fn said(&self) -> String {
        format!("{}: {}", self.code.as_deref().unwrap_or(&self.kind), self.message.as_deref().unwrap_or_default())
    }
}

#[derive(Deserialize)]
struct Event {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    object: serde_json::Value,
}

impl Stripe {
    fn post(&self, path: String, key: String, body: Form) -> Request {
        let mut request = self.get(path);
        request.method = Method::Post;
        request.headers.push(("Content-Type", "application/x-www-form-urlencoded".to_owned()));
        request.headers.push(("Idempotency-Key", key));
        request.body = body.body();
        request
    }

    fn get(&self, path: String) -> Request {
        let headers = vec![("Authorization", format!("Bearer {}", self.key)), ("Stripe-Version", VERSION.to_owned())];
        Request { method: Method::Get, path, headers, body: String::new() }
    }
}

fn intent_path(payment: &str, end: &str) -> String {
    let mut path = "/v1/payment_intents/".to_owned();
    encode(payment, &mut path);
    path + end
}

/// The key of a step that the payment's own state guards.
fn key_of_try(call: &Call, before: u32) -> String {
    let key = call.step().key(call.id());
    if before == 0 { key } else { format!("{key}:{before}") }
}

impl Provider for Stripe {
    fn name(&self) -> &'static str {
        "stripe"
    }

    fn request(&self, call: &Call, before: u32) -> Option<Request> {
        let key = call.step().key(call.id());
        let ours = |form: Form| form.with("metadata[booking]", call.id().to_string());
        Some(match call {
            Call::Authorise { due, .. } => {
                let form = Form::default()
                    .with("amount", to_stripe(*due)?.to_string())
                    .with("currency", due.currency.as_str().to_ascii_lowercase())
                    .with("capture_method", "manual")
                    .with("automatic_payment_methods[enabled]", "true");
                self.post("/v1/payment_intents".to_owned(), key, ours(form))
            }
            Call::LookUp { payment, .. } => self.get(intent_path(payment, "")),
            Call::Capture { payment, due, .. } => {
                let form = Form::default().with("amount_to_capture", to_stripe(*due)?.to_string());
                self.post(intent_path(payment, "/capture"), key_of_try(call, before), form)
            }
            Call::Void { payment, .. } => {
                let form = Form::default().with("cancellation_reason", "abandoned");
                self.post(intent_path(payment, "/cancel"), key_of_try(call, before), form)
            }
            Call::Refund { payment, money, .. } => {
                let form = Form::default()
                    .with("payment_intent", payment)
                    .with("amount", to_stripe(*money)?.to_string())
                    .with("metadata[step]", call.step().to_string());
                self.post("/v1/refunds".to_owned(), key, ours(form))
            }
            Call::FindRefund { payment, .. } => {
                let query =
                    Form::default().with("payment_intent", payment).with("limit", MAX_REFUNDS_LISTED.to_string());
                self.get(format!("/v1/refunds?{}", query.body()))
            }
        })
    }

    fn read(&self, call: &Call, status: u16, body: &[u8]) -> Said {
        if body.len() > MAX_PAYMENT_ANSWER_BYTES {
            return Said::Unknown("the answer is too large".to_owned());
        }
        match status {
            200 => {
                match call {
                    Call::Refund { money, .. } => serde_json::from_slice(body)
                        .map_or_else(|_| unreadable(), |refund| refunded(call, *money, &refund)),
                    Call::FindRefund { money, last, .. } => serde_json::from_slice(body)
                        .map_or_else(|_| unreadable(), |list| found(call, *money, *last, &list)),
                    _ => serde_json::from_slice(body).map_or_else(|_| unreadable(), |intent| judge(call, &intent)),
                }
            }
            // Asked for what cannot be done, or declined: the payment's state says what is the case.
            400 | 402 => match serde_json::from_slice::<Failure>(body) {
                Ok(Failure { error }) => failed(call, &error),
                Err(_) => unreadable(),
            },
            // Also 401, 403 and 404: a key that is wrong or a payment that is not found says nothing about what was done.
            _ => Said::Unknown(format!("the provider answered {status}")),
        }
    }

    fn notice(&self, signature: &str, body: &[u8], now: Millis) -> Result<Notice, Forged> {
        verify(&self.webhook_secrets, signature, body, now)?;
        let event: Event = serde_json::from_slice(body).map_err(|_| Forged::Unreadable)?;
        if event.id.is_empty() || event.id.len() > MAX_PAYMENT_BYTES {
            return Err(Forged::Unreadable);
        }
        let (id, report) = if event.kind.starts_with("payment_intent.") {
            let intent: Intent = serde_json::from_value(event.data.object).map_err(|_| Forged::Unreadable)?;
            (intent.metadata.booking(), told(&intent))
        } else if event.kind.starts_with("refund.") || event.kind == "charge.refund.updated" {
            let refund: Refund = serde_json::from_value(event.data.object).map_err(|_| Forged::Unreadable)?;
            let report = refund.metadata.refund().and_then(|step| state_of(step, &refund));
            (refund.metadata.booking(), report)
        } else {
            (None, None)
        };
        Ok(Notice { event: event.id, id, report: report.filter(|_| id.is_some()) })
    }
}

fn unreadable() -> Said {
    Said::Unknown("the answer cannot be read".to_owned())
}

fn failed(call: &Call, error: &Failed) -> Said {
    if let Some(intent) = &error.payment_intent {
        return judge(call, intent);
    }
    let asks_only = matches!(call, Call::LookUp { .. } | Call::FindRefund { .. });
    match error.kind.as_str() {
        "invalid_request_error" | "card_error" if !asks_only => Said::refused(call.step(), error.said()),
        // Also the same key with other content: what it was first used for may well have been done.
        _ => Said::Unknown(error.said()),
    }
}

/// What a payment's state means for what was asked.
fn judge(call: &Call, intent: &Intent) -> Said {
    if intent.metadata.booking().is_some_and(|booking| booking != call.id()) {
        return Said::Unknown(format!("{} belongs to another booking", intent.id));
    }
    let step = call.step();
    match (call, intent.status.as_str()) {
        (Call::Capture { due, .. }, "succeeded") => match from_stripe(intent.amount_received, &intent.currency) {
            Some(received) if received == *due => Said::done(step),
            _ => Said::Unknown(format!("{} was captured with another amount", intent.id)),
        },
        (Call::Capture { .. }, "processing") => Said::Waiting { report: None, client_secret: None },
        (Call::Capture { .. }, "canceled") => Said::refused(step, "the promise has ended"),
        (Call::Void { .. }, "canceled") => Said::done(step),
        (Call::Void { .. }, "succeeded") => Said::refused(step, "it was captured"),
        (Call::Authorise { .. } | Call::LookUp { .. }, _) => match told(intent) {
            Some(report @ Report::Opened { .. }) => {
                Said::Waiting { report: Some(report), client_secret: intent.client_secret.clone() }
            }
            Some(report) => Said::Ended(report),
            None => Said::Unknown(format!("{} is {}", intent.id, intent.status)),
        },
        (_, status) => Said::Unknown(format!("{} is {status}", intent.id)),
    }
}

/// What a payment's state says by itself.
fn told(intent: &Intent) -> Option<Report> {
    let payment = || intent.id.clone();
    Some(match intent.status.as_str() {
        "requires_payment_method" | "requires_confirmation" | "requires_action" | "processing" => {
            Report::Opened { payment: payment() }
        }
        "requires_capture" => {
            Report::Authorised { payment: payment(), amount: from_stripe(intent.amount_capturable, &intent.currency)? }
        }
        "succeeded" => Report::Done(Step::Capture),
        "canceled" => match Said::refused(Step::Authorise, "the payment is cancelled") {
            Said::Ended(report) => report,
            _ => return None,
        },
        _ => return None,
    })
}

fn refunded(call: &Call, money: Money, refund: &Refund) -> Said {
    let payment = match call {
        Call::Refund { payment, .. } | Call::FindRefund { payment, .. } => payment,
        _ => return unreadable(),
    };
    let amount = from_stripe(refund.amount, &refund.currency);
    let other = refund.payment_intent.as_ref().is_some_and(|of| of != payment);
    if amount != Some(money) || other || refund.metadata.booking().is_some_and(|booking| booking != call.id()) {
        return Said::Unknown("the answer is about another refund".to_owned());
    }
    state_of(call.step(), refund).map_or(Said::Waiting { report: None, client_secret: None }, Said::Ended)
}

fn found(call: &Call, money: Money, last: bool, list: &List) -> Said {
    match list.data.iter().find(|refund| refund.metadata.refund() == Some(call.step())) {
        Some(refund) => refunded(call, money, refund),
        None if last && !list.has_more => Said::refused(call.step(), "the refund was not made, and its key is too old"),
        None => Said::Unknown("the refund is not listed yet".to_owned()),
    }
}

/// How a refund ended; `None` while it has not.
fn state_of(step: Step, refund: &Refund) -> Option<Report> {
    match refund.status.as_deref() {
        Some("succeeded") => Some(Report::Done(step)),
        Some(failed @ ("failed" | "canceled")) => {
            let said = refund.failure_reason.as_deref().unwrap_or(failed);
            match Said::refused(step, said) {
                Said::Ended(report) => Some(report),
                _ => None,
            }
        }
        _ => None,
    }
}
