//! What the committer decides, without I/O.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use booker::decide::{Decision, Group, Intent, decide};
use booker::fold::{BadLog, LaneFold};
use domain::event::Event as _;
use domain::{Fingerprint, HoldId, HoldState, ItemId, LaneEvent, Lines, Millis, RefuseReason, SaleId, VisitorHash};
use proptest::prelude::*;

fn item(name: &str) -> ItemId {
    name.parse().unwrap()
}

fn visitor(n: u8) -> VisitorHash {
    VisitorHash([n; 16])
}

fn id(v: u8, key: u8) -> HoldId {
    let sale: SaleId = "gig".parse().unwrap();
    HoldId::derive(&sale, 0, &visitor(v), &key.to_string())
}

fn lines(of: &[(&str, u32)]) -> Lines {
    of.iter().map(|(name, units)| (item(name), *units)).collect()
}

fn stock(n: u32, of: &[(&str, u64)]) -> Intent {
    Intent::Stock {
        from: format!("sale/gig:{n}"),
        lines: of.iter().map(|(name, units)| (item(name), *units)).collect(),
    }
}

fn confirm(v: u8, key: u8, of: &[(&str, u32)]) -> Intent {
    let lines = lines(of);
    Intent::Confirm { id: id(v, key), visitor: visitor(v), fp: Some(Fingerprint::of(&lines)), lines, pass: None }
}

fn give(id: HoldId, units: u32) -> Intent {
    Intent::Give { id, to: 1, lines: if units == 0 { Lines::none() } else { lines(&[("a", units)]) } }
}

fn receive(n: u32, units: u32) -> Intent {
    Intent::Receive { from: format!("lane/gig/1:{n}"), lines: lines(&[("a", units)]) }
}

/// Decides the intents as one group, commits it, and answers the decisions.
fn commit(fold: &mut LaneFold, intents: &[Intent], limit: Option<u32>, now: u64) -> Vec<Decision> {
    let mut group = Group::default();
    let mut decisions = vec![];
    for intent in intents {
        let decision = decide(fold, &group, intent, limit, Millis(now));
        if let Decision::Event(event) = &decision {
            group.push(fold, event.clone());
        }
        decisions.push(decision);
    }
    for event in group.events() {
        fold.apply(fold.head() + 1, event).expect("what was decided can be applied");
    }
    decisions
}

fn fold_with(of: &[(&str, u64)]) -> LaneFold {
    let mut fold = LaneFold::default();
    commit(&mut fold, &[stock(1, of)], None, 1);
    fold
}

fn refusal(decision: &Decision) -> Option<RefuseReason> {
    match decision {
        Decision::Event(LaneEvent::Refused { why, .. }) => Some(*why),
        _ => None,
    }
}

fn booked(decision: &Decision) -> bool {
    matches!(decision, Decision::Event(LaneEvent::Booked { .. }))
}

#[test]
fn a_confirm_with_room_is_booked_with_visitor_lines_and_fingerprint() {
    let mut fold = fold_with(&[("a", 3)]);
    let got = commit(&mut fold, &[confirm(1, 1, &[("a", 2)])], Some(2), 7);
    let want = LaneEvent::Booked {
        id: id(1, 1),
        visitor: visitor(1),
        lines: lines(&[("a", 2)]),
        fp: Fingerprint::of(&lines(&[("a", 2)])),
        pass: None,
        at: Millis(7),
    };
    assert_eq!(got, [Decision::Event(want)]);
    assert_eq!((fold.item(&item("a")).allocated, fold.item(&item("a")).sold), (3, 2));
    assert_eq!(fold.visitor(&visitor(1)).unwrap().units, 2);
    let decided = fold.decided(&id(1, 1)).unwrap();
    assert_eq!((decided.state, decided.seq, decided.booked), (HoldState::Sold, 2, Some((2, Millis(7)))));
}

#[test]
fn an_intent_without_units_is_gone_even_when_nothing_else_would_refuse_it() {
    let mut fold = fold_with(&[("a", 3)]);
    let unknown = Intent::Confirm { id: id(1, 1), visitor: visitor(1), lines: Lines::none(), fp: None, pass: Some(4) };
    let zero = Intent::Confirm {
        id: id(1, 2),
        visitor: visitor(1),
        lines: lines(&[("a", 0)]),
        fp: Some(Fingerprint::of(&lines(&[("a", 0)]))),
        pass: None,
    };
    let got = commit(&mut fold, &[unknown, zero], None, 1);
    assert_eq!(got.iter().map(refusal).collect::<Vec<_>>(), [Some(RefuseReason::Gone); 2]);
}

