//! `sale ...`: operating the sales of a running program through `/admin/v1`.

use std::io::Read as _;
use std::path::Path;
use std::time::{Duration, Instant};

use domain::SaleDoc;
use serde_json::{Value, json};

use crate::admin::Admin;
use crate::cli::Sale;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::out::{self, Out};
use crate::{demo, production};

/// Bytes of a document read from stdin.
const MAX_STDIN: u64 = domain::limits::HTTP_ADMIN_BODY_BYTES as u64;
/// How long a sale may take from the act to being served.
const SERVED_IN: Duration = Duration::from_secs(10);
/// Between two looks whether it is.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Runs the command.
pub(super) fn run(config: &Config, command: &Sale, as_json: bool) -> Result<Exit, Failure> {
    match command {
        Sale::Apply { file } => apply(config, file, as_json),
        Sale::List => list(&Admin::new(config)?, as_json),
        Sale::Show { sale } => show(&Admin::new(config)?, sale),
        Sale::Codes { sale, class, count, uses, why } => {
            let asked = json!({ "count": count, "uses": uses, "why": why });
            codes(&Admin::new(config)?, sale, class, &asked, as_json)
        }
        _ => Act::of(command).map_or(Ok(Exit::Done), |act| act.send(&Admin::new(config)?, as_json)),
    }
}

fn document(file: &Path) -> Result<SaleDoc, Failure> {
    if file != Path::new("-") {
        return demo::document_of(file);
    }
    let mut text = String::new();
    std::io::stdin()
        .take(MAX_STDIN)
        .read_to_string(&mut text)
        .map_err(|error| Failure::new("sale document on stdin", error, ""))?;
    demo::document("on stdin", &text)
}

/// Mistakes of the document itself are told without asking anybody.
fn apply(config: &Config, file: &Path, as_json: bool) -> Result<Exit, Failure> {
    let doc = document(file)?;
    production::may_sell(config.mode, &doc).map_err(|why| Failure::new(format!("sale {}", doc.id), why, ""))?;
    let admin = Admin::new(config)?;
    let what = format!("sale {}", doc.id);
    let answer = admin.call("PUT", &path(doc.id.as_str()), &[], &doc.to_json())?.done(&what)?;
    let created = answer.status == 201;
    wait_until_served(&admin, doc.id.as_str())?;
    told(as_json, &answer.body, format_args!("{what}: {}", if created { "created" } else { "applied" }))
}

/// An act on one sale, as the API takes it.
struct Act<'a> {
    sale: &'a str,
    method: &'static str,
    /// Behind the sale's own path.
    path: String,
    body: Value,
    why: &'a str,
    /// Under which a repeat changes nothing.
    key: Option<String>,
    /// What is told when it is done.
    done: String,
}

impl<'a> Act<'a> {
    /// `None`: the command is no act.
    fn of(command: &'a Sale) -> Option<Self> {
        let post = |sale: &'a str, path: &str, body: Value, why: &'a str, done: &str| {
            Some(Self { sale, method: "POST", path: path.to_owned(), body, why, key: None, done: done.to_owned() })
        };
        let put = |sale: &'a str, path: &str, body: Value, why: &'a str, done: String| {
            Some(Self { sale, method: "PUT", path: path.to_owned(), body, why, key: None, done })
        };
        match command {
            Sale::Apply { .. } | Sale::List | Sale::Show { .. } | Sale::Codes { .. } => None,
            Sale::Open { sale, why } => post(sale, "open", json!({}), why, "opened"),
            Sale::Close { sale, why } => post(sale, "close", json!({}), why, "closed"),
            Sale::Pause { sale, reason, why } => {
                let why = if why.is_empty() { reason } else { why };
                post(sale, "pause", json!({ "message": reason }), why, "paused")
            }
            Sale::Resume { sale, ramp, why } => {
                post(sale, "resume", json!({ "ramp_ms": ramp.as_millis() as u64 }), why, "goes on")
            }
            Sale::Pace { sale, per_minute, why } => {
                let done = format!("at most {per_minute} passes a minute");
                put(sale, "pace", json!({ "pace_per_minute": per_minute }), why, done)
            }
            Sale::Cap { sale, active_passes, why } => {
                let done = format!("at most {active_passes} passes at once");
                put(sale, "cap", json!({ "active_passes": active_passes }), why, done)
            }
            Sale::StopJoining { sale, undo, why } => {
                let done = if *undo { "joining goes on" } else { "nobody new may join" };
                put(sale, "joining", json!({ "open": undo }), why, done.to_owned())
            }
            Sale::LetThrough { sale, undo, why } => {
                let done = if *undo { "called at the pace again" } else { "everybody is called" };
                put(sale, "let-through", json!({ "on": !undo }), why, done.to_owned())
            }
            Sale::Stock { sale, item, units, key, why } => {
                let done = if *units < 0 { "withdrawal" } else { "units added" };
                let done = format!("{done}, {units} of {item}");
                let act = post(sale, &format!("items/{item}/stock"), json!({ "units": units }), why, &done)?;
                let key = key.clone().unwrap_or_else(|| format!("{:032x}", rand::random::<u128>()));
                Some(Self { key: Some(key), ..act })
            }
        }
    }

