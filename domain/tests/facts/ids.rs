use domain::id::sale_tag;
use domain::{Fingerprint, HoldId, Lines, LogId, SaleId, VisitorHash, VisitorId};
use proptest::prelude::*;

fn summer_night() -> SaleId {
    "summer-night".parse().unwrap()
}

fn somebody() -> VisitorHash {
    let mut bytes = [0; 16];
    for (n, byte) in (0..).zip(&mut bytes) {
        *byte = n;
    }
    VisitorHash::derive(&[7; 32], &VisitorId(bytes))
}

/// Computed once by a script of its own (Python's hashlib). A change of any of them makes every id in every log unreachable.
#[test]
fn derived_ids_have_their_golden_values() {
    let (sale, visitor) = (summer_night(), somebody());
    assert_eq!(visitor.to_string(), "GzsSfq_A-GS2IVTDOKfVJg");
    assert_eq!(visitor.lane(8), 0);
    assert_eq!(visitor.lane(1024), 108);
    let id = HoldId::derive(&sale, visitor.lane(8), &visitor, "order-1");
    assert_eq!(id.to_string(), "b328d900-3f85-83a6-be5b-88376bd5816b");
    let lines: Lines = [("vip".parse().unwrap(), 1), ("standing".parse().unwrap(), 2)].into_iter().collect();
    assert_eq!(Fingerprint::of(&lines).to_string(), "8020046578bc50fa");
}

#[test]
fn lines_in_any_order_have_one_fingerprint_and_other_units_another() {
    let of = |lines: &[(&str, u32)]| {
        Fingerprint::of(&lines.iter().map(|(item, units)| (item.parse().unwrap(), *units)).collect())
    };
    assert_eq!(of(&[("a", 1), ("b", 2)]), of(&[("b", 2), ("a", 1)]));
    assert_ne!(of(&[("a", 1), ("b", 2)]), of(&[("a", 2), ("b", 1)]));
    assert_ne!(of(&[("ab", 1)]), of(&[("a", 1), ("b", 1)]));
}

#[test]
fn an_item_gets_at_most_one_line() {
    let mut lines = Lines::none();
    assert!(lines.add("a".parse().unwrap(), 1));
    assert!(!lines.add("a".parse().unwrap(), 5));
    assert_eq!((lines.len(), lines.units()), (1, 1));
}

#[test]
fn names_are_labels_of_lower_case() {
    for good in ["a", "0", "summer-night", &"x".repeat(63)] {
        assert_eq!(good.parse::<SaleId>().unwrap().as_str(), good);
    }
    for bad in ["", "-a", "a-", "A", "a_b", "a b", "ä", "a/b", "a:b", "a}b", &"x".repeat(64)] {
        assert!(bad.parse::<SaleId>().is_err(), "{bad}");
    }
}

#[test]
fn log_names_read_back_and_nothing_else_does() {
    let sale = summer_night();
    for log in [LogId::sale(&sale), LogId::line(&sale), LogId::lane(&sale, 0), LogId::lane(&sale, 1023)] {
        assert_eq!(log.as_str().parse::<LogId>().unwrap(), log);
    }
    for bad in [
        "",
        "sale",
        "sale/",
        "sale/X",
        "sale/a/0",
        "lane/a",
        "lane/a/",
        "lane/a/01",
        "lane/a/1024",
        "lane/a/-1",
        "lane/a/0/",
        "other/a",
    ] {
        assert!(bad.parse::<LogId>().is_err(), "{bad}");
    }
}

#[test]
fn a_visitor_id_is_never_printed() {
    assert_eq!(format!("{:?}", VisitorId([0x41; 16])), "VisitorId(..)");
}

proptest! {
    #[test]
    fn a_hold_id_tells_sale_lane_and_owner(sale in "[a-z0-9]{1,20}", lane in 0_u16..1024, visitor: [u8; 16], key in ".{0,40}") {
        let (sale, visitor): (SaleId, _) = (sale.parse().unwrap(), VisitorHash(visitor));
        let id = HoldId::derive(&sale, lane, &visitor, &key);
        prop_assert_eq!(id.sale_tag(), sale_tag(&sale));
        prop_assert_eq!(id.lane(), lane);
        prop_assert!(id.may_belong_to(&visitor));
        let bytes = id.as_bytes();
        prop_assert_eq!((bytes[6] >> 4, bytes[8] >> 6), (8, 0b10));
        prop_assert_eq!(id.to_string().parse::<HoldId>().unwrap(), id);
    }

    /// Every one of the 122 free bits takes part: nothing is lost under version or variant.
    #[test]
    fn other_keys_lanes_and_visitors_give_other_ids(visitor: [u8; 16], key in "[a-z]{1,8}", other in "[a-z]{1,8}") {
        prop_assume!(key != other);
        let (sale, visitor) = (summer_night(), VisitorHash(visitor));
        let id = HoldId::derive(&sale, 3, &visitor, &key);
        prop_assert_ne!(id, HoldId::derive(&sale, 3, &visitor, &other));
        prop_assert_ne!(id, HoldId::derive(&sale, 2, &visitor, &key));
        prop_assert_ne!(id, HoldId::derive(&"winter".parse().unwrap(), 3, &visitor, &key));
        let stranger = VisitorHash(visitor.0.map(|b| !b));
        prop_assert!(!id.may_belong_to(&stranger));
    }

    #[test]
    fn only_canonical_uuids_of_version_8_are_hold_ids(bytes: [u8; 16]) {
        let text = format!("{:032x}", u128::from_be_bytes(bytes));
        let hyphens = format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]);
        let valid = bytes[6] >> 4 == 8 && bytes[8] >> 6 == 0b10;
        prop_assert_eq!(hyphens.parse::<HoldId>().is_ok(), valid);
        prop_assert!(text.parse::<HoldId>().is_err());
    }

    #[test]
    fn visitor_hashes_and_fingerprints_read_back(visitor: [u8; 16], fp: [u8; 8]) {
        prop_assert_eq!(VisitorHash(visitor).to_string().parse::<VisitorHash>().unwrap(), VisitorHash(visitor));
        prop_assert_eq!(Fingerprint(fp).to_string().parse::<Fingerprint>().unwrap(), Fingerprint(fp));
        prop_assert!(Fingerprint(fp).to_string()[1..].parse::<Fingerprint>().is_err());
        prop_assert!(VisitorHash(visitor).to_string()[1..].parse::<VisitorHash>().is_err());
    }

    #[test]
    fn a_lane_is_one_of_the_sales(visitor: [u8; 16], lanes in 1_u16..=1024) {
        prop_assert!(VisitorHash(visitor).lane(lanes) < lanes);
        prop_assert_eq!(VisitorHash(visitor).lane(1), 0);
    }
}

#[test]
fn lanes_get_even_shares_of_visitors() {
    let lanes = 8;
    let mut seen = [0_u32; 8];
    for n in 0_u64..8000 {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&n.to_be_bytes());
        seen[usize::from(VisitorHash::derive(&[1; 32], &VisitorId(id)).lane(lanes))] += 1;
    }
    assert!(seen.iter().all(|count| (850..1150).contains(count)), "{seen:?}");
}
