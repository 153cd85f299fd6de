//! Load, unload, mend, and what reads.

use domain::limits::OVERDUE_AFTER_MS;
use domain::{ItemId, Millis};

use super::{Intent, LaneModel};
use crate::error::CallError;
use crate::lane::{
    ItemStock, LaneMeta, LaneState, LoadBegin, LoadChunk, LoadEnd, LoadReply, Mend, MendReply, Mended, Undecided,
    VisitorCounts,
};

impl LaneModel {
    /// As [`crate::lane::load_begin`].
    pub fn load_begin(&mut self, begin: &LoadBegin) -> LoadReply {
        match self.state {
            LaneState::Loaded { .. } => return LoadReply::Refused,
            LaneState::Loading { epoch, .. } if epoch > begin.epoch => return LoadReply::Refused,
            _ => {}
        }
        let item = |(item, free): (&ItemId, &i64)| {
            let moved = begin.moved.get(item).copied().unwrap_or_default();
            (item.clone(), ItemStock { free: *free, live: 0, moved })
        };
        let items = begin.free.iter().map(item).collect();
        let state = LaneState::Loading { epoch: begin.epoch, head: begin.head, chunks: 0 };
        *self = Self { state, items, ..Self::default() };
        LoadReply::Done
    }

    /// As [`crate::lane::load_chunk`].
    pub fn load_chunk(&mut self, chunk: &LoadChunk) -> LoadReply {
        if self.state != (LaneState::Loading { epoch: chunk.epoch, head: chunk.head, chunks: chunk.n }) {
            return LoadReply::Refused;
        }
        self.holds.extend(chunk.records.iter().map(|(id, record)| {
            let mut record = record.clone();
            record.deadline = Millis(0);
            (*id, record)
        }));
        self.visitors.extend(chunk.visitors.iter().map(|(visitor, load)| {
            (*visitor, VisitorCounts { units: load.units, done: load.done, ..VisitorCounts::default() })
        }));
        self.state = LaneState::Loading { epoch: chunk.epoch, head: chunk.head, chunks: chunk.n + 1 };
        LoadReply::Done
    }

    /// As [`crate::lane::load_end`].
    pub fn load_end(&mut self, end: &LoadEnd) -> LoadReply {
        if self.state != (LaneState::Loading { epoch: end.epoch, head: end.head, chunks: end.n }) {
            return LoadReply::Refused;
        }
        self.state = LaneState::Loaded { epoch: end.epoch, settled: end.head };
        LoadReply::Done
    }

    /// As [`crate::lane::unload`].
    pub fn unload(&mut self, epoch: u64) -> bool {
        let there = match self.state {
            LaneState::Empty => 0,
            LaneState::Loading { epoch, .. } | LaneState::Loaded { epoch, .. } => epoch,
        };
        if there <= epoch {
            *self = Self::default();
        }
        there <= epoch
    }

    /// As [`crate::lane::mend`].
    ///
    /// # Errors
    /// [`CallError::NotLoaded`].
    pub fn mend(&mut self, mend: &Mend) -> Result<MendReply, CallError> {
        let (_, settled) = self.in_service()?;
        if settled != mend.expected {
            return Ok(MendReply::Behind { settled });
        }
        let mut mended = vec![];
        for item in &mend.items {
            let was = self.items.get(&item.item).copied();
            let stock = self.items.entry(item.item.clone()).or_default();
            let unsold =
                i64::try_from(item.allocated).unwrap_or(i64::MAX) - i64::try_from(item.sold).unwrap_or(i64::MAX);
            stock.free = unsold - stock.live;
            if was != Some(*stock) {
                mended.push(Mended { item: item.item.clone(), was: was.map(|stock| stock.free), is: stock.free });
            }
        }
        Ok(MendReply::Done(mended))
    }

    /// As [`crate::lane::undecided_all`], in order of the ids.
    ///
    /// # Errors
    /// [`CallError::NotLoaded`].
    pub fn undecided(&self) -> Result<Vec<Undecided>, CallError> {
        self.in_service()?;
        let read = |intent: &Intent| match intent {
            Intent::Confirm(id) => Undecided::Confirm(*id, self.holds.get(id).cloned()),
            Intent::Cancel(id) => Undecided::Cancel(*id),
        };
        Ok(self.confirming.iter().map(read).collect())
    }

    /// As [`crate::lane::meta`].
    #[must_use]
    pub fn meta(&self, now: Millis) -> LaneMeta {
        let (confirming, holds, due) = (self.confirming.len() as u64, self.holds.len() as u64, self.due.len() as u64);
        let overdue = self.due.values().filter(|when| **when + OVERDUE_AFTER_MS <= now.0).count() as u64;
        LaneMeta { now, state: self.state, confirming, holds, due, overdue }
    }
}
