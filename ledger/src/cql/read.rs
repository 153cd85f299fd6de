//! Reads: the heads linearizably, the rows below them plainly, page by page.

use std::future::Future;
use std::time::Duration;

use domain::LogId;
use domain::limits::{CQL_INDEX_SHARDS, CQL_PAGE_ROWS, LEDGER_READ_MS, MAX_READ_BYTES, MAX_READ_EVENTS, RESEND_MS};
use futures_util::future::try_join_all;
use scylla::response::PagingState;
use scylla::statement::prepared::PreparedStatement;
use tokio::time::{Instant, sleep, timeout_at};

use super::Inner;
use super::failure::of_read;
use super::segments::{Sealed, segment_number, signed};
use super::statements::odd;
use crate::page::Page;
use crate::{Applied, Entry, Error, Head};

/// Reads may be repeated: until one is answered, or the deadline has passed. The node that left one without an answer comes last in the next.
pub(super) async fn until_read<T, F>(mut read: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let deadline = Instant::now() + Duration::from_millis(LEDGER_READ_MS);
    let mut pause = Duration::from_millis(RESEND_MS.0);
    loop {
        let error = match timeout_at(deadline, read()).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => error,
            Err(_) => Error::unavailable(format!("a read took more than {LEDGER_READ_MS} ms")),
        };
        // What was not even sent found no node at all.
        let again = error.applied() == Applied::Unknown && Instant::now() + pause < deadline;
        if !again {
            return Err(of_read(error));
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(RESEND_MS.1));
    }
}

/// Why a segment's rows do not make a page.
enum Flaw {
    Error(Error),
    /// Rows contradict each other, or some are not to be seen.
    Content(String),
}

impl From<Error> for Flaw {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// A segment in which a read begins, as far as it is known to reach.
struct Found {
    number: u32,
    /// Number of the last event before it.
    base: u64,
    reach: Sealed,
    /// Whether there was none behind it when this was looked up.
    is_last: bool,
}

/// What of an answer is still to be filled.
struct Part {
    after: u64,
    most: usize,
    /// In the answer so far.
    bytes: usize,
}

impl Inner {
    pub(super) async fn head(&self, log: &LogId) -> Result<Head, Error> {
        Ok(self.talk.last(&self.known, log).await?.map(|last| last.state.head).unwrap_or_default())
    }

    pub(super) async fn read(&self, log: &LogId, after: u64, most: usize) -> Result<Vec<Entry>, Error> {
        let most = most.min(MAX_READ_EVENTS);
        // CQL's integers are signed, and there is nothing above them.
        if most == 0 || i64::try_from(after.saturating_add(1)).is_err() {
            return Ok(Vec::new());
        }
        let mut entries: Vec<Entry> = Vec::new();
        let mut bytes = 0;
        while let Some(found) = self.find(log, after + entries.len() as u64).await? {
            let part = Part { after: after + entries.len() as u64, most: most - entries.len(), bytes };
            let more = self.segment(log, &found, &part).await?;
            bytes += more.iter().map(|entry| entry.event.len()).sum::<usize>();
            entries.extend(more);
            if found.is_last || entries.len() >= most || bytes >= MAX_READ_BYTES {
                break;
            }
        }
        Ok(entries)
    }

    /// What one segment adds to an answer: something, because it reaches further than the answer does.
    async fn segment(&self, log: &LogId, found: &Found, part: &Part) -> Result<Vec<Entry>, Error> {
        let statements = &self.talk.statements;
        match self.page(log, found, part, &statements.rows).await {
            Ok(entries) => Ok(entries),
            Err(Flaw::Error(error)) => Err(error),
            // Rows whose append is still being completed by somebody: a linearizable read completes it first.
            Err(Flaw::Content(_)) => match self.page(log, found, part, &statements.rows_serial).await {
                Ok(entries) => Ok(entries),
                Err(Flaw::Error(error)) => Err(error),
                Err(Flaw::Content(why)) => {
                    Err(Error::Damaged { at: self.settings.to_string(), why: format!("{log}: {why}") })
                }
            },
        }
    }