#[test]
fn refusals_have_an_order_gone_then_sold_out_then_limit() {
    let mut fold = fold_with(&[("a", 1)]);
    let got =
        commit(&mut fold, &[confirm(1, 1, &[]), confirm(1, 2, &[("a", 2)]), confirm(1, 3, &[("a", 1)])], Some(0), 1);
    let want = [Some(RefuseReason::Gone), Some(RefuseReason::SoldOut), Some(RefuseReason::Limit)];
    assert_eq!(got.iter().map(refusal).collect::<Vec<_>>(), want);
}

#[test]
fn a_pass_books_once_in_a_group_and_across_groups_and_a_cancel_does_not_give_it_back() {
    let mut fold = fold_with(&[("a", 9)]);
    let with = |key, number| match confirm(1, key, &[("a", 1)]) {
        Intent::Confirm { id, visitor, lines, fp, .. } => {
            Intent::Confirm { id, visitor, lines, fp, pass: Some(number) }
        }
        other => other,
    };
    let got = commit(&mut fold, &[with(1, 7), with(2, 7), with(1, 7), with(3, 8)], None, 1);
    assert!(booked(&got[0]) && booked(&got[3]));
    assert_eq!(refusal(&got[1]), Some(RefuseReason::PassUsed));
    assert_eq!(got[2], Decision::Resolution(id(1, 1)), "the booking's own replay");
    let got = commit(&mut fold, &[with(1, 7), with(4, 7), with(2, 7), Intent::Cancel { id: id(1, 1) }], None, 2);
    assert_eq!(got[0], Decision::Resolution(id(1, 1)));
    assert_eq!(refusal(&got[1]), Some(RefuseReason::PassUsed));
    assert_eq!(got[2], Decision::Resolution(id(1, 2)));
    let got = commit(&mut fold, &[with(5, 7)], None, 3);
    assert_eq!(refusal(&got[0]), Some(RefuseReason::PassUsed), "cancelled since");
    assert_eq!(fold.passes(), [7, 8]);
    assert_eq!((fold.item(&item("a")).sold, fold.visitor(&visitor(1)).unwrap().units), (1, 1));
    // Without a pass there is nothing to use up.
    let got = commit(&mut fold, &[confirm(2, 1, &[("a", 1)]), confirm(2, 2, &[("a", 1)])], None, 4);
    assert!(got.iter().all(booked));
}

#[test]
fn refusals_have_an_order_gone_then_pass_used_then_sold_out() {
    let mut fold = fold_with(&[("a", 1)]);
    let with = |key, of: &[(&str, u32)]| match confirm(1, key, of) {
        Intent::Confirm { id, visitor, lines, fp, .. } => Intent::Confirm { id, visitor, lines, fp, pass: Some(7) },
        other => other,
    };
    assert!(booked(&commit(&mut fold, &[with(1, &[("a", 1)])], Some(1), 1)[0]));
    let got = commit(&mut fold, &[with(2, &[]), with(3, &[("a", 2)])], Some(1), 1);
    let want = [Some(RefuseReason::Gone), Some(RefuseReason::PassUsed)];
    assert_eq!(got.iter().map(refusal).collect::<Vec<_>>(), want);
}

#[test]
fn all_lines_fit_or_none_is_booked() {
    let mut fold = fold_with(&[("a", 5), ("b", 1)]);
    let got = commit(&mut fold, &[confirm(1, 1, &[("a", 1), ("b", 2)]), confirm(2, 1, &[("a", 5), ("b", 1)])], None, 1);
    assert_eq!(refusal(&got[0]), Some(RefuseReason::SoldOut));
    assert!(booked(&got[1]));
    let got = commit(&mut fold, &[confirm(3, 1, &[("nothing-of-the-kind", 1)])], None, 1);
    assert_eq!(refusal(&got[0]), Some(RefuseReason::SoldOut));
}

