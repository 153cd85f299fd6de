//! Who comes before the sale opens, and the draw.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use admission::draw::{Book, Seed};
use admission::lobby::{Lobby, Order};
use admission::view::Poller;
use admission::{Came, Joined, LineError, LineView};
use domain::event::Event as _;
use domain::limits::{MAX_RECEIPTS, NUMBER_BLOCK};
use domain::{LineEvent, LobbyEvent, LogId, Millis, PublicValue, VisitorHash};
use ledger::faulty::{Call, Fault, Gate};
use lua::hints::Seen;
use tokio::sync::watch;

use crate::support::{Owner, RoomOf, World, actor, check_log, eventually, insist, sale, seed, visitor};

async fn come(owner: &Owner, who: u64) -> Came {
    insist(|| owner.line.come(visitor(who))).await
}

/// The index of each of these visitors, who come in this order.
async fn lobby(owner: &Owner, visitors: std::ops::Range<u64>) -> Vec<u64> {
    let mut indices = Vec::new();
    for who in visitors {
        indices.push(come(owner, who).await.index);
    }
    indices
}

/// What the log says of the lobby, in order.
async fn logged(world: &World) -> Vec<LobbyEvent> {
    world.log().await.into_iter().filter_map(|entry| entry.lobby).collect()
}

/// The lobby that the log leads to, and the order that anybody computes from what is published.
async fn published(world: &World) -> (Lobby, Order) {
    let mut fold = admission::fold::LineFold::new(0);
    for (n, event) in world.log().await.iter().enumerate() {
        fold.apply(n as u64 + 1, event).unwrap();
    }
    let lobby = fold.lobby().clone();
    let drawn = lobby.drawn().expect("it is drawn");
    let order = lobby.order(Seed(drawn.seed.0), drawn.public_value.clone()).unwrap();
    (lobby, order)
}

async fn open(world: &World) {
    world.sales.open(&sale(), actor()).await.unwrap();
}

/// Asks for a place until it is one.
async fn place(owner: &Owner, who: u64) -> Joined {
    owner.join(who, None).await
}

