use std::collections::BTreeMap;

use domain::sale::{BadFold, lane_share};
use domain::table::Mistake;
use domain::{Act, Actor, Admission, ItemId, Lines, Millis, Phase, SaleDoc, SaleEvent, SaleFold, Standby};
use proptest::prelude::*;

const SUMMER_NIGHT: &str = r#"
id = "summer-night"
opens_at = "2027-06-01T10:00:00+09:00"     # absent: opens when told to
closes_at = "2027-06-01T22:00:00+09:00"
admission = { pace_per_minute = 6000, active_passes = 2000, pass_ttl = "5m", claim_grace = "60s" }
hold = { ttl = "5m", paying_ttl = "10m" }
limits = { units_per_visitor = 4 }
lanes = 1
[[items]]
id = "standing"
units = 10000
price = { amount = "129.00", currency = "EUR" }
"#;

fn read(text: &str) -> SaleDoc {
    SaleDoc::from_toml(text).unwrap_or_else(|mistakes| panic!("{:?}", said(&mistakes)))
}

fn said(mistakes: &[Mistake]) -> Vec<String> {
    mistakes.iter().map(Mistake::to_string).collect()
}

fn mistakes_of(text: &str) -> Vec<String> {
    said(&SaleDoc::from_toml(text).unwrap_err())
}

fn item(id: &str) -> ItemId {
    id.parse().unwrap()
}

#[test]
fn the_document_of_the_contract_is_read() {
    let doc = read(SUMMER_NIGHT);
    assert_eq!(doc.id.as_str(), "summer-night");
    assert_eq!(doc.opens_at.unwrap().to_string(), "2027-06-01T01:00:00.000Z");
    let room = doc.room().unwrap();
    assert_eq!((room.pace_per_minute, room.active_passes), (6000, 2000));
    assert_eq!((room.pass_ttl_ms, room.claim_grace_ms), (300_000, 60_000));
    assert_eq!((doc.hold.ttl_ms, doc.hold.paying_ttl_ms), (300_000, 600_000));
    assert_eq!((doc.units_per_visitor, doc.lanes), (Some(4), 1));
    assert_eq!(doc.items[0].price.as_ref().unwrap().regular.to_string(), "129.00 EUR");
    assert_eq!(doc.initial_stock(), BTreeMap::from([(item("standing"), 10_000)]));
}

#[test]
fn what_is_left_out_has_its_default() {
    let doc = read("id = \"a\"\nadmission = \"none\"\nitems = [{ id = \"x\", units = 1 }]");
    assert_eq!(doc.admission, Admission::None);
    assert_eq!((doc.hold.ttl_ms, doc.hold.paying_ttl_ms), (300_000, 600_000));
    assert_eq!((doc.units_per_visitor, doc.lanes, doc.opens_at, doc.closes_at), (None, 1, None, None));
    assert_eq!(doc.price(&[(item("x"), 1)].into_iter().collect()), Some(None));
    let doc = read(
        "id = \"a\"\nadmission = { pace_per_minute = 60, active_passes = 1 }\nhold = {}\nitems = [{ id = \"x\", units = 1 }]",
    );
    let room = doc.room().unwrap();
    assert_eq!((room.pass_ttl_ms, room.claim_grace_ms, doc.hold.ttl_ms), (300_000, 60_000, 300_000));
}

#[test]
fn a_standby_keeps_turns_no_longer_than_the_sale_does() {
    let doc = |standby: &str| {
        format!(
            "id = \"a\"\nadmission = {{ pace_per_minute = 60, active_passes = 1, claim_grace = \"30s\", standby = {standby} }}\nitems = [{{ id = \"x\", units = 1 }}]"
        )
    };
    let standby = |text: &str| read(&doc(text)).room().unwrap().standby;
    assert_eq!(standby("{}"), Some(Standby { claim_ms: 20_000, places: 1_000 }));
    let chosen = read(&doc("{ claim = \"5s\", places = 7 }"));
    assert_eq!(chosen.room().unwrap().standby, Some(Standby { claim_ms: 5_000, places: 7 }));
    assert_eq!(SaleDoc::from_json(&chosen.to_json()).unwrap(), chosen, "it is shown as it was given");
    let wrong = mistakes_of(&doc("{ claim = \"31s\", places = 0 }"));
    assert_eq!(
        wrong,
        [
            "admission.standby.claim = 31s: must be at most claim_grace (30s)",
            "admission.standby.places = 0: must be 1 to 100000",
        ]
    );
}

