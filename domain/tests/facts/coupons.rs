use domain::coupon::{Coupon, CouponRefused, Goods, Off, Owned, off, spread};
use domain::price::Percent;
use domain::{Currency, HoldId, ItemId, Millis, Money, SaleDoc, SaleId, VisitorHash};
use proptest::prelude::*;

fn item(id: &str) -> ItemId {
    id.parse().unwrap()
}

fn sale() -> SaleId {
    "night".parse().unwrap()
}

fn euro(minor: i64) -> Money {
    Money { minor, currency: Currency::parse("EUR").unwrap() }
}

fn part(text: &str) -> Off {
    Off::Part(text.parse::<Percent>().unwrap())
}

fn coupon(off: Off) -> Coupon {
    Coupon { off, sale: None, items: vec![], minimum: None, from: None, until: None, combines: true }
}

fn owned(n: u8, coupon: Coupon) -> Owned {
    let id = HoldId::derive(&"coupons".parse().unwrap(), 0, &VisitorHash([n; 16]), "k");
    Owned { id, campaign: ("coupons".parse().unwrap(), item(&format!("c{n}"))), coupon }
}

fn goods(of: &[(&str, i64)]) -> Vec<Goods> {
    of.iter().map(|(id, minor)| Goods { item: item(id), minor: *minor }).collect()
}

fn taken(of: &[(&str, i64)], coupons: &[Owned], at: u64) -> Result<Vec<i64>, CouponRefused> {
    off(&sale(), &goods(of), Currency::parse("EUR").unwrap(), coupons, Millis(at))
}

#[test]
fn parts_are_of_the_price_and_amounts_of_what_is_left() {
    let both = [owned(2, coupon(Off::Amount(euro(1_000)))), owned(1, coupon(part("50")))];
    assert_eq!(taken(&[("a", 3_000), ("b", 1_000)], &both, 0), Ok(vec![1_500 + 750, 500 + 250]));
    let two_parts = [owned(1, coupon(part("50"))), owned(2, coupon(part("80")))];
    assert_eq!(taken(&[("a", 3_000)], &two_parts, 0), Ok(vec![3_000]), "a line costs nothing at least");
    let mut own = coupon(Off::Amount(euro(5_000)));
    own.items = vec![item("b")];
    assert_eq!(taken(&[("a", 3_000), ("b", 1_000)], &[owned(1, own)], 0), Ok(vec![0, 1_000]));
}

/// The order in which a coupon's conditions are asked, from the first to the last.
#[test]
fn a_coupon_is_refused_with_the_first_reason_that_applies() {
    let mut hard = coupon(Off::Amount(Money { minor: 1, currency: Currency::parse("USD").unwrap() }));
    (hard.combines, hard.from, hard.until) = (false, Some(Millis(10)), Some(Millis(20)));
    (hard.items, hard.minimum) =
        (vec![item("z")], Some(Money { minor: 500, currency: Currency::parse("USD").unwrap() }));
    let id = owned(1, hard.clone()).id;
    let ask = |hard: &Coupon, others: &[Owned], at| {
        let mut all = others.to_vec();
        all.push(owned(1, hard.clone()));
        taken(&[("a", 100)], &all, at).unwrap_err()
    };
    let many: Vec<Owned> = (2..8).map(|n| owned(n, coupon(part("1")))).collect();
    assert_eq!(ask(&hard, &many, 0), CouponRefused::TooMany);
    assert_eq!(ask(&hard, &[owned(1, hard.clone())], 0), CouponRefused::Twice(id));
    assert_eq!(ask(&hard, &many[..1], 0), CouponRefused::Alone(id));
    assert_eq!(ask(&hard, &[], 9), CouponRefused::TooEarly(id, Millis(10)));
    assert_eq!(ask(&hard, &[], 20), CouponRefused::TooLate(id, Millis(20)));
    assert_eq!(ask(&hard, &[], 10), CouponRefused::OtherItem(id));
    hard.items = vec![];
    assert_eq!(ask(&hard, &[], 10), CouponRefused::Currency(id, Currency::parse("USD").unwrap()));
    (hard.off, hard.minimum) = (part("5"), Some(euro(500)));
    assert_eq!(ask(&hard, &[], 10), CouponRefused::Minimum(id, euro(500)));
    (hard.minimum, hard.sale) = (Some(euro(100)), Some("other".parse().unwrap()));
    assert_eq!(ask(&hard, &[], 10), CouponRefused::OtherItem(id), "in another sale");
    hard.sale = Some(sale());
    assert_eq!(taken(&[("a", 100)], &[owned(1, hard)], 10), Ok(vec![5]));
}

