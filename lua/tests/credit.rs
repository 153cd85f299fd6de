//! Faults of ours on a real server: what they extended is not given to others, and what was given to others stays given.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;

use common::{Lane, group, name, pass, request};
use domain::Millis;
use domain::fault::KnownFaults;
use domain::limits::{FAULT_MIN_MS, MAX_FAULT_CREDIT_MS};
use domain::state::HoldState;
use lua::lane::{self, ConfirmReply, HoldGroup, HoldReply, HoldRequest, ReapCursor};

/// Windows around `now` (milliseconds before it), complete up to `lag` milliseconds before it.
fn known(now: Millis, windows: &[(u64, u64)], lag: u64) -> Arc<KnownFaults> {
    let window = |(from, to): &(u64, u64)| (Millis(now.0 - from), Millis(now.0 - to));
    Arc::new(KnownFaults { faults: windows.iter().map(window).collect(), to: Millis(now.0 - lag) })
}

impl Lane {
    async fn now(&self) -> Millis {
        self.meta().await.now
    }

    /// How many holds the ticker ends.
    async fn reaps(&self, faults: &KnownFaults) -> u64 {
        lane::reap(&self.redis, &self.keys, ReapCursor::default(), faults).await.unwrap().released
    }

    async fn asks(&self, ttl_ms: u64, faults: &Arc<KnownFaults>, request: HoldRequest) -> HoldReply {
        let group = HoldGroup { faults: Arc::clone(faults), ..group(ttl_ms, None, vec![request]) };
        self.hold(&group).await.replies.remove(0)
    }

    /// A lane of one unit that visitor 1 holds; the deadline has just passed.
    async fn overdue() -> Self {
        let lane = Self::loaded(&[("a", 1)]).await;
        lane.hold(&group(20, None, vec![request(1, 1, "a=1")])).await;
        lane.wait_past(21).await;
        lane
    }
}

#[tokio::test]
async fn what_a_fault_extended_goes_to_nobody_else_and_can_be_confirmed() {
    let lane = Lane::overdue().await;
    let now = lane.now().await;
    // It began in the life of the hold and lasts a minute.
    let extended = Arc::new(KnownFaults {
        faults: [(Millis(now.0 - 1_000), now.plus(60_000))].into_iter().collect(),
        to: now.plus(60_000),
    });
    assert_eq!(lane.reaps(&extended).await, 0);
    assert_eq!(name(&lane.asks(60_000, &extended, request(2, 2, "a=1")).await), "AllHeld");
    let record = lane.look(&[1], &[]).await.records.remove(0).unwrap();
    let life = record.life().unwrap();
    assert_eq!(life.expires.since(life.given), 20, "the record says what was given");
    assert!(extended.faults.end_of(life) > now.plus(50_000));
    // The ticker looks again when it ends, and takes the later place among the deadlines for right.
    let again = lane::reap(&lane.redis, &lane.keys, ReapCursor::default(), &extended).await.unwrap();
    assert_eq!((again.released, again.rescheduled), (0, 0));
    let ConfirmReply::Confirming(confirming) = lane.confirm(&[(1, 1)]).await.remove(0) else { panic!() };
    assert_eq!(confirming.lines.units(), 1, "its units are still there");
}

#[tokio::test]
async fn a_fault_that_becomes_known_after_the_unit_went_to_somebody_else_brings_nothing_back() {
    for reaped_by_ticker in [true, false] {
        let lane = Lane::overdue().await;
        let before = known(lane.now().await, &[], 0);
        if reaped_by_ticker {
            assert_eq!(lane.reaps(&before).await, 1);
        }
        assert_eq!(name(&lane.asks(60_000, &before, request(2, 2, "a=1")).await), "held");
        // Only now the lane hears of it; its own order decides, and that has been.
        let now = lane.now().await;
        let late = Arc::new(KnownFaults {
            faults: [(Millis(now.0 - 30_000), now.plus(30_000))].into_iter().collect(),
            to: now.plus(30_000),
        });
        assert_eq!(lane.reaps(&late).await, 0);
        let look = lane.look(&[1, 2], &[]).await;
        let states: Vec<HoldState> = look.records.iter().map(|record| record.as_ref().unwrap().state).collect();
        assert_eq!(states, [HoldState::Released, HoldState::Held]);
        assert_eq!(name(&lane.asks(60_000, &late, request(1, 1, "a=1")).await), "AllHeld");
        let ConfirmReply::Confirming(gone) = lane.confirm(&[(1, 1)]).await.remove(0) else { panic!() };
        assert!(gone.lines.is_empty(), "the ledger will refuse it");
        assert_eq!(lane.stock("a").await, (0, 1), "one unit, one hold");
    }
}