fn with_classes(classes: &str) -> String {
    format!(
        "id = \"a\"\nitems = [{{ id = \"x\", units = 1 }}]\n[admission]\npace_per_minute = 60\nactive_passes = 1\n{classes}"
    )
}

const MEMBERS: &str = "[[admission.classes]]\nid = \"members\"\nshare = 30\nplaces = 5\n";
const FANS: &str = "[[admission.classes]]\nid = \"fans\"\ntitle = \"Fans\"\nshare = 60\nplaces = 9\ncodes = [\"fan-club-2027\"]\nuses = 7\n";

#[test]
fn classes_are_read_in_their_order_and_shown_as_they_were_given() {
    let doc = read(&with_classes(&format!("{MEMBERS}{FANS}")));
    let class = |class| doc.class(class).map(|class| (class.id.as_str(), class.share, class.places, class.uses));
    assert_eq!((class(1), class(2)), (Some(("members", 30, 5, 1)), Some(("fans", 60, 9, 7))));
    assert_eq!((class(0), class(3), class(u8::MAX)), (None, None, None));
    assert_eq!(doc.class(2).unwrap().codes[0].as_str(), "FANCLUB2027");
    assert_eq!(SaleDoc::from_json(&doc.to_json()).unwrap(), doc);
    let stored = serde_json::to_string(&doc).unwrap();
    assert_eq!(serde_json::from_str::<SaleDoc>(&stored).unwrap(), doc);
    let without = serde_json::to_string(&read(&with_classes(""))).unwrap();
    assert!(!without.contains("classes"), "a document of the version before is one without classes: {without}");
}

#[test]
fn everybody_keeps_a_tenth_of_the_calls_and_a_code_lets_into_one_class() {
    let more = FANS.replace("fans", "press").replace("share = 60", "share = 1");
    let wrong =
        mistakes_of(&with_classes(&format!("{MEMBERS}{FANS}{more}{}", MEMBERS.replace("share = 30", "share = 91"))));
    assert_eq!(
        wrong,
        [
            "admission.classes[2].codes = number 1: is listed twice: a code lets into one class, once",
            "admission.classes[3].id = members: must be the only class of this id",
            "admission.classes[3].share = 91: must be 1 to 90",
        ]
    );
    let wrong = mistakes_of(&with_classes(&format!("{MEMBERS}{}", FANS.replace("share = 60", "share = 61"))));
    assert_eq!(
        wrong,
        ["admission.classes = 91 together: shares must be 90 together at most: everybody else gets the rest"]
    );
}

#[test]
fn classes_stay_where_they_are_and_new_ones_follow() {
    let (one, both) = (read(&with_classes(MEMBERS)), read(&with_classes(&format!("{MEMBERS}{FANS}"))));
    assert!(one.change(&both).is_ok());
    let slower = read(&with_classes(&MEMBERS.replace("share = 30", "share = 3").replace("places = 5", "places = 1")));
    assert!(one.change(&slower).is_ok(), "shares and places may change");
    let wrong = said(&both.change(&read(&with_classes(&format!("{FANS}{MEMBERS}")))).unwrap_err());
    assert_eq!(
        wrong,
        [
            "admission.classes[0].id = fans: must stay members: classes keep their order, new ones follow",
            "admission.classes[1].id = members: must stay fans: classes keep their order, new ones follow",
        ]
    );
    assert_eq!(said(&both.change(&one).unwrap_err()).len(), 1, "none may go");
}

