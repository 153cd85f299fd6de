//! Telling everybody through Redis, after the log has it.

use domain::SaleId;
use lua::line::{LineReply, LineState, load, publish, unload};
use lua::{CallError, HintKind, LineKeys, Redis};
use metrics::Counter;

/// What became of publishing a state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Told {
    /// Redis shows it, under this owner's epoch.
    Done,
    /// Redis knows a later epoch, or a later entry than this state: the log has to be looked at.
    Ahead { epoch: u64, settled: u64 },
    /// Redis did not do it; it is tried again each second.
    Failed(CallError),
}

/// Publishes; where Redis is empty, damaged or shows another owner's line, loads it under this epoch. `hint` says that it is worth
/// a look now; `damaged` counts what had to be loaded anew. A line whose sale is long `over` is removed instead; the log answers
/// for it.
pub(crate) async fn tell(
    redis: Redis,
    keys: LineKeys,
    sale: SaleId,
    state: LineState,
    hint: bool,
    over: bool,
    damaged: Counter,
) -> Told {
    if over {
        return match unload(&redis, &keys, state.epoch).await {
            Ok(_) => Told::Done,
            Err(error) => Told::Failed(error),
        };
    }
    let told = match publish(&redis, &keys, &state).await {
        Ok(LineReply::Done) => Told::Done,
        Err(CallError::Broken { why }) => {
            tracing::error!(%sale, %why, "the line's keys in Redis are damaged: it is loaded anew, tickets that are shown restore places");
            damaged.increment(1);
            take(&redis, &keys, &state).await
        }
        Ok(LineReply::Refused { .. }) | Err(CallError::NotLoaded) => take(&redis, &keys, &state).await,
        Err(error) => Told::Failed(error),
    };
    if hint && told == Told::Done {
        // A hint that gets lost costs a poll.
        let _ = lua::hints::publish(&redis, &sale, HintKind::Line).await;
    }
    told
}

async fn take(redis: &Redis, keys: &LineKeys, state: &LineState) -> Told {
    match load(redis, keys, state).await {
        Ok(LineReply::Done) => Told::Done,
        Ok(LineReply::Refused { epoch, settled }) => Told::Ahead { epoch, settled },
        Err(error) => Told::Failed(error),
    }
}
