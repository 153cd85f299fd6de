//! Noticing what other processes do to sales.

use std::time::Duration;

use domain::limits::HEARTBEAT_MS;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::Sales;

impl Sales {
    /// Folds other processes' acts each second, and at once whenever `hint` changes, until `shutdown` says true (or its
    /// sender is gone). A hint that gets lost costs a second.
    pub async fn poll<T: Send + Sync>(self, mut hint: watch::Receiver<T>, mut shutdown: watch::Receiver<bool>) {
        let mut tick = interval(Duration::from_millis(HEARTBEAT_MS));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut away, mut hinted) = (false, true);
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                changed = hint.changed(), if hinted => hinted = changed.is_ok(),
                _ = shutdown.wait_for(|stop| *stop) => return,
            }
            match self.refresh().await {
                Ok(()) => away = false,
                Err(error) if !away => {
                    away = true;
                    tracing::warn!("sales are shown as they were: {error}");
                }
                Err(_) => {}
            }
        }
    }
}