    /// The segment that holds event `after + 1`; `None` when there is no such event.
    async fn find(&self, log: &LogId, after: u64) -> Result<Option<Found>, Error> {
        let find = |sealed: &[Sealed]| {
            let at = sealed.iter().position(|segment| segment.head > after)?;
            let base = at.checked_sub(1).and_then(|before| sealed.get(before)).map_or(0, |before| before.head);
            Some(Found { number: u32::try_from(at).ok()?, base, reach: *sealed.get(at)?, is_last: false })
        };
        if let Some(found) = find(&self.known.of(log)) {
            return Ok(Some(found));
        }
        let Some(last) = self.talk.last(&self.known, log).await? else { return Ok(None) };
        // What the walk passed by.
        let sealed = self.known.of(log);
        if let Some(found) = find(&sealed) {
            return Ok(Some(found));
        }
        let state = last.state;
        let reach = Sealed { head: state.head.head, rows: state.rows, bytes: state.bytes };
        let base = last.number.checked_sub(1).and_then(|before| sealed.get(before as usize)).map_or(0, |end| end.head);
        Ok((reach.head > after).then_some(Found { number: last.number, base, reach, is_last: true }))
    }

    async fn page(
        &self,
        log: &LogId,
        found: &Found,
        part: &Part,
        statement: &PreparedStatement,
    ) -> Result<Vec<Entry>, Flaw> {
        let after = part.after;
        let segment = segment_number(found.number)?;
        let first = if after <= found.base { found.base + 1 } else { self.start(log, segment, after + 1).await? };
        let mut page = Page::new(after, part.most, first).behind(part.bytes);
        let mut from = PagingState::start();
        loop {
            let values = (log.as_str(), segment, signed(first)?, signed(found.reach.head)?);
            let (rows, next) = self.talk.page(statement, page_rows(&found.reach), values, from).await?;
            for row in rows.rows::<(i64, i64, &str)>().map_err(|error| odd(&error))? {
                let (first, count, events) = row.map_err(|error| odd(&error))?;
                if page.add(first.unsigned_abs(), count.unsigned_abs(), events).map_err(Flaw::Content)? {
                    return Ok(page.entries());
                }
            }
            match next.into_paging_control_flow() {
                std::ops::ControlFlow::Continue(state) => from = state,
                std::ops::ControlFlow::Break(()) => return page.ended(found.reach.head).map_err(Flaw::Content),
            }
        }
    }

    /// Number of the first event of the append that holds this one.
    async fn start(&self, log: &LogId, segment: i32, seq: u64) -> Result<u64, Flaw> {
        let rows = self.talk.ask(&self.talk.statements.start, (log.as_str(), segment, signed(seq)?)).await?;
        let first = rows.maybe_first_row::<(Option<i64>,)>().map_err(|error| odd(&error))?;
        match first.and_then(|(first,)| first).and_then(|first| u64::try_from(first).ok()) {
            Some(first) => Ok(first),
            None => Err(Flaw::Content(format!("event {seq} is missing"))),
        }
    }

    pub(super) async fn list(&self, prefix: &str) -> Result<Vec<LogId>, Error> {
        let shards = (0..CQL_INDEX_SHARDS).map(|shard| self.list_shard(i32::from(shard), prefix));
        let mut names = try_join_all(shards).await?.concat();
        names.sort_unstable();
        let log = |name: String| {
            let why = || format!("{name:?} is no log's name");
            name.parse().map_err(|_| Error::Damaged { at: self.settings.to_string(), why: why() })
        };
        names.into_iter().map(log).collect()
    }

    async fn list_shard(&self, shard: i32, prefix: &str) -> Result<Vec<String>, Error> {
        // Names are ASCII, so the greatest character comes after all that begin with the prefix.
        let end = format!("{prefix}{}", char::MAX);
        let mut names = Vec::new();
        let mut from = PagingState::start();
        loop {
            let values = (shard, prefix, end.as_str());
            let most = i32::try_from(CQL_PAGE_ROWS.1).unwrap_or(i32::MAX);
            let (rows, next) = self.talk.page(&self.talk.statements.list, most, values, from).await?;
            for row in rows.rows::<(String,)>().map_err(|error| odd(&error))? {
                names.push(row.map_err(|error| odd(&error))?.0);
            }
            match next.into_paging_control_flow() {
                std::ops::ControlFlow::Continue(state) => from = state,
                std::ops::ControlFlow::Break(()) => return Ok(names),
            }
        }
    }
}

/// Rows of one request: pages are bounded in rows only, so by what the segment's rows are like. The segment's own bound holds in any case.
fn page_rows(segment: &Sealed) -> i32 {
    let average = (segment.bytes / segment.rows.max(1)).max(1);
    let rows = (MAX_READ_BYTES as u64 / average).clamp(CQL_PAGE_ROWS.0, CQL_PAGE_ROWS.1);
    i32::try_from(rows).unwrap_or(i32::MAX)
}