#[test]
fn the_group_so_far_takes_room_and_limit_before_it_is_committed() {
    let mut fold = fold_with(&[("a", 3)]);
    let group = [confirm(1, 1, &[("a", 2)]), confirm(2, 1, &[("a", 2)]), confirm(1, 2, &[("a", 1)])];
    let got = commit(&mut fold, &group, Some(2), 1);
    assert!(booked(&got[0]));
    assert_eq!(refusal(&got[1]), Some(RefuseReason::SoldOut));
    assert_eq!(refusal(&got[2]), Some(RefuseReason::Limit));
}

#[test]
fn a_twin_in_the_same_group_is_a_resolution_and_no_second_event() {
    let mut fold = fold_with(&[("a", 3)]);
    let twin = confirm(1, 1, &[("a", 1)]);
    let got = commit(&mut fold, &[twin.clone(), twin], None, 1);
    assert!(booked(&got[0]));
    assert_eq!(got[1], Decision::Resolution(id(1, 1)));
    assert_eq!(fold.head(), 2);
}

#[test]
fn a_known_id_is_a_resolution_whatever_its_state_and_content() {
    let mut fold = fold_with(&[("a", 1)]);
    let first = [confirm(1, 1, &[("a", 1)]), confirm(2, 1, &[("a", 1)])];
    commit(&mut fold, &first, None, 1);
    // The sold one, other content under its key, the refused one although nothing would refuse it now, the cancelled one.
    let got = commit(&mut fold, &[confirm(1, 1, &[("a", 1)]), confirm(1, 1, &[("a", 2)])], None, 1);
    assert_eq!(got, [Decision::Resolution(id(1, 1)), Decision::Resolution(id(1, 1))]);
    commit(&mut fold, &[Intent::Cancel { id: id(1, 1) }], None, 1);
    let got = commit(&mut fold, &first, None, 1);
    assert_eq!(got, [Decision::Resolution(id(1, 1)), Decision::Resolution(id(2, 1))]);
    assert_eq!(fold.decided(&id(2, 1)).unwrap().state, HoldState::Refused);
}

#[test]
fn a_cancel_frees_units_and_limit_at_once_also_inside_its_group() {
    let mut fold = fold_with(&[("a", 1)]);
    let group = [confirm(1, 1, &[("a", 1)]), Intent::Cancel { id: id(1, 1) }, confirm(1, 2, &[("a", 1)])];
    let got = commit(&mut fold, &group, Some(1), 1);
    assert!(booked(&got[0]));
    assert_eq!(got[1], Decision::Event(LaneEvent::Cancelled { id: id(1, 1), at: Millis(1) }));
    assert!(booked(&got[2]));
    assert_eq!(fold.visitor(&visitor(1)).unwrap().bookings, [id(1, 1), id(1, 2)]);
    assert_eq!(fold.visitor(&visitor(1)).unwrap().units, 1);
}

#[test]
fn a_cancel_needs_a_booking_and_happens_once() {
    let mut fold = fold_with(&[("a", 1)]);
    let cancel = Intent::Cancel { id: id(1, 1) };
    assert_eq!(commit(&mut fold, std::slice::from_ref(&cancel), None, 1), [Decision::Nothing]);
    commit(&mut fold, &[confirm(1, 1, &[("a", 1)]), cancel.clone()], None, 1);
    assert_eq!(commit(&mut fold, &[cancel], None, 1), [Decision::Resolution(id(1, 1))]);
    let refused = [confirm(2, 1, &[]), Intent::Cancel { id: id(2, 1) }];
    assert_eq!(commit(&mut fold, &refused, None, 1)[1], Decision::Resolution(id(2, 1)));
}

#[test]
fn stock_of_a_known_act_is_dropped_in_the_log_and_in_the_group() {
    let mut fold = fold_with(&[("a", 5)]);
    let got = commit(&mut fold, &[stock(1, &[("a", 5)]), stock(2, &[("a", 1)]), stock(2, &[("a", 1)])], None, 1);
    assert_eq!(got[0], Decision::Nothing);
    assert!(matches!(got[1], Decision::Event(LaneEvent::Stock { .. })));
    assert_eq!(got[2], Decision::Nothing);
    assert_eq!(fold.item(&item("a")).allocated, 6);
}

