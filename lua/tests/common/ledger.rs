//! A small committer: decides intents by R5 and knows what Redis must show at any seq.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use domain::event::WITHDRAWN;
use domain::state::HoldState;
use domain::{HoldId, ItemId, Lines, Millis, RefuseReason, VisitorHash};
use lua::lane::{
    LoadBegin, LoadChunk, MendItem, Moved, NO_FINGERPRINT, Record, Settle, SettleEvent, Settling, Undecided,
    VisitorLoad,
};

/// The log of a lane and what its owner still has to tell Redis.
#[derive(Default)]
pub(crate) struct Ledger {
    log: Vec<Settling>,
    /// Intents decided without an event since the last settle that carried any.
    resolved: Vec<HoldId>,
    cancels: Vec<HoldId>,
}

/// The log's fold up to some seq.
#[derive(Default)]
pub(crate) struct Fold {
    pub(crate) allocated: BTreeMap<ItemId, i64>,
    pub(crate) sold: BTreeMap<ItemId, i64>,
    pub(crate) records: BTreeMap<HoldId, Record>,
    pub(crate) visitors: BTreeMap<VisitorHash, VisitorLoad>,
    pub(crate) moved: BTreeMap<ItemId, Moved>,
}

impl Fold {
    fn move_sold(&mut self, visitor: &VisitorHash, lines: &Lines, sign: i64) {
        for (item, units) in lines.iter() {
            *self.sold.entry(item.clone()).or_default() += sign * i64::from(units);
        }
        let load = self.visitors.entry(*visitor).or_default();
        load.units = load.units.checked_add_signed(sign * i64::try_from(lines.units()).unwrap()).unwrap();
    }

    fn apply(&mut self, seq: u64, event: &Settling) {
        let record = |state, visitor: &VisitorHash, at| Record {
            state,
            visitor: *visitor,
            deadline: Millis(0),
            fp: NO_FINGERPRINT,
            pass: None,
            lines: Lines::none(),
            seq,
            at,
            why: None,
        };
        match event {
            Settling::Booked { id, visitor, fp, pass, lines, at } => {
                self.move_sold(visitor, lines, 1);
                let load = self.visitors.entry(*visitor).or_default();
                load.done = load.done.max(*pass);
                let sold = record(HoldState::Sold, visitor, *at);
                self.records.insert(*id, Record { fp: *fp, pass: *pass, lines: lines.clone(), ..sold });
            }
            Settling::Refused { id, visitor, why, at } => {
                let refused = record(HoldState::Refused, visitor, *at);
                self.records.insert(*id, Record { why: Some(*why), ..refused });
            }
            Settling::Cancelled { id, visitor, at, lines, .. } => {
                self.move_sold(visitor, lines, -1);
                let sold = self.records.get(id).cloned().unwrap();
                self.records.insert(*id, Record { state: HoldState::Cancelled, seq, at: *at, ..sold });
            }
            Settling::TransferOut { id, to, lines, at } => {
                for (item, units) in lines.iter() {
                    *self.allocated.entry(item.clone()).or_default() -= i64::from(units);
                    if *to != WITHDRAWN {
                        self.moved.entry(item.clone()).or_default().given += u64::from(units);
                    }
                }
                let given = record(HoldState::Sold, &VisitorHash::for_lane(*to), *at);
                self.records.insert(*id, Record { lines: lines.clone(), ..given });
            }
            Settling::TransferIn { lines } => {
                for (item, units) in lines.iter() {
                    *self.allocated.entry(item.clone()).or_default() += i64::from(units);
                    self.moved.entry(item.clone()).or_default().received += u64::from(units);
                }
            }
            Settling::Stock { lines } => {
                for (item, units) in lines {
                    *self.allocated.entry(item.clone()).or_default() += i64::try_from(*units).unwrap();
                }
            }
        }
    }

    /// Units that Redis must have, free or live.
    pub(crate) fn unsold(&self) -> BTreeMap<ItemId, i64> {
        let sold = |item| self.sold.get(item).copied().unwrap_or_default();
        self.allocated.iter().map(|(item, units)| (item.clone(), units - sold(item))).collect()
    }

    pub(crate) fn mend_items(&self) -> Vec<MendItem> {
        let item = |(item, units): (&ItemId, &i64)| MendItem {
            item: item.clone(),
            allocated: u64::try_from(*units).unwrap(),
            sold: u64::try_from(self.sold.get(item).copied().unwrap_or_default()).unwrap(),
        };
        self.allocated.iter().map(item).collect()
    }

