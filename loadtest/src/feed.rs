//! Reading the sale's event feed after a run, page by page and bounded.

use std::time::{Duration, Instant};

use domain::{SaleId, event::Event as _};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::http::Pool;
use crate::limits::{FEED_WITHIN, MAX_FEED_EVENTS, MAX_FEED_PAGE_BYTES};
use crate::oracle::FeedTruth;
use crate::scout::resolve;

/// One line of a page: an event of a log, or where to go on.
#[derive(Deserialize)]
struct Line<'t> {
    log: Option<&'t str>,
    #[serde(default)]
    seq: u64,
    #[serde(borrow)]
    event: Option<&'t RawValue>,
    next: Option<&'t str>,
}

/// Everything the feed has, and why it is not everything. What was read before something went wrong is kept: it is
/// checked as far as it goes.
pub(crate) async fn read(admin: &str, sale: &SaleId, key: Option<&str>) -> (FeedTruth, Option<String>) {
    let mut truth = FeedTruth::default();
    let left_out = read_into(&mut truth, admin, sale, key).await.err();
    truth.complete = left_out.is_none();
    (truth, left_out)
}

async fn read_into(truth: &mut FeedTruth, admin: &str, sale: &SaleId, key: Option<&str>) -> Result<(), String> {
    let address = resolve(admin).map_err(|error| error.to_string())?;
    let pool = Pool::new(address, 1, FEED_WITHIN / 2).of_answers_up_to(MAX_FEED_PAGE_BYTES);
    let bearer = key.map(|key| format!("Authorization: Bearer {key}\r\n")).unwrap_or_default();
    let (until, mut from, mut read) = (Instant::now() + FEED_WITHIN, String::new(), 0);
    loop {
        let request = format!(
            "GET /admin/v1/sales/{sale}/events?from={from} HTTP/1.1\r\nHost: {admin}\r\n{bearer}Accept: application/x-ndjson\r\n\r\n"
        );
        let page = pool.call(request.as_bytes(), false, |reply| match reply.status {
            200 => add(truth, reply.body),
            status => Err(format!("it was answered {status}")),
        });
        let (events, next) = page.await.map_err(|lost| format!("{admin} does not answer ({lost})"))??;
        if events == 0 {
            return Ok(());
        }
        read += events;
        if next == from {
            return Err("a page with events does not say where to go on".to_owned());
        }
        if read >= MAX_FEED_EVENTS || Instant::now() + Duration::from_millis(1) >= until {
            return Err(format!("{read} events were read and checked, more follow"));
        }
        from = next;
    }
}

/// Adds a page: how many events it has, and the cursor behind it.
fn add(truth: &mut FeedTruth, page: &[u8]) -> Result<(u64, String), String> {
    let text = std::str::from_utf8(page).map_err(|_| "a page is no text".to_owned())?;
    let (mut events, mut next) = (0, None);
    for line in text.lines() {
        let bad = |error: &dyn std::fmt::Display| {
            format!("a line cannot be read ({error}): {}", line.chars().take(200).collect::<String>())
        };
        let read: Line<'_> = serde_json::from_str(line).map_err(|error| bad(&error))?;
        if let (Some(log), Some(event)) = (read.log, read.event) {
            events += 1;
            one(truth, log, read.seq, event.get()).map_err(|error| bad(&error))?;
        }
        next = read.next.or(next);
    }
    // A cursor goes into the next request as it is.
    let next = next.filter(|next| next.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
    Ok((events, next.ok_or("a page has no cursor at its end")?.to_owned()))
}

fn one(truth: &mut FeedTruth, log: &str, seq: u64, event: &str) -> Result<(), domain::event::BadEvent> {
    let lane = log.strip_prefix("lane/").and_then(|rest| rest.rsplit_once('/')).and_then(|(_, lane)| lane.parse().ok());
    truth.follows(log, seq);
    if let Some(lane) = lane {
        truth.lane(lane, seq, domain::LaneEvent::decode(event)?);
    } else if log.starts_with("line/") {
        truth.line.event(&domain::LineEvent::decode(event)?);
    } else if log.starts_with("sale/") {
        truth.sale(domain::SaleEvent::decode(event)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const LINE: &str = r#"{"log":"line/demo","seq":1,"event":{"v":1,"t":"line","at":5,"numbers_to":64,"frontier":0}}"#;

    #[test]
    fn a_page_is_read_to_its_cursor() {
        let mut truth = FeedTruth::default();
        let page = format!("{LINE}\n{{\"next\":\"0-1\"}}\n");
        assert_eq!(add(&mut truth, page.as_bytes()), Ok((1, "0-1".to_owned())));
        assert_eq!(add(&mut truth, b"{\"next\":\"0-1\"}\n"), Ok((0, "0-1".to_owned())));
    }

    #[test]
    fn what_is_no_page_is_said() {
        for bad in [
            "",
            "<html>",
            LINE,
            "{\"next\":\"0 HTTP/1.1\"}",
            "{\"log\":\"lane/demo/0\",\"seq\":1,\"event\":{\"v\":99}}",
        ] {
            assert!(add(&mut FeedTruth::default(), bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
