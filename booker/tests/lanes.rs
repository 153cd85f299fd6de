//! A sale of several lanes with its real Redis and ledger: units move to where the visitors are (R11).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use booker::fold::LaneFold;
use booker::{ConfirmAnswer, GiveAnswer, GiveRequest, HoldAnswer, HoldRequest, Lane, LaneError, Siblings};
use common::{Owner, PATIENCE, World, doc, item, lines, sale, until, visitor};
use domain::event::{Event as _, WITHDRAWN};
use domain::{HoldId, LaneEvent, LogId, VisitorHash};
use lua::LaneKeys;
use tokio::sync::Mutex;

const LANES: u16 = 4;

/// The lanes of one sale, whose owners can be killed.
struct Sale {
    world: World,
    owners: Mutex<Vec<Owner>>,
    siblings: Siblings,
    starts: AtomicU64,
}

impl Sale {
    async fn new(units: u64) -> Arc<Self> {
        let world = World::new(domain::SaleDoc { lanes: LANES, ..doc(&[("a", units)]) }).await;
        let siblings = world.siblings.clone();
        let sale = Self { world, owners: Mutex::new(vec![]), siblings, starts: AtomicU64::new(0) };
        sale.start().await;
        sale.ready().await;
        Arc::new(sale)
    }

    /// All owners, as a process starts them.
    async fn start(&self) {
        let start = self.starts.fetch_add(1, Ordering::Relaxed);
        let owners: Vec<Owner> = (0..LANES).map(|n| self.world.owner_of(&format!("p{start}"), n)).collect();
        self.siblings.set(owners.iter().map(|owner| owner.lane.clone()).collect());
        *self.owners.lock().await = owners;
    }

    async fn ready(&self) {
        for owner in self.owners.lock().await.iter() {
            owner.ready().await;
        }
    }

    /// The process is killed between two steps of everything, and another one started.
    async fn kill(&self) {
        let owners = std::mem::take(&mut *self.owners.lock().await);
        for owner in owners {
            owner.kill().await;
        }
        self.start().await;
    }

    async fn lane(&self, n: u16) -> Option<Lane> {
        self.owners.lock().await.get(usize::from(n)).map(|owner| owner.lane.clone())
    }

    async fn events(&self, lane: u16) -> Vec<LaneEvent> {
        let mut events = vec![];
        let visit = |entry: ledger::Entry| events.push(LaneEvent::decode(&entry.event).unwrap());
        self.world.ledger().read_all(&LogId::lane(&sale(), lane), 0, visit).await.unwrap();
        events
    }

    async fn folds(&self) -> Vec<LaneFold> {
        let mut folds = vec![];
        for lane in 0..LANES {
            let mut fold = LaneFold::default();
            for (seq, event) in (1..).zip(self.events(lane).await) {
                fold.apply(seq, &event).expect("I1 and R1 hold in every lane's log");
            }
            folds.push(fold);
        }
        folds
    }

    async fn sold(&self) -> u64 {
        self.folds().await.iter().map(|fold| fold.item(&item("a")).sold).sum()
    }

    /// Units that left a lane and came in nowhere.
    async fn on_their_way(&self) -> u64 {
        let folds = self.folds().await;
        let sum =
            |of: fn(&booker::fold::MovedSum) -> u64| folds.iter().flat_map(|f| f.moved().values()).map(of).sum::<u64>();
        sum(|moved| moved.given) - sum(|moved| moved.received)
    }

    /// I2 in every lane, nothing between them, and as many units as there ever were.
    async fn at_rest(&self, units: u64) {
        until("nothing is between the lanes, and Redis is what the ledger says", || async {
            let folds = self.folds().await;
            let mut rests = self.on_their_way().await == 0;
            for (lane, fold) in (0..).zip(&folds) {
                let stock = lua::lane::stock(&self.world.redis(), &LaneKeys::new(&sale(), lane)).await;
                let left = i64::try_from(fold.item(&item("a")).left()).unwrap();
                rests &= stock
                    .is_ok_and(|s| s.settled == fold.head() && s.items.iter().all(|(_, a)| a.free + a.live == left));
            }
            rests
        })
        .await;
        let allocated: u64 = self.folds().await.iter().map(|fold| fold.item(&item("a")).allocated).sum();
        assert_eq!(allocated, units);
    }

    fn request(lane: u16, v: u32, units: u32) -> HoldRequest {
        let who = who(lane, v);
        HoldRequest {
            id: HoldId::derive(&sale(), lane, &who, "k"),
            visitor: who,
            lines: lines(&[("a", units)]),
            pass: None,
        }
    }

    /// Holds until the answer is certain: true when held, false when told that it is sold out.
    async fn hold(&self, lane: u16, v: u32, units: u32) -> bool {
        let begin = Instant::now();
        loop {
            let answer = match self.lane(lane).await {
                Some(handle) => handle.hold(Self::request(lane, v, units)).await,
                None => Err(LaneError::NoOwner),
            };
            match answer {
                Ok(HoldAnswer::Hold { .. }) => return true,
                Ok(HoldAnswer::SoldOut) => return false,
                Ok(HoldAnswer::AllHeld) | Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                Ok(other) => panic!("{other:?}"),
            }
            assert!(begin.elapsed() < 3 * PATIENCE, "visitor {v} of lane {lane} has no certain answer");
        }
    }

