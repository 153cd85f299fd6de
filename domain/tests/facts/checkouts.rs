use domain::checkout::{BadPlan, Plan};
use domain::quote::Ask;
use domain::{HoldId, LogId, Quote, SaleDoc, Step, VisitorHash};
use proptest::prelude::*;

fn doc(prices: &[i64]) -> SaleDoc {
    let items: Vec<String> = prices
        .iter()
        .enumerate()
        .map(|(n, price)| {
            format!("{{ id = \"i{n}\", units = 9, price = {{ amount = \"{price}\", currency = \"KRW\" }} }}")
        })
        .collect();
    let text = format!(
        "id = \"a\"\nadmission = \"none\"\npoints = {{ worth = \"10\", earn_percent = \"5\" }}\nitems = [{}]",
        items.join(", ")
    );
    SaleDoc::from_toml(&text).unwrap()
}

fn quote(doc: &SaleDoc, units: u32) -> Quote {
    let lines = doc.items.iter().map(|item| (item.id.clone(), units)).collect();
    let ask = Ask { lines: &lines, country: None, coupons: &[], lane: 0, reduced: &|_| 0, at: domain::Millis(1) };
    doc.quote(&ask).unwrap().unwrap()
}

#[test]
fn points_pay_for_whole_lines_and_earn_on_what_is_charged() {
    let doc = doc(&[1_005, 995]);
    let (quote, terms) = (quote(&doc, 1), doc.terms.points.as_ref());
    let parts = Plan::parts(&quote, 100, terms).unwrap();
    let shown: Vec<_> = parts.iter().map(|part| (part.charged, part.points, part.earned)).collect();
    assert_eq!(shown, [(505, 50, 2), (495, 50, 2)]);
    assert_eq!(Plan::parts(&quote, 200, terms), Err(BadPlan::TooManyPoints(199)), "a line is paid with whole points");
    assert_eq!(Plan::parts(&quote, 199, terms).unwrap().iter().map(|part| part.charged).sum::<i64>(), 10);
    assert_eq!(Plan::parts(&quote, 1, None), Err(BadPlan::NoPoints));
    let mut edited = quote;
    edited.total -= 1;
    assert_eq!(Plan::parts(&edited, 0, terms), Err(BadPlan::Quote));
}

#[test]
fn steps_and_logs_read_back_from_their_names() {
    let id = HoldId::derive(&"a".parse().unwrap(), 0, &VisitorHash([1; 16]), "k");
    for (step, name) in [(Step::Authorise, "authorise"), (Step::Refund(2), "refund-2"), (Step::Points(1), "points-1")] {
        assert_eq!((step.to_string().as_str(), name.parse::<Step>().unwrap()), (name, step));
        assert_eq!(step.key(id), format!("{id}:{name}"));
    }
    for bad in ["", "refund", "refund-", "refund-02", "refund--2", "capture-1", "Capture"] {
        assert!(bad.parse::<Step>().is_err(), "{bad}");
    }
    let sale = "night".parse().unwrap();
    for log in [LogId::checkout(&sale, 3), LogId::points(7), LogId::lane(&sale, 3)] {
        assert_eq!(log.as_str().parse::<LogId>().unwrap(), log);
    }
    for bad in ["points", "points/07", "points/1024", "points/1/2", "checkout/night", "checkout/night/1/2", "x/night"] {
        assert!(bad.parse::<LogId>().is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn what_is_paid_with_money_and_with_points_is_what_is_owed(prices in prop::collection::vec(0_i64..100_000, 1..6), units in 1_u32..9, points in 0_u64..100_000) {
        let doc = doc(&prices);
        let (quote, terms) = (quote(&doc, units), doc.terms.points.as_ref());
        match Plan::parts(&quote, points, terms) {
            Ok(parts) => {
                prop_assert_eq!(parts.iter().map(|part| part.points).sum::<u64>(), points);
                for (part, line) in parts.iter().zip(&quote.lines) {
                    prop_assert_eq!(part.charged + 10 * part.points.cast_signed(), line.total);
                    prop_assert!(part.charged >= 0);
                }
            }
            Err(BadPlan::TooManyPoints(most)) => prop_assert!(most < points && Plan::parts(&quote, most, terms).is_ok()),
            Err(other) => prop_assert!(false, "{}", other),
        }
    }
}
