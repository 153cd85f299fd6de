use domain::{Currency, Money};
use proptest::prelude::*;

fn currency(code: &str) -> Currency {
    Currency::parse(code).unwrap()
}

fn parse(text: &str, code: &str) -> Option<i64> {
    Money::parse(text, currency(code)).ok().map(|money| money.minor)
}

#[test]
fn a_currency_knows_its_decimals() {
    for (code, decimals) in [("EUR", 2), ("KRW", 0), ("JPY", 0), ("KWD", 3), ("USD", 2)] {
        assert_eq!((currency(code).decimals(), currency(code).as_str()), (decimals, code));
    }
    for bad in ["", "eur", "EURO", "EU", "XYZ", "EUR ", "EUR USD", "R E"] {
        assert!(Currency::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn amounts_have_all_decimals_or_none() {
    assert_eq!(parse("129.00", "EUR"), Some(12_900));
    assert_eq!(parse("129", "EUR"), Some(12_900));
    assert_eq!(parse("0.05", "EUR"), Some(5));
    assert_eq!(parse("-0.05", "EUR"), Some(-5));
    assert_eq!(parse("15000", "KRW"), Some(15_000));
    assert_eq!(parse("1.250", "KWD"), Some(1_250));
    assert_eq!(parse("92233720368547758.07", "EUR"), Some(i64::MAX));
}

#[test]
fn other_amounts_are_refused() {
    for bad in [
        "",
        ".",
        "1.",
        ".5",
        "1.0",
        "1.000",
        "1,00",
        "+1",
        "01",
        "00",
        "-0",
        "-0.00",
        "- 1",
        "1e3",
        " 1",
        "1 ",
        "１",
        "92233720368547758.08",
        "99999999999999999999",
    ] {
        assert_eq!(parse(bad, "EUR"), None, "{bad}");
    }
    assert_eq!(parse("1.0", "KRW"), None);
    let said = Money::parse("1.5", currency("EUR")).unwrap_err().to_string();
    assert_eq!(said, "must be an amount of EUR as text, such as \"129.00\"");
}

#[test]
fn outside_money_is_text_with_its_currency() {
    let price = Money { minor: 12_900, currency: currency("EUR") };
    let json = serde_json::to_string(&price).unwrap();
    assert_eq!(json, r#"{"amount":"129.00","currency":"EUR"}"#);
    assert_eq!(serde_json::from_str::<Money>(&json).unwrap(), price);
    assert_eq!(price.to_string(), "129.00 EUR");
    for bad in
        [r#"{"amount":129,"currency":"EUR"}"#, r#"{"amount":"129.00"}"#, r#"{"amount":"1","currency":"EUR","x":1}"#]
    {
        assert!(serde_json::from_str::<Money>(bad).is_err(), "{bad}");
    }
}

#[test]
fn sums_that_do_not_fit_or_mix_currencies_are_none() {
    let euro = |minor| Money { minor, currency: currency("EUR") };
    assert_eq!(euro(1).checked_add(euro(2)), Some(euro(3)));
    assert_eq!(euro(i64::MAX).checked_add(euro(1)), None);
    assert_eq!(euro(1).checked_add(Money::zero(currency("USD"))), None);
    assert_eq!(euro(12_900).checked_mul(4), Some(euro(51_600)));
    assert_eq!(euro(12_900).checked_mul(u64::MAX), None);
    assert_eq!(euro(i64::MAX).checked_mul(2), None);
}

proptest! {
    #[test]
    fn every_amount_reads_back_from_its_text(minor in -i64::MAX..=i64::MAX, code in prop::sample::select(vec!["EUR", "KRW", "KWD"])) {
        let money = Money { minor, currency: currency(code) };
        prop_assert_eq!(Money::parse(&money.amount_text(), money.currency).unwrap(), money);
        let json = serde_json::to_string(&money).unwrap();
        prop_assert_eq!(serde_json::from_str::<Money>(&json).unwrap(), money);
    }

    #[test]
    fn no_text_makes_it_panic(text in ".{0,30}", digits in "-?[0-9.]{0,30}") {
        let _ = Money::parse(&text, currency("EUR"));
        if let Ok(money) = Money::parse(&digits, currency("EUR")) {
            prop_assert!(money.amount_text().starts_with(&digits));
        }
    }
}