/// Everybody's number is the place that the draw gives to the receipt.
async fn everybody_has_the_drawn_number(world: &World, owner: &Owner, visitors: std::ops::Range<u64>) {
    let mut numbers = BTreeSet::new();
    for who in visitors.clone() {
        assert!(numbers.insert(place(owner, who).await.number));
    }
    let count = visitors.end - visitors.start;
    assert!(numbers.into_iter().eq(1..=count), "the lobby has the first numbers between them");
    let (lobby, order) = published(world).await;
    let places = order.draw();
    assert_eq!(order.root, Book::new(sale(), lobby.receipts().to_vec()).root());
    for who in visitors {
        let index = lobby.index_of(&visitor(who)).unwrap();
        assert_eq!(place(owner, who).await.number, u64::from(places.of(index).unwrap()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_early_gets_a_receipt_and_at_the_opening_the_number_that_the_draw_gives_to_it() {
    let world = World::scheduled(RoomOf::default()).await;
    let owner = world.owner("one").await;
    assert_eq!(come(&owner, 7).await, Came { index: 0, new: true });
    assert_eq!(come(&owner, 7).await, Came { index: 0, new: false }, "a refresh gives the same receipt");
    assert_eq!(lobby(&owner, 8..37).await, (1..30).collect::<Vec<_>>());
    assert_eq!(owner.line.join(visitor(7), None).await, Err(LineError::NotOpen), "no number before the opening");
    open(&world).await;
    everybody_has_the_drawn_number(&world, &owner, 7..37).await;
    assert_eq!(place(&owner, 100).await, Joined { number: 31, new: true }, "who comes later follows behind");
    assert_eq!(owner.line.come(visitor(101)).await, Err(LineError::NotOpen), "the lobby takes nobody any more");
    assert_eq!(come(&owner, 7).await, Came { index: 0, new: false }, "a receipt is shown for ever");
    let (lobby, order) = published(&world).await;
    let first = order.draw().as_slice().iter().position(|place| *place == 1).unwrap();
    let first = (7..37).find(|who| lobby.index_of(&visitor(*who)) == Some(first as u64)).unwrap();
    owner.pass(first, 1).await;
    owner.stop().await;
    let events = world.log().await;
    let at = |what: fn(&LineEvent) -> bool| events.iter().position(what).unwrap();
    let closed = at(|e| matches!(e.lobby, Some(LobbyEvent::Closed { .. })));
    let drawn = at(|e| matches!(e.lobby, Some(LobbyEvent::Drawn { .. })));
    let called = at(|e| e.frontier > 0);
    assert!(closed < drawn && drawn < called, "{closed} {drawn} {called}");
    check_log(&events, 60_000, 10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn twins_that_come_at_once_get_one_receipt() {
    let world = World::scheduled(RoomOf::default()).await;
    let owner = world.owner("one").await;
    let tabs: Vec<_> = (0..200_u64)
        .map(|n| {
            let line = owner.line.clone();
            tokio::spawn(async move { (n % 50, line.come(visitor(n % 50)).await.unwrap()) })
        })
        .collect();
    let (mut indices, mut new) = (vec![None; 50], 0);
    for tab in tabs {
        let (who, came) = tab.await.unwrap();
        assert_eq!(*indices[who as usize].get_or_insert(came.index), came.index);
        new += u32::from(came.new);
    }
    assert_eq!((indices.into_iter().flatten().collect::<BTreeSet<_>>().len(), new), (50, 50));
    owner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn losing_redis_costs_nobody_in_the_lobby_anything() {
    let world = World::scheduled(RoomOf::default()).await;
    let owner = world.owner("one").await;
    let indices = lobby(&owner, 0..20).await;
    world.wipe().await;
    assert_eq!(lobby(&owner, 0..20).await, indices);
    open(&world).await;
    world.wipe().await;
    everybody_has_the_drawn_number(&world, &owner, 0..20).await;
    let numbers: Vec<u64> = {
        let mut numbers = Vec::new();
        for who in 0..20 {
            numbers.push(place(&owner, who).await.number);
        }
        numbers
    };
    world.wipe().await;
    for who in 0..20 {
        assert_eq!(place(&owner, who).await.number, numbers[who as usize], "without showing anything");
    }
    owner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_dies_in_the_lobby_or_at_any_point_of_the_draw_changes_nothing() {
    // Which append the owner dies at: that of the closing, that of the order, the first one behind it; before or after it is done.
    for (dies_at, done) in [(0, false), (0, true), (1, false), (1, true), (2, false), (2, true)] {
        let world = World::scheduled(RoomOf::default()).await;
        let one = world.owner("one").await;
        let indices = lobby(&one, 0..25).await;
        one.kill().await;
        let two = world.owner("two").await;
        assert_eq!(lobby(&two, 0..25).await, indices, "the receipts are the log's");
        assert_eq!(come(&two, 25).await, Came { index: 25, new: true });
        let gate = Gate::closed();
        let log = LogId::line(&sale());
        for _ in 0..dies_at {
            world.faulty.next_on(&log, Call::Append, Fault::Delay(Duration::ZERO));
        }
        let fault = if done { Fault::HoldAnswer(gate.clone()) } else { Fault::HoldBefore(gate.clone()) };
        world.faulty.next_on(&log, Call::Append, fault);
        open(&world).await;
        gate.arrived(1).await;
        two.kill().await;
        world.faulty.heal();
        gate.open();
        let three = world.owner("three").await;
        everybody_has_the_drawn_number(&world, &three, 0..26).await;
        let later = place(&three, 99).await.number;
        assert!(later > 26 && later <= 26 + NUMBER_BLOCK + 1, "{later}");
        three.stop().await;
        check_log(&world.log().await, 60_000, 10_000);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_is_given_when_the_log_has_it_and_not_before() {
    let world = World::scheduled(RoomOf::default()).await;
    let owner = world.owner("one").await;
    let gate = Gate::closed();
    world.faulty.next(Call::Append, Fault::HoldBefore(gate.clone()));
    let line = owner.line.clone();
    let first = tokio::spawn(async move { line.come(visitor(1)).await });
    gate.arrived(1).await;
    assert!(!first.is_finished() && logged(&world).await.is_empty());
    gate.open();
    assert_eq!(first.await.unwrap(), Ok(Came { index: 0, new: true }));
    world.faulty.next(Call::Append, Fault::LoseAnswer);
    assert_eq!(owner.line.come(visitor(2)).await, Err(LineError::Unknown), "nobody guesses");
    assert_eq!(come(&owner, 2).await.index, 1);
    world.faulty.next(Call::Append, Fault::Refuse);
    assert_eq!(owner.line.come(visitor(3)).await, Err(LineError::Unavailable));
    assert_eq!(come(&owner, 3).await.index, 2);
    open(&world).await;
    everybody_has_the_drawn_number(&world, &owner, 1..4).await;
    owner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_the_draw_gave_to_another_opens_nothing() {
    let world = World::scheduled(RoomOf::default()).await;
    let owner = world.owner("one").await;
    lobby(&owner, 0..2).await;
    open(&world).await;
    let (zero, one) = (place(&owner, 0).await.number, place(&owner, 1).await.number);
    owner.frontier(2).await;
    assert_eq!(owner.line.claim(visitor(0), one).await, Err(LineError::Unavailable));
    assert_eq!(owner.line.claim(visitor(7), one).await, Err(LineError::Unavailable), "who was not in the lobby");
    assert_eq!(owner.join(0, Some(one)).await.number, zero, "the own place is the place");
    owner.pass(0, zero).await;
    owner.leave(0, zero).await;
    let again = owner.join(0, Some(zero)).await;
    assert_eq!(again, Joined { number: 3, new: true }, "after the pass ended there is a new number");
    assert_eq!(owner.join(0, Some(3)).await.number, 3);
    assert_eq!(owner.join(0, None).await.number, 3);
    owner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_with_other_keys_neither_takes_anybody_nor_draws() {
    let world = World::scheduled(RoomOf::default()).await;
    let one = world.owner("one").await;
    lobby(&one, 0..3).await;
    one.stop().await;
    let stranger = world.start_seeded("stranger", Seed([77; 32]));
    stranger.owning().await;
    assert_eq!(stranger.line.come(visitor(9)).await, Err(LineError::Unavailable));
    assert_eq!(come(&stranger, 2).await, Came { index: 2, new: false });
    open(&world).await;
    assert_eq!(stranger.line.join(visitor(2), None).await, Err(LineError::Drawing));
    stranger.stop().await;
    let two = world.owner("two").await;
    everybody_has_the_drawn_number(&world, &two, 0..3).await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draw_waits_for_the_public_value_that_was_named_and_follows_from_it() {
    let public = |value: Option<&str>| Some(PublicValue { named: "round 42".into(), value: value.map(Into::into) });
    let world = World::scheduled(RoomOf { public_value: public(None), ..RoomOf::default() }).await;
    let owner = world.owner("one").await;
    lobby(&owner, 0..5).await;
    open(&world).await;
    let later = place(&owner, 9).await.number;
    assert_eq!(later, 6, "who comes later has a number and waits as well");
    for who in 0..5 {
        assert_eq!(owner.line.join(visitor(who), None).await, Err(LineError::Drawing));
    }
    assert_eq!((owner.status().frontier, logged(&world).await.len()), (0, 6));
    world.change(RoomOf { public_value: public(Some("a1b2")), ..RoomOf::default() }).await;
    everybody_has_the_drawn_number(&world, &owner, 0..5).await;
    let (lobby, order) = published(&world).await;
    assert_eq!(order.public_value.as_deref(), Some("a1b2"));
    let without = Order { public_value: None, ..order.clone() };
    assert_ne!(without.draw(), order.draw(), "{}", lobby.count());
    owner.frontier(6).await;
    owner.stop().await;
}

/// A lobby of a million is drawn while others of the same thread go on. The bounds are the product's own; a quiet machine is ten
/// times faster.
#[tokio::test]
async fn a_million_are_drawn_within_five_seconds_and_hold_nobody_up() {
    const COUNT: u64 = 1_000_000;
    let world = World::scheduled(RoomOf { cap: 100, ..RoomOf::default() }).await;
    let hash = |n: u64| {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        bytes[8..].copy_from_slice(&n.to_be_bytes());
        VisitorHash(bytes)
    };
    let mut writer = world.ledger.claim(&LogId::line(&sale()), "before").await.unwrap();
    for from in (0..COUNT).step_by(MAX_RECEIPTS) {
        let receipts = (from..COUNT.min(from + MAX_RECEIPTS as u64)).map(hash).collect();
        let commitment = (from == 0).then(|| seed().commitment());
        let lobby = Some(LobbyEvent::Came { commitment, receipts });
        let entry = LineEvent { at: Millis(1), lobby, ..LineEvent::default() }.encode().unwrap();
        let ledger::Append::Appended(next) = world.ledger.append(&writer, &[entry]).await.unwrap() else { panic!() };
        writer = next;
    }
    let begin = Instant::now();
    let owner = world.owner("one").await;
    println!("a lobby of {COUNT} is taken over in {:?}", begin.elapsed());
    let (view, (_hint, hints), (stop, stopped)) =
        (LineView::of(world.ledger.clone(), sale()), watch::channel(Seen::default()), watch::channel(false));
    let poller = Poller {
        sale: sale(),
        redis: world.server.redis(),
        sales: world.sales.watch(),
        hints,
        clock: world.clock.clock(),
        view: view.clone(),
    };
    let poller = tokio::spawn(poller.run(stopped));
    let (watched, over) = watch::channel(false);
    let other = tokio::spawn(async move {
        let mut longest = Duration::ZERO;
        while !*over.borrow() {
            let begin = Instant::now();
            tokio::time::sleep(Duration::from_millis(1)).await;
            longest = longest.max(begin.elapsed());
        }
        longest
    });
    let begin = Instant::now();
    open(&world).await;
    let later = insist(|| owner.line.join(visitor(u64::MAX), None)).await;
    let joined = begin.elapsed();
    eventually("every process shows the order", || async { view.load().number_of(COUNT - 1).is_some() }).await;
    let drawn = begin.elapsed();
    watched.send(true).unwrap();
    let longest = other.await.unwrap();
    println!(
        "{COUNT} drawn and shown after {drawn:?}; a later visitor joined after {joined:?}; nobody waited longer than {longest:?}"
    );
    assert_eq!(later.number, COUNT + 1);
    assert!(drawn < Duration::from_secs(5), "{drawn:?}");
    assert!(longest < Duration::from_millis(500), "{longest:?}");
    let shown = view.load().number_of(123_456).unwrap();
    let answered = insist(|| owner.line.join(hash(123_456), None)).await;
    assert_eq!((answered.number, view.load().number_of(COUNT)), (shown, None));
    let book = view.book().await.unwrap();
    let root = view.load().lobby.as_ref().unwrap().shown.root;
    assert_eq!((book.count(), Some(book.root())), (COUNT, root));
    stop.send(true).unwrap();
    poller.await.unwrap();
    owner.stop().await;
}
