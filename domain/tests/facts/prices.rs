use domain::coupon::{Coupon, Off, Owned};
use domain::price::{Percent, Price};
use domain::quote::Ask;
use domain::sale::lane_share;
use domain::table::Mistake;
use domain::{Country, CountryRule, HoldId, ItemId, Lines, Millis, Quote, QuoteError, SaleDoc, VisitorHash};
use proptest::prelude::*;

const NIGHT: &str = r#"
id = "night"
admission = "none"
lanes = 2
countries = { sale = { deny = ["FR"] }, use = { allow = ["DE", "KR", "FR"] } }
tax = { percent = "19", included = true }
points = { worth = "0.10", earn_percent = "5", valid_for = "365d" }
cancellation = { until = "2027-05-30T00:00:00Z", fee_percent = "12.5" }
[[items]]
id = "standing"
units = 100
[items.price]
amount = "129.00"
currency = "EUR"
tax_percent = "7"
discount = { amount = "99.00", until = "2027-01-01T00:00:00Z", first = 5 }
by_country = [{ countries = ["KR", "JP"], amount = "95.00" }]
[[items]]
id = "cup"
units = 100
price = { amount = "3.33", currency = "EUR", discount = { percent = "10" } }
[[items]]
id = "gift"
units = 100
"#;

fn night() -> SaleDoc {
    SaleDoc::from_toml(NIGHT).unwrap()
}

fn item(id: &str) -> ItemId {
    id.parse().unwrap()
}

fn lines(lines: &[(&str, u32)]) -> Lines {
    lines.iter().map(|(id, units)| (item(id), *units)).collect()
}

fn country(code: &str) -> Option<Country> {
    Some(code.parse().unwrap())
}

fn ask<'a>(lines: &'a Lines, reduced: &'a dyn Fn(&ItemId) -> u64) -> Ask<'a> {
    Ask { lines, country: country("DE"), coupons: &[], lane: 0, reduced, at: Millis(1_000) }
}

fn quote(doc: &SaleDoc, of: &[(&str, u32)]) -> Quote {
    doc.quote(&ask(&lines(of), &|_| 0)).unwrap().unwrap()
}

#[test]
fn a_document_says_all_that_is_asked_and_reads_back() {
    let doc = night();
    assert_eq!(SaleDoc::from_json(&doc.to_json()).unwrap(), doc);
    let logged: SaleDoc = serde_json::from_str(&serde_json::to_string(&doc).unwrap()).unwrap();
    assert_eq!(logged, doc);
    let points = doc.terms.points.unwrap();
    assert_eq!((points.worth, points.earn.to_string(), points.valid_ms), (10, "5".to_owned(), Some(365 * 86_400_000)));
    assert_eq!(doc.terms.cancellation.unwrap().fee.to_string(), "12.5");
}

