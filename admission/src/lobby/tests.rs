#![allow(clippy::unwrap_used)]

use super::*;
use crate::draw::Book;

fn sale() -> SaleId {
    "night".parse().unwrap()
}

fn visitor(n: u32) -> VisitorHash {
    // Alike at the front: every one of them is looked for at the same slot.
    let mut bytes = [3; 16];
    bytes[12..].copy_from_slice(&n.to_be_bytes());
    VisitorHash(bytes)
}

fn seed() -> Seed {
    Seed([5; 32])
}

fn came(first: bool, who: impl IntoIterator<Item = u32>) -> LobbyEvent {
    LobbyEvent::Came {
        commitment: first.then(|| seed().commitment()),
        receipts: who.into_iter().map(visitor).collect(),
    }
}

fn lobby(count: u32) -> Lobby {
    let mut lobby = Lobby::default();
    add(&mut lobby, &came(true, 0..count)).unwrap();
    lobby
}

fn add(lobby: &mut Lobby, event: &LobbyEvent) -> Result<(), BadLobby> {
    lobby.check(event, 0)?;
    lobby.apply(event);
    Ok(())
}

fn drawn() -> LobbyEvent {
    LobbyEvent::Drawn { seed: Digest(seed().0), public_value: None }
}

#[test]
fn every_visitor_is_found_at_the_index_of_the_receipt() {
    let mut lobby = lobby(100);
    add(&mut lobby, &came(false, 100..700)).unwrap();
    assert!((0..700).all(|n| lobby.index_of(&visitor(n)) == Some(n.into())));
    assert_eq!((lobby.index_of(&visitor(700)), Lobby::default().index_of(&visitor(0))), (None, None));
    assert!(lobby.bytes() <= 700 * 2 * (16 + 16), "{}", lobby.bytes());
}

#[test]
fn nobody_comes_twice_and_nobody_after_the_closing() {
    let mut lobby = lobby(3);
    assert_eq!(add(&mut lobby, &came(false, [2])), Err(BadLobby::Receipts));
    assert_eq!(add(&mut lobby, &came(false, [7, 7])), Err(BadLobby::Receipts));
    assert_eq!(add(&mut lobby, &came(false, [])), Err(BadLobby::Receipts));
    assert_eq!(add(&mut lobby, &came(true, [4])), Err(BadLobby::Commitment), "it is committed to once");
    assert_eq!(add(&mut Lobby::default(), &came(false, [4])), Err(BadLobby::Commitment));
    assert_eq!(lobby.check(&came(false, [4]), 1), Err(BadLobby::Late), "numbers are given out");
    let root = lobby.root(&sale());
    assert_eq!(add(&mut lobby, &LobbyEvent::Closed { count: 2, root }), Err(BadLobby::Closed));
    add(&mut lobby, &LobbyEvent::Closed { count: 3, root }).unwrap();
    assert_eq!(add(&mut lobby, &came(false, [4])), Err(BadLobby::Late));
    assert_eq!(add(&mut lobby, &LobbyEvent::Closed { count: 3, root }), Err(BadLobby::Closed));
    assert_eq!(add(&mut Lobby::default(), &LobbyEvent::Closed { count: 0, root }), Err(BadLobby::Closed));
}

#[test]
fn it_is_drawn_once_after_it_has_closed_and_the_order_is_that_of_a_shuffle() {
    let mut lobby = lobby(50);
    assert_eq!(add(&mut lobby, &drawn()), Err(BadLobby::Drawn));
    let root = lobby.root(&sale());
    assert_eq!(root, Book::new(sale(), lobby.receipts().to_vec()).root());
    add(&mut lobby, &LobbyEvent::Closed { count: 50, root }).unwrap();
    assert!(!lobby.is_over() && lobby.number_of(0).is_none());
    add(&mut lobby, &drawn()).unwrap();
    assert_eq!(add(&mut lobby, &drawn()), Err(BadLobby::Drawn));
    assert!(!lobby.is_over(), "the order is not computed yet");
    lobby.settle(&sale()).unwrap();
    let places = lobby.order(seed(), None).unwrap().draw();
    let numbers: Vec<_> = (0..51).map(|index| lobby.number_of(index)).collect();
    assert_eq!(numbers, (0..51).map(|index| places.of(index).map(u64::from)).collect::<Vec<_>>());
    assert!(lobby.is_over());
}

#[test]
fn a_root_or_a_seed_that_does_not_follow_from_the_log_is_found() {
    let mut lobby = lobby(50);
    let root = lobby.root(&sale());
    let mut other = lobby.clone();
    other.apply(&LobbyEvent::Closed { count: 50, root: Digest([1; 32]) });
    assert_eq!(other.settle(&sale()), Err(BadLobby::Closed));
    lobby.apply(&LobbyEvent::Closed { count: 50, root });
    lobby.settle(&sale()).unwrap();
    lobby.apply(&LobbyEvent::Drawn { seed: Digest([6; 32]), public_value: None });
    assert_eq!(lobby.settle(&sale()), Err(BadLobby::Drawn));
}

#[test]
fn a_lobby_without_anybody_waits_for_no_draw() {
    let mut lobby = Lobby::default();
    lobby.settle(&sale()).unwrap();
    assert!(lobby.is_over() && lobby.is_open(0) && !lobby.is_open(1));
}
