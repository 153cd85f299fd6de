//! The reconciler: compares Redis with the fold and with itself, exports each difference, and mends only towards the ledger
//! (R9, R12).
//!
//! Free units are set right by one script, without losing a hold. Live units that are not what the records claim can only be
//! loaded anew, which ends undecided holds: done when two counts agree that something is wrong, with a whole round of the ticker
//! between them, because the ticker puts back records that the indexes have lost.

use std::time::Duration;

use domain::limits::{RECOUNT_AT_MOST_MS, RECOUNT_PAUSE};
use lua::CallError;
use lua::lane::{Mend, MendItem, MendReply, RecountReply};
use tokio::time::Instant;

use super::tenure::{Phase, count};
use super::{LaneOwner, What};

/// How long not to count again after a count that took this long.
fn pause_after_recount(took: Duration) -> Duration {
    (took * RECOUNT_PAUSE).min(Duration::from_millis(RECOUNT_AT_MOST_MS))
}

impl LaneOwner {
    pub(super) fn reconcile_soon(&mut self) {
        if let Phase::Serving(tenure) = &mut self.phase {
            tenure.mend_wanted = true;
        }
    }

    /// Compares free with the fold and puts it right, in one script that names the settled seq it is meant for: sent between two
    /// settles, so that under load it is not always late.
    pub(super) fn start_mend(&mut self) {
        let Phase::Serving(tenure) = &mut self.phase else { return };
        if !tenure.mend_wanted || tenure.mending || tenure.committer.is_settling() {
            return;
        }
        let (Some(settled), Some(sums)) = (tenure.committer.settled(), tenure.committer.settled_sums()) else { return };
        let item = |(item, sum): (&domain::ItemId, &crate::fold::ItemSum)| MendItem {
            item: item.clone(),
            allocated: sum.allocated,
            sold: sum.sold,
        };
        let mend = Mend { expected: settled, items: sums.iter().map(item).collect() };
        (tenure.mend_wanted, tenure.mending) = (false, true);
        let context = self.context.clone();
        self.start(async move { What::Mended(lua::lane::mend(&context.redis, &context.keys, &mend).await) });
    }

    pub(super) fn on_mended(&mut self, result: Result<MendReply, CallError>) {
        let Phase::Serving(tenure) = &mut self.phase else { return };
        tenure.mending = false;
        let Ok(MendReply::Done(mended)) = result else { return };
        let mut units = 0;
        for item in &mended {
            let off = item.was.unwrap_or(0).abs_diff(item.is);
            tracing::warn!(log = %self.context.log, item = %item.item, was = item.was, is = item.is, "free units in Redis were not the ledger's: mended");
            units += off;
        }
        self.metrics.difference_free.set(count(units));
        self.metrics.mended_free.increment(units);
    }

    /// Counts the live units of the records, as of one moment.
    pub(super) fn recount(&mut self) {
        let Phase::Serving(tenure) = &mut self.phase else { return };
        if tenure.committer.settled().is_none() || std::mem::replace(&mut tenure.recounting, true) {
            return;
        }
        let context = self.context.clone();
        self.start(async move {
            let began = Instant::now();
            let result = lua::lane::recount(&context.redis, &context.keys).await;
            What::Recounted(result, began.elapsed())
        });
    }

    pub(super) fn on_recounted(&mut self, result: Result<RecountReply, CallError>, took: Duration) {
        let Phase::Serving(tenure) = &mut self.phase else { return };
        tenure.recounting = false;
        let next = Instant::now() + pause_after_recount(took);
        let wrong = match result {
            Ok(RecountReply::Counted(wrong)) => wrong,
            // Many records, and somebody was served between two parts: a quieter moment will come.
            Ok(RecountReply::Changed) => {
                self.timers.recount = self.timers.recount.max(next);
                return self.metrics.recounts.count("changed");
            }
            Err(_) => return,
        };
        self.metrics.recounts.count("counted");
        let units = wrong.iter().map(|item| item.live.abs_diff(item.claimed)).sum();
        self.metrics.difference_live.set(count(units));
        let Some(first) = wrong.first() else {
            // What is wrong is counted again without a pause: a second count has to agree before the lane is loaded anew.
            self.timers.recount = self.timers.recount.max(next);
            tenure.miscounted = None;
            return;
        };
        match tenure.miscounted {
            // The ticker has looked at every record since the first count that was wrong.
            Some(round) if tenure.reap_rounds >= round + 2 => {
                tracing::error!(log = %self.context.log, item = %first.item, live = first.live, claimed = first.claimed,
                    "live units in Redis are not what its records claim: the lane is loaded anew, undecided holds end");
                tenure.miscounted = None;
                self.metrics.mended_live.increment(units);
                self.start_reload();
            }
            Some(_) => {}
            None => tenure.miscounted = Some(tenure.reap_rounds),
        }
    }

    /// Empties the lane in Redis; the next look loads it.
    pub(super) fn start_reload(&mut self) {
        let Phase::Serving(tenure) = &self.phase else { return };
        let (context, fence) = (self.context.clone(), tenure.committer.fence());
        self.start(async move { What::Emptied(lua::lane::unload(&context.redis, &context.keys, fence).await) });
    }

    pub(super) fn on_emptied(&mut self, result: &Result<bool, CallError>) {
        if let Err(error) = result {
            tracing::warn!(log = %self.context.log, %error, "the lane could not be emptied to load it anew");
        }
        self.look_now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_costs_a_hundredth_of_the_time_and_is_never_far_away() {
        assert_eq!(pause_after_recount(Duration::from_millis(125)), Duration::from_millis(12_500));
        assert_eq!(pause_after_recount(Duration::from_secs(5)), Duration::from_millis(RECOUNT_AT_MOST_MS));
    }
}
