//! What a process shows, read from a real Redis.

use std::collections::BTreeMap;

use admission::view::{Band, LineState, LineView, PlaceState, Poller};
use domain::{Millis, Phase};
use lua::hints::Seen;
use lua::lane::{LoadBegin, LoadEnd};
use lua::{LaneKeys, Redis};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::support::{RoomOf, World, eventually, sale};

struct Shown {
    view: LineView,
    hint: watch::Sender<Seen>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Shown {
    fn start(world: &World) -> Self {
        let (view, (hint, hints), (stop, stopped)) =
            (LineView::new(), watch::channel(Seen::default()), watch::channel(false));
        let poller = Poller {
            sale: sale(),
            redis: world.server.redis(),
            sales: world.sales.watch(),
            hints,
            clock: world.clock.clock(),
            view: view.clone(),
        };
        Self { view, hint, stop, task: tokio::spawn(poller.run(stopped)) }
    }

    async fn stop(self) {
        self.stop.send(true).unwrap();
        self.task.await.unwrap();
    }
}

/// Loads the sale's only lane with this many free units.
async fn stock(redis: &Redis, epoch: u64, free: i64) {
    let keys = LaneKeys::new(&sale(), 0);
    let _ = lua::lane::unload(redis, &keys, epoch).await;
    let begin = LoadBegin { epoch, head: 1, free: [("floor".parse().unwrap(), free)].into(), moved: BTreeMap::new() };
    lua::lane::load_begin(redis, &keys, &begin).await.unwrap();
    lua::lane::load_end(redis, &keys, &LoadEnd { epoch, head: 1, n: 0 }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn h17_what_is_shown_never_goes_back_with_redis() {
    let world = World::open(RoomOf { cap: 3, ..RoomOf::default() }).await;
    let shown = Shown::start(&world);
    let owner = world.owner("one").await;
    for who in 1..=9 {
        owner.join(who, None).await;
    }
    owner.frontier(3).await;
    eventually("the frontier is shown", || async { shown.view.load().frontier == 3 }).await;
    world.snapshot().await;
    owner.pass(1, 1).await;
    owner.leave(1, 1).await;
    owner.frontier(4).await;
    eventually("the next frontier is shown", || async { shown.view.load().frontier == 4 }).await;
    owner.kill().await;
    world.roll_back().await;
    let keys = lua::LineKeys::new(&sale());
    assert_eq!(lua::line::look(&world.redis, &keys).await.unwrap().state.frontier, 3, "Redis shows the older one");
    for wiped in [false, true] {
        if wiped {
            world.wipe().await;
        }
        let looks = shown.view.load().as_of;
        stock(&world.redis, 1, 500).await;
        shown.hint.send(Seen { line: 1 + u64::from(wiped), ..Seen::default() }).unwrap();
        eventually("it has looked again", || async { wiped || shown.view.load().as_of > looks }).await;
        assert_eq!(shown.view.load().frontier, 4);
        assert_eq!(shown.view.place(4, 0).state, PlaceState::Called);
    }
    shown.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stock_shown_follows_the_lane_and_an_unread_one_is_no_stock() {
    let world = World::open(RoomOf::default()).await;
    let shown = Shown::start(&world);
    let owner = world.owner("one").await;
    eventually("the line is shown", || async { shown.view.load().pace_per_minute == 60_000 }).await;
    assert_eq!((shown.view.load().band, shown.view.load().as_of), (None, None), "the lane is not loaded");
    assert_eq!(shown.view.stock(Millis(0)), None);
    for (epoch, free, band, state) in [
        (1, 50_000, Band::Plenty, LineState::Open),
        (2, 900, Band::Few, LineState::Open),
        (3, 0, Band::SoldOut, LineState::SoldOut),
    ] {
        stock(&world.redis, epoch, free).await;
        eventually("the stock is shown", || async {
            shown.view.load().items.first().is_some_and(|item| item.band == band)
        })
        .await;
        assert_eq!(shown.view.load().state(Phase::Open), state);
        assert!(shown.view.load().as_of.is_some());
    }
    owner.stop().await;
    shown.stop().await;
}

/// The whole loop on one Redis: units in the lane, people in line, the poller between them.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_called_beyond_the_units_a_real_lane_shows() {
    let mut world = World::open(RoomOf::default()).await;
    let shown = Shown::start(&world);
    world.view = shown.view.clone();
    let owner = world.owner("one").await;
    for who in 1..=20 {
        owner.join(who, None).await;
    }
    assert_eq!(owner.status().frontier, 0, "the lane is not loaded: unknown stock calls nobody");
    stock(&world.redis, 1, 7).await;
    owner.frontier(7).await;
    for who in 1..=7 {
        owner.pass(who, who).await;
    }
    eventually("the stock binds", || async { owner.status().binding == admission::step::Binding::Stock }).await;
    assert_eq!(owner.status().frontier, 7);
    owner.leave(7, 7).await;
    owner.frontier(8).await;
    assert_eq!(owner.status().frontier, 8, "one left without a unit: one more is called");
    owner.stop().await;
    shown.stop().await;
}
