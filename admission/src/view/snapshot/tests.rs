#![allow(clippy::unwrap_used)]
use domain::fault::KnownFaults;
use lua::lane::{ItemStock as LaneItem, Moved};

use super::*;

fn doc() -> SaleDoc {
    SaleDoc::from_toml(
        r#"
        id = "night"
        admission = { pace_per_minute = 600, active_passes = 50 }
        lanes = 2
        [[items]]
        id = "vip"
        units = 10
        [[items]]
        id = "floor"
        units = 1000
        "#,
    )
    .unwrap()
}

fn lane(vip: (i64, i64), floor: (i64, i64)) -> LaneStock {
    let item = |id: &str, (free, live)| (id.parse().unwrap(), LaneItem { free, live, moved: Moved::default() });
    LaneStock { now: Millis(0), settled: 1, owned: true, items: vec![item("floor", floor), item("vip", vip)] }
}

fn line(frontier: u64, issued: u64) -> LineLooked {
    LineLooked { frontier, shown: Shown { issued, ..Shown::default() }, places: None }
}

#[test]
fn stock_is_summed_over_lanes_in_the_documents_order() {
    let looked = Looked { line: Some(line(5, 9)), lanes: Some(vec![lane((1, 2), (300, 0)), lane((-4, 1), (200, 7))]) };
    let shot = Snapshot::default().after(&looked, &doc(), Millis(1_000));
    let items: Vec<_> = shot.items.iter().map(|i| (i.item.as_str(), i.free, i.live, i.band)).collect();
    assert_eq!(items, [("vip", 1, 3, Band::Few), ("floor", 500, 7, Band::Plenty)], "a lane below zero counts as empty");
    assert_eq!((shot.free, shot.live, shot.band), (501, 10, Some(Band::Plenty)));
    assert_eq!((shot.frontier, shot.issued, shot.pace_per_minute, shot.as_of), (5, 9, 600, Some(Millis(1_000))));
    assert_eq!(shot.state(Phase::Open), LineState::Open);
}

/// H17: an older copy of Redis, or an empty one, never takes back what was shown.
#[test]
fn the_frontier_shown_never_goes_back() {
    let first = Snapshot::default().after(&Looked { line: Some(line(50, 90)), lanes: None }, &doc(), Millis(1));
    let rolled_back = first.after(&Looked { line: Some(line(20, 40)), lanes: None }, &doc(), Millis(2));
    assert_eq!((rolled_back.frontier, rolled_back.issued), (50, 90));
    let lost = rolled_back.after(&Looked::default(), &doc(), Millis(3));
    assert_eq!((lost.frontier, lost.issued), (50, 90));
}

#[test]
fn a_look_without_an_answer_keeps_the_stock_and_lets_it_grow_old() {
    let full = Looked { line: Some(line(5, 9)), lanes: Some(vec![lane((5, 0), (5, 0))]) };
    let shot = Snapshot::default().after(&full, &doc(), Millis(1_000)).after(&Looked::default(), &doc(), Millis(9_000));
    assert_eq!((shot.as_of, shot.free), (Some(Millis(1_000)), 10));
    assert_eq!(shot.stock(Millis(2_500), 2_000), Some(Stock { free: 10, held: 0, sold: 1_000 }));
    assert_eq!(shot.stock(Millis(9_000), 2_000), None, "old stock is unknown stock");
}

#[test]
fn the_version_counts_what_is_shown_and_nothing_else() {
    let look = |frontier, free| Looked { line: Some(line(frontier, 90)), lanes: Some(vec![lane((5, 0), (free, 0))]) };
    let first = Snapshot::default().after(&look(1, 500), &doc(), Millis(1));
    assert_eq!(first.after(&look(1, 499), &doc(), Millis(2)).version, first.version, "the same word");
    assert_eq!(first.after(&look(1, 50), &doc(), Millis(2)).version, first.version + 1);
    assert_eq!(first.after(&look(2, 500), &doc(), Millis(2)).version, first.version + 1);
}

#[test]
fn all_held_is_not_sold_out() {
    let look = |live| Looked { line: None, lanes: Some(vec![lane((0, 0), (0, live))]) };
    let held = Snapshot::default().after(&look(1), &doc(), Millis(1));
    assert_eq!((held.band, held.state(Phase::Open)), (Some(Band::Held), LineState::Open));
    let over = held.after(&look(0), &doc(), Millis(1));
    assert_eq!((over.state(Phase::Open), over.state(Phase::Closed)), (LineState::SoldOut, LineState::Closed));
}

