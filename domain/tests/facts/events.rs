use std::collections::BTreeMap;

use domain::event::{BadEvent, Event};
use domain::{
    Act, Actor, ClassCall, CodeHash, Fingerprint, HoldId, ItemId, LaneEvent, LineEvent, Lines, Millis, Redeemed,
    RefuseReason, SaleDoc, SaleEvent, SaleId, VisitorHash,
};
use proptest::prelude::*;

fn hold(key: &str) -> HoldId {
    let sale: SaleId = "summer-night".parse().unwrap();
    HoldId::derive(&sale, 0, &VisitorHash([3; 16]), key)
}

fn lines() -> Lines {
    [("standing".parse().unwrap(), 2)].into_iter().collect()
}

/// What stands in logs for ever: these texts must stay readable.
#[test]
fn events_have_their_golden_texts() {
    let booked = LaneEvent::Booked {
        id: hold("a"),
        visitor: VisitorHash([3; 16]),
        lines: lines(),
        fp: Fingerprint([1; 8]),
        pass: Some(7),
        at: Millis(1_800_000_000_000),
    };
    let id = hold("a");
    let text = format!(
        r#"{{"v":1,"t":"booked","id":"{id}","visitor":"AwMDAwMDAwMDAwMDAwMDAw","lines":{{"standing":2}},"fp":"0101010101010101","pass":7,"at":1800000000000}}"#
    );
    assert_eq!(booked.encode().unwrap(), text);
    assert_eq!(LaneEvent::decode(&text).unwrap(), booked);

    let refused = LaneEvent::Refused { id, visitor: VisitorHash([3; 16]), why: RefuseReason::SoldOut, at: Millis(5) };
    let text =
        format!(r#"{{"v":1,"t":"refused","id":"{id}","visitor":"AwMDAwMDAwMDAwMDAwMDAw","why":"sold_out","at":5}}"#);
    assert_eq!(refused.encode().unwrap(), text);

    let line =
        LineEvent { at: Millis(5), numbers_to: 10_000, frontier: 20, granted: vec![1, 2], ..LineEvent::default() };
    assert_eq!(line.encode().unwrap(), r#"{"v":1,"t":"line","at":5,"numbers_to":10000,"frontier":20,"granted":[1,2]}"#);

    let open = SaleEvent { at: Millis(5), actor: Actor { by: "ops".to_owned(), why: String::new() }, act: Act::Open };
    assert_eq!(open.encode().unwrap(), r#"{"v":1,"t":"sale","at":5,"by":"ops","act":"open"}"#);
}

#[test]
fn a_definition_reads_back() {
    let doc = SaleDoc::from_toml(
        "id = \"a\"\nadmission = { pace_per_minute = 60, active_passes = 5 }\n[[items]]\nid = \"x\"\nunits = 3\nprice = { amount = \"1.50\", currency = \"EUR\" }",
    )
    .unwrap();
    let stock: BTreeMap<ItemId, u64> = doc.initial_stock();
    let actor = Actor { by: "ops".to_owned(), why: "first night".to_owned() };
    let event = SaleEvent { at: Millis(1), actor, act: Act::Define { doc: Box::new(doc), stock } };
    assert_eq!(SaleEvent::decode(&event.encode().unwrap()).unwrap(), event);
}

#[test]
fn a_newer_event_is_refused_and_says_so() {
    let text = LaneEvent::Cancelled { id: hold("a"), at: Millis(1) }.encode().unwrap();
    let newer = text.replacen("\"v\":1", "\"v\":2", 1).replacen("cancelled", "something-new", 1);
    assert!(matches!(LaneEvent::decode(&newer), Err(BadEvent::TooNew(2))));
    assert!(matches!(LineEvent::decode("{\"v\":9}"), Err(BadEvent::TooNew(9))));
}

#[test]
fn text_that_is_no_event_of_the_kind_is_unreadable() {
    let text = LaneEvent::Cancelled { id: hold("a"), at: Millis(1) }.encode().unwrap();
    assert!(matches!(LineEvent::decode(&text), Err(BadEvent::Unreadable(_))));
    assert!(matches!(SaleEvent::decode(&text), Err(BadEvent::Unreadable(_))));
    for bad in ["", "{}", "null", "{\"v\":1}", "{\"v\":1,\"t\":\"bought\"}", &text[..text.len() - 1]] {
        assert!(matches!(LaneEvent::decode(bad), Err(BadEvent::Unreadable(_))), "{bad}");
    }
}

fn lane_event() -> impl Strategy<Value = LaneEvent> {
    let id = "[a-z]{1,9}".prop_map(|key| hold(&key));
    let visitor = any::<[u8; 16]>().prop_map(VisitorHash);
    let item = "[a-z][a-z0-9]{0,9}".prop_map(|id| id.parse::<ItemId>().unwrap());
    let lines = prop::collection::btree_map(item.clone(), any::<u32>(), 0..4)
        .prop_map(|map| map.into_iter().collect::<Lines>());
    let moved = lines.clone();
    let stock = prop::collection::btree_map(item, any::<u64>(), 0..4);
    let why = prop::sample::select(vec![
        RefuseReason::Gone,
        RefuseReason::SoldOut,
        RefuseReason::Limit,
        RefuseReason::PassUsed,
    ]);
    let at = any::<u64>().prop_map(Millis);
    prop_oneof![
        (id.clone(), visitor.clone(), lines, any::<[u8; 8]>(), any::<Option<u64>>(), at.clone()).prop_map(
            |(id, visitor, lines, fp, pass, at)| LaneEvent::Booked {
                id,
                visitor,
                lines,
                fp: Fingerprint(fp),
                pass,
                at
            }
        ),
        (id.clone(), visitor, why, at.clone()).prop_map(|(id, visitor, why, at)| LaneEvent::Refused {
            id,
            visitor,
            why,
            at
        }),
        (id.clone(), at.clone()).prop_map(|(id, at)| LaneEvent::Cancelled { id, at }),
        (".{0,20}", stock, at.clone()).prop_map(|(from, lines, at)| LaneEvent::Stock { from, lines, at }),
        (id, 0..1024u16, moved.clone(), at.clone()).prop_map(|(id, to, lines, at)| LaneEvent::TransferOut {
            id,
            to,
            lines,
            at
        }),
        (".{0,20}", moved, at).prop_map(|(from, lines, at)| LaneEvent::TransferIn { from, lines, at }),
    ]
}

proptest! {
    #[test]
    fn lane_events_read_back_from_one_line(event in lane_event()) {
        let text = event.encode().unwrap();
        prop_assert!(!text.contains('\n'));
        prop_assert_eq!(LaneEvent::decode(&text).unwrap(), event);
    }

    #[test]
    fn line_events_read_back(
        at: u64, numbers_to: u64, frontier: u64, gap: Option<(u64, u64)>,
        granted in prop::collection::vec(any::<u64>(), 0..5), ended in prop::collection::vec(any::<u64>(), 0..5),
        turn_ms: Option<u64>, class: u8, visitor: [u8; 16], code: [u8; 16], uses: u32,
    ) {
        let redeemed = vec![Redeemed { class, visitor: VisitorHash(visitor), code: CodeHash(code), uses }];
        let classes = vec![ClassCall { class, frontier }];
        let base = LineEvent { redeemed, classes, turn_ms, ..LineEvent::default() };
        let event = LineEvent { at: Millis(at), numbers_to, frontier, granted, ended, gap, ..base };
        prop_assert_eq!(LineEvent::decode(&event.encode().unwrap()).unwrap(), event);
    }
}
