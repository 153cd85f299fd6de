//! A sale's event feed: its logs merged, from a cursor on, one event a line.
//!
//! `{"log":"lane/demo/0","seq":7,"event":{...}}`; the last line is `{"next":"..."}`, the cursor to go on from. The logs are not
//! put in one order: each is in its own, and events carry their times.

use domain::limits::MAX_LANES;
use domain::{LogId, SaleId};
use ingress::NoEvents;
use ledger::Ledger;

/// Events of one log in one page.
const PAGE: usize = 1_000;

/// The part of the feed that follows `from` (empty: from the beginning), as lines of JSON.
///
/// # Errors
/// The cursor is none, or the ledger cannot be read.
pub(crate) async fn page(ledger: &Ledger, sale: &SaleId, from: &str) -> Result<String, NoEvents> {
    let mut at = Cursor::parse(from)?;
    let mut page = String::new();
    for log in logs(ledger, sale).await? {
        let seq = at.of(&log, sale);
        let entries = ledger.read(&log, *seq, PAGE).await.map_err(|error| unread(&error))?;
        for entry in entries {
            *seq = entry.seq;
            page.push_str(&format!("{{\"log\":\"{log}\",\"seq\":{},\"event\":{}}}\n", entry.seq, entry.event));
        }
    }
    page.push_str(&format!("{{\"next\":\"{}\"}}\n", at.text()));
    Ok(page)
}

/// The sale's logs: its own, its line's, its lanes'.
async fn logs(ledger: &Ledger, sale: &SaleId) -> Result<Vec<LogId>, NoEvents> {
    let lanes = ledger.list(&format!("lane/{sale}/")).await.map_err(|error| unread(&error))?;
    Ok([LogId::sale(sale), LogId::line(sale)].into_iter().chain(lanes).collect())
}

fn unread(error: &ledger::Error) -> NoEvents {
    NoEvents::Unavailable(error.to_string())
}

/// How far each log was read: sale, line, then lanes by number, as `3-120-4711`.
struct Cursor(Vec<u64>);

impl Cursor {
    fn parse(text: &str) -> Result<Self, NoEvents> {
        if text.is_empty() {
            return Ok(Self(Vec::new()));
        }
        // A number's own parser would take a plus sign too, which the feed never writes.
        let number = |part: &str| part.parse().ok().filter(|_| part.bytes().all(|b| b.is_ascii_digit()));
        match text.split('-').map(number).collect::<Option<Vec<u64>>>() {
            Some(at) if at.len() <= usize::from(MAX_LANES) + 2 => Ok(Self(at)),
            _ => Err(NoEvents::BadPosition("must be what the feed's last line gave as next, or absent".into())),
        }
    }

    fn of(&mut self, log: &LogId, sale: &SaleId) -> &mut u64 {
        let place = match log.as_str().strip_prefix("lane/").and_then(|rest| rest.rsplit_once('/')) {
            Some((_, lane)) => lane.parse::<u16>().map_or(0, usize::from) + 2,
            None => usize::from(*log == LogId::line(sale)),
        };
        if self.0.len() <= place {
            self.0.resize(place + 1, 0);
        }
        &mut self.0[place]
    }

    fn text(&self) -> String {
        self.0.iter().map(u64::to_string).collect::<Vec<_>>().join("-")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_cursor_is_read_back_as_it_was_written() {
        let sale: SaleId = "demo".parse().unwrap();
        let mut at = Cursor::parse("").unwrap();
        *at.of(&LogId::lane(&sale, 1), &sale) = 7;
        *at.of(&LogId::sale(&sale), &sale) = 3;
        assert_eq!(at.text(), "3-0-0-7");
        let mut again = Cursor::parse(&at.text()).unwrap();
        assert_eq!(*again.of(&LogId::lane(&sale, 1), &sale), 7);
    }

    #[test]
    fn what_the_feed_never_wrote_is_no_cursor() {
        let many = vec!["1"; 1_027].join("-");
        for bad in ["x", "-1", "3-x", "3--1", "3-", "+3", " 3", "3.0", "18446744073709551616", &many] {
            assert!(matches!(Cursor::parse(bad), Err(NoEvents::BadPosition(_))), "{bad}");
        }
    }

    #[tokio::test]
    async fn behind_the_end_there_are_no_events() {
        let files = tempfile::tempdir().unwrap();
        let ledger = Ledger::sqlite(&files.path().join("ledger.db")).unwrap();
        let sale: SaleId = "demo".parse().unwrap();
        let writer = ledger.claim(&LogId::sale(&sale), "test").await.unwrap();
        assert!(matches!(ledger.append(&writer, &["{}".into()]).await.unwrap(), ledger::Append::Appended(_)));
        assert_eq!(page(&ledger, &sale, "").await.unwrap().lines().count(), 2);
        for end in ["1", "900", "18446744073709551615"] {
            let found = page(&ledger, &sale, end).await.unwrap();
            assert!(found.lines().count() == 1 && found.starts_with(&format!("{{\"next\":\"{end}")), "{found}");
        }
    }
}