#[test]
fn all_mistakes_of_a_document_are_reported_together() {
    let text = r#"
        id = "Summer Night"
        opens_at = "2027-06-01T10:00:00+09:00"
        closes_at = "2027-06-01T09:00:00+09:00"
        admission = { pace_per_minute = 0, pass_ttl = "5 minutes" }
        hold = { ttl = "0s", payng_ttl = "10m" }
        limits = { units_per_visitor = -1 }
        lanes = 1025
        item = 3
        [[items]]
        id = "standing"
        units = -3
        price = { amount = "129.0", currency = "EUR" }
        [[items]]
        id = "standing"
        units = 100000001
        price = { amount = "129", currency = "KRW" }
        [[items]]
        units = "many"
        price = { amount = "-1.00", currency = "euro" }
    "#;
    assert_eq!(
        mistakes_of(text),
        [
            "id = \"Summer Night\": must be 1 to 63 characters of a-z, 0-9 and '-', not starting or ending with '-'",
            "closes_at = 2027-06-01T00:00:00.000Z: must be later than opens_at (2027-06-01T01:00:00.000Z)",
            "admission.pace_per_minute = 0: must be 1 to 6000000",
            "admission.active_passes: is missing",
            "admission.pass_ttl = \"5 minutes\": must be a duration from \"100ms\" to \"1d\"",
            "hold.ttl = \"0s\": must be a duration from \"100ms\" to \"1d\"",
            "hold.payng_ttl = \"10m\": unknown key, did you mean \"paying_ttl\"?",
            "limits.units_per_visitor = -1: must be 1 to 1000000",
            "lanes = 1025: must be 1 to 1024",
            "items[0].units = -3: must be 0 to 100000000",
            "items[0].price.amount = 129.0: must be an amount of EUR as text, such as \"129.00\"",
            "items[1].id = standing: must be the only item of this id",
            "items[1].units = 100000001: must be 0 to 100000000",
            "items[1].price.currency = KRW: must be the same for all items of a sale",
            "items[2].id: is missing",
            "items[2].units = \"many\": must be 0 to 100000000",
            "items[2].price.currency = \"euro\": must be text of 1 to 3 characters without control characters",
            "item = 3: unknown key, did you mean \"items\"?",
        ]
    );
}

#[test]
fn an_empty_document_names_what_is_missing() {
    assert_eq!(mistakes_of(""), ["id: is missing", "admission: is missing", "items: is missing"]);
    assert_eq!(
        mistakes_of("id = \"a\"\nadmission = \"some\"\nitems = []"),
        [
            "admission = \"some\": must be \"none\" or a table with pace_per_minute and active_passes",
            "items = 0 tables: must be a list of 1 to 2000 tables"
        ]
    );
}

#[test]
fn a_document_that_is_no_toml_or_json_or_too_large_has_one_mistake() {
    assert_eq!(mistakes_of("id = ").len(), 1);
    assert_eq!(SaleDoc::from_json("{").unwrap_err().len(), 1);
    let huge = format!("# {}", "x".repeat(domain::limits::MAX_SALE_DOC_BYTES));
    assert_eq!(mistakes_of(&huge), ["819202 bytes: must be at most 819200 bytes"]);
}

#[test]
fn json_says_the_same_as_toml() {
    let doc = read(SUMMER_NIGHT);
    assert_eq!(SaleDoc::from_json(&doc.to_json()).unwrap(), doc);
    assert_eq!(doc.to_value()["hold"], serde_json::json!({ "ttl": "5m", "paying_ttl": "10m" }));
    let mistakes = SaleDoc::from_json(
        r#"{"id": "a", "admission": "none", "items": [{"id": "x", "units": 1.5}], "lanes": 18446744073709551615}"#,
    );
    assert_eq!(
        said(&mistakes.unwrap_err()),
        ["lanes = 18446744073709552000.0: must be 1 to 1024", "items[0].units = 1.5: must be 0 to 100000000"]
    );
}

#[test]
fn a_price_is_the_sum_of_its_lines() {
    let doc = read(
        r#"
        id = "a"
        admission = "none"
        [[items]]
        id = "standing"
        units = 10
        price = { amount = "129.00", currency = "EUR" }
        [[items]]
        id = "gift"
        units = 10
        "#,
    );
    let price = |lines: &[(&str, u32)]| {
        let lines: Lines = lines.iter().map(|(id, units)| (item(id), *units)).collect();
        doc.price(&lines).map(|price| price.map(|price| price.to_string()))
    };
    assert_eq!(price(&[("standing", 2), ("gift", 1)]), Some(Some("258.00 EUR".to_owned())));
    assert_eq!(price(&[("gift", 1)]), Some(None));
    assert_eq!(price(&[("seated", 1)]), None);
}

