#![allow(clippy::unwrap_used)]
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
    LaneStock { now: Millis(0), settled: 1, items: vec![item("floor", floor), item("vip", vip)] }
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
        let lane = |settled, moved| LaneStock { now: Millis(0), settled, items: items(moved).to_vec() };
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