#[test]
fn stock_of_the_group_can_be_booked_in_the_group() {
    let mut fold = LaneFold::default();
    let got = commit(&mut fold, &[stock(1, &[("a", 1)]), confirm(1, 1, &[("a", 1)])], None, 1);
    assert!(booked(&got[1]));
}

#[test]
fn times_in_the_log_never_go_back_when_the_clock_does() {
    let mut fold = fold_with(&[("a", 2)]);
    commit(&mut fold, &[confirm(1, 1, &[("a", 1)])], None, 1_000);
    commit(&mut fold, &[confirm(1, 2, &[("a", 1)])], None, 10);
    assert_eq!(fold.decided(&id(1, 2)).unwrap().at, Millis(1_000));
}

#[test]
fn a_log_that_contradicts_itself_is_refused_and_changes_nothing() {
    let mut fold = fold_with(&[("a", 1)]);
    commit(&mut fold, &[confirm(1, 1, &[("a", 1)])], None, 1);
    let event = |v: u8, key: u8| LaneEvent::Booked {
        id: id(v, key),
        visitor: visitor(v),
        lines: lines(&[("a", 1)]),
        fp: Fingerprint([0; 8]),
        pass: None,
        at: Millis(1),
    };
    assert_eq!(fold.apply(4, &event(2, 1)), Err(BadLog::Gap { expected: 3, got: 4 }));
    assert_eq!(fold.apply(3, &event(1, 1)), Err(BadLog::SecondOutcome { seq: 3, id: id(1, 1) }));
    assert_eq!(fold.apply(3, &event(2, 1)), Err(BadLog::Oversold { seq: 3, item: item("a") }));
    let cancelled = LaneEvent::Cancelled { id: id(3, 1), at: Millis(1) };
    assert_eq!(fold.apply(3, &cancelled), Err(BadLog::SecondOutcome { seq: 3, id: id(3, 1) }));
    let again = LaneEvent::Stock { from: "sale/gig:1".into(), lines: BTreeMap::new(), at: Millis(1) };
    assert!(matches!(fold.apply(3, &again), Err(BadLog::StockTwice { .. })));
    assert_eq!((fold.head(), fold.item(&item("a")).sold, fold.all_decided().len()), (2, 1, 1));
}

#[test]
fn units_leave_once_for_another_lane_and_come_in_once() {
    let mut fold = fold_with(&[("a", 3)]);
    let group =
        [give(id(9, 1), 2), give(id(9, 1), 2), give(id(9, 2), 2), Intent::Cancel { id: id(9, 1) }, give(id(9, 3), 0)];
    let got = commit(&mut fold, &group, None, 1);
    assert!(matches!(&got[0], Decision::Event(LaneEvent::TransferOut { to: 1, lines, .. }) if lines.units() == 2));
    assert_eq!((&got[1], &got[3]), (&Decision::Resolution(id(9, 1)), &Decision::Resolution(id(9, 1))));
    for (n, reason) in [(2, RefuseReason::SoldOut), (4, RefuseReason::Gone)] {
        assert!(matches!(&got[n], Decision::Event(LaneEvent::Refused { why, .. }) if *why == reason), "{n}");
    }
    assert_eq!((fold.item(&item("a")).allocated, fold.given_to(1, 0).count(), fold.given_to(2, 0).count()), (1, 1, 0));
    let got = commit(&mut fold, &[receive(7, 2), receive(7, 2), Intent::Cancel { id: id(9, 1) }], None, 1);
    assert!(matches!(got[0], Decision::Event(LaneEvent::TransferIn { .. })) && got[1] == Decision::Nothing);
    assert_eq!(got[2], Decision::Resolution(id(9, 1)), "what went away does not come back as a cancelled booking");
    assert_eq!(commit(&mut fold, &[receive(7, 2)], None, 1), [Decision::Nothing]);
    assert_eq!(fold.item(&item("a")).left(), 3);
    let moved = fold.moved()[&item("a")];
    assert_eq!((moved.given, moved.received), (2, 2));
}

/// The smallest thing that could be right: a list of events, summed anew for every question.
#[derive(Default)]
struct Naive(Vec<LaneEvent>);