#[test]
fn a_change_adds_units_and_items() {
    let old = read(SUMMER_NIGHT);
    let new = read(&format!(
        "{}\n[[items]]\nid = \"vip\"\nunits = 5",
        SUMMER_NIGHT.replace("10000", "10100").replace("6000", "60")
    ));
    assert_eq!(old.change(&new).unwrap(), BTreeMap::from([(item("standing"), 100), (item("vip"), 5)]));
    assert_eq!(old.change(&old).unwrap(), BTreeMap::new());
}

#[test]
fn a_change_of_what_is_fixed_is_refused_with_all_reasons() {
    let old = read(&format!("{SUMMER_NIGHT}\n[[items]]\nid = \"vip\"\nunits = 5"));
    let new = read(
        r#"
        id = "winter"
        admission = "none"
        lanes = 2
        items = [{ id = "standing", units = 9999, price = { amount = "1", currency = "USD" } }]
        "#,
    );
    assert_eq!(
        said(&old.change(&new).unwrap_err()),
        [
            "id = winter: must stay summer-night",
            "lanes = 2: must stay 1 for the life of the sale",
            "admission = none: must stay a waiting room for the life of the sale",
            "items = USD: prices must stay in EUR",
            "items[0].units = 9999: must be at least 10000: units of standing only grow here",
            "items: vip is missing: an item stays for the life of the sale",
        ]
    );
}

fn event(at: u64, act: Act) -> SaleEvent {
    SaleEvent { at: Millis(at), actor: Actor { by: "ops".to_owned(), why: String::new() }, act }
}

fn define(doc: &SaleDoc, stock: BTreeMap<ItemId, u64>) -> Act {
    Act::Define { doc: Box::new(doc.clone()), stock }
}

#[test]
fn a_sale_opens_and_closes_by_its_times() {
    let doc = read(SUMMER_NIGHT);
    let fold = SaleFold::begin(1, &event(1, define(&doc, doc.initial_stock()))).unwrap();
    let (opens, closes) = (doc.opens_at.unwrap(), doc.closes_at.unwrap());
    let phases = [Millis(opens.0 - 1), opens, Millis(closes.0 - 1), closes].map(|now| fold.phase(now));
    assert_eq!(phases, [Phase::Scheduled, Phase::Open, Phase::Open, Phase::Closed]);
}

#[test]
fn a_sale_opens_and_closes_by_hand_and_a_close_is_final() {
    let doc = read("id = \"a\"\nadmission = \"none\"\nitems = [{ id = \"x\", units = 1 }]");
    let mut fold = SaleFold::begin(1, &event(5, define(&doc, doc.initial_stock()))).unwrap();
    assert_eq!(fold.phase(Millis(u64::MAX)), Phase::Scheduled);
    fold.apply(2, &event(10, Act::Open)).unwrap();
    assert_eq!(fold.phase(Millis(10)), Phase::Open);
    fold.apply(3, &event(20, Act::Close)).unwrap();
    fold.apply(4, &event(30, Act::Open)).unwrap();
    assert_eq!((fold.phase(Millis(30)), fold.opened, fold.closed), (Phase::Closed, Some(Millis(10)), Some(Millis(20))));
}

#[test]
fn a_fold_knows_its_revision_and_all_stock() {
    let doc = read("id = \"a\"\nadmission = \"none\"\nitems = [{ id = \"x\", units = 1 }]");
    let mut fold = SaleFold::begin(1, &event(5, define(&doc, doc.initial_stock()))).unwrap();
    fold.apply(2, &event(6, Act::Open)).unwrap();
    let mut more = doc.clone();
    more.items[0].units = 4;
    let added = doc.change(&more).unwrap();
    fold.apply(3, &event(7, define(&more, added))).unwrap();
    fold.apply(4, &event(8, define(&more, BTreeMap::new()))).unwrap();
    assert_eq!((fold.seq, fold.revision, fold.doc.items[0].units), (4, 4, 4));
    let stock: Vec<(u64, u64)> = fold.stock.iter().map(|act| (act.seq, act.lines[&item("x")])).collect();
    assert_eq!(stock, [(1, 1), (3, 3)]);
}

