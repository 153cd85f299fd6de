//! From the ledger's words to those of the scripts, and back.

use domain::{Fingerprint, HoldId, HoldState, LaneEvent, Millis, VisitorHash};
use lua::lane::{
    LoadBegin, LoadChunk, LoadEnd, Moved, NO_FINGERPRINT, Record, Settle, SettleEvent, Settling, VisitorLoad,
};

use crate::committer::{LoadStep, SettlePlan};
use crate::decide::Intent;
use crate::fold::{Decided, LaneFold};

/// The record of a decided id.
#[must_use]
pub fn record(decided: &Decided) -> Record {
    Record {
        state: decided.state,
        visitor: decided.visitor,
        deadline: Millis(0),
        fp: decided.fp.unwrap_or(NO_FINGERPRINT),
        pass: decided.pass,
        lines: (*decided.lines).clone(),
        seq: decided.seq,
        at: decided.at,
        why: decided.why,
    }
}

/// The intent of a record, while it is confirming.
#[must_use]
pub fn intent(id: HoldId, record: &Record) -> Option<Intent> {
    let lines = || record.lines.clone();
    (record.state == HoldState::Confirming).then(|| match record.visitor.as_lane() {
        Some(to) => Intent::Give { id, to, lines: lines() },
        None => {
            Intent::Confirm { id, visitor: record.visitor, lines: lines(), fp: known(record.fp), pass: record.pass }
        }
    })
}

/// The fingerprint, where the request's content is known.
#[must_use]
pub fn known(fp: Fingerprint) -> Option<Fingerprint> {
    (fp != NO_FINGERPRINT).then_some(fp)
}

/// The settle script's arguments. `None`: the fold lacks an id that an event names, which its own rules exclude.
#[must_use]
pub fn settle(plan: &SettlePlan, fold: &LaneFold) -> Option<Settle> {
    let events = plan.events.iter().map(|(seq, event)| Some(SettleEvent { seq: *seq, what: settling(event, fold)? }));
    let resolutions = plan.resolutions.iter().map(|id| fold.decided(id).map(|decided| (*id, record(decided))));
    Some(Settle {
        expected: plan.expected,
        events: events.collect::<Option<_>>()?,
        resolutions: resolutions.collect::<Option<_>>()?,
        cancels: plan.cancels.clone(),
    })
}

fn settling(event: &LaneEvent, fold: &LaneFold) -> Option<Settling> {
    Some(match event {
        LaneEvent::Booked { id, visitor, lines, fp, pass, at } => {
            Settling::Booked { id: *id, visitor: *visitor, fp: *fp, pass: *pass, lines: lines.clone(), at: *at }
        }
        LaneEvent::Refused { id, visitor, why, at } => {
            Settling::Refused { id: *id, visitor: *visitor, why: *why, at: *at }
        }
        LaneEvent::Cancelled { id, at } => {
            let booked = fold.decided(id)?;
            Settling::Cancelled {
                id: *id,
                visitor: booked.visitor,
                fp: booked.fp?,
                pass: booked.pass,
                lines: (*booked.lines).clone(),
                at: *at,
            }
        }
        LaneEvent::Stock { lines, .. } => Settling::Stock { lines: lines.clone() },
        LaneEvent::TransferOut { id, to, lines, at } => {
            Settling::TransferOut { id: *id, to: *to, lines: lines.clone(), at: *at }
        }
        LaneEvent::TransferIn { lines, .. } => Settling::TransferIn { lines: lines.clone() },
    })
}

/// One call of a load.
#[derive(Clone, Debug)]
pub enum LoadCall {
    /// `lua::lane::load_begin`.
    Begin(LoadBegin),
    /// `lua::lane::load_chunk`.
    Chunk(LoadChunk),
    /// `lua::lane::load_end`.
    End(LoadEnd),
}

/// The load script's arguments; `None` when there is nothing to do.
#[must_use]
pub fn load(step: &LoadStep, epoch: u64, fold: &LaneFold) -> Option<LoadCall> {
    match step {
        LoadStep::Nothing => None,
        LoadStep::Begin { head } => {
            let free = fold.items().iter().map(|(item, sum)| (item.clone(), i64::try_from(sum.left()).unwrap_or(0)));
            let moved = fold
                .moved()
                .iter()
                .map(|(item, sum)| (item.clone(), Moved { given: sum.given, received: sum.received }));
            Some(LoadCall::Begin(LoadBegin { epoch, head: *head, free: free.collect(), moved: moved.collect() }))
        }
        LoadStep::Chunk { head, n, ids, visitors } => {
            let records = ids.iter().filter_map(|id| fold.decided(id).map(|decided| (*id, record(decided)))).collect();
            let visitors = visitors.iter().map(|visitor| (*visitor, sums(fold, visitor))).collect();
            Some(LoadCall::Chunk(LoadChunk { epoch, head: *head, n: *n, records, visitors }))
        }
        LoadStep::End { head, n } => Some(LoadCall::End(LoadEnd { epoch, head: *head, n: *n })),
    }
}

fn sums(fold: &LaneFold, visitor: &VisitorHash) -> VisitorLoad {
    fold.visitor(visitor).map_or_else(VisitorLoad::default, |sum| VisitorLoad { units: sum.units, done: sum.done })
}