impl Naive {
    fn units(&self, of: impl Fn(&HoldId, &VisitorHash, &Lines) -> u64) -> u64 {
        let cancelled = |id| self.0.iter().any(|e| matches!(e, LaneEvent::Cancelled { id: c, .. } if c == id));
        self.0
            .iter()
            .map(|e| match e {
                LaneEvent::Booked { id, visitor, lines, .. } if !cancelled(id) => of(id, visitor, lines),
                _ => 0,
            })
            .sum()
    }
    fn outcomes(&self, of: HoldId) -> Vec<&LaneEvent> {
        self.0
            .iter()
            .filter(|e| match e {
                LaneEvent::Booked { id, .. }
                | LaneEvent::Refused { id, .. }
                | LaneEvent::Cancelled { id, .. }
                | LaneEvent::TransferOut { id, .. } => *id == of,
                LaneEvent::Stock { .. } | LaneEvent::TransferIn { .. } => false,
            })
            .collect()
    }
    fn allocated(&self) -> u64 {
        let given = |e: &LaneEvent| match e {
            LaneEvent::TransferOut { lines, .. } => lines.units(),
            _ => 0,
        };
        let got = |e: &LaneEvent| match e {
            LaneEvent::Stock { lines, .. } => lines.values().sum(),
            LaneEvent::TransferIn { lines, .. } => lines.units(),
            _ => 0,
        };
        self.0.iter().map(got).sum::<u64>() - self.0.iter().map(given).sum::<u64>()
    }
}

