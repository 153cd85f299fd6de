//! What a start waits for, with one deadline for all of it: whoever starts a whole machine, or a compose file, starts us
//! before what we need.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::failure::Failure;
use crate::out;

/// Between two looks whether it is there.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Why something cannot be used.
#[derive(Debug)]
pub(crate) enum Missing {
    /// Not yet: it may only be starting.
    Yet(Failure),
    /// Waiting would not help.
    Wrong(Failure),
}

/// The wait of one start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    end: Instant,
}

impl Waiting {
    /// Begins now.
    pub(crate) fn up_to(whole: Duration) -> Self {
        Self { end: Instant::now() + whole }
    }

    /// Looks until it is there, and says what is missing, again whenever that changes. At least one look, however late.
    ///
    /// # Errors
    /// What is wrong, or what was still missing at the end.
    pub(crate) async fn until<T>(&self, mut look: impl AsyncFnMut() -> Result<T, Missing>) -> Result<T, Failure> {
        let mut told = String::new();
        loop {
            let missing = match look().await {
                Ok(there) => return Ok(there),
                Err(Missing::Wrong(failure)) => return Err(failure),
                Err(Missing::Yet(failure)) => failure,
            };
            let left = self.end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(missing);
            }
            let line = missing.to_string();
            if line != told {
                out::say(format_args!("holdfast: waiting up to {} s for {line}", left.as_secs().max(1)));
                told = line;
            }
            sleep(LOOK_EVERY.min(left)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn missing() -> Missing {
        Missing::Yet(Failure::new("redis", "does not answer", "start it"))
    }

    #[tokio::test]
    async fn what_comes_late_is_waited_for_and_what_never_comes_is_named_at_the_end() {
        let (begin, whole) = (Instant::now(), Duration::from_millis(600));
        let waiting = Waiting::up_to(whole);
        let mut looks = 0;
        let late = async || {
            looks += 1;
            if looks < 3 { Err(missing()) } else { Ok(7) }
        };
        assert_eq!(waiting.until(late).await.unwrap(), 7);
        // The same deadline counts for what comes after.
        let never = waiting.until(async || Err::<(), _>(missing())).await.unwrap_err();
        assert_eq!(never.to_string(), "redis: does not answer; start it");
        assert!(begin.elapsed() >= whole, "{:?}", begin.elapsed());
        assert_eq!(waiting.until(async || Ok(8)).await.unwrap(), 8, "one look, however late");
    }

    #[tokio::test]
    async fn what_is_wrong_is_not_waited_for() {
        let mut looks = 0;
        let wrong = async || {
            looks += 1;
            Err::<(), _>(Missing::Wrong(Failure::usage("redis", "refuses", "")))
        };
        let failure = Waiting::up_to(Duration::from_secs(60)).until(wrong).await.unwrap_err();
        assert_eq!((failure.to_string().as_str(), looks), ("redis: refuses", 1));
    }
}
