//! Claims and tries of appends.

use std::sync::Arc;

use domain::LogId;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::Inner;
use super::segments::{Segment, segment_number, signed};
use super::statements::Parts;
use crate::append::{Attempt, Batch, Tried};
use crate::{Error, Writer};

/// What stands in the static cells beside the fence, so that a claim whose answer got lost knows itself.
pub(super) type ClaimId = [u8; 16];

impl Inner {
    /// Claims, however many others do so at the same time. May be called again with the same id after a doubt.
    pub(super) async fn claim(&self, log: &LogId, owner: &str, id: ClaimId) -> Result<Writer, Error> {
        loop {
            let Some(last) = self.talk.last(&self.known, log).await? else {
                self.talk.seed_first(log).await?;
                continue;
            };
            if last.state.claim.as_deref() == Some(&id) {
                return Ok(writer(log, owner, &last));
            }
            if last.state.sealed {
                self.talk.seed_next(log, &last).await?;
                continue;
            }
            let fence = last.state.head.fence;
            let segment = segment_number(last.number)?;
            let values = (signed(fence + 1)?, owner, id.as_slice(), log.as_str(), segment, signed(fence)?);
            if self.talk.decide(&self.talk.statements.claim, values).await? {
                // The head may have moved until the fence was raised; from then on it stands still.
                let Some(state) = self.talk.state(log.as_str(), last.number).await? else {
                    return Err(Error::unavailable(format!("segment {} of {log} is gone", last.number)));
                };
                let mut claimed = Segment { state, ..last };
                // Somebody else may have claimed since: then this writer will be refused, and says which claim it is.
                claimed.state.head.fence = fence + 1;
                return Ok(writer(log, owner, &claimed));
            }
        }
    }

    /// Whether conditions can be decided now. Changes nothing.
    pub(super) async fn probe(&self) -> Result<(), Error> {
        self.talk.decide(&self.talk.statements.probe, ()).await.map(|_| ())
    }

    async fn try_append(&self, batch: &Batch) -> Result<Tried, Error> {
        let place = batch.place;
        if let (0, Some(number)) = (place.rows, place.segment.checked_sub(1)) {
            // The first append of a writer that sealed: its segment may not be there yet.
            let sealed = self.talk.state(batch.log.as_str(), number).await?.filter(|state| state.sealed);
            if let Some(state) = sealed {
                self.talk.seed_next(&batch.log, &Segment { number, state }).await?;
            }
        }
        let parts = Parts {
            log: batch.log.as_str(),
            segment: segment_number(place.segment)?,
            fence: signed(batch.fence)?,
            before: signed(batch.head)?,
            seals: batch.seals,
            rows: signed(place.rows + 1)?,
            bytes: signed(place.bytes + batch.text.len() as u64)?,
            count: signed(batch.events)?,
            id: &batch.id,
            events: &batch.text,
        };
        if self.talk.append(&parts).await? {
            return Ok(Tried::Applied);
        }
        // Not applied now; but perhaps by an earlier try. Only the row tells: the static cells are overwritten by whoever comes next (R4).
        if self.talk.author(parts.log, parts.segment, parts.before + 1).await?.as_deref() == Some(batch.id.as_slice()) {
            return Ok(Tried::Applied);
        }
        let last = self.talk.last(&self.known, &batch.log).await?;
        Ok(Tried::Refused(last.map(|last| last.state.head).unwrap_or_default()))
    }
}

fn writer(log: &LogId, owner: &str, segment: &Segment) -> Writer {
    let head = &segment.state.head;
    Writer { log: log.clone(), fence: head.fence, owner: owner.to_owned(), head: head.head, place: segment.place() }
}

/// The way of an append into the database.
pub(super) struct Tries(pub(super) Arc<Inner>);

impl Attempt for Tries {
    fn attempt<'a>(&'a self, batch: &'a Arc<Batch>) -> BoxFuture<'a, Result<Tried, Error>> {
        async move {
            let tried = self.0.try_append(batch).await;
            self.0.meters.tried(&tried);
            tried
        }
        .boxed()
    }
}
