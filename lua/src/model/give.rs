//! Units on their way to another lane.

use domain::limits::MAX_CONFIRMING;
use domain::state::HoldState;
use domain::{Lines, Millis, VisitorHash};

use super::{Intent, LaneModel};
use crate::error::CallError;
use crate::lane::{Give, GiveItem, GiveReply, NO_FINGERPRINT, Record};

impl LaneModel {
    /// As [`crate::lane::give`].
    ///
    /// # Errors
    /// [`CallError::NotLoaded`].
    pub fn give(&mut self, give: &Give) -> Result<GiveReply, CallError> {
        self.in_service()?;
        let visitor = VisitorHash::for_lane(give.to);
        if let Some(record) = self.holds.get(&give.id).cloned() {
            if record.visitor != visitor {
                return Ok(GiveReply::Foreign);
            }
            if record.state == HoldState::Confirming {
                self.confirming.insert(Intent::Confirm(give.id));
            }
            return Ok(GiveReply::Record(record));
        }
        if self.confirming.len() >= MAX_CONFIRMING {
            return Ok(GiveReply::Full);
        }
        let units = |GiveItem { item, wanted, keep }: &GiveItem| {
            let free = self.items.get(item).map_or(0, |stock| stock.free);
            let spare = u32::try_from(free - i64::try_from(*keep).unwrap_or(i64::MAX)).unwrap_or(0);
            Some((item.clone(), spare.min(*wanted))).filter(|(_, units)| *units > 0)
        };
        let lines: Lines = give.items.iter().filter_map(units).collect();
        if lines.is_empty() {
            return Ok(GiveReply::Nothing);
        }
        self.move_units(&lines, -1, 1);
        let (deadline, at) = (Millis(0), Millis(0));
        let state = HoldState::Confirming;
        let record = Record { state, visitor, deadline, fp: NO_FINGERPRINT, pass: None, lines, seq: 0, at, why: None };
        self.holds.insert(give.id, record.clone());
        self.confirming.insert(Intent::Confirm(give.id));
        Ok(GiveReply::Record(record))
    }
}
