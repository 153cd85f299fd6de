//! The server's own metrics, read along with the run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::http::Pool;
use crate::limits::{CONNECT_WITHIN, MAX_SCRAPED, SCRAPE_EVERY};
use crate::scout::resolve;

/// Values of a metric over time, summed over its labels.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Scraped {
    /// By name: (seconds since the start, value). Counters and counts of histograms as they are, ever growing.
    pub(crate) metrics: BTreeMap<String, Vec<(f64, f64)>>,
    /// Looks that brought nothing.
    pub(crate) failed: u64,
}

/// Sums of the samples of a page of Prometheus text, by name. Buckets and comments are left out.
fn read(text: &str) -> BTreeMap<&str, f64> {
    let mut sums = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("holdfast_") || line.starts_with("process_")) {
        let Some((name, rest)) = line.find(['{', ' ']).map(|end| line.split_at(end)) else { continue };
        // The value stands behind the labels, which may hold blanks; a time may stand behind the value.
        let values = rest.rsplit_once('}').map_or(rest, |(_, values)| values);
        let value = values.split_whitespace().next().and_then(|value| value.parse::<f64>().ok());
        if let Some(value) = value.filter(|value| value.is_finite() && !name.ends_with("_bucket")) {
            *sums.entry(name).or_insert(0.0) += value;
        }
    }
    sums
}

impl Scraped {
    fn take(&mut self, at: f64, text: &str) {
        for (name, value) in read(text) {
            if let Some(values) = self.metrics.get_mut(name) {
                values.push((at, value));
            } else if self.metrics.len() < MAX_SCRAPED {
                self.metrics.insert(name.to_owned(), vec![(at, value)]);
            }
        }
    }
}

/// Reads along until it is asked for what it has.
pub(crate) struct Scraper {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<Scraped>>,
}

impl Scraper {
    /// Reads `GET /metrics` of `HOST:PORT` as often as there are columns; nothing when there is no address.
    pub(crate) fn start(authority: Option<String>, start: Instant, width: Duration) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&over);
        let thread = authority.and_then(|authority| {
            let body = move || scrape(&authority, start, width.max(SCRAPE_EVERY), &ended);
            thread::Builder::new().name("load-scrape".to_owned()).spawn(body).ok()
        });
        Self { over, thread }
    }

    pub(crate) fn end(mut self) -> Scraped {
        self.over.store(true, Ordering::Relaxed);
        let thread = self.thread.take();
        thread.iter().for_each(|thread| thread.thread().unpark());
        thread.and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

fn scrape(authority: &str, start: Instant, every: Duration, over: &AtomicBool) -> Scraped {
    let mut scraped = Scraped::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let (Ok(runtime), Ok(address)) = (runtime, resolve(authority)) else { return scraped };
    let pool = Pool::new(address, 1, CONNECT_WITHIN + every);
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {authority}\r\n\r\n");
    let mut next = start;
    loop {
        let at = start.elapsed().as_secs_f64();
        let taken = runtime.block_on(pool.call(request.as_bytes(), false, |reply| {
            let text = std::str::from_utf8(reply.body).ok().filter(|_| reply.status == 200);
            text.map(|text| scraped.take(at, text)).is_some()
        }));
        scraped.failed += u64::from(!matches!(taken, Ok(true)));
        if over.load(Ordering::Relaxed) {
            return scraped;
        }
        next += every;
        while Instant::now() < next && !over.load(Ordering::Relaxed) {
            thread::park_timeout(next.saturating_duration_since(Instant::now()));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const PAGE: &str = "# HELP holdfast_x what\n# TYPE holdfast_x counter\nholdfast_x{a=\"b c}\",d=\"e\"} 3\nholdfast_x{a=\"f\"} 4 1700000\n\
                        holdfast_seconds_bucket{le=\"1\"} 9\nholdfast_seconds_count 9\nholdfast_bad NaN\nother 7\n";

    #[test]
    fn samples_of_one_name_are_summed_and_buckets_left_out() {
        assert_eq!(read(PAGE), BTreeMap::from([("holdfast_x", 7.0), ("holdfast_seconds_count", 9.0)]));
    }

    #[test]
    fn values_stand_in_order_of_time() {
        let mut scraped = Scraped::default();
        scraped.take(0.0, "holdfast_x 1\n");
        scraped.take(1.0, "holdfast_x 5\nholdfast_y 2\n");
        assert_eq!(scraped.metrics["holdfast_x"], [(0.0, 1.0), (1.0, 5.0)]);
        assert_eq!(scraped.metrics["holdfast_y"], [(1.0, 2.0)]);
    }

    #[test]
    fn without_an_address_there_is_nothing() {
        let scraper = Scraper::start(None, Instant::now(), Duration::from_secs(1));
        assert_eq!(scraper.end(), Scraped::default());
    }
}