#[tokio::test]
async fn nothing_ends_behind_what_is_known_of_faults_before_no_fault_could_extend_it() {
    let lane = Lane::overdue().await;
    let now = lane.now().await;
    // Complete up to before the deadline: a fault may be under way.
    let blind = known(now, &[], 1_000);
    assert_eq!(lane.reaps(&blind).await, 0);
    assert_eq!(name(&lane.asks(60_000, &blind, request(2, 2, "a=1")).await), "AllHeld");
    let nothing = KnownFaults::default();
    assert_eq!(lane.reaps(&nothing).await, 0, "nothing is known yet");
    // Nobody says anything for longer than faults may add: then it ends all the same.
    let record = lane.look(&[1], &[]).await.records.remove(0).unwrap();
    let mut old = record.clone();
    old.deadline = Millis(record.deadline.0 - MAX_FAULT_CREDIT_MS);
    old.at = Millis(record.at.0 - MAX_FAULT_CREDIT_MS);
    let (id, due) = (common::item(1), old.deadline.0.to_string());
    lane.redis.raw(&[b"HSET", lane.keys.holds().as_bytes(), id.as_bytes(), &old.encode()]).await.unwrap();
    lane.redis.raw(&[b"ZADD", lane.keys.due().as_bytes(), due.as_bytes(), id.as_bytes()]).await.unwrap();
    assert_eq!(lane.reaps(&nothing).await, 1);
}

#[tokio::test]
async fn a_hold_that_an_earlier_version_wrote_ends_when_it_was_to_end_or_with_the_fault_it_ran_into() {
    let lane = Lane::overdue().await;
    let record = lane.look(&[1], &[]).await.records.remove(0).unwrap();
    let mut old = record.clone();
    old.at = Millis(0);
    let id = common::item(1);
    lane.redis.raw(&[b"HSET", lane.keys.holds().as_bytes(), id.as_bytes(), &old.encode()]).await.unwrap();
    let deadline = record.deadline;
    let into = |to: Millis| KnownFaults {
        faults: [(Millis(deadline.0 - 5), to)].into_iter().collect(),
        to: deadline.plus(60_000),
    };
    assert_eq!(lane.reaps(&into(deadline.plus(60_000))).await, 0);
    assert_eq!(
        lane.reaps(&into(deadline.plus(1))).await,
        0,
        "its place among the deadlines was too late, and is put right"
    );
    assert_eq!(lane.reaps(&into(deadline.plus(1))).await, 1);
}

#[tokio::test]
async fn a_pass_that_a_fault_extended_holds_and_one_that_may_be_extended_is_asked_to_wait() {
    let lane = Lane::loaded(&[("a", 5)]).await;
    let now = lane.now().await;
    let ask = |id, ago: u64| pass(request(id, id, "a=1"), 7, Millis(now.0 - ago));
    assert_eq!(name(&lane.asks(60_000, &known(now, &[(6_000, 1_000)], 0), ask(1, 4_000)).await), "held");
    assert_eq!(name(&lane.asks(60_000, &known(now, &[(6_000, 3_000)], 0), ask(2, 4_000)).await), "PassExpired");
    assert_eq!(
        name(&lane.asks(60_000, &known(now, &[], 3_000), ask(3, 4_000)).await),
        "PassExpired",
        "it was over before"
    );
    assert_eq!(name(&lane.asks(60_000, &known(now, &[], FAULT_MIN_MS + 3_000), ask(4, 1_000)).await), "Unsure");
    let most = MAX_FAULT_CREDIT_MS + 1;
    assert_eq!(name(&lane.asks(60_000, &known(now, &[], 600_000), ask(5, most)).await), "PassExpired");
    assert_eq!(lane.stock("a").await, (4, 1));
}
