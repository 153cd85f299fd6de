//! The audit: proves I1 to I5 of a sale from the stores themselves.
//!
//! It reads the logs with a fold of its own, so that a mistake in the committer's fold is not made twice, and Redis through its
//! scripts. Redis is read first: every event it has settled is then in what is read of the ledger.

mod check;
mod report;
mod truth;

use std::time::Duration;

use domain::limits::MAX_GROUP;
use domain::{HoldId, SaleId};
use ledger::Ledger;
use lua::lane::{LaneState, LaneStock, Miscounted, Record, RecountReply, Undecided};
use lua::{CallError, LaneKeys, Redis};
use tokio::time::{Instant, sleep};

use crate::failure::Failure;
pub(crate) use report::Report;
use truth::{LaneTruth, LineTruth, SaleTruth};

/// The stated time of I5: a confirm that is under way now is decided by then, as long as the program runs.
const DECIDED_IN: Duration = Duration::from_secs(10);
/// Between two looks whether it is.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Counts of live units that have to disagree with the records before it is a finding, and the time between two.
const COUNTS: u32 = 3;
const COUNT_EVERY: Duration = Duration::from_secs(1);

/// What Redis says of one lane.
pub(crate) struct LaneSeen {
    stock: LaneStock,
    /// Confirms and cancels that no event decides yet, even after [`DECIDED_IN`].
    stuck: Vec<HoldId>,
    /// Those that were under way at first.
    under_way: usize,
    /// Items whose live units are not those of the records that claim them, in every one of [`COUNTS`] counts.
    miscounted: Vec<Miscounted>,
    /// Why they were not counted.
    uncounted: Option<String>,
    /// Records of ids that the ledger has decided, as far as Redis has them.
    records: Vec<(HoldId, Record)>,
}

/// One lane as both stores have it.
pub(crate) struct Lane {
    truth: LaneTruth,
    /// Why Redis is left out, otherwise.
    seen: Result<LaneSeen, String>,
}

/// Everything the checks look at.
pub(crate) struct Evidence {
    sale: SaleTruth,
    line: LineTruth,
    lanes: Vec<Lane>,
    /// Events that gave units to another lane which never took them in, although a program ran for [`DECIDED_IN`].
    stranded: Vec<String>,
}

/// Audits a sale. `redis` is absent where none can be reached; `running` says whether a program works on the stores.
///
/// # Errors
/// There is no such sale, or the ledger cannot be read. What is wrong with the sale itself is in the report.
pub(crate) async fn run(
    ledger: &Ledger,
    redis: Option<&Redis>,
    sale: &SaleId,
    running: bool,
) -> Result<Report, Failure> {
    let acts = SaleTruth::read(ledger, sale).await?;
    let mut lanes = Vec::new();
    for number in 0..acts.lanes {
        let keys = LaneKeys::new(sale, number);
        let first = match redis {
            Some(redis) => look(redis, &keys).await,
            None => Err("Redis was not reachable".to_owned()),
        };
        let mut truth = LaneTruth::new(sale.clone(), number);
        truth.read(ledger).await?;
        let seen = match (first, redis) {
            (Ok(first), Some(redis)) => see(ledger, redis, &keys, &mut truth, first, running).await,
            (Err(why), _) => Err(why),
            (Ok(_), None) => Err(String::new()),
        };
        lanes.push(Lane { truth, seen });
    }
    let stranded = if running { stranded(ledger, &mut lanes).await? } else { Vec::new() };
    // After the lanes: what they took from the sale stands there before.
    let acts = SaleTruth::read(ledger, sale).await?.with_outcomes_of(&acts);
    // The same: a pass is granted before it books.
    let line = LineTruth::read(ledger, sale).await?;
    Ok(check::judge(sale, &Evidence { sale: acts, line, lanes, stranded }, running))
}

