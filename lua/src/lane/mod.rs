//! A lane's scripts, one function each.
//!
//! Redis decides who may try, the ledger decides who has. After every script here, as of the lane's `settled`:
//! free + held + paying + confirming = allocated - sold, per item (I2). Groups decide their requests in order; a later one
//! sees what an earlier one did.

mod confirm;
mod give;
mod hold;
mod load;
mod look;
mod mend;
mod record;
mod release;
mod settle;

pub use confirm::{CancelReply, ConfirmReplies, ConfirmReply, ConfirmRequest, cancel, confirm};
pub use give::{Give, GiveItem, GiveReply, give};
pub use hold::{HoldGroup, HoldReplies, HoldReply, HoldRequest, PassRef, hold, hold_digest};
pub use load::{LoadBegin, LoadChunk, LoadEnd, LoadReply, VisitorLoad, load_begin, load_chunk, load_end, unload};
pub use look::{
    ItemStock, LaneMeta, LaneState, LaneStock, Look, Moved, Undecided, UndecidedPage, VisitorCounts, look, meta,
    meta_after, stock, undecided, undecided_all,
};
pub use mend::{
    Mend, MendItem, MendReply, Mended, Miscounted, RecountFrom, RecountPart, RecountReply, mend, recount, recount_part,
};
pub(crate) use record::MAX_DEADLINE;
pub use record::{NO_FINGERPRINT, Record};
pub use release::{ReapCursor, ReapReply, ReleaseReply, ReleaseRequest, leave, reap, release};
pub use settle::{Resolution, Settle, SettleEvent, SettleReply, Settling, settle};

use crate::error::CallError;

/// Numbers that scripts calculate with stay exact below this (2^53).
pub const MAX_EXACT: u64 = 1 << 53;

/// Refuses a group that would hold up Redis for too long.
pub(crate) fn bounded(what: &'static str, size: usize, most: usize) -> Result<(), CallError> {
    if size > most {
        return Err(CallError::not_executed(format!("{size} {what} in one call, at most {most}")));
    }
    Ok(())
}

#[cfg(test)]
pub(crate) fn hold_refusals() -> [(i64, &'static str, HoldReply); 9] {
    hold::REFUSED
}

#[cfg(test)]
pub(crate) fn give_refusals() -> [(i64, &'static str, GiveReply); 3] {
    give::REFUSED
}

#[cfg(test)]
pub(crate) fn confirm_refusals() -> [(i64, &'static str, ConfirmReply); 3] {
    confirm::REFUSED
}