#[test]
fn a_paused_sale_is_open_again_when_resumed() {
    let doc = read("id = \"a\"\nadmission = \"none\"\nitems = [{ id = \"x\", units = 1 }]");
    let mut fold = SaleFold::begin(1, &event(5, define(&doc, doc.initial_stock()))).unwrap();
    fold.apply(2, &event(6, Act::Pause { message: "a moment".to_owned() })).unwrap();
    assert_eq!((fold.phase(Millis(9)), fold.resumed), (Phase::Scheduled, None), "not open yet");
    fold.apply(3, &event(10, Act::Open)).unwrap();
    assert_eq!((fold.phase(Millis(11)), fold.paused.as_deref()), (Phase::Paused, Some("a moment")));
    fold.apply(4, &event(1_000, Act::Resume { ramp_ms: 900 })).unwrap();
    assert_eq!((fold.phase(Millis(1_000)), fold.paused.as_deref()), (Phase::Open, None));
    assert_eq!(fold.resumed, Some((Millis(1_000), 900)));
    fold.apply(5, &event(2_000, Act::Pause { message: String::new() })).unwrap();
    fold.apply(6, &event(3_000, Act::Close)).unwrap();
    assert_eq!(fold.phase(Millis(3_000)), Phase::Closed, "closed is closed, paused or not");
    assert_eq!(fold.revision, 1, "none of these changes the document");
}

#[test]
fn pace_cap_and_stock_change_the_document_and_its_revision() {
    let doc = read(SUMMER_NIGHT);
    let mut fold = SaleFold::begin(1, &event(5, define(&doc, doc.initial_stock()))).unwrap();
    fold.apply(2, &event(6, Act::Pace { per_minute: 77 })).unwrap();
    fold.apply(3, &event(7, Act::Cap { active_passes: 8 })).unwrap();
    fold.apply(4, &event(8, Act::Stock { item: item("standing"), units: 5, key: "k".to_owned() })).unwrap();
    let room = fold.doc.room().unwrap();
    assert_eq!((room.pace_per_minute, room.active_passes, fold.doc.items[0].units), (77, 8, 10_005));
    assert_eq!((fold.revision, fold.stock.last().unwrap().lines[&item("standing")]), (4, 5));
    assert_eq!(
        fold.apply(5, &event(9, Act::Stock { item: item("nothing"), units: 1, key: String::new() })),
        Err(BadFold::Nothing(5)),
        "an act about an item that is not there is no act of this sale"
    );
    assert_eq!(fold.seq, 4);
    let open = read("id = \"a\"\nadmission = \"none\"\nitems = [{ id = \"x\", units = 1 }]");
    let mut fold = SaleFold::begin(1, &event(5, define(&open, open.initial_stock()))).unwrap();
    assert_eq!(fold.apply(2, &event(6, Act::Pace { per_minute: 1 })), Err(BadFold::Nothing(2)));
}

#[test]
fn a_damaged_sale_log_is_refused() {
    let doc = read(SUMMER_NIGHT);
    let defined = event(1, define(&doc, doc.initial_stock()));
    assert_eq!(SaleFold::begin(1, &event(1, Act::Open)).unwrap_err(), BadFold::NotDefined(1));
    let mut fold = SaleFold::begin(1, &defined).unwrap();
    assert_eq!(fold.apply(1, &defined), Err(BadFold::OutOfOrder { expected: 2, found: 1 }));
    assert_eq!(fold.apply(3, &defined), Err(BadFold::OutOfOrder { expected: 2, found: 3 }));
    let mut other = doc;
    other.id = "winter".parse().unwrap();
    assert_eq!(fold.apply(2, &event(2, define(&other, BTreeMap::new()))), Err(BadFold::AnotherSale(2)));
    assert_eq!(fold.seq, 1);
}

