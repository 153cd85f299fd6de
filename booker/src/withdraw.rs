//! Taking units that nobody has out of a sale (R11): each lane gives what is free, once and for ever.

use domain::event::WITHDRAWN;
use domain::{HoldId, ItemId, Lines, SaleId, VisitorHash};

use crate::answer::{GiveAnswer, GiveRequest, LaneError, LookAnswer};
use crate::lane::Lane;

/// Runs the withdrawal that stands as event `seq` in the sale's log: asks one lane after the other, and returns how many units
/// have left. Every lane decides its part once, in its log, also that it is nothing; so whoever runs it, and however often, gets
/// the same number in the end.
///
/// # Errors
/// [`LaneError`]: not every lane has answered; what was given is given. Run it again.
pub async fn withdraw(lanes: &[Lane], sale: &SaleId, seq: u64, item: &ItemId, units: u64) -> Result<u64, LaneError> {
    let nobody = VisitorHash::for_lane(WITHDRAWN);
    let mut left = 0;
    // Another lane begins each time, so that not always the same one runs dry.
    let first = usize::try_from(seq).unwrap_or(0) % lanes.len().max(1);
    let (behind, from) = lanes.split_at(first);
    for lane in from.iter().chain(behind) {
        let wanted = u32::try_from(units.saturating_sub(left)).unwrap_or(u32::MAX);
        if wanted == 0 {
            break;
        }
        let id = HoldId::derive(sale, lane.lane(), &nobody, &seq.to_string());
        let wanted: Lines = [(item.clone(), wanted)].into_iter().collect();
        let request = GiveRequest { id, to: WITHDRAWN, wanted, urgent: true };
        if lane.give(request).await? == GiveAnswer::Nothing {
            continue;
        }
        match lane.look(id, nobody).await? {
            LookAnswer::Hold(given) => left += given.lines.units(),
            LookAnswer::Unknown | LookAnswer::Foreign => return Err(LaneError::Unknown),
        }
    }
    Ok(left)
}
