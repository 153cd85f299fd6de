//! What is known about the sale before and after the run.

use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

use serde_json::Value;

use crate::http::{Lost, Pool};
use crate::limits::{CONNECT_WITHIN, FEED_WITHIN};
use crate::run::Sources;

/// Why a run cannot begin, or failed by itself.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    #[error("{0} has no address: check the target")]
    NoAddress(String),
    #[error("{address} does not answer ({lost}): start holdfast, or check the target")]
    NoAnswer { address: String, lost: Lost },
    #[error("{what} was answered {status} {body}")]
    Unexpected { what: String, status: u16, body: String },
    #[error("sale {sale} has no item {item}")]
    NoItem { sale: String, item: String },
    #[error(
        "the sale has a waiting room, and {0} does not enter it: use journey, join or poll, flash-sale, abuse or join-storm, or a sale with admission \"none\""
    )]
    WaitingRoom(String),
    #[error("the sale has no waiting room, and {0} needs one: use book or hold, steady, spike, soak or hot-seat")]
    NoWaitingRoom(String),
    #[error("the limit of {limit} units per visitor is below the quantity of {quantity}")]
    Limit { limit: u64, quantity: u32 },
    #[error("a thread cannot be started")]
    Thread(#[source] std::io::Error),
    #[error("a thread of the client broke off")]
    BrokeOff,
    #[error("{0} cannot be written ({1})")]
    NotWritten(String, String),
    #[error("no call was answered as the contract says")]
    NothingWorked,
    #[error(
        "no {0} was completed: {1} were begun, {2} cut off by the end of the run; the report says what was refused"
    )]
    NoneArrived(String, u64, u64),
    #[error("no {0} was completed: all {1} visitors found the sale over (closed or sold out)")]
    Over(String, u64),
}

/// A sale as the server describes it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scouted {
    pub(crate) items: Vec<String>,
    /// Units per item, as far as they were told.
    pub(crate) units: BTreeMap<String, u64>,
    pub(crate) waiting_room: Option<bool>,
    /// Joining needs a proof of work.
    pub(crate) proof_of_work: bool,
    pub(crate) units_per_visitor: Option<u64>,
}

pub(crate) fn resolve(authority: &str) -> Result<SocketAddr, Failed> {
    let mut addresses = authority.to_socket_addrs().map_err(|_| Failed::NoAddress(authority.to_owned()))?;
    addresses.next().ok_or_else(|| Failed::NoAddress(authority.to_owned()))
}

/// Asks the server about the sale.
pub(crate) async fn scout(sources: &Sources) -> Result<Scouted, Failed> {
    let path = format!("/v1/sales/{}", sources.sale);
    let public = get(&sources.target, &path, None).await?;
    let mut scouted = read(&public);
    if let Some(authority) = &sources.admin {
        let path = format!("/admin/v1/sales/{}", sources.sale);
        let told = get(authority, &path, sources.operator_key.as_deref()).await?;
        scouted.units.append(&mut read(&told).units);
    }
    Ok(scouted)
}

/// What does not hold according to the server's own audit, as (invariant, what), and what it left out.
pub(crate) async fn audit(sources: &Sources) -> Result<(Vec<(String, String)>, Vec<String>), Failed> {
    let Some(authority) = &sources.admin else { return Ok((Vec::new(), Vec::new())) };
    let path = format!("/admin/v1/sales/{}/audit", sources.sale);
    let report = get_within(FEED_WITHIN, authority, &path, sources.operator_key.as_deref()).await?;
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let checks = report.get("checks").and_then(Value::as_array).into_iter().flatten();
    let failed = checks.filter(|check| check.get("passed") == Some(&Value::Bool(false))).map(|check| {
        let findings = check.get("findings").and_then(Value::as_array).into_iter().flatten();
        let findings: Vec<_> = findings.filter_map(Value::as_str).collect();
        (text(check.get("invariant")), findings.join("; "))
    });
    let left = report.get("left_out").and_then(Value::as_array).into_iter().flatten();
    Ok((failed.collect(), left.map(|why| text(Some(why))).collect()))
}

async fn get(authority: &str, path: &str, key: Option<&str>) -> Result<Value, Failed> {
    get_within(CONNECT_WITHIN + Duration::from_secs(3), authority, path, key).await
}

async fn get_within(patience: Duration, authority: &str, path: &str, key: Option<&str>) -> Result<Value, Failed> {
    let address = resolve(authority)?;
    let bearer = key.map(|key| format!("Authorization: Bearer {key}\r\n")).unwrap_or_default();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\n{bearer}\r\n");
    let pool = Pool::new(address, 1, patience);
    let answer = pool.call(request.as_bytes(), false, |reply| (reply.status, reply.body.to_vec())).await;
    let (status, body) = answer.map_err(|lost| Failed::NoAnswer { address: authority.to_owned(), lost })?;
    match serde_json::from_slice(&body) {
        Ok(value) if status == 200 => Ok(value),
        _ => {
            let body = String::from_utf8_lossy(body.get(..body.len().min(300)).unwrap_or_default()).into_owned();
            Err(Failed::Unexpected { what: format!("GET {path}"), status, body })
        }
    }
}

/// The highest frontier of the line's document; none when it cannot be read.
pub(crate) async fn frontier(sources: &Sources) -> Option<u64> {
    let path = format!("/v1/sales/{}/line", sources.sale);
    get(&sources.target, &path, None).await.ok()?.get("frontier")?.as_u64()
}

/// Reads visitors' and operators' form alike; operators may have the document inside a larger one.
fn read(value: &Value) -> Scouted {
    let inner = ["doc", "document", "sale"].iter().find_map(|key| value.get(key).filter(|inner| inner.is_object()));
    let doc = inner.unwrap_or(value);
    let mut scouted = Scouted {
        waiting_room: doc.get("waiting_room").and_then(Value::as_bool),
        proof_of_work: doc.get("proof_of_work").and_then(Value::as_bool).unwrap_or(false),
        units_per_visitor: doc.pointer("/limits/units_per_visitor").and_then(Value::as_u64),
        ..Scouted::default()
    };
    for item in doc.get("items").and_then(Value::as_array).into_iter().flatten() {
        let id = item.get("id").or_else(|| item.get("item")).and_then(Value::as_str);
        if let Some(id) = id {
            scouted.items.push(id.to_owned());
            if let Some(units) = item.get("units").and_then(Value::as_u64) {
                scouted.units.insert(id.to_owned(), units);
            }
        }
    }
    scouted
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use serde_json::json;

    use super::*;

    #[test]
    fn both_forms_of_a_sale_are_read() {
        let public = read(
            &json!({"id": "a", "waiting_room": false, "limits": {"units_per_visitor": 4}, "items": [{"id": "x"}, {"id": "y"}]}),
        );
        assert_eq!(
            (public.items, public.waiting_room, public.units_per_visitor),
            (vec!["x".to_owned(), "y".to_owned()], Some(false), Some(4))
        );
        assert!(public.units.is_empty());
        let admin = read(&json!({"revision": 3, "doc": {"id": "a", "items": [{"id": "x", "units": 50}]}}));
        assert_eq!(admin.units, BTreeMap::from([("x".to_owned(), 50)]));
    }
}