    pub(crate) fn load_begin(&self, epoch: u64, head: u64) -> LoadBegin {
        LoadBegin { epoch, head, free: self.unsold(), moved: self.moved.clone() }
    }

    /// Everything in chunks of `size`.
    pub(crate) fn load_chunks(&self, epoch: u64, head: u64, size: usize) -> Vec<LoadChunk> {
        let records: Vec<_> = self.records.iter().map(|(id, record)| (*id, record.clone())).collect();
        let visitors: Vec<_> = self.visitors.iter().map(|(visitor, load)| (*visitor, *load)).collect();
        let chunk = |records: &[_], visitors: &[_]| LoadChunk {
            epoch,
            head,
            n: 0,
            records: records.to_vec(),
            visitors: visitors.to_vec(),
        };
        let mut chunks: Vec<_> = records.chunks(size).map(|records| chunk(records, &[])).collect();
        chunks.extend(visitors.chunks(size).map(|visitors| chunk(&[], visitors)));
        for (n, chunk) in (0..).zip(&mut chunks) {
            chunk.n = n;
        }
        chunks
    }
}

impl Ledger {
    pub(crate) fn head(&self) -> u64 {
        self.log.len() as u64
    }

    pub(crate) fn fold(&self, to: u64) -> Fold {
        let mut fold = Fold::default();
        for (seq, event) in (1..=to).zip(&self.log) {
            fold.apply(seq, event);
        }
        fold
    }

    pub(crate) fn stock(&mut self, item: &str, units: u64) {
        self.log.push(Settling::Stock { lines: [(item.parse().unwrap(), units)].into_iter().collect() });
    }

    pub(crate) fn receive(&mut self, item: &str, units: u32) {
        self.log.push(Settling::TransferIn { lines: [(item.parse().unwrap(), units)].into_iter().collect() });
    }

    /// Decides intents by R5: the first event of an id decides, for ever.
    pub(crate) fn decide(&mut self, intents: &[Undecided]) {
        for intent in intents {
            let fold = self.fold(self.head());
            let at = Millis(1_700_000_000_000 + self.head());
            match intent {
                Undecided::Confirm(id, _) if fold.records.contains_key(id) => self.resolved.push(*id),
                Undecided::Confirm(_, None) => {}
                Undecided::Confirm(id, Some(record)) => self.log.push(decided(&fold, *id, record, at)),
                Undecided::Cancel(id) => match fold.records.get(id) {
                    // Units given to another lane are no booking.
                    Some(sold) if sold.state == HoldState::Sold && sold.visitor.as_lane().is_none() => {
                        let Record { visitor, fp, pass, lines, .. } = sold.clone();
                        self.log.push(Settling::Cancelled { id: *id, visitor, fp, pass, lines, at });
                    }
                    _ => self.cancels.push(*id),
                },
            }
        }
    }

    /// The next settle of a lane that stands at `settled`: at most `most` events, resolutions with the last.
    pub(crate) fn settle(&mut self, settled: u64, most: usize) -> Settle {
        let from = usize::try_from(settled).unwrap();
        let to = self.log.len().min(from + most);
        let events = (settled + 1..).zip(&self.log[from..to]);
        let events = events.map(|(seq, what)| SettleEvent { seq, what: what.clone() }).collect();
        let mut settle = Settle { expected: settled, events, ..Settle::default() };
        if to == self.log.len() {
            let fold = self.fold(self.head());
            let resolution = |id: HoldId| (id, fold.records[&id].clone());
            settle.resolutions = self.resolved.drain(..).map(resolution).collect();
            settle.cancels = self.cancels.drain(..).collect();
        }
        settle
    }
}

fn decided(fold: &Fold, id: HoldId, record: &Record, at: Millis) -> Settling {
    let Record { visitor, fp, pass, lines, .. } = record.clone();
    let unsold = fold.unsold();
    let room = |item: &ItemId, units: u32| unsold.get(item).copied().unwrap_or_default() >= i64::from(units);
    if lines.is_empty() {
        Settling::Refused { id, visitor, why: RefuseReason::Gone, at }
    } else if lines.iter().all(|(item, units)| room(item, units)) {
        match visitor.as_lane() {
            Some(to) => Settling::TransferOut { id, to, lines, at },
            None => Settling::Booked { id, visitor, fp, pass, lines, at },
        }
    } else {
        Settling::Refused { id, visitor, why: RefuseReason::SoldOut, at }
    }
}