    async fn confirm(&self, lane: u16, v: u32) -> bool {
        let (begin, request) = (Instant::now(), Self::request(lane, v, 1));
        loop {
            if let Some(handle) = self.lane(lane).await {
                match handle.confirm(request.id, request.visitor, None, Duration::from_secs(2)).await {
                    Ok(ConfirmAnswer::Booked { .. }) => return true,
                    Ok(ConfirmAnswer::Refused(_)) => return false,
                    _ => {}
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            assert!(begin.elapsed() < 3 * PATIENCE, "the confirm of {v} in lane {lane} never ends");
        }
    }
}

/// A visitor whose home is the lane.
fn who(lane: u16, v: u32) -> VisitorHash {
    let who = visitor(u32::from(lane) * (u32::MAX / u32::from(LANES) + 1) + v);
    assert_eq!(who.lane(LANES), lane);
    who
}

/// `buyers` per lane buy one unit each, all at once. Nobody may be told "sold out" while a unit is unsold.
async fn buy(sale: &Arc<Sale>, buyers: [u32; LANES as usize], units: u64) -> u64 {
    let mut tasks = vec![];
    for (lane, buyers) in (0..).zip(buyers) {
        for v in 0..buyers {
            let sale = sale.clone();
            tasks.push(tokio::spawn(async move {
                if sale.hold(lane, v, 1).await {
                    return u64::from(sale.confirm(lane, v).await);
                }
                assert_eq!(sale.sold().await, units, "told that it is sold out");
                0
            }));
        }
    }
    let mut booked = 0;
    for task in tasks {
        booked += task.await.unwrap();
    }
    booked
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn visitors_of_one_lane_buy_the_units_of_all() {
    let sale = Sale::new(40).await;
    assert_eq!(buy(&sale, [60, 0, 0, 0], 40).await, 40);
    sale.at_rest(40).await;
    assert_eq!(sale.folds().await[0].item(&item("a")).sold, 40);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unbalanced_visitors_buy_every_unit_and_only_then_it_is_sold_out() {
    let sale = Sale::new(101).await;
    assert_eq!(buy(&sale, [70, 3, 0, 60], 101).await, 101);
    sale.at_rest(101).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_units_of_all_lanes_come_together_for_one_visitor() {
    let sale = Sale::new(8).await;
    assert!(sale.hold(2, 1, 8).await, "two of each lane");
    assert!(matches!(sale.lane(1).await.unwrap().hold(Sale::request(1, 1, 1)).await, Ok(HoldAnswer::AllHeld)));
    assert!(sale.confirm(2, 1).await);
    assert!(!sale.hold(1, 1, 1).await);
    sale.at_rest(8).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn units_between_lanes_survive_every_death() {
    let sale = Sale::new(160).await;
    let (killer, killed) = (sale.clone(), Arc::new(AtomicU64::new(0)));
    let count = killed.clone();
    let kills = tokio::spawn(async move {
        for _ in 0..4 {
            // Some way into the sale, and again when it goes on.
            let before = killer.sold().await;
            let begin = Instant::now();
            while killer.sold().await < before + 15 && begin.elapsed() < PATIENCE {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            killer.kill().await;
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    assert_eq!(buy(&sale, [170, 2, 2, 1], 160).await, 160);
    kills.await.unwrap();
    assert_eq!(killed.load(Ordering::Relaxed), 4);
    sale.ready().await;
    sale.at_rest(160).await;
}

fn ask(from: u16, to: u16, key: &str, units: u32) -> GiveRequest {
    let id = HoldId::derive(&sale(), from, &VisitorHash::for_lane(to), key);
    GiveRequest { id, to, wanted: lines(&[("a", units)]), urgent: true }
}

#[tokio::test]
async fn an_owner_finds_what_was_given_to_its_lane_while_nobody_owned_it() {
    let sale = Sale::new(40).await;
    let mut owners = std::mem::take(&mut *sale.owners.lock().await);
    owners.remove(1).kill().await;
    let giver = owners[0].lane.clone();
    let given = giver.give(ask(0, 1, "x", 7)).await.unwrap();
    let GiveAnswer::Given { seq } = given else { panic!("{given:?}") };
    assert_eq!(giver.give(ask(0, 1, "x", 7)).await.unwrap(), given, "the same ask is the same transfer");
    assert_eq!((sale.on_their_way().await, giver.given(1, 0).await.unwrap()), (7, vec![seq]));
    for owner in owners {
        owner.kill().await;
    }
    sale.start().await;
    sale.at_rest(40).await;
    assert_eq!(sale.folds().await[1].item(&item("a")).allocated, 17);
    assert!(sale.folds().await[1].has_stock_from(&format!("lane/gig/0:{seq}")));
}

#[tokio::test]
async fn a_lane_gives_what_is_free_and_nothing_that_is_held() {
    let sale = Sale::new(40).await;
    // Nobody can be asked, so that what is free here stays what it is.
    let lanes: Vec<Lane> = sale.owners.lock().await.iter().map(|owner| owner.lane.clone()).collect();
    sale.siblings.set(vec![]);
    assert!(sale.hold(0, 1, 8).await);
    let giver = sale.lane(0).await.unwrap();
    assert!(matches!(giver.give(ask(0, 1, "x", 7)).await.unwrap(), GiveAnswer::Given { .. }));
    assert_eq!(giver.give(ask(0, 1, "y", 7)).await.unwrap(), GiveAnswer::Nothing, "eight are held");
    assert_eq!(giver.give(ask(0, 0, "z", 1)).await.unwrap(), GiveAnswer::Nothing, "itself");
    assert_eq!(giver.give(ask(2, 1, "z", 1)).await.unwrap(), GiveAnswer::Nothing, "an id of another lane");
    assert!(sale.confirm(0, 1).await, "what was promised is kept");
    assert_eq!(sale.folds().await[0].item(&item("a")).allocated, 8);
    sale.siblings.set(lanes);
    sale.at_rest(40).await;
}

/// Withdraws until every lane has said its word.
async fn withdraw(sale: &Sale, seq: u64, units: u64) -> u64 {
    let begin = Instant::now();
    loop {
        let mut lanes = vec![];
        for lane in 0..LANES {
            lanes.extend(sale.lane(lane).await);
        }
        if lanes.len() == usize::from(LANES)
            && let Ok(left) = booker::withdraw(&lanes, &common::sale(), seq, &item("a"), units).await
        {
            return left;
        }
        assert!(begin.elapsed() < 3 * PATIENCE, "withdrawal {seq} never ends");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Units that left the lanes for nobody.
async fn withdrawn(sale: &Sale) -> u64 {
    let mut units = 0;
    for lane in 0..LANES {
        let gone = |event: LaneEvent| match event {
            LaneEvent::TransferOut { to: WITHDRAWN, lines, .. } => lines.units(),
            _ => 0,
        };
        units += sale.events(lane).await.into_iter().map(gone).sum::<u64>();
    }
    units
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn withdrawals_beside_buyers_and_deaths_take_only_what_nobody_has() {
    let sale = Sale::new(120).await;
    let mut buyers = vec![];
    for (lane, count) in [(0, 40), (1, 30), (2, 5), (3, 25)] {
        for v in 0..count {
            let sale = sale.clone();
            buyers.push(tokio::spawn(async move {
                let held = sale.hold(lane, v, 1).await;
                if held {
                    assert!(sale.confirm(lane, v).await, "a unit that somebody holds is not withdrawn");
                } else {
                    assert_eq!(sale.sold().await + withdrawn(&sale).await, 120, "told that it is sold out");
                }
                u64::from(held)
            }));
        }
    }
    let killer = sale.clone();
    let kill = tokio::spawn(async move { killer.kill().await });
    let (mut total, mut first) = (0, vec![]);
    for seq in 2..6 {
        // Two who do not know of each other are told the same.
        let (one, two) = tokio::join!(withdraw(&sale, seq, 15), withdraw(&sale, seq, 15));
        assert!(one == two && one <= 15, "{one} {two}");
        total += one;
        first.push(one);
    }
    kill.await.unwrap();
    let mut booked = 0;
    for buyer in buyers {
        booked += buyer.await.unwrap();
    }
    sale.ready().await;
    assert_eq!((withdrawn(&sale).await, sale.sold().await), (total, booked));
    assert!(booked + total <= 120 && total > 0);
    for (seq, was) in (2..6).zip(first) {
        assert_eq!(withdraw(&sale, seq, 15).await, was, "and ever after");
    }
    assert_eq!(withdraw(&sale, 6, 1_000).await, 120 - booked - total, "what is left is free");
    sale.at_rest(booked).await;
    assert!(!sale.hold(3, 999, 1).await, "nothing is left");
}

#[tokio::test]
async fn a_busy_lane_asks_before_it_is_dry() {
    let sale = Sale::new(4_000).await;
    let lane = sale.lane(0).await.unwrap();
    // Faster than it could go on for half a second.
    for v in 0..900 {
        let held = lane.hold(Sale::request(0, v, 1)).await.unwrap();
        assert!(matches!(held, HoldAnswer::Hold { .. }), "{held:?}");
    }
    until("another lane's units have come, with own ones still free", || async {
        sale.folds().await[0].moved().values().any(|moved| moved.received > 0)
    })
    .await;
    let free = lua::lane::stock(&sale.world.redis(), &LaneKeys::new(&common::sale(), 0)).await.unwrap().items[0].1.free;
    assert!(free > 0);
    sale.at_rest(4_000).await;
}
