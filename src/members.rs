//! Tells other processes that this one is alive, and how many there are to its owners.

use std::sync::Arc;
use std::time::Duration;

use domain::limits::MEMBER_MS;
use domain::spread::Spread;
use lua::Redis;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

/// Says so until told to stop, then that it goes.
pub(crate) async fn be_one(
    redis: Redis,
    kind: &'static str,
    owner: String,
    spread: Arc<Spread>,
    mut stop: watch::Receiver<bool>,
) {
    let (every, ttl) = MEMBER_MS;
    let mut tick = interval(Duration::from_millis(every));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            _ = stop.wait_for(|stop| *stop) => break,
        }
        // Without an answer the last count is as good as any.
        if let Ok(members) = lua::members::alive(&redis, kind, &owner, ttl).await {
            spread.set_members(members.len());
        }
    }
    // One that does not get to say it is silent, and soon not counted.
    let _ = lua::members::alive(&redis, kind, &owner, 0).await;
}