    fn send(mut self, admin: &Admin, as_json: bool) -> Result<Exit, Failure> {
        // Whoever is not answered can repeat it under the same key.
        let what = match &self.key {
            Some(key) => format!("sale {} (--key {key})", self.sale),
            None => format!("sale {}", self.sale),
        };
        if !self.why.is_empty()
            && let Some(body) = self.body.as_object_mut()
        {
            body.insert("why".to_owned(), json!(self.why));
        }
        let path = format!("{}/{}", path(self.sale), self.path);
        let headers: Vec<_> = self.key.iter().map(|key| ("Idempotency-Key", key.as_str())).collect();
        let answer = admin.call(self.method, &path, &headers, &self.body.to_string())?.done(&what)?;
        if self.path == "open" {
            wait_until_served(admin, self.sale)?;
        }
        let later =
            if answer.status == 202 { "; not all lanes have answered, repeat it to see how it stands" } else { "" };
        told(as_json, &answer.body, format_args!("{what}: {}{later}", self.done))
    }
}

fn told(as_json: bool, body: &str, text: std::fmt::Arguments<'_>) -> Result<Exit, Failure> {
    if as_json {
        out::line(body.trim_end())?
    } else {
        out::line(text)?
    }
    Ok(Exit::Done)
}

fn list(admin: &Admin, as_json: bool) -> Result<Exit, Failure> {
    let answer = admin.call("GET", "/admin/v1/sales", &[], "")?.done("sales")?;
    if as_json {
        out::line(answer.body.trim_end())?;
        return Ok(Exit::Done);
    }
    let body = answer.json("sales")?;
    let mut out = Out::new();
    for sale in body.get("sales").and_then(Value::as_array).into_iter().flatten() {
        let text = |key: &str| sale.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let title = sale.pointer("/doc/title").and_then(Value::as_str).unwrap_or_default();
        if !out.line(format_args!("{}\t{}\t{title}", text("id"), text("state")))? {
            break;
        }
    }
    out.done()?;
    Ok(Exit::Done)
}

fn show(admin: &Admin, sale: &str) -> Result<Exit, Failure> {
    let what = format!("sale {sale}");
    let body = admin.call("GET", &path(sale), &[], "")?.done(&what)?.json(&what)?;
    out::line(serde_json::to_string_pretty(&body).unwrap_or_default())?;
    Ok(Exit::Done)
}

/// One code a line, ready for whoever sends them out.
fn codes(admin: &Admin, sale: &str, class: &str, asked: &Value, as_json: bool) -> Result<Exit, Failure> {
    let what = format!("sale {sale}");
    let path = format!("{}/classes/{class}/codes", path(sale));
    let answer = admin.call("POST", &path, &[], &asked.to_string())?.done(&what)?;
    if as_json {
        out::line(answer.body.trim_end())?;
        return Ok(Exit::Done);
    }
    let body = answer.json(&what)?;
    let mut out = Out::new();
    for code in body.get("codes").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        if !out.line(format_args!("{code}"))? {
            break;
        }
    }
    out.done()?;
    Ok(Exit::Done)
}

/// The act is recorded when it is answered; its lanes and its line take a moment to start. A script that goes on with a request
/// should not have to know.
fn wait_until_served(admin: &Admin, sale: &str) -> Result<(), Failure> {
    let deadline = Instant::now() + SERVED_IN;
    while Instant::now() < deadline {
        let what = format!("sale {sale}");
        let answer = admin.call("GET", &path(sale), &[], "")?;
        if answer.status == 200 && is_served(&answer.json(&what)?) {
            return Ok(());
        }
        std::thread::sleep(LOOK_EVERY);
    }
    out::say(format_args!(
        "holdfast: sale {sale}: recorded, but not served yet; see /readyz?verbose of the operators' listener"
    ));
    Ok(())
}

fn is_served(sale: &Value) -> bool {
    let is = |part: &Value, what: &str| part.get(what).and_then(Value::as_bool) == Some(true);
    let Some(live) = sale.get("live") else { return false };
    // What another process owns is known from the store alone, which has all of it by the time it was read.
    let read = live.get("as_of").is_some();
    let loaded = |part: &Value| is(part, "loaded") || (read && !is(part, "owned"));
    let lanes = live.get("lanes").and_then(Value::as_array);
    lanes.is_some_and(|lanes| lanes.iter().all(loaded)) && live.get("line").is_none_or(loaded)
}

fn path(sale: &str) -> String {
    format!("/admin/v1/sales/{sale}")
}