proptest! {
    #[test]
    fn lanes_share_all_units(units in 0_u64..100_000_000, lanes in 1_u16..=64) {
        let shares: Vec<u64> = (0..lanes).map(|lane| lane_share(units, lane, lanes)).collect();
        prop_assert_eq!(shares.iter().sum::<u64>(), units);
        prop_assert!(shares[0] - shares[shares.len() - 1] <= 1);
    }

    #[test]
    fn every_document_reads_back_from_its_json(
        units in prop::collection::btree_map("[a-z][a-z0-9]{0,8}", 1_u64..100_000_000, 1..5),
        ttl in 100_u64..86_400_000, pace in 1_u32..6_000_000, lanes in 1_u16..=1024, limit in prop::option::of(1_u32..1_000_000),
        opens in prop::option::of(0_u64..200_000_000_000_000), title in prop::option::of("[^\\p{Cc}]{1,120}"), room: bool,
    ) {
        let admission = if room {
            Admission::Room(domain::Room { pace_per_minute: pace, active_passes: 7, pass_ttl_ms: ttl, claim_grace_ms: 100, public_value: None,
                proof_of_work: limit.map(|_| domain::ProofOfWork { least: 1_000, most: 1_000 + pace }), standby: None, classes: Vec::new() })
        } else {
            Admission::None
        };
        let items = units.iter().map(|(id, units)| domain::Item { id: item(id), title: title.clone(), units: *units, price: None, coupon: None });
        let doc = SaleDoc {
            id: "a".parse().unwrap(), title: title.clone(), opens_at: opens.map(Millis), closes_at: None, admission,
            hold: domain::HoldTimes { ttl_ms: ttl, paying_ttl_ms: ttl }, units_per_visitor: limit, lanes, terms: domain::Terms::default(), items: items.collect(),
        };
        prop_assert_eq!(SaleDoc::from_json(&doc.to_json()).map_err(|m| said(&m)), Ok(doc));
    }
}

#[test]
fn a_public_value_is_named_in_advance_and_told_once() {
    let read = |admission: &str| {
        let room = format!("pace_per_minute = 60, active_passes = 7{admission}");
        read(&format!("id = \"a\"\nadmission = {{ {room} }}\nitems = [{{ id = \"x\", units = 1 }}]"))
    };
    let (none, named) = (read(""), read(", public_value = { named = \"round 42\" }"));
    let told = read(", public_value = { named = \"round 42\", value = \"abc\" }");
    let other = read(", public_value = { named = \"round 42\", value = \"abd\" }");
    assert_eq!(SaleDoc::from_json(&told.to_json()).unwrap(), told);
    named.change(&told).unwrap();
    for (from, to) in [(&none, &named), (&named, &none), (&told, &other), (&told, &named)] {
        let mistakes = from.change(to).unwrap_err();
        assert!(mistakes[0].key.starts_with("admission.public_value"), "{mistakes:?}");
    }
    let long = format!("public_value = {{ named = \"x\", value = \"{}\" }}", "a".repeat(300));
    let text = format!(
        "id = \"a\"\nadmission = {{ pace_per_minute = 60, active_passes = 7, {long} }}\nitems = [{{ id = \"x\", units = 1 }}]"
    );
    assert!(SaleDoc::from_toml(&text).is_err());
}

#[test]
fn a_price_of_joining_has_defaults_a_range_and_may_change_at_any_time() {
    let text = |admission: &str| {
        let room = format!("pace_per_minute = 60, active_passes = 7{admission}");
        format!("id = \"a\"\nadmission = {{ {room} }}\nitems = [{{ id = \"x\", units = 1 }}]")
    };
    let price = |admission: &str| read(&text(admission)).room().unwrap().proof_of_work;
    let both = |least, most| Some(domain::ProofOfWork { least, most });
    assert_eq!(price(""), None);
    assert_eq!(price(", proof_of_work = {}"), both(50_000, 1_000_000));
    assert_eq!(price(", proof_of_work = { least = 2000, most = 3000 }"), both(2_000, 3_000));
    assert_eq!(price(", proof_of_work = { most = 3000 }"), both(3_000, 3_000));
    assert_eq!(price(", proof_of_work = { least = 2000000 }"), both(2_000_000, 2_000_000));
    for wrong in ["least = 1", "most = 50000001", "least = 3000, most = 2000", "mast = 7"] {
        let mistakes = SaleDoc::from_toml(&text(&format!(", proof_of_work = {{ {wrong} }}"))).unwrap_err();
        assert!(mistakes[0].key.starts_with("admission.proof_of_work."), "{mistakes:?}");
    }
    let (free, dear) = (read(&text("")), read(&text(", proof_of_work = {}")));
    assert!(free.change(&dear).unwrap().is_empty() && dear.change(&free).unwrap().is_empty());
    let before: SaleDoc = serde_json::from_str(&serde_json::to_string(&free).unwrap()).unwrap();
    assert_eq!(before, free, "a log of the version before has no price");
}
