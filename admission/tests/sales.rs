//! The registry of sales on a real ledger.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use admission::{Acted, Sales, SalesError, StockChange, clock};
use domain::id::sale_tag;
use domain::{Act, Actor, LogId, Phase, SaleDoc, SaleEvent, SaleId, event::Event as _};
use ledger::faulty::{Call, Fault, Faulty};
use ledger::{Append, Ledger};
use tokio::sync::watch;

struct World {
    ledger: Ledger,
    faulty: Faulty,
    _files: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let files = tempfile::tempdir().unwrap();
        let faulty = Faulty::new(&Ledger::sqlite(&files.path().join("ledger.db")).unwrap());
        Self { ledger: faulty.ledger(), faulty, _files: files }
    }

    async fn sales(&self, owner: &str) -> Sales {
        Sales::start(self.ledger.clone(), owner.into(), clock::system()).await.unwrap()
    }

    async fn log(&self, id: &str) -> Vec<SaleEvent> {
        let mut events = Vec::new();
        let log = LogId::sale(&sale(id));
        self.ledger.read_all(&log, 0, |entry| events.push(SaleEvent::decode(&entry.event).unwrap())).await.unwrap();
        events
    }
}

fn sale(id: &str) -> SaleId {
    id.parse().unwrap()
}

fn doc(id: &str, units: u64) -> SaleDoc {
    SaleDoc::from_toml(&format!("id = \"{id}\"\nadmission = \"none\"\n[[items]]\nid = \"floor\"\nunits = {units}\n"))
        .unwrap()
}

fn by(who: &str) -> Actor {
    Actor { by: who.into(), why: "because".into() }
}

#[tokio::test]
async fn a_sale_is_created_changed_opened_and_closed_each_recorded_with_who_and_why() {
    let world = World::new();
    let sales = world.sales("one").await;
    let created = sales.apply(doc("night", 10), None, by("ann")).await.unwrap();
    assert!(matches!(&created, Acted::Created(fold) if fold.revision == 1));
    assert!(matches!(sales.apply(doc("night", 10), None, by("bob")).await.unwrap(), Acted::Unchanged(_)));
    let changed = sales.apply(doc("night", 15), Some(1), by("bob")).await.unwrap();
    assert!(matches!(&changed, Acted::Changed(fold) if fold.revision == 2 && fold.doc.items[0].units == 15));
    assert!(matches!(sales.open(&sale("night"), by("ann")).await.unwrap(), Acted::Changed(_)));
    assert!(matches!(sales.open(&sale("night"), by("ann")).await.unwrap(), Acted::Unchanged(_)));
    assert_eq!(sales.get(&sale("night")).unwrap().phase(domain::Millis(1)), Phase::Open);
    assert!(matches!(sales.close(&sale("night"), by("eve")).await.unwrap(), Acted::Changed(_)));
    assert!(matches!(sales.close(&sale("night"), by("eve")).await.unwrap(), Acted::Unchanged(_)));
    assert_eq!(sales.open(&sale("night"), by("ann")).await, Err(SalesError::Closed), "a close is final");
    assert_eq!(sales.apply(doc("night", 20), None, by("ann")).await, Err(SalesError::Closed));
    let log = world.log("night").await;
    let told: Vec<(&str, &str)> = log.iter().map(|event| (event.actor.by.as_str(), event.actor.why.as_str())).collect();
    assert_eq!(told, [("ann", "because"), ("bob", "because"), ("ann", "because"), ("eve", "because")]);
    let Act::Define { stock, .. } = &log[1].act else { panic!("a definition") };
    assert_eq!(stock.iter().map(|(item, n)| (item.as_str(), *n)).collect::<Vec<_>>(), [("floor", 5)], "what it adds");
}