#[test]
fn a_price_of_an_older_log_is_a_regular_one() {
    let price: Price = serde_json::from_str(r#"{"amount":"129.00","currency":"EUR"}"#).unwrap();
    assert_eq!(serde_json::to_string(&price).unwrap(), r#"{"amount":"129.00","currency":"EUR"}"#);
    assert_eq!(price.to_string(), "129.00 EUR");
    assert_eq!((price.regular.minor, price.unit(None), price.reduced_unit(None)), (12_900, 12_900, 12_900));
}

#[test]
fn all_mistakes_about_money_are_reported_together() {
    let text = r#"
        id = "a"
        admission = "none"
        countries = { sale = { allow = ["DE", "EN"], deny = [] }, use = { allow = ["DE"], deny = ["DE"] }, buy = 1 }
        tax = { percent = "119", include = true }
        points = { worth = "0.001", earn_percent = "-1" }
        cancellation = { fee_percent = 5 }
        [[items]]
        id = "x"
        units = 1
        price = { amount = "1.00", currency = "EUR", discount = { first = 0 }, by_country = [{ countries = ["KR", "KR"], amount = "-1.00" }, { countries = [] }] }
        [[items]]
        id = "y"
        units = 1
        price = { amount = "1.00", currency = "EUR", discount = { amount = "1", percent = "5" } }
        coupon = { amount = "5.00", until = "2027-01-01T00:00:00Z", from = "2027-01-02T00:00:00Z" }
    "#;
    let said: Vec<String> = SaleDoc::from_toml(text).unwrap_err().iter().map(Mistake::to_string).collect();
    let percentage = "must be a percentage from 0 to 100 with at most three decimals, such as 19 or 8.875";
    assert_eq!(
        said,
        [
            "items[0].price.discount.first = 0: must be 1 to 100000000",
            "items[0].price.discount.amount: needs either amount, the lower price, or percent, the part that is taken off",
            "items[0].price.by_country[0].countries = KR: must have one price only",
            "items[0].price.by_country[0].amount = -1.00: must not be negative",
            "items[0].price.by_country[1].amount: is missing",
            "items[0].price.by_country[1].countries = []: must name a country",
            "items[1].price.discount.amount: needs either amount, the lower price, or percent, the part that is taken off",
            "items[1].coupon.until = 2027-01-01T00:00:00.000Z: must be later than from (2027-01-02T00:00:00.000Z)",
            "items[1].coupon.currency: is missing",
            "countries.sale.allow[1] = \"EN\": must be a country code of ISO 3166-1 in capitals, such as KR",
            "countries.sale.deny = []: must name a country; leave it out for all of them",
            "countries.use.deny = DE: must not be in allow as well",
            "countries.buy = 1: unknown key, there is sale, use",
            &format!("tax.percent = \"119\": {percentage}"),
            "tax.included: is missing",
            "tax.include = true: unknown key, did you mean \"included\"?",
            &format!("points.earn_percent = \"-1\": {percentage}"),
            "points.worth = 0.001: must be an amount of EUR as text, such as \"129.00\"",
            "cancellation.fee_percent = 5: must be text",
        ]
    );
}

#[test]
fn a_discount_is_for_the_first_and_the_early() {
    let doc = night();
    let three = quote(&doc, &[("standing", 4)]);
    // Five are dealt to two lanes: this one has three of them.
    assert_eq!((three.lines[0].reduced_units, three.lines[0].goods), (3, 3 * 9_900 + 12_900));
    let taken = doc.quote(&ask(&lines(&[("standing", 4)]), &|_| 2)).unwrap().unwrap();
    assert_eq!((taken.lines[0].reduced_units, taken.total), (1, 9_900 + 3 * 12_900));
    let four = lines(&[("standing", 4)]);
    let late = Ask { at: Millis::parse_rfc3339("2027-01-01T00:00:00Z").unwrap(), ..ask(&four, &|_| 0) };
    assert_eq!(doc.quote(&late).unwrap().unwrap().lines[0].reduced_units, 0);
    let korea = Ask { country: country("KR"), ..ask(&four, &|_| 0) };
    assert_eq!(doc.quote(&korea).unwrap().unwrap().total, 4 * 9_500, "a discount makes nothing dearer");
    assert_eq!(quote(&doc, &[("cup", 3)]).total, 3 * 300, "0.333 off 3.33 is rounded half up per unit");
}

#[test]
fn tax_is_shown_or_added_and_rounded_per_line() {
    let mut doc = night();
    let included = quote(&doc, &[("cup", 1), ("gift", 2), ("standing", 1)]);
    assert_eq!((included.net, included.tax, included.total), (9_504, 696, 10_200));
    assert_eq!(included.lines.iter().map(|line| line.tax).collect::<Vec<_>>(), [48, 0, 648]);
    doc.terms.tax.as_mut().unwrap().included = false;
    let added = quote(&doc, &[("cup", 1), ("standing", 1)]);
    assert_eq!((added.net, added.tax, added.total), (10_200, 57 + 693, 10_950));
    doc.terms.tax = None;
    assert_eq!(quote(&doc, &[("standing", 1)]).tax, 0, "without a tax of the sale there is none of an item");
    assert_eq!(doc.quote(&ask(&lines(&[("gift", 1)]), &|_| 0)), Ok(None));
}

#[test]
fn a_country_that_is_kept_out_is_told_by_which_rule() {
    let doc = night();
    let one = lines(&[("gift", 1)]);
    let rule = |country| match doc.quote(&Ask { country, ..ask(&one, &|_| 0) }) {
        Err(QuoteError::Country(refused)) => Some(refused.rule),
        _ => None,
    };
    assert_eq!(rule(country("FR")), Some(CountryRule::SaleDeny));
    assert_eq!(rule(country("US")), Some(CountryRule::UseAllow));
    assert_eq!(rule(None), Some(CountryRule::SaleDeny), "who leaves the country out is not better off");
    assert_eq!((rule(country("DE")), rule(country("KR"))), (None, None));
    let said = doc.terms.countries.check(country("US")).unwrap_err().to_string();
    assert_eq!(said, "countries.use.allow does not admit US");
    assert_eq!(Country::all().count(), 249);
}

#[test]
fn what_cannot_be_reckoned_is_refused_with_its_reason() {
    let doc = night();
    let of = |of: &[(&str, u32)]| doc.quote(&ask(&lines(of), &|_| 0)).unwrap_err();
    assert_eq!(of(&[("seat", 1)]), QuoteError::UnknownItem(item("seat")));
    assert_eq!(of(&[("cup", 0)]), QuoteError::NoUnits(item("cup")));
    let mut dear = night();
    for item in &mut dear.items {
        if let Some(price) = &mut item.price {
            *price = Price::regular(domain::Money { minor: i64::MAX / 3, ..price.regular });
        }
    }
    let too_large = |of: &[(&str, u32)]| dear.quote(&ask(&lines(of), &|_| 0));
    assert_eq!(too_large(&[("cup", 4)]), Err(QuoteError::TooLarge));
    assert_eq!(too_large(&[("cup", 2), ("standing", 2)]), Err(QuoteError::TooLarge));
    assert!(too_large(&[("cup", 3)]).is_ok());
    let mut broken = night();
    broken.items[1].price.as_mut().unwrap().regular.minor = -1;
    assert_eq!(broken.quote(&ask(&lines(&[("cup", 1)]), &|_| 0)), Err(QuoteError::Negative(item("cup"))));
    let mut mixed = night();
    mixed.items[1].price.as_mut().unwrap().regular.currency = domain::Currency::parse("USD").unwrap();
    let error = mixed.quote(&ask(&lines(&[("cup", 1), ("standing", 1)]), &|_| 0)).unwrap_err();
    assert!(matches!(error, QuoteError::Currency(..)), "{error}");
}

fn percent() -> impl Strategy<Value = Percent> {
    (0_u32..=100_000).prop_map(|n| Percent::thousandths(n).unwrap())
}

proptest! {
    #[test]
    fn a_percentage_reads_back_and_rounds_half_up(part in percent(), minor in 0_i64..=i64::MAX) {
        prop_assert_eq!(part.to_string().parse::<Percent>().unwrap(), part);
        let (of, inside) = (part.of(minor), part.inside(minor));
        prop_assert!((0..=minor).contains(&of) && (0..=minor).contains(&inside));
        let thousandths = i128::from(part.of(100_000));
        let exact = i128::from(minor) * thousandths;
        let error = i128::from(of) * 100_000 - exact;
        prop_assert!(-50_000 < error && error <= 50_000, "at most half a unit off, and up at exactly half");
        let error = i128::from(inside) * (100_000 + thousandths) - exact;
        prop_assert!(2 * error.abs() <= 100_000 + thousandths);
    }

    #[test]
    fn every_quote_adds_up_and_reads_back(
        units in prop::collection::vec(1_u32..1_000, 3), prices in prop::collection::vec(0_i64..1_000_000_000, 3), rate in percent(),
        own in prop::option::of(percent()), included: bool, cut in percent(), first in prop::option::of(1_u64..2_000), off in percent(),
        amount in 1_i64..100_000_000, taken in 0_u64..2_000,
    ) {
        let mut doc = night();
        doc.terms.tax = Some(domain::price::Tax { percent: rate, included });
        for (item, minor) in doc.items.iter_mut().zip(&prices) {
            let currency = domain::Currency::parse("EUR").unwrap();
            let mut price = Price::regular(domain::Money { minor: *minor, currency });
            price.discount = Some(domain::price::Discount { cut: domain::price::Cut::By(cut), until: None, first });
            price.tax = own;
            item.price = Some(price);
        }
        let lines: Lines = doc.items.iter().zip(&units).map(|(item, units)| (item.id.clone(), *units)).collect();
        let coupon = |off, n: u8| Owned {
            id: HoldId::derive(&doc.id, 0, &VisitorHash([n; 16]), "k"),
            campaign: ("c".parse().unwrap(), item(&format!("c{n}"))),
            coupon: Coupon { off, sale: None, items: vec![], minimum: None, from: None, until: None, combines: true },
        };
        let currency = domain::Currency::parse("EUR").unwrap();
        let coupons = [coupon(Off::Part(off), 1), coupon(Off::Amount(domain::Money { minor: amount, currency }), 2)];
        let reduced = |_: &ItemId| taken;
        let quote = doc.quote(&Ask { coupons: &coupons, ..ask(&lines, &reduced) }).unwrap().unwrap();
        prop_assert!(quote.adds_up());
        for line in &quote.lines {
            let most = first.map_or(u64::MAX, |first| lane_share(first, 0, 2).saturating_sub(taken));
            prop_assert!(u64::from(line.reduced_units) <= most);
        }
        let swapped = [coupons[1].clone(), coupons[0].clone()];
        let again = doc.quote(&Ask { coupons: &swapped, ..ask(&lines, &reduced) }).unwrap().unwrap();
        prop_assert_eq!(&again, &quote, "the order of coupons changes nothing");
        prop_assert_eq!(&serde_json::from_str::<Quote>(&serde_json::to_string(&quote).unwrap()).unwrap(), &quote);
        let mut edited = quote;
        edited.lines[0].total -= 1;
        prop_assert!(!edited.adds_up());
    }

    #[test]
    fn no_percentage_text_makes_it_panic(text in "[0-9.]{0,8}") {
        if let Ok(part) = text.parse::<Percent>() {
            prop_assert!(part.of(100_000) <= 100_000);
        }
    }
}