#[test]
fn a_campaign_stands_in_the_document_of_the_sale_of_its_coupons() {
    let doc = SaleDoc::from_toml(
        r#"
        id = "coupons"
        admission = "none"
        [[items]]
        id = "spring"
        units = 1000
        coupon = { amount = "5.00", currency = "EUR", minimum = "50.00", sale = "night", items = ["standing"], until = "2027-06-01T00:00:00Z" }
        [[items]]
        id = "tenth"
        units = 10
        coupon = { percent = "10", combines = true }
        "#,
    )
    .unwrap();
    let spring = doc.items[0].coupon.as_ref().unwrap();
    assert_eq!((spring.off, spring.minimum, spring.combines), (Off::Amount(euro(500)), Some(euro(5_000)), false));
    assert_eq!(doc.items[1].coupon.as_ref().unwrap(), &coupon(part("10")));
    assert_eq!(SaleDoc::from_json(&doc.to_json()).unwrap(), doc);
    let logged: SaleDoc = serde_json::from_str(&serde_json::to_string(&doc).unwrap()).unwrap();
    assert_eq!(logged, doc);
}

proptest! {
    #[test]
    fn what_is_spread_is_all_there_and_fair(amount in 0_i64..=i64::MAX, of in prop::collection::vec(0_i64..=i64::MAX / 8, 0..8)) {
        let dealt = spread(amount, &of);
        let sum: i64 = of.iter().sum();
        prop_assert_eq!(dealt.iter().sum::<i64>(), amount.min(sum));
        for (part, size) in dealt.iter().zip(&of) {
            prop_assert!((0..=*size).contains(part));
            let exact = i128::from(*size) * i128::from(amount.min(sum)) / i128::from(sum.max(1));
            prop_assert!((i128::from(*part) - exact).abs() <= 1);
        }
    }

    #[test]
    fn coupons_never_take_more_than_there_is_in_whatever_order(
        prices in prop::collection::vec(0_i64..1_000_000, 1..5), parts in prop::collection::vec(0_u32..=100_000, 0..3),
        amounts in prop::collection::vec(1_i64..1_000_000, 0..3), turn in 0_usize..5,
    ) {
        let lines: Vec<Goods> =
            prices.iter().enumerate().map(|(n, minor)| Goods { item: item(&format!("i{n}")), minor: *minor }).collect();
        let offs = parts.iter().map(|n| Off::Part(Percent::thousandths(*n).unwrap())).chain(amounts.iter().map(|n| Off::Amount(euro(*n))));
        let mut all: Vec<Owned> = (1..).zip(offs).map(|(n, off)| owned(n, coupon(off))).collect();
        all.truncate(5);
        let first = off(&sale(), &lines, Currency::parse("EUR").unwrap(), &all, Millis(0)).unwrap();
        if !all.is_empty() {
            let turn = turn % all.len();
            all.rotate_left(turn);
        }
        prop_assert_eq!(&off(&sale(), &lines, Currency::parse("EUR").unwrap(), &all, Millis(0)).unwrap(), &first);
        for (off, line) in first.iter().zip(&lines) {
            prop_assert!((0..=line.minor).contains(off));
        }
    }
}