#[tokio::test]
async fn the_operators_hand_is_recorded_with_who_and_why_is_idempotent_and_survives_a_restart() {
    let world = World::new();
    let sales = world.sales("one").await;
    let room = "id = \"night\"\nadmission = { pace_per_minute = 60, active_passes = 9 }\nitems = [{ id = \"floor\", units = 10 }]";
    sales.apply(SaleDoc::from_toml(room).unwrap(), None, by("ann")).await.unwrap();
    let (night, floor) = (sale("night"), "floor".parse().unwrap());
    let change = |units, key| StockChange { item: &floor, units, key, if_match: None };
    // Each twice: the second time it is so already.
    for second in [false, true] {
        let acts = [
            sales.pace(&night, 77, by("bob")).await.unwrap(),
            sales.cap(&night, 8, by("bob")).await.unwrap(),
            sales.joining(&night, false, by("bob")).await.unwrap(),
            sales.let_through(&night, true, by("bob")).await.unwrap(),
            sales.add_stock(&night, &change(5, "k"), by("bob")).await.unwrap(),
            sales.withdraw(&night, &change(3, "w"), by("bob")).await.unwrap(),
            sales.pause(&night, "a moment".into(), by("bob")).await.unwrap(),
        ];
        assert!(acts.iter().all(|act| matches!(act, Acted::Unchanged(_)) == second), "{acts:?}");
    }
    assert_eq!(sales.add_stock(&night, &change(6, "k"), by("bob")).await, Err(SalesError::KeyReused));
    assert_eq!(sales.add_stock(&night, &change(3, "w"), by("bob")).await, Err(SalesError::KeyReused));
    assert_eq!(sales.withdraw(&night, &change(5, "k"), by("bob")).await, Err(SalesError::KeyReused));
    assert_eq!(sales.withdraw(&night, &change(1, "x"), by("bob")).await, Err(SalesError::Withdrawing));
    let again = world.sales("two").await;
    let fold = again.get(&night).unwrap();
    assert_eq!(again.list(), sales.list());
    assert_eq!((fold.joining, fold.let_through, fold.paused.as_deref()), (false, true, Some("a moment")));
    let open = fold.withdrawing().unwrap();
    assert_eq!((open.units, open.left, fold.doc.items[0].units), (3, None, 15), "not before the lanes have said");
    // Two who ask the lanes are told the same, and record it once.
    assert!(matches!(again.withdrawn(&night, open.seq, 2).await.unwrap(), Acted::Changed(_)));
    assert!(matches!(sales.withdrawn(&night, open.seq, 2).await.unwrap(), Acted::Unchanged(_)));
    let fold = sales.get(&night).unwrap();
    assert_eq!((fold.withdrawing(), fold.withdrawals[0].left, fold.doc.items[0].units), (None, Some(2), 13));
    assert_eq!(sales.withdraw(&night, &change(14, "y"), by("bob")).await, Err(SalesError::TooFewUnits(13)));
    assert!(matches!(sales.resume(&night, 9, by("eve")).await.unwrap(), Acted::Changed(_)));
    assert!(matches!(sales.resume(&night, 9, by("eve")).await.unwrap(), Acted::Unchanged(_)));
    sales.close(&night, by("ann")).await.unwrap();
    assert_eq!(sales.pace(&night, 1, by("bob")).await, Err(SalesError::Closed));
    let log = world.log("night").await;
    let told: Vec<_> = log.iter().map(|event| (event.act.name(), event.actor.by.as_str())).collect();
    let bob = ["pace", "cap", "joining", "let_through", "stock", "withdraw", "pause"].map(|act| (act, "bob"));
    let all = [("define", "ann")].into_iter().chain(bob);
    let all: Vec<_> = all.chain([("withdrawn", "holdfast"), ("resume", "eve"), ("close", "ann")]).collect();
    assert_eq!(told, all);
    assert!(log.iter().filter(|event| event.actor.by != "holdfast").all(|event| event.actor.why == "because"));
    assert!(log.windows(2).all(|two| two[0].at <= two[1].at));
}

#[tokio::test]
async fn a_change_on_an_old_revision_or_against_the_rules_is_refused() {
    let world = World::new();
    let sales = world.sales("one").await;
    assert_eq!(sales.open(&sale("night"), by("ann")).await, Err(SalesError::NotFound));
    assert_eq!(sales.apply(doc("night", 9), Some(3), by("ann")).await, Err(SalesError::Conflict { revision: 0 }));
    sales.apply(doc("night", 9), Some(0), by("ann")).await.unwrap();
    assert_eq!(sales.apply(doc("night", 9), Some(0), by("ann")).await, Err(SalesError::Conflict { revision: 1 }));
    let Err(SalesError::Invalid(mistakes)) = sales.apply(doc("night", 8), None, by("ann")).await else {
        panic!("invalid")
    };
    assert_eq!(mistakes[0].key, "items[0].units");
    assert_eq!(world.log("night").await.len(), 1);
}

#[tokio::test]
async fn a_restart_finds_every_sale_as_it_was() {
    let world = World::new();
    let sales = world.sales("one").await;
    for n in 0..5 {
        sales.apply(doc(&format!("sale-{n}"), n + 1), None, by("ann")).await.unwrap();
    }
    sales.open(&sale("sale-3"), by("ann")).await.unwrap();
    let again = world.sales("two").await;
    assert_eq!(again.list(), sales.list());
    assert_eq!(again.list().len(), 5);
    assert!(again.faults().is_empty());
}