/// R11: a unit may be between two lanes, or move behind the look's back.
#[test]
fn several_lanes_are_sold_out_after_two_equal_looks_and_with_nothing_between_them() {
    let look = |settled, given, received| {
        let moved = Moved { given, received };
        let items = |moved| ["floor", "vip"].map(|id| (id.parse().unwrap(), LaneItem { moved, ..LaneItem::default() }));
        let lane = |settled, moved| LaneStock { now: Millis(0), settled, owned: true, items: items(moved).to_vec() };
        Looked { line: None, lanes: Some(vec![lane(settled, moved), lane(4, Moved::default())]) }
    };
    let band = |shot: &Snapshot| shot.band.unwrap();
    let once = Snapshot::default().after(&look(7, 0, 0), &doc(), Millis(1));
    assert_eq!(band(&once), Band::Held, "one look");
    assert_eq!(band(&once.after(&look(8, 0, 0), &doc(), Millis(2))), Band::Held, "something happened meanwhile");
    assert_eq!(band(&once.after(&look(7, 0, 0), &doc(), Millis(2))), Band::SoldOut);
    let moving = Snapshot::default().after(&look(7, 2, 1), &doc(), Millis(1)).after(&look(7, 2, 1), &doc(), Millis(2));
    assert_eq!(band(&moving), Band::Held, "a unit is on its way");
    let mut one = look(7, 0, 0);
    one.lanes.as_mut().unwrap()[1].items.pop();
    let stocking = Snapshot::default().after(&one, &doc(), Millis(1)).after(&one, &doc(), Millis(2));
    assert_eq!(stocking.items.iter().map(|item| item.band).collect::<Vec<_>>(), [Band::Held, Band::SoldOut]);
}

#[test]
fn what_was_published_of_a_lobby_is_never_taken_back() {
    let seen = |shot: &Snapshot, lobby: &ShownLobby, places: Option<Places>| {
        let shown = Shown { lobby: Some(lobby.clone()), ..Shown::default() };
        let line = Some(LineLooked { frontier: 0, shown, places: places.map(Arc::new) });
        shot.after(&Looked { line, lanes: None }, &doc(), Millis(1))
    };
    let open = ShownLobby { count: 3, ..ShownLobby::default() };
    let closed = ShownLobby { root: Some(domain::Digest([1; 32])), ..open.clone() };
    let drawn = ShownLobby { seed: Some(domain::Digest([2; 32])), ..closed.clone() };
    let shot = seen(&Snapshot::default(), &open, None);
    assert_eq!(shot.number_of(0), None);
    let shot = seen(&shot, &closed, None);
    assert_eq!(seen(&shot, &open, None).lobby, shot.lobby, "an older copy of Redis");
    let shot = seen(&shot, &drawn, Some(drawn.order().unwrap().draw()));
    let mut numbers: Vec<_> = (0..4).filter_map(|index| shot.number_of(index)).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3]);
    for older in [&open, &closed] {
        assert_eq!(seen(&shot, older, None).lobby, shot.lobby);
    }
    let other = ShownLobby { seed: Some(domain::Digest([9; 32])), ..closed };
    assert_eq!(seen(&shot, &other, Some(other.order().unwrap().draw())).lobby, shot.lobby, "an order is an order");
}

#[test]
fn what_is_known_of_faults_only_grows_and_nobody_records_any_under_an_owner_that_does_not_say() {
    let doc = doc();
    let after = |shot: &Snapshot, windows: &[(u64, u64)], to: Option<u64>| {
        let faults = windows.iter().map(|(from, to)| (Millis(*from), Millis(*to))).collect();
        let shown = Shown { faults, faults_known_to: to.map(Millis), ..Shown::default() };
        let line = Some(LineLooked { frontier: 0, shown, places: None });
        shot.after(&Looked { line, lanes: None }, &doc, Millis(1))
    };
    let start = Snapshot::default();
    assert_eq!(start.faults.to, Millis(0), "nothing is known");
    let said = after(&after(&start, &[], Some(4_500)), &[], Some(5_000));
    assert_eq!((said.faults.to, said.version), (Millis(5_000), after(&start, &[], None).version), "nothing to show");
    let fault = after(&said, &[(5_000, 9_000)], Some(9_500));
    assert_eq!(fault.faults.faults.windows(), [(Millis(5_000), Millis(9_000))]);
    assert_eq!(fault.version, said.version + 1);
    let back = after(&fault, &[], Some(5_000));
    assert_eq!(back.faults, fault.faults, "an older copy of Redis");
    assert_eq!(after(&fault, &[], None).faults, fault.faults, "a damaged one");
    let silent = after(&start, &[], None);
    assert_eq!(*silent.faults, KnownFaults::none());
    assert_eq!(after(&silent, &[], Some(5_000)).faults.to, Millis(5_000), "until one says");
}

#[test]
fn the_front_is_sound_while_line_and_lanes_answer_and_each_lane_has_an_owner() {
    let doc = doc();
    let look = |shot: &Snapshot, line_answers: bool, lanes: Option<bool>, now| {
        let lanes = lanes.map(|owned| vec![LaneStock { owned, ..lane((1, 0), (1, 0)) }]);
        shot.after(&Looked { line: line_answers.then(|| line(0, 0)), lanes }, &doc, Millis(now))
    };
    let shot = look(&Snapshot::default(), true, Some(true), 10);
    assert_eq!(shot.sound_at, Some(Millis(10)));
    for (line_answers, lanes) in [(true, Some(false)), (true, None), (false, Some(true)), (false, None)] {
        assert_eq!(look(&shot, line_answers, lanes, 20).sound_at, Some(Millis(10)), "{line_answers} {lanes:?}");
    }
    assert_eq!(look(&shot, true, Some(true), 30).sound_at, Some(Millis(30)));
}
