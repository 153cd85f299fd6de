//! One line: what Redis shows of it never runs in front of its log, and somebody owns it.

use domain::event::Event as _;
use domain::{LineEvent, LogId, SaleId};
use ledger::Ledger;
use lua::{CallError, LineKeys, Redis};
use tokio::time::Instant;

use super::{Found, PART, Unowned};
use crate::metrics::{Invariant, Kind};

/// See the module's text.
pub(super) struct LineWatch {
    sale: SaleId,
    keys: LineKeys,
    log: LogId,
    /// Up to where the log was read, and what it said there.
    seq: u64,
    frontier: u64,
    numbers_to: u64,
    /// Entries of the log by which the frontier went back.
    went_back: u64,
    unowned: Unowned,
}

impl LineWatch {
    pub(super) fn new(sale: &SaleId) -> Self {
        let (keys, log) = (LineKeys::new(sale), LogId::line(sale));
        Self {
            sale: sale.clone(),
            keys,
            log,
            seq: 0,
            frontier: 0,
            numbers_to: 0,
            went_back: 0,
            unowned: Unowned::default(),
        }
    }

    /// One look; what differs is added to `found`.
    pub(super) async fn look(&mut self, redis: &Redis, ledger: &Ledger, found: &mut Found) {
        let shown = match self.shown(redis, found).await {
            Ok(shown) => shown,
            Err(why) => {
                found.add(Kind::NotSeen, 1);
                return tracing::debug!(log = %self.log, %why, "a line could not be compared");
            }
        };
        let read = self.read(ledger).await;
        found.breaks(&self.sale, Invariant::Order, self.went_back);
        match read {
            Ok(true) => {}
            // The rest of a long log comes with the next rounds.
            Ok(false) => return,
            Err(why) => {
                found.add(Kind::NotSeen, 1);
                return tracing::debug!(log = %self.log, %why, "a line's log could not be read");
            }
        }
        if let Some((frontier, numbers_to)) = shown
            && (frontier > self.frontier || numbers_to > self.numbers_to)
        {
            found.add(Kind::LineAhead, 1);
            found.breaks(&self.sale, Invariant::Durable, 1);
            tracing::error!(log = %self.log, frontier, logged = self.frontier, "Redis shows a line that its log does not have");
        }
    }

    /// Frontier and numbers as Redis shows them; `None`: it does not have the line.
    async fn shown(&mut self, redis: &Redis, found: &mut Found) -> Result<Option<(u64, u64)>, CallError> {
        let holder = lua::lease::holder(redis, (&self.keys).into()).await?;
        if self.unowned.see(holder.as_deref(), Instant::now()) {
            found.add(Kind::LineWithoutOwner, 1);
        }
        match lua::line::look(redis, &self.keys).await {
            Ok(look) => Ok(Some((look.state.frontier, look.state.numbers_to))),
            Err(CallError::NotLoaded) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads on; true when all there was is read.
    async fn read(&mut self, ledger: &Ledger) -> Result<bool, String> {
        let entries = ledger.read(&self.log, self.seq, PART).await.map_err(|error| error.to_string())?;
        let count = entries.len();
        for entry in entries {
            let event = LineEvent::decode(&entry.event).map_err(|error| error.to_string())?;
            if event.frontier < self.frontier {
                self.went_back += 1;
                tracing::error!(log = %self.log, seq = entry.seq, "the frontier goes back (I6)");
            }
            (self.seq, self.frontier, self.numbers_to) = (entry.seq, event.frontier, event.numbers_to);
        }
        Ok(count == 0 || self.seq >= ledger.head(&self.log).await.map_err(|error| error.to_string())?.head)
    }
}