#[tokio::test]
async fn two_processes_put_their_acts_in_order_through_the_log() {
    let world = World::new();
    let (one, two) = (world.sales("one").await, world.sales("two").await);
    one.apply(doc("night", 10), None, by("ann")).await.unwrap();
    let changed = two.apply(doc("night", 12), None, by("bob")).await.unwrap();
    assert!(matches!(changed, Acted::Changed(fold) if fold.seq == 2), "it has folded what the other recorded");
    assert_eq!(
        one.apply(doc("night", 11), None, by("ann")).await.map_err(|e| matches!(e, SalesError::Invalid(_))),
        Err(true)
    );
    assert_eq!(one.apply(doc("night", 13), Some(1), by("ann")).await, Err(SalesError::Conflict { revision: 2 }));
    let acts = (0..10).map(|n| {
        let sales = if n % 2 == 0 { one.clone() } else { two.clone() };
        tokio::spawn(async move { sales.open(&sale("night"), by("many")).await })
    });
    let mut opened = 0;
    for act in acts.collect::<Vec<_>>() {
        opened += u32::from(matches!(act.await.unwrap(), Ok(Acted::Changed(_))));
    }
    assert_eq!(opened, 1, "an act is recorded once");
    assert_eq!(world.log("night").await.len(), 3);
}

#[tokio::test]
async fn another_process_acts_are_seen_within_a_second_and_at_once_with_a_hint() {
    let world = World::new();
    let (one, two) = (world.sales("one").await, world.sales("two").await);
    let (stop, stopped) = watch::channel(false);
    let (hint, hinted) = watch::channel(0);
    let mut seen = two.watch();
    let poll = tokio::spawn(two.clone().poll(hinted, stopped));
    one.apply(doc("night", 10), None, by("ann")).await.unwrap();
    seen.wait_for(|sales| sales.contains_key(&sale("night"))).await.unwrap();
    one.open(&sale("night"), by("ann")).await.unwrap();
    hint.send(1).unwrap();
    seen.wait_for(|sales| sales[&sale("night")].opened.is_some()).await.unwrap();
    stop.send(true).unwrap();
    poll.await.unwrap();
}

#[tokio::test]
async fn a_name_whose_ids_could_not_be_told_apart_is_refused() {
    // Two names with the same 24 bits: found by trying, about 2^12 names are enough for one pair.
    let mut known = std::collections::HashMap::new();
    let (a, b) = (0..100_000)
        .find_map(|n| {
            let name = format!("sale-{n}");
            known.insert(sale_tag(&sale(&name)), name.clone()).map(|other| (other, name))
        })
        .expect("a pair among 100,000 names");
    let world = World::new();
    let sales = world.sales("one").await;
    sales.apply(doc(&a, 1), None, by("ann")).await.unwrap();
    let elsewhere = world.sales("two").await;
    for sales in [sales, elsewhere] {
        assert_eq!(sales.apply(doc(&b, 1), None, by("ann")).await, Err(SalesError::TagClash(sale(&a))));
    }
    assert!(world.log(&b).await.is_empty());
}

#[tokio::test]
async fn an_act_under_doubt_says_so_and_its_repetition_is_recorded_once() {
    let world = World::new();
    let sales = world.sales("one").await;
    world.faulty.next(Call::Append, Fault::LoseAnswer);
    assert!(matches!(sales.apply(doc("night", 10), None, by("ann")).await, Err(SalesError::Unknown(_))));
    assert!(matches!(sales.apply(doc("night", 10), None, by("ann")).await.unwrap(), Acted::Unchanged(_)));
    world.faulty.next(Call::Append, Fault::Refuse);
    let refused = sales.open(&sale("night"), by("ann")).await.unwrap_err();
    assert!(matches!(&refused, SalesError::Store(_)), "{refused}");
    let full = ledger::Error::Full { path: "/data/ledger.db".into() };
    world.faulty.next(Call::Append, Fault::Fail(full));
    let refused = sales.open(&sale("night"), by("ann")).await.unwrap_err();
    assert!(refused.to_string().contains("free space"), "{refused}");
    sales.open(&sale("night"), by("ann")).await.unwrap();
    assert_eq!(world.log("night").await.len(), 2);
}

#[tokio::test]
async fn a_damaged_log_is_reported_and_leaves_the_other_sales_alone() {
    let world = World::new();
    world.sales("one").await.apply(doc("good", 1), None, by("ann")).await.unwrap();
    let log = LogId::sale(&sale("bad"));
    let writer = world.ledger.claim(&log, "somebody").await.unwrap();
    let appended = world.ledger.append(&writer, &["{\"v\":9,\"t\":\"later\"}".into()]).await.unwrap();
    assert!(matches!(appended, Append::Appended(_)));
    let sales = world.sales("two").await;
    assert_eq!(sales.list().keys().map(SaleId::as_str).collect::<Vec<_>>(), ["good"]);
    let faults = sales.faults();
    assert!(faults[&log].contains("newer holdfast"), "{faults:?}");
    assert!(matches!(sales.apply(doc("bad", 1), None, by("ann")).await, Err(SalesError::Damaged(_))));
}
