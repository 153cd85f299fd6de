//! Amounts as Stripe counts them. It has minor units of its own for some currencies, and a factor wrong by a hundred is a charge
//! wrong by a hundred.

use domain::{Currency, Money};

/// Without decimals by ISO 4217, with two at Stripe, always `00`.
const TWO_AT_STRIPE: [&str; 2] = ["ISK", "UGX"];
/// With two decimals by ISO 4217, without any at Stripe.
const NONE_AT_STRIPE: [&str; 1] = ["MGA"];

/// Minor units at Stripe for one of ours, as a fraction.
fn ratio(currency: Currency) -> (i64, i64) {
    let code = currency.as_str();
    if TWO_AT_STRIPE.contains(&code) {
        return (100, 1);
    }
    if NONE_AT_STRIPE.contains(&code) { (1, 100) } else { (1, 1) }
}

/// What Stripe calls this amount; `None` when it cannot be charged there: nothing, less than nothing, a fraction of what Stripe
/// counts, or a third decimal other than zero.
pub(super) fn to_stripe(money: Money) -> Option<i64> {
    let (times, by) = ratio(money.currency);
    let exact = money.minor % by == 0 && (money.currency.decimals() < 3 || money.minor % 10 == 0);
    (money.minor > 0 && exact).then(|| money.minor.checked_mul(times).map(|minor| minor / by)).flatten()
}

/// What Stripe's amount is here; `None` when it is no amount of a currency that is known.
pub(super) fn from_stripe(minor: i64, currency: &str) -> Option<Money> {
    let currency = Currency::parse(&currency.to_ascii_uppercase()).ok()?;
    let (times, by) = ratio(currency);
    let minor = (minor % times == 0).then(|| minor.checked_mul(by).map(|minor| minor / times)).flatten()?;
    Some(Money { minor, currency })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn stripe(text: &str, code: &str) -> Option<i64> {
        to_stripe(Money::parse(text, Currency::parse(code).unwrap()).unwrap())
    }

    #[test]
    fn amounts_are_what_stripe_calls_them_and_read_back() {
        let known = [
            ("129.00", "EUR", Some(12_900)),
            ("15000", "KRW", Some(15_000)),
            ("100", "ISK", Some(10_000)),
            ("100", "UGX", Some(10_000)),
            ("100.00", "MGA", Some(100)),
            ("100.50", "MGA", None),
            ("1.230", "KWD", Some(1_230)),
            ("1.234", "KWD", None),
            ("0.00", "EUR", None),
            ("-1.00", "EUR", None),
            ("9223372036854775807", "ISK", None),
        ];
        for (text, code, expected) in known {
            assert_eq!(stripe(text, code), expected, "{text} {code}");
            if let Some(minor) = expected {
                let back = from_stripe(minor, &code.to_lowercase()).unwrap();
                assert_eq!(back.to_string(), format!("{text} {code}"));
            }
        }
        assert_eq!(from_stripe(150, "isk"), None, "a hundredth of a króna is none");
        assert_eq!(from_stripe(1, "eu"), None);
    }
}