/// Waits until units that are between two lanes have arrived; those that have not by then.
async fn stranded(ledger: &Ledger, lanes: &mut [Lane]) -> Result<Vec<String>, Failure> {
    let first = check::on_their_way(lanes);
    let deadline = Instant::now() + DECIDED_IN;
    loop {
        let now = check::on_their_way(lanes);
        let still: Vec<String> = first.iter().filter(|place| now.contains(place)).cloned().collect();
        if still.is_empty() || Instant::now() >= deadline {
            return Ok(still);
        }
        sleep(LOOK_EVERY).await;
        for lane in &mut *lanes {
            lane.truth.read(ledger).await?;
        }
    }
}

/// Stock and undecided intents of one moment.
async fn look(redis: &Redis, keys: &LaneKeys) -> Result<(LaneStock, Vec<Undecided>), String> {
    let why = |error: CallError| format!("Redis: {error}");
    match lua::lane::meta(redis, keys).await.map_err(why)?.state {
        LaneState::Loaded { .. } => {}
        LaneState::Loading { .. } => return Err("Redis is being loaded with the lane".to_owned()),
        LaneState::Empty => {
            return Err(
                "Redis does not have the lane (the sale is over, or the program has not loaded it yet)".to_owned()
            );
        }
    }
    let stock = lua::lane::stock(redis, keys).await.map_err(why)?;
    Ok((stock, lua::lane::undecided_all(redis, keys).await.map_err(why)?))
}

/// The rest of what is seen: waits until what is under way is decided, and compares records of decided ids.
async fn see(
    ledger: &Ledger,
    redis: &Redis,
    keys: &LaneKeys,
    truth: &mut LaneTruth,
    first: (LaneStock, Vec<Undecided>),
    running: bool,
) -> Result<LaneSeen, String> {
    let (stock, undecided) = first;
    let mut stuck: Vec<HoldId> = undecided.iter().map(id_of).collect();
    let under_way = stuck.len();
    let deadline = Instant::now() + DECIDED_IN;
    while running && !stuck.is_empty() && Instant::now() < deadline {
        sleep(LOOK_EVERY).await;
        let now = lua::lane::undecided_all(redis, keys).await.map_err(|error| format!("Redis: {error}"))?;
        stuck.retain(|id| now.iter().any(|still| id_of(still) == *id));
    }
    let ids: Vec<HoldId> = truth.decided().collect();
    let mut records = Vec::new();
    for group in ids.chunks(MAX_GROUP) {
        let looked = lua::lane::look(redis, keys, group, &[]).await.map_err(|error| format!("Redis: {error}"))?;
        records.extend(group.iter().copied().zip(looked.records).filter_map(|(id, record)| Some((id, record?))));
    }
    let (miscounted, uncounted) = count(redis, keys).await?;
    // Records may be newer than what was folded.
    truth.read(ledger).await.map_err(|failure| failure.to_string())?;
    Ok(LaneSeen { stock, stuck, under_way, miscounted, uncounted, records })
}

/// Counts until live units and records agree, a few times: a record that the indexes lost is put back by the ticker meanwhile.
async fn count(redis: &Redis, keys: &LaneKeys) -> Result<(Vec<Miscounted>, Option<String>), String> {
    let (mut wrong, mut uncounted) = (Vec::new(), None);
    for again in 0..COUNTS {
        if again > 0 {
            sleep(COUNT_EVERY).await;
        }
        match lua::lane::recount(redis, keys).await.map_err(|error| format!("Redis: {error}"))? {
            RecountReply::Counted(none) if none.is_empty() => return Ok((none, None)),
            RecountReply::Counted(some) => (wrong, uncounted) = (some, None),
            RecountReply::Changed => {
                (wrong, uncounted) = (Vec::new(), Some("the lane changes while its records are counted".to_owned()));
            }
        }
    }
    Ok((wrong, uncounted))
}

fn id_of(undecided: &Undecided) -> HoldId {
    match undecided {
        Undecided::Confirm(id, _) | Undecided::Cancel(id) => *id,
    }
}