fn any_intent() -> impl Strategy<Value = Intent> {
    prop_oneof![
        6 => (1u8..4, 0u8..4, 0u32..4).prop_map(|(v, key, units)| {
            if units == 0 { confirm(v, key, &[]) } else { confirm(v, key, &[("a", units)]) }
        }),
        2 => (1u8..4, 0u8..4).prop_map(|(v, key)| Intent::Cancel { id: id(v, key) }),
        1 => (1u32..4, 0u64..4).prop_map(|(n, units)| stock(n, &[("a", units)])),
        1 => (1u8..4, 0u8..4, 0u32..4).prop_map(|(v, key, units)| give(id(v, key), units)),
        1 => (1u32..4, 1u32..4).prop_map(|(n, units)| receive(n, units)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn any_groups_keep_i1_r1_the_limit_and_agree_with_a_naive_sum(groups in prop::collection::vec(prop::collection::vec(any_intent(), 1..8), 1..12)) {
        let (mut fold, mut naive) = (LaneFold::default(), Naive::default());
        for group in &groups {
            for decision in commit(&mut fold, group, Some(3), 5) {
                if let Decision::Event(event) = decision { naive.0.push(event) }
            }
            prop_assert_eq!(fold.head(), naive.0.len() as u64);
            let sum = fold.item(&item("a"));
            prop_assert_eq!(sum.sold, naive.units(|_, _, lines| lines.units()));
            prop_assert_eq!(sum.allocated, naive.allocated());
            prop_assert!(sum.sold <= sum.allocated, "I1");
            for v in 1..4 {
                let units = naive.units(|_, whose, lines| if *whose == visitor(v) { lines.units() } else { 0 });
                prop_assert_eq!(fold.visitor(&visitor(v)).map_or(0, |s| s.units), units);
                prop_assert!(units <= 3, "limit");
                for key in 0..4 {
                    let outcomes = naive.outcomes(id(v, key));
                    let state = fold.decided(&id(v, key)).map(|d| d.state);
                    let want = match outcomes.as_slice() {
                        [] => None,
                        [LaneEvent::Booked { .. } | LaneEvent::TransferOut { .. }] => Some(HoldState::Sold),
                        [LaneEvent::Refused { .. }] => Some(HoldState::Refused),
                        [LaneEvent::Booked { .. }, LaneEvent::Cancelled { .. }] => Some(HoldState::Cancelled),
                        other => panic!("R1 broken: {other:?}"),
                    };
                    prop_assert_eq!(state, want);
                }
            }
        }
    }

    #[test]
    fn groups_of_any_size_come_to_the_same_log(intents in prop::collection::vec(any_intent(), 1..30), cut in 1usize..6) {
        let (mut one, mut many) = (LaneFold::default(), LaneFold::default());
        let events = |all: Vec<Decision>| all.into_iter().filter_map(|d| match d { Decision::Event(e) => Some(e), _ => None }).collect::<Vec<_>>();
        let whole = events(commit(&mut one, &intents, Some(3), 5));
        let cut: Vec<LaneEvent> = intents.chunks(cut).flat_map(|part| events(commit(&mut many, part, Some(3), 5))).collect();
        prop_assert_eq!(whole, cut);
    }
}

/// Every sequence of up to five intents over two ids of one visitor, one unit of stock and a limit of one: R1, I1 and the limit
/// hold in each, and the refusal says the truth.
#[test]
fn every_short_sequence_keeps_the_rules() {
    let all = [
        stock(1, &[("a", 1)]),
        confirm(1, 1, &[("a", 1)]),
        confirm(1, 2, &[("a", 1)]),
        confirm(1, 1, &[]),
        confirm(1, 2, &[("a", 2)]),
        Intent::Cancel { id: id(1, 1) },
        Intent::Cancel { id: id(1, 2) },
    ];
    let mut sequences = 0;
    for mut code in 0..7usize.pow(5) {
        let mut fold = LaneFold::default();
        let mut first: HashMap<HoldId, HoldState> = HashMap::new();
        for _ in 0..5 {
            let intent = &all[code % 7];
            code /= 7;
            let before = fold.item(&item("a"));
            let units = fold.visitor(&visitor(1)).map_or(0, |v| v.units);
            let got = commit(&mut fold, std::slice::from_ref(intent), Some(1), 1);
            match (intent, &got[0]) {
                (Intent::Confirm { id, lines, .. }, Decision::Event(LaneEvent::Booked { .. })) => {
                    assert!(lines.units() == 1 && before.left() >= 1 && units == 0);
                    assert_eq!(first.insert(*id, HoldState::Sold), None);
                }
                (Intent::Confirm { id, lines, .. }, Decision::Event(LaneEvent::Refused { why, .. })) => {
                    let want = match why {
                        RefuseReason::Gone => lines.is_empty(),
                        RefuseReason::SoldOut => before.left() < lines.units(),
                        RefuseReason::Limit => units + lines.units() > 1,
                        RefuseReason::PassUsed => false,
                    };
                    assert!(want, "{intent:?} {why:?}");
                    assert_eq!(first.insert(*id, HoldState::Refused), None);
                }
                (Intent::Confirm { id, .. }, Decision::Resolution(_)) => assert!(first.contains_key(id)),
                (Intent::Cancel { id }, Decision::Event(LaneEvent::Cancelled { .. })) => {
                    assert_eq!(first[id], HoldState::Sold)
                }
                (Intent::Cancel { id }, Decision::Nothing) => assert!(!first.contains_key(id)),
                (Intent::Cancel { id }, Decision::Resolution(_)) => assert!(first.contains_key(id)),
                (Intent::Stock { .. }, _) => {}
                other => panic!("{other:?}"),
            }
        }
        sequences += 1;
    }
    assert_eq!(sequences, 16_807);
}

#[test]
fn a_hundred_thousand_events_fold_in_a_moment() {
    let mut texts = vec![];
    let stock =
        LaneEvent::Stock { from: "sale/gig:1".into(), lines: BTreeMap::from([(item("a"), 100_000)]), at: Millis(1) };
    texts.push(stock.encode().unwrap());
    let of = lines(&[("a", 1)]);
    let sale: SaleId = "gig".parse().unwrap();
    for n in 0..100_000u32 {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        let visitor = VisitorHash(bytes);
        let id = HoldId::derive(&sale, 0, &visitor, "k");
        let event =
            LaneEvent::Booked { id, visitor, lines: of.clone(), fp: Fingerprint::of(&of), pass: None, at: Millis(2) };
        texts.push(event.encode().unwrap());
    }
    let began = Instant::now();
    let events: Vec<LaneEvent> = texts.iter().map(|text| LaneEvent::decode(text).unwrap()).collect();
    let decoded = began.elapsed();
    let began = Instant::now();
    let mut fold = LaneFold::default();
    for (n, event) in events.iter().enumerate() {
        fold.apply(n as u64 + 1, event).unwrap();
    }
    let folded = began.elapsed();
    println!("100,000 events: decoded in {decoded:?}, folded in {folded:?}");
    assert_eq!(fold.item(&item("a")).sold, 100_000);
    assert!(folded.as_millis() < 2_000, "folding took {folded:?}");
}
