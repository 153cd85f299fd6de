#![allow(clippy::unwrap_used)]
use domain::Millis;
use lua::lane::Moved;
use proptest::prelude::*;

use super::*;

fn item() -> ItemId {
    "a".parse().unwrap()
}

fn lane(settled: u64, free: i64, live: i64, given: u64, received: u64) -> Option<LaneStock> {
    let stock = ItemStock { free, live, moved: Moved { given, received } };
    Some(LaneStock { now: Millis(1), settled, owned: true, items: vec![(item(), stock)] })
}

fn of(units: u32) -> Lines {
    [(item(), units)].into_iter().collect()
}

#[test]
fn a_hold_is_served_here_or_by_the_lane_that_has_most() {
    let round = vec![lane(1, 1, 0, 0, 0), lane(1, 3, 9, 0, 0), lane(1, 4, 0, 0, 0), None];
    assert_eq!(judge(&round, 0, &of(1)), Verdict::Here);
    assert_eq!(judge(&round, 0, &of(2)), Verdict::Ask(2));
    assert_eq!(judge(&round, 2, &of(8)), Verdict::Ask(1), "all lanes together have eight");
    assert_eq!(judge(&round, 0, &of(9)), Verdict::Held, "a lane that does not answer may have more");
}

#[test]
fn sold_out_is_only_what_no_lane_has_free_live_or_on_its_way() {
    let judged = |round: Round| judge(&round, 0, &of(1));
    assert_eq!(judged(vec![lane(1, 0, 0, 0, 0), lane(9, 0, 0, 0, 0)]), Verdict::Gone);
    assert_eq!(judged(vec![lane(1, 0, 0, 0, 0), lane(9, 0, 1, 0, 0)]), Verdict::Held, "in checkout");
    assert_eq!(judged(vec![lane(1, 0, 0, 2, 0), lane(9, 0, 0, 0, 1)]), Verdict::Held, "one is on its way");
    assert_eq!(judged(vec![lane(1, 0, 0, 2, 0), lane(9, 0, 0, 0, 2)]), Verdict::Gone, "all have arrived");
    assert_eq!(judged(vec![lane(1, 0, 0, 0, 0), None]), Verdict::Held);
    let stocked = LaneStock { now: Millis(1), settled: 0, owned: true, items: vec![] };
    assert_eq!(judged(vec![lane(1, 0, 0, 0, 0), Some(stocked)]), Verdict::Held, "its stock has not come yet");
    assert_eq!(
        judge(&vec![lane(1, 1, 0, 0, 0), lane(9, 0, 0, 0, 0)], 1, &of(2)),
        Verdict::Gone,
        "fewer than asked for"
    );
}

#[test]
fn rounds_are_the_same_while_every_lane_stands_still() {
    let round = vec![lane(1, 0, 0, 0, 0), lane(9, 0, 0, 0, 0)];
    assert!(same(&round, &round.clone()));
    assert!(!same(&round, &vec![lane(1, 0, 0, 0, 0), lane(10, 0, 0, 0, 0)]));
    assert!(!same(&vec![None, None], &vec![None, None]), "what is not known is not the same");
}

#[test]
fn a_lane_asks_before_it_is_dry_and_keeps_what_it_will_need() {
    assert_eq!((wanted(0, 0), wanted(1_000, 1_000), wanted(500, 1_000)), (0, 0, 1_000));
    assert_eq!((wanted(0, 1), kept(1_000, false), kept(1_000, true)), (1, 1_500, 0));
    let mut flow = Flow::default();
    assert!(flow.is_still());
    flow.held(50);
    flow.look(100);
    assert_eq!(flow.rate(), 500);
    for _ in 0..20 {
        flow.look(100);
    }
    assert!(flow.is_still());
}

proptest! {
    /// A lane that was just filled does not ask, and two lanes of one rate do not pass the same units to and fro.
    #[test]
    fn what_a_lane_keeps_is_more_than_it_would_ask_below(rate in 1u64..1_000_000) {
        prop_assert_eq!(wanted(kept(rate, false).max(1), rate), 0);
    }
}
